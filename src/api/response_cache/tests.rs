//! Keys, kept answers, and who waits for whom.

use std::rc::Rc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    DEFAULT_TTL_S, Facts, Form, Headers, MAX_TTL_S, WAIT_MS,
    key::{Key, LABELS, Whose},
    memory::{Answers, Found, Lease},
    replay::Entry,
    ttl,
};
use crate::{api::Memory, dialects::Surface, presets::Preset};

const NOW: u64 = 1_790_000_000_000;

const CHAT: Form = Form::Talk(Surface::ChatCompletions);

fn whose<'a>(key_hash: &'a str, stream: bool, variant: &'a str) -> Whose<'a> {
    Whose {
        key_hash,
        form: CHAT.as_str(),
        stream,
        variant,
    }
}

fn key(body: &str) -> Option<Key> {
    Key::of(&whose("k1", false, ""), body.as_bytes())
}

fn same(bodies: &[&str]) {
    for body in bodies {
        assert_eq!(key(bodies[0]), key(body), "{body}");
    }
    assert!(key(bodies[0]).is_some());
}

#[test]
fn a_lifetime_is_a_leading_integer_within_bounds() {
    for (text, seconds) in [
        ("60", 60),
        ("60abc", 60),
        ("1.5", 1),
        (" 7 ", 7),
        ("0", 1),
        ("99999999", MAX_TTL_S),
        ("99999999999999999999999", MAX_TTL_S),
    ] {
        assert_eq!(ttl(Some(text)), Some(seconds), "{text:?}");
    }
    for text in [Some("-5"), Some("abc"), Some(""), None] {
        assert_eq!(ttl(text), None, "{text:?}");
    }
}

#[test]
fn a_preset_may_forbid_the_cache_and_want_it_where_headers_say_nothing() {
    let preset = |config: Value| {
        let preset = json!({"id": "p", "slug": "s", "name": "n", "description": null, "disabled": false, "version": 3,
            "config": config, "system_prompt": null, "created_at": 0, "updated_at": 0});
        serde_json::from_value::<Preset>(preset).unwrap()
    };
    for (config, asked, header_ttl, expected) in [
        (json!({}), None, None, None),
        (json!({}), Some(true), None, Some(DEFAULT_TTL_S)),
        (
            json!({"cache_enabled": true}),
            None,
            None,
            Some(DEFAULT_TTL_S),
        ),
        (
            json!({"cache_enabled": true, "cache_ttl_seconds": 60}),
            None,
            None,
            Some(60),
        ),
        (
            json!({"cache_enabled": true, "cache_ttl_seconds": 60}),
            None,
            Some(9),
            Some(9),
        ),
        (json!({"cache_ttl_seconds": 60}), Some(true), None, Some(60)),
        (json!({"cache_enabled": true}), Some(false), None, None),
        (json!({"cache_enabled": false}), Some(true), None, None),
    ] {
        let headers = Headers {
            asked,
            ttl_s: header_ttl,
            clear: false,
            variant: String::new(),
        };
        let preset = preset(config);
        let wish = headers.clone().wish(Some(&preset));
        assert_eq!(
            wish.as_ref().map(|wish| wish.ttl_s),
            expected,
            "{preset:?} {asked:?}"
        );
        if let (Some(with), Some(without)) = (wish, headers.wish(None)) {
            assert_ne!(
                with.variant, without.variant,
                "another version is another request"
            );
        }
    }
}

