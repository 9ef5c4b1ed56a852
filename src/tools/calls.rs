//! Calls of functions as models write them, and their results in the same form: chat completions, Responses, Messages.
//!
//! What a model writes may be wrong: arguments that are no JSON, or no object, are kept as the words in which the model is told
//! so. Out of scope: running them.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// The most calls that are run at once; the others are told so.
pub const MOST: usize = 64;

/// Which API the calls come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An assistant's message with `tool_calls`.
    Chat,
    /// Output items of the type `function_call`.
    Responses,
    /// Content blocks of the type `tool_use`.
    Messages,
}

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The id that its result bears.
    pub id: String,
    /// The function.
    pub name: String,
    /// Its arguments; else what is wrong with them.
    pub input: std::result::Result<Value, String>,
}

/// What a model wants to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// How it was written.
    pub form: Form,
    /// The calls in order.
    pub calls: Vec<Call>,
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The call's id.
    pub id: String,
    /// The function.
    pub name: String,
    /// What the model is told.
    pub told: String,
    /// It is no success.
    pub is_error: bool,
}

/// Where answers have lists; whichever is read, each has to be what the API's document says.
const LISTS: [&str; 7] = [
    "choices",
    "tool_calls",
    "messages",
    "output",
    "input",
    "items",
    "content",
];

impl Batch {
    /// Reads a whole answer of an API, its assistant message or items alone, or a conversation that ends with them.
    ///
    /// # Errors
    /// 400 where there is no such message, or a call has no id or name.
    pub fn read(body: &Map<String, Value>) -> Result<Self> {
        let list = |name: &str| body.get(name).and_then(Value::as_array);
        for name in LISTS {
            // A message that stands by itself may have a text, or none, beside its calls.
            let is_text =
                |value: &Value| name == "content" && (value.is_string() || value.is_null());
            if body
                .get(name)
                .is_some_and(|value| !value.is_array() && !is_text(value))
            {
                return Err(Error::invalid(name, "expected a list"));
            }
            let items = list(name).into_iter().flatten();
            if let Some(at) = items.map(Value::is_object).position(|is_one| !is_one) {
                return Err(Error::invalid(
                    format!("{name}[{at}]"),
                    "expected an object",
                ));
            }
        }
        let choice = list("choices").and_then(|choices| choices.first()?.get("message"));
        if let Some(message) = body.get("message").or(choice) {
            return Self::of_message(
                message,
                if body.contains_key("message") {
                    "message"
                } else {
                    "choices[0].message"
                },
            );
        }
        if let Some(calls) = list("tool_calls") {
            return chat(calls, "tool_calls");
        }
        if let Some(messages) = list("messages") {
            let (at, message) = last_of_assistant(messages)?;
            return Self::of_message(message, &format!("messages[{at}]"));
        }
        for name in ["output", "input", "items"] {
            if let Some(items) = list(name) {
                return responses(items, name);
            }
        }
        if let Some(content) = list("content") {
            return messages(content, "content");
        }
        let told = "expected an assistant's message (message, or messages that end with it), a whole answer (choices, output or content) or tool_calls";
        Err(Error::invalid("message", told))
    }

    fn of_message(message: &Value, path: &str) -> Result<Self> {
        let list = |name: &str| message.get(name).and_then(Value::as_array);
        if let Some(calls) = list("tool_calls") {
            return chat(calls, &format!("{path}.tool_calls"));
        }
        let is_block =
            |block: &Value| block.get("type").and_then(Value::as_str) == Some("tool_use");
        match list("content").filter(|content| content.iter().any(is_block)) {
            Some(content) => messages(content, &format!("{path}.content")),
            None if message.is_object() => Ok(Self {
                form: Form::Chat,
                calls: Vec::new(),
            }),
            None => Err(Error::invalid(path, "expected an object")),
        }
    }
}

fn last_of_assistant(messages: &[Value]) -> Result<(usize, &Value)> {
    let is_assistant =
        |message: &Value| message.get("role").and_then(Value::as_str) == Some("assistant");
    let last = messages.iter().enumerate().next_back();
    last.filter(|(_, message)| is_assistant(message))
        .ok_or_else(|| {
            Error::invalid(
                "messages",
                "expected the assistant's message with the calls to be the last one",
            )
        })
}

fn text(object: &Value, name: &str, path: &str) -> Result<String> {
    let found = object
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    found
        .map(str::to_owned)
        .ok_or_else(|| Error::invalid(format!("{path}.{name}"), "expected a text"))
}

