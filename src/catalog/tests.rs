//! The catalog end to end on a few hand-made rows: from rows to what is stored and what clients see.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::listing::{ListEntry, newest_first, page};
use super::publish::{self, POINTER};
use super::query::ListQuery;
use super::{
    AuthScheme, Budget, DataPolicy, Dialect, Endpoint, KeyFormat, Modality, Model, Names,
    Operation, Parameter, PathStyle, Provider, Quirk, Reasoning, ReasoningStyle, Snapshot, Status,
    WebSearch, wire,
};
use crate::chat::Effort;
use crate::credits::money::Nanos;
use crate::credits::pricing::{Price, PriceTable, Tier};

fn dollars(text: &str) -> Price {
    Price::from_dollars_per_million(text).unwrap()
}

fn provider(slug: &str, name: &str, quirks: &[Quirk]) -> Provider {
    Provider {
        slug: slug.into(),
        name: name.into(),
        dialect: Dialect::OpenaiChat,
        base_url: format!("https://api.{slug}.example/v1"),
        auth: AuthScheme::Bearer,
        secret: format!("{}_KEY", slug.to_uppercase()),
        secret_optional: false,
        path_style: PathStyle::Dialect,
        query: None,
        defaults: BTreeMap::new(),
        binding: None,
        group: None,
        key_format: KeyFormat::Plain,
        data_policy: DataPolicy {
            training: Some(false),
            retention_days: Some(if slug == "alpha" { 0 } else { 30 }),
        },
        reasoning_style: ReasoningStyle::Effort,
        quirks: quirks.to_vec(),
        operations: BTreeMap::new(),
        can_cancel: false,
        counts_tokens: false,
        privacy_policy_url: Some(format!("https://{slug}.example/privacy")),
        terms_of_service_url: None,
        status_page_url: None,
        headquarters: Some("NL".into()),
    }
}

fn model(slug: &str, created: i64, context_length: u64, input: &[Modality]) -> Model {
    Model {
        slug: slug.into(),
        canonical_slug: slug.into(),
        name: format!("Name of {slug}"),
        description: "Answers questions.".into(),
        created,
        family: None,
        context_length,
        input_modalities: input.to_vec(),
        output_modalities: vec![Modality::Text],
        open_weights: false,
        hugging_face_id: None,
        knowledge_cutoff: Some("2025-07-31".into()),
        tokenizer: "Other".into(),
        distillable: false,
    }
}

fn endpoint(model: &str, provider: &str, prompt: &str, completion: &str) -> Endpoint {
    Endpoint {
        model: model.into(),
        provider: provider.into(),
        tag: provider.into(),
        upstream_model_id: format!("{model}-upstream"),
        operation: Operation::Chat,
        source: None,
        dialect: None,
        context_length: 100_000,
        max_prompt_tokens: None,
        max_completion_tokens: Some(8_192),
        prices: PriceTable {
            prompt: dollars(prompt),
            completion: dollars(completion),
            ..PriceTable::default()
        },
        tier_prices: std::collections::BTreeMap::new(),
        quantization: None,
        supported_parameters: vec![
            Parameter::MaxTokens,
            Parameter::Tools,
            Parameter::ToolChoice,
        ],
        reasoning: None,
        input_modalities: vec![Modality::Text],
        output_modalities: vec![Modality::Text],
        supports_implicit_caching: false,
        refuses_prefill: false,
        answers_whole: false,
        web_search: None,
        status: Status::Active,
    }
}

