//! Linear models with a sampled scale, whose posteriors are known.
//!
//! The tests are walks, and draws of the scale in turn with exact draws of the weights.

use super::gibbs::{LEVEL, log_prior};
use super::{Quadrature, kernel};
use crate::common::normals;
use fiberwalk::diagnose::{fisher_survival, ks_test, normal_quantile};
use fiberwalk::model::ExactMove;
use fiberwalk::walk::{WalkOptions, walk};
use fiberwalk::{
    Activation, CoordinatePrior, Gaussian, LogDensity, Mlp, Network, Phase, PosteriorDensity,
    Prior, Result, ScaleGroups, ScaledNetwork, Streams,
};
use rand_distr::{Distribution, StandardNormal};

const N: usize = 8;
/// Two weights and a bias.
pub(super) const P: usize = 3;
const NOISE: f64 = 0.5;
const PRIOR: CoordinatePrior = CoordinatePrior::InverseGamma {
    shape: 1.5,
    rate: 0.8,
};

pub(super) fn data() -> (Vec<f64>, Vec<f64>) {
    let (x, e) = (normals(2 * N, 301), normals(N, 302));
    let y = (0..N).map(|i| 1.1 * x[2 * i] - 0.6 * x[2 * i + 1] + 0.3 + NOISE * e[i]);
    let y = y.collect();
    (x, y)
}

/// Lower triangle `L` of `L L^T = a`.
fn cholesky(a: [[f64; P]; P]) -> [[f64; P]; P] {
    let mut l = [[0.0; P]; P];
    for i in 0..P {
        for j in 0..=i {
            let rest = a[i][j] - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>();
            l[i][j] = if i == j { rest.sqrt() } else { rest / l[j][j] };
        }
    }
    l
}

fn forward(l: &[[f64; P]; P], b: [f64; P]) -> [f64; P] {
    let mut x = b;
    for i in 0..P {
        x[i] = (x[i] - (0..i).map(|k| l[i][k] * x[k]).sum::<f64>()) / l[i][i];
    }
    x
}

fn backward(l: &[[f64; P]; P], b: [f64; P]) -> [f64; P] {
    let mut x = b;
    for i in (0..P).rev() {
        x[i] = (x[i] - (i + 1..P).map(|k| l[k][i] * x[k]).sum::<f64>()) / l[i][i];
    }
    x
}

/// The Gaussian of the parameters `(w_1, w_2, bias)` given the log scale and the noise.
pub(super) struct Given {
    /// Cholesky factor of the precision.
    l: [[f64; P]; P],
    pub mean: [f64; P],
    /// `log p(y | t, noise)` up to a constant.
    pub log_evidence: f64,
}

impl Given {
    /// With noise of `NOISE`.
    fn scale(t: f64, data: &(Vec<f64>, Vec<f64>)) -> Self {
        Self::scales((t, NOISE), data)
    }

    /// `w ~ N(0, e^{2t} / 2)` for two inputs, `bias ~ N(0, 1)`.
    pub fn scales((t, noise): (f64, f64), (x, y): &(Vec<f64>, Vec<f64>)) -> Self {
        let mut precision = [[0.0; P]; P];
        let mut b = [0.0; P];
        for (row, y) in x.chunks_exact(2).zip(y) {
            let row = [row[0], row[1], 1.0];
            for i in 0..P {
                b[i] += row[i] * y / noise.powi(2);
                (0..P).for_each(|j| precision[i][j] += row[i] * row[j] / noise.powi(2));
            }
        }
        for (i, of) in precision.iter_mut().enumerate() {
            of[i] += if i < 2 { 2.0 * (-2.0 * t).exp() } else { 1.0 };
        }
        let l = cholesky(precision);
        let half = forward(&l, b);
        // p(y | t) = p(y | m) p(m | t) / p(m | y, t) at m = 0; the part of its logarithm that
        // depends on t and the noise
        let log_det: f64 = (0..P).map(|i| l[i][i].ln()).sum();
        let fit = 0.5 * half.iter().map(|h| h * h).sum::<f64>();
        let squares = y.iter().map(|y| y * y).sum::<f64>() / noise.powi(2);
        Self {
            mean: backward(&l, half),
            log_evidence: fit - 0.5 * squares - y.len() as f64 * noise.ln() - 2.0 * t - log_det,
            l,
        }
    }

    /// Diagonal of the covariance.
    pub fn variance(&self, i: usize) -> f64 {
        let mut unit = [0.0; P];
        unit[i] = 1.0;
        forward(&self.l, unit).iter().map(|x| x * x).sum()
    }
}

