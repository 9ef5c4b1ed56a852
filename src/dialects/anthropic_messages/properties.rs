//! What holds for every conversation that is written and every stream that is read.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Stream, cache, messages, native::Body};
use crate::chat::{
    CacheMark, CacheTtl, Completion, Delta, Event, Message, Part, ReasoningDetail, ReasoningFormat,
    ReasoningKind, Role,
};

fn mark() -> impl Strategy<Value = Option<CacheMark>> {
    prop_oneof![
        Just(None),
        Just(Some(CacheMark { ttl: None })),
        Just(Some(CacheMark {
            ttl: Some(CacheTtl::OneHour)
        })),
    ]
}

fn words() -> impl Strategy<Value = Part> {
    let text = prop_oneof![Just(""), Just(" \n"), Just("Hi"), Just("é ")];
    (text, mark()).prop_map(|(text, cache)| Part::Text {
        text: text.to_owned(),
        cache,
    })
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("call_0".to_owned()),
        Just("functions.f:0".to_owned()),
        Just("functions:f.0".to_owned()),
    ]
}

fn thought() -> impl Strategy<Value = Part> {
    let signature = prop_oneof![Just(None), Just(Some("sig".to_owned()))];
    signature.prop_map(|signature| {
        Part::Reasoning(ReasoningDetail {
            kind: ReasoningKind::Text {
                text: Some("hm".into()),
                signature,
            },
            format: ReasoningFormat::AnthropicClaude,
            id: None,
            index: None,
        })
    })
}

fn message() -> impl Strategy<Value = Message> {
    let call = id().prop_map(|id| Part::ToolCall {
        id,
        name: "f".into(),
        arguments: String::new(),
    });
    let assistant = prop::collection::vec(prop_oneof![words(), call, thought()], 0..4)
        .prop_map(|parts| (Role::Assistant, parts));
    let result = (id(), words(), mark()).prop_map(|(call_id, part, cache)| {
        let result = Part::ToolResult {
            call_id,
            content: vec![part],
            is_error: false,
            cache,
        };
        (Role::Tool, vec![result])
    });
    let said = (
        prop_oneof![Just(Role::User), Just(Role::System), Just(Role::Developer)],
        prop::collection::vec(words(), 0..3),
    );
    prop_oneof![assistant, result, said].prop_map(|(role, parts)| Message {
        role,
        name: None,
        parts,
    })
}

fn kinds(turn: &Value) -> Vec<&str> {
    let blocks = turn["content"].as_array().unwrap();
    blocks
        .iter()
        .map(|block| block["type"].as_str().unwrap())
        .collect()
}

proptest! {
    #[test]
    fn a_written_conversation_is_one_that_the_api_takes(
        conversation in prop::collection::vec(message(), 0..10),
        whole in mark(),
    ) {
        let Ok(mut prompt) = messages::prompt(&conversation, false) else {
            // Only a conversation without a single word is refused.
            prop_assert!(conversation.iter().all(|message| message.role != Role::Tool));
            return Ok(());
        };
        cache::arrange(&mut [], &mut prompt.system, &mut prompt.turns, whole);
        let body = Body {
            model: Some("m"), anthropic_version: None, max_tokens: 1, system: prompt.system, messages: prompt.turns, tools: vec![], tool_choice: None,
            thinking: None, output_config: None, temperature: None, top_p: None, top_k: None, stop_sequences: vec![],
            metadata: None, context_management: None, service_tier: None, speed: None, stream: false,
        };
        let text = serde_json::to_string(&body).unwrap();
        prop_assert!(text.matches("\"cache_control\"").count() <= 4);
        let body: Value = crate::json::from_str(&text).unwrap();
        let turns = body["messages"].as_array().unwrap();
        let mut ids = BTreeSet::new();
        for (at, turn) in turns.iter().enumerate() {
            prop_assert_eq!(&turn["role"], if at % 2 == 0 { "user" } else { "assistant" });
            let kinds = kinds(turn);
            prop_assert!(!kinds.is_empty());
            // P64: nothing stands before a result but results.
            let results = kinds.iter().filter(|kind| **kind == "tool_result").count();
            prop_assert!(kinds.iter().take(results).all(|kind| *kind == "tool_result"));
            prop_assert_ne!(kinds.last(), Some(&"thinking"));
            for block in turn["content"].as_array().unwrap() {
                if let Some(text) = block["text"].as_str() {
                    prop_assert!(!text.trim().is_empty());
                }
                for id in [&block["id"], &block["tool_use_id"]].into_iter().filter_map(Value::as_str) {
                    // P69
                    prop_assert!(!id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)));
                }
                if let Some(id) = block["id"].as_str() {
                    prop_assert!(ids.insert(id.to_owned()), "two calls {}", id);
                }
            }
        }
    }

    #[test]
    fn any_order_of_events_is_read_and_calls_stay_whole(order in prop::collection::vec(0_usize..12, 0..24)) {
        let block = |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
        let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        let palette = [
            json!({"type": "message_start", "message": {"type": "message", "usage": {"input_tokens": 3}}}),
            block(0, json!({"type": "text", "text": "a"})),
            block(0, json!({"type": "tool_use", "id": "x", "name": "f", "input": {}})),
            block(1, json!({"type": "tool_use", "id": "y", "name": "g", "input": {"n": 1}})),
            block(1, json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})),
            block(2, json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": []})),
            delta(0, json!({"type": "text_delta", "text": "b"})),
            delta(1, json!({"type": "input_json_delta", "partial_json": "{}"})),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "content_block_stop", "index": 1}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
            json!({"type": "ping"}),
        ];
        let mut bytes: String = order.iter().map(|at| format!("data: {}\n\n", palette[*at])).collect();
        bytes.push_str("data: {\"type\":\"message_stop\"}\n\n");
        let mut stream = Stream::new();
        let mut events = Vec::new();
        stream.feed(bytes.as_bytes(), &mut events).unwrap();
        prop_assert_eq!(events.last(), Some(&Event::Done));
        let mut started = 0;
        for event in &events {
            if let Event::Delta { delta: Delta::ToolCallStart { index, .. }, .. } = event {
                // P49
                prop_assert_eq!(*index, started);
                started += 1;
            }
        }
        let completion = Completion::from_events(events);
        for call in completion.choices.iter().flat_map(|choice| &choice.tool_calls) {
            // P55
            prop_assert!(call.arguments.starts_with('{'), "{}", call.arguments);
        }
    }
}
