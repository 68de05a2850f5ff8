//! SWAG: a Gaussian with the moments of stochastic gradient descent at a constant rate.
//!
//! ```text
//! theta <- theta - (lr / N) v,  v <- mu v + grad U_B(theta)    (lr is that of the mean loss U / N)
//! mean    of theta_0 and the theta_t of every c-th step
//! s^2     mean of squares - square of the mean
//! D       the last K of theta_t - (the mean so far)
//! theta ~ mean + s z_1 / sqrt 2 + D z_2 / sqrt(2 (K - 1)),   z_1, z_2 ~ N(0, I)
//! ```
//!
//! W. Maddox, T. Garipov, P. Izmailov, D. Vetrov, A. G. Wilson, "A simple baseline for Bayesian
//! uncertainty in deep learning", NeurIPS 2019, arXiv 1902.02476, Algorithm 1.
//!
//! These defaults are theirs: rank 20, one collected point per epoch, momentum 0.9, and about 140
//! epochs from a trained network. They use rates between 0.01 and 0.05 for image networks, so the
//! default is 0.01. The spread grows as `lr / (B (1 - mu))`, so the rate sets it. They choose the
//! rate on held-out data, and a fair comparison must do the same. (The density would allow the ELBO
//! as a criterion, but it misleads: directions that hardly move make it rise with the rate, long
//! after predictions have become worse than those of the start.)
//!
//! Dropped: batch normalisation (this crate has none).
//!
//! Deviates: moments are updated about the running mean, in f64, so a small variance is not a
//! difference of large squares. The values are otherwise the same. There is also a closed-form
//! density: the covariance is `diag + V V^T` of rank `K`, and Woodbury's identity and the
//! determinant lemma give `log q` in `O(P K^2)`.

mod options;

pub use options::SwagOptions;

use std::collections::VecDeque;

use super::draws::independent;
use crate::error::{Error, Result, counted};
use crate::linalg::Cholesky;
use crate::linalg::vector::first_non_finite;
use crate::model::{LogDensity, Minibatch, Posterior};
use crate::optim::{
    Answer, Descent, EpochReport, LOWER_RATE, MinibatchProgress, Optimizer, Sgd, SgdOptions,
    fit_minibatch_with,
};
use crate::rng::{Phase, Streams, fill_normal};
use crate::scalar::Scalar;

/// The Gaussian of SWAG.
#[derive(Clone, Debug, PartialEq)]
pub struct Swag<T> {
    mean: Vec<f64>,
    variance: Vec<f64>,
    /// `[K, P]`.
    deviations: Vec<T>,
}

/// A SWAG posterior and how it was fitted.
#[derive(Clone, Debug)]
pub struct SwagReport<T> {
    /// The posterior.
    pub posterior: Swag<T>,
    /// Number of points in the moments, the start included.
    pub points: usize,
    /// `U` at the mean, in nats.
    pub energy: f64,
    /// `U` at the start.
    pub initial_energy: f64,
    /// Mean energy of the batches, by epoch. It shows when a rate is too high.
    pub history: Vec<EpochReport>,
    /// Minibatch gradients computed.
    pub gradients: usize,
}

