//! From the codes of a font to characters and their widths.

use std::collections::BTreeMap;

use super::{
    Unreadable,
    encodings::{glyph, mac_roman, win_ansi},
    file::File,
    object::{Dict, Lexer, Object, whole},
};

/// The most entries of one table of characters.
const MAX_ENTRIES: usize = 70_000;
/// The width of a character whose width is not known, in thousandths.
const USUAL_WIDTH: f64 = 500.0;

/// A font.
#[derive(Debug)]
pub(super) struct Font {
    /// Codes have two bytes.
    is_wide: bool,
    to_unicode: Option<CodeMap>,
    /// By code, where no map says otherwise.
    simple: Vec<Option<char>>,
    widths: BTreeMap<u32, f64>,
    usual_width: f64,
}

/// From codes to text.
#[derive(Debug, Default)]
struct CodeMap {
    singles: BTreeMap<u32, String>,
    /// First and last code, and the text of the first.
    ranges: Vec<(u32, u32, Vec<u16>)>,
    /// Bytes of a code, where the map says.
    code_length: Option<usize>,
}

/// A character as it is shown.
pub(super) struct Shown {
    /// What it means, if that is known.
    pub(super) text: Option<String>,
    /// Thousandths of the font's size.
    pub(super) width: f64,
    /// Word spacing applies.
    pub(super) is_space: bool,
}

impl Font {
    /// Reads a font.
    pub(super) fn read(file: &File<'_>, dict: &Dict) -> Result<Self, Unreadable> {
        let is_wide = file.get(dict, "Subtype").and_then(Object::name) == Some("Type0");
        let to_unicode = match dict.get("ToUnicode") {
            Some(map) => file.data(map)?.map(|(_, bytes)| CodeMap::read(&bytes)),
            None => None,
        };
        let mut font = Self {
            is_wide,
            to_unicode,
            simple: Vec::new(),
            widths: BTreeMap::new(),
            usual_width: USUAL_WIDTH,
        };
        if is_wide {
            font.wide_widths(file, dict);
        } else {
            font.simple = encoding(file, dict);
            font.simple_widths(file, dict);
        }
        Ok(font)
    }

    fn simple_widths(&mut self, file: &File<'_>, dict: &Dict) {
        let first = file
            .get(dict, "FirstChar")
            .and_then(Object::number)
            .and_then(whole);
        if let (Some(first), Some(Object::Array(widths))) = (first, file.get(dict, "Widths")) {
            for (code, width) in (first..).zip(widths.iter().take(256)) {
                let width = file.resolve(width).number();
                if let (Ok(code), Some(width)) = (u32::try_from(code), width) {
                    self.widths.insert(code, width);
                }
            }
        }
    }

    fn wide_widths(&mut self, file: &File<'_>, dict: &Dict) {
        let Some(Object::Array(inner)) = file.get(dict, "DescendantFonts") else {
            return;
        };
        let Some(Object::Dict(inner)) = inner.first().map(|inner| file.resolve(inner)) else {
            return;
        };
        self.usual_width = file
            .get(inner, "DW")
            .and_then(Object::number)
            .unwrap_or(1_000.0);
        let Some(Object::Array(table)) = file.get(inner, "W") else {
            return;
        };
        let mut table = table.iter().map(|item| file.resolve(item));
        while let Some(first) = table.next().and_then(Object::number).and_then(whole) {
            let list = |widths: &Vec<Object>| {
                widths
                    .iter()
                    .map(|width| file.resolve(width).number())
                    .collect()
            };
            let widths: Vec<Option<f64>> = match table.next() {
                Some(Object::Array(widths)) => list(widths),
                Some(Object::Number(last)) => {
                    let width = table.next().and_then(Object::number);
                    let count = whole(*last).unwrap_or(0).saturating_sub(first) + 1;
                    vec![width; count.min(MAX_ENTRIES)]
                }
                _ => return,
            };
            for (code, width) in (first..).zip(widths) {
                if let (Ok(code), Some(width)) = (u32::try_from(code), width)
                    && self.widths.len() < MAX_ENTRIES
                {
                    self.widths.insert(code, width);
                }
            }
        }
    }

