//! Simulation-based calibration of parameters, scales and noise together.
//!
//! Walkers start near the medians of the prior, as in a fit, and never from the truth. Each walker
//! gives one draw, so draws are independent.
//!
//! Samplers that are wrong on purpose must fail (`wrong`), at the level at which right ones pass.
//! The level: `K` quantities are tested, so a sampler is rejected if `K min_k p_k < LEVEL`
//! (Bonferroni). A right sampler is, for at most one seed in ten thousand. Measured:
//!
//! | sampler | data sets | `K min_k p_k` |
//! |---|---|---|
//! | the walk of a fit: scales of tensors, with relevances, of two classes | 200 | 0.07, 1, 0.4 |
//! | the walk, one scale | 300 | 0.5 |
//! | without Jacobians | 300 | 4e-16 |
//! | scales by draws alone, the shape right | 600 | 0.5 |
//! | the shape too large, too small by one half | 600 | 6e-10, 6e-24 |
//! | adjusted, with draws of the scales | 2,500 | 0.05 |
//! | the same with a stale energy | 2,500 | 1e-11 |
//!
//! A bias of `d` deviations moves the mean rank by `c d R^{1/2}` of its own deviations over `R` data
//! sets: `c` is 0.98 for many draws and 0.80 for four. So 600 see 0.2 at the level of `1e-4 / 5` (4.3
//! deviations), which is about what a shape off by one half does here; 2,500 see 0.1.

use super::gibbs::OffBy;
use super::wrong::{Stale, Target};
use super::{kernel, kernel_with};
use fiberwalk::diagnose::{SbcOptions, simulate_ranks};
use fiberwalk::model::ExactMove;
use fiberwalk::walk::{Kernel, MicrocanonicalOptions, WalkOptions, walk};
use fiberwalk::{
    Activation, Bernoulli, CoordinatePrior, GaussianLearnedNoise, Likelihood, LogDensity, Mlp,
    Network, PosteriorDensity, Prior, Result, ScaleGroups, ScaledNetwork, Streams,
};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

/// Of one sampler and all its quantities.
const LEVEL: f64 = 1e-4;
/// Prior of the variance of the one scale of `narrow`.
const SHAPE: f64 = 1.5;
const RATE: f64 = 0.8;

struct Case {
    net: Mlp,
    /// Rows of a data set.
    rows: usize,
    groups: ScaleGroups,
    /// Priors to use instead of the usual ones.
    priors: Option<Vec<CoordinatePrior>>,
    /// Two classes if there is none.
    noise: Option<CoordinatePrior>,
    steps: usize,
    /// Draws per replication, each from a separate walker.
    draws: usize,
    replications: usize,
}

/// A sampler, right or wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sampler {
    /// The walk of a fit.
    Walk,
    /// The same without the Jacobians of the logarithms of scale and noise.
    NoJacobian,
    /// Scales move by their draws nearly alone, from a conditional whose shape is off by so much:
    /// the walk, in coordinates that make it a hundred times slower along them.
    Shape(f64),
    /// An adjusted walk with a given step, and draws of the scales.
    Adjusted,
    /// The same that goes on with energy and force from before the draws.
    Stale,
}

/// A data set, and the quantities to observe.
struct Data {
    target: Target,
    right: PosteriorDensity<f64>,
}

