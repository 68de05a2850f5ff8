//! Stacking: the mixture of several models' predictive distributions that predicts best.
//!
//! The weights come from log predictive densities of rows that the models have not seen.
//!
//! Yao, Vehtari, Simpson & Gelman, "Using stacking to average Bayesian predictive distributions",
//! Bayesian Analysis 13(3) (2018), arXiv 1704.02030. With `l_ik = log p(y_i | y_-i, M_k)`, rows
//! `i = 1 ... n`, models `k = 1 ... K`:
//!
//! ```text
//! w*   = argmax_w  f(w) = sum_i log sum_k w_k exp l_ik,   w_k >= 0, sum_k w_k = 1    (eq. 4)
//! g_k  = (1/n) sum_i exp l_ik / sum_j w_j exp l_ij        the slope of f / n
//! f(w*) - f(w)  <=  n log max_k g_k                       by Jensen; 0 at w*
//! ```
//!
//! `f` is concave. The last line bounds how far given weights are from the best, and ends the
//! search: `max_k g_k <= 1 + 1e-10`.
//!
//! **The search** is a primal-dual interior-point method in the manner of Waechter & Biegler,
//! Mathematical Programming 106 (2006). The papers' own code uses a general optimiser. The sum of
//! the weights need not be a constraint (Kim, Carbonetto, Stephens & Anitescu, J. Comp. Graph.
//! Stat. 29, 2020): the maximum of `f(x) / n - sum_k x_k` over `x >= 0` has `sum_k x_k = 1`. With
//! slacks `z`:
//!
//! ```text
//! 1 - g - z = 0,  x_k z_k = mu,  mu -> 0
//! (H + diag(z / x)) dx = g - 1 + mu / x
//! H = (1/n) sum_i r_i r_i^T,  r_ik = exp l_ik / sum_j x_j exp l_ij
//! ```
//!
//! `dx` is an ascent direction of the barrier problem for that `mu`. The step along it is halved
//! until the objective rises. Models that predict the same rows equally well get equal weights, as
//! the path keeps to the middle of the set of solutions.
//!
//! **Far-off rows.** The largest density of each row is divided out, which changes neither `g` nor
//! `w*`. Densities below 1e-308 of the row's best are then 0. This cannot matter: at `w*` no `g_k`
//! is above 1, so the mixture has at least `1/n` of the best density in every row.

use super::log_densities::LogDensities;
use crate::error::{Error, Result};
use crate::linalg::Cholesky;

/// The search ends when no mixture is better by more than this, in nats per row.
const TOLERANCE: f64 = 1e-10;
/// Most steps. Interior-point methods take about ten, nearly whatever the problem.
const MAX_STEPS: usize = 200;
/// Fraction of the way to the boundary that a step may take.
const NEAR: f64 = 0.995;
/// The barrier is lowered when its problem is solved to this multiple of its height.
const SOLVED: f64 = 10.0;
/// `x_k z_k` stays within this factor of `mu`.
const SLACK: f64 = 1e10;
/// Fraction of the gain promised by the slope that a step must achieve.
const ARMIJO: f64 = 1e-4;
/// A weight this far below its slack is set to 0, if the others are as good without it.
const NONE: f64 = 1e-4;

/// Weights of models, and the score of their mixture.
#[derive(Clone, Debug, PartialEq)]
pub struct Stacking {
    /// The models' weights, `[models]`: not negative, sum 1.
    pub weights: Vec<f64>,
    /// `sum_i log sum_k w_k p_ik`: the mixture's log density of all rows, in nats. It is slightly
    /// too high, because the weights were chosen on the same rows.
    pub log_score: f64,
    /// No weights have a `log_score` that is higher by more than this, in nats. At most 1e-10 per
    /// row.
    pub gap: f64,
    /// Steps taken by the search.
    pub steps: usize,
}