    /// The characters of a string.
    pub(super) fn show<'f>(&'f self, bytes: &'f [u8]) -> impl Iterator<Item = Shown> + 'f {
        let said = self.to_unicode.as_ref().and_then(|map| map.code_length);
        let length = match (self.is_wide, said) {
            (true, Some(1)) => 1,
            (true, _) => 2,
            (false, _) => 1,
        };
        bytes.chunks(length).map(move |code| {
            let number = code
                .iter()
                .fold(0, |number, byte| number * 256 + u32::from(*byte));
            let mapped = self.to_unicode.as_ref().and_then(|map| map.get(number));
            let simple = || {
                let at = usize::try_from(number).ok()?;
                self.simple.get(at).copied().flatten().map(String::from)
            };
            Shown {
                text: mapped.or_else(simple),
                width: self
                    .widths
                    .get(&number)
                    .copied()
                    .unwrap_or(self.usual_width),
                is_space: length == 1 && number == 32,
            }
        })
    }
}

/// What the codes of a simple font mean.
fn encoding(file: &File<'_>, dict: &Dict) -> Vec<Option<char>> {
    let named = file.get(dict, "Encoding");
    let base = match named {
        Some(Object::Name(name)) => Some(name.as_str()),
        Some(Object::Dict(own)) => file.get(own, "BaseEncoding").and_then(Object::name),
        _ => None,
    };
    let read = match base {
        Some("MacRomanEncoding") => mac_roman,
        _ => win_ansi,
    };
    let mut codes: Vec<Option<char>> = (0..=255).map(read).collect();
    if let Some(Object::Dict(own)) = named
        && let Some(Object::Array(differences)) = file.get(own, "Differences")
    {
        let mut code = 0;
        for item in differences {
            match file.resolve(item) {
                Object::Number(number) => code = whole(*number).unwrap_or(0),
                Object::Name(name) => {
                    if let Some(slot) = codes.get_mut(code) {
                        *slot = glyph(name).or(*slot);
                    }
                    code += 1;
                }
                _ => {}
            }
        }
    }
    codes
}

impl CodeMap {
    /// Reads a `ToUnicode` map: <https://adobe-type-tools.github.io/font-tech-notes/pdfs/5014.CIDFont_Spec.pdf>.
    fn read(bytes: &[u8]) -> Self {
        let mut map = Self::default();
        let mut lexer = Lexer::new(bytes, 0);
        let mut operands: Vec<Object> = Vec::new();
        while let Some(token) = lexer.token() {
            let Object::Word(word) = &token else {
                if operands.len() < MAX_ENTRIES {
                    operands.push(token);
                }
                continue;
            };
            match word.as_str() {
                "endcodespacerange" => {
                    let lengths = operands.iter().filter_map(|one| match one {
                        Object::Text(code) => Some(code.len()),
                        _ => None,
                    });
                    map.code_length = lengths.max();
                }
                "endbfchar" => {
                    for pair in operands.chunks_exact(2) {
                        if let [Object::Text(code), Object::Text(text)] = pair {
                            map.single(number(code), &units(text));
                        }
                    }
                }
                "endbfrange" => {
                    for row in operands.chunks_exact(3) {
                        if let [Object::Text(first), Object::Text(last), to] = row {
                            map.range(number(first), number(last), to);
                        }
                    }
                }
                _ => {}
            }
            operands.clear();
        }
        map
    }

    fn single(&mut self, code: u32, text: &[u16]) {
        if self.singles.len() < MAX_ENTRIES {
            self.singles.insert(code, String::from_utf16_lossy(text));
        }
    }

    fn range(&mut self, first: u32, last: u32, to: &Object) {
        match to {
            Object::Text(text) if self.ranges.len() < MAX_ENTRIES => {
                self.ranges.push((first, last, units(text)));
            }
            Object::Array(texts) => {
                for (code, text) in (first..=last).zip(texts) {
                    if let Object::Text(text) = text {
                        self.single(code, &units(text));
                    }
                }
            }
            _ => {}
        }
    }

    fn get(&self, code: u32) -> Option<String> {
        if let Some(text) = self.singles.get(&code) {
            return Some(text.clone());
        }
        let (first, _, text) = self
            .ranges
            .iter()
            .find(|(first, last, _)| (*first..=*last).contains(&code))?;
        let mut text = text.clone();
        let step = u16::try_from(code - first).ok()?;
        if let Some(last) = text.last_mut() {
            *last = last.wrapping_add(step);
        }
        Some(String::from_utf16_lossy(&text))
    }
}

fn number(code: &[u8]) -> u32 {
    let code = code.iter().rev().take(4).rev();
    code.fold(0, |number, byte| {
        number.wrapping_mul(256).wrapping_add(u32::from(*byte))
    })
}

/// UTF-16 units, the higher byte first.
fn units(text: &[u8]) -> Vec<u16> {
    match text {
        [one] => vec![u16::from(*one)],
        text => text
            .chunks_exact(2)
            .map(|pair| {
                pair.iter()
                    .fold(0, |unit, byte| unit * 256 + u16::from(*byte))
            })
            .collect(),
    }
}
