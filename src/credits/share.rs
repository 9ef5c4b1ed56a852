//! A share of a price: what the operator takes where a request was served with its account's own provider key.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    decimal::{self, Excess},
    money::{MoneyError, Nanos},
};

/// Decimals of a percentage.
const DECIMALS: u32 = 6;
/// The whole: a hundred percent.
pub const WHOLE: u32 = 100 * 10u32.pow(DECIMALS);

/// An exact part of a whole, from nothing to all of it. On the wire a percentage as a decimal string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share(u32);

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// All of it.
    pub const ALL: Self = Self(WHOLE);

    /// Reads a percentage of at most six decimals (`"5"`, `"0.5"`).
    ///
    /// # Errors
    /// When the text is no decimal number, is too precise, below 0 or above 100.
    pub fn from_percent(text: &str) -> Result<Self, MoneyError> {
        let parts = decimal::parse(text, DECIMALS, Excess::Refuse)?;
        let parts = u32::try_from(parts).map_err(|_| MoneyError::OutOfRange)?;
        if parts > WHOLE {
            return Err(MoneyError::OutOfRange);
        }
        Ok(Self(parts))
    }

    /// Parts of [`WHOLE`].
    pub fn parts(self) -> u32 {
        self.0
    }

    /// This share of an amount, rounded up.
    ///
    /// # Errors
    /// Never: a share is no larger than its whole.
    pub fn of(self, amount: Nanos) -> Result<Nanos, MoneyError> {
        let scaled = i128::from(amount.get()) * i128::from(self.0);
        Nanos::from_wide(decimal::div_ceil(scaled, i128::from(WHOLE)))
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&decimal::format(i128::from(self.0), DECIMALS))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_percent(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_read_exactly_or_refused() {
        for (text, parts) in [
            ("0", 0),
            ("5", 5_000_000),
            ("0.000001", 1),
            ("100", WHOLE),
            ("5.50", 5_500_000),
        ] {
            assert_eq!(
                Share::from_percent(text).map(Share::parts),
                Ok(parts),
                "{text}"
            );
        }
        for text in ["", "-1", "100.000001", "0.0000001", "5%", "five"] {
            assert!(Share::from_percent(text).is_err(), "{text}");
        }
        let json = serde_json::to_string(&Share::from_percent("5.5").unwrap()).unwrap();
        assert_eq!(json, "\"5.5\"");
        let read: Share = serde_json::from_str(&json).unwrap();
        assert_eq!(read.parts(), 5_500_000);
    }

    #[test]
    fn a_share_of_an_amount_rounds_up() {
        let five = Share::from_percent("5").unwrap();
        let of = |amount: i64| five.of(Nanos::new(amount).unwrap()).unwrap().get();
        assert_eq!([of(0), of(1), of(20), of(21), of(100)], [0, 1, 1, 2, 5]);
        assert_eq!(Share::NONE.of(Nanos::MAX), Ok(Nanos::ZERO));
    }
}
