//! The document is current, whole and true: of the routes, of the readers of requests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Value, json};

use super::{
    accounts, analytics, beliefs, billing, books, catalog, destinations,
    document::{Operation, Types, Who, document, operation},
    executions, guardrails, inference, limits, operators, people,
    samples::{Chance, paths, sample},
    sources, tools, usage,
};
use crate::{
    api::routes::ROUTES,
    catalog::{Modality, Operation as Kind, Quantization},
    chat::ServerToolKind,
    dialects::{self, Surface},
    error::{ErrorType, Result},
    operations::speech,
    routing::{ProviderPreferences, SortBy},
};

fn operations() -> Vec<Operation> {
    let mut all = vec![
        operation(
            "GET",
            "/health",
            Who::Anyone,
            "Gateway",
            "Tell that the gateway is up",
        )
        .answers(200, "{status: 'ok'}"),
        operation(
            "GET",
            "/openapi.json",
            Who::Anyone,
            "Gateway",
            "Show this document",
        )
        .says("Also at /api/v1/openapi.json.")
        .answers(200, "{openapi: string, [more]: any}"),
    ];
    for family in [
        inference::operations,
        catalog::operations,
        accounts::operations,
        usage::operations,
        guardrails::operations,
        billing::operations,
        people::operations,
        limits::operations,
        analytics::operations,
        destinations::operations,
        books::operations,
        beliefs::operations,
        operators::operations,
        executions::operations,
        tools::operations,
        sources::operations,
    ] {
        all.extend(family());
    }
    all
}

fn types() -> Types {
    let mut types = Types::default();
    for family in [
        "shared",
        "chat",
        "messages",
        "responses",
        "operations",
        "catalog",
        "accounts",
        "usage",
        "guardrails",
        "billing",
        "people",
        "limits",
        "analytics",
        "destinations",
        "books",
        "executions",
        "beliefs",
        "tools",
        "sources",
    ] {
        let path = format!("src/api/openapi/types/{family}.types");
        types.write(&fs::read_to_string(path).unwrap());
    }
    types.words("ErrorType", ErrorType::ALL.iter().map(|one| one.as_str()));
    types.words("Modality", Modality::ALL.iter().map(|one| one.as_str()));
    let quantizations = Quantization::ALL.iter().map(|one| one.as_str());
    types.words("Quantization", quantizations.chain(["unknown"]));
    types.words("SortBy", SortBy::ALL.iter().map(|one| one.as_str()));
    types.words(
        "SpeechFormat",
        speech::Format::ALL.iter().map(|one| one.as_str()),
    );
    types.words(
        "ServerToolType",
        ServerToolKind::ALL.iter().map(|one| one.as_str()),
    );
    types.read_as::<crate::chat::Effort>("Effort", "");
    types.read_as::<crate::credits::periods::Reset>("Reset", "");
    operators::types(&mut types);
    guardrails::types(&mut types);
    destinations::types(&mut types);
    types
}

fn built() -> Value {
    let operations = operations();
    let mut tags: Vec<Value> = Vec::new();
    for operation in &operations {
        let tag = json!({"name": operation.tag()});
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    let info = json!({
        "title": "Patchbay",
        "version": env!("CARGO_PKG_VERSION"),
        "summary": "One API key for every AI model and every tool, at the edge",
        "description": "Compatible with OpenRouter's API, and with OpenAI's and Anthropic's where they have a form of their own. \
            Amounts are exact decimal dollars. Lists are `{data: […]}`, things of other accounts are 404 like things that do not exist.",
        "license": {"name": "MIT", "identifier": "MIT"},
    });
    document(info, tags.into(), &operations, types())
}

#[test]
fn the_document_is_current() {
    let text = format!("{}\n", serde_json::to_string_pretty(&built()).unwrap());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write("openapi.json", &text).unwrap();
    }
    let kept = fs::read_to_string("openapi.json").unwrap();
    assert!(
        kept == text,
        "openapi.json is old: UPDATE_OPENAPI=1 cargo test --lib openapi"
    );
}

