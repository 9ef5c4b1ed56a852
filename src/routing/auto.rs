//! Which model? For requests that name a router instead of one: `openrouter/auto`, `openrouter/free`.
//!
//! The task is classified; of the models that can serve, those within the asked band of prices are kept; the most skilled at the
//! task comes first and the next two are its fallbacks. Skills come from public figures, and what this gateway measured
//! counts against a model that fails. Spec: OpenRouter's auto router. Out of scope: which endpoint serves the model (`plan`).

mod classify;

pub use classify::classify;

use serde_json::{Value, json};

use super::{needs, statistics::Statistics};
use crate::{
    catalog::{
        Modality, Parameter,
        pattern::matches,
        skills::{Candidate, Skill},
    },
    chat::ChatRequest,
    error::{Error, ErrorType, Next, Result, Source},
};

/// Models that a router names: the first choice and its fallbacks.
pub const CHOICES: usize = 3;
/// Length of an answer that prices are compared at, in tokens.
const TYPICAL_ANSWER: u64 = 700;
/// What each per cent of failed attempts takes from a skill, in hundredths of a logit: a model that fails on every tenth is
/// no longer preferred to one whose odds are 2.7 times lower.
const FAILURE_PENALTY: i32 = 10;
/// The same for answers with broken tool calls, where the request has tools.
const TOOL_ERROR_PENALTY: i32 = 5;
/// Attempts from which on measurements count.
const MIN_ATTEMPTS: u64 = 20;
/// The most patterns of a list.
const MAX_PATTERNS: usize = 1_024;

/// A name that stands for a choice among models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Router {
    /// The most skilled model within a band of prices.
    Auto,
    /// Any model that costs nothing.
    Free,
}

impl Router {
    /// The router of this name, and the suffixes behind the name: they are said of each model that it chooses.
    pub fn parse(name: &str) -> Option<(Self, &str)> {
        let (base, suffix) = name.split_at(name.find(':').unwrap_or(name.len()));
        let router = match base.to_ascii_lowercase().as_str() {
            "openrouter/auto" | "openrouter/auto-beta" | "patchbay/auto" => Self::Auto,
            "openrouter/free" | "patchbay/free" => Self::Free,
            _ => return None,
        };
        Some((router, suffix))
    }
}

/// A band of prices: which part of the models that can serve, from the cheapest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the words are the wire's own")]
pub enum CostTier {
    #[default]
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl CostTier {
    const ALL: [Self; 5] = [Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// Where the band begins and ends, in fifths.
    fn fifth(self) -> usize {
        self as usize
    }
}

/// What the client wants of the router: the `auto-router` plugin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// The band of prices.
    pub tier: CostTier,
    /// Only models that match one of these, where there are any. `*` stands for anything.
    pub allowed: Vec<String>,
    /// No model that matches one of these.
    pub excluded: Vec<String>,
}

impl Wishes {
    /// Reads the request's `plugins`.
    ///
    /// # Errors
    /// A wrong type or an unknown word, with its path.
    pub fn parse(plugins: Option<&Value>) -> Result<Self> {
        let mut wishes = Self::default();
        let all = plugins
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        for (at, plugin) in all.iter().enumerate() {
            let id = plugin.get("id").and_then(Value::as_str);
            if !matches!(id, Some("auto-router" | "auto-beta-router")) {
                continue;
            }
            let path = |field: &str| format!("plugins[{at}].{field}");
            if let Some(word) = present(plugin, "cost_tier") {
                let tier = CostTier::ALL.into_iter().find(|tier| word == tier.as_str());
                wishes.tier = tier.ok_or_else(|| {
                    let message = "cost_tier is low, medium, high, xhigh or max";
                    Error::invalid(path("cost_tier"), message)
                })?;
            } else if let Some(number) = present(plugin, "cost_quality_tradeoff") {
                wishes.tier = traded(number).ok_or_else(|| {
                    let message =
                        "cost_quality_tradeoff is a number from 0 (best) to 10 (cheapest)";
                    Error::invalid(path("cost_quality_tradeoff"), message)
                })?;
            }
            for (field, list) in [
                ("allowed_models", &mut wishes.allowed),
                ("excluded_models", &mut wishes.excluded),
            ] {
                if let Some(value) = present(plugin, field) {
                    *list = patterns(value).ok_or_else(|| {
                        let message =
                            format!("{field} is a list of at most {MAX_PATTERNS} model patterns");
                        Error::invalid(path(field), message)
                    })?;
                }
            }
        }
        Ok(wishes)
    }

