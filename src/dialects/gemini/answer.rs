//! The reader behind both forms of an answer: chunks in, canonical events out.
//!
//! An answer in one piece is one chunk, a stream is several; one reader and one usage accumulator serve both, so both fold to
//! the same message. Out of scope: framing (`stream`), requests.

use serde_json::{Value, json};

use super::{
    error::from_object,
    grounding::{PartStarts, Widths, from_citations, from_grounding},
    stop::{failure, stop_reason},
    wire::{Blob, Candidate, Chunk, FunctionCall, LogprobsResult, LogprobsToken, Part},
};
use crate::{
    chat::{
        Completion, Delta, Event, FinishReason, ReasoningDetail, ReasoningFormat, ReasoningKind,
        Usage,
    },
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

/// What was seen of one candidate.
#[derive(Debug, Default)]
struct Choice {
    seen: bool,
    /// Tool calls so far; the next one's index (P50).
    calls: u32,
    /// Calls that the provider ran itself.
    answered: u32,
    images: u32,
    /// Index of the current or next reasoning block.
    block: u32,
    /// The current block is open: more thoughts belong to it.
    thinking: bool,
    widths: Widths,
    code: Option<Value>,
    annotations: Vec<Value>,
    finish: Option<(FinishReason, String)>,
}

impl Choice {
    /// What a plain stop means: a call that waits for its result is the reason (P52).
    fn stopped(&self) -> FinishReason {
        if self.calls > self.answered {
            FinishReason::ToolCalls
        } else {
            FinishReason::Stop
        }
    }
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

/// Writes the events of one candidate.
struct Writer<'a> {
    index: u32,
    call_prefix: &'a str,
    choice: &'a mut Choice,
    events: &'a mut Vec<Event>,
}

impl Writer<'_> {
    fn push(&mut self, delta: Delta) {
        self.events.push(Event::delta(self.index, delta));
    }

    /// One part; every part is read, whatever its position (P51).
    fn part(&mut self, part: Part) {
        let signature = part.thought_signature.filter(|data| !data.is_empty());
        if part.thought {
            // Drafts of images among the thoughts are not part of the answer.
            return self.thought(part.text.unwrap_or_default(), signature);
        }
        let mut owner = None;
        if let Some(text) = part.text.filter(|text| !text.is_empty()) {
            self.close_block();
            self.choice.widths.push(&text);
            self.push(Delta::Text(text));
        }
        if let Some(call) = part.function_call {
            owner = Some(self.call(call));
        }
        if part.function_response.is_some() {
            self.choice.answered = self.choice.answered.saturating_add(1);
        }
        if let Some(blob) = part.inline_data {
            owner = owner.or(self.blob(blob));
        }
        if let Some(file) = part.file_data.filter(|f| f.mime_type.starts_with("image/")) {
            self.image(file.file_uri);
        }
        if let Some(code) = part.executable_code {
            self.flush_code(None);
            self.choice.code = Some(code);
        }
        if let Some(result) = part.code_execution_result {
            self.flush_code(Some(result));
        }
        if let Some(data) = signature {
            self.block(ReasoningKind::Encrypted { data }, owner);
        }
    }

    fn thought(&mut self, text: String, signature: Option<String>) {
        if !text.is_empty() {
            self.choice.thinking = true;
            let detail =
                ReasoningDetail::text(ReasoningFormat::GoogleGemini, self.choice.block, text);
            self.push(Delta::Reasoning(detail));
        }
        if signature.is_some() {
            self.choice.thinking = false;
            let text = None;
            self.block(ReasoningKind::Text { text, signature }, None);
        }
    }

    /// Whatever follows a thought begins a new block.
    fn close_block(&mut self) {
        if std::mem::take(&mut self.choice.thinking) {
            self.choice.block = self.choice.block.saturating_add(1);
        }
    }

    /// A whole block at once.
    fn block(&mut self, kind: ReasoningKind, id: Option<String>) {
        self.close_block();
        let detail = ReasoningDetail {
            kind,
            format: ReasoningFormat::GoogleGemini,
            id,
            index: Some(self.choice.block),
        };
        self.choice.block = self.choice.block.saturating_add(1);
        self.push(Delta::Reasoning(detail));
    }

    /// A function call comes whole. Returns its id.
    fn call(&mut self, call: FunctionCall) -> String {
        self.close_block();
        let index = self.choice.calls;
        self.choice.calls = index.saturating_add(1);
        let id = call
            .id
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| self.call_id(index));
        self.push(Delta::ToolCallStart {
            index,
            id: id.clone(),
            name: call.name,
        });
        let json = match call.args.as_deref().map(|args| args.get()) {
            None | Some("null") => "{}".to_owned(), // P55
            Some(args) => compact(args),
        };
        self.push(Delta::ToolCallArguments { index, json });
        id
    }

    /// An id for a call that came without one: made from the answer's id, so that it is unique in a conversation, and from
    /// the position, so that the same bytes always give the same id.
    fn call_id(&self, index: u32) -> String {
        let mut id = "call_".to_owned();
        if !self.call_prefix.is_empty() {
            id.push_str(self.call_prefix);
            id.push('_');
        }
        if self.index > 0 {
            id.push_str(&format!("{}_", self.index));
        }
        id.push_str(&index.to_string());
        id
    }

    /// Bytes of the answer. Returns the name under which a signature of this part is kept.
    fn blob(&mut self, blob: Blob) -> Option<String> {
        if let Some(kind) = blob.mime_type.strip_prefix("audio/") {
            self.close_block();
            let format = match kind.split(';').next() {
                Some("L16" | "l16" | "pcm") => "pcm16",
                Some(kind) => kind,
                None => "",
            };
            let id = format!("audio_{}", self.index);
            self.push(Delta::Audio(json!({
                "id": id, "data": blob.data, "transcript": "", "format": format, "mime_type": blob.mime_type,
            })));
            return None;
        }
        if blob.mime_type.starts_with("image/") {
            let id = image_id(self.choice.images);
            self.image(format!("data:{};base64,{}", blob.mime_type, blob.data));
            return Some(id);
        }
        None
    }

    fn image(&mut self, url: String) {
        self.close_block();
        self.choice.images = self.choice.images.saturating_add(1);
        self.push(Delta::Image { url });
    }

    /// Code that the provider ran is told with its result, as one step of the reasoning.
    fn flush_code(&mut self, result: Option<Value>) {
        let arguments = self.choice.code.take();
        if arguments.is_some() || result.is_some() {
            let tool_name = "code_execution".to_owned();
            let kind = ReasoningKind::ServerToolCall {
                tool_name,
                arguments,
                result,
            };
            self.block(kind, None);
        }
    }

    /// Metadata may be repeated from chunk to chunk: each annotation is told once.
    fn annotate(&mut self, annotations: Vec<Value>) {
        for annotation in annotations {
            if !self.choice.annotations.contains(&annotation) {
                self.choice.annotations.push(annotation.clone());
                self.push(Delta::Annotation(annotation));
            }
        }
    }
}

