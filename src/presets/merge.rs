//! A preset under a request: which one the request names, and the body that both make.
//!
//! The merge is shallow and the request wins; of `tools` both lists stay, the preset's first, and a function that both have is the
//! request's. What the request says stays the bytes it was.

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{Preset, is_slug};
use crate::{
    dialects::splice::{Fields, ObjectWriter, put, put_array},
    error::{Error, Result},
};

/// Fields that belong to one request and to no preset.
const OF_ONE_REQUEST: [&str; 12] = [
    "messages",
    "input",
    "prompt",
    "stream",
    "stream_options",
    "preset",
    "system_prompt",
    "user",
    "session_id",
    "metadata",
    "trace",
    "debug",
];

/// A preset that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its slug.
    pub slug: String,
    /// The field that names it.
    pub param: &'static str,
    /// The model beside it in the same name (`model@preset/slug`).
    pub model: Option<String>,
}

/// The preset that a body names, if it does.
///
/// # Errors
/// 400 where it names two, or one that cannot be.
pub fn reference(raw: &[u8]) -> Result<Option<Reference>> {
    let Ok(fields) = Fields::parse(raw) else {
        return Ok(None);
    };
    let text = |key: &str| {
        fields
            .get(key)
            .and_then(|json| serde_json::from_str::<String>(json).ok())
    };
    let model = text("model");
    let in_model = model
        .as_deref()
        .and_then(|name| name.split_once("@preset/"));
    let in_field = text("preset");
    let (slug, param, model) = match (in_model, in_field) {
        (Some((_, one)), Some(other)) if one != other => {
            let message = format!("model names the preset {one}, preset names {other}: send one");
            return Err(Error::invalid("preset", message));
        }
        (Some((model, slug)), _) => (
            slug.to_owned(),
            "model",
            Some(model.trim()).filter(|m| !m.is_empty()),
        ),
        (None, Some(slug)) => (slug, "preset", model.as_deref()),
        (None, None) => return Ok(None),
    };
    if !is_slug(&slug) {
        return Err(Error::invalid(
            param,
            "expected a preset's slug: letters, digits, - and _",
        ));
    }
    let model = model.map(str::to_owned);
    Ok(Some(Reference { slug, param, model }))
}

/// What of an inference body a preset keeps.
pub fn config_of(body: Map<String, Value>) -> Map<String, Value> {
    let keeps = |(key, value): &(String, Value)| {
        !value.is_null() && !OF_ONE_REQUEST.contains(&key.as_str())
    };
    body.into_iter().filter(keeps).collect()
}

/// The body with the preset under it.
///
/// # Errors
/// When the body is no JSON object.
pub fn apply(raw: &[u8], reference: &Reference, preset: &Preset) -> Result<Vec<u8>> {
    let fields = Fields::parse(raw).map_err(|error| Error::invalid("body", error.to_string()))?;
    let mut body = Vec::with_capacity(raw.len() + 512);
    let mut object = ObjectWriter::new(&mut body);
    if let Some(model) = &reference.model {
        object.field("model", model);
    }
    for (key, value) in &fields.0 {
        let has_default = preset.config.contains_key(key.as_ref());
        match key.as_ref() {
            "model" | "preset" => {}
            // `null` is how clients say nothing.
            _ if has_default && value.get() == "null" => {}
            "tools" if has_default => put_tools(object.key("tools"), value, preset),
            "messages" => put_messages(object.key("messages"), value, preset),
            "prompt" if preset.system_prompt.is_some() && value.get() != "null" => {
                put_prompt(object.key("messages"), value, preset);
            }
            key => object.raw(key, value.get()),
        }
    }
    for (key, value) in &preset.config {
        let is_sent = match key.as_str() {
            "model" => reference.model.is_some(),
            key => fields.get(key).is_some(),
        };
        if !is_sent && !OF_ONE_REQUEST.contains(&key.as_str()) {
            object.raw(key, &value.to_string());
        }
    }
    object.end();
    Ok(body)
}

