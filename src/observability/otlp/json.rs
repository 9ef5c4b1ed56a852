//! The JSON mapping of OTLP: ids in hex, 64-bit integers as text, enumerations as numbers, names in camel case.
//!
//! Spec: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

use serde_json::{Map, Value, json};

use super::{Any, Event, SERVICE, Span, Traces};
use crate::identity::keys::hex;

/// An `ExportTraceServiceRequest`. Without spans it is an empty one.
pub fn traces(traces: &Traces) -> Vec<u8> {
    if traces.spans.is_empty() {
        return br#"{"resourceSpans":[]}"#.to_vec();
    }
    let spans: Vec<Value> = traces.spans.iter().map(span).collect();
    let scope = json!({"name": SERVICE, "version": env!("CARGO_PKG_VERSION")});
    let resource = json!({"attributes": attributes(&traces.resource)});
    let scoped = json!({"scope": scope, "spans": spans});
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [scoped]}]})
        .to_string()
        .into_bytes()
}

fn span(span: &Span) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("traceId", hex(&span.trace_id).into());
    put("spanId", hex(&span.span_id).into());
    if let Some(parent) = &span.parent {
        put("parentSpanId", hex(parent).into());
    }
    put("name", span.name.as_str().into());
    put("kind", (span.kind as u8).into());
    put("startTimeUnixNano", nanoseconds(span.start_ms));
    put("endTimeUnixNano", nanoseconds(span.end_ms));
    put("attributes", attributes(&span.attributes));
    if !span.events.is_empty() {
        put("events", span.events.iter().map(event).collect());
    }
    let status = match &span.error {
        Some(message) => json!({"code": 2, "message": message}),
        None => json!({"code": 1}),
    };
    put("status", status);
    Value::Object(object)
}

fn event(event: &Event) -> Value {
    json!({
        "timeUnixNano": nanoseconds(event.at_ms),
        "name": event.name,
        "attributes": attributes(&event.attributes),
    })
}

fn nanoseconds(ms: i64) -> Value {
    Value::String(format!("{}000000", ms.max(0)))
}

fn attributes(list: &[(String, Any)]) -> Value {
    list.iter()
        .map(|(key, value)| json!({"key": key, "value": any(value)}))
        .collect()
}

fn any(value: &Any) -> Value {
    match value {
        Any::Text(text) => json!({"stringValue": text}),
        Any::Bool(flag) => json!({"boolValue": flag}),
        Any::Int(number) => json!({"intValue": number.to_string()}),
        Any::Double(number) => json!({"doubleValue": number}),
        Any::List(items) => {
            let values: Vec<Value> = items.iter().map(any).collect();
            json!({"arrayValue": {"values": values}})
        }
    }
}
