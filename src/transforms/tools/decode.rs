//! The calls in a piece of markup, whichever model's way of writing them it is.
//!
//! Arguments in JSON stay the text that they were; arguments in tags become JSON by the tool's schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value, value::RawValue};

use super::super::heal::{self, Outcome};
use crate::chat::Tool;

/// A call as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// The name of a tool of the request, where one is meant.
    pub(super) name: String,
    /// JSON text, or what stood there where it is none.
    pub(super) arguments: String,
    /// It had to be mended.
    pub(super) is_mended: bool,
}

/// How calls are written inside a pair of marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grammar {
    /// JSON, `<function=…>` or a name with `<arg_key>` and `<arg_value>` (Hermes, Qwen, GLM).
    Tagged,
    /// What follows `<function=`.
    Function,
    /// `<invoke name="…">` with `<parameter name="…">` (MiniMax, DeepSeek's DSML).
    Invoke,
    /// JSON objects or lists (Llama, Nemotron, bare).
    Json,
    /// A JSON list, or names followed by `[ARGS]` (Mistral).
    Mistral,
    /// Marks with `▁` (DeepSeek).
    DeepSeek,
    /// A section of calls (Kimi).
    Kimi,
}

/// Reads the calls; nothing where there are none to be read.
pub(super) fn calls(grammar: Grammar, body: &str, tools: &[Tool]) -> Vec<Call> {
    let body = body.trim();
    match grammar {
        Grammar::Tagged if body.starts_with(['{', '[', '`']) => json(body, tools),
        Grammar::Tagged => match body.split_once("<function=") {
            Some((_, rest)) => Vec::from_iter(function(rest, tools)),
            None => arg_keys(body, tools),
        },
        Grammar::Function => Vec::from_iter(function(body, tools)),
        Grammar::Invoke => invoke(body, tools),
        Grammar::Json => json(body, tools),
        Grammar::Mistral if body.starts_with(['[', '{']) => json(body, tools),
        Grammar::Mistral => mistral(body, tools),
        Grammar::DeepSeek => deepseek(body, tools),
        Grammar::Kimi => kimi(body, tools),
    }
}

/// A call with arguments in JSON.
fn with_json(name: &str, arguments: &str, is_mended: bool, tools: &[Tool]) -> Option<Call> {
    let name = known(name, tools);
    if name.is_empty() {
        return None;
    }
    let (arguments, was_mended) = object(arguments);
    Some(Call {
        name,
        arguments,
        is_mended: is_mended || was_mended,
    })
}

/// A call with arguments one by one.
fn with_fields(name: &str, fields: Vec<(&str, &str)>, tools: &[Tool]) -> Option<Call> {
    let name = known(name, tools);
    if name.is_empty() {
        return None;
    }
    let tool = tools.iter().find(|tool| tool.name == name);
    let schema = tool.and_then(|tool| tool.parameters.as_ref());
    let typed = fields.into_iter().map(|(key, text)| {
        let schema = schema.and_then(|schema| schema.get("properties")?.get(key));
        (key.to_owned(), typed(text, schema))
    });
    let arguments: Map<String, Value> = typed.collect();
    Some(Call {
        name,
        arguments: Value::Object(arguments).to_string(),
        is_mended: false,
    })
}

/// The tool that a name means: as written, without what some models put around it, or in other spelling.
fn known(name: &str, tools: &[Tool]) -> String {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '.', ' '], "_");
    let name = name.trim().trim_matches(['"', '\'', '`']);
    let is_known = |name: &str| tools.iter().any(|tool| tool.name == name);
    if is_known(name) {
        return name.to_owned();
    }
    let inner = name.strip_prefix("functions.").unwrap_or(name);
    let inner = match inner.rsplit_once(':') {
        Some((inner, place)) if place.bytes().all(|b| b.is_ascii_digit()) => inner,
        _ => inner,
    };
    let same = |tool: &&Tool| plain(&tool.name) == plain(inner);
    let found = tools.iter().find(same).map(|tool| tool.name.clone());
    found.unwrap_or_else(|| inner.to_owned())
}