#[test]
fn order_space_escapes_and_the_spelling_of_numbers_make_no_difference() {
    same(&[
        r#"{"model":"m","temperature":1,"tools":[{"a":{"x":1,"y":"é"}}]}"#,
        r#"{ "tools": [ {"a": {"y": "\u00e9", "x": 1.0}} ], "temperature": 1e0, "mod\u0065l": "m" }"#,
        r#"{"temperature":10e-1,"tools":[{"a":{"x":1,"y":"é"}}],"model":"m","stream":false,"session_id":"s","trace":{"a":1}}"#,
    ]);
    same(&[r#"{"x":0}"#, r#"{"x":-0.0}"#, r#"{"x":0e5}"#]);
    assert_eq!(
        key(r#"{"x":12345678901234567890123}"#),
        None,
        "a number beyond comparison"
    );
    assert_eq!(key("[1]"), None);
}

#[test]
fn everything_else_does() {
    let bodies = [
        r#"{"model":"m"}"#,
        r#"{"model":"n"}"#,
        r#"{"model":"m","temperature":null}"#,
        r#"{"model":"m","temperature":0}"#,
        r#"{"model":"m","temperature":0.1}"#,
        r#"{"model":"m","temperature":"0"}"#,
        r#"{"model":"m","stop":["a","b"]}"#,
        r#"{"model":"m","stop":["b","a"]}"#,
        r#"{"model":"m","stop":[["a","b"]]}"#,
        r#"{"model":"m","stop":["ab"]}"#,
        r#"{"model":"m","stop":{}}"#,
        r#"{"model":"m","stop":[]}"#,
        r#"{"model":"m","stop":{"session_id":1}}"#,
        r#"{"model":"m","stop":false}"#,
        r#"{"model":"m","user":"u"}"#,
        r#"{"model":"m","model":"n"}"#,
        r#"{"model":"n","model":"m"}"#,
        r#"{"model":"m","seed":9007199254740993}"#,
        r#"{"model":"m","seed":9007199254740992}"#,
    ];
    let keys: Vec<Option<Key>> = bodies.iter().map(|body| key(body)).collect();
    for (at, own) in keys.iter().enumerate() {
        assert!(own.is_some() && !keys[..at].contains(own), "{}", bodies[at]);
    }
    let of = |hash: &str, stream: bool, variant: &str| {
        Key::of(&whose(hash, stream, variant), b"{}").unwrap()
    };
    let plain = of("k1", false, "");
    for other in [
        of("k2", false, ""),
        of("k1", true, ""),
        of("k1", false, "v"),
        of("k1v", false, ""),
    ] {
        assert_ne!(plain, other, "key, stream and headers count");
    }
    let forms = [
        Form::Talk(Surface::Messages),
        Form::Talk(Surface::Responses),
        Form::Embeddings,
    ];
    for form in forms.map(Form::as_str) {
        let other = Whose {
            form,
            ..whose("k1", false, "")
        };
        assert_ne!(Some(plain), Key::of(&other, b"{}"), "{form}");
    }
}

/// JSON texts of one value: the properties of each object turned round, the numbers spelt otherwise.
fn spelt(value: &Value, turn: usize) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{} :{}", json!(name), spelt(value, turn)))
                .collect();
            let by = turn % fields.len().max(1);
            fields.rotate_left(by);
            format!("{{ {} }}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| spelt(item, turn)).collect();
            format!("[{}\n]", items.join(" , "))
        }
        Value::Number(number) if number.is_i64() && turn % 2 == 1 => format!("{number}.0"),
        other => other.to_string(),
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1_000_000_i64..1_000_000).prop_map(Value::from),
        (-1_000_i64..1_000).prop_map(|n| Value::from(n as f64 / 16.0)),
        "[a-c\"\\\\é]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[a-d]{1,2}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Equal as JSON: the order of properties is nothing, 1 and 1.0 are one number.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let has = |(name, value)| b.get(name).is_some_and(|other| equal(value, other));
            a.len() == b.len() && a.iter().all(has)
        }
        _ => a == b,
    }
}

proptest! {
    #[test]
    fn a_value_has_one_key_however_it_is_spelt(value in values(), turn in 0..9_usize) {
        let body = json!({"model": "m", "extra": value});
        prop_assert_eq!(key(&body.to_string()), key(&spelt(&body, turn)));
    }

    #[test]
    fn two_values_share_a_key_only_if_they_are_equal(a in values(), b in values()) {
        let body = |value: &Value| json!({"extra": value}).to_string();
        prop_assert_eq!(key(&body(&a)) == key(&body(&b)), equal(&a, &b), "{} {}", a, b);
    }

    #[test]
    fn labels_make_no_difference(value in values(), at in 0..LABELS.len()) {
        let plain = json!({"model": "m"});
        let mut labelled = plain.clone();
        labelled[LABELS[at]] = value;
        prop_assert_eq!(key(&plain.to_string()), key(&labelled.to_string()));
    }
}

fn facts() -> Facts {
    Facts {
        model: "m/m".into(),
        provider: "P".into(),
        endpoint: "p".into(),
    }
}

const WHOLE: &str = r#"{"id":"gen-1","object":"chat.completion","created":5,"choices":[{"index":0,"finish_reason":"stop","native_finish_reason":"end_turn","message":{"role":"assistant","content":"a\nb"}}],"usage":{"prompt_tokens":7,"cost":0.5},"openrouter_metadata":{"x":1},"odd":{"kept":[1.50]}}"#;

fn entry(ttl_s: u64) -> Entry {
    Entry::new("gen-1", (NOW, ttl_s), (CHAT, false), facts(), WHOLE.into())
}

