//! An answer as it is read, block by block: the one state machine behind streams and answers in one piece.
//!
//! Text and reasoning are not announced: a block begins with its first delta. Calls and results are.

use serde_json::Value;

use super::{
    citation::annotation,
    wire::{self, Block, Citation},
};
use crate::{
    chat::{Delta, Event, FinishReason, ReasoningDetail, ReasoningFormat, ReasoningKind},
    dialects::anthropic_messages::answer::compact,
};

/// A call of a tool that the service runs itself.
const SERVER_TOOL: &str = "server_tool_use";

/// What Converse's stop reason means.
pub fn stop_reason(native: &str) -> FinishReason {
    match native {
        // P95
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "content_filtered" | "guardrail_intervened" | "refusal" => FinishReason::ContentFilter,
        "malformed_model_output" | "malformed_tool_use" => FinishReason::Error,
        // end_turn, stop_sequence, and words to come
        _ => FinishReason::Stop,
    }
}

/// The state between the blocks of one answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Blocks that have begun and not ended, by their native index. Some models interleave them (P58).
    open: Vec<(u64, Open)>,
    /// Calls of the service's own tools that wait for their result.
    server_tools: Vec<ServerTool>,
    /// Characters of text so far: citations point into the joined text.
    chars: usize,
    /// Reasoning blocks so far.
    reasoning: u32,
    /// Client tool calls so far.
    calls: u32,
}

/// A block that has begun.
#[derive(Debug)]
enum Open {
    Text {
        from: usize,
        citations: Vec<Citation>,
    },
    Reasoning {
        index: u32,
    },
    Call {
        index: u32,
        has_input: bool,
    },
    ServerTool(ServerTool),
    ServerResult {
        id: String,
        content: Vec<Value>,
    },
}

#[derive(Debug)]
struct ServerTool {
    id: String,
    name: String,
    input: String,
}

impl Answer {
    /// A block that is whole.
    pub fn block(&mut self, at: u64, block: Block, events: &mut Vec<Event>) {
        if let Some(text) = block.text {
            self.text(at, text, events);
        }
        if let Some(cited) = block.citations_content {
            for text in cited.content.into_iter().filter_map(|part| part.text) {
                self.text(at, text, events);
            }
            for citation in cited.citations {
                self.citation(at, citation);
            }
        }
        if let Some(reasoning) = block.reasoning_content {
            let (text, signature) = match reasoning.reasoning_text {
                Some(written) => (written.text, written.signature),
                None => (None, None),
            };
            let delta = wire::ReasoningDelta {
                text,
                signature,
                redacted_content: reasoning.redacted_content,
            };
            self.reasoning(at, delta, events);
        }
        if let Some(mut call) = block.tool_use {
            let input = call.input.take();
            self.call(at, call, events);
            if let Some(input) = input {
                self.input(at, compact(input.get()), events);
            }
        }
        if let Some(result) = block.tool_result {
            self.result(at, result);
        }
        self.close_block(at, events);
    }

    /// A block begins that is announced.
    pub fn start(&mut self, at: u64, start: wire::Start, events: &mut Vec<Event>) {
        // Whatever is still open under this number has ended, whether that was said or not.
        self.close_block(at, events);
        if let Some(call) = start.tool_use {
            self.call(at, call, events);
        }
        if let Some(result) = start.tool_result {
            self.result(at, result);
        }
    }

    /// More of a block.
    pub fn delta(&mut self, at: u64, delta: wire::Delta, events: &mut Vec<Event>) {
        if let Some(text) = delta.text {
            self.text(at, text, events);
        }
        if let Some(citation) = delta.citation {
            self.citation(at, citation);
        }
        if let Some(reasoning) = delta.reasoning_content {
            self.reasoning(at, reasoning, events);
        }
        if let Some(piece) = delta.tool_use {
            self.input(at, piece.input, events);
        }
        if let (Some(more), Some(Open::ServerResult { content, .. })) =
            (delta.tool_result, self.find(at))
        {
            content.extend(more);
        }
    }

    fn text(&mut self, at: u64, text: String, events: &mut Vec<Event>) {
        self.open_text(at);
        if !text.is_empty() && matches!(self.find(at), Some(Open::Text { .. })) {
            self.chars = self.chars.saturating_add(text.chars().count());
            events.push(Event::text(text));
        }
    }

    fn open_text(&mut self, at: u64) {
        if self.find(at).is_none() {
            let (from, citations) = (self.chars, Vec::new());
            self.open.push((at, Open::Text { from, citations }));
        }
    }

    /// It may come before the text that it is a source of.
    fn citation(&mut self, at: u64, citation: Citation) {
        self.open_text(at);
        if let Some(Open::Text { citations, .. }) = self.find(at) {
            citations.push(citation);
        }
    }

