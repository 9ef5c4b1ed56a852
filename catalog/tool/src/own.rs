//! `own`: rows for a model that a deployment runs itself, at no price.
//!
//! The rows stand in `own/`, which belongs to the deployment and not to the repository. A model that costs nothing is called
//! `provider/model:free`, like any other; the name without the suffix is an alias for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use patchbay::catalog::Parameter;
use serde_json::{Value, json};

use crate::files::{ALIASES, ENDPOINTS, MODELS, OWN};

/// Parameters that hosts of one's own take.
const PARAMETERS: [&str; 10] = [
    "frequency_penalty",
    "max_completion_tokens",
    "max_tokens",
    "presence_penalty",
    "response_format",
    "seed",
    "stop",
    "structured_outputs",
    "temperature",
    "top_p",
];

/// Adds a model, or takes the place of the one of this name.
///
/// # Errors
/// What is missing or wrong.
pub fn add(dir: &Path, options: &BTreeMap<String, String>) -> Result<String, Vec<String>> {
    let needed = |name: &str| {
        let value = options.get(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| vec![format!("own needs --{name}")])
    };
    let (provider, id) = (needed("provider")?, needed("model")?);
    let context: u64 = needed("context")?
        .parse()
        .map_err(|_| vec!["--context is a number of tokens".to_owned()])?;
    let features = options
        .get("features")
        .map(String::as_str)
        .unwrap_or_default();
    let features: Vec<&str> = features
        .split(',')
        .filter(|word| !word.is_empty())
        .collect();
    if let Some(word) = features
        .iter()
        .find(|word| !["tools", "vision", "reasoning"].contains(word))
    {
        return Err(vec![format!(
            "unknown feature {word}: tools, vision or reasoning"
        )]);
    }
    let name = alias(provider, id);
    let slug = format!("{name}:free");
    let row = endpoint(&slug, provider, id, context, &features);
    let folder = dir.join(OWN);
    let failed = |error: std::io::Error| vec![format!("{}: {error}", folder.display())];
    fs::create_dir_all(&folder).map_err(failed)?;
    for (file, key, row) in [
        (MODELS, "slug", model(&slug, id, context, &row)),
        (ENDPOINTS, "model", row),
        (ALIASES, "alias", json!({"alias": name, "model": slug})),
    ] {
        let path = folder.join(file);
        let known = if path.exists() {
            fs::read_to_string(&path).map_err(failed)?
        } else {
            String::new()
        };
        let is_other = |line: &&str| {
            let other: Value = serde_json::from_str(line).unwrap_or_default();
            other.get(key) != row.get(key)
        };
        let kept: String = known
            .lines()
            .filter(is_other)
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(&path, format!("{kept}{row}\n")).map_err(failed)?;
    }
    Ok(format!(
        "{name} is {id} at {provider}; compile and publish the catalog to offer it"
    ))
}

/// `ollama/llama3.2-3b` for Ollama's `llama3.2:3b`.
fn alias(provider: &str, id: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || ".-".contains(c) {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let name: String = id.chars().map(plain).collect();
    format!("{provider}/{}", name.trim_matches(['-', '.']))
}

fn model(slug: &str, id: &str, context: u64, endpoint: &Value) -> Value {
    #[expect(clippy::disallowed_methods, reason = "this program never runs in wasm")]
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |since| since.as_secs());
    json!({
        "slug": slug, "canonical_slug": slug, "name": format!("{id} (free)"),
        "description": "A model that the operator of this gateway runs.", "created": now, "context_length": context,
        "input_modalities": endpoint["input_modalities"], "output_modalities": ["text"], "tokenizer": "Other",
    })
}

