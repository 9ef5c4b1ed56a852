//! A generation as spans: OpenTelemetry's GenAI conventions, with what the client said of its trace.
//!
//! One span per generation, a child for each upstream attempt; above it, where the client names them, a span for its trace
//! (`trace_name`) and one for its step (`span_name`). Ids follow from the generation's id, so that a trace that is sent twice is
//! the same trace. A `trace_id` of the client's that is 32 hex digits is taken as it is, any other text as a name for one; the same
//! holds for `parent_span_id` with 16.
//!
//! Spec: <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/> (1.37 and later, with the former names that receivers
//! still read), OpenRouter's "Custom metadata".

use serde_json::{Map, Value};

use super::{
    ids::{digest, from_hex},
    kind::{Otlp, Tells},
    messages,
    otlp::{Any, Event, Span, SpanKind},
    port::Content,
};
use crate::{
    credits::{money::Nanos, ops::Outcome},
    time::rfc3339,
    usage::{Attempt, Generation},
};

/// Keys of the client's `trace` that name things; the others are its metadata.
const NAMING: [&str; 5] = [
    "trace_id",
    "trace_name",
    "span_name",
    "generation_name",
    "parent_span_id",
];
/// Providers that the conventions name otherwise.
const WELL_KNOWN: [(&str, &str); 9] = [
    ("amazon-bedrock", "aws.bedrock"),
    ("azure", "azure.ai.openai"),
    ("google-ai-studio", "gcp.gemini"),
    ("google-vertex", "gcp.vertex_ai"),
    ("mistral", "mistral_ai"),
    ("xai", "x_ai"),
    ("x-ai", "x_ai"),
    ("anthropic", "anthropic"),
    ("openai", "openai"),
];

/// What of a generation's circumstances is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Switches {
    /// How the cost came about.
    pub cost: bool,
    /// Whose cost it is: key and app.
    pub cost_allocation: bool,
    /// Account and key by their ids.
    pub identity: bool,
    /// Where the request came from.
    pub request_context: bool,
}

/// All that is known of a generation when it is told.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its place in the order of D1.
    pub seq: i64,
    /// What happened.
    pub generation: Generation,
    /// The name of the key that paid.
    pub key_name: String,
    /// What was asked and answered, where that is kept.
    pub content: Content,
    /// The client's `trace` object.
    pub trace: Map<String, Value>,
}

impl Record {
    /// A key of the client's `trace` as text.
    pub fn named(&self, key: &str) -> Option<&str> {
        let text = self.trace.get(key)?.as_str()?;
        (!text.is_empty()).then_some(text)
    }

    /// What of the client's `trace` is metadata.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &Value)> {
        let pairs = self.trace.iter().map(|(key, value)| (key.as_str(), value));
        pairs.filter(|(key, _)| !NAMING.contains(key))
    }

    /// The trace's id.
    pub fn trace_id(&self) -> [u8; 16] {
        match self.named("trace_id") {
            Some(text) => {
                from_hex(text).unwrap_or_else(|| digest(&["trace", &self.generation.account, text]))
            }
            None => digest(&["generation", &self.generation.id]),
        }
    }

    /// The generation's span.
    pub fn span_id(&self) -> [u8; 8] {
        digest(&["span", &self.generation.id])
    }

    /// The client's own span above all.
    fn outer(&self) -> Option<[u8; 8]> {
        let text = self.named("parent_span_id")?;
        Some(from_hex(text).unwrap_or_else(|| digest(&["parent", &self.generation.account, text])))
    }

    /// The operation's word.
    pub fn operation(&self) -> &str {
        match self.generation.row.api_type.as_str() {
            "completions" | "" => "chat",
            "images" => "generate_content",
            "tool" => "execute_tool",
            other => other,
        }
    }

    /// Unix milliseconds of its beginning and its end.
    pub fn times(&self) -> (i64, i64) {
        let row = &self.generation.row;
        let began = if row.created_at > 0 {
            row.created_at
        } else {
            self.generation.finished_at
        };
        let took = row.latency_ms.zip(row.generation_ms);
        let ended = match took {
            Some((first, rest)) => began.saturating_add(first).saturating_add(rest),
            None => self.generation.finished_at,
        };
        (began, ended.max(began))
    }

    /// Whether it failed, and with what words.
    pub fn error(&self) -> Option<&str> {
        let row = &self.generation.row;
        match (&row.error, self.generation.status) {
            (Some(error), _) => Some(error),
            (None, Outcome::Settled) => None,
            (None, _) if row.cancelled => None,
            (None, _) => Some("The request ended without an answer"),
        }
    }

    /// What it costs, corrections included.
    pub fn cost(&self) -> Nanos {
        let changes = self
            .generation
            .corrections
            .iter()
            .map(|one| one.change.get());
        let sum = changes.fold(self.generation.cost.get(), i64::saturating_add);
        Nanos::new(sum).unwrap_or(self.generation.cost)
    }

    /// The provider in the conventions' words.
    pub fn provider(&self) -> Option<String> {
        let row = &self.generation.row;
        let slug = row
            .attempts
            .iter()
            .rev()
            .map(|attempt| attempt.provider.as_str())
            .find(|slug| !slug.is_empty());
        let slug = slug.map(str::to_owned).or_else(|| {
            let name = row.provider.as_deref()?;
            Some(name.to_ascii_lowercase().replace(' ', "-"))
        })?;
        let known = WELL_KNOWN.iter().find(|(own, _)| *own == slug);
        Some(known.map_or(slug, |(_, word)| (*word).to_owned()))
    }
}

