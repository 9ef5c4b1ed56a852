//! A number of an answer as its text, so that no amount of money goes through a float.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The text at a JSON Pointer; of a JSON string what stands between its quotes.
pub(super) fn number_at<'a>(json: &'a str, pointer: &str) -> Option<&'a str> {
    let mut here = json.trim();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        here = if here.starts_with('[') {
            let items: Vec<&RawValue> = crate::json::from_str(here).ok()?;
            items.get(step.parse::<usize>().ok()?)?.get()
        } else {
            let fields: BTreeMap<String, &RawValue> = crate::json::from_str(here).ok()?;
            fields.get(&step)?.get()
        };
    }
    let unquoted = here
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let text = unquoted.unwrap_or(here);
    let is_number = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    (!text.is_empty() && text.bytes().all(is_number)).then_some(text)
}
