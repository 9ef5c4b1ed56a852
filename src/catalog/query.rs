//! The query string of `GET /models`, read and checked.
//!
//! In scope: what each parameter may say. Out of scope: percent-decoding (the caller passes decoded pairs), applying it (`listing`).

use std::fmt;

use super::model::{Modality, Parameter};
use crate::credits::pricing::Price;

/// Models on a page when the query asks for pages without saying how many.
pub const DEFAULT_LIMIT: usize = 500;
/// The most models on a page.
pub const MAX_LIMIT: usize = 1_000;

/// Outputs that clients may ask for although no model of this catalog has them: an empty list, not an error.
const FOREIGN_OUTPUTS: [&str; 1] = ["decisions"];
/// Orders for which the catalog has no figures: all models sort last, so the published order stays.
const ORDERS_WITHOUT_FIGURES: [&str; 8] = [
    "most-popular",
    "top-weekly",
    "throughput-high-to-low",
    "latency-low-to-high",
    "intelligence-high-to-low",
    "coding-high-to-low",
    "agentic-high-to-low",
    "design-arena-elo-high-to-low",
];
/// Filters for which the catalog has no figures. To ignore one would answer another question than the one asked.
const FILTERS_WITHOUT_FIGURES: [&str; 13] = [
    "category",
    "arch",
    "distillable",
    "region",
    "use_rss",
    "min_intelligence_index",
    "max_intelligence_index",
    "min_coding_index",
    "max_coding_index",
    "min_agentic_index",
    "max_agentic_index",
    "min_tool_success_rate",
    "max_tool_success_rate",
];

/// An order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// As published: newest first, then by slug.
    #[default]
    AsPublished,
    /// Newest first.
    Newest,
    /// Cheapest prompt first.
    PriceLowToHigh,
    /// Dearest prompt first.
    PriceHighToLow,
    /// Largest context first.
    ContextHighToLow,
}

/// What a client asks of the list. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Models to skip.
    pub offset: usize,
    /// Models to return at most.
    pub limit: usize,
    /// Part of slug, name or description, in lower case.
    pub text: Option<String>,
    /// Parameters that some endpoint supports.
    pub parameters: Vec<Parameter>,
    /// What it must write, any of these; `None` for anything.
    pub output: Option<Vec<Modality>>,
    /// What it must read, all of these.
    pub input: Vec<Modality>,
    /// Order.
    pub sort: Sort,
    /// Smallest context.
    pub min_context: Option<u64>,
    /// Smallest prompt price.
    pub min_prompt: Option<Price>,
    /// Largest prompt price.
    pub max_prompt: Option<Price>,
    /// Smallest completion price.
    pub min_completion: Option<Price>,
    /// Largest completion price.
    pub max_completion: Option<Price>,
    /// Authors, any of them.
    pub authors: Vec<String>,
    /// Providers by slug or name, any of them, in lower case.
    pub providers: Vec<String>,
    /// Only models with an endpoint that retains nothing.
    pub zdr: bool,
    /// Days since release, at least.
    pub min_age_days: Option<u32>,
    /// Days since release, at most.
    pub max_age_days: Option<u32>,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            offset: 0,
            limit: usize::MAX,
            text: None,
            parameters: Vec::new(),
            output: Some(vec![Modality::Text]),
            input: Vec::new(),
            sort: Sort::AsPublished,
            min_context: None,
            min_prompt: None,
            max_prompt: None,
            min_completion: None,
            max_completion: None,
            authors: Vec::new(),
            providers: Vec::new(),
            zdr: false,
            min_age_days: None,
            max_age_days: None,
        }
    }
}

/// A parameter that says something it may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadParameter {
    /// The parameter.
    pub parameter: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for BadParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.parameter, self.reason)
    }
}

impl std::error::Error for BadParameter {}

