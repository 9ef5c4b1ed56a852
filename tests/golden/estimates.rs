//! How far the estimate of a prompt is from what providers counted, per family of models.
//!
//! `cargo test --test golden estimates -- --nocapture` prints the table that stands in `ARCHITECTURE.md`.

use std::collections::BTreeMap;

use patchbay::{
    catalog::Dialect,
    chat::{ChatRequest, Completion, Part, estimate},
    dialects::{self, StreamReader, Surface},
};
use serde_json::Value;

use super::{
    cohere_requests::said_in_chat_completions,
    gemini_reader,
    table::{self, Api},
};
use crate::common::{self, Case};

/// Beginnings and parts of models' ids, and the family whose tokenizer they have.
const FAMILIES: [(&str, &str); 26] = [
    ("gpt", "GPT"),
    ("o1", "GPT"),
    ("o3", "GPT"),
    ("o4", "GPT"),
    ("claude", "Claude"),
    ("gemini", "Gemini"),
    ("gemma", "Gemini"),
    ("qwen", "Qwen"),
    ("qwq", "Qwen"),
    ("deepseek", "DeepSeek"),
    ("llama", "Llama"),
    ("mistral", "Mistral"),
    ("ministral", "Mistral"),
    ("magistral", "Mistral"),
    ("codestral", "Mistral"),
    ("pixtral", "Mistral"),
    ("voxtral", "Mistral"),
    ("mixtral", "Mistral"),
    ("devstral", "Mistral"),
    ("command", "Cohere"),
    ("grok", "Grok"),
    ("glm", "GLM"),
    ("kimi", "Kimi"),
    ("moonshot", "Kimi"),
    ("minimax", "MiniMax"),
    ("sonar", "Sonar"),
];

/// Prompts of which a provider's own search, files or code are a part.
const UNSEEN: [&str; 12] = [
    "web_search",
    "builtin_tool",
    "code_execution",
    "stateful",
    "mcp_tool",
    "grounding",
    "url_context",
    "computer_use",
    "or_plugins",
    "cached_content",
    "file_search",
    "web_fetch",
];

fn family(model: &str) -> &'static str {
    let model = model.to_lowercase();
    let name = model.rsplit('/').next().unwrap();
    let found = FAMILIES
        .iter()
        .find(|(sign, _)| name.starts_with(sign) || (sign.len() > 2 && name.contains(sign)));
    found.map_or("other", |(_, family)| family)
}

/// The catalog's word.
fn tokenizer(family: &str) -> &str {
    match family {
        "Llama" => "Llama3",
        "Qwen" => "Qwen3",
        family => family,
    }
}

fn request(api: &Api, case: &Case) -> Option<ChatRequest> {
    let raw = case.request.as_deref()?;
    match api.dialect {
        Dialect::OpenaiChat => Surface::ChatCompletions.parse(raw).ok(),
        Dialect::AnthropicMessages => Surface::Messages.parse(raw).ok(),
        Dialect::CohereV2 => {
            let native: Value = serde_json::from_slice(raw).unwrap();
            let said = said_in_chat_completions(&native).to_string();
            Surface::ChatCompletions.parse(said.as_bytes()).ok()
        }
        Dialect::Gemini => {
            let native = gemini_reader::camel(&serde_json::from_slice(raw).unwrap());
            Some(gemini_reader::canonical(&native))
        }

        _ => None,
    }
}

fn counted(api: &Api, case: &Case) -> Option<(u64, Option<String>)> {
    let events = if case.stream {
        let mut reader = StreamReader::new(api.dialect, api.quirks);
        let mut events = Vec::new();
        reader.feed(&case.response, &mut events).ok()?;
        reader.finish(&mut events).ok()?;
        events
    } else {
        dialects::response(api.dialect, &case.response, api.quirks).ok()?
    };
    let completion = Completion::from_events(events);
    let usage = completion.usage.filter(|usage| !usage.prompt_unknown)?;
    (usage.prompt > 0).then_some((usage.prompt, completion.upstream_model))
}

/// What else than text is in a prompt: the kinds whose rules are measured apart.
fn kind(request: &ChatRequest) -> &'static str {
    let parts = || request.messages.iter().flat_map(|message| &message.parts);
    let results = || {
        parts().flat_map(|part| match part {
            Part::ToolResult { content, .. } => content.iter(),
            _ => [].iter(),
        })
    };
    let any = |is: fn(&Part) -> bool| parts().any(is) || results().any(is);
    if any(|part| matches!(part, Part::Audio { .. } | Part::Video { .. })) {
        "sound, film"
    } else if any(|part| matches!(part, Part::File { .. })) {
        "documents"
    } else if any(|part| matches!(part, Part::Image { .. })) {
        "images"
    } else if !request.tools.is_empty() {
        "tools"
    } else {
        "text"
    }
}

#[derive(Debug, Default)]
struct Errors(Vec<i64>);

impl Errors {
    /// In per mille of what was counted.
    fn add(&mut self, estimated: u64, counted: u64) {
        let (estimated, counted) = (
            i64::try_from(estimated).unwrap(),
            i64::try_from(counted).unwrap(),
        );
        self.0.push((estimated - counted) * 1000 / counted);
    }

    fn at(&self, percent: usize) -> i64 {
        let mut sizes: Vec<i64> = self.0.iter().map(|error| error.abs()).collect();
        sizes.sort_unstable();
        sizes[(sizes.len() - 1) * percent / 100]
    }

    /// The median with its sign.
    fn bias(&self) -> i64 {
        let mut errors = self.0.clone();
        errors.sort_unstable();
        errors[errors.len() / 2]
    }

    fn row(&self, name: &str) -> String {
        let percent = |error: i64| format!("{} %", error / 10);
        format!(
            "| {name} | {} | {} | {} | {} |",
            self.0.len(),
            percent(self.at(50)),
            percent(self.at(90)),
            percent(self.bias())
        )
    }
}

#[test]
fn the_estimate_of_a_prompt_is_near_what_providers_count() {
    if common::shared().is_none() {
        return;
    }
    let mut families: BTreeMap<&str, Errors> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, Errors> = BTreeMap::new();
    let mut all = Errors::default();
    for api in table::all() {
        for case in common::recorded(api.name).unwrap() {
            let unseen = case.features.iter().any(|f| UNSEEN.contains(&f.as_str()));
            if case.status >= 400 || unseen {
                continue;
            }
            let (Some(request), Some((counted, model))) =
                (request(api, &case), counted(api, &case))
            else {
                continue;
            };
            let model = model.unwrap_or_else(|| case.model.clone());
            let estimated = estimate::prompt_tokens(&request, tokenizer(family(&model)));
            if std::env::var_os("SHOW_ESTIMATES").is_some() {
                println!(
                    "{} {} {estimated} {counted} {} {}",
                    family(&model),
                    kind(&request),
                    api.name,
                    case.name
                );
            }
            for errors in [
                families.entry(family(&model)).or_default(),
                kinds.entry(kind(&request)).or_default(),
                &mut all,
            ] {
                errors.add(estimated, counted);
            }
        }
    }
    println!("| prompts | n | median error | 90th percentile | bias |\n|---|--:|--:|--:|--:|");
    for (name, errors) in families.iter().chain(&kinds) {
        println!("{}", errors.row(name));
    }
    println!("{}", all.row("all"));
    // Bounds that a change for the worse breaks; the table says what it is.
    assert!(
        all.at(50) < 300 && all.bias().abs() < 150,
        "the estimate went off"
    );
}
