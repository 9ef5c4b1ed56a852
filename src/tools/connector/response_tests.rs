//! What answers mean: the traps that adapters of HTTP fall into, each with what is right.

use serde_json::{Value, json};

use super::{
    Acted, Missed, Outcome, Share, before, beyond, normal,
    test_rows::{KEY, answer, failure, outcome, success, tool},
    undo,
};
use crate::tools::catalog::{Class, UndoClass};

#[test]
fn statuses_speak_where_a_row_says_nothing() {
    let plain = tool(json!({}), json!({}));
    for (status, class, acted) in [
        (300, Class::Provider, Acted::No),
        (400, Class::Invalid, Acted::No),
        (401, Class::Auth, Acted::No),
        (402, Class::Quota, Acted::No),
        (403, Class::Permission, Acted::No),
        (404, Class::NotFound, Acted::No),
        (408, Class::Timeout, Acted::Maybe),
        (409, Class::Conflict, Acted::No),
        (410, Class::NotFound, Acted::No),
        (422, Class::Invalid, Acted::No),
        (429, Class::RateLimited, Acted::No),
        (500, Class::Provider, Acted::Maybe),
        (503, Class::Unavailable, Acted::Maybe),
        (504, Class::Timeout, Acted::Maybe),
        (529, Class::Unavailable, Acted::Maybe),
    ] {
        let found = failure(&plain, &answer(status, &[], "{}"));
        assert_eq!(
            (found.class, found.acted, found.status),
            (class, acted, status)
        );
        assert_eq!(
            found.message,
            format!("the provider answered with status {status}")
        );
    }
}

