//! Both eras: how they are told apart, what is sent in each, what answers mean, and how tools become operations.

use futures::executor::block_on;
use serde_json::{Map, Value, json};

use super::{
    Called, Client, Trouble, list,
    request::fit,
    script::{self, Reply, Script, Sent, answer, events, json_answer, legacy, modern, with},
};
use crate::tools::{
    catalog::Class,
    connector::{Acted, Failure, Outcome, Outgoing},
    execute::SendError,
};

pub(super) fn base() -> Outgoing {
    Outgoing {
        method: "POST".to_owned(),
        url: "https://tools.example/mcp".to_owned(),
        headers: vec![(
            "authorization".to_owned(),
            "Bearer secret-of-tests".to_owned(),
        )],
        max_bytes: 1_000_000,
        timeout_ms: 30_000,
        ..Outgoing::default()
    }
}

pub(super) fn called() -> Called {
    Called {
        name: "look".to_owned(),
        arguments: json!({"q": "lamp", "n": 2}),
        meta: Map::new(),
        headers: vec![("mcp-param-q".to_owned(), "{/q}".to_owned())],
    }
}

/// Calls `look` at a server that spoke this version.
pub(super) fn call(server: &Script, protocol: Option<&str>) -> Result<Outcome, Trouble> {
    let until_ms = super::Wire::now_ms(server) + 30_000;
    let mut client = Client::new(server.clone(), base(), protocol, until_ms);
    let outcome = block_on(client.call(&called()));
    client.close();
    outcome
}

