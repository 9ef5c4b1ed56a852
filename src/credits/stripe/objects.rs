//! The fields of Stripe's objects that matter here. All else is ignored, so that a newer version of its API changes nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The metadata that this deployment writes: the purchase's id.
pub const PURCHASE: &str = "patchbay_purchase";
/// The account that it is for.
pub const ACCOUNT: &str = "patchbay_account";
/// On refunds: the refund's own id.
pub const REFUND: &str = "patchbay_refund";

type Metadata = BTreeMap<String, String>;

/// What a webhook carries.
#[derive(Debug, Deserialize)]
pub struct Event {
    /// `evt_…`: names it however often it is sent.
    pub id: String,
    /// Such as `checkout.session.completed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether real money moved.
    #[serde(default)]
    pub livemode: bool,
    /// What happened to what.
    pub data: EventData,
}

/// The object of an event.
#[derive(Debug, Deserialize)]
pub struct EventData {
    /// As it was then.
    pub object: Box<RawValue>,
}

/// An id, or the whole object where it was expanded.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Reference {
    /// The id.
    Id(String),
    /// The object.
    Object {
        /// Its id.
        id: String,
    },
}

impl Reference {
    /// The id.
    pub fn id(&self) -> &str {
        match self {
            Self::Id(id) | Self::Object { id } => id,
        }
    }
}

/// A Checkout Session.
#[derive(Debug, Deserialize)]
pub struct Session {
    /// `cs_…`.
    pub id: String,
    /// Our purchase's id.
    pub client_reference_id: Option<String>,
    /// In cents, before tax.
    pub amount_subtotal: Option<i64>,
    /// In cents, with tax.
    pub amount_total: Option<i64>,
    /// `usd`.
    pub currency: Option<String>,
    /// Who pays.
    pub customer: Option<Reference>,
    /// The payment behind it.
    pub payment_intent: Option<Reference>,
    /// `paid`, `unpaid` or `no_payment_required`.
    pub payment_status: Option<String>,
    /// Where the customer pays; only while it is open.
    pub url: Option<String>,
    /// What we wrote.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

/// A payment.
#[derive(Debug, Deserialize)]
pub struct PaymentIntent {
    /// `pi_…`.
    pub id: String,
    /// In cents.
    pub amount: i64,
    /// What came, in cents.
    #[serde(default)]
    pub amount_received: i64,
    /// `usd`.
    pub currency: String,
    /// Who pays.
    pub customer: Option<Reference>,
    /// `succeeded`, `processing`, `requires_payment_method` …
    pub status: String,
    /// Why it failed last.
    pub last_payment_error: Option<ApiError>,
    /// The charge that it led to.
    pub latest_charge: Option<Charge>,
    /// What we wrote.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

/// What tax is due on some lines.
#[derive(Debug, Deserialize)]
pub struct TaxCalculation {
    /// `taxcalc_…`: names it to the payment, which then reports it.
    pub id: String,
    /// In cents, with tax.
    pub amount_total: i64,
}

/// A charge: its id, or all of it where it was expanded.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Charge {
    /// The id.
    Id(String),
    /// All of it.
    Object {
        /// `ch_…`.
        id: String,
        /// The receipt's page.
        receipt_url: Option<String>,
    },
}

/// What of a charge its events need.
#[derive(Debug, Deserialize)]
pub struct ChargeObject {
    /// `ch_…`.
    pub id: String,
    /// The payment that led to it.
    pub payment_intent: Option<Reference>,
}

/// A refund.
#[derive(Debug, Deserialize)]
pub struct Refund {
    /// `re_…`.
    pub id: String,
    /// In cents.
    pub amount: i64,
    /// `usd`.
    pub currency: String,
    /// What is refunded.
    pub payment_intent: Option<Reference>,
    /// `pending`, `requires_action`, `succeeded`, `failed` or `canceled`.
    pub status: Option<String>,
    /// What we wrote.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

impl Refund {
    /// Whether no money goes back after all.
    pub fn is_undone(&self) -> bool {
        matches!(self.status.as_deref(), Some("failed" | "canceled"))
    }
}

/// A dispute.
#[derive(Debug, Deserialize)]
pub struct Dispute {
    /// `dp_…` (`du_…`).
    pub id: String,
    /// In cents.
    pub amount: i64,
    /// `usd`.
    pub currency: String,
    /// What is disputed.
    pub payment_intent: Option<Reference>,
    /// Such as `needs_response`, `won`, `lost`, `warning_needs_response`.
    pub status: String,
}

/// What a dispute does to the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The bank has it, for now or for good.
    Taken,
    /// It came back.
    Won,
    /// It never left: an inquiry, or a dispute that was prevented.
    Untouched,
}

impl Dispute {
    /// Where the money is. What is new to us counts as taken: credits must not be spent twice.
    pub fn standing(&self) -> Standing {
        match self.status.as_str() {
            "won" => Standing::Won,
            "prevented" => Standing::Untouched,
            status if status.starts_with("warning_") => Standing::Untouched,
            _ => Standing::Taken,
        }
    }
}

/// A list.
#[derive(Debug, Deserialize)]
pub struct List<T> {
    /// One page of it.
    pub data: Vec<T>,
    /// Whether there are more.
    #[serde(default)]
    pub has_more: bool,
}

/// Anything that has an id.
#[derive(Debug, Deserialize)]
pub struct Named {
    /// The id.
    pub id: String,
}

/// `{"error": …}`.
#[derive(Debug, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ApiError,
}

/// What went wrong.
#[derive(Debug, Default, Deserialize)]
pub struct ApiError {
    /// `card_error`, `invalid_request_error`, `idempotency_error`, `api_error`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Such as `card_declined`, `authentication_required`.
    pub code: Option<String>,
    /// The bank's word, such as `insufficient_funds`.
    pub decline_code: Option<String>,
    /// For people.
    pub message: Option<String>,
}

impl ApiError {
    /// The most telling word of it.
    pub fn word(&self) -> &str {
        self.decline_code
            .as_deref()
            .or(self.code.as_deref())
            .unwrap_or(&self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_expanded_or_not() {
        let session: Session = serde_json::from_str(
            r#"{"id":"cs_1","customer":{"id":"cus_1","object":"customer"},"payment_intent":"pi_1","metadata":{"a":"b"},"new_field":1}"#,
        )
        .unwrap();
        assert_eq!(session.customer.as_ref().map(Reference::id), Some("cus_1"));
        assert_eq!(
            session.payment_intent.as_ref().map(Reference::id),
            Some("pi_1")
        );
    }

    #[test]
    fn a_dispute_takes_the_money_unless_its_state_says_otherwise() {
        for (status, standing) in [
            ("needs_response", Standing::Taken),
            ("under_review", Standing::Taken),
            ("lost", Standing::Taken),
            ("appeal_under_review", Standing::Taken),
            ("a_word_of_tomorrow", Standing::Taken),
            ("won", Standing::Won),
            ("prevented", Standing::Untouched),
            ("warning_needs_response", Standing::Untouched),
            ("warning_closed", Standing::Untouched),
        ] {
            let text = format!(
                r#"{{"id":"dp","amount":1,"currency":"usd","payment_intent":null,"status":"{status}"}}"#
            );
            let dispute: Dispute = serde_json::from_str(&text).unwrap();
            assert_eq!(dispute.standing(), standing, "{status}");
        }
    }
}
