//! What buying credits costs, and how much may be bought: the deployment's terms.
//!
//! Money that is paid is whole cents; credits are nano-dollars. A fee is rounded up to the cent, once per purchase.

use super::{
    decimal::{self, Excess, div_ceil},
    money::{MoneyError, Nanos},
};

/// Nano-dollars in a cent.
pub const CENT: i64 = 10_000_000;
/// Decimals of a percentage.
const PERCENT_DECIMALS: u32 = 4;
/// Hundred percent at these decimals.
const WHOLE: i128 = 1_000_000;
const HOUR_MS: i64 = 3_600_000;

/// The terms of sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// Of the credits, in millionths.
    fee: i128,
    /// The least fee, in cents.
    least_fee: i64,
    /// The least purchase, in cents of credits.
    pub least: i64,
    /// The largest.
    pub most: i64,
    /// How long credits that were bought live, in milliseconds; for ever where absent.
    pub lifetime_ms: Option<i64>,
    /// How long what is unused can be given back, in milliseconds.
    pub refund_ms: i64,
}

/// What a purchase comes to, in cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// The credits.
    pub credits: i64,
    /// The fee on top.
    pub fee: i64,
}

impl Quote {
    /// What is charged, before tax.
    pub fn total(self) -> i64 {
        self.credits + self.fee
    }
}

impl Default for Sale {
    fn default() -> Self {
        Self {
            fee: 55_000,
            least_fee: 80,
            least: 500,
            most: 2_500_000,
            lifetime_ms: None,
            refund_ms: 24 * HOUR_MS,
        }
    }
}

impl Sale {
    /// The terms by the deployment's variables; those that are not set have the field's usual values.
    ///
    /// # Errors
    /// A sentence that names the variable.
    pub fn read(var: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut sale = Self::default();
        let money = |name: &str, otherwise: i64| match var(name) {
            None => Ok(otherwise),
            Some(text) => Nanos::from_dollars(text.trim())
                .ok()
                .filter(|amount| !amount.is_negative())
                .and_then(|amount| cents(amount).ok())
                .ok_or_else(|| {
                    format!("the variable {name} is no amount of dollars in whole cents")
                }),
        };
        let whole = |name: &str| {
            let text = var(name);
            let number = text.map(|text| text.trim().parse::<u32>().map(i64::from));
            let failed = |_| format!("the variable {name} is no whole number");
            number.transpose().map_err(failed)
        };
        if let Some(text) = var("CREDIT_FEE_PERCENT") {
            let fee = decimal::parse(text.trim(), PERCENT_DECIMALS, Excess::Refuse);
            sale.fee = fee
                .ok()
                .filter(|fee| (0..=WHOLE).contains(fee))
                .ok_or("the variable CREDIT_FEE_PERCENT is no percentage, such as 5.5")?;
        }
        sale.least_fee = money("CREDIT_FEE_MIN", sale.least_fee)?;
        // Stripe charges nothing below half a dollar.
        sale.least = money("CREDIT_PURCHASE_MIN", sale.least)?.max(50);
        sale.most = money("CREDIT_PURCHASE_MAX", sale.most)?;
        let days = whole("CREDIT_EXPIRY_DAYS")?.filter(|days| *days > 0);
        sale.lifetime_ms = days.map(|days| days * 24 * HOUR_MS);
        if let Some(hours) = whole("CREDIT_REFUND_HOURS")? {
            sale.refund_ms = hours * HOUR_MS;
        }
        Ok(sale)
    }

    /// What an amount of credits comes to.
    ///
    /// # Errors
    /// A sentence for the buyer.
    pub fn quote(&self, credits: Nanos) -> Result<Quote, String> {
        let credits = cents(credits)
            .map_err(|_| "Credits are bought in whole cents of a dollar".to_owned())?;
        if credits < self.least || credits > self.most {
            return Err(format!(
                "Between {} and {} dollars of credits can be bought at a time",
                dollars(self.least),
                dollars(self.most)
            ));
        }
        let fee = div_ceil(i128::from(credits) * self.fee, WHOLE);
        let fee = i64::try_from(fee).map_err(|_| "the fee is out of range".to_owned())?;
        Ok(Quote {
            credits,
            fee: fee.max(self.least_fee),
        })
    }
}