    fn admits(&self, model: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, model));
        (self.allowed.is_empty() || any(&self.allowed)) && !any(&self.excluded)
    }
}

fn present<'a>(plugin: &'a Value, field: &str) -> Option<&'a Value> {
    plugin.get(field).filter(|value| !value.is_null())
}

/// The older way to say it: 0 is the best model, 10 the cheapest.
fn traded(number: &Value) -> Option<CostTier> {
    let number = number.as_f64().filter(|n| (0.0..=10.0).contains(n))?;
    let bounds = [8.0, 6.0, 4.0, 2.0];
    let at = bounds.iter().filter(|bound| number < **bound).count();
    CostTier::ALL.get(at).copied()
}

fn patterns(value: &Value) -> Option<Vec<String>> {
    let list = value.as_array().filter(|list| list.len() <= MAX_PATTERNS)?;
    let text = |item: &Value| item.as_str().map(str::to_lowercase);
    list.iter().map(text).collect()
}

/// What the router sees beside the request.
pub struct Scene<'a> {
    /// Every model.
    pub pool: &'a [Candidate],
    /// Whether a provider (by its slug) can be called for this account and model, which is free or not.
    pub is_callable: &'a dyn Fn(&str, &str, bool) -> bool,
    /// What was measured.
    pub statistics: &'a Statistics,
    /// Decides where chance decides.
    pub seed: u64,
    /// The model that the conversation was served by: it stays while it is a candidate.
    pub remembered: Option<&'a str>,
}

/// What the router chose, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Who chose.
    pub router: Router,
    /// What the request asks for most.
    pub skill: Skill,
    /// The band that was chosen from.
    pub tier: CostTier,
    /// How many models could serve.
    pub candidates: usize,
    /// How many of them were within the band.
    pub in_band: usize,
    /// The first choice, then its fallbacks.
    pub models: Vec<String>,
    /// Those of them that have no public figures and count as their predecessors.
    pub inherited: Vec<String>,
}

impl Choice {
    /// For `POST /route`.
    pub fn explain(&self) -> Value {
        json!({
            "skill": self.skill.as_str(),
            "cost_tier": self.tier.as_str(),
            "candidates": self.candidates,
            "in_band": self.in_band,
            "models": self.models,
            "by_predecessor": self.inherited,
            "summary": self.summary(),
        })
    }

    /// In words, for the response.
    pub fn summary(&self) -> String {
        let Self { candidates, .. } = self;
        let skill = self.skill.as_str();
        match self.router {
            Router::Auto => format!(
                "best at {skill} of {} models in the {} price band, of {candidates} that can serve{}",
                self.in_band,
                self.tier.as_str(),
                match self.models.first() {
                    Some(first) if self.inherited.contains(first) =>
                        "; without public figures of its own it counts as its predecessor",
                    _ => "",
                }
            ),
            Router::Free => format!("one of {candidates} free models that can serve"),
        }
    }
}

/// Chooses models for a request that names a router.
///
/// # Errors
/// 404 where no model matches.
pub fn choose(
    router: Router,
    request: &ChatRequest,
    prompt_tokens: u64,
    wishes: &Wishes,
    scene: &Scene<'_>,
) -> Result<Choice> {
    let skill = classify(request);
    let wanted = Wanted::of(request, prompt_tokens);
    let able = scene.pool.iter().filter(|candidate| {
        let kind = match router {
            // The free twin of a model has limits of its own and is chosen by its name only.
            Router::Auto => candidate.skills.is_some() && !candidate.is_free(),
            Router::Free => candidate.is_free(),
        };
        kind && wanted.is_met(candidate)
            && wishes.admits(&candidate.model)
            && candidate
                .providers
                .iter()
                .any(|slug| (scene.is_callable)(slug, &candidate.model, candidate.is_free()))
    });
    let mut able: Vec<&Candidate> = able.collect();
    let candidates = able.len();
    match router {
        Router::Auto => {
            able.sort_by_key(|candidate| (price(candidate, prompt_tokens), &candidate.model));
            able = band(&able, wishes.tier);
            let worth = |candidate: &Candidate| worth(candidate, skill, scene.statistics);
            able.sort_by_cached_key(|candidate| std::cmp::Reverse(worth(candidate)));
        }
        Router::Free => able.sort_by_cached_key(|candidate| lot(scene.seed, &candidate.model)),
    }
    if let Some(at) = able
        .iter()
        .position(|candidate| Some(candidate.model.as_str()) == scene.remembered)
    {
        let remembered = able.remove(at);
        able.insert(0, remembered);
    }
    if able.is_empty() {
        return Err(Error::new(
            Source::Client,
            Next::Final,
            ErrorType::NotFound,
            "No models match your request and model restrictions",
        ));
    }
    let in_band = able.len();
    able.truncate(CHOICES);
    Ok(Choice {
        router,
        skill,
        tier: wishes.tier,
        candidates,
        in_band,
        models: able
            .iter()
            .map(|candidate| candidate.model.clone())
            .collect(),
        inherited: able
            .iter()
            .filter(|candidate| candidate.skills.is_some_and(|skills| skills.figures == 0))
            .map(|candidate| candidate.model.clone())
            .collect(),
    })
}

