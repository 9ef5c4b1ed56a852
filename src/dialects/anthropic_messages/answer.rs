//! An answer as it is read, block by block: the one state machine behind streams and answers in one piece.
//!
//! A block in one piece is opened with all its content and closed; a streamed one gets its content by deltas in between.

use serde_json::{Map, Value, json};

use super::{
    usage::Meter,
    wire::{self, Block, Message, Stop},
};
use crate::chat::{
    Delta, Event, FinishReason, ReasoningDetail, ReasoningFormat, ReasoningKind, Usage,
};

/// What Anthropic's stop reason means.
pub fn stop_reason(native: &str) -> FinishReason {
    match native {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        // P94
        "refusal" => FinishReason::ContentFilter,
        // end_turn, stop_sequence, pause_turn, compaction, and words to come
        _ => FinishReason::Stop,
    }
}

/// The state between the blocks of one answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    meter: Meter,
    /// Blocks that have begun and not ended, by their native index. Compatible hosts interleave them (P58).
    open: Vec<(u64, Open)>,
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
        citations: Vec<Value>,
    },
    Thinking {
        index: u32,
    },
    ToolUse {
        index: u32,
        input: Option<String>,
        streamed: bool,
    },
    ServerTool(ServerTool),
    Other,
}

/// A tool that Anthropic runs itself, waiting for its result.
#[derive(Debug)]
struct ServerTool {
    id: String,
    name: String,
    input: String,
    streamed: String,
}

impl Answer {
    /// The answer begins. A resumed answer may hold whole blocks in its head.
    pub fn start(&mut self, message: &mut Message, events: &mut Vec<Event>) {
        let usage = message.usage.as_ref();
        let is_fast = usage.is_some_and(|usage| usage.speed.as_deref() == Some("fast"));
        let tier = usage.and_then(|usage| usage.service_tier.as_deref());
        let tier = if is_fast { Some("priority") } else { tier };
        events.push(Event::Start {
            id: message.id.take(),
            model: message.model.take(),
            service_tier: tier.map(|tier| canonical_tier(tier).to_owned()),
            system_fingerprint: None,
        });
        for (index, block) in (0..).zip(message.content.take().unwrap_or_default()) {
            self.open_block(index, block, events);
            self.close_block(index, events);
        }
    }

    /// A block begins, with as much content as it already has.
    pub fn open_block(&mut self, index: u64, block: Block, events: &mut Vec<Event>) {
        let open = match block.kind.as_str() {
            "text" => Open::Text {
                from: self.chars,
                citations: block.citations.unwrap_or_default(),
            },
            "thinking" => Open::Thinking {
                index: self.next_reasoning(),
            },
            "redacted_thinking" => {
                let data = block.data.unwrap_or_default();
                self.emit_reasoning(ReasoningKind::Encrypted { data }, events);
                Open::Other
            }
            "tool_use" => self.open_tool_use(block.id, block.name, block.input.as_deref(), events),
            "server_tool_use" | "mcp_tool_use" => Open::ServerTool(ServerTool {
                id: block.id.unwrap_or_default(),
                name: block.name.unwrap_or_default(),
                input: block
                    .input
                    .map_or_else(String::new, |input| compact(input.get())),
                streamed: String::new(),
            }),
            kind if kind.ends_with("_tool_result") => {
                let result = block.content.map(|content| outline(kind, content));
                self.server_tool_result(block.tool_use_id.as_deref(), kind, result, events);
                Open::Other
            }
            // container_upload, compaction, and block types to come
            _ => Open::Other,
        };
        if matches!(open, Open::Text { .. } | Open::Thinking { .. }) {
            self.open.push((index, open));
            self.text(index, block.text, events);
            self.thinking(index, block.thinking, events);
            self.signature(index, block.signature, events);
        } else {
            self.open.push((index, open));
        }
    }

    fn open_tool_use(
        &mut self,
        id: Option<String>,
        name: Option<String>,
        input: Option<&serde_json::value::RawValue>,
        events: &mut Vec<Event>,
    ) -> Open {
        let index = self.calls;
        self.calls = self.calls.saturating_add(1);
        let id = id.filter(|id| !id.is_empty());
        events.push(Event::delta(
            0,
            Delta::ToolCallStart {
                index,
                id: id.unwrap_or_else(|| format!("call_{index}")),
                name: name.unwrap_or_default(),
            },
        ));
        Open::ToolUse {
            index,
            input: input.map(|input| compact(input.get())),
            streamed: false,
        }
    }

