//! The committed catalog, wrong rows, and the import from its source.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use patchbay::catalog::{Dialect, Parameter, ReasoningFields, Snapshot};
use patchbay::credits::pricing::{Price, PriceTable};

use crate::check::Rows;
use crate::files;
use crate::import::import;
use crate::naming::{self, Naming};
use crate::overlay::Overlay;
use crate::source::Document;

/// The catalog folder of this repository.
pub fn catalog() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub fn committed() -> Rows {
    files::load(&catalog()).unwrap_or_else(|faults| {
        panic!(
            "{}",
            faults
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        );
    })
}

fn naming() -> Naming {
    Naming::read(&catalog().join(files::NAMING)).unwrap_or_else(|fault| panic!("{fault}"))
}

pub fn price(text: &str) -> Price {
    Price::from_dollars_per_million(text).unwrap()
}

#[test]
fn the_committed_catalog_is_good_and_large_enough() {
    let rows = committed();
    let real: Vec<_> = rows
        .endpoints
        .iter()
        .filter(|row| !row.value.model.starts_with("demo/"))
        .collect();
    let providers: BTreeSet<_> = real.iter().map(|row| &row.value.provider).collect();
    assert!(providers.len() >= 40, "{} providers", providers.len());
    assert!(real.len() >= 800, "{} endpoints", real.len());
    let mut hosts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in &real {
        hosts
            .entry(&row.value.model)
            .or_default()
            .insert(&row.value.provider);
    }
    for (model, least) in [
        ("openai/gpt-oss-120b", 20),
        ("moonshotai/kimi-k2.6", 20),
        ("meta-llama/llama-3.3-70b-instruct", 10),
    ] {
        assert!(
            hosts[model].len() >= least,
            "{model} has {} hosts",
            hosts[model].len()
        );
    }
    for dialect in [
        Dialect::OpenaiChat,
        Dialect::AnthropicMessages,
        Dialect::Gemini,
        Dialect::CohereV2,
        Dialect::BedrockConverse,
    ] {
        assert!(
            rows.providers
                .iter()
                .any(|row| row.value.provider.dialect == dialect && row.value.import.is_some())
        );
    }
}

