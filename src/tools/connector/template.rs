//! Templates of rows: JSON whose texts name places of a value. They make requests out of inputs and results out of answers.
//!
//! What is absent or null is left out, and so is an object of which nothing is left. The work is bounded: an answer of a provider
//! decides how often an `$each` runs. Form: `catalog/tools/README.md`.

use std::{cell::Cell, collections::BTreeSet};

use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Map, Number, Value};

use crate::{server_tools::html, time::rfc3339};

/// The most values that one template makes.
const MAX_STEPS: u32 = 100_000;
/// The deepest nesting of a template.
const MAX_DEPTH: u32 = 24;
/// The most bytes of a text out of HTML.
const MAX_PLAIN: usize = 64 * 1024;

/// The key's whole text, or the part of it that has this name.
pub type KeyText<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a template sees.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The whole value.
    pub root: &'a Value,
    /// What pointers begin at.
    pub here: &'a Value,
    /// The key, where the template may have it: its whole text, or one of its parts.
    pub key: Option<KeyText<'a>>,
    /// What `$rest` stands for.
    pub rest: Option<&'a Map<String, Value>>,
}

impl<'a> Scope<'a> {
    /// A value and nothing else.
    pub fn of(root: &'a Value) -> Self {
        Self {
            root,
            here: root,
            key: None,
            rest: None,
        }
    }

    fn at(self, here: &'a Value) -> Self {
        Self { here, ..self }
    }
}

/// What a template makes; `None` where nothing is left of it.
pub fn fill(template: &Value, scope: Scope<'_>) -> Option<Value> {
    let run = Run {
        steps: Cell::new(0),
        depth: Cell::new(0),
    };
    run.value(template, scope)
}

/// What a text with placeholders makes.
pub fn text(template: &str, scope: Scope<'_>) -> Option<String> {
    string(template, scope).map(|value| plain(&value))
}

/// The value at a pointer, unless it is null.
pub fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    value.pointer(pointer).filter(|value| !value.is_null())
}

/// A value as text.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The top-level fields of the value that a template looks at.
pub fn mentions(template: &Value, found: &mut BTreeSet<String>) {
    look(template, false, found);
}

/// As [`mentions`]; inside of an item only pointers from the root are into the value.
fn look(template: &Value, is_item: bool, found: &mut BTreeSet<String>) {
    match template {
        Value::String(text) => found.extend(pieces(text).filter_map(|piece| match piece {
            Piece::Here(pointer) if !is_item => first(pointer),
            Piece::Root(pointer) => first(pointer),
            _ => None,
        })),
        Value::Array(items) => items.iter().for_each(|item| look(item, is_item, found)),
        Value::Object(fields) => {
            let is_list = |name: &str| matches!(name, "$each" | "$entries" | "$slice");
            let has_items = is_item || fields.keys().any(|name| is_list(name));
            for (name, value) in fields {
                match (name.as_str(), value) {
                    (
                        "$each" | "$entries" | "$if" | "$join" | "$count" | "$slice",
                        Value::String(pointer),
                    ) => found.extend(first(pointer).filter(|_| !is_item)),
                    ("$zip", Value::Object(lists)) if !is_item => {
                        found.extend(lists.values().filter_map(Value::as_str).filter_map(first));
                    }
                    ("$zip", _) => {}
                    _ => look(value, has_items, found),
                }
            }
        }
        _ => {}
    }
}

/// The first step of a pointer.
fn first(pointer: &str) -> Option<String> {
    let step = pointer.strip_prefix('/')?.split('/').next()?;
    Some(step.replace("~1", "/").replace("~0", "~"))
}

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// As it stands.
    Literal(&'a str),
    /// `{/a}`: the value at a pointer from here.
    Here(&'a str),
    /// `{$/a}`: the value at a pointer from the root.
    Root(&'a str),
    /// `{.}`: the value here.
    This,
    /// `{key}`, `{key.x}`: the key, or a part of it.
    Key(&'a str),
}

/// The pieces of a text.
pub fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((piece, after)) = placeholder(rest) {
            rest = after;
            return Some(piece);
        }
        let next = rest.match_indices('{').map(|(at, _)| at);
        let end = next
            .filter(|at| *at > 0)
            .find(|at| rest.get(*at..).and_then(placeholder).is_some());
        let (literal, after) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        rest = after;
        Some(Piece::Literal(literal))
    })
}

