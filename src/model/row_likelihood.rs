//! The log density of single rows under a likelihood, whatever it is: what scores of predictions
//! and leave-one-out need.

use super::Likelihood;
use super::likelihood::target_shape;
use crate::autodiff::{Graph, Program, Workspace};
use crate::error::{Error, Result, counted};

/// `log p(y_i | outputs, params)` of rows of targets, compiled once, in double precision.
#[derive(Clone, Debug)]
pub struct RowLikelihood {
    program: Program<f64>,
    /// `[rows, e]`, encoded.
    targets: Vec<f64>,
    encoded: usize,
    rows: usize,
}

/// The memory of one row.
#[derive(Clone, Debug)]
pub struct RowLikelihoodWorkspace(Workspace<f64>);

impl RowLikelihood {
    /// Of targets `[n, m]` for a network with this many outputs.
    ///
    /// # Errors
    /// If a target is impossible, or lengths do not fit.
    pub fn new(likelihood: &dyn Likelihood, outputs: usize, y: &[f64]) -> Result<Self> {
        let m = likelihood.target_dim(outputs).max(1);
        if y.is_empty() || !y.len().is_multiple_of(m) {
            let expected = format!("rows of {}", counted(m, "target"));
            return Err(Error::shape("RowLikelihood", expected, y.len()));
        }
        likelihood.check(outputs, y)?;
        let rows = y.len() / m;
        let targets = likelihood.encode(y);
        let encoded = targets.len() / rows;
        let graph = Graph::new();
        let o = graph.input(&[1, outputs]);
        let t = graph.input(&target_shape(1, encoded));
        let s = graph.input(&[likelihood.params(outputs).len()]);
        let energy = likelihood.neg_log_likelihood(o, t, s);
        Ok(Self {
            program: graph.compile(&[energy])?,
            targets,
            encoded,
            rows,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Memory for [`RowLikelihood::log_density`].
    pub fn workspace(&self) -> RowLikelihoodWorkspace {
        RowLikelihoodWorkspace(self.program.workspace())
    }

    /// `log p(y_row | outputs, params)`, times the row's weight if it has one, for `outputs [k]` and
    /// the likelihood's `params [q]`, in nats.
    ///
    /// # Errors
    /// If there is no such row, or a length is wrong.
    pub fn log_density(
        &self,
        row: usize,
        outputs: &[f64],
        params: &[f64],
        ws: &mut RowLikelihoodWorkspace,
    ) -> Result<f64> {
        let start = row.saturating_mul(self.encoded);
        let target = self.targets.get(start..start.saturating_add(self.encoded));
        let none = || Error::shape("RowLikelihood", format!("a row below {}", self.rows), row);
        let target = target.filter(|_| row < self.rows).ok_or_else(none)?;
        self.program.run(&[outputs, target, params], &mut ws.0)?;
        Ok(-self.program.scalar(&ws.0, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Law, Noise, Observation, Predictive};

    /// Two ways to the same number: the graph of the likelihood, and the law that it states.
    #[test]
    fn laws_are_those_of_the_likelihoods() {
        let (y, o, s) = ([2.0, 0.0, 1.0], [0.3, -0.4], [0.2, 1.1]);
        for observation in Observation::ALL {
            let noise = Noise::Sampled { scale: 0.5 };
            let likelihood = observation.likelihood(noise, 1.7).unwrap();
            let k = observation.outputs(2);
            let y = if observation.is_of_classes() {
                &y[1..]
            } else {
                &y[..]
            };
            let (o, s) = (&o[..k], &s[..observation.own()]);
            let rows = RowLikelihood::new(likelihood.as_ref(), k, y).unwrap();
            let mut ws = rows.workspace();
            for (row, &y) in y.iter().enumerate() {
                let got = rows.log_density(row, o, s, &mut ws).unwrap();
                let softmax = |logits: [f64; 2]| {
                    let sum: f64 = logits.iter().map(|l| l.exp()).sum();
                    logits[y as usize] - sum.ln()
                };
                let want = match likelihood.predictive(o, s) {
                    Predictive::Law(law) => law.log_density(y),
                    Predictive::Logits => softmax([o[0], o[1]]),
                    Predictive::Logit => softmax([0.0, o[0]]),
                    Predictive::Unknown => f64::NAN,
                };
                // the difference of log gammas has an error of 1e-10 in Student's t
                let error = match observation {
                    Observation::StudentT => 1e-10,
                    _ => 1e-12,
                };
                let miss = (got - want).abs();
                assert!(miss < error, "{observation} {row}: {got} {want}");
            }
            assert!(rows.log_density(y.len(), o, s, &mut ws).is_err());
        }
        let given = Observation::Gaussian
            .likelihood(Noise::Given(0.3), 1.0)
            .unwrap();
        let law = Law::Normal {
            mean: 0.5,
            std: 0.3,
        };
        assert_eq!(given.predictive(&[0.5], &[]), Predictive::Law(law));
    }
}
