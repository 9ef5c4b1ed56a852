//! Tools: mutated answers of vendors, inputs that no schema would take, documents that are no feeds.
//!
//! The rows here are made so that each way of reading an answer is taken. What is checked is what others rely on: an outcome always has a
//! message, a failure of the caller never counts as the provider's, no amount is negative, and no key is told.

use std::rc::Rc;

use patchbay::tools::{
    catalog::{Class, Tool, ToolCatalog, ToolProvider},
    connector::{self, Acted, Answer, Context, Credentials, JobState, Outcome},
    price, schema,
};
use serde_json::{Value, json};

use crate::{
    mutate::{Dice, mutated},
    targets::{round, rounds},
};

const KEY: &str = "sk-0123456789abcdef";
const STATUSES: [u16; 12] = [200, 201, 202, 204, 301, 400, 403, 404, 429, 456, 500, 529];

fn rows() -> Vec<Rc<Tool>> {
    let lists = json!({"kind": "search_results", "result": {
        "items": {"$each": "/results", "title": "{/title}", "when": {"$time": "{/created}"}, "n": {"$number": "{/score}"}, "plain": {"$plain": "{/html}"}},
        "zip": {"$zip": {"a": "/a", "b": "/b"}}, "rates": {"$entries": "/rates", "code": "{/key}"}, "raw": {"$decode": "{/content}"},
        "first": {"$first": ["{/x}", "{/y}"]}, "names": {"$join": "/names", "with": ", "},
    }});
    let responses = [
        lists.clone(),
        json!({"empty": ["/results"], "id": "/id", "units": "/usage/credits", "partial": {"failed": "/failed_results", "ok": "/results", "message": "/error"}}),
        json!({"page": {"next_url": "/next_url", "param": "cursor", "into": "cursor"}}),
        json!({"page": {"number": "page", "by": "/results", "total": "/pages"}}),
        json!({"xml": {"each": "entry", "fields": {"id": "id", "authors": "author/name[]", "pdf": "link[title=pdf]@href"}, "root": {"total": "totalResults"}}}),
        json!({"binary": ""}),
        json!({"text": true}),
        json!({"job": {"id": "/id", "status": "/status", "done": ["completed"], "failed": ["failed"], "fetch": {"path": "/f/{id}"}, "poll": {"path": "/p/{id}"}}}),
    ];
    let operations = responses.into_iter().enumerate().map(|(at, response)| {
        json!({
            "name": format!("run{at}"),
            "input": {"type": "object", "properties": {"q": {"type": "string"}}},
            "price": {"stated": "/cost", "unit": 5, "count": "/results", "hold": 50},
            "retry": {"kind": "key", "field": "/a/id", "form": "uuid"},
            "request": {
                "method": "POST", "path": "/{q}/x", "query": ["page"], "headers": {"x-q": "{/q}"}, "urls": ["url"],
                "body": if at % 2 == 0 { json!({"kind": "json"}) } else { json!({"kind": "form"}) },
                "rename": {"n": "/a/b"},
            },
            "response": response,
        })
    });
    let row = json!({
        "slug": "acme", "name": "Acme", "base_url": "https://{lang=en}.acme.example", "secret": "ACME", "auth": {"kind": "query", "name": "key"},
        "errors": [
            {"when": {"pointer": "/ok", "equals": false}, "classes": {"ratelimited": "rate_limited"}, "class": "invalid", "code": ["/error"], "message": ["/error"]},
            {"when": {"pointer": "/error", "contains": "no results"}, "class": "empty"},
            {"when": {"header": "x-ratelimit-remaining", "equals": "0"}, "class": "rate_limited", "retry_after": "/parameters/retry_after"},
        ],
        "operation": operations.collect::<Vec<_>>(),
    });
    let provider: ToolProvider = serde_json::from_value(row).unwrap();
    ToolCatalog::new("1", vec![Rc::new(provider)], Vec::new())
        .tools()
        .to_vec()
}

/// Answers to begin with.
fn seeds() -> Vec<String> {
    [
        json!({"results": [{"title": "a", "created": 1_700_000_000, "score": "1,2", "html": "<b>x</b>"}], "failed_results": [{"error": "no"}], "id": "r1",
            "cost": 0.0125, "usage": {"credits": 2}, "next_url": "https://x.example/?cursor=c", "pages": 3, "a": [1, 2], "b": [3], "rates": {"EUR": 1},
            "content": "aGk=", "names": ["x", "y"], "status": "completed"}),
        json!({"ok": false, "error": "ratelimited"}),
        json!({"error": {"message": "m", "code": "c", "param": "p"}, "errors": [{"message": "x"}], "parameters": {"retry_after": 3.2}}),
        json!({"id": "job", "status": "scraping"}),
    ]
    .iter()
    .map(Value::to_string)
    .chain([
        "<?xml version=\"1.0\"?><feed><entry><id>1</id><author><name>A</name></author><link title=\"pdf\" href=\"x\"/></entry></feed>".to_owned(),
        "<html><body>502</body></html>".to_owned(),
        String::new(),
    ])
    .collect()
}

