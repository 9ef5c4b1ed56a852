//! A preset's configuration in the words of each surface.
//!
//! It is kept in the words of chat completions. For a request of another surface it is said in that one's, so that both can be merged
//! field by field; what a surface has no word for is added to the request once it is read ([`complete`]), and the little that means
//! nothing there is named ([`meaningless`]).

use serde_json::{Map, Value, json};

use crate::{
    chat::{ChatRequest, Message, Role},
    dialects::Surface,
    error::{Error, Result},
};

/// An object of JSON.
type Object = Map<String, Value>;

/// Words of chat completions that the messages format does not have.
const NOT_OF_MESSAGES: [&str; 18] = [
    "seed",
    "min_p",
    "top_a",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "n",
    "prediction",
    "modalities",
    "audio",
    "web_search_options",
    "response_format",
    "verbosity",
    "prompt_cache_key",
    "include_reasoning",
];
/// Words of chat completions that Responses do not have.
const NOT_OF_RESPONSES: [&str; 10] = [
    "seed",
    "min_p",
    "top_a",
    "repetition_penalty",
    "logit_bias",
    "logprobs",
    "n",
    "prediction",
    "web_search_options",
    "include_reasoning",
];

/// What of a configuration means nothing to the clients of a surface, whoever serves them.
pub fn meaningless(surface: Surface, config: &Object) -> Vec<&'static str> {
    let words: &[&'static str] = match surface {
        Surface::ChatCompletions => &[],
        Surface::Messages => &["n", "audio", "logprobs", "top_logprobs"],
        Surface::Responses => &["n", "audio"],
        Surface::Completions => &[
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "modalities",
            "audio",
        ],
    };
    let is_set = |word: &&&str| config.contains_key(**word);
    words.iter().filter(is_set).copied().collect()
}

/// The configuration as a body of this surface says it.
pub fn spoken(surface: Surface, config: &Object) -> Object {
    match surface {
        Surface::ChatCompletions | Surface::Completions => config.clone(),
        Surface::Messages => to_messages(config.clone()),
        Surface::Responses => to_responses(config.clone()),
    }
}

/// The configuration in a body of this surface, and its instructions.
///
/// # Errors
/// 400 with the path of what no preset can keep.
pub fn heard(surface: Surface, mut body: Object) -> Result<(Object, Option<String>)> {
    match surface {
        Surface::ChatCompletions | Surface::Completions => {
            let prompt = take(&mut body, "system_prompt");
            let prompt = prompt.and_then(|value| value.as_str().map(str::to_owned));
            Ok((body, prompt))
        }
        Surface::Messages => from_messages(body),
        Surface::Responses => from_responses(body),
    }
}

/// Adds to a request what its surface has no words for: `preset` is the configuration as chat completions read it.
pub fn complete(
    surface: Surface,
    chat: &mut ChatRequest,
    preset: ChatRequest,
    instructions: Option<&str>,
) {
    match surface {
        Surface::ChatCompletions => return,
        Surface::Completions => {
            if let Some(text) = instructions {
                chat.messages.insert(0, Message::text(Role::System, text));
            }
            return;
        }
        Surface::Messages | Surface::Responses => {}
    }
    let (own, other) = (&mut chat.sampling, preset.sampling);
    fill(&mut own.min_p, other.min_p);
    fill(&mut own.top_a, other.top_a);
    fill(&mut own.frequency_penalty, other.frequency_penalty);
    fill(&mut own.presence_penalty, other.presence_penalty);
    fill(&mut own.repetition_penalty, other.repetition_penalty);
    fill(&mut own.seed, other.seed);
    fill(&mut chat.logit_bias, preset.logit_bias);
    fill(&mut chat.prediction, preset.prediction);
    fill(&mut chat.web_search_options, preset.web_search_options);
    fill(&mut chat.response_format, preset.response_format);
    fill(&mut chat.verbosity, preset.verbosity);
    fill(&mut chat.prompt_cache_key, preset.prompt_cache_key);
    fill(&mut chat.reasoning, preset.reasoning);
    fill(&mut chat.parallel_tool_calls, preset.parallel_tool_calls);
    if surface == Surface::Responses {
        fill(&mut chat.logprobs, preset.logprobs);
        fill(&mut chat.top_logprobs, preset.top_logprobs);
    }
    if chat.modalities.is_empty() {
        chat.modalities = preset.modalities;
    }
}

