//! The exchanges of tests with vendors of tools: what stands in `tests/vendors/exchanges`, one file per provider.
//!
//! `tests/vendors/README.md` says what its fields mean; the vendors' stand-in plays the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use base64::prelude::{BASE64_STANDARD, Engine};
use patchbay::tools::catalog::{Effect, IdempotencyForm, Tool, ToolCatalog};
use patchbay::tools::connector::{Answer, Context, Credentials, Outgoing, idempotency_key};
use serde::Deserialize;
use serde_json::Value;

use crate::tests::committed;

/// What the derived keys of these tests are made of.
pub const DIGEST: [u8; 32] = [7; 32];
/// When these tests are.
pub const NOW_MS: u64 = 1_780_000_000_000;

/// What is known of a vendor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vendor {
    pub key: Option<String>,
    pub token: Option<String>,
    pub secret: Option<String>,
    pub keyless: Option<Value>,
    pub public_key: Option<String>,
    pub exchanges: Vec<Exchange>,
    pub errors: Vec<Wrong>,
}

/// An operation, asked and answered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    pub operation: String,
    pub effect: Option<Effect>,
    pub idempotency: Option<BTreeMap<String, String>>,
    pub input: Value,
    pub request: Wanted,
    pub answer: Told,
    #[serde(default)]
    pub then: Vec<Step>,
    pub cancelled: Option<Step>,
    pub result: Value,
    pub id: Option<String>,
    #[serde(default)]
    pub missed: Vec<String>,
    pub charge: i64,
}

/// A question about a job, or its end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub request: Wanted,
    pub answer: Told,
}

/// The request that is to leave.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub method: String,
    pub url: String,
    pub headers: BTreeMap<String, String>,
    pub body: Option<Value>,
}

/// An answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub json: Option<Value>,
    pub text: Option<String>,
    pub base64: Option<String>,
}

/// A failure, and what it means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrong {
    pub operation: String,
    pub answer: Told,
    pub class: String,
    pub code: Option<String>,
    pub message: Option<String>,
    pub retry_after: Option<u32>,
}

impl Told {
    /// As it comes from the network.
    pub fn answer(&self) -> Answer {
        let body = match (&self.json, &self.text, &self.base64) {
            (Some(json), _, _) => json.to_string().into_bytes(),
            (_, Some(text), _) => text.clone().into_bytes(),
            (_, _, Some(bytes)) => BASE64_STANDARD.decode(bytes).unwrap(),
            _ => Vec::new(),
        };
        let headers = self.headers.iter();
        Answer {
            status: self.status,
            headers: headers
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            body,
        }
    }
}

/// A vendor's file.
pub fn vendor(slug: &str) -> Vendor {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vendors/exchanges");
    let text = std::fs::read_to_string(folder.join(format!("{slug}.json")));
    let text = text.unwrap_or_else(|error| panic!("the provider {slug} has no exchanges: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{slug}.json: {error}"))
}

/// The tools of the repository.
///
/// Chains ask nobody themselves: their steps do.
pub fn tools() -> ToolCatalog {
    let snapshot = crate::files::tools(&committed().tools).unwrap();
    let mut providers = snapshot.providers;
    providers.retain(|one| one.slug != patchbay::tools::composites::PROVIDER);
    ToolCatalog::new("test", providers, snapshot.capabilities)
}

/// A tool of the repository.
pub fn tool(catalog: &ToolCatalog, slug: &str, operation: &str) -> Rc<Tool> {
    let tool = catalog.get(&format!("{slug}/{operation}"));
    Rc::clone(tool.unwrap_or_else(|| panic!("there is no {slug}/{operation}")))
}

/// A deployment without variables.
pub fn nothing(_: &str) -> Option<String> {
    None
}

/// Does this with the key and the context of a call.
pub fn with<T>(vendor: &Vendor, tool: &Tool, does: impl FnOnce(&Context<'_>, &[String]) -> T) -> T {
    let credentials = Credentials::of(tool, vendor.key.as_deref(), &nothing).unwrap();
    let mut secrets = credentials.secrets(&tool.provider);
    secrets.extend(vendor.token.clone());
    let cx = Context {
        credentials: &credentials,
        token: vendor.token.as_deref(),
        idempotency: Some(&DIGEST),
        now_ms: NOW_MS,
        var: &nothing,
    };
    does(&cx, &secrets)
}

/// The derived keys in their places.
fn derived(text: &str) -> String {
    let forms = [
        ("@hex", IdempotencyForm::Hex),
        ("@uuid", IdempotencyForm::Uuid),
        ("@base32hex", IdempotencyForm::Base32hex),
    ];
    let form = forms.iter().find(|(name, _)| *name == text);
    form.map_or_else(
        || text.to_owned(),
        |(_, form)| idempotency_key(&DIGEST, *form),
    )
}

fn derived_in(value: &Value) -> Value {
    match value {
        Value::String(text) => derived(text).into(),
        Value::Array(items) => items.iter().map(derived_in).collect(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), derived_in(value)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

fn pairs(text: &str) -> BTreeSet<&str> {
    text.split('&').filter(|pair| !pair.is_empty()).collect()
}

fn split(url: &str) -> (&str, BTreeSet<&str>) {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    (place, pairs(query))
}

/// What differs between a request and what is wanted.
pub fn differs(wanted: &Wanted, sent: &Outgoing) -> Option<String> {
    let is_place =
        (wanted.method.as_str(), split(&wanted.url)) == (sent.method.as_str(), split(&sent.url));
    if !is_place {
        return Some(format!("{} {}", sent.method, sent.url));
    }
    let usual = |name: &str| {
        name == "user-agent" || (name == "accept" && !wanted.headers.contains_key("accept"))
    };
    let headers = sent.headers.iter().filter(|(name, _)| !usual(name));
    let headers: BTreeMap<&str, &str> = headers
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mine: BTreeMap<&str, String> = wanted
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), derived(value)))
        .collect();
    let is_same = mine.len() == headers.len()
        && mine
            .iter()
            .all(|(name, value)| headers.get(name) == Some(&value.as_str()));
    if !is_same {
        return Some(format!("{headers:?}"));
    }
    let body = sent
        .body
        .as_deref()
        .map(|bytes| std::str::from_utf8(bytes).unwrap());
    let is_body = match (&wanted.body, body) {
        (None, None) => true,
        (Some(Value::String(form)), Some(text)) => pairs(form) == pairs(text),
        (Some(value), Some(text)) => {
            serde_json::from_str::<Value>(text).unwrap() == derived_in(value)
        }
        _ => false,
    };
    (!is_body).then(|| format!("{body:?}"))
}
