//! OTLP in binary protobuf, for receivers that take nothing else.
//!
//! Spec: `opentelemetry/proto/{collector/trace,trace,common,resource}/v1` (field numbers stand beside the calls), the protobuf
//! encoding <https://protobuf.dev/programming-guides/encoding/>.

use super::{Any, Event, SERVICE, Span, Traces};

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;

/// An `ExportTraceServiceRequest`. Without spans it is an empty one: no bytes.
pub fn traces(traces: &Traces) -> Vec<u8> {
    let mut request = Message::default();
    if traces.spans.is_empty() {
        return request.0;
    }
    let mut resource = Message::default();
    for pair in &traces.resource {
        resource.message(1, &key_value(pair));
    }
    let mut scope = Message::default();
    scope.bytes(1, SERVICE.as_bytes());
    scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
    let mut scope_spans = Message::default();
    scope_spans.message(1, &scope);
    for one in &traces.spans {
        scope_spans.message(2, &span(one));
    }
    let mut resource_spans = Message::default();
    resource_spans.message(1, &resource);
    resource_spans.message(2, &scope_spans);
    request.message(1, &resource_spans);
    request.0
}

#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        loop {
            let low = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    fn tag(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.tag(field, LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.tag(field, VARINT);
        self.varint(value);
    }

    fn fixed64(&mut self, field: u64, value: u64) {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }
}

fn span(span: &Span) -> Message {
    let mut message = Message::default();
    message.bytes(1, &span.trace_id);
    message.bytes(2, &span.span_id);
    if let Some(parent) = &span.parent {
        message.bytes(4, parent);
    }
    message.bytes(5, span.name.as_bytes());
    message.number(6, span.kind as u64);
    message.fixed64(7, nanoseconds(span.start_ms));
    message.fixed64(8, nanoseconds(span.end_ms));
    for pair in &span.attributes {
        message.message(9, &key_value(pair));
    }
    for one in &span.events {
        message.message(11, &event(one));
    }
    let mut status = Message::default();
    if let Some(error) = &span.error {
        status.bytes(2, error.as_bytes());
    }
    status.number(3, if span.error.is_some() { 2 } else { 1 });
    message.message(15, &status);
    message
}

fn event(event: &Event) -> Message {
    let mut message = Message::default();
    message.fixed64(1, nanoseconds(event.at_ms));
    message.bytes(2, event.name.as_bytes());
    for pair in &event.attributes {
        message.message(3, &key_value(pair));
    }
    message
}

fn nanoseconds(ms: i64) -> u64 {
    ms.max(0).unsigned_abs().saturating_mul(1_000_000)
}

fn key_value((key, value): &(String, Any)) -> Message {
    let mut message = Message::default();
    message.bytes(1, key.as_bytes());
    message.message(2, &any(value));
    message
}

fn any(value: &Any) -> Message {
    let mut message = Message::default();
    match value {
        Any::Text(text) => message.bytes(1, text.as_bytes()),
        Any::Bool(flag) => message.number(2, u64::from(*flag)),
        Any::Int(number) => message.number(3, u64::from_ne_bytes(number.to_ne_bytes())),
        Any::Double(number) => message.fixed64(4, number.to_bits()),
        Any::List(items) => {
            let mut list = Message::default();
            for item in items {
                list.message(1, &any(item));
            }
            message.message(5, &list);
        }
    }
    message
}
