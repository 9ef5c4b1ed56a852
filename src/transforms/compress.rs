//! Makes a conversation fit: what stands in its middle is left out (`context-compression`, `transforms: ["middle-out"]`).
//!
//! Models read the beginning and the end of a long prompt best. Instructions and the last message always stay, a call stays
//! with its results, and the conversation still begins with the person. Where single messages are too long, the middle of the
//! longest texts goes.

use std::borrow::Cow;

use serde_json::json;

use super::{Note, Setting, Shape};
use crate::{
    catalog::Endpoint,
    chat::{ChatRequest, Message, Part, Role, estimate},
};

/// Windows up to this size are compressed for without being asked.
pub const SMALL_WINDOW: u64 = 8_192;
/// The most messages that Claude takes.
const MAX_CLAUDE_MESSAGES: usize = 1_000;
/// What a cut text says where its middle was.
const GAP: &str = "\n[…]\n";
/// Cut texts keep at least so many bytes.
const LEAST_TEXT: usize = 400;
/// The most texts that are cut.
const MAX_CUTS: usize = 64;

/// Whether a prompt that is too long for this endpoint is made to fit. `wanted`: what the client says about it.
pub fn applies(wanted: Option<bool>, endpoint: &Endpoint) -> bool {
    wanted.unwrap_or(endpoint.context_length > 0 && endpoint.context_length <= SMALL_WINDOW)
}

/// The most tokens of a prompt that the endpoint takes beside an answer of this length; nothing where it is not known.
pub fn room(endpoint: &Endpoint, max_tokens: Option<u64>) -> Option<u64> {
    let context = endpoint.context_length;
    let prompt = endpoint.max_prompt_tokens.unwrap_or(context);
    if prompt == 0 {
        return None;
    }
    // Room for an answer: the one that is asked for, but never more than half of the window.
    let answer = max_tokens.unwrap_or(1_024).min(context / 2);
    Some(prompt.min(context.saturating_sub(answer)))
}

/// Makes the prompt fit where that is wanted and needed.
pub(super) fn fit(setting: &Setting<'_>, request: &mut Cow<'_, ChatRequest>, shape: &mut Shape) {
    let endpoint = setting.endpoint;
    if !applies(setting.plugins.compression, endpoint) {
        return;
    }
    // What the model's own framing takes is no room for messages.
    let plain = estimate::prompt_tokens(setting.request, "");
    let framing = setting.prompt_tokens.saturating_sub(plain);
    let room = room(endpoint, request.max_tokens).map(|room| room.saturating_sub(framing));
    let before = estimate::prompt_tokens(request, "");
    let is_too_long = room.is_some_and(|room| before > room);
    let is_claude = endpoint.model.starts_with("anthropic/");
    let are_too_many = is_claude && request.messages.len() > MAX_CLAUDE_MESSAGES;
    if !is_too_long && !are_too_many {
        return;
    }
    let request = request.to_mut();
    let count = request.messages.len();
    let most = if are_too_many {
        MAX_CLAUDE_MESSAGES
    } else {
        usize::MAX
    };
    leave_out(request, room.unwrap_or(u64::MAX), most);
    let cut = room.map_or(0, |room| shorten(request, room));
    let left_out = count - request.messages.len();
    let after = estimate::prompt_tokens(request, "");
    let summary = format!(
        "The prompt of about {before} tokens was cut to {after}: {left_out} of {count} messages left out, {cut} shortened in the middle"
    );
    let data = json!({
        "engine": "middle-out", "tokens_before": before, "tokens_after": after,
        "messages_removed": left_out, "messages_truncated": cut,
    });
    shape.notes.push(Note {
        data: Some(data),
        ..Note::new("context_compression", "context-compression", summary)
    });
}

/// Messages that stay or go together.
struct Unit {
    messages: Vec<Message>,
    tokens: u64,
    /// It may not go.
    is_pinned: bool,
}

/// Leaves out units from the middle until the rest fits.
fn leave_out(request: &mut ChatRequest, room: u64, most: usize) {
    let mut tokens = estimate::prompt_tokens(request, "");
    let mut count = request.messages.len();
    let mut units = units(std::mem::take(&mut request.messages));
    let order = from_the_middle(&units);
    let mut gone = vec![false; units.len()];
    for at in order {
        if tokens <= room && count <= most {
            break;
        }
        if let (Some(unit), Some(gone)) = (units.get(at), gone.get_mut(at)) {
            *gone = true;
            tokens = tokens.saturating_sub(unit.tokens);
            count -= unit.messages.len();
        }
    }
    let mut kept: Vec<Unit> = units
        .drain(..)
        .zip(gone)
        .filter_map(|(unit, gone)| (!gone).then_some(unit))
        .collect();
    // Hosts refuse a conversation that the model begins.
    let is_models = |unit: &Unit| {
        unit.messages
            .first()
            .is_some_and(|m| m.role == Role::Assistant)
    };
    if let Some(first) = kept.iter().position(|unit| !unit.is_pinned)
        && count < usize::MAX
    {
        while kept
            .get(first)
            .is_some_and(|unit| is_models(unit) && !unit.is_pinned)
        {
            kept.remove(first);
        }
    }
    request.messages = kept.into_iter().flat_map(|unit| unit.messages).collect();
}

