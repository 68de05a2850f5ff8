//! The prior of one unbounded real number: a log scale, a log noise level or a shape.
//!
//! | prior of `s` | what it says | `-log p(s)` |
//! |---|---|---|
//! | [`CoordinatePrior::Normal`] | `s ~ N(mean, 1/precision)` | `precision (s - mean)^2 / 2 + log(2 pi / precision) / 2` |
//! | [`CoordinatePrior::HalfCauchy`] | `sigma = e^s ~ C+(0, A)` | `log(1 + e^{2u}) - u + log(pi/2)`, `u = s - log A` |
//! | [`CoordinatePrior::InverseGamma`] | `sigma^2 = e^{2s} ~ IG(a, b)` | `2 a s + b e^{-2s} + log Gamma(a) - a log b - log 2` |
//!
//! The last two include the Jacobian of the logarithm, so all are densities in `s`.
//!
//! Half-Cauchy: Gelman 2006 (Bayesian Analysis 1); Polson & Scott 2012.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Gamma, StandardNormal};

use super::{HALF_LOG_2PI, positive};
use crate::autodiff::Var;
use crate::error::{Error, Result};

/// A prior density of a real number `s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CoordinatePrior {
    /// `s ~ N(mean, 1 / precision)`.
    Normal {
        /// Mean.
        mean: f64,
        /// Inverse variance; positive.
        precision: f64,
    },
    /// `s = log sigma` with `sigma ~ C+(0, scale)`: half of the mass lies below `scale`.
    HalfCauchy {
        /// Median of `sigma`; positive.
        scale: f64,
    },
    /// `s = log sigma` with `sigma^2 ~ IG(shape, rate)`.
    InverseGamma {
        /// Shape `a`; positive.
        shape: f64,
        /// Rate `b`; positive.
        rate: f64,
    },
}

