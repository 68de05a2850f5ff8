//! The evidence between two bounds, against closed forms and quadrature.

use crate::common::{labels, normals};
use fiberwalk::diagnose::chi_square_survival;
use fiberwalk::linalg::vector::dot;
use fiberwalk::linalg::{Cholesky, log_mean_exp};
use fiberwalk::model::Curved;
use fiberwalk::walk::{AnnealedOptions, EvidenceBracket, evidence_bracket};
use fiberwalk::{
    Activation, Bernoulli, Gaussian, IsotropicGaussian, LogDensity, Mlp, PosteriorDensity, Streams,
};

const NOISE: f64 = 0.5;
const PRECISION: f64 = 1.3;

/// Linear regression on 12 rows of two features: its density, its log evidence, and exact draws of
/// its posterior.
struct Linear {
    density: PosteriorDensity<f64>,
    exact: f64,
    /// `[x, 1]` row by row.
    design: Vec<[f64; 3]>,
    y: Vec<f64>,
}

impl Linear {
    fn new() -> Self {
        let n = 12;
        let (x, noise) = (normals(n * 2, 3), normals(n, 4));
        let design: Vec<[f64; 3]> = x.chunks_exact(2).map(|x| [x[0], x[1], 1.0]).collect();
        let y = design.iter().zip(&noise);
        let y: Vec<f64> = y
            .map(|(x, e)| 0.9 * x[0] - 0.5 * x[1] + 0.6 + NOISE * e)
            .collect();
        let network = Mlp::new(&[2, 1], Activation::Tanh).unwrap();
        let (likelihood, prior) = (Gaussian::new(NOISE), IsotropicGaussian::new(PRECISION));
        let (likelihood, prior) = (likelihood.unwrap(), prior.unwrap());
        let density = PosteriorDensity::new(&network, &likelihood, &prior, &x, &y).unwrap();
        // y ~ N(0, NOISE^2 I + Phi Phi^T / PRECISION)
        let mut covariance = vec![0.0; n * n];
        for (i, a) in design.iter().enumerate() {
            for (j, b) in design.iter().enumerate() {
                covariance[i * n + j] = dot(a, b) / PRECISION;
            }
            covariance[i * n + i] += NOISE * NOISE;
        }
        let factor = Cholesky::new(&covariance, n).unwrap();
        let mut solved = y.clone();
        factor.solve(&mut solved);
        let constant = n as f64 * std::f64::consts::TAU.ln();
        let exact = -0.5 * (dot(&y, &solved) + factor.log_det() + constant);
        Self {
            density,
            exact,
            design,
            y,
        }
    }

    /// `A^{-1} (Phi^T (y + sigma e) / sigma^2 + sqrt(PRECISION) e')`, with `A` the posterior's
    /// precision, is a draw of the posterior.
    fn draws(&self, count: usize, seed: u64) -> Vec<f64> {
        let precision = NOISE.powi(-2);
        let mut a = vec![0.0; 9];
        for x in &self.design {
            for (k, entry) in a.iter_mut().enumerate() {
                *entry += precision * x[k / 3] * x[k % 3];
            }
        }
        (0..3).for_each(|i| a[4 * i] += PRECISION);
        let factor = Cholesky::new(&a, 3).unwrap();
        let n = self.y.len();
        let random = normals(count * (n + 3), seed);
        let each = random.chunks_exact(n + 3).flat_map(|e| {
            let mut right: Vec<f64> = (0..3).map(|k| PRECISION.sqrt() * e[n + k]).collect();
            for ((x, y), e) in self.design.iter().zip(&self.y).zip(e) {
                let target = precision * (y + NOISE * e);
                right.iter_mut().zip(x).for_each(|(r, x)| *r += target * x);
            }
            factor.solve(&mut right);
            right
        });
        each.collect()
    }

    fn bracket(&self, settings: &AnnealedOptions, points: &[f64], seed: u64) -> EvidenceBracket {
        let precision = self.density.prior_precision();
        let streams = Streams::new(seed);
        evidence_bracket(&self.density, precision, points, settings, streams, || ()).unwrap()
    }
}

fn options(particles: usize, temperatures: usize) -> AnnealedOptions {
    AnnealedOptions {
        particles,
        temperatures,
        leapfrog_steps: 8,
        ..AnnealedOptions::default()
    }
}

/// The probability of a sum of squares this large, or this small.
fn tail(z: &[f64]) -> f64 {
    let squares: f64 = z.iter().map(|z| z * z).sum();
    let above = chi_square_survival(squares, z.len() as f64);
    above.min(1.0 - above)
}