    /// More content for an open block.
    pub fn delta(&mut self, index: u64, delta: wire::Delta, events: &mut Vec<Event>) {
        match delta.kind.as_str() {
            "text_delta" => self.text(index, delta.text, events),
            "thinking_delta" => self.thinking(index, delta.thinking, events),
            "signature_delta" => self.signature(index, delta.signature, events),
            "input_json_delta" => self.input_json(index, delta.partial_json, events),
            "citations_delta" => {
                if let Some(Open::Text { citations, .. }) = self.block(index) {
                    citations.extend(delta.citation);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, index: u64, text: Option<String>, events: &mut Vec<Event>) {
        if let (Some(text), Some(Open::Text { .. })) = (filled(text), self.block(index)) {
            self.chars = self.chars.saturating_add(text.chars().count());
            events.push(Event::text(text));
        }
    }

    fn thinking(&mut self, index: u64, text: Option<String>, events: &mut Vec<Event>) {
        if let (Some(text), Some(Open::Thinking { index })) = (filled(text), self.block(index)) {
            let detail = ReasoningDetail::text(ReasoningFormat::AnthropicClaude, *index, text);
            events.push(Event::delta(0, Delta::Reasoning(detail)));
        }
    }

    fn signature(&mut self, index: u64, signature: Option<String>, events: &mut Vec<Event>) {
        if let (Some(signature), Some(Open::Thinking { index })) =
            (filled(signature), self.block(index))
        {
            let kind = ReasoningKind::Text {
                text: None,
                signature: Some(signature),
            };
            events.push(reasoning(kind, *index));
        }
    }

    fn input_json(&mut self, index: u64, json: Option<String>, events: &mut Vec<Event>) {
        let Some(json) = filled(json) else {
            return;
        };
        match self.block(index) {
            Some(Open::ToolUse {
                index, streamed, ..
            }) => {
                *streamed = true;
                let index = *index;
                events.push(Event::delta(0, Delta::ToolCallArguments { index, json }));
            }
            Some(Open::ServerTool(tool)) => tool.streamed.push_str(&json),
            _ => {}
        }
    }

    /// A block ends.
    pub fn close_block(&mut self, index: u64, events: &mut Vec<Event>) {
        let Some(at) = self.open.iter().position(|(open, _)| *open == index) else {
            return;
        };
        match self.open.remove(at).1 {
            Open::Text { from, citations } => {
                let annotations = citations.into_iter().filter_map(|citation| {
                    annotation(citation, from, self.chars).map(Delta::Annotation)
                });
                events.extend(annotations.map(|delta| Event::delta(0, delta)));
            }
            // P55: a call without arguments streams nothing, or one empty piece.
            Open::ToolUse {
                index,
                input,
                streamed: false,
            } => {
                let json = filled(input).unwrap_or_else(|| "{}".to_owned());
                events.push(Event::delta(0, Delta::ToolCallArguments { index, json }));
            }
            Open::ServerTool(tool) => self.server_tools.push(tool),
            Open::ToolUse { .. } | Open::Thinking { .. } | Open::Other => {}
        }
    }

    /// Token counts, where they changed.
    pub fn usage(&mut self, report: Option<&wire::Usage>) -> Option<Usage> {
        self.meter.update(report?)
    }

    /// No more blocks follow: ends those that are open, and tells of server tools that had no result.
    pub fn close(&mut self, events: &mut Vec<Event>) {
        while let Some((index, _)) = self.open.first() {
            self.close_block(*index, events);
        }
        for tool in std::mem::take(&mut self.server_tools) {
            let kind = tool.ran(None);
            self.emit_reasoning(kind, events);
        }
    }

    /// The answer ends.
    pub fn stop(&mut self, stop: Stop, events: &mut Vec<Event>) {
        self.close(events);
        let explanation = stop.details.and_then(|details| details.explanation);
        if let Some(explanation) = filled(explanation) {
            events.push(Event::delta(0, Delta::Refusal(explanation)));
        }
        let reason = match stop_reason(&stop.reason) {
            // Compatible hosts end a turn that calls tools like any other.
            FinishReason::Stop if self.calls > 0 && stop.reason == "end_turn" => {
                FinishReason::ToolCalls
            }
            reason => reason,
        };
        events.push(Event::Finish {
            choice: 0,
            reason,
            native: stop.reason,
            stop_sequence: stop.sequence,
        });
    }

    fn server_tool_result(
        &mut self,
        id: Option<&str>,
        kind: &str,
        result: Option<Value>,
        events: &mut Vec<Event>,
    ) {
        let call = self
            .server_tools
            .iter()
            .position(|tool| Some(tool.id.as_str()) == id);
        let detail = match call {
            Some(at) => self.server_tools.remove(at).ran(result),
            None => ReasoningKind::ServerToolCall {
                tool_name: kind.trim_end_matches("_tool_result").to_owned(),
                arguments: None,
                result,
            },
        };
        self.emit_reasoning(detail, events);
    }

    fn emit_reasoning(&mut self, kind: ReasoningKind, events: &mut Vec<Event>) {
        let index = self.next_reasoning();
        events.push(reasoning(kind, index));
    }

    fn next_reasoning(&mut self) -> u32 {
        let index = self.reasoning;
        self.reasoning = self.reasoning.saturating_add(1);
        index
    }

    fn block(&mut self, index: u64) -> Option<&mut Open> {
        let found = self.open.iter_mut().find(|(open, _)| *open == index);
        found.map(|(_, block)| block)
    }
}

impl ServerTool {
    fn ran(self, result: Option<Value>) -> ReasoningKind {
        let json = filled(Some(self.streamed)).unwrap_or(self.input);
        ReasoningKind::ServerToolCall {
            tool_name: self.name,
            arguments: crate::json::from_str(&json).ok(),
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

/// Anthropic's `standard` is chat completions' `default`.
fn canonical_tier(tier: &str) -> &str {
    match tier {
        "standard" => "default",
        tier => tier,
    }
}

/// A citation of the text between two positions, in the shape of chat completions' `annotations[]`.
fn annotation(citation: Value, start: usize, end: usize) -> Option<Value> {
    let Value::Object(citation) = citation else {
        return None;
    };
    let field = |name: &str| citation.get(name).filter(|value| !value.is_null()).cloned();
    let mut out = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    // A search result names its source; a document has only its title and the place in it.
    let source = field("url").or_else(|| field("source"));
    let kind = if source.is_some() {
        put("url", source);
        put("title", field("title"));
        "url_citation"
    } else {
        put("filename", field("document_title"));
        for name in [
            "file_id",
            "document_index",
            "start_page_number",
            "end_page_number",
            "start_char_index",
            "end_char_index",
            "start_block_index",
            "end_block_index",
        ] {
            put(name, field(name));
        }
        "file_citation"
    };
    put("content", field("cited_text"));
    put("start_index", Some(start.into()));
    put("end_index", Some(end.into()));
    Some(json!({ "type": kind, kind: out }))
}

/// A server tool's result without the encrypted pages and documents that are of use to Anthropic alone.
fn outline(kind: &str, content: Value) -> Value {
    let keep = |value: &Value, names: &[&str]| -> Value {
        let fields = names.iter().filter_map(|name| {
            let value = value.get(name).filter(|value| !value.is_null())?;
            Some(((*name).to_owned(), value.clone()))
        });
        Value::Object(fields.collect())
    };
    match (kind, &content) {
        ("web_search_tool_result", Value::Array(results)) => results
            .iter()
            .map(|result| keep(result, &["url", "title", "page_age"]))
            .collect(),
        ("web_fetch_tool_result", Value::Object(_)) => {
            keep(&content, &["type", "url", "retrieved_at", "error_code"])
        }
        _ => content,
    }
}

/// JSON text without the white space between its tokens; numbers and strings keep their exact form.
pub(in crate::dialects) fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    for c in json.chars() {
        if in_string {
            (in_string, escaped) = match c {
                '"' if !escaped => (false, false),
                '\\' => (true, !escaped),
                _ => (true, false),
            };
        } else if c == '"' {
            in_string = true;
        } else if c.is_ascii_whitespace() {
            continue;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compacting_keeps_strings_and_numbers() {
        let json = "{ \"a b\" : [ 1.50, \"x \\\\\\\" y\" ] ,\n \"c\" : 12345678901234567890123 }";
        assert_eq!(
            compact(json),
            r#"{"a b":[1.50,"x \\\" y"],"c":12345678901234567890123}"#
        );
    }
}