#[test]
fn the_document_is_served_without_white_space_and_otherwise_as_it_is_kept() {
    let served: Value = serde_json::from_str(super::DOCUMENT).unwrap();
    assert!(super::DOCUMENT.len() < serde_json::to_string_pretty(&served).unwrap().len());
    let kept: Value = serde_json::from_str(&fs::read_to_string("openapi.json").unwrap()).unwrap();
    assert!(
        served == kept,
        "the Worker was built before openapi.json changed"
    );
}

#[test]
fn the_operations_are_those_of_the_table_of_routes() {
    let mut told = BTreeMap::new();
    for operation in operations() {
        // The table is of what is under `/api/v1`.
        if operation.path != "/health" {
            let path = operation.path.trim_start_matches('/');
            let methods: &mut BTreeSet<&str> = told.entry(path).or_default();
            assert!(methods.insert(operation.method), "{path} twice");
        }
    }
    let routes = ROUTES
        .iter()
        .map(|(path, methods)| (*path, methods.iter().copied().collect()));
    assert_eq!(told, routes.collect::<BTreeMap<_, BTreeSet<_>>>());
}

#[test]
fn each_reference_leads_somewhere_and_each_type_is_used() {
    let document = built();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let at = document.pointer(reference.trim_start_matches('#'));
        assert!(at.is_some(), "{reference}");
    }
    for name in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        let reference = format!("#/components/schemas/{name}");
        assert!(found.contains(&reference), "nothing uses {name}");
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                found.insert(reference.clone());
            }
            object.values().for_each(|item| references(item, found));
        }
        _ => {}
    }
}

/// Fields that readers take out of the rest of the body, by hand; a `type` says which reader it is for, and an `index` comes
/// back with what was answered.
const BY_HAND: [&str; 6] = [
    "stream_options",
    "transforms",
    "plugins",
    "trace",
    "type",
    "index",
];
/// What a reader knows and nobody needs to be told: a field of agents that means nothing, tools as presets spell them.
const UNTOLD: [&str; 2] = ["messages[].configuration_update", "tools[].function"];

