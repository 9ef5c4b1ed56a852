//! Mends JSON that a model wrote nearly right.
//!
//! Fences and prose around it, trailing and missing commas, single and typographic quotes, keys without quotes, comments, the
//! literals of Python and JavaScript, raw control characters and wrong escapes in strings, and an end that is missing. Valid JSON
//! is never changed; what is mended keeps its order, and its numbers as they were written.

use serde::de::IgnoredAny;
use serde_json::Value;

/// The most places at which a value is looked for.
const MAX_STARTS: usize = 64;
/// The deepest nesting that is mended.
const MAX_DEPTH: usize = 64;

/// What kind of value is looked for among the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// An object.
    Object,
    /// An array.
    Array,
    /// Either.
    Any,
}

impl Expect {
    /// What a schema asks for.
    pub fn of(schema: &Value) -> Self {
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => Self::Object,
            Some("array") => Self::Array,
            _ => Self::Any,
        }
    }

    fn opens(self, byte: u8) -> bool {
        match self {
            Self::Object => byte == b'{',
            Self::Array => byte == b'[',
            Self::Any => matches!(byte, b'{' | b'['),
        }
    }
}

/// JSON that was mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healed {
    /// The valid JSON.
    pub json: String,
    /// What was done, in the order of first need.
    pub repairs: Vec<&'static str>,
}

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is valid JSON.
    Valid,
    /// It was not, and is now.
    Healed(Healed),
    /// No value was found in it.
    Hopeless,
}

/// Mends a text in which one JSON value is meant.
pub fn heal(text: &str, expect: Expect) -> Outcome {
    let trimmed = bare(text);
    if let Some(inner) = quoted(trimmed, expect) {
        let mut repairs = vec!["JSON inside a string"];
        return match heal(&inner, expect) {
            Outcome::Valid => Outcome::Healed(Healed {
                json: bare(&inner).to_owned(),
                repairs,
            }),
            Outcome::Healed(healed) => {
                repairs.extend(healed.repairs);
                Outcome::Healed(Healed { repairs, ..healed })
            }
            Outcome::Hopeless => Outcome::Valid,
        };
    }
    if is_json(trimmed) {
        return Outcome::Valid;
    }
    match find(trimmed, expect) {
        Some(found) => Outcome::Healed(found),
        None => Outcome::Hopeless,
    }
}

/// The text without a byte order mark and white space around it.
fn bare(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim()
}

/// Mends a text that should be JSON from its first character on.
pub fn heal_value(text: &str) -> Outcome {
    heal(text, Expect::Any)
}

fn is_json(text: &str) -> bool {
    crate::json::from_str::<IgnoredAny>(text).is_ok()
}

/// The text of a JSON string where an object or array is meant.
fn quoted(text: &str, expect: Expect) -> Option<String> {
    if expect == Expect::Any || !text.starts_with('"') {
        return None;
    }
    crate::json::from_str::<String>(text).ok()
}

/// The longest value in the text.
fn find(text: &str, expect: Expect) -> Option<Healed> {
    let mut best: Option<(usize, usize, Mender<'_>)> = None;
    let mut from = 0;
    for _ in 0..MAX_STARTS {
        let opens = |byte: &u8| expect.opens(*byte);
        let rest = text.as_bytes().get(from..)?;
        let Some(start) = rest.iter().position(opens).map(|at| from + at) else {
            break;
        };
        let mut mender = Mender::new(text, start);
        from = start + 1;
        let is_read = mender.value(false).is_ok() && is_json(&mender.out);
        // Of what was cut behind its first bracket nothing is left.
        let is_bare = mender.out.len() == 2 && mender.at == text.len();
        if is_read && !is_bare {
            from = mender.at.max(from);
            let length = mender.at - start;
            if best
                .as_ref()
                .is_none_or(|(_, longest, _)| length > *longest)
            {
                best = Some((start, length, mender));
            }
        }
    }
    let (start, length, mut mender) = best?;
    let before = text.get(..start).unwrap_or_default();
    let after = text.get(start + length..).unwrap_or_default();
    let words = |around: &str| {
        let mut around = around.trim().trim_matches('`').trim();
        for name in ["json5", "jsonc", "json", "JSON", "javascript", "python"] {
            around = around.strip_suffix(name).unwrap_or(around);
        }
        !around.trim().trim_matches('`').trim().is_empty()
    };
    let mut repairs = Vec::new();
    if before.contains("```") || after.contains("```") {
        repairs.push("code fence");
    }
    if words(before) || words(after) {
        repairs.push("text around it");
    }
    repairs.append(&mut mender.repairs);
    Some(Healed {
        json: mender.out,
        repairs,
    })
}

/// The text is no JSON that could be mended.
struct Lost;

/// Reads tolerantly and writes strictly.
struct Mender<'a> {
    text: &'a str,
    at: usize,
    out: String,
    repairs: Vec<&'static str>,
    depth: usize,
}

