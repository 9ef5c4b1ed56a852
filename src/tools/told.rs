//! What a model is told of an execution: its result in short, or why there is none.
//!
//! Out of scope: what clients are told (the [`Envelope`] itself).

use serde_json::{Map, Value, json};

use super::envelope::{Envelope, Status};

/// The most bytes of one result that a model is shown.
const MOST: usize = 100_000;

/// Whether a model may read the tokens of confirmations, and so confirm its own calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tokens {
    /// They are for the client alone.
    #[default]
    Hidden,
    /// The client leaves it to the model.
    Shown,
}

/// What a model is told of an execution, and whether it is no success.
pub fn of(envelope: &Envelope, tokens: Tokens) -> (String, bool) {
    let told = match envelope.status {
        Status::Succeeded => return (cut(success(envelope).to_string()), false),
        Status::Running => return (running(envelope).to_string(), false),
        Status::ConfirmationRequired => confirmation(envelope, tokens),
        _ => failure(envelope),
    };
    (cut(told.to_string()), true)
}

/// What a model is told that did not get to run anything.
pub fn refused(code: &str, message: &str) -> String {
    json!({"error": {"code": code, "message": message}}).to_string()
}

fn success(envelope: &Envelope) -> Value {
    let result = envelope.result.as_ref().or(envelope.data.as_ref());
    let result = without_bytes(result.unwrap_or(&Value::Null));
    let mut more = Map::new();
    if !envelope.warnings.is_empty() {
        let warnings = envelope
            .warnings
            .iter()
            .map(|warning| warning.message.as_str());
        more.insert("warnings".to_owned(), warnings.collect());
    }
    if let Some(next) = &envelope.next {
        more.insert("next_page_input".to_owned(), next.clone());
    }
    if envelope.replayed {
        more.insert("replayed".to_owned(), true.into());
    }
    if let Some(steps) = &envelope.steps {
        more.insert("steps".to_owned(), steps.len().into());
    }
    if more.is_empty() && !result.is_null() {
        return result;
    }
    let mut told = Map::new();
    told.insert("status".to_owned(), "succeeded".into());
    told.insert("result".to_owned(), result);
    told.extend(more);
    told.into()
}

fn running(envelope: &Envelope) -> Value {
    json!({"status": "running", "execution": envelope.id, "message": "It was started and is not done yet."})
}

fn confirmation(envelope: &Envelope, tokens: Tokens) -> Value {
    let asked = envelope.confirmation.as_ref();
    let summary = asked
        .map(|asked| asked.summary.as_str())
        .unwrap_or_default();
    let mut told = json!({
        "status": "confirmation_required",
        "message": "Nothing was done. Somebody has to confirm exactly this call first.",
        "summary": summary,
    });
    if let (Tokens::Shown, Some(asked), Some(object)) = (tokens, asked, told.as_object_mut()) {
        object.insert("token".to_owned(), asked.token.as_str().into());
        let how = "Once the user has agreed, call confirm_tool with this token, the tool and the unchanged input.";
        object.insert("how".to_owned(), how.into());
    }
    told
}

fn failure(envelope: &Envelope) -> Value {
    let mut told = Map::new();
    if let Some(error) = &envelope.error {
        told.insert("code".to_owned(), error.code.as_str().into());
        told.insert("message".to_owned(), error.message.as_str().into());
        if let Some(param) = &error.param {
            told.insert("param".to_owned(), param.as_str().into());
        }
        if let Some(seconds) = error.retry_after {
            told.insert("retry_after".to_owned(), seconds.into());
        }
    }
    if envelope.status == Status::Unknown {
        let told_of = "It was sent, and nobody knows whether it was done. Do not call it again before that is checked.";
        told.entry("message").or_insert_with(|| told_of.into());
    }
    json!({"status": envelope.status.as_str(), "error": told})
}

/// A value without the bytes of files: a model reads none.
fn without_bytes(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let is_file = object.contains_key("base64") && object.contains_key("mime_type");
            let kept = object
                .iter()
                .filter(|(key, _)| !is_file || *key != "base64");
            let mut kept: Map<String, Value> = kept
                .map(|(key, value)| (key.clone(), without_bytes(value)))
                .collect();
            if is_file {
                kept.insert("note".to_owned(), "The client has the bytes.".into());
            }
            kept.into()
        }
        Value::Array(items) => items.iter().map(without_bytes).collect(),
        other => other.clone(),
    }
}

