//! Recorded answers: both forms alike, citations in their places.

use patchbay::{chat::Completion, dialects::gemini};
use serde_json::Value;

use crate::fixtures::{answers, fixtures};

/// An answer in one piece and the same answer as a stream of one event are one message.
#[test]
fn an_answer_in_one_piece_reads_as_its_stream() {
    for (name, bytes) in answers("response.json") {
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        let Ok(whole) = gemini::response(&bytes) else {
            continue;
        };
        let mut stream = gemini::Stream::default();
        let mut events = Vec::new();
        let frame = format!("data: {body}\r\n\r\n");
        stream.feed(frame.as_bytes(), &mut events).unwrap();
        stream.finish(&mut events).unwrap();
        if body.pointer("/candidates/0/finishReason").is_some() {
            assert_eq!(whole, events, "{name}");
        }
    }
}

/// Offsets of citations count characters of the message, and lead to the words that the provider cites.
#[test]
fn citations_stand_where_the_cited_words_are() {
    let mut checked = 0;
    for (name, bytes) in answers("response.sse")
        .into_iter()
        .chain(answers("response.json"))
    {
        let mut stream = gemini::Stream::default();
        let mut events = Vec::new();
        let read = stream.feed(&bytes, &mut events);
        if read.is_err() || events.is_empty() {
            events = gemini::response(&bytes).unwrap_or_default();
        }
        for choice in Completion::from_events(events).choices {
            let text: Vec<char> = choice.content.unwrap_or_default().chars().collect();
            for annotation in &choice.annotations {
                let citation = &annotation["url_citation"];
                let offset = |key: &str| usize::try_from(citation[key].as_u64().unwrap()).unwrap();
                let cited: String = text[offset("start_index")..offset("end_index")]
                    .iter()
                    .collect();
                assert_eq!(citation["content"], cited, "{name}");
                checked += 1;
            }
        }
    }
    assert!(checked > 30 || fixtures().is_none(), "{checked}");
}
