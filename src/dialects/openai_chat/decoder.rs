//! Chat-completion chunks and whole answers → canonical events.
//!
//! One decoder for both: a whole answer is a chunk whose `delta` is called `message`. Top-level fields are compared as text,
//! so what a host repeats on every chunk (id, model, fingerprint, cumulative usage) is read only when it changes (P14).

use serde_json::Value;

use super::{
    answer::{self, Body, Choice, Content, Part, Thinking, filled},
    calls::{Calls, Form},
    error::in_band,
    sources, stop,
    think::{Piece, Think},
    usage,
};
use crate::{
    catalog::Quirk,
    chat::{
        Completion, Delta, Event, FinishReason, ReasoningDetail, ReasoningFormat, ReasoningKind,
        Usage,
    },
    dialects::splice::Fields,
    error::{Error, ErrorType, Result},
};

/// The top-level fields that describe an answer.
const DESCRIPTION: [&str; 4] = ["id", "model", "service_tier", "system_fingerprint"];

/// An answer that is being read.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The answer comes in one piece.
    whole: bool,
    think_tags: bool,
    reasoning_outside: bool,
    /// The last text of each field of [`DESCRIPTION`].
    description: [String; 4],
    usage_text: String,
    usage: Option<Usage>,
    choices: Vec<ChoiceState>,
    notes: Vec<Note>,
    /// The host said that it failed.
    has_failed: bool,
}

/// What one choice of the last frame was like, for those who pass it on as it came.
#[derive(Debug, Default)]
pub(super) struct Note {
    pub(super) index: u32,
    pub(super) has_role: bool,
    /// Reasoning in plain words only, without `reasoning_details`.
    pub(super) has_plain_reasoning: bool,
    pub(super) has_reasoning: bool,
    /// It ended in this frame, for this reason.
    pub(super) ended: Option<(FinishReason, String)>,
    /// A client would read it otherwise than its events say.
    pub(super) is_irregular: bool,
}

/// What is known of one choice.
#[derive(Debug, Default)]
struct ChoiceState {
    calls: Calls,
    think: Think,
    /// The last block of `reasoning_details` that came without an index.
    block: Option<(std::mem::Discriminant<ReasoningKind>, u32)>,
    blocks: u32,
    has_begun: bool,
    has_ended: bool,
}

impl Decoder {
    pub(super) fn new(quirks: &[Quirk], whole: bool) -> Self {
        Self {
            whole,
            think_tags: quirks.contains(&Quirk::ThinkTags),
            reasoning_outside: quirks.contains(&Quirk::ReasoningOutsideCompletion),
            ..Self::default()
        }
    }

    /// Reads one chunk, or the whole answer.
    pub(super) fn frame(&mut self, fields: &Fields<'_>, events: &mut Vec<Event>) -> Result<()> {
        self.notes.clear();
        self.describe(fields, events);
        if let Some(choices) = fields.get("choices") {
            let choices: Vec<Choice<'_>> = crate::json::from_str(choices).map_err(unreadable)?;
            for (at, choice) in choices.into_iter().enumerate() {
                self.choice(at, choice, fields, events);
            }
        }
        self.count(fields, events);
        if let Some(error) = fields.get("error") {
            let error: Value = crate::json::from_str(error).map_err(unreadable)?;
            self.has_failed = true;
            events.push(Event::Error(in_band(&error)));
        }
        Ok(())
    }

    /// The choices of the last frame, in its order.
    pub(super) fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Has every answer that began also ended? Hosts without `[DONE]` end so (P122).
    pub(super) fn has_ended(&self) -> bool {
        let mut begun = self
            .choices
            .iter()
            .filter(|choice| choice.has_begun)
            .peekable();
        begun.peek().is_some() && begun.all(|choice| choice.has_ended)
    }

    fn describe(&mut self, fields: &Fields<'_>, events: &mut Vec<Event>) {
        let mut has_changed = false;
        for (key, known) in DESCRIPTION.iter().zip(&mut self.description) {
            if let Some(text) = fields.get(key)
                && text != known
            {
                text.clone_into(known);
                has_changed = true;
            }
        }
        if has_changed {
            let [id, model, service_tier, system_fingerprint] =
                self.description.each_ref().map(|json| {
                    crate::json::from_str::<String>(json)
                        .ok()
                        .filter(|text| !text.is_empty())
                });
            events.push(Event::Start {
                id,
                model,
                service_tier,
                system_fingerprint,
            });
        }
    }