fn snapshot() -> Snapshot {
    let text = [Modality::Text];
    let mut dear = endpoint("maker/big", "beta", "3", "15");
    dear.prices.cache_read = Some(dollars("0.3"));
    dear.prices.tiers = vec![Tier {
        min_prompt_tokens: 200_000,
        prompt: Some(dollars("6")),
        ..Tier::default()
    }];
    dear.reasoning = Some(Reasoning {
        efforts: vec![Effort::High, Effort::Low],
        budget: Some(Budget {
            min: Some(1_024),
            max: None,
        }),
        ..Reasoning::default()
    });
    let mut old = endpoint("maker/big", "alpha", "1", "2");
    old.status = Status::Deprecated;
    Snapshot::new(
        vec![
            provider("beta", "Beta", &[]),
            provider("alpha", "Alpha", &[Quirk::ToolChoiceAutoOnly]),
        ],
        vec![
            model("maker/small", 1_700_000_000, 32_000, &text),
            model(
                "maker/big",
                1_760_000_000,
                200_000,
                &[Modality::Text, Modality::Image],
            ),
            model("other/mid", 1_760_000_000, 100_000, &text),
            model("other/unserved", 1, 1, &text),
        ],
        vec![
            dear,
            old,
            endpoint("maker/small", "alpha", "0.0375", "0.15"),
            endpoint("other/mid", "beta", "0.5", "0.5"),
            endpoint("other/mid", "gone", "0.1", "0.1"),
        ],
        BTreeMap::from([
            ("maker/grande".into(), "maker/big".into()),
            ("x/y".into(), "other/unserved".into()),
        ]),
        BTreeMap::new(),
    )
    .unwrap()
}

#[test]
fn a_reader_sees_one_snapshot_whole() {
    let snapshot = snapshot();
    let writes = snapshot.writes().unwrap();
    let (pointer, version) = writes.last().unwrap();
    assert_eq!((pointer.as_str(), version), (POINTER, &snapshot.version));
    assert_eq!(
        writes.iter().filter(|(key, _)| key == POINTER).count(),
        1,
        "the pointer is written once, and last"
    );
    let prefix = format!("catalog:{version}:");
    assert!(
        writes
            .iter()
            .rev()
            .skip(1)
            .all(|(key, _)| key.starts_with(&prefix)),
        "all else belongs to the version"
    );
    let mut keys: Vec<_> = writes
        .iter()
        .map(|(key, _)| key.clone())
        .filter(|key| key != POINTER)
        .collect();
    let mut owned = Snapshot::keys(version, &snapshot.names());
    keys.sort();
    owned.sort();
    assert_eq!(keys, owned, "what is written can be deleted");
    for (key, value) in &writes {
        assert!(
            key == POINTER || serde_json::from_str::<Value>(value).is_ok(),
            "{key}"
        );
    }
}

#[test]
fn the_version_is_the_content() {
    let first = snapshot();
    assert_eq!(
        first.version,
        snapshot().version,
        "the same rows give the same version"
    );
    let json = serde_json::to_string(&first).unwrap();
    assert_eq!(Snapshot::parse(&json).unwrap(), first);
    let tampered = json.replace("\"prompt\":37500000", "\"prompt\":37500001");
    assert_ne!(tampered, json);
    assert!(matches!(
        Snapshot::parse(&tampered),
        Err(publish::SnapshotError::Version)
    ));
    assert!(matches!(
        Snapshot::parse(json.split_at(json.len() / 2).0),
        Err(publish::SnapshotError::Syntax(_))
    ));
}

#[test]
fn rows_without_their_partners_are_left_out() {
    let snapshot = snapshot();
    let slugs: Vec<_> = snapshot.models.iter().map(|m| m.slug.as_str()).collect();
    assert_eq!(slugs, ["maker/big", "maker/small", "other/mid"]);
    assert_eq!(
        snapshot.endpoints.len(),
        4,
        "an endpoint of an unknown provider is gone"
    );
    assert_eq!(
        snapshot.aliases.len(),
        1,
        "an alias of an unserved model is gone"
    );
    let mut templated = provider("gamma", "Gamma", &[]);
    templated.base_url = "${GAMMA_HOST}/v1/${GAMMA_ACCOUNT}".into();
    assert_eq!(
        templated.required_variables().collect::<Vec<_>>(),
        ["GAMMA_KEY", "GAMMA_HOST", "GAMMA_ACCOUNT"]
    );
    templated.secret_optional = true;
    templated.query = Some("api-version=${GAMMA_VERSION}".into());
    templated.defaults = BTreeMap::from([("GAMMA_VERSION".into(), "1".into())]);
    templated.binding = Some("GAMMA".into());
    let callable = |has: &[&str]| templated.is_callable(|name| has.contains(&name));
    assert!(callable(&["GAMMA_HOST", "GAMMA_ACCOUNT"]) && callable(&["GAMMA"]));
    assert!(!callable(&["GAMMA_HOST"]));
    let mut vertex = templated.clone();
    vertex.base_url = "https://${GOOGLE_VERTEX_ENDPOINT}/${GOOGLE_VERTEX_PROJECT}".into();
    vertex.key_format = KeyFormat::ServiceAccount;
    vertex.group = Some("cloud".into());
    assert!(vertex.is_reachable(|_| false) && !templated.is_reachable(|_| false));
    assert_eq!((vertex.family(), templated.family()), ("cloud", "gamma"));
    assert!(vertex.answers_to("cloud") && !templated.answers_to("cloud"));
    let only_alpha = snapshot.restricted(|p| p.slug == "alpha").unwrap();
    let slugs: Vec<_> = only_alpha.models.iter().map(|m| m.slug.as_str()).collect();
    assert_eq!(
        slugs,
        ["maker/big", "maker/small"],
        "a deployment offers what it has keys for"
    );
}

