//! Conversations over made-up endpoints, and two isolates over one KV that lags, loses and mixes up.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use serde_json::{Value, json};

use super::*;
use crate::{
    catalog::ModelEntry,
    chat::{Media, Message},
    dialects::openai_chat::client::parse_request,
    routing::{
        Situation,
        health::{Health, Standing},
        plan,
    },
};

const NOW: u64 = 1_790_000_000_000;
const MINUTE: u64 = 60_000;

/// A model at these providers: slug, dialect, what to change of the endpoint's row.
fn model(slug: &str, at: &[(&str, &str, Value)]) -> ServedModel {
    let provider = |(slug, dialect, _): &(&str, &str, Value)| {
        json!({
            "slug": slug, "name": slug, "dialect": dialect, "base_url": "https://example.invalid",
            "auth": {"kind": "bearer"}, "secret": slug,
        })
    };
    let endpoint = |(at, _, change): &(&str, &str, Value)| {
        let mut row = json!({
            "model": slug, "provider": at, "tag": at, "upstream_model_id": "m", "context_length": 100_000,
            "prices": {"prompt": 1_000_000_000, "completion": 1_000_000_000, "cache_read": 100_000_000},
            "supported_parameters": [], "input_modalities": ["text"], "output_modalities": ["text"],
        });
        let row_fields = row.as_object_mut().unwrap();
        row_fields.extend(change.as_object().unwrap().clone());
        row
    };
    let entry: ModelEntry = serde_json::from_value(json!({
        "model": {
            "slug": slug, "canonical_slug": slug, "name": slug, "description": "", "created": 0,
            "context_length": 100_000, "input_modalities": ["text"], "output_modalities": ["text"],
            "tokenizer": "Other",
        },
        "endpoints": at.iter().map(endpoint).collect::<Vec<_>>(),
        "providers": at.iter().map(provider).collect::<Vec<_>>(),
    }))
    .unwrap();
    ServedModel::from(entry)
}

fn pair() -> ServedModel {
    model(
        "m/m",
        &[
            ("one", "openai_chat", json!({})),
            ("two", "openai_chat", json!({})),
        ],
    )
}

fn request(body: Value) -> ChatRequest {
    let mut whole = json!({"model": "m/m", "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Go on"},
    ]});
    whole
        .as_object_mut()
        .unwrap()
        .extend(body.as_object().unwrap().clone());
    parse_request(&serde_json::to_vec(&whole).unwrap()).unwrap()
}

fn affinity(request: &ChatRequest, model: &ServedModel) -> Affinity {
    Affinity::of(
        "acc",
        request,
        2_000,
        &ProviderPreferences::default(),
        &[model],
        |_| true,
    )
}

fn served(
    affinity: &Affinity,
    model: &ServedModel,
    tag: &str,
    usage: Usage,
    signed: bool,
) -> Option<Hint> {
    let route = model
        .routes
        .iter()
        .find(|route| route.endpoint.tag == tag)
        .unwrap();
    affinity.hint(
        &Served {
            route,
            usage: &usage,
            signed,
        },
        NOW,
    )
}

fn hit() -> Usage {
    Usage {
        prompt: 2_000,
        cache_read: 1_024,
        ..Usage::default()
    }
}

fn thinking(kind: Value) -> Value {
    json!({"messages": [
        {"role": "user", "content": "Think"},
        {"role": "assistant", "content": "Done", "reasoning_details": [kind]},
        {"role": "user", "content": "Go on"},
    ]})
}

fn claude() -> Value {
    thinking(json!({
        "type": "reasoning.text", "text": "Hm", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0,
    }))
}

