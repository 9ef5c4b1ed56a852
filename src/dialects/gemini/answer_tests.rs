//! Answers: what the reader makes of parts, finish reasons and chunks.

use serde_json::{Value, json};

use super::{Stream, response};
use crate::{
    chat::{
        Completion, Delta, Event, FinishReason, ReasoningDetail, ReasoningFormat, ReasoningKind,
    },
    error::{ErrorType, Next},
};

fn stream(chunks: &[Value]) -> Vec<Event> {
    let mut stream = Stream::default();
    let mut events = Vec::new();
    for chunk in chunks {
        let frame = format!("data: {chunk}\r\n\r\n");
        stream.feed(frame.as_bytes(), &mut events).unwrap();
    }
    stream.finish(&mut events).unwrap();
    events
}

fn streamed(chunks: &[Value]) -> Completion {
    Completion::from_events(stream(chunks))
}

fn parts(parts: Value) -> Value {
    json!({"responseId": "R-1.x", "candidates": [{"content": {"role": "model", "parts": parts}}]})
}

fn end(reason: &str) -> Value {
    json!({"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": reason}]})
}

fn call(name: &str) -> Value {
    json!({"functionCall": {"name": name, "args": {"a": 1}}})
}

#[test]
fn every_part_is_read_whatever_its_position() {
    // P51
    let answer = streamed(&[
        parts(json!([{"text": "I will look."}, call("find"), {"text": " Now."}])),
        end("STOP"),
    ]);
    let choice = &answer.choices[0];
    assert_eq!(choice.content.as_deref(), Some("I will look. Now."));
    assert_eq!(choice.tool_calls[0].name, "find");
}

#[test]
fn calls_are_counted_over_the_whole_answer_and_have_ids_of_their_own() {
    // P50
    let answer = streamed(&[
        parts(json!([call("a")])),
        parts(json!([call("b"), {"functionCall": {"name": "c", "id": "native"}}])),
        end("STOP"),
    ]);
    let calls = &answer.choices[0].tool_calls;
    let ids: Vec<&str> = calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["call_R-1x_0", "call_R-1x_1", "native"]);
    // P55
    assert_eq!(calls[2].arguments, "{}");
}

#[test]
fn a_call_turns_stop_into_tool_calls_even_chunks_later() {
    // P52, P53
    let answer = streamed(&[parts(json!([call("a")])), end("STOP")]);
    assert_eq!(answer.choices[0].finish, Some(FinishReason::ToolCalls));
    assert_eq!(answer.choices[0].native_finish.as_deref(), Some("STOP"));
    assert_eq!(answer.choices[0].content, None, "P73");
}

#[test]
fn limits_and_filters_are_not_overridden_by_a_call() {
    // P54, P91
    for (native, reason) in [
        ("MAX_TOKENS", FinishReason::Length),
        ("SAFETY", FinishReason::ContentFilter),
    ] {
        let answer = streamed(&[parts(json!([call("a")])), end(native)]);
        assert_eq!(answer.choices[0].finish, Some(reason));
    }
}

#[test]
fn a_malformed_call_is_an_error_that_may_be_tried_again() {
    // P93
    let mut last = end("MALFORMED_FUNCTION_CALL");
    last["candidates"][0]["finishMessage"] = "Malformed function call: print(".into();
    last["usageMetadata"] = json!({"promptTokenCount": 9, "totalTokenCount": 9});
    for answer in [
        streamed(std::slice::from_ref(&last)),
        Completion::from_events(response(last.to_string().as_bytes()).unwrap()),
    ] {
        let error = answer.error.unwrap();
        assert_eq!(
            (error.error_type, error.next),
            (ErrorType::ProviderUnavailable, Next::NextAttempt)
        );
        assert_eq!(
            error.provider_code.as_deref(),
            Some("MALFORMED_FUNCTION_CALL")
        );
        assert_eq!(
            answer.usage.unwrap().prompt,
            9,
            "counts are told before the failure"
        );
        assert_eq!(answer.choices[0].finish, Some(FinishReason::Error));
        assert!(!answer.done);
    }
}

