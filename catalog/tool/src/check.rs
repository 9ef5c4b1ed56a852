//! `check`: every row is held against what the rest of the product relies on; a wrong one is named with its file and line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use patchbay::catalog::{
    Dialect, Endpoint, Modality, Model, Parameter, PathStyle, Provider, model::is_open,
    provider::resolve_base_url,
};
use patchbay::credits::pricing::PriceTable;

use crate::overlay::ProviderRow;
use crate::rows::{Fault, Place, Row};
use crate::skills::{self, Quality};
use crate::tools::Tools;

/// Suffix of models that cost nothing.
const FREE: &str = ":free";

/// All rows of the catalog.
#[derive(Debug, Default)]
pub struct Rows {
    /// Providers.
    pub providers: Vec<Row<ProviderRow>>,
    /// Models.
    pub models: Vec<Row<Model>>,
    /// Endpoints.
    pub endpoints: Vec<Row<Endpoint>>,
    /// Aliases.
    pub aliases: Vec<Row<Alias>>,
    /// Public figures of models.
    pub quality: Vec<Row<Quality>>,
    /// Tools.
    pub tools: Tools,
}

/// Another name of a model.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The other name.
    pub alias: String,
    /// The slug.
    pub model: String,
}

/// Collects what is wrong with one row.
struct Report<'a> {
    place: &'a Place,
    faults: &'a mut Vec<Fault>,
}

impl Report<'_> {
    fn unless(&mut self, holds: bool, why: impl Display) {
        if !holds {
            self.faults.push(Fault::of_row(self.place, why));
        }
    }
}

/// Checks all rows.
pub fn check(rows: &Rows, faults: &mut Vec<Fault>) {
    let providers = unique(
        &rows.providers,
        "provider",
        |row| row.provider.slug.clone(),
        faults,
    );
    let models = unique(&rows.models, "model", |model| model.slug.clone(), faults);
    unique(
        &rows.endpoints,
        "endpoint",
        |endpoint| format!("{} at {}", endpoint.model, endpoint.tag),
        faults,
    );
    skills::check(&rows.quality, |slug| models.contains_key(slug), faults);
    unique(&rows.aliases, "alias", |alias| alias.alias.clone(), faults);
    let mut served: BTreeMap<&str, u64> = BTreeMap::new();
    let mut serving: BTreeSet<&str> = BTreeSet::new();
    for row in &rows.endpoints {
        let report = &mut Report {
            place: &row.place,
            faults,
        };
        let known = providers.get(&row.value.provider).map(|row| &row.provider);
        report.unless(
            known.is_some(),
            format!("unknown provider {}", row.value.provider),
        );
        report.unless(
            models.contains_key(&row.value.model),
            format!("unknown model {}", row.value.model),
        );
        endpoint(&row.value, known, report);
        let context = served.entry(&row.value.model).or_default();
        *context = (*context).max(row.value.context_length);
        serving.insert(&row.value.provider);
    }
    for row in &rows.models {
        let report = &mut Report {
            place: &row.place,
            faults,
        };
        model(
            &row.value,
            served.get(row.value.slug.as_str()).copied(),
            report,
        );
    }
    for row in &rows.providers {
        let report = &mut Report {
            place: &row.place,
            faults,
        };
        provider(&row.value.provider, report);
        // What runs at an address of the deployment's own may have models of the deployment's own only.
        let is_own = row.value.import.is_none() && row.value.provider.base_url.starts_with("${");
        report.unless(
            is_own || serving.contains(row.value.provider.slug.as_str()),
            "provider without endpoints",
        );
    }
    for row in &rows.aliases {
        let report = &mut Report {
            place: &row.place,
            faults,
        };
        report.unless(
            is_slug(&row.value.alias),
            format!("{} is no slug", row.value.alias),
        );
        report.unless(
            !models.contains_key(&row.value.alias),
            format!("{} is a model itself", row.value.alias),
        );
        report.unless(
            models.contains_key(&row.value.model),
            format!("unknown model {}", row.value.model),
        );
    }
}

/// The rows by their key; a second row of one key is a fault.
fn unique<'a, T>(
    rows: &'a [Row<T>],
    what: &str,
    key: impl Fn(&T) -> String,
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, &'a T> {
    let mut by_key: BTreeMap<String, &Row<T>> = BTreeMap::new();
    for row in rows {
        let key = key(&row.value);
        match by_key.get(&key) {
            Some(first) => {
                let why = format!(
                    "{what} {key} is already in {}:{}",
                    first.place.file.display(),
                    first.place.line
                );
                faults.push(Fault::of_row(&row.place, why));
            }
            None => drop(by_key.insert(key, row)),
        }
    }
    by_key
        .into_iter()
        .map(|(key, row)| (key, &row.value))
        .collect()
}