/// The conversation in units: a turn with calls and their results is one, instructions and the last message are pinned.
fn units(messages: Vec<Message>) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::with_capacity(messages.len());
    for message in messages {
        let tokens = estimate::message_tokens(&message);
        let is_result = message.role == Role::Tool;
        if is_result && let Some(last) = units.last_mut().filter(|unit| !unit.is_pinned) {
            last.tokens = last.tokens.saturating_add(tokens);
            last.messages.push(message);
            continue;
        }
        units.push(Unit {
            is_pinned: matches!(message.role, Role::System | Role::Developer),
            messages: vec![message],
            tokens,
        });
    }
    if let Some(last) = units.last_mut() {
        last.is_pinned = true;
    }
    units
}

/// The units that may go, those nearest to the middle of the tokens first.
fn from_the_middle(units: &[Unit]) -> Vec<usize> {
    let total: u64 = units.iter().map(|unit| unit.tokens).sum();
    let mut before = 0;
    let mut order: Vec<(u64, usize)> = Vec::with_capacity(units.len());
    for (at, unit) in units.iter().enumerate() {
        // Twice the place of its middle, to stay with whole numbers.
        let place = 2 * before + unit.tokens;
        before += unit.tokens;
        if !unit.is_pinned {
            order.push((place.abs_diff(total), at));
        }
    }
    order.sort_unstable();
    order.into_iter().map(|(_, at)| at).collect()
}

/// Cuts the middle out of the longest texts until the prompt fits. How many were cut.
fn shorten(request: &mut ChatRequest, room: u64) -> usize {
    let mut cuts = 0;
    while cuts < MAX_CUTS {
        let tokens = estimate::prompt_tokens(request, "");
        let excess = tokens.saturating_sub(room);
        if excess == 0 {
            break;
        }
        let excess = usize::try_from(excess).unwrap_or(usize::MAX);
        let excess = excess.saturating_mul(estimate::BYTES_PER_TOKEN);
        let texts = request
            .messages
            .iter_mut()
            .flat_map(|message| &mut message.parts);
        let longest = texts.filter_map(text_of).max_by_key(|text| text.len());
        let Some(text) = longest.filter(|text| text.len() > LEAST_TEXT + GAP.len()) else {
            break;
        };
        let keep = text
            .len()
            .saturating_sub(excess + GAP.len())
            .max(LEAST_TEXT);
        cut(text, keep);
        cuts += 1;
    }
    cuts
}

/// The text of a part that may be cut: a person's, the model's, a tool's.
fn text_of(part: &mut Part) -> Option<&mut String> {
    match part {
        Part::Text { text, .. } => Some(text),
        Part::ToolResult { content, .. } => content
            .iter_mut()
            .filter_map(|part| match part {
                Part::Text { text, .. } => Some(text),
                _ => None,
            })
            .max_by_key(|text| text.len()),
        _ => None,
    }
}

