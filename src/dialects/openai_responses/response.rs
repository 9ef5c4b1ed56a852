//! An answer in one piece → canonical events.

use super::{
    answer::{Answer, unreadable},
    decoder::Decoder,
};
use crate::{
    catalog::Quirk,
    chat::Event,
    error::{Error, Result},
};

/// Reads a whole answer. White space before it (keep-alives of slow hosts) is no harm.
///
/// # Errors
/// When the body is not JSON or no response, or when it is an error under status 200.
pub fn response(body: &[u8], quirks: &[Quirk]) -> Result<Vec<Event>> {
    let text = std::str::from_utf8(body).map_err(unreadable)?;
    let answer: Answer<'_> = crate::json::from_str(text).map_err(unreadable)?;
    let mut events = Vec::with_capacity(8);
    let mut decoder = Decoder::new(quirks);
    decoder.begin(&answer, &mut events);
    match answer.status.as_deref() {
        Some("queued" | "in_progress") => return Err(unreadable("it is not finished")),
        _ if answer.output.is_none() && answer.error.is_none() => {
            return Err(unreadable("it has no output"));
        }
        _ => {}
    }
    decoder.end(&answer, &mut events)?;
    // P112
    let failed = events
        .iter()
        .position(|event| matches!(event, Event::Error(_)));
    if let Some(Event::Error(error)) = failed.map(|at| events.swap_remove(at)) {
        return Err::<_, Error>(error);
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chat::{Completion, FinishReason},
        error::ErrorType,
    };

    #[test]
    fn text_and_a_call_are_one_answer() {
        // P79
        let body = br#"{"status":"completed","output":[
            {"type":"message","content":[{"type":"output_text","text":"a"}]},
            {"type":"function_call","call_id":"c","name":"f","arguments":""}]}"#;
        let completion = Completion::from_events(response(body, &[]).unwrap());
        let [choice] = completion.choices.as_slice() else {
            panic!("{completion:?}")
        };
        assert_eq!(choice.content.as_deref(), Some("a"));
        // P55
        assert_eq!(choice.tool_calls[0].arguments, "{}");
        assert_eq!(choice.finish, Some(FinishReason::ToolCalls));
    }

    #[test]
    fn what_is_no_answer_is_a_failure() {
        // P112
        for (body, kind) in [
            (
                "{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}}",
                ErrorType::RateLimitExceeded,
            ),
            (
                "{\"status\":\"failed\",\"output\":[]}",
                ErrorType::ProviderUnavailable,
            ),
            (
                "{\"status\":\"in_progress\",\"output\":[]}",
                ErrorType::ProviderUnavailable,
            ),
            (
                "{\"error\":{\"message\":\"m\",\"code\":\"server_error\"}}",
                ErrorType::ProviderUnavailable,
            ),
            ("{}", ErrorType::ProviderUnavailable),
            ("[]", ErrorType::ProviderUnavailable),
            ("<html>", ErrorType::ProviderUnavailable),
        ] {
            let error = response(body.as_bytes(), &[]).unwrap_err();
            assert_eq!(error.error_type, kind, "{body}");
        }
    }
}
