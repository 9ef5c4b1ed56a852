//! Tiers of service: rows that say at what price a provider serves a model sooner or later than usual.
//!
//! A row becomes an endpoint, which is the provider's usual one but for its tag, its prices and its longest prompt. Siblings know each
//! other's prices, because a provider may serve at another tier than it was asked for, and says so.
//! Out of scope: who gets which tier (`routing::tiers`), what is charged (`Endpoint::prices_as_served`).

use std::collections::BTreeMap;

use patchbay::catalog::{Dialect, Endpoint, ServiceTier};
use patchbay::credits::pricing::PriceTable;
use serde::{Deserialize, Serialize};

use crate::overlay::ProviderRow;
use crate::rows::{Fault, Row};

/// The word of the usual tier in providers' answers.
const USUAL: &str = "default";

/// A tier at which a provider serves a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierRow {
    /// The model's slug.
    pub model: String,
    /// The provider's slug.
    pub provider: String,
    /// `flex`, `priority` or `ultrafast`.
    pub tier: String,
    /// The longest prompt, where the tier takes a shorter one than usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_prompt_tokens: Option<u64>,
    /// Prices, exact.
    pub prices: PriceTable,
    /// Where the prices were read, and on which day.
    pub source: String,
}

/// Adds the tiers' endpoints to the others.
pub fn expand(tiers: &[Row<TierRow>], endpoints: &mut Vec<Row<Endpoint>>, faults: &mut Vec<Fault>) {
    for row in tiers {
        let TierRow {
            model,
            provider,
            tier,
            ..
        } = &row.value;
        let mut fault = |why: String| faults.push(Fault::of_row(&row.place, why));
        if ServiceTier::of_tag(&format!("{provider}/{tier}")).is_none() {
            fault(format!("{tier} is no tier"));
            continue;
        }
        if row.value.source.is_empty() {
            fault("a price without a source".to_owned());
        }
        let usual = endpoints
            .iter()
            .find(|endpoint| endpoint.value.model == *model && endpoint.value.tag == *provider);
        let Some(usual) = usual else {
            fault(format!("{provider} does not serve {model} at all"));
            continue;
        };
        let usual = usual.value.clone();
        let value = Endpoint {
            tag: format!("{provider}/{tier}"),
            prices: row.value.prices.clone(),
            max_prompt_tokens: row.value.max_prompt_tokens.or(usual.max_prompt_tokens),
            source: Some(row.value.source.clone()),
            ..usual
        };
        endpoints.push(Row {
            value,
            place: row.place.clone(),
        });
    }
}

/// Tells siblings each other's prices, where their provider says in its answers which tier served.
pub fn introduce(
    tiers: &[Row<TierRow>],
    providers: &[Row<ProviderRow>],
    endpoints: &mut [Row<Endpoint>],
) {
    let mut families: BTreeMap<(String, String), BTreeMap<String, PriceTable>> = BTreeMap::new();
    for tier in tiers {
        let TierRow {
            model, provider, ..
        } = &tier.value;
        families
            .entry((model.clone(), provider.clone()))
            .or_default();
    }
    // Anthropic refuses what it cannot serve fast, and its word for tiers means bought capacity.
    families.retain(|(_, slug), _| {
        let provider = providers
            .iter()
            .find(|row| row.value.provider.slug == *slug);
        provider.is_some_and(|row| row.value.provider.dialect != Dialect::AnthropicMessages)
    });
    let word = |endpoint: &Endpoint| match endpoint.service_tier() {
        Some(tier) => Some(tier.as_str().to_owned()),
        None if endpoint.tag == endpoint.provider => Some(USUAL.to_owned()),
        None => None,
    };
    for Row { value, .. } in endpoints.iter() {
        let family = families.get_mut(&(value.model.clone(), value.provider.clone()));
        if let Some((family, word)) = family.zip(word(value)) {
            family.insert(word, value.prices.clone());
        }
    }
    for Row { value, .. } in endpoints {
        let family = families.get(&(value.model.clone(), value.provider.clone()));
        if let Some((family, word)) = family.zip(word(value)) {
            let mut others = family.clone();
            others.remove(&word);
            value.tier_prices = others;
        }
    }
}
