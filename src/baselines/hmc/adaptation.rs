//! What a chain learns in its warm-up: the step size and the diagonal mass.
//!
//! A transition `i` of the warm-up (counted from 0) is followed by
//!
//! 1. an update of the step size by dual averaging (`dual_averaging`);
//! 2. if `i` is in a window (`windows`), an update of the variances of its draws (`variance`);
//! 3. if `i` ends a window, a new inverse mass, and a new search for the step size (`search`). The
//!    search takes place before the next transition.
//!
//! After the warm-up the step size is the average of dual averaging. A step size that is given
//! stays as it is.

use super::dual_averaging::DualAveraging;
use super::kernel::Hamiltonian;
use super::variance::Variance;
use crate::error::{Error, Result, counted};
use crate::scalar::Scalar;
use crate::walk::{Fields, Leapfrog};

/// The adaptation of one chain.
#[derive(Clone, Debug)]
pub(super) struct Adaptation<T> {
    /// Transitions of the warm-up that were made.
    taken: usize,
    /// The warm-up was ended before all its transitions were made.
    ended: bool,
    /// A step size is to be searched for before the next transition.
    search_due: bool,
    step_size: f64,
    /// None if the step size is fixed.
    dual: Option<DualAveraging>,
    variance: Variance,
    inverse_mass: Vec<f64>,
    /// Its root.
    scale: Vec<T>,
}

impl<T: Scalar> Adaptation<T> {
    /// Before the first transition. `step_size` is given or, if none is, searched for.
    pub fn new(step_size: Option<f64>, inverse_mass: Vec<f64>) -> Self {
        let mut adaptation = Self {
            taken: 0,
            ended: false,
            search_due: step_size.is_none(),
            step_size: step_size.unwrap_or(1.0),
            dual: None,
            variance: Variance::new(inverse_mass.len()),
            scale: vec![T::ZERO; inverse_mass.len()],
            inverse_mass,
        };
        adaptation.rescale();
        adaptation
    }

    pub fn step_size(&self) -> f64 {
        self.step_size
    }

    pub fn inverse_mass(&self) -> &[f64] {
        &self.inverse_mass
    }

    pub fn scale(&self) -> &[T] {
        &self.scale
    }

    pub fn leapfrog(&self) -> Leapfrog<'_, T> {
        Leapfrog {
            scale: &self.scale,
            step_size: self.step_size,
        }
    }

    /// True if a step size is to be searched for before the next transition.
    pub fn searches(&self) -> bool {
        self.search_due
    }

    /// Takes the result of a search: dual averaging begins there.
    pub fn found(&mut self, step_size: f64, target_acceptance: f64) {
        self.search_due = false;
        self.step_size = step_size;
        self.dual = Some(DualAveraging::new(step_size, target_acceptance));
    }

    /// True if the next transition belongs to a warm-up of `warm_up` transitions.
    pub fn goes_on(&self, warm_up: usize) -> bool {
        !self.ended && self.taken < warm_up
    }

    /// Ends the warm-up, wherever it is.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Sets the step size of the draws.
    pub fn settle(&mut self) {
        if let Some(dual) = self.dual.take() {
            self.step_size = dual.average();
        }
    }

    /// Learns from a transition to `theta`.
    pub fn learn<M>(&mut self, acceptance: f64, theta: &[T], kernel: &Hamiltonian<M>) {
        if let Some(dual) = &mut self.dual {
            self.step_size = dual.update(acceptance);
        }
        let index = self.taken;
        self.taken += 1;
        if let Some(window) = kernel.windows.iter().find(|w| w.contains(&index)) {
            self.variance.add(theta);
            if index + 1 == window.end {
                self.variance.finish(&mut self.inverse_mass);
                self.rescale();
                self.search_due = kernel.tunes_steps();
            }
        }
        if self.taken == kernel.warm_up && !self.search_due {
            self.settle();
        }
    }

    fn rescale(&mut self) {
        for (s, v) in self.scale.iter_mut().zip(&self.inverse_mass) {
            *s = T::from_f64(v.sqrt());
        }
    }

    pub fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.count("warm_up_taken", &mut self.taken)?;
        let mut averages = self.dual.is_some();
        for (name, flag) in [
            ("warm_up_ended", &mut self.ended),
            ("search_due", &mut self.search_due),
            ("averages", &mut averages),
        ] {
            let mut count = usize::from(*flag);
            fields.count(name, &mut count)?;
            *flag = count != 0;
        }
        fields.number("step_size", &mut self.step_size)?;
        if self.step_size.is_nan() || self.step_size < 0.0 {
            let requirement = "must not be negative";
            return Err(Error::config("step_size", self.step_size, requirement));
        }
        if averages {
            let dual = self.dual.get_or_insert_with(DualAveraging::empty);
            dual.fields(fields)?;
        } else {
            self.dual = None;
        }
        self.variance.fields(fields)?;
        let dim = self.inverse_mass.len();
        fields.numbers("inverse_mass", &mut self.inverse_mass)?;
        if self.inverse_mass.len() != dim || !self.inverse_mass.iter().all(|&v| v > 0.0) {
            let (expected, got) = (counted(dim, "positive number"), "others");
            return Err(Error::shape("inverse mass of a chain", expected, got));
        }
        self.rescale();
        Ok(())
    }
}
