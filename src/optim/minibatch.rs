//! Training by minibatches, for a MAP estimate when full gradients are too expensive.
//!
//! Every epoch visits all training rows once, in a fresh random order, batch by batch. A step goes
//! down the gradient of `U_B(theta) = (N / |B|) sum_{i in B} -log p(y_i | theta) - log p(theta)`,
//! whose mean is the energy `U` of all training rows. As the learning rate falls to zero, the noise
//! of the batches averages out (Robbins & Monro 1951).
//!
//! **Early stopping** (Prechelt 1998): after every epoch the likelihood of held-out rows is
//! computed. Training ends if it has not improved for some epochs. The parameters with the best
//! value are returned.

use rand::seq::SliceRandom;

use super::descent::{Descent, LOWER_RATE};
use super::optimizer::check_positive;
use super::{Answer, Decay, Optimizer, OptimizerOptions, Schedule, clip_by_norm};
use crate::data::random_split;
use crate::error::{Error, Result, counted};
use crate::model::{LogDensity, Minibatch, MinibatchWorkspace};
use crate::parallel;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// Settings of a fit by minibatches. The defaults are for tens of thousands of rows and more: 20
/// epochs of Adam on batches of 128. The rate rises to 0.002 over a twentieth of the steps and then
/// falls along a cosine.
#[derive(Clone, Debug)]
pub struct MinibatchOptions {
    /// Largest number of epochs.
    pub epochs: usize,
    /// Rows per batch. The last batch of an epoch may have fewer.
    pub batch_rows: usize,
    /// The full learning rate.
    pub learning_rate: f64,
    /// Its schedule over all steps of all epochs.
    pub schedule: Schedule,
    /// The rule that turns gradients into steps.
    pub optimizer: OptimizerOptions,
    /// Largest norm of a gradient of `U_B`, which is scaled to all training rows. Longer gradients
    /// are shortened to it. With `None`, none is.
    pub clip_norm: Option<f64>,
    /// Share of the rows, in `[0, 1)`, that is held out for early stopping if no validation rows
    /// are given. With 0, all rows are trained on, for all epochs.
    pub validation_fraction: f64,
    /// Training ends after this many epochs without improvement.
    pub patience: usize,
}

impl Default for MinibatchOptions {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch_rows: 128,
            learning_rate: 2e-3,
            schedule: Schedule {
                warmup: 0.05,
                decay: Decay::Cosine,
            },
            optimizer: OptimizerOptions::default(),
            clip_norm: None,
            validation_fraction: 0.1,
            patience: 5,
        }
    }
}

impl MinibatchOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If one is outside its range. The error names it.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [
            ("epochs", self.epochs),
            ("batch_rows", self.batch_rows),
            ("patience", self.patience),
        ] {
            if value == 0 {
                return Err(Error::config(field, value, "must be positive"));
            }
        }
        check_positive("learning_rate", self.learning_rate)?;
        self.clip_norm
            .map_or(Ok(()), |c| check_positive("clip_norm", c))?;
        let fraction = self.validation_fraction;
        if !(0.0..1.0).contains(&fraction) {
            let requirement = "must be in [0, 1)";
            return Err(Error::config("validation_fraction", fraction, requirement));
        }
        self.schedule.validate()?;
        self.optimizer.validate()
    }
}

/// The state of a fit, for progress bars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MinibatchProgress {
    /// The epoch of the step just taken, from 1.
    pub epoch: usize,
    /// Steps taken.
    pub step: usize,
    /// Steps that all epochs would take.
    pub steps: usize,
    /// Mean `-log p(y | x, theta)` per validation row after the latest finished epoch, in nats.
    pub validation_nll: Option<f64>,
}

/// The result of one epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean of `U_B` over the epoch's batches, weighted by their rows. Each is taken at the
    /// parameters before its step. The mean estimates `U` of the training rows, in nats.
    pub energy: f64,
    /// Mean `-log p(y | x, theta)` per validation row at the end of the epoch, in nats.
    pub validation_nll: Option<f64>,
}