/// The spans of a generation, the outermost first.
pub fn spans(record: &Record, otlp: Option<&Otlp>, switches: Switches) -> Vec<Span> {
    let (began, ended) = record.times();
    let trace_id = record.trace_id();
    let id = &record.generation.id;
    let mut parent = record.outer();
    let mut spans = Vec::new();
    let wrapper = |name: &str, what: &str, parent: Option<[u8; 8]>| Span {
        trace_id,
        span_id: digest(&[what, id]),
        parent,
        name: name.to_owned(),
        kind: SpanKind::Internal,
        start_ms: began,
        end_ms: ended,
        attributes: whose(record),
        events: Vec::new(),
        error: record.error().map(str::to_owned),
    };
    let root = record.named("trace_name").filter(|_| parent.is_none());
    for (name, what) in [(root, "root"), (record.named("span_name"), "step")] {
        if let Some(name) = name {
            let span = wrapper(name, what, parent);
            parent = Some(span.span_id);
            spans.push(span);
        }
    }
    let own = Span {
        trace_id,
        span_id: record.span_id(),
        parent,
        name: record.named("generation_name").map_or_else(
            || format!("{} {}", record.operation(), record.generation.row.model),
            str::to_owned,
        ),
        kind: SpanKind::Client,
        start_ms: began,
        end_ms: ended,
        attributes: attributes(record, otlp, switches),
        events: events(record),
        error: record.error().map(str::to_owned),
    };
    spans.push(own);
    for (at, attempt) in record.generation.row.attempts.iter().enumerate() {
        spans.push(attempted(record, at, attempt, trace_id));
    }
    spans
}

/// Every attribute of a generation's span.
pub fn attributes(record: &Record, otlp: Option<&Otlp>, switches: Switches) -> Vec<(String, Any)> {
    let mut list = List(Vec::new());
    conventions(record, &mut list);
    contents(record, &mut list);
    list.0.extend(whose(record));
    circumstances(record, switches, &mut list);
    let prefix = otlp.map_or("trace.metadata.", |otlp| otlp.metadata);
    for (key, value) in record.metadata() {
        list.put(&format!("{prefix}{key}"), Any::of(value));
    }
    for (name, tells) in otlp.map_or(&[][..], |otlp| otlp.span) {
        if let Some(value) = told(record, *tells) {
            list.put(name, value);
        }
    }
    list.0
}

struct List(Vec<(String, Any)>);

impl List {
    /// Sets an attribute; names are unique.
    fn put(&mut self, name: &str, value: Any) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.put(name, Any::Text(value.to_owned()));
        }
    }

    fn count(&mut self, name: &str, value: u64) {
        self.put(name, Any::Int(i64::try_from(value).unwrap_or(i64::MAX)));
    }
}