#[test]
fn a_stored_entry_holds_all_that_routing_needs() {
    let snapshot = snapshot();
    let writes = snapshot.writes().unwrap();
    let key = publish::model_key(&snapshot.version, "maker/big");
    let (_, value) = writes.iter().find(|(k, _)| *k == key).unwrap();
    let entry: super::ModelEntry = serde_json::from_str(value).unwrap();
    let routes: Vec<_> = entry
        .routes()
        .map(|(e, p)| (e.tag.as_str(), p.base_url.as_str()))
        .collect();
    assert_eq!(
        routes,
        [
            ("beta", "https://api.beta.example/v1"),
            ("alpha", "https://api.alpha.example/v1")
        ],
        "what is to be withdrawn comes last, however cheap"
    );
    assert!(entry.endpoints[0].answers_to("beta") && !entry.endpoints[0].answers_to("alpha"));
    assert!(entry.providers[0].answers_to("ALPHA") && entry.providers[0].answers_to("alpha"));
}

#[test]
fn names_resolve_in_any_case_and_unknown_ones_are_near_something() {
    let names: Names = snapshot().names();
    assert_eq!(names.resolve("maker/big"), Some("maker/big"));
    assert_eq!(names.resolve("Maker/BIG"), Some("maker/big"));
    assert_eq!(names.resolve("maker/grande"), Some("maker/big"));
    assert_eq!(names.resolve("maker/bigger"), None);
    assert_eq!(
        names.nearest("maker/smal").first().map(String::as_str),
        Some("maker/small")
    );
}

#[test]
fn a_model_for_all_ids_is_served_under_each_and_listed_under_none() {
    let text = [Modality::Text];
    let mut any = endpoint("router/*", "beta", "3", "15");
    any.upstream_model_id = "*".into();
    let snapshot = Snapshot::new(
        vec![provider("beta", "Beta", &[])],
        vec![
            model("router/*", 1, 100, &text),
            model("a/b", 1, 100, &text),
        ],
        vec![any, endpoint("a/b", "beta", "1", "2")],
        BTreeMap::new(),
        BTreeMap::new(),
    )
    .unwrap();
    let names = snapshot.names();
    assert_eq!(names.resolve("Router/c/d:free"), Some("router/*"));
    assert_eq!(names.resolve("router/d"), None);
    assert_eq!(names.nearest("router/"), Vec::<String>::new());
    let writes: BTreeMap<String, String> = snapshot.writes().unwrap().into_iter().collect();
    for key in [
        publish::list_key(&snapshot.version),
        publish::pool_key(&snapshot.version),
    ] {
        assert!(
            writes[&key].contains("a/b") && !writes[&key].contains("router/"),
            "{key}"
        );
    }
    let entries = snapshot.entries();
    let [listed, open] = &entries[..] else {
        panic!("two entries")
    };
    assert_eq!(&listed.clone().named("router/c/d"), listed);
    let named = open.clone().named("router/c/d:free");
    assert_eq!(named.model.slug, "router/c/d:free");
    assert_eq!(
        (
            named.endpoints[0].model.as_str(),
            named.endpoints[0].upstream_model_id.as_str()
        ),
        ("router/c/d:free", "c/d:free")
    );
}

