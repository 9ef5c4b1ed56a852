//! What an answer repeats of its request.

use serde_json::{Value, value::RawValue};

use crate::dialects::{
    openai_responses::namespace,
    splice::{Fields, ObjectWriter},
};

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
    /// Tools whose calls have a shape of their own.
    special: Vec<Special>,
}

/// A tool of the client's that other formats do not have as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Special {
    canonical: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    /// Its input is plain text.
    pub(super) is_custom: bool,
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
            special: body.get("tools").map(special).unwrap_or_default(),
        }
    }

    /// The tool that this canonical name stands for, where its calls are not simply those of a function.
    pub(super) fn special(&self, name: &str) -> Option<&Special> {
        self.special.iter().find(|tool| tool.canonical == name)
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

fn special(tools: &str) -> Vec<Special> {
    if !tools.contains("\"custom\"") && !tools.contains("\"namespace\"") {
        return Vec::new();
    }
    let tools: Vec<&RawValue> = crate::json::from_str(tools).unwrap_or_default();
    let mut found = Vec::new();
    for tool in tools {
        let Ok(tool) = crate::json::from_str::<Value>(tool.get()) else {
            continue;
        };
        if text(&tool, "type") != Some("namespace") {
            found.extend(one(&tool, None).filter(|tool| tool.is_custom));
            continue;
        }
        let inner = tool.get("tools").and_then(Value::as_array);
        let inner = inner.into_iter().flatten();
        found.extend(inner.filter_map(|inner| one(inner, text(&tool, "name"))));
    }
    found
}

fn one(tool: &Value, namespace: Option<&str>) -> Option<Special> {
    let name = text(tool, "name")?;
    Some(Special {
        canonical: namespace::joined(namespace, name),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        is_custom: text(tool, "type") == Some("custom"),
    })
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}
