//! One request through reader, planner, transforms and upstream writer, and one answer back to the client; and a reader of what
//! was sent that knows every wire.

use std::rc::Rc;

use serde_json::{Value, json};

use patchbay::catalog::{Endpoint, ModelEntry, Provider, Route, ServedModel};
use patchbay::chat::{ChatRequest, Event};
use patchbay::dialects::report::{Meta, UsageReport};
use patchbay::dialects::surface::Recipient;
use patchbay::dialects::{self, Inbound, Surface, Target};
use patchbay::error::Error;
use patchbay::routing::{Situation, plan};
use patchbay::transforms::{Plugins, Setting, Shape, shape};

/// Every dialect, by the name of its rows.
pub const DIALECTS: [&str; 6] = [
    "openai_chat",
    "anthropic_messages",
    "gemini",
    "openai_responses",
    "cohere_v2",
    "bedrock_converse",
];

/// Every parameter that an endpoint can support.
fn all_parameters() -> Value {
    let words = patchbay::catalog::Parameter::ALL.iter();
    words.map(|word| json!(word.as_str())).collect()
}

/// A provider of this dialect and its endpoint, which can do everything; `change` edits both rows.
pub fn host(dialect: &str, change: impl FnOnce(&mut Value, &mut Value)) -> Route {
    let mut provider = json!({
        "slug": "p", "name": "P", "dialect": dialect, "base_url": "https://example.invalid",
        "auth": {"kind": "bearer"}, "secret": "P", "quirks": ["accepts_prefill"],
    });
    let mut reasoning = json!({"efforts": ["high", "medium", "low"], "budget": {"min": 0, "max": 32_000}, "toggle": true});
    if dialect == "bedrock_converse" {
        reasoning["fields"] = json!("thinking");
    }
    let mut endpoint = json!({
        "model": "m/m", "provider": "p", "tag": "p", "upstream_model_id": "m",
        "context_length": 200_000, "max_completion_tokens": 64_000,
        "prices": {"prompt": 1_000, "completion": 2_000, "cache_read": 100, "cache_write_5m": 1_250, "cache_write_1h": 2_000},
        "supported_parameters": all_parameters(), "reasoning": reasoning,
        "input_modalities": ["text", "image", "file"], "output_modalities": ["text", "image"],
    });
    change(&mut provider, &mut endpoint);
    let entry: ModelEntry = serde_json::from_value(json!({
        "model": {
            "slug": "m/m", "canonical_slug": "m/m", "name": "M", "description": "", "created": 0, "context_length": 200_000,
            "input_modalities": ["text"], "output_modalities": ["text"], "tokenizer": "Other",
        },
        "endpoints": [endpoint], "providers": [provider],
    }))
    .unwrap();
    ServedModel::from(entry).routes.remove(0)
}

fn served(route: &Route) -> Rc<ServedModel> {
    let endpoint: Value = serde_json::to_value(&*route.endpoint).unwrap();
    let provider: Value = serde_json::to_value(&*route.provider).unwrap();
    let entry: ModelEntry = serde_json::from_value(json!({
        "model": {
            "slug": "m/m", "canonical_slug": "m/m", "name": "M", "description": "", "created": 0, "context_length": 200_000,
            "input_modalities": ["text"], "output_modalities": ["text"], "tokenizer": "Other",
        },
        "endpoints": [endpoint], "providers": [provider],
    }))
    .unwrap();
    Rc::new(ServedModel::from(entry))
}

/// A request on its way to an upstream.
pub struct Sent {
    pub surface: Surface,
    pub raw: Vec<u8>,
    pub request: ChatRequest,
    pub shape: Shape,
    pub dropped: Vec<&'static str>,
    pub body: Value,
    pub text: String,
    pub endpoint: Rc<Endpoint>,
    pub provider: Rc<Provider>,
}

/// Sends a client's body of this surface to this endpoint.
pub fn send(surface: Surface, body: &Value, route: &Route) -> Result<Sent, Error> {
    let raw = body.to_string().into_bytes();
    let request = surface.parse(&raw)?;
    plan(&request, &[served(route).into()], &Situation::default())?;
    let Route { endpoint, provider } = route.clone();
    let plugins = Plugins::parse(&request.extra)?;
    let (shaped, mut shape) = shape(&Setting {
        request: &request,
        plugins: &plugins,
        endpoint: &endpoint,
        provider: &provider,
        prompt_tokens: 100,
        generation: "gen-1",
        is_rest: false,
    })?;
    let own = shaped.is_none().then_some(raw.as_slice());
    let inbound = Inbound {
        request: shaped.as_ref().unwrap_or(&request),
        surface,
        raw: own,
    };
    let target = Target {
        endpoint: &endpoint,
        provider: &provider,
    };
    let native = dialects::request(&inbound, &target)?;
    shape.tell_dropped(&native.dropped);
    let text = String::from_utf8(native.body).unwrap();
    Ok(Sent {
        surface,
        raw,
        request,
        shape,
        dropped: native.dropped,
        body: serde_json::from_str(&text).unwrap(),
        text,
        endpoint,
        provider,
    })
}

