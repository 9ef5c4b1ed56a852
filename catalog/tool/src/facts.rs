//! From models.dev's facts to the columns of a row: prices, limits, modalities, parameters, reasoning, dates.
//!
//! In scope: one row at a time. Out of scope: which model a row belongs to (`naming`, `import`).

use patchbay::catalog::{
    Budget, Dialect, Modality, Parameter, Provider, Quirk, Reasoning, ReasoningHistory, Status,
    pattern::matches,
};
use patchbay::chat::Effort;
use patchbay::credits::pricing::{Price, PriceTable, Tier};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::overlay::Import;
use crate::source::{Cost, Facts, ReasoningOption};

/// Exact prices; an error says why they cannot be charged.
pub fn prices(cost: Option<&Cost>, import: &Import) -> Result<PriceTable, String> {
    let cost = cost.ok_or("no price in the data")?;
    let both = "prompt or completion price missing in the data";
    if cost.citation.is_some() || cost.request.is_some() {
        return Err(
            "prices per request or citation, in units that the data does not tell".to_owned(),
        );
    }
    let prompt = price(cost.input.as_deref())?.ok_or(both)?;
    let completion = price(cost.output.as_deref())?.ok_or(both)?;
    let reasoning = price(cost.reasoning.as_deref())?.filter(|reasoning| *reasoning != completion);
    let one_hour = |prompt: Price| match import.cache_write_1h_factor {
        Some(factor) => Price::new(prompt.get().saturating_mul(factor))
            .map(Some)
            .map_err(|e| e.to_string()),
        None => Ok(None),
    };
    let mut tiers = Vec::new();
    for tier in &cost.tiers {
        if tier
            .tier
            .kind
            .as_deref()
            .is_some_and(|kind| kind != "context")
        {
            return Err(format!(
                "a price tier of the unknown kind {:?}",
                tier.tier.kind
            ));
        }
        let prompt = price(tier.input.as_deref())?;
        tiers.push(Tier {
            min_prompt_tokens: tier.tier.size,
            prompt,
            completion: price(tier.output.as_deref())?,
            cache_read: price(tier.cache_read.as_deref())?,
            cache_write_5m: price(tier.cache_write.as_deref())?,
            cache_write_1h: prompt.map(one_hour).transpose()?.flatten(),
            ..Tier::default()
        });
    }
    tiers.sort_by_key(|tier| tier.min_prompt_tokens);
    Ok(PriceTable {
        units: None,
        prompt,
        completion,
        cache_read: price(cost.cache_read.as_deref())?,
        cache_write_5m: price(cost.cache_write.as_deref())?,
        // A model without a price for cache writes takes none.
        cache_write_1h: cost
            .cache_write
            .as_ref()
            .map_or(Ok(None), |_| one_hour(prompt))?,
        reasoning,
        audio_in: price(cost.input_audio.as_deref())?,
        audio_out: price(cost.output_audio.as_deref())?,
        image_out: None,
        request: None,
        stated: false,
        discount_ppm: None,
        tiers,
    })
}

fn price(text: Option<&RawValue>) -> Result<Option<Price>, String> {
    let read = |text: &RawValue| {
        Price::from_dollars_per_million(text.get())
            .map_err(|error| format!("price {}: {error}", text.get()))
    };
    text.map(read).transpose()
}

/// Modalities in their order; an error names one that is unknown.
pub fn modalities(words: Option<&[String]>) -> Result<Vec<Modality>, String> {
    let read = |word: &String| match word.as_str() {
        "pdf" => Ok(Modality::File),
        word => Modality::parse(word).ok_or_else(|| format!("the unknown modality {word}")),
    };
    let mut modalities = words
        .unwrap_or_default()
        .iter()
        .map(read)
        .collect::<Result<Vec<_>, _>>()?;
    modalities.sort_unstable();
    modalities.dedup();
    Ok(modalities)
}

