//! Every provider of the catalog, and the request that it gets: `requests.toml` says of each what leaves for it when a client asks for
//! everything at once, and where that was read. A provider without an entry fails.
//!
//! The bodies stand there in full for the providers with ways of their own; those that differ in a field or two, or not at all,
//! from the plain host share a group. What a recorded provider was sent is held against the recordings too: address and names
//! of fields (`../shared`; skipped where that is absent).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use patchbay::access::Access;
use patchbay::catalog::{AuthScheme, Endpoint, Modality, Parameter, Provider};
use patchbay::dialects::{self, Inbound, NativeRequest, Surface, Target, openai_chat};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::check::Rows;
use crate::tests::committed;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    group: Vec<Group>,
    row: BTreeMap<String, Entry>,
}

/// Providers that differ from the plain host in the same fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    /// The fields that are other than the plain host's, as JSON; `null` where one is not sent.
    differs: String,
    /// What is sent beside the plain fields where reasoning is switched off, as JSON.
    off: String,
    /// Where each is called.
    at: BTreeMap<String, String>,
}

/// A provider with ways of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// An id of the catalog.
    model: String,
    url: String,
    /// Beside `content-type` and `user-agent`.
    headers: BTreeMap<String, String>,
    /// As JSON; `"plain"` for messages or tools that are the plain host's.
    body: String,
    /// What is sent beside the plain fields where reasoning is switched off, as JSON; a sentence where it cannot be.
    off: String,
    /// The API in the recordings, where it was recorded.
    recorded: Option<String>,
    /// Fields that no recording shows.
    #[serde(default)]
    documented: BTreeSet<String>,
    /// Where they, or all of it, were read.
    source: Option<String>,
}

fn table() -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("requests.toml");
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A request with a bit of everything. The picture only where the model sees it.
fn asked(endpoint: &Endpoint, reasoning: Option<Value>) -> Value {
    let mut content = vec![json!({"type": "text", "text": "What is it?"})];
    if endpoint.reads(Modality::Image) {
        content.push(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}));
    }
    let schema = json!({"type": "object", "properties": {"at": {"type": "integer"}}, "required": ["at"], "additionalProperties": false});
    let mut asked = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "name": "ada", "content": content},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_0123456789abcdef", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}}
            ]},
            {"role": "tool", "tool_call_id": "call_0123456789abcdef", "content": "a cat"}
        ],
        "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": schema}}],
        "tool_choice": "required",
        "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "thing", "strict": true, "schema": schema}},
        "max_tokens": 8000,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "seed": 7,
        "stop": ["END"],
        "user": "ada",
        "prompt_cache_key": "k",
        "stream": true
    });
    if !endpoint.supports(Parameter::Tools) {
        let fields = asked.as_object_mut().unwrap();
        fields["messages"].as_array_mut().unwrap().truncate(2);
        for field in ["tools", "tool_choice", "parallel_tool_calls"] {
            fields.remove(field);
        }
    }
    if let Some(reasoning) = reasoning {
        asked["reasoning"] = reasoning;
    }
    asked
}

/// What leaves for this endpoint.
fn sent(
    provider: &Provider,
    endpoint: &Endpoint,
    reasoning: Option<Value>,
) -> Result<NativeRequest, String> {
    let raw = serde_json::to_vec(&asked(endpoint, reasoning)).unwrap();
    let request = openai_chat::client::parse_request(&raw).unwrap();
    let inbound = Inbound {
        request: &request,
        surface: Surface::ChatCompletions,
        raw: Some(&raw),
    };
    let target = Target { endpoint, provider };
    dialects::request(&inbound, &target).map_err(|error| error.message)
}

fn body(request: &NativeRequest) -> Map<String, Value> {
    serde_json::from_slice(&request.body).unwrap()
}

/// Address and headers, with a key for the operator's.
fn reached(provider: &Provider, request: &NativeRequest) -> (String, BTreeMap<String, String>) {
    let variable = |name: &str| match name {
        "AWS_REGION_EU" => Some("eu-west-1".to_owned()),
        "AWS_REGION_US" => Some("us-west-2".to_owned()),
        "AZURE_RESOURCE_NAME" | "AZURE_FOUNDRY_RESOURCE_NAME" => Some("RESOURCE".to_owned()),
        "CLOUDFLARE_ACCOUNT_ID" => Some("ACCOUNT".to_owned()),
        "DEMO_UPSTREAM" | "LLAMACPP_BASE_URL" | "OLLAMA_BASE_URL" => {
            Some("http://own.example".to_owned())
        }
        "GOOGLE_VERTEX_SERVICE_ACCOUNT" => {
            let account =
                json!({"client_email": "a@b.example", "private_key": "-", "project_id": "PROJECT"});
            Some(account.to_string())
        }
        name if name == provider.secret => Some("KEY".to_owned()),
        _ => None,
    };
    let access = Access::of(provider, None, &variable).unwrap();
    let token = matches!(provider.auth, AuthScheme::SignedJwt { .. }).then_some("TOKEN");
    let outgoing = access.assemble(request, token, 0).unwrap();
    let told = |(name, _): &(String, String)| name != "content-type" && name != "user-agent";
    (
        outgoing.url,
        outgoing.headers.into_iter().filter(told).collect(),
    )
}

