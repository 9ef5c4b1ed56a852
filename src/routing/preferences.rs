//! The `provider` object of a request: what the client wants of the endpoints that may serve it.
//!
//! Spec: OpenRouter's provider preferences. Unknown keys are refused, so that a misspelt filter is never ignored.

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use crate::error::{Error, Result};

/// What to order endpoints by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words are the wire's own")]
pub enum SortBy {
    Price,
    Throughput,
    Latency,
    Exacto,
}

/// `sort`, as a word or an object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Sort {
    /// `"price"`.
    By(SortBy),
    /// `{by, partition}`.
    Object {
        /// What to order by.
        by: Option<SortBy>,
        /// `model` (default) or `none`.
        partition: Option<String>,
    },
}

/// `data_collection`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataCollection {
    /// They may.
    Allow,
    /// They may not.
    Deny,
}

/// Highest acceptable prices: dollars per million tokens, or per request. Numbers or decimal strings.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the words are the wire's own")]
pub struct MaxPrice {
    pub prompt: Option<Value>,
    pub completion: Option<Value>,
    pub request: Option<Value>,
    pub image: Option<Value>,
    pub audio: Option<Value>,
}

/// The `provider` object.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderPreferences {
    /// Try these first, in this order.
    pub order: Option<Vec<String>>,
    /// `false`: no endpoint beyond the first choice (or beyond `order`).
    pub allow_fallbacks: Option<bool>,
    /// Only these.
    pub only: Option<Vec<String>>,
    /// Never these.
    pub ignore: Option<Vec<String>>,
    /// Only endpoints that support every parameter sent.
    pub require_parameters: Option<bool>,
    /// Whether endpoints that train on or keep what they are sent may serve.
    pub data_collection: Option<DataCollection>,
    /// Only endpoints with zero data retention.
    pub zdr: Option<bool>,
    /// Only models whose author permits distillation.
    pub enforce_distillable_text: Option<bool>,
    /// Only these precisions.
    pub quantizations: Option<Vec<String>>,
    /// Order by.
    pub sort: Option<Sort>,
    /// Price caps.
    pub max_price: Option<MaxPrice>,
    /// Soft: tokens per second.
    pub preferred_min_throughput: Option<Value>,
    /// Soft: seconds.
    pub preferred_max_latency: Option<Value>,
    /// Per-provider pass-through options.
    pub options: Option<Map<String, Value>>,
}

impl ProviderPreferences {
    /// Reads the object; `None` is the default.
    ///
    /// # Errors
    /// Unknown keys and wrong types, with the path `provider`.
    pub fn parse(raw: Option<&RawValue>) -> Result<Self> {
        let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
            return Ok(Self::default());
        };
        serde_json::from_str(raw.get()).map_err(|error| {
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text);
            Error::invalid("provider", format!("provider: {reason}"))
        })
    }

    /// Whether fallbacks beyond the first choice are allowed.
    pub fn fallbacks_allowed(&self) -> bool {
        self.allow_fallbacks.unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ProviderPreferences> {
        ProviderPreferences::parse(Some(&RawValue::from_string(text.to_owned()).unwrap()))
    }

    #[test]
    fn a_misspelt_preference_is_refused_by_name() {
        let error = parse(r#"{"ordre":["openai"]}"#).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("provider"));
        assert!(error.message.contains("ordre"), "{}", error.message);
        // A filter that nobody understands must not be ignored either.
        assert!(parse(r#"{"data_collection":"never"}"#).is_err());
    }

    #[test]
    fn sort_comes_as_word_or_object() {
        let word = parse(r#"{"sort":"price"}"#).unwrap();
        assert_eq!(word.sort, Some(Sort::By(SortBy::Price)));
        let object = parse(r#"{"sort":{"by":"latency","partition":"none"}}"#).unwrap();
        assert!(matches!(
            object.sort,
            Some(Sort::Object {
                by: Some(SortBy::Latency),
                ..
            })
        ));
        assert!(parse("null").unwrap().fallbacks_allowed());
    }
}
