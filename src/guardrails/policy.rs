//! The guardrails that hold for a key, and what they say of an endpoint.

use std::{cell::OnceCell, rc::Rc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    filters::{Filters, PatternCache},
    settings::{DataRegion, Settings},
};
use crate::catalog::{Endpoint, Provider, pattern::matches};

/// Why a guardrail holds for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The account's privacy settings.
    Privacy,
    /// The account's default.
    Default,
    /// It is assigned to the key's owner.
    Member,
    /// It is assigned to the key.
    ApiKey,
}

impl Scope {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Privacy => "account_privacy",
            Self::Default => "account_default",
            Self::Member => "member",
            Self::ApiKey => "api_key",
        }
    }
}

/// A guardrail that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its id.
    pub id: String,
    /// Its owner's name for it.
    pub name: String,
    /// Why it holds.
    pub scope: Scope,
    /// What it says.
    pub settings: Settings,
}

impl Applied {
    /// It, in words for those whom it stops.
    pub fn title(&self) -> String {
        match self.scope {
            Scope::Privacy => "the account's privacy settings".to_owned(),
            _ => format!("the guardrail \"{}\"", self.name),
        }
    }
}

/// The guardrails that hold for a key.
#[derive(Debug, Default)]
pub struct Policy {
    applied: Vec<Applied>,
    filters: OnceCell<Rc<Filters>>,
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.applied == other.applied
    }
}

impl Eq for Policy {}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.applied.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::of)
    }
}

/// Why a guardrail keeps an endpoint out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The model is not among those allowed.
    AllowedModels,
    /// The model is ignored.
    IgnoredModels,
    /// The provider is not among those allowed.
    AllowedProviders,
    /// The provider is ignored.
    IgnoredProviders,
    /// It serves elsewhere, or nobody knows where.
    DataRegion,
    /// It keeps what it is sent.
    Zdr,
    /// It may train on what it is sent.
    Training,
    /// It may publish what it is sent.
    Publication,
}

/// Somebody who might serve.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The model's slug.
    pub model: &'a str,
    /// Nothing is charged.
    pub is_free: bool,
    /// Who runs it.
    pub provider: &'a Provider,
    /// Where; unknown while only a model is looked for.
    pub endpoint: Option<&'a Endpoint>,
}

impl Candidate<'_> {
    fn is_of(&self, name: &str) -> bool {
        let provider = self.provider;
        match self.endpoint {
            Some(endpoint) => endpoint.answers_to(name) || provider.answers_to(name),
            None => provider.answers_to(name.split('/').next().unwrap_or_default()),
        }
    }
}

impl Policy {
    /// The policy of these guardrails, in any order.
    pub fn of(mut applied: Vec<Applied>) -> Self {
        applied.sort_by(|a, b| (a.scope, &a.id).cmp(&(b.scope, &b.id)));
        Self {
            applied,
            filters: OnceCell::new(),
        }
    }

    /// The guardrails, those of the account first.
    pub fn guardrails(&self) -> &[Applied] {
        &self.applied
    }

    /// Which guardrail keeps this one out, and why, if any does.
    pub fn denial(&self, candidate: &Candidate<'_>) -> Option<(Denial, &Applied)> {
        self.applied
            .iter()
            .find_map(|one| Some((denial(&one.settings, candidate)?, one)))
    }

    /// Whether requests for a model go to providers that keep nothing.
    pub fn enforces_zdr(&self, model: &str) -> bool {
        self.applied.iter().any(|one| is_zdr(&one.settings, model))
    }

    /// Its content filters, compiled; nothing where it has none.
    pub fn filters(&self, patterns: &PatternCache) -> Option<Rc<Filters>> {
        let filters = self
            .filters
            .get_or_init(|| Rc::new(Filters::of(&self.applied, patterns)));
        (!filters.is_empty()).then(|| Rc::clone(filters))
    }
}