/// The preset's tools, each unless the request has its own of the same name, then the request's.
fn put_tools(out: &mut Vec<u8>, sent: &RawValue, preset: &Preset) {
    let Ok(sent_tools) = serde_json::from_str::<Vec<&RawValue>>(sent.get()) else {
        // Not a list: said by whoever reads the body next.
        return out.extend_from_slice(sent.get().as_bytes());
    };
    let named: Vec<String> = sent_tools.iter().map(|tool| identity(tool.get())).collect();
    let own = preset.config.get("tools").and_then(Value::as_array);
    let own: Vec<String> = own.into_iter().flatten().map(Value::to_string).collect();
    let own_names: Vec<String> = own.iter().map(|tool| identity(tool)).collect();
    let mut tools: Vec<&str> = Vec::new();
    for (tool, name) in own.iter().zip(&own_names) {
        let over = named.iter().position(|sent| sent == name);
        let over = over
            .and_then(|at| sent_tools.get(at))
            .map(|tool| tool.get());
        tools.push(over.unwrap_or(tool));
    }
    for (tool, name) in sent_tools.iter().zip(&named) {
        if !own_names.contains(name) {
            tools.push(tool.get());
        }
    }
    put_array(out, tools, |out, tool| {
        out.extend_from_slice(tool.as_bytes())
    });
}

/// What makes two tools the same: a function's name; elsewhere the type, with the name where there is one.
fn identity(tool: &str) -> String {
    #[derive(Deserialize)]
    struct Named {
        name: Option<String>,
    }
    #[derive(Deserialize)]
    struct Tool {
        r#type: Option<String>,
        name: Option<String>,
        function: Option<Named>,
    }
    let Ok(tool) = serde_json::from_str::<Tool>(tool) else {
        return tool.to_owned();
    };
    let name = tool
        .function
        .and_then(|function| function.name)
        .or(tool.name);
    let kind = tool.r#type.unwrap_or_default();
    format!("{kind}/{}", name.unwrap_or_default())
}

/// The request's messages, behind the preset's instructions where they bring none.
fn put_messages(out: &mut Vec<u8>, sent: &RawValue, preset: &Preset) {
    #[derive(Deserialize)]
    struct Role {
        role: Option<String>,
    }
    let instructs =
        |message: &Role| matches!(message.role.as_deref(), Some("system" | "developer"));
    let messages = serde_json::from_str::<Vec<&RawValue>>(sent.get());
    let roles = serde_json::from_str::<Vec<Role>>(sent.get());
    match (&preset.system_prompt, messages, roles) {
        (Some(prompt), Ok(messages), Ok(roles)) if !roles.iter().any(instructs) => {
            let mut rest = messages.iter().map(|message| message.get());
            out.push(b'[');
            put_message(out, "system", |out| put(out, prompt));
            rest.by_ref().for_each(|message| {
                out.push(b',');
                out.extend_from_slice(message.as_bytes());
            });
            out.push(b']');
        }
        _ => out.extend_from_slice(sent.get().as_bytes()),
    }
}

fn put_prompt(out: &mut Vec<u8>, sent: &RawValue, preset: &Preset) {
    out.push(b'[');
    put_message(out, "system", |out| put(out, &preset.system_prompt));
    out.push(b',');
    put_message(out, "user", |out| {
        out.extend_from_slice(sent.get().as_bytes())
    });
    out.push(b']');
}

