//! Servers that mean no good: they never end, say too much, say it twice, or say anything at all.

use std::{cell::Cell, rc::Rc};

use futures::executor::block_on;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    MAX_ASKED, MAX_EVENTS, MAX_LIST_BYTES, MAX_PAGES, MAX_TOOLS, list,
    script::{Script, answer, events, json_answer, legacy, modern},
    tests::{base, call, failure},
};
use crate::tools::connector::{Acted, Outcome};

#[test]
fn pages_without_end_are_read_so_far() {
    let count = Rc::new(Cell::new(0_usize));
    let pages = Rc::clone(&count);
    let endless = modern(move |sent| {
        pages.set(pages.get() + 1);
        sent.result(json!({"tools": [{"name": "t"}], "nextCursor": pages.get().to_string()}))
    });
    let listing = block_on(list(&endless, base(), Some("2026-07-28"))).unwrap();
    assert_eq!(
        (count.get(), listing.tools.len(), listing.is_cut),
        (MAX_PAGES, MAX_PAGES, true)
    );

    let circle =
        modern(|sent| sent.result(json!({"tools": [{"name": "t"}], "nextCursor": "again"})));
    let listing = block_on(list(&circle, base(), Some("2026-07-28"))).unwrap();
    assert_eq!((listing.tools.len(), listing.is_cut), (2, true));

    let many = modern(|sent| {
        let tools: Vec<Value> = (0..MAX_TOOLS + 5)
            .map(|at| json!({"name": at.to_string()}))
            .collect();
        sent.result(json!({"tools": tools}))
    });
    let listing = block_on(list(&many, base(), Some("2026-07-28"))).unwrap();
    assert_eq!((listing.tools.len(), listing.is_cut), (MAX_TOOLS, true));

    let large = modern(move |sent| {
        let description = "x".repeat(MAX_LIST_BYTES / 3);
        let at = sent.body["id"].to_string();
        sent.result(json!({"tools": [{"name": at, "description": description}], "nextCursor": at}))
    });
    let listing = block_on(list(&large, base(), Some("2026-07-28"))).unwrap();
    assert_eq!((listing.tools.len(), listing.is_cut), (2, true));

    let slow = Script::slow(3_000, |sent| {
        let cursor = sent.body["id"].to_string();
        sent.result(json!({"tools": [], "nextCursor": cursor}))
    });
    assert!(block_on(list(&slow, base(), Some("2026-07-28"))).is_err());
    assert_eq!(slow.sent().len(), 7, "all pages share their time");
}

#[test]
fn a_giant_page_or_greeting_is_an_error() {
    for broken in ["server/discover", "initialize", "tools/list"] {
        let server = Script::new(move |sent| {
            if sent.method() == broken {
                return answer(200, "application/json", vec![b' '; MAX_LIST_BYTES + 1]);
            }
            match sent.method() {
                "server/discover" => answer(404, "", ""),
                "initialize" => sent.result(json!({"protocolVersion": "2025-11-25"})),
                _ => sent.result(json!({"tools": []})),
            }
        });
        assert!(block_on(list(&server, base(), None)).is_err(), "{broken}");
    }
}

#[test]
fn a_stream_ends_with_its_answer_whenever_the_server_would_end_it() {
    let server = modern(|sent| {
        let own = json!({"jsonrpc": "2.0", "id": sent.body["id"], "result": {"content": []}});
        let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {}});
        let mut messages = vec![note.clone(), own];
        messages.extend(std::iter::repeat_n(note, 5_000));
        events(&messages)
    });
    assert!(matches!(
        call(&server, Some("2026-07-28")),
        Ok(Outcome::Success(_))
    ));
    assert!(server.read() < 400, "{}", server.read());
}

#[test]
fn a_stream_of_nothing_but_events_is_left() {
    let note = json!({"jsonrpc": "2.0", "method": "notifications/progress"});
    let server = modern(move |_| events(&vec![note.clone(); MAX_EVENTS + 1_000]));
    let outcome = failure(call(&server, Some("2026-07-28")));
    assert_eq!(outcome.acted, Acted::Maybe);
    assert!(
        outcome.message.contains("too many events"),
        "{}",
        outcome.message
    );
}

#[test]
fn a_server_that_asks_without_end_is_answered_so_often() {
    let server = legacy(Some("s"), |sent| {
        let mut messages: Vec<Value> = (0..100)
            .map(|id| json!({"jsonrpc": "2.0", "id": id + 1_000, "method": "ping"}))
            .collect();
        messages.push(json!({"jsonrpc": "2.0", "id": sent.body["id"], "result": {"content": []}}));
        events(&messages)
    });
    assert!(call(&server, Some("2025-06-18")).is_ok());
    let answers = server
        .methods()
        .iter()
        .filter(|one| *one == "answer")
        .count();
    assert_eq!(answers, MAX_ASKED);
}

#[test]
fn the_answer_to_another_request_is_none() {
    for id in [
        json!(2),
        json!("1"),
        json!(1.5),
        json!(-1),
        json!([1]),
        json!({}),
        Value::Null,
    ] {
        let told = id.clone();
        let server = modern(move |_| {
            json_answer(
                200,
                &json!({"jsonrpc": "2.0", "id": id, "result": {"content": []}}),
            )
        });
        assert_eq!(
            failure(call(&server, Some("2026-07-28"))).acted,
            Acted::Maybe,
            "{told}"
        );
    }
}

/// JSON in which the protocol's own words stand in the wrong places.
pub(super) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z{}/~\\-\u{0}é\u{200b} ]{0,12}".prop_map(Value::from),
        "(object|string|complete|text|image|2025-11-25|2026-07-28)".prop_map(Value::from),
    ];
    let name = "(name|inputSchema|type|properties|required|content|result|error|code|id|method|tools|nextCursor|resultType|structuredContent|\
        isError|text|data|resource|supportedVersions|protocolVersion|annotations|x-mcp-header|items|anyOf|[a-z-]{1,4})";
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..6)
                .prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_bytes_come_nothing_panics(
        body in prop::collection::vec(any::<u8>(), 0..400), status in 100_u16..600, is_stream: bool, protocol in 0_usize..3,
    ) {
        let server = Script::new(move |_| {
            let kind = if is_stream { "text/event-stream" } else { "application/json" };
            answer(status, kind, body.clone())
        });
        let protocol = [None, Some("2026-07-28"), Some("2025-11-25")][protocol];
        prop_assert!(!matches!(call(&server, protocol), Ok(Outcome::Success(_))));
        prop_assert!(block_on(list(&server, base(), protocol)).is_err());
        prop_assert!(server.sent().len() < 16);
    }

    #[test]
    fn whatever_results_come_nothing_panics_and_no_conversation_is_long(told in value(), is_stream: bool, protocol in 0_usize..3) {
        let server = Script::new(move |sent| {
            let message = json!({"jsonrpc": "2.0", "id": sent.body["id"], "result": told});
            if is_stream { events(&[told.clone(), message]) } else { json_answer(200, &message) }
        });
        let protocol = [None, Some("2026-07-28"), Some("2025-11-25")][protocol];
        let _ = call(&server, protocol);
        let _ = block_on(list(&server, base(), protocol));
        prop_assert!(server.sent().len() < 16 + MAX_PAGES);
    }
}