    fn count(&mut self, fields: &Fields<'_>, events: &mut Vec<Event>) {
        // Groq once kept the usage of streams in a field of its own.
        let groq = || {
            Fields::parse(fields.get("x_groq")?.as_bytes())
                .ok()?
                .get("usage")
        };
        let Some(text) = fields.get("usage").or_else(groq) else {
            return;
        };
        if text == self.usage_text {
            return;
        }
        text.clone_into(&mut self.usage_text);
        let usage = usage::read(text, self.reasoning_outside);
        if let Some(usage) = usage
            && self.usage != Some(usage)
        {
            self.usage = Some(usage);
            events.push(Event::Usage(usage));
        }
    }

    fn choice(
        &mut self,
        at: usize,
        mut choice: Choice<'_>,
        fields: &Fields<'_>,
        events: &mut Vec<Event>,
    ) {
        let index = choice
            .index
            .unwrap_or(u32::try_from(at).unwrap_or(u32::MAX));
        if index >= Completion::MAX_INDEX {
            return;
        }
        let slot = index as usize;
        if self.choices.len() <= slot {
            self.choices.resize_with(slot + 1, ChoiceState::default);
        }
        let (whole, think_tags) = (self.whole, self.think_tags);
        let Some(state) = self.choices.get_mut(slot) else {
            return;
        };
        state.has_begun = true;
        let mut note = Note {
            index,
            is_irregular: choice.index.is_none() || think_tags,
            ..Note::default()
        };
        let mut emit = |delta| events.push(Event::delta(index, delta));
        state.body(
            choice.body(whole),
            (whole, think_tags),
            &mut note,
            &mut emit,
        );
        if let Some(Value::Object(logprobs)) = choice.logprobs
            && logprobs.values().any(|list| !list.is_null())
        {
            emit(Delta::Logprobs(Value::Object(logprobs)));
        }
        if let Some(native) = filled(choice.finish_reason)
            && !state.has_ended
        {
            state.has_ended = true;
            state.end(&mut note, &mut emit);
            if index == 0 {
                let found = sources::beside(fields);
                note.is_irregular |= !found.is_empty();
                found.into_iter().for_each(&mut emit);
            }
            // Some hosts say `stop` although they want tools to run, and OpenAI says so where a function was forced; only
            // `stop` is overridden (P52, P54).
            let reason = stop::stop_reason(&native).with_calls(state.calls.any());
            note.ended = Some((reason, native.clone()));
            events.push(Event::Finish {
                choice: index,
                reason,
                native,
                stop_sequence: filled(choice.stop_reason),
            });
        }
        self.notes.push(note);
        if let Some(error @ Value::Object(_)) = choice.error {
            self.has_failed = true;
            events.push(Event::Error(in_band(&error)));
        }
    }

    /// The answer has no finish reason: gives out what was held back. A stream broke off; an answer in one piece is there to
    /// its end, whatever its host calls that.
    pub(super) fn flush(&mut self, events: &mut Vec<Event>) {
        for (index, state) in (0_u32..).zip(&mut self.choices) {
            if !state.has_begun || state.has_ended {
                continue;
            }
            let mut emit = |delta| events.push(Event::delta(index, delta));
            if !self.whole || self.has_failed {
                state.flush_text(&mut emit);
                continue;
            }
            let mut unused = Note::default();
            let noted = self.notes.iter_mut().find(|note| note.index == index);
            let note = noted.unwrap_or(&mut unused);
            note.is_irregular = true;
            state.has_ended = true;
            state.end(note, &mut emit);
            events.push(Event::Finish {
                choice: index,
                reason: FinishReason::Stop.with_calls(state.calls.any()),
                native: String::new(),
                stop_sequence: None,
            });
        }
    }
}