/// A plain host: everything is taken, in the plainest words.
fn plain() -> (Provider, Endpoint) {
    let provider = json!({
        "slug": "p", "name": "P", "dialect": "openai_chat", "base_url": "https://plain.example/v1",
        "auth": {"kind": "bearer"}, "secret": "P_KEY"
    });
    let mut endpoint: Endpoint = serde_json::from_value(json!({
        "model": "a/b", "provider": "p", "tag": "p", "upstream_model_id": "m", "context_length": 100_000,
        "prices": {"prompt": 0, "completion": 0}, "supported_parameters": [],
        "reasoning": {"efforts": ["high", "medium", "low"], "toggle": true},
        "input_modalities": ["text", "image"], "output_modalities": ["text"]
    }))
    .unwrap();
    endpoint.supported_parameters = Parameter::ALL.to_vec();
    (serde_json::from_value(provider).unwrap(), endpoint)
}

/// What the plain host gets where it asks for all that this endpoint takes.
fn plain_body(endpoint: &Endpoint) -> Map<String, Value> {
    let (provider, mut host) = plain();
    host.input_modalities.clone_from(&endpoint.input_modalities);
    if !endpoint.supports(Parameter::Tools) {
        host.supported_parameters
            .retain(|one| *one != Parameter::Tools);
    }
    body(&sent(&provider, &host, Some(json!({"effort": "high"}))).unwrap())
}

/// The fields in which one body is other than the other; `null` for one that it lacks.
fn difference(of: &Map<String, Value>, from: &Map<String, Value>) -> Value {
    let keys: BTreeSet<&String> = of.keys().chain(from.keys()).collect();
    let changed = keys
        .into_iter()
        .filter(|key| of.get(*key) != from.get(*key));
    let value = |key: &String| of.get(key).cloned().unwrap_or_default();
    changed
        .map(|key| (key.clone(), value(key)))
        .collect::<Map<_, _>>()
        .into()
}

/// What is sent beside the rest where reasoning is switched off.
fn off(provider: &Provider, endpoint: &Endpoint) -> Value {
    let silent = body(&sent(provider, endpoint, None).unwrap());
    match sent(provider, endpoint, Some(json!({"enabled": false}))) {
        Ok(request) => difference(&body(&request), &silent),
        Err(why) => why.into(),
    }
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn provider<'a>(rows: &'a Rows, slug: &str) -> &'a Provider {
    let row = rows
        .providers
        .iter()
        .find(|row| row.value.provider.slug == slug);
    &row.unwrap_or_else(|| panic!("no provider {slug}"))
        .value
        .provider
}

#[test]
fn every_provider_has_its_entry_and_no_entry_is_of_nobody() {
    let table = table();
    let groups = table.group.iter().flat_map(|group| group.at.keys());
    let listed: Vec<&String> = groups.chain(table.row.keys()).collect();
    let told: BTreeSet<&String> = listed.iter().copied().collect();
    assert_eq!(told.len(), listed.len(), "a provider has two entries");
    let rows = committed();
    let known: BTreeSet<&String> = rows
        .providers
        .iter()
        .map(|row| &row.value.provider.slug)
        .collect();
    assert_eq!(told, known);
}

#[test]
fn providers_like_the_plain_host_get_what_it_gets_but_for_the_fields_of_their_group() {
    let rows = committed();
    let (_, endpoint) = plain();
    let expected = plain_body(&endpoint);
    for group in table().group {
        let (differs, switched) = (json_of(&group.differs), json_of(&group.off));
        for (slug, url) in &group.at {
            let provider = provider(&rows, slug);
            let request = sent(provider, &endpoint, Some(json!({"effort": "high"}))).unwrap();
            let (at, headers) = reached(provider, &request);
            assert_eq!(&at, url, "{slug}");
            let bearer = [("authorization".to_owned(), "Bearer KEY".to_owned())];
            assert_eq!(headers, bearer.into(), "{slug}");
            assert_eq!(difference(&body(&request), &expected), differs, "{slug}");
            assert_eq!(off(provider, &endpoint), switched, "{slug}: off");
        }
    }
}