/// Both weights are unbiased: `E[w] = Z` forwards, `E[1/w] = 1/Z` backwards. A transition at the wrong
/// temperature, or an increment taken after it instead of before, shows as a bias of several errors.
/// (With a dozen temperatures `1/w` has so heavy a tail that its mean comes out too small: 26 of
/// 2,000 weights count, and errors cannot be trusted. The bound is then high, as it may be.)
#[test]
fn weights_are_unbiased_both_ways() {
    let linear = Linear::new();
    let settings = options(1_000, 200);
    let (mut below, mut above, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..8 {
        let points = linear.draws(1_000, 50 + seed);
        let got = linear.bracket(&settings, &points, seed);
        let exact = linear.exact;
        below.push((got.lower.value - exact) / got.lower.std_error);
        above.push((got.upper.value - exact) / got.upper.std_error);
        // the weights of the way back, used as if they were those of the way there
        let used = log_mean_exp(&got.upper.log_weights);
        wrong.push((used.value - exact) / used.std_error);
        // the means are bounds by Jensen's inequality, far out here
        assert!(got.lower.mean + 5.0 * got.lower.mean_std_error < exact);
        assert!(got.upper.mean - 5.0 * got.upper.mean_std_error > exact);
    }
    assert!(
        tail(&below) > 1e-3 && tail(&above) > 1e-3,
        "{below:?} {above:?}"
    );
    assert!(tail(&wrong) < 1e-6, "the wrong control passes: {wrong:?}");
}

/// More temperatures close the bracket around the exact value.
#[test]
fn the_bracket_of_linear_regression_closes() {
    let linear = Linear::new();
    let points = linear.draws(64, 9);
    let widths = [20, 400].map(|temperatures| {
        let got = linear.bracket(&options(64, temperatures), &points, 3);
        let of_means = got.upper.mean - got.lower.mean;
        assert!(got.lower.mean < linear.exact && linear.exact < got.upper.mean);
        let error = got.lower.std_error.hypot(got.upper.std_error);
        assert!(got.width().abs() < 5.0 * error.max(1e-3), "{got:?}");
        of_means
    });
    // the variance of log w, and with it the distance of the means, falls as one over their number
    assert!(widths[1] < 0.2 * widths[0] && widths[1] < 0.2, "{widths:?}");
}

/// Starts that are no draws of the posterior are found out: from points beside it the two bounds
/// cross or stay apart by many errors.
#[test]
fn a_walk_that_has_not_arrived_does_not_close_the_bracket() {
    let linear = Linear::new();
    let good = linear.draws(64, 9);
    let beside: Vec<f64> = good.iter().map(|x| x + 1.0).collect();
    let got = linear.bracket(&options(64, 400), &beside, 3);
    let error = got.lower.std_error.hypot(got.upper.std_error);
    assert!(
        got.width().abs() > 1.0 && got.width().abs() > 10.0 * error,
        "{got:?}"
    );
}

/// Logistic regression with two parameters against the trapezoidal rule. Draws of the posterior are
/// those of the grid, moved at random within a cell: the grid's step of 0.1 adds a variance of
/// 0.0008 to one of 0.2 or more.
#[test]
fn the_bracket_of_a_logistic_regression_holds_quadrature() {
    let n = 15;
    let (x, y) = (normals(n, 8), labels(n, 2, 6));
    let network = Mlp::new(&[1, 1], Activation::Tanh).unwrap();
    let prior = IsotropicGaussian::new(0.25).unwrap();
    let density = PosteriorDensity::<f64>::new(&network, &Bernoulli, &prior, &x, &y).unwrap();
    let (cells, reach) = (241, 12.0);
    let step = 2.0 * reach / (cells - 1) as f64;
    let mut ws = density.workspace();
    let at = |k: usize| k as f64 * step - reach;
    let mut values = Vec::new();
    for i in 0..cells {
        for j in 0..cells {
            let theta = [at(i), at(j)];
            values.push(density.log_density(&theta, &mut ws).unwrap());
        }
    }
    let exact = log_mean_exp(&values).value + (values.len() as f64 * step * step).ln();
    let total = exact - (step * step).ln();
    let mut cumulated = 0.0;
    let cumulative: Vec<f64> = values
        .iter()
        .map(|v| {
            cumulated += (v - total).exp();
            cumulated
        })
        .collect();
    let uniform = |z: f64| fiberwalk::special::normal_cdf(z);
    let random = normals(64 * 3, 21);
    let points = random.chunks_exact(3).flat_map(|e| {
        let cell = cumulative.partition_point(|c| *c < uniform(e[0]));
        let jitter = |z: f64| step * (uniform(z) - 0.5);
        [
            at(cell / cells) + jitter(e[1]),
            at(cell % cells) + jitter(e[2]),
        ]
    });
    let points: Vec<f64> = points.collect();
    let precision = density.prior_precision();
    let settings = options(64, 400);
    let streams = Streams::new(1);
    let got = evidence_bracket(&density, precision, &points, &settings, streams, || ());
    let got = got.unwrap();
    for bound in [&got.lower, &got.upper] {
        let z = (bound.value - exact) / bound.std_error;
        assert!(z.abs() < 4.0 && bound.std_error < 0.1, "{got:?}");
    }
    assert!(got.lower.mean < exact && exact < got.upper.mean, "{got:?}");
}

#[test]
fn the_same_bits_for_any_number_of_threads_and_bad_points_refused() {
    let linear = Linear::new();
    let points = linear.draws(8, 1);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| linear.bracket(&options(8, 50), &points, 5))
    };
    assert_eq!(with(1), with(3));
    let precision = linear.density.prior_precision();
    for bad in [&points[..0], &points[..3], &points[..7], &[f64::NAN; 6]] {
        let settings = options(8, 5);
        let (density, streams) = (&linear.density, Streams::new(0));
        let got = evidence_bracket(density, precision, bad, &settings, streams, || ());
        assert!(got.is_err(), "{bad:?}");
    }
}
