//! The protocol without any transport: what is read, what is told, in both versions.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    Fault, Kind, Method, Version, fault, message,
    message::Wish,
    method, parse,
    task::{State, Task},
};
use crate::tools::envelope::{Confirmation, Envelope, Status, ToolError};

fn sent(parts: Value, more: Value) -> Value {
    let mut message = json!({"messageId": "m-1", "role": "ROLE_USER", "parts": parts});
    for (name, value) in more.as_object().unwrap() {
        message[name] = value.clone();
    }
    json!({"message": message})
}

fn wish(parts: Value) -> Wish {
    message::read(&sent(parts, json!({})), Version::V1)
        .unwrap()
        .wish
}

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn each_version_is_known_by_the_names_of_its_methods() {
    for (name, expected) in [
        ("SendMessage", (Version::V1, Method::Send)),
        ("SendStreamingMessage", (Version::V1, Method::Stream)),
        ("ListTasks", (Version::V1, Method::List)),
        ("message/send", (Version::V03, Method::Send)),
        ("tasks/resubscribe", (Version::V03, Method::Subscribe)),
        (
            "tasks/pushNotificationConfig/set",
            (Version::V03, Method::Push),
        ),
        (
            "agent/getAuthenticatedExtendedCard",
            (Version::V03, Method::Card),
        ),
    ] {
        assert_eq!(method(name), Some(expected), "{name}");
    }
    assert_eq!(method("tasks/list"), None);
    assert_eq!(method("sendMessage"), None);
}