impl<'a> Mender<'a> {
    fn new(text: &'a str, at: usize) -> Self {
        Self {
            text,
            at,
            out: String::new(),
            repairs: Vec::new(),
            depth: 0,
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn repair(&mut self, what: &'static str) {
        if !self.repairs.contains(&what) {
            self.repairs.push(what);
        }
    }

    /// Skips white space and comments.
    fn skip(&mut self) {
        loop {
            while self
                .peek()
                .is_some_and(|c| c.is_whitespace() || c == '\u{feff}')
            {
                self.bump();
            }
            let end = if self.eat("//") || self.eat("#") {
                self.rest().find('\n')
            } else if self.eat("/*") {
                self.rest().find("*/").map(|at| at + 2)
            } else {
                return;
            };
            self.repair("comment");
            self.at = end.map_or(self.text.len(), |length| self.at + length);
        }
    }

    /// One value. `is_member`: words without quotes may stand here.
    fn value(&mut self, is_member: bool) -> Result<(), Lost> {
        self.skip();
        match self.peek().ok_or(Lost)? {
            '{' => self.nested(Self::object),
            '[' => self.nested(Self::array),
            c if closing_quote(c).is_some() => {
                self.string();
                Ok(())
            }
            '0'..='9' | '-' | '+' | '.' => self.bare(true),
            c if c.is_alphabetic() || c == '_' => self.bare(is_member),
            _ => Err(Lost),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<(), Lost>) -> Result<(), Lost> {
        if self.depth >= MAX_DEPTH {
            return Err(Lost);
        }
        self.depth += 1;
        self.bump();
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn object(&mut self) -> Result<(), Lost> {
        self.out.push('{');
        let mut is_first = true;
        loop {
            if self.is_closed('}', &mut is_first)? {
                return Ok(());
            }
            let before = self.out.len();
            if !is_first {
                self.out.push(',');
            }
            self.key()?;
            self.skip();
            let is_colon = self.eat(":");
            self.skip();
            if self.peek().is_none() {
                // The text ended between a key and its value.
                self.out.truncate(before);
                self.repair("missing end");
                self.out.push('}');
                return Ok(());
            }
            if !is_colon {
                return Err(Lost);
            }
            self.out.push(':');
            if matches!(self.peek(), Some(',' | '}')) {
                self.repair("missing value");
                self.out.push_str("null");
            } else {
                self.value(true)?;
            }
            is_first = false;
        }
    }

    fn array(&mut self) -> Result<(), Lost> {
        self.out.push('[');
        let mut is_first = true;
        loop {
            if self.is_closed(']', &mut is_first)? {
                return Ok(());
            }
            if !is_first {
                self.out.push(',');
            }
            self.value(false)?;
            is_first = false;
        }
    }

    /// What stands between the entries of an object or array: whether it ends here.
    fn is_closed(&mut self, close: char, is_first: &mut bool) -> Result<bool, Lost> {
        let mut commas = 0;
        loop {
            self.skip();
            if !self.eat(",") {
                break;
            }
            commas += 1;
        }
        let next = self.peek();
        let ends = match next {
            None => {
                self.repair("missing end");
                true
            }
            Some(c) if c == close => {
                self.bump();
                true
            }
            // The bracket of the thing around it: the own one is missing.
            Some('}' | ']') if self.depth > 1 => {
                self.repair("missing bracket");
                true
            }
            Some('}' | ']') => return Err(Lost),
            Some(_) => false,
        };
        let wanted = usize::from(!*is_first && !ends);
        if commas > wanted {
            self.repair(if ends {
                "trailing comma"
            } else {
                "extra comma"
            });
        } else if commas < wanted {
            self.repair("missing comma");
        }
        if ends {
            self.out.push(close);
        }
        Ok(ends)
    }

    fn key(&mut self) -> Result<(), Lost> {
        let next = self.peek().ok_or(Lost)?;
        if closing_quote(next).is_some() {
            self.string();
            return Ok(());
        }
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '.');
        let rest = self.rest();
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = rest
            .get(..length)
            .filter(|word| !word.is_empty())
            .ok_or(Lost)?;
        self.repair("key without quotes");
        self.at += length;
        self.put_string(word);
        Ok(())
    }

    fn put_string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            self.put_char(c);
        }
        self.out.push('"');
    }

    fn put_char(&mut self, c: char) {
        match c {
            '"' => self.out.push_str("\\\""),
            '\\' => self.out.push_str("\\\\"),
            '\n' => self.out.push_str("\\n"),
            '\r' => self.out.push_str("\\r"),
            '\t' => self.out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                let escaped = format!("\\u{:04x}", c as u32);
                self.out.push_str(&escaped);
            }
            c => self.out.push(c),
        }
    }

