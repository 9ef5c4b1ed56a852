//! A discount on an endpoint's prices, exact to a millionth.
//!
//! It takes the same part off everything that the endpoint's price table says: tokens at every step, units, the request. What is
//! sold beside it keeps its price: searches, the gateway's own tools, and what a provider says it charged.
//! Out of scope: rounding, which is the charge's and happens once ([`super::pricing`]).

use serde::{Deserialize, Serialize};

use super::decimal;

/// Millionths of a price.
pub const WHOLE: u32 = 1_000_000;

/// A part of a price that is not charged: more than nothing, less than all of it (what is free has a price of zero).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Discount(u32);

impl Discount {
    /// The fraction as exact decimal text (`0.1`): the reference's `pricing.discount`.
    pub fn fraction(self) -> String {
        decimal::format(i128::from(self.0), 6)
    }
}

impl TryFrom<u32> for Discount {
    type Error = &'static str;
    fn try_from(millionths: u32) -> Result<Self, Self::Error> {
        if millionths == 0 || millionths >= WHOLE {
            return Err("a discount is 1 to 999999 millionths");
        }
        Ok(Self(millionths))
    }
}

impl From<Discount> for u32 {
    fn from(discount: Discount) -> u32 {
        discount.0
    }
}

/// What is left of a price, in parts of [`WHOLE`].
pub fn kept(discount: Option<Discount>) -> i128 {
    i128::from(WHOLE - discount.map_or(0, |discount| discount.0))
}

