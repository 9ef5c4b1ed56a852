//! What has been read of an answer, and how its parts become events. A whole answer is read as the events of its stream.

use super::{
    citations,
    error::of_generation,
    stop::stop_reason,
    usage::Usage,
    wire::{Call, Citation, Content, Function},
};
use crate::{
    chat::{Completion, Delta, Event, FinishReason, ReasoningDetail, ReasoningFormat},
    error::Error,
};
use serde_json::Value;

/// An answer that is being read.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Characters of text so far.
    chars: u64,
    /// Where the text of each content block begins, in characters.
    blocks: Vec<(u64, u64)>,
    calls: Vec<Seen>,
}

/// What is known of a call. Calls are counted in the order in which they begin, whatever their index says (P49, P50).
#[derive(Debug)]
struct Seen {
    index: Option<u64>,
    has_arguments: bool,
}

impl Answer {
    /// What the model means to do with its tools: text before its calls.
    pub(super) fn plan(&mut self, words: Option<String>, events: &mut Vec<Event>) {
        self.text(words, events);
    }

    /// A piece of content block `index`, or the whole of it.
    pub(super) fn content(
        &mut self,
        index: Option<u64>,
        content: Content,
        events: &mut Vec<Event>,
    ) {
        if let Some(index) = index
            && !self.blocks.iter().any(|(known, _)| *known == index)
            && self.blocks.len() < Completion::MAX_INDEX as usize
        {
            self.blocks.push((index, self.chars));
        }
        if let Some(words) = content.thinking.filter(|words| !words.is_empty()) {
            let detail = ReasoningDetail::text(ReasoningFormat::Unknown, 0, words);
            events.push(Event::delta(0, Delta::Reasoning(detail)));
        }
        self.text(content.text, events);
    }

    fn text(&mut self, text: Option<String>, events: &mut Vec<Event>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let chars = text.chars().count();
            self.chars = self
                .chars
                .saturating_add(u64::try_from(chars).unwrap_or(u64::MAX));
            events.push(Event::text(text));
        }
    }

    /// A call begins.
    pub(super) fn call(&mut self, index: Option<u64>, call: Call, events: &mut Vec<Event>) {
        let function = call.function.unwrap_or_default();
        let Some(name) = function.name.filter(|name| !name.is_empty()) else {
            return;
        };
        let Ok(position) = u32::try_from(self.calls.len()) else {
            return;
        };
        if position >= Completion::MAX_INDEX {
            return;
        }
        let id = call.id.filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| format!("call_{position}_{name}"));
        self.calls.push(Seen {
            index,
            has_arguments: false,
        });
        let start = Delta::ToolCallStart {
            index: position,
            id,
            name,
        };
        events.push(Event::delta(0, start));
        self.arguments(index, function.arguments, events);
    }

    /// A piece of the arguments of the call with this index; without one, of the last call.
    pub(super) fn arguments(
        &mut self,
        index: Option<u64>,
        json: Option<String>,
        events: &mut Vec<Event>,
    ) {
        let at = self.calls.iter().rposition(|seen| seen.index == index);
        let at = at
            .filter(|_| index.is_some())
            .or(self.calls.len().checked_sub(1));
        let json = json.filter(|json| !json.is_empty());
        let (Some(at), Some(json)) = (at, json) else {
            return;
        };
        let seen = self.calls.get_mut(at);
        if let (Some(seen), Ok(index)) = (seen, u32::try_from(at)) {
            seen.has_arguments = true;
            events.push(Event::delta(0, Delta::ToolCallArguments { index, json }));
        }
    }

    /// A piece of a call in an event of its own.
    pub(super) fn call_piece(&mut self, index: Option<u64>, call: Call, events: &mut Vec<Event>) {
        let Function { arguments, .. } = call.function.unwrap_or_default();
        self.arguments(index, arguments, events);
    }

    /// Where a span of the text comes from. Spans of thinking have no place in the answer.
    pub(super) fn citation(&mut self, citation: Citation, events: &mut Vec<Event>) {
        if citation.kind.as_deref() == Some("THINKING_CONTENT") {
            return;
        }
        let block = citation.content_index;
        let offset = self.blocks.iter().find(|(index, _)| Some(*index) == block);
        let offset = offset.map_or(0, |(_, offset)| *offset);
        for annotation in citations::annotations(citation, offset) {
            events.push(Event::delta(0, Delta::Annotation(annotation)));
        }
    }

    /// The end. A generation that failed has no finish reason but an error (P111).
    pub(super) fn end(
        &mut self,
        reason: Option<&str>,
        told: Option<&Value>,
        usage: Option<&Usage>,
        events: &mut Vec<Event>,
    ) {
        for (index, seen) in (0_u32..).zip(&mut self.calls) {
            // P55
            if !std::mem::replace(&mut seen.has_arguments, true) {
                let json = "{}".to_owned();
                events.push(Event::delta(0, Delta::ToolCallArguments { index, json }));
            }
        }
        let counted = usage.and_then(Usage::read);
        match failure(reason, told) {
            Some(error) => {
                events.extend(counted.map(Event::Usage));
                events.push(Event::Error(error));
            }
            None => {
                if let Some(native) = reason {
                    events.push(self.finish(native));
                }
                events.extend(counted.map(Event::Usage));
                events.push(Event::Done);
            }
        }
    }

    fn finish(&self, native: &str) -> Event {
        let reason = match stop_reason(native) {
            // P52
            FinishReason::Stop if !self.calls.is_empty() => FinishReason::ToolCalls,
            reason => reason,
        };
        Event::Finish {
            choice: 0,
            reason,
            native: native.to_owned(),
            stop_sequence: None,
        }
    }
}

fn failure(reason: Option<&str>, told: Option<&Value>) -> Option<Error> {
    let told = told.filter(|told| !told.is_null());
    let reason = reason.unwrap_or("ERROR");
    (told.is_some() || stop_reason(reason) == FinishReason::Error)
        .then(|| of_generation(reason, told))
}