fn provider(provider: &Provider, report: &mut Report<'_>) {
    let url = &provider.base_url;
    report.unless(
        is_word(&provider.slug),
        format!(
            "slug {:?} has other than a-z, 0-9, dot and dash",
            provider.slug
        ),
    );
    report.unless(!provider.name.trim().is_empty(), "no name");
    report.unless(
        is_variable(&provider.secret),
        format!("secret {:?} is no name of a variable", provider.secret),
    );
    report.unless(
        url.starts_with("https://") || url.starts_with("${"),
        format!("base_url {url:?} is not https"),
    );
    report.unless(
        !url.ends_with('/') && !url.contains(['?', '#', ' ']),
        format!("base_url {url:?} ends with a slash or has a query"),
    );
    let variables = resolve_base_url(url, |name| {
        is_variable(name).then(|| "https://variable.example".to_owned())
    });
    if let Err(error) = variables {
        report.unless(false, format!("base_url: {error}"));
    }
    if let Some(query) = &provider.query {
        let is_pair = query.contains('=') && !query.contains(['?', '#', ' ']);
        report.unless(is_pair, format!("query {query:?} is no name=value"));
    }
    if let Some(token_url) = provider.auth.token_url() {
        let is_safe = token_url.starts_with("https://") || token_url.starts_with("${");
        report.unless(is_safe, format!("token_url {token_url:?} is not https"));
    }
    report.unless(
        provider.defaults.keys().all(|name| is_variable(name)),
        "a default is of no variable",
    );
    report.unless(
        provider.path_style != PathStyle::RawPredict
            || provider.dialect == Dialect::AnthropicMessages,
        "path_style raw_predict is of anthropic_messages only",
    );
    report.unless(
        provider.group.as_deref().is_none_or(is_word),
        "group is no slug",
    );
    let operations: &[&str] = match provider.dialect {
        Dialect::OpenaiChat => &["/chat/completions", "/chat"],
        Dialect::AnthropicMessages => &["/v1", "/v1/messages", "/messages"],
        Dialect::Gemini => &["/models"],
        Dialect::OpenaiResponses => &["/responses"],
        Dialect::CohereV2 => &["/v2", "/v2/chat", "/chat"],
        Dialect::BedrockConverse => &["/model"],
    };
    for operation in operations {
        report.unless(
            !url.ends_with(operation),
            format!("base_url ends with {operation}, which the dialect adds"),
        );
    }
    for (operation, wire) in &provider.operations {
        let is_plain = |url: &String| url.starts_with("https://") && !url.ends_with('/');
        report.unless(
            wire.base_url.as_ref().is_none_or(is_plain),
            format!(
                "{}: base_url is not https, or ends with a slash",
                operation.api_type()
            ),
        );
    }
    let quirks: BTreeSet<_> = provider.quirks.iter().collect();
    report.unless(
        quirks.len() == provider.quirks.len(),
        "a quirk is there twice",
    );
    for link in [
        &provider.privacy_policy_url,
        &provider.terms_of_service_url,
        &provider.status_page_url,
    ]
    .into_iter()
    .flatten()
    {
        report.unless(link.starts_with("https://"), format!("{link} is not https"));
    }
}

fn model(model: &Model, context: Option<u64>, report: &mut Report<'_>) {
    report.unless(is_slug(&model.slug), format!("{:?} is no slug", model.slug));
    report.unless(
        is_slug(&model.canonical_slug),
        format!("canonical slug {:?} is no slug", model.canonical_slug),
    );
    report.unless(
        !model.name.trim().is_empty() && !model.description.trim().is_empty(),
        "no name or no description",
    );
    report.unless(model.created > 0, "no release date");
    modalities(&model.input_modalities, &model.output_modalities, report);
    report.unless(!model.output_modalities.is_empty(), "it writes nothing");
    match context {
        None => report.unless(false, "model without endpoints"),
        Some(context) => report.unless(
            model.context_length == context,
            format!(
                "context_length is {}, the largest of its endpoints {context}",
                model.context_length
            ),
        ),
    }
    let is_date = |date: &String| date.len() == 10 && crate::facts::Date::parse(date).is_some();
    report.unless(
        model.knowledge_cutoff.as_ref().is_none_or(is_date),
        "knowledge_cutoff is no date",
    );
}