fn conventions(record: &Record, list: &mut List) {
    let row = &record.generation.row;
    let usage = &row.usage;
    list.text("gen_ai.operation.name", Some(record.operation()));
    let provider = record.provider();
    list.text("gen_ai.provider.name", provider.as_deref());
    list.text("gen_ai.system", provider.as_deref());
    list.text("gen_ai.request.model", Some(&row.model));
    list.put("gen_ai.request.stream", Any::Bool(row.streamed));
    if record.error().is_none() {
        list.text("gen_ai.response.model", Some(&row.model));
    }
    list.text("gen_ai.response.id", Some(&record.generation.id));
    if let Some(finish) = &row.finish_reason {
        let reasons = vec![Any::Text(finish.clone())];
        list.put("gen_ai.response.finish_reasons", Any::List(reasons));
        list.text("gen_ai.response.finish_reason", Some(finish));
    }
    list.count("gen_ai.usage.input_tokens", usage.prompt);
    list.count("gen_ai.usage.output_tokens", usage.completion);
    list.count("gen_ai.usage.total_tokens", usage.total());
    list.count("gen_ai.usage.cache_read.input_tokens", usage.cache_read);
    list.count(
        "gen_ai.usage.cache_creation.input_tokens",
        usage.cache_write(),
    );
    list.count("gen_ai.usage.reasoning.output_tokens", usage.reasoning);
    list.put("gen_ai.usage.cost", Any::dollars(record.cost()));
    if let Some(first) = row.latency_ms {
        list.put("patchbay.time_to_first_token_ms", Any::Int(first));
    }
    if let Some(error) = record.error() {
        list.text("error.type", Some(error_type(record)));
        list.text("error.message", Some(error));
    }
    list.text("patchbay.provider", row.provider.as_deref());
    list.text("patchbay.endpoint", row.endpoint.as_deref());
    list.put("patchbay.cancelled", Any::Bool(row.cancelled));
    list.count("patchbay.attempts", row.attempts.len() as u64);
    if usage.estimated {
        list.put("patchbay.usage.estimated", Any::Bool(true));
    }
}

/// A word of few: the status of the last attempt, else the way it ended.
fn error_type(record: &Record) -> &'static str {
    let last = record.generation.row.attempts.last();
    match last.map(|attempt| attempt.status) {
        Some(429) => "rate_limited",
        Some(408 | 504 | 524) => "timeout",
        Some(400..=499) => "client_error",
        Some(500..=599) => "server_error",
        Some(0) => "connection",
        _ => "_OTHER",
    }
}

fn contents(record: &Record, list: &mut List) {
    if let Some(input) = &record.content.input {
        let text = Value::from(messages::convention(input, "user")).to_string();
        list.put("gen_ai.input.messages", Any::Text(text));
    }
    if let Some(output) = &record.content.output {
        let mut said = messages::convention(output, "assistant");
        let finish = record.generation.row.finish_reason.as_deref();
        for message in &mut said {
            if let Some(message) = message.as_object_mut() {
                message.insert("finish_reason".into(), finish.unwrap_or("stop").into());
            }
        }
        list.put(
            "gen_ai.output.messages",
            Any::Text(Value::from(said).to_string()),
        );
    }
}

/// Who asked, where the client says so.
fn whose(record: &Record) -> Vec<(String, Any)> {
    let origin = &record.generation.row.origin;
    let mut list = List(Vec::new());
    list.text("session.id", origin.session_id.as_deref());
    list.text("gen_ai.conversation.id", origin.session_id.as_deref());
    list.text("user.id", origin.external_user.as_deref());
    list.0
}

fn circumstances(record: &Record, switches: Switches, list: &mut List) {
    let generation = &record.generation;
    let (row, origin) = (&generation.row, &generation.row.origin);
    if switches.cost {
        list.put("patchbay.cost.total", Any::dollars(record.cost()));
        if let Some(list_cost) = row.list_cost {
            list.put("patchbay.cost.list", Any::dollars(list_cost));
        }
        if let Some(upstream) = row
            .usage
            .upstream_cost
            .and_then(|cost| Nanos::new(cost).ok())
        {
            list.put("patchbay.cost.upstream", Any::dollars(upstream));
        }
        if let Some(charge) = &row.charge {
            let lines = serde_json::to_string(&charge.lines).unwrap_or_default();
            list.put("patchbay.cost.lines", Any::Text(lines));
            if let Some(saved) = charge.cache_discount {
                list.put("patchbay.cost.cache_discount", Any::dollars(saved));
            }
        }
        list.put("patchbay.is_byok", Any::Bool(row.own_key.is_some()));
    }
    if switches.cost_allocation {
        list.text("patchbay.api_key.name", Some(&record.key_name));
        list.text("patchbay.app.title", origin.app_title.as_deref());
    }
    if switches.identity {
        list.text("patchbay.account.id", Some(&generation.account));
        list.text("patchbay.api_key.hash", Some(&generation.key_hash));
        list.text("patchbay.provider_key.id", row.own_key.as_deref());
    }
    if switches.request_context {
        list.text("patchbay.request.id", Some(&row.request_id));
        list.text("patchbay.api_type", Some(&row.api_type));
        list.text("patchbay.app.title", origin.app_title.as_deref());
        list.text("patchbay.app.referer", origin.http_referer.as_deref());
        list.text("user_agent.original", origin.user_agent.as_deref());
        list.text("patchbay.upstream.id", row.upstream_id.as_deref());
        list.text(
            "patchbay.native_finish_reason",
            row.native_finish_reason.as_deref(),
        );
        list.text(
            "patchbay.response_cache.source_id",
            row.response_cache_source_id.as_deref(),
        );
    }
}