#[test]
fn an_answer_is_given_again_under_a_new_id_and_for_nothing() {
    // P37
    let kept = Entry::parse(&entry(60).text()).unwrap();
    assert_eq!(kept, entry(60));
    assert_eq!(
        (kept.finish.as_deref(), kept.native_finish.as_deref()),
        (Some("stop"), Some("end_turn"))
    );
    let again: Value = serde_json::from_slice(&kept.whole("gen-2", 9)).unwrap();
    let mut expected: Value = serde_json::from_str(WHOLE).unwrap();
    expected["id"] = "gen-2".into();
    expected["created"] = 9.into();
    expected["usage"] = again["usage"].clone();
    expected
        .as_object_mut()
        .unwrap()
        .remove("openrouter_metadata");
    assert_eq!(again, expected);
    assert_eq!(again["usage"], json!({"prompt_tokens": 0, "cost": 0}));
}

#[test]
fn a_stream_is_given_again_as_a_stream() {
    let chunk = |rest: &str| format!("data: {{\"id\":\"gen-1\",\"created\":5,{rest}}}\n\n");
    let text = [
        chunk(r#""choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":null"#),
        ": PATCHBAY PROCESSING\n\n".to_owned(),
        chunk(r#""choices":[{"index":0,"delta":{},"finish_reason":"length","native_finish_reason":"max"}]"#),
        chunk(r#""choices":[],"usage":{"cost":1}"#),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    let kept = Entry::new("gen-1", (NOW, 60), (CHAT, true), facts(), text.clone());
    assert_eq!(
        (kept.finish.as_deref(), kept.native_finish.as_deref()),
        (Some("length"), Some("max"))
    );
    let again = String::from_utf8(kept.stream("gen-2", 9)).unwrap();
    let events: Vec<&str> = again.strip_suffix("\n\n").unwrap().split("\n\n").collect();
    assert_eq!((events.len(), events[3]), (4, "data: [DONE]"));
    for event in &events[..3] {
        assert!(
            event.starts_with(r#"data: {"id":"gen-2","created":9,"#),
            "{event}"
        );
    }
    assert!(
        events[0].contains(r#""usage":null"#) && events[2].contains(r#""cost":0"#),
        "{again}"
    );
}

/// Answers of every other form: what was kept, what is given again as `gen-2` at 9, and how it ended.
#[test]
fn every_form_is_given_again_in_its_own_words() {
    let usage = r#"{"input_tokens":3,"server_tool_use":{"web_search_requests":1},"service_tier":"standard","is_byok":true,"cost":0.5}"#;
    let zero = r#"{"input_tokens":0,"server_tool_use":{"web_search_requests":0},"service_tier":"standard","is_byok":false,"cost":0}"#;
    let message = |id: &str, usage: &str, meta: &str| {
        format!(
            r#"{{"id":"{id}","type":"message","content":[{{"type":"text","text":"a","id":"x"}}],"stop_reason":"max_tokens","usage":{usage}{meta}}}"#
        )
    };
    let response = |id: &str, at: u64, usage: &str| {
        format!(
            r#"{{"id":"{id}","created_at":{at},"status":"completed","output":[{{"type":"function_call","id":"fc_1"}}],"incomplete_details":null,"usage":{usage}}}"#
        )
    };
    let vectors = |id: &str, usage: &str| {
        format!(
            r#"{{"id":"{id}","object":"list","data":[{{"embedding":[0.10,1e-3]}}],"usage":{usage}}}"#
        )
    };
    let stream = |id: &str, usage: &str, ping: &str| {
        format!(
            "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"id\":\"{id}\",\"usage\":{usage}}}}}\n\n{ping}\
         event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{{\"type\":\"tool_use\",\"id\":\"toolu_1\"}}}}\n\n\
         event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"tool_use\"}},\"usage\":{usage}}}\n\n\
         event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
        )
    };
    let told = |id: &str, at: u64, usage: &str, ping: &str| {
        format!(
            "event: response.created\ndata: {{\"type\":\"response.created\",\"sequence_number\":0,\"response\":{{\"id\":\"{id}\",\"created_at\":{at},\"status\":\"in_progress\",\"usage\":null}}}}\n\n{ping}\
         event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"delta\":\"a\"}}\n\n\
         event: response.incomplete\ndata: {{\"type\":\"response.incomplete\",\"response\":{{\"id\":\"{id}\",\"created_at\":{at},\"status\":\"incomplete\",\"incomplete_details\":{{\"reason\":\"max_output_tokens\"}},\"output\":[],\"usage\":{usage}}}}}\n\n\
         data: [DONE]\n\n"
        )
    };
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    let comment = ": PATCHBAY PROCESSING\n\n";
    let (messages, responses) = (
        Form::Talk(Surface::Messages),
        Form::Talk(Surface::Responses),
    );
    for (form, streamed, kept, expected, ending) in [
        (
            messages,
            false,
            message("gen-1", usage, r#","openrouter_metadata":{}"#),
            message("gen-2", zero, ""),
            ("length", "max_tokens"),
        ),
        (
            responses,
            false,
            response("gen-1", 5, usage),
            response("gen-2", 9, zero),
            ("tool_calls", "completed"),
        ),
        (
            Form::Embeddings,
            false,
            vectors("gen-1", usage),
            vectors("gen-2", zero),
            ("", ""),
        ),
        (
            messages,
            true,
            stream("gen-1", usage, ping),
            stream("gen-2", zero, ""),
            ("tool_calls", "tool_use"),
        ),
        (
            responses,
            true,
            told("gen-1", 5, usage, comment),
            told("gen-2", 9, zero, ""),
            ("length", "max_output_tokens"),
        ),
    ] {
        let entry = Entry::new("gen-1", (NOW, 60), (form, streamed), facts(), kept);
        // What comes out of the store is as good as what was put in.
        let entry = Entry::parse(&entry.text()).unwrap();
        let again = if streamed {
            entry.stream("gen-2", 9)
        } else {
            entry.whole("gen-2", 9)
        };
        // P37
        assert_eq!(String::from_utf8(again).unwrap(), expected, "{form:?}");
        let told = (
            entry.finish.as_deref().unwrap_or_default(),
            entry.native_finish.as_deref().unwrap_or_default(),
        );
        assert_eq!(told, ending, "{form:?}");
    }
}

#[test]
fn an_entry_knows_its_own_end_and_text_of_another_form_is_none() {
    let entry = entry(2);
    assert!(entry.is_alive(NOW + 1_999) && !entry.is_alive(NOW + 2_000));
    assert_eq!(
        (
            entry.age_s(NOW + 1_999),
            entry.ttl_s(NOW),
            entry.ttl_s(NOW + 1_001)
        ),
        (1, 2, 1)
    );
    for text in ["", "{}", "{}\n", "x\ny", "null\n{}"] {
        assert_eq!(Entry::parse(text), None, "{text:?}");
    }
}

fn state(answers: &Answers, key: &Key, now: u64) -> &'static str {
    match answers.find(key, now) {
        Found::Entry(_) => "entry",
        Found::UnderWay => "under way",
        Found::Nothing => "nothing",
    }
}

#[test]
fn an_equal_request_is_waited_for_until_it_ends_or_takes_too_long() {
    let memory = Rc::new(Memory::default());
    let key = key("{}").unwrap();
    let at = |now: u64| state(&memory.answers, &key, NOW + now);
    let first = Lease::new(&memory, key, NOW);
    assert_eq!(
        (at(0), at(WAIT_MS - 1), at(WAIT_MS)),
        ("under way", "under way", "nothing")
    );
    drop(first);
    assert_eq!(at(0), "nothing", "it failed: the next one may go");
    // One that took too long and ends late does not take back its successor's word.
    let slow = Lease::new(&memory, key, NOW);
    let second = Lease::new(&memory, key, NOW + WAIT_MS);
    drop(slow);
    assert_eq!(at(WAIT_MS), "under way");
    memory.answers.keep(key, Rc::new(entry(300)), NOW + WAIT_MS);
    second.fulfil();
    assert_eq!(at(WAIT_MS), "entry");
}

#[test]
fn memory_forgets_after_a_minute_and_is_bounded() {
    let memory = Memory::default();
    let answers = &memory.answers;
    let of = |n: usize| key(&json!({ "n": n }).to_string()).unwrap();
    answers.keep(of(0), Rc::new(entry(300)), NOW);
    assert_eq!(state(answers, &of(0), NOW + 59_999), "entry");
    assert_eq!(
        state(answers, &of(0), NOW + 60_000),
        "nothing",
        "KV is asked again"
    );
    answers.keep(of(0), Rc::new(entry(2)), NOW);
    assert_eq!(
        state(answers, &of(0), NOW + 2_000),
        "nothing",
        "it has ended"
    );
    answers.forget(&of(0));
    assert!(answers.is_empty());
    for n in 0..1_000 {
        answers.keep(of(n), Rc::new(entry(300)), NOW);
    }
    assert!(answers.len() <= 256);
    assert_eq!(
        (state(answers, &of(0), NOW), state(answers, &of(999), NOW)),
        ("nothing", "entry")
    );
    let large = || {
        let body = "x".repeat(1024 * 1024);
        Rc::new(Entry::new(
            "gen-1",
            (NOW, 300),
            (CHAT, false),
            facts(),
            body,
        ))
    };
    for n in 0..20 {
        answers.keep(of(n), large(), NOW);
    }
    assert!(answers.len() < 8);
    let other = memory.answers.find(&of(19), NOW);
    assert!(matches!(other, Found::Entry(_)));
}
