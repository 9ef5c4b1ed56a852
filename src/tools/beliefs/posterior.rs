//! Beta distributions: what is believed of a success rate. Pure arithmetic.
//!
//! In scope: mean, quantiles (by the regularised incomplete beta function, continued fraction after Lentz), draws (two gammas
//! after Marsaglia and Tsang, 2000) and the generator behind them (splitmix64). Out of scope: where the counts come from.

/// A Beta distribution; both parameters are positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beta {
    /// Successes, with the prior's.
    pub alpha: f64,
    /// Faults, with the prior's.
    pub beta: f64,
}

/// The least that a parameter is taken for: a draw needs something to draw from.
const LEAST: f64 = 1e-3;
/// Halvings of a quantile's bracket: to 2^-40.
const HALVINGS: u32 = 40;

impl Beta {
    /// A distribution with these counts.
    pub fn new(alpha: f64, beta: f64) -> Self {
        let positive = |value: f64| if value > LEAST { value } else { LEAST };
        Self {
            alpha: positive(alpha),
            beta: positive(beta),
        }
    }

    /// The expected rate.
    pub fn mean(&self) -> f64 {
        self.alpha / (self.alpha + self.beta)
    }

    /// How many observations it is worth, the prior's among them.
    pub fn weight(&self) -> f64 {
        self.alpha + self.beta
    }

    /// The rate below which the true one is with probability `p`.
    pub fn quantile(&self, p: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if self.below(middle) < p {
                low = middle;
            } else {
                high = middle;
            }
        }
        f64::midpoint(low, high)
    }

    /// The probability that the rate is below `x`.
    fn below(&self, x: f64) -> f64 {
        if x <= 0.0 {
            return 0.0;
        }
        if x >= 1.0 {
            return 1.0;
        }
        let (a, b) = (self.alpha, self.beta);
        let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b)).exp();
        // The fraction converges fast on this side of the mean only.
        if x < (a + 1.0) / (a + b + 2.0) {
            front * fraction(a, b, x) / a
        } else {
            1.0 - front * fraction(b, a, 1.0 - x) / b
        }
    }

    /// A rate as likely as this belief has it.
    pub fn draw(&self, chance: &mut Chance) -> f64 {
        let (x, y) = (gamma(self.alpha, chance), gamma(self.beta, chance));
        if x + y > 0.0 {
            x / (x + y)
        } else {
            self.mean()
        }
    }
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// The logarithm of the gamma function (Lanczos, g = 7).
fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        // Reflection.
        let sine = (std::f64::consts::PI * x).sin();
        return (std::f64::consts::PI / sine).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let mut sum = 0.999_999_999_999_809_9;
    let mut place = x;
    for coefficient in COEFFICIENTS {
        place += 1.0;
        sum += coefficient / place;
    }
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// The continued fraction of the incomplete beta function.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..=300 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-12 {
            break;
        }
    }
    h
}

/// A draw from a gamma distribution of this shape and scale 1.
fn gamma(shape: f64, chance: &mut Chance) -> f64 {
    if shape < 1.0 {
        let smaller = chance.unit().powf(1.0 / shape);
        return gamma(shape + 1.0, chance) * smaller;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = chance.normal();
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 {
            let u = chance.unit();
            if u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }
}

/// Chance that can be had again: the same seed draws the same.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Chance for one purpose: `seed` is the occasion (an execution's id), `name` what it is drawn for. So neither the order of
    /// candidates nor who else takes part changes a candidate's luck.
    pub fn new(seed: &str, name: &str) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in seed.bytes().chain([0xff]).chain(name.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self(hash)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Above 0, at most 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
    }

    /// From a normal distribution (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (2.0 * std::f64::consts::PI * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // R: qbeta(p, a, b).
        for (alpha, beta, p, expected) in [
            (1.0, 1.0, 0.05, 0.05),
            (2.0, 1.0, 0.25, 0.5),
            (9.0, 1.0, 0.05, 0.716_871),
            (0.5, 0.5, 0.95, 0.993_844),
            (2.0, 3.0, 0.5, 0.385_728),
        ] {
            let told = Beta::new(alpha, beta).quantile(p);
            assert!((told - expected).abs() < 1e-5, "{alpha} {beta} {p}: {told}");
        }
    }

    #[test]
    fn draws_follow_the_distribution() {
        for (alpha, beta) in [(9.0, 1.0), (0.3, 0.7), (400.0, 4.0), (2.0, 30.0)] {
            let belief = Beta::new(alpha, beta);
            let mut chance = Chance::new("a seed", "a name");
            let draws: Vec<f64> = (0..20_000).map(|_| belief.draw(&mut chance)).collect();
            let mean = draws.iter().sum::<f64>() / 20_000.0;
            assert!(
                (mean - belief.mean()).abs() < 0.01,
                "{alpha} {beta}: {mean}"
            );
            for p in [0.05, 0.5, 0.95] {
                let bound = belief.quantile(p);
                let below = draws.iter().filter(|draw| **draw < bound).count();
                let share = f64::from(u32::try_from(below).unwrap()) / 20_000.0;
                assert!((share - p).abs() < 0.01, "{alpha} {beta} {p}: {share}");
            }
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_name_does_not() {
        let draw = |seed, name| Beta::new(5.0, 2.0).draw(&mut Chance::new(seed, name));
        assert!((draw("exec-1", "a/b") - draw("exec-1", "a/b")).abs() < f64::EPSILON);
        assert!((draw("exec-1", "a/b") - draw("exec-1", "a/c")).abs() > f64::EPSILON);
        assert!((draw("exec-1", "a/b") - draw("exec-2", "a/b")).abs() > f64::EPSILON);
    }

    proptest! {
        #[test]
        fn quantiles_rise_and_stay_within_bounds(
            alpha in 0.01..2_000.0_f64, beta in 0.01..2_000.0_f64, p in 0.01..0.99_f64,
        ) {
            let belief = Beta::new(alpha, beta);
            let (low, high) = (belief.quantile(p * 0.9), belief.quantile(p));
            prop_assert!((0.0..=1.0).contains(&low) && low <= high && high <= 1.0, "{low} {high}");
            let is_inside = (1e-9..1.0 - 1e-9).contains(&high);
            prop_assert!(!is_inside || (belief.below(high) - p).abs() < 1e-3);
        }
    }
}