#[test]
fn a_blocked_prompt_is_a_filtered_answer() {
    let body = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}});
    for answer in [
        streamed(std::slice::from_ref(&body)),
        Completion::from_events(response(body.to_string().as_bytes()).unwrap()),
    ] {
        assert_eq!(answer.choices[0].finish, Some(FinishReason::ContentFilter));
        assert_eq!(
            answer.choices[0].native_finish.as_deref(),
            Some("PROHIBITED_CONTENT")
        );
        assert!(answer.done && answer.error.is_none());
    }
}

#[test]
fn counts_of_later_chunks_replace_those_of_earlier_ones() {
    // P14
    let with = |mut chunk: Value, prompt: u64, output: u64| {
        chunk["usageMetadata"] =
            json!({"promptTokenCount": prompt, "candidatesTokenCount": output});
        chunk
    };
    let text = || parts(json!([{"text": "a"}]));
    let events = stream(&[
        with(text(), 10, 1),
        with(text(), 10, 1),
        with(text(), 530, 12),
        end("STOP"),
    ]);
    let counts: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Usage(usage) => Some((usage.prompt, usage.completion)),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [(10, 1), (530, 12)], "told when they change");
}

#[test]
fn a_signature_belongs_to_the_call_that_carried_it() {
    // P84: of parallel calls only the first is signed.
    let mut first = call("a");
    first["thoughtSignature"] = "sig+/=".into();
    let answer = streamed(&[parts(json!([first, call("b")])), end("STOP")]);
    let choice = &answer.choices[0];
    assert_eq!(
        choice.reasoning,
        [ReasoningDetail {
            kind: ReasoningKind::Encrypted {
                data: "sig+/=".into()
            },
            format: ReasoningFormat::GoogleGemini,
            id: Some(choice.tool_calls[0].id.clone()),
            index: Some(0),
        }]
    );
}

#[test]
fn a_signature_on_text_or_alone_is_kept() {
    // P85: in a stream it comes on an empty part of its own, in one piece on the text.
    let alone = streamed(&[
        parts(json!([{"text": "Hi"}])),
        parts(json!([{"text": "", "thoughtSignature": "s"}])),
        end("STOP"),
    ]);
    let mut body = parts(json!([{"text": "Hi", "thoughtSignature": "s"}]));
    body["candidates"][0]["finishReason"] = "STOP".into();
    let on_text = Completion::from_events(response(body.to_string().as_bytes()).unwrap());
    assert_eq!(alone, on_text);
    assert_eq!(alone.choices[0].reasoning.len(), 1);
    assert_eq!(alone.choices[0].reasoning[0].id, None);
}

#[test]
fn thoughts_are_one_block_until_something_else_comes() {
    let thought = |text: &str| json!({"text": text, "thought": true});
    let answer = streamed(&[
        parts(json!([thought("a")])),
        parts(json!([thought("b")])),
        parts(json!([{"text": "answer"}])),
        parts(json!([thought("c")])),
        end("STOP"),
    ]);
    let texts: Vec<_> = answer.choices[0]
        .reasoning
        .iter()
        .map(|block| block.readable().unwrap())
        .collect();
    assert_eq!(texts, ["ab", "c"]);
    assert_eq!(answer.choices[0].content.as_deref(), Some("answer"));
}

#[test]
fn a_signed_thought_without_words_is_kept() {
    // P82
    let thought = json!({"text": "", "thought": true, "thoughtSignature": "s"});
    let answer = streamed(&[parts(json!([thought])), end("STOP")]);
    let signed = ReasoningKind::Text {
        text: None,
        signature: Some("s".into()),
    };
    assert_eq!(answer.choices[0].reasoning[0].kind, signed);
}

#[test]
fn an_empty_opening_commits_to_nothing() {
    // P116
    let events = stream(&[parts(json!([{"text": ""}]))]);
    assert!(!events.iter().any(Event::is_content), "{events:?}");
}

#[test]
fn candidates_keep_apart() {
    let body = json!({"candidates": [
        {"content": {"parts": [{"text": "A"}]}, "finishReason": "STOP", "index": 0},
        {"content": {"parts": [call("b")]}, "finishReason": "STOP", "index": 1},
        {"finishReason": "OTHER", "index": 2}]});
    let answer = Completion::from_events(response(body.to_string().as_bytes()).unwrap());
    let finishes: Vec<_> = answer
        .choices
        .iter()
        .map(|choice| choice.finish.unwrap())
        .collect();
    assert_eq!(
        finishes,
        [
            FinishReason::Stop,
            FinishReason::ToolCalls,
            FinishReason::Error
        ]
    );
    assert!(answer.error.is_none() && answer.done);
}