/// What the wire of each dialect usually carries beside the common parameters.
fn usual(dialect: Dialect) -> &'static [Parameter] {
    match dialect {
        Dialect::OpenaiChat => &[
            Parameter::FrequencyPenalty,
            Parameter::PresencePenalty,
            Parameter::Seed,
            Parameter::ResponseFormat,
        ],
        Dialect::CohereV2 => &[
            Parameter::TopK,
            Parameter::FrequencyPenalty,
            Parameter::PresencePenalty,
            Parameter::Seed,
            Parameter::ResponseFormat,
        ],
        Dialect::AnthropicMessages
        | Dialect::Gemini
        | Dialect::OpenaiResponses
        | Dialect::BedrockConverse => &[],
    }
}

/// Parameters that a model without sampling parameters refuses.
const SAMPLING: [Parameter; 9] = [
    Parameter::Temperature,
    Parameter::TopP,
    Parameter::TopK,
    Parameter::MinP,
    Parameter::FrequencyPenalty,
    Parameter::PresencePenalty,
    Parameter::LogitBias,
    Parameter::Logprobs,
    Parameter::TopLogprobs,
];

/// Request parameters of the model with this upstream id, sorted.
pub fn parameters(
    facts: &Facts,
    reasoning: Option<&Reasoning>,
    provider: &Provider,
    import: &Import,
    id: &str,
) -> Vec<Parameter> {
    let mut list = vec![
        Parameter::MaxTokens,
        Parameter::MaxCompletionTokens,
        Parameter::Stop,
    ];
    list.extend([Parameter::Temperature, Parameter::TopP]);
    let dialect = import.dialect(id).unwrap_or(provider.dialect);
    list.extend_from_slice(usual(dialect));
    list.extend_from_slice(&import.extra_parameters);
    for supports in &import.supports {
        if supports.models.iter().any(|pattern| matches(pattern, id)) {
            list.extend_from_slice(&supports.parameters);
        }
    }
    if import.search(id).is_some() {
        list.push(Parameter::WebSearchOptions);
    }
    if facts.tool_call == Some(true) {
        list.extend([Parameter::Tools, Parameter::ToolChoice]);
        let has_switch = !matches!(dialect, Dialect::Gemini | Dialect::BedrockConverse);
        if has_switch && !provider.has(Quirk::NoParallelToolCalls) {
            list.push(Parameter::ParallelToolCalls);
        }
    }
    if facts.structured_output == Some(true) {
        list.push(Parameter::ResponseFormat);
        if !provider.has(Quirk::NoJsonSchema) {
            list.push(Parameter::StructuredOutputs);
        }
    }
    if let Some(reasoning) = reasoning {
        list.extend([Parameter::Reasoning, Parameter::IncludeReasoning]);
        if !reasoning.efforts.is_empty() {
            list.push(Parameter::ReasoningEffort);
        }
    }
    if facts.temperature == Some(false) {
        // OpenAI's own reasoning models refuse `stop` together with the sampling parameters.
        let refused = |p: &Parameter| {
            SAMPLING.contains(p) || (*p == Parameter::Stop && provider.has(Quirk::DeveloperRole))
        };
        list.retain(|p| !refused(p));
    }
    if dialect == Dialect::OpenaiResponses {
        list.retain(|p| *p != Parameter::Stop);
    }
    let lacks = |p: &Parameter| {
        let mut lists = import.lacks.iter();
        lists.any(|list| {
            list.parameters.contains(p) && list.models.iter().any(|pattern| matches(pattern, id))
        })
    };
    list.retain(|p| !import.omit_parameters.contains(p) && !lacks(p));
    list.sort_unstable();
    list.dedup();
    list
}

/// What can be asked of its reasoning; nothing for a model that does not reason. An error names an unknown word.
pub fn reasoning(facts: &Facts, dialect: Dialect) -> Result<Option<Reasoning>, String> {
    if facts.reasoning != Some(true) {
        return Ok(None);
    }
    let mut reasoning = Reasoning {
        history: history(facts.interleaved.as_ref(), dialect)?,
        ..Reasoning::default()
    };
    for option in facts.reasoning_options.iter().flatten() {
        match option.kind.as_str() {
            "toggle" => reasoning.toggle = true,
            "budget_tokens" => {
                // A negative bound means that the model decides: no bound.
                let bound = |n: Option<i64>| n.and_then(|n| u32::try_from(n).ok());
                reasoning.budget = Some(Budget {
                    min: bound(option.min),
                    max: bound(option.max),
                });
            }
            "effort" => reasoning.efforts = efforts(option)?,
            kind => return Err(format!("the unknown reasoning option {kind}")),
        }
    }
    reasoning.mandatory = mandatory(&reasoning, facts, dialect);
    Ok(Some(reasoning))
}

