//! What vendors' own descriptions say of requests and answers: `tests/vendors/facts`, one file per provider.
//!
//! The README of `tests/vendors` explains their notation. Here it is read, and requests and answers are judged by it. Out of scope:
//! where facts are from (`tests/vendors/facts.mjs` takes them out of descriptions; the others were written by hand).

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What stands in texts that only show that a field is sent: any word would do.
pub const ANYTHING: &str = "@x";

/// What one source says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub source: String,
    pub kind: String,
    pub read: String,
    pub base: String,
    pub keys: Vec<String>,
    pub operations: BTreeMap<String, Described>,
}

/// What it says of one method and path.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Described {
    pub query: Map<String, Value>,
    pub headers: Map<String, Value>,
    pub body: Option<Value>,
    pub form: bool,
    pub answer: Option<Value>,
}

/// A request as it leaves.
pub struct Request<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub headers: Vec<(&'a str, &'a str)>,
    pub body: Option<&'a [u8]>,
}

/// All that is known of a vendor's requests.
pub fn sources(slug: &str) -> Vec<Source> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vendors/facts");
    let text = std::fs::read_to_string(folder.join(format!("{slug}.json")));
    let text = text.unwrap_or_else(|error| panic!("nothing is known of {slug}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("facts/{slug}.json: {error}"))
}

/// What is said of a request of a tool: by which source, under which name.
///
/// The first source that knows the path speaks; of its paths the one with the most letters of its own.
pub fn described<'a>(
    sources: &'a [Source],
    tool: &str,
    method: &str,
    url: &str,
) -> Option<(&'a Source, &'a str, &'a Described)> {
    let place = url.split('?').next()?;
    sources.iter().find_map(|source| {
        let fitting = source.operations.iter().filter(|(name, _)| {
            let (named, of) = name.split_once('#').unwrap_or((name, tool));
            let (verb, path) = named.split_once(' ').unwrap_or(("", named));
            verb == method && of == tool && is_path(&format!("{}{path}", source.base), place)
        });
        let (name, described) =
            fitting.max_by_key(|(name, _)| name.len() - 8 * name.matches('{').count().min(4))?;
        Some((source, name.as_str(), described))
    })
}

