//! A preset under a request: which one the request names, and the body that both make.
//!
//! The merge is shallow, in the words of the request's surface (`words`), and the request wins; of `tools` both lists stay, the preset's
//! first, and a function that both have is the request's. What the request says stays the bytes it was.

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{OF_PRESETS, Preset, is_slug, words};
use crate::{
    dialects::{
        Surface,
        splice::{Fields, ObjectWriter, Raw, put, put_array},
    },
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

/// Names of one thing: a request that uses one of them has said all of it.
const ALIASES: [&[&str]; 2] = [
    &["max_tokens", "max_completion_tokens"],
    &["reasoning", "reasoning_effort", "include_reasoning"],
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
            .and_then(|json| crate::json::from_str::<String>(json).ok())
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

/// What of an inference body a preset keeps, in the words of chat completions, and its instructions.
///
/// # Errors
/// 400 with the path of what no preset can keep.
pub fn config_of(
    surface: Surface,
    body: Map<String, Value>,
) -> Result<(Map<String, Value>, Option<String>)> {
    let (body, system_prompt) = words::heard(surface, body)?;
    let keeps = |(key, value): &(String, Value)| {
        !value.is_null() && !OF_ONE_REQUEST.contains(&key.as_str())
    };
    Ok((body.into_iter().filter(keeps).collect(), system_prompt))
}

/// The body with the preset under it, in the words of its surface.
///
/// # Errors
/// When the body is no JSON object.
pub fn apply(
    surface: Surface,
    raw: &[u8],
    reference: &Reference,
    preset: &Preset,
) -> Result<Vec<u8>> {
    let fields = Fields::parse(raw).map_err(|error| Error::invalid("body", error.to_string()))?;
    let config = words::spoken(surface, &preset.config);
    let is_chat = surface == Surface::ChatCompletions;
    let prompt = preset.system_prompt.as_deref();
    let mut body = Vec::with_capacity(raw.len() + 512);
    let mut object = ObjectWriter::new(&mut body);
    if let Some(model) = &reference.model {
        object.field("model", model);
    }
    for (key, value) in &fields.0 {
        let default = config.get(key.as_ref());
        match (key.as_ref(), default) {
            ("model" | "preset", _) => {}
            // `null` is how clients say nothing.
            (_, Some(_)) if value.get() == "null" => {}
            ("tools", Some(tools)) => put_tools(object.key("tools"), *value, tools),
            ("messages", _) if is_chat => put_messages(object.key("messages"), *value, prompt),
            ("prompt", _) if is_chat && prompt.is_some() && value.get() != "null" => {
                put_prompt(object.key("messages"), *value, prompt);
            }
            ("system" | "instructions", _) if is_silent(value.get()) => {}
            (key, _) => object.raw(key, value.get()),
        }
    }
    let instructs = match surface {
        Surface::Messages => ("system", "messages"),
        Surface::Responses => ("instructions", "input"),
        Surface::ChatCompletions | Surface::Completions => ("", ""),
    };
    if let (Some(prompt), (field, conversation)) = (prompt, instructs)
        && !field.is_empty()
        && fields.get(field).is_none_or(is_silent)
        && !fields.get(conversation).is_some_and(instructed)
    {
        object.field(field, prompt);
    }
    let is_sent = |key: &str| {
        let names = ALIASES.into_iter().find(|names| names.contains(&key));
        fields.get(key).is_some()
            || names.is_some_and(|names| names.iter().any(|name| fields.get(name).is_some()))
    };
    for (key, value) in &config {
        let is_said = match key.as_str() {
            "model" => reference.model.is_some(),
            key => is_sent(key),
        };
        let is_ours = OF_PRESETS.contains(&key.as_str());
        if !is_said && !is_ours && !OF_ONE_REQUEST.contains(&key.as_str()) {
            object.raw(key, &value.to_string());
        }
    }
    object.end();
    Ok(body)
}

/// Instructions that say nothing.
fn is_silent(json: &str) -> bool {
    matches!(json, "null" | "\"\"" | "[]")
}

#[derive(Deserialize)]
struct Speaker {
    role: Option<String>,
}

impl Speaker {
    fn instructs(&self) -> bool {
        matches!(self.role.as_deref(), Some("system" | "developer"))
    }
}

/// Whether a conversation has instructions of its own.
fn instructed(conversation: &str) -> bool {
    crate::json::from_str::<Vec<Speaker>>(conversation)
        .is_ok_and(|speakers| speakers.iter().any(Speaker::instructs))
}

/// The preset's tools, each unless the request has its own of the same name, then the request's.
fn put_tools(out: &mut Vec<u8>, sent: Raw<'_>, preset: &Value) {
    let Ok(sent_tools) = crate::json::from_str::<Vec<&RawValue>>(sent.get()) else {
        // Not a list: said by whoever reads the body next.
        return out.extend_from_slice(sent.get().as_bytes());
    };
    let named: Vec<String> = sent_tools.iter().map(|tool| identity(tool.get())).collect();
    let own = preset.as_array();
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
    let Ok(tool) = crate::json::from_str::<Tool>(tool) else {
        return tool.to_owned();
    };
    let name = tool
        .function
        .and_then(|function| function.name)
        .or(tool.name);
    // Anthropic's functions need no type.
    let kind = tool
        .r#type
        .filter(|kind| kind != "custom" && kind != "function");
    let kind = kind.unwrap_or_default();
    format!("{kind}/{}", name.unwrap_or_default())
}

/// The request's messages, behind the preset's instructions where they bring none.
fn put_messages(out: &mut Vec<u8>, sent: Raw<'_>, prompt: Option<&str>) {
    let messages = crate::json::from_str::<Vec<&RawValue>>(sent.get());
    let (Some(prompt), Ok(messages), false) = (prompt, messages, instructed(sent.get())) else {
        return out.extend_from_slice(sent.get().as_bytes());
    };
    out.push(b'[');
    put_message(out, "system", |out| put(out, prompt));
    for message in messages {
        out.push(b',');
        out.extend_from_slice(message.get().as_bytes());
    }
    out.push(b']');
}

fn put_prompt(out: &mut Vec<u8>, sent: Raw<'_>, prompt: Option<&str>) {
    out.push(b'[');
    put_message(out, "system", |out| put(out, &prompt));
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
        merged_on(Surface::ChatCompletions, body, preset)
    }

    fn merged_on(surface: Surface, body: Value, preset: &Preset) -> Value {
        let raw = body.to_string().into_bytes();
        let reference = reference(&raw).unwrap().unwrap();
        serde_json::from_slice(&apply(surface, &raw, &reference, preset).unwrap()).unwrap()
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
    fn another_surface_gets_the_preset_in_its_own_words() {
        let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}});
        let preset = preset(
            json!({"model": "a/b", "max_tokens": 9, "stop": ["x"], "tools": [tool("a"), tool("b")], "cache_enabled": true, "seed": 4}),
            Some("Be brief."),
        );
        let messages = json!([{"role": "user", "content": "hi"}]);
        let own = json!({"name": "b", "description": "sent", "input_schema": {"type": "object"}});
        let sent = json!({"preset": "mail", "messages": messages, "tools": [own]});
        let expected = json!({
            "model": "a/b", "messages": messages, "system": "Be brief.", "max_tokens": 9, "stop_sequences": ["x"],
            "tools": [{"name": "a", "input_schema": {"type": "object"}}, own],
        });
        assert_eq!(merged_on(Surface::Messages, sent, &preset), expected);
        let sent = json!({"preset": "mail", "input": "hi", "max_output_tokens": 5});
        let expected = json!({
            "model": "a/b", "input": "hi", "instructions": "Be brief.", "max_output_tokens": 5, "stop": ["x"],
            "tools": [{"type": "function", "name": "a", "parameters": {"type": "object"}}, {"type": "function", "name": "b", "parameters": {"type": "object"}}],
        });
        assert_eq!(merged_on(Surface::Responses, sent, &preset), expected);
        let text = merged_on(
            Surface::Completions,
            json!({"preset": "mail", "prompt": "hi", "echo": true}),
            &preset,
        );
        assert_eq!(
            (&text["prompt"], &text["echo"], &text["max_tokens"]),
            (&json!("hi"), &json!(true), &json!(9))
        );
    }

    #[test]
    fn instructions_of_the_request_win_on_every_surface() {
        let preset = preset(json!({}), Some("Be brief."));
        let system = json!([{"type": "text", "text": "Be long."}]);
        let sent = merged_on(
            Surface::Messages,
            json!({"preset": "mail", "system": system, "messages": []}),
            &preset,
        );
        assert_eq!(sent["system"], system);
        let sent = merged_on(
            Surface::Messages,
            json!({"preset": "mail", "system": "", "messages": []}),
            &preset,
        );
        assert_eq!(sent["system"], "Be brief.");
        let input = json!([{"role": "developer", "content": "Be long."}]);
        let sent = merged_on(
            Surface::Responses,
            json!({"preset": "mail", "input": input}),
            &preset,
        );
        assert_eq!(sent, json!({"input": input}));
        let sent = merged_on(
            Surface::Responses,
            json!({"preset": "mail", "input": "x", "instructions": null}),
            &preset,
        );
        assert_eq!(sent["instructions"], "Be brief.");
    }

    #[test]
    fn a_limit_under_another_name_is_the_requests_own() {
        let preset = preset(
            json!({"max_completion_tokens": 9, "reasoning": {"effort": "high"}}),
            None,
        );
        let sent = merged(
            json!({"preset": "mail", "max_tokens": 5, "reasoning_effort": "low"}),
            &preset,
        );
        assert_eq!(sent, json!({"max_tokens": 5, "reasoning_effort": "low"}));
    }

    #[test]
    fn a_preset_keeps_no_conversation() {
        let body = json!({"model": "a/b", "messages": [1], "stream": true, "top_p": null, "seed": 1, "user": "u", "system_prompt": "s"});
        let (kept, prompt) =
            config_of(Surface::ChatCompletions, body.as_object().unwrap().clone()).unwrap();
        assert_eq!(Value::Object(kept), json!({"model": "a/b", "seed": 1}));
        assert_eq!(prompt.as_deref(), Some("s"));
    }
}