/// Keeps about `keep` bytes of a text, half at each end.
fn cut(text: &mut String, keep: usize) {
    let mut head = keep / 2;
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = text.len() - keep / 2;
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    text.replace_range(head..tail, GAP);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transforms::tests::{Rows, setting_of};

    fn say(role: Role, words: usize) -> Message {
        Message::text(role, "word ".repeat(words))
    }

    fn turn(id: usize) -> Vec<Message> {
        let call = |n: usize| Part::ToolCall {
            id: format!("c{id}_{n}"),
            name: "look".into(),
            arguments: "{}".into(),
        };
        let result = |n: usize| Message {
            role: Role::Tool,
            name: None,
            parts: vec![Part::ToolResult {
                call_id: format!("c{id}_{n}"),
                content: vec![Part::text("found ".repeat(30))],
                is_error: false,
                cache: None,
            }],
        };
        vec![
            say(Role::User, 20),
            Message {
                role: Role::Assistant,
                name: None,
                parts: vec![call(0), call(1)],
            },
            result(0),
            result(1),
            say(Role::Assistant, 20),
        ]
    }

    fn fitted(
        messages: Vec<Message>,
        rows: &Rows,
        wanted: Option<bool>,
    ) -> (Vec<Message>, Vec<Note>) {
        let request = ChatRequest {
            messages,
            ..ChatRequest::default()
        };
        let mut rows = rows.clone();
        rows.plugins.compression = wanted;
        setting_of(&request, &rows, |setting| {
            let mut changed = Cow::Borrowed(&request);
            let mut shape = Shape::default();
            fit(setting, &mut changed, &mut shape);
            (changed.messages.clone(), shape.take_notes())
        })
    }

    fn window(tokens: u64) -> Rows {
        let mut rows = Rows::default();
        rows.endpoint.context_length = tokens;
        rows
    }

    #[test]
    fn small_windows_are_compressed_for_and_large_ones_when_asked() {
        let long = || vec![say(Role::User, 40_000), say(Role::User, 3)];
        for (tokens, wanted, happens) in [
            (8_192, None, true),
            (8_192, Some(false), false),
            (16_384, None, false),
            (16_384, Some(true), true),
            (1_000_000, Some(true), false),
        ] {
            let (messages, notes) = fitted(long(), &window(tokens), wanted);
            assert_eq!(notes.len() == 1, happens, "{tokens} {wanted:?}");
            assert_eq!(messages == long(), !happens);
        }
    }

    #[test]
    fn the_middle_goes_and_the_ends_stay() {
        let mut messages = vec![say(Role::System, 10)];
        let numbered = |n: usize| {
            let role = if n.is_multiple_of(2) {
                Role::User
            } else {
                Role::Assistant
            };
            Message::text(role, format!("{n} {}", "word ".repeat(200)))
        };
        messages.extend((0..41).map(numbered));
        let (kept, notes) = fitted(messages.clone(), &window(4_096), None);
        assert_eq!(kept.first(), messages.first());
        assert_eq!(kept.get(1), messages.get(1), "the first question");
        assert_eq!(kept.last(), messages.last());
        assert!(!kept.contains(&messages[20]), "the middle");
        assert_eq!(notes[0].name, "context-compression");
    }

    #[test]
    fn a_message_that_is_too_long_alone_loses_its_middle() {
        let text = format!("first {} last", "ä ".repeat(40_000));
        let (kept, notes) = fitted(vec![Message::text(Role::User, text)], &window(4_096), None);
        let Part::Text { text, .. } = &kept[0].parts[0] else {
            panic!("no text");
        };
        assert!(text.starts_with("first ") && text.ends_with(" last") && text.contains(GAP));
        assert!(text.len() < 4_096 * 4);
        assert_eq!(notes[0].data.as_ref().unwrap()["messages_truncated"], 1);
    }

    #[test]
    fn claude_gets_no_more_messages_than_it_takes() {
        let messages: Vec<Message> = (0..300).flat_map(turn).collect();
        let mut rows = window(1_000_000);
        let (kept, _) = fitted(messages.clone(), &rows, Some(true));
        assert_eq!(kept.len(), messages.len(), "others take more");
        rows.endpoint.model = "anthropic/some".into();
        let (kept, _) = fitted(messages, &rows, Some(true));
        assert!(kept.len() <= 1_000 && kept.len() > 900, "{}", kept.len());
    }

    proptest! {
        #[test]
        fn calls_keep_their_results_and_the_last_message_stays(turns in 1..40usize, tokens in 600..8_000u64) {
            let mut messages = vec![say(Role::System, 5)];
            messages.extend((0..turns).flat_map(turn));
            messages.push(say(Role::User, 10));
            let rows = window(tokens);
            let (kept, _) = fitted(messages.clone(), &rows, Some(true));
            prop_assert_eq!(kept.last(), messages.last());
            prop_assert_eq!(kept.first(), messages.first());
            prop_assert_ne!(kept.get(1).map(|m| m.role), Some(Role::Assistant));
            let mut open: Vec<&str> = Vec::new();
            for part in kept.iter().flat_map(|message| &message.parts) {
                match part {
                    Part::ToolCall { id, .. } => open.push(id),
                    Part::ToolResult { call_id, .. } => {
                        prop_assert!(open.contains(&call_id.as_str()));
                        open.retain(|id| id != call_id);
                    }
                    _ => {}
                }
            }
            prop_assert!(open.is_empty(), "calls without results: {:?}", open);
            let request = ChatRequest { messages: kept, ..ChatRequest::default() };
            let room = room(&rows.endpoint, None).unwrap();
            prop_assert!(estimate::prompt_tokens(&request, "") <= room);
        }
    }
}