#[test]
fn a_conversation_is_known_by_its_name_or_by_how_it_begins() {
    let key = |body: Value| Key::of("acc", &request(body)).unwrap();
    let later = json!({"messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Go on"},
        {"role": "assistant", "content": "More"}, {"role": "user", "content": "And on"},
    ]});
    let parts = json!({"messages": [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": "Hello"},
    ]});
    let plain = key(json!({}));
    assert_eq!(plain, key(later), "it goes on");
    assert_eq!(plain, key(parts), "the same words in another form");
    assert_eq!(plain, key(json!({"temperature": 1, "model": "x/y"})));
    let session = key(json!({"session_id": "s"}));
    assert_eq!(
        session,
        key(json!({"session_id": "s", "prompt_cache_key": "p"})),
        "the session's id goes first"
    );
    assert_eq!(
        session,
        key(json!({"session_id": "s", "messages": [{"role": "user", "content": "Else"}]}))
    );
    let others = [
        session,
        key(json!({"prompt_cache_key": "s"})),
        key(json!({"session_id": "t"})),
        key(json!({"messages": [{"role": "user", "content": "Hello"}]})),
        key(json!({"messages": [{"role": "system", "content": "Be brief."}]})),
        key(
            json!({"messages": [{"role": "user", "content": "Be brief."}, {"role": "user", "content": "Hello"}]}),
        ),
        key(
            json!({"messages": [{"role": "system", "content": "Be brief.H"}, {"role": "user", "content": "ello"}]}),
        ),
    ];
    for (at, other) in others.iter().enumerate() {
        assert_ne!(plain, *other, "{at}");
        assert!(!others[..at].contains(other), "{at}");
    }
}

#[test]
fn no_account_finds_anothers_conversation_and_a_key_tells_nothing() {
    for body in [
        json!({}),
        json!({"session_id": "s"}),
        json!({"prompt_cache_key": "s"}),
    ] {
        let chat = request(body);
        let keys: Vec<Key> = ["acc", "acc2", "ac"]
            .map(|account| Key::of(account, &chat).unwrap())
            .into();
        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
        let text = keys[0].text();
        assert!(
            text.len() == 71
                && text.starts_with("sticky:")
                && text.bytes().skip(7).all(|b| b.is_ascii_hexdigit()),
            "{text}"
        );
    }
    // The boundary between account and name cannot be moved.
    let of = |account: &str, session: &str| {
        Key::of(account, &request(json!({"session_id": session}))).unwrap()
    };
    assert_ne!(of("acc1", "23"), of("acc12", "3"));
}

#[test]
fn media_count_by_their_beginning_and_length_and_nothing_is_no_conversation() {
    let image = |data: String| ChatRequest {
        messages: vec![Message {
            parts: vec![Part::Image {
                media: Media::Inline {
                    mime: "image/png".into(),
                    data,
                },
                detail: None,
                cache: None,
            }],
            ..Message::default()
        }],
        ..ChatRequest::default()
    };
    let key = |data: &str| Key::of("acc", &image(data.to_owned()));
    let long = "A".repeat(1_000_000);
    assert_eq!(key(&long), key(&long));
    assert_ne!(key(&long), key(&"A".repeat(999_999)));
    assert_ne!(key("AAAA"), key("AAAB"));
    assert_eq!(Key::of("acc", &ChatRequest::default()), None);
}

#[test]
fn what_a_success_leaves() {
    let model = pair();
    let chat = affinity(&request(json!({})), &model);
    let session = affinity(&request(json!({"session_id": "s"})), &model);
    let named = affinity(&request(json!({"prompt_cache_key": "k"})), &model);
    let nothing = Usage {
        prompt: 2_000,
        ..Usage::default()
    };
    let written = Usage {
        cache_write_5m: 5,
        ..nothing
    };
    let left = |affinity: &Affinity, usage: Usage, signed: bool| {
        served(affinity, &model, "two", usage, signed).is_some()
    };
    // A session sticks after any success, everything else once a cache was at work.
    assert!(left(&session, nothing, false) && left(&session, hit(), false));
    for affinity in [&chat, &named] {
        assert!(!left(affinity, nothing, false));
        assert!(left(affinity, hit(), false) && left(affinity, written, false));
        assert!(left(affinity, nothing, true), "signed reasoning pins");
    }
    let hint = served(&chat, &model, "two", hit(), false).unwrap();
    assert_eq!(
        hint,
        Hint {
            model: "m/m".into(),
            tag: "two".into(),
            at_ms: NOW
        }
    );
}

#[test]
fn an_endpoint_that_caches_without_being_asked_has_cached_a_long_prompt() {
    let silent = json!({"supports_implicit_caching": true});
    let model = model(
        "m/m",
        &[
            ("one", "openai_chat", silent.clone()),
            ("two", "openai_chat", silent),
        ],
    );
    let chat = affinity(&request(json!({})), &model);
    let usage = |prompt: u64| Usage {
        prompt,
        ..Usage::default()
    };
    assert!(served(&chat, &model, "one", usage(LEAST_CACHED_TOKENS), false).is_some());
    assert!(served(&chat, &model, "one", usage(LEAST_CACHED_TOKENS - 1), false).is_none());
}

