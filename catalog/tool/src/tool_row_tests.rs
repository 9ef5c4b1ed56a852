//! What the rows of tools promise beyond their requests: capabilities, undoing, keys, private addresses, what works without secrets.

use std::collections::{BTreeMap, BTreeSet};

use base64::prelude::{BASE64_STANDARD, Engine};
use patchbay::tools::catalog::{Effect, Method, RetryKind};
use patchbay::tools::connector::{self, Answer, Context, Credentials};
use patchbay::tools::schema::validate;
use serde_json::{Map, Value, json};

use crate::exchanges::{NOW_MS, nothing, tool, tools, vendor, with};

/// Vendors repeat what they were sent; some of it is a key.
#[test]
fn no_key_is_told_whatever_a_vendor_repeats() {
    let catalog = tools();
    for provider in catalog.providers() {
        let vendor = vendor(&provider.slug);
        let (Some(key), Some(exchange)) = (&vendor.key, vendor.exchanges.first()) else {
            continue;
        };
        let tool = tool(&catalog, &provider.slug, &exchange.operation);
        let encoded = BASE64_STANDARD.encode(key);
        for json in [
            json!({"message": format!("{key} may not"), "error": format!("no {encoded}"), "errors": [{"message": key}]}),
            json!({"ok": false, "error": {"message": key, "code": key}, "detail": key, "description": key}),
            json!(format!("Bearer {key}")),
        ] {
            let answer = Answer {
                status: 400,
                headers: Vec::new(),
                body: json.to_string().into_bytes(),
            };
            let outcome = with(&vendor, &tool, |_, secrets| {
                connector::read(&tool, &exchange.input, &answer, secrets, NOW_MS)
            });
            let told = format!("{outcome:?}");
            assert!(
                !told.contains(key.as_str()) && !told.contains(&encoded),
                "{}: {told}",
                tool.id
            );
        }
    }
}

#[test]
fn no_vendor_is_sent_to_a_private_address() {
    let catalog = tools();
    let mut fetching = 0;
    for provider in catalog.providers() {
        let vendor = vendor(&provider.slug);
        for exchange in &vendor.exchanges {
            let tool = tool(&catalog, &provider.slug, &exchange.operation);
            let urls = &tool.operation.request.urls;
            for name in urls
                .iter()
                .filter(|name| exchange.input.get(name).is_some())
            {
                fetching += 1;
                for url in [
                    "http://169.254.169.254/latest/meta-data",
                    "http://127.0.0.1/",
                    "http://[::1]/",
                    "file:///etc/passwd",
                    "http://10.0.0.1/",
                ] {
                    let mut input = exchange.input.clone();
                    let field = input.get_mut(name).unwrap();
                    *field = if field.is_array() {
                        json!([url])
                    } else {
                        json!(url)
                    };
                    let sent = with(&vendor, &tool, |cx, _| {
                        connector::prepare(&tool, &input, cx)
                    });
                    assert!(sent.is_err(), "{} fetches {url}", tool.id);
                }
            }
        }
    }
    assert!(fetching >= 8, "{fetching}");
}

/// The stand-in works by what these files say of keys and repeats.
#[test]
fn the_stand_in_knows_keys_and_repeats_as_the_rows_do() {
    let catalog = tools();
    for provider in catalog.providers() {
        let (vendor, slug) = (vendor(&provider.slug), &provider.slug);
        assert_eq!(vendor.secret, provider.secret, "{slug}");
        assert_eq!(vendor.key.is_some(), provider.secret.is_some(), "{slug}");
        let keyless = provider.keyless.as_ref();
        let open = keyless.map(|keyless| {
            keyless
                .operations
                .as_ref()
                .map_or(json!(true), |these| json!(these))
        });
        assert_eq!(vendor.keyless, open, "{slug}");
        assert_eq!(
            vendor.public_key,
            keyless.and_then(|keyless| keyless.key.clone()),
            "{slug}"
        );
        for exchange in &vendor.exchanges {
            let operation = &tool(&catalog, slug, &exchange.operation).operation;
            let effect = exchange.effect.unwrap_or(Effect::Read);
            assert_eq!(effect, operation.effect, "{slug}/{}", exchange.operation);
            let known: BTreeMap<&str, &String> = match operation.retry.kind {
                RetryKind::Key => [
                    ("header", &operation.retry.header),
                    ("field", &operation.retry.field),
                ]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.as_ref()?)))
                .collect(),
                _ => BTreeMap::new(),
            };
            let told = exchange.idempotency.iter().flatten();
            let told: BTreeMap<&str, &String> =
                told.map(|(name, value)| (name.as_str(), value)).collect();
            assert_eq!(told, known, "{slug}/{}", exchange.operation);
        }
    }
}

/// A value that a schema takes.
fn sample(name: &str, schema: &Value) -> Value {
    if let Some(first) = schema.pointer("/enum/0") {
        return first.clone();
    }
    match schema.get("type").and_then(Value::as_str).unwrap() {
        "string" if name == "url" => json!("https://example.org/page"),
        "string" => {
            let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(2);
            json!("a".repeat(usize::try_from(least.max(2)).unwrap()))
        }
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "boolean" => json!(true),
        "array" => json!([sample(name, schema.get("items").unwrap())]),
        other => panic!("{other} in a normalised input"),
    }
}

