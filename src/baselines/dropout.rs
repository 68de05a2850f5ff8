//! Monte Carlo dropout: a posterior over weights in which hidden units are kept or dropped.
//!
//! ```text
//! draw:   theta = M * m
//!         m = 1 / (1 - p) with probability 1 - p, else 0      for the outgoing weights of a unit
//!         m = 1                                               for all other parameters
//! fit:    min over M of E_m[U(M * m)],   gradient grad U_B(M * m) * m
//!         with a fresh mask for every batch
//! ```
//!
//! Y. Gal, Z. Ghahramani, "Dropout as a Bayesian approximation: representing model uncertainty in
//! deep learning", ICML 2016, section 3. Dropping a unit means zeroing the weights that read it, so
//! a draw is again a `theta`. The prior is evaluated at the masked weights. For precision `alpha`
//! its mean is `alpha |M|^2 / (2 (1 - p))`: the weight decay that follows from the divergence of
//! their `q` from the prior. (They do not scale kept units, so their weights are `M / (1 - p)`.)
//!
//! Units are the inputs of every `Linear` weight (`[in, out]`), except the network's first weight,
//! which reads the data. Channels of convolutions are never dropped. When a linear layer reads a
//! flattened image, each entry of that image is a unit. Parameters of the likelihood are never
//! dropped.
//!
//! Dropped: masks of inputs; the entropy of `q`, which does not depend on `M`.
//!
//! Deviates: one mask for all rows of a batch, where implementations draw one per row. The mean of
//! the gradient is the same, its noise is larger. The defaults are ours: `p = 0.1`, and 10,000
//! steps of Adam at 2e-3 along a cosine. For regressions of small data sets, theirs are 0.05 and
//! 0.005.
//!
//! Step `t` draws its batch and mask from stream `t` of [`Phase::DROPOUT`].

use std::ops::Range;

use rand::{Rng, RngExt};

use super::GradientSource;
use super::draws::independent;
use super::history::History;
use crate::error::{Error, Result, counted};
use crate::model::Posterior;
use crate::nn::ParamLayout;
use crate::optim::{Answer, Decay, Descent, LOWER_RATE, OptimizerOptions, Schedule, clip_by_norm};
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// Settings of dropout and its training.
#[derive(Clone, Debug, PartialEq)]
pub struct DropoutOptions {
    /// Probability `p` that a unit is dropped.
    pub rate: f64,
    /// Gradient steps.
    pub steps: usize,
    /// The full learning rate.
    pub learning_rate: f64,
    /// The schedule of the learning rate.
    pub schedule: Schedule,
    /// The optimiser.
    pub optimizer: OptimizerOptions,
    /// Gradients of `U_B` are clipped to this norm; `None`: no clipping.
    pub clip_norm: Option<f64>,
}

impl Default for DropoutOptions {
    fn default() -> Self {
        Self {
            rate: 0.1,
            steps: 10_000,
            learning_rate: 2e-3,
            schedule: Schedule {
                warmup: 0.05,
                decay: Decay::Cosine,
            },
            optimizer: OptimizerOptions::default(),
            clip_norm: None,
        }
    }
}

impl DropoutOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If a setting is outside its range; the error names it.
    pub fn validate(&self) -> Result<()> {
        check_rate(self.rate)?;
        if self.steps == 0 {
            return Err(Error::config("steps", 0, "must be positive"));
        }
        let norm = self.clip_norm.unwrap_or(1.0);
        for (field, value) in [("learning_rate", self.learning_rate), ("clip_norm", norm)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::config(field, value, "must be positive and finite"));
            }
        }
        self.schedule.validate()?;
        self.optimizer.validate()
    }
}

fn check_rate(rate: f64) -> Result<()> {
    if (0.0..1.0).contains(&rate) {
        return Ok(());
    }
    Err(Error::config("rate", rate, "must be in [0, 1)"))
}

/// Masks of a network's hidden units.
#[derive(Clone, Debug, PartialEq)]
pub struct DropoutMasks {
    dim: usize,
    rate: f64,
    /// The outgoing weights of every unit.
    units: Vec<Range<usize>>,
}

impl DropoutMasks {
    /// Masks for the parameters of a layout, each unit dropped with probability `rate`. If `dim`
    /// exceeds the layout's length, the parameters behind it are never dropped.
    ///
    /// # Errors
    /// If the rate is outside `[0, 1)`, `dim` is less than the layout's length, or no unit can be
    /// dropped.
    pub fn new(layout: &ParamLayout, dim: usize, rate: f64) -> Result<Self> {
        check_rate(rate)?;
        if dim < layout.len() {
            let expected = format!(
                "at least the network's {}",
                counted(layout.len(), "parameter")
            );
            return Err(Error::shape("DropoutMasks", expected, dim));
        }
        let mut units = Vec::new();
        // the first weight reads the data
        let weights = layout.tensors().iter().filter(|t| t.shape.len() > 1);
        for tensor in weights.skip(1) {
            if let [inputs, outputs] = tensor.shape[..]
                && tensor.fan_in == inputs
            {
                let start = tensor.range.start;
                units.extend((0..inputs).map(|i| start + i * outputs..start + (i + 1) * outputs));
            }
        }
        if units.is_empty() {
            let requirement = "needs a linear layer behind the first layer: no unit can be dropped";
            return Err(Error::config("dropout", "a network", requirement));
        }
        Ok(Self { dim, rate, units })
    }

