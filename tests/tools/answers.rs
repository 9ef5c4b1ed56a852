//! What an execution answers: results, failures, the next provider, what must not be told.

use patchbay::tools::catalog::Class;
use patchbay::tools::envelope::Status;
use patchbay::tools::execute::{Answer, Call, ProviderWish, SendError};
use serde_json::json;

use crate::world::{World, call, ok, own, status};

const DOLLAR: i64 = 1_000_000_000;

#[test]
fn a_result_comes_in_the_providers_own_form_and_in_that_of_its_kind() {
    let world = World::with(DOLLAR);
    world.replies([ok(json!({"results": [{"title": "A", "extra": 1}]}))]);
    let envelope = world.run(call("first/search", json!({"q": "x"})));
    assert_eq!(envelope.status, Status::Succeeded, "{envelope:?}");
    assert_eq!(
        envelope.data,
        Some(json!({"results": [{"title": "A", "extra": 1}]}))
    );
    let result = envelope.result.as_ref().unwrap();
    assert_eq!(result["kind"], "search_results");
    assert_eq!(result["items"], json!([{"title": "A"}]));
    assert_eq!(envelope.attribution.as_deref(), Some("By all of us"));
    assert_eq!(envelope.usage.latency_ms, 100);
    assert_eq!(envelope.usage.cost.get(), 5_000_000);
    assert_eq!(
        envelope.usage.balance_remaining.unwrap().get(),
        DOLLAR - 5_000_000
    );
    let (method, url, headers) = world.request(0);
    assert_eq!(
        (method.as_str(), url.as_str()),
        ("GET", "https://first.test/search?q=x")
    );
    assert_eq!(headers["authorization"], "Bearer operator-first-key");
    let rows = world.rows();
    assert_eq!((rows[0].1, rows[0].2), ("settled", 5_000_000));
    assert_eq!(rows[0].3["model"], "first/search");
    assert!(
        world.was_detached(),
        "what is sent is recorded, whoever waits"
    );
}

#[test]
fn what_is_malformed_or_not_there_asks_nobody() {
    let world = World::with(DOLLAR);
    for (name, input, code, param) in [
        ("", json!({}), "missing_tool", None),
        ("first/search", json!(null), "missing_input", None),
        (
            "first/search",
            json!({"q": 1}),
            "invalid_request",
            Some("/q"),
        ),
        ("first/search", json!({}), "invalid_request", None),
        (
            "first/search",
            json!({"q": "x", "z": 1}),
            "invalid_request",
            Some("/z"),
        ),
        ("web_search", json!({"q": "x"}), "invalid_request", None),
        ("first/serach", json!({"q": "x"}), "tool_not_found", None),
        ("third/search", json!({"q": "x"}), "byok_required", None),
    ] {
        let envelope = world.run(call(name, input.clone()));
        let error = envelope.error.as_ref().unwrap();
        assert_eq!(error.code, code, "{name} {input}: {error:?}");
        if param.is_some() {
            assert_eq!(error.param.as_deref(), param, "{name} {input}");
        }
    }
    let wrong = Call {
        idempotency_key: Some("sp ace".into()),
        ..call("first/search", json!({"q": "x"}))
    };
    assert_eq!(
        world.run(wrong).error.unwrap().code,
        "invalid_idempotency_key"
    );
    assert_eq!(world.sent(), 0);
    assert!(world.rows().is_empty());
}