/// p-values by the name of a quantity.
fn p_values(case: &Case, sampler: Sampler) -> Vec<(String, f64)> {
    let scaled = ScaledNetwork::new(&case.net, case.groups);
    let scaled = match &case.priors {
        Some(priors) => scaled.with_priors(priors).unwrap(),
        None => scaled,
    };
    let (d, p, dim) = (case.net.input_dim(), case.net.dim(), scaled.dim());
    let likelihood = likelihood(case.noise);
    let prior = scaled.prior();
    let x = crate::common::normals(case.rows * d, 71);
    let medians = scaled.init_scales();
    // by a separate network, with rows that are not the data
    let outputs = |phi: &[f64]| outputs(&scaled, &phi[..dim], &x);
    let ranks = simulate_ranks(
        &SbcOptions {
            replications: case.replications,
            draws: case.draws,
        },
        Streams::new(12),
        |rng| {
            let mut phi = prior.draw(rng)?;
            if let Some(noise) = case.noise {
                phi.push(noise.draw(rng)?);
            }
            Ok(phi)
        },
        |truth, rng| {
            let target = |f: &f64| match case.noise {
                Some(_) => {
                    let e: f64 = StandardNormal.sample(rng);
                    f + truth[dim].exp() * e
                }
                // the logistic law by its quantiles
                None => {
                    let u: f64 = rng.random();
                    f64::from(*f > (u / (1.0 - u)).ln())
                }
            };
            let y: Vec<f64> = outputs(truth).iter().map(target).collect();
            let posterior = || PosteriorDensity::new(&scaled, likelihood.as_ref(), &prior, &x, &y);
            Ok(Data {
                target: Target {
                    posterior: posterior()?,
                    without: match sampler {
                        Sampler::NoJacobian => p,
                        _ => truth.len(),
                    },
                },
                right: posterior()?,
            })
        },
        |data, draws, streams| {
            let mut rng = streams.rng(fiberwalk::Phase::PRIOR, 0);
            let starts: Vec<Vec<f64>> = (0..draws)
                .map(|_| {
                    let mut phi = prior.draw(&mut rng)?;
                    for (t, m) in phi[p..].iter_mut().zip(&medians) {
                        *t = m + (*t - m).clamp(-1.0, 1.0);
                    }
                    let near = case.noise.map(|n| n.mode() + rng.random_range(-0.5..0.5));
                    phi.extend(near);
                    Ok(phi)
                })
                .collect::<Result<_>>()?;
            let mut precision = prior.precision(scaled.layout());
            precision.extend(case.noise.map(|n| n.precision()));
            let walk = Walk {
                steps: case.steps,
                starts: &starts,
                target: &data.target,
                streams,
            };
            let adjusted = || kernel_with(&precision, &ADJUSTED);
            match sampler {
                Sampler::Walk | Sampler::NoJacobian => {
                    walk.points(kernel(&precision).interwoven_with(&scaled))
                }
                Sampler::Shape(error) => {
                    let mut slow = precision.clone();
                    slow[p] *= 1e4;
                    let off = OffBy {
                        scaled: &scaled,
                        shape: SHAPE,
                        rate: RATE,
                        error,
                    };
                    walk.points(kernel(&slow).interwoven_with(&off))
                }
                Sampler::Adjusted => walk.points(adjusted().interwoven_with(&scaled)),
                Sampler::Stale => walk.points(Stale {
                    inner: adjusted(),
                    exact_move: &scaled as &dyn ExactMove<f64>,
                }),
            }
        },
        |phi, data| {
            let mut values = phi[p..].to_vec();
            values.extend(&outputs(phi)[..2]);
            let mut ws = data.right.workspace();
            values.push(data.right.log_density(phi, &mut ws).unwrap());
            values
        },
    );
    let mut names = scaled.scale_names();
    names.extend(case.noise.map(|_| "noise".into()));
    names.extend(["prediction 0", "prediction 1", "energy"].map(String::from));
    let tests = ranks.unwrap().uniformity((case.draws + 1).min(10)).unwrap();
    assert_eq!(names.len(), tests.len());
    names
        .into_iter()
        .zip(tests.iter().map(|t| t.p_value))
        .collect()
}

fn likelihood(noise: Option<CoordinatePrior>) -> Box<dyn Likelihood> {
    let learned = match noise {
        None => return Box::new(Bernoulli),
        Some(CoordinatePrior::HalfCauchy { scale }) => {
            GaussianLearnedNoise::shared().with_half_cauchy(scale)
        }
        Some(CoordinatePrior::Normal { mean, precision }) => {
            GaussianLearnedNoise::shared().with_prior(mean.exp(), precision.sqrt().recip())
        }
        Some(CoordinatePrior::InverseGamma { .. }) => panic!("the likelihood has no such prior"),
    };
    Box::new(learned.unwrap())
}

/// A walk of one data set.
struct Walk<'a> {
    steps: usize,
    starts: &'a [Vec<f64>],
    target: &'a Target,
    streams: Streams,
}

impl Walk<'_> {
    /// The last point of each walker. A missing point is replaced by a start, which can only spoil
    /// the ranks.
    fn points<K: Kernel<f64, Target>>(&self, mut kernel: K) -> Result<Vec<Vec<f64>>> {
        let options = WalkOptions {
            particles: self.starts.len(),
            steps: Some(self.steps),
            keep: 1,
            block: (self.steps / 100).max(1),
            ..WalkOptions::default()
        };
        let walked = walk(
            &mut kernel,
            self.target,
            self.starts,
            &options,
            self.streams,
        )?;
        let mut points: Vec<_> = walked
            .points
            .chunks_exact(walked.dim)
            .map(Vec::from)
            .collect();
        points.resize(self.starts.len(), self.starts[0].clone());
        Ok(points)
    }
}

