//! A client's completions body → the canonical request.
//!
//! The body is put into the words of chat completions and read as such, so all other fields mean what they mean there. Several
//! prompts are refused: an answer would be several requests.

use serde_json::Value;

use crate::{
    chat::ChatRequest,
    dialects::{
        openai_chat::client,
        splice::{Fields, ObjectWriter, put},
    },
    error::{Error, Result},
};

/// The most alternatives of a token.
const MAX_ALTERNATIVES: u64 = 20;

/// Fields that a text has no use for.
const NOT_OF_TEXTS: [&str; 6] = [
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "modalities",
    "audio",
    "top_logprobs",
];

/// What a text that leads up to another one is asked for with.
const LEADS_UP: &str = "Continue the user's text where it ends. What you write is put between it and the text below, so it has to lead up to that. \
     Write what is missing and nothing else.\n\nWhat follows:\n";

/// Reads a client's body.
///
/// # Errors
/// 400 with the path of the first field that is wrong.
pub fn parse_request(raw: &[u8]) -> Result<ChatRequest> {
    let Ok(fields) = Fields::parse(raw) else {
        // Chat's reader says what is wrong with it.
        return client::parse_request(raw);
    };
    check_best_of(&fields)?;
    let mut body = Vec::with_capacity(raw.len() + 256);
    let mut object = ObjectWriter::new(&mut body);
    for (key, value) in &fields.0 {
        match key.as_ref() {
            "prompt" => put_prompt(object.key("messages"), value.get(), fields.get("suffix"))?,
            "logprobs" => put_logprobs(&mut object, value.get())?,
            // A preset puts its words before the prompt.
            "messages" if fields.get("prompt").is_some() => {}
            "suffix" | "echo" | "best_of" => {}
            key if NOT_OF_TEXTS.contains(&key) => {}
            key => object.raw(key, value.get()),
        }
    }
    object.end();
    if fields.get("prompt").is_none() && fields.get("messages").is_none() {
        return Err(Error::invalid("prompt", "expected a string"));
    }
    client::parse_request(&body)
}

/// The one prompt of a body: a string, or a list of one.
fn prompt(json: &str) -> Result<String> {
    match crate::json::from_str(json) {
        Ok(Value::String(prompt)) => Ok(prompt),
        Ok(Value::Array(prompts)) => match prompts.as_slice() {
            [Value::String(prompt)] => Ok(prompt.clone()),
            [Value::String(_), ..] => {
                let told = "expected one prompt: send a request for each of several";
                Err(Error::invalid("prompt", told))
            }
            _ => {
                let told = "expected text: tokens mean something to one model only";
                Err(Error::invalid("prompt", told))
            }
        },
        _ => Err(Error::invalid("prompt", "expected a string")),
    }
}

/// What the client wants to read before the answer: its own prompt.
pub(super) fn echo(raw: &[u8]) -> (String, bool) {
    let fields = Fields::parse(raw).unwrap_or_default();
    let prompt = fields.get("prompt").and_then(|json| prompt(json).ok());
    let wants = fields.get("echo") == Some("true");
    (prompt.unwrap_or_default(), wants)
}

fn put_prompt(out: &mut Vec<u8>, json: &str, suffix: Option<&str>) -> Result<()> {
    let prompt = prompt(json)?;
    let suffix = match suffix {
        None => String::new(),
        Some(json) => crate::json::from_str::<String>(json)
            .map_err(|_| Error::invalid("suffix", "expected a string"))?,
    };
    out.push(b'[');
    if !suffix.is_empty() {
        put_message(out, "system", &format!("{LEADS_UP}{suffix}"));
        out.push(b',');
    }
    put_message(out, "user", &prompt);
    out.push(b']');
    Ok(())
}

fn put_message(out: &mut Vec<u8>, role: &str, content: &str) {
    let mut message = ObjectWriter::new(out);
    message.field("role", role);
    put(message.key("content"), content);
    message.end();
}

/// A number of alternatives; chat has a switch and a number.
fn put_logprobs(object: &mut ObjectWriter<'_>, json: &str) -> Result<()> {
    match crate::json::from_str(json) {
        Ok(Value::Null) => {}
        Ok(Value::Bool(wants)) => object.field("logprobs", &wants),
        Ok(Value::Number(number)) => match number.as_u64() {
            Some(most) if most <= MAX_ALTERNATIVES => {
                object.field("logprobs", &true);
                if most > 0 {
                    object.field("top_logprobs", &most);
                }
            }
            _ => return Err(wrong_logprobs()),
        },
        _ => return Err(wrong_logprobs()),
    }
    Ok(())
}

fn wrong_logprobs() -> Error {
    let told = format!("expected a number from 0 to {MAX_ALTERNATIVES}");
    Error::invalid("logprobs", told)
}

/// Chat returns every answer that it writes.
fn check_best_of(fields: &Fields<'_>) -> Result<()> {
    let number = |key: &str, otherwise| match fields.get(key) {
        None => Ok(otherwise),
        Some(json) => crate::json::from_str::<u64>(json)
            .map_err(|_| Error::invalid(key, "expected a whole number")),
    };
    let n = number("n", 1)?;
    if number("best_of", n)? != n {
        let told = "the best of more answers than are returned is not offered: leave it out";
        return Err(Error::invalid("best_of", told));
    }
    Ok(())
}
