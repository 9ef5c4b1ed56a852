//! What the protocol means, in tables.

use std::rc::Rc;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value, json};

use super::{
    CAPABILITIES, Era, MODERN, SERVER, VERSION,
    confirm::{self, Answer},
    describe, era,
    message::{
        Fault, HEADER_MISMATCH, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, Message,
        PARSE_ERROR, Parsed, Request, UNSUPPORTED_VERSION, parse,
    },
    meta::{Asked, MetaTool},
    outcome,
    select::{Selection, page},
    session::{Session, can_ask},
    task, write,
};
use crate::{
    credits::money::Nanos,
    tools::{
        catalog::{Effect, Operation, Tool, ToolProvider},
        envelope::{Confirmation, Envelope, Status, ToolError},
    },
};

fn request(method: &str, params: Value) -> Request {
    Request {
        id: json!(1),
        method: method.to_owned(),
        params: params.as_object().cloned().unwrap_or_default(),
    }
}

fn meta() -> Value {
    json!({VERSION: MODERN, CAPABILITIES: {}})
}

#[test]
fn a_body_is_a_message_or_the_error_says_why_not() {
    for (body, code, id) in [
        ("{", PARSE_ERROR, Value::Null),
        ("\"x\"", INVALID_REQUEST, Value::Null),
        ("[]", INVALID_REQUEST, Value::Null),
        (r#"{"id":1,"method":"ping"}"#, INVALID_REQUEST, json!(1)),
        (
            r#"{"jsonrpc":"1.0","id":"a","method":"ping"}"#,
            INVALID_REQUEST,
            json!("a"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            INVALID_REQUEST,
            Value::Null,
        ),
        (
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
            INVALID_REQUEST,
            Value::Null,
        ),
        (r#"{"jsonrpc":"2.0","id":1}"#, INVALID_REQUEST, json!(1)),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            INVALID_REQUEST,
            json!(1),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
            INVALID_PARAMS,
            json!(1),
        ),
    ] {
        let (fault, told) = parse(body.as_bytes()).unwrap_err();
        assert_eq!((fault.status, fault.code, told), (400, code, id), "{body}");
    }
    let read = |body: &str| parse(body.as_bytes()).unwrap();
    assert_eq!(
        read(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
        Parsed::One(Message::Request(request("ping", json!({}))))
    );
    assert!(matches!(
        read(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
        Parsed::One(Message::Notification { .. })
    ));
    let Parsed::One(Message::Answer { id, outcome }) =
        read(r#"{"jsonrpc":"2.0","id":"pb-1","result":{"action":"accept"}}"#)
    else {
        panic!("an answer")
    };
    assert_eq!(
        (id, outcome),
        (json!("pb-1"), json!({"result": {"action": "accept"}}))
    );
    let two = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"x"}]"#;
    assert!(matches!(read(two), Parsed::Batch(messages) if messages.len() == 2));
}

#[test]
fn arguments_that_are_left_out_are_an_empty_object() {
    for params in [
        json!({}),
        json!({"arguments": null}),
        json!({"arguments": {}}),
    ] {
        assert_eq!(request("tools/call", params).arguments(), Ok(Map::new()));
    }
    let fault = request("tools/call", json!({"arguments": [1]})).arguments();
    assert_eq!(fault.unwrap_err().code, INVALID_PARAMS);
}

#[test]
fn a_message_chooses_its_era() {
    let modern = json!({"_meta": {VERSION: MODERN}});
    let unknown = json!({"_meta": {VERSION: "v999.0.0"}});
    let plain = json!({"_meta": {"progressToken": 1}});
    for (header, method, params, expected) in [
        (None, "initialize", &plain, Era::Legacy),
        (None, "tools/list", &plain, Era::Legacy),
        (Some("2025-06-18"), "tools/list", &plain, Era::Legacy),
        (Some("2024-11-05"), "tools/list", &plain, Era::Legacy),
        (Some(MODERN), "tools/list", &plain, Era::Modern),
        (Some("v999.0.0"), "tools/list", &plain, Era::Modern),
        (Some("2027-01-01"), "tools/list", &plain, Era::Modern),
        (None, "tools/list", &modern, Era::Modern),
        (Some("2025-06-18"), "tools/list", &modern, Era::Modern),
        (None, "tools/list", &unknown, Era::Modern),
        (None, "server/discover", &plain, Era::Modern),
    ] {
        let params = params.as_object().unwrap();
        assert_eq!(
            era::of(header, method, params),
            expected,
            "{header:?} {method}"
        );
    }
    assert_eq!(era::check_legacy(None), Ok("2025-03-26"));
    assert_eq!(era::check_legacy(Some(" 2025-11-25 ")), Ok("2025-11-25"));
    assert_eq!(
        era::check_legacy(Some("2024-11-05")).unwrap_err().status,
        400
    );
}

/// What is wrong with a request of the modern era that was sent with these headers.
fn fault(request: &Request, headers: &[(&str, &str)]) -> Option<(u16, i64)> {
    let header = |name: &str| {
        let found = headers.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let checked = era::check_modern(request, &header);
    checked.err().map(|fault| (fault.status, fault.code))
}

#[test]
fn headers_say_what_the_body_says() {
    let version = ("mcp-protocol-version", MODERN);
    let call = |name: &str| request("tools/call", json!({"_meta": meta(), "name": name}));
    let list = request("tools/list", json!({"_meta": meta()}));
    let refused = Some((400, HEADER_MISMATCH));
    let method = ("mcp-method", "tools/list");
    for (headers, expected) in [
        (&[version, method][..], None),
        (&[version, ("mcp-method", " tools/list\t")], None),
        (&[version], refused),
        (&[method], refused),
        (&[version, ("mcp-method", "TOOLS/LIST")], refused),
        (&[version, ("mcp-method", "prompts/list")], refused),
        (&[("mcp-protocol-version", "2025-11-25"), method], refused),
    ] {
        assert_eq!(fault(&list, headers), expected, "{headers:?}");
    }
    let method = ("mcp-method", "tools/call");
    let coded = format!("=?base64?{}?=", BASE64_STANDARD.encode("süß"));
    for (name, sent, expected) in [
        ("a", Some("a"), None),
        ("a", Some("  a  "), None),
        ("a", Some("A"), refused),
        ("a", None, refused),
        ("süß", Some(coded.as_str()), None),
        ("süß", Some("=?base64?!!!?="), refused),
        ("Hello", Some("=?base64?SGVsbG8?="), refused),
        ("=?base64?x", Some("=?base64?x"), None),
    ] {
        let headers: Vec<(&str, &str)> = [version, method]
            .into_iter()
            .chain(sent.map(|sent| ("mcp-name", sent)))
            .collect();
        assert_eq!(fault(&call(name), &headers), expected, "{name} {sent:?}");
    }
}

#[test]
fn every_request_of_the_modern_era_says_its_version_and_what_the_client_can_do() {
    let headers = [
        ("mcp-protocol-version", MODERN),
        ("mcp-method", "tools/list"),
    ];
    for params in [
        json!({}),
        json!({"_meta": 1}),
        json!({"_meta": {CAPABILITIES: {}}}),
        json!({"_meta": {VERSION: MODERN}}),
        json!({"_meta": {VERSION: MODERN, CAPABILITIES: []}}),
    ] {
        let sent = request("tools/list", params.clone());
        assert_eq!(
            fault(&sent, &headers),
            Some((400, INVALID_PARAMS)),
            "{params}"
        );
    }
    // Both say the same, and it is not spoken here.
    let meta = json!({VERSION: "v999.0.0", CAPABILITIES: {}});
    let sent = request("tools/list", json!({"_meta": meta}));
    let header = |name: &str| (name == "mcp-protocol-version").then(|| "v999.0.0".to_owned());
    let told = era::check_modern(&sent, &header).unwrap_err();
    assert_eq!((told.status, told.code), (400, UNSUPPORTED_VERSION));
    assert_eq!(
        told.data,
        Some(json!({"supported": [MODERN], "requested": "v999.0.0"}))
    );
    assert_eq!(fault(&sent, &headers), Some((400, HEADER_MISMATCH)));
}

#[test]
fn arguments_stand_in_headers_where_the_schema_wants_it() {
    let schema = json!({"type": "object", "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "size": {"type": "integer", "x-mcp-header": "Size"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry"},
        "inner": {"type": "object", "properties": {"to": {"type": "string", "x-mcp-header": "To"}}},
        "free": {"type": "string"},
    }});
    for (arguments, headers, is_right) in [
        (json!({}), vec![], true),
        (json!({"free": "x"}), vec![], true),
        (
            json!({"region": "eu"}),
            vec![("mcp-param-region", "eu")],
            true,
        ),
        (
            json!({"region": "Hello"}),
            vec![("mcp-param-region", "=?base64?SGVsbG8=?=")],
            true,
        ),
        (
            json!({"region": "Hello"}),
            vec![("mcp-param-region", "=?base64?SGVsbG8?=")],
            false,
        ),
        (json!({"region": "eu"}), vec![], false),
        (
            json!({"region": "eu"}),
            vec![("mcp-param-region", "us")],
            false,
        ),
        (json!({"region": null}), vec![], true),
        (json!({}), vec![("mcp-param-region", "eu")], false),
        (json!({"size": 5}), vec![("mcp-param-size", "5")], true),
        (json!({"size": 5.0}), vec![("mcp-param-size", "5")], true),
        (json!({"size": 5}), vec![("mcp-param-size", "five")], false),
        (json!({"dry": true}), vec![("mcp-param-dry", "true")], true),
        (
            json!({"inner": {"to": "a"}}),
            vec![("mcp-param-to", "a")],
            true,
        ),
        (json!({"inner": {"to": "a"}}), vec![], false),
    ] {
        let header = |name: &str| {
            let found = headers.iter().find(|(own, _)| *own == name);
            found.map(|(_, value): &(&str, &str)| (*value).to_owned())
        };
        let checked = era::check_arguments(&schema, arguments.as_object().unwrap(), &header);
        let code = checked.err().map(|fault| fault.code);
        assert_eq!(
            code,
            (!is_right).then_some(HEADER_MISMATCH),
            "{arguments} {headers:?}"
        );
    }
}

#[test]
fn an_unknown_method_is_404_with_the_id_of_the_request() {
    let fault = Fault::method("unknown/method");
    assert_eq!((fault.status, fault.code), (404, METHOD_NOT_FOUND));
    let told = fault.render(&json!("x"));
    assert_eq!(
        (&told["id"], &told["error"]["code"]),
        (&json!("x"), &json!(METHOD_NOT_FOUND))
    );
}

#[test]
fn results_of_the_modern_era_say_their_type_and_who_gives_them() {
    let told = write::result(Era::Modern, &json!(1), json!({"tools": []}));
    assert_eq!(told["result"]["resultType"], "complete");
    assert_eq!(told["result"]["_meta"][SERVER]["name"], "patchbay");
    let asked = write::result(
        Era::Modern,
        &json!(1),
        json!({"resultType": "input_required"}),
    );
    assert_eq!(asked["result"]["resultType"], "input_required");
    let legacy = write::result(Era::Legacy, &json!(1), json!({}));
    assert_eq!(legacy, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    let event = write::event(&json!({"a": "line\nbreak"}));
    assert_eq!(event, b"event: message\ndata: {\"a\":\"line\\nbreak\"}\n\n");
    let progress = write::progress(&json!("t"), 50.0, Some(99.5), "");
    assert_eq!(
        progress["params"],
        json!({"progressToken": "t", "progress": 50, "total": 99.5})
    );
}

#[test]
fn a_session_id_says_what_the_client_said() {
    let asks = json!({"elicitation": {}});
    for (asked, agreed) in [
        ("2025-06-18", "2025-06-18"),
        ("2024-11-05", "2025-11-25"),
        ("", "2025-11-25"),
    ] {
        let session = Session::begin(asked, Some(&asks), "n");
        assert_eq!((session.version.as_str(), session.asks), (agreed, true));
        let id = session.id();
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(Session::read(&id), Some(session));
    }
    assert_ne!(
        Session::begin("", None, "a").id(),
        Session::begin("", None, "b").id()
    );
    for id in ["", "x", "e30", &"a".repeat(600)] {
        assert_eq!(Session::read(id), None, "{id}");
    }
    for (capabilities, expected) in [
        (json!({"elicitation": {}}), true),
        (json!({"elicitation": {"form": {}}}), true),
        (json!({"elicitation": {"form": {}, "url": {}}}), true),
        (json!({"elicitation": {"url": {}}}), false),
        (json!({"sampling": {}}), false),
    ] {
        assert_eq!(can_ask(Some(&capabilities)), expected, "{capabilities}");
    }
}

#[test]
fn a_large_catalog_is_shown_by_its_meta_tools_unless_the_client_says_otherwise() {
    for (words, tools, is_meta) in [
        (None, 40, false),
        (None, 41, true),
        (Some("all"), 500, false),
        (Some("meta"), 1, true),
        (Some("tavily, exa"), 500, false),
    ] {
        assert_eq!(
            Selection::read(words).is_meta(tools),
            is_meta,
            "{words:?} {tools}"
        );
    }
    let named = Selection::read(Some("tavily, web_search"));
    assert!(named.shows(&["tavily", "tavily/search"]) && named.shows(&["exa", "web_search"]));
    assert!(!named.shows(&["exa", "exa/search"]));
    assert!(Selection::Default.shows(&[]));
}

#[test]
fn pages_follow_each_other_and_a_strange_cursor_is_refused() {
    let names = ["a", "b", "c", "d", "e"];
    let (mut seen, mut cursor) = (Vec::<&str>::new(), None::<String>);
    loop {
        let (start, end, next) = page(&names, cursor.as_deref(), 2).unwrap();
        seen.extend(&names[start..end]);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, names);
    let (_, _, next) = page(&names, None, 2).unwrap();
    for cursor in ["", "x", "%%%", "YWZ0ZXI6eg"] {
        assert_eq!(
            page(&names, Some(cursor), 2).unwrap_err().code,
            INVALID_PARAMS
        );
    }
    // The tool that the last page ended with is gone.
    assert!(page(&["a", "c"], next.as_deref(), 2).is_err());
    assert_eq!(page(&[], None, 2), Ok((0, 0, None)));
}

#[test]
fn a_result_is_text_and_structure_and_bytes_are_a_block_of_their_own() {
    let usage = json!({"cost": 0.008});
    let plain = json!({"id": "exec-1", "status": "succeeded", "data": {"raw": 1}, "result": {"kind": "search_results"}, "usage": usage});
    let result = outcome::result(plain);
    assert_eq!(result["isError"], false);
    assert_eq!(
        result["structuredContent"]["result"]["kind"],
        "search_results"
    );
    assert_eq!(result["structuredContent"].get("data"), None);
    let text = result["content"][0]["text"].as_str().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(text).unwrap(),
        result["structuredContent"]
    );

    let list = outcome::result(json!({"id": "exec-1", "data": [1, 2]}));
    assert_eq!(
        list["structuredContent"]["result"],
        json!({"value": [1, 2]})
    );

    for (mime, kind) in [
        ("audio/mpeg", "audio"),
        ("image/png", "image"),
        ("application/pdf", "resource"),
    ] {
        let data = json!({"mime_type": mime, "bytes": 3, "base64": "QUJD"});
        let result = outcome::result(json!({"id": "exec-1", "data": data}));
        let block = &result["content"][1];
        assert_eq!(block["type"], kind);
        let bytes = if kind == "resource" {
            &block["resource"]["blob"]
        } else {
            &block["data"]
        };
        assert_eq!(bytes, "QUJD");
        assert!(
            !result["content"][0]["text"]
                .as_str()
                .unwrap()
                .contains("QUJD")
        );
        assert_eq!(result["structuredContent"]["result"]["bytes"], 3);
    }

    let failed = outcome::result(
        json!({"id": "exec-1", "status": "failed", "error": {"code": "x", "message": "why"}}),
    );
    assert_eq!(failed["isError"], true);
    assert!(
        failed["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("why")
    );
}

fn confirmation() -> Confirmation {
    Confirmation {
        token: "token".to_owned(),
        expires_at: 0,
        summary: "Send an e-mail to a@b.c".to_owned(),
        effects: vec!["write: it cannot be taken back".to_owned()],
        cost_ceiling: Nanos::new(2_000_000).unwrap(),
        reason: "policy".to_owned(),
    }
}

#[test]
fn a_form_asks_and_only_a_yes_is_one() {
    let asked = confirm::required(&confirmation());
    assert_eq!(asked["requestState"], "token");
    let form = &asked["inputRequests"]["confirm"];
    assert_eq!(form["method"], "elicitation/create");
    let message = form["params"]["message"].as_str().unwrap();
    assert!(
        message.contains("a@b.c") && message.contains("$0.002"),
        "{message}"
    );
    assert_eq!(
        form["params"]["requestedSchema"]["properties"]["confirm"]["type"],
        "boolean"
    );
    for (answer, expected) in [
        (
            json!({"action": "accept", "content": {"confirm": true}}),
            Answer::Yes,
        ),
        (
            json!({"action": "accept", "content": {"confirm": false}}),
            Answer::No,
        ),
        (
            json!({"action": "accept", "content": {"confirm": "yes"}}),
            Answer::None,
        ),
        (json!({"action": "accept"}), Answer::None),
        (
            json!({"action": "decline", "content": {"confirm": true}}),
            Answer::No,
        ),
        (json!({"action": "cancel"}), Answer::No),
        (json!({}), Answer::None),
    ] {
        assert_eq!(confirm::read(&answer), expected, "{answer}");
    }
    let yes = json!({"action": "accept", "content": {"confirm": true}});
    let again = request(
        "tools/call",
        json!({"requestState": "token", "inputResponses": {"confirm": yes, "other": {}}}),
    );
    assert_eq!(confirm::brought(&again), Ok((Some("token"), Answer::Yes)));
    for odd in [
        json!({"inputResponses": null}),
        json!({"inputResponses": {"confirm": 12_345}}),
        json!({"requestState": 1}),
    ] {
        let fault = confirm::brought(&request("tools/call", odd.clone())).unwrap_err();
        assert_eq!(fault.code, INVALID_PARAMS, "{odd}");
    }
}

fn tools() -> Vec<Tool> {
    let provider = |slug: &str, category: &str| {
        Rc::new(ToolProvider {
            slug: slug.to_owned(),
            name: slug.to_owned(),
            category: category.to_owned(),
            ..ToolProvider::default()
        })
    };
    let operation = |name: &str, title: &str, description: &str, effect: Effect| {
        Rc::new(Operation {
            name: name.to_owned(),
            title: title.to_owned(),
            description: description.to_owned(),
            effect,
            input: json!({"type": "object"}).into(),
            ..Operation::default()
        })
    };
    [
        (
            "tavily",
            "search",
            "search",
            "Search the web",
            "Finds pages.",
            Effect::Read,
        ),
        (
            "resend",
            "email",
            "send_email",
            "Send an e-mail",
            "Sends a message to people.",
            Effect::Write,
        ),
        (
            "stripe",
            "payments",
            "refund",
            "Refund a payment",
            "Gives money back.",
            Effect::Money,
        ),
    ]
    .map(|(slug, category, name, title, description, effect)| {
        Tool::new(
            &provider(slug, category),
            &operation(name, title, description, effect),
        )
    })
    .into()
}

#[test]
fn a_tool_says_what_it_may_do() {
    let told: Vec<Value> = tools().iter().map(describe::render).collect();
    let hints = |tool: &Value| {
        let hint = |name: &str| tool["annotations"][name].as_bool().unwrap();
        (
            hint("readOnlyHint"),
            hint("destructiveHint"),
            hint("openWorldHint"),
        )
    };
    let all: Vec<_> = told.iter().map(hints).collect();
    assert_eq!(
        all,
        [
            (true, false, true),
            (false, false, true),
            (false, true, true)
        ]
    );
    assert_eq!(told[0]["name"], "tavily__search");
    assert_eq!(told[0]["inputSchema"]["type"], "object");
    assert_eq!(told[0]["outputSchema"]["type"], "object");
}

#[test]
fn meta_tools_say_what_they_take_and_read_what_models_write() {
    for name in [
        "search_tools",
        "get_tool_schema",
        "execute_tool",
        "confirm_tool",
    ] {
        let told = MetaTool::named(name).unwrap().render();
        assert_eq!(
            (&told["name"], &told["inputSchema"]["type"]),
            (&json!(name), &json!("object"))
        );
    }
    assert_eq!(MetaTool::named("tavily__search"), None);
    let read = |tool: MetaTool, arguments: Value| tool.read(arguments.as_object().unwrap().clone());
    let call = json!({"tool": "a__b", "input": {"x": 1}, "idempotency_key": "k", "token": "t"});
    let Ok(Asked::Call {
        name,
        arguments,
        idempotency_key,
        confirmation,
    }) = read(MetaTool::Confirm, call)
    else {
        panic!("a call")
    };
    assert_eq!((name.as_str(), arguments["x"].as_i64()), ("a__b", Some(1)));
    assert_eq!(
        (idempotency_key.as_deref(), confirmation.as_deref()),
        (Some("k"), Some("t"))
    );
    // Some models write objects as text.
    let written = json!({"tool": "a__b", "input": "{\"x\": 2}"});
    assert!(
        matches!(read(MetaTool::Execute, written), Ok(Asked::Call { arguments, .. }) if arguments["x"] == 2)
    );
    for (tool, arguments) in [
        (MetaTool::Search, json!({})),
        (MetaTool::Search, json!({"query": ""})),
        (MetaTool::Schema, json!({"tools": []})),
        (MetaTool::Schema, json!({"tools": "a__b"})),
        (MetaTool::Execute, json!({"input": {}})),
        (MetaTool::Execute, json!({"tool": "a__b", "input": [1]})),
        (MetaTool::Confirm, json!({"tool": "a__b", "input": {}})),
    ] {
        assert!(read(tool, arguments.clone()).is_err(), "{arguments}");
    }
}

#[test]
fn an_execution_is_a_task_with_the_result_of_its_call_at_the_end() {
    for (capabilities, takes) in [
        (json!({"extensions": {task::EXTENSION: {}}}), true),
        (json!({"extensions": {task::EXTENSION: true}}), false),
        (json!({"extensions": {}, "tasks": {}}), false),
    ] {
        assert_eq!(task::declares(Some(&capabilities)), takes, "{capabilities}");
    }
    assert!(!task::declares(None));
    let made = task::created("exec-1793000000-abc", 5);
    assert_eq!(
        made,
        json!({
            "taskId": "exec-1793000000-abc", "status": "working", "ttlMs": 86_400_000, "pollIntervalMs": 2_000, "resultType": "task",
            "createdAt": "2026-10-26T07:33:20.000Z", "lastUpdatedAt": "2026-10-26T07:33:20.000Z",
        })
    );
    for (status, word, is_error) in [
        (Status::Running, "working", None),
        (Status::Cancelled, "cancelled", None),
        (Status::Succeeded, "completed", Some(false)),
        (Status::Failed, "completed", Some(true)),
        (Status::Unknown, "completed", Some(true)),
    ] {
        let mut envelope = Envelope {
            id: "exec-1793000000-abc".to_owned(),
            status,
            ..Envelope::default()
        };
        envelope.usage.latency_ms = 2_000;
        if is_error == Some(true) {
            envelope.error = Some(ToolError::new("provider_error", "provider", "no"));
        }
        let told = task::told(&envelope, 5);
        assert_eq!(told["status"], word);
        assert_eq!(told["lastUpdatedAt"], "2026-10-26T07:33:22.000Z");
        let is_told = told.pointer("/result/isError").and_then(Value::as_bool);
        assert_eq!(is_told, is_error, "{word}");
    }
}
