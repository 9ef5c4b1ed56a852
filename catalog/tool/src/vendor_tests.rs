//! Every tool against what its vendor's own description says: each field that a caller may send, each answer that is read.
//!
//! The requests are those of the exchanges, and for every tool more, made of its schema: all its fields at their least and at their most,
//! and each word that a field may have.

use std::collections::BTreeSet;
use std::rc::Rc;

use patchbay::tools::catalog::{AuthKind, Tool, ToolProvider};
use patchbay::tools::connector::{self, Outgoing};
use patchbay::tools::schema::validate;
use serde_json::{Map, Value, json};

use crate::exchanges::{Step, Vendor, Wanted, tool, tools, vendor, with};
use crate::vendor_facts::{ANYTHING, Described, Request, Source, described, sources};

/// The kinds of sources, the best first.
const KINDS: [&str; 8] = [
    "openapi",
    "discovery",
    "graphql",
    "sdk",
    "source",
    "spec",
    "docs",
    "secondary",
];

/// Which of two ends of a range a sample is from.
#[derive(Clone, Copy)]
enum End {
    Least,
    Most,
}

/// A value that fits a schema, with all that it may have.
fn sample(schema: &Value, end: End) -> Option<Value> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.first().cloned();
    }
    let bound = |names: [&str; 2]| schema.get(names[matches!(end, End::Most) as usize]);
    let kind = schema
        .get("type")
        .and_then(|kind| kind.get(0).unwrap_or(kind).as_str());
    Some(match kind? {
        "string" if schema.get("pattern").is_some() => return None,
        "string" => {
            let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
            json!(format!("{ANYTHING:x<0$}", usize::try_from(least).ok()?))
        }
        "integer" | "number" => bound(["minimum", "maximum"])
            .or(schema.get("minimum"))
            .or(schema.get("maximum"))
            .cloned()
            .unwrap_or(json!(1)),
        "boolean" => json!(true),
        "array" => {
            let item = sample(
                schema.get("items").unwrap_or(&json!({"type": "string"})),
                end,
            )?;
            let words = schema.pointer("/items/enum").and_then(Value::as_array);
            words.map_or_else(|| json!([item]), |words| json!(words))
        }
        "object" => completed(schema, &json!({}), end),
        _ => return None,
    })
}

/// A value with all the fields that its schema has beside those that are there.
fn completed(schema: &Value, value: &Value, end: End) -> Value {
    let Some(fields) = value.as_object() else {
        return value.clone();
    };
    let mut made = fields.clone();
    for (name, inner) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        match made.get(name) {
            Some(there) if there.is_object() => {
                let whole = completed(inner, there, end);
                made.insert(name.clone(), whole);
            }
            Some(_) => {}
            None => {
                if let Some(value) = sample(inner, end) {
                    made.insert(name.clone(), value);
                }
            }
        }
    }
    Value::Object(made)
}

/// Inputs that together send everything that a tool can send.
fn inputs(schema: &Value, vendor: &Vendor, operation: &str) -> Vec<Value> {
    let given = vendor
        .exchanges
        .iter()
        .filter(|one| one.operation == operation);
    let mut base = Map::new();
    for (name, value) in given.filter_map(|one| one.input.as_object()).flatten() {
        base.entry(name).or_insert_with(|| value.clone());
    }
    let base = Value::Object(base);
    let ranged = |end| {
        let mut whole = completed(schema, &base, end);
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            let is_number = inner.get("minimum").or(inner.get("maximum")).is_some();
            if let Some(value) = sample(inner, end).filter(|_| is_number) {
                whole[name] = value;
            }
        }
        whole
    };
    let least = ranged(End::Least);
    let mut all = vec![least.clone(), ranged(End::Most)];
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        for word in inner
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let mut one = least.clone();
            one[name] = word.clone();
            all.push(one);
        }
    }
    all
}