    /// Number of units that may be dropped.
    pub fn units(&self) -> usize {
        self.units.len()
    }

    /// The weights that read each unit, as ranges of `theta`.
    pub fn outgoing(&self) -> &[Range<usize>] {
        &self.units
    }

    /// Draws a random mask, `[dim]`: the factor of each parameter. Its mean is 1.
    ///
    /// # Panics
    /// If `mask` is too short.
    pub fn draw<T: Scalar>(&self, rng: &mut impl Rng, mask: &mut [T]) {
        mask.fill(T::ONE);
        let kept = T::from_f64(1.0 / (1.0 - self.rate));
        for unit in &self.units {
            let dropped = rng.random_bool(self.rate);
            mask[unit.clone()].fill(if dropped { T::ZERO } else { kept });
        }
    }
}

/// The posterior of dropout.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout<T> {
    theta: Vec<T>,
    masks: DropoutMasks,
}

/// A dropout posterior and how it was trained.
#[derive(Clone, Debug)]
pub struct DropoutReport<T> {
    /// The posterior.
    pub posterior: Dropout<T>,
    /// Mean of `U_B` at the masked weights, over each of ten equal parts of the steps, in nats.
    pub history: Vec<f64>,
    /// Gradients computed.
    pub gradients: usize,
    /// Gradients that were clipped.
    pub clipped: usize,
}

/// Trains a network with dropout from `theta`: initial parameters, or an estimate without dropout.
/// `progress` is called after every step with the number of steps done, and may end the training
/// ([`Answer`]).
///
/// # Errors
/// If a setting is out of range, no unit of the layout can be dropped, or `theta` has the wrong
/// length. [`Error::Diverged`] if the energy or its gradient becomes infinite or NaN.
/// That of `progress`, if it ends the work.
pub fn fit_dropout<T: Scalar, S: GradientSource<T>, R: Answer>(
    source: &S,
    layout: &ParamLayout,
    mut theta: Vec<T>,
    options: &DropoutOptions,
    streams: Streams,
    mut progress: impl FnMut(usize) -> R,
) -> Result<DropoutReport<T>> {
    options.validate()?;
    let p = source.dim();
    let masks = DropoutMasks::new(layout, p, options.rate)?;
    if theta.len() != p {
        return Err(Error::shape(
            "fit_dropout",
            counted(p, "parameter"),
            theta.len(),
        ));
    }
    let mut optimizer = options.optimizer.build::<T>(p)?;
    let mut memory = source.memory();
    let [mut mask, mut masked, mut grad] = [(); 3].map(|()| vec![T::ZERO; p]);
    let (mut history, mut clipped) = (History::new(options.steps), 0);
    for step in 0..options.steps {
        let mut rng = streams.rng(Phase::DROPOUT, step as u64);
        source.draw_batch(&mut memory, &mut rng);
        masks.draw(&mut rng, &mut mask);
        multiply(&theta, &mask, &mut masked);
        let energy = source.energy_and_grad(&masked, &mut grad, &mut memory)?;
        let at = Descent {
            what: "training with dropout",
            step,
            gradients: step + 1,
            advice: LOWER_RATE,
        };
        at.check(energy, &grad)?;
        history.push(energy);
        // the chain rule
        for (g, &m) in grad.iter_mut().zip(&mask) {
            *g *= m;
        }
        if let Some(most) = options.clip_norm {
            clipped += usize::from(clip_by_norm(&mut grad, most) > most);
        }
        let rate = options.learning_rate * options.schedule.factor(step, options.steps);
        optimizer.step(rate, &grad, &mut theta)?;
        progress(step + 1).result()?;
    }
    Ok(DropoutReport {
        posterior: Dropout::new(theta, masks)?,
        history: history.means(),
        gradients: options.steps,
        clipped,
    })
}

fn multiply<T: Scalar>(theta: &[T], mask: &[T], out: &mut [T]) {
    for (out, (&theta, &mask)) in out.iter_mut().zip(theta.iter().zip(mask)) {
        *out = theta * mask;
    }
}

impl<T: Scalar> Dropout<T> {
    /// The posterior of the weights `theta` under `masks`.
    ///
    /// # Errors
    /// If `theta` and the masks differ in their number of parameters.
    pub fn new(theta: Vec<T>, masks: DropoutMasks) -> Result<Self> {
        if theta.len() != masks.dim {
            let expected = counted(masks.dim, "parameter");
            return Err(Error::shape("Dropout", expected, theta.len()));
        }
        Ok(Self { theta, masks })
    }

    /// The weights without a mask, `[P]`: the mean of the draws. Usual dropout predicts with them.
    pub fn mean(&self) -> &[T] {
        &self.theta
    }

    /// The masks.
    pub fn masks(&self) -> &DropoutMasks {
        &self.masks
    }
}

impl<T: Scalar> Posterior<T> for Dropout<T> {
    fn dim(&self) -> usize {
        self.theta.len()
    }

    fn sample(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        let shape = [count, self.theta.len()];
        independent(
            shape,
            streams,
            || (),
            |(), rng, out: &mut [T]| {
                self.masks.draw(rng, out);
                for (out, &theta) in out.iter_mut().zip(&self.theta) {
                    *out *= theta;
                }
                Ok(())
            },
        )
    }
}
