//! What one posterior sample says of one target: a law of the model's own, in its standardised
//! units.
//!
//! | law | density or probability | mean | variance |
//! |---|---|---|---|
//! | normal | `N(z; mean, std^2)` | `mean` | `std^2` |
//! | Student's t | `t_nu((z - mean) / scale) / scale` | `mean` | `scale^2 nu / (nu - 2)` |
//! | Poisson | `rate^k e^-rate / k!` | `rate` | `rate` |

use rand::Rng;
use rand_distr::{Distribution, Poisson, StandardNormal, StudentT};

use super::HALF_LOG_2PI;
use crate::error::{Error, Result};
use crate::special::{normal_cdf, regularized_beta, regularized_gamma_p, regularized_gamma_q};

/// What a likelihood says of one new target, given network outputs and its own parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Predictive {
    /// The outputs are the logits of classes.
    Logits,
    /// The one output is the logit of class 1 of two.
    Logit,
    /// A real number, or a count, with this law.
    Law(Law),
    /// Nothing that this crate has a name for.
    Unknown,
}

/// The law of a target given network outputs and noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Law {
    /// Gaussian.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation, positive.
        std: f64,
    },
    /// Student's t, shifted and scaled.
    StudentT {
        /// Centre.
        mean: f64,
        /// Scale, positive; the standard deviation is larger.
        scale: f64,
        /// Degrees of freedom, above 2.
        dof: f64,
    },
    /// Counts.
    Poisson {
        /// Expectation, positive.
        rate: f64,
    },
}

impl Law {
    /// Whether its numbers are what they may be.
    pub fn is_proper(&self) -> bool {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        match *self {
            Law::Normal { mean, std } => mean.is_finite() && positive(std),
            Law::StudentT { mean, scale, dof } => {
                mean.is_finite() && positive(scale) && dof > 2.0 && dof.is_finite()
            }
            Law::Poisson { rate } => positive(rate),
        }
    }

    /// True for counts.
    pub fn is_discrete(&self) -> bool {
        matches!(self, Law::Poisson { .. })
    }

    /// Logarithm of the density at `z`, or of the probability of the count `z`.
    pub fn log_density(&self, z: f64) -> f64 {
        match *self {
            Law::Normal { mean, std } => {
                let t = (z - mean) / std;
                -0.5 * t * t - std.ln() - HALF_LOG_2PI
            }
            Law::StudentT { mean, scale, dof } => {
                let t = (z - mean) / scale;
                let ratio = libm::lgamma(0.5 * (dof + 1.0)) - libm::lgamma(0.5 * dof);
                let peak = ratio - 0.5 * (dof * std::f64::consts::PI).ln() - scale.ln();
                peak - 0.5 * (dof + 1.0) * (t * t / dof).ln_1p()
            }
            Law::Poisson { rate } => {
                if z < 0.0 || z.fract() != 0.0 {
                    return f64::NEG_INFINITY;
                }
                z * rate.ln() - rate - libm::lgamma(z + 1.0)
            }
        }
    }

    /// Probability of a value up to `z`.
    pub fn cdf(&self, z: f64) -> f64 {
        match *self {
            Law::Normal { mean, std } => normal_cdf((z - mean) / std),
            Law::StudentT { mean, scale, dof } => student_cdf((z - mean) / scale, dof),
            Law::Poisson { rate } => match z.floor() {
                k if k < 0.0 => 0.0,
                // P(X <= k) = Q(k + 1, rate)
                k => regularized_gamma_q(k + 1.0, rate),
            },
        }
    }

    /// Probability of a value above `z`, accurate where it is tiny.
    pub fn survival(&self, z: f64) -> f64 {
        match *self {
            Law::Normal { mean, std } => normal_cdf((mean - z) / std),
            Law::StudentT { mean, scale, dof } => student_cdf((mean - z) / scale, dof),
            Law::Poisson { rate } => match z.floor() {
                k if k < 0.0 => 1.0,
                k => regularized_gamma_p(k + 1.0, rate),
            },
        }
    }

