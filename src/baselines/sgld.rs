//! Stochastic gradient Langevin dynamics, plain and preconditioned.
//!
//! ```text
//! theta <- theta - (eps_t / 2) G grad U_B(theta) + (T eps_t G)^{1/2} z,   z ~ N(0, I)
//! G = I                                                        plain
//! G = diag(1 / (lambda + sqrt V))                              preconditioned
//! V <- a V + (1 - a) (grad U_B / N)^2                          corrected for its start at 0
//! eps_t = (2 lr / N) (1 + t / b)^{-gamma}                      lr is that of the mean loss U / N
//! ```
//!
//! M. Welling, Y. W. Teh, "Bayesian learning via stochastic gradient Langevin dynamics", ICML 2011,
//! equation 4. Their steps `a (b + t)^{-gamma}` are the ones above, with `gamma = 0.55` in their
//! examples. C. Li, C. Chen, D. Carlson, L. Carin, "Preconditioned stochastic gradient Langevin
//! dynamics for deep neural networks", AAAI 2016, Algorithm 1 with `a = 0.99`, `lambda = 1e-5`.
//!
//! Dropped: the term `Gamma` from the preconditioner's derivative, as in their experiments (it
//! vanishes as `a` goes to 1). The Metropolis test is dropped too, so a constant step has a bias.
//! On a Gaussian of precision `A` the covariance is `A^{-1} (I - eps A / 4)^{-1}`, plus what the
//! batches add.
//!
//! Deviates: `V` includes the prior's share of the gradient. It is corrected for its start as in
//! Adam; otherwise the first steps are ten times too long. Points are kept at equal distances of
//! `sum eps_t`, with equal weights; the paper weights every point by `eps_t`.
//!
//! The defaults are ours: four chains of 10,000 constant steps, the first 2,000 dropped, 64 points
//! from each, rate 0.01. A step is stable only while `lr` times the largest eigenvalue of the mean
//! loss's Hessian is below 2. With little noise the rate must be lower.
//!
//! Chain `c` draws its batches and noise from stream `c` of [`Phase::SGLD`].

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::GradientSource;
use crate::error::{Error, Result};
use crate::linalg::vector::{fill_normal, first_non_finite};
use crate::model::Points;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// The scale of a step, parameter by parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Preconditioner {
    /// No scale: SGLD.
    #[default]
    None,
    /// The root mean square of recent gradients: pSGLD.
    RmsProp {
        /// Fraction `a` of the mean square that a step keeps; 0.99 in the paper.
        decay: f64,
        /// `lambda`, added to the root; 1e-5 in the paper.
        epsilon: f64,
    },
}

impl Preconditioner {
    /// pSGLD with the paper's settings.
    pub fn rms_prop() -> Self {
        Preconditioner::RmsProp {
            decay: 0.99,
            epsilon: 1e-5,
        }
    }
}

/// How step sizes decay: `(1 + t / onset)^{-exponent}`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepDecay {
    /// Number of steps `b` after which the decay begins to show.
    pub onset: f64,
    /// `gamma`. A chain converges if it is in `(1/2, 1]`; 0.55 in the paper.
    pub exponent: f64,
}

/// Settings of Langevin dynamics.
#[derive(Clone, Debug, PartialEq)]
pub struct SgldOptions {
    /// Number of chains.
    pub chains: usize,
    /// Steps of each chain, burn-in included. Each takes one gradient.
    pub steps: usize,
    /// Steps before the first kept point.
    pub burn_in: usize,
    /// Points kept from each chain, evenly spaced in `sum eps_t`. The last point is one of them.
    pub keep: usize,
    /// Learning rate `lr` on the mean loss `U / N`: `eps_0 = 2 lr / N`. A step then descends like
    /// SGD at this rate, or like RMSprop if preconditioned (1e-3 is usual there).
    pub learning_rate: f64,
    /// Decay of the step size; `None`: constant.
    pub decay: Option<StepDecay>,
    /// SGLD or pSGLD.
    pub preconditioner: Preconditioner,
    /// Temperature `T`: 1 for the posterior, less for a colder one.
    pub temperature: f64,
}

impl Default for SgldOptions {
    fn default() -> Self {
        Self {
            chains: 4,
            steps: 10_000,
            burn_in: 2_000,
            keep: 64,
            learning_rate: 0.01,
            decay: None,
            preconditioner: Preconditioner::None,
            temperature: 1.0,
        }
    }
}