#[test]
fn well_known_models_answer_to_their_usual_names() {
    let snapshot = files::snapshot(committed()).unwrap();
    let names = snapshot.names();
    for (name, slug) in [
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.5"),
        ("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4.5"),
        (
            "anthropic/claude-3.5-sonnet",
            "anthropic/claude-3.5-sonnet-20241022",
        ),
        (
            "anthropic/claude-3-5-sonnet-20241022",
            "anthropic/claude-3.5-sonnet-20241022",
        ),
        ("google/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("deepseek/deepseek-chat", "deepseek/deepseek-chat"),
        ("deepseek-ai/DeepSeek-V3.2", "deepseek/deepseek-v3.2"),
        ("xai/grok-4.3", "x-ai/grok-4.3"),
        ("alibaba/qwen3-max", "qwen/qwen3-max"),
        ("zai-org/GLM-5.1", "z-ai/glm-5.1"),
        ("mistral/mistral-large-latest", "mistralai/mistral-large"),
        ("moonshotai/kimi-k2-0905-preview", "moonshotai/kimi-k2-0905"),
    ] {
        assert_eq!(names.resolve(name), Some(slug), "{name}");
    }
    let dated = snapshot
        .models
        .iter()
        .find(|m| m.slug == "anthropic/claude-sonnet-4.5")
        .unwrap();
    assert_eq!(dated.canonical_slug, "anthropic/claude-sonnet-4.5-20250929");
}

#[test]
fn a_name_with_dots_is_called_by_the_providers_own_id() {
    // P106
    let snapshot = files::snapshot(committed()).unwrap();
    let id_of = |model: &str, provider: &str| {
        let mut ways = snapshot.endpoints.iter();
        let way = ways.find(|way| way.model == model && way.provider == provider);
        way.map(|way| way.upstream_model_id.as_str())
    };
    let sonnet = "anthropic/claude-sonnet-4.5";
    assert_eq!(id_of(sonnet, "anthropic"), Some("claude-sonnet-4-5"));
    let own: Vec<_> = snapshot
        .endpoints
        .iter()
        .filter(|way| way.provider == "anthropic")
        .collect();
    assert!(own.iter().any(|way| way.model.contains('.')));
    for way in own {
        assert!(!way.upstream_model_id.contains('.'), "{way:?}");
    }
}

#[test]
fn a_cloud_serves_models_under_their_usual_names_and_says_how_each_is_asked_to_reason() {
    let snapshot = files::snapshot(committed()).unwrap();
    let cloud = "amazon-bedrock";
    let ways = snapshot.endpoints.iter();
    let ways: Vec<_> = ways.filter(|way| way.provider == cloud).collect();
    let find = |model: &str| ways.iter().find(|way| way.model == model).copied().unwrap();
    for (model, id, fields) in [
        (
            "anthropic/claude-sonnet-4.5",
            "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
            Some(ReasoningFields::Thinking),
        ),
        (
            "amazon/nova-2-lite-v1",
            "global.amazon.nova-2-lite-v1:0",
            Some(ReasoningFields::ReasoningConfig),
        ),
        (
            "openai/gpt-oss-120b",
            "openai.gpt-oss-120b-1:0",
            Some(ReasoningFields::ReasoningEffort),
        ),
        ("deepseek/deepseek-v3.1", "deepseek.v3-v1:0", None),
        (
            "meta-llama/llama-3.1-8b-instruct",
            "meta.llama3-1-8b-instruct-v1:0",
            None,
        ),
    ] {
        let way = find(model);
        assert_eq!(
            (way.upstream_model_id.as_str(), way.tag.as_str()),
            (id, cloud)
        );
        let reasoning = way.reasoning.as_ref();
        assert_eq!(reasoning.and_then(|can| can.fields), fields, "{model}");
    }
    let hour = |model: &str| find(model).prices.cache_write_1h.is_some();
    assert!(hour("anthropic/claude-sonnet-4.5") && !hour("amazon/nova-pro-v1"));
    let chooses = |model: &str| find(model).supports(Parameter::ToolChoice);
    assert!(chooses("amazon/nova-pro-v1") && !chooses("meta-llama/llama-3.1-8b-instruct"));
    let of_the_eu = snapshot.endpoints.iter();
    let mut of_the_eu = of_the_eu.filter(|way| way.provider == "amazon-bedrock-eu");
    assert!(of_the_eu.all(|way| way.upstream_model_id.starts_with("eu.")));
    // A profile of one geography serves its regions alone.
    let bound = |id: &str| {
        ["us.", "eu.", "jp.", "au."]
            .iter()
            .any(|start| id.starts_with(start))
    };
    assert!(ways.iter().all(|way| !bound(&way.upstream_model_id)));
}

#[test]
fn parameters_that_the_data_does_not_tell_stand_with_the_models_that_take_them() {
    let snapshot = files::snapshot(committed()).unwrap();
    let takes = |provider: &str, id: &str, parameter: Parameter| {
        let mut ways = snapshot.endpoints.iter();
        let way = ways.find(|way| way.provider == provider && way.upstream_model_id == id);
        way.unwrap_or_else(|| panic!("{id}"))
            .supported_parameters
            .contains(&parameter)
    };
    for (id, enforces) in [
        ("claude-sonnet-4-5", true),
        ("claude-haiku-4-5-20251001", true),
        ("claude-opus-4-8", true),
        ("claude-sonnet-5", true),
        ("claude-fable-5", true),
        ("claude-opus-4-1", false),
        ("claude-opus-4-1-20250805", false),
        ("claude-sonnet-4-20250514", false),
        ("claude-3-7-sonnet-20250219", false),
    ] {
        for parameter in [Parameter::StructuredOutputs, Parameter::ResponseFormat] {
            assert_eq!(takes("anthropic", id, parameter), enforces, "{id}");
        }
    }
    for (id, varies) in [
        ("gpt-5", true),
        ("gpt-5.1", true),
        ("gpt-5.4-nano", true),
        ("gpt-5-chat-latest", false),
        ("gpt-4o", false),
    ] {
        assert_eq!(takes("openai", id, Parameter::Verbosity), varies, "{id}");
    }
}

#[test]
fn committed_prices_are_the_datas_to_the_last_digit() {
    let rows = committed();
    let at = |model: &str, tag: &str| -> PriceTable {
        let row = rows
            .endpoints
            .iter()
            .find(|row| row.value.model == model && row.value.tag == tag);
        row.unwrap_or_else(|| panic!("{model} at {tag}"))
            .value
            .prices
            .clone()
    };
    let deepseek = at("deepseek/deepseek-v4-pro", "deepseek"); // P40
    assert_eq!(
        (deepseek.prompt, deepseek.completion, deepseek.cache_read),
        (price("0.435"), price("0.87"), Some(price("0.003625")))
    );
    assert_eq!(deepseek.cache_read.unwrap().get(), 3_625_000);
    let qwen = at("qwen/qwen3-vl-plus", "alibaba-cn");
    assert_eq!(
        (qwen.prompt, qwen.completion, qwen.reasoning),
        (
            price("0.143353"),
            price("1.433525"),
            Some(price("4.300576"))
        )
    );
    let gpt = at("openai/gpt-5.5", "openai"); // P19
    let tier = gpt.tiers.first().unwrap();
    assert_eq!(
        (gpt.prompt, gpt.completion, gpt.cache_read),
        (price("5"), price("30"), Some(price("0.5")))
    );
    assert_eq!(
        (
            tier.min_prompt_tokens,
            tier.prompt,
            tier.completion,
            tier.cache_read
        ),
        (
            272_000,
            Some(price("10")),
            Some(price("45")),
            Some(price("1"))
        )
    );
    let claude = at("anthropic/claude-sonnet-4.5", "anthropic"); // P18
    assert_eq!(
        (
            claude.cache_read,
            claude.cache_write_5m,
            claude.cache_write_1h
        ),
        (Some(price("0.3")), Some(price("3.75")), Some(price("6")))
    );
    let gemini = at("google/gemini-2.5-flash", "google-ai-studio");
    assert_eq!(
        (gemini.audio_in, gemini.prompt),
        (Some(price("1")), price("0.3"))
    );
}

#[test]
fn demo_models_say_what_they_are_and_cost_something() {
    let rows = committed();
    let demo: Vec<_> = rows
        .models
        .iter()
        .map(|row| &row.value)
        .filter(|m| m.slug.starts_with("demo/"))
        .collect();
    // Conversations in each demo format, and one model for each other operation.
    assert_eq!(demo.len(), 9);
    for model in demo {
        assert!(
            model.name.contains("local demo upstream")
                && model.description.contains("demo upstream"),
            "{}",
            model.slug
        );
    }
    let endpoints: Vec<_> = rows
        .endpoints
        .iter()
        .map(|row| &row.value)
        .filter(|e| e.model.starts_with("demo/"))
        .collect();
    assert!(endpoints.iter().all(|e| !e.prices.is_free()));
    let everywhere: BTreeSet<_> = endpoints
        .iter()
        .filter(|e| e.model == "demo/everywhere")
        .map(|e| (&e.provider, e.prices.prompt))
        .collect();
    assert_eq!(everywhere.len(), 3);
    let secrets: BTreeSet<String> = ["DEMO_UPSTREAM".into(), "DEMO_UPSTREAM_KEY".into()].into();
    let offered =
        |p: &patchbay::catalog::Provider| p.required_variables().all(|name| secrets.contains(name));
    let local = files::snapshot(committed())
        .and_then(|s| s.restricted(offered))
        .unwrap();
    assert_eq!(
        local.models.len(),
        9,
        "without any provider's key only the demo models are offered"
    );
}

/// A copy of the catalog with one file changed.
pub fn with_change(name: &str, file: &str, change: impl Fn(&str) -> String) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("catalog-tool-{}-{name}", std::process::id()));
    fs::create_dir_all(dir.join(files::LOCAL)).unwrap();
    for path in [
        files::PROVIDERS,
        files::MODELS,
        files::ENDPOINTS,
        files::ALIASES,
        "local/models.jsonl",
        "local/endpoints.jsonl",
    ] {
        fs::copy(catalog().join(path), dir.join(path)).unwrap();
    }
    let text = fs::read_to_string(dir.join(file)).unwrap();
    let changed = change(&text);
    assert_ne!(changed, text, "{name} changes nothing");
    fs::write(dir.join(file), changed).unwrap();
    dir
}