/// Arguments as JSON text; nothing at all is an empty object (P55).
fn object(text: &str) -> (String, bool) {
    let text = text.trim();
    if text.is_empty() || text == "null" {
        return ("{}".to_owned(), false);
    }
    if text.starts_with('"')
        && let Ok(inner) = crate::json::from_str::<String>(text)
        && (inner.trim().is_empty() || inner.trim().starts_with('{'))
    {
        return object(&inner);
    }
    match heal::heal_value(text) {
        Outcome::Healed(healed) => (healed.json, true),
        Outcome::Valid | Outcome::Hopeless => (text.to_owned(), false),
    }
}

/// The value that a text between tags means.
fn typed(text: &str, schema: Option<&Value>) -> Value {
    // One line break on either side belongs to the tags.
    let text = text.strip_prefix('\n').unwrap_or(text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let of_type = schema.and_then(|schema| schema.get("type"));
    let is_text = match of_type {
        Some(Value::String(name)) => name == "string",
        Some(Value::Array(names)) => names.iter().any(|name| name == "string"),
        _ => false,
    };
    if is_text {
        return Value::from(text);
    }
    let parsed = match heal::heal_value(text) {
        Outcome::Valid => crate::json::from_str::<Value>(text.trim()).ok(),
        Outcome::Healed(healed) if of_type.is_some() => crate::json::from_str(&healed.json).ok(),
        _ => match text.trim() {
            "True" if of_type.is_some() => Some(Value::Bool(true)),
            "False" if of_type.is_some() => Some(Value::Bool(false)),
            "None" if of_type.is_some() => Some(Value::Null),
            _ => None,
        },
    };
    match parsed {
        // Without a type, digits may well be text.
        Some(value) if of_type.is_some() || value.is_object() || value.is_array() => value,
        _ => Value::from(text),
    }
}

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// JSON objects, one after the other or in a list.
fn json(text: &str, tools: &[Tool]) -> Vec<Call> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(value) = next_value(&mut rest) {
        collect(value.get(), false, tools, &mut found);
    }
    if !found.is_empty() && rest.trim().trim_matches('`').trim().is_empty() {
        return found;
    }
    if let Outcome::Healed(healed) = heal::heal_value(text) {
        let mut mended = Vec::new();
        collect(&healed.json, true, tools, &mut mended);
        if mended.len() > found.len() {
            return mended;
        }
    }
    found
}

/// The next JSON value of a text, behind separators.
fn next_value<'a>(rest: &mut &'a str) -> Option<&'a RawValue> {
    let text = rest.trim_start_matches([' ', '\n', '\t', '\r', ';', ',']);
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?;
    *rest = text.get(values.byte_offset()..).unwrap_or_default();
    Some(value)
}

fn collect(json: &str, is_mended: bool, tools: &[Tool], found: &mut Vec<Call>) {
    if let Ok(list) = crate::json::from_str::<Vec<&RawValue>>(json) {
        for one in list {
            collect(one.get(), is_mended, tools, found);
        }
        return;
    }
    let Ok(fields) = crate::json::from_str::<Fields<'_>>(json) else {
        return;
    };
    let inner = fields
        .get("function")
        .and_then(|inner| crate::json::from_str::<Fields<'_>>(inner.get()).ok());
    let fields = inner.unwrap_or(fields);
    let name = ["name", "tool", "tool_name", "function"]
        .into_iter()
        .find_map(|key| crate::json::from_str::<String>(fields.get(key)?.get()).ok());
    let arguments = ["arguments", "parameters", "args", "input"]
        .into_iter()
        .find_map(|key| fields.get(key));
    if let Some(name) = name {
        let arguments = arguments.map_or("", |arguments| arguments.get());
        found.extend(with_json(&name, arguments, is_mended, tools));
    }
}

/// `name>` and then `<parameter=key>value</parameter>` again and again, or JSON.
fn function(text: &str, tools: &[Tool]) -> Option<Call> {
    let (name, body) = text.split_once('>')?;
    let body = body.split("</function>").next().unwrap_or_default();
    if !body.contains("<parameter=") {
        return with_json(name, body, false, tools);
    }
    let mut fields = Vec::new();
    for field in body.split("<parameter=").skip(1) {
        let (key, value) = field.split_once('>')?;
        fields.push((key.trim(), until(value, "</parameter>")));
    }
    with_fields(name, fields, tools)
}

