//! The parts of one candidate → the events of one choice.

use serde_json::{Value, json};

use super::{
    grounding::Widths,
    wire::{Blob, FunctionCall, LogprobsResult, LogprobsToken, Part},
};
use crate::chat::{Delta, Event, FinishReason, ReasoningDetail, ReasoningFormat, ReasoningKind};

/// What was seen of one candidate.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) seen: bool,
    /// Tool calls so far; the next one's index (P50).
    calls: u32,
    /// Calls that the provider ran itself.
    answered: u32,
    images: u32,
    /// Index of the current or next reasoning block.
    block: u32,
    /// The current block is open: more thoughts belong to it.
    thinking: bool,
    pub(super) widths: Widths,
    code: Option<Value>,
    annotations: Vec<Value>,
    /// What the provider searched for.
    queries: Vec<String>,
    pub(super) finish: Option<(FinishReason, String)>,
}

impl Choice {
    /// What a plain stop means: a call that waits for its result is the reason (P52).
    pub(super) fn stopped(&self) -> FinishReason {
        if self.calls > self.answered {
            FinishReason::ToolCalls
        } else {
            FinishReason::Stop
        }
    }
}

/// Writes the events of one candidate.
pub(super) struct Writer<'a> {
    pub(super) index: u32,
    pub(super) call_prefix: &'a str,
    pub(super) choice: &'a mut Choice,
    pub(super) events: &'a mut Vec<Event>,
}

impl Writer<'_> {
    pub(super) fn push(&mut self, delta: Delta) {
        self.events.push(Event::delta(self.index, delta));
    }

    /// One part; every part is read, whatever its position (P51).
    pub(super) fn part(&mut self, part: Part) {
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
    pub(super) fn flush_code(&mut self, result: Option<Value>) {
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

    /// What the provider searched for: each query is told once, as a step of the reasoning.
    pub(super) fn searched(&mut self, queries: &[String]) {
        for query in queries.iter().filter(|query| !query.is_empty()) {
            if !self.choice.queries.contains(query) {
                self.choice.queries.push(query.clone());
                let kind = ReasoningKind::ServerToolCall {
                    tool_name: "web_search".to_owned(),
                    arguments: Some(json!({"query": query})),
                    result: None,
                };
                self.block(kind, None);
            }
        }
    }

    /// Metadata may be repeated from chunk to chunk: each annotation is told once.
    pub(super) fn annotate(&mut self, annotations: Vec<Value>) {
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

pub(super) fn logprobs(result: &LogprobsResult) -> Value {
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