fn endpoint(endpoint: &Endpoint, provider: Option<&Provider>, report: &mut Report<'_>) {
    let variant = endpoint.tag.strip_prefix(endpoint.provider.as_str());
    let tagged =
        variant.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('/').is_some_and(is_word));
    report.unless(
        tagged,
        format!(
            "tag {:?} is neither the provider nor provider/variant",
            endpoint.tag
        ),
    );
    report.unless(
        endpoint.web_search.is_some() == endpoint.supports(Parameter::WebSearchOptions),
        "web_search and the parameter web_search_options go together",
    );
    let id = &endpoint.upstream_model_id;
    report.unless(
        !id.is_empty() && !id.contains(char::is_whitespace),
        format!("upstream_model_id {id:?} is empty or has spaces"),
    );
    report.unless(
        is_open(&endpoint.model) == (id == "*"),
        "a model for all ids, author/*, is called *, and no other is",
    );
    // The id becomes part of a path only in this dialect and in styles of paths (P107).
    let in_path = provider.is_some_and(|p| {
        endpoint.dialect(p) == Dialect::Gemini || p.path_style != PathStyle::Dialect
    });
    let plain = id
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || ".-_@".contains(c))
        && !id.contains("..");
    report.unless(
        !in_path || plain,
        format!("upstream_model_id {id:?} cannot stand in a path"),
    );
    let context = endpoint.context_length;
    report.unless(context > 0, "context_length is 0");
    let operation = endpoint.operation;
    report.unless(
        endpoint.output_modalities.contains(&operation.output()),
        format!("it does not write what {} makes", operation.api_type()),
    );
    report.unless(
        operation.is_chat() || provider.is_none_or(|p| p.wire(operation).is_some()),
        format!(
            "its provider's row does not say how {} is asked for",
            operation.api_type()
        ),
    );
    for limit in [endpoint.max_prompt_tokens, endpoint.max_completion_tokens]
        .into_iter()
        .flatten()
    {
        report.unless(
            limit > 0 && limit <= context,
            format!("limit {limit} is 0 or beyond the context of {context}"),
        );
    }
    modalities(
        &endpoint.input_modalities,
        &endpoint.output_modalities,
        report,
    );
    report.unless(
        is_ordered(&endpoint.supported_parameters),
        "supported_parameters are not sorted, or one is there twice",
    );
    let is_converse = provider.is_some_and(|p| endpoint.dialect(p) == Dialect::BedrockConverse);
    report.unless(
        is_converse || endpoint.reasoning.iter().all(|r| r.fields.is_none()),
        "reasoning.fields belong to bedrock_converse alone",
    );
    let efforts = endpoint
        .reasoning
        .iter()
        .flat_map(|r| r.efforts.iter().rev().copied())
        .collect::<Vec<_>>();
    report.unless(is_ordered(&efforts), "efforts do not go from most to least");
    prices(&endpoint.prices, endpoint.model.ends_with(FREE), report);
}

fn prices(prices: &PriceTable, free: bool, report: &mut Report<'_>) {
    report.unless(!free || prices.is_free(), "a :free model with a price");
    report.unless(
        free || !prices.is_free(),
        "no price, but the model's slug does not end with :free",
    );
    report.unless(
        prices.discount_ppm.is_none() || !prices.stated,
        "a discount on what the provider says it charged",
    );
    report.unless(
        prices.discount_ppm.is_none() || !prices.is_free(),
        "a discount on what costs nothing",
    );
    let steps: Vec<u64> = prices
        .tiers
        .iter()
        .map(|tier| tier.min_prompt_tokens)
        .collect();
    report.unless(
        is_ordered(&steps) && !steps.contains(&0),
        "price tiers do not rise",
    );
}

fn modalities(input: &[Modality], output: &[Modality], report: &mut Report<'_>) {
    report.unless(
        is_ordered(input) && is_ordered(output),
        "modalities are not in order, or one is there twice",
    );
    report.unless(!input.is_empty(), "it reads nothing");
}

fn is_ordered<T: PartialOrd>(list: &[T]) -> bool {
    list.is_sorted_by(|a, b| a < b)
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c))
}

fn is_slug(text: &str) -> bool {
    let base = text.strip_suffix(FREE).unwrap_or(text);
    base.split_once('/')
        .is_some_and(|(author, name)| is_word(author) && (is_word(name) || is_open(text)))
}

fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
