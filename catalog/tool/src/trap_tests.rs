//! What a naive adapter of these vendors' APIs falls into, one test each, with the rows that are shipped.
//!
//! `catalog/tools/README.md` lists them; a line there without a test here, or the other way round, fails.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use base64::prelude::{BASE64_STANDARD, Engine};
use patchbay::tools::catalog::{AuthKind, ToolCatalog};
use patchbay::tools::connector::{self, Answer, Outcome, Outgoing};
use patchbay::tools::price;
use serde_json::{Value, json};

use crate::exchanges::{NOW_MS, Vendor, tool, tools, vendor, with};

/// The traps of `README.md` that have their test elsewhere.
const ELSEWHERE: [(&str, &str); 2] = [
    (
        "what_says_nothing_of_the_provider_changes_no_belief",
        "src/tools/beliefs",
    ),
    (
        "no_secret_is_in_anything_that_is_told_or_kept",
        "tests/tools/answers.rs",
    ),
];

thread_local! {
    static CATALOG: Rc<ToolCatalog> = Rc::new(tools());
}

fn catalog() -> Rc<ToolCatalog> {
    CATALOG.with(Rc::clone)
}

/// An answer of a vendor.
struct Said<'a>(&'a str, u16, &'a [(&'a str, &'a str)], &'a str);

fn exchange_input(vendor: &Vendor, operation: &str) -> Value {
    let exchange = vendor
        .exchanges
        .iter()
        .find(|one| one.operation == operation);
    exchange
        .unwrap_or_else(|| panic!("{operation} has no exchange"))
        .input
        .clone()
}