/// `<invoke name="…"><parameter name="…">value</parameter></invoke>` again and again.
fn invoke(text: &str, tools: &[Tool]) -> Vec<Call> {
    let plain = text.replace("｜DSML｜", "");
    let one = |call: &str| {
        let (name, body) = named(call)?;
        let fields = body.split("<parameter name=").skip(1);
        let fields = fields.filter_map(named);
        let fields = fields.map(|(key, value)| (key, until(value, "</parameter>")));
        with_fields(name, fields.collect(), tools)
    };
    plain
        .split("<invoke name=")
        .skip(1)
        .filter_map(one)
        .collect()
}

/// The name in quotes that begins a tag, and what follows the tag.
fn named(text: &str) -> Option<(&str, &str)> {
    let (tag, body) = text.split_once('>')?;
    let tag = tag.trim_start_matches(['"', '\'']);
    let name = tag.split(['"', '\'']).next().unwrap_or(tag);
    Some((name, body))
}

/// What stands before the last closing tag, so that the same tag may stand inside.
fn until<'a>(text: &'a str, close: &str) -> &'a str {
    text.rsplit_once(close).map_or(text, |(inside, _)| inside)
}

/// A name, then `<arg_key>` and `<arg_value>` in pairs.
fn arg_keys(text: &str, tools: &[Tool]) -> Vec<Call> {
    let name = text.split('<').next().unwrap_or_default();
    let name = name.lines().next().unwrap_or_default();
    if name.contains(char::is_whitespace) {
        return Vec::new();
    }
    let field = |field: &'_ str| -> Option<(String, String)> {
        let (key, rest) = field.split_once("</arg_key>")?;
        let (_, value) = rest.split_once("<arg_value>")?;
        let value = until(value, "</arg_value>");
        Some((key.trim().to_owned(), value.to_owned()))
    };
    let fields: Vec<_> = text.split("<arg_key>").skip(1).filter_map(field).collect();
    let fields = fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    Vec::from_iter(with_fields(name, fields.collect(), tools))
}

/// `name[ARGS]{…}`, perhaps with `[CALL_ID]…` between, again and again.
fn mistral(text: &str, tools: &[Tool]) -> Vec<Call> {
    let one = |call: &str| {
        let at = call.find(['[', '{'])?;
        let (name, rest) = call.split_at_checked(at)?;
        let rest = rest.split_once("[ARGS]").map_or(rest, |(_, rest)| rest);
        with_json(name, rest, false, tools)
    };
    text.split("[TOOL_CALLS]").filter_map(one).collect()
}

/// `function<｜tool▁sep｜>name` with JSON in a fence, or `name<｜tool▁sep｜>` with JSON.
fn deepseek(text: &str, tools: &[Tool]) -> Vec<Call> {
    let one = |call: &str| {
        let call = call.split("<｜tool▁call▁end｜>").next().unwrap_or_default();
        let (first, rest) = call.split_once("<｜tool▁sep｜>")?;
        if first.trim() != "function" || rest.trim_start().starts_with('{') {
            return with_json(first, rest, false, tools);
        }
        let (name, rest) = rest.trim_start().split_once('\n')?;
        let rest = rest.trim().trim_matches('`');
        with_json(
            name,
            rest.strip_prefix("json").unwrap_or(rest),
            false,
            tools,
        )
    };
    let calls = text.split("<｜tool▁call▁begin｜>");
    calls.filter_map(one).collect()
}

/// `functions.name:0<|tool_call_argument_begin|>{…}<|tool_call_end|>` again and again.
fn kimi(text: &str, tools: &[Tool]) -> Vec<Call> {
    let one = |call: &str| {
        let call = call.split("<|tool_call_end|>").next().unwrap_or_default();
        let (name, rest) = call.split_once("<|tool_call_argument_begin|>")?;
        with_json(name, rest, false, tools)
    };
    text.split("<|tool_call_begin|>").filter_map(one).collect()
}
