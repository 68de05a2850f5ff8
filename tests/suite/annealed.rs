//! The evidence by annealing, against closed forms and quadrature.
//!
//! For linear regression the evidence is a Gaussian density of the data.

use crate::common::{labels, normals};
use fiberwalk::diagnose::chi_square_survival;
use fiberwalk::linalg::vector::dot;
use fiberwalk::linalg::{Cholesky, log_mean_exp};
use fiberwalk::model::Curved;
use fiberwalk::walk::{AnnealedEvidence, AnnealedOptions, annealed_evidence};
use fiberwalk::{
    Activation, Bernoulli, Gaussian, IsotropicGaussian, LogDensity, Mlp, PerLayerGaussian,
    PosteriorDensity, Result, Scalar, Streams,
};

const NOISE: f64 = 0.5;
/// Precisions of weights and bias.
const PRIOR: [f64; 2] = [2.0, 0.7];

/// 12 rows of two features, and `log N(y; 0, NOISE^2 I + X D^{-1} X^T)`.
fn linear<T: Scalar>() -> (PosteriorDensity<T>, f64) {
    let (n, d) = (12, 2);
    let (x, noise) = (normals(n * d, 3), normals(n, 4));
    let y: Vec<f64> = (0..n)
        .map(|i| 0.9 * x[i * d] - 0.5 * x[i * d + 1] + 0.6 + NOISE * noise[i])
        .collect();
    let network = Mlp::new(&[d, 1], Activation::Tanh).unwrap();
    let precisions = [("layer0.weight", PRIOR[0]), ("layer0.bias", PRIOR[1])];
    let prior = PerLayerGaussian::new(&precisions).unwrap();
    let likelihood = Gaussian::new(NOISE).unwrap();
    let posterior = PosteriorDensity::new(&network, &likelihood, &prior, &x, &y).unwrap();
    let mut covariance = vec![0.0; n * n];
    for (i, a) in x.chunks_exact(d).enumerate() {
        for (j, b) in x.chunks_exact(d).enumerate() {
            covariance[i * n + j] = dot(a, b) / PRIOR[0] + 1.0 / PRIOR[1];
        }
        covariance[i * n + i] += NOISE * NOISE;
    }
    let factor = Cholesky::new(&covariance, n).unwrap();
    let mut solved = y.clone();
    factor.solve(&mut solved);
    let constant = n as f64 * std::f64::consts::TAU.ln();
    (
        posterior,
        -0.5 * (dot(&y, &solved) + factor.log_det() + constant),
    )
}

fn run<T: Scalar, D: Curved<T>>(
    density: &D,
    options: &AnnealedOptions,
    seed: u64,
) -> AnnealedEvidence {
    let streams = Streams::new(seed);
    annealed_evidence(density, density.prior_precision(), options, streams).unwrap()
}

fn options(particles: usize, temperatures: usize) -> AnnealedOptions {
    AnnealedOptions {
        particles,
        temperatures,
        leapfrog_steps: 8,
        ..AnnealedOptions::default()
    }
}

/// A sum of squared z-scores is chi-square. It is too large if the evidence is wrong or its error
/// too small, and too small if the error is too large.
fn covered(z: &[f64]) {
    let squares: f64 = z.iter().map(|z| z * z).sum();
    let above = chi_square_survival(squares, z.len() as f64);
    assert!(above.min(1.0 - above) > 1e-3, "{z:?}");
}

#[test]
fn the_evidence_of_linear_regression() {
    let (posterior, exact) = linear::<f64>();
    let z: Vec<f64> = (0..16)
        .map(|seed| {
            let got = run(&posterior, &options(48, 200), seed);
            assert!(got.std_error < 0.2 && got.ess > 20.0, "{got:?}");
            let mean = got.acceptance.iter().sum::<f64>() / got.acceptance.len() as f64;
            assert!((mean - 0.8).abs() < 0.06, "{mean}");
            (got.log_evidence - exact) / got.std_error
        })
        .collect();
    covered(&z);
}

#[test]
fn few_temperatures_are_unbiased() {
    // two leapfrog steps do not follow 20 temperatures: an estimate is rough, but its mean is
    // right. A weight taken after the transition instead of before, or a transition for the wrong
    // temperature, would give a bias of the order of the spread
    let (posterior, exact) = linear::<f64>();
    let hasty = AnnealedOptions {
        leapfrog_steps: 2,
        ..options(2_000, 20)
    };
    let z: Vec<f64> = (0..8)
        .map(|seed| {
            let got = run(&posterior, &hasty, 100 + seed);
            assert!(got.ess < 1_500.0, "too easy: {}", got.ess);
            (got.log_evidence - exact) / got.std_error
        })
        .collect();
    covered(&z);
}

