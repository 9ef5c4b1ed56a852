//! The two encodings of OTLP against each other: what protobuf says, read by field numbers, is what JSON says.

use serde_json::json;

use super::*;
use crate::observability::{
    config::tests::examples,
    kind::{Form, KINDS},
    trace::tests::record,
};

/// Fields of a message: number, and a number or bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    let varint = |bytes: &mut &[u8]| {
        let mut value = 0_u64;
        for shift in 0.. {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << (7 * shift);
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    };
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => {
                let (number, rest) = bytes.split_first_chunk::<8>().unwrap();
                bytes = rest;
                Field::Number(u64::from_le_bytes(*number))
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (inner, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(inner)
            }
            other => panic!("wire type {other}"),
        };
        found.push((tag >> 3, field));
    }
    found
}

#[derive(Debug, Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(number) => panic!("{number} is no message"),
        }
    }

    fn number(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Bytes(bytes) => panic!("{bytes:?} is no number"),
        }
    }

    fn text(self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }
}

fn attributes(all: &[(u64, Field<'_>)], number: u64) -> Value {
    let pairs = all
        .iter()
        .filter(|(field, _)| *field == number)
        .map(|(_, pair)| {
            let pair = fields(pair.bytes());
            json!({"key": pair[0].1.text(), "value": any(pair[1].1.bytes())})
        });
    pairs.collect()
}

fn any(bytes: &[u8]) -> Value {
    let fields = fields(bytes);
    let (number, field) = fields[0];
    match number {
        1 => json!({"stringValue": field.text()}),
        2 => json!({"boolValue": field.number() == 1}),
        3 => json!({"intValue": (field.number() as i64).to_string()}),
        4 => json!({"doubleValue": f64::from_bits(field.number())}),
        5 => {
            let values = super::tests::fields(field.bytes());
            json!({"arrayValue": {"values": values.iter().map(|(_, value)| any(value.bytes())).collect::<Vec<_>>()}})
        }
        other => panic!("value {other}"),
    }
}

/// A span of protobuf as the JSON mapping spells it.
fn span(bytes: &[u8]) -> Value {
    let all = fields(bytes);
    let of = |number: u64| {
        all.iter()
            .find(|(field, _)| *field == number)
            .map(|(_, field)| *field)
    };
    let mut object = json!({
        "traceId": crate::identity::keys::hex(of(1).unwrap().bytes()),
        "spanId": crate::identity::keys::hex(of(2).unwrap().bytes()),
        "name": of(5).unwrap().text(),
        "kind": of(6).unwrap().number(),
        "startTimeUnixNano": of(7).unwrap().number().to_string(),
        "endTimeUnixNano": of(8).unwrap().number().to_string(),
        "attributes": attributes(&all, 9),
    });
    let map = object.as_object_mut().unwrap();
    if let Some(parent) = of(4) {
        map.insert(
            "parentSpanId".into(),
            crate::identity::keys::hex(parent.bytes()).into(),
        );
    }
    let events: Vec<Value> = all
        .iter()
        .filter(|(field, _)| *field == 11)
        .map(|(_, event)| {
            let event = fields(event.bytes());
            json!({"timeUnixNano": event[0].1.number().to_string(), "name": event[1].1.text(), "attributes": attributes(&event, 3)})
        })
        .collect();
    if !events.is_empty() {
        map.insert("events".into(), events.into());
    }
    let status = fields(of(15).unwrap().bytes());
    let mut told =
        json!({"code": status.iter().find(|(field, _)| *field == 3).unwrap().1.number()});
    if let Some((_, message)) = status.iter().find(|(field, _)| *field == 2) {
        told.as_object_mut()
            .unwrap()
            .insert("message".into(), message.text().into());
    }
    map.insert("status".into(), told);
    object
}

fn decoded(bytes: &[u8]) -> Value {
    let request = fields(bytes);
    let all: Vec<Value> = request
        .iter()
        .map(|(number, field)| {
            assert_eq!(*number, 1);
            let resource_spans = fields(field.bytes());
            let resource = fields(resource_spans[0].1.bytes());
            let scoped = fields(resource_spans[1].1.bytes());
            let scope = fields(scoped[0].1.bytes());
            let spans: Vec<Value> = scoped[1..].iter().map(|(_, field)| span(field.bytes())).collect();
            json!({
                "resource": {"attributes": attributes(&resource, 1)},
                "scopeSpans": [{"scope": {"name": scope[0].1.text(), "version": scope[1].1.text()}, "spans": spans}],
            })
        })
        .collect();
    json!({"resourceSpans": all})
}

#[test]
fn both_encodings_say_the_same() {
    let (good, mut failed) = (record(), record());
    failed.generation.row.error = Some("é".repeat(200));
    failed.generation.id = "gen-2".into();
    failed.generation.row.usage.prompt = u64::from(u32::MAX) << 8;
    failed.trace = json!({"trace_name": "T", "rate": 0.5, "on": true, "tags": ["a", "b"]})
        .as_object()
        .cloned()
        .unwrap();
    let traces = traces(
        &[&good, &failed],
        None,
        vec![("x".into(), Any::Int(-5))],
        Switches::default(),
    );
    let json: Value = serde_json::from_slice(&to_json(&traces)).unwrap();
    assert_eq!(decoded(&to_protobuf(&traces)), json);
    assert_eq!(
        json["resourceSpans"][0]["scopeSpans"][0]["spans"]
            .as_array()
            .unwrap()
            .len(),
        7
    );
}

#[test]
fn numbers_and_ids_have_the_json_mappings_form() {
    let traces = traces(&[&record()], None, Vec::new(), Switches::default());
    let json: Value = serde_json::from_slice(&to_json(&traces)).unwrap();
    let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"].as_str().unwrap().len(), 32);
    assert_eq!(span["spanId"].as_str().unwrap().len(), 16);
    assert_eq!(span["startTimeUnixNano"], "1800000000000000000");
    assert_eq!(span["kind"], 3);
    assert_eq!(span["status"], json!({"code": 1}));
    let attributes = span["attributes"].as_array().unwrap();
    let tokens = attributes
        .iter()
        .find(|pair| pair["key"] == "gen_ai.usage.input_tokens")
        .unwrap();
    assert_eq!(tokens["value"], json!({"intValue": "1234"}));
}

#[test]
fn a_test_of_the_connection_is_empty() {
    let empty = Traces {
        resource: Vec::new(),
        spans: Vec::new(),
    };
    assert_eq!(to_json(&empty), br#"{"resourceSpans":[]}"#);
    assert_eq!(to_protobuf(&empty), b"");
}

#[test]
fn every_receiver_of_otlp_gets_it_where_and_as_it_wants() {
    for (name, url, headers) in [
        (
            "otel-collector",
            "https://otel.example.com:4318/v1/traces",
            &[("content-type", "application/json")][..],
        ),
        (
            "langfuse",
            "https://us.cloud.langfuse.com/api/public/otel/v1/traces",
            &[(
                "authorization",
                "Basic cGstbGYtMDEyMzQ1Njc4OWFiY2RlZjpzay1sZi0wMTIzNDU2Nzg5YWJjZGVm",
            )],
        ),
        (
            "arize",
            "https://otlp.arize.com/v1/traces",
            &[
                ("space_id", "space-0123456789abcdef"),
                ("api_key", "arize-0123456789abcdef"),
                ("content-type", "application/x-protobuf"),
            ],
        ),
        (
            "braintrust",
            "https://api.braintrust.dev/otel/v1/traces",
            &[
                ("authorization", "Bearer sk-bt-0123456789abcdef"),
                ("x-bt-parent", "project_id:p-1"),
            ],
        ),
        (
            "datadog",
            "https://otlp.us5.datadoghq.com/v1/traces",
            &[
                ("dd-api-key", "dd-0123456789abcdef"),
                ("dd-otlp-source", "llmobs"),
                ("content-type", "application/x-protobuf"),
            ],
        ),
        (
            "langsmith",
            "https://api.smith.langchain.com/otel/v1/traces",
            &[
                ("x-api-key", "lsv2_pt_0123456789abcdef"),
                ("langsmith-project", "main"),
            ],
        ),
        (
            "newrelic",
            "https://otlp.eu01.nr-data.net/v1/traces",
            &[("api-key", "nr-0123456789abcdef")],
        ),
        (
            "sentry",
            "https://o1.ingest.sentry.io/api/2/integration/otlp/v1/traces",
            &[("x-sentry-auth", "sentry sentry_key=abc123")],
        ),
        (
            "grafana",
            "https://otlp-gateway-prod-us-west-0.grafana.net/otlp/v1/traces",
            &[(
                "authorization",
                "Basic MTIzNDU2OmdsY18wMTIzNDU2Nzg5YWJjZGVm",
            )],
        ),
        (
            "weave",
            "https://trace.wandb.ai/otel/v1/traces",
            &[
                ("wandb-api-key", "wb-0123456789abcdef"),
                ("content-type", "application/x-protobuf"),
            ],
        ),
        (
            "opik",
            "https://www.comet.com/opik/api/v1/private/otel/v1/traces",
            &[
                ("authorization", "opik_0123456789abcdef"),
                ("comet-workspace", "w"),
                ("projectname", "p"),
            ],
        ),
        (
            "ramp",
            "https://api.ramp.com/developer/v1/ai-usage/openrouter",
            &[("authorization", "Bearer ramp-0123456789abcdef")],
        ),
    ] {
        let kind = Kind::of(name).unwrap();
        let Form::Otlp(otlp) = &kind.form else {
            panic!("{name} is OTLP")
        };
        let (_, example) = examples()
            .into_iter()
            .find(|(known, _)| *known == name)
            .unwrap();
        let config = Config::read(kind, example.as_object().cloned().unwrap()).unwrap();
        let sent = request(kind, otlp, &config, &[&record()], Switches::default()).unwrap();
        assert_eq!((sent.method, sent.url.as_str()), ("POST", url));
        for (header, value) in headers {
            let found = sent.headers.iter().find(|(known, _)| known == header);
            assert_eq!(
                found.map(|(_, value)| value.as_str()),
                Some(*value),
                "{name} {header}"
            );
        }
    }
    let kind = Kind::of("otel-collector").unwrap();
    let Form::Otlp(otlp) = &kind.form else {
        panic!("a collector is OTLP")
    };
    for (endpoint, url) in [
        (
            "https://c.example.com:4318",
            "https://c.example.com:4318/v1/traces",
        ),
        ("https://c.example.com/otlp", "https://c.example.com/otlp"),
    ] {
        let config = json!({ "endpoint": endpoint });
        let config = Config::read(kind, config.as_object().cloned().unwrap()).unwrap();
        let sent = request(kind, otlp, &config, &[], Switches::default()).unwrap();
        assert_eq!(sent.url, url);
    }
    let otlp = KINDS
        .iter()
        .filter(|kind| matches!(kind.form, Form::Otlp(_)));
    assert_eq!(otlp.count(), 12);
}