impl Sent {
    /// What the client gets for the upstream's answer: whole and as a stream.
    pub fn answered(&mut self, answer: &Value) -> (Value, String) {
        let dialect = self.endpoint.dialect(&self.provider);
        let bytes = answer.to_string().into_bytes();
        let mut events = dialects::response(dialect, &bytes, &self.provider.quirks).unwrap();
        self.shape.filters.end(&mut events);
        self.told(&events)
    }

    fn told(&self, events: &[Event]) -> (Value, String) {
        let meta = Meta {
            id: "gen-1".into(),
            created: 7,
            model: "m/m".into(),
            provider: "P".into(),
        };
        let recipient = Recipient {
            surface: self.surface,
            request: &self.request,
            raw: &self.raw,
            meta: &meta,
        };
        let report = UsageReport::default();
        let whole = serde_json::from_slice(&recipient.whole(events, &report)).unwrap();
        let mut writer = recipient.writer();
        let mut out = Vec::new();
        for event in events {
            writer.write(event, &mut out);
        }
        writer.finish(&report, &mut out);
        (whole, String::from_utf8(out).unwrap())
    }

    /// How often these words were sent.
    pub fn count(&self, words: &str) -> usize {
        self.text.matches(words).count()
    }

    /// Whether a field of one of these names was sent, at any depth.
    pub fn has_key(&self, names: &[&str]) -> bool {
        names.iter().any(|name| has_key(&self.body, name))
    }
}

fn has_key(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(map) => map
            .iter()
            .any(|(key, value)| (key == name && !value.is_null()) || has_key(value, name)),
        Value::Array(list) => list.iter().any(|value| has_key(value, name)),
        _ => false,
    }
}

/// The calls and results of a conversation, in the order in which they were sent, whatever the wire.
#[derive(Debug, Default)]
pub struct Loop {
    /// Id, name and arguments.
    pub calls: Vec<(String, String, Value)>,
    /// Id and content.
    pub results: Vec<(String, Value)>,
    /// Names of declared tools.
    pub declared: Vec<String>,
}

impl Loop {
    pub fn of(body: &Value) -> Self {
        let mut found = Self::default();
        found.walk(body);
        found
    }

    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(list) => list.iter().for_each(|value| self.walk(value)),
            Value::Object(map) => {
                self.object(value);
                let inner = map.iter().filter(|(key, _)| *key != "tool_choice");
                inner.for_each(|(_, value)| self.walk(value));
            }
            _ => {}
        }
    }

    fn object(&mut self, value: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let parsed = |value: &Value| match value {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            value => value.clone(),
        };
        let kind = value["type"].as_str().unwrap_or_default();
        let function = &value["function"];
        if kind == "function" && function["arguments"].is_string() {
            self.calls.push((
                text(&value["id"]),
                text(&function["name"]),
                parsed(&function["arguments"]),
            ));
        } else if kind == "function" && function["name"].is_string() {
            self.declared.push(text(&function["name"]));
        } else if kind == "function" && value["name"].is_string() {
            self.declared.push(text(&value["name"]));
        } else if kind == "function_call" {
            self.calls.push((
                text(&value["call_id"]),
                text(&value["name"]),
                parsed(&value["arguments"]),
            ));
        } else if kind == "function_call_output" {
            self.results
                .push((text(&value["call_id"]), value["output"].clone()));
        } else if kind == "tool_use" {
            self.calls.push((
                text(&value["id"]),
                text(&value["name"]),
                value["input"].clone(),
            ));
        } else if kind == "tool_result" {
            self.results
                .push((text(&value["tool_use_id"]), value["content"].clone()));
        } else if value["role"] == "tool" {
            self.results
                .push((text(&value["tool_call_id"]), value["content"].clone()));
        }
        for key in ["input_schema", "inputSchema", "parametersJsonSchema"] {
            if !value[key].is_null() {
                self.declared.push(text(&value["name"]));
            }
        }
        for (key, id) in [("toolUse", "toolUseId"), ("functionCall", "id")] {
            if value[key].is_object() {
                let call = &value[key];
                let input = if call["input"].is_null() {
                    &call["args"]
                } else {
                    &call["input"]
                };
                self.calls
                    .push((text(&call[id]), text(&call["name"]), input.clone()));
            }
        }
        for (key, id) in [("toolResult", "toolUseId"), ("functionResponse", "id")] {
            if value[key].is_object() {
                let result = &value[key];
                self.results.push((text(&result[id]), result.clone()));
            }
        }
    }
}