fn put_message(out: &mut Vec<u8>, role: &str, content: impl FnOnce(&mut Vec<u8>)) {
    let mut message = ObjectWriter::new(out);
    message.field("role", role);
    content(message.key("content"));
    message.end();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn preset(config: Value, system_prompt: Option<&str>) -> Preset {
        Preset {
            id: "p".into(),
            slug: "mail".into(),
            name: "Mail".into(),
            description: None,
            disabled: false,
            version: 1,
            config: config.as_object().unwrap().clone(),
            system_prompt: system_prompt.map(str::to_owned),
            created_at: 0,
            updated_at: 0,
        }
    }

    fn merged(body: Value, preset: &Preset) -> Value {
        let raw = body.to_string().into_bytes();
        let reference = reference(&raw).unwrap().unwrap();
        serde_json::from_slice(&apply(&raw, &reference, preset).unwrap()).unwrap()
    }

    #[test]
    fn a_preset_is_named_in_three_ways() {
        let read = |body: Value| reference(body.to_string().as_bytes()).unwrap();
        let model = |body: Value| read(body).map(|found| (found.slug, found.param, found.model));
        let own = |slug: &str, param, model: Option<&str>| {
            Some((slug.to_owned(), param, model.map(str::to_owned)))
        };
        assert_eq!(
            model(json!({"model": "@preset/mail"})),
            own("mail", "model", None)
        );
        assert_eq!(
            model(json!({"model": "a/b:nitro@preset/mail"})),
            own("mail", "model", Some("a/b:nitro"))
        );
        assert_eq!(
            model(json!({"model": "a/b", "preset": "mail"})),
            own("mail", "preset", Some("a/b"))
        );
        assert_eq!(
            model(json!({"preset": "mail"})),
            own("mail", "preset", None)
        );
        assert_eq!(model(json!({"model": "a/b", "preset": null})), None);
        let wrong = |body: Value| reference(body.to_string().as_bytes()).unwrap_err().param;
        assert_eq!(
            wrong(json!({"model": "@preset/a", "preset": "b"})).as_deref(),
            Some("preset")
        );
        assert_eq!(
            wrong(json!({"model": "@preset/a:b"})).as_deref(),
            Some("model")
        );
    }

    #[test]
    fn the_request_wins_field_by_field() {
        let preset = preset(
            json!({"model": "a/b", "temperature": 0, "provider": {"sort": "price", "zdr": true}, "top_k": 5, "stop": ["x"]}),
            None,
        );
        let body = json!({"model": "@preset/mail", "temperature": 1, "provider": {"zdr": false}, "stop": null, "messages": []});
        let expected = json!({
            "model": "a/b", "temperature": 1, "provider": {"zdr": false}, "top_k": 5, "stop": ["x"], "messages": [],
        });
        assert_eq!(merged(body, &preset), expected);
        let other = merged(json!({"model": "c/d@preset/mail", "messages": []}), &preset);
        assert_eq!(other["model"], "c/d");
    }

    #[test]
    fn tools_are_united_by_name() {
        let tool = |name: &str, by: &str| json!({"type": "function", "function": {"name": name, "description": by}});
        let preset = preset(
            json!({"tools": [tool("a", "preset"), tool("b", "preset")]}),
            None,
        );
        let sent = json!({"preset": "mail", "tools": [tool("c", "sent"), tool("b", "sent")]});
        let expected = json!([tool("a", "preset"), tool("b", "sent"), tool("c", "sent")]);
        assert_eq!(merged(sent, &preset)["tools"], expected);
        let none = merged(json!({"preset": "mail"}), &preset);
        assert_eq!(none["tools"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn instructions_are_for_requests_without_any() {
        let preset = preset(json!({}), Some("Be brief."));
        let system = json!({"role": "system", "content": "Be brief."});
        let user = json!({"role": "user", "content": "hi"});
        let sent = |messages: Value| {
            merged(json!({"preset": "mail", "messages": messages}), &preset)["messages"].clone()
        };
        assert_eq!(sent(json!([user])), json!([system, user]));
        let own = json!([{"role": "developer", "content": "Be long."}, user]);
        assert_eq!(sent(own.clone()), own);
        let prompt = merged(json!({"preset": "mail", "prompt": "hi"}), &preset);
        assert_eq!(prompt, json!({"messages": [system, user]}));
    }

    #[test]
    fn a_preset_keeps_no_conversation() {
        let body = json!({"model": "a/b", "messages": [1], "stream": true, "top_p": null, "seed": 1, "user": "u"});
        let kept = config_of(body.as_object().unwrap().clone());
        assert_eq!(Value::Object(kept), json!({"model": "a/b", "seed": 1}));
    }
}