#[test]
fn a_wrong_row_is_refused_with_its_file_and_line() {
    let cases: [(&str, &str, &str, &str, &str); 19] = [
        (
            "cut",
            "local/models.jsonl",
            r#""slug":"demo/chat","#,
            r#""slug":"demo/chat"#,
            "expected",
        ),
        (
            "field",
            "local/models.jsonl",
            r#""family":"#,
            r#""famly":"#,
            "unknown field `famly`",
        ),
        (
            "slug",
            "local/models.jsonl",
            r#""slug":"demo/chat""#,
            r#""slug":"Demo Chat""#,
            "is no slug",
        ),
        (
            "twice",
            "local/models.jsonl",
            r#""slug":"demo/claude""#,
            r#""slug":"demo/chat""#,
            "is already in",
        ),
        (
            "context",
            "local/models.jsonl",
            r#""context_length":128000"#,
            r#""context_length":128001"#,
            "the largest of its endpoints 128000",
        ),
        (
            "mute",
            "local/models.jsonl",
            r#""output_modalities":["text"]"#,
            r#""output_modalities":[]"#,
            "it writes nothing",
        ),
        (
            "model",
            "local/endpoints.jsonl",
            r#""model":"demo/chat""#,
            r#""model":"demo/chit""#,
            "unknown model demo/chit",
        ),
        (
            "provider",
            "local/endpoints.jsonl",
            r#""provider":"demo-openai","tag":"demo-openai""#,
            r#""provider":"nobody","tag":"nobody""#,
            "unknown provider nobody",
        ),
        (
            "tag",
            "local/endpoints.jsonl",
            r#""tag":"demo-openai""#,
            r#""tag":"other""#,
            "tag \"other\"",
        ),
        (
            "float",
            "local/endpoints.jsonl",
            r#""prompt":500000000"#,
            r#""prompt":0.5"#,
            "invalid type: floating point",
        ),
        (
            "negative",
            "local/endpoints.jsonl",
            r#""prompt":500000000"#,
            r#""prompt":-1"#,
            "column",
        ),
        (
            "free",
            "local/endpoints.jsonl",
            r#"{"prompt":500000000,"completion":1500000000,"cache_read":250000000}"#,
            r#"{"prompt":0,"completion":0}"#,
            "does not end with :free",
        ),
        (
            "word",
            "local/endpoints.jsonl",
            r#""top_p""#,
            r#""telepathy""#,
            "unknown variant `telepathy`",
        ),
        (
            "order",
            "local/endpoints.jsonl",
            r#""temperature","top_p""#,
            r#""top_p","temperature""#,
            "supported_parameters are not sorted",
        ),
        (
            "efforts",
            "local/endpoints.jsonl",
            r#""high","medium""#,
            r#""medium","high""#,
            "efforts do not go",
        ),
        (
            "limit",
            "local/endpoints.jsonl",
            r#""max_completion_tokens":16384"#,
            r#""max_completion_tokens":128001"#,
            "beyond the context",
        ),
        (
            "path",
            "local/endpoints.jsonl",
            r#""upstream_model_id":"demo-gemini""#,
            r#""upstream_model_id":"demo/../x""#,
            "cannot stand in a path",
        ), // P107
        (
            "quirk",
            "providers.toml",
            r#"quirks = ["developer_role", "max_completion_tokens"]"#,
            r#"quirks = ["likes_cheese"]"#,
            "unknown variant `likes_cheese`",
        ),
        (
            "base",
            "providers.toml",
            r#"base_url = "https://api.anthropic.com""#,
            r#"base_url = "https://api.anthropic.com/v1""#,
            "base_url ends with /v1",
        ),
    ];
    for (name, file, from, to, why) in cases {
        let dir = with_change(name, file, |text| text.replacen(from, to, 1));
        let faults: Vec<String> = files::load(&dir)
            .expect_err(name)
            .iter()
            .map(ToString::to_string)
            .collect();
        let before = fs::read_to_string(catalog().join(file)).unwrap();
        let changed = before.split(from).next().unwrap().lines().count();
        let place = |line: usize| format!("{}:{line}: ", dir.join(file).display());
        // A provider is named by the line on which its table begins, a row of JSON by its own.
        let near = |fault: &&String| {
            let lines = if file.ends_with(".toml") {
                0..=changed
            } else {
                changed.max(1) - 1..=changed + 1
            };
            lines
                .into_iter()
                .any(|line| fault.starts_with(&place(line)))
        };
        let named = faults.iter().find(|fault| fault.contains(why));
        assert!(named.as_ref().is_some_and(near), "{name}: {faults:#?}");
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn names_are_one_only_when_their_letters_and_digits_are() {
    let naming = naming();
    let name = |id: &str| naming::key(&naming.spell(id, None).name);
    for (one, other) in [
        ("Qwen/Qwen2.5-72B-Instruct", "qwen2-5-72b-instruct"),
        ("deepseek-ai/DeepSeek-V3-1", "deepseek/deepseek-v3.1"),
        ("zai-org/GLM-5.1-FP8", "glm-5.1"),
        ("nvidia/Llama-3_1-Nemotron-X", "llama-3.1-nemotron-x"),
        ("@cf/moonshotai/kimi-k2.6", "hf:moonshotai/Kimi-K2.6"),
        ("claude-sonnet-4-5", "anthropic/claude-sonnet-4.5"),
    ] {
        assert_eq!(name(one), name(other), "{one} and {other}");
    }
    for (one, other) in [
        ("Qwen/Qwen3-235B-A22B", "Qwen/Qwen3-235B-A22B-Instruct-2507"),
        ("deepseek-v3.2", "deepseek-v3.2-exp"),
        ("glm-4.5", "glm-4.5-air"),
        ("claude-sonnet-4", "claude-sonnet-4-20250514"),
        ("llama-3.1-70b-instruct", "llama-3.3-70b-instruct"),
    ] {
        assert_ne!(name(one), name(other), "{one} and {other}");
    }
    assert_eq!(
        naming.spell("claude-opus-4-1-20250805", None).name,
        "claude-opus-4.1-20250805"
    );
    assert_eq!(
        naming.spell("claude-sonnet-4-20250514", None).name,
        "claude-sonnet-4-20250514"
    );
    assert_eq!(naming::undated("gpt-4o-2024-08-06"), Some("gpt-4o"));
    assert_eq!(
        naming::undated("claude-opus-4.1-20250805"),
        Some("claude-opus-4.1")
    );
    assert_eq!(naming::undated("mistral-large-2411"), None);
}

const SOURCE: &str = r#"{
  "models": { "meta/big-1": { "name": "Big 1", "limit": { "context": 1000 }, "modalities": { "input": ["text"], "output": ["text"] },
    "release_date": "2025-02", "knowledge": "2024-02", "reasoning": false } },
  "providers": {
    "one": { "models": {
      "org/Big-1": { "base_model": "meta/big-1", "cost": { "input": 0.0375, "output": 3e-1, "cache_input": 0.01 } },
      "big-1-fast": { "base_model": "meta/big-1", "cost": { "input": 1, "output": 2 } },
      "big-1-long": { "base_model": "meta/big-1", "limit": { "context": 9000 }, "cost": { "input": 1, "output": 2 } },
      "nocost": { "base_model": "meta/big-1" },
      "half": { "base_model": "meta/big-1", "cost": { "input": 1 } },
      "toofine": { "base_model": "meta/big-1", "cost": { "input": 0.0000000001, "output": 1 } },
      "gratis": { "base_model": "meta/big-1", "cost": { "input": 0, "output": 0.0 } },
      "some-embedding": { "base_model": "meta/big-1", "cost": { "input": 1, "output": 1 } } } },
    "two": { "models": {} } } }"#;

const OVERLAY: &str = r#"
[[provider]]
slug = "one"
name = "One"
dialect = "openai_chat"
base_url = "https://one.example/v1"
auth = { kind = "bearer" }
secret = "ONE_KEY"
[provider.import]
source = "one"
[[excluded]]
source = "two"
reason = "none"
"#;

#[test]
fn an_import_is_exact_and_says_what_it_leaves_out() {
    let dir = std::env::temp_dir().join(format!("catalog-tool-{}-import", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("providers.toml"), OVERLAY).unwrap();
    let overlay = Overlay::read(&dir.join("providers.toml"), &mut Vec::new()).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    let document: Document = serde_json::from_str(SOURCE).unwrap();
    let imported = import(&document, &overlay, &naming());
    let rows: Vec<_> = imported
        .endpoints
        .iter()
        .map(|e| {
            (
                e.model.as_str(),
                e.tag.as_str(),
                e.upstream_model_id.as_str(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("meta-llama/big-1", "one", "org/Big-1"),
            ("meta-llama/big-1", "one/fast", "big-1-fast"),
            ("meta-llama/big-1:free", "one", "gratis"),
        ]
    );
    let exact = &imported.endpoints[0].prices;
    assert_eq!(
        (exact.prompt.get(), exact.completion.get(), exact.cache_read),
        (37_500_000, 300_000_000, Some(price("0.01")))
    );
    let model = &imported.models[0];
    assert_eq!(
        (model.created, model.knowledge_cutoff.as_deref()),
        (1_738_368_000, Some("2024-02-29"))
    );
    let reasons: Vec<_> = imported
        .dropped
        .iter()
        .map(|(reason, ids)| (reason.as_str(), ids.join(", ")))
        .collect();
    assert_eq!(
        reasons,
        [
            (
                "context contradicts that of the model of this name",
                "one: big-1-long".to_owned()
            ),
            (
                "no chat model: embeddings",
                "one: some-embedding".to_owned()
            ),
            ("no price in the data", "one: nocost".to_owned()),
            (
                "price 0.0000000001: amount too precise: at most 9 decimals of a dollar",
                "one: toofine".to_owned()
            ),
            (
                "prompt or completion price missing in the data",
                "one: half".to_owned()
            ),
        ]
    );
}

#[test]
fn a_kind_of_price_that_nobody_charges_stops_the_import() {
    let source = SOURCE.replacen("\"cache_input\"", "\"per_smile\"", 1);
    let error = serde_json::from_str::<Document>(&source)
        .unwrap_err()
        .to_string();
    assert!(error.contains("per_smile"), "{error}");
}

#[test]
fn importing_again_gives_the_committed_files_byte_for_byte() {
    let shared = std::env::var_os("PATCHBAY_SHARED")
        .map_or_else(|| catalog().join("../../shared"), PathBuf::from);
    let source = shared.join("data/models-dev.json");
    if !source.exists() {
        println!("skipped: no source data beside the repository");
        return;
    }
    let record: files::Record =
        serde_json::from_str(&fs::read_to_string(catalog().join(files::RECORD)).unwrap()).unwrap();
    let (written, _) = files::imported(&catalog(), &source, &record.snapshot)
        .unwrap_or_else(|faults| panic!("{faults:?}"));
    for (name, content) in written {
        let committed = fs::read_to_string(catalog().join(name)).unwrap();
        assert!(
            committed == content,
            "{name} is not what `catalog-tool import` writes"
        );
    }
}

#[test]
fn the_compiled_catalog_is_published_pointer_last() {
    let snapshot = files::snapshot(committed()).unwrap();
    let json = serde_json::to_string(&snapshot).unwrap();
    assert_eq!(Snapshot::parse(&json).unwrap(), snapshot);
    let writes = snapshot.writes().unwrap();
    assert_eq!(
        writes.last(),
        Some(&(
            patchbay::catalog::publish::POINTER.to_owned(),
            snapshot.version.clone()
        ))
    );
    assert_eq!(writes.len(), snapshot.models.len() + 6);
    // Limits of the key-value store: 512 bytes a key, 25 MiB a value.
    assert!(
        writes
            .iter()
            .all(|(key, value)| key.len() <= 512 && value.len() < 25 << 20)
    );
}
