//! Four tests of whether ranks are uniform, joined into one p-value.
//!
//! Pearson's test of counts in bins spreads its power over all shapes. It sees little of a
//! posterior that is off by a tenth of its deviation. So ranks `r` in `0 ..= L` are tested four
//! times, with `N = L + 1`, `d = r - L/2`:
//!
//! - **counts** in bins ([`uniformity`]);
//! - the largest distance of **distribution functions**, Kolmogorov-Smirnov, of `(r + v) / N` with
//!   `v` uniform (fixed seed): this is continuous, while ties would weaken the test;
//! - the **mean**, `sum d / (n (N^2 - 1) / 12)^{1/2}`: a bias;
//! - the **spread**, `sum (d^2 - (N^2 - 1) / 12) / (n V)^{1/2}` with `V` the variance of `d^2`: a
//!   posterior that is too narrow or too wide.
//!
//! The last two are standard normal for many ranks. The smallest `p` of the four is not a p-value.
//! For `M` independent tests, `1 - (1 - p)^M` would be a p-value. The four tests are dependent. The
//! exponent that gives the right level was measured over 40,000 sets of uniform ranks (1,000 ranks
//! of 100 values, 20 bins): 3.1 at a level of 5 %, 3.5 at 1 %, 3.1 at 0.1 %, with errors of 0.1,
//! 0.2, 0.5. [`RankTests`] takes 3.4. A test at 5 % then rejects 4.6 % of uniform ranks, one at 1 %
//! rejects 1.0 %.
//!
//! Power with 1,000 replications of 99 draws (20 bins, level 5 %; 4,000 sets), for each test alone
//! and for all together:
//!
//! | posterior | counts | Kolmogorov | mean | spread | together |
//! |---|---|---|---|---|---|
//! | mean off by 0.1 deviations | 39 % | 77 % | 86 % | 6 % | 76 % |
//! | mean off by 0.2 deviations | 99 % | 100 % | 100 % | 12 % | 100 % |
//! | deviation 10 % too small | 73 % | 44 % | 7 % | 98 % | 94 % |
//! | deviation 10 % too large | 56 % | 32 % | 4 % | 96 % | 90 % |

use rand::RngExt;

use super::chi_square::chi_square_survival;
use super::kolmogorov::ks_test;
use super::outcome::TestOutcome;
use super::sbc::uniformity;
use crate::error::Result;
use crate::rng::{Phase, Streams};

/// How many independent tests the four are worth.
const WORTH: f64 = 3.4;

/// Tests of one set of ranks, each and together: see file `rank_tests`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankTests {
    /// Counts in bins: [`uniformity`].
    pub counts: TestOutcome,
    /// The largest distance of distribution functions.
    pub kolmogorov: TestOutcome,
    /// The mean rank; the statistic is the square of a standard normal number.
    pub mean: TestOutcome,
    /// The mean squared distance of ranks from the middle. The statistic is as for the mean.
    pub spread: TestOutcome,
    /// The p-value of all four together. It is about uniform if ranks are.
    pub p_value: f64,
}

impl RankTests {
    /// Tests ranks `[n]` in `0 ..= draws`, with `bins` bins for the counts.
    ///
    /// # Errors
    /// Those of [`uniformity`].
    pub fn new(ranks: &[usize], draws: usize, bins: usize) -> Result<Self> {
        // this also checks that all ranks are in range
        let counts = uniformity(ranks, draws, bins)?;
        let values = draws as f64 + 1.0;
        let mut rng = Streams::new(0).rng(Phase::SYNTHETIC, u64::MAX);
        let jittered = ranks.iter().map(|&r| {
            let v: f64 = rng.random();
            ((r as f64 + v) / values).min(1.0)
        });
        let kolmogorov = ks_test(&jittered.collect::<Vec<f64>>(), |u| u)?;
        let (mut first, mut second) = (0.0, 0.0);
        // moments of a uniform number on 0 ..= L, about its middle
        let square = (values * values - 1.0) / 12.0;
        let fourth = square * (3.0 * values * values - 7.0) / 20.0;
        for &rank in ranks {
            let d = rank as f64 - 0.5 * draws as f64;
            first += d;
            second += d * d - square;
        }
        let n = ranks.len() as f64;
        let mean = squared_normal(first, n * square);
        let spread = squared_normal(second, n * (fourth - square * square));
        let all = [counts, kolmogorov, mean, spread];
        let least = all.iter().fold(1.0f64, |p, test| p.min(test.p_value));
        Ok(Self {
            counts,
            kolmogorov,
            mean,
            spread,
            // accurate even if tiny
            p_value: -(WORTH * (-least).ln_1p()).exp_m1(),
        })
    }
}