/// What a receiver has a name of its own for.
fn told(record: &Record, tells: Tells) -> Option<Any> {
    let row = &record.generation.row;
    let text = |text: &str| Some(Any::Text(text.to_owned()));
    let count = |count: u64| Some(Any::Int(i64::try_from(count).unwrap_or(i64::MAX)));
    match tells {
        Tells::Word(word) => text(word),
        Tells::Input => Some(Any::Text(record.content.input.as_ref()?.to_string())),
        Tells::Output => Some(Any::Text(record.content.output.as_ref()?.to_string())),
        Tells::Model => text(&row.model),
        Tells::Session => text(row.origin.session_id.as_deref()?),
        Tells::User => text(row.origin.external_user.as_deref()?),
        Tells::TraceName => text(record.named("trace_name")?),
        Tells::Cost => text(&format!("{{\"total\":{}}}", record.cost())),
        Tells::Total => Some(Any::dollars(record.cost())),
        Tells::PromptTokens => count(row.usage.prompt),
        Tells::CompletionTokens => count(row.usage.completion),
        Tells::TotalTokens => count(row.usage.total()),
        Tells::FirstToken => {
            let first = row.latency_ms.filter(|_| row.created_at > 0)?;
            text(&rfc3339(row.created_at.saturating_add(first)))
        }
        Tells::Metadata => {
            let rest: Map<String, Value> = record
                .metadata()
                .map(|(key, value)| (key.to_owned(), value.clone()))
                .collect();
            (!rest.is_empty()).then(|| Any::Text(Value::Object(rest).to_string()))
        }
        Tells::Key(key) => text(record.named(key)?),
        Tells::Level => text(if record.error().is_some() {
            "ERROR"
        } else {
            "DEFAULT"
        }),
    }
}

fn events(record: &Record) -> Vec<Event> {
    let row = &record.generation.row;
    let mut events = Vec::new();
    if let Some(first) = row.latency_ms.filter(|_| row.created_at > 0) {
        events.push(Event {
            name: "gen_ai.first_token",
            at_ms: row.created_at.saturating_add(first),
            attributes: Vec::new(),
        });
    }
    if let Some(error) = record.error() {
        events.push(Event {
            name: "exception",
            at_ms: record.times().1,
            attributes: vec![
                (
                    "exception.type".into(),
                    Any::Text(error_type(record).into()),
                ),
                ("exception.message".into(), Any::Text(error.into())),
            ],
        });
    }
    events
}

/// One attempt: its end is measured; without a measure it stands at the generation's end.
fn attempted(record: &Record, at: usize, attempt: &Attempt, trace_id: [u8; 16]) -> Span {
    let (began, ended) = record.times();
    let measured = attempt.measured.as_ref();
    let end = measured
        .map(|measured| measured.ended_at)
        .filter(|end| *end > 0);
    let end = end.unwrap_or(ended).max(began);
    let took = measured
        .and_then(|measured| measured.duration_ms)
        .and_then(|took| i64::try_from(took).ok())
        .unwrap_or(attempt.latency_ms)
        .max(0);
    let mut list = List(Vec::new());
    list.text("patchbay.provider", Some(&attempt.provider));
    list.text("patchbay.endpoint", Some(&attempt.endpoint));
    list.text("gen_ai.request.model", Some(&attempt.model));
    list.text("gen_ai.response.id", attempt.upstream_id.as_deref());
    if attempt.status > 0 {
        let status = i64::from(attempt.status);
        list.put("http.response.status_code", Any::Int(status));
    }
    list.text("error.message", attempt.error.as_deref());
    Span {
        trace_id,
        span_id: digest(&["attempt", &record.generation.id, &at.to_string()]),
        parent: Some(record.span_id()),
        name: format!("attempt {}", attempt.provider),
        kind: SpanKind::Client,
        start_ms: end.saturating_sub(took).max(began),
        end_ms: end,
        attributes: list.0,
        events: Vec::new(),
        error: attempt.error.clone(),
    }
}

#[cfg(test)]
#[path = "trace_tests.rs"]
pub(super) mod tests;