impl SgldOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If a setting is outside its range; the error names it.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [("chains", self.chains), ("keep", self.keep)] {
            if value == 0 {
                return Err(Error::config(field, value, "must be positive"));
            }
        }
        if self.steps <= self.burn_in || self.keep > self.steps - self.burn_in {
            let requirement = "must leave a step behind the burn-in for each point that is kept";
            return Err(Error::config("steps", self.steps, requirement));
        }
        let mut positive = vec![("learning_rate", self.learning_rate)];
        if let Some(StepDecay { onset, exponent }) = self.decay {
            positive.extend([("onset", onset), ("exponent", exponent)]);
        }
        if let Preconditioner::RmsProp { decay, epsilon } = self.preconditioner {
            positive.push(("epsilon", epsilon));
            if !(0.0..1.0).contains(&decay) {
                return Err(Error::config("decay", decay, "must be in [0, 1)"));
            }
        }
        for (field, value) in positive {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::config(field, value, "must be positive and finite"));
            }
        }
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            let requirement = "must be finite and not negative";
            return Err(Error::config("temperature", self.temperature, requirement));
        }
        Ok(())
    }

    /// `eps_t` for a sum over `rows` rows.
    fn step_size(&self, t: usize, rows: usize) -> f64 {
        let course = self
            .decay
            .map_or(1.0, |d| (1.0 + t as f64 / d.onset).powf(-d.exponent));
        2.0 * self.learning_rate / rows as f64 * course
    }

    /// The steps, counted from 1, after which a point is kept. A step that passes two marks appears
    /// twice.
    fn marks(&self) -> Vec<usize> {
        let span = |t: usize| self.step_size(t, 1);
        let total: f64 = (self.burn_in..self.steps).map(span).sum();
        let mut marks = Vec::with_capacity(self.keep);
        let mut passed = 0.0;
        for t in self.burn_in..self.steps {
            passed += span(t);
            // half a step of tolerance: equal steps must give equal distances despite rounding
            while marks.len() + 1 < self.keep
                && passed + 0.5 * span(t) > total * (marks.len() + 1) as f64 / self.keep as f64
            {
                marks.push(t + 1);
            }
        }
        marks.push(self.steps);
        marks
    }
}

/// The points of the chains, and diagnostics.
#[derive(Clone, Debug)]
pub struct SgldReport<T> {
    /// Points kept, `[chains, keep, P]`, from the chains that did not diverge.
    pub posterior: Points<T>,
    /// Number of chains that diverged (energy or gradient not finite). They are left out.
    pub diverged: usize,
    /// Mean of `U_B` after the burn-in, for each chain that did not diverge, in nats. Chains that
    /// disagree have not converged.
    pub energies: Vec<f64>,
    /// `eps` of the first step.
    pub first_step_size: f64,
    /// `eps` of the last step.
    pub last_step_size: f64,
    /// Gradients computed by all chains.
    pub gradients: usize,
}

/// Runs the chains from `starts`, which they take in turn.
///
/// # Errors
/// If a setting is out of range, there is no start, a start has the wrong length, or all chains
/// diverge. In that last case the learning rate is too high.
pub fn sgld<T: Scalar, S: GradientSource<T>>(
    source: &S,
    starts: &[Vec<T>],
    options: &SgldOptions,
    streams: Streams,
) -> Result<SgldReport<T>> {
    options.validate()?;
    let p = source.dim();
    if starts.is_empty() || starts.iter().any(|start| start.len() != p) {
        let got = starts.iter().find(|start| start.len() != p).map(Vec::len);
        let expected = format!("at least one start of {p} parameters");
        return Err(Error::shape("sgld", expected, got.unwrap_or(0)));
    }
    let marks = options.marks();
    let chains = (0..options.chains).into_par_iter().map(|c| {
        let rng = streams.rng(Phase::SGLD, c as u64);
        Chain::new(source, &starts[c % starts.len()], rng).run(options, &marks)
    });
    let chains: Vec<Walked<T>> = chains.collect::<Result<_>>()?;
    let gradients = chains.iter().map(|chain| chain.gradients).sum();
    let mut points = Vec::with_capacity(options.chains * options.keep * p);
    let mut energies = Vec::new();
    for chain in chains {
        if let Some(energy) = chain.energy {
            energies.push(energy);
            points.extend(chain.points);
        }
    }
    if energies.is_empty() {
        let what = "Langevin dynamics: all chains diverged, energy (index = gradients)";
        let index = gradients;
        return Err(Error::NonFinite { what, index });
    }
    Ok(SgldReport {
        posterior: Points::new(p, points)?,
        diverged: options.chains - energies.len(),
        energies,
        first_step_size: options.step_size(0, source.rows()),
        last_step_size: options.step_size(options.steps - 1, source.rows()),
        gradients,
    })
}

/// A running chain.
struct Chain<'a, T: Scalar, S: GradientSource<T>> {
    source: &'a S,
    memory: S::Memory,
    rng: ChaCha8Rng,
    theta: Vec<T>,
    grad: Vec<T>,
    noise: Vec<T>,
    /// Mean squares of gradients of `U / N`.
    squares: Vec<T>,
}