/// What of the sources speaks of a request, and what is wrong with it.
fn judged<'a>(
    sources: &'a [Source],
    tool: &Tool,
    request: &Request<'_>,
    used: &mut BTreeSet<String>,
    wrong: &mut Vec<String>,
) -> Option<&'a Described> {
    let found = described(sources, &tool.operation.name, request.method, request.url);
    let Some((source, name, described)) = found else {
        wrong.push(format!(
            "{}: {} {} is not known",
            tool.id, request.method, request.url
        ));
        return None;
    };
    used.insert(format!("{} {name}", source.source));
    wrong.extend(
        described
            .faults(request)
            .into_iter()
            .map(|fault| format!("{}: {fault} ({})", tool.id, source.source)),
    );
    Some(described)
}

fn of_outgoing(sent: &Outgoing) -> Request<'_> {
    Request {
        method: &sent.method,
        url: &sent.url,
        headers: sent
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
        body: sent.body.as_deref(),
    }
}

#[test]
fn whatever_a_tool_sends_is_known_to_its_vendor() {
    let catalog = tools();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for provider in catalog.providers() {
        let (vendor, sources) = (vendor(&provider.slug), sources(&provider.slug));
        let mut used = BTreeSet::new();
        for operation in &provider.operation {
            let tool = tool(&catalog, &provider.slug, &operation.name);
            for input in inputs(operation.input.value(), &vendor, &operation.name) {
                if let Err(told) = validate(operation.input.value(), &input) {
                    wrong.push(format!(
                        "{}: an exchange with such a field is missing: {told:?} {input}",
                        tool.id
                    ));
                    continue;
                }
                match with(&vendor, &tool, |cx, _| {
                    connector::prepare(&tool, &input, cx)
                }) {
                    Ok(sent) => {
                        judged(&sources, &tool, &of_outgoing(&sent), &mut used, &mut wrong);
                        count += 1;
                    }
                    Err(problem) => wrong.push(format!("{}: {problem} {input}", tool.id)),
                }
            }
        }
        for exchange in &vendor.exchanges {
            let tool = tool(&catalog, &provider.slug, &exchange.operation);
            let questions = exchange
                .then
                .iter()
                .chain(&exchange.cancelled)
                .map(|step: &Step| &step.request);
            for wanted in questions {
                judged(&sources, &tool, &of_wanted(wanted), &mut used, &mut wrong);
                count += 1;
            }
        }
        for source in &sources {
            let stale = source
                .operations
                .keys()
                .filter(|name| !used.contains(&format!("{} {name}", source.source)));
            wrong.extend(stale.map(|name| {
                format!(
                    "{}: nothing is sent to {name} of {}",
                    provider.slug, source.source
                )
            }));
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 450, "{count} requests");
}

fn of_wanted(wanted: &Wanted) -> Request<'_> {
    Request {
        method: &wanted.method,
        url: &wanted.url,
        headers: wanted
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
        body: None,
    }
}