/// What a model must be able to do for the request.
struct Wanted {
    tokens: u64,
    reads: Vec<Modality>,
    parameters: Vec<Parameter>,
}

impl Wanted {
    fn of(request: &ChatRequest, prompt_tokens: u64) -> Self {
        let strict = [
            Parameter::Tools,
            Parameter::StructuredOutputs,
            Parameter::ResponseFormat,
        ];
        let mut parameters = needs::parameters(request);
        parameters.retain(|parameter| strict.contains(parameter));
        Self {
            tokens: prompt_tokens.saturating_add(request.max_tokens.unwrap_or(TYPICAL_ANSWER)),
            reads: needs::input_modalities(request),
            parameters,
        }
    }

    fn is_met(&self, candidate: &Candidate) -> bool {
        let knows = |parameter| candidate.parameters.contains(parameter);
        (candidate.context_length == 0 || self.tokens <= candidate.context_length)
            && self
                .reads
                .iter()
                .all(|kind| candidate.input_modalities.contains(kind))
            && candidate.output_modalities == [Modality::Text]
            && self.parameters.iter().all(knows)
    }
}

/// What the request would cost at the cheapest endpoint; good for comparing only.
fn price(candidate: &Candidate, prompt_tokens: u64) -> i128 {
    i128::from(candidate.prompt.get()) * i128::from(prompt_tokens)
        + i128::from(candidate.completion.get()) * i128::from(TYPICAL_ANSWER)
}

/// The part of the list, cheapest first, that a tier means; never nothing of something.
fn band<'a>(sorted: &[&'a Candidate], tier: CostTier) -> Vec<&'a Candidate> {
    let edge = |fifth: usize| (sorted.len() * fifth).div_ceil(5);
    let (from, to) = (edge(tier.fifth()), edge(tier.fifth() + 1));
    let from = from.min(sorted.len().saturating_sub(1));
    let to = to.max(from + 1).min(sorted.len());
    sorted.get(from..to).unwrap_or_default().to_vec()
}

/// The skill at the task, less what was measured against the model. Ties go to the cheaper, which comes first already.
fn worth(candidate: &Candidate, skill: Skill, statistics: &Statistics) -> i32 {
    let mut attempts = 0;
    let (mut failed, mut tool_answers, mut tool_errors) = (0, 0, 0);
    for tag in &candidate.tags {
        let Some(known) = statistics
            .endpoints
            .get(&format!("{}|{tag}", candidate.model))
        else {
            continue;
        };
        attempts += known.day.attempts;
        failed += known.day.failed;
        tool_answers += known.day.tool_answers;
        tool_errors += known.day.tool_errors;
    }
    let percent = |part: u64, whole: u64| {
        let percent = if whole >= MIN_ATTEMPTS {
            part.saturating_mul(100) / whole
        } else {
            0
        };
        i32::try_from(percent.min(100)).unwrap_or(100)
    };
    let mut worth = candidate.skills.map_or(0, |skills| skills.get(skill));
    worth -= percent(failed, attempts) * FAILURE_PENALTY;
    if skill == Skill::Agent {
        worth -= percent(tool_errors, tool_answers) * TOOL_ERROR_PENALTY;
    }
    worth
}

/// A number by chance, the same for the same request and model.
fn lot(seed: u64, model: &str) -> u64 {
    model
        .bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte))
                .wrapping_mul(0x0100_0000_01b3)
                .rotate_left(23)
        })
}

#[cfg(test)]
#[path = "auto_tests.rs"]
mod tests;
