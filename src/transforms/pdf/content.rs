//! The text that a page shows, in the order in which it is shown.
//!
//! Lines and spaces come from where text is put: another height is another line, a gap wider than a fifth of the font's size
//! is a space.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    Unreadable,
    file::{File, Page},
    font::Font,
    object::{Dict, Lexer, Object, is_space},
};

/// The deepest nesting of forms.
const MAX_FORMS: usize = 8;
/// The most operands of an operator, and saved states.
const MAX_STACK: usize = 512;
/// Parts of the font's size that make a space, another line, and another paragraph.
const SPACE: f64 = 0.2;
const LINE: f64 = 0.5;
const PARAGRAPH: f64 = 1.9;

/// A matrix of six numbers.
type Matrix = [f64; 6];

const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

fn product([a, b, c, d, e, f]: Matrix, [g, h, i, j, k, l]: Matrix) -> Matrix {
    [
        a * g + b * i,
        a * h + b * j,
        c * g + d * i,
        c * h + d * j,
        e * g + f * i + k,
        e * h + f * j + l,
    ]
}

/// The text of a page.
pub(super) fn page(file: &File<'_>, page: &Page, budget: &mut usize) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    let contents = page.dict.get("Contents");
    let list = match contents.map(|contents| file.resolve(contents)) {
        Some(Object::Array(list)) => list.iter().collect(),
        _ => Vec::from_iter(contents),
    };
    for one in list {
        if let Some((_, more)) = file.data(one)? {
            bytes.extend_from_slice(&more);
            bytes.push(b'\n');
        }
    }
    let mut reader = Reader {
        file,
        budget,
        fonts: BTreeMap::new(),
        text: String::new(),
        last: None,
    };
    reader.stream(&bytes, &page.resources, IDENTITY, 0)?;
    Ok(reader.text)
}

struct Reader<'f, 'b> {
    file: &'f File<'f>,
    budget: &'b mut usize,
    /// By the place of their dictionaries.
    fonts: BTreeMap<usize, Rc<Font>>,
    text: String,
    /// Where the last character ended.
    last: Option<(f64, f64)>,
}

/// What operators change.
#[derive(Clone)]
struct State {
    to_page: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    leading: f64,
    spacing: f64,
    word_spacing: f64,
    scale: f64,
    rise: f64,
}

impl Reader<'_, '_> {
    fn stream(
        &mut self,
        bytes: &[u8],
        resources: &Dict,
        to_page: Matrix,
        depth: usize,
    ) -> Result<(), Unreadable> {
        let mut lexer = Lexer::new(bytes, 0);
        let mut operands: Vec<Object> = Vec::new();
        let mut saved: Vec<State> = Vec::new();
        let mut state = State {
            to_page,
            font: None,
            size: 1.0,
            leading: 0.0,
            spacing: 0.0,
            word_spacing: 0.0,
            scale: 1.0,
            rise: 0.0,
        };
        let (mut text, mut line) = (IDENTITY, IDENTITY);
        while let Some(token) = lexer.token() {
            let Object::Word(word) = token else {
                if operands.len() < MAX_STACK {
                    operands.push(token);
                }
                continue;
            };
            *self.budget = self.budget.checked_sub(1).ok_or(Unreadable::TooMuch)?;
            let number = |at: usize| operands.get(at).and_then(Object::number).unwrap_or(0.0);
            let matrix = || {
                [
                    number(0),
                    number(1),
                    number(2),
                    number(3),
                    number(4),
                    number(5),
                ]
            };
            match word.as_str() {
                "q" if saved.len() < MAX_STACK => saved.push(state.clone()),
                "Q" => state = saved.pop().unwrap_or(state),
                "cm" => state.to_page = product(matrix(), state.to_page),
                "BT" => (text, line) = (IDENTITY, IDENTITY),
                "Tf" => {
                    state.font = operands
                        .first()
                        .and_then(Object::name)
                        .and_then(|name| self.font(resources, name).transpose())
                        .transpose()?;
                    state.size = number(1);
                }
                "TL" => state.leading = number(0),
                "Tc" => state.spacing = number(0),
                "Tw" => state.word_spacing = number(0),
                "Tz" => state.scale = number(0) / 100.0,
                "Ts" => state.rise = number(0),
                "Tm" => (text, line) = (matrix(), matrix()),
                "Td" | "TD" => {
                    if word == "TD" {
                        state.leading = -number(1);
                    }
                    line = product([1.0, 0.0, 0.0, 1.0, number(0), number(1)], line);
                    text = line;
                }
                "T*" | "'" | "\"" => {
                    line = product([1.0, 0.0, 0.0, 1.0, 0.0, -state.leading], line);
                    text = line;
                    if word == "\"" {
                        state.word_spacing = number(0);
                        state.spacing = number(1);
                    }
                    if let Some(Object::Text(bytes)) = operands.last() {
                        self.show(bytes, &state, &mut text);
                    }
                }
                "Tj" => {
                    if let Some(Object::Text(bytes)) = operands.last() {
                        self.show(bytes, &state, &mut text);
                    }
                }
                "TJ" => {
                    if let Some(Object::Array(items)) = operands.last() {
                        self.show_all(items, &state, &mut text);
                    }
                }
                "Do" => {
                    if let Some(name) = operands.first().and_then(Object::name) {
                        self.form(resources, name, state.to_page, depth)?;
                    }
                }
                "ID" => skip_image(bytes, &mut lexer),
                _ => {}
            }
            operands.clear();
        }
        Ok(())
    }

