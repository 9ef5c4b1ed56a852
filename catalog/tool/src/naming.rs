//! Which upstream ids mean the same model, and what it is called here.
//!
//! In scope: `naming.toml` and the spelling rules over it. Two ids mean one model only when their names are equal once
//! case, separators and words about the deployment (precision, speed) are set aside. Out of scope: limits and prices.

use std::collections::BTreeMap;
use std::path::Path;

use patchbay::catalog::{Quantization, pattern::matches};
use serde::Deserialize;

use crate::overlay::Import;
use crate::rows::{Fault, text};

/// Words in the paths of upstream ids that name no organisation.
const FOLDERS: [&str; 7] = [
    "@cf", "accounts", "hf", "models", "pro", "public", "routers",
];

/// `naming.toml`: see the comments there.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Naming {
    /// Organisation, as hosts spell it → author.
    pub authors: BTreeMap<String, String>,
    /// Author → display name.
    pub author_names: BTreeMap<String, String>,
    /// Beginning of a name → author.
    pub families: BTreeMap<String, String>,
    /// Beginning of a name → tokenizer.
    pub tokenizers: BTreeMap<String, String>,
    /// Beginning of a name → what it is written as.
    pub prefixes: BTreeMap<String, String>,
    /// Name → name.
    pub names: BTreeMap<String, String>,
    /// End of a name → precision of the weights.
    pub quantizations: BTreeMap<String, Quantization>,
    /// Ends of a name that say nothing about the model.
    pub deployments: Vec<String>,
    /// Ends of a name that say how fast it is served.
    pub variants: Vec<String>,
    /// Beginnings of names whose last two digits are a version: `-4-5` is 4.5.
    pub dotted: Vec<String>,
    /// Names that are no chat models.
    pub not_chat: Vec<NotChat>,
    /// Single ids that no rule gets right.
    pub identities: Vec<Identity>,
    /// Alias → slug.
    pub aliases: BTreeMap<String, String>,
    /// Patterns of the slugs of open models whose licence lets their answers train other models.
    pub distillable: Vec<String>,
}

/// Names that are no chat models.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotChat {
    /// Patterns of names.
    pub names: Vec<String>,
    /// What they are.
    pub reason: String,
}

/// What one upstream id means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The provider's id at models.dev.
    pub source: String,
    /// The upstream id.
    pub id: String,
    /// The name; the author before a slash where the family's would be wrong.
    pub name: String,
}

/// An upstream id taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spelled {
    /// The organisation before the last slash, lower case.
    pub organisation: Option<String>,
    /// The model's name.
    pub name: String,
    /// Precision of the weights, if the id tells it.
    pub quantization: Option<Quantization>,
}

