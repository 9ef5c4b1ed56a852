//! Integer money: nano-dollars (1e-9 USD). No float ever touches an amount.
//!
//! In scope: the amount type, its bounds, dollars as decimal text and as an exact JSON number.
//! Out of scope: prices ([`super::pricing`]) and balances ([`super::ledger`]).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::decimal::{self, DecimalError, Excess};

/// The largest amount a JavaScript number carries exactly (2^53 − 1 nano-dollars, about 9.0 million dollars).
///
/// The object's SQL and D1 pass numbers through JavaScript, so every amount stays within ± this bound.
pub const MAX_NANOS: i64 = (1 << 53) - 1;

/// Decimals of a dollar amount.
const DECIMALS: u32 = 9;

/// An amount of money in nano-dollars, within ±[`MAX_NANOS`].
///
/// On internal wires it is a JSON integer of nano-dollars; towards clients see [`dollars`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "i64", into = "i64")]
pub struct Nanos(i64);

/// Why an amount was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyError {
    /// Beyond ±[`MAX_NANOS`].
    OutOfRange,
    /// More than nine decimals of a dollar.
    TooPrecise,
    /// Not a decimal number.
    Syntax,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfRange => "amount out of range: at most 9007199.254740991 dollars",
            Self::TooPrecise => "amount too precise: at most 9 decimals of a dollar",
            Self::Syntax => "not a decimal amount of dollars",
        })
    }
}

impl std::error::Error for MoneyError {}

impl From<DecimalError> for MoneyError {
    fn from(error: DecimalError) -> Self {
        match error {
            DecimalError::Syntax => Self::Syntax,
            DecimalError::TooPrecise => Self::TooPrecise,
            DecimalError::TooLarge => Self::OutOfRange,
        }
    }
}

impl Nanos {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(MAX_NANOS);
    /// The largest debt.
    pub const MIN: Self = Self(-MAX_NANOS);

    /// An amount of nano-dollars.
    ///
    /// # Errors
    /// Beyond ±[`MAX_NANOS`].
    pub const fn new(nanos: i64) -> Result<Self, MoneyError> {
        if nanos > MAX_NANOS || nanos < -MAX_NANOS {
            Err(MoneyError::OutOfRange)
        } else {
            Ok(Self(nanos))
        }
    }

    /// The amount as an integer of nano-dollars.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Adds, staying in range.
    ///
    /// # Errors
    /// When the sum leaves ±[`MAX_NANOS`].
    pub const fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        // Two amounts within 2^53 cannot overflow 2^63.
        Self::new(self.0 + other.0)
    }

    /// Subtracts, staying in range.
    ///
    /// # Errors
    /// When the difference leaves ±[`MAX_NANOS`].
    pub const fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        Self::new(self.0 - other.0)
    }

    /// The same amount with the other sign.
    pub const fn negated(self) -> Self {
        Self(-self.0)
    }

    /// Whether the amount is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Reads dollars (`"5"`, `"0.0000025"`, `"2.5e-6"`) exactly.
    ///
    /// # Errors
    /// When the text is no decimal number, has more than nine decimals, or is out of range.
    pub fn from_dollars(text: &str) -> Result<Self, MoneyError> {
        Self::from_wide(decimal::parse(text, DECIMALS, Excess::Refuse)?)
    }

    /// Reads dollars that an upstream computed in floats: decimals beyond the ninth round up.
    ///
    /// # Errors
    /// When the text is no decimal number or is out of range.
    pub fn from_dollars_rounded_up(text: &str) -> Result<Self, MoneyError> {
        Self::from_wide(decimal::parse(text, DECIMALS, Excess::RoundUp)?)
    }

    /// The amount in dollars as a JSON number in full: exact, no exponent, never through a float.
    pub fn to_json_number(self) -> Box<RawValue> {
        // Decimal text is valid JSON, so the fallback is never taken.
        RawValue::from_string(self.to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }

    pub(super) fn from_wide(nanos: i128) -> Result<Self, MoneyError> {
        i64::try_from(nanos)
            .map_err(|_| MoneyError::OutOfRange)
            .and_then(Self::new)
    }
}

impl TryFrom<i64> for Nanos {
    type Error = MoneyError;
    fn try_from(nanos: i64) -> Result<Self, MoneyError> {
        Self::new(nanos)
    }
}

impl From<Nanos> for i64 {
    fn from(amount: Nanos) -> i64 {
        amount.0
    }
}