/// Fits SWAG from `theta`, an estimate that training has reached. The batches' order comes from
/// stream 0 of [`Phase::SWAG`]. `progress` is called after every step, and may end the fit
/// ([`Answer`]).
///
/// # Errors
/// If a setting is out of range, fewer than two deviations would be collected, or `theta` has the
/// wrong length. [`Error::Diverged`] if the descent diverges, or goes so far that the variance of
/// its points overflows; the learning rate is then too high.
/// That of `progress`, if it ends the work.
pub fn fit_swag<T: Scalar, R: Answer>(
    density: &Minibatch<T>,
    theta: Vec<T>,
    options: &SwagOptions,
    streams: Streams,
    progress: impl FnMut(&MinibatchProgress) -> R + Send,
) -> Result<SwagReport<T>> {
    options.validate()?;
    let rows = density.rows();
    let an_epoch = rows.div_ceil(options.batch_rows);
    let every = options.collect_every.unwrap_or(an_epoch);
    if an_epoch.saturating_mul(options.epochs) / every < 2 {
        let requirement = "must be enough for two collected points";
        return Err(Error::config("epochs", options.epochs, requirement));
    }
    let initial_energy = -density.log_density(&theta, &mut density.workspace())?;
    let sgd = SgdOptions {
        momentum: options.momentum,
        nesterov: false,
    };
    let mut collector = Collector {
        descent: Sgd::new(density.dim(), sgd)?,
        every,
        steps: 0,
        moments: Moments::new(&theta, options.rank),
    };
    let own = Streams::new(rand::Rng::next_u64(&mut streams.rng(Phase::SWAG, 0)));
    let training = options.training(rows)?;
    let fitted = fit_minibatch_with(
        density,
        None,
        &mut collector,
        theta,
        &training,
        own,
        progress,
    )?;
    let points = collector.moments.count;
    let end = Descent {
        what: "SWAG",
        step: fitted.gradients,
        gradients: fitted.gradients,
        advice: LOWER_RATE,
    };
    let posterior = collector.moments.finish(end)?;
    let mean = posterior.mean();
    Ok(SwagReport {
        energy: -density.log_density(&mean, &mut density.workspace())?,
        initial_energy,
        posterior,
        points,
        history: fitted.history,
        gradients: fitted.gradients,
    })
}

/// Gradient descent that collects the points it passes.
struct Collector<T> {
    descent: Sgd<T>,
    every: usize,
    steps: usize,
    moments: Moments<T>,
}

impl<T: Scalar> Optimizer<T> for Collector<T> {
    fn step(&mut self, learning_rate: f64, grad: &[T], theta: &mut [T]) -> Result<()> {
        self.descent.step(learning_rate, grad, theta)?;
        self.steps += 1;
        if self.steps.is_multiple_of(self.every) {
            self.moments.add(theta);
        }
        Ok(())
    }
}

/// Moments of the points collected so far.
struct Moments<T> {
    count: usize,
    mean: Vec<f64>,
    /// Sums of squares about the mean.
    squares: Vec<f64>,
    deviations: VecDeque<Vec<T>>,
    rank: usize,
}

impl<T: Scalar> Moments<T> {
    fn new(theta: &[T], rank: usize) -> Self {
        Self {
            count: 1,
            mean: theta.iter().map(|t| t.to_f64()).collect(),
            squares: vec![0.0; theta.len()],
            deviations: VecDeque::new(),
            rank,
        }
    }

    fn add(&mut self, theta: &[T]) {
        self.count += 1;
        let mut row = match self.deviations.pop_front() {
            Some(oldest) if self.deviations.len() + 1 == self.rank => oldest,
            other => {
                // not full yet: put the row back
                other
                    .into_iter()
                    .for_each(|row| self.deviations.push_front(row));
                vec![T::ZERO; theta.len()]
            }
        };
        let n = self.count as f64;
        for (i, row) in row.iter_mut().enumerate() {
            let before = theta[i].to_f64() - self.mean[i];
            self.mean[i] += before / n;
            let after = theta[i].to_f64() - self.mean[i];
            self.squares[i] += before * after;
            *row = T::from_f64(after);
        }
        self.deviations.push_back(row);
    }

    /// The Gaussian of the points; `end` is where the descent ended.
    fn finish(self, end: Descent) -> Result<Swag<T>> {
        // squares overflow before energies do
        if first_non_finite(&self.mean)
            .or(first_non_finite(&self.squares))
            .is_some()
        {
            return Err(end.diverged("variance of the points"));
        }
        let n = self.count as f64;
        let variance = self.squares.iter().map(|s| s / n).collect();
        let deviations = self.deviations.into_iter().flatten().collect();
        Swag::new(self.mean, variance, deviations)
    }
}

/// Their smallest variance of a parameter: one that never moved still has a density.
const LEAST_VARIANCE: f64 = 1e-30;