    fn font(&mut self, resources: &Dict, name: &str) -> Result<Option<Rc<Font>>, Unreadable> {
        let fonts = self.file.dict(resources, "Font");
        let Some(dict) = fonts.and_then(|fonts| self.file.dict(fonts, name)) else {
            return Ok(None);
        };
        let place = std::ptr::from_ref(dict).addr();
        if let Some(font) = self.fonts.get(&place) {
            return Ok(Some(Rc::clone(font)));
        }
        let font = Rc::new(Font::read(self.file, dict)?);
        self.fonts.insert(place, Rc::clone(&font));
        Ok(Some(font))
    }

    fn form(
        &mut self,
        resources: &Dict,
        name: &str,
        to_page: Matrix,
        depth: usize,
    ) -> Result<(), Unreadable> {
        let forms = self.file.dict(resources, "XObject");
        let Some(form) = forms.and_then(|forms| forms.get(name)) else {
            return Ok(());
        };
        let is_form = match self.file.resolve(form) {
            Object::Dict(dict) => {
                self.file.get(dict, "Subtype").and_then(Object::name) == Some("Form")
            }
            _ => false,
        };
        if !is_form || depth >= MAX_FORMS {
            return Ok(());
        }
        let Some((dict, bytes)) = self.file.data(form)? else {
            return Ok(());
        };
        let own = match self.file.get(dict, "Matrix") {
            Some(Object::Array(numbers)) => {
                let mut numbers = numbers
                    .iter()
                    .map(|one| self.file.resolve(one).number().unwrap_or(0.0));
                std::array::from_fn(|_| numbers.next().unwrap_or(0.0))
            }
            _ => IDENTITY,
        };
        let resources = self.file.dict(dict, "Resources").unwrap_or(resources);
        self.stream(&bytes, resources, product(own, to_page), depth + 1)
    }

    fn show_all(&mut self, items: &[Object], state: &State, text: &mut Matrix) {
        for item in items {
            match item {
                Object::Text(bytes) => self.show(bytes, state, text),
                Object::Number(back) => {
                    let by = -back / 1_000.0 * state.size * state.scale;
                    *text = product([1.0, 0.0, 0.0, 1.0, by, 0.0], *text);
                }
                _ => {}
            }
        }
    }

    fn show(&mut self, bytes: &[u8], state: &State, text: &mut Matrix) {
        let Some(font) = state.font.clone() else {
            return;
        };
        for shown in font.show(bytes) {
            let [_, _, c, d, x, y] = product(*text, state.to_page);
            let height = (c.hypot(d) * state.size).abs().max(0.01);
            if let Some(meaning) = &shown.text {
                self.place(x, y, height);
                self.text.push_str(meaning);
            }
            let word = if shown.is_space {
                state.word_spacing
            } else {
                0.0
            };
            let advance = shown.width / 1_000.0 * state.size + state.spacing + word;
            *text = product([1.0, 0.0, 0.0, 1.0, advance * state.scale, 0.0], *text);
            let [.., x, y] = product(*text, state.to_page);
            self.last = Some((x, y));
        }
    }

    /// Breaks the line or puts a space, as the next character stands to the last one.
    fn place(&mut self, x: f64, y: f64, height: f64) {
        let Some((last_x, last_y)) = self.last else {
            return;
        };
        let down = (y - last_y).abs() / height;
        let ahead = (x - last_x) / height;
        if down > LINE {
            let breaks = if down > PARAGRAPH { "\n\n" } else { "\n" };
            if !self.text.is_empty() && !self.text.ends_with('\n') {
                self.text.push_str(breaks);
            }
        } else if !(-1.0..=SPACE).contains(&ahead) && !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
    }
}

/// Skips the bytes of a picture inside the page: up to `EI` between white space.
fn skip_image(bytes: &[u8], lexer: &mut Lexer<'_>) {
    let rest = bytes.get(lexer.at..).unwrap_or_default();
    let is_end = |window: &[u8]| match window {
        [before, b'E', b'I', after] => is_space(*before) && is_space(*after),
        _ => false,
    };
    let end = rest
        .windows(4)
        .position(is_end)
        .map_or(rest.len(), |at| at + 4);
    lexer.at += end;
}
