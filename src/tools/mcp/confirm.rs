//! Asking a person before something is done, and what they answered.
//!
//! In the modern era the call is answered with a form and comes again with what was filled in; the token of the confirmation
//! travels along as `requestState`, and holds for these arguments, this key and this price alone. Nothing is remembered here.
//! Out of scope: when to ask, and whether a token holds (`tools::execute`).

use serde_json::{Value, json};

use super::message::{Fault, Request};
use crate::tools::envelope::Confirmation;

/// The name of our one question.
const QUESTION: &str = "confirm";

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Yes,
    /// No, or the form was closed.
    No,
    /// Nothing that answers it.
    None,
}

/// The form.
pub fn form(confirmation: &Confirmation) -> Value {
    let mut message = confirmation.summary.clone();
    if !confirmation.effects.is_empty() {
        message.push_str(&format!("\n{}", confirmation.effects.join("\n")));
    }
    message.push_str(&format!(
        "\nIt may cost up to ${}.",
        confirmation.cost_ceiling
    ));
    json!({
        "mode": "form",
        "message": message,
        "requestedSchema": {
            "type": "object",
            "properties": {QUESTION: {
                "type": "boolean",
                "title": "Do it",
                "description": "Nothing is done without a yes",
                "default": false,
            }},
            "required": [QUESTION],
        },
    })
}

/// The answer of the modern era to a call that has to be confirmed first.
pub fn required(confirmation: &Confirmation) -> Value {
    json!({
        "resultType": "input_required",
        "inputRequests": {QUESTION: {"method": "elicitation/create", "params": form(confirmation)}},
        "requestState": confirmation.token,
    })
}

/// What a request of the modern era brings of an earlier round: the token, and what was answered.
///
/// # Errors
/// -32602 where the fields are of another form.
pub fn brought(request: &Request) -> Result<(Option<&str>, Answer), Fault> {
    let responses = match request.params.get("inputResponses") {
        None => None,
        Some(Value::Object(responses)) => Some(responses),
        Some(_) => return Err(Fault::params("inputResponses has to be an object")),
    };
    let state = match request.params.get("requestState") {
        None => None,
        Some(Value::String(state)) => Some(state.as_str()),
        Some(_) => return Err(Fault::params("requestState has to be text")),
    };
    let answer = match responses.and_then(|responses| responses.get(QUESTION)) {
        None => Answer::None,
        Some(answer) if answer.is_object() => read(answer),
        Some(_) => {
            return Err(Fault::params(
                "An answer to elicitation/create is an object",
            ));
        }
    };
    Ok((state, answer))
}

/// Reads the answer to the form.
pub fn read(answer: &Value) -> Answer {
    let action = answer.get("action").and_then(Value::as_str);
    let filled = answer
        .get("content")
        .and_then(|content| content.get(QUESTION));
    match (action, filled.and_then(Value::as_bool)) {
        (Some("accept"), Some(true)) => Answer::Yes,
        (Some("accept"), None) => Answer::None,
        (Some(_), _) => Answer::No,
        (None, _) => Answer::None,
    }
}
