//! Digests: what is asked (fingerprint), the key that is sent to a provider, whom an execution reaches, tokens of confirmations.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Call;
use crate::tools::catalog::Operation;

/// SHA-256 in hex of what is asked: tool, input, what is wanted of providers. Neither the order of fields nor white space counts.
pub fn fingerprint(call: &Call) -> String {
    let wish = serde_json::to_value(&call.provider).unwrap_or_default();
    let asked = json!({"tool": call.tool, "input": call.input, "provider": wish});
    let mut text = String::new();
    canonical(&asked, &mut text);
    hex(&Sha256::digest(text.as_bytes()))
}

/// JSON with the fields of every object in the order of their names, without white space.
pub fn canonical(value: &Value, into: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_unstable();
            into.push('{');
            for (at, name) in names.into_iter().enumerate() {
                if at > 0 {
                    into.push(',');
                }
                into.push_str(&Value::from(name.as_str()).to_string());
                into.push(':');
                canonical(fields.get(name).unwrap_or(&Value::Null), into);
            }
            into.push('}');
        }
        Value::Array(items) => {
            into.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    into.push(',');
                }
                canonical(item, into);
            }
            into.push(']');
        }
        plain => into.push_str(&plain.to_string()),
    }
}

/// SHA-256 in hex of a token.
pub fn of_token(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// The key that a provider is sent: the same for every try under one name of one account, and for no other.
pub fn derived(account: &str, name: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in ["patchbay", account, name] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Digests of whom a call reaches, each once. Nobody's address is kept.
pub fn recipients(operation: &Operation, input: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for pointer in &operation.recipients {
        if let Some(value) = input.pointer(pointer) {
            collect(value, &mut found);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(fields) => ["email", "phone", "address", "to", "cc", "bcc"]
            .iter()
            .filter_map(|name| fields.get(*name))
            .for_each(|value| collect(value, into)),
        Value::String(text) => {
            for one in text.split(',') {
                // `Name <address>` and `address` are one.
                let bare = one.rsplit_once('<').map_or(one, |(_, rest)| rest);
                let bare = bare.trim_matches(|c: char| c == '>' || c.is_whitespace());
                if !bare.is_empty() {
                    let digest = Sha256::digest(bare.to_lowercase().as_bytes());
                    into.push(hex(digest.get(..16).unwrap_or_default()));
                }
            }
        }
        Value::Number(number) => {
            let digest = Sha256::digest(number.to_string().as_bytes());
            into.push(hex(digest.get(..16).unwrap_or_default()));
        }
        Value::Null | Value::Bool(_) => {}
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> String {
        fingerprint(&Call {
            tool: "a/b".into(),
            input: serde_json::from_str(text).unwrap(),
            ..Call::default()
        })
    }

    #[test]
    fn the_order_of_fields_and_white_space_do_not_count_and_everything_else_does() {
        let one = asked(r#"{"a":1,"b":{"c":[1,2],"d":"x"}}"#);
        assert_eq!(one, asked(r#"{ "b" : {"d":"x", "c":[ 1, 2 ]}, "a":1 }"#));
        for other in [
            r#"{"a":1,"b":{"c":[2,1],"d":"x"}}"#,
            r#"{"a":"1","b":{"c":[1,2],"d":"x"}}"#,
            r#"{"a":1,"b":{"c":[1,2],"d":"x","e":null}}"#,
        ] {
            assert_ne!(one, asked(other), "{other}");
        }
    }

    #[test]
    fn a_derived_key_is_one_per_account_and_name() {
        let key = derived("acct", "name");
        assert_eq!(key, derived("acct", "name"));
        assert_ne!(key, derived("acctn", "ame"));
        assert_ne!(key, derived("acct", "other"));
    }

    #[test]
    fn a_recipient_is_one_however_it_is_written() {
        let operation = Operation {
            recipients: vec!["/to".into(), "/cc".into(), "/people".into()],
            ..Operation::default()
        };
        let input = json!({
            "to": "Ada <ada@example.org>, bob@example.org",
            "cc": ["ADA@example.org", "eve@example.org"],
            "people": [{"email": "bob@example.org"}, {"phone": "+49123"}],
        });
        assert_eq!(recipients(&operation, &input).len(), 4);
        assert!(recipients(&operation, &json!({})).is_empty());
    }
}
