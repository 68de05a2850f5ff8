//! A last layer under a likelihood that the crate knows by its graph alone.
//!
//! The likelihood's graph gives what Newton's method needs of the outputs `o` of each row: the sum
//! `-log p`, its slopes `d/do`, and the blocks `Lambda(o)`, column by column from products with
//! unit vectors. It should be convex in `o`, or nearly; the curvature that the likelihood states
//! stands for the Hessian where that is indefinite.

use crate::autodiff::{Graph, Program, Workspace};
use crate::error::{Column, Result};
use crate::linalg::check_table;
use crate::model::{Likelihood, target_shape};
use crate::scalar::Scalar;

/// The likelihood of all rows, compiled.
#[derive(Clone, Debug)]
pub(super) struct GeneralHead<T> {
    /// Outputs `[k, rows]` and targets to the energy, the slopes `[k, rows]`, and a column of
    /// `Lambda` for each output, `[k, rows]`.
    program: Program<T>,
    /// `[rows, e]`, encoded.
    targets: Vec<T>,
    outputs: usize,
}

impl<T: Scalar> GeneralHead<T> {
    pub(super) fn new(
        likelihood: &dyn Likelihood,
        outputs: usize,
        y: &[f64],
        rows: usize,
    ) -> Result<Self> {
        let targets = likelihood.encode(y);
        let each = targets.len() / rows.max(1);
        let m = likelihood.target_dim(outputs);
        check_table::<T>("LastLayer", &targets, each, |j| Column::encoded(j, each, m))?;
        let targets = targets.into_iter().map(T::from_f64).collect();
        let graph = Graph::new();
        let transposed = graph.input(&[outputs, rows]);
        let encoded = graph.input(&target_shape(rows, each));
        let params = graph.tensor(&[0], Vec::new());
        let o = transposed.batch_first();
        let energy = likelihood.neg_log_likelihood(o, encoded, params);
        let slopes = graph.grad(energy, &[transposed])?;
        let mut results = vec![energy, slopes[0]];
        for e in 0..outputs {
            let unit = (0..rows * outputs).map(|at| f64::from(u8::from(at % outputs == e)));
            let unit = graph.tensor(&[rows, outputs], unit.collect());
            let column = likelihood.output_hessian_product(o, encoded, params, unit)?;
            // constant curvatures would have no buffer of the program
            results.push(column.batch_last() + transposed * 0.0);
        }
        Ok(Self {
            program: graph.compile(&results)?,
            targets,
            outputs,
        })
    }

    pub(super) fn workspace(&self) -> Workspace<T> {
        self.program.workspace()
    }

    /// Turns outputs into slopes, in place, and writes the curvatures of the pairs `(c, e)` with
    /// `c >= e` to `curvatures`, `[pairs, rows]`. Returns the energy.
    pub(super) fn expect(
        &self,
        outputs: &mut [T],
        curvatures: &mut [T],
        ws: &mut Workspace<T>,
    ) -> Result<f64> {
        let rows = outputs.len() / self.outputs;
        self.program.run(&[outputs, &self.targets], ws)?;
        outputs.copy_from_slice(self.program.tensor(ws, 1)?);
        let pairs = (0..self.outputs).flat_map(|c| (0..=c).map(move |e| (c, e)));
        for ((c, e), to) in pairs.zip(curvatures.chunks_exact_mut(rows)) {
            to.copy_from_slice(&self.program.tensor(ws, 2 + e)?[c * rows..][..rows]);
        }
        self.program.scalar(ws, 0)
    }
}