/// What is left of an amount, rounded up: for comparing prices. Charges keep the exact product.
pub fn off(discount: Option<Discount>, nanos: i64) -> i64 {
    let left = decimal::div_ceil(i128::from(nanos) * kept(discount), i128::from(WHOLE));
    i64::try_from(left).unwrap_or(nanos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        chat::{Quality, Units, Usage},
        credits::{
            money::Nanos,
            pricing::{Charge, OutputBounds, Part, Price, PriceTable},
            share::Share,
        },
    };

    /// Every kind of price, odd to the last digit.
    fn prices(discount: Option<u32>) -> PriceTable {
        let mut prices: Value = json!({
            "prompt": 1_100_000_003_i64, "completion": 4_300_000_007_i64, "cache_read": 110_000_009,
            "cache_write_5m": 1_375_000_013, "cache_write_1h": 2_200_000_021_i64, "reasoning": 5_100_000_017_i64,
            "audio_in": 32_000_000_033_i64, "audio_out": 64_000_000_039_i64, "image_out": 30_000_000_041_i64,
            "request": 7_000_001,
            "units": {
                "images": [{"price": 11_000_003}], "megapixel": 2_700_001, "audio_in_hour": 40_000_007,
                "audio_out_hour": 50_000_009, "characters": 15_000_000_011_i64, "search_unit": 2_000_001,
            },
            "tiers": [{"min_prompt_tokens": 20_000, "prompt": 2_200_000_043_i64, "cache_read": 220_000_051}],
        });
        if let Some(discount) = discount {
            prices["discount_ppm"] = discount.into();
        }
        serde_json::from_value(prices).unwrap()
    }

    /// What lines come to before any discount or share, in parts of a nano-dollar: 18 million make one.
    fn exact(charge: &Charge) -> i128 {
        let parts = charge.lines.iter().map(|line| {
            let factor = i128::from(18_000_000 / line.per);
            i128::from(line.quantity) * i128::from(line.price) * factor
        });
        parts.sum()
    }

    fn up(amount: i128, divisor: i128) -> i64 {
        i64::try_from((amount + divisor - 1) / divisor).unwrap()
    }

    #[test]
    fn a_discount_is_more_than_nothing_and_less_than_all() {
        for (millionths, fraction) in [
            (0, None),
            (1, Some("0.000001")),
            (100_000, Some("0.1")),
            (333_333, Some("0.333333")),
            (999_999, Some("0.999999")),
            (1_000_000, None),
            (u32::MAX, None),
        ] {
            let read = serde_json::from_value::<Discount>(millionths.into()).ok();
            let told = read.map(Discount::fraction);
            assert_eq!(told.as_deref(), fraction, "{millionths}");
        }
        for wrong in [json!(0.1), json!("100000"), json!(-5)] {
            assert!(serde_json::from_value::<Discount>(wrong).is_err());
        }
    }

    #[test]
    fn a_tenth_off_is_a_tenth_off_each_line() {
        let table = prices(Some(100_000));
        let usage = Usage {
            prompt: 1_000,
            completion: 100,
            ..Usage::default()
        };
        let charge = table.cost(&usage).unwrap();
        // 1,100,000.003 + 430,000.0007 + 7,000,001 nano-dollars, nine tenths of them.
        assert_eq!(charge.total.get(), 7_677_001);
        assert!(charge.lines.iter().all(|line| line.discount_ppm.is_some()));
        assert!(!table.is_free() && table.net(Price::FREE) == Price::FREE);
        assert_eq!(table.net(table.prompt).get(), 990_000_003);
        assert_eq!(
            serde_json::to_value(charge.lines[0]).unwrap()["discount_ppm"],
            100_000
        );
    }

    #[test]
    fn searches_and_what_a_provider_states_keep_their_price() {
        let stated = PriceTable {
            stated: true,
            ..prices(Some(100_000))
        };
        let usage = Usage {
            prompt: 5,
            upstream_cost: Some(1_000),
            ..Usage::default()
        };
        assert_eq!(stated.cost(&usage).unwrap().total.get(), 1_000);
        let search = Charge::of_units(&[(Part::WebSearch, 2, Nanos::new(500).unwrap())]).unwrap();
        let model = prices(Some(500_000)).cost(&Usage::default()).unwrap();
        let joined = Charge::join(vec![model, search]).unwrap();
        assert_eq!(joined.total.get(), 3_500_001 + 1_000);
    }

    fn usage() -> impl Strategy<Value = Usage> {
        let count = || prop_oneof![Just(0u64), 0..100_000u64, 0..3_000_000_000u64];
        let counts = prop::array::uniform9(count());
        let units = prop::array::uniform6(0..1_000_000u64);
        (counts, units).prop_map(|(counts, units)| {
            let [
                prompt,
                completion,
                cache_read,
                cache_write_5m,
                cache_write_1h,
                reasoning,
                audio_in,
                audio_out,
                image_out,
            ] = counts;
            let [
                images,
                pixels,
                audio_in_ms,
                audio_out_ms,
                characters,
                searches,
            ] = units;
            Usage {
                prompt,
                completion,
                cache_read,
                cache_write_5m,
                cache_write_1h,
                reasoning,
                audio_in,
                audio_out,
                image_out,
                units: Units {
                    images,
                    width: u32::try_from(pixels).unwrap(),
                    height: 1,
                    quality: Quality::Low,
                    audio_in_ms,
                    audio_out_ms,
                    characters,
                    searches,
                },
                ..Usage::default()
            }
        })
    }

    proptest! {
        // P39 P40
        #[test]
        fn a_discount_is_exact_never_more_than_the_full_price_and_rounded_once(
            usage in usage(), discount in 1..WHOLE, percent in 0u32..=100,
        ) {
            let (full, less) = (prices(None).cost(&usage).unwrap(), prices(Some(discount)).cost(&usage).unwrap());
            let kept = i128::from(WHOLE - discount);
            prop_assert_eq!(less.total.get(), up(exact(&full) * kept, 18_000_000 * i128::from(WHOLE)));
            prop_assert!(less.total <= full.total && less.total > Nanos::ZERO);
            prop_assert!(less.explains_itself());
            prop_assert_eq!(less.list(), Ok(less.total));
            let read: Charge = serde_json::from_str(&serde_json::to_string(&less).unwrap()).unwrap();
            prop_assert_eq!(&read, &less);
            let merged = Charge::join(vec![less.clone(), full.clone(), less.clone()]).unwrap().merged();
            let sum = exact(&full) * (2 * kept + i128::from(WHOLE));
            prop_assert_eq!(merged.total.get(), up(sum, 18_000_000 * i128::from(WHOLE)));
            prop_assert!(merged.explains_itself());
            // A share of what is left, where the account's own key served.
            let share = Share::from_percent(&percent.to_string()).unwrap();
            let shared = less.clone().at_share(share).unwrap();
            let part = exact(&full) * kept * i128::from(percent);
            prop_assert_eq!(shared.total.get(), up(part, 18_000_000 * i128::from(WHOLE) * 100));
            prop_assert_eq!(shared.list(), Ok(less.total));
        }

        // P47
        #[test]
        fn a_hold_is_as_much_less_and_a_balance_buys_as_much_more(
            prompt in 0u64..300_000, discount in 1..WHOLE, available in 0i64..200_000_000,
        ) {
            let (full, less) = (prices(None), prices(Some(discount)));
            let held = |table: &PriceTable, tokens| {
                let bounds = OutputBounds { max_tokens: Some(tokens), ..OutputBounds::default() };
                table.estimate_hold(prompt, bounds).unwrap()
            };
            prop_assert!(held(&less, 100) <= held(&full, 100));
            let available = Nanos::new(available).unwrap();
            let tokens = less.affordable_tokens(available, prompt).unwrap();
            if tokens > 0 && tokens < 16_000 {
                prop_assert!(held(&less, tokens) <= available);
            }
            if tokens < 16_000 {
                prop_assert!(held(&less, tokens + 1) > available);
            }
            prop_assert!(less.affordable_prompt(available, prompt) >= full.affordable_prompt(available, prompt));
        }
    }
}
