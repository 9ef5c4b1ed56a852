//! Discounts of one deployment: rows that say what is taken off the prices of endpoints, whose own rows an import writes anew.
//!
//! A later row wins, so that one for a model can follow one for all of a provider's. Out of scope: what is charged
//! (`credits::discount`).

use patchbay::catalog::Endpoint;
use patchbay::credits::discount::Discount;
use serde::{Deserialize, Serialize};

use crate::rows::{Fault, Row};

/// A discount on a provider's prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscountRow {
    /// The provider's slug, for its usual endpoints; or the tag of one that is not.
    pub provider: String,
    /// The model's slug; absent for all of the provider's models that have a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What is taken off, in millionths.
    pub discount_ppm: Discount,
}

impl DiscountRow {
    fn is_for(&self, endpoint: &Endpoint) -> bool {
        let prices = &endpoint.prices;
        endpoint.answers_to(&self.provider)
            && match &self.model {
                Some(model) => endpoint.model == *model,
                None => !prices.is_free() && !prices.stated,
            }
    }
}

/// Puts the discounts into the endpoints' prices.
pub fn apply(
    discounts: &[Row<DiscountRow>],
    endpoints: &mut [Row<Endpoint>],
    faults: &mut Vec<Fault>,
) {
    for row in discounts {
        let mut found = endpoints
            .iter_mut()
            .filter(|endpoint| row.value.is_for(&endpoint.value))
            .peekable();
        if found.peek().is_none() {
            let model = row.value.model.as_deref().unwrap_or("anything at a price");
            let why = format!("{} does not serve {model}", row.value.provider);
            faults.push(Fault::of_row(&row.place, why));
        }
        for endpoint in found {
            endpoint.value.prices.discount_ppm = Some(row.value.discount_ppm);
        }
    }
}