fn fill<T>(own: &mut Option<T>, preset: Option<T>) {
    if own.is_none() {
        *own = preset;
    }
}

fn take(object: &mut Object, key: &str) -> Option<Value> {
    object.shift_remove(key).filter(|value| !value.is_null())
}

fn put(object: &mut Object, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value);
    }
}

fn rename(object: &mut Object, from: &str, to: &str) {
    let value = take(object, from);
    put(object, to, value);
}

/// An object of what is there; nothing where nothing is.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Option<Value> {
    let fields = fields.into_iter();
    let fields: Object = fields
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect();
    (!fields.is_empty()).then_some(Value::Object(fields))
}

fn each(tools: Value, change: impl Fn(&mut Object) -> Option<Value>) -> Value {
    let Value::Array(tools) = tools else {
        return tools;
    };
    let changed = tools.into_iter().map(|tool| match tool {
        Value::Object(mut fields) => change(&mut fields).unwrap_or(Value::Object(fields)),
        other => other,
    });
    changed.collect()
}

/// The most tokens to write, under either name.
fn max_tokens(config: &mut Object) -> Option<Value> {
    let (old, new) = (
        take(config, "max_tokens"),
        take(config, "max_completion_tokens"),
    );
    new.or(old)
}

/// What is asked of reasoning, under either name.
fn reasoning(config: &mut Object) -> Option<Object> {
    let effort = take(config, "reasoning_effort");
    match take(config, "reasoning") {
        Some(Value::Object(fields)) => Some(fields),
        _ => effort.map(|effort| Object::from_iter([("effort".to_owned(), effort)])),
    }
}

/// `{type: "function", function: {…}}` → the fields of the function, and those beside it.
fn function(tool: &mut Object) -> Option<(Object, Object)> {
    let Some(Value::Object(_)) = tool.get("function") else {
        return None;
    };
    let Some(Value::Object(function)) = take(tool, "function") else {
        return None;
    };
    tool.shift_remove("type");
    Some((function, std::mem::take(tool)))
}

fn to_messages(mut config: Object) -> Object {
    let max = max_tokens(&mut config);
    put(&mut config, "max_tokens", max);
    let stop = take(&mut config, "stop").map(|stop| match stop {
        Value::String(one) => json!([one]),
        list => list,
    });
    put(&mut config, "stop_sequences", stop);
    let tools = take(&mut config, "tools").map(|tools| {
        each(tools, |tool| {
            let (mut function, beside) = function(tool)?;
            let schema = take(&mut function, "parameters");
            let schema = schema.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
            function.insert("input_schema".to_owned(), schema);
            function.extend(beside);
            Some(Value::Object(function))
        })
    });
    put(&mut config, "tools", tools);
    let parallel = take(&mut config, "parallel_tool_calls");
    let choice = take(&mut config, "tool_choice");
    let choice = tool_choice(choice, parallel.and_then(|parallel| parallel.as_bool()));
    put(&mut config, "tool_choice", choice);
    let (thinking, mut effort) = thinking(reasoning(&mut config));
    put(&mut config, "thinking", thinking);
    effort = effort.or_else(|| config.get("verbosity").cloned());
    let format = config.get("response_format");
    let schema = format.and_then(|format| format.pointer("/json_schema/schema"));
    let format = schema.map(|schema| json!({"type": "json_schema", "schema": schema}));
    put(
        &mut config,
        "output_config",
        object([("effort", effort), ("format", format)]),
    );
    config.retain(|key, _| !NOT_OF_MESSAGES.contains(&key.as_str()));
    config
}

fn tool_choice(choice: Option<Value>, parallel: Option<bool>) -> Option<Value> {
    let named = |choice: &Value| {
        let name = choice.pointer("/function/name").cloned();
        name.map(|name| json!({"type": "tool", "name": name}))
    };
    let mut told = match choice.as_ref() {
        None => None,
        Some(Value::String(word)) => {
            let word = if word == "required" { "any" } else { word };
            Some(json!({"type": word}))
        }
        Some(choice) => named(choice).or_else(|| Some(choice.clone())),
    };
    if parallel == Some(false) {
        let choice = told.get_or_insert_with(|| json!({"type": "auto"}));
        if let Some(fields) = choice.as_object_mut() {
            fields.insert("disable_parallel_tool_use".to_owned(), true.into());
        }
    }
    told
}