#[test]
fn the_model_object_has_openrouters_fields() {
    let entries = snapshot().entries();
    let object = wire::model(&entries[0]);
    let keys: Vec<_> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let documented = [
        "id",
        "canonical_slug",
        "hugging_face_id",
        "name",
        "created",
        "description",
        "context_length",
        "architecture",
        "pricing",
        "top_provider",
        "per_request_limits",
        "supported_parameters",
        "default_parameters",
        "supported_voices",
        "knowledge_cutoff",
        "expiration_date",
        "links",
        "reasoning",
    ];
    assert_eq!(keys, documented);
    assert_eq!(object["architecture"]["modality"], "text+image->text");
    assert_eq!(
        object["architecture"]["input_modalities"],
        json!(["text", "image"])
    );
    assert_eq!(
        object["top_provider"],
        json!({ "context_length": 100_000, "max_completion_tokens": 8_192, "is_moderated": false })
    );
    assert_eq!(
        object["supported_parameters"],
        json!(["max_tokens", "tool_choice", "tools"])
    );
    assert_eq!(
        object["reasoning"],
        json!({ "mandatory": false, "supported_efforts": ["high", "low"], "supports_max_tokens": true })
    );
    assert_eq!(
        object["links"]["details"],
        "/api/v1/models/maker/big/endpoints"
    );
    assert_eq!(
        object["pricing"],
        json!({
            "prompt": "0.000003", "completion": "0.000015", "input_cache_read": "0.0000003",
            "overrides": [{ "min_prompt_tokens": 200_000, "prompt": "0.000006" }],
        })
    );
    assert!(
        wire::model(&entries[1]).get("reasoning").is_none(),
        "a model that does not reason has no such field"
    );
}

#[test]
fn prices_are_written_exactly() {
    let table = [
        ("0.0375", "0.0000000375"),
        ("0.003625", "0.000000003625"),
        ("0", "0"),
        ("15", "0.000015"),
        ("0.286705", "0.000000286705"),
        ("0.000000001", "0.000000000000001"),
        ("1000000", "1"),
    ];
    for (per_million, per_token) in table {
        let endpoint = endpoint("a/b", "alpha", per_million, "1");
        let pricing = wire::pricing(&endpoint);
        assert_eq!(pricing["prompt"], per_token, "{per_million}"); // P40
    }
    let full = PriceTable {
        prompt: dollars("1"),
        completion: dollars("2"),
        cache_read: Some(dollars("0.1")),
        cache_write_5m: Some(dollars("1.25")),
        cache_write_1h: Some(dollars("2")),
        reasoning: Some(dollars("3")),
        audio_in: Some(dollars("4")),
        audio_out: Some(dollars("5")),
        image_out: Some(dollars("6")),
        request: Some("0.005".parse().unwrap()),
        units: None,
        stated: false,
        discount_ppm: Some(125_000.try_into().unwrap()),
        tiers: Vec::new(),
    };
    let endpoint = Endpoint {
        prices: full,
        web_search: Some(WebSearch {
            price: Nanos::new(14_000_000).unwrap(),
            ..WebSearch::default()
        }),
        ..endpoint("a/b", "alpha", "1", "1")
    };
    assert_eq!(
        wire::pricing(&endpoint),
        json!({"web_search": "0.014", "discount": 0.125,
            "prompt": "0.000001", "completion": "0.000002", "request": "0.005", "image_output": "0.000006",
            "audio": "0.000004", "audio_output": "0.000005", "internal_reasoning": "0.000003",
            "input_cache_read": "0.0000001", "input_cache_write": "0.00000125", "input_cache_write_1h": "0.000002",
        })
    );
}

