//! Parameters that a likelihood owns, with their priors and starting values.
//!
//! Each is an unbounded real number: the logarithm of a noise level, not the level. Its prior is a
//! [`CoordinatePrior`].

use crate::autodiff::Var;
use crate::error::{Error, Result};
use crate::model::CoordinatePrior;

/// Parameters of a likelihood that share a name, a starting value and a prior.
#[derive(Clone, Debug, PartialEq)]
pub struct LikelihoodParam {
    /// Name, such as `log_noise_std`.
    pub name: String,
    /// Number of parameters.
    pub len: usize,
    /// Starting value of a fit.
    pub init: f64,
    /// Prior of each parameter.
    pub prior: CoordinatePrior,
}

/// All parameters of a likelihood, in the order in which they follow the network's in `theta`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LikelihoodParams {
    parts: Vec<LikelihoodParam>,
}

impl LikelihoodParams {
    /// Appends parameters.
    pub fn push(&mut self, param: LikelihoodParam) {
        self.parts.push(param);
    }

    /// The parts, in order.
    pub fn parts(&self) -> &[LikelihoodParam] {
        &self.parts
    }

    /// `q`, the number of parameters.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|p| p.len).sum()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Starting values of a fit, `[q]`. They follow the network's initial parameters.
    pub fn init(&self) -> Vec<f64> {
        self.each(|p| p.init)
    }

    /// Curvature of the prior at its mode, one value per parameter, `[q]`.
    pub fn prior_precision(&self) -> Vec<f64> {
        self.each(|p| p.prior.precision())
    }

    /// Records `-log p(s)`: a scalar in nats, constants included. `params` is `[q]`.
    pub fn neg_log_prior<'g>(&self, params: Var<'g>) -> Var<'g> {
        let graph = params.graph();
        let (mut total, mut start) = (graph.constant(0.0), 0);
        for p in &self.parts {
            let own = params.slice(0, start..start + p.len);
            start += p.len;
            total = total + p.prior.neg_log_density(own);
        }
        total
    }

    /// Checks every starting value and prior.
    ///
    /// # Errors
    /// If a starting value is not finite, or a prior is invalid.
    pub fn check(&self) -> Result<()> {
        for p in &self.parts {
            if !p.init.is_finite() {
                let got = format!("{} of {}", p.init, p.name);
                return Err(Error::config("init", got, "must be finite"));
            }
            if p.prior.check().is_err() {
                let got = format!("{:?} of {}", p.prior, p.name);
                return Err(Error::config("prior", got, "must be a proper density"));
            }
        }
        Ok(())
    }

    fn each(&self, value: impl Fn(&LikelihoodParam) -> f64) -> Vec<f64> {
        let repeat = |p| std::iter::repeat_n(value(p), p.len);
        self.parts.iter().flat_map(repeat).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::Graph;

    fn two() -> LikelihoodParams {
        let mut params = LikelihoodParams::default();
        for (name, len, init, mean, precision) in
            [("a", 2, 0.5, -1.0, 4.0), ("b", 1, 0.0, 2.0, 0.25)]
        {
            params.push(LikelihoodParam {
                name: name.into(),
                len,
                init,
                prior: CoordinatePrior::Normal { mean, precision },
            });
        }
        params
    }

    #[test]
    fn the_prior_is_a_product_of_normal_densities() {
        let params = two();
        assert_eq!(params.init(), [0.5, 0.5, 0.0]);
        assert_eq!(params.prior_precision(), [4.0, 4.0, 0.25]);
        let graph = Graph::new();
        let s = graph.input(&[3]);
        let value = params.neg_log_prior(s);
        let gradient = graph.grad(value, &[s]).unwrap()[0];
        let program = graph.compile::<f64>(&[value, gradient]).unwrap();
        let mut ws = program.workspace();
        let at = [0.3, -0.2, 1.1];
        program.run(&[&at], &mut ws).unwrap();
        let normal = |x: f64, mean: f64, std: f64| {
            0.5 * ((x - mean) / std).powi(2) + (std * (2.0 * std::f64::consts::PI).sqrt()).ln()
        };
        let want = normal(0.3, -1.0, 0.5) + normal(-0.2, -1.0, 0.5) + normal(1.1, 2.0, 2.0);
        assert!((program.scalar(&ws, 0).unwrap() - want).abs() < 1e-14);
        for (got, want) in program
            .tensor(&ws, 1)
            .unwrap()
            .iter()
            .zip([5.2, 3.2, -0.225])
        {
            assert!((got - want).abs() < 1e-14);
        }
    }

    #[test]
    fn impossible_priors_are_refused_by_name() {
        type Change = fn(&mut LikelihoodParam);
        fn normal(mean: f64, precision: f64) -> CoordinatePrior {
            CoordinatePrior::Normal { mean, precision }
        }
        let changes: [Change; 4] = [
            |p| p.init = f64::NAN,
            |p| p.prior = normal(f64::INFINITY, 1.0),
            |p| p.prior = normal(0.0, 0.0),
            |p| p.prior = CoordinatePrior::HalfCauchy { scale: -1.0 },
        ];
        assert!(two().check().is_ok());
        for change in changes {
            let mut params = two();
            change(&mut params.parts[1]);
            let message = params.check().unwrap_err().to_string();
            assert!(message.contains("of b"), "{message}");
        }
    }
}