/// Checks draws of `(theta, t)` against the posterior: the scale by Kolmogorov's test, means and
/// second moments by z-tests.
fn check(name: &str, draws: &[([f64; P], f64)]) {
    let data = data();
    let log = |t: f64| log_prior(PRIOR, t) + Given::scale(t, &data).log_evidence;
    let want = Quadrature::new(log, -6.0, 8.0);
    let t: Vec<f64> = draws.iter().map(|d| d.1).collect();
    let p = ks_test(&t, |t| want.cdf(t)).unwrap().p_value;
    assert!(p > LEVEL, "{name}: scale {p}");
    // one part in a million lies beyond, in both tails together
    let most = normal_quantile(1.0 - 0.5 * LEVEL);
    for i in 0..P {
        let mean = want.mean(|t| Given::scale(t, &data).mean[i]);
        let second = want.mean(|t| {
            let given = Given::scale(t, &data);
            given.mean[i].powi(2) + given.variance(i)
        });
        for (power, want) in [(1, mean), (2, second)] {
            let values: Vec<f64> = draws.iter().map(|d| d.0[i].powi(power)).collect();
            let n = values.len() as f64;
            let got = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - got).powi(2)).sum::<f64>() / (n - 1.0);
            let z = (got - want) / (variance / n).sqrt();
            assert!(
                z.abs() < most,
                "{name}: theta_{i}^{power} {got}, not {want}: z {z}"
            );
        }
    }
}

/// A thousand walkers from near the prior, one draw each, with draws of the scale in turn and
/// without them.
#[test]
fn a_linear_model_has_the_scale_of_the_quadrature() {
    let net = Mlp::new(&[2, 1], Activation::Tanh).unwrap();
    let scaled = ScaledNetwork::new(&net, ScaleGroups::Shared)
        .with_priors(&[PRIOR])
        .unwrap();
    let (x, y) = data();
    let likelihood = Gaussian::new(NOISE).unwrap();
    let prior = scaled.prior();
    let density = PosteriorDensity::<f64>::new(&scaled, &likelihood, &prior, &x, &y).unwrap();
    let mut rng = Streams::new(3).rng(Phase::USER, 3);
    let starts: Vec<_> = (0..1000).map(|_| prior.draw(&mut rng).unwrap()).collect();
    for interwoven in [true, false] {
        let mut kernel = kernel(&prior.precision(scaled.layout()));
        if interwoven {
            kernel = kernel.interwoven_with(&scaled);
        }
        let options = WalkOptions {
            particles: 1000,
            steps: Some(120),
            keep: 1,
            block: 4,
            ..WalkOptions::default()
        };
        let walked = walk(&mut kernel, &density, &starts, &options, Streams::new(4)).unwrap();
        assert_eq!(walked.discarded, 0);
        let draws = walked.points.chunks_exact(P + 1).map(|phi| {
            let mut theta = [0.0; P];
            scaled.theta(phi, &mut theta).unwrap();
            (theta, phi[P])
        });
        check(
            &format!("walk, interwoven: {interwoven}"),
            &draws.collect::<Vec<_>>(),
        );
    }
}

/// The move in turn with exact draws of the parameters given the scale. Both conditionals have a
/// closed form, so this is a Gibbs sampler without any error.
#[test]
fn the_move_and_exact_weights_are_a_gibbs_sampler() {
    let net = Mlp::new(&[2, 1], Activation::Tanh).unwrap();
    let scaled = ScaledNetwork::new(&net, ScaleGroups::Shared)
        .with_priors(&[PRIOR])
        .unwrap();
    let data = data();
    let mut rng = Streams::new(6).rng(Phase::USER, 4);
    let mut phi = scaled.prior().draw(&mut rng).unwrap();
    let mut draws = Vec::new();
    // autocorrelation of the scale between sweeps is below 0.8 (measured 0.3); 0.8^30 is 1e-3
    for sweep in 0..30 * 4000 {
        let given = Given::scale(phi[P], &data);
        let z = [0; P].map(|_| StandardNormal.sample(&mut rng));
        let noise = backward(&given.l, z);
        let theta = [0, 1, 2].map(|i| given.mean[i] + noise[i]);
        let std = phi[P].exp() / 2f64.sqrt();
        (phi[0], phi[1], phi[2]) = (theta[0] / std, theta[1] / std, theta[2]);
        if sweep % 30 == 29 {
            draws.push((theta, phi[P]));
        }
        scaled.apply(&mut phi, &mut rng).unwrap();
    }
    check("gibbs", &draws);
}

