//! A distribution as counts in logarithmic buckets: small, and exact to add up.
//!
//! Each power of two has 16 buckets, so values up to 31 are exact and a larger one is known to 1/32 of itself
//! ([`MAX_ERROR`]), whatever was merged in whatever order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The largest relative error of a percentile, against the nearest-rank percentile of the values themselves.
pub const MAX_ERROR: f64 = 1.0 / 32.0;
/// Larger values count as this one.
const MAX_VALUE: u64 = (1 << 40) - 1;
/// Buckets per power of two, as a power of two.
const BITS: u32 = 4;

/// Counts by bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
pub struct Histogram(BTreeMap<u64, u64>);

impl Histogram {
    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        *self.0.entry(bucket(value)).or_default() += 1;
    }

    /// Adds another histogram's counts.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            let own = self.0.entry(*bucket).or_default();
            *own = own.saturating_add(*count);
        }
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The value that `percent` of the values do not exceed (nearest rank); `None` without values.
    pub fn at_most(&self, percent: u64) -> Option<f64> {
        self.nearest(percent, self.0.iter())
    }

    /// The value that `percent` of the values reach (nearest rank); `None` without values.
    pub fn at_least(&self, percent: u64) -> Option<f64> {
        self.nearest(percent, self.0.iter().rev())
    }

    fn nearest<'a>(
        &self,
        percent: u64,
        buckets: impl Iterator<Item = (&'a u64, &'a u64)>,
    ) -> Option<f64> {
        let rank = self.count().saturating_mul(percent).div_ceil(100).max(1);
        let mut passed = 0;
        for (bucket, count) in buckets {
            passed += count;
            if passed >= rank {
                return Some(middle(*bucket));
            }
        }
        None
    }
}

/// The bucket of a value.
fn bucket(value: u64) -> u64 {
    let value = value.min(MAX_VALUE);
    let Some(exponent) = value.checked_ilog2().filter(|it| *it >= BITS) else {
        return value;
    };
    let shift = exponent - BITS;
    (u64::from(shift) << BITS) + (value >> shift)
}

/// The middle of a bucket's values.
#[expect(clippy::cast_precision_loss, reason = "values stay below 2^40")]
fn middle(bucket: u64) -> f64 {
    let shift = (bucket >> BITS).saturating_sub(1).min(40);
    let low = (bucket - (shift << BITS)) << shift;
    let high = low + (1 << shift) - 1;
    (low + high) as f64 / 2.0
}

/// Flat: bucket, count, bucket, count … What no histogram writes is left out.
impl From<Vec<u64>> for Histogram {
    fn from(flat: Vec<u64>) -> Self {
        let (pairs, _) = flat.as_chunks::<2>();
        let last = bucket(MAX_VALUE);
        let pairs = pairs.iter().filter(|[bucket, _]| *bucket <= last);
        Self(pairs.map(|[bucket, count]| (*bucket, *count)).collect())
    }
}

impl From<Histogram> for Vec<u64> {
    fn from(histogram: Histogram) -> Self {
        let pairs = histogram.0.into_iter();
        pairs.flat_map(|(bucket, count)| [bucket, count]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for value in values {
            histogram.add(*value);
        }
        histogram
    }

    #[test]
    fn small_values_are_exact_and_nothing_is_known_of_nothing() {
        for value in 0..32 {
            assert_eq!(of(&[value]).at_most(50), Some(value as f64));
        }
        assert_eq!(Histogram::default().at_most(50), None);
        let hundred: Vec<u64> = (1..=100).map(|n| n % 20).collect();
        assert_eq!(of(&hundred).at_most(50), Some(9.0));
        assert_eq!(of(&hundred).at_least(75), Some(5.0));
        assert!(of(&[u64::MAX]).at_most(99) >= Some(1e12));
    }

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        for value in 0..100_000u64 {
            let step = bucket(value + 1) - bucket(value);
            assert!(step <= 1, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_percentile_is_within_its_error_of_the_exact_one(
            values in prop::collection::vec(0..10_000_000u64, 1..300),
            percent in 1..=100u64,
        ) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let rank = (values.len() * percent as usize).div_ceil(100).max(1);
            let histogram = of(&values);
            for (exact, told) in [
                (sorted[rank - 1], histogram.at_most(percent)),
                (sorted[values.len() - rank], histogram.at_least(percent)),
            ] {
                let told = told.unwrap();
                prop_assert!((told - exact as f64).abs() <= exact as f64 * MAX_ERROR, "{told} for {exact}");
            }
        }

        #[test]
        fn merging_loses_nothing_and_order_does_not_matter(
            left in prop::collection::vec(any::<u64>(), 0..50),
            right in prop::collection::vec(any::<u64>(), 0..50),
        ) {
            let whole = of(&[left.clone(), right.clone()].concat());
            let (mut one, mut two) = (of(&left), of(&right));
            one.merge(&of(&right));
            two.merge(&of(&left));
            prop_assert_eq!(&one, &whole);
            prop_assert_eq!(&two, &whole);
            prop_assert_eq!(whole.count(), (left.len() + right.len()) as u64);
            let text = serde_json::to_string(&whole).unwrap();
            prop_assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), whole);
        }

        #[test]
        fn any_list_of_numbers_reads_as_a_histogram(flat in prop::collection::vec(any::<u64>(), 0..9)) {
            let flat: Vec<u64> = flat.into_iter().map(|n| n >> 20).collect();
            let histogram = Histogram::from(flat);
            prop_assert!(histogram.count() == 0 || histogram.at_most(50).is_some());
        }
    }
}