impl ListQuery {
    /// Reads decoded query pairs. Parameters that the API does not know are ignored, as its clients expect.
    ///
    /// # Errors
    /// The first parameter with a value that it may not have.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, BadParameter> {
        let mut query = Self::default();
        for (key, value) in pairs {
            query.set(key, value).map_err(|reason| BadParameter {
                parameter: key.to_owned(),
                reason,
            })?;
        }
        // Pages begin when asked for; without `offset` and `limit` the list is whole.
        if query.offset > 0 && query.limit == usize::MAX {
            query.limit = DEFAULT_LIMIT;
        }
        Ok(query)
    }

    /// Whether the query asks for the list exactly as it was pre-rendered: the models that write text.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "offset" => self.offset = number(value, 0, usize::MAX)?,
            "limit" => self.limit = number(value, 1, MAX_LIMIT)?,
            "q" => self.text = (!value.trim().is_empty()).then(|| value.trim().to_lowercase()),
            "supported_parameters" => self.parameters = each(value, "parameter", Parameter::parse)?,
            "output_modalities" if value.trim().is_empty() => {}
            "output_modalities" => self.output = outputs(value)?,
            "input_modalities" => self.input = each(value, "modality", Modality::parse)?,
            "sort" => self.sort = sort(value)?,
            "context" => self.min_context = Some(number(value, 0, u64::MAX)?),
            "min_price" => self.min_prompt = Some(price(value)?),
            "max_price" => self.max_prompt = Some(price(value)?),
            "min_output_price" => self.min_completion = Some(price(value)?),
            "max_output_price" => self.max_completion = Some(price(value)?),
            "model_authors" => self.authors = words(value).map(str::to_lowercase).collect(),
            "providers" => self.providers = words(value).map(str::to_lowercase).collect(),
            "zdr" => self.zdr = flag(value)?,
            "min_age_days" => self.min_age_days = Some(number(value, 0, u32::MAX)?),
            "max_age_days" => self.max_age_days = Some(number(value, 0, u32::MAX)?),
            _ if FILTERS_WITHOUT_FIGURES.contains(&key) => {
                return Err("this catalog has no such figures to filter by".to_owned());
            }
            _ => {}
        }
        Ok(())
    }
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|w| !w.is_empty())
}

fn each<T>(value: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    words(value)
        .map(|word| parse(word).ok_or_else(|| format!("`{word}` is no known {what}")))
        .collect()
}

fn outputs(value: &str) -> Result<Option<Vec<Modality>>, String> {
    if value.trim() == "all" {
        return Ok(None);
    }
    let known = words(value).filter(|word| !FOREIGN_OUTPUTS.contains(word));
    let modality = |word: &str| Modality::parse(word).filter(|m| *m != Modality::File);
    let outputs = known
        .map(|word| modality(word).ok_or_else(|| format!("`{word}` is no known output modality")));
    outputs.collect::<Result<_, _>>().map(Some)
}

fn number<T: std::str::FromStr + PartialOrd + fmt::Display>(
    value: &str,
    min: T,
    max: T,
) -> Result<T, String> {
    let parsed = value.parse::<T>().ok().filter(|n| *n >= min && *n <= max);
    parsed.ok_or_else(|| format!("`{value}` is not a whole number from {min} to {max}"))
}

fn price(value: &str) -> Result<Price, String> {
    Price::from_dollars_per_million(value)
        .map_err(|_| format!("`{value}` is not a price in dollars per million tokens"))
}

fn flag(value: &str) -> Result<bool, String> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("`{value}` is neither true nor false")),
    }
}

fn sort(value: &str) -> Result<Sort, String> {
    match value {
        "newest" => Ok(Sort::Newest),
        "pricing-low-to-high" => Ok(Sort::PriceLowToHigh),
        "pricing-high-to-low" => Ok(Sort::PriceHighToLow),
        "context-high-to-low" => Ok(Sort::ContextHighToLow),
        _ if ORDERS_WITHOUT_FIGURES.contains(&value) => Ok(Sort::AsPublished),
        _ => Err(format!("`{value}` is no known order")),
    }
}