/// `thinking`, and the effort that goes with it.
fn thinking(asked: Option<Object>) -> (Option<Value>, Option<Value>) {
    let Some(mut asked) = asked else {
        return (None, None);
    };
    let effort = take(&mut asked, "effort");
    let budget = take(&mut asked, "max_tokens");
    let is_off = asked.get("enabled") == Some(&Value::Bool(false))
        || effort.as_ref().is_some_and(|effort| effort == "none");
    let hidden = asked.get("exclude") == Some(&Value::Bool(true));
    let display = hidden.then(|| Value::from("omitted"));
    if is_off {
        return (Some(json!({"type": "disabled"})), None);
    }
    let kind = if budget.is_some() {
        "enabled"
    } else {
        "adaptive"
    };
    let thinking = object([
        ("type", Some(kind.into())),
        ("budget_tokens", budget),
        ("display", display),
    ]);
    (thinking, effort)
}

fn to_responses(mut config: Object) -> Object {
    let max = max_tokens(&mut config);
    put(&mut config, "max_output_tokens", max);
    let tools = take(&mut config, "tools").map(|tools| {
        each(tools, |tool| {
            let (function, beside) = function(tool)?;
            let mut flat = Object::from_iter([("type".to_owned(), "function".into())]);
            flat.extend(function);
            flat.extend(beside);
            Some(Value::Object(flat))
        })
    });
    put(&mut config, "tools", tools);
    if let Some(choice) = config.get_mut("tool_choice")
        && let Some(name) = choice.pointer("/function/name").cloned()
    {
        *choice = json!({"type": "function", "name": name});
    }
    let asked = reasoning(&mut config).map(Value::Object);
    put(&mut config, "reasoning", asked);
    let format = take(&mut config, "response_format").map(|mut format| {
        if let Some(Value::Object(schema)) = format.get_mut("json_schema").map(Value::take) {
            let mut flat = Object::from_iter([("type".to_owned(), "json_schema".into())]);
            flat.extend(schema);
            format = Value::Object(flat);
        }
        format
    });
    let verbosity = take(&mut config, "verbosity");
    let text = object([("format", format), ("verbosity", verbosity)]);
    put(&mut config, "text", text);
    config.retain(|key, _| !NOT_OF_RESPONSES.contains(&key.as_str()) && key != "audio");
    config
}

fn unkept(path: &str) -> Error {
    Error::invalid(path, "a preset cannot keep this: send it with each request")
}

fn from_messages(mut body: Object) -> Result<(Object, Option<String>)> {
    for key in ["container", "mcp_servers", "context_management", "thread"] {
        if take(&mut body, key).is_some() {
            return Err(unkept(key));
        }
    }
    let prompt = take(&mut body, "system").as_ref().and_then(words);
    rename(&mut body, "stop_sequences", "stop");
    if let Some(Value::Array(fallbacks)) = take(&mut body, "fallbacks") {
        let names = fallbacks.iter().filter_map(|one| one.get("model").cloned());
        body.insert("models".to_owned(), names.collect());
    }
    let tools = take(&mut body, "tools").map(|tools| {
        each(tools, |tool| {
            let schema = take(tool, "input_schema")?;
            tool.shift_remove("type");
            let marks = take(tool, "cache_control");
            tool.insert("parameters".to_owned(), schema);
            let function = Some(Value::Object(std::mem::take(tool)));
            let kind = Some("function".into());
            object([
                ("type", kind),
                ("function", function),
                ("cache_control", marks),
            ])
        })
    });
    put(&mut body, "tools", tools);
    if let Some(Value::Object(mut choice)) = take(&mut body, "tool_choice") {
        if take(&mut choice, "disable_parallel_tool_use") == Some(Value::Bool(true)) {
            body.insert("parallel_tool_calls".to_owned(), false.into());
        }
        let told = match choice.get("type").and_then(Value::as_str) {
            Some("any") => "required".into(),
            Some("tool") => {
                let name = choice.get("name").cloned().unwrap_or_default();
                json!({"type": "function", "function": {"name": name}})
            }
            Some(word) => word.into(),
            None => return Err(Error::invalid("tool_choice.type", "expected a string")),
        };
        body.insert("tool_choice".to_owned(), told);
    }
    let mut config = match take(&mut body, "output_config") {
        Some(Value::Object(config)) => config,
        _ => Object::new(),
    };
    let effort = take(&mut config, "effort");
    let format = take(&mut config, "format").or_else(|| take(&mut body, "output_format"));
    if let Some(key) = config.keys().next() {
        return Err(unkept(&format!("output_config.{key}")));
    }
    if let Some(schema) = format.as_ref().and_then(|format| format.get("schema")) {
        let told = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}});
        body.insert("response_format".to_owned(), told);
    }
    match take(&mut body, "thinking") {
        Some(Value::Object(asked)) => {
            let (reasoning, is_adaptive) = heard_thinking(&asked, effort.clone())?;
            put(&mut body, "reasoning", reasoning);
            put(&mut body, "verbosity", effort.filter(|_| !is_adaptive));
        }
        _ => put(&mut body, "verbosity", effort),
    }
    Ok((body, prompt))
}