fn chat(calls: &[Value], path: &str) -> Result<Batch> {
    let call = |(at, call): (usize, &Value)| {
        let path = format!("{path}[{at}]");
        let function = call.get("function").unwrap_or(&Value::Null);
        let inner = format!("{path}.function");
        Ok(Call {
            id: text(call, "id", &path)?,
            name: text(function, "name", &inner)?,
            input: arguments(function.get("arguments")),
        })
    };
    let calls: Result<Vec<Call>> = calls.iter().enumerate().map(call).collect();
    distinct(Form::Chat, calls?, path)
}

fn responses(items: &[Value], path: &str) -> Result<Batch> {
    let kind = |item: &Value| item.get("type").and_then(Value::as_str).map(str::to_owned);
    let answered = |id: &str| {
        let is_answer = |item: &Value| kind(item).as_deref() == Some("function_call_output");
        let id_of = |item: &Value| {
            item.get("call_id")
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        items
            .iter()
            .any(|item| is_answer(item) && id_of(item).as_deref() == Some(id))
    };
    let mut calls = Vec::new();
    for (at, item) in items.iter().enumerate() {
        if kind(item).as_deref() != Some("function_call") {
            continue;
        }
        let path = format!("{path}[{at}]");
        let id = text(item, "call_id", &path)?;
        if !answered(&id) {
            calls.push(Call {
                id,
                name: text(item, "name", &path)?,
                input: arguments(item.get("arguments")),
            });
        }
    }
    distinct(Form::Responses, calls, path)
}

fn messages(content: &[Value], path: &str) -> Result<Batch> {
    let mut calls = Vec::new();
    for (at, block) in content.iter().enumerate() {
        if block.get("type").and_then(Value::as_str) != Some("tool_use") {
            continue;
        }
        let path = format!("{path}[{at}]");
        calls.push(Call {
            id: text(block, "id", &path)?,
            name: text(block, "name", &path)?,
            input: arguments(block.get("input")),
        });
    }
    distinct(Form::Messages, calls, path)
}

/// A result names its call by the id alone.
fn distinct(form: Form, calls: Vec<Call>, path: &str) -> Result<Batch> {
    let mut ids: Vec<&str> = calls.iter().map(|call| call.id.as_str()).collect();
    ids.sort_unstable();
    let twice = ids.windows(2).find_map(|pair| {
        (pair.first() == pair.last())
            .then(|| pair.first())
            .flatten()
    });
    match twice {
        Some(id) => Err(Error::invalid(
            path,
            format!("two calls have the id {id:?}"),
        )),
        None => Ok(Batch { form, calls }),
    }
}

/// Arguments: JSON text of an object, or the object itself. Nothing at all is an empty one.
///
/// # Errors
/// What is wrong with them, for the model.
pub fn arguments(sent: Option<&Value>) -> std::result::Result<Value, String> {
    let read = match sent {
        None | Some(Value::Null) => return Ok(json!({})),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(json!({})),
        Some(Value::String(text)) => crate::json::from_str(text)
            .map_err(|error| format!("The arguments are not valid JSON: {error}"))?,
        Some(other) => other.clone(),
    };
    match read {
        Value::Object(_) => Ok(read),
        _ => Err("The arguments have to be a JSON object".to_owned()),
    }
}

/// The results as the conversation goes on with them: messages of chat completions and Messages, items of Responses.
pub fn write(form: Form, outcomes: &[Outcome]) -> Vec<Value> {
    match form {
        Form::Chat => {
            let each = outcomes.iter().map(|one| json!({"role": "tool", "tool_call_id": one.id, "name": one.name, "content": one.told}));
            each.collect()
        }
        Form::Responses => {
            let each = outcomes.iter().map(|one| json!({"type": "function_call_output", "call_id": one.id, "output": one.told}));
            each.collect()
        }
        Form::Messages if outcomes.is_empty() => Vec::new(),
        Form::Messages => {
            let blocks: Vec<Value> = outcomes
                .iter()
                .map(|one| json!({"type": "tool_result", "tool_use_id": one.id, "content": one.told, "is_error": one.is_error}))
                .collect();
            vec![json!({"role": "user", "content": blocks})]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<Batch> {
        Batch::read(body.as_object().unwrap())
    }

    fn call(id: &str) -> Call {
        Call {
            id: id.into(),
            name: "a__b".into(),
            input: Ok(json!({"x": 1})),
        }
    }

    #[test]
    fn every_form_that_holds_calls_is_read() {
        let tool_call = json!({"id": "c1", "type": "function", "function": {"name": "a__b", "arguments": "{\"x\": 1}"}});
        let message = json!({"role": "assistant", "content": null, "tool_calls": [tool_call]});
        let item = json!({"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "a__b", "arguments": "{\"x\":1}"});
        let done =
            json!({"type": "function_call", "call_id": "c0", "name": "a__b", "arguments": "{}"});
        let output = json!({"type": "function_call_output", "call_id": "c0", "output": "x"});
        let block = json!({"type": "tool_use", "id": "c1", "name": "a__b", "input": {"x": 1}});
        let said = json!({"role": "user", "content": "hi"});
        for (form, body) in [
            (Form::Chat, json!({"message": message})),
            (Form::Chat, json!({"tool_calls": [tool_call]})),
            (Form::Chat, json!({"messages": [said, message]})),
            (
                Form::Chat,
                json!({"id": "gen-1", "choices": [{"index": 0, "message": message}]}),
            ),
            (
                Form::Responses,
                json!({"output": [{"type": "reasoning", "summary": []}, item]}),
            ),
            (
                Form::Responses,
                json!({"input": [said, done, output, item]}),
            ),
            (
                Form::Messages,
                json!({"type": "message", "role": "assistant", "content": [{"type": "text", "text": "x"}, block]}),
            ),
            (
                Form::Messages,
                json!({"message": {"role": "assistant", "content": [block]}}),
            ),
            (
                Form::Messages,
                json!({"messages": [said, {"role": "assistant", "content": [block]}]}),
            ),
        ] {
            assert_eq!(
                read(body.clone()).unwrap(),
                Batch {
                    form,
                    calls: vec![call("c1")]
                },
                "{body}"
            );
        }
    }

    #[test]
    fn a_message_without_calls_has_none_and_a_body_without_a_message_is_refused() {
        for body in [
            json!({"message": {"role": "assistant", "content": "Hello"}}),
            json!({"tool_calls": []}),
            json!({"content": null, "tool_calls": []}),
            json!({"output": []}),
        ] {
            assert!(read(body).unwrap().calls.is_empty());
        }
        for (body, param) in [
            (json!({}), "message"),
            (json!({"message": 7}), "message"),
            (
                json!({"messages": [{"role": "user", "content": "x"}]}),
                "messages",
            ),
            (json!({"messages": []}), "messages"),
            (json!({"message": {}, "output": {}}), "output"),
            (json!({"message": {}, "content": 1}), "content"),
            (json!({"message": {}, "content": [{}, []]}), "content[1]"),
            (
                json!({"tool_calls": [{"function": {"name": "x"}}]}),
                "tool_calls[0].id",
            ),
            (
                json!({"message": {"tool_calls": [{"id": "c", "function": {}}]}}),
                "message.tool_calls[0].function.name",
            ),
            (
                json!({"output": [{"type": "function_call", "name": "x"}]}),
                "output[0].call_id",
            ),
            (
                json!({"content": [{"type": "tool_use", "id": "", "name": "x"}]}),
                "content[0].id",
            ),
            (
                json!({"content": [{"type": "tool_use", "id": "a", "name": "x"}, {"type": "tool_use", "id": "a", "name": "x"}]}),
                "content",
            ),
        ] {
            assert_eq!(
                read(body.clone()).unwrap_err().param.as_deref(),
                Some(param),
                "{body}"
            );
        }
    }

    #[test]
    fn wrong_arguments_are_words_for_the_model_and_not_the_end_of_the_batch() {
        for (sent, told) in [
            (json!("{"), "not valid JSON"),
            (json!("[1]"), "JSON object"),
            (json!(7), "JSON object"),
        ] {
            let body =
                json!({"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": sent}}]});
            let batch = read(body).unwrap();
            assert!(
                batch.calls[0].input.as_ref().unwrap_err().contains(told),
                "{sent}"
            );
        }
        for empty in [json!(null), json!(""), json!(" ")] {
            let body =
                json!({"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": empty}}]});
            assert_eq!(read(body).unwrap().calls[0].input, Ok(json!({})));
        }
    }

    #[test]
    fn results_name_their_calls_in_the_form_of_the_calls() {
        let outcome = |id: &str, is_error| Outcome {
            id: id.into(),
            name: "f".into(),
            told: "t".into(),
            is_error,
        };
        let both = [outcome("a", false), outcome("b", true)];
        assert_eq!(
            write(Form::Chat, &both)[1],
            json!({"role": "tool", "tool_call_id": "b", "name": "f", "content": "t"})
        );
        assert_eq!(
            write(Form::Responses, &both)[0],
            json!({"type": "function_call_output", "call_id": "a", "output": "t"})
        );
        let messages = write(Form::Messages, &both);
        assert_eq!(
            (messages.len(), messages[0]["role"].as_str()),
            (1, Some("user"))
        );
        assert_eq!(
            messages[0]["content"][1],
            json!({"type": "tool_result", "tool_use_id": "b", "content": "t", "is_error": true})
        );
        assert!(write(Form::Messages, &[]).is_empty());
    }
}
