//! A last layer under a likelihood of the user's.
//!
//! With one output `o` a row, the likelihood's own graph gives what Newton's method needs: the sum
//! `-log p`, its slopes `d/do`, and its curvatures `Lambda(o)`. It should be convex in `o`, or
//! nearly; the curvature that the likelihood states stands for the Hessian where that is
//! indefinite.

use super::{HeadLikelihood, LastLayer};
use crate::autodiff::{Graph, Program, Workspace};
use crate::error::{Column, Error, Result, counted};
use crate::linalg::check_table;
use crate::model::{HeadScales, Likelihood, StdFromLogs, target_shape};
use crate::nn::LinearHead;
use crate::scalar::Scalar;

/// The likelihood of all rows, compiled.
#[derive(Clone, Debug)]
pub(super) struct OwnHead<T> {
    program: Program<T>,
    /// `[rows, e]`, encoded.
    targets: Vec<T>,
}

impl<T: Scalar> OwnHead<T> {
    fn new(likelihood: &dyn Likelihood, y: &[f64], rows: usize) -> Result<Self> {
        let targets = likelihood.encode(y);
        let each = targets.len() / rows.max(1);
        let m = likelihood.target_dim(1);
        check_table::<T>("LastLayer", &targets, each, |j| Column::encoded(j, each, m))?;
        let targets = targets.into_iter().map(T::from_f64).collect();
        let graph = Graph::new();
        let outputs = graph.input(&[rows, 1]);
        let encoded = graph.input(&target_shape(rows, each));
        let params = graph.tensor(&[0], Vec::new());
        let energy = likelihood.neg_log_likelihood(outputs, encoded, params);
        let slopes = graph.grad(energy, &[outputs])?;
        let ones = graph.full(&[rows, 1], 1.0);
        let curvatures = likelihood.output_hessian_product(outputs, encoded, params, ones)?;
        // constant curvatures would have no buffer of the program
        let plain = curvatures + outputs * 0.0;
        Ok(Self {
            program: graph.compile(&[energy, slopes[0], plain])?,
            targets,
        })
    }

    pub(super) fn workspace(&self) -> Workspace<T> {
        self.program.workspace()
    }

    /// Turns outputs into slopes, in place, and writes the curvatures behind the first row of
    /// `scratch`. Returns the energy.
    pub(super) fn expect(
        &self,
        outputs: &mut [T],
        scratch: &mut [T],
        ws: &mut Workspace<T>,
    ) -> Result<f64> {
        let rows = outputs.len();
        self.program.run(&[outputs, &self.targets], ws)?;
        outputs.copy_from_slice(self.program.tensor(ws, 1)?);
        scratch[rows..2 * rows].copy_from_slice(self.program.tensor(ws, 2)?);
        self.program.scalar(ws, 0)
    }
}

impl<T: Scalar> LastLayer<T> {
    /// The conditional of `network`, which has one output, under any likelihood without parameters
    /// of its own, given rows `x` (`[n, input_dim]`) and targets `y` (`[n, target_dim]`).
    /// `precisions` (`[H + 1]`) are those of the prior of the last layer, the bias last.
    ///
    /// # Errors
    /// Those of [`LastLayer::new`]; if the likelihood has parameters of its own or the network more
    /// outputs, a target is impossible, or a precision is not positive.
    pub fn with_likelihood(
        network: &dyn LinearHead,
        likelihood: &dyn Likelihood,
        precisions: &[f64],
        x: &[f64],
        y: &[f64],
    ) -> Result<Self> {
        let outputs = network.output_dim();
        if !likelihood.params(outputs).is_empty() {
            let requirement = "has parameters of its own, which a conditional last layer has not";
            return Err(Error::config("likelihood", "given", requirement));
        }
        likelihood.check(outputs, y)?;
        let rows = x.len() / network.input_dim().max(1);
        if rows * likelihood.target_dim(outputs) != y.len() {
            let expected = format!(
                "{} a row",
                counted(likelihood.target_dim(outputs), "target")
            );
            let got = format!("{} for {}", y.len(), counted(rows, "row"));
            return Err(Error::shape("LastLayer", expected, got));
        }
        // slopes take the place of residuals, so the targets that would be subtracted are 0
        let zeros = vec![0.0; rows];
        let mut last = Self::new(network, HeadLikelihood::Own, 1.0, x, &zeros)?;
        last.own = Some(OwnHead::new(likelihood, y, rows)?);
        let weights = precisions.iter().map(|precision| StdFromLogs {
            factor: precision.sqrt().recip(),
            places: Vec::new(),
        });
        last.with_scales(HeadScales {
            weights: weights.collect(),
            noise: None,
        })
    }
}