/// The name under which the signature of the n-th image of a message travels.
pub(super) fn image_id(index: u32) -> String {
    format!("image_{index}")
}

/// The tier's canonical word: what Gemini calls `standard` is the default elsewhere.
fn service_tier(native: &str) -> String {
    match native.to_ascii_lowercase().as_str() {
        "standard" => "default".to_owned(),
        other => other.to_owned(),
    }
}

/// JSON text without the white space between its tokens: answers in one piece come indented, streams do not. Numbers and
/// strings stay as they were written.
fn compact(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_string = c == '"';
        }
        text.push(c);
    }
    text
}

fn logprobs(result: &LogprobsResult) -> Value {
    let token = |token: &LogprobsToken| json!({"token": token.token, "logprob": token.log_probability, "bytes": token.token.as_bytes()});
    let content = result
        .chosen_candidates
        .iter()
        .enumerate()
        .map(|(at, chosen)| {
            let top = result.top_candidates.get(at);
            let top: Vec<Value> = top
                .iter()
                .flat_map(|top| top.candidates.iter().map(token))
                .collect();
            let mut entry = token(chosen);
            if let Some(entry) = entry.as_object_mut() {
                entry.insert("top_logprobs".to_owned(), Value::Array(top));
            }
            entry
        });
    json!({"content": content.collect::<Vec<_>>(), "refusal": null})
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn white_space_goes_and_strings_stay() {
        let pretty = "{\n  \"a b\": \" x\\\" \\\\\",\n  \"n\": 12345678901234567890.50\n}";
        assert_eq!(
            compact(pretty),
            "{\"a b\":\" x\\\" \\\\\",\"n\":12345678901234567890.50}"
        );
    }
}
