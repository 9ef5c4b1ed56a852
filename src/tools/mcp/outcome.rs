//! An envelope as the result of a call: what a model reads, and the same for programs.
//!
//! `structuredContent` is the envelope, without the provider's own answer where there is a form of its kind, and without bytes; the
//! first block of `content` is the same as text, for clients that know no more. Bytes are a block of their own.

use serde_json::{Map, Value, json};

/// The result of a call that this envelope came of.
pub fn result(mut envelope: Value) -> Value {
    let Some(fields) = envelope.as_object_mut() else {
        return failure("the execution has no envelope");
    };
    let is_error = fields.contains_key("error");
    let bytes = fields.get_mut("data").and_then(taken_bytes);
    let shown = fields.get("data").map(shown).unwrap_or_default();
    if fields.contains_key("result") {
        fields.remove("data");
    } else if let Some(data) = fields.remove("data") {
        let data = if data.is_object() {
            data
        } else {
            json!({"value": data})
        };
        fields.insert("result".to_owned(), data);
    }
    let mut content = vec![text(&envelope.to_string())];
    let id = envelope
        .get("id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    content.extend(bytes.map(|bytes| bytes.block(id)));
    content.extend(shown);
    let mut result = Map::new();
    result.insert("content".to_owned(), Value::Array(content));
    result.insert("structuredContent".to_owned(), envelope);
    result.insert("isError".to_owned(), is_error.into());
    Value::Object(result)
}

/// The same for a call that wants a yes first, to a client that cannot show a form.
pub fn unconfirmed(envelope: Value) -> Value {
    let mut result = result(envelope);
    let how = "Nothing was done yet: this has to be confirmed. Tell the person what would be done and what it may cost. If they agree, call \
        confirm_tool with the same tool and input and with confirmation.token; or send the same call again with the token as \
        _meta[\"io.patchbay/confirmation\"].";
    if let Some(Value::Array(content)) = result.get_mut("content") {
        content.push(text(how));
    }
    if let Some(fields) = result.as_object_mut() {
        fields.insert("isError".to_owned(), true.into());
    }
    result
}

/// A result that says this, for programs too.
pub fn told(value: Value) -> Value {
    json!({"content": [text(&value.to_string())], "structuredContent": value, "isError": false})
}

/// A result that says what went wrong.
pub fn failure(message: &str) -> Value {
    json!({"content": [text(message)], "isError": true})
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// Images, sounds and files that another MCP server answered: blocks already.
fn shown(data: &Value) -> Vec<Value> {
    let is_shown = |block: &&Value| {
        let has = |at: &[&str]| {
            let texts = at.iter().map(|at| block.pointer(at));
            texts.flatten().filter(|text| text.is_string()).count() == at.len()
        };
        match block.get("type").and_then(Value::as_str) {
            Some("image" | "audio") => has(&["/data", "/mimeType"]),
            Some("resource") => has(&["/resource/uri", "/resource/blob"]),
            _ => false,
        }
    };
    let blocks = data.get("content").and_then(Value::as_array);
    let blocks = blocks.into_iter().flatten().filter(is_shown);
    blocks.cloned().collect()
}

/// Bytes that an execution answered.
struct Bytes {
    mime: String,
    base64: String,
}

/// Takes the bytes out of `{mime_type, bytes, base64}`.
fn taken_bytes(data: &mut Value) -> Option<Bytes> {
    let fields = data.as_object_mut()?;
    let mime = fields.get("mime_type")?.as_str()?.to_owned();
    fields.get("bytes")?.as_u64()?;
    let base64 = fields.get("base64")?.as_str()?.to_owned();
    fields.remove("base64");
    Some(Bytes { mime, base64 })
}

impl Bytes {
    fn block(self, execution: &str) -> Value {
        let Self { mime, base64 } = self;
        let kind = match mime.split('/').next() {
            Some("image") => "image",
            Some("audio") => "audio",
            _ => {
                let uri = format!("patchbay://executions/{execution}");
                return json!({"type": "resource", "resource": {"uri": uri, "mimeType": mime, "blob": base64}});
            }
        };
        json!({"type": kind, "data": base64, "mimeType": mime})
    }
}
