//! Canonical events → content blocks, one open at a time (P58).
//!
//! A stream and an answer in one piece are written by the same sequence of steps, so they hold the same blocks. Providers of
//! other dialects may go on with one call after another has begun; whatever comes while a call's arguments are not yet whole
//! JSON waits for them.

use serde_json::{Map, Value, json};

use super::{super::ids::native_id, foreign, server_tools};
use crate::{
    chat::{Delta, Event, FinishReason, ReasoningDetail, ReasoningKind},
    dialects::ran::Ran,
};

/// How a block begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Opening<'a> {
    Text,
    Thinking,
    Redacted {
        data: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
    },
    /// A call that somebody ran for the model.
    ServerToolUse {
        id: &'a str,
        name: &'a str,
    },
    /// What came of it; whole.
    ServerToolResult {
        block: &'a Value,
    },
    Image {
        url: &'a str,
    },
}

/// How it goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Thinking(&'a str),
    /// Comes once, last (clients keep the last one).
    Signature(&'a str),
    Json(&'a str),
    Citation(&'a Value),
}

/// Who writes the blocks down.
pub(super) trait Sink {
    /// A block begins.
    fn open(&mut self, index: u32, opening: Opening<'_>);
    /// The open block goes on.
    fn piece(&mut self, index: u32, piece: Piece<'_>);
    /// The open block ends.
    fn close(&mut self, index: u32);
}

/// How the answer ended, in Anthropic's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stop<'a> {
    pub reason: &'a str,
    pub sequence: Option<&'a str>,
    /// What the model said instead of an answer.
    pub explanation: Option<&'a str>,
}

/// The blocks of one answer.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    exclude_reasoning: bool,
    next: u32,
    open: Option<Open>,
    /// What waits for the open call's arguments.
    held: Vec<Held>,
    /// Ids of calls, which clients send back in one conversation.
    ids: Vec<String>,
    /// Calls that somebody ran for the model.
    server_tools: u32,
    refusal: Option<String>,
    ended: Option<Ended>,
}

#[derive(Debug)]
struct Ended {
    reason: FinishReason,
    native: String,
    sequence: Option<String>,
}

#[derive(Debug)]
enum Open {
    Text,
    /// Words of reasoning; nothing is written of it until there is something to tell.
    Thinking {
        detail: ReasoningDetail,
        is_begun: bool,
    },
    /// Opaque reasoning, written when it is whole.
    Redacted(ReasoningDetail),
    Call {
        call: u32,
        progress: Progress,
    },
}

#[derive(Debug)]
enum Held {
    Delta(Delta),
    Call {
        call: u32,
        id: String,
        name: String,
        json: String,
    },
}

impl Blocks {
    /// Blocks of which none has begun.
    pub fn new(exclude_reasoning: bool) -> Self {
        Self {
            exclude_reasoning,
            ..Self::default()
        }
    }

    /// Goes on after somebody else's text, which is block 0 and open.
    pub fn resume(&mut self) {
        self.next = 1;
        self.open = Some(Open::Text);
    }

    /// The next block is number `next`, whatever was counted.
    pub fn renumber(&mut self, next: u32) {
        self.next = next;
    }

    /// Whether a call's arguments are under way.
    pub fn is_calling(&self) -> bool {
        matches!(&self.open, Some(Open::Call { progress, .. }) if !progress.is_whole())
    }

    /// Takes in one event.
    pub fn push(&mut self, event: &Event, sink: &mut impl Sink) {
        match event {
            Event::Delta { choice: 0, delta } => {
                if let Delta::ToolCallArguments { index, json } = delta {
                    self.arguments(*index, json, sink);
                } else if self.is_calling() {
                    self.hold(delta);
                } else {
                    self.delta(delta, sink);
                }
            }
            Event::Finish {
                choice: 0,
                reason,
                native,
                stop_sequence,
            } => {
                self.release(sink);
                // Some hosts repeat the end.
                self.ended.get_or_insert_with(|| Ended {
                    reason: *reason,
                    native: native.clone(),
                    sequence: stop_sequence.clone(),
                });
            }
            _ => {}
        }
    }

    /// No more events follow.
    pub fn end(&mut self, sink: &mut impl Sink) {
        self.release(sink);
        self.close(sink);
    }

    /// How the answer ended.
    pub fn stop(&self) -> Stop<'_> {
        let has_calls = !self.ids.is_empty();
        let Some(ended) = &self.ended else {
            let reason = if has_calls { "tool_use" } else { "end_turn" };
            return Stop {
                reason,
                sequence: None,
                explanation: None,
            };
        };
        // P92
        let sequence = ended.sequence.as_deref();
        let reason = match (ended.reason, ended.native.as_str()) {
            (_, own @ ("pause_turn" | "compaction" | "model_context_window_exceeded")) => own,
            (FinishReason::Stop, _) if self.refusal.is_some() => "refusal",
            (FinishReason::Stop, _) if sequence.is_some() => "stop_sequence",
            (FinishReason::Stop, "stop_sequence") => "stop_sequence",
            (FinishReason::Stop, _) if has_calls => "tool_use",
            (FinishReason::ToolCalls, _) => "tool_use",
            (FinishReason::Length, _) => "max_tokens",
            // P94
            (FinishReason::ContentFilter, _) => "refusal",
            (FinishReason::Stop | FinishReason::Error, _) => "end_turn",
        };
        Stop {
            reason,
            sequence: sequence.filter(|_| reason == "stop_sequence"),
            explanation: self.refusal.as_deref().filter(|_| reason == "refusal"),
        }
    }

    fn delta(&mut self, delta: &Delta, sink: &mut impl Sink) {
        match delta {
            Delta::Text(text) => self.text(text, sink),
            Delta::Refusal(text) => {
                self.refusal.get_or_insert_default().push_str(text);
                self.text(text, sink);
            }
            Delta::Reasoning(detail) => self.reasoning(detail, sink),
            Delta::ToolCallStart { index, id, name } => self.call(*index, id, name, "", sink),
            Delta::Image { url } => {
                self.close(sink);
                let index = self.take_index();
                sink.open(index, Opening::Image { url });
                sink.close(index);
            }
            Delta::Annotation(annotation) => {
                if let Some(citation) = citation(annotation) {
                    let index = self.text_block(sink);
                    sink.piece(index, Piece::Citation(&citation));
                }
            }
            // Sound and probabilities have no blocks; arguments come by themselves.
            Delta::Audio(_) | Delta::Logprobs(_) | Delta::ToolCallArguments { .. } => {}
        }
    }

    fn text(&mut self, text: &str, sink: &mut impl Sink) {
        // P96: an empty block is refused when it comes back.
        if !text.is_empty() {
            let index = self.text_block(sink);
            sink.piece(index, Piece::Text(text));
        }
    }

    /// The number of the open block of text.
    fn text_block(&mut self, sink: &mut impl Sink) -> u32 {
        if !matches!(self.open, Some(Open::Text)) {
            self.close(sink);
            let index = self.take_index();
            sink.open(index, Opening::Text);
            self.open = Some(Open::Text);
        }
        self.current()
    }

    fn reasoning(&mut self, detail: &ReasoningDetail, sink: &mut impl Sink) {
        let mut delta = detail.clone();
        if self.exclude_reasoning {
            blank(&mut delta.kind);
        }
        match &delta.kind {
            ReasoningKind::ServerToolCall { .. } => return self.server_tool(detail, sink),
            ReasoningKind::Text { text, signature } => {
                let says = |text: &Option<String>| text.as_deref().is_some_and(|t| !t.is_empty());
                if !says(text) && !says(signature) {
                    return;
                }
            }
            ReasoningKind::Summary { summary } if summary.is_empty() => return,
            ReasoningKind::Summary { .. } | ReasoningKind::Encrypted { .. } => {}
        }
        let rest = match &mut self.open {
            Some(Open::Thinking { detail, .. } | Open::Redacted(detail))
                if detail.format == delta.format =>
            {
                detail.absorb(delta.clone())
            }
            _ => Some(delta.clone()),
        };
        if let Some(new) = rest {
            self.close(sink);
            self.open = Some(match &new.kind {
                ReasoningKind::Encrypted { .. } => Open::Redacted(new),
                _ => Open::Thinking {
                    detail: new,
                    is_begun: false,
                },
            });
        }
        if let Some(words) = delta.readable().filter(|words| !words.is_empty()) {
            let index = self.begin_thinking(sink);
            sink.piece(index, Piece::Thinking(words));
        }
    }

    /// A search or a page that somebody ran inside the answer: the call, and what came of it. Other tools have no blocks here.
    fn server_tool(&mut self, detail: &ReasoningDetail, sink: &mut impl Sink) {
        let Some(ran) = Ran::of(detail) else { return };
        self.close(sink);
        let id = server_tools::id(self.server_tools, detail.id.as_deref());
        self.server_tools = self.server_tools.saturating_add(1);
        let called = self.take_index();
        let name = server_tools::name(&ran);
        sink.open(called, Opening::ServerToolUse { id: &id, name });
        sink.piece(called, Piece::Json(&server_tools::input(&ran)));
        sink.close(called);
        let result = self.take_index();
        let block = server_tools::result(&ran, &id);
        sink.open(result, Opening::ServerToolResult { block: &block });
        sink.close(result);
    }

    /// The number of the open block of thinking, which is written from now on.
    fn begin_thinking(&mut self, sink: &mut impl Sink) -> u32 {
        let is_new = match &mut self.open {
            Some(Open::Thinking { is_begun, .. }) => !std::mem::replace(is_begun, true),
            _ => false,
        };
        if is_new {
            let index = self.take_index();
            sink.open(index, Opening::Thinking);
        }
        self.current()
    }

    fn call(&mut self, call: u32, id: &str, name: &str, json: &str, sink: &mut impl Sink) {
        self.close(sink);
        let index = self.take_index();
        let count = 1 + self.ids.iter().filter(|known| *known == id).count();
        sink.open(
            index,
            Opening::ToolUse {
                id: &native_id(id, count),
                name,
            },
        );
        self.ids.push(id.to_owned());
        self.open = Some(Open::Call {
            call,
            progress: Progress::default(),
        });
        self.arguments(call, json, sink);
    }

    fn arguments(&mut self, index: u32, more: &str, sink: &mut impl Sink) {
        match &mut self.open {
            Some(Open::Call { call, progress }) if *call == index => {
                if !more.is_empty() {
                    progress.read(more);
                    let whole = progress.is_whole();
                    sink.piece(self.current(), Piece::Json(more));
                    if whole && !self.held.is_empty() {
                        self.resume_held(sink);
                    }
                }
            }
            _ => {
                let of_call =
                    |held: &&mut Held| matches!(held, Held::Call { call, .. } if *call == index);
                if let Some(Held::Call { json, .. }) = self.held.iter_mut().find(of_call) {
                    json.push_str(more);
                }
            }
        }
    }

    fn hold(&mut self, delta: &Delta) {
        self.held.push(match delta {
            Delta::ToolCallStart { index, id, name } => Held::Call {
                call: *index,
                id: id.clone(),
                name: name.clone(),
                json: String::new(),
            },
            delta => Held::Delta(delta.clone()),
        });
    }

    /// Writes what waited, up to the next call whose arguments are under way.
    fn resume_held(&mut self, sink: &mut impl Sink) {
        let mut held = std::mem::take(&mut self.held).into_iter();
        for each in held.by_ref() {
            match each {
                Held::Delta(delta) => self.delta(&delta, sink),
                Held::Call {
                    call,
                    id,
                    name,
                    json,
                } => self.call(call, &id, &name, &json, sink),
            }
            if self.is_calling() {
                break;
            }
        }
        self.held = held.collect();
    }

    /// Writes all that waited, whether arguments are whole or not.
    fn release(&mut self, sink: &mut impl Sink) {
        while !self.held.is_empty() {
            self.close(sink);
            self.resume_held(sink);
        }
    }

    /// Ends the open block.
    fn close(&mut self, sink: &mut impl Sink) {
        match self.open.take() {
            None => {}
            Some(Open::Text) => sink.close(self.current()),
            Some(Open::Call { progress, .. }) => {
                let index = self.current();
                // P55, P57
                if !progress.has_begun() {
                    sink.piece(index, Piece::Json("{}"));
                }
                sink.close(index);
            }
            Some(Open::Thinking { detail, is_begun }) => {
                let seal = foreign::seal(&detail);
                let is_signed = match &detail.kind {
                    ReasoningKind::Text { signature, .. } => {
                        signature.as_deref().is_some_and(|seal| !seal.is_empty())
                    }
                    _ => false,
                };
                if !is_begun && !is_signed {
                    return;
                }
                if !is_begun {
                    let index = self.take_index();
                    sink.open(index, Opening::Thinking);
                }
                let index = self.current();
                if !seal.is_empty() {
                    sink.piece(index, Piece::Signature(&seal));
                }
                sink.close(index);
            }
            Some(Open::Redacted(detail)) => {
                let index = self.take_index();
                let data = foreign::seal(&detail);
                sink.open(index, Opening::Redacted { data: &data });
                sink.close(index);
            }
        }
    }

    fn take_index(&mut self) -> u32 {
        let index = self.next;
        self.next = self.next.saturating_add(1);
        index
    }

    fn current(&self) -> u32 {
        self.next.saturating_sub(1)
    }
}

/// Takes the words out of reasoning; what signs it stays.
fn blank(kind: &mut ReasoningKind) {
    match kind {
        ReasoningKind::Text { text, .. } => *text = None,
        ReasoningKind::Summary { summary } => summary.clear(),
        ReasoningKind::Encrypted { .. } | ReasoningKind::ServerToolCall { .. } => {}
    }
}

/// How far a call's arguments have come.
#[derive(Debug, Default)]
struct Progress {
    has_begun: bool,
    is_nested: bool,
    depth: u32,
    in_string: bool,
    escaped: bool,
}

impl Progress {
    fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether the text so far is a whole value. A scalar may always be one: arguments are objects.
    fn is_whole(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.in_string
    }

    fn read(&mut self, json: &str) {
        for byte in json.bytes() {
            if !byte.is_ascii_whitespace() {
                self.has_begun = true;
            }
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' if self.is_nested => self.in_string = true,
                b'{' | b'[' => {
                    self.is_nested = true;
                    self.depth = self.depth.saturating_add(1);
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }
}

/// An annotation of chat completions as Anthropic cites; nothing for those that it has no words for.
fn citation(annotation: &Value) -> Option<Value> {
    let kind = annotation.get("type")?.as_str()?;
    let of = annotation.get(kind)?;
    let words = |name: &str| of.get(name).and_then(Value::as_str);
    let cited = words("content").unwrap_or_default();
    if kind == "url_citation" {
        return Some(json!({
            "type": "web_search_result_location", "cited_text": cited, "url": words("url")?,
            "title": words("title"), "encrypted_index": "",
        }));
    }
    let (location, range) = [
        ("page_location", ["start_page_number", "end_page_number"]),
        (
            "content_block_location",
            ["start_block_index", "end_block_index"],
        ),
        ("char_location", ["start_char_index", "end_char_index"]),
    ]
    .into_iter()
    .find(|(_, [start, _])| of.get(start).is_some())?;
    let mut citation = Map::new();
    citation.insert("type".to_owned(), location.into());
    citation.insert("cited_text".to_owned(), cited.into());
    citation.insert(
        "document_index".to_owned(),
        of.get("document_index")?.clone(),
    );
    citation.insert("document_title".to_owned(), json!(words("filename")));
    for name in range {
        citation.insert(name.to_owned(), of.get(name).cloned().unwrap_or_default());
    }
    Some(Value::Object(citation))
}