#[test]
fn the_evidence_of_a_logistic_regression() {
    let n = 15;
    let (x, y) = (normals(n, 8), labels(n, 2, 6));
    let network = Mlp::new(&[1, 1], Activation::Tanh).unwrap();
    let prior = IsotropicGaussian::new(0.25).unwrap();
    let posterior = PosteriorDensity::<f64>::new(&network, &Bernoulli, &prior, &x, &y).unwrap();
    // the trapezoidal rule over 6 standard deviations of the prior: smooth and 0 at the ends
    let (points, reach) = (241, 12.0);
    let step = 2.0 * reach / (points - 1) as f64;
    let mut ws = posterior.workspace();
    let mut values = Vec::new();
    for i in 0..points {
        for j in 0..points {
            let theta = [i, j].map(|k| k as f64 * step - reach);
            values.push(posterior.log_density(&theta, &mut ws).unwrap());
        }
    }
    let exact = log_mean_exp(&values).value + (values.len() as f64 * step * step).ln();
    let z: Vec<f64> = (0..16)
        .map(|seed| {
            let got = run(&posterior, &options(48, 100), seed);
            assert!(got.std_error < 0.2, "{}", got.std_error);
            (got.log_evidence - exact) / got.std_error
        })
        .collect();
    covered(&z);
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let (posterior, exact) = linear::<f32>();
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| run(&posterior, &options(48, 200), 5))
    };
    let one = with(1);
    for threads in [2, 8] {
        assert_eq!(with(threads), one);
    }
    // the numbers of particles and temperatures for which the other test shows that the errors are
    // right
    let z = (one.log_evidence - exact) / one.std_error;
    assert!(z.abs() < 4.0, "{z}");
    // per particle: its start, and 8 for each temperature but the last; the pilot settles once for
    // 40 transitions instead of one
    assert_eq!(
        one.gradients,
        48 * (1 + 199 * 8) + 16 * (1 + (199 + 39) * 8)
    );
}

/// The standard normal density where `x > 0`.
struct HalfLine;

impl LogDensity<f64> for HalfLine {
    type Workspace = ();
    fn dim(&self) -> usize {
        1
    }
    fn workspace(&self) {}
    fn log_density(&self, x: &[f64], (): &mut ()) -> Result<f64> {
        let log = -0.5 * (x[0] * x[0] + std::f64::consts::TAU.ln());
        Ok(if x[0] > 0.0 { log } else { f64::NEG_INFINITY })
    }
    fn log_density_and_grad(&self, x: &[f64], grad: &mut [f64], (): &mut ()) -> Result<f64> {
        grad[0] = -x[0];
        self.log_density(x, &mut ())
    }
}

#[test]
fn a_start_where_the_density_is_zero_has_no_weight() {
    let settings = options(400, 10);
    let got = annealed_evidence(&HalfLine, &[1.0], &settings, Streams::new(2)).unwrap();
    // nobody leaves the half line, and there p = q: weights are 1 or 0
    let known = |w: &&f64| **w == f64::NEG_INFINITY || w.abs() < 1e-12;
    assert_eq!(got.log_weights.iter().filter(known).count(), 400);
    assert!((got.std_error - (1.0f64 / 400.0).sqrt()).abs() < 0.01);
    let z = (got.log_evidence + 2f64.ln()) / got.std_error;
    assert!(z.abs() < 4.0, "{z}");
}

#[test]
fn what_cannot_be_annealed_is_refused() {
    let (posterior, _) = linear::<f64>();
    let precision = Curved::prior_precision(&posterior);
    let refused = |precision: &[f64], options: &AnnealedOptions| {
        let got = annealed_evidence(&posterior, precision, options, Streams::new(0));
        got.unwrap_err().to_string()
    };
    let good = options(4, 5);
    assert!(refused(&precision[..2], &good).contains("expected 3 prior precisions, got 2"));
    assert!(refused(&[1.0, 0.0, 1.0], &good).contains("prior_precision = 0"));
    assert!(refused(precision, &options(1, 5)).contains("particles = 1"));
    assert!(refused(precision, &options(4, 0)).contains("temperatures = 0"));
    for (power, acceptance) in [(0.5, 0.8), (f64::NAN, 0.8), (5.0, 1.0), (5.0, 0.0)] {
        let bad = AnnealedOptions {
            power,
            acceptance,
            ..good.clone()
        };
        refused(precision, &bad);
    }
}