#[test]
fn messages_are_found_where_vendors_put_them() {
    let plain = tool(json!({}), json!({}));
    for (body, message) in [
        (r#"{"error":{"message":"a","type":"t"}}"#, "a"),
        (r#"{"message":"a"}"#, "a"),
        (r#"{"error":"a"}"#, "a"),
        (r#"{"detail":[{"msg":"a"}]}"#, "a"),
        (r#"{"errors":[{"message":"a","field":"to"}]}"#, "a"),
        (r#"{"error":true,"reason":"a"}"#, "a"),
        ("\"a\"", "a"),
        ("plain\u{0}text\n", "plain text"),
        (
            "<html><head><title>t</title></head><body><h1>Bad Gateway</h1></body></html>",
            "Bad Gateway",
        ),
    ] {
        assert_eq!(
            failure(&plain, &answer(500, &[], body)).message,
            message,
            "{body}"
        );
    }
    let long = format!(r#"{{"message":"{}"}}"#, "ä".repeat(2_000));
    assert!(failure(&plain, &answer(500, &[], long)).message.len() <= 500);
    assert!(
        !failure(&plain, &answer(500, &[], [0xff, 0xfe]))
            .message
            .is_empty()
    );
}

#[test]
fn a_failure_in_a_200_is_none_the_less_one() {
    // Slack.
    let slack = tool(
        json!({"errors": [{
            "when": {"pointer": "/ok", "equals": false},
            "classes": {"ratelimited": "rate_limited", "invalid_auth": "auth", "channel_not_found": "not_found"},
            "class": "invalid", "code": ["/error"], "message": ["/error"],
        }]}),
        json!({}),
    );
    for (code, class) in [
        ("ratelimited", Class::RateLimited),
        ("invalid_auth", Class::Auth),
        ("channel_not_found", Class::NotFound),
        ("no_text", Class::Invalid),
    ] {
        let found = failure(
            &slack,
            &answer(
                200,
                &[("retry-after", "30")],
                format!(r#"{{"ok":false,"error":"{code}"}}"#),
            ),
        );
        assert_eq!(
            (
                found.class,
                found.code.as_deref(),
                found.acted,
                found.retry_after
            ),
            (class, Some(code), Acted::No, Some(30))
        );
    }
    success(
        &slack,
        &json!({}),
        &answer(200, &[], r#"{"ok":true,"ts":"1.2"}"#),
    );
    // Alpha Vantage.
    let alpha = tool(
        json!({"errors": [
            {"when": {"pointer": "/Note", "exists": true}, "class": "rate_limited", "message": ["/Note"]},
            {"when": {"pointer": "/Information", "exists": true}, "class": "rate_limited", "message": ["/Information"]},
            {"when": {"pointer": "/Error Message", "exists": true}, "class": "invalid", "message": ["/Error Message"]},
        ]}),
        json!({}),
    );
    for (body, class) in [
        (r#"{"Note":"25 a day"}"#, Class::RateLimited),
        (r#"{"Information":"x"}"#, Class::RateLimited),
        (r#"{"Error Message":"no symbol"}"#, Class::Invalid),
    ] {
        assert_eq!(failure(&alpha, &answer(200, &[], body)).class, class);
    }
    // Linear: errors in a 200, and a 400 that throttles.
    let linear = tool(
        json!({"errors": [
            {"when": {"pointer": "/errors/0/extensions/code", "equals": "RATELIMITED"}, "class": "rate_limited"},
            {"when": {"pointer": "/errors/0", "exists": true}, "class": "invalid", "code": ["/errors/0/extensions/code"], "message": ["/errors/0/extensions/userPresentableMessage", "/errors/0/message"]},
        ]}),
        json!({}),
    );
    let body = r#"{"errors":[{"message":"m","extensions":{"code":"RATELIMITED"}}]}"#;
    assert_eq!(
        failure(&linear, &answer(400, &[], body)).class,
        Class::RateLimited
    );
    let body = r#"{"errors":[{"message":"m","extensions":{"code":"INPUT"}}],"data":null}"#;
    assert_eq!(
        failure(&linear, &answer(200, &[], body)).class,
        Class::Invalid
    );
}

#[test]
fn nothing_found_is_a_success_with_an_empty_list() {
    let serp = tool(
        json!({"errors": [
            {"when": {"pointer": "/error", "contains": "hasn't returned any results"}, "class": "empty"},
            {"when": {"pointer": "/error", "exists": true}, "class": "provider", "message": ["/error"]},
        ]}),
        json!({"response": {
            "kind": "search_results", "empty": ["/organic_results"],
            "result": {"items": {"$each": "/organic_results", "url": "{/link}"}},
        }}),
    );
    let nothing = answer(
        200,
        &[],
        r#"{"error":"Google hasn't returned any results for this query."}"#,
    );
    let found = success(&serp, &json!({}), &nothing);
    assert_eq!(
        found.result,
        Some(json!({"kind": "search_results", "items": []}))
    );
    assert_eq!(
        failure(&serp, &answer(200, &[], r#"{"error":"boom"}"#)).class,
        Class::Provider
    );
    // Open-Meteo leaves the list out, others say null.
    for body in ["{}", r#"{"organic_results":null}"#] {
        let found = success(&serp, &json!({}), &answer(200, &[], body));
        assert_eq!(found.data, json!({"organic_results": []}));
    }
}

#[test]
fn statuses_of_a_vendors_own_mean_what_its_row_says() {
    let rules = |rules: Value| tool(json!({ "errors": rules }), json!({}));
    let hunter = rules(json!([
        {"when": {"status": [202]}, "class": "unavailable", "retry_after": 10},
        {"when": {"status": [222]}, "class": "provider"},
        {"when": {"status": [403]}, "class": "rate_limited"},
        {"when": {"status": [429]}, "class": "quota"},
    ]));
    for (status, class, wait) in [
        (202, Class::Unavailable, Some(10)),
        (222, Class::Provider, None),
        (403, Class::RateLimited, None),
        (429, Class::Quota, None),
    ] {
        let found = failure(&hunter, &answer(status, &[], "{}"));
        assert_eq!((found.class, found.retry_after), (class, wait));
    }
    // DeepL 456, Tavily 432 and 433.
    let quota = rules(
        json!([{"when": {"status": [456, 432, 433]}, "class": "quota", "message": ["/detail/error"]}]),
    );
    for status in [456, 432, 433] {
        let found = failure(
            &quota,
            &answer(status, &[], r#"{"detail":{"error":"used up"}}"#),
        );
        assert_eq!(
            (found.class, found.message.as_str()),
            (Class::Quota, "used up")
        );
    }
    // GitHub: 403 is a limit only where its header says so.
    let github = rules(
        json!([{"when": {"status": [403, 429], "header": "x-ratelimit-remaining", "equals": "0"}, "class": "rate_limited"}]),
    );
    assert_eq!(
        failure(
            &github,
            &answer(403, &[("x-ratelimit-remaining", "0")], "{}")
        )
        .class,
        Class::RateLimited
    );
    assert_eq!(
        failure(
            &github,
            &answer(403, &[("x-ratelimit-remaining", "9")], "{}")
        )
        .class,
        Class::Permission
    );
    // OpenWeather's `cod` is a number or a text.
    let weather =
        rules(json!([{"when": {"pointer": "/cod", "in": [404, "401"]}, "class": "not_found"}]));
    for body in [r#"{"cod":"404"}"#, r#"{"cod":404}"#, r#"{"cod":401}"#] {
        assert_eq!(
            failure(&weather, &answer(200, &[], body)).class,
            Class::NotFound
        );
    }
    success(&weather, &json!({}), &answer(200, &[], r#"{"cod":200}"#));
    // Airtable: half a minute, whatever the header says less.
    let airtable =
        rules(json!([{"when": {"status": [429]}, "class": "rate_limited", "retry_after": 30}]));
    assert_eq!(
        failure(&airtable, &answer(429, &[("retry-after", "1")], "{}")).retry_after,
        Some(30)
    );
    // Notion's 404 is the object's, with the vendor's word.
    let found = failure(
        &rules(json!([])),
        &answer(
            404,
            &[],
            r#"{"object":"error","code":"object_not_found","message":"Could not find page"}"#,
        ),
    );
    assert_eq!(
        (found.class, found.message.as_str()),
        (Class::NotFound, "Could not find page")
    );
    // fal: a 504 that is the caller's own limit was given up.
    let fal = rules(
        json!([{"when": {"header": "x-fal-request-timeout-type", "equals": "user"}, "class": "timeout", "acted": false}]),
    );
    assert_eq!(
        failure(
            &fal,
            &answer(504, &[("x-fal-request-timeout-type", "user")], "{}")
        )
        .acted,
        Acted::No
    );
    assert_eq!(failure(&fal, &answer(504, &[], "{}")).acted, Acted::Maybe);
    // A rule of the operation goes before those of its provider.
    let own = tool(
        json!({"errors": [{"when": {"status": [400]}, "class": "quota"}]}),
        json!({"errors": [{"when": {"status": [400]}, "class": "conflict", "acted": true}]}),
    );
    let found = failure(&own, &answer(400, &[], "{}"));
    assert_eq!((found.class, found.acted), (Class::Conflict, Acted::Maybe));
}

#[test]
fn waits_are_whole_seconds_out_of_every_form() {
    let with = |wait: Value| {
        tool(
            json!({"errors": [{"when": {"status": [429]}, "retry_after": wait}]}),
            json!({}),
        )
    };
    for (wait, headers, body, seconds) in [
        (
            json!("/retry_after"),
            vec![],
            r#"{"retry_after":1.2}"#,
            Some(2),
        ),
        (
            json!("/retry_after"),
            vec![],
            r#"{"retry_after":"64"}"#,
            Some(64),
        ),
        (
            json!("header:x-reset-after"),
            vec![("x-reset-after", "0.5")],
            "{}",
            Some(1),
        ),
        (json!(null), vec![("retry-after", "7")], "{}", Some(7)),
        (json!(null), vec![("retry-after", "soon")], "{}", None),
        (json!("/retry_after"), vec![], r#"{"retry_after":-3}"#, None),
        (
            json!("/retry_after"),
            vec![],
            r#"{"retry_after":1e99}"#,
            None,
        ),
    ] {
        assert_eq!(
            failure(&with(wait.clone()), &answer(429, &headers, body)).retry_after,
            seconds,
            "{wait} {body}"
        );
    }
}

#[test]
fn a_success_need_not_have_a_body_or_json() {
    // SendGrid: 202, nothing, the id in a header.
    let sendgrid = tool(
        json!({}),
        json!({"response": {"id": "header:x-message-id"}}),
    );
    let found = success(
        &sendgrid,
        &json!({}),
        &answer(202, &[("x-message-id", "m1")], ""),
    );
    assert_eq!(
        (found.data, found.id.as_deref()),
        (json!({"id": "m1"}), Some("m1"))
    );
    // ElevenLabs: bytes.
    let audio = tool(
        json!({}),
        json!({"response": {"binary": "", "kind": "audio", "result": {"mime_type": "{/mime_type}", "bytes": "{/bytes}"}}}),
    );
    let found = success(
        &audio,
        &json!({}),
        &answer(200, &[("content-type", "audio/mpeg; x=1")], [0xff, 0xfb, 0]),
    );
    assert_eq!(
        found.data,
        json!({"mime_type": "audio/mpeg", "bytes": 3, "base64": "//sA"})
    );
    assert_eq!(
        found.result,
        Some(json!({"kind": "audio", "mime_type": "audio/mpeg", "bytes": 3}))
    );
    assert!(matches!(
        outcome(&audio, &json!({}), &answer(200, &[], "")),
        Outcome::Failure(_)
    ));
    let found = failure(
        &audio,
        &answer(422, &[], r#"{"detail":{"status":"quota","message":"m"}}"#),
    );
    assert_eq!(found.message, "m");
    // Texts and feeds.
    let text = tool(json!({}), json!({"response": {"text": true}}));
    assert_eq!(
        success(&text, &json!({}), &answer(200, &[], "# T")).data,
        json!({"text": "# T"})
    );
    assert_eq!(
        success(&text, &json!({}), &answer(200, &[], "{}")).data,
        json!({"text": "{}"})
    );
    let feed = tool(
        json!({}),
        json!({"response": {"xml": {"each": "entry", "fields": {"id": "id"}}}}),
    );
    assert_eq!(
        success(
            &feed,
            &json!({}),
            &answer(200, &[], "<feed><entry><id>1</id></entry></feed>")
        )
        .data,
        json!({"items": [{"id": "1"}]})
    );
    // A byte order mark.
    let plain = tool(json!({}), json!({}));
    assert_eq!(
        success(&plain, &json!({}), &answer(200, &[], "\u{feff}{\"a\":1}")).data,
        json!({"a": 1})
    );
}

#[test]
fn what_is_not_what_the_row_says_may_have_been_done() {
    let plain = tool(json!({}), json!({}));
    let feed = tool(json!({}), json!({"response": {"xml": {"each": "a"}}}));
    // Twilio answers XML where the path does not end with .json.
    for (tool, body) in [
        (&plain, &b"<TwilioResponse/>"[..]),
        (&plain, b"\xff\xfe"),
        (&plain, b"{\"a\":"),
        (&feed, b"{}"),
    ] {
        let found = failure(tool, &answer(200, &[], body));
        assert_eq!((found.class, found.acted), (Class::Provider, Acted::Maybe));
    }
}

#[test]
fn a_batch_tells_what_was_not_done() {
    let extract = tool(
        json!({}),
        json!({"response": {"partial": {"failed": "/failed_results", "ok": "/results", "item": "/url", "message": "/error"}}}),
    );
    let body = r#"{"results":[{"url":"a"},{"url":"b"}],"failed_results":[{"url":"c","error":"403"},{"url":"d"}]}"#;
    let found = success(&extract, &json!({}), &answer(200, &[], body));
    assert_eq!(found.share, Some(Share { done: 2, failed: 2 }));
    assert_eq!(
        found.missed,
        [
            Missed {
                item: Some(json!("c")),
                message: "403".into()
            },
            Missed {
                item: Some(json!("d")),
                message: "it failed at the provider".into()
            },
        ]
    );
    let all = success(
        &extract,
        &json!({}),
        &answer(200, &[], r#"{"results":[1],"failed_results":[]}"#),
    );
    assert_eq!((all.share, all.missed.len()), (None, 0));
}

#[test]
fn listings_go_on_with_the_input_of_the_next_page() {
    let link = r#"<https://x.example/a?page=2&q=1>; rel="prev", <https://x.example/a?page=4&q=1>; rel="next""#;
    for (page, input, body, next) in [
        (
            json!({"cursor": "/meta/next", "into": "cursor"}),
            json!({"q": 1}),
            r#"{"meta":{"next":"c2"}}"#,
            json!({"q": 1, "cursor": "c2"}),
        ),
        (
            json!({"cursor": "/meta/next", "into": "cursor"}),
            json!({}),
            r#"{"meta":{"next":""}}"#,
            Value::Null,
        ),
        (
            json!({"cursor": "/meta/next", "into": "cursor"}),
            json!({}),
            "{}",
            Value::Null,
        ),
        (
            json!({"cursor": "/next", "into": "cursor"}),
            json!({"cursor": "c"}),
            r#"{"next":"c"}"#,
            Value::Null,
        ),
        (
            json!({"next_url": "/next_url", "param": "cur", "into": "cursor"}),
            json!({}),
            r#"{"next_url":"https://x.example/?a=1&cur=a%2Fb+c#x"}"#,
            json!({"cursor": "a/b c"}),
        ),
        (
            json!({"next_url": "header:link", "param": "page", "into": "page"}),
            json!({}),
            "[]",
            json!({"page": "4"}),
        ),
        (
            json!({"last": "/data", "id": "/id", "into": "starting_after", "more": "/has_more"}),
            json!({}),
            r#"{"data":[{"id":"a"},{"id":"b"}],"has_more":true}"#,
            json!({"starting_after": "b"}),
        ),
        (
            json!({"last": "/data", "id": "/id", "into": "starting_after", "more": "/has_more"}),
            json!({}),
            r#"{"data":[{"id":"b"}],"has_more":false}"#,
            Value::Null,
        ),
        (
            json!({"offset": "offset", "by": "/r", "total": "/n"}),
            json!({"offset": 2}),
            r#"{"r":[1,2],"n":5}"#,
            json!({"offset": 4}),
        ),
        (
            json!({"offset": "offset", "by": "/r", "total": "/n"}),
            json!({"offset": 3}),
            r#"{"r":[1,2],"n":"5"}"#,
            Value::Null,
        ),
        (
            json!({"offset": "offset", "by": "/r"}),
            json!({}),
            r#"{"r":[]}"#,
            Value::Null,
        ),
        (
            json!({"number": "page", "by": "/r", "more": "/more"}),
            json!({}),
            r#"{"r":[1],"more":true}"#,
            json!({"page": 2}),
        ),
        (
            json!({"number": "page", "by": "/r", "total": "/pages", "first": 0}),
            json!({"page": 1}),
            r#"{"r":[1],"pages":3}"#,
            json!({"page": 2}),
        ),
        (
            json!({"number": "page", "by": "/r", "total": "/pages", "first": 0}),
            json!({"page": 2}),
            r#"{"r":[1],"pages":3}"#,
            Value::Null,
        ),
        (
            json!({"number": "page", "by": "/r", "total": "/pages"}),
            json!({"page": 3}),
            r#"{"r":[1],"pages":3}"#,
            Value::Null,
        ),
    ] {
        let lists = tool(json!({}), json!({"response": {"page": page}}));
        let found = success(&lists, &input, &answer(200, &[("link", link)], body));
        assert_eq!(found.next.unwrap_or_default(), next, "{page} {body}");
    }
}

#[test]
fn no_key_is_in_what_is_told() {
    let plain = tool(
        json!({"errors": [{"code": ["/code"], "param": ["/param"]}]}),
        json!({}),
    );
    let body = format!(r#"{{"message":"bad key {KEY}","code":"{KEY}","param":"{KEY}"}}"#);
    let told = format!("{:?}", failure(&plain, &answer(401, &[], body)));
    assert!(
        told.contains("bad key [secret]") && !told.contains(KEY),
        "{told}"
    );
    let rows = tool(
        json!({}),
        json!({"response": {
            "result": {"echo": "{/echo}"}, "page": {"cursor": "/echo", "into": "c"},
            "partial": {"failed": "/bad", "message": "/why"},
        }}),
    );
    let body = format!(r#"{{"echo":"x{KEY}y","{KEY}":1,"bad":[{{"why":"{KEY}"}}]}}"#);
    let told = format!("{:?}", success(&rows, &json!({}), &answer(200, &[], body)));
    assert!(!told.contains(KEY), "{told}");
}

#[test]
fn an_effect_can_be_taken_back_where_its_row_says_when_and_how() {
    let send = tool(
        json!({}),
        json!({
            "undo": {
                "operation": "cancel", "class": "partial", "note": "n",
                "input": {"id": "{/data/id}", "state": "closed", "old": "{/before/title}"},
                "when": {"pointer": "/input/at", "exists": true},
            },
            "before": {"operation": "get", "input": {"id": "{/input/id}"}},
        }),
    );
    let call = undo(
        &send,
        &json!({"at": "x"}),
        &json!({"id": 7}),
        Some(&json!({"title": "t"})),
    )
    .unwrap();
    assert_eq!(call.input, json!({"id": 7, "state": "closed", "old": "t"}));
    assert_eq!(
        (call.operation.as_str(), call.class, call.note.as_deref()),
        ("cancel", UndoClass::Partial, Some("n"))
    );
    assert_eq!(undo(&send, &json!({}), &json!({"id": 7}), None), None);
    assert_eq!(
        before(&send, &json!({"id": "a"})),
        Some(("get".to_owned(), json!({"id": "a"})))
    );
    assert_eq!(before(&tool(json!({}), json!({})), &json!({})), None);
}

#[test]
fn a_capabilitys_input_becomes_the_operations_own() {
    let search = tool(
        json!({}),
        json!({"normal": {"q": "{/query}", "n": "{/max_results}", "safe": true}}),
    );
    let input = json!({"query": "x", "topic": "news", "freshness": null});
    assert_eq!(
        normal(&search, &input),
        Some(json!({"q": "x", "safe": true}))
    );
    assert_eq!(beyond(&search, &input), ["topic"]);
    assert_eq!(normal(&tool(json!({}), json!({})), &input), None);
}