    /// A string in any kind of quotes.
    fn string(&mut self) {
        let Some(close) = self.bump().and_then(|open| {
            if open != '"' {
                self.repair("quotes");
            }
            closing_quote(open)
        }) else {
            return;
        };
        self.out.push('"');
        loop {
            match self.bump() {
                None => {
                    self.repair("missing end");
                    break;
                }
                Some('\\') => self.escape(),
                Some(c) if close.contains(c) && self.is_end_of_string() => break,
                Some(c) => {
                    if (c as u32) < 0x20 {
                        self.repair("control character");
                    } else if c == '"' {
                        self.repair("quotes");
                    }
                    self.put_char(c);
                }
            }
        }
        self.out.push('"');
    }

    /// Whether the quote that was just read ends its string: something follows that may follow a string.
    fn is_end_of_string(&self) -> bool {
        let rest = self.rest();
        let next = rest.trim_start();
        let is_apart = next.len() < rest.len();
        match next.chars().next() {
            None | Some(',' | ':' | '}' | ']') => true,
            Some('/' | '#') => is_apart,
            // A missing comma before the next string.
            Some(c) => is_apart && closing_quote(c).is_some(),
        }
    }

    fn escape(&mut self) {
        match self.bump() {
            None => self.repair("missing end"),
            Some(c @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't')) => {
                self.out.push('\\');
                self.out.push(c);
            }
            Some('u') => self.unicode(),
            // A line that goes on.
            Some('\n') => self.repair("escape"),
            Some(c) => {
                self.repair("escape");
                if !matches!(
                    c,
                    '\'' | '`' | '$' | '_' | '*' | '[' | ']' | '(' | ')' | '#' | '>'
                ) {
                    self.out.push_str("\\\\");
                }
                self.put_char(c);
            }
        }
    }

    /// The digits behind `\u`: one unit, or a pair of surrogates.
    fn unicode(&mut self) {
        let unit = |text: &str| {
            let digits = text.get(..4)?;
            u16::from_str_radix(digits, 16).ok()
        };
        let Some(first) = unit(self.rest()) else {
            if self.rest().len() < 4 {
                self.at = self.text.len();
            }
            return self.repair("escape");
        };
        self.at += 4;
        let mut units = vec![first];
        if (0xd800..0xdc00).contains(&first)
            && let Some(second) = self.rest().strip_prefix("\\u").and_then(unit)
        {
            units.push(second);
        }
        match String::from_utf16(&units) {
            Ok(text) => {
                self.at += 6 * (units.len() - 1);
                for c in text.chars() {
                    self.put_char(c);
                }
            }
            Err(_) => {
                self.repair("escape");
                self.out.push('\u{fffd}');
            }
        }
    }

    /// A number, a literal, or words without quotes where those may stand.
    fn bare(&mut self, may_be_words: bool) -> Result<(), Lost> {
        let rest = self.rest();
        let ends = |c: char| matches!(c, ',' | '}' | ']' | '\n' | '{' | '[' | '"');
        let length = rest.find(ends).unwrap_or(rest.len());
        let whole = rest.get(..length).unwrap_or_default();
        let word = whole.split(['/', '#']).next().unwrap_or_default();
        let first = word.split_whitespace().next().unwrap_or_default();
        let is_last = self.at + first.len() >= self.text.len();
        if let Some((json, repair)) = literal(first, is_last) {
            self.at += first.len();
            self.out.push_str(&json);
            if let Some(repair) = repair {
                self.repair(repair);
            }
            return Ok(());
        }
        let words = word.trim();
        if !may_be_words || words.is_empty() {
            return Err(Lost);
        }
        self.repair("value without quotes");
        self.at += word.len();
        self.put_string(words);
        Ok(())
    }
}

/// The quotes that close what this one opens.
fn closing_quote(open: char) -> Option<&'static str> {
    Some(match open {
        '"' => "\"",
        '\'' => "'",
        '`' => "`",
        '“' | '„' | '”' => "”“\"",
        '‘' | '’' | '‚' => "’‘'",
        '«' => "»",
        _ => return None,
    })
}

/// A literal or number as JSON writes it, and what had to be done for it.
fn literal(word: &str, is_last: bool) -> Option<(String, Option<&'static str>)> {
    if is_json(word) {
        return Some((word.to_owned(), None));
    }
    let known = match word {
        "True" | "TRUE" => "true",
        "False" | "FALSE" => "false",
        "None" | "NULL" | "Null" | "undefined" | "NaN" | "nan" | "Infinity" | "-Infinity" => "null",
        _ => "",
    };
    if !known.is_empty() {
        return Some((known.to_owned(), Some("literal")));
    }
    if is_last && !word.is_empty() {
        let cut = ["true", "false", "null"];
        if let Some(known) = cut.into_iter().find(|known| known.starts_with(word)) {
            return Some((known.to_owned(), Some("missing end")));
        }
    }
    let mut number = word.trim_start_matches('+').replace('_', "");
    if number.starts_with('.') {
        number.insert(0, '0');
    } else if let Some(rest) = number.strip_prefix("-.") {
        number = format!("-0.{rest}");
    }
    if !number.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return None;
    }
    let number = number.trim_end_matches(['.', 'e', 'E', '+', '-']);
    (is_json(number)).then(|| (number.to_owned(), Some("number")))
}