impl FromStr for Nanos {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        Self::from_dollars(text)
    }
}

/// Dollars in full: `0.0001584`.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&decimal::format(i128::from(self.0), DECIMALS))
    }
}

/// `#[serde(with = "money::dollars")]`: an amount as an exact JSON number of dollars, the client's wire.
///
/// Reading works from JSON text only (not from a `serde_json::Value`): a `Value` has already been through a float.
pub mod dollars {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::value::RawValue;

    use super::Nanos;

    /// Writes the amount as a JSON number of dollars.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(amount: &Nanos, serializer: S) -> Result<S::Ok, S::Error> {
        amount.to_json_number().serialize(serializer)
    }

    /// Reads a JSON number of dollars exactly.
    ///
    /// # Errors
    /// Not a number, out of range, or more than nine decimals.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Nanos, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Nanos::from_dollars(raw.get()).map_err(D::Error::custom)
    }

    /// The same for an amount that may be `null` or absent (add `#[serde(default)]`).
    pub mod option {
        use super::{Nanos, RawValue};
        use serde::de::Error as _;
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        /// Writes the amount as a JSON number of dollars, or `null`.
        ///
        /// # Errors
        /// Those of the serializer.
        pub fn serialize<S: Serializer>(
            amount: &Option<Nanos>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            amount.map(Nanos::to_json_number).serialize(serializer)
        }

        /// Reads a JSON number of dollars exactly, or `null`.
        ///
        /// # Errors
        /// Neither, out of range, or more than nine decimals.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Nanos>, D::Error> {
            let raw = <Option<&RawValue>>::deserialize(deserializer)?;
            raw.map(|raw| Nanos::from_dollars(raw.get()))
                .transpose()
                .map_err(D::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wire {
        #[serde(with = "dollars")]
        cost: Nanos,
        #[serde(default, with = "dollars::option")]
        limit: Option<Nanos>,
    }

    fn nanos(amount: i64) -> Nanos {
        Nanos::new(amount).unwrap()
    }

    // P130
    #[test]
    fn amounts_stay_within_what_a_javascript_number_carries() {
        assert_eq!(
            Nanos::new(MAX_NANOS).map(Nanos::get),
            Ok(9_007_199_254_740_991)
        );
        assert_eq!(Nanos::new(MAX_NANOS + 1), Err(MoneyError::OutOfRange));
        assert_eq!(
            Nanos::MAX.checked_add(nanos(1)),
            Err(MoneyError::OutOfRange)
        );
        assert_eq!(
            Nanos::MIN.checked_sub(nanos(1)),
            Err(MoneyError::OutOfRange)
        );
        assert!(serde_json::from_str::<Nanos>("9007199254740992").is_err());
        assert_eq!(
            Nanos::from_dollars("9007199.254740992"),
            Err(MoneyError::OutOfRange)
        );
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "shows that the bound survives the platform's float"
        )]
        let through_js = MAX_NANOS as f64 as i64;
        assert_eq!(through_js, MAX_NANOS);
    }

    // P39
    #[test]
    fn dollars_are_a_json_number_without_float_digits() {
        let wire = Wire {
            cost: nanos(158_400),
            limit: Some(nanos(300_000_000)),
        };
        let json = serde_json::to_string(&wire).unwrap();
        assert_eq!(json, r#"{"cost":0.0001584,"limit":0.3}"#);
        assert_eq!(serde_json::from_str::<Wire>(&json).unwrap(), wire);
    }

    #[test]
    fn dollars_from_a_client_are_read_exactly_or_refused() {
        assert_eq!(
            serde_json::from_str::<Wire>(r#"{"cost":1e-7}"#).unwrap(),
            Wire {
                cost: nanos(100),
                limit: None
            }
        );
        assert_eq!(
            serde_json::from_str::<Wire>(r#"{"cost":5,"limit":null}"#)
                .unwrap()
                .limit,
            None
        );
        assert!(serde_json::from_str::<Wire>(r#"{"cost":0.0000000001}"#).is_err());
        assert!(serde_json::from_str::<Wire>(r#"{"cost":"5"}"#).is_err());
        assert_eq!(
            Nanos::from_dollars("0.0000000001"),
            Err(MoneyError::TooPrecise)
        );
    }

    // P23
    #[test]
    fn an_upstream_float_cost_rounds_up() {
        assert_eq!(
            Nanos::from_dollars_rounded_up("0.00014850000000000001"),
            Ok(nanos(148_501))
        );
    }
}