/// An amount in cents.
///
/// # Errors
/// When it is no whole number of them.
pub fn cents(amount: Nanos) -> Result<i64, MoneyError> {
    if amount.get() % CENT == 0 {
        Ok(amount.get() / CENT)
    } else {
        Err(MoneyError::TooPrecise)
    }
}

/// Cents as an amount.
///
/// # Errors
/// When they are out of range.
pub fn of_cents(cents: i64) -> Result<Nanos, MoneyError> {
    let nanos = cents.checked_mul(CENT).ok_or(MoneyError::OutOfRange)?;
    Nanos::new(nanos)
}

/// `5`, `5.5`, `0.8`.
fn dollars(cents: i64) -> String {
    decimal::format(i128::from(cents), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> Nanos {
        Nanos::from_dollars(text).unwrap()
    }

    #[test]
    fn the_fee_is_the_percentage_rounded_up_or_the_least_one() {
        let sale = Sale::default();
        for (credits, fee, total) in [
            ("5", 80, 580),
            ("10", 80, 1_080),
            ("14.54", 80, 1_534),
            ("14.55", 81, 1_536),
            ("100", 550, 10_550),
            ("100.01", 551, 10_552),
            ("25000", 137_500, 2_637_500),
        ] {
            let quote = sale.quote(nanos(credits)).unwrap();
            assert_eq!((quote.fee, quote.total()), (fee, total), "{credits}");
        }
    }

    // Amounts beyond limits, negative, fractional below a cent.
    #[test]
    fn amounts_that_cannot_be_bought_are_refused_with_the_limits() {
        let sale = Sale::default();
        for credits in [
            "0",
            "-5",
            "4.99",
            "25000.01",
            "9007199.25",
            "5.001",
            "10.000000001",
        ] {
            assert!(sale.quote(nanos(credits)).is_err(), "{credits}");
        }
        let told = sale.quote(nanos("1")).unwrap_err();
        assert!(told.contains("5 and 25000 dollars"), "{told}");
    }

    #[test]
    fn the_deployment_says_its_own_terms_or_hears_which_variable_is_wrong() {
        let read = |vars: &[(&str, &str)]| {
            Sale::read(|name| {
                let found = vars.iter().find(|(own, _)| *own == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(read(&[]), Ok(Sale::default()));
        let own = read(&[
            ("CREDIT_FEE_PERCENT", "0"),
            ("CREDIT_FEE_MIN", "0"),
            ("CREDIT_PURCHASE_MIN", "1.50"),
            ("CREDIT_EXPIRY_DAYS", "365"),
            ("CREDIT_REFUND_HOURS", "0"),
        ])
        .unwrap();
        assert_eq!(own.quote(nanos("1.5")).map(Quote::total), Ok(150));
        assert_eq!(own.lifetime_ms, Some(365 * 24 * HOUR_MS));
        assert_eq!(own.refund_ms, 0);
        for (name, value) in [
            ("CREDIT_FEE_PERCENT", "-1"),
            ("CREDIT_FEE_PERCENT", "101"),
            ("CREDIT_FEE_MIN", "0.001"),
            ("CREDIT_PURCHASE_MAX", "much"),
            ("CREDIT_EXPIRY_DAYS", "1.5"),
        ] {
            let problem = read(&[(name, value)]).unwrap_err();
            assert!(problem.contains(name), "{problem}");
        }
    }

    #[test]
    fn cents_and_credits_are_the_same_money() {
        assert_eq!(of_cents(1_055).and_then(cents), Ok(1_055));
        assert_eq!(cents(nanos("0.015")), Err(MoneyError::TooPrecise));
        assert_eq!(of_cents(i64::MAX), Err(MoneyError::OutOfRange));
    }
}