/// `f(x; phi)` for all rows, by hand from the parameters that `phi` stands for: one hidden layer of
/// tanh.
fn outputs(scaled: &ScaledNetwork<'_>, phi: &[f64], x: &[f64]) -> Vec<f64> {
    let (d, p) = (scaled.input_dim(), scaled.inner().dim());
    let mut theta = vec![0.0; p];
    scaled.theta(phi, &mut theta).unwrap();
    // d h + h + h + 1 parameters: weights [d, h], biases, weights [h, 1], bias
    let h = (p - 1) / (d + 2);
    let unit = |row: &[f64], j: usize| {
        let sum: f64 = (0..d).map(|i| row[i] * theta[i * h + j]).sum();
        (sum + theta[d * h + j]).tanh() * theta[d * h + h + j]
    };
    x.chunks_exact(d)
        .map(|row| (0..h).map(|j| unit(row, j)).sum::<f64>() + theta[p - 1])
        .collect()
}

const WIDE: CoordinatePrior = CoordinatePrior::HalfCauchy { scale: 0.5 };

/// Trajectories of one step or two, as long as the test accepts them.
const ADJUSTED: MicrocanonicalOptions = MicrocanonicalOptions {
    step_size: Some(1.3),
    decoherence_length: Some(1.3),
    adjusted: true,
    own_steps: false,
    target_error: 5e-4,
    target_acceptance: 0.9,
};

fn per_tensor() -> Case {
    Case {
        net: Mlp::new(&[1, 3, 1], Activation::Tanh).unwrap(),
        groups: ScaleGroups::PerTensor,
        priors: None,
        rows: 8,
        noise: Some(WIDE),
        steps: 80,
        draws: 9,
        replications: 200,
    }
}

fn ard() -> Case {
    Case {
        net: Mlp::new(&[2, 3, 1], Activation::Tanh).unwrap(),
        groups: ScaleGroups::Ard,
        ..per_tensor()
    }
}

fn classes() -> Case {
    Case {
        noise: None,
        ..ard()
    }
}

/// One scale with an inverse gamma prior, and a normal prior of the log noise with this precision.
/// Few parameters and rows, so that the prior matters.
fn narrow(precision: f64, replications: usize) -> Case {
    let (shape, rate) = (SHAPE, RATE);
    Case {
        net: Mlp::new(&[1, 1, 1], Activation::Tanh).unwrap(),
        groups: ScaleGroups::Shared,
        priors: Some(vec![CoordinatePrior::InverseGamma { shape, rate }]),
        rows: 2,
        noise: Some(CoordinatePrior::Normal {
            mean: 0.5f64.ln(),
            precision,
        }),
        draws: 4,
        replications,
        ..per_tensor()
    }
}

/// The least p-value times their number.
fn least(case: &Case, sampler: Sampler) -> f64 {
    let p = p_values(case, sampler);
    p.iter().map(|p| p.1).fold(1.0, f64::min) * p.len() as f64
}

fn passes(case: &Case, sampler: Sampler) {
    let least = least(case, sampler);
    assert!(least > LEVEL, "{sampler:?}: {least}");
}

fn is_rejected(case: &Case, sampler: Sampler) {
    let least = least(case, sampler);
    assert!(least < LEVEL, "{sampler:?}: {least}");
}

#[test]
fn scales_of_tensors_and_the_noise_are_calibrated() {
    passes(&per_tensor(), Sampler::Walk);
}

#[test]
fn relevances_of_inputs_are_calibrated() {
    passes(&ard(), Sampler::Walk);
}

#[test]
fn scales_of_a_classifier_are_calibrated() {
    passes(&classes(), Sampler::Walk);
}

#[test]
fn calibration_rejects_missing_jacobians() {
    let case = narrow(1.5, 300);
    passes(&case, Sampler::Walk);
    is_rejected(&case, Sampler::NoJacobian);
}

/// A conditional whose shape is off by `c` is right for a prior whose shape is off by `c`.
#[test]
fn calibration_rejects_a_shape_off_by_one_half() {
    let case = narrow(25.0, 600);
    passes(&case, Sampler::Shape(0.0));
    is_rejected(&case, Sampler::Shape(0.5));
    is_rejected(&case, Sampler::Shape(-0.5));
}

/// Noise of nearly one level, so that one step size suits all walkers. A walk of a fit would not
/// even move: with own steps, an energy that is off makes each step too long.
#[test]
fn calibration_rejects_a_stale_energy() {
    let case = narrow(25.0, 2_500);
    passes(&case, Sampler::Adjusted);
    is_rejected(&case, Sampler::Stale);
}
