//! Queries and forms: values as names and texts, nested ones with brackets.
//!
//! Spec: <https://url.spec.whatwg.org/#application/x-www-form-urlencoded>; brackets as PHP, Rails and Stripe read them.

use serde_json::{Map, Value};

use super::template::plain;
use crate::{identity::people::form::encoded, tools::catalog::Arrays};

/// Fields as a query or form.
pub fn pairs(fields: &Map<String, Value>, arrays: Arrays) -> String {
    let mut found = Vec::new();
    for (name, value) in fields {
        flatten(name, value, arrays, &mut found);
    }
    let texts = found
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    texts.collect::<Vec<_>>().join("&")
}

fn flatten(name: &str, value: &Value, arrays: Arrays, found: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (field, value) in fields {
                flatten(&format!("{name}[{field}]"), value, arrays, found);
            }
        }
        Value::Array(items) if arrays == Arrays::Comma => {
            let texts: Vec<String> = items.iter().map(plain).collect();
            found.push((name.to_owned(), texts.join(",")));
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                let name = match arrays {
                    Arrays::Index => format!("{name}[{place}]"),
                    Arrays::Brackets => format!("{name}[]"),
                    Arrays::Repeat | Arrays::Comma => name.to_owned(),
                };
                flatten(&name, item, arrays, found);
            }
        }
        one => found.push((name.to_owned(), plain(one))),
    }
}

/// An address with more in its query.
pub fn append(url: &mut String, query: &str) {
    if !query.is_empty() {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(query);
    }
}