/// What a tool makes of an answer.
fn read(id: &str, status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Outcome {
    let (slug, operation) = id.split_once('/').unwrap();
    let (vendor, tool) = (vendor(slug), tool(&catalog(), slug, operation));
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let answer = Answer {
        status,
        headers,
        body: body.as_ref().to_vec(),
    };
    let input = exchange_input(&vendor, operation);
    with(&vendor, &tool, |_, secrets| {
        connector::read(&tool, &input, &answer, secrets, NOW_MS)
    })
}

/// The class of a failure, and the seconds to wait.
fn failed(said: &Said<'_>) -> (String, Option<u32>) {
    match read(said.0, said.1, said.2, said.3) {
        Outcome::Failure(failure) => (
            json!(failure.class).as_str().unwrap().to_owned(),
            failure.retry_after,
        ),
        other => panic!("{} {} {}: {other:?}", said.0, said.1, said.3),
    }
}

fn all_fail(cases: &[(Said<'_>, &str)]) {
    for (said, class) in cases {
        assert_eq!(failed(said).0, *class, "{} {} {}", said.0, said.1, said.3);
    }
}

/// What leaves for a tool's exchanges.
fn sent(slug: &str, operation: &str) -> Vec<Outgoing> {
    let (vendor, tool) = (vendor(slug), tool(&catalog(), slug, operation));
    let inputs = vendor
        .exchanges
        .iter()
        .filter(|one| one.operation == operation);
    inputs
        .map(|one| {
            with(&vendor, &tool, |cx, _| {
                connector::prepare(&tool, &one.input, cx)
            })
            .unwrap()
        })
        .collect()
}

#[test]
fn slack_says_no_in_a_200() {
    all_fail(&[
        (
            Said(
                "slack/post_message",
                200,
                &[],
                r#"{"ok":false,"error":"channel_not_found"}"#,
            ),
            "not_found",
        ),
        (
            Said(
                "slack/post_message",
                200,
                &[],
                r#"{"ok":false,"error":"invalid_auth"}"#,
            ),
            "auth",
        ),
        (
            Said(
                "slack/history",
                200,
                &[],
                r#"{"ok":false,"error":"ratelimited"}"#,
            ),
            "rate_limited",
        ),
        (
            Said("slack/post_message", 429, &[("retry-after", "7")], ""),
            "rate_limited",
        ),
    ]);
    assert_eq!(
        failed(&Said(
            "slack/post_message",
            429,
            &[("retry-after", "7")],
            ""
        ))
        .1,
        Some(7)
    );
}

#[test]
fn alpha_vantage_says_no_in_the_place_of_data() {
    all_fail(&[
        (
            Said(
                "alphavantage/quote",
                200,
                &[],
                r#"{"Note":"Thank you! Our limit is 5 calls per minute."}"#,
            ),
            "rate_limited",
        ),
        (
            Said(
                "alphavantage/daily",
                200,
                &[],
                r#"{"Information":"We have detected your API key, 25 requests per day."}"#,
            ),
            "rate_limited",
        ),
        (
            Said(
                "alphavantage/daily",
                200,
                &[],
                r#"{"Information":"This is a premium endpoint."}"#,
            ),
            "quota",
        ),
        (
            Said(
                "alphavantage/quote",
                200,
                &[],
                r#"{"Error Message":"Invalid API call."}"#,
            ),
            "invalid",
        ),
    ]);
}

#[test]
fn linear_has_errors_in_a_200_and_throttles_with_a_400() {
    let error = |code: &str| {
        format!(r#"{{"errors":[{{"message":"no","extensions":{{"code":"{code}"}}}}]}}"#)
    };
    all_fail(&[
        (
            Said("linear/list_issues", 400, &[], &error("RATELIMITED")),
            "rate_limited",
        ),
        (
            Said(
                "linear/create_issue",
                200,
                &[],
                &error("AUTHENTICATION_ERROR"),
            ),
            "auth",
        ),
        (
            Said("linear/create_issue", 200, &[], &error("INVALID_INPUT")),
            "invalid",
        ),
        (
            Said(
                "linear/list_teams",
                200,
                &[],
                r#"{"data":null,"errors":[{"message":"no"}]}"#,
            ),
            "invalid",
        ),
    ]);
}

#[test]
fn serpapi_has_an_error_where_nothing_was_found() {
    let Outcome::Success(none) = read(
        "serpapi/search",
        200,
        &[],
        r#"{"search_metadata":{"status":"Success"},"error":"Google hasn't returned any results for this query."}"#,
    ) else {
        panic!("nothing found is a failure");
    };
    assert_eq!(none.result.unwrap()["items"], json!([]));
    all_fail(&[
        (
            Said(
                "serpapi/search",
                200,
                &[],
                r#"{"search_metadata":{"status":"Error"},"error":"We failed."}"#,
            ),
            "provider",
        ),
        (
            Said("serpapi/news", 200, &[], r#"{"error":"Something else"}"#),
            "provider",
        ),
    ]);
}

#[test]
fn hunter_answers_202_and_222_where_it_does_not_know_yet() {
    all_fail(&[
        (
            Said(
                "hunter/email_verifier",
                202,
                &[],
                r#"{"data":{"status":"unknown"}}"#,
            ),
            "unavailable",
        ),
        (
            Said(
                "hunter/email_verifier",
                222,
                &[],
                r#"{"errors":[{"details":"SMTP"}]}"#,
            ),
            "provider",
        ),
    ]);
    assert!(
        failed(&Said("hunter/email_verifier", 202, &[], "{}"))
            .1
            .is_some()
    );
}

#[test]
fn plans_that_are_used_up_have_statuses_of_their_own() {
    all_fail(&[
        (
            Said(
                "deepl/translate",
                456,
                &[],
                r#"{"message":"Quota exceeded"}"#,
            ),
            "quota",
        ),
        (
            Said("tavily/search", 432, &[], r#"{"detail":{"error":"plan"}}"#),
            "quota",
        ),
        (
            Said(
                "tavily/extract",
                433,
                &[],
                r#"{"detail":{"error":"paygo"}}"#,
            ),
            "quota",
        ),
        (
            Said(
                "firecrawl/scrape",
                402,
                &[],
                r#"{"success":false,"error":"credits"}"#,
            ),
            "quota",
        ),
        (
            Said("deepl/translate", 529, &[], r#"{"message":"Too many"}"#),
            "rate_limited",
        ),
    ]);
}

#[test]
fn sendgrid_takes_a_mail_without_a_word() {
    let Outcome::Success(taken) = read("sendgrid/send_email", 202, &[("x-message-id", "m-7")], "")
    else {
        panic!("a 202 without a body is a failure");
    };
    assert_eq!(
        (taken.id.as_deref(), &taken.data["id"]),
        (Some("m-7"), &json!("m-7"))
    );
}

#[test]
fn twilio_speaks_xml_unless_a_path_ends_in_json() {
    let catalog = catalog();
    let twilio = catalog
        .providers()
        .iter()
        .find(|one| one.slug == "twilio")
        .unwrap();
    for operation in &twilio.operation {
        for outgoing in sent("twilio", &operation.name) {
            let path = outgoing.url.split('?').next().unwrap();
            assert!(path.ends_with(".json"), "{path}");
        }
    }
}

#[test]
fn speech_is_bytes_and_no_json() {
    for id in ["elevenlabs/text_to_speech", "deepgram/text_to_speech"] {
        let Outcome::Success(speech) = read(
            id,
            200,
            &[("content-type", "audio/mpeg")],
            [0xff, 0xfb, 0x00, 0x7b],
        ) else {
            panic!("{id}: sound is a failure");
        };
        assert_eq!(
            speech.data["base64"],
            json!(BASE64_STANDARD.encode([0xff, 0xfb, 0x00, 0x7b])),
            "{id}"
        );
        assert_eq!(
            (&speech.data["mime_type"], &speech.data["bytes"]),
            (&json!("audio/mpeg"), &json!(4)),
            "{id}"
        );
    }
}

#[test]
fn stripe_and_twilio_take_forms() {
    for (slug, operation, has) in [
        (
            "stripe",
            "create_payment_link",
            "line_items%5B0%5D%5Bprice%5D=",
        ),
        ("stripe", "create_customer", "metadata%5B"),
        ("twilio", "send_sms", "Body="),
    ] {
        for outgoing in sent(slug, operation) {
            let kind = outgoing
                .headers
                .iter()
                .find(|(name, _)| name == "content-type")
                .unwrap();
            assert_eq!(
                kind.1, "application/x-www-form-urlencoded",
                "{slug}/{operation}"
            );
        }
        let bodies: Vec<String> = sent(slug, operation)
            .into_iter()
            .map(|one| String::from_utf8(one.body.unwrap()).unwrap())
            .collect();
        assert!(bodies.iter().any(|body| body.contains(has)), "{bodies:?}");
    }
}

#[test]
fn a_page_that_notion_does_not_show_is_no_missing_tool() {
    let Outcome::Failure(hidden) = read(
        "notion/get_page",
        404,
        &[],
        r#"{"object":"error","status":404,"code":"object_not_found","message":"Could not find page. Make sure it is shared."}"#,
    ) else {
        panic!("a hidden page is a success");
    };
    assert_eq!(
        (json!(hidden.class), hidden.code.as_deref(), hidden.status),
        (json!("not_found"), Some("object_not_found"), 404)
    );
    assert!(hidden.message.contains("shared"));
}

#[test]
fn openweather_has_a_code_as_a_number_or_a_text() {
    all_fail(&[
        (
            Said(
                "openweather/current",
                200,
                &[],
                r#"{"cod":"404","message":"city not found"}"#,
            ),
            "not_found",
        ),
        (
            Said(
                "openweather/forecast",
                404,
                &[],
                r#"{"cod":404,"message":"city not found"}"#,
            ),
            "not_found",
        ),
        (
            Said(
                "openweather/onecall",
                401,
                &[],
                r#"{"cod":401,"message":"Invalid API key"}"#,
            ),
            "auth",
        ),
        (
            Said(
                "openweather/forecast",
                200,
                &[],
                r#"{"cod":"429","message":"blocked"}"#,
            ),
            "rate_limited",
        ),
    ]);
    for cod in ["200", r#""200""#] {
        let body = format!(r#"{{"cod":{cod},"list":[],"city":{{"name":"Berlin"}}}}"#);
        assert!(
            matches!(
                read("openweather/forecast", 200, &[], body),
                Outcome::Success(_)
            ),
            "{cod}"
        );
    }
}

#[test]
fn airtable_punishes_who_comes_back_within_half_a_minute() {
    let said = Said(
        "airtable/list_records",
        429,
        &[],
        r#"{"errors":[{"error":"RATE_LIMIT_REACHED","message":"slow down"}]}"#,
    );
    assert_eq!(failed(&said), ("rate_limited".to_owned(), Some(30)));
}

#[test]
fn a_batch_that_half_failed_is_a_success_and_half_the_price() {
    let body = r#"{"results":[{"url":"https://a.example/1","raw_content":"One"}],"failed_results":[{"url":"https://a.example/2","error":"gone"}]}"#;
    let Outcome::Success(half) = read("tavily/extract", 200, &[], body) else {
        panic!("half of it is a failure");
    };
    assert_eq!(
        (half.missed.len(), half.missed[0].message.as_str()),
        (1, "gone")
    );
    let catalog = catalog();
    let extract = tool(&catalog, "tavily", "extract");
    let input = json!({"urls": ["https://a.example/1", "https://a.example/2"]});
    let none = read(
        "tavily/extract",
        200,
        &[],
        r#"{"results":[],"failed_results":[{"url":"https://a.example/2","error":"gone"}]}"#,
    );
    let charged = |outcome: Outcome| match outcome {
        Outcome::Success(success) => price::charge(&extract.operation, &input, &success).get(),
        Outcome::Failure(_) => 0,
        Outcome::Running(_) => panic!("it runs"),
    };
    assert_eq!(
        (charged(Outcome::Success(half)), charged(none)),
        (8_000_000, 0)
    );
}

#[test]
fn no_address_that_a_vendor_fetches_is_one_of_a_private_network() {
    let catalog = catalog();
    let mut count = 0;
    for provider in catalog.providers() {
        let vendor = vendor(&provider.slug);
        for operation in &provider.operation {
            let tool = tool(&catalog, &provider.slug, &operation.name);
            for field in &operation.request.urls {
                for address in [
                    "http://127.0.0.1/",
                    "http://169.254.169.254/latest/meta-data/",
                    "http://localhost:8080/",
                    "http://10.0.0.1/",
                    "http://[::1]/",
                    "file:///etc/passwd",
                    "http://0x7f000001/",
                ] {
                    let mut input = exchange_input(&vendor, &operation.name);
                    let is_list = operation.input.value()["properties"][field]["type"] == "array";
                    input[field] = if is_list {
                        json!([address])
                    } else {
                        json!(address)
                    };
                    let made = with(&vendor, &tool, |cx, _| {
                        connector::prepare(&tool, &input, cx)
                    });
                    assert!(made.is_err(), "{} takes {address}", tool.id);
                    count += 1;
                }
            }
        }
    }
    assert!(count >= 50, "{count}");
    // Whoever takes an address says that it is one.
    for provider in catalog.providers() {
        for operation in &provider.operation {
            let fields = operation.input.value()["properties"]
                .as_object()
                .into_iter()
                .flatten();
            for (name, _) in fields.filter(|(name, _)| matches!(name.as_str(), "url" | "urls")) {
                assert!(
                    operation.request.urls.contains(name),
                    "{}/{}: {name}",
                    provider.slug,
                    operation.name
                );
            }
        }
    }
}

#[test]
fn a_key_that_a_vendor_echoes_is_told_to_nobody() {
    let catalog = catalog();
    let mut count = 0;
    for provider in catalog.providers() {
        let vendor = vendor(&provider.slug);
        let Some(key) = vendor.key.clone() else {
            continue;
        };
        let mut secrets = vec![key.clone()];
        if provider.auth.kind == AuthKind::Basic {
            secrets.push(BASE64_STANDARD.encode(&key));
        }
        secrets.extend(vendor.token.clone());
        for operation in &provider.operation {
            let tool = tool(&catalog, &provider.slug, &operation.name);
            let input = exchange_input(&vendor, &operation.name);
            let (made, hidden) = with(&vendor, &tool, |cx, hidden| {
                (
                    connector::prepare(&tool, &input, cx).unwrap(),
                    hidden.to_vec(),
                )
            });
            let echo = json!({"message": format!("no: {} {:?} {}", made.url, made.headers, secrets.join(" ")), "error": format!("{:?}", made.headers)});
            for status in [200, 400, 500] {
                let answer = Answer {
                    status,
                    headers: Vec::new(),
                    body: echo.to_string().into_bytes(),
                };
                let outcome = with(&vendor, &tool, |_, _| {
                    connector::read(&tool, &input, &answer, &hidden, NOW_MS)
                });
                let told = format!("{outcome:?}");
                for secret in &secrets {
                    assert!(
                        !told.contains(secret.as_str()),
                        "{} {status}: {told}",
                        tool.id
                    );
                }
                count += 1;
            }
        }
    }
    assert!(count > 200, "{count}");
}

#[test]
fn the_table_of_traps_names_the_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let readme = text("catalog/tools/README.md");
    let table = readme
        .split_once("\n## Traps\n")
        .unwrap()
        .1
        .split("\n## ")
        .next()
        .unwrap();
    let named: BTreeSet<&str> = table
        .split('`')
        .filter(|word| {
            word.len() > 20
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        })
        .collect();
    let own = text("catalog/tool/src/trap_tests.rs");
    let mut tests: BTreeSet<&str> = own
        .split("#[test]\nfn ")
        .skip(1)
        .filter_map(|rest| rest.split('(').next())
        .collect();
    tests.remove("the_table_of_traps_names_the_tests");
    for (name, place) in ELSEWHERE {
        assert!(
            is_in(&root.join(place), &format!("fn {name}(")),
            "{name} is not in {place}"
        );
        tests.insert(name);
    }
    assert_eq!(named, tests);
}

fn is_in(path: &Path, what: &str) -> bool {
    if path.is_dir() {
        return std::fs::read_dir(path)
            .unwrap()
            .any(|one| is_in(&one.unwrap().path(), what));
    }
    std::fs::read_to_string(path).is_ok_and(|text| text.contains(what))
}