#[test]
fn providers_with_ways_of_their_own_get_exactly_this() {
    let rows = committed();
    let mut wrong = Vec::new();
    for (slug, entry) in table().row {
        let provider = provider(&rows, &slug);
        let endpoint = endpoint(&rows, &slug, &entry.model);
        let request = sent(provider, &endpoint, Some(json!({"effort": "high"}))).unwrap();
        let (url, headers) = reached(provider, &request);
        let mut body = body(&request);
        for (key, value) in plain_body(&endpoint) {
            if matches!(key.as_str(), "messages" | "tools") && body.get(&key) == Some(&value) {
                body.insert(key, "plain".into());
            }
        }
        let told =
            json!({"url": url, "headers": headers, "body": body, "off": off(provider, &endpoint)});
        let expected = json!({
            "url": entry.url, "headers": entry.headers, "body": json_of(&entry.body), "off": json_of(&entry.off),
        });
        if told != expected {
            wrong.push(format!("{slug}:\n  sent     {told}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The endpoint of the catalog with this id; one of a deployment's own where none can be there.
fn endpoint(rows: &Rows, slug: &str, id: &str) -> Endpoint {
    let mut all = rows.endpoints.iter().map(|row| &row.value);
    let found = all.find(|one| one.provider == slug && one.upstream_model_id == id);
    found.cloned().unwrap_or_else(|| {
        let is_own = provider(rows, slug).base_url.starts_with("${");
        assert!(is_own, "{slug} serves no {id}");
        let mut endpoint = plain().1;
        id.clone_into(&mut endpoint.upstream_model_id);
        endpoint
    })
}

fn recordings() -> Option<PathBuf> {
    let shared = std::env::var_os("PATCHBAY_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let found = shared.join("fixtures/index.jsonl").is_file();
    if !found {
        eprintln!("skipped: no recordings at {}", shared.display());
    }
    found.then(|| shared.join("fixtures"))
}

/// The addresses of an API in the recordings, up to a model's name, and the names of the fields that it was sent and took.
fn recorded(folder: &Path, api: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let read = |path: PathBuf| -> Option<Value> {
        serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
    };
    let index = std::fs::read_to_string(folder.join("index.jsonl")).unwrap();
    let cases = index
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut urls, mut fields) = (BTreeSet::new(), BTreeSet::new());
    for case in cases.filter(|case| case["api"] == api && case["http_status"] != 400) {
        let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
        let folder = folder.join(text("provider")).join(text("case"));
        let meta = read(folder.join("meta.json")).unwrap();
        if let (Some(host), Some(path)) = (meta["host"].as_str(), meta["endpoint"].as_str()) {
            urls.insert(up_to_model(&format!("https://{host}{path}")).to_owned());
        }
        if let Some(Value::Object(body)) = read(folder.join("request.json")) {
            fields.extend(body.into_iter().map(|(key, _)| key));
        }
    }
    (urls, fields)
}

fn up_to_model(url: &str) -> &str {
    let at = |mark: &str| url.find(mark).map(|at| at + mark.len());
    match at("/model/").or_else(|| at("/models/").filter(|_| !url.contains("/chat/completions"))) {
        Some(end) => url.get(..end).unwrap_or(url),
        None => url,
    }
}

#[test]
fn recorded_providers_were_called_there_and_took_these_fields() {
    let Some(folder) = recordings() else { return };
    let mut wrong = Vec::new();
    for (slug, entry) in table().row {
        let Some(api) = &entry.recorded else {
            assert!(
                entry.source.is_some(),
                "{slug}: neither recorded nor read anywhere"
            );
            continue;
        };
        let (urls, fields) = recorded(&folder, api);
        let url = up_to_model(&entry.url);
        // Some recorders kept the path alone.
        // One's own may run anywhere.
        let path = url.strip_prefix("http://own.example");
        let is_there = |at: &String| at == url || path.is_some_and(|path| at.ends_with(path));
        if !urls.is_empty() && !urls.iter().any(is_there) {
            wrong.push(format!("{slug}: {url} is none of {urls:?}"));
        }
        let Value::Object(body) = json_of(&entry.body) else {
            panic!("{slug}: the body is no object");
        };
        let sent: BTreeSet<String> = body.into_iter().map(|(key, _)| key).collect();
        let unknown: BTreeSet<String> = sent.difference(&fields).cloned().collect();
        if unknown != entry.documented {
            wrong.push(format!(
                "{slug}: no recording shows {unknown:?}, documented are {:?}",
                entry.documented
            ));
        }
        assert_eq!(
            entry.documented.is_empty(),
            entry.source.is_none(),
            "{slug}: a source for what is documented"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