impl ChoiceState {
    fn body(
        &mut self,
        body: Body<'_>,
        (whole, think_tags): (bool, bool),
        note: &mut Note,
        emit: &mut impl FnMut(Delta),
    ) {
        note.has_role = body.role.is_some();
        // Hosts that send blocks send the same words beside them once more.
        match body.reasoning_details {
            Some(details) if !details.is_empty() => {
                note.has_reasoning = true;
                for detail in details {
                    let detail = answer::reasoning_detail(detail, ReasoningFormat::Unknown);
                    if let Some(detail) = detail {
                        emit(Delta::Reasoning(self.placed(detail)));
                    }
                }
            }
            _ => {
                let words = filled(body.reasoning_content).or_else(|| filled(body.reasoning));
                if let Some(words) = words {
                    note.has_reasoning = true;
                    note.has_plain_reasoning = true;
                    emit(thought(words));
                }
            }
        }
        match body.content {
            Some(Content::Text(text)) => self.text(text, think_tags, emit),
            Some(Content::Object(text)) => {
                note.is_irregular = true;
                self.text(text, think_tags, emit);
            }
            Some(Content::Parts(parts)) => {
                note.is_irregular = true;
                for part in parts {
                    self.part(part, think_tags, emit);
                }
            }
            None => {}
        }
        if let Some(refusal) = filled(body.refusal) {
            emit(Delta::Refusal(refusal));
        }
        let images = body.images.into_iter().flatten();
        for url in images.filter_map(|image| filled(image.image_url?.url)) {
            emit(Delta::Image { url });
        }
        if let Some(audio @ Value::Object(_)) = body.audio {
            if is_sound(&audio) {
                emit(Delta::Audio(audio));
            } else {
                note.is_irregular = true;
            }
        }
        for annotation in body.annotations.into_iter().flatten() {
            emit(Delta::Annotation(annotation));
        }
        for source in sources::of_tools(&body.executed_tools.unwrap_or_default()) {
            note.is_irregular = true;
            emit(source);
        }
        for call in body.tool_calls.into_iter().flatten() {
            note.is_irregular |= self.calls.feed(call, whole, emit) == Form::Irregular;
        }
        if let Some(function) = body.function_call {
            note.is_irregular = true;
            if !function.is_empty() {
                self.calls.feed_function(function, emit);
            }
        }
    }

    fn part(&mut self, part: Part, think_tags: bool, emit: &mut impl FnMut(Delta)) {
        if let Some(Thinking(words)) = part.thinking
            && !words.is_empty()
        {
            emit(thought(words));
        }
        if let Some(text) = filled(part.text) {
            self.text(text, think_tags, emit);
        }
        if let Some(url) = part.image_url.and_then(|image| filled(image.url)) {
            emit(Delta::Image { url });
        }
    }

    fn text(&mut self, text: String, think_tags: bool, emit: &mut impl FnMut(Delta)) {
        if text.is_empty() {
            return;
        }
        if !think_tags {
            return emit(Delta::Text(text));
        }
        let mut pieces = Vec::new();
        self.think.feed(&text, &mut pieces);
        emit_pieces(pieces, emit);
    }

    fn flush_text(&mut self, emit: &mut impl FnMut(Delta)) {
        let mut pieces = Vec::new();
        self.think.end(&mut pieces);
        emit_pieces(pieces, emit);
    }

    fn end(&mut self, note: &mut Note, emit: &mut impl FnMut(Delta)) {
        self.flush_text(emit);
        note.is_irregular |= self.calls.end(emit) == Form::Irregular;
    }

    /// Gives a block without an index the index of the block that it goes on with, or a new one.
    fn placed(&mut self, mut detail: ReasoningDetail) -> ReasoningDetail {
        let kind = std::mem::discriminant(&detail.kind);
        let index = detail.index.unwrap_or_else(|| match self.block {
            Some((last, index)) if last == kind && detail.id.is_none() => index,
            _ => self.blocks,
        });
        self.blocks = self.blocks.max(index.saturating_add(1));
        self.block = Some((kind, index));
        detail.index = Some(index);
        detail
    }
}

fn emit_pieces(pieces: Vec<Piece>, emit: &mut impl FnMut(Delta)) {
    for piece in pieces {
        emit(match piece {
            Piece::Thought(words) => thought(words),
            Piece::Text(text) => Delta::Text(text),
        });
    }
}

/// Plain reasoning is one block, wherever it comes, because the whole answer has one field for it.
fn thought(words: String) -> Delta {
    Delta::Reasoning(ReasoningDetail::text(ReasoningFormat::Unknown, 0, words))
}

/// Some hosts send the sound of an answer without any, as empty text in every field.
fn is_sound(audio: &Value) -> bool {
    let texts = audio
        .as_object()
        .into_iter()
        .flat_map(|audio| audio.values());
    let mut texts = texts.filter_map(Value::as_str).peekable();
    texts.peek().is_none() || texts.any(|text| !text.is_empty())
}

/// An answer that is not JSON, or not of this form.
pub(super) fn unreadable(error: serde_json::Error) -> Error {
    Error::upstream(
        ErrorType::ProviderUnavailable,
        format!("The provider sent an answer that cannot be read: {error}"),
    )
}