#[test]
fn nothing_sticks_where_a_cache_saves_nothing() {
    let dear = json!({"prices": {"prompt": 10, "completion": 10, "cache_read": 10}});
    let none = json!({"prices": {"prompt": 10, "completion": 10}});
    for row in [dear, none] {
        let model = model(
            "m/m",
            &[
                ("one", "openai_chat", row.clone()),
                ("two", "openai_chat", row),
            ],
        );
        let mut session = affinity(&request(json!({"session_id": "s"})), &model);
        assert!(served(&session, &model, "one", hit(), false).is_none());
        assert!(!session.is_worth_reading());
        assert_eq!(session.verdict(&model.routes[0].endpoint), "off");
        let hint = Hint {
            model: "m/m".into(),
            tag: "two".into(),
            at_ms: NOW,
        };
        session.adopt(vec![hint.clone()], &[&model]);
        assert_eq!(session.home("m/m"), None);
        // What signed the history is a home even so.
        let mut signed = affinity(&request(claude()), &model);
        signed.adopt(vec![hint], &[&model]);
        assert_eq!(signed.home("m/m"), Some("two"));
    }
}

#[test]
fn it_is_off_where_the_client_gave_an_order_or_there_is_no_choice() {
    let model = pair();
    let chat = request(json!({"session_id": "s"}));
    let raw = serde_json::value::RawValue::from_string(r#"{"order":["one"]}"#.into()).unwrap();
    let ordered = ProviderPreferences::parse(Some(&raw)).unwrap();
    let none = ProviderPreferences::default();
    let of = |preferences: &ProviderPreferences, can_call: fn(&Provider) -> bool| {
        Affinity::of("acc", &chat, 2_000, preferences, &[&model], can_call)
    };
    for off in [
        of(&ordered, |_| true),
        of(&none, |provider| provider.slug == "one"),
    ] {
        assert_eq!(off.verdict(&model.routes[0].endpoint), "off");
        assert!(off.key().is_none() && !off.is_worth_reading());
        assert!(served(&off, &model, "one", hit(), true).is_none());
    }
    assert_eq!(
        of(&none, |_| true).verdict(&model.routes[0].endpoint),
        "new"
    );
}

#[test]
fn kv_is_asked_only_where_a_hint_may_be_and_helps() {
    let model = pair();
    let reads = |body: Value, tokens: u64| {
        let none = ProviderPreferences::default();
        Affinity::of("acc", &request(body), tokens, &none, &[&model], |_| true).is_worth_reading()
    };
    let first = json!([{"role": "system", "content": "S"}, {"role": "user", "content": "Hello"}]);
    assert!(reads(json!({"session_id": "s"}), 10));
    assert!(reads(json!({}), LEAST_CACHED_TOKENS));
    assert!(reads(claude(), 10));
    assert!(
        !reads(json!({}), LEAST_CACHED_TOKENS - 1),
        "too short for any cache"
    );
    assert!(
        !reads(json!({"messages": first}), 5_000),
        "nobody has asked before"
    );
}

#[test]
fn the_verdict_says_whether_it_stuck() {
    let model = pair();
    let mut chat = affinity(&request(json!({})), &model);
    let [one, two] = [&model.routes[0].endpoint, &model.routes[1].endpoint];
    assert_eq!(chat.verdict(one), "new");
    let hint = |model: &str, tag: &str| Hint {
        model: model.into(),
        tag: tag.into(),
        at_ms: NOW,
    };
    chat.adopt(vec![hint("m/other", "one"), hint("m/m", "gone")], &[&model]);
    assert_eq!(
        (chat.home("m/m"), chat.verdict(one)),
        (None, "new"),
        "an endpoint that is no longer there"
    );
    chat.adopt(vec![hint("m/m", "two")], &[&model]);
    assert_eq!((chat.verdict(one), chat.verdict(two)), ("miss", "hit"));
    let place = |at: usize| chat.place(&model.routes[at].endpoint, &model.routes[at].provider);
    assert_eq!((place(0), place(1)), (Place::Fits, Place::Home));
}

/// A world in which one endpoint rests.
struct Rests(&'static str);

impl Health for Rests {
    fn standing(&self, endpoint: &Endpoint, _now_ms: u64) -> Standing {
        if endpoint.tag == self.0 {
            Standing::Resting
        } else {
            Standing::Steady
        }
    }
}

#[test]
fn the_plan_begins_at_home_unless_something_speaks_against_it() {
    let at_home = |preferences: &str, rests: &'static str, tag: &str| {
        let raw = serde_json::value::RawValue::from_string(preferences.into()).unwrap();
        let preferences = ProviderPreferences::parse(Some(&raw)).unwrap();
        let model = Rc::new(pair());
        let chat = request(json!({}));
        let mut affinity = Affinity::of("acc", &chat, 2_000, &preferences, &[&model], |_| true);
        affinity.adopt(
            vec![Hint {
                model: "m/m".into(),
                tag: tag.into(),
                at_ms: NOW,
            }],
            &[&model],
        );
        let situation = Situation {
            preferences: &preferences,
            affinity: &affinity,
            health: &Rests(rests),
            ..Situation::default()
        };
        let plan = plan(&chat, &[model.into()], &situation).unwrap();
        plan.attempts
            .iter()
            .map(|step| step.route.endpoint.tag.clone())
            .collect::<Vec<_>>()
    };
    for tag in ["one", "two"] {
        let other = if tag == "one" { "two" } else { "one" };
        assert_eq!(at_home("{}", "", tag), [tag, other]);
        assert_eq!(at_home(r#"{"allow_fallbacks":false}"#, "", tag), [tag]);
        let rests = if tag == "one" { "one" } else { "two" };
        assert_eq!(at_home("{}", rests, tag), [other, tag], "it backs off");
        let ignored = format!(r#"{{"ignore":["{tag}"]}}"#);
        assert_eq!(at_home(&ignored, "", tag), [other], "a filter wins");
        let ordered = format!(r#"{{"order":["{other}"]}}"#);
        assert_eq!(at_home(&ordered, "", tag), [other, tag], "so does an order");
    }
}

#[test]
fn signed_reasoning_prefers_whoever_takes_it_back() {
    // P81–P85, P87
    let details = json!({"reasoning": {"history": "reasoning_details"}});
    let model = model(
        "m/m",
        &[
            ("plain", "openai_chat", json!({})),
            ("relay", "openai_chat", details),
            ("claude", "anthropic_messages", json!({})),
            ("gemini", "gemini", json!({})),
        ],
    );
    let block = |kind: &str, format: &str| {
        let mut block = json!({"type": kind, "format": format, "data": "b3BhcXVl", "index": 0});
        if kind == "reasoning.text" {
            block["text"] = "Hm".into();
        }
        thinking(block)
    };
    for (body, fitting) in [
        (claude(), &["relay", "claude"][..]),
        (
            block("reasoning.encrypted", "anthropic-claude-v1"),
            &["relay", "claude"],
        ),
        (
            block("reasoning.encrypted", "google-gemini-v1"),
            &["relay", "gemini"],
        ),
        (
            block("reasoning.encrypted", "openai-responses-v1"),
            &["relay"],
        ),
        (block("reasoning.encrypted", "xai-responses-v1"), &["relay"]),
        // Words that nobody signed go anywhere or nowhere, and pin nobody.
        (
            block("reasoning.text", "unknown"),
            &["plain", "relay", "claude", "gemini"],
        ),
    ] {
        let affinity = affinity(&request(body.clone()), &model);
        let fits = |route: &&Route| affinity.place(&route.endpoint, &route.provider) == Place::Fits;
        let found: Vec<&str> = model
            .routes
            .iter()
            .filter(fits)
            .map(|r| r.endpoint.tag.as_str())
            .collect();
        assert_eq!(found, fitting, "{body}");
    }
}

/// KV as the platform has it: a read may miss what was written lately, a write may get lost, one per second and key.
#[derive(Default)]
struct Kv {
    writes: RefCell<HashMap<String, Vec<(u64, String)>>>,
}

impl Kv {
    fn put(&self, key: &Key, at: u64, text: String) {
        self.writes
            .borrow_mut()
            .entry(key.text())
            .or_default()
            .push((at, text));
    }

    /// What a location sees at `now` that learns of writes `lag` later.
    fn get(&self, key: &Key, now: u64, lag: u64) -> Option<String> {
        let writes = self.writes.borrow();
        let seen = writes
            .get(&key.text())?
            .iter()
            .filter(|(at, _)| at + lag <= now);
        let (at, text) = seen.max_by_key(|(at, _)| *at)?;
        (now - at < LIFETIME_MS).then(|| text.clone())
    }

    fn count(&self) -> usize {
        self.writes.borrow().values().map(Vec::len).sum()
    }
}

/// An isolate and the request that it handles.
struct Isolate<'a> {
    hints: Hints,
    kv: &'a Kv,
    lag: u64,
}

impl Isolate<'_> {
    /// Where the conversation is at home, as this isolate finds it.
    fn home(&self, key: &Key, now: u64) -> Option<String> {
        let known = self.hints.get(key, now);
        let known = known.or_else(|| {
            Some(
                self.hints
                    .learn(key, &self.kv.get(key, now, self.lag)?, now),
            )
        });
        known?.first().map(|hint| hint.tag.clone())
    }

    fn serve(&self, key: &Key, tag: &str, now: u64) {
        let hint = Hint {
            model: "m/m".into(),
            tag: tag.into(),
            at_ms: now,
        };
        if let Some(text) = self.hints.note(key, hint, now) {
            self.kv.put(key, now, text);
        }
    }
}

fn isolate(kv: &Kv, lag: u64) -> Isolate<'_> {
    Isolate {
        hints: Hints::default(),
        kv,
        lag,
    }
}

fn key() -> Key {
    Key::of("acc", &request(json!({}))).unwrap()
}

#[test]
fn another_isolate_finds_the_hint_as_soon_as_kv_shows_it() {
    let (kv, key) = (Kv::default(), key());
    let (a, b) = (isolate(&kv, 0), isolate(&kv, MINUTE));
    a.serve(&key, "two", NOW);
    assert_eq!(a.home(&key, NOW).as_deref(), Some("two"));
    assert_eq!(b.home(&key, NOW + MINUTE - 1), None, "KV lags: cold");
    assert_eq!(b.home(&key, NOW + MINUTE).as_deref(), Some("two"));
}

#[test]
fn a_hint_lives_ten_minutes_after_the_last_success_and_no_failure_refreshes_it() {
    let (kv, key) = (Kv::default(), key());
    let (a, b) = (isolate(&kv, 0), isolate(&kv, 0));
    a.serve(&key, "two", NOW);
    // Requests that fail look the hint up and leave nothing.
    for at in 0..10 {
        assert!(a.home(&key, NOW + at * MINUTE).is_some());
    }
    assert_eq!(a.home(&key, NOW + LIFETIME_MS), None);
    assert_eq!(b.home(&key, NOW + LIFETIME_MS), None);
    a.serve(&key, "two", NOW + LIFETIME_MS);
    assert!(a.home(&key, NOW + 2 * LIFETIME_MS - 1).is_some());
}

#[test]
fn kv_is_written_once_while_nothing_changes_and_again_at_half_time() {
    let (kv, key) = (Kv::default(), key());
    let a = isolate(&kv, 0);
    for second in 0..300 {
        a.serve(&key, "two", NOW + second * 1_000);
    }
    assert_eq!(kv.count(), 1);
    a.serve(&key, "two", NOW + LIFETIME_MS / 2);
    assert_eq!(kv.count(), 2);
    // Another isolate therefore finds it at least half a lifetime after the last success.
    assert!(isolate(&kv, 0).home(&key, NOW + LIFETIME_MS - 1).is_some());
}

#[test]
fn a_key_is_written_at_most_once_a_second_and_the_last_change_still_arrives() {
    let (kv, key) = (Kv::default(), key());
    let a = isolate(&kv, 0);
    for (at, tag) in [(0, "one"), (100, "two"), (999, "one"), (999, "two")] {
        a.serve(&key, tag, NOW + at);
    }
    assert_eq!(kv.count(), 1);
    assert_eq!(a.home(&key, NOW + 999).as_deref(), Some("two"));
    a.serve(&key, "two", NOW + 1_000);
    assert_eq!(kv.count(), 2);
    assert_eq!(
        isolate(&kv, 0).home(&key, NOW + 1_000).as_deref(),
        Some("two")
    );
}

#[test]
fn a_lost_write_is_made_again_by_the_next_success() {
    let (hints, key) = (Hints::default(), key());
    let hint = |at: u64| Hint {
        model: "m/m".into(),
        tag: "two".into(),
        at_ms: NOW + at,
    };
    assert!(hints.note(&key, hint(0), NOW).is_some());
    hints.lost(&key);
    assert!(
        hints.note(&key, hint(500), NOW + 500).is_none(),
        "a second has not passed"
    );
    assert!(hints.note(&key, hint(1_000), NOW + 1_000).is_some());
    assert!(
        hints.note(&key, hint(2_000), NOW + 2_000).is_none(),
        "now it is there"
    );
}

#[test]
fn a_conversation_remembers_an_endpoint_for_each_of_its_models() {
    let (hints, key) = (Hints::default(), key());
    let note = |model: &str, at: u64| {
        let hint = Hint {
            model: model.into(),
            tag: format!("at-{model}"),
            at_ms: NOW + at,
        };
        hints.note(&key, hint, NOW + at)
    };
    for (at, model) in ["a", "b", "c", "d", "e", "a"].iter().enumerate() {
        note(model, at as u64 * 1_000);
    }
    let models: Vec<String> = hints
        .get(&key, NOW + 5_000)
        .unwrap()
        .into_iter()
        .map(|hint| hint.model)
        .collect();
    assert_eq!(
        models,
        ["a", "e", "d", "c"],
        "the newest first, and no more than a few"
    );
}

#[test]
fn memory_is_bounded_and_keeps_what_is_in_use() {
    let hints = Hints::default();
    let of = |session: String| Key::of("acc", &request(json!({"session_id": session}))).unwrap();
    let hint = || Hint {
        model: "m/m".into(),
        tag: "two".into(),
        at_ms: NOW,
    };
    let used = of("used".into());
    hints.note(&used, hint(), NOW);
    for n in 0..2 * Hints::CAPACITY {
        hints.note(&of(n.to_string()), hint(), NOW);
        if n % 1_000 == 0 {
            assert!(hints.get(&used, NOW).is_some(), "{n}");
        }
    }
    assert!(hints.len() <= Hints::CAPACITY);
    assert!(hints.get(&of("0".into()), NOW).is_none());
}

#[test]
fn text_of_another_form_is_no_hint() {
    for text in ["", "{}", "[1]", r#"[{"model":"m/m"}]"#, "null"] {
        assert!(
            Hints::default().learn(&key(), text, NOW).is_empty(),
            "{text}"
        );
    }
}

proptest::proptest! {
    /// Whatever KV does, a home is an endpoint that served this conversation with success within its lifetime.
    #[test]
    fn two_isolates_over_a_lagging_kv_are_never_wrong(
        steps in proptest::collection::vec((0..2_usize, 0..3_usize, 0..200_000_u64, proptest::bool::weighted(0.2)), 1..60),
        lags in (0..120_000_u64, 0..120_000_u64),
    ) {
        let kv = Kv::default();
        let key = key();
        let isolates = [isolate(&kv, lags.0), isolate(&kv, lags.1)];
        let mut now = NOW;
        let mut successes: Vec<(u64, String)> = Vec::new();
        for (who, tag, pause, lost) in steps {
            now += pause;
            let one = &isolates[who];
            if let Some(home) = one.home(&key, now) {
                let is_true = successes.iter().any(|(at, tag)| *tag == home && now - at < LIFETIME_MS);
                proptest::prop_assert!(is_true, "{home} at {now}: {successes:?}");
            }
            if tag < 2 {
                let tag = ["one", "two"][tag].to_owned();
                let before = kv.count();
                one.serve(&key, &tag, now);
                if lost && kv.count() > before {
                    // The write vanished, and the isolate heard of it.
                    kv.writes.borrow_mut().get_mut(&key.text()).unwrap().pop();
                    one.hints.lost(&key);
                }
                successes.push((now, tag));
            }
        }
        let writes = kv.writes.borrow();
        proptest::prop_assert!(writes.values().flatten().all(|(_, text)| Rc::new(text).len() < 400));
    }
}
