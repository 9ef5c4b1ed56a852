//! Objects of a PDF document, and the tokens of its content streams.

use std::collections::BTreeMap;

/// The deepest nesting of arrays and dictionaries.
const MAX_DEPTH: usize = 64;

/// Keys and values.
pub(super) type Dict = BTreeMap<String, Object>;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    /// Nothing.
    Null,
    /// A number; truth values are read as keywords, because nobody here asks for them.
    Number(f64),
    /// `/Name`.
    Name(String),
    /// A string of bytes.
    Text(Vec<u8>),
    /// `[…]`.
    Array(Vec<Object>),
    /// `<<…>>`.
    Dict(Dict),
    /// `12 0 R`.
    Reference(u32),
    /// An operator, or any other word.
    Word(String),
}

impl Object {
    /// The number.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The name.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// A whole number that is not negative.
pub(super) fn whole(number: f64) -> Option<usize> {
    // Nothing in a document is counted beyond this.
    let is_whole = (0.0..=4_294_967_295.0).contains(&number);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the bounds above"
    )]
    is_whole.then_some(number as usize)
}

/// Reads objects one after the other.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    /// Where it is.
    pub(super) at: usize,
}

impl<'a> Lexer<'a> {
    /// From this place on.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn second(&self) -> Option<u8> {
        self.bytes.get(self.at + 1).copied()
    }

    fn bump(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Skips white space and comments.
    pub(super) fn skip(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                while self
                    .peek()
                    .is_some_and(|byte| !matches!(byte, b'\n' | b'\r'))
                {
                    self.at += 1;
                }
            } else if is_space(byte) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// The next object, with references put together; `None` at the end.
    pub(super) fn object(&mut self) -> Option<Object> {
        self.nested(0, true)
    }

    /// The next token of a content stream, where there are no references.
    pub(super) fn token(&mut self) -> Option<Object> {
        self.nested(0, false)
    }

    fn nested(&mut self, depth: usize, refers: bool) -> Option<Object> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip();
        match self.peek()? {
            b'/' => {
                self.at += 1;
                Some(Object::Name(self.name()))
            }
            b'(' => Some(Object::Text(self.literal())),
            b'<' if self.second() == Some(b'<') => {
                self.at += 2;
                Some(Object::Dict(self.dict(depth, refers)))
            }
            b'<' => Some(Object::Text(self.hex())),
            b'[' => {
                self.at += 1;
                Some(Object::Array(self.array(depth, refers)))
            }
            b'+' | b'-' | b'.' | b'0'..=b'9' => {
                let number = self.number();
                let reference = refers.then(|| self.reference(number)).flatten();
                Some(reference.map_or(Object::Number(number), Object::Reference))
            }
            b')' | b'>' | b']' | b'{' | b'}' => {
                self.at += 1;
                Some(Object::Null)
            }
            _ => Some(match self.word() {
                word if word == "null" => Object::Null,
                word => Object::Word(word),
            }),
        }
    }

    fn dict(&mut self, depth: usize, refers: bool) -> Dict {
        let mut dict = Dict::new();
        loop {
            self.skip();
            match self.peek() {
                Some(b'>') => {
                    self.at += 1;
                    if self.peek() == Some(b'>') {
                        self.at += 1;
                    }
                    return dict;
                }
                Some(b'/') => {
                    self.at += 1;
                    let key = self.name();
                    self.skip();
                    // A key without a value.
                    if self.peek() == Some(b'>') && self.second() == Some(b'>') {
                        continue;
                    }
                    let Some(value) = self.nested(depth + 1, refers) else {
                        return dict;
                    };
                    dict.insert(key, value);
                }
                Some(_) => {
                    if self.nested(depth + 1, refers).is_none() {
                        return dict;
                    }
                }
                None => return dict,
            }
        }
    }

    fn array(&mut self, depth: usize, refers: bool) -> Vec<Object> {
        let mut items = Vec::new();
        loop {
            self.skip();
            if self.peek() == Some(b']') {
                self.at += 1;
                return items;
            }
            match self.nested(depth + 1, refers) {
                Some(item) => items.push(item),
                None => return items,
            }
        }
    }

    fn name(&mut self) -> String {
        let mut name = Vec::new();
        while let Some(byte) = self.peek().filter(|byte| is_regular(*byte)) {
            self.at += 1;
            let digits = self.bytes.get(self.at..self.at + 2);
            let code = digits.filter(|_| byte == b'#').and_then(|digits| {
                Some(hex_digit(*digits.first()?)? * 16 + hex_digit(*digits.get(1)?)?)
            });
            match code {
                Some(code) => {
                    self.at += 2;
                    name.push(code);
                }
                None => name.push(byte),
            }
        }
        String::from_utf8_lossy(&name).into_owned()
    }

    fn word(&mut self) -> String {
        let from = self.at;
        while self.peek().is_some_and(is_regular) {
            self.at += 1;
        }
        if self.at == from {
            self.at += 1;
        }
        let word = self.bytes.get(from..self.at).unwrap_or_default();
        String::from_utf8_lossy(word).into_owned()
    }

    fn number(&mut self) -> f64 {
        let from = self.at;
        while self
            .peek()
            .is_some_and(|byte| matches!(byte, b'+' | b'-' | b'.' | b'0'..=b'9'))
        {
            self.at += 1;
        }
        let text = self.bytes.get(from..self.at).unwrap_or_default();
        let text = std::str::from_utf8(text).unwrap_or_default();
        let plain = text.trim_start_matches("--");
        // Some writers leave a second sign inside.
        let plain = plain
            .char_indices()
            .skip(1)
            .find(|(_, c)| matches!(c, '-' | '+'))
            .map_or(plain, |(at, _)| plain.get(..at).unwrap_or_default());
        plain.parse().unwrap_or(0.0)
    }

    /// The rest of `12 0 R` behind its number.
    fn reference(&mut self, number: f64) -> Option<u32> {
        let id = whole(number).filter(|_| number.fract() == 0.0)?;
        let mut ahead = self.clone();
        ahead.skip();
        ahead.peek().filter(u8::is_ascii_digit)?;
        ahead.number();
        ahead.skip();
        if ahead.bump() != Some(b'R') || ahead.peek().is_some_and(is_regular) {
            return None;
        }
        self.at = ahead.at;
        u32::try_from(id).ok()
    }

    fn literal(&mut self) -> Vec<u8> {
        self.at += 1;
        let mut text = Vec::new();
        let mut open = 1;
        while let Some(byte) = self.bump() {
            match byte {
                b'(' => open += 1,
                b')' => open -= 1,
                b'\\' => {
                    self.escape(&mut text);
                    continue;
                }
                _ => {}
            }
            if open == 0 {
                break;
            }
            text.push(byte);
        }
        text
    }

    fn escape(&mut self, text: &mut Vec<u8>) {
        let Some(byte) = self.bump() else {
            return;
        };
        match byte {
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'\r' => {
                if self.peek() == Some(b'\n') {
                    self.at += 1;
                }
            }
            b'\n' => {}
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit) = self.peek().filter(|byte| (b'0'..=b'7').contains(byte))
                    else {
                        break;
                    };
                    self.at += 1;
                    code = code * 8 + u32::from(digit - b'0');
                }
                text.push(u8::try_from(code & 0xff).unwrap_or_default());
            }
            byte => text.push(byte),
        }
    }

    fn hex(&mut self) -> Vec<u8> {
        self.at += 1;
        let mut digits = Vec::new();
        while let Some(byte) = self.bump().filter(|byte| *byte != b'>') {
            digits.extend(hex_digit(byte));
        }
        pairs(&digits)
    }
}

/// Bytes out of hexadecimal digits; a missing last one is 0.
pub(super) fn pairs(digits: &[u8]) -> Vec<u8> {
    let byte = |pair: &[u8]| {
        let high = pair.first().copied().unwrap_or_default();
        high * 16 + pair.get(1).copied().unwrap_or_default()
    };
    digits.chunks(2).map(byte).collect()
}

/// What a hexadecimal digit stands for.
pub(super) fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// White space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | 9 | 10 | 12 | 13 | 32)
}

fn is_regular(byte: u8) -> bool {
    !is_space(byte)
        && !matches!(
            byte,
            b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%'
        )
}