/// The placeholder that a text begins with, and what follows it.
fn placeholder(text: &str) -> Option<(Piece<'_>, &str)> {
    let inside = text.strip_prefix('{')?;
    let mut starts = ["/", "$/", ".}", "key}", "key."].iter();
    starts.find(|start| inside.starts_with(**start))?;
    let (name, after) = inside.split_once('}')?;
    let piece = match name {
        "." => Piece::This,
        "key" => Piece::Key(""),
        _ if name.starts_with('/') => Piece::Here(name),
        _ => match name.strip_prefix("key.").filter(|part| !part.is_empty()) {
            Some(part) => Piece::Key(part),
            None => Piece::Root(name.strip_prefix('$')?),
        },
    };
    Some((piece, after))
}

/// A placeholder alone is its value; with text around it, text.
fn string(template: &str, scope: Scope<'_>) -> Option<Value> {
    let look = |piece: Piece<'_>| match piece {
        Piece::Literal(text) => Some(Value::from(text)),
        Piece::Here(pointer) => at(scope.here, pointer).cloned(),
        Piece::Root(pointer) => at(scope.root, pointer).cloned(),
        Piece::This => Some(scope.here.clone()).filter(|value| !value.is_null()),
        Piece::Key(part) => scope.key.and_then(|key| key(part)).map(Value::from),
    };
    let mut pieces = pieces(template);
    let (first, second) = (pieces.next(), pieces.next());
    match (first, second) {
        (None, _) => Some(Value::from("")),
        (Some(only), None) => look(only),
        (Some(first), Some(second)) => {
            let mut text = plain(&look(first)?);
            text.push_str(&plain(&look(second)?));
            for piece in pieces {
                text.push_str(&plain(&look(piece)?));
            }
            Some(Value::from(text))
        }
    }
}

struct Run {
    steps: Cell<u32>,
    depth: Cell<u32>,
}

impl Run {
    fn value(&self, template: &Value, scope: Scope<'_>) -> Option<Value> {
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > MAX_STEPS || self.depth.get() > MAX_DEPTH {
            return None;
        }
        self.depth.set(self.depth.get() + 1);
        let made = match template {
            Value::String(text) => string(text, scope),
            Value::Array(items) => Some(Value::Array(self.list(items, scope))),
            Value::Object(fields) => self.object(fields, scope),
            Value::Null => None,
            plain => Some(plain.clone()),
        };
        self.depth.set(self.depth.get() - 1);
        made
    }

    fn list(&self, items: &[Value], scope: Scope<'_>) -> Vec<Value> {
        let made = items.iter().filter_map(|item| self.value(item, scope));
        made.collect()
    }

    fn object(&self, fields: &Map<String, Value>, scope: Scope<'_>) -> Option<Value> {
        let Some((name, of)) = fields.iter().next() else {
            return Some(Value::Object(Map::new()));
        };
        let pointed = || at(scope.here, of.as_str()?);
        let given = || self.value(of, scope);
        match name.as_str() {
            "$each" | "$slice" => {
                let most = fields.get("to").and_then(Value::as_u64);
                let most = most.filter(|_| name == "$slice").unwrap_or(u64::MAX);
                let items = pointed()?.as_array()?.iter();
                let items = items.take(usize::try_from(most).unwrap_or(usize::MAX));
                let made = items.filter_map(|item| self.item(fields, scope.at(item)));
                Some(Value::Array(made.collect()))
            }
            "$entries" => {
                let made = pointed()?.as_object()?.iter().filter_map(|(key, value)| {
                    let entry = Map::from_iter([
                        ("key".to_owned(), Value::from(key.as_str())),
                        ("value".to_owned(), value.clone()),
                    ]);
                    self.item(fields, scope.at(&Value::Object(entry)))
                });
                Some(Value::Array(made.collect()))
            }
            "$zip" => Some(Value::Array(self.zip(of.as_object()?, scope))),
            "$if" => {
                pointed()?;
                self.fields(fields, scope)
            }
            "$first" => {
                let options = of.as_array()?.iter();
                let mut made = options.filter_map(|option| self.value(option, scope));
                made.find(|value| value.as_str() != Some(""))
            }
            "$number" => number(&given()?),
            "$text" => given().map(|value| Value::from(plain(&value))),
            "$join" => {
                let with = fields.get("with").and_then(Value::as_str).unwrap_or(" ");
                let parts: Vec<String> = pointed()?.as_array()?.iter().map(plain).collect();
                Some(Value::from(parts.join(with)))
            }
            "$map" => {
                let given = given()?;
                let to = fields.get("to").and_then(|to| to.get(plain(&given)));
                to.or_else(|| fields.get("else")).cloned().or(Some(given))
            }
            "$time" => moment(&given()?),
            "$decode" => decoded(given()?.as_str()?),
            "$encode" => {
                let is_plain = fields.get("as").and_then(Value::as_str) == Some("base64");
                let bytes = plain(&given()?);
                let encoded = if is_plain {
                    BASE64_STANDARD.encode(bytes)
                } else {
                    BASE64_URL_SAFE_NO_PAD.encode(bytes)
                };
                Some(encoded.into())
            }
            "$plain" => Some(html::read(given()?.as_str()?, MAX_PLAIN).text.into()),
            "$count" => pointed()?.as_array().map(|items| items.len().into()),
            _ => self.fields(fields, scope),
        }
    }