/// Whether an address is that of a template with `{}` for a part of a segment and `{x...}` for several.
fn is_path(template: &str, place: &str) -> bool {
    let mut wanted = template.split('/');
    let mut given = place.split('/');
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(part), Some(_)) if part.ends_with("...}") => return true,
            (Some(part), Some(text)) => {
                let around = part.split_once('{').zip(part.rsplit_once('}'));
                let fits = match around {
                    Some(((before, _), (_, after))) => {
                        text.len() > before.len() + after.len()
                            && text.starts_with(before)
                            && text.ends_with(after)
                    }
                    _ => part == text,
                };
                if !fits {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

impl Described {
    /// Why a vendor would not know a request.
    pub fn faults(&self, request: &Request<'_>) -> Vec<String> {
        let mut faults = Vec::new();
        let query = request.url.split_once('?').map_or("", |(_, query)| query);
        self.judge_query(&pairs(query), &mut faults);
        for name in self
            .headers
            .keys()
            .filter_map(|name| name.strip_suffix('!'))
        {
            if !request.headers.iter().any(|(own, _)| *own == name) {
                faults.push(format!("header {name}: required"));
            }
        }
        let kind = request
            .headers
            .iter()
            .find(|(name, _)| *name == "content-type");
        let is_form = kind.is_some_and(|(_, kind)| kind.contains("form"));
        match (&self.body, request.body) {
            (None, None) => {}
            (None, Some(_)) => faults.push("body: none is known".to_owned()),
            (Some(wanted), None) => {
                let required = wanted.as_object().into_iter().flatten();
                let required = required.filter(|(name, _)| name.ends_with('!'));
                faults.extend(required.map(|(name, _)| format!("/{name} required")));
            }
            (Some(_), Some(_)) if is_form != self.form => {
                faults.push(format!("body: {:?} is not what it takes", kind));
            }
            (Some(wanted), Some(body)) => {
                let text = std::str::from_utf8(body).unwrap_or_default();
                let value = if is_form {
                    nested(&pairs(text))
                } else {
                    serde_json::from_str(text).unwrap_or(Value::Null)
                };
                Judge {
                    is_request: true,
                    is_text: is_form,
                }
                .value(wanted, &value, "", &mut faults);
            }
        }
        faults
    }

    fn judge_query(&self, given: &[(String, String)], faults: &mut Vec<String>) {
        let bare = |name: &str| name.trim_end_matches("[]").to_owned();
        let mut names: Vec<String> = given.iter().map(|(name, _)| bare(name)).collect();
        names.dedup();
        for name in names {
            let known = [name.clone(), format!("{name}!")];
            let Some(wanted) = known.iter().find_map(|name| self.query.get(name)) else {
                faults.push(format!("query {name}: unknown"));
                continue;
            };
            let of_it: Vec<_> = given.iter().filter(|(own, _)| bare(own) == name).collect();
            let texts: Vec<&str> = of_it.iter().map(|(_, text)| text.as_str()).collect();
            let style = wanted.get(1).and_then(Value::as_str);
            let is_bracketed = of_it.iter().all(|(own, _)| own.ends_with("[]"));
            if is_bracketed != (style == Some("brackets"))
                || (style == Some("comma") && texts.len() > 1)
            {
                faults.push(format!("query {name}: lists go in as {style:?}"));
            }
            let value = match wanted {
                Value::Array(_) if style == Some("repeat") => json!(texts),
                Value::Array(_) => texts.iter().flat_map(|text| text.split(',')).collect(),
                _ => json!(texts.first()),
            };
            Judge {
                is_request: true,
                is_text: true,
            }
            .value(wanted, &value, &format!("query {name}"), faults);
        }
        for name in self.query.keys().filter_map(|name| name.strip_suffix('!')) {
            if !given.iter().any(|(own, _)| bare(own) == name) {
                faults.push(format!("query {name}: required"));
            }
        }
    }

    /// What an answer has that its vendor does not know.
    pub fn surprises(&self, answer: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(wanted) = &self.answer {
            Judge {
                is_request: false,
                is_text: false,
            }
            .value(wanted, answer, "", &mut faults);
        }
        faults
    }
}

/// How values are judged.
#[derive(Clone, Copy)]
struct Judge {
    /// What is required must be there; in answers null may be anywhere.
    is_request: bool,
    /// All is text: of a query or a form.
    is_text: bool,
}

impl Judge {
    fn value(self, wanted: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        if value.is_null() && !self.is_request {
            return;
        }
        match wanted {
            Value::String(word) => self.word(word, value, at, faults),
            Value::Array(list) => {
                let Some(items) = value.as_array() else {
                    return faults.push(format!("{at}: {value} instead of a list"));
                };
                let limits = list
                    .get(1)
                    .and_then(Value::as_str)
                    .filter(|text| text.contains(".."));
                if limits.is_some_and(|limits| !is_within(limits, items.len() as f64)) {
                    faults.push(format!("{at}: {} items", items.len()));
                }
                for (i, item) in items.iter().enumerate() {
                    self.value(&list[0], item, &format!("{at}/{i}"), faults);
                }
            }
            Value::Object(fields) => match fields.get("|") {
                Some(options) => {
                    let tries = options.as_array().into_iter().flatten().map(|option| {
                        let mut found = Vec::new();
                        self.value(option, value, at, &mut found);
                        found
                    });
                    faults.extend(tries.min_by_key(Vec::len).unwrap_or_default());
                }
                None => self.fields(fields, value, at, faults),
            },
            other => panic!("{at}: {other} is no notation"),
        }
    }

    fn fields(
        self,
        wanted: &Map<String, Value>,
        value: &Value,
        at: &str,
        faults: &mut Vec<String>,
    ) {
        let Some(given) = value.as_object() else {
            return faults.push(format!("{at}: {value} instead of an object"));
        };
        for (name, inner) in given {
            let known = wanted.get(name).or_else(|| wanted.get(&format!("{name}!")));
            match known.or_else(|| wanted.get("*")) {
                Some(known) => self.value(known, inner, &format!("{at}/{name}"), faults),
                None => faults.push(format!("{at}/{name}: unknown")),
            }
        }
        let required = wanted.keys().filter_map(|name| name.strip_suffix('!'));
        let missing = required.filter(|name| self.is_request && !given.contains_key(*name));
        faults.extend(missing.map(|name| format!("{at}/{name}: required")));
    }

    fn word(self, word: &str, value: &Value, at: &str, faults: &mut Vec<String>) {
        if let Some(words) = word.strip_prefix('=') {
            let is_one = value.as_str().is_some_and(|text| {
                text.starts_with(ANYTHING)
                    || words == text
                    || words.split('|').any(|word| word == text)
            });
            // Numbers and truth values among the words are told without quotes.
            let plain = value.to_string();
            let is_plain = words.split('|').any(|word| word == plain);
            if !is_one && !is_plain {
                faults.push(format!("{at}: {value} is none of {words}"));
            }
            return;
        }
        let (kind, limits) = word.split_once(' ').unwrap_or((word, ""));
        let text = value.as_str().filter(|_| self.is_text);
        let number = text.map_or_else(|| value.as_f64(), |text| text.parse().ok());
        let is_within = |size: f64| limits.is_empty() || is_within(limits, size);
        let fits = match kind {
            "any" => true,
            "string" => value
                .as_str()
                .is_some_and(|text| is_within(text.chars().count() as f64)),
            "integer" => number.is_some_and(|number| number.fract() == 0.0 && is_within(number)),
            "number" => number.is_some_and(is_within),
            "boolean" => {
                value.is_boolean() || text.is_some_and(|text| matches!(text, "true" | "false"))
            }
            "object" => value.is_object(),
            "array" => value.is_array(),
            "null" => value.is_null(),
            other => panic!("{at}: {other} is no notation"),
        };
        if !fits {
            faults.push(format!("{at}: {value} instead of {word}"));
        }
    }
}

/// Whether a size is within `from..to`, either of which may be missing.
fn is_within(limits: &str, size: f64) -> bool {
    let (from, to) = limits.split_once("..").unwrap_or((limits, limits));
    let bound = |text: &str, otherwise| {
        if text.is_empty() {
            otherwise
        } else {
            text.parse().unwrap_or(f64::NAN)
        }
    };
    bound(from, f64::MIN) <= size && size <= bound(to, f64::MAX)
}

/// Names and values of a query or a form.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let code = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let (byte, taken) = match (first, code) {
            (b'%', Some(byte)) => (byte, 2),
            (b'+', _) => (b' ', 0),
            (byte, _) => (*byte, 0),
        };
        bytes.push(byte);
        rest = &more[taken..];
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// `a[b][0]=1` as an object with a list in it; what stands twice is a list.
fn nested(pairs: &[(String, String)]) -> Value {
    let mut made = json!({});
    for (name, text) in pairs {
        let mut here = &mut made;
        for step in name.split('[').map(|step| step.trim_end_matches(']')) {
            let step = if step.is_empty() {
                here.as_object().map_or(0, Map::len).to_string()
            } else {
                step.to_owned()
            };
            if !here.is_object() {
                *here = json!({});
            }
            here = &mut here[step];
        }
        *here = match here.take() {
            Value::Null => json!(text),
            Value::Array(mut list) => {
                list.push(json!(text));
                Value::Array(list)
            }
            one => json!([one, text]),
        };
    }
    listed(made)
}

fn listed(value: Value) -> Value {
    let Value::Object(fields) = value else {
        return value;
    };
    let is_list = !fields.is_empty()
        && fields
            .keys()
            .all(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let inner = fields
        .into_iter()
        .map(|(name, value)| (name, listed(value)));
    if is_list {
        inner.map(|(_, value)| value).collect()
    } else {
        Value::Object(inner.collect())
    }
}