fn denial(settings: &Settings, candidate: &Candidate<'_>) -> Option<Denial> {
    let of_model = |names: &[String]| names.iter().any(|name| matches(name, candidate.model));
    let of_provider = |names: &[String]| names.iter().any(|name| candidate.is_of(name));
    if settings
        .allowed_models
        .as_deref()
        .is_some_and(|names| !of_model(names))
    {
        return Some(Denial::AllowedModels);
    }
    if settings.ignored_models.as_deref().is_some_and(of_model) {
        return Some(Denial::IgnoredModels);
    }
    if settings
        .allowed_providers
        .as_deref()
        .is_some_and(|names| !of_provider(names))
    {
        return Some(Denial::AllowedProviders);
    }
    // Where only a model is looked for, one endpoint of a provider does not mean the provider.
    let of_whole = |names: &[String]| {
        let mut names = names
            .iter()
            .filter(|name| candidate.endpoint.is_some() || !name.contains('/'));
        names.any(|name| candidate.is_of(name))
    };
    if settings.ignored_providers.as_deref().is_some_and(of_whole) {
        return Some(Denial::IgnoredProviders);
    }
    let regions = settings.allowed_data_regions.as_deref();
    if regions.is_some_and(|regions| !regions.contains(&DataRegion::of(candidate.provider))) {
        return Some(Denial::DataRegion);
    }
    let policy = &candidate.provider.data_policy;
    if is_zdr(settings, candidate.model) && !policy.is_zdr() {
        let may_keep = match author(candidate.model) {
            "google" => settings.allow_safety_retention_google,
            _ => settings.allow_safety_retention_other,
        };
        // Kept for a short time to find abuse, which is all that is known of such retention.
        if may_keep != Some(true) || policy.collects_data() {
            return Some(Denial::Zdr);
        }
    }
    // What is not known counts as the worst.
    let trains = policy.training != Some(false);
    let may_train = if candidate.is_free {
        settings.enable_free_model_training
    } else {
        settings.enable_paid_model_training
    };
    if trains && may_train == Some(false) {
        return Some(Denial::Training);
    }
    // Who does not even train on it does not publish it; of others nothing is known.
    let may_publish = settings.enable_free_model_publication != Some(false);
    (candidate.is_free && trains && !may_publish).then_some(Denial::Publication)
}

fn author(model: &str) -> &str {
    model.split('/').next().unwrap_or_default()
}