fn efforts(option: &ReasoningOption) -> Result<Vec<Effort>, String> {
    let mut efforts: Vec<Effort> = Vec::new();
    for word in option
        .values
        .iter()
        .flatten()
        .filter(|word| *word != "default")
    {
        let effort = serde_json::from_value(Value::String(word.clone()));
        efforts.push(effort.map_err(|_| format!("the unknown effort {word}"))?);
    }
    efforts.sort_unstable_by(|a, b| b.cmp(a));
    efforts.dedup();
    Ok(efforts)
}

/// Whether reasoning cannot be switched off: nothing that switches it off is offered, and the data does list what is offered.
/// Anthropic reasons only when asked to; a budget without a floor of zero binds Gemini alone.
fn mandatory(reasoning: &Reasoning, facts: &Facts, dialect: Dialect) -> bool {
    let gemini = facts
        .family
        .as_deref()
        .is_some_and(|family| family.starts_with("gemini"));
    let claude = facts
        .family
        .as_deref()
        .is_some_and(|family| family.starts_with("claude"));
    let budget_binds = reasoning
        .budget
        .is_none_or(|budget| gemini && budget.min != Some(0));
    facts.reasoning_options.is_some()
        && dialect != Dialect::AnthropicMessages
        && !claude
        && !reasoning.toggle
        && !reasoning.efforts.contains(&Effort::None)
        && budget_binds
}

fn history(
    interleaved: Option<&Value>,
    dialect: Dialect,
) -> Result<Option<ReasoningHistory>, String> {
    if dialect != Dialect::OpenaiChat {
        return Ok(None);
    }
    let Some(field) = interleaved
        .and_then(|value| value.get("field"))
        .and_then(Value::as_str)
    else {
        return Ok(None);
    };
    serde_json::from_value(Value::String(field.to_owned()))
        .map(Some)
        .map_err(|_| format!("the unknown reasoning field {field}"))
}

/// How settled it is; an error names an unknown word.
pub fn status(word: Option<&str>) -> Result<Status, String> {
    match word {
        None => Ok(Status::Active),
        Some("alpha") => Ok(Status::Alpha),
        Some("beta") => Ok(Status::Beta),
        Some("deprecated") => Ok(Status::Deprecated),
        Some(other) => Err(format!("the unknown status {other}")),
    }
}

/// A date of which the day, or month and day, may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
}

impl Date {
    /// Reads `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let year = parts.next().filter(|y| y.len() == 4)?.parse().ok()?;
        let mut part = |max: i64| match parts.next() {
            None => Some(None),
            Some(part) => part
                .parse()
                .ok()
                .filter(|n| (1..=max).contains(n))
                .map(Some),
        };
        let date = Self {
            year,
            month: part(12)?,
            day: part(31)?,
        };
        (parts.next().is_none() && date.day.is_none_or(|day| day <= date.month_length()))
            .then_some(date)
    }

    /// The first moment of the date, unix seconds.
    pub fn start(self) -> i64 {
        self.days() * 86_400
    }

    /// The last day of the date, `YYYY-MM-DD`: knowledge "of April" ends with April.
    pub fn last_day(self) -> String {
        let end = Self {
            month: Some(self.month.unwrap_or(12)),
            ..self
        };
        let day = end.day.unwrap_or_else(|| end.month_length());
        format!("{:04}-{:02}-{day:02}", end.year, end.month.unwrap_or(12))
    }

    fn month_length(self) -> i64 {
        let leap = (self.year % 4 == 0 && self.year % 100 != 0) || self.year % 400 == 0;
        match self.month.unwrap_or(12) {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// Days since 1970-01-01, by the usual civil-calendar formula (years counted from March).
    fn days(self) -> i64 {
        let month = self.month.unwrap_or(1);
        let year = if month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + self.day.unwrap_or(1) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }
}