    /// Expectation.
    pub fn mean(&self) -> f64 {
        match *self {
            Law::Normal { mean, .. } | Law::StudentT { mean, .. } => mean,
            Law::Poisson { rate } => rate,
        }
    }

    /// Variance.
    pub fn variance(&self) -> f64 {
        match *self {
            Law::Normal { std, .. } => std * std,
            Law::StudentT { scale, dof, .. } => scale * scale * dof / (dof - 2.0),
            Law::Poisson { rate } => rate,
        }
    }

    /// A draw from the law.
    ///
    /// # Errors
    /// If the law is improper, or a rate is above 1.8e19.
    pub fn draw(&self, rng: &mut impl Rng) -> Result<f64> {
        let refused = || {
            let requirement = "must have finite numbers, positive scales, and a rate up to 1.8e19";
            Error::config("law", format!("{self:?}"), requirement)
        };
        if !self.is_proper() {
            return Err(refused());
        }
        Ok(match *self {
            Law::Normal { mean, std } => {
                let z: f64 = StandardNormal.sample(rng);
                mean + std * z
            }
            Law::StudentT { mean, scale, dof } => {
                let t = StudentT::new(dof).map_err(|_| refused())?;
                mean + scale * t.sample(rng)
            }
            Law::Poisson { rate } => Poisson::new(rate).map_err(|_| refused())?.sample(rng),
        })
    }
}