/// `y ~ N(X w, s^2)`, `w | s ~ N(0, s^2)`, `s^2 ~ IG(a, b)`, in the coordinates `(w, log s)`.
struct Conjugate {
    x: Vec<f64>,
    y: Vec<f64>,
}

const A: f64 = 2.0;
const B: f64 = 0.7;

impl LogDensity<f64> for Conjugate {
    type Workspace = ();
    fn dim(&self) -> usize {
        P
    }
    fn workspace(&self) {}
    fn log_density(&self, at: &[f64], ws: &mut ()) -> Result<f64> {
        self.log_density_and_grad(at, &mut [0.0; P], ws)
    }
    fn log_density_and_grad(&self, at: &[f64], grad: &mut [f64], (): &mut ()) -> Result<f64> {
        let (w, t) = ([at[0], at[1]], at[2]);
        let precision = (-2.0 * t).exp();
        // twice the exponent, times s^2
        let mut squares = w[0] * w[0] + w[1] * w[1] + 2.0 * B;
        let mut slope = w;
        for (x, y) in self.x.chunks_exact(2).zip(&self.y) {
            let rest = w[0] * x[0] + w[1] * x[1] - y;
            squares += rest * rest;
            slope[0] += rest * x[0];
            slope[1] += rest * x[1];
        }
        // s^{-n} of the rows, s^{-2} of the weights, s^{-2a} of the inverse gamma with its Jacobian
        let powers = self.y.len() as f64 + 2.0 + 2.0 * A;
        (grad[0], grad[1]) = (-precision * slope[0], -precision * slope[1]);
        grad[2] = precision * squares - powers;
        Ok(-0.5 * precision * squares - powers * t)
    }
}

/// The predictive distribution at a new row is Student's t with `2 a + n` degrees of freedom.
#[test]
fn the_conjugate_model_predicts_by_students_t() {
    let (x, y) = data();
    let new = [0.8, -1.3];
    // posterior: precision I + X^T X, and b_n = b + (y^T y - m^T (I + X^T X) m) / 2
    let (mut g, mut h, mut yy) = ([[1.0, 0.0], [0.0, 1.0]], [0.0; 2], 0.0);
    for (x, y) in x.chunks_exact(2).zip(&y) {
        for i in 0..2 {
            h[i] += x[i] * y;
            (0..2).for_each(|j| g[i][j] += x[i] * x[j]);
        }
        yy += y * y;
    }
    let det = g[0][0] * g[1][1] - g[0][1] * g[0][1];
    let solve = |b: [f64; 2]| {
        [
            (g[1][1] * b[0] - g[0][1] * b[1]) / det,
            (g[0][0] * b[1] - g[0][1] * b[0]) / det,
        ]
    };
    let m = solve(h);
    let (a_n, b_n) = (
        A + 0.5 * N as f64,
        B + 0.5 * (yy - m[0] * h[0] - m[1] * h[1]),
    );
    let v = solve(new);
    let location = m[0] * new[0] + m[1] * new[1];
    let spread = (b_n / a_n * (1.0 + v[0] * new[0] + v[1] * new[1])).sqrt();
    let students = |y: f64| {
        let t = (y - location) / spread;
        let tail = 0.5 * fisher_survival(t * t, 1.0, 2.0 * a_n);
        if t > 0.0 { 1.0 - tail } else { tail }
    };
    let density = Conjugate { x, y };
    let options = WalkOptions {
        particles: 4000,
        steps: Some(160),
        keep: 1,
        block: 4,
        ..WalkOptions::default()
    };
    let starts: Vec<Vec<f64>> = normals(P * 4000, 9)
        .chunks_exact(P)
        .map(Vec::from)
        .collect();
    let walked = walk(
        &mut kernel(&[1.0; P]),
        &density,
        &starts,
        &options,
        Streams::new(5),
    );
    let noise = normals(4000, 10);
    let predicted: Vec<f64> = (walked.unwrap().points.chunks_exact(P).zip(&noise))
        .map(|(at, e)| at[0] * new[0] + at[1] * new[1] + at[2].exp() * e)
        .collect();
    let p = ks_test(&predicted, students).unwrap().p_value;
    assert!(p > LEVEL, "{p}");
    // a normal with the same mean and spread must be rejected, so the test sees the tails
    let variance = spread * spread * a_n / (a_n - 1.0);
    let gauss: Vec<f64> = noise
        .iter()
        .map(|e| location + 1.25 * variance.sqrt() * e)
        .collect();
    assert!(ks_test(&gauss, students).unwrap().p_value < LEVEL);
}