#[test]
fn a_failure_has_its_class_its_status_and_costs_nothing() {
    for (reply, code, http, is_unknown) in [
        (
            status(400, json!({"error": {"message": "no"}})),
            "invalid_request",
            400,
            false,
        ),
        (status(401, json!({})), "provider_error", 500, false),
        (
            status(402, json!({})),
            "provider_quota_exhausted",
            503,
            false,
        ),
        (status(403, json!({})), "permission_denied", 403, false),
        (status(404, json!({})), "not_found", 404, false),
        (status(409, json!({})), "conflict", 409, false),
        (status(429, json!({})), "rate_limit_exceeded", 429, false),
        (status(500, json!({})), "outcome_unknown", 424, true),
        (
            Err(SendError::NotSent("so".into())),
            "provider_unavailable",
            503,
            false,
        ),
        (
            Err(SendError::Unknown("so".into())),
            "outcome_unknown",
            424,
            true,
        ),
        (Err(SendError::TimedOut), "outcome_unknown", 424, true),
    ] {
        let world = World::with(DOLLAR);
        let told = format!("{reply:?}");
        world.replies([reply]);
        let envelope = world.run(call("mail/send", json!({"to": ["a@example.org"]})));
        let error = envelope.error.as_ref().unwrap();
        assert_eq!(
            (error.code.as_str(), envelope.http_status()),
            (code, http),
            "{told}"
        );
        assert_eq!(envelope.status == Status::Unknown, is_unknown, "{told}");
        assert_eq!(world.sent(), 1, "a write is sent once: {told}");
        assert_eq!(
            (world.balance(), world.account().available()),
            (DOLLAR, DOLLAR),
            "{told}"
        );
        assert_eq!(world.rows()[0].1, "voided");
    }
}

#[test]
fn a_read_goes_on_to_the_next_provider_and_the_one_that_served_is_paid() {
    let world = World::with(DOLLAR);
    world.replies([status(429, json!({})), ok(json!({"results": []}))]);
    let envelope = world.run(call("web_search", json!({"query": "x"})));
    assert_eq!(
        (envelope.status, envelope.tool.as_str()),
        (Status::Succeeded, "second/search")
    );
    assert_eq!(envelope.usage.cost.get(), 8_000_000);
    assert_eq!(world.request(1).1, "https://second.test/search?q=x");
    let expected = [
        ("first/search".to_owned(), false, Some(Class::RateLimited)),
        ("second/search".to_owned(), false, None),
    ];
    assert_eq!(world.attempts(), expected);
    assert_eq!(world.rows()[0].3["attempts"].as_array().unwrap().len(), 2);
}

#[test]
fn a_read_that_is_wrong_everywhere_is_asked_once_and_one_without_another_way_twice() {
    let world = World::with(DOLLAR);
    world.replies([status(422, json!({"message": "bad q"}))]);
    let envelope = world.run(call("web_search", json!({"query": "x"})));
    assert_eq!(envelope.error.unwrap().message, "bad q");
    assert_eq!(world.sent(), 1);
    for (first, sent) in [
        (status(503, json!({})), 2),
        (Err(SendError::TimedOut), 2),
        (status(429, json!({})), 1),
    ] {
        let world = World::with(DOLLAR);
        world.replies([first, ok(json!({"results": []}))]);
        world.run(call("first/search", json!({"q": "x"})));
        assert_eq!(world.sent(), sent);
    }
}

#[test]
fn wishes_choose_among_the_providers_of_a_capability() {
    let wish = |prefer: &[&str], allow_fallbacks| Call {
        provider: ProviderWish {
            prefer: prefer.iter().map(|name| (*name).to_owned()).collect(),
            allow_fallbacks,
            ..ProviderWish::default()
        },
        ..call("web_search", json!({"query": "x"}))
    };
    let world = World::with(DOLLAR);
    world.replies([
        ok(json!({"results": []})),
        status(503, json!({})),
        ok(json!({"results": []})),
    ]);
    assert_eq!(world.run(wish(&["second"], true)).tool, "second/search");
    assert_eq!(world.run(wish(&["second"], true)).tool, "first/search");
    world.replies([status(503, json!({})), status(503, json!({}))]);
    let only = world.run(wish(&["second"], false));
    assert_eq!(only.error.unwrap().code, "provider_unavailable");
    assert_eq!(
        world.run(wish(&["nobody"], false)).error.unwrap().code,
        "tool_not_found"
    );
    let cheap = Call {
        provider: ProviderWish {
            max_price: patchbay::credits::money::Nanos::new(1_000).ok(),
            ..ProviderWish::default()
        },
        ..call("web_search", json!({"query": "x"}))
    };
    assert_eq!(world.run(cheap).error.unwrap().code, "price_exceeded");
}

