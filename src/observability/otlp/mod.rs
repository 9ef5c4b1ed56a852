//! Spans as OTLP carries them, and the requests that carry them: OTLP/HTTP in JSON or protobuf.
//!
//! Spec: <https://opentelemetry.io/docs/specs/otlp/>, `opentelemetry-proto` 1.x (`ExportTraceServiceRequest`).

mod json;
mod protobuf;

use std::borrow::Cow;

use serde_json::Value;

use super::{
    config::Config,
    kind::{Encoding, Kind, Otlp},
    port::Outgoing,
    trace::{Record, Switches, spans},
};
use crate::{
    credits::money::Nanos,
    error::{Error, Result},
};

pub use json::traces as to_json;
pub use protobuf::traces as to_protobuf;

/// An attribute's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Any {
    /// Text.
    Text(String),
    /// A flag.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Double(f64),
    /// A list.
    List(Vec<Any>),
}

impl Any {
    /// A JSON value: what is nested becomes JSON text, since receivers index flat attributes.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.clone()),
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Self::Int(whole),
                (None, Some(number)) => Self::Double(number),
                (None, None) => Self::Text(number.to_string()),
            },
            Value::Array(items) if items.iter().all(Value::is_string) => {
                Self::List(items.iter().map(Self::of).collect())
            }
            other => Self::Text(other.to_string()),
        }
    }

    /// The value as plain JSON.
    pub fn into_json(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Bool(flag) => flag.into(),
            Self::Int(number) => number.into(),
            Self::Double(number) => number.into(),
            Self::List(items) => items.into_iter().map(Self::into_json).collect(),
        }
    }

    /// An amount in dollars as the double that receivers take: read from the exact decimal text, for display only.
    pub fn dollars(amount: Nanos) -> Self {
        Self::Double(amount.to_string().parse().unwrap_or_default())
    }
}

/// The role of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Within one program.
    Internal = 1,
    /// A call of another program.
    Client = 3,
}

/// Something that happened at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What.
    pub name: &'static str,
    /// When, unix milliseconds.
    pub at_ms: i64,
    /// More of it.
    pub attributes: Vec<(String, Any)>,
}

/// A span.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its trace.
    pub trace_id: [u8; 16],
    /// Its own id.
    pub span_id: [u8; 8],
    /// The span above it.
    pub parent: Option<[u8; 8]>,
    /// Its name.
    pub name: String,
    /// Its role.
    pub kind: SpanKind,
    /// Its beginning, unix milliseconds.
    pub start_ms: i64,
    /// Its end.
    pub end_ms: i64,
    /// What is told of it.
    pub attributes: Vec<(String, Any)>,
    /// What happened in it.
    pub events: Vec<Event>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// The spans of one sender.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// What is told of the sender.
    pub resource: Vec<(String, Any)>,
    /// The spans; none in a test of the connection.
    pub spans: Vec<Span>,
}

/// Who sends, in `service.name`.
pub const SERVICE: &str = "patchbay";

/// The spans of these generations, from this sender.
pub fn traces(
    records: &[&Record],
    otlp: Option<&Otlp>,
    resource: Vec<(String, Any)>,
    switches: Switches,
) -> Traces {
    let mut all: Vec<(String, Any)> = vec![
        ("service.name".into(), Any::Text(SERVICE.into())),
        (
            "service.version".into(),
            Any::Text(env!("CARGO_PKG_VERSION").into()),
        ),
        ("telemetry.sdk.language".into(), Any::Text("rust".into())),
    ];
    for (name, value) in resource {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => all.push((name, value)),
        }
    }
    Traces {
        resource: all,
        spans: records
            .iter()
            .flat_map(|record| spans(record, otlp, switches))
            .collect(),
    }
}

/// The request that carries these generations to a receiver of OTLP; none of them for a test of the connection.
///
/// # Errors
/// When the configuration does not say where.
pub fn request(
    kind: &Kind,
    otlp: &Otlp,
    config: &Config,
    records: &[&Record],
    switches: Switches,
) -> Result<Outgoing> {
    let base = config.base(kind, otlp.base);
    let base = base.ok_or_else(|| Error::internal("a destination has no address"))?;
    let base = base.trim_end_matches('/');
    let is_bare = base
        .split_once("://")
        .is_some_and(|(_, rest)| !rest.contains(['/', '?']));
    let path = match otlp.path {
        // As exporters do with an endpoint that is a host.
        "" if is_bare => "/v1/traces",
        path if base.ends_with(path) => "",
        path => path,
    };
    let resource = otlp.resource.iter().filter_map(|(name, template)| {
        Some(((*name).to_owned(), Any::Text(config.fill(kind, template)?)))
    });
    let traces = traces(records, Some(otlp), resource.collect(), switches);
    let encoding = match config.text(kind, "encoding") {
        Some("protobuf") => Encoding::Protobuf,
        _ => otlp.encoding,
    };
    let (content_type, body) = match encoding {
        Encoding::Json => ("application/json", to_json(&traces)),
        Encoding::Protobuf => ("application/x-protobuf", to_protobuf(&traces)),
    };
    let mut headers: Vec<(Cow<'static, str>, String)> =
        vec![("content-type".into(), content_type.into())];
    for (name, value) in otlp.headers {
        if let Some(value) = config.header(kind, *value) {
            headers.push(((*name).into(), value));
        }
    }
    Ok(Outgoing {
        method: "POST",
        url: format!("{base}{path}"),
        headers,
        body,
        gzip: config.text(kind, "compression") == Some("gzip"),
    })
}

#[cfg(test)]
#[path = "../otlp_tests.rs"]
mod tests;
