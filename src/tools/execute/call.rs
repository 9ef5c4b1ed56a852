//! What a protocol asks of an execution, who pays, and with which keys.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::credits::money::{Nanos, dollars};
pub use crate::credits::ops::Confirm;

/// Who pays for an execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payer {
    /// The account.
    pub account: String,
    /// The key: SHA-256 of its first secret, in hex.
    pub key_hash: String,
    /// SHA-256 of the secret that was sent, where the key has had more than one.
    pub secret: Option<String>,
    /// Whose key it is.
    pub member: Option<String>,
}

/// A provider key that the account brought.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnKey {
    /// The provider's slug.
    pub provider: String,
    /// Its id.
    pub id: String,
    /// What it is called where it must not be shown.
    pub label: String,
    /// The secret.
    pub secret: String,
    /// It is used only after the operator's.
    pub is_fallback: bool,
    /// The operator's is never used in its place.
    pub is_required: bool,
}

/// A wish for one execution.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// Its id, `exec-…`: unique for ever.
    pub id: String,
    /// `provider/operation`, a wire name, or a capability.
    pub tool: String,
    /// The input.
    pub input: Value,
    /// The client's name for this execution: at most one of that name is carried out.
    pub idempotency_key: Option<String>,
    /// The token of a confirmation.
    pub confirmation: Option<String>,
    /// What the caller wants confirmed at the least; the key's policy may want more.
    pub confirm: Confirm,
    /// What it wants of providers.
    pub provider: ProviderWish,
    /// Nothing is sent: the answer says what would be.
    pub dry_run: bool,
    /// `rest`, `mcp`, `a2a`, `openai` or `composite`.
    pub surface: &'static str,
    /// Which step of a composite it is.
    pub step: Option<Step>,
}

impl Call {
    /// Whether it has a name under which it is carried out once.
    pub(super) fn is_named(&self) -> bool {
        self.idempotency_key.is_some() || self.step.is_some()
    }
}

/// A step of a composite. A step that was carried out is not carried out again, also after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Step {
    /// The composite's execution.
    pub parent: String,
    /// The step's name in it, unique there.
    pub index: String,
    /// Who carries the composite on: the step is not for anybody else to carry out.
    pub holder: Option<String>,
}

/// What a caller wants of the providers of a capability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderWish {
    /// These first, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefer: Vec<String>,
    /// Whether others may serve.
    pub allow_fallbacks: bool,
    /// The most that it may cost.
    #[serde(with = "dollars::option", skip_serializing_if = "Option::is_none")]
    pub max_price: Option<Nanos>,
    /// How long it may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<u64>,
}

impl Default for ProviderWish {
    fn default() -> Self {
        Self {
            prefer: Vec::new(),
            allow_fallbacks: true,
            max_price: None,
            max_latency_ms: None,
        }
    }
}