#[test]
fn who_is_known_to_be_slower_than_the_caller_wants_is_not_asked() {
    let quick = |tool: &str, field: &str| Call {
        provider: ProviderWish {
            max_latency_ms: Some(200),
            ..ProviderWish::default()
        },
        ..call(tool, json!({field: "x"}))
    };
    let world = World::with(DOLLAR);
    world.set("SLOW", "first");
    world.replies([status(503, json!({})), status(503, json!({}))]);
    let refused = world.run(quick("first/search", "q"));
    assert_eq!(
        (refused.http_status(), refused.error.unwrap().code.as_str()),
        (422, "latency_exceeded")
    );
    assert_eq!(world.sent(), 0);
    // Of a capability the others are tried, and not the slow one after them.
    let failed = world.run(quick("web_search", "query"));
    assert_eq!(failed.tool, "second/search");
    assert!((1..=2).all(|at| world.request(at - 1).1.contains("second.test")));
    world.replies([ok(json!({"results": []}))]);
    assert_eq!(
        world.run(call("first/search", json!({"q": "x"}))).error,
        None
    );
}

#[test]
fn an_own_key_comes_first_is_free_and_its_refusal_names_its_label() {
    let world = World::with(DOLLAR);
    world.brings(own("first", "my-own-secret-key"));
    world.replies([ok(json!({"results": []}))]);
    let envelope = world.run(call("first/search", json!({"q": "x"})));
    assert_eq!((envelope.usage.cost.get(), envelope.usage.byok), (0, true));
    assert_eq!(
        world.request(0).2["authorization"],
        "Bearer my-own-secret-key"
    );
    let row = &world.rows()[0].3;
    assert_eq!(
        (row["own_key"].as_str(), row["list_cost"].as_i64()),
        (Some("own-first"), Some(5_000_000))
    );
    // The operator's key takes over for a read.
    world.replies([
        status(401, json!({"message": "my-own-secret-key?"})),
        ok(json!({"results": []})),
    ]);
    let envelope = world.run(call("first/search", json!({"q": "x"})));
    assert_eq!(
        (envelope.usage.cost.get(), envelope.usage.byok),
        (5_000_000, false)
    );
    let mail = World::with(DOLLAR);
    mail.brings(own("mail", "my-own-secret-key"));
    mail.replies([status(401, json!({"message": "my-own-secret-key?"}))]);
    let envelope = mail.run(call("mail/send", json!({"to": ["a@b.c"]})));
    let error = envelope.error.unwrap();
    assert_eq!(error.code, "byok_rejected");
    assert!(
        error.message.contains("...abcd") && !error.message.contains("my-own"),
        "{error:?}"
    );
}

#[test]
fn what_providers_want_kept_apart_works_with_an_own_key_only() {
    let world = World::with(DOLLAR);
    let refused = world.run(call("third/search", json!({"q": "x"})));
    assert_eq!(
        (refused.http_status(), refused.error.unwrap().code.as_str()),
        (402, "byok_required")
    );
    world.brings(own("third", "my-own-secret-key"));
    world.replies([ok(json!({"results": []}))]);
    assert_eq!(
        world.run(call("third/search", json!({"q": "x"}))).status,
        Status::Succeeded
    );
}

#[test]
fn no_secret_is_in_anything_that_is_told_or_kept() {
    let secret = "operator-first-key";
    let world = World::with(DOLLAR);
    world.replies([
        ok(json!({"results": [{"title": format!("you sent {secret}")}], (secret): 1})),
        status(
            400,
            json!({"message": format!("bad key {secret}"), "code": secret}),
        ),
    ]);
    for key in ["a", "b"] {
        let envelope = world.run(crate::world::named("first/search", json!({"q": "x"}), key));
        let text = serde_json::to_string(&envelope).unwrap();
        assert!(!text.contains(secret), "{text}");
    }
    let kept = world
        .account()
        .store
        .texts("SELECT answer FROM execution_answers");
    assert_eq!(kept.len(), 2);
    assert!(!kept.join("").contains(secret));
    assert!(!format!("{:?}", world.rows()).contains(secret));
    assert!(!world.reports().contains(secret));
}

