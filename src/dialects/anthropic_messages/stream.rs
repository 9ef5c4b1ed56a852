//! The native event stream, in any chunking.
//!
//! `ping` and events to come are passed over; `message_stop` is the end mark, and nothing after it is read.

use super::{
    answer::Answer,
    error,
    wire::{Block, Message, StreamEvent},
};
use crate::{
    chat::Event,
    dialects::sse::{Frame, SseParser},
    error::{Error, ErrorType, Result},
};

/// A stream being read.
#[derive(Debug, Default)]
pub struct Stream {
    sse: SseParser,
    reader: Reader,
}

impl Stream {
    /// A stream of which nothing has arrived.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes.
    ///
    /// # Errors
    /// When an event is not what the dialect allows, or too large.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<()> {
        let Self { sse, reader } = self;
        sse.feed(bytes, |frame| reader.frame(frame, events))
    }

    /// The connection ended.
    ///
    /// # Errors
    /// As [`Stream::feed`].
    pub fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let Self { sse, reader } = self;
        sse.finish(|frame| reader.frame(frame, events))
    }
}

/// Reads events, whoever takes the frames apart.
#[derive(Debug, Default)]
pub(super) struct Reader {
    answer: Answer,
    ended: bool,
}

impl Reader {
    pub(super) fn frame(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<()> {
        // Some hosts keep the connection alive with empty data, or close it as chat completions do.
        if self.ended || frame.data.is_empty() || frame.data == b"[DONE]" {
            return Ok(());
        }
        let event: StreamEvent<'_> =
            crate::json::from_slice(frame.data).map_err(|_| not_an_event(frame.data))?;
        let kind = match event.kind.as_ref() {
            "" => frame.event,
            kind => kind,
        };
        let index = event.index.unwrap_or(0);
        match kind {
            "message_start" => {
                if let Some(message) = event.message {
                    self.message_start(message, events);
                }
            }
            "content_block_start" => {
                if let Some(block) = event.content_block {
                    self.block_start(index, block, events);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = event.delta {
                    self.answer.delta(index, delta, events);
                }
            }
            "content_block_stop" => self.answer.close_block(index, events),
            "message_delta" => {
                if let Some(stop) = event.delta.and_then(|mut delta| delta.take_stop()) {
                    self.answer.stop(stop, events);
                }
                events.extend(self.answer.usage(event.usage.as_ref()).map(Event::Usage));
            }
            "message_stop" => {
                self.ended = true;
                self.answer.close(events);
                events.push(Event::Done);
            }
            // P111: an error is never content nor a finish reason.
            "error" => {
                self.ended = true;
                events.push(Event::Error(error::in_band(frame.data)));
            }
            _ if event.error.is_some() => {
                self.ended = true;
                events.push(Event::Error(error::in_band(frame.data)));
            }
            _ => {}
        }
        Ok(())
    }

    fn message_start(&mut self, mut message: Message, events: &mut Vec<Event>) {
        self.answer.start(&mut message, events);
        events.extend(self.answer.usage(message.usage.as_ref()).map(Event::Usage));
        if let Some(stop) = message.take_stop() {
            self.answer.stop(stop, events);
        }
    }

    fn block_start(&mut self, index: u64, block: Block, events: &mut Vec<Event>) {
        // A host that forgets content_block_stop must not have two blocks written into one.
        self.answer.close_block(index, events);
        self.answer.open_block(index, block, events);
    }
}

fn not_an_event(data: &[u8]) -> Error {
    Error::upstream(
        ErrorType::ProviderUnavailable,
        "The provider's stream holds an event that cannot be read",
    )
    .with_raw(data)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::{Choice, Completion, FinishReason, ReasoningKind};

    const START: &str = r#"{"type":"message_start","message":{"type":"message","id":"msg_1","model":"claude","content":[],"usage":{"input_tokens":9,"output_tokens":1,"service_tier":"standard"}}}"#;
    const STOP: &str = r#"{"type":"message_stop"}"#;

    fn read(data: &[&str]) -> Vec<Event> {
        let mut stream = Stream::new();
        let mut events = Vec::new();
        for data in data {
            let frame = format!("data: {data}\n\n");
            stream.feed(frame.as_bytes(), &mut events).unwrap();
        }
        stream.finish(&mut events).unwrap();
        events
    }

    fn end(reason: &str) -> String {
        json!({"type":"message_delta","delta":{"stop_reason":reason,"stop_sequence":null},"usage":{"output_tokens":15}})
            .to_string()
    }

    /// The message of one stream, after checking that the answer in one piece folds to the same.
    fn message(data: &[&str], whole: Value) -> Choice {
        let streamed = Completion::from_events(read(data));
        let whole =
            Completion::from_events(super::super::response(whole.to_string().as_bytes()).unwrap());
        assert_eq!(streamed.choices, whole.choices);
        assert!(streamed.done && whole.done);
        streamed.choices.into_iter().next().unwrap()
    }

    fn whole(content: Value, stop_reason: &str) -> Value {
        json!({"type":"message","id":"msg_1","model":"claude","role":"assistant","content":content,
            "stop_reason":stop_reason,"stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":15}})
    }

    #[test]
    fn tool_calls_are_numbered_apart_from_blocks_and_an_empty_input_is_an_object() {
        // P49, P55, P73
        let choice = message(
            &[
                START,
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}"#,
                r#"{"type":"content_block_stop","index":0}"#,
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_a","name":"now","input":{}}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}"#,
                r#"{"type":"content_block_stop","index":1}"#,
                r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_b","name":"add","input":{}}}"#,
                r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
                r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
                r#"{"type":"content_block_stop","index":2}"#,
                &end("tool_use"),
                STOP,
            ],
            whole(
                json!([
                    {"type":"thinking","thinking":"","signature":"sig"},
                    {"type":"tool_use","id":"toolu_a","name":"now","input":{}},
                    {"type":"tool_use","id":"toolu_b","name":"add","input":{"a":1}},
                ]),
                "tool_use",
            ),
        );
        let calls: Vec<_> = choice
            .tool_calls
            .iter()
            .map(|call| (call.id.as_str(), call.arguments.as_str()))
            .collect();
        assert_eq!(calls, [("toolu_a", "{}"), ("toolu_b", "{\"a\":1}")]);
        assert_eq!(choice.finish, Some(FinishReason::ToolCalls));
        assert_eq!(choice.content, None);
    }