    fn reasoning(&mut self, at: u64, delta: wire::ReasoningDelta, events: &mut Vec<Event>) {
        if self.find(at).is_none() {
            let index = self.next_reasoning();
            self.open.push((at, Open::Reasoning { index }));
        }
        let Some(Open::Reasoning { index }) = self.find(at) else {
            return;
        };
        let index = *index;
        if let Some(text) = filled(delta.text) {
            let detail = ReasoningDetail::text(ReasoningFormat::AnthropicClaude, index, text);
            events.push(Event::delta(0, Delta::Reasoning(detail)));
        }
        if let Some(signature) = filled(delta.signature) {
            let kind = ReasoningKind::Text {
                text: None,
                signature: Some(signature),
            };
            events.push(reasoning(kind, index));
        }
        if let Some(data) = filled(delta.redacted_content) {
            events.push(reasoning(ReasoningKind::Encrypted { data }, index));
        }
    }

    fn call(&mut self, at: u64, call: wire::ToolUse, events: &mut Vec<Event>) {
        let id = filled(call.tool_use_id);
        let name = call.name.unwrap_or_default();
        if call.kind.as_deref() == Some(SERVER_TOOL) {
            let tool = ServerTool {
                id: id.unwrap_or_default(),
                name,
                input: String::new(),
            };
            self.open.push((at, Open::ServerTool(tool)));
            return;
        }
        let index = self.calls;
        self.calls = self.calls.saturating_add(1);
        let id = id.unwrap_or_else(|| format!("call_{index}"));
        events.push(Event::delta(0, Delta::ToolCallStart { index, id, name }));
        let has_input = false;
        self.open.push((at, Open::Call { index, has_input }));
    }

    fn input(&mut self, at: u64, json: String, events: &mut Vec<Event>) {
        match self.find(at) {
            Some(Open::Call { index, has_input }) if !json.is_empty() => {
                *has_input = true;
                let index = *index;
                events.push(Event::delta(0, Delta::ToolCallArguments { index, json }));
            }
            Some(Open::ServerTool(tool)) => tool.input.push_str(&json),
            _ => {}
        }
    }

    fn result(&mut self, at: u64, result: wire::ToolResult) {
        let id = result.tool_use_id.unwrap_or_default();
        let content = result.content;
        self.open.push((at, Open::ServerResult { id, content }));
    }

    /// A block ends.
    pub fn close_block(&mut self, at: u64, events: &mut Vec<Event>) {
        let Some(place) = self.open.iter().position(|(open, _)| *open == at) else {
            return;
        };
        match self.open.remove(place).1 {
            Open::Text { from, citations } => {
                let told = citations
                    .into_iter()
                    .map(|citation| annotation(citation, from, self.chars));
                events.extend(told.map(|told| Event::delta(0, Delta::Annotation(told))));
            }
            // P55: a call without arguments streams nothing, or one empty piece.
            Open::Call {
                index,
                has_input: false,
            } => {
                let json = "{}".to_owned();
                events.push(Event::delta(0, Delta::ToolCallArguments { index, json }));
            }
            Open::ServerTool(tool) => self.server_tools.push(tool),
            Open::ServerResult { id, content } => {
                let call = self.server_tools.iter().position(|tool| tool.id == id);
                if let Some(call) = call {
                    let kind = self.server_tools.remove(call).ran(Some(content.into()));
                    self.emit(kind, events);
                }
            }
            Open::Call { .. } | Open::Reasoning { .. } => {}
        }
    }

    /// No more blocks follow: ends those that are open, and tells of the service's tools that had no result.
    pub fn close(&mut self, events: &mut Vec<Event>) {
        while let Some((at, _)) = self.open.first() {
            self.close_block(*at, events);
        }
        for tool in std::mem::take(&mut self.server_tools) {
            let kind = tool.ran(None);
            self.emit(kind, events);
        }
    }

    /// The answer ends.
    pub fn stop(&mut self, native: String, events: &mut Vec<Event>) {
        self.close(events);
        let reason = match stop_reason(&native) {
            // Some models end a turn that calls tools like any other (P52).
            FinishReason::Stop if self.calls > 0 && native == "end_turn" => FinishReason::ToolCalls,
            reason => reason,
        };
        events.push(Event::Finish {
            choice: 0,
            reason,
            native,
            stop_sequence: None,
        });
    }

    fn emit(&mut self, kind: ReasoningKind, events: &mut Vec<Event>) {
        let index = self.next_reasoning();
        events.push(reasoning(kind, index));
    }

    fn next_reasoning(&mut self) -> u32 {
        let index = self.reasoning;
        self.reasoning = self.reasoning.saturating_add(1);
        index
    }

    fn find(&mut self, at: u64) -> Option<&mut Open> {
        let found = self.open.iter_mut().find(|(open, _)| *open == at);
        found.map(|(_, block)| block)
    }
}

impl ServerTool {
    fn ran(self, result: Option<Value>) -> ReasoningKind {
        ReasoningKind::ServerToolCall {
            tool_name: self.name,
            arguments: crate::json::from_str(&self.input).ok(),
            result,
        }
    }
}

fn reasoning(kind: ReasoningKind, index: u32) -> Event {
    let detail = ReasoningDetail {
        kind,
        format: ReasoningFormat::AnthropicClaude,
        id: None,
        index: Some(index),
    };
    Event::delta(0, Delta::Reasoning(detail))
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
