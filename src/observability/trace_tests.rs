//! A generation as spans.

use serde_json::{Value, json};

use super::*;
use crate::{
    chat::Usage,
    observability::kind::{Form, Kind},
    usage::{Origin, UsageRow, measured::Measured},
};

const BEGAN: i64 = 1_800_000_000_000;

/// A good generation after one failed attempt.
pub fn record() -> Record {
    let attempt =
        |provider: &str, status: u16, error: Option<&str>, ended: i64, took: u64| Attempt {
            provider: provider.into(),
            endpoint: format!("{provider}/x"),
            model: "gpt-x".into(),
            status,
            latency_ms: i64::try_from(took).unwrap(),
            error: error.map(str::to_owned),
            measured: Some(Measured {
                ended_at: BEGAN + ended,
                duration_ms: Some(took),
                ..Measured::default()
            }),
            ..Attempt::default()
        };
    let row = UsageRow {
        request_id: "req-1".into(),
        created_at: BEGAN,
        api_type: "completions".into(),
        model: "test/openai".into(),
        provider: Some("One".into()),
        endpoint: Some("one/x".into()),
        streamed: true,
        finish_reason: Some("stop".into()),
        native_finish_reason: Some("end".into()),
        usage: Usage {
            prompt: 1_234,
            completion: 56,
            cache_read: 200,
            reasoning: 7,
            ..Usage::default()
        },
        latency_ms: Some(400),
        generation_ms: Some(600),
        origin: Origin {
            session_id: Some("s-1".into()),
            app_title: Some("App".into()),
            ..Origin::default()
        },
        attempts: vec![
            attempt("two", 503, Some("overloaded"), 150, 100),
            attempt("openai", 200, None, 1_000, 800),
        ],
        ..UsageRow::default()
    };
    Record {
        seq: 7,
        generation: Generation {
            id: "gen-1".into(),
            account: "acc".into(),
            key_hash: "ab".repeat(32),
            status: Outcome::Settled,
            cost: Nanos::new(1_234_500).unwrap(),
            finished_at: BEGAN + 1_050,
            row,
            corrections: Vec::new(),
        },
        key_name: "prod".into(),
        content: Content {
            input: Some(json!([{"role": "user", "content": "Hello!"}])),
            output: Some(
                json!({"role": "assistant", "content": "Hi.", "tool_calls": [
                    {"id": "c1", "function": {"name": "look", "arguments": "{\"at\":1}"}}
                ]}),
            ),
        },
        trace: Map::new(),
    }
}

fn with_trace(trace: Value) -> Record {
    Record {
        trace: trace.as_object().cloned().unwrap(),
        ..record()
    }
}

fn attribute<'a>(span: &'a Span, name: &str) -> Option<&'a Any> {
    let found = span.attributes.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value)
}