fn cut(mut told: String) -> String {
    let whole = told.len();
    if whole > MOST {
        let end = (0..=MOST).rev().find(|at| told.is_char_boundary(*at));
        told.truncate(end.unwrap_or_default());
        told.push_str(&format!("… [cut: {MOST} of {whole} bytes]"));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::envelope::{Confirmation, ToolError, Warning};

    fn done(result: Value) -> Envelope {
        Envelope {
            status: Status::Succeeded,
            result: Some(result),
            ..Envelope::default()
        }
    }

    #[test]
    fn a_result_is_told_as_it_is_and_with_what_to_know_beside_it() {
        let envelope = done(json!({"kind": "search_results", "items": []}));
        assert_eq!(
            of(&envelope, Tokens::Hidden),
            (
                "{\"kind\":\"search_results\",\"items\":[]}".to_owned(),
                false
            )
        );
        let more = Envelope {
            warnings: vec![Warning::new("partial", "one failed")],
            next: Some(json!({"cursor": "c"})),
            replayed: true,
            ..done(json!([1]))
        };
        let told: Value = serde_json::from_str(&of(&more, Tokens::Hidden).0).unwrap();
        assert_eq!(
            told,
            json!({"status": "succeeded", "result": [1], "warnings": ["one failed"], "next_page_input": {"cursor": "c"}, "replayed": true})
        );
        let data = Envelope {
            data: Some(json!({"x": 1})),
            result: None,
            ..done(json!(0))
        };
        assert_eq!(of(&data, Tokens::Hidden).0, "{\"x\":1}");
        let nothing = Envelope {
            status: Status::Succeeded,
            ..Envelope::default()
        };
        assert!(of(&nothing, Tokens::Hidden).0.contains("succeeded"));
    }

    #[test]
    fn bytes_are_the_clients_and_long_results_are_cut() {
        let file = json!({"kind": "audio", "file": {"mime_type": "audio/mpeg", "bytes": 3, "base64": "AAAA"}});
        let told = of(&done(file), Tokens::Hidden).0;
        assert!(
            !told.contains("AAAA") && told.contains("audio/mpeg"),
            "{told}"
        );
        let told = of(&done(json!("ü".repeat(MOST))), Tokens::Hidden).0;
        assert!(told.len() < MOST + 60 && told.ends_with("bytes]"));
    }

    #[test]
    fn a_confirmation_is_the_clients_to_give_unless_it_leaves_that_to_the_model() {
        let confirmation = Confirmation {
            token: "tok".into(),
            expires_at: 9,
            summary: "Send an e-mail to a@b.de".into(),
            effects: vec!["write".into()],
            cost_ceiling: Default::default(),
            reason: "policy".into(),
        };
        let envelope = Envelope {
            status: Status::ConfirmationRequired,
            confirmation: Some(confirmation),
            ..Envelope::default()
        };
        let (told, is_error) = of(&envelope, Tokens::Hidden);
        assert!(
            is_error && told.contains("a@b.de") && !told.contains("tok\""),
            "{told}"
        );
        assert!(of(&envelope, Tokens::Shown).0.contains("\"token\":\"tok\""));
    }

    #[test]
    fn failures_and_the_unknown_are_told_with_their_code() {
        let failed = Envelope::failed(
            "e",
            "a/b",
            ToolError {
                retry_after: Some(3),
                ..ToolError::input("/q", "expected a text")
            },
        );
        let told: Value = serde_json::from_str(&of(&failed, Tokens::Hidden).0).unwrap();
        assert_eq!(
            told["error"],
            json!({"code": "invalid_request", "message": "expected a text", "param": "/q", "retry_after": 3})
        );
        let unknown = Envelope {
            status: Status::Unknown,
            ..Envelope::default()
        };
        assert!(
            of(&unknown, Tokens::Hidden)
                .0
                .contains("Do not call it again")
        );
        let running = Envelope {
            status: Status::Running,
            id: "exec-1".into(),
            ..Envelope::default()
        };
        assert!(!of(&running, Tokens::Hidden).1);
    }
}
