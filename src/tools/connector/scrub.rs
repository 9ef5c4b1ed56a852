//! Keys out of what providers tell: some repeat in an error what they were sent.

use serde_json::Value;

/// What stands where a secret stood.
const MARK: &str = "[secret]";

/// Takes secrets out of a text.
pub(super) fn scrub_text(text: &mut String, secrets: &[String]) {
    for secret in secrets {
        if text.contains(secret.as_str()) {
            *text = text.replace(secret.as_str(), MARK);
        }
    }
}

/// Takes secrets out of all texts of a value, names of fields too.
pub fn scrub(value: &mut Value, secrets: &[String]) {
    if secrets.is_empty() {
        return;
    }
    match value {
        Value::String(text) => scrub_text(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| scrub(item, secrets)),
        Value::Object(fields) => {
            fields.values_mut().for_each(|value| scrub(value, secrets));
            let is_told =
                |name: &String| secrets.iter().any(|secret| name.contains(secret.as_str()));
            if fields.keys().any(is_told) {
                let old = std::mem::take(fields);
                fields.extend(old.into_iter().map(|(mut name, value)| {
                    scrub_text(&mut name, secrets);
                    (name, value)
                }));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