impl Naming {
    /// Reads `naming.toml`.
    ///
    /// # Errors
    /// When the file cannot be read or has another shape.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        toml::from_str(&text(path)?)
            .map_err(|error| Fault::of_file(path, error.to_string().trim_end()))
    }

    /// Takes an upstream id apart.
    pub fn spell(&self, id: &str, import: Option<&Import>) -> Spelled {
        let lower = id.to_lowercase();
        let (path, last) = lower
            .rsplit_once('/')
            .map_or((None, lower.as_str()), |(path, last)| (Some(path), last));
        let mut name = last.strip_prefix("hf:").unwrap_or(last).to_owned();
        if let Some(import) = import {
            if let Some(rest) = import
                .strip_prefixes
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix.as_str()))
            {
                name = rest.to_owned();
            }
            if let Some(rest) = import
                .strip_suffixes
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix.as_str()))
            {
                name = rest.to_owned();
            }
            if import.p_for_dot {
                name = between_digits(&name, 'p', '.');
            }
        }
        name = between_digits(&name, '_', '.').replace(['_', ' ', ':', '@'], "-");
        if let Some((prefix, written)) = self
            .prefixes
            .iter()
            .find(|(prefix, _)| name.starts_with(prefix.as_str()))
        {
            name = name.replacen(prefix.as_str(), written, 1);
        }
        let quantization = self.strip_deployment(&mut name);
        if self
            .dotted
            .iter()
            .any(|family| name.starts_with(family.as_str()))
        {
            name = dotted(&name);
        }
        let name = self.names.get(&name).cloned().unwrap_or(name);
        // `accounts/fireworks/models/x`, `@cf/meta/x`, `Pro/zai-org/x`: the first word that names an organisation.
        let named = |word: &&str| !FOLDERS.contains(word);
        let organisation = path
            .and_then(|path| path.split(['/', ':']).find(named))
            .map(str::to_owned);
        Spelled {
            organisation,
            name,
            quantization,
        }
    }

    /// The name without the word for its speed, and that word: `kimi-k2.6-fast` → `kimi-k2.6`, `fast`.
    pub fn without_variant<'a>(&'a self, name: &'a str) -> Option<(&'a str, &'a str)> {
        self.variants.iter().find_map(|variant| {
            Some((
                name.strip_suffix(variant.as_str())?.strip_suffix('-')?,
                variant.as_str(),
            ))
        })
    }

    /// The author of a name: by its family, else by the organisation that the host names, else the host.
    pub fn author(&self, spelled: &Spelled, provider: &str) -> String {
        let organisation = spelled.organisation.as_deref().unwrap_or(provider);
        let known =
            longest(&self.families, &spelled.name).or_else(|| self.authors.get(organisation));
        known
            .cloned()
            .unwrap_or_else(|| organisation.replace('_', "-"))
    }

    /// The tokenizer of a name.
    pub fn tokenizer(&self, name: &str) -> String {
        longest(&self.tokenizers, name)
            .cloned()
            .unwrap_or_else(|| "Other".to_owned())
    }

    /// An author's display name.
    pub fn author_name<'a>(&'a self, author: &'a str) -> &'a str {
        self.author_names.get(author).map_or(author, String::as_str)
    }

    /// Why a name is no chat model.
    pub fn not_chat(&self, name: &str) -> Option<&str> {
        let is = |rule: &&NotChat| rule.names.iter().any(|pattern| matches(pattern, name));
        self.not_chat
            .iter()
            .find(is)
            .map(|rule| rule.reason.as_str())
    }

    /// What a single id means, when no rule gets it right.
    pub fn identity(&self, source: &str, id: &str) -> Option<&str> {
        self.identities
            .iter()
            .find(|i| i.source == source && i.id == id)
            .map(|i| i.name.as_str())
    }

    /// Cuts words about precision and deployment off the end.
    fn strip_deployment(&self, name: &mut String) -> Option<Quantization> {
        let mut found = None;
        loop {
            let quantized = self
                .quantizations
                .iter()
                .find(|(end, _)| name.ends_with(&format!("-{end}")));
            let deployed = self
                .deployments
                .iter()
                .find(|end| name.ends_with(&format!("-{end}")));
            let length = match (quantized, deployed) {
                (Some((end, quantization)), _) => {
                    found = Some(*quantization);
                    end.len()
                }
                (None, Some(end)) => end.len(),
                (None, None) => return found,
            };
            name.truncate(name.len() - length - 1);
        }
    }
}

/// The name reduced to what identifies it: letters and digits.
pub fn key(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The name without a date at its end (`-20250929`, `-2024-08-06`).
pub fn undated(name: &str) -> Option<&str> {
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let (rest, last) = name.rsplit_once('-')?;
    if digits(last, 8) && last.starts_with("20") {
        return Some(rest);
    }
    let (rest, month) = rest.rsplit_once('-')?;
    let (rest, year) = rest.rsplit_once('-')?;
    (digits(last, 2) && digits(month, 2) && digits(year, 4)).then_some(rest)
}

fn longest<'a>(table: &'a BTreeMap<String, String>, name: &str) -> Option<&'a String> {
    table
        .iter()
        .filter(|(prefix, _)| name.starts_with(prefix.as_str()))
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, v)| v)
}

/// Replaces `from` by `to` where it stands between two digits.
fn between_digits(name: &str, from: char, to: char) -> String {
    let letters: Vec<char> = name.chars().collect();
    let digit = |at: Option<usize>| {
        at.and_then(|at| letters.get(at))
            .is_some_and(char::is_ascii_digit)
    };
    let swap = |(at, c): (usize, &char)| {
        if *c == from && digit(at.checked_sub(1)) && digit(Some(at + 1)) {
            to
        } else {
            *c
        }
    };
    letters.iter().enumerate().map(swap).collect()
}

/// `claude-sonnet-4-5-20250929` → `claude-sonnet-4.5-20250929`: two single digits side by side are a version.
fn dotted(name: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for word in name.split('-') {
        let single = word.len() == 1 && word.bytes().all(|b| b.is_ascii_digit());
        match words.last_mut() {
            Some(version) if open && single => {
                version.push('.');
                version.push_str(word);
                open = false;
            }
            _ => {
                words.push(word.to_owned());
                open = single;
            }
        }
    }
    words.join("-")
}
