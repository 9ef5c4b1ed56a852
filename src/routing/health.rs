//! How an endpoint stands right now, as this isolate has seen it.
//!
//! Out of scope: measurements over minutes (`statistics`).

use crate::catalog::Endpoint;

/// How an endpoint stands. The order of the variants is the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Standing {
    /// Nothing speaks against it.
    #[default]
    Steady,
    /// It had an outage that may be over: before others, as if there had been none, but for few requests at a time.
    Trial,
    /// It failed lately: after the steady ones.
    Shaky,
    /// Its breaker is open, or it asked for a pause that is not over: last.
    Resting,
}

impl Standing {
    /// The word told to clients.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Trial => "trial",
            Self::Shaky => "shaky",
            Self::Resting => "resting",
        }
    }
}

/// What this isolate knows of the health of endpoints.
pub trait Health {
    /// How this endpoint stands at `now_ms`.
    fn standing(&self, endpoint: &Endpoint, now_ms: u64) -> Standing;
}

/// Nothing is known: everything is steady.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unknown;

impl Health for Unknown {
    fn standing(&self, _endpoint: &Endpoint, _now_ms: u64) -> Standing {
        Standing::Steady
    }
}
