//! Mean-field variational inference by reparameterised gradients: Bayes by backprop.
//!
//! ```text
//! q(theta) = N(mu, diag(sigma^2)),   sigma = log(1 + e^rho)
//! ELBO = E_q[log p(D, theta)] + sum_i log sigma_i + (P/2) log(2 pi e) <= log p(D)
//! theta = mu +- sigma z,   z ~ N(0, I),   g = grad log p(D, theta)
//! d/d mu = E[g],   d/d rho = (E[g z] + 1 / sigma) sigmoid(rho)
//! ```
//!
//! C. Blundell, J. Cornebise, K. Kavukcuoglu, D. Wierstra, "Weight uncertainty in neural networks",
//! ICML 2015, section 3.2.
//!
//! Dropped: the mixture of two Gaussians as a prior (any prior of this crate will do; the density
//! includes it), and minibatch weights that fall over an epoch.
//!
//! Deviates: the entropy is in closed form, where theirs is estimated from the draws. Draws come in
//! antithetic pairs, which make the gradient of `mu` exact where the energy is quadratic. The
//! optimiser is Adam along a cosine. It starts at a given estimate, with a small deviation. The log
//! prior is *not* integrated in closed form, because a density need not say what its prior is.
//!
//! Where it errs: the optimum is narrower than the posterior. On a Gaussian of precision `A` it has
//! the right mean, variances `1 / A_ii`, and an ELBO that is too low by
//! `(sum log A_ii - log det A) / 2`.
//!
//! The defaults are ours: 4,000 steps at 1e-2, two pairs per step, initial deviations of 0.05.
//!
//! Pair `k` of step `t` is drawn from stream `t * pairs + k` of [`Phase::VARIATIONAL`].

use super::GradientSource;
use super::draws::independent;
use super::history::History;
use crate::error::{Error, Result, counted};
use crate::linalg::vector::axpy;
use crate::model::Posterior;
use crate::optim::{Adam, AdamOptions, Answer, Decay, Descent, LOWER_RATE, Optimizer, Schedule};
use crate::parallel;
use crate::rng::{Phase, Streams, fill_normal};
use crate::scalar::Scalar;

/// Settings of variational inference.
#[derive(Clone, Debug, PartialEq)]
pub struct VariationalOptions {
    /// Steps of Adam.
    pub steps: usize,
    /// Antithetic pairs per step. Each takes two gradients; pairs run in parallel.
    pub pairs: usize,
    /// The full learning rate.
    pub learning_rate: f64,
    /// The schedule of the learning rate.
    pub schedule: Schedule,
    /// Initial value of every `sigma`.
    pub initial_std: f64,
    /// Pairs for the estimate of the ELBO at the end.
    pub elbo_pairs: usize,
}

impl Default for VariationalOptions {
    fn default() -> Self {
        Self {
            steps: 4_000,
            pairs: 2,
            learning_rate: 1e-2,
            schedule: Decay::Cosine.into(),
            initial_std: 0.05,
            elbo_pairs: 64,
        }
    }
}

impl VariationalOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If a setting is outside its range; the error names it.
    pub fn validate(&self) -> Result<()> {
        for (field, value, least) in [
            ("steps", self.steps, 1),
            ("pairs", self.pairs, 1),
            ("elbo_pairs", self.elbo_pairs, 2),
        ] {
            if value < least {
                let requirement = format!("must be at least {least}");
                return Err(Error::config(field, value, &requirement));
            }
        }
        for (field, value) in [
            ("learning_rate", self.learning_rate),
            ("initial_std", self.initial_std),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::config(field, value, "must be positive and finite"));
            }
        }
        self.schedule.validate()
    }
}

/// A Gaussian with independent parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanField<T> {
    mean: Vec<T>,
    std: Vec<T>,
}

/// A mean-field posterior and how it was fitted.
#[derive(Clone, Debug)]
pub struct VariationalReport<T> {
    /// The posterior.
    pub posterior: MeanField<T>,
    /// Estimate of the ELBO in nats, a lower bound of the log evidence.
    pub elbo: f64,
    /// Its standard error.
    pub elbo_error: f64,
    /// Mean estimate of the ELBO over each of ten equal parts of the steps. If it still rises, the
    /// fit has not converged.
    pub history: Vec<f64>,
    /// Gradients computed.
    pub gradients: usize,
}