fn heard_thinking(asked: &Object, effort: Option<Value>) -> Result<(Option<Value>, bool)> {
    let hidden = asked.get("display").is_some_and(|word| word == "omitted");
    let exclude = hidden.then_some(Value::Bool(true));
    let on = |key, value| {
        object([
            ("enabled", Some(true.into())),
            (key, value),
            ("exclude", exclude),
        ])
    };
    match asked.get("type").and_then(Value::as_str) {
        Some("disabled") => Ok((Some(json!({"enabled": false})), false)),
        Some("enabled") => Ok((on("max_tokens", asked.get("budget_tokens").cloned()), false)),
        Some("adaptive" | "between-tools") => Ok((on("effort", effort), true)),
        _ => {
            let told = "expected \"enabled\", \"disabled\" or \"adaptive\"";
            Err(Error::invalid("thinking.type", told))
        }
    }
}

/// Text, or the text of blocks.
fn words(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(blocks) => {
            let texts = blocks.iter();
            let texts: Vec<&str> = texts
                .filter_map(|block| block.get("text").and_then(Value::as_str))
                .collect();
            Some(texts.join("\n\n"))
        }
        _ => None,
    }
    .filter(|text| !text.is_empty())
}

fn from_responses(mut body: Object) -> Result<(Object, Option<String>)> {
    let prompt = take(&mut body, "instructions").as_ref().and_then(words);
    for key in [
        "include",
        "store",
        "background",
        "previous_response_id",
        "conversation",
        "safety_identifier",
        "truncation",
    ] {
        body.shift_remove(key);
    }
    rename(&mut body, "max_output_tokens", "max_tokens");
    let tools = take(&mut body, "tools").map(|tools| {
        each(tools, |tool| {
            if tool.get("type").is_none_or(|kind| kind != "function") {
                return None;
            }
            tool.shift_remove("type");
            Some(json!({"type": "function", "function": std::mem::take(tool)}))
        })
    });
    put(&mut body, "tools", tools);
    if let Some(choice) = body.get_mut("tool_choice")
        && let Some(name) = choice.get("name").cloned()
    {
        *choice = json!({"type": "function", "function": {"name": name}});
    }
    let Some(Value::Object(mut text)) = take(&mut body, "text") else {
        return Ok((body, prompt));
    };
    put(&mut body, "verbosity", take(&mut text, "verbosity"));
    if let Some(Value::Object(mut format)) = take(&mut text, "format") {
        let kind = take(&mut format, "type").unwrap_or_default();
        let told = match kind.as_str() {
            Some("json_schema") => json!({"type": kind, "json_schema": format}),
            _ => json!({"type": kind}),
        };
        body.insert("response_format".to_owned(), told);
    }
    match text.keys().next() {
        Some(key) => Err(unkept(&format!("text.{key}"))),
        None => Ok((body, prompt)),
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