#[test]
fn what_is_no_request_is_refused_with_the_code_of_json_rpc() {
    for (body, code, id) in [
        ("{", -32700, json!(null)),
        ("[]", -32600, json!(null)),
        (r#"{"id":1,"method":"SendMessage"}"#, -32600, json!(1)),
        (
            r#"{"jsonrpc":"2.0","id":{},"method":"SendMessage"}"#,
            -32600,
            json!(null),
        ),
        (
            r#"{"jsonrpc":"2.0","id":"a","method":7}"#,
            -32600,
            json!("a"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":"a","method":"Send"}"#,
            -32601,
            json!("a"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"GetTask","params":[1]}"#,
            -32602,
            json!(2),
        ),
    ] {
        let (told, version, fault) = parse(body.as_bytes()).unwrap_err();
        let answer = fault.rpc(&told, version);
        assert_eq!(
            (&answer["error"]["code"], &answer["id"]),
            (&json!(code), &id),
            "{body}"
        );
    }
    let good =
        parse(br#"{"jsonrpc":"2.0","id":7,"method":"tasks/get","params":{"id":"t"}}"#).unwrap();
    assert_eq!(
        (good.version, good.method, good.params),
        (Version::V03, Method::Get, json!({"id": "t"}))
    );
}

#[test]
fn a_header_says_the_version_and_an_empty_one_says_0_3() {
    assert_eq!(Version::of(Some("1.0")), Ok(Version::V1));
    assert_eq!(Version::of(None), Ok(Version::V03));
    assert_eq!(Version::of(Some("")), Ok(Version::V03));
    assert_eq!(
        Version::of(Some("2.0")).unwrap_err().kind,
        Kind::VersionNotSupported
    );
}

#[test]
fn a_message_says_a_tool_an_intent_or_an_answer() {
    let run = json!({"tool": "tavily/search", "input": {"query": "x"}});
    assert_eq!(
        wish(json!([{"data": run, "mediaType": "application/json"}])),
        Wish::Run(fields(run.clone()))
    );
    // The same as text: agents of language models write it so.
    assert_eq!(
        wish(json!([{"text": run.to_string()}])),
        Wish::Run(fields(run))
    );
    assert_eq!(
        wish(json!([{"text": " find news "}, {"text": "about x"}])),
        Wish::Intent("find news \nabout x".into())
    );
    assert_eq!(
        wish(json!([{"data": {"intent": "find news"}}])),
        Wish::Intent("find news".into())
    );
    let more = json!({"intent": "find news", "input": {"topic": "x"}});
    assert_eq!(wish(json!([{"data": more}])), Wish::Run(fields(more)));

    let answer =
        |part: Value| message::read(&sent(json!([part]), json!({"taskId": "t"})), Version::V1);
    for (part, is_yes) in [
        (json!({"text": "Yes."}), true),
        (json!({"text": "go ahead"}), true),
        (json!({"text": "no"}), false),
        (json!({"data": {"confirm": true}}), true),
        (json!({"data": {"confirm": false}}), false),
    ] {
        assert_eq!(
            answer(part.clone()).unwrap().wish,
            Wish::Answer { is_yes },
            "{part}"
        );
    }
    assert_eq!(
        answer(json!({"text": "perhaps"})).unwrap().wish,
        Wish::Words("perhaps".to_owned())
    );
    assert_eq!(message::no_answer("perhaps").kind, Kind::InvalidParams);
}

#[test]
fn the_names_of_the_definitions_are_taken_too() {
    let sent = json!({
        "message": {"message_id": "m", "parts": [{"data": {"a_b": 1}, "media_type": "x/y"}], "metadata": {"c_d": 2}},
        "configuration": {"return_immediately": true, "historyLength": 1}, "page_size": 3,
    });
    assert_eq!(
        Value::Object(super::renamed(fields(sent))),
        json!({
            "message": {"messageId": "m", "parts": [{"data": {"a_b": 1}, "mediaType": "x/y"}], "metadata": {"c_d": 2}},
            "configuration": {"returnImmediately": true, "historyLength": 1}, "pageSize": 3,
        })
    );
}

#[test]
fn whole_numbers_of_protobuf_are_integers_again() {
    let data = json!({"tool": "a/b", "input": {"n": 2.0, "list": [-3.0, 2.5], "deep": {"big": 1e18}, "i": 7, "s": "2.0"}});
    let Wish::Run(read) = wish(json!([{"data": data}])) else {
        panic!("it names a tool");
    };
    assert_eq!(
        Value::Object(read).to_string(),
        json!({"tool": "a/b", "input": {"n": 2, "list": [-3, 2.5], "deep": {"big": 1e18}, "i": 7, "s": "2.0"}}).to_string()
    );
}

#[test]
fn words_that_no_tool_fits_or_that_say_too_little_are_asked_about() {
    let unclear = |code: &str, routed: bool| {
        let mut envelope = Envelope::failed(
            "exec-1",
            "auto/route",
            ToolError::new(code, "client", "Why"),
        );
        envelope.routing = routed.then(|| json!({"intent": {"tool": null}}));
        let mut task = Task::begun(
            "exec-1",
            "c".to_owned(),
            json!({}),
            fields(json!({"intent": "the weather"})),
            1,
        );
        task.follow(&envelope, 2);
        task
    };
    for (code, routed, state, reworded) in [
        (
            "tool_not_found",
            true,
            State::InputRequired,
            Some("in Rome"),
        ),
        (
            "missing_input",
            true,
            State::InputRequired,
            Some("the weather\nin Rome"),
        ),
        ("tool_not_found", false, State::Failed, None),
        ("provider_error", true, State::Failed, None),
    ] {
        let task = unclear(code, routed);
        assert_eq!(task.state, state, "{code}");
        assert_eq!(task.reworded("in Rome").as_deref(), reworded, "{code}");
    }
    let mut confirming = unclear("missing_input", true);
    confirming.token = Some("t".to_owned());
    assert_eq!(confirming.reworded("in Rome"), None);
}

#[test]
fn what_is_wrong_with_a_message_is_told_with_its_path() {
    for (params, kind, path) in [
        (json!({}), Kind::InvalidParams, "message"),
        (
            json!({"message": {"role": "ROLE_USER"}}),
            Kind::InvalidParams,
            "message.messageId",
        ),
        (
            sent(json!([]), json!({})),
            Kind::InvalidParams,
            "message.parts",
        ),
        (
            sent(json!([{"text": "a", "data": {}}]), json!({})),
            Kind::InvalidParams,
            "message.parts[0]",
        ),
        (
            sent(json!([{"text": "a"}, {"text": 7}]), json!({})),
            Kind::InvalidParams,
            "message.parts[1]",
        ),
        (
            sent(json!([{"raw": "AA=="}]), json!({})),
            Kind::ContentTypeNotSupported,
            "message.parts[0]",
        ),
        (
            sent(json!([{"text": "a"}]), json!({"role": "ROLE_AGENT"})),
            Kind::InvalidParams,
            "message.role",
        ),
        (
            sent(
                json!([{"text": "a"}]),
                json!({"messageId": "x".repeat(300)}),
            ),
            Kind::InvalidParams,
            "message.messageId",
        ),
        (
            sent(json!([{"data": {"query": "x"}}]), json!({})),
            Kind::InvalidParams,
            "message.parts",
        ),
    ] {
        let fault = message::read(&params, Version::V1).unwrap_err();
        assert_eq!(fault.kind, kind, "{params}");
        assert!(fault.message.starts_with(path), "{}", fault.message);
    }
    let mut params = sent(json!([{"text": "a"}]), json!({}));
    params["configuration"] = json!({"acceptedOutputModes": ["image/png"]});
    assert_eq!(
        message::read(&params, Version::V1).unwrap_err().kind,
        Kind::ContentTypeNotSupported
    );
    params["configuration"] = json!({"taskPushNotificationConfig": {"url": "https://a.example"}});
    assert_eq!(
        message::read(&params, Version::V1).unwrap_err().kind,
        Kind::PushNotificationNotSupported
    );
}

#[test]
fn messages_of_0_3_are_read_into_the_words_of_1_0() {
    let mut params = sent(
        json!([{"kind": "data", "data": {"tool": "a/b"}}, {"kind": "text", "text": "x"}]),
        json!({"role": "user", "kind": "message"}),
    );
    params["configuration"] = json!({"blocking": false, "historyLength": 2});
    let asked = message::read(&params, Version::V03).unwrap();
    assert_eq!(asked.wish, Wish::Run(fields(json!({"tool": "a/b"}))));
    assert_eq!((asked.is_immediate, asked.history), (true, Some(2)));
    assert_eq!(asked.message["role"], "ROLE_USER");
    assert_eq!(
        asked.message["parts"],
        json!([{"data": {"tool": "a/b"}, "mediaType": "application/json"}, {"text": "x"}])
    );
    let file = sent(
        json!([{"kind": "file", "file": {"uri": "https://a.example"}}]),
        json!({"role": "user"}),
    );
    assert_eq!(
        message::read(&file, Version::V03).unwrap_err().kind,
        Kind::ContentTypeNotSupported
    );
}

fn begun() -> Task {
    let message = json!({"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": "x"}]});
    Task::begun(
        "exec-1",
        "c-1".into(),
        message,
        fields(json!({"tool": "a/b"})),
        1_790_000_000_000,
    )
}

fn envelope(status: Status) -> Envelope {
    Envelope {
        id: "exec-1".into(),
        tool: "a/b".into(),
        status,
        data: (status == Status::Succeeded).then(|| json!({"n": 1})),
        ..Envelope::default()
    }
}

#[test]
fn how_an_execution_stands_is_how_its_task_stands() {
    let failed = |code: &str| Envelope {
        error: Some(ToolError::new(code, "provider", "It failed")),
        ..envelope(Status::Failed)
    };
    let waiting = Envelope {
        confirmation: Some(Confirmation {
            token: "tok".into(),
            expires_at: 1,
            summary: "Send an e-mail to a@b.example.".into(),
            effects: vec!["write".into()],
            cost_ceiling: Default::default(),
            reason: "policy".into(),
        }),
        ..envelope(Status::ConfirmationRequired)
    };
    for (envelope, state, is_kept) in [
        (envelope(Status::Succeeded), State::Completed, false),
        (envelope(Status::Running), State::Working, true),
        (envelope(Status::Unknown), State::Failed, false),
        (envelope(Status::Cancelled), State::Canceled, false),
        (failed("provider_error"), State::Failed, false),
        (failed("byok_required"), State::AuthRequired, true),
        (waiting, State::InputRequired, true),
    ] {
        let mut task = begun();
        task.follow(&envelope, 1_790_000_000_500);
        assert_eq!(task.state, state, "{envelope:?}");
        assert_eq!(
            task.call.is_some(),
            is_kept,
            "what may be asked for again is kept: {state:?}"
        );
        assert_eq!(task.token.is_some(), state == State::InputRequired);
        let read: Task = serde_json::from_value(serde_json::to_value(&task).unwrap()).unwrap();
        assert_eq!(read, task);
    }
}

#[test]
fn a_task_is_told_in_the_words_of_either_version() {
    let mut task = begun();
    task.follow(&envelope(Status::Succeeded), 1_790_000_000_500);
    let told = task.told(Version::V1, None, true);
    assert_eq!(told["status"]["state"], "TASK_STATE_COMPLETED");
    assert_eq!(
        told["artifacts"][0]["parts"][0]["data"]["data"],
        json!({"n": 1})
    );
    assert_eq!(told["history"][0]["role"], "ROLE_USER");
    assert_eq!(told["history"][0]["taskId"], "exec-1");
    assert!(told.get("kind").is_none());

    let told = task.told(Version::V03, None, true);
    assert_eq!(
        (&told["kind"], &told["status"]["state"]),
        (&json!("task"), &json!("completed"))
    );
    assert_eq!(told["artifacts"][0]["parts"][0]["kind"], "data");
    assert_eq!(told["history"][0]["role"], "user");
    assert_eq!(
        told["history"][0]["parts"],
        json!([{"kind": "text", "text": "x"}])
    );

    assert!(
        task.told(Version::V1, Some(0), false)
            .get("history")
            .is_none()
    );
    assert!(
        task.told(Version::V1, Some(0), false)
            .get("artifacts")
            .is_none()
    );
    assert_eq!(task.status_update(Version::V03)["final"], true);
    assert_eq!(
        task.status_update(Version::V1)["statusUpdate"]["taskId"],
        "exec-1"
    );
    assert_eq!(
        task.artifact_updates(Version::V1)[0]["artifactUpdate"]["lastChunk"],
        true
    );
}

#[test]
fn bytes_are_a_file_beside_the_envelope() {
    let mut task = begun();
    let audio = Envelope {
        data: Some(json!({"mime_type": "audio/mpeg", "bytes": 3, "base64": "AAAA"})),
        ..envelope(Status::Succeeded)
    };
    task.follow(&audio, 1_790_000_000_500);
    let told = task.told(Version::V1, None, true);
    assert_eq!(
        told["artifacts"][1]["parts"],
        json!([{"raw": "AAAA", "mediaType": "audio/mpeg"}])
    );
    assert!(
        told["artifacts"][0]["parts"][0]["data"]["data"]
            .get("base64")
            .is_none()
    );
    let old = task.told(Version::V03, None, true);
    assert_eq!(
        old["artifacts"][1]["parts"][0]["file"],
        json!({"bytes": "AAAA", "mimeType": "audio/mpeg"})
    );
}

#[test]
fn states_read_back_in_both_versions() {
    for (state, _) in State::ALL {
        for version in [Version::V1, Version::V03] {
            assert_eq!(State::parse(&state.word(version)), Some(state));
        }
    }
    assert_eq!(State::parse("TASK_STATE_UNSPECIFIED"), None);
}

#[test]
fn the_protocols_own_errors_bear_their_reason() {
    let kinds = [
        (Kind::TaskNotFound, -32001, 404, "TASK_NOT_FOUND"),
        (Kind::TaskNotCancelable, -32002, 400, "TASK_NOT_CANCELABLE"),
        (
            Kind::PushNotificationNotSupported,
            -32003,
            400,
            "PUSH_NOTIFICATION_NOT_SUPPORTED",
        ),
        (
            Kind::UnsupportedOperation,
            -32004,
            400,
            "UNSUPPORTED_OPERATION",
        ),
        (
            Kind::ContentTypeNotSupported,
            -32005,
            400,
            "CONTENT_TYPE_NOT_SUPPORTED",
        ),
        (
            Kind::VersionNotSupported,
            -32009,
            400,
            "VERSION_NOT_SUPPORTED",
        ),
    ];
    let mut seen = BTreeSet::new();
    for (kind, code, http, reason) in kinds {
        let fault = Fault::new(kind, "m");
        let rpc = fault.rpc(&json!(1), Version::V1);
        assert_eq!(rpc["error"]["code"], code);
        assert_eq!(rpc["error"]["data"][0]["reason"], reason);
        assert!(
            fault.rpc(&json!(1), Version::V03)["error"]
                .get("data")
                .is_none()
        );
        assert_eq!((fault.http_status(), fault.rpc_status()), (http, 200));
        assert_eq!(
            fault.rest(Version::V1)["error"]["details"][0]["reason"],
            reason
        );
        assert_eq!(fault.rest(Version::V03)["code"], code);
        assert!(seen.insert(code));
    }
    assert_eq!(Fault::new(Kind::Unauthenticated, "m").rpc_status(), 401);
    assert_eq!(fault::shown("a\nb"), "`ab`");
}