#[test]
fn live_figures_are_null_until_something_was_measured() {
    let entries = snapshot().entries();
    let names = [
        "uptime_last_5m",
        "uptime_last_30m",
        "uptime_last_1d",
        "latency_last_30m",
        "throughput_last_30m",
    ];
    let told = |figures: wire::Figures| {
        let body = wire::endpoints_body(&entries[0], |_| figures);
        names.map(|name| body["data"]["endpoints"][0][name].clone())
    };
    assert_eq!(
        told(wire::Figures::default()),
        [(); 5].map(|()| json!(null))
    );
    let measured = wire::Figures {
        uptime: [Some(100.0), Some(87.5), None],
        latency: Some([101.5, 200.0, 300.0, 400.0]),
        throughput: Some([87.675, 71.675, 51.195, 11.835]),
    };
    let speed = json!({"p50": 87.68, "p75": 71.68, "p90": 51.19, "p99": 11.84});
    let latency = json!({"p50": 101.5, "p75": 200.0, "p90": 300.0, "p99": 400.0});
    assert_eq!(
        told(measured),
        [json!(100.0), json!(87.5), json!(null), latency, speed]
    );
}

#[test]
fn the_endpoint_object_has_openrouters_fields() {
    let entries = snapshot().entries();
    let body = wire::endpoints_body(&entries[0], |_| wire::Figures::default());
    let data = body["data"].as_object().unwrap();
    assert_eq!(
        data.keys().collect::<Vec<_>>(),
        [
            "id",
            "name",
            "created",
            "description",
            "architecture",
            "endpoints"
        ]
    );
    let endpoints = data["endpoints"].as_array().unwrap();
    let keys: Vec<_> = endpoints[0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let documented = [
        "name",
        "model_id",
        "model_name",
        "provider_name",
        "tag",
        "context_length",
        "max_prompt_tokens",
        "max_completion_tokens",
        "quantization",
        "pricing",
        "supported_parameters",
        "supports_implicit_caching",
        "supports_tool_choice",
        "native_tools",
        "service_tier",
        "status",
        "uptime_last_5m",
        "uptime_last_30m",
        "uptime_last_1d",
        "latency_last_30m",
        "throughput_last_30m",
        "supports_diarization",
    ];
    assert_eq!(keys, documented);
    assert_eq!(endpoints[0]["name"], "Beta | maker/big");
    assert_eq!(
        endpoints[0]["supports_tool_choice"],
        json!({ "auto": true, "none": true, "required": true, "function": true })
    );
    assert_eq!(
        endpoints[1]["supports_tool_choice"],
        json!({ "auto": true, "none": true, "required": false, "function": false })
    );
}

#[test]
fn the_providers_list_tells_no_secrets() {
    let body: Value = serde_json::from_str(&snapshot().providers_body()).unwrap();
    assert_eq!(
        body["data"][0],
        json!({
            "name": "Alpha", "slug": "alpha", "privacy_policy_url": "https://alpha.example/privacy",
            "terms_of_service_url": null, "status_page_url": null, "headquarters": "NL", "datacenters": null,
        })
    );
}

fn index() -> Vec<ListEntry> {
    let mut index: Vec<_> = snapshot()
        .entries()
        .iter()
        .map(|e| ListEntry::of(e).unwrap())
        .collect();
    newest_first(&mut index);
    index
}

fn listed(pairs: &[(&str, &str)]) -> Vec<String> {
    let index = index();
    let query = ListQuery::parse(pairs.iter().copied()).unwrap();
    page(&index, &query, 1_760_000_000 + 86_400)
        .models
        .iter()
        .map(|m| m.slug.clone())
        .collect()
}

#[test]
fn the_list_is_filtered_and_sorted() {
    const BIG: &str = "maker/big";
    const SMALL: &str = "maker/small";
    const MID: &str = "other/mid";

    type Case = (
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
    );
    let table: [Case; 24] = [
        (&[], &[BIG, MID, SMALL]),
        (&[("unknown", "x")], &[BIG, MID, SMALL]),
        (&[("q", "BIG")], &[BIG]),
        (&[("q", "answers")], &[BIG, MID, SMALL]),
        (
            &[("supported_parameters", "tools, tool_choice")],
            &[BIG, MID, SMALL],
        ),
        (&[("supported_parameters", "seed")], &[]),
        (&[("input_modalities", "text,image")], &[BIG]),
        (&[("output_modalities", "image")], &[]),
        (
            &[("output_modalities", "text,embeddings")],
            &[BIG, MID, SMALL],
        ),
        (&[("output_modalities", "embeddings")], &[]),
        (&[("output_modalities", "all")], &[BIG, MID, SMALL]),
        (&[("sort", "newest")], &[BIG, MID, SMALL]),
        (&[("sort", "pricing-low-to-high")], &[SMALL, MID, BIG]),
        (&[("sort", "pricing-high-to-low")], &[BIG, MID, SMALL]),
        (&[("sort", "context-high-to-low")], &[BIG, MID, SMALL]),
        (&[("sort", "most-popular")], &[BIG, MID, SMALL]),
        (&[("context", "100000")], &[BIG, MID]),
        (&[("max_price", "0.0375")], &[SMALL]),
        (&[("min_price", "0.0376")], &[BIG, MID]),
        (
            &[("max_output_price", "0.5"), ("min_output_price", "0.5")],
            &[MID],
        ),
        (&[("model_authors", "Other")], &[MID]),
        (&[("providers", "Beta")], &[BIG, MID]),
        (&[("zdr", "true")], &[BIG, SMALL]),
        (&[("max_age_days", "1")], &[BIG, MID]),
    ];
    for (pairs, expected) in table {
        assert_eq!(listed(pairs), expected, "{pairs:?}");
    }
}

#[test]
fn a_wrong_value_names_its_parameter() {
    let table = [
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "ten"),
        ("offset", "-1"),
        ("sort", "best"),
        ("context", "1k"),
        ("supported_parameters", "tools,telepathy"),
        ("input_modalities", "smell"),
        ("output_modalities", "file"),
        ("min_price", "cheap"),
        ("max_price", "-1"),
        ("zdr", "maybe"),
        ("max_age_days", "1.5"),
        ("region", "eu"),
        ("category", "programming"),
    ];
    for (key, value) in table {
        let refused = ListQuery::parse([(key, value)]).expect_err(key);
        assert_eq!(refused.parameter, key, "{value}");
        assert!(refused.to_string().starts_with(key), "{refused}");
    }
}