/// Distribution function of Student's t.
fn student_cdf(t: f64, dof: f64) -> f64 {
    if t.is_infinite() {
        return if t > 0.0 { 1.0 } else { 0.0 };
    }
    // x = nu / (nu + t^2) and its complement, each without a difference
    let square = t * t;
    let (x, y) = if square.is_finite() {
        (dof / (dof + square), square / (dof + square))
    } else {
        (0.0, 1.0)
    };
    let tail = 0.5 * regularized_beta(0.5 * dof, 0.5, x, y);
    if t > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.t(df).cdf(t)`, SciPy 1.17.1, and closed forms.
    #[test]
    fn student_t_against_closed_forms() {
        for t in [-40.0, -3.0, -0.4, 0.0, 1.2, 7.0] {
            // nu = 4: with s = t / (4 + t^2)^(1/2), F = 1/2 + 3/4 (s - s^3 / 3)
            let s: f64 = t / f64::sqrt(4.0 + t * t);
            let four = 0.5 + 0.75 * (s - s.powi(3) / 3.0);
            let law = Law::StudentT {
                mean: 1.0,
                scale: 2.0,
                dof: 4.0,
            };
            assert!((law.cdf(1.0 + 2.0 * t) - four).abs() < 1e-13, "{t}");
            assert!((law.survival(1.0 + 2.0 * t) - (1.0 - four)).abs() < 1e-13);
        }
        // very many degrees of freedom are a normal law
        let wide = Law::StudentT {
            mean: 0.0,
            scale: 1.0,
            dof: 1e9,
        };
        let normal = Law::Normal {
            mean: 0.0,
            std: 1.0,
        };
        for z in [-5.0, -1.0, 0.3, 2.0] {
            assert!((wide.cdf(z) / normal.cdf(z) - 1.0).abs() < 1e-6, "{z}");
            assert!((wide.log_density(z) - normal.log_density(z)).abs() < 1e-6);
        }
    }

    /// Densities against differences of distribution functions, moments against sums.
    #[test]
    fn densities_are_slopes_of_distributions_with_the_moments_they_say() {
        let laws = [
            Law::Normal {
                mean: 0.3,
                std: 0.7,
            },
            Law::StudentT {
                mean: -0.2,
                scale: 0.6,
                dof: 9.0,
            },
        ];
        for law in laws {
            let h = 1e-5;
            for i in -30..30 {
                let z = 0.2 * f64::from(i);
                let slope = (law.cdf(z + h) - law.cdf(z - h)) / (2.0 * h);
                assert!(
                    (slope - law.log_density(z).exp()).abs() < 1e-9,
                    "{law:?} {z}"
                );
                assert!((law.cdf(z) + law.survival(z) - 1.0).abs() < 1e-13);
            }
            let (mut mean, mut square, step) = (0.0, 0.0, 0.01);
            for i in -40_000..40_000 {
                let z = step * f64::from(i);
                let p = step * law.log_density(z).exp();
                mean += p * z;
                square += p * z * z;
            }
            assert!((mean - law.mean()).abs() < 1e-8, "{law:?}");
            assert!(
                (square - mean * mean - law.variance()).abs() < 1e-5,
                "{law:?}"
            );
        }
    }

    /// Kolmogorov's distance of 20,000 draws, or chi-square for counts.
    #[test]
    fn draws_are_of_the_law() {
        let n = 20_000;
        let draws = |law: Law, seed| -> Vec<f64> {
            let mut rng = crate::rng::Streams::new(seed).rng(crate::rng::Phase::USER, 0);
            (0..n).map(|_| law.draw(&mut rng).unwrap()).collect()
        };
        let normal = Law::Normal {
            mean: 3.0,
            std: 0.2,
        };
        let tails = Law::StudentT {
            mean: -1.0,
            scale: 4.0,
            dof: 2.5,
        };
        for (law, seed) in [(normal, 1), (tails, 2)] {
            let mut all = draws(law, seed);
            all.sort_by(f64::total_cmp);
            let gap = |(i, y): (usize, &f64)| {
                let (below, p) = (i as f64 / n as f64, law.cdf(*y));
                (p - below).abs().max((p - below - 1.0 / n as f64).abs())
            };
            let distance = all.iter().enumerate().map(gap).fold(0.0, f64::max);
            // exceeded with probability 1e-4
            assert!(distance < 2.23 / (n as f64).sqrt(), "{law:?}: {distance}");
        }
        let law = Law::Poisson { rate: 3.0 };
        let all = draws(law, 3);
        let mut chi_square = 0.0;
        for k in 0..9 {
            let got = all.iter().filter(|y| **y == f64::from(k)).count() as f64;
            let expected = n as f64 * law.log_density(f64::from(k)).exp();
            chi_square += (got - expected).powi(2) / expected;
        }
        // 9 cells: exceeded with probability below 1e-4
        assert!(chi_square < 33.8, "{chi_square}");
        let mut rng = crate::rng::Streams::new(0).rng(crate::rng::Phase::USER, 0);
        let improper = [f64::NAN, -1.0, 1e30].map(|rate| Law::Poisson { rate }.draw(&mut rng));
        assert!(improper.iter().all(|draw| draw.is_err()));
    }

    #[test]
    fn counts() {
        for rate in [0.2, 3.0, 40.0] {
            let law = Law::Poisson { rate };
            let (mut total, mut mean, mut square) = (0.0, 0.0, 0.0);
            for k in 0..200 {
                let k = f64::from(k);
                let p = law.log_density(k).exp();
                total += p;
                mean += p * k;
                square += p * k * k;
                assert!((law.cdf(k) - total).abs() < 1e-12, "{rate} {k}");
                assert!((law.cdf(k + 0.5) - total).abs() < 1e-12);
                assert!((law.survival(k) - (1.0 - total)).abs() < 1e-12);
            }
            assert!((mean - rate).abs() < 1e-10 && (square - mean * mean - rate).abs() < 1e-8);
        }
        assert_eq!(
            Law::Poisson { rate: 1.0 }.log_density(0.5),
            f64::NEG_INFINITY
        );
        assert_eq!(Law::Poisson { rate: 1.0 }.cdf(-0.1), 0.0);
    }
}
