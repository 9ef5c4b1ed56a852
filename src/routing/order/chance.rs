//! Chance that can be repeated: splitmix64, and draws that depend on a seed and a name alone.
//!
//! Spec: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014). Not for secrets.

/// A generator of 64-bit numbers.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Starts at a seed for one name: another name's draws are unrelated, whoever else takes part.
    pub fn for_name(seed: u64, name: &[&str]) -> Self {
        let bytes = name.iter().flat_map(|part| part.bytes().chain([0]));
        // FNV-1a.
        let name = bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut start = Self(seed ^ name);
        Self(start.next_u64())
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number as a fraction above 0, up to 1.
    pub fn next_fraction(&mut self) -> f64 {
        // 53 bits: every value is exact.
        ((self.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// The waiting time for an event of rate 1. The smallest of several such times over weights belongs to each with a probability
    /// proportional to its weight, and so on among those left: a sample without replacement (Efraimidis, Spirakis 2006).
    pub fn next_wait(&mut self) -> f64 {
        -self.next_fraction().ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_generator() {
        let mut chance = SplitMix64::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| chance.next_u64()).collect();
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn fractions_fill_their_range() {
        let mut chance = SplitMix64::for_name(7, &["a"]);
        let drawn: Vec<f64> = (0..10_000).map(|_| chance.next_fraction()).collect();
        assert!(drawn.iter().all(|x| *x > 0.0 && *x <= 1.0));
        let mean = drawn.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
