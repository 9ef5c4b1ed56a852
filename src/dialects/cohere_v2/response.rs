//! An answer in one piece → canonical events.

use super::{answer::Answer, error, wire::Whole};
use crate::{
    chat::Event,
    error::{Error, ErrorType, Result},
};

/// Reads a whole answer.
///
/// # Errors
/// When the body is not an answer, or when the generation failed before it wrote anything.
pub fn response(body: &[u8]) -> Result<Vec<Event>> {
    let Ok(whole) = crate::json::from_slice::<Whole>(body) else {
        return Err(not_an_answer(body));
    };
    let Some(message) = whole.message else {
        return Err(not_an_answer(body));
    };
    let mut events = vec![Event::Start {
        id: whole.id,
        model: None,
        service_tier: None,
        system_fingerprint: None,
    }];
    let mut answer = Answer::default();
    answer.plan(message.tool_plan, &mut events);
    let content = message.content.map(|items| items.into_vec());
    for (index, content) in (0_u64..).zip(content.unwrap_or_default()) {
        answer.content(Some(index), content, &mut events);
    }
    let calls = message.tool_calls.map(|items| items.into_vec());
    for (index, call) in (0_u64..).zip(calls.unwrap_or_default()) {
        answer.call(Some(index), call, &mut events);
    }
    let citations = message.citations.map(|items| items.into_vec());
    for citation in citations.unwrap_or_default() {
        answer.citation(citation, &mut events);
    }
    let reason = whole.finish_reason.as_deref();
    answer.end(reason, None, whole.usage.as_ref(), &mut events);
    if !events.iter().any(Event::is_content) {
        // P112: nothing but an error is a failed request, not an empty answer.
        let failed = events
            .iter()
            .position(|event| matches!(event, Event::Error(_)));
        if let Some(Event::Error(error)) = failed.map(|at| events.swap_remove(at)) {
            return Err(error);
        }
    }
    if !matches!(events.last(), Some(Event::Done)) {
        events.push(Event::Done);
    }
    Ok(events)
}

/// An error under status 200, or something else altogether.
fn not_an_answer(body: &[u8]) -> Error {
    let told = error::error(502, body);
    if told
        .message
        .starts_with("The provider answered with HTTP status")
    {
        return Error::upstream(
            ErrorType::ProviderUnavailable,
            "The provider's answer is not a chat message",
        )
        .with_raw(body);
    }
    told
}