#[test]
fn pages_follow_each_other_without_gap_or_overlap() {
    let index = index();
    let mut seen = Vec::new();
    let mut offset = 0;
    loop {
        let at = offset.to_string();
        let query = ListQuery::parse([("limit", "2"), ("offset", at.as_str())]).unwrap();
        let page = page(&index, &query, 0);
        assert_eq!(page.total, 3);
        seen.extend(page.models.iter().map(|m| m.slug.clone()));
        match page.next_offset {
            Some(next) => offset = next,
            None => break,
        }
    }
    assert_eq!(seen, ["maker/big", "other/mid", "maker/small"]);
    let beyond = ListQuery::parse([("offset", "9")]).unwrap();
    let empty = page(&index, &beyond, 0).body(None);
    assert_eq!(
        empty,
        r#"{"data":[],"total_count":3,"links":{"next":null}}"#
    );
}

#[test]
fn the_prerendered_list_is_what_the_plain_query_gives() {
    let snapshot = snapshot();
    let writes: BTreeMap<_, _> = snapshot.writes().unwrap().into_iter().collect();
    let stored: Vec<ListEntry> =
        serde_json::from_str(&writes[&publish::index_key(&snapshot.version)]).unwrap();
    let query = ListQuery::parse([]).unwrap();
    assert!(query.is_plain() && !ListQuery::parse([("q", "x")]).unwrap().is_plain());
    assert_eq!(
        page(&stored, &query, 0).body(None),
        writes[&publish::list_key(&snapshot.version)]
    );
    let list: Value = serde_json::from_str(&writes[&publish::list_key(&snapshot.version)]).unwrap();
    assert_eq!(
        (
            list["total_count"].as_u64(),
            list["data"].as_array().unwrap().len()
        ),
        (Some(3), 3)
    );
    assert_eq!(list["data"][0]["id"], "maker/big");
}
