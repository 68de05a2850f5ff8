//! Simulation-based calibration of each likelihood: parameters and those of the noise together.
//!
//! The model is a line with standard normal weights. Data come from the laws of another library,
//! not from the density under test. For each likelihood a law that is wrong in one way must fail.

use fiberwalk::diagnose::{SbcOptions, simulate_ranks};
use fiberwalk::walk::{
    InverseMassMatrix, Microcanonical, MicrocanonicalOptions, WalkOptions, walk,
};
use fiberwalk::{
    Activation, Bernoulli, GaussianNoiseHead, HeteroscedasticGaussian, IsotropicGaussian,
    Likelihood, LogDensity, Mlp, Network, Poisson, PosteriorDensity, Result, Streams, StudentT,
};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Draws per replication, each from a separate walker: twenty ranks in ten bins.
const DRAWS: usize = 19;
const REPLICATIONS: usize = 160;
const STEPS: usize = 120;
const ROWS: usize = 6;
/// Of all quantities of a likelihood together: the least of `K` p-values, times `K` (Bonferroni).
/// A right sampler is below this for at most one seed in ten thousand, and a wrong law has to be.
const LEVEL: f64 = 1e-4;

/// A target for a row's `outputs` and the noise's parameters.
type Simulate = fn(&[f64], &[f64], &mut ChaCha8Rng) -> f64;

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// The outputs of all rows: `theta` holds the weights of the input, then the biases.
fn outputs(theta: &[f64], x: &[f64], k: usize) -> Vec<f64> {
    let row = |x: &f64| {
        let x = *x;
        (0..k).map(move |j| theta[j] * x + theta[k + j])
    };
    x.iter().flat_map(row).collect()
}

/// p-values of the noise's parameters, of the first row's outputs, and of the energy.
fn p_values(likelihood: &dyn Likelihood, k: usize, simulate: Simulate) -> Vec<f64> {
    let net = Mlp::new(&[1, k], Activation::Tanh).unwrap();
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let own = likelihood.params(k);
    let p = net.dim();
    assert_eq!(p, 2 * k);
    let x = crate::common::normals(ROWS, 31);
    let draw = |rng: &mut ChaCha8Rng| -> Result<Vec<f64>> {
        let mut theta: Vec<f64> = (0..p).map(|_| normal(rng)).collect();
        for part in own.parts() {
            theta.push(part.prior.draw(rng)?);
        }
        Ok(theta)
    };
    let ranks = simulate_ranks(
        &SbcOptions {
            replications: REPLICATIONS,
            draws: DRAWS,
        },
        Streams::new(5),
        draw,
        |truth, rng| {
            let f = outputs(&truth[..p], &x, k);
            let y: Vec<f64> = f.chunks(k).map(|f| simulate(f, &truth[p..], rng)).collect();
            PosteriorDensity::<f64>::new(&net, likelihood, &prior, &x, &y)
        },
        |posterior, draws, streams| {
            let mut rng = streams.rng(fiberwalk::Phase::PRIOR, 0);
            let starts: Vec<Vec<f64>> = (0..draws)
                .map(|_| {
                    let mut theta = draw(&mut rng)?;
                    for (t, init) in theta[p..].iter_mut().zip(own.init()) {
                        *t = init + (*t - init).clamp(-1.0, 1.0);
                    }
                    Ok(theta)
                })
                .collect::<Result<_>>()?;
            let options = WalkOptions {
                particles: draws,
                steps: Some(STEPS),
                keep: 1,
                block: 2,
                ..WalkOptions::default()
            };
            let mut precision = vec![1.0; p];
            precision.extend(own.prior_precision());
            let settings = MicrocanonicalOptions {
                own_steps: true,
                target_error: 1e-4,
                ..MicrocanonicalOptions::default()
            };
            let mass = InverseMassMatrix::diagonal(&precision)?;
            let mut kernel = Microcanonical::new(mass, &settings)?;
            let walked = walk(&mut kernel, posterior, &starts, &options, streams)?;
            let mut points: Vec<_> = walked
                .points
                .chunks_exact(p + own.len())
                .map(Vec::from)
                .collect();
            // a missing point is replaced by a start, which can only spoil the ranks
            points.resize(draws, starts[0].clone());
            Ok(points)
        },
        |theta, posterior| {
            let mut values = theta[p..].to_vec();
            values.extend(outputs(&theta[..p], &x[..1], k));
            let mut ws = posterior.workspace();
            values.push(posterior.log_density(theta, &mut ws).unwrap());
            values
        },
    );
    let tests = ranks.unwrap().uniformity(10).unwrap();
    tests.iter().map(|t| t.p_value).collect()
}

