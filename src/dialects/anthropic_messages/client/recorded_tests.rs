//! Every recorded answer of every dialect as a client of messages gets it: a legal stream that folds to the message in one piece.

#[expect(dead_code, reason = "the tests of the dialects use the rest")]
#[path = "../../../../tests/common/mod.rs"]
mod common;

use serde_json::Value;

use super::{super::Passthrough, MessageWriter, grammar, message};
use crate::{
    catalog::Dialect,
    chat::Event,
    dialects::{
        StreamReader,
        report::{Meta, UsageReport, WriterOptions},
        response,
    },
};

const APIS: [(&str, Dialect); 12] = [
    ("anthropic.messages", Dialect::AnthropicMessages),
    ("azure.anthropic_messages", Dialect::AnthropicMessages),
    ("vertex.anthropic_rawPredict", Dialect::AnthropicMessages),
    ("openai.chat", Dialect::OpenaiChat),
    ("openrouter.chat", Dialect::OpenaiChat),
    ("deepseek.chat", Dialect::OpenaiChat),
    ("groq.chat", Dialect::OpenaiChat),
    ("mistral.chat", Dialect::OpenaiChat),
    ("xai.chat", Dialect::OpenaiChat),
    ("minimax.chat", Dialect::OpenaiChat),
    ("google.generateContent", Dialect::Gemini),
    ("vertex.generateContent", Dialect::Gemini),
];

fn meta() -> Meta {
    Meta {
        id: "gen-1".into(),
        created: 7,
        model: "a/b".into(),
        provider: "P".into(),
    }
}

/// What an answer means, if it is one.
fn read(case: &common::Case, dialect: Dialect) -> Option<Vec<Event>> {
    if !case.stream {
        return response(dialect, &case.response, &[]).ok();
    }
    let mut reader = StreamReader::new(dialect, &[]);
    let mut events = Vec::new();
    reader.feed(&case.response, &mut events).ok()?;
    reader.finish(&mut events).ok()?;
    let is_whole = events.contains(&Event::Done);
    is_whole.then_some(events)
}

#[test]
fn every_recorded_answer_is_a_legal_stream_and_the_same_message() {
    let options = WriterOptions::default();
    let report = UsageReport::default();
    let (mut answers, mut passed) = (0, 0);
    for (api, dialect) in APIS {
        for case in common::recorded(api).unwrap_or_default() {
            let Some(events) = read(&case, dialect).filter(|_| case.status == 200) else {
                continue;
            };
            let mut out = Vec::new();
            let mut writer = MessageWriter::new(&meta(), options);
            events
                .iter()
                .for_each(|event| writer.write(event, &mut out));
            writer.finish(&report, &mut out);
            let whole = message(&meta(), &events, &report, options);
            let whole: Value = serde_json::from_slice(&whole).unwrap();
            assert_eq!(grammar::read(&out).message, whole, "{api} {}", case.name);
            answers += 1;
            if case.stream && dialect == Dialect::AnthropicMessages {
                let (mut pass, mut out, mut seen) =
                    (Passthrough::new(&meta(), options), Vec::new(), Vec::new());
                pass.feed(&case.response, &mut out, &mut seen).unwrap();
                pass.end(&mut out, &mut seen).unwrap();
                pass.finish(&report, &mut out);
                assert_eq!(seen, events, "{}", case.name);
                let message = grammar::read(&out).message;
                assert_eq!(
                    message["stop_reason"], whole["stop_reason"],
                    "{}",
                    case.name
                );
                passed += 1;
            }
        }
    }
    if answers > 0 {
        println!("{answers} recorded answers as messages, {passed} streams passed on");
        assert!(answers > 300 && passed > 40, "{answers} {passed}");
    }
}