#[test]
fn the_fields_of_requests_are_those_that_the_readers_know() {
    let document = built();
    let types = &document["components"]["schemas"];
    let mut faults = Vec::new();
    for (name, read) in [
        ("ChatRequest", dialects::openai_chat::client::known_fields()),
        (
            "MessagesRequest",
            dialects::anthropic_messages::client::known_fields(),
        ),
        (
            "ResponsesRequest",
            dialects::openai_responses::client::known_fields(),
        ),
        (
            "EmbeddingsRequest",
            dialects::operations::client::known_fields(Kind::Embeddings),
        ),
        (
            "RerankRequest",
            dialects::operations::client::known_fields(Kind::Rerank),
        ),
        (
            "ImagesRequest",
            dialects::operations::client::known_fields(Kind::Images),
        ),
        (
            "SpeechRequest",
            dialects::operations::client::known_fields(Kind::Speech),
        ),
        (
            "TranscriptionRequest",
            dialects::operations::client::known_fields(Kind::Transcription),
        ),
    ] {
        let (told, told_open) = paths(&types[name], types);
        let (known, known_open) = paths(&read, &read["$defs"]);
        let is_below = |path: &str, open: &BTreeSet<String>| {
            open.iter()
                .any(|above| path.starts_with(above.as_str()) && path != above)
        };
        // One struct reads what the document tells apart by its type, so a field has to be told somewhere.
        let own = |path: &str| {
            path.rsplit('.')
                .next()
                .unwrap_or_default()
                .replace("[]", "")
        };
        let [told_names, known_names] =
            [&told, &known].map(|all| all.iter().map(|path| own(path)).collect::<BTreeSet<_>>());
        let missing: Vec<_> = known
            .iter()
            .filter(|path| !told.contains(*path) && !is_below(path, &told_open))
            .filter(|path| !path.contains('.') || !told_names.contains(&own(path)))
            .filter(|path| !UNTOLD.iter().any(|untold| path.starts_with(untold)))
            .collect();
        if !missing.is_empty() {
            faults.push(format!(
                "{name} is read with fields that the document lacks: {missing:?}"
            ));
        }
        let is_known = |path: &&String| {
            let first = path.split(['.', '[']).next().unwrap();
            known.contains(*path)
                || is_below(path, &known_open)
                || (path.contains('.') && known_names.contains(&own(path)))
                || BY_HAND.contains(&first)
                || BY_HAND.contains(&own(path).as_str())
        };
        let unread: Vec<_> = told.iter().filter(|path| !is_known(path)).collect();
        if !unread.is_empty() {
            faults.push(format!("{name} has fields that nobody reads: {unread:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Puts what no schema says: rules between fields.
fn regular(name: &str, mut body: Value) -> Value {
    let has = |body: &Value, key: &str| body.get(key).is_some_and(|value| !value.is_null());
    let object = |body: &mut Value, drop: &[&str]| {
        for key in drop {
            body.as_object_mut().unwrap().remove(*key);
        }
    };
    body["model"] = json!("author/model");
    object(&mut body, &["models"]);
    match name {
        "ChatRequest" | "CompletionRequest" => {
            object(
                &mut body,
                &[
                    "top_logprobs",
                    "reasoning_effort",
                    "n",
                    "best_of",
                    "max_cost",
                ],
            );
            if name == "ChatRequest" {
                match has(&body, "messages") {
                    true => object(&mut body, &["prompt"]),
                    false => body["prompt"] = json!("Hello!"),
                }
                if body["messages"].is_null() {
                    object(&mut body, &["messages"]);
                }
            }
        }
        "MessagesRequest" => {
            // A tool of any word is what a newer API of Anthropic's has.
            object(&mut body, &["fallbacks"]);
        }
        "ResponsesRequest" => {}
        "ImagesRequest" => object(&mut body, &["resolution", "aspect_ratio", "size"]),
        "SpeechRequest" => {
            body["input"] = json!("Hello!");
            if body["input_references"]
                .as_array()
                .is_some_and(|all| all.len() > 1)
            {
                object(&mut body, &["input_references"]);
            }
        }
        "TranscriptionRequest" => {
            object(&mut body, &["diarize"]);
            if has(&body["input_audio"], "data") {
                body["input_audio"]["format"] = json!("wav");
            }
        }
        _ => {}
    }
    if let Some(reasoning) = body.get_mut("reasoning").and_then(Value::as_object_mut) {
        reasoning.remove("max_tokens");
    }
    body
}

fn parsed(name: &str, raw: &[u8]) -> Result<()> {
    let json = "application/json";
    let envelope = match name {
        "ChatRequest" => Surface::ChatCompletions.parse(raw)?,
        "CompletionRequest" => Surface::Completions.parse(raw)?,
        "MessagesRequest" => Surface::Messages.parse(raw)?,
        "ResponsesRequest" => Surface::Responses.parse(raw)?,
        name => {
            let kind = match name {
                "EmbeddingsRequest" => Kind::Embeddings,
                "RerankRequest" => Kind::Rerank,
                "ImagesRequest" => Kind::Images,
                "SpeechRequest" => Kind::Speech,
                _ => Kind::Transcription,
            };
            dialects::operations::client::parse(kind, json, raw)?.envelope
        }
    };
    ProviderPreferences::parse(envelope.provider.as_deref())?;
    Ok(())
}

#[test]
fn what_the_document_allows_the_readers_take() {
    let document = built();
    let types = &document["components"]["schemas"];
    let mut faults = Vec::new();
    for name in [
        "ChatRequest",
        "CompletionRequest",
        "MessagesRequest",
        "ResponsesRequest",
        "EmbeddingsRequest",
        "RerankRequest",
        "ImagesRequest",
        "SpeechRequest",
        "TranscriptionRequest",
    ] {
        let mut chance = Chance(7);
        let mut problems = Vec::new();
        for _ in 0..2_000 {
            let body = regular(name, sample(&types[name], types, &mut chance, 0));
            if let Err(error) = parsed(name, body.to_string().as_bytes()) {
                problems.push(format!(
                    "{:?}: {} in {body:.600}",
                    error.param, error.message
                ));
            }
        }
        problems.sort_by_key(String::len);
        faults.extend(
            problems
                .iter()
                .take(5)
                .map(|problem| format!("{name} {problem}")),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