    #[test]
    fn input_that_comes_with_the_start_of_a_block_is_kept() {
        // P57
        let events = read(&[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{"x": [1, 2]}}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            STOP,
        ]);
        let completion = Completion::from_events(events);
        assert_eq!(
            completion.choices[0].tool_calls[0].arguments,
            r#"{"x":[1,2]}"#
        );
    }

    #[test]
    fn thinking_keeps_its_signature_and_redacted_thinking_its_data() {
        // P24, P81, P82, P83
        let choice = message(
            &[
                START,
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me "}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"see."}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQB"}}"#,
                r#"{"type":"content_block_stop","index":0}"#,
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"opaque"}}"#,
                r#"{"type":"content_block_stop","index":1}"#,
                r#"{"type":"content_block_start","index":2,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
                r#"{"type":"content_block_delta","index":2,"delta":{"type":"signature_delta","signature":"bare"}}"#,
                r#"{"type":"content_block_stop","index":2}"#,
                &end("end_turn"),
                STOP,
            ],
            whole(
                json!([
                    {"type":"thinking","thinking":"Let me see.","signature":"EqQB"},
                    {"type":"redacted_thinking","data":"opaque"},
                    {"type":"thinking","thinking":"","signature":"bare"},
                ]),
                "end_turn",
            ),
        );
        let kinds: Vec<_> = choice
            .reasoning
            .into_iter()
            .map(|detail| detail.kind)
            .collect();
        assert_eq!(
            kinds,
            [
                ReasoningKind::Text {
                    text: Some("Let me see.".into()),
                    signature: Some("EqQB".into())
                },
                ReasoningKind::Encrypted {
                    data: "opaque".into()
                },
                ReasoningKind::Text {
                    text: None,
                    signature: Some("bare".into())
                },
            ]
        );
    }

    #[test]
    fn server_tools_are_told_but_never_asked_of_the_client() {
        let result = json!([{"type":"web_search_result","url":"https://a.example","title":"A","encrypted_content":"…","page_age":null}]);
        let citation = json!({"type":"web_search_result_location","url":"https://a.example","title":"A","cited_text":"quote","encrypted_index":"…"});
        let choice = message(
            &[
                START,
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Über: "}}"#,
                r#"{"type":"content_block_stop","index":0}"#,
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"server_tool_use","id":"srv_1","name":"web_search","input":{}}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"query\":\"a\"}"}}"#,
                r#"{"type":"content_block_stop","index":1}"#,
                &json!({"type":"content_block_start","index":2,"content_block":{"type":"web_search_tool_result","tool_use_id":"srv_1","content":result}}).to_string(),
                r#"{"type":"content_block_stop","index":2}"#,
                r#"{"type":"content_block_start","index":3,"content_block":{"type":"text","text":"","citations":[]}}"#,
                &json!({"type":"content_block_delta","index":3,"delta":{"type":"citations_delta","citation":citation}}).to_string(),
                r#"{"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":"found"}}"#,
                r#"{"type":"content_block_stop","index":3}"#,
                &end("end_turn"),
                STOP,
            ],
            whole(
                json!([
                    {"type":"text","text":"Über: "},
                    {"type":"server_tool_use","id":"srv_1","name":"web_search","input":{"query":"a"}},
                    {"type":"web_search_tool_result","tool_use_id":"srv_1","content":result},
                    {"type":"text","text":"found","citations":[citation]},
                ]),
                "end_turn",
            ),
        );
        assert!(choice.tool_calls.is_empty());
        assert_eq!(choice.finish, Some(FinishReason::Stop));
        assert_eq!(choice.content.as_deref(), Some("Über: found"));
        assert_eq!(
            choice.annotations,
            [
                json!({"type":"url_citation","url_citation":{"url":"https://a.example","title":"A","content":"quote","start_index":6,"end_index":11}})
            ]
        );
        assert_eq!(
            choice.reasoning[0].kind,
            ReasoningKind::ServerToolCall {
                tool_name: "web_search".into(),
                arguments: Some(json!({"query":"a"})),
                result: Some(json!([{"url":"https://a.example","title":"A"}])),
            }
        );
    }

    #[test]
    fn the_end_of_an_answer_keeps_its_reason() {
        // P92, P94
        for (native, expected) in [
            ("end_turn", FinishReason::Stop),
            ("stop_sequence", FinishReason::Stop),
            ("pause_turn", FinishReason::Stop),
            ("compaction", FinishReason::Stop),
            ("something_new", FinishReason::Stop),
            ("max_tokens", FinishReason::Length),
            ("model_context_window_exceeded", FinishReason::Length),
            ("tool_use", FinishReason::ToolCalls),
            ("refusal", FinishReason::ContentFilter),
        ] {
            assert_eq!(super::super::stop_reason(native), expected, "{native}");
        }
        let events = read(&[
            START,
            r#"{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"\nHuman"}}"#,
            STOP,
        ]);
        let choice = &Completion::from_events(events).choices[0];
        assert_eq!(choice.stop_sequence.as_deref(), Some("\nHuman"));
        assert_eq!(choice.native_finish.as_deref(), Some("stop_sequence"));
    }

    #[test]
    fn a_refusal_that_is_explained_says_so() {
        // P94
        let events = read(&[
            START,
            r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"type":"refusal","category":"cyber","explanation":"Not that."}},"usage":{"output_tokens":0}}"#,
            STOP,
        ]);
        let choice = &Completion::from_events(events).choices[0];
        assert_eq!(choice.refusal.as_deref(), Some("Not that."));
        assert_eq!(choice.finish, Some(FinishReason::ContentFilter));
    }

    #[test]
    fn usage_is_told_when_it_changes_and_may_be_missing_from_the_end() {
        // P06, P20, P21
        let events = read(&[START, r#"{"type":"ping"}"#, &end("end_turn"), STOP]);
        let counts: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Usage(usage) => Some((usage.prompt, usage.completion)),
                _ => None,
            })
            .collect();
        assert_eq!(counts, [(9, 1), (9, 15)]);
        assert!(
            matches!(&events[0], Event::Start { service_tier: Some(tier), .. } if tier == "default")
        );
        let fast = START.replace(r#""service_tier""#, r#""speed":"fast","service_tier""#);
        assert!(
            matches!(&read(&[&fast])[0], Event::Start { service_tier: Some(tier), .. } if tier == "priority")
        );
        let silent = read(&[
            START,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
            STOP,
        ]);
        assert_eq!(
            Completion::from_events(silent)
                .usage
                .map(|usage| usage.completion),
            Some(1)
        );
    }

    #[test]
    fn an_error_in_the_stream_is_an_error_and_ends_it() {
        // P30, P110, P111
        let events = read(&[
            START,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            STOP,
        ]);
        let completion = Completion::from_events(events);
        let error = completion.error.unwrap();
        assert_eq!(
            (error.error_type, error.status),
            (ErrorType::ProviderOverloaded, 529)
        );
        assert!(!completion.done && completion.choices.is_empty());
    }

    #[test]
    fn an_error_with_its_type_only_on_the_event_line_is_found() {
        // P112, P114
        let mut stream = Stream::new();
        let mut events = Vec::new();
        stream
            .feed(
                b"event: error\ndata: {\"error\":{\"message\":\"no\"}}\n\n",
                &mut events,
            )
            .unwrap();
        assert!(matches!(&events[..], [Event::Error(error)] if error.message == "no"));
    }

    #[test]
    fn a_stream_without_its_end_mark_is_not_done() {
        // P110, P122
        let events = read(&[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hel"}}"#,
        ]);
        let completion = Completion::from_events(events);
        assert!(!completion.done);
        assert_eq!(completion.choices[0].content.as_deref(), Some("Hel"));
    }

    #[test]
    fn unknown_events_and_blocks_are_passed_over_but_broken_ones_are_not() {
        let events = read(&[
            START,
            r#"{"type":"brand_new","index":"?"}"#.replace("\"?\"", "3").as_str(),
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"container_upload","file_id":"f"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"hologram_delta","hologram":1}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            &end("end_turn"),
            STOP,
        ]);
        assert!(!events.iter().any(Event::is_content));
        let mut stream = Stream::new();
        let error = stream
            .feed(b"data: {\"type\": \n\n", &mut Vec::new())
            .unwrap_err();
        assert_eq!(error.status, 502);
    }

    #[test]
    fn empty_text_commits_to_nothing() {
        // P116
        let events = read(&[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}"#,
        ]);
        assert!(!events.iter().any(Event::is_content));
    }

    #[test]
    fn whole_blocks_in_the_head_of_a_resumed_answer_are_read() {
        let head = json!({"type":"message_start","message":{"type":"message","id":"m","model":"c","content":[
            {"type":"tool_use","id":"toolu_1","name":"roll","input":{"die":6}}],"stop_reason":"tool_use","usage":{"input_tokens":0,"output_tokens":0}}});
        let completion = Completion::from_events(read(&[&head.to_string(), STOP]));
        let choice = &completion.choices[0];
        assert_eq!(choice.tool_calls[0].arguments, r#"{"die":6}"#);
        assert_eq!(choice.finish, Some(FinishReason::ToolCalls));
        assert!(completion.done);
    }

    #[test]
    fn interleaved_blocks_do_not_mix() {
        // P58
        let events = read(&[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"b","name":"g","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"x\":0}"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"x\":1}"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            &end("end_turn"),
            STOP,
        ]);
        let choice = &Completion::from_events(events).choices[0];
        assert_eq!(choice.tool_calls[1].arguments, r#"{"x":1}"#);
        // A host that ends a turn with calls like any other turn still asks for tools.
        assert_eq!(choice.finish, Some(FinishReason::ToolCalls));
    }

    #[test]
    fn an_error_body_sent_as_a_success_is_an_error() {
        // P112
        let error = super::super::response(
            br#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#,
        )
        .unwrap_err();
        assert_eq!(
            (error.error_type, error.status),
            (ErrorType::RateLimitExceeded, 429)
        );
        for body in [&b"{}"[..], b"[]", b"<html>"] {
            assert_eq!(super::super::response(body).unwrap_err().status, 502);
        }
    }
}