    /// One item of a list.
    fn item(&self, fields: &Map<String, Value>, scope: Scope<'_>) -> Option<Value> {
        let of = fields.get("of").filter(|_| fields.contains_key("$slice"));
        match fields.get("$value").or(of) {
            Some(template) => self.value(template, scope),
            None => self.fields(fields, scope),
        }
    }

    /// The fields of an object but its directive.
    fn fields(&self, fields: &Map<String, Value>, scope: Scope<'_>) -> Option<Value> {
        let mut object = Map::new();
        for (name, template) in fields {
            if name == "$rest" {
                let rest = scope.rest.into_iter().flatten();
                object.extend(rest.map(|(name, value)| (name.clone(), value.clone())));
            } else if !name.starts_with('$')
                && let Some(value) = self.value(template, scope)
            {
                object.insert(name.clone(), value);
            }
        }
        (!object.is_empty()).then_some(Value::Object(object))
    }

    /// One object per place of parallel lists.
    fn zip(&self, lists: &Map<String, Value>, scope: Scope<'_>) -> Vec<Value> {
        let mut rows: Vec<Map<String, Value>> = Vec::new();
        for (name, pointer) in lists {
            let list = pointer.as_str().and_then(|at_| at(scope.here, at_));
            for (place, value) in list
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .enumerate()
            {
                self.steps.set(self.steps.get() + 1);
                if self.steps.get() > MAX_STEPS {
                    break;
                }
                if rows.len() <= place {
                    rows.push(Map::new());
                }
                if let Some(row) = rows.get_mut(place).filter(|_| !value.is_null()) {
                    row.insert(name.clone(), value.clone());
                }
            }
        }
        rows.into_iter().map(Value::Object).collect()
    }
}

/// A number out of text such as `1,234.5` or `3.1%`.
fn number(value: &Value) -> Option<Value> {
    let Some(text) = value.as_str() else {
        return value.is_number().then(|| value.clone());
    };
    let digits: String = text
        .chars()
        .filter(|c| !matches!(c, ',' | '%' | ' ' | '_'))
        .collect();
    if let Ok(whole) = digits.parse::<i64>() {
        return Some(whole.into());
    }
    Number::from_f64(digits.parse().ok()?).map(Value::Number)
}

/// ISO 8601 out of unix seconds or milliseconds.
fn moment(value: &Value) -> Option<Value> {
    let text = plain(value);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let Ok(whole) = whole.parse::<i64>() else {
        // What is a date already stays as it is.
        return Some(value.clone());
    };
    // Seconds of the year 5138 are milliseconds of 1973.
    let is_ms = whole.unsigned_abs() >= 100_000_000_000;
    let rest = format!("{fraction:0<3}");
    let rest: i64 = rest.get(..3).and_then(|ms| ms.parse().ok()).unwrap_or(0);
    let ms = if is_ms {
        Some(whole)
    } else {
        whole.checked_mul(1_000)?.checked_add(rest)
    };
    // Four digits of a year.
    let ms = ms.filter(|ms| (-62_135_596_800_000..253_402_300_800_000).contains(ms))?;
    Some(rfc3339(ms).into())
}

/// Text out of base64 of either alphabet, with line ends in it or not.
fn decoded(text: &str) -> Option<Value> {
    let text: String = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace() && *c != '=')
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    let bytes = BASE64_STANDARD_NO_PAD.decode(text).ok()?;
    String::from_utf8(bytes).ok().map(Value::from)
}

/// Puts a value at a pointer, making the objects on the way.
pub fn put(value: &mut Value, pointer: &str, what: Value) {
    let Some((above, name)) = pointer.rsplit_once('/') else {
        *value = what;
        return;
    };
    let mut here = value;
    for step in above.split('/').skip(1).chain([name]) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        let Some(fields) = here.as_object_mut() else {
            return;
        };
        here = fields.entry(step).or_insert(Value::Null);
    }
    *here = what;
}