impl<T: Scalar> Swag<T> {
    /// The Gaussian with a mean `[P]`, variances `[P]` and deviations `[K, P]`, row-major.
    ///
    /// # Errors
    /// If lengths do not fit, there are fewer than two deviations, or a variance is negative or not
    /// finite.
    pub fn new(mean: Vec<f64>, variance: Vec<f64>, deviations: Vec<T>) -> Result<Self> {
        let p = mean.len();
        if p == 0 || variance.len() != p || !deviations.len().is_multiple_of(p) {
            let got = format!(
                "{}, {}",
                counted(variance.len(), "variance"),
                counted(deviations.len(), "number")
            );
            let expected = format!("{} and deviations [K, {p}]", counted(p, "variance"));
            return Err(Error::shape("Swag", expected, got));
        }
        if deviations.len() / p < 2 {
            let got = deviations.len() / p;
            return Err(Error::shape("Swag", "at least 2 deviations", got));
        }
        if let Some(v) = variance.iter().find(|v| !(**v >= 0.0 && v.is_finite())) {
            return Err(Error::config(
                "variance",
                v,
                "must be finite and not negative",
            ));
        }
        Ok(Self {
            mean,
            variance: variance
                .into_iter()
                .map(|v| v.max(LEAST_VARIANCE))
                .collect(),
            deviations,
        })
    }

    /// `K`, the number of deviations.
    pub fn rank(&self) -> usize {
        self.deviations.len() / self.mean.len()
    }

    /// The mean of the weights, `[P]`: the SWA solution.
    pub fn mean(&self) -> Vec<T> {
        self.mean.iter().map(|&m| T::from_f64(m)).collect()
    }

    /// Variances `s^2` of the points, parameter by parameter, `[P]`. The variance of a draw is half
    /// of these plus half of what the deviations contribute.
    pub fn variance(&self) -> &[f64] {
        &self.variance
    }

    /// Deviations, `[K, P]`.
    pub fn deviations(&self) -> &[T] {
        &self.deviations
    }

    /// The factor of a deviation in a draw.
    fn factor(&self) -> f64 {
        1.0 / (2.0 * (self.rank() - 1) as f64).sqrt()
    }

    /// `log q(theta)` in nats, exact.
    ///
    /// # Errors
    /// If `theta` has the wrong length, or rounding makes the small matrix indefinite.
    pub fn log_density(&self, theta: &[T]) -> Result<f64> {
        let (p, k) = (self.mean.len(), self.rank());
        if theta.len() != p {
            let expected = counted(p, "parameter");
            return Err(Error::shape("Swag::log_density", expected, theta.len()));
        }
        // covariance A + V V^T with A = s^2 / 2: M = I + V^T A^-1 V, b = V^T A^-1 r
        let (mut inner, mut b) = (vec![0.0; k * k], vec![0.0; k]);
        let (mut square, mut log_det) = (0.0, 0.0);
        for (i, theta) in theta.iter().enumerate() {
            let a = 0.5 * self.variance[i];
            let r = theta.to_f64() - self.mean[i];
            square += r * r / a;
            log_det += a.ln();
            let v = |j: usize| self.factor() * self.deviations[j * p + i].to_f64();
            for j in 0..k {
                let scaled = v(j) / a;
                b[j] += scaled * r;
                for l in 0..=j {
                    inner[j * k + l] += scaled * v(l);
                }
            }
        }
        for j in 0..k {
            inner[j * k + j] += 1.0;
        }
        let factor = Cholesky::new(&inner, k)?;
        factor.solve_lower(&mut b);
        square -= b.iter().map(|b| b * b).sum::<f64>();
        log_det += factor.log_det();
        let constant = p as f64 * (2.0 * std::f64::consts::PI).ln();
        Ok(-0.5 * (square + log_det + constant))
    }
}

impl<T: Scalar> Posterior<T> for Swag<T> {
    fn dim(&self) -> usize {
        self.mean.len()
    }

    fn sample(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        let (p, k) = (self.mean.len(), self.rank());
        let memory = || vec![T::ZERO; k];
        independent([count, p], streams, memory, |z, rng, theta: &mut [T]| {
            fill_normal(rng, theta);
            fill_normal(rng, z);
            for (i, theta) in theta.iter_mut().enumerate() {
                let along = z.iter().zip(self.deviations.iter().skip(i).step_by(p));
                let along: f64 = along.map(|(z, d)| z.to_f64() * d.to_f64()).sum();
                let own = (0.5 * self.variance[i]).sqrt() * theta.to_f64();
                *theta = T::from_f64(self.mean[i] + own + self.factor() * along);
            }
            Ok(())
        })
    }
}
