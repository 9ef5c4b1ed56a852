//! Lists of models: what `/models` filters, sorts and cuts into pages.
//!
//! In scope: the rows of the list and its pages. Out of scope: reading the query string (`query`), the model object (`wire`).

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::model::{Modality, ModelEntry, Parameter};
use super::query::{ListQuery, Sort};
use super::wire;
use crate::credits::pricing::Price;

/// A model of the list: the facts that filters ask for, and its object as it is sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListEntry {
    /// Slug.
    pub slug: String,
    /// Name and description in lower case, for `q`.
    pub text: String,
    /// Release, unix seconds.
    pub created: i64,
    /// Largest context.
    pub context_length: u64,
    /// What it reads.
    pub input: Vec<Modality>,
    /// What it writes.
    pub output: Vec<Modality>,
    /// Parameters of any endpoint.
    pub parameters: Vec<Parameter>,
    /// Prompt price of the first endpoint, after its discount.
    pub prompt: Price,
    /// Completion price of the first endpoint, likewise.
    pub completion: Price,
    /// Slugs and names of the providers, in lower case.
    pub providers: Vec<String>,
    /// Some endpoint retains nothing.
    pub zdr: bool,
    /// The model object.
    pub rendered: Box<RawValue>,
}

impl ListEntry {
    /// The list's row of a model.
    ///
    /// # Errors
    /// When the model object cannot be written as JSON.
    pub fn of(entry: &ModelEntry) -> Result<Self, serde_json::Error> {
        let model = &entry.model;
        let mut parameters: Vec<Parameter> = entry
            .endpoints
            .iter()
            .flat_map(|e| e.supported_parameters.iter().copied())
            .collect();
        parameters.sort_unstable();
        parameters.dedup();
        let prices = entry.endpoints.first().map(|e| &e.prices);
        Ok(Self {
            slug: model.slug.clone(),
            text: format!("{} {}", model.name, model.description).to_lowercase(),
            created: model.created,
            context_length: model.context_length,
            input: model.input_modalities.clone(),
            output: model.output_modalities.clone(),
            parameters,
            prompt: prices.map(|p| p.net(p.prompt)).unwrap_or_default(),
            completion: prices.map(|p| p.net(p.completion)).unwrap_or_default(),
            providers: entry
                .providers
                .iter()
                .flat_map(|p| [p.slug.clone(), p.name.to_lowercase()])
                .collect(),
            zdr: entry
                .routes()
                .any(|(_, provider)| provider.data_policy.is_zdr()),
            rendered: to_raw_value(&wire::model(entry))?,
        })
    }

    fn author(&self) -> &str {
        self.slug.split_once('/').map_or("", |(author, _)| author)
    }

    fn matches(&self, query: &ListQuery, now: i64) -> bool {
        let age_days = (now - self.created).div_euclid(86_400);
        query
            .text
            .as_ref()
            .is_none_or(|q| self.slug.contains(q.as_str()) || self.text.contains(q.as_str()))
            && query.parameters.iter().all(|p| self.parameters.contains(p))
            && query
                .output
                .as_ref()
                .is_none_or(|any| any.iter().any(|m| self.output.contains(m)))
            && query.input.iter().all(|m| self.input.contains(m))
            && query
                .min_context
                .is_none_or(|min| self.context_length >= min)
            && query.min_prompt.is_none_or(|min| self.prompt >= min)
            && query.max_prompt.is_none_or(|max| self.prompt <= max)
            && query
                .min_completion
                .is_none_or(|min| self.completion >= min)
            && query
                .max_completion
                .is_none_or(|max| self.completion <= max)
            && (query.authors.is_empty() || query.authors.iter().any(|a| a == self.author()))
            && (query.providers.is_empty()
                || query.providers.iter().any(|p| self.providers.contains(p)))
            && (!query.zdr || self.zdr)
            && query
                .min_age_days
                .is_none_or(|min| age_days >= i64::from(min))
            && query
                .max_age_days
                .is_none_or(|max| age_days <= i64::from(max))
    }
}

/// The order in which the list is published.
pub fn newest_first(index: &mut [ListEntry]) {
    index.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.slug.cmp(&b.slug)));
}

/// One page of a list.
#[derive(Debug)]
pub struct Page<'a> {
    /// The models of this page, in order.
    pub models: Vec<&'a ListEntry>,
    /// Models that match, on all pages.
    pub total: usize,
    /// Where the next page starts, if there is one.
    pub next_offset: Option<usize>,
}

impl Page<'_> {
    /// The body; `next` is the address of the next page.
    pub fn body(&self, next: Option<&str>) -> String {
        body(&self.models, self.total, next)
    }
}

/// The page of `index` (in its published order) that a query asks for, at `now` (unix seconds).
pub fn page<'a>(index: &'a [ListEntry], query: &ListQuery, now: i64) -> Page<'a> {
    let mut models: Vec<&ListEntry> = index.iter().filter(|e| e.matches(query, now)).collect();
    match query.sort {
        Sort::AsPublished => {}
        Sort::Newest => models.sort_by_key(|e| std::cmp::Reverse(e.created)),
        Sort::PriceLowToHigh => models.sort_by_key(|e| (e.prompt, e.completion)),
        Sort::PriceHighToLow => models.sort_by_key(|e| std::cmp::Reverse((e.prompt, e.completion))),
        Sort::ContextHighToLow => models.sort_by_key(|e| std::cmp::Reverse(e.context_length)),
    }
    let total = models.len();
    let models: Vec<_> = models
        .into_iter()
        .skip(query.offset)
        .take(query.limit)
        .collect();
    let end = query.offset.saturating_add(models.len());
    Page {
        models,
        total,
        next_offset: (end < total && query.limit > 0).then_some(end),
    }
}

/// The body of a list: rendered objects are copied, never rebuilt.
pub fn body(models: &[&ListEntry], total: usize, next: Option<&str>) -> String {
    let length: usize = models.iter().map(|m| m.rendered.get().len() + 1).sum();
    let mut body = String::with_capacity(length + 128);
    body.push_str("{\"data\":[");
    for (at, model) in models.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        body.push_str(model.rendered.get());
    }
    let tail = serde_json::json!({ "total_count": total, "links": { "next": next } }).to_string();
    body.push_str("],");
    body.push_str(tail.strip_prefix('{').unwrap_or_default());
    body
}