fn check(tool: &Tool, input: &Value, outcome: &Outcome) {
    // The id of a job is asked with, never told.
    let is_told = !matches!(outcome, Outcome::Running(_));
    assert!(
        !is_told || !format!("{outcome:?}").contains(KEY),
        "a key is told"
    );
    match outcome {
        Outcome::Success(success) => {
            let charged = price::charge(&tool.operation, input, success);
            assert!(charged.get() >= 0);
            assert!(success.share.is_none_or(|share| share.failed > 0));
        }
        Outcome::Failure(failure) => {
            assert!(!failure.message.is_empty() && failure.message.len() <= 600);
            assert!(failure.class != Class::Empty);
        }
        Outcome::Running(running) => assert!(!running.job.id.is_empty()),
    }
}

#[test]
fn answers_of_vendors_are_read_whatever_they_are() {
    let (rows, seeds) = (rows(), seeds());
    for seed in 0..rounds() {
        let mut dice = Dice::new(seed ^ 0x7001);
        let text = dice.pick(&seeds).replace("scraping", KEY);
        let other = dice.pick(&seeds).clone();
        let input = mutated(&mut dice, text.as_bytes(), other.as_bytes());
        round("tools-answer", seed, &input, |dice| {
            let headers = ["0", "soon", "1e9", KEY, ""];
            let named =
                |dice: &mut Dice, name: &str| (name.to_owned(), (*dice.pick(&headers)).to_owned());
            let answer = Answer {
                status: *dice.pick(&STATUSES),
                headers: vec![
                    named(dice, "retry-after"),
                    named(dice, "x-ratelimit-remaining"),
                    named(dice, "content-type"),
                ],
                body: input.clone(),
            };
            let asked = json!({"q": "x", "page": 2});
            let secrets = [KEY.to_owned()];
            for tool in &rows {
                let outcome = connector::read(tool, &asked, &answer, &secrets, 1_800_000_000_000);
                check(tool, &asked, &outcome);
                // Who says that the request was wrong has not carried it out. A question about a job says nothing of the job.
                if let Outcome::Failure(failure) = &outcome {
                    assert!(failure.class != Class::Invalid || failure.acted == Acted::No);
                }
                let state = JobState {
                    id: "j".into(),
                    is_done: seed % 2 == 0,
                    fields: serde_json::Map::new(),
                    failures: 0,
                };
                check(
                    tool,
                    &asked,
                    &connector::read_poll(tool, &state, &asked, &answer, &secrets, 0),
                );
                let _ = connector::undo(tool, &asked, &json!(null), None);
            }
        });
    }
}

#[test]
fn inputs_lead_to_their_vendor_or_nowhere() {
    let rows = rows();
    let seed_input = json!({"q": "a b/c", "page": 2, "n": [1, {"x": "y"}], "lang": "de", "url": "https://example.com/a", "deep": {"a": {"b": null}}}).to_string();
    let var = |_: &str| None;
    for seed in 0..rounds() {
        let mut dice = Dice::new(seed ^ 0x7002);
        let bytes = mutated(&mut dice, seed_input.as_bytes(), b"../\"\\u0000\":{\"a\":[");
        let Ok(input) = serde_json::from_slice::<Value>(&bytes) else {
            continue;
        };
        round("tools-input", seed, &bytes, |_| {
            for tool in &rows {
                let _ = schema::validate(tool.operation.input.value(), &input);
                assert!(price::ceiling(&tool.operation, &input).get() >= 50);
                let credentials = Credentials::of(tool, Some(KEY), &var).unwrap();
                let cx = Context {
                    credentials: &credentials,
                    token: None,
                    idempotency: Some(&[1; 32]),
                    now_ms: 0,
                    var: &var,
                };
                let Ok(outgoing) = connector::prepare(tool, &input, &cx) else {
                    continue;
                };
                let rest = outgoing.url.strip_prefix("https://").unwrap();
                let (host, path) = rest.split_once('/').unwrap();
                let label = host.strip_suffix(".acme.example").unwrap();
                assert!(
                    label
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
                    "{host}"
                );
                assert!(outgoing.url.bytes().all(|byte| byte.is_ascii_graphic()));
                let path = path.split('?').next().unwrap();
                assert_eq!(path.split('/').count(), 2, "{path}");
                assert!(
                    !path
                        .split('/')
                        .any(|segment| segment.is_empty() || segment == ".."),
                    "{path}"
                );
                assert!(
                    outgoing
                        .headers
                        .iter()
                        .all(|(_, value)| !value.contains(['\r', '\n']))
                );
            }
        });
    }
}