#[test]
fn the_answers_that_are_read_have_what_their_vendors_say() {
    let catalog = tools();
    let (mut wrong, mut told) = (Vec::new(), 0);
    for provider in catalog.providers() {
        let (vendor, sources) = (vendor(&provider.slug), sources(&provider.slug));
        for exchange in &vendor.exchanges {
            let tool = tool(&catalog, &provider.slug, &exchange.operation);
            let first = [(&exchange.request, &exchange.answer)];
            let steps = exchange.then.iter().chain(&exchange.cancelled);
            for (request, answer) in first
                .into_iter()
                .chain(steps.map(|step| (&step.request, &step.answer)))
            {
                let found = described(
                    &sources,
                    &tool.operation.name,
                    &request.method,
                    &request.url,
                );
                let Some((source, _, described)) = found else {
                    continue;
                };
                let Some(json) = &answer.json else { continue };
                told += usize::from(described.answer.is_some());
                wrong.extend(
                    described
                        .surprises(json)
                        .into_iter()
                        .map(|fault| format!("{}: {fault} ({})", tool.id, source.source)),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(told > 150, "only {told} answers are described");
}

/// Where a row puts its key, in the words of the facts.
fn place_of_key(provider: &Rc<ToolProvider>) -> String {
    let auth = &provider.auth;
    let name = auth.name.clone().unwrap_or_default();
    match auth.kind {
        AuthKind::None => "none".to_owned(),
        AuthKind::Header => format!("header {name} {}", auth.prefix.clone().unwrap_or_default())
            .trim_end()
            .to_owned(),
        AuthKind::Query => format!("query {name}"),
        AuthKind::Body => format!("body {name}"),
        AuthKind::Basic => "basic".to_owned(),
        AuthKind::Path => {
            let own = provider
                .operation
                .iter()
                .flat_map(|one| &one.request.headers);
            let header = provider
                .headers
                .iter()
                .chain(own)
                .find(|(_, value)| value.contains("{key"));
            header.map_or_else(|| "path".to_owned(), |(name, _)| format!("header {name}"))
        }
        _ => "bearer".to_owned(),
    }
}

#[test]
fn keys_go_where_vendors_look_for_them() {
    let mut wrong = Vec::new();
    for provider in tools().providers() {
        let place = place_of_key(provider);
        for source in sources(&provider.slug) {
            let fits = source.keys.iter().any(|key| {
                *key == place
                    || place.starts_with(&format!("{key} "))
                    || (key == "header authorization" && place == "bearer")
            });
            if !fits && !source.keys.is_empty() {
                wrong.push(format!(
                    "{}: {place} instead of {:?} ({})",
                    provider.slug, source.keys, source.source
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn facts_say_where_and_when_they_were_read() {
    for provider in tools().providers() {
        for source in sources(&provider.slug) {
            assert!(
                KINDS.contains(&source.kind.as_str()),
                "{}: {}",
                provider.slug,
                source.kind
            );
            let is_day = source.read.len() == 10 && source.read.starts_with("202");
            assert!(
                is_day && source.source.contains('/') | source.source.contains('.'),
                "{}: {} {}",
                provider.slug,
                source.source,
                source.read
            );
            assert!(
                source.base.starts_with("https://") && !source.base.ends_with('/'),
                "{}",
                source.base
            );
        }
    }
}

#[test]
fn what_a_vendor_does_not_know_is_told() {
    let facts: Source = serde_json::from_value(json!({
        "source": "a.example/docs", "kind": "docs", "read": "2026-11-21", "base": "https://{}.a.example/v1", "keys": [],
        "operations": {
            "POST /things/{id}": {
                "query": {"q!": "string ..5", "n": "integer 1..20", "words": ["=a|b", "comma"], "tags": ["string", "brackets"]},
                "headers": {"a-version!": "string"},
                "body": {"name!": "string", "size": {"|": ["integer", "=all"]}, "parts": [{"id!": "string"}, "1..2"], "more": {"*": "number"}},
                "answer": {"id": "string", "list": [{"name": "string"}]},
            },
            "POST /form": {"form": true, "body": {"a": {"b": ["integer"]}, "on": "boolean"}},
            "GET /all/{rest...}": {},
        },
    }))
    .unwrap();
    let facts = [facts];
    let cases: [(&str, &str, &str, &[&str]); 18] = [
        (
            "POST https://x.a.example/v1/things/7?q=a",
            "1",
            r#"{"name": "n"}"#,
            &[],
        ),
        (
            "POST https://x.a.example/v1/things/7?q=a&n=20&words=a,b&tags[]=s&tags[]=t",
            "1",
            r#"{"name": "n", "size": "all", "parts": [{"id": "1"}], "more": {"x": 1.5}}"#,
            &[],
        ),
        (
            "POST https://x.a.example/v1/things/7?q=a",
            "",
            r#"{"name": "n"}"#,
            &["header a-version: required"],
        ),
        (
            "POST https://x.a.example/v1/things/7",
            "1",
            r#"{"name": "n"}"#,
            &["query q: required"],
        ),
        (
            "POST https://x.a.example/v1/things/7?q=abcdef",
            "1",
            r#"{"name": "n"}"#,
            &["query q: \"abcdef\" instead of string ..5"],
        ),
        (
            "POST https://x.a.example/v1/things/7?q=a&n=21",
            "1",
            r#"{"name": "n"}"#,
            &["query n: \"21\" instead of integer 1..20"],
        ),
        (
            "POST https://x.a.example/v1/things/7?q=a&p=1",
            "1",
            r#"{"name": "n"}"#,
            &["query p: unknown"],
        ),
        (
            "POST https://x.a.example/v1/things/7?q=a&words=c",
            "1",
            r#"{"name": "n"}"#,
            &["query words/0: \"c\" is none of a|b"],
        ),
        (
            "POST https://x.a.example/v1/things/7?q=a&words=a&words=b",
            "1",
            r#"{"name": "n"}"#,
            &["query words: lists go in as Some(\"comma\")"],
        ),
        (
            "POST https://x.a.example/v1/things/7?q=a&tags=s",
            "1",
            r#"{"name": "n"}"#,
            &["query tags: lists go in as Some(\"brackets\")"],
        ),
        (
            "POST https://x.a.example/v1/things/7?q=a",
            "1",
            r#"{}"#,
            &["/name: required"],
        ),
        (
            "POST https://x.a.example/v1/things/7?q=a",
            "1",
            r#"{"name": "n", "nam": 1, "size": "most"}"#,
            &["/nam: unknown", "/size: \"most\" instead of integer"],
        ),
        (
            "POST https://x.a.example/v1/things/7?q=a",
            "1",
            r#"{"name": 1, "parts": [{}, {}, {}]}"#,
            &[
                "/name: 1 instead of string",
                "/parts: 3 items",
                "/parts/0/id: required",
                "/parts/1/id: required",
                "/parts/2/id: required",
            ],
        ),
        (
            "POST https://x.a.example/v1/form",
            "1",
            r#"{}"#,
            &["body: Some((\"content-type\", \"application/json\")) is not what it takes"],
        ),
        (
            "POST https://x.a.example/v1/form",
            "form",
            "a%5Bb%5D%5B0%5D=1&a[b][1]=2&on=true",
            &[],
        ),
        (
            "POST https://x.a.example/v1/form",
            "form",
            "a%5Bb%5D%5B0%5D=x&on=1",
            &[
                "/a/b/0: \"x\" instead of integer",
                "/on: \"1\" instead of boolean",
            ],
        ),
        (
            "GET https://x.a.example/v1/all/of/it",
            "1",
            r#"{}"#,
            &["body: none is known"],
        ),
        ("GET https://x.a.example/v2/all", "1", "", &["not known"]),
    ];
    for (place, version, body, wanted) in cases {
        let (method, url) = place.split_once(' ').unwrap();
        let kind = if version == "form" {
            "application/x-www-form-urlencoded"
        } else {
            "application/json"
        };
        let mut headers = vec![("content-type", kind)];
        if !version.is_empty() {
            headers.push(("a-version", version));
        }
        let request = Request {
            method,
            url,
            headers,
            body: Some(body.as_bytes()),
        };
        let told = described(&facts, "any", method, url).map_or_else(
            || vec!["not known".to_owned()],
            |(_, _, described)| described.faults(&request),
        );
        assert_eq!(told, wanted, "{place} {body}");
    }
    let (_, _, things) =
        described(&facts, "any", "POST", "https://x.a.example/v1/things/7").unwrap();
    assert!(
        things
            .surprises(&json!({"id": null, "list": [{"name": "n"}]}))
            .is_empty()
    );
    assert_eq!(
        things.surprises(&json!({"id": 1, "list": [{"nom": "n"}]})),
        ["/id: 1 instead of string", "/list/0/nom: unknown"]
    );
}