/// The estimate and how it was reached.
#[derive(Clone, Debug)]
pub struct MinibatchReport<T> {
    /// The parameters after the best epoch.
    pub theta: Vec<T>,
    /// Every epoch, in order.
    pub history: Vec<EpochReport>,
    /// The epoch, from 1, with the lowest validation loss; without validation, the last.
    pub best_epoch: usize,
    /// True if patience ended the training.
    pub stopped_early: bool,
    /// Number of training rows.
    pub training_rows: usize,
    /// Number of validation rows.
    pub validation_rows: usize,
    /// Minibatch gradients computed.
    pub gradients: usize,
    /// Gradients that were clipped.
    pub clipped: usize,
}

/// Minimises the energy of `density` by minibatches, starting from `theta`. Early stopping uses
/// `validation`. If there is none, it uses a share of the rows, drawn by `streams`. `progress` is
/// called after every step, and again after every evaluation of the validation rows. It may end the
/// fit ([`Answer`]).
///
/// The work runs in the caller's rayon pool.
///
/// # Errors
/// If a setting is out of range, `theta` has the wrong length, or there are too few rows to split.
/// [`Error::Diverged`] if an energy, a gradient or a validation loss stops being finite.
/// That of `progress`, if it ends the work.
pub fn fit_minibatch<T: Scalar, R: Answer>(
    density: &Minibatch<T>,
    validation: Option<&Minibatch<T>>,
    theta: Vec<T>,
    options: &MinibatchOptions,
    streams: Streams,
    progress: impl FnMut(&MinibatchProgress) -> R + Send,
) -> Result<MinibatchReport<T>> {
    let mut optimizer = options.optimizer.build(density.dim())?;
    fit_minibatch_with(
        density,
        validation,
        optimizer.as_mut(),
        theta,
        options,
        streams,
        progress,
    )
}

/// [`fit_minibatch`] with the caller's optimiser. The one in the options is ignored.
///
/// # Errors
/// As [`fit_minibatch`], and any error of the optimiser.
pub fn fit_minibatch_with<T: Scalar, R: Answer>(
    density: &Minibatch<T>,
    validation: Option<&Minibatch<T>>,
    optimizer: &mut dyn Optimizer<T>,
    theta: Vec<T>,
    options: &MinibatchOptions,
    streams: Streams,
    mut progress: impl FnMut(&MinibatchProgress) -> R + Send,
) -> Result<MinibatchReport<T>> {
    options.validate()?;
    let run = Run::new(density, validation, theta, options, streams)?;
    run.in_pool(optimizer, &mut |at| progress(at).result())
}

/// A fit in progress.
struct Run<'a, T> {
    training: Minibatch<T>,
    validation: Option<(MinibatchWorkspace<T>, Minibatch<T>)>,
    options: &'a MinibatchOptions,
    streams: Streams,
    theta: Vec<T>,
    at: MinibatchProgress,
    clipped: usize,
    ws: MinibatchWorkspace<T>,
    grad: Vec<T>,
    order: Vec<usize>,
}

impl<'a, T: Scalar> Run<'a, T> {
    /// A fit before its first step.
    fn new(
        density: &Minibatch<T>,
        validation: Option<&Minibatch<T>>,
        theta: Vec<T>,
        options: &'a MinibatchOptions,
        streams: Streams,
    ) -> Result<Self> {
        let (training, validation) = match validation {
            Some(given) => (density.clone(), Some(given.clone())),
            None if options.validation_fraction == 0.0 => (density.clone(), None),
            None => {
                let mut rng = streams.rng(Phase::MINIBATCH, 0);
                let split = random_split(density.rows(), options.validation_fraction, &mut rng)?;
                let held_out = density.select(&split.test)?;
                (density.select(&split.train)?, Some(held_out))
            }
        };
        if let Some(held_out) = validation.as_ref().filter(|v| v.dim() != density.dim()) {
            let expected = format!("validation of {}", counted(density.dim(), "parameter"));
            return Err(Error::shape("fit_minibatch", expected, held_out.dim()));
        }
        let steps_per_epoch = training.rows().div_ceil(options.batch_rows);
        Ok(Self {
            ws: training.workspace(),
            grad: vec![T::ZERO; training.dim()],
            order: Vec::with_capacity(training.rows()),
            at: MinibatchProgress {
                epoch: 0,
                step: 0,
                steps: steps_per_epoch.saturating_mul(options.epochs),
                validation_nll: None,
            },
            training,
            validation: validation.map(|density| (density.workspace(), density)),
            options,
            streams,
            theta,
            clipped: 0,
        })
    }

