//! Integer money: nano-dollars (1e-9 USD). No float ever touches an amount.

use serde::{Deserialize, Serialize};

/// The largest amount a JavaScript number carries exactly (2^53 − 1 nano-dollars, about 9.0 million dollars).
///
/// The object's SQL and D1 pass numbers through JavaScript, so every amount stays within ± this bound.
pub const MAX_NANOS: i64 = (1 << 53) - 1;

/// An amount of money in nano-dollars, within ±[`MAX_NANOS`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Nanos(pub i64);
