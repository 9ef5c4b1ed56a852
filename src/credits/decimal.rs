//! Exact decimal text ↔ scaled integers: `"0.0000025"` at nine decimals is 2,500.
//!
//! In scope: reading JSON numbers and decimal strings without a float, writing them back in full.
//! Out of scope: what the integer means (money, a price).

use std::fmt::Write as _;

/// Longest decimal text accepted: a bound on work, far above any amount of money.
const MAX_TEXT: usize = 64;
/// Largest exponent magnitude accepted in `1e-7`.
const MAX_EXPONENT: i32 = 30;

/// What to do with decimals beyond the scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Refuse the text.
    Refuse,
    /// Round towards positive infinity (an upstream's float may carry 17 digits).
    RoundUp,
}

/// Why a decimal text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalError {
    /// Not a decimal number.
    Syntax,
    /// More decimals than the scale keeps.
    TooPrecise,
    /// Larger than the integer holds.
    TooLarge,
}

/// Reads decimal text (JSON number syntax, leading `+` and a bare `.5` tolerated) as an integer of `scale` decimals.
///
/// # Errors
/// When the text is no decimal number, is too large, or has more decimals than `scale` and `excess` refuses them.
pub fn parse(text: &str, scale: u32, excess: Excess) -> Result<i128, DecimalError> {
    if text.len() > MAX_TEXT {
        return Err(DecimalError::Syntax);
    }
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, parse_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(DecimalError::Syntax);
    }
    let fraction = fraction.trim_end_matches('0');
    let mut mantissa: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() {
            return Err(DecimalError::Syntax);
        }
        mantissa = mantissa
            .checked_mul(10)
            .and_then(|m| m.checked_add(i128::from(digit - b'0')))
            .ok_or(DecimalError::TooLarge)?;
    }
    if negative {
        mantissa = -mantissa;
    }
    let decimals = i32::try_from(fraction.len()).map_err(|_| DecimalError::Syntax)?;
    let scale = i32::try_from(scale).map_err(|_| DecimalError::TooLarge)?;
    shift(mantissa, scale - decimals + exponent, excess)
}

fn parse_exponent(text: &str) -> Result<i32, DecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DecimalError::Syntax);
    }
    let exponent: i32 = text.parse().map_err(|_| DecimalError::TooLarge)?;
    if exponent.abs() > MAX_EXPONENT {
        Err(DecimalError::TooLarge)
    } else {
        Ok(exponent)
    }
}

fn shift(mantissa: i128, power: i32, excess: Excess) -> Result<i128, DecimalError> {
    if mantissa == 0 {
        return Ok(0);
    }
    if let Some(factor) = 10i128.checked_pow(power.unsigned_abs()) {
        if power >= 0 {
            return mantissa.checked_mul(factor).ok_or(DecimalError::TooLarge);
        }
        return match (mantissa % factor, excess) {
            (0, _) => Ok(mantissa / factor),
            (_, Excess::Refuse) => Err(DecimalError::TooPrecise),
            (_, Excess::RoundUp) => Ok(div_ceil(mantissa, factor)),
        };
    }
    match (power < 0, excess) {
        (false, _) => Err(DecimalError::TooLarge),
        (true, Excess::Refuse) => Err(DecimalError::TooPrecise),
        (true, Excess::RoundUp) => Ok(i128::from(mantissa > 0)),
    }
}

/// Division that rounds towards positive infinity. `divisor` is positive.
pub fn div_ceil(value: i128, divisor: i128) -> i128 {
    let quotient = value / divisor;
    if value % divisor > 0 {
        quotient + 1
    } else {
        quotient
    }
}

/// Writes `value` / 10^`scale` in full, without exponent or trailing zeros: valid as a JSON number.
pub fn format(value: i128, scale: u32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let unit = 10u128.pow(scale);
    let magnitude = value.unsigned_abs();
    let (whole, fraction) = (magnitude / unit, magnitude % unit);
    let mut text = format!("{sign}{whole}");
    if fraction != 0 {
        let width = usize::try_from(scale).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(text, ".{fraction:0width$}");
        text.truncate(text.trim_end_matches('0').len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_number_spellings_are_read_exactly() {
        for (text, nanos) in [
            ("5", 5_000_000_000),
            ("0.0000025", 2_500),
            ("2.5e-6", 2_500),
            ("1E+2", 100_000_000_000),
            ("-0.5", -500_000_000),
            (".5", 500_000_000),
            ("0.1000000000000", 100_000_000),
            ("0", 0),
            ("0e30", 0),
        ] {
            assert_eq!(parse(text, 9, Excess::Refuse), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in [
            "", ".", "-", "1.2.3", "1e", "1e1.5", "0x10", "NaN", "1 ", "१",
        ] {
            assert_eq!(
                parse(text, 9, Excess::Refuse),
                Err(DecimalError::Syntax),
                "{text}"
            );
        }
        assert_eq!(
            parse("0.0000000001", 9, Excess::Refuse),
            Err(DecimalError::TooPrecise)
        );
        assert_eq!(
            parse("1e31", 9, Excess::Refuse),
            Err(DecimalError::TooLarge)
        );
    }

    #[test]
    fn rounding_up_never_loses_a_fraction() {
        assert_eq!(parse("0.0000000001", 9, Excess::RoundUp), Ok(1));
        assert_eq!(
            parse("0.049999999999999996", 9, Excess::RoundUp),
            Ok(50_000_000)
        );
        assert_eq!(parse("1e-30", 9, Excess::RoundUp), Ok(1));
        assert_eq!(parse("-0.0000000019", 9, Excess::RoundUp), Ok(-1));
    }

    #[test]
    fn text_is_written_in_full() {
        assert_eq!(format(158_400, 9), "0.0001584");
        assert_eq!(format(-1, 9), "-0.000000001");
        assert_eq!(format(5_000_000_000, 9), "5");
        assert_eq!(format(0, 9), "0");
        assert_eq!(format(10_000_000_001, 9), "10.000000001");
    }
}