#[test]
fn an_answer_in_one_piece_without_a_reason_has_stopped() {
    let body = parts(json!([call("a")])).to_string();
    let answer = Completion::from_events(response(body.as_bytes()).unwrap());
    assert_eq!(answer.choices[0].finish, Some(FinishReason::ToolCalls));
    assert!(answer.done);
}

#[test]
fn a_stream_that_breaks_off_is_not_done() {
    // P110
    assert!(!streamed(&[parts(json!([{"text": "Hal"}]))]).done);
    assert!(!streamed(&[]).done);
    let two = json!({"candidates": [{"index": 0, "finishReason": "STOP"}, {"index": 1, "content": {"parts": [{"text": "x"}]}}]});
    assert!(!streamed(&[two]).done);
    assert!(streamed(&[parts(json!([{"text": "Hello"}])), end("STOP")]).done);
}

#[test]
fn an_error_inside_a_stream_is_an_error_not_content() {
    // P30, P112
    let error = json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}});
    let answer = streamed(&[parts(json!([{"text": "Hal"}])), error]);
    assert_eq!(
        answer.error.unwrap().error_type,
        ErrorType::ProviderOverloaded
    );
    assert!(!answer.done);
}

#[test]
fn an_answer_without_candidates_is_a_failure() {
    let error = response(b"{\"responseId\":\"x\"}").unwrap_err();
    assert_eq!(error.next, Next::NextAttempt);
    let error = response(br#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#);
    assert_eq!(error.unwrap_err().error_type, ErrorType::ProviderOverloaded);
    assert!(response(b"<html>").is_err());
}

#[test]
fn images_sound_and_code_find_their_places() {
    let answer = streamed(&[
        parts(json!([{"inlineData": {"mimeType": "image/png", "data": "QQ=="}, "thought": true}])),
        parts(
            json!([{"inlineData": {"mimeType": "image/png", "data": "QUJD"}, "thoughtSignature": "s"}]),
        ),
        parts(
            json!([{"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": "AAAA"}}]),
        ),
        parts(json!([{"executableCode": {"language": "PYTHON", "code": "1+1"}}])),
        parts(json!([{"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}])),
        end("STOP"),
    ]);
    let choice = &answer.choices[0];
    assert_eq!(
        choice.images,
        ["data:image/png;base64,QUJD"],
        "drafts among the thoughts are left out"
    );
    assert_eq!(choice.reasoning[0].id.as_deref(), Some("image_0"));
    assert_eq!(choice.audio.as_ref().unwrap()["format"], "pcm16");
    let ReasoningKind::ServerToolCall {
        arguments, result, ..
    } = &choice.reasoning[1].kind
    else {
        panic!("{:?}", choice.reasoning);
    };
    assert_eq!(arguments.as_ref().unwrap()["code"], "1+1");
    assert_eq!(result.as_ref().unwrap()["output"], "2");
}

#[test]
fn log_probabilities_take_the_form_of_chat_completions() {
    let mut last = end("STOP");
    last["candidates"][0]["logprobsResult"] = json!({
        "chosenCandidates": [{"token": "é", "tokenId": 7, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}, {"token": "e", "logProbability": -1.5}]}]});
    let answer = streamed(&[last]);
    let content = &answer.choices[0].logprobs.as_ref().unwrap()["content"][0];
    assert_eq!(
        (&content["token"], &content["bytes"]),
        (&json!("é"), &json!([195, 169]))
    );
    assert_eq!(content["top_logprobs"][1]["logprob"], -1.5);
}

#[test]
fn repeated_grounding_is_cited_once() {
    let grounded = |mut chunk: Value| {
        chunk["candidates"][0]["groundingMetadata"] = json!({
            "groundingChunks": [{"web": {"uri": "https://a.example", "title": "a"}}],
            "groundingSupports": [{"segment": {"endIndex": 2}, "groundingChunkIndices": [0]}]});
        chunk
    };
    let events = stream(&[
        grounded(parts(json!([{"text": "Hi"}]))),
        grounded(end("STOP")),
    ]);
    let cited = events.iter().filter(|event| {
        matches!(
            event,
            Event::Delta {
                delta: Delta::Annotation(_),
                ..
            }
        )
    });
    assert_eq!(cited.count(), 1);
}