fn text(span: &Span, name: &str) -> Option<String> {
    match attribute(span, name)? {
        Any::Text(text) => Some(text.clone()),
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn a_generation_is_a_span_with_its_attempts_below() {
    let spans = spans(&record(), None, Switches::default());
    let [own, failed, good] = spans.as_slice() else {
        panic!("{spans:?}")
    };
    assert_eq!(
        (own.name.as_str(), own.kind, own.parent),
        ("chat test/openai", SpanKind::Client, None)
    );
    assert_eq!((own.start_ms, own.end_ms), (BEGAN, BEGAN + 1_000));
    assert_eq!(own.error, None);
    assert_eq!(
        (failed.parent, good.parent),
        (Some(own.span_id), Some(own.span_id))
    );
    assert_eq!((failed.start_ms, failed.end_ms), (BEGAN + 50, BEGAN + 150));
    assert_eq!(failed.error.as_deref(), Some("overloaded"));
    assert_eq!(
        attribute(failed, "http.response.status_code"),
        Some(&Any::Int(503))
    );
    assert_eq!((good.start_ms, good.end_ms), (BEGAN + 200, BEGAN + 1_000));
    for (name, value) in [
        ("gen_ai.usage.input_tokens", Any::Int(1_234)),
        ("gen_ai.usage.output_tokens", Any::Int(56)),
        ("gen_ai.usage.total_tokens", Any::Int(1_290)),
        ("gen_ai.usage.cache_read.input_tokens", Any::Int(200)),
        ("gen_ai.usage.cost", Any::Double(0.001_234_5)),
        ("gen_ai.operation.name", Any::Text("chat".into())),
        ("gen_ai.provider.name", Any::Text("openai".into())),
        ("gen_ai.response.id", Any::Text("gen-1".into())),
        (
            "gen_ai.response.finish_reasons",
            Any::List(vec![Any::Text("stop".into())]),
        ),
        ("session.id", Any::Text("s-1".into())),
        ("gen_ai.conversation.id", Any::Text("s-1".into())),
    ] {
        assert_eq!(attribute(own, name), Some(&value), "{name}");
    }
    assert_eq!(own.events[0].at_ms, BEGAN + 400);
}

#[test]
fn messages_have_the_conventions_form() {
    let spans = spans(&record(), None, Switches::default());
    let json = |name: &str| serde_json::from_str::<Value>(&text(&spans[0], name).unwrap()).unwrap();
    assert_eq!(
        json("gen_ai.input.messages"),
        json!([{"role": "user", "parts": [{"type": "text", "content": "Hello!"}]}])
    );
    assert_eq!(
        json("gen_ai.output.messages"),
        json!([{"role": "assistant", "finish_reason": "stop", "parts": [
            {"type": "text", "content": "Hi."},
            {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": 1}},
        ]}])
    );
    let result = messages::message_of(
        &json!({"role": "tool", "tool_call_id": "c1", "content": "42"}),
        "user",
    );
    assert_eq!(
        result,
        json!({"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "42"}]})
    );
}

#[test]
fn without_contents_no_attribute_holds_any() {
    let record = Record {
        content: Content::default(),
        ..record()
    };
    for kind in super::super::kind::KINDS {
        let Form::Otlp(otlp) = &kind.form else {
            continue;
        };
        let told = format!("{:?}", spans(&record, Some(otlp), Switches::default()));
        assert!(
            !told.contains("Hello!") && !told.contains("Hi."),
            "{}",
            kind.name
        );
        assert!(!told.contains(".messages"), "{}", kind.name);
    }
}

#[test]
fn ids_are_the_same_each_time_and_apart_for_each() {
    let (one, other) = (
        record(),
        Record {
            generation: Generation {
                id: "gen-2".into(),
                ..record().generation
            },
            ..record()
        },
    );
    let ids = |record: &Record| {
        spans(record, None, Switches::default())
            .iter()
            .map(|span| span.span_id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&one), ids(&one));
    assert!(ids(&one).iter().all(|id| !ids(&other).contains(id)));
    assert_ne!(one.trace_id(), other.trace_id());
}

#[test]
fn the_clients_trace_names_ids_and_spans() {
    let hex32 = "0af7651916cd43dd8448eb211c80319c";
    let own = with_trace(
        json!({"trace_id": hex32, "parent_span_id": "b7ad6b7169203331", "trace_name": "T"}),
    );
    let told = spans(&own, None, Switches::default());
    assert_eq!(crate::identity::keys::hex(&told[0].trace_id), hex32);
    assert_eq!(
        crate::identity::keys::hex(&told[0].parent.unwrap()),
        "b7ad6b7169203331"
    );
    assert_eq!(
        told.len(),
        3,
        "below a span of the client's there is no root of ours"
    );

    let named = with_trace(
        json!({"trace_id": "workflow-1", "trace_name": "Pipeline", "span_name": "Step", "generation_name": "Sum", "team": "x", "n": 5, "deep": {"a": 1}}),
    );
    let told = spans(&named, None, Switches::default());
    let names: Vec<&str> = told.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names[..3], ["Pipeline", "Step", "Sum"]);
    assert_eq!(
        (told[0].parent, told[1].parent, told[2].parent),
        (None, Some(told[0].span_id), Some(told[1].span_id))
    );
    assert_eq!(text(&told[2], "trace.metadata.team").as_deref(), Some("x"));
    assert_eq!(attribute(&told[2], "trace.metadata.n"), Some(&Any::Int(5)));
    assert_eq!(
        text(&told[2], "trace.metadata.deep").as_deref(),
        Some("{\"a\":1}")
    );
    assert_eq!(attribute(&told[2], "trace.metadata.trace_name"), None);
    // One name, one trace; in another account another one; zeros are no id.
    let same = with_trace(json!({"trace_id": "workflow-1"}));
    assert_eq!(same.trace_id(), named.trace_id());
    let mut foreign = with_trace(json!({"trace_id": "workflow-1"}));
    foreign.generation.account = "other".into();
    assert_ne!(foreign.trace_id(), named.trace_id());
    assert_ne!(
        with_trace(json!({"trace_id": "0".repeat(32)})).trace_id(),
        [0; 16]
    );
}

#[test]
fn a_failure_is_told_with_its_kind() {
    let mut failed = record();
    failed.generation.row.error = Some("No endpoint could serve".into());
    failed.generation.status = Outcome::Voided;
    failed.generation.row.attempts.pop();
    let told = spans(&failed, None, Switches::default());
    assert_eq!(told[0].error.as_deref(), Some("No endpoint could serve"));
    assert_eq!(
        text(&told[0], "error.type").as_deref(),
        Some("server_error")
    );
    assert_eq!(attribute(&told[0], "gen_ai.response.model"), None);
    assert!(told[0].events.iter().any(|event| event.name == "exception"));
}

#[test]
fn switches_add_what_they_say_and_nothing_else_does() {
    let names = |switches: Switches| -> Vec<String> {
        let list = attributes(&record(), None, switches);
        list.into_iter().map(|(name, _)| name).collect()
    };
    let plain = names(Switches::default());
    for (switches, name) in [
        (
            Switches {
                cost: true,
                ..Switches::default()
            },
            "patchbay.cost.total",
        ),
        (
            Switches {
                cost_allocation: true,
                ..Switches::default()
            },
            "patchbay.api_key.name",
        ),
        (
            Switches {
                identity: true,
                ..Switches::default()
            },
            "patchbay.account.id",
        ),
        (
            Switches {
                request_context: true,
                ..Switches::default()
            },
            "patchbay.request.id",
        ),
    ] {
        assert!(names(switches).iter().any(|known| known == name), "{name}");
        assert!(!plain.iter().any(|known| known == name), "{name}");
    }
}

#[test]
fn receivers_find_their_own_attributes() {
    let record = with_trace(json!({"trace_name": "T", "environment": "prod", "team": "x"}));
    for (kind, name, expected) in [
        ("langfuse", "langfuse.observation.type", "generation"),
        (
            "langfuse",
            "langfuse.observation.cost_details",
            "{\"total\":0.0012345}",
        ),
        ("langfuse", "langfuse.environment", "prod"),
        ("langfuse", "langfuse.trace.metadata.team", "x"),
        ("langfuse", "langfuse.session.id", "s-1"),
        ("arize", "openinference.span.kind", "LLM"),
        (
            "arize",
            "input.value",
            "[{\"role\":\"user\",\"content\":\"Hello!\"}]",
        ),
        ("arize", "metadata.team", "x"),
        ("braintrust", "braintrust.metadata.session_id", "s-1"),
        ("langsmith", "langsmith.span.kind", "llm"),
        ("weave", "wandb.display_name", "T"),
        ("otel-collector", "trace.metadata.environment", "prod"),
    ] {
        let Form::Otlp(otlp) = &Kind::of(kind).unwrap().form else {
            panic!("{kind} is OTLP")
        };
        let spans = spans(&record, Some(otlp), Switches::default());
        let own = spans
            .iter()
            .find(|span| span.span_id == record.span_id())
            .unwrap();
        assert_eq!(text(own, name).as_deref(), Some(expected), "{kind} {name}");
    }
}
