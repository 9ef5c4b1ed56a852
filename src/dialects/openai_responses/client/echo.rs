//! What an answer repeats of its request.

use serde_json::{Value, value::RawValue};

use crate::dialects::splice::{Fields, ObjectWriter};

/// The repeated fields and what they are where the client did not say.
const REPEATED: [(&str, &str); 18] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("presence_penalty", "0"),
    ("frequency_penalty", "0"),
    ("prompt_cache_key", "null"),
    ("reasoning", "{\"effort\":null,\"summary\":null}"),
    ("safety_identifier", "null"),
    ("temperature", "null"),
    ("text", "{\"format\":{\"type\":\"text\"}}"),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "null"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// The client's own words, as its answers repeat them.
#[derive(Debug, Clone, Default)]
pub(in crate::dialects::openai_responses) struct Echo {
    fields: Vec<(&'static str, String)>,
    /// Names of tools whose input is plain text.
    custom: Vec<String>,
}

impl Echo {
    /// Of a client's body.
    pub(in crate::dialects::openai_responses) fn of(raw: &[u8]) -> Self {
        let body = Fields::parse(raw).unwrap_or_default();
        let fields = REPEATED.map(|(key, usual)| {
            let said = body.get(key).unwrap_or(usual);
            (key, said.to_owned())
        });
        Self {
            fields: fields.into(),
            custom: body.get("tools").map(custom).unwrap_or_default(),
        }
    }

    /// Whether calls of this tool have plain text as their input.
    pub(super) fn is_custom(&self, name: &str) -> bool {
        self.custom.iter().any(|custom| custom == name)
    }

    /// What the client said of a field that is repeated, or what it is otherwise.
    pub(in crate::dialects::openai_responses) fn said(&self, key: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(name, _)| *name == key);
        found.map(|(_, said)| said.as_str())
    }

    /// Appends those of the repeated fields that an answer does not have.
    pub(in crate::dialects::openai_responses) fn put_missing(
        &self,
        object: &mut ObjectWriter<'_>,
        answer: &Fields<'_>,
    ) {
        let has = |key: &str| answer.0.iter().any(|(name, _)| name == key);
        for (key, json) in self.fields.iter().filter(|(key, _)| !has(key)) {
            object.raw(key, json);
        }
    }

    /// Appends the repeated fields.
    pub(super) fn put(&self, object: &mut ObjectWriter<'_>) {
        for (key, json) in &self.fields {
            object.raw(key, json);
        }
        object.raw("background", "false");
        object.raw("previous_response_id", "null");
        object.raw("store", "false");
    }
}

fn custom(tools: &str) -> Vec<String> {
    if !tools.contains("\"custom\"") {
        return Vec::new();
    }
    let tools: Vec<&RawValue> = serde_json::from_str(tools).unwrap_or_default();
    let tools = tools
        .into_iter()
        .filter_map(|tool| serde_json::from_str::<Value>(tool.get()).ok());
    tools
        .filter(|tool| tool.get("type").is_some_and(|kind| kind == "custom"))
        .filter_map(|tool| Some(tool.get("name")?.as_str()?.to_owned()))
        .collect()
}