/// Maximises the ELBO from `N(theta, initial_std^2)`. `progress` is called after every step with
/// the number of steps done, and may end the fit ([`Answer`]).
///
/// # Errors
/// If a setting is out of range, or `theta` has the wrong length. [`Error::Diverged`] if an energy
/// or a gradient becomes infinite or NaN.
/// That of `progress`, if it ends the work.
pub fn fit_variational<T: Scalar, S: GradientSource<T>, R: Answer>(
    source: &S,
    theta: Vec<T>,
    options: &VariationalOptions,
    streams: Streams,
    mut progress: impl FnMut(usize) -> R,
) -> Result<VariationalReport<T>> {
    options.validate()?;
    let p = source.dim();
    if theta.len() != p {
        let expected = counted(p, "parameter");
        return Err(Error::shape("fit_variational", expected, theta.len()));
    }
    // mu, then rho: one vector for the optimiser
    let mut parameters = theta;
    // the inverse of softplus
    let rho = T::from_f64(options.initial_std.exp_m1().ln());
    parameters.resize(2 * p, rho);
    let mut optimizer = Adam::new(2 * p, AdamOptions::default())?;
    let mut pairs: Vec<Pair<T, S>> = (0..options.pairs).map(|_| Pair::new(source)).collect();
    let (mut std, mut grad) = (vec![T::ZERO; p], vec![T::ZERO; 2 * p]);
    let mut history = History::new(options.steps);
    for step in 0..options.steps {
        let (mean, rho) = parameters.split_at(p);
        softplus(rho, &mut std);
        let first = step as u64 * options.pairs as u64;
        parallel::try_for_each(&mut pairs, |k, pair| {
            pair.run(source, mean, &std, first + k as u64, streams)
        })?;
        grad.fill(T::ZERO);
        let (to_mean, to_rho) = grad.split_at_mut(p);
        let mut energy = 0.0;
        for pair in &pairs {
            axpy(1.0 / options.pairs as f64, &pair.of_mean, to_mean);
            axpy(1.0 / options.pairs as f64, &pair.of_std, to_rho);
            energy += pair.energy / options.pairs as f64;
        }
        for (g, (&rho, &std)) in to_rho.iter_mut().zip(rho.iter().zip(&std)) {
            // these are gradients of the energy, so the entropy's is subtracted
            *g = (*g - T::ONE / std) * sigmoid(rho);
        }
        let at = Descent {
            what: "variational inference",
            step,
            gradients: 2 * options.pairs * (step + 1),
            advice: LOWER_RATE,
        };
        at.check(energy, &grad)?;
        history.push(entropy(&std) - energy);
        let rate = options.learning_rate * options.schedule.factor(step, options.steps);
        optimizer.step(rate, &grad, &mut parameters)?;
        progress(step + 1).result()?;
    }
    let rho = parameters.split_off(p);
    softplus(&rho, &mut std);
    let posterior = MeanField::new(parameters, std)?;
    let (elbo, elbo_error) = posterior.elbo(source, options.elbo_pairs, streams)?;
    Ok(VariationalReport {
        posterior,
        elbo,
        elbo_error,
        history: history.means(),
        gradients: 2 * (options.steps * options.pairs + options.elbo_pairs),
    })
}

/// Memory and results of one pair of draws.
struct Pair<T: Scalar, S: GradientSource<T>> {
    memory: S::Memory,
    z: Vec<T>,
    theta: Vec<T>,
    grad: Vec<T>,
    /// Mean of `U` over the pair, and its gradients with respect to `mu` and `sigma`.
    energy: f64,
    of_mean: Vec<T>,
    of_std: Vec<T>,
}

impl<T: Scalar, S: GradientSource<T>> Pair<T, S> {
    fn new(source: &S) -> Self {
        let zeros = || vec![T::ZERO; source.dim()];
        Self {
            memory: source.memory(),
            z: zeros(),
            theta: zeros(),
            grad: zeros(),
            energy: 0.0,
            of_mean: zeros(),
            of_std: zeros(),
        }
    }