    /// Runs on a thread of the pool: enters it once, not once per gradient.
    fn in_pool(
        self,
        optimizer: &mut dyn Optimizer<T>,
        progress: &mut (dyn FnMut(&MinibatchProgress) -> Result<()> + Send),
    ) -> Result<MinibatchReport<T>> {
        parallel::enter(|| self.epochs(optimizer, progress))
    }

    fn epochs(
        mut self,
        optimizer: &mut dyn Optimizer<T>,
        progress: &mut dyn FnMut(&MinibatchProgress) -> Result<()>,
    ) -> Result<MinibatchReport<T>> {
        let options = self.options;
        let mut history = Vec::with_capacity(options.epochs.min(1 << 10));
        let (mut best, mut best_nll, mut best_epoch) = (self.theta.clone(), f64::INFINITY, 0);
        for epoch in 1..=options.epochs {
            self.at.epoch = epoch;
            let energy = self.epoch(optimizer, progress)?;
            let validation_nll = self.validate()?;
            history.push(EpochReport {
                epoch,
                energy,
                validation_nll,
            });
            if validation_nll.is_none_or(|nll| nll < best_nll) {
                best.copy_from_slice(&self.theta);
                best_epoch = epoch;
            }
            if let Some(nll) = validation_nll {
                best_nll = nll.min(best_nll);
                self.at.validation_nll = validation_nll;
                progress(&self.at)?;
                if epoch - best_epoch >= options.patience {
                    break;
                }
            }
        }
        Ok(MinibatchReport {
            theta: best,
            best_epoch,
            stopped_early: history.len() < options.epochs,
            history,
            training_rows: self.training.rows(),
            validation_rows: self.validation.map_or(0, |(_, density)| density.rows()),
            gradients: self.at.step,
            clipped: self.clipped,
        })
    }

    /// One pass over the training rows. Returns the mean energy of its batches.
    fn epoch(
        &mut self,
        optimizer: &mut dyn Optimizer<T>,
        progress: &mut dyn FnMut(&MinibatchProgress) -> Result<()>,
    ) -> Result<f64> {
        let (options, n) = (self.options, self.training.rows());
        self.order.clear();
        self.order.extend(0..n);
        let mut rng = self.streams.rng(Phase::MINIBATCH, self.at.epoch as u64);
        self.order.shuffle(&mut rng);
        let mut mean = 0.0;
        for batch in self.order.chunks(options.batch_rows) {
            let (theta, grad) = (&mut self.theta, &mut self.grad);
            let energy = self
                .training
                .energy_and_grad(theta, batch, grad, &mut self.ws)?;
            descent(self.at.step, self.at.step + 1).check(energy, grad)?;
            if let Some(max_norm) = options.clip_norm {
                self.clipped += usize::from(clip_by_norm(grad, max_norm) > max_norm);
            }
            let factor = options.schedule.factor(self.at.step, self.at.steps);
            optimizer.step(options.learning_rate * factor, grad, theta)?;
            mean += energy * (batch.len() as f64 / n as f64);
            self.at.step += 1;
            progress(&self.at)?;
        }
        Ok(mean)
    }

    /// Mean loss per validation row.
    fn validate(&mut self) -> Result<Option<f64>> {
        let Some((ws, density)) = &mut self.validation else {
            return Ok(None);
        };
        let nll = density.neg_log_likelihood(&self.theta, ws)? / density.rows() as f64;
        if nll.is_finite() {
            return Ok(Some(nll));
        }
        Err(descent(self.at.step, self.at.step).diverged("validation loss"))
    }
}

fn descent(step: usize, gradients: usize) -> Descent {
    Descent {
        what: "training by minibatches",
        step,
        gradients,
        advice: LOWER_RATE,
    }
}