/// The right law passes, and the wrong one does not.
fn calibrated(likelihood: &dyn Likelihood, k: usize, right: Simulate, wrong: Simulate) {
    let least = |simulate: Simulate| {
        let p = p_values(likelihood, k, simulate);
        p.iter().copied().fold(1.0, f64::min) * p.len() as f64
    };
    let (right, wrong) = (least(right), least(wrong));
    assert!(right > LEVEL && wrong < LEVEL, "{right} {wrong}");
}

fn student_t(f: &[f64], noise: &[f64], rng: &mut ChaCha8Rng) -> f64 {
    let dof = 2.0 + noise[1].exp();
    f[0] + noise[0].exp() * rand_distr::StudentT::new(dof).unwrap().sample(rng)
}

/// The wrong law has twice the scale.
#[test]
fn scale_and_tails_of_student_t_are_calibrated() {
    calibrated(&StudentT::default(), 1, student_t, |f, noise, rng| {
        student_t(f, &[noise[0] + 2f64.ln(), noise[1]], rng)
    });
}

/// The likelihood of `fit --likelihood heteroscedastic`. The wrong law has the head with the other
/// sign.
#[test]
fn noise_of_a_level_and_a_head_is_calibrated() {
    fn law(f: &[f64], noise: &[f64], rng: &mut ChaCha8Rng) -> f64 {
        f[0] + (noise[0] + f[1]).exp() * normal(rng)
    }
    let likelihood = GaussianNoiseHead::new(0.5).unwrap();
    calibrated(&likelihood, 2, law, |f, noise, rng| {
        law(&[f[0], -f[1]], noise, rng)
    });
}

/// The part for models of your own. The wrong law has the exponential of the head, not its softplus,
/// for a deviation.
#[test]
fn noise_that_varies_with_the_rows_is_calibrated() {
    let likelihood = HeteroscedasticGaussian::default();
    let right: Simulate = |f, _, rng| {
        let softplus = f[1].exp().ln_1p();
        f[0] + (softplus + 1e-3) * normal(rng)
    };
    calibrated(&likelihood, 2, right, |f, _, rng| {
        f[0] + f[1].exp() * normal(rng)
    });
}

/// The wrong law has the rate `1 + f^2` in the place of `e^f`.
#[test]
fn counts_are_calibrated() {
    fn counts(rate: f64, rng: &mut ChaCha8Rng) -> f64 {
        rand_distr::Poisson::new(rate).unwrap().sample(rng)
    }
    calibrated(
        &Poisson,
        1,
        |f, _, rng| counts(f[0].exp(), rng),
        |f, _, rng| counts(1.0 + f[0] * f[0], rng),
    );
}

/// The wrong law has the logits halved and turned round.
#[test]
fn two_classes_are_calibrated() {
    fn class(logit: f64, rng: &mut ChaCha8Rng) -> f64 {
        // the logistic law by its quantiles
        let u: f64 = rand::RngExt::random(rng);
        f64::from(logit > (u / (1.0 - u)).ln())
    }
    calibrated(
        &Bernoulli,
        1,
        |f, _, rng| class(f[0], rng),
        |f, _, rng| class(-0.5 * f[0], rng),
    );
}