    fn run(
        &mut self,
        source: &S,
        mean: &[T],
        std: &[T],
        index: u64,
        streams: Streams,
    ) -> Result<()> {
        let mut rng = streams.rng(Phase::VARIATIONAL, index);
        source.draw_batch(&mut self.memory, &mut rng);
        fill_normal(&mut rng, &mut self.z);
        self.energy = 0.0;
        self.of_mean.fill(T::ZERO);
        self.of_std.fill(T::ZERO);
        let half = T::from_f64(0.5);
        for sign in [T::ONE, -T::ONE] {
            for (i, theta) in self.theta.iter_mut().enumerate() {
                *theta = mean[i] + sign * std[i] * self.z[i];
            }
            let energy = source.energy_and_grad(&self.theta, &mut self.grad, &mut self.memory)?;
            self.energy += 0.5 * energy;
            for (i, &g) in self.grad.iter().enumerate() {
                self.of_mean[i] += half * g;
                self.of_std[i] += half * sign * g * self.z[i];
            }
        }
        Ok(())
    }
}

fn softplus<T: Scalar>(rho: &[T], out: &mut [T]) {
    for (out, &rho) in out.iter_mut().zip(rho) {
        *out = crate::simd::Elementary::softplus(rho);
    }
}

fn sigmoid<T: Scalar>(x: T) -> T {
    crate::simd::Elementary::sigmoid(x)
}

/// `sum log sigma + (P/2) log(2 pi e)`.
fn entropy<T: Scalar>(std: &[T]) -> f64 {
    let each = 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E).ln();
    std.iter().map(|s| s.to_f64().ln() + each).sum()
}

/// First stream of the pairs that estimate the ELBO at the end.
const ELBO: u64 = 1 << 40;

impl<T: Scalar> MeanField<T> {
    /// The Gaussian with these means and standard deviations, `[P]` each.
    ///
    /// # Errors
    /// If lengths do not fit, or a deviation is not positive and finite.
    pub fn new(mean: Vec<T>, std: Vec<T>) -> Result<Self> {
        if mean.is_empty() || std.len() != mean.len() {
            let expected = format!("{}, at least one", counted(mean.len(), "deviation"));
            return Err(Error::shape("MeanField", expected, std.len()));
        }
        if let Some(s) = std.iter().find(|s| !(**s > T::ZERO && s.is_finite())) {
            return Err(Error::config("std", s, "must be positive and finite"));
        }
        Ok(Self { mean, std })
    }

    /// Means, `[P]`.
    pub fn mean(&self) -> &[T] {
        &self.mean
    }

    /// Standard deviations, `[P]`.
    pub fn std(&self) -> &[T] {
        &self.std
    }

    /// `log q(theta)` in nats.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn log_density(&self, theta: &[T]) -> Result<f64> {
        if theta.len() != self.mean.len() {
            let expected = counted(self.mean.len(), "parameter");
            return Err(Error::shape(
                "MeanField::log_density",
                expected,
                theta.len(),
            ));
        }
        let scaled = |i: usize| (theta[i].to_f64() - self.mean[i].to_f64()) / self.std[i].to_f64();
        let squares: f64 = (0..theta.len()).map(|i| scaled(i).powi(2)).sum();
        // at the mean it is P/2 minus the entropy
        Ok(0.5 * theta.len() as f64 - entropy(&self.std) - 0.5 * squares)
    }

    /// The ELBO from `pairs` antithetic pairs, with its standard error.
    fn elbo<S: GradientSource<T>>(
        &self,
        source: &S,
        pairs: usize,
        streams: Streams,
    ) -> Result<(f64, f64)> {
        let estimates = parallel::try_map(pairs, |k| {
            // its own memory: a batch must not depend on what a worker drew before
            let mut pair = Pair::new(source);
            pair.run(source, &self.mean, &self.std, ELBO + k as u64, streams)?;
            Ok(entropy(&self.std) - pair.energy)
        })?;
        let n = pairs as f64;
        let mean = estimates.iter().sum::<f64>() / n;
        let squares: f64 = estimates.iter().map(|e| (e - mean).powi(2)).sum();
        Ok((mean, (squares / (n * (n - 1.0))).sqrt()))
    }
}

impl<T: Scalar> Posterior<T> for MeanField<T> {
    fn dim(&self) -> usize {
        self.mean.len()
    }

    fn sample(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        let shape = [count, self.mean.len()];
        independent(
            shape,
            streams,
            || (),
            |(), rng, theta: &mut [T]| {
                fill_normal(rng, theta);
                for (i, theta) in theta.iter_mut().enumerate() {
                    *theta = self.mean[i] + self.std[i] * *theta;
                }
                Ok(())
            },
        )
    }
}
