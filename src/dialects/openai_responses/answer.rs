//! A `response` object as it comes: what an answer in one piece is, and what the events at the two ends of a stream carry.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::error::{Error, ErrorType};

/// The fields that mean something here; items stay text until somebody needs them.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) service_tier: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) status: Option<Cow<'a, str>>,
    pub(super) error: Option<Value>,
    pub(super) incomplete_details: Option<Incomplete>,
    #[serde(borrow)]
    pub(super) output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

/// Why an answer is incomplete.
#[derive(Debug, Deserialize)]
pub(super) struct Incomplete {
    reason: Option<String>,
}

impl Answer<'_> {
    /// The host's own word for the end.
    pub(super) fn native_reason(&self) -> &str {
        let reason = self.incomplete_details.as_ref();
        let reason = reason.and_then(|details| details.reason.as_deref());
        reason.or(self.status.as_deref()).unwrap_or("completed")
    }

    /// The tier that served; `auto` is what was asked for, not what was done.
    pub(super) fn tier(&self) -> Option<String> {
        let tier = self.service_tier.as_deref();
        tier.filter(|tier| *tier != "auto").map(str::to_owned)
    }
}

/// An answer that is not JSON, or not of this form.
pub(super) fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::upstream(
        ErrorType::ProviderUnavailable,
        format!("The provider sent an answer that cannot be read: {error}"),
    )
}
