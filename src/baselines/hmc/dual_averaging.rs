//! Adaptation of the step size by dual averaging.
//!
//! M. D. Hoffman & A. Gelman, "The No-U-Turn Sampler", JMLR 15 (2014), equation 6. After transition
//! `m` with acceptance `a_m`, for a target `a`:
//!
//! ```text
//! mu             = log(10 eps_1)
//! h_m            = (1 - 1/(m + t0)) h_{m-1} + (a - a_m)/(m + t0)
//! log eps_{m+1}  = mu - m^{1/2} h_m / gamma
//! log epsbar_m   = m^{-kappa} log eps_{m+1} + (1 - m^{-kappa}) log epsbar_{m-1}
//! ```
//!
//! The warm-up moves by `eps`; the draws use `epsbar`. The constants are theirs: `gamma = 0.05`,
//! `t0 = 10`, `kappa = 0.75`.

use crate::error::Result;
use crate::walk::Fields;

const GAMMA: f64 = 0.05;
const T0: f64 = 10.0;
const KAPPA: f64 = 0.75;

#[derive(Clone, Debug)]
pub(super) struct DualAveraging {
    target: f64,
    mu: f64,
    count: f64,
    error: f64,
    log_step: f64,
    log_average: f64,
}

impl DualAveraging {
    pub fn new(step_size: f64, target: f64) -> Self {
        Self {
            target,
            mu: (10.0 * step_size).ln(),
            count: 0.0,
            error: 0.0,
            log_step: step_size.ln(),
            log_average: step_size.ln(),
        }
    }

    /// Takes the acceptance of a transition and returns the step size of the next.
    pub fn update(&mut self, acceptance: f64) -> f64 {
        self.count += 1.0;
        let weight = 1.0 / (self.count + T0);
        self.error += weight * (self.target - acceptance - self.error);
        self.log_step = self.mu - self.count.sqrt() / GAMMA * self.error;
        let weight = self.count.powf(-KAPPA);
        self.log_average += weight * (self.log_step - self.log_average);
        self.log_step.exp()
    }

    /// One whose numbers are to be read.
    pub fn empty() -> Self {
        Self::new(1.0, 0.5)
    }

    pub fn fields<T>(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.number("target", &mut self.target)?;
        fields.number("mu", &mut self.mu)?;
        fields.number("count", &mut self.count)?;
        fields.number("error", &mut self.error)?;
        fields.number("log_step", &mut self.log_step)?;
        fields.number("log_average", &mut self.log_average)
    }

    /// The averaged step size, for the draws.
    pub fn average(&self) -> f64 {
        self.log_average.exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_updates_by_hand() {
        let mut dual = DualAveraging::new(0.1, 0.8);
        // h_1 = 0.3/11; log eps_2 = log 1 - h_1/0.05; the first average is eps_2
        let first = dual.update(0.5);
        assert!((first.ln() + 0.3 / 11.0 / 0.05).abs() < 1e-14);
        assert!((dual.average() - first).abs() < 1e-15);
        // h_2 = (11/12) h_1 - 0.2/12
        let h = 11.0 / 12.0 * 0.3 / 11.0 - 0.2 / 12.0;
        let second = dual.update(1.0);
        assert!((second.ln() + 2.0f64.sqrt() * h / 0.05).abs() < 1e-14);
        let weight = 2.0f64.powf(-0.75);
        let average = weight * second.ln() + (1.0 - weight) * first.ln();
        assert!((dual.average().ln() - average).abs() < 1e-14);
    }

    #[test]
    fn the_target_is_reached_from_either_side() {
        // acceptance 1 / (1 + x^2) = 0.8 at x = 1/2
        for start in [1e-4, 10.0] {
            let mut dual = DualAveraging::new(start, 0.8);
            let mut step = start;
            for _ in 0..3000 {
                step = dual.update(1.0 / (1.0 + step * step));
            }
            assert!((dual.average() - 0.5).abs() < 0.01, "{}", dual.average());
        }
    }
}