fn endpoint(slug: &str, provider: &str, id: &str, context: u64, features: &[&str]) -> Value {
    let mut parameters = PARAMETERS.to_vec();
    if features.contains(&"tools") {
        parameters.extend(["tools", "tool_choice", "parallel_tool_calls"]);
    }
    let reasons = features.contains(&"reasoning");
    if reasons {
        parameters.extend(["include_reasoning", "reasoning", "reasoning_effort"]);
    }
    // In the order of all rows.
    let parameters = Parameter::ALL
        .iter()
        .copied()
        .filter(|p| parameters.contains(&p.as_str()));
    let parameters: Vec<Parameter> = parameters.collect();
    let input: &[&str] = if features.contains(&"vision") {
        &["text", "image"]
    } else {
        &["text"]
    };
    let mut row = json!({
        "model": slug, "provider": provider, "tag": provider, "upstream_model_id": id, "context_length": context,
        "prices": {"prompt": 0, "completion": 0}, "supported_parameters": parameters,
        "input_modalities": input, "output_modalities": ["text"],
    });
    if reasons && let Some(row) = row.as_object_mut() {
        row.insert(
            "reasoning".to_owned(),
            json!({"efforts": ["high", "medium", "low", "none"]}),
        );
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    /// A copy of the committed catalog's own providers, without its models.
    fn folder(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("patchbay-own-{name}-{}", std::process::id()));
        fs::create_dir_all(dir.join("local")).unwrap();
        let providers = r#"
[[provider]]
slug = "ollama"
name = "Ollama"
dialect = "openai_chat"
base_url = "${OLLAMA_BASE_URL}/v1"
auth = { kind = "bearer" }
secret = "OLLAMA_API_KEY"
secret_optional = true
"#;
        fs::write(dir.join("providers.toml"), providers).unwrap();
        for file in [
            "models.jsonl",
            "endpoints.jsonl",
            "aliases.jsonl",
            "local/models.jsonl",
            "local/endpoints.jsonl",
        ] {
            fs::write(dir.join(file), "").unwrap();
        }
        dir
    }

    #[test]
    fn a_model_of_ones_own_is_offered_where_its_address_is_set() {
        let dir = folder("offered");
        let options = |id: &str, features: &str| {
            let pairs = [
                ("provider", "ollama"),
                ("model", id),
                ("context", "8192"),
                ("features", features),
            ];
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        add(&dir, &options("llama3.2:3b", "tools")).unwrap();
        add(&dir, &options("qwen3:8b", "reasoning,vision")).unwrap();
        add(&dir, &options("llama3.2:3b", "tools,vision")).unwrap();
        let snapshot = files::snapshot(files::load(&dir).unwrap()).unwrap();
        let slugs: Vec<_> = snapshot
            .models
            .iter()
            .map(|model| model.slug.as_str())
            .collect();
        assert_eq!(slugs, ["ollama/llama3.2-3b:free", "ollama/qwen3-8b:free"]);
        assert_eq!(
            snapshot.aliases["ollama/llama3.2-3b"],
            "ollama/llama3.2-3b:free"
        );
        let offered = |variables: &[&str]| {
            let has = |name: &str| variables.contains(&name);
            snapshot
                .clone()
                .restricted(|provider| provider.is_callable(has))
                .unwrap()
                .models
                .len()
        };
        assert_eq!(
            (offered(&["OLLAMA_BASE_URL"]), offered(&["OLLAMA_API_KEY"])),
            (2, 0)
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_missing_or_unknown_is_told() {
        for (options, words) in [
            (vec![("model", "a"), ("context", "1")], "--provider"),
            (vec![("provider", "ollama"), ("model", "a")], "--context"),
            (
                vec![("provider", "ollama"), ("model", "a"), ("context", "many")],
                "number",
            ),
            (
                vec![
                    ("provider", "ollama"),
                    ("model", "a"),
                    ("context", "1"),
                    ("features", "song"),
                ],
                "song",
            ),
        ] {
            let options = options
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            let told = add(Path::new("nowhere"), &options.collect()).unwrap_err();
            assert!(told[0].contains(words), "{told:?}");
        }
    }
}