#[test]
fn a_result_that_is_too_long_is_told_as_done_or_kept_without_its_data() {
    let world = World::with(DOLLAR);
    world.replies([Err(SendError::TooLarge(200))]);
    let envelope = world.run(call("mail/send", json!({"to": ["a@b.c"]})));
    assert_eq!(
        (envelope.status, envelope.usage.cost.get()),
        (Status::Succeeded, 1_000_000)
    );
    assert_eq!(envelope.warnings[0].code, "result_too_large");
    let long = "x".repeat(600_000);
    world.replies([ok(json!({"results": [{"title": long}]}))]);
    let asked = || crate::world::named("first/search", json!({"q": "x"}), "k");
    assert!(
        world.run(asked()).data.is_some(),
        "the first answer is whole"
    );
    let again = world.run(asked());
    assert!(again.replayed && again.data.is_none());
    assert_eq!(again.warnings[0].code, "result_not_kept");
}

#[test]
fn undoing_knows_what_was_made_and_what_was_there_before() {
    let world = World::with(DOLLAR);
    world.replies([ok(json!({"id": "m-1"}))]);
    let undo = world
        .run(call("mail/send", json!({"to": ["a@b.c"]})))
        .undo
        .unwrap();
    assert_eq!(
        (undo.tool.as_str(), undo.class.as_str()),
        ("mail/cancel", "partial")
    );
    assert_eq!(undo.input, json!({"id": "m-1"}));
    world.replies([ok(json!({"name": "Old"})), ok(json!({}))]);
    let rename = call("mail/rename", json!({"id": "l-1", "name": "New"}));
    let undo = world.run(rename.clone()).undo.unwrap();
    assert_eq!(undo.input, json!({"id": "l-1", "name": "Old"}));
    assert_eq!(world.request(1).0, "GET");
    world.replies([status(500, json!({})), ok(json!({}))]);
    let envelope = world.run(rename);
    assert_eq!((envelope.status, envelope.undo), (Status::Succeeded, None));
    assert_eq!(
        envelope
            .warnings
            .iter()
            .filter(|it| it.code == "not_undoable")
            .count(),
        1
    );
}

#[test]
fn a_dry_run_says_what_would_be_done_and_sends_nothing() {
    let world = World::with(DOLLAR);
    let dry = Call {
        dry_run: true,
        ..call(
            "mail/send",
            json!({"to": ["a@b.c", "d@e.f"], "text": "Hello"}),
        )
    };
    let envelope = world.run(dry);
    assert_eq!(envelope.status, Status::DryRun);
    let data = envelope.data.unwrap();
    let would = data["would"].as_str().unwrap();
    assert!(
        would.contains("Send an e-mail (Mail)")
            && would.contains("a@b.c")
            && would.contains("Hello"),
        "{would}"
    );
    assert_eq!(data["effects"][1], "reaches 2 recipients");
    assert_eq!((world.sent(), world.account().available()), (0, DOLLAR));
}

#[test]
fn an_answer_that_is_no_json_is_told_as_a_failure_of_the_provider() {
    let world = World::with(DOLLAR);
    let odd = || {
        Ok(Answer {
            status: 502,
            headers: vec![("content-type".to_owned(), "text/html".to_owned())],
            body: b"<html>Bad gateway</html>".to_vec(),
        })
    };
    world.replies([odd(), odd()]);
    let envelope = world.run(call("first/search", json!({"q": "x"})));
    assert_eq!(envelope.error.unwrap().code, "provider_error");
    assert_eq!(world.balance(), DOLLAR);
}
