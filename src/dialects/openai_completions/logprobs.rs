//! Log probabilities of chat in the form of completions.

use serde_json::{Map, Value, json};

/// The probabilities of a piece of text that begins after `offset` characters; moves `offset` to its end.
pub(super) fn old_form(chat: &Value, offset: &mut usize) -> Value {
    let content = chat.get("content").and_then(Value::as_array);
    let mut tokens = Vec::new();
    let mut token_logprobs = Vec::new();
    let mut top_logprobs = Vec::new();
    let mut text_offset = Vec::new();
    for each in content.into_iter().flatten() {
        let token = each.get("token").cloned().unwrap_or_default();
        text_offset.push(Value::from(*offset));
        *offset += token.as_str().map_or(0, |text| text.chars().count());
        tokens.push(token);
        token_logprobs.push(each.get("logprob").cloned().unwrap_or_default());
        let top = each.get("top_logprobs").and_then(Value::as_array);
        let top: Map<String, Value> = top
            .into_iter()
            .flatten()
            .filter_map(|each| {
                let token = each.get("token")?.as_str()?.to_owned();
                Some((token, each.get("logprob")?.clone()))
            })
            .collect();
        top_logprobs.push(if top.is_empty() {
            Value::Null
        } else {
            Value::Object(top)
        });
    }
    json!({
        "tokens": tokens, "token_logprobs": token_logprobs, "top_logprobs": top_logprobs, "text_offset": text_offset,
    })
}
