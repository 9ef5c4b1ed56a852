//! What a guardrail says, as it is stored. What is not there restricts nothing.

use serde::{Deserialize, Serialize};

use super::detect::Builtin;
use crate::{
    catalog::Provider,
    credits::{money::Nanos, periods::Reset},
};

/// The settings of a guardrail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the words are the wire's own")]
pub struct Settings {
    /// `limit_usd`: what each key and each member that it holds for may spend per period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Nanos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_interval: Option<Reset>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_byok_in_budgets: bool,
    /// Slugs; `*` stands for anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_models: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored_models: Option<Vec<String>>,
    /// As in `provider.only`; the name of a provider means all its tiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_providers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored_providers: Option<Vec<String>>,
    /// Ids of tools, their providers, categories or capabilities; `*` stands for anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored_tools: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_data_regions: Option<Vec<DataRegion>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_zdr_anthropic: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_zdr_openai: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_zdr_google: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_zdr_xai: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_zdr_other: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_free_model_training: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_paid_model_training: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_free_model_publication: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_safety_retention_google: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_safety_retention_other: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content_filters: Vec<ContentFilter>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content_filter_builtins: Vec<BuiltinFilter>,
}

/// Where a provider keeps and works on what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataRegion {
    /// The European Union.
    Europe,
    /// The United States.
    Us,
    /// Anywhere: nothing narrower is known.
    Global,
}

impl DataRegion {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Europe, Self::Us, Self::Global];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Europe => "europe",
            Self::Us => "us",
            Self::Global => "global",
        }
    }

    /// Where a provider's models are served, as far as the catalog knows.
    pub fn of(provider: &Provider) -> Self {
        match provider.auth.within() {
            Some(start) if start.starts_with("eu-") => Self::Europe,
            Some(start) if start.starts_with("us-") => Self::Us,
            _ => Self::Global,
        }
    }
}

/// What becomes of a request whose text a filter finds; the later the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It goes on, and it is told that something was found.
    Flag,
    /// What was found is replaced by a mark.
    Redact,
    /// It is refused.
    Block,
}

impl Action {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Redact => "redact",
            Self::Block => "block",
        }
    }

    /// The action of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Flag, Self::Redact, Self::Block]
            .into_iter()
            .find(|action| action.as_str() == word)
    }
}

/// Whose words a filter reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanScope {
    /// What users say.
    UserOnly,
    /// What everybody says: instructions, models, tools too.
    #[default]
    AllMessages,
}

impl ScanScope {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserOnly => "user_only",
            Self::AllMessages => "all_messages",
        }
    }

    /// The scope of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::UserOnly, Self::AllMessages]
            .into_iter()
            .find(|scope| scope.as_str() == word)
    }
}

/// A filter of the account's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentFilter {
    /// A regular expression: see [`crate::regex`].
    pub pattern: String,
    /// What becomes of what it finds.
    pub action: Action,
    /// The mark that replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl ContentFilter {
    /// The mark that replaces what is found.
    pub fn mark(&self) -> &str {
        self.label.as_deref().unwrap_or("[REDACTED]")
    }
}

/// A filter of the gateway's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltinFilter {
    /// What it looks for.
    pub slug: Builtin,
    /// What becomes of what it finds.
    pub action: Action,
    /// Whose words it reads.
    #[serde(default)]
    pub scan_scope: ScanScope,
}