pub(super) fn failure(outcome: Result<Outcome, Trouble>) -> Failure {
    match outcome {
        Ok(Outcome::Failure(failure)) | Err(Trouble::Failed(failure)) => *failure,
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

/// The same in the modern era.
fn complete(mut result: Value) -> Value {
    result["resultType"] = "complete".into();
    result
}

#[test]
fn a_modern_server_is_called_in_one_request() {
    let server = modern(|sent| sent.result(complete(text("a lamp"))));
    let outcome = call(&server, Some("2026-07-28"));
    assert!(matches!(outcome, Ok(Outcome::Success(_))), "{outcome:?}");
    assert_eq!(server.methods(), ["tools/call"]);
    let sent = &server.sent()[0];
    assert_eq!(
        sent.body["params"]["arguments"],
        json!({"q": "lamp", "n": 2})
    );
    let expected = [
        ("mcp-name", "look"),
        ("mcp-param-q", "lamp"),
        ("mcp-method", "tools/call"),
        ("accept", "application/json, text/event-stream"),
        ("authorization", "Bearer secret-of-tests"),
    ];
    for (name, value) in expected {
        assert_eq!(sent.header(name), Some(value), "{name}");
    }
}

#[test]
fn a_legacy_server_is_called_within_a_session_that_ends() {
    let server = legacy(Some("abc"), |sent| sent.result(text("a lamp")));
    assert!(call(&server, Some("2025-06-18")).is_ok());
    let expected = [
        "initialize",
        "notifications/initialized",
        "tools/call",
        "DELETE",
    ];
    assert_eq!(server.methods(), expected);
    let sent = server.sent();
    assert_eq!(sent[0].body["params"]["protocolVersion"], "2025-11-25");
    assert_eq!(sent[0].body["params"]["capabilities"], json!({}));
    assert!(sent[1].body.get("id").is_none());
    assert!(sent[2].body["params"].get("_meta").is_none());
    assert_eq!(sent[2].header("mcp-name"), None);
    assert_eq!(sent[3].header("mcp-session-id"), Some("abc"));

    let free = legacy(None, |sent| sent.result(text("a lamp")));
    assert!(call(&free, Some("2025-11-25")).is_ok());
    assert_eq!(
        free.methods(),
        expected[..3],
        "without an id there is nothing to end"
    );
}

#[test]
fn an_unknown_era_is_found_out_and_a_wrong_one_is_left() {
    let discover = ["server/discover", "tools/call"];
    let server = modern(|sent| sent.result(complete(text("x"))));
    assert!(call(&server, None).is_ok());
    assert_eq!(server.methods(), discover);

    // What was kept no longer holds: the server was replaced by an older one, or by a newer one.
    let begun = [
        "initialize",
        "notifications/initialized",
        "tools/call",
        "DELETE",
    ];
    for (protocol, first) in [
        (None, "server/discover"),
        (Some("2026-07-28"), "tools/call"),
    ] {
        let server = legacy(Some("s"), |sent| sent.result(text("x")));
        assert!(call(&server, protocol).is_ok());
        let methods = server.methods();
        assert_eq!(
            (methods[0].as_str(), &methods[1..]),
            (first, &begun.map(str::to_owned)[..])
        );
    }
    let server = Script::new(|sent| match sent.method() {
        "initialize" => sent.error(400, -32_020, Value::Null),
        _ => sent.result(complete(text("x"))),
    });
    assert!(call(&server, Some("2025-11-25")).is_ok());
    assert_eq!(server.methods(), ["initialize", "tools/call"]);

    // Legacy servers refuse in many ways.
    let ways: [fn(&Sent) -> Reply; 6] = [
        |_| answer(400, "text/plain", ""),
        |_| answer(404, "text/html", "<h1>nothing here</h1>"),
        |_| answer(405, "", ""),
        |sent| sent.error(200, -32_601, Value::Null),
        |sent| {
            sent.error(
                400,
                -32_022,
                json!({"supported": ["2025-11-25"], "requested": "2026-07-28"}),
            )
        },
        |_| answer(500, "text/plain", "unknown method"),
    ];
    for way in ways {
        let server = Script::new(move |sent| match sent.method() {
            "server/discover" => way(sent),
            "initialize" => sent.result(json!({"protocolVersion": "2025-03-26"})),
            _ => sent.result(text("x")),
        });
        assert!(call(&server, None).is_ok());
        assert_eq!(server.methods()[1], "initialize");
    }
}

#[test]
fn a_modern_refusal_is_no_sign_of_the_other_era() {
    for (status, code, class) in [
        (400, -32_020, Class::Provider),
        (400, -32_021, Class::Refused),
        (404, -32_601, Class::NotFound),
    ] {
        let server = modern(move |sent| sent.error(status, code, Value::Null));
        let failure = failure(call(&server, Some("2026-07-28")));
        assert_eq!((failure.class, failure.acted), (class, Acted::No), "{code}");
        assert_eq!(server.methods(), ["tools/call"]);
    }
    // Where the other era is tried in vain, the first refusal is told.
    let server = Script::new(|sent| match sent.method() {
        "tools/call" => sent.error(400, -32_602, Value::Null),
        _ => sent.error(404, -32_601, Value::Null),
    });
    let failure = failure(call(&server, Some("2026-07-28")));
    assert_eq!(
        (failure.class, failure.code.as_deref()),
        (Class::Invalid, Some("-32602"))
    );
    assert_eq!(server.methods(), ["tools/call", "initialize"]);
}

#[test]
fn a_lost_session_is_replaced_once() {
    use std::{cell::Cell, rc::Rc};
    for (losses, is_found) in [(1, true), (2, false)] {
        let lost = Rc::new(Cell::new(0));
        let server = legacy(Some("s"), move |sent| {
            lost.set(lost.get() + 1);
            if lost.get() <= losses {
                answer(404, "text/plain", "the session has ended")
            } else {
                sent.result(text("x"))
            }
        });
        let outcome = call(&server, Some("2025-06-18"));
        assert_eq!(outcome.is_ok(), is_found);
        let calls = server
            .methods()
            .iter()
            .filter(|one| *one == "tools/call")
            .count();
        assert_eq!(calls, 2);
        if !is_found {
            assert_eq!(failure(outcome).acted, Acted::No);
        }
    }
}

#[test]
fn an_answer_comes_as_one_text_or_among_events() {
    let result = complete(text("a lamp"));
    let note =
        |method: &str| json!({"jsonrpc": "2.0", "method": method, "params": {"progress": 1}});
    let with_id = |id: Value, result: &Value| json!({"jsonrpc": "2.0", "id": id, "result": result});
    let other = complete(text("another"));
    for before in [
        vec![],
        vec![
            note("notifications/progress"),
            note("notifications/message"),
        ],
        vec![
            with_id(json!(99), &other),
            with_id(json!("1"), &other),
            with_id(Value::Null, &other),
        ],
        vec![
            json!("no object"),
            json!(1),
            json!([]),
            json!({}),
            json!({"id": 1}),
        ],
        vec![json!([note("notifications/progress")])],
    ] {
        let result = result.clone();
        let server = modern(move |sent| {
            let mut messages = before.clone();
            messages.push(with_id(sent.body["id"].clone(), &result));
            messages.push(with_id(sent.body["id"].clone(), &json!({"content": []})));
            events(&messages)
        });
        let Ok(Outcome::Success(success)) = call(&server, Some("2026-07-28")) else {
            panic!("no success");
        };
        assert_eq!(success.result.unwrap()["text"], "a lamp");
    }
    let batch = modern(|sent| {
        let own = json!({"jsonrpc": "2.0", "id": sent.body["id"], "result": text("x")});
        json_answer(
            200,
            &json!([{"jsonrpc": "2.0", "method": "notifications/message"}, own]),
        )
    });
    assert!(matches!(
        call(&batch, Some("2026-07-28")),
        Ok(Outcome::Success(_))
    ));
}

#[test]
fn what_a_server_asks_of_us_is_refused_at_once_and_a_ping_is_answered() {
    let server = legacy(Some("s"), |sent| {
        let ask = |id: Value, method: &str| json!({"jsonrpc": "2.0", "id": id, "method": method});
        events(&[
            ask(json!("a"), "sampling/createMessage"),
            ask(json!(7), "elicitation/create"),
            ask(json!(8), "roots/list"),
            ask(json!(9), "ping"),
            json!({"jsonrpc": "2.0", "id": sent.body["id"], "result": text("done all the same")}),
        ])
    });
    assert!(matches!(
        call(&server, Some("2025-06-18")),
        Ok(Outcome::Success(_))
    ));
    let sent = server.sent();
    let answers: Vec<&Sent> = sent
        .iter()
        .filter(|sent| !sent.body.is_null() && sent.method().is_empty())
        .collect();
    let ids: Vec<&Value> = answers.iter().map(|sent| &sent.body["id"]).collect();
    assert_eq!(ids, [&json!("a"), &json!(7), &json!(8), &json!(9)]);
    for answer in &answers[..3] {
        assert_eq!(answer.body["error"]["code"], -32_601);
        assert_eq!(answer.header("mcp-session-id"), Some("s"));
    }
    assert_eq!(answers[3].body["result"], json!({}));

    let modern = modern(|sent| {
        events(&[
            json!({"jsonrpc": "2.0", "id": 5, "method": "sampling/createMessage"}),
            json!({"jsonrpc": "2.0", "id": sent.body["id"], "result": text("x")}),
        ])
    });
    assert!(call(&modern, Some("2026-07-28")).is_ok());
    assert_eq!(
        modern.sent().len(),
        1,
        "a client of the modern era posts no answers"
    );
}

#[test]
fn a_failure_says_whether_the_tool_may_have_acted() {
    let of = |reply: fn(&Sent) -> Reply| {
        let failure = failure(call(&modern(reply), Some("2026-07-28")));
        (failure.class, failure.acted)
    };
    type Row = (fn(&Sent) -> Reply, Class, Acted);
    let table: [Row; 16] = [
        (
            |sent| sent.error(200, -32_602, Value::Null),
            Class::Invalid,
            Acted::No,
        ),
        (
            |sent| sent.error(200, -32_603, Value::Null),
            Class::Provider,
            Acted::Maybe,
        ),
        (
            |sent| sent.error(500, -32_603, Value::Null),
            Class::Provider,
            Acted::Maybe,
        ),
        (
            |sent| sent.error(200, -32_000, Value::Null),
            Class::Provider,
            Acted::Maybe,
        ),
        (
            |sent| sent.error(200, -32_042, Value::Null),
            Class::Permission,
            Acted::No,
        ),
        (
            |sent| sent.error(401, -32_001, Value::Null),
            Class::Auth,
            Acted::No,
        ),
        (
            |sent| sent.error(429, -32_602, Value::Null),
            Class::RateLimited,
            Acted::No,
        ),
        (
            |_| answer(403, "text/plain", "insufficient_scope"),
            Class::Permission,
            Acted::No,
        ),
        (
            |_| answer(503, "text/html", "<h1>busy</h1>"),
            Class::Unavailable,
            Acted::Maybe,
        ),
        (
            |_| answer(200, "text/html", "<h1>welcome</h1>"),
            Class::Provider,
            Acted::Maybe,
        ),
        (|_| answer(202, "", ""), Class::Provider, Acted::Maybe),
        (|_| answer(307, "", ""), Class::NotFound, Acted::No),
        (|_| Err(SendError::TimedOut), Class::Timeout, Acted::Maybe),
        (
            |_| Err(SendError::Unknown("reset".into())),
            Class::Unavailable,
            Acted::Maybe,
        ),
        (
            |_| Err(SendError::NotSent("no address".into())),
            Class::Unavailable,
            Acted::No,
        ),
        (
            |_| events(&[json!({"jsonrpc": "2.0", "method": "notifications/progress"})]),
            Class::Provider,
            Acted::Maybe,
        ),
    ];
    for (at, (reply, class, acted)) in table.into_iter().enumerate() {
        assert_eq!(of(reply), (class, acted), "{at}");
    }
    // Before the call nothing can have been done.
    for broken in ["initialize", "notifications/initialized"] {
        let server = Script::new(move |sent| match sent.method() {
            method if method == broken => Err(SendError::TimedOut),
            _ => sent.result(json!({"protocolVersion": "2025-11-25"})),
        });
        let failure = failure(call(&server, Some("2025-11-25")));
        assert_eq!((failure.class, failure.acted), (Class::Timeout, Acted::No));
    }
    let large = modern(|sent| sent.result(text(&"x".repeat(2_000_000))));
    assert_eq!(call(&large, Some("2026-07-28")), Err(Trouble::TooLong));
}

#[test]
fn all_requests_of_a_call_share_its_time() {
    let server = Script::slow(12_000, |sent| match sent.method() {
        "initialize" => sent.result(json!({"protocolVersion": "2025-11-25"})),
        _ => sent.result(text("x")),
    });
    assert!(call(&server, Some("2025-11-25")).is_ok());
    let times: Vec<u64> = server.sent().iter().map(|sent| sent.timeout_ms).collect();
    assert_eq!(times, [30_000, 18_000, 6_000]);
    let slower = Script::slow(16_000, |sent| {
        sent.result(json!({"protocolVersion": "2025-11-25"}))
    });
    let failure = failure(call(&slower, Some("2025-11-25")));
    assert_eq!((failure.class, failure.acted), (Class::Timeout, Acted::No));
    assert_eq!(slower.sent().len(), 2, "what nobody waits for is not sent");
}

#[test]
fn results_become_data_and_result() {
    let read = |result: Value| {
        let server = modern(move |sent| sent.result(result.clone()));
        call(&server, Some("2026-07-28"))
    };
    let success = |result: Value| match read(result) {
        Ok(Outcome::Success(success)) => (success.data, success.result.unwrap()),
        other => panic!("{other:?}"),
    };
    let (data, result) = success(json!({
        "content": [{"type": "text", "text": "{\"temperature\": 22}"}], "structuredContent": {"temperature": 22}, "_meta": {"x": 1},
    }));
    assert_eq!(result, json!({"temperature": 22}));
    assert_eq!(data["structuredContent"]["temperature"], 22);
    assert!(data.get("_meta").is_none());
    for (given, told) in [
        (text("hello"), json!({"kind": "generic", "text": "hello"})),
        (
            text("[1,2]"),
            json!({"kind": "generic", "text": "[1,2]", "value": [1, 2]}),
        ),
        (json!({"content": []}), json!({"kind": "generic"})),
        (
            json!({"structuredContent": [1]}),
            json!({"kind": "generic", "value": [1]}),
        ),
        (
            json!({"content": [
                {"type": "text", "text": "one"}, {"type": "image", "data": "AAAA", "mimeType": "image/png"},
                {"type": "audio", "data": "AA==", "mimeType": "audio/wav"}, {"type": "unheard of"}, 5,
                {"type": "resource", "resource": {"uri": "a:b", "text": "two"}},
                {"type": "resource", "resource": {"uri": "a:b", "blob": "AAA="}},
                {"type": "resource_link", "uri": "https://a.example/x", "name": "x", "mimeType": "text/plain"},
            ]}),
            json!({
                "kind": "generic", "text": "one\ntwo",
                "links": [{"url": "https://a.example/x", "title": "x", "mime_type": "text/plain"}],
                "media": [
                    {"mime_type": "image/png", "bytes": 3}, {"mime_type": "audio/wav", "bytes": 1},
                    {"mime_type": "application/octet-stream", "bytes": 2},
                ],
            }),
        ),
    ] {
        assert_eq!(success(given).1, told);
    }
    for (given, class, acted, says) in [
        (
            json!({"content": [{"type": "text", "text": "no\nsuch city"}], "isError": true}),
            Class::Refused,
            Acted::No,
            "no such city",
        ),
        (
            json!({"content": [], "isError": true}),
            Class::Refused,
            Acted::No,
            "does not say why",
        ),
        (
            json!({"resultType": "input_required", "inputRequests": {}}),
            Class::Refused,
            Acted::No,
            "ask",
        ),
        (
            json!({"resultType": "task", "taskId": "1"}),
            Class::Provider,
            Acted::Maybe,
            "later",
        ),
        (
            json!({"nothing": 1}),
            Class::Provider,
            Acted::Maybe,
            "no result",
        ),
    ] {
        let failure = failure(read(given));
        assert_eq!((failure.class, failure.acted), (class, acted));
        assert!(failure.message.contains(says), "{}", failure.message);
    }
}

#[test]
fn values_of_headers_are_what_http_can_carry() {
    for (value, sent) in [
        ("us-west1", "us-west1"),
        ("a b", "a b"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("", ""),
    ] {
        assert_eq!(fit(value), sent);
    }
}

#[test]
fn pages_are_read_to_their_end_in_both_eras() {
    let page = |sent: &Sent| match sent.body["params"]["cursor"].as_str() {
        None => sent.result(json!({"tools": [{"name": "a"}], "nextCursor": "2"})),
        Some("2") => sent.result(json!({"tools": [{"name": "b"}], "nextCursor": ""})),
        Some(_) => sent.result(json!({"tools": [{"name": "c"}]})),
    };
    for (server, protocol, name) in [
        (modern(page), "2026-07-28", "modern"),
        (legacy(Some("s"), page), "2025-06-18", "legacy"),
    ] {
        let listing = block_on(list(&server, base(), None)).unwrap();
        assert_eq!(
            listing.tools,
            [
                json!({"name": "a"}),
                json!({"name": "b"}),
                json!({"name": "c"})
            ]
        );
        assert_eq!(
            (listing.protocol.as_str(), listing.is_cut),
            (protocol, false)
        );
        assert_eq!(listing.server["name"], name);
    }
}

#[test]
fn a_session_id_that_is_none_is_refused() {
    for id in ["", "with space", "ü", &"x".repeat(super::MAX_SESSION + 1)] {
        let id = id.to_owned();
        let server = Script::new(move |sent| {
            let begun = sent.result(json!({"protocolVersion": "2025-11-25"}));
            with(begun, "mcp-session-id", &id)
        });
        assert_eq!(failure(call(&server, Some("2025-11-25"))).acted, Acted::No);
        assert_eq!(script::Script::methods(&server), ["initialize"]);
    }
}
