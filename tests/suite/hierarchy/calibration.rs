//! Simulation-based calibration of parameters, scales and noise together.
//!
//! Samplers that are wrong on purpose must fail. Walkers start near the medians of the prior, as in
//! a fit, and never from the truth. Each walker gives one draw, so draws are independent.

use super::kernel;
use fiberwalk::diagnose::{SbcOptions, simulate_ranks};
use fiberwalk::walk::{WalkOptions, walk};
use fiberwalk::{
    Activation, CoordinatePrior, GaussianLearnedNoise, LogDensity, Mlp, Network, PosteriorDensity,
    Prior, Result, ScaleGroups, ScaledNetwork, Streams,
};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

/// Draws per replication, each from a separate walker: twenty ranks in ten bins.
const DRAWS: usize = 19;
/// A right sampler fails for one seed in a million, times eight quantities.
const PASS: f64 = 1e-6;
const INVERSE_GAMMA: (f64, f64) = (2.0, 1.0);

struct Case {
    net: Mlp,
    /// Rows of a data set.
    rows: usize,
    groups: ScaleGroups,
    /// Priors to use instead of the usual ones.
    priors: Option<Vec<CoordinatePrior>>,
    noise: CoordinatePrior,
    steps: usize,
    replications: usize,
}

/// The fault of a sampler.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// The Jacobians of the logarithms of scale and noise are missing.
    Jacobian,
}

/// The posterior, or what it would be without the Jacobians of its coordinates from `without` on.
struct Target {
    posterior: PosteriorDensity<f64>,
    without: usize,
}

impl LogDensity<f64> for Target {
    type Workspace = <PosteriorDensity<f64> as LogDensity<f64>>::Workspace;
    fn dim(&self) -> usize {
        self.posterior.dim()
    }
    fn workspace(&self) -> Self::Workspace {
        self.posterior.workspace()
    }
    fn log_density(&self, phi: &[f64], ws: &mut Self::Workspace) -> Result<f64> {
        let missing: f64 = phi[self.without..].iter().sum();
        Ok(self.posterior.log_density(phi, ws)? - missing)
    }
    fn log_density_and_grad(
        &self,
        phi: &[f64],
        grad: &mut [f64],
        ws: &mut Self::Workspace,
    ) -> Result<f64> {
        let value = self.posterior.log_density_and_grad(phi, grad, ws)?;
        grad[self.without..].iter_mut().for_each(|g| *g -= 1.0);
        Ok(value - phi[self.without..].iter().sum::<f64>())
    }
}

/// A data set, and the quantities to observe.
struct Data {
    target: Target,
    right: PosteriorDensity<f64>,
}

/// p-values by the name of a quantity.
fn p_values(case: &Case, fault: Fault) -> Vec<(String, f64)> {
    let scaled = ScaledNetwork::new(&case.net, case.groups);
    let scaled = match &case.priors {
        Some(priors) => scaled.with_priors(priors).unwrap(),
        None => scaled,
    };
    let (d, p, dim) = (case.net.input_dim(), case.net.dim(), scaled.dim());
    let likelihood = match case.noise {
        CoordinatePrior::HalfCauchy { scale } => {
            GaussianLearnedNoise::shared().with_half_cauchy(scale)
        }
        CoordinatePrior::Normal { mean, precision } => {
            GaussianLearnedNoise::shared().with_prior(mean.exp(), precision.sqrt().recip())
        }
        CoordinatePrior::InverseGamma { .. } => panic!("the likelihood has no such prior"),
    }
    .unwrap();
    let prior = scaled.prior();
    let x = crate::common::normals(case.rows * d, 71);
    let medians = scaled.init_scales();
    // by a separate network, with rows that are not the data
    let outputs = |phi: &[f64]| outputs(&scaled, &phi[..dim], &x);
    let ranks = simulate_ranks(
        &SbcOptions {
            replications: case.replications,
            draws: DRAWS,
        },
        Streams::new(12),
        |rng| {
            let mut phi = prior.draw(rng)?;
            phi.push(case.noise.draw(rng)?);
            Ok(phi)
        },
        |truth, rng| {
            let std = truth[dim].exp();
            let y: Vec<f64> = (outputs(truth).iter())
                .map(|f| {
                    let e: f64 = StandardNormal.sample(rng);
                    f + std * e
                })
                .collect();
            let posterior = || PosteriorDensity::new(&scaled, &likelihood, &prior, &x, &y);
            let without = if fault == Fault::Jacobian { p } else { dim + 1 };
            Ok(Data {
                target: Target {
                    posterior: posterior()?,
                    without,
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
                    phi.push(case.noise.mode() + rng.random_range(-0.5..0.5));
                    Ok(phi)
                })
                .collect::<Result<_>>()?;
            let options = WalkOptions {
                particles: draws,
                steps: Some(case.steps),
                keep: 1,
                block: (case.steps / 100).max(1),
                ..WalkOptions::default()
            };
            let mut precision = prior.precision(scaled.layout());
            precision.push(case.noise.precision());
            let mut kernel = kernel(&precision).interwoven_with(&scaled);
            let walked = walk(&mut kernel, &data.target, &starts, &options, streams)?;
            let mut points: Vec<_> = walked.points.chunks_exact(dim + 1).map(Vec::from).collect();
            if points.len() < draws {
                // a missing point is replaced by one of the prior's medians, which can only spoil
                // the ranks
                points.resize(draws, starts[0].clone());
            }
            Ok(points)
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
    names.extend(["noise", "prediction 0", "prediction 1", "energy"].map(String::from));
    let tests = ranks.unwrap().uniformity(10).unwrap();
    names
        .into_iter()
        .zip(tests.iter().map(|t| t.p_value))
        .collect()
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

fn per_tensor() -> Case {
    Case {
        net: Mlp::new(&[1, 3, 1], Activation::Tanh).unwrap(),
        groups: ScaleGroups::PerTensor,
        priors: None,
        rows: 8,
        noise: WIDE,
        steps: 80,
        replications: 120,
    }
}

fn ard() -> Case {
    Case {
        net: Mlp::new(&[2, 3, 1], Activation::Tanh).unwrap(),
        groups: ScaleGroups::Ard,
        ..per_tensor()
    }
}

/// Scales of one group with an inverse gamma prior, and a normal prior of the log noise. A shorter
/// walk is enough.
fn narrow() -> Case {
    let (shape, rate) = INVERSE_GAMMA;
    Case {
        groups: ScaleGroups::Shared,
        priors: Some(vec![CoordinatePrior::InverseGamma { shape, rate }]),
        // few rows, so that the prior matters
        rows: 4,
        noise: CoordinatePrior::Normal {
            mean: 0.5f64.ln(),
            precision: 1.5,
        },
        ..per_tensor()
    }
}

fn passes(case: &Case) {
    for (name, p) in p_values(case, Fault::None) {
        assert!(p > PASS, "{name}: {p}");
    }
}

#[test]
fn scales_of_tensors_and_the_noise_are_calibrated() {
    passes(&per_tensor());
}

#[test]
fn relevances_of_inputs_are_calibrated() {
    passes(&ard());
}

/// One case by two samplers, of which one is right. (A conditional whose shape is off is found
/// where it is drawn alone.)
#[test]
fn calibration_rejects_missing_jacobians() {
    passes(&narrow());
    let p = p_values(&narrow(), Fault::Jacobian);
    let least = p.iter().map(|(_, p)| *p).fold(1.0, f64::min);
    // the least of five p-values of a right sampler is below this with a probability of one in ten
    // thousand; this sampler has 5e-6
    assert!(least < 2e-5, "{p:?}");
}