impl Stacking {
    /// Finds the weights from log predictive densities `[rows, models]` row-major, in nats, of rows
    /// that the models have not seen: held-out rows, or [`Loo::pointwise`](super::Loo::pointwise)
    /// of each model as a column.
    ///
    /// It costs about `20 rows models^2` operations.
    ///
    /// # Errors
    /// If there are no models or no rows, the length is not a multiple of `models`, or a value is
    /// not finite. [`Error::NoConvergence`] if the gap does not close, which has not been seen.
    pub fn new(log_density: &[f64], models: usize) -> Result<Self> {
        let densities = LogDensities::new("Stacking", log_density, models)?;
        let problem = Problem::new(&densities);
        let mut path = Path::new(&problem);
        let mut residual = f64::INFINITY;
        for steps in 0..MAX_STEPS {
            let slopes = problem.slopes(&path.x);
            let weights = normalised(&path.x);
            residual = problem.excess(&weights);
            if residual <= TOLERANCE {
                let (weights, residual) = path.without_none(weights, residual);
                let n = problem.rows as f64;
                return Ok(Self {
                    log_score: densities.tops.iter().sum::<f64>() + n * problem.value(&weights),
                    gap: n * residual.max(0.0).ln_1p(),
                    weights,
                    steps,
                });
            }
            path.lower(&slopes.gradient);
            path.step(&slopes)?;
        }
        Err(Error::NoConvergence {
            what: "Stacking",
            iterations: MAX_STEPS,
            residual,
            tolerance: TOLERANCE,
        })
    }
}

fn normalised(x: &[f64]) -> Vec<f64> {
    let sum: f64 = x.iter().sum();
    x.iter().map(|x| x / sum).collect()
}

/// Densities `[rows, models]`, scaled so that the largest of each row is 1.
struct Problem {
    density: Vec<f64>,
    models: usize,
    rows: usize,
}

/// `g`, and the lower triangle of `H`, `[models, models]`.
struct Slopes {
    gradient: Vec<f64>,
    curvature: Vec<f64>,
}

impl Problem {
    fn new(densities: &LogDensities) -> Self {
        Self {
            density: densities.below.iter().map(|l| l.exp()).collect(),
            models: densities.models,
            rows: densities.tops.len(),
        }
    }

    /// Each row with its density under the mixture.
    fn mixed(&self, x: &[f64]) -> impl Iterator<Item = (&[f64], f64)> {
        self.density.chunks_exact(self.models).map(move |row| {
            let mixture = row.iter().zip(x).map(|(p, x)| p * x).sum();
            (row, mixture)
        })
    }

    /// `f(x) / n`.
    fn value(&self, x: &[f64]) -> f64 {
        self.mixed(x).map(|(_, mixture)| mixture.ln()).sum::<f64>() / self.rows as f64
    }

    fn slopes(&self, x: &[f64]) -> Slopes {
        let (k, n) = (self.models, self.rows as f64);
        let (mut gradient, mut curvature) = (vec![0.0; k], vec![0.0; k * k]);
        let mut ratios = vec![0.0; k];
        for (row, mixture) in self.mixed(x) {
            for (ratio, p) in ratios.iter_mut().zip(row) {
                *ratio = p / mixture;
            }
            for (a, &r) in ratios.iter().enumerate() {
                gradient[a] += r / n;
                for (h, s) in curvature[a * k..].iter_mut().zip(&ratios[..=a]) {
                    *h += r * s / n;
                }
            }
        }
        Slopes {
            gradient,
            curvature,
        }
    }

    /// `max_k g_k - 1` at weights with sum 1; infinite if a row has density 0.
    fn excess(&self, weights: &[f64]) -> f64 {
        let mut gradient = vec![0.0; self.models];
        for (row, mixture) in self.mixed(weights) {
            if mixture == 0.0 {
                return f64::INFINITY;
            }
            for (g, p) in gradient.iter_mut().zip(row) {
                *g += p / mixture;
            }
        }
        let largest = gradient.iter().copied().fold(0.0, f64::max);
        largest / self.rows as f64 - 1.0
    }
}

/// The state of the search: `x`, its slacks, and the height of the barrier.
struct Path<'a> {
    problem: &'a Problem,
    x: Vec<f64>,
    z: Vec<f64>,
    mu: f64,
}

impl<'a> Path<'a> {
    fn new(problem: &'a Problem) -> Self {
        let k = problem.models as f64;
        let mu = 0.1 / k;
        Self {
            problem,
            x: vec![k.recip(); problem.models],
            z: vec![mu * k; problem.models],
            mu,
        }
    }

