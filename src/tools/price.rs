//! What a call costs: the most it may come to before it, what it came to after it. Whole nano-dollars throughout.
//!
//! Out of scope: margins, and who pays (`tools::execute`).

use serde_json::Value;

use crate::{
    credits::{
        decimal::{self, Excess},
        money::Nanos,
    },
    tools::{
        catalog::{Operation, PriceCase},
        connector::{Success, condition::holds, template::at},
    },
};

/// Nano-dollars of a dollar, in decimals.
const DOLLAR: u32 = 9;
/// Of a cent.
const CENT: u32 = 7;

/// The most that a call with this input may come to.
pub fn ceiling(operation: &Operation, input: &Value) -> Nanos {
    let price = Priced::of(operation, input);
    let known = price.total(operation, input, of_input(operation, input).unwrap_or(0));
    price.hold.map_or(known, |hold| hold.max(known))
}

/// What a success came to.
pub fn charge(operation: &Operation, input: &Value, success: &Success) -> Nanos {
    // A batch of which nothing was done is none.
    if success.share.is_some_and(|share| share.done == 0) {
        return Nanos::ZERO;
    }
    if let Some(stated) = success.stated {
        return stated;
    }
    let counted = counted(operation, input, &success.data);
    // Of what was asked for, only what was done.
    let counted = match (success.share, operation.price.count.as_deref()) {
        (Some(share), Some(place)) if place.starts_with("input:") => Some(share.done),
        _ => counted,
    };
    let units = counted.or(success.units).unwrap_or(0);
    Priced::of(operation, input).total(operation, input, units)
}

/// What the price's `count` finds.
pub fn counted(operation: &Operation, input: &Value, data: &Value) -> Option<u64> {
    let place = operation.price.count.as_deref()?;
    match place.strip_prefix("input:") {
        Some(_) => of_input(operation, input),
        None => count(at(data, place)?),
    }
}

/// How many a value means: itself, or the items of a list.
pub fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Array(items) => Some(items.len() as u64),
        Value::Number(number) => number.as_u64().or_else(|| {
            let text = number.to_string();
            let whole = decimal::parse(&text, 0, Excess::RoundUp).ok()?;
            u64::try_from(whole).ok()
        }),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// What a provider says that a call cost, in the unit of the row. What is no amount counts as not said.
pub fn stated(operation: &Operation, text: &str) -> Option<Nanos> {
    let price = &operation.price;
    let nanos = match price.of.as_deref() {
        Some("credits") => {
            // Thousandths of credits, rounded up.
            let thousandths = decimal::parse(text, 3, Excess::RoundUp).ok()?;
            let nanos = thousandths.checked_mul(i128::from(price.unit.get()))?;
            decimal::div_ceil(nanos, 1_000)
        }
        Some("cents") => decimal::parse(text, CENT, Excess::RoundUp).ok()?,
        _ => decimal::parse(text, DOLLAR, Excess::RoundUp).ok()?,
    };
    let nanos = i64::try_from(nanos).ok().filter(|nanos| *nanos >= 0)?;
    Nanos::new(nanos).ok()
}

fn of_input(operation: &Operation, input: &Value) -> Option<u64> {
    let pointer = operation.price.count.as_deref()?.strip_prefix("input:")?;
    count(at(input, pointer)?)
}

/// The price of one input.
struct Priced {
    call: Nanos,
    unit: Nanos,
    included: u64,
    chars: Nanos,
    hold: Option<Nanos>,
}

impl Priced {
    fn of(operation: &Operation, input: &Value) -> Self {
        let price = &operation.price;
        let case = price.when.iter().find(|case| holds(&case.when, input));
        let none = PriceCase::default();
        let case = case.unwrap_or(&none);
        Self {
            call: case.call.unwrap_or(price.call),
            unit: case.unit.unwrap_or(price.unit),
            included: case.included.unwrap_or(price.included),
            chars: case.chars.unwrap_or(price.chars),
            hold: case.hold.or(price.hold),
        }
    }

    fn total(&self, operation: &Operation, input: &Value, counted: u64) -> Nanos {
        let price = &operation.price;
        let beyond = counted.saturating_sub(self.included);
        let units = beyond.div_ceil(price.per.unwrap_or(1).max(1));
        let text = price.of.as_deref().and_then(|pointer| at(input, pointer));
        let chars = text.map_or(0, characters);
        // A row that states its price in credits has their price as its unit.
        let is_stated = price.stated.is_some() && price.count.is_none();
        let unit = if is_stated { 0 } else { self.unit.get() };
        let sum = [
            (1, self.call.get()),
            (i128::from(units), unit),
            (chars, self.chars.get()),
        ];
        let sum = sum.into_iter().try_fold(0_i128, |sum, (count, nanos)| {
            sum.checked_add(count.checked_mul(i128::from(nanos))?)
        });
        let nanos = sum.and_then(|sum| i64::try_from(sum).ok());
        nanos
            .and_then(|nanos| Nanos::new(nanos).ok())
            .unwrap_or(Nanos::MAX)
    }
}

/// The characters of a text, or of all texts of a list.
fn characters(value: &Value) -> i128 {
    match value {
        Value::String(text) => i128::try_from(text.chars().count()).unwrap_or(i128::MAX),
        Value::Array(items) => items.iter().map(characters).sum(),
        _ => 0,
    }
}

#[cfg(test)]
#[path = "price_tests.rs"]
mod tests;