fn is_zdr(settings: &Settings, model: &str) -> bool {
    let of_group = match author(model) {
        "anthropic" => settings.enforce_zdr_anthropic,
        "openai" => settings.enforce_zdr_openai,
        "google" => settings.enforce_zdr_google,
        "x-ai" => settings.enforce_zdr_xai,
        _ => settings.enforce_zdr_other,
    };
    of_group == Some(true)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::guardrails::{Fields, read};

    fn settings(body: &Value) -> Settings {
        let mut settings = Settings::default();
        let body: &Map<String, Value> = body.as_object().unwrap();
        read(&mut settings, body, Fields::Guardrail).unwrap();
        settings
    }

    fn applied(name: &str, scope: Scope, body: &Value) -> Applied {
        Applied {
            id: name.to_owned(),
            name: name.to_owned(),
            scope,
            settings: settings(body),
        }
    }

    fn provider(slug: &str, policy: Value) -> Provider {
        serde_json::from_value(json!({
            "slug": slug, "name": slug.to_uppercase(), "dialect": "openai_chat", "base_url": "https://a.example",
            "auth": {"kind": "bearer"}, "secret": "KEY", "data_policy": policy,
        }))
        .unwrap()
    }

    #[test]
    fn each_setting_keeps_out_what_it_says() {
        use Denial::*;
        let zdr = json!({"training": false, "retention_days": 0});
        let short = json!({"training": false, "retention_days": 30});
        let long = json!({"training": false, "retention_days": 31});
        let trains = json!({"training": true, "retention_days": 0});
        let unknown = json!({});
        for (body, model, is_free, policy, expected) in [
            (json!({}), "openai/gpt", false, &unknown, None),
            (
                json!({"allowed_models": ["openai/gpt"]}),
                "openai/gpt",
                false,
                &zdr,
                None,
            ),
            (
                json!({"allowed_models": ["openai/gpt"]}),
                "openai/gpt-5",
                false,
                &zdr,
                Some(AllowedModels),
            ),
            (
                json!({"allowed_models": ["openai/*"]}),
                "openai/gpt-5",
                false,
                &zdr,
                None,
            ),
            (
                json!({"ignored_models": ["*:free"]}),
                "a/b:free",
                true,
                &zdr,
                Some(IgnoredModels),
            ),
            (
                json!({"allowed_providers": ["one", "two"]}),
                "a/b",
                false,
                &zdr,
                None,
            ),
            (
                json!({"allowed_providers": ["ONE"]}),
                "a/b",
                false,
                &zdr,
                None,
            ),
            (
                json!({"allowed_providers": ["two"]}),
                "a/b",
                false,
                &zdr,
                Some(AllowedProviders),
            ),
            (
                json!({"ignored_providers": ["One"]}),
                "a/b",
                false,
                &zdr,
                Some(IgnoredProviders),
            ),
            (
                json!({"allowed_data_regions": ["europe", "us"]}),
                "a/b",
                false,
                &zdr,
                Some(DataRegion),
            ),
            (
                json!({"allowed_data_regions": ["global"]}),
                "a/b",
                false,
                &zdr,
                None,
            ),
            (
                json!({"enforce_zdr_openai": true}),
                "openai/gpt",
                false,
                &short,
                Some(Zdr),
            ),
            (
                json!({"enforce_zdr_openai": true}),
                "openai/gpt",
                false,
                &zdr,
                None,
            ),
            (
                json!({"enforce_zdr_openai": true}),
                "google/gemini",
                false,
                &unknown,
                None,
            ),
            (
                json!({"enforce_zdr_google": true}),
                "google/gemini",
                false,
                &unknown,
                Some(Zdr),
            ),
            (
                json!({"enforce_zdr_anthropic": true}),
                "anthropic/claude",
                false,
                &short,
                Some(Zdr),
            ),
            (
                json!({"enforce_zdr_xai": true}),
                "x-ai/grok",
                false,
                &short,
                Some(Zdr),
            ),
            (
                json!({"enforce_zdr_other": true}),
                "x-ai/grok",
                false,
                &short,
                None,
            ),
            (
                json!({"enforce_zdr_other": true}),
                "meta/llama",
                false,
                &short,
                Some(Zdr),
            ),
            (
                json!({"enforce_zdr_other": true, "allow_safety_retention_other": true}),
                "meta/llama",
                false,
                &short,
                None,
            ),
            (
                json!({"enforce_zdr_other": true, "allow_safety_retention_other": true}),
                "meta/llama",
                false,
                &long,
                Some(Zdr),
            ),
            (
                json!({"enforce_zdr_other": true, "allow_safety_retention_other": true}),
                "meta/llama",
                false,
                &trains,
                Some(Zdr),
            ),
            (
                json!({"enforce_zdr_google": true, "allow_safety_retention_other": true}),
                "google/gemini",
                false,
                &short,
                Some(Zdr),
            ),
            (
                json!({"enforce_zdr_google": true, "allow_safety_retention_google": true}),
                "google/gemini",
                false,
                &short,
                None,
            ),
            (
                json!({"enable_paid_model_training": false}),
                "a/b",
                false,
                &trains,
                Some(Training),
            ),
            (
                json!({"enable_paid_model_training": false}),
                "a/b",
                false,
                &unknown,
                Some(Training),
            ),
            (
                json!({"enable_paid_model_training": false}),
                "a/b",
                false,
                &long,
                None,
            ),
            (
                json!({"enable_paid_model_training": false}),
                "a/b",
                true,
                &trains,
                None,
            ),
            (
                json!({"enable_free_model_training": false}),
                "a/b",
                true,
                &trains,
                Some(Training),
            ),
            (
                json!({"enable_free_model_training": false}),
                "a/b",
                false,
                &trains,
                None,
            ),
            (
                json!({"enable_free_model_publication": false}),
                "a/b",
                true,
                &unknown,
                Some(Publication),
            ),
            (
                json!({"enable_free_model_publication": false}),
                "a/b",
                true,
                &zdr,
                None,
            ),
            (
                json!({"enable_free_model_publication": false}),
                "a/b",
                false,
                &unknown,
                None,
            ),
        ] {
            let provider = provider("one", policy.clone());
            let candidate = Candidate {
                model,
                is_free,
                provider: &provider,
                endpoint: None,
            };
            assert_eq!(
                denial(&settings(&body), &candidate),
                expected,
                "{body} {model} {policy}"
            );
        }
    }

    #[test]
    fn the_catalog_knows_the_region_of_regional_hosts() {
        for (within, region) in [("eu-", DataRegion::Europe), ("us-", DataRegion::Us)] {
            let mut one = provider("bedrock", json!({}));
            one.auth = serde_json::from_value(json!({
                "kind": "sig_v4", "service": "bedrock", "region": "AWS_REGION", "within": within,
            }))
            .unwrap();
            assert_eq!(DataRegion::of(&one), region);
        }
    }

    #[test]
    fn lists_that_allow_intersect_and_the_guardrail_that_excludes_is_named() {
        let one = provider("one", json!({}));
        let policy = Policy::of(vec![
            applied(
                "key",
                Scope::ApiKey,
                &json!({"allowed_models": ["a/x", "a/y"]}),
            ),
            applied(
                "account",
                Scope::Default,
                &json!({"allowed_models": ["a/y", "a/z"]}),
            ),
            applied("person", Scope::Member, &json!({"enforce_zdr_other": true})),
        ]);
        let denial = |model: &str| {
            let candidate = Candidate {
                model,
                is_free: false,
                provider: &one,
                endpoint: None,
            };
            policy
                .denial(&candidate)
                .map(|(reason, by)| (reason, by.name.as_str()))
        };
        assert_eq!(denial("a/x"), Some((Denial::AllowedModels, "account")));
        assert_eq!(denial("a/z"), Some((Denial::Zdr, "person")));
        assert_eq!(denial("a/y"), Some((Denial::Zdr, "person")));
        assert!(policy.enforces_zdr("a/y") && !policy.enforces_zdr("openai/y"));
    }

    #[test]
    fn a_policy_travels_as_json() {
        let policy = Policy::of(vec![applied(
            "x",
            Scope::Member,
            &json!({"limit_usd": 5, "reset_interval": "daily", "content_filters": [{"pattern": "a", "action": "flag"}]}),
        )]);
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    }
}