    /// Lowers the barrier as far as its problem is solved.
    fn lower(&mut self, gradient: &[f64]) {
        // on the path, sum x = 1 + K mu, so the excess is at most K mu
        let least = 0.1 * TOLERANCE / self.x.len() as f64;
        while self.mu > least {
            let of_slope = gradient.iter().zip(&self.z).map(|(g, z)| 1.0 - g - z);
            let of_product = self.x.iter().zip(&self.z).map(|(x, z)| x * z - self.mu);
            let error = of_slope
                .chain(of_product)
                .fold(0.0, |e: f64, r| e.max(r.abs()));
            if error > SOLVED * self.mu {
                return;
            }
            self.mu = (0.2 * self.mu).min(self.mu.powf(1.5)).max(least);
        }
    }

    /// The objective of the barrier problem, to be maximised.
    fn barrier(&self, x: &[f64]) -> f64 {
        let logs: f64 = x.iter().map(|x| x.ln()).sum();
        self.problem.value(x) - x.iter().sum::<f64>() + self.mu * logs
    }

    fn step(&mut self, slopes: &Slopes) -> Result<()> {
        let (k, mu) = (self.x.len(), self.mu);
        let slope: Vec<f64> = slopes
            .gradient
            .iter()
            .zip(&self.x)
            .map(|(g, x)| g - 1.0 + mu / x)
            .collect();
        let entry = |i: usize, j: usize| {
            let diagonal = if i == j { self.z[i] / self.x[i] } else { 0.0 };
            slopes.curvature[i * k + j] + diagonal
        };
        let mut dx = slope.clone();
        Cholesky::of_entries(k, entry)?.solve(&mut dx);
        let dz: Vec<f64> = (0..k)
            .map(|j| mu / self.x[j] - self.z[j] - self.z[j] / self.x[j] * dx[j])
            .collect();
        let rise: f64 = slope.iter().zip(&dx).map(|(s, d)| s * d).sum();
        let before = self.barrier(&self.x);
        // near the end, the gain is lost in the rounding of a sum of logarithms
        let rounding = 1e-14 * (1.0 + before.abs());
        let mut length = to_boundary(&self.x, &dx);
        loop {
            let next = moved(&self.x, &dx, length);
            if self.barrier(&next) >= before + ARMIJO * length * rise - rounding {
                self.x = next;
                break;
            }
            length *= 0.5;
            if length < f64::EPSILON {
                break;
            }
        }
        self.z = moved(&self.z, &dz, to_boundary(&self.z, &dz));
        for (z, x) in self.z.iter_mut().zip(&self.x) {
            *z = z.clamp(mu / (SLACK * x), SLACK * mu / x);
        }
        Ok(())
    }

    /// Sets weights to 0 that only the barrier keeps above it, if the result is as good. Returns
    /// the weights and their excess.
    fn without_none(&self, weights: Vec<f64>, excess: f64) -> (Vec<f64>, f64) {
        let kept = |(&x, &z): (&f64, &f64)| if x < NONE * z { 0.0 } else { x };
        let cut: Vec<f64> = self.x.iter().zip(&self.z).map(kept).collect();
        let cut = normalised(&cut);
        let of_cut = self.problem.excess(&cut);
        if of_cut <= TOLERANCE {
            (cut, of_cut)
        } else {
            (weights, excess)
        }
    }
}

/// The longest step, up to 1, that keeps all values above 0.
fn to_boundary(x: &[f64], d: &[f64]) -> f64 {
    let steps = x.iter().zip(d).filter(|&(_, &d)| d < 0.0);
    steps.map(|(x, d)| -NEAR * x / d).fold(1.0, f64::min)
}

fn moved(x: &[f64], d: &[f64], length: f64) -> Vec<f64> {
    x.iter().zip(d).map(|(x, d)| x + length * d).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_that_a_row_needs_is_not_cut() {
        // only model 0 explains row 0, and only model 1 row 1: without the weight of its model,
        // however small, a row has density 0
        let none = -1e5;
        let l = [0.0, none, none, none, 0.0, none];
        let problem = Problem::new(&LogDensities::new("test", &l, 3).unwrap());
        assert_eq!(problem.excess(&[0.0, 0.0, 1.0]), f64::INFINITY);
        let path = Path {
            problem: &problem,
            x: vec![1e-3, 0.999, 1e-9],
            z: vec![1e3, 1e-9, 1.0],
            mu: 1e-9,
        };
        let kept = path.without_none(path.x.clone(), 0.5);
        assert_eq!(kept, (path.x.clone(), 0.5));
    }
}