/// Tests that `sum`, with the given variance, is normal around 0. With no variance, there is
/// nothing to test.
fn squared_normal(sum: f64, variance: f64) -> TestOutcome {
    let statistic = if variance > 0.0 {
        sum * sum / variance
    } else {
        0.0
    };
    TestOutcome {
        statistic,
        p_value: chi_square_survival(statistic, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, StandardNormal};

    /// Ranks of a truth from `N(0, 1)` among draws from `N(bias, scale^2)`.
    fn ranks(set: u64, n: usize, draws: usize, bias: f64, scale: f64) -> Vec<usize> {
        let mut rng = Streams::new(31).rng(Phase::USER, set);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        (0..n)
            .map(|_| {
                let truth = normal();
                (0..draws)
                    .filter(|_| bias + scale * normal() < truth)
                    .count()
            })
            .collect()
    }

    /// The share of `sets` with a p-value below `level`.
    fn rejected(sets: u64, level: f64, p_value: impl Fn(u64) -> f64) -> f64 {
        (0..sets).filter(|&set| p_value(set) < level).count() as f64 / sets as f64
    }

    #[test]
    fn uniform_ranks_are_rejected_as_often_as_the_level_says() {
        let sets = 4_000;
        let all: Vec<RankTests> = (0..sets)
            .map(|set| {
                let mut rng = Streams::new(30).rng(Phase::USER, set);
                let ranks: Vec<usize> = (0..1_000).map(|_| rng.random_range(0..100)).collect();
                RankTests::new(&ranks, 99, 20).unwrap()
            })
            .collect();
        // stated: 4.6 % at 5 %, 1.0 % at 1 %; four standard deviations of a binomial share
        for (level, stated) in [(0.05, 0.046), (0.01, 0.0100)] {
            let share = rejected(sets, level, |set| all[set as usize].p_value);
            let error = 4.0 * (stated * (1.0 - stated) / sets as f64).sqrt();
            assert!((share - stated).abs() < error, "{level}: {share}");
        }
        // each test alone has its own level
        let each: [fn(&RankTests) -> f64; 4] = [
            |t| t.counts.p_value,
            |t| t.kolmogorov.p_value,
            |t| t.mean.p_value,
            |t| t.spread.p_value,
        ];
        for (test, p) in each.iter().enumerate() {
            let share = rejected(sets, 0.05, |set| p(&all[set as usize]));
            let error = 4.0 * (0.05 * 0.95 / sets as f64).sqrt();
            assert!((share - 0.05).abs() < error, "test {test}: {share}");
        }
    }

    #[test]
    fn a_small_bias_and_a_wrong_spread_are_found() {
        let power = |bias, scale| {
            rejected(200, 0.05, |set| {
                let ranks = ranks(set, 1_000, 99, bias, scale);
                RankTests::new(&ranks, 99, 20).unwrap().p_value
            })
        };
        // stated: 76, 94, 90 %; three standard deviations of a share of 200 are 9, 5, 6
        let found = [power(0.1, 1.0), power(0.0, 0.9), power(0.0, 1.1)];
        assert!(
            found[0] > 0.67 && found[1] > 0.89 && found[2] > 0.84,
            "{found:?}"
        );
    }

    #[test]
    fn statistics_by_hand() {
        // ranks 0, 0, 0, 2 of 0 ..= 2, ten times: d = -1, 1, mean square 2/3, fourth moment 2/3,
        // variance of squares 2/9
        let ranks: Vec<usize> = (0..40).map(|i| if i % 4 == 3 { 2 } else { 0 }).collect();
        let tests = RankTests::new(&ranks, 2, 3).unwrap();
        // (-20)^2 / (40 2/3), (40 1/3)^2 / (40 2/9)
        assert!((tests.mean.statistic - 15.0).abs() < 1e-12);
        assert!((tests.spread.statistic - 20.0).abs() < 1e-12);
        let least = tests.counts.p_value.min(tests.spread.p_value);
        let least = least.min(tests.kolmogorov.p_value).min(tests.mean.p_value);
        assert!((tests.p_value / (3.4 * least) - 1.0).abs() < 1e-4);
        // with one draw there are two ranks, equally far from the middle
        let two: Vec<usize> = (0..40).map(|i| i % 2).collect();
        let tests = RankTests::new(&two, 1, 2).unwrap();
        assert_eq!((tests.spread.statistic, tests.spread.p_value), (0.0, 1.0));
        assert!(RankTests::new(&[3; 40], 2, 3).is_err());
    }
}
