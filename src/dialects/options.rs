//! Fields that a client wants in the body of one provider (`provider.options`), put beside the gateway's own.
//!
//! They are merged at the top level; an object that is on both sides keeps the keys of both, the client's own winning. What the
//! gateway answers for stays its own: model, conversation, streaming, and everything that limits or prices the answer.

use serde_json::{Map, Value};

use super::{
    NativeRequest,
    splice::{Fields, ObjectWriter},
};

/// Keys that stay the gateway's, at the top level and in objects that both sides have.
const OWNED: [&str; 23] = [
    "model",
    "messages",
    "system",
    "contents",
    "systemInstruction",
    "system_instruction",
    "prompt",
    "input",
    "stream",
    "stream_options",
    "include_usage",
    "max_tokens",
    "max_completion_tokens",
    "maxOutputTokens",
    "max_output_tokens",
    "maxTokens",
    "n",
    "candidateCount",
    "service_tier",
    "serviceTier",
    "speed",
    "performanceConfig",
    "user",
];

impl NativeRequest {
    /// The same request with these fields in its body.
    #[must_use]
    pub fn with_options(mut self, options: Option<&Map<String, Value>>) -> Self {
        if let Some(options) = options.filter(|options| !options.is_empty())
            && let Some(body) = merged(&self.body, options)
        {
            self.body = body;
        }
        self
    }
}

fn merged(body: &[u8], options: &Map<String, Value>) -> Option<Vec<u8>> {
    let fields = Fields::parse(body).ok()?;
    let wanted = |key: &str| options.get(key).filter(|_| !OWNED.contains(&key));
    let mut out = Vec::with_capacity(body.len() + 256);
    let mut object = ObjectWriter::new(&mut out);
    for (key, value) in &fields.0 {
        match wanted(key) {
            Some(option) => object.field(key, &over(value.get(), option)),
            None => object.raw(key, value.get()),
        }
    }
    for (key, value) in options {
        let is_new = !fields.0.iter().any(|(known, _)| known == key);
        if is_new && wanted(key).is_some() {
            object.raw(key, &value.to_string());
        }
    }
    object.end();
    Some(out)
}

/// The option over what stands there.
fn over(own: &str, option: &Value) -> Value {
    let (Ok(Value::Object(mut own)), Value::Object(option)) =
        (crate::json::from_str::<Value>(own), option)
    else {
        return option.clone();
    };
    for (key, value) in option {
        if !OWNED.contains(&key.as_str()) {
            own.insert(key.clone(), value.clone());
        }
    }
    Value::Object(own)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(own: Value, options: Value) -> Value {
        let request = NativeRequest {
            path: "/x".into(),
            headers: Vec::new(),
            body: own.to_string().into_bytes(),
            dropped: Vec::new(),
        };
        let body = request.with_options(options.as_object()).body;
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn options_join_the_body_and_win_over_what_is_not_the_gateways() {
        let own =
            json!({"model": "m", "temperature": 1, "thinking": {"type": "enabled", "budget": 9}});
        let options = json!({"safe_prompt": true, "temperature": 0, "thinking": {"budget": 5}});
        let expected = json!({
            "model": "m", "temperature": 0, "safe_prompt": true,
            "thinking": {"type": "enabled", "budget": 5},
        });
        assert_eq!(body(own, options), expected);
    }

    #[test]
    fn what_the_gateway_answers_for_cannot_be_overridden() {
        let own = json!({"model": "m", "max_tokens": 5, "generationConfig": {"maxOutputTokens": 5, "topK": 1}});
        let options = json!({
            "model": "dearer", "max_tokens": 9, "service_tier": "priority", "stream": true, "n": 9, "messages": [],
            "generationConfig": {"maxOutputTokens": 99, "candidateCount": 7, "topK": 2, "new": 1},
        });
        let expected = json!({
            "model": "m", "max_tokens": 5,
            "generationConfig": {"maxOutputTokens": 5, "topK": 2, "new": 1},
        });
        assert_eq!(body(own, options), expected);
    }

    #[test]
    fn without_options_the_body_stays_the_bytes_it_was() {
        let request = NativeRequest {
            path: "/x".into(),
            headers: Vec::new(),
            body: b"{ \"model\" : \"m\" }".to_vec(),
            dropped: Vec::new(),
        };
        assert_eq!(request.clone().with_options(None), request);
        assert_eq!(request.clone().with_options(Some(&Map::new())), request);
    }
}
