//! The operator's part of prices: per cent on those of the rows, on the operator's own keys.

use crate::credits::money::Nanos;

/// The variable with the margin, in whole per cent.
pub const MARGIN: &str = "TOOLS_MARGIN";
/// The largest margin.
const MAX_MARGIN: u32 = 10_000;

/// Per cent on the prices of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Margin(u32);

impl Margin {
    /// Reads the variable [`MARGIN`].
    ///
    /// # Errors
    /// Why it is no margin.
    pub fn parse(text: Option<&str>) -> Result<Self, String> {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(Self::default());
        };
        match text.parse() {
            Ok(percent) if percent <= MAX_MARGIN => Ok(Self(percent)),
            _ => Err(format!("{MARGIN} is whole per cent from 0 to {MAX_MARGIN}")),
        }
    }

    /// A price with the margin, rounded up; the most that can be counted where it is beyond.
    pub fn on(self, price: Nanos) -> Nanos {
        let wide = i128::from(price.get()) * i128::from(100 + self.0);
        let with = wide.div_euclid(100) + i128::from(wide.rem_euclid(100) != 0);
        let with = i64::try_from(with).ok();
        with.and_then(|nanos| Nanos::new(nanos).ok())
            .unwrap_or(Nanos::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_added_rounded_up_and_what_is_none_is_told() {
        let nanos = |n| Nanos::new(n).unwrap();
        for (text, price, with) in [
            (None, 101, 101),
            (Some(""), 101, 101),
            (Some("0"), 101, 101),
            (Some("20"), 100, 120),
            (Some(" 20 "), 101, 122),
            (Some("20"), 0, 0),
        ] {
            assert_eq!(Margin::parse(text).unwrap().on(nanos(price)), nanos(with));
        }
        assert_eq!(
            Margin::parse(Some("100")).unwrap().on(Nanos::MAX),
            Nanos::MAX
        );
        for wrong in ["-1", "10001", "1.5", "much"] {
            assert!(Margin::parse(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
