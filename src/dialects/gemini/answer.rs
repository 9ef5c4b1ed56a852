//! The reader behind both forms of an answer: chunks in, canonical events out.
//!
//! An answer in one piece is one chunk, a stream is several; one reader and one usage accumulator serve both, so both fold to
//! the same message. Out of scope: framing (`stream`), requests.

use super::{
    error::from_object,
    grounding::{PartStarts, from_citations, from_grounding},
    parts::{Choice, Writer, logprobs},
    stop::{failure, stop_reason},
    wire::{Candidate, Chunk},
};
use crate::{
    chat::{Completion, Delta, Event, FinishReason, Usage},
    error::Error,
};

/// What was seen of an answer so far.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The whole answer comes as one chunk.
    whole: bool,
    started: bool,
    /// The answer's own id, reduced to what a tool-call id may hold.
    call_prefix: String,
    choices: Vec<Choice>,
    counts: super::wire::UsageMetadata,
    usage: Option<Usage>,
    blocked: bool,
    failed: bool,
}

impl Answer {
    /// A reader for an answer in one piece.
    pub(super) fn whole() -> Self {
        Self {
            whole: true,
            ..Self::default()
        }
    }

    /// Reads the next chunk.
    pub(super) fn read(&mut self, chunk: Chunk, events: &mut Vec<Event>) {
        if self.failed {
            return;
        }
        if let Some(object) = &chunk.error {
            return self.fail(from_object(None, object), events);
        }
        self.start(&chunk, events);
        let mut finishes = Vec::new();
        for (position, candidate) in (0u32..).zip(chunk.candidates) {
            let index = candidate.index.unwrap_or(position);
            self.candidate(index, candidate, events, &mut finishes);
        }
        if let Some(metadata) = chunk.usage_metadata {
            self.counts.update(metadata);
            let usage = self.counts.canonical();
            if usage.is_some() && usage != self.usage {
                self.usage = usage;
                events.extend(usage.map(Event::Usage));
            }
        }
        if let Some(feedback) = chunk.prompt_feedback
            && let Some(reason) = feedback.block_reason
            && self.choices.is_empty()
            && !self.blocked
        {
            self.blocked = true;
            let refusal = feedback.block_reason_message.map(Delta::Refusal);
            events.extend(refusal.map(|delta| Event::delta(0, delta)));
            finishes.push((0, FinishReason::ContentFilter, reason, None));
        }
        self.finish(finishes, events);
    }

    /// The answer ended. A stream's end mark is a finish reason for each candidate that began; an answer in one piece is whole
    /// as it is, and a candidate without a reason has simply stopped.
    pub(super) fn end(&mut self, events: &mut Vec<Event>) {
        if self.failed {
            return;
        }
        if self.whole {
            let open = (0u32..)
                .zip(&self.choices)
                .filter(|(_, choice)| choice.seen && choice.finish.is_none());
            let stopped = open.map(|(index, choice)| {
                let native = "FINISH_REASON_UNSPECIFIED".to_owned();
                (index, choice.stopped(), native, None)
            });
            let finishes = stopped.collect();
            self.finish(finishes, events);
        }
        let mut begun = self.choices.iter().filter(|choice| choice.seen).peekable();
        let empty = begun.peek().is_none() && !self.blocked;
        if !empty && begun.all(|choice| choice.finish.is_some()) {
            events.push(Event::Done);
        }
    }

    fn fail(&mut self, error: Error, events: &mut Vec<Event>) {
        self.failed = true;
        events.push(Event::Error(error));
    }

    fn start(&mut self, chunk: &Chunk, events: &mut Vec<Event>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let id = chunk.response_id.clone();
        let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        self.call_prefix = id
            .iter()
            .flat_map(|id| id.chars())
            .filter(allowed)
            .collect();
        self.call_prefix.truncate(24);
        let tier = chunk
            .usage_metadata
            .as_ref()
            .and_then(|usage| usage.service_tier.as_deref());
        events.push(Event::Start {
            id,
            model: chunk.model_version.clone(),
            service_tier: tier.map(service_tier),
            system_fingerprint: None,
        });
    }

    fn candidate(
        &mut self,
        index: u32,
        candidate: Candidate,
        events: &mut Vec<Event>,
        finishes: &mut Vec<Finish>,
    ) {
        if index >= Completion::MAX_INDEX {
            return;
        }
        let slot = index as usize;
        if self.choices.len() <= slot {
            self.choices.resize_with(slot + 1, Choice::default);
        }
        let Some(choice) = self.choices.get_mut(slot) else {
            return;
        };
        choice.seen = true;
        let mut writer = Writer {
            index,
            call_prefix: &self.call_prefix,
            choice,
            events,
        };
        let mut starts = PartStarts::new();
        for part in candidate.content.unwrap_or_default().parts {
            if self.whole {
                starts.push(writer.choice.widths.bytes());
            }
            writer.part(part);
        }
        if let Some(metadata) = &candidate.grounding_metadata {
            let found = from_grounding(metadata, &writer.choice.widths, &starts);
            writer.annotate(found);
            writer.searched(&metadata.web_search_queries);
        }
        if let Some(metadata) = &candidate.citation_metadata {
            let found = from_citations(metadata, &writer.choice.widths);
            writer.annotate(found);
        }
        if let Some(result) = &candidate.logprobs_result {
            writer.push(Delta::Logprobs(logprobs(result)));
        }
        if let Some(native) = candidate.finish_reason {
            writer.flush_code(None);
            let reason = match stop_reason(&native) {
                // Remembered across chunks (P53); limits and filters keep their own word (P54).
                FinishReason::Stop => writer.choice.stopped(),
                reason => reason,
            };
            finishes.push((index, reason, native, candidate.finish_message));
        }
    }

    /// Tells the ends of this chunk, after its usage. Old models repeat `STOP` on every chunk: it is told once.
    fn finish(&mut self, finishes: Vec<Finish>, events: &mut Vec<Event>) {
        for (index, reason, native, message) in finishes {
            let told = Some((reason, native.clone()));
            if let Some(choice) = self.choices.get_mut(index as usize) {
                if choice.finish == told {
                    continue;
                }
                choice.finish = told;
            }
            events.push(Event::Finish {
                choice: index,
                reason,
                native: native.clone(),
                stop_sequence: None,
            });
            // One failed candidate of several does not spoil the others.
            if reason == FinishReason::Error && self.choices.len() == 1 {
                self.fail(failure(&native, message.as_deref()), events);
            }
        }
    }
}

/// Candidate, canonical reason, native reason, the provider's sentence about it.
type Finish = (u32, FinishReason, String, Option<String>);

/// The tier's canonical word: what Gemini calls `standard` is the default elsewhere.
fn service_tier(native: &str) -> String {
    match native.to_ascii_lowercase().as_str() {
        "standard" => "default".to_owned(),
        other => other.to_owned(),
    }
}