impl CoordinatePrior {
    /// Records the sum of `-log p(s_i)` over all elements of `s`: a scalar in nats, constants
    /// included.
    pub fn neg_log_density<'g>(self, s: Var<'g>) -> Var<'g> {
        let n = s.shape().iter().product::<usize>() as f64;
        match self {
            CoordinatePrior::Normal { mean, precision } => {
                let constant = n * (HALF_LOG_2PI - 0.5 * precision.ln());
                (s - mean).square().sum() * (0.5 * precision) + constant
            }
            CoordinatePrior::HalfCauchy { scale } => {
                let u = s - scale.ln();
                ((u * 2.0).softplus() - u).sum() + n * std::f64::consts::FRAC_PI_2.ln()
            }
            CoordinatePrior::InverseGamma { shape, rate } => {
                let constant = libm::lgamma(shape) - shape * rate.ln() - std::f64::consts::LN_2;
                (s * (2.0 * shape) + (s * -2.0).exp() * rate).sum() + n * constant
            }
        }
    }

    /// The mode: the most likely `s`.
    pub fn mode(self) -> f64 {
        match self {
            CoordinatePrior::Normal { mean, .. } => mean,
            CoordinatePrior::HalfCauchy { scale } => scale.ln(),
            CoordinatePrior::InverseGamma { shape, rate } => 0.5 * (rate / shape).ln(),
        }
    }

    /// Curvature of `-log p` at the mode. For a normal prior this is its precision.
    pub fn precision(self) -> f64 {
        match self {
            CoordinatePrior::Normal { precision, .. } => precision,
            CoordinatePrior::HalfCauchy { .. } => 1.0,
            CoordinatePrior::InverseGamma { shape, .. } => 4.0 * shape,
        }
    }

    /// Draws one `s`.
    ///
    /// # Errors
    /// If a parameter is out of range.
    pub fn draw(self, rng: &mut impl Rng) -> Result<f64> {
        self.check()?;
        Ok(match self {
            CoordinatePrior::Normal { mean, precision } => {
                let z: f64 = StandardNormal.sample(rng);
                mean + z / precision.sqrt()
            }
            CoordinatePrior::HalfCauchy { scale } => {
                // from the open interval: at 0 the logarithm is not finite
                let p = rng.random::<f64>().max(f64::EPSILON);
                scale.ln() + (std::f64::consts::FRAC_PI_2 * p).tan().ln()
            }
            CoordinatePrior::InverseGamma { shape, rate } => {
                let gamma = Gamma::new(shape, 1.0 / rate)
                    .map_err(|_| Error::config("shape", shape, "must be positive and finite"))?;
                -0.5 * gamma.sample(rng).max(f64::MIN_POSITIVE).ln()
            }
        })
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// If the mean is not finite, or another parameter is not positive and finite.
    pub fn check(self) -> Result<()> {
        match self {
            CoordinatePrior::Normal { mean, .. } if !mean.is_finite() => {
                Err(Error::config("prior mean", mean, "must be finite"))
            }
            CoordinatePrior::Normal { precision, .. } => {
                positive("prior precision", precision).map(|_| ())
            }
            CoordinatePrior::HalfCauchy { scale } => positive("prior scale", scale).map(|_| ()),
            CoordinatePrior::InverseGamma { shape, rate } => {
                positive("prior shape", shape)?;
                positive("prior rate", rate).map(|_| ())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::Graph;
    use crate::rng::{Phase, Streams};

    const ALL: [CoordinatePrior; 4] = [
        CoordinatePrior::Normal {
            mean: 0.7,
            precision: 2.5,
        },
        CoordinatePrior::HalfCauchy { scale: 0.3 },
        CoordinatePrior::InverseGamma {
            shape: 2.0,
            rate: 2.0,
        },
        CoordinatePrior::InverseGamma {
            shape: 1.3,
            rate: 0.4,
        },
    ];

    /// `-log p`, its slope and its curvature, as a function.
    fn curve(prior: CoordinatePrior) -> impl Fn(f64) -> [f64; 3] {
        let graph = Graph::new();
        let (x, one) = (graph.input(&[1]), graph.input(&[1]));
        let value = prior.neg_log_density(x);
        let slope = graph.grad(value, &[x]).unwrap()[0].sum();
        let curvature = graph.hvp(value, x, one).unwrap().sum();
        let program = graph.compile::<f64>(&[value, slope, curvature]).unwrap();
        move |s| {
            let mut ws = program.workspace();
            program.run(&[&[s], &[1.0]], &mut ws).unwrap();
            [0, 1, 2].map(|i| program.scalar(&ws, i).unwrap())
        }
    }

    /// A missing Jacobian or constant would show here: the integral over `s` would not be one.
    #[test]
    fn densities_integrate_to_one_and_peak_at_the_mode() {
        for prior in ALL {
            let at = curve(prior);
            // the half-Cauchy's tails fall as e^{-|s|}: below 1e-13 at 30
            let (step, n) = (0.01, 3_200);
            let total: f64 = (-n..=n)
                .map(|i| step * (-at(step * f64::from(i))[0]).exp())
                .sum();
            assert!((total - 1.0).abs() < 1e-9, "{prior:?}: {total}");
            let [_, slope, curvature] = at(prior.mode());
            assert!(slope.abs() < 1e-12, "{prior:?}: slope {slope} at the mode");
            assert!(
                (curvature / prior.precision() - 1.0).abs() < 1e-12,
                "{prior:?}"
            );
        }
    }

    #[test]
    fn the_densities_are_those_of_the_textbook() {
        use std::f64::consts::PI;
        for sigma in [0.01f64, 0.2, 1.0, 40.0] {
            let a = 0.3;
            let want = 2.0 / (PI * a * (1.0 + (sigma / a).powi(2))) * sigma;
            let got = (-curve(CoordinatePrior::HalfCauchy { scale: a })(sigma.ln())[0]).exp();
            assert!((got / want - 1.0).abs() < 1e-12, "{got} {want}");
            let (shape, rate, v) = (1.3f64, 0.4f64, sigma * sigma);
            let density =
                rate.powf(shape) / libm::tgamma(shape) * v.powf(-shape - 1.0) * (-rate / v).exp();
            let prior = CoordinatePrior::InverseGamma { shape, rate };
            let got = curve(prior)(sigma.ln())[0];
            let want = -(density * 2.0 * v).ln();
            if want.is_finite() {
                assert!(
                    (got - want).abs() < 1e-10 * (1.0 + want.abs()),
                    "{got} {want}"
                );
            }
        }
    }

    /// Compares draws with the distribution function from the density, at nine quantiles.
    /// Tolerance: 5 standard errors of a share.
    #[test]
    fn draws_are_of_the_density() {
        for (i, prior) in ALL.into_iter().enumerate() {
            let (at, mut rng) = (curve(prior), Streams::new(4).rng(Phase::USER, i as u64));
            let n = 20_000;
            let mut draws: Vec<f64> = (0..n).map(|_| prior.draw(&mut rng).unwrap()).collect();
            draws.sort_by(f64::total_cmp);
            let (step, mut below, mut s) = (0.005, 0.0, -30.0);
            for tenth in 1..10 {
                let quantile = draws[n * tenth / 10];
                while s < quantile {
                    below += step * (-at(s + 0.5 * step)[0]).exp();
                    s += step;
                }
                let p = tenth as f64 / 10.0;
                let error = (p * (1.0 - p) / n as f64).sqrt();
                assert!(
                    (below - p).abs() < 5.0 * error + step,
                    "{prior:?} {p}: {below}"
                );
            }
        }
    }

    #[test]
    fn impossible_parameters_are_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for prior in [
                CoordinatePrior::Normal {
                    mean: 0.0,
                    precision: bad,
                },
                CoordinatePrior::HalfCauchy { scale: bad },
                CoordinatePrior::InverseGamma {
                    shape: bad,
                    rate: 1.0,
                },
                CoordinatePrior::InverseGamma {
                    shape: 1.0,
                    rate: bad,
                },
            ] {
                assert!(prior.check().is_err(), "{prior:?}");
                assert!(
                    prior
                        .draw(&mut Streams::new(0).rng(Phase::USER, 0))
                        .is_err()
                );
            }
        }
        let mean = f64::NAN;
        assert!(
            CoordinatePrior::Normal {
                mean,
                precision: 1.0
            }
            .check()
            .is_err()
        );
    }
}