#[test]
fn what_shares_a_capability_takes_its_input_and_gives_its_kind() {
    let catalog = tools();
    for capability in catalog.capabilities() {
        let schema = capability.input.value();
        let fields = schema.get("properties").and_then(Value::as_object).unwrap();
        let required = schema.get("required").and_then(Value::as_array).unwrap();
        let all: Map<String, Value> = fields
            .iter()
            .map(|(name, schema)| (name.clone(), sample(name, schema)))
            .collect();
        let mut least = all.clone();
        least.retain(|name, _| required.iter().any(|one| one == name.as_str()));
        let tools: Vec<_> = catalog.of_capability(&capability.name).collect();
        assert!(!tools.is_empty(), "nobody does {}", capability.name);
        for tool in tools {
            assert_eq!(
                tool.operation.response.kind.as_deref(),
                Some(capability.kind.as_str()),
                "{}",
                tool.id
            );
            for given in [&all, &least] {
                let given = Value::Object(given.clone());
                let missing: Vec<_> = connector::beyond(tool, &given);
                let Some(input) = connector::normal(tool, &given) else {
                    panic!("{} makes nothing of {given}", tool.id);
                };
                let is_needed = |name: &&str| required.iter().any(|one| one == *name);
                assert!(
                    !missing.iter().any(is_needed),
                    "{} cannot honour {missing:?}",
                    tool.id
                );
                // A channel is what some of post_message need beside the text.
                if tool.operation.capability.as_deref() == Some("post_message")
                    && given.get("channel").is_none()
                {
                    continue;
                }
                let told = validate(tool.operation.input.value(), &input);
                assert!(told.is_ok(), "{} {input}: {told:?}", tool.id);
            }
        }
    }
}

#[test]
fn what_undoes_a_tool_takes_what_it_is_given() {
    let catalog = tools();
    let mut undone = 0;
    for provider in catalog.providers() {
        let vendor = vendor(&provider.slug);
        let exchange = |name: &str| {
            vendor
                .exchanges
                .iter()
                .find(|one| one.operation == name)
                .unwrap()
        };
        let data = |name: &str| {
            exchange(name)
                .answer
                .json
                .clone()
                .unwrap_or_else(|| json!({}))
        };
        for one in &vendor.exchanges {
            let tool = tool(&catalog, &provider.slug, &one.operation);
            let before = connector::before(&tool, &one.input).map(|(name, input)| {
                let reader = self::tool(&catalog, &provider.slug, &name);
                validate(reader.operation.input.value(), &input).unwrap();
                data(&name)
            });
            let Some(call) =
                connector::undo(&tool, &one.input, &data(&one.operation), before.as_ref())
            else {
                continue;
            };
            let undoes = self::tool(&catalog, &provider.slug, &call.operation);
            let told = validate(undoes.operation.input.value(), &call.input);
            assert!(
                told.is_ok(),
                "{} undone by {}: {told:?}",
                tool.id,
                call.input
            );
            undone += 1;
        }
    }
    assert!(undone >= 20, "{undone}");
}

#[test]
fn the_catalog_is_as_wide_as_it_says_and_opens_without_secrets() {
    let catalog = tools();
    let tools = catalog.tools();
    let categories: BTreeSet<&str> = tools.iter().map(|tool| tool.category()).collect();
    assert!(catalog.providers().len() >= 32 && tools.len() >= 100 && categories.len() >= 14);
    let open = tools
        .iter()
        .filter(|tool| Credentials::of(tool, None, &nothing).is_ok());
    let open: Vec<_> = open.collect();
    let kinds: BTreeSet<&str> = open.iter().map(|tool| tool.category()).collect();
    assert!(
        open.len() >= 12 && kinds.len() >= 7,
        "{} of {kinds:?}",
        open.len()
    );
    for tool in open {
        let vendor = vendor(&tool.provider.slug);
        let exchange = vendor
            .exchanges
            .iter()
            .find(|one| one.operation == tool.operation.name)
            .unwrap();
        let credentials = Credentials::of(tool, None, &nothing).unwrap();
        let cx = Context {
            credentials: &credentials,
            token: None,
            idempotency: None,
            now_ms: NOW_MS,
            var: &nothing,
        };
        let sent = connector::prepare(tool, &exchange.input, &cx).unwrap();
        let key = vendor.key.unwrap_or_else(|| "no key".to_owned());
        assert!(
            !sent.url.contains(&key) && !format!("{:?}", sent.headers).contains(&key),
            "{}",
            tool.id
        );
    }
}

/// Guards count whom a key reaches: what sends says where it says it.
#[test]
fn what_sends_says_to_whom() {
    let catalog = tools();
    let mut sending = 0;
    for tool in catalog.tools() {
        let operation = &tool.operation;
        let properties = operation.input.value().get("properties").unwrap();
        let names = [
            "to",
            "cc",
            "bcc",
            "emails",
            "channel",
            "chat_id",
            "attendees",
        ];
        let sends = operation.effect == Effect::Write
            && ["message_sent", "event"]
                .contains(&operation.response.kind.as_deref().unwrap_or_default())
            && operation.request.method != Method::Delete
            && !operation.name.contains("delete");
        for name in names
            .iter()
            .filter(|name| sends && properties.get(**name).is_some())
        {
            sending += 1;
            assert!(
                operation.recipients.contains(&format!("/{name}")),
                "{}: {name}",
                tool.id
            );
        }
    }
    assert!(sending >= 12, "{sending}");
}