/// The result of a chain; without an energy, it diverged.
struct Walked<T> {
    points: Vec<T>,
    energy: Option<f64>,
    gradients: usize,
}

impl<'a, T: Scalar, S: GradientSource<T>> Chain<'a, T, S> {
    fn new(source: &'a S, start: &[T], rng: ChaCha8Rng) -> Self {
        let zeros = vec![T::ZERO; start.len()];
        Self {
            source,
            memory: source.memory(),
            rng,
            theta: start.to_vec(),
            grad: zeros.clone(),
            noise: zeros.clone(),
            squares: zeros,
        }
    }

    fn run(mut self, options: &SgldOptions, marks: &[usize]) -> Result<Walked<T>> {
        let mut points = Vec::with_capacity(marks.len() * self.theta.len());
        let mut marks = marks.iter().peekable();
        let mut sum = 0.0;
        for t in 0..options.steps {
            self.source.draw_batch(&mut self.memory, &mut self.rng);
            let energy =
                self.source
                    .energy_and_grad(&self.theta, &mut self.grad, &mut self.memory)?;
            if !energy.is_finite() || first_non_finite(&self.grad).is_some() {
                return Ok(Walked {
                    points,
                    energy: None,
                    gradients: t + 1,
                });
            }
            if t >= options.burn_in {
                sum += energy;
            }
            fill_normal(&mut self.rng, &mut self.noise);
            self.step(t, options);
            while marks.next_if_eq(&&(t + 1)).is_some() {
                points.extend_from_slice(&self.theta);
            }
        }
        let finite = first_non_finite(&self.theta).is_none();
        let kept = (options.steps - options.burn_in) as f64;
        Ok(Walked {
            points,
            energy: finite.then_some(sum / kept),
            gradients: options.steps,
        })
    }

    /// The update from the current gradient and noise.
    fn step(&mut self, t: usize, options: &SgldOptions) {
        let rows = self.source.rows();
        let step_size = options.step_size(t, rows);
        let half = T::from_f64(0.5 * step_size);
        let noise = T::from_f64((options.temperature * step_size).sqrt());
        let terms = self.grad.iter().zip(&self.noise);
        match options.preconditioner {
            Preconditioner::None => {
                for (theta, (&g, &z)) in self.theta.iter_mut().zip(terms) {
                    *theta += noise * z - half * g;
                }
            }
            Preconditioner::RmsProp { decay, epsilon } => {
                let correction = 1.0 - decay.powi(i32::try_from(t + 1).unwrap_or(i32::MAX));
                let (keep, take) = (T::from_f64(decay), T::from_f64(1.0 - decay));
                let (correction, epsilon) = (T::from_f64(1.0 / correction), T::from_f64(epsilon));
                let per_row = T::from_f64(1.0 / rows as f64);
                let all = self.theta.iter_mut().zip(&mut self.squares).zip(terms);
                for ((theta, v), (&g, &z)) in all {
                    let mean = g * per_row;
                    *v = keep * *v + take * mean * mean;
                    let root = square_root(*v * correction);
                    let scale = T::ONE / (epsilon + root);
                    *theta += noise * square_root(scale) * z - half * scale * g;
                }
            }
        }
    }
}

/// The correctly rounded root.
fn square_root<T: Scalar>(x: T) -> T {
    crate::simd::Elementary::sqrt(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(decay: Option<StepDecay>) -> SgldOptions {
        SgldOptions {
            steps: 40,
            burn_in: 8,
            keep: 8,
            decay,
            ..SgldOptions::default()
        }
    }

    #[test]
    fn equal_steps_are_thinned_evenly() {
        assert_eq!(options(None).marks(), [12, 16, 20, 24, 28, 32, 36, 40]);
        let all = SgldOptions {
            keep: 32,
            ..options(None)
        };
        assert_eq!(all.marks(), (9..=40).collect::<Vec<_>>());
    }

    #[test]
    fn shrinking_steps_are_kept_at_equal_times() {
        let options = options(Some(StepDecay {
            onset: 4.0,
            exponent: 0.8,
        }));
        let marks = options.marks();
        assert_eq!((marks.len(), marks[7]), (8, 40));
        let time = |mark: usize| (8..mark).map(|t| options.step_size(t, 1)).sum::<f64>();
        for (k, &mark) in marks.iter().enumerate() {
            let aim = time(40) * (k + 1) as f64 / 8.0;
            assert!((time(mark) - aim).abs() <= 0.51 * options.step_size(mark - 1, 1));
        }
        // by hand: eps_t = 2 lr / N (1 + t/4)^-0.8
        let at_12 = options.step_size(12, 10);
        assert!((at_12 - 0.002 * 4f64.powf(-0.8)).abs() < 1e-15);
    }
}
