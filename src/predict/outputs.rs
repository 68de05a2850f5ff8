//! Network outputs for many parameter samples and many rows: the slow part of a prediction.
//!
//! The network is compiled twice. One program answers a single row at once and without allocation.
//! The other computes a block of rows and is faster per row.

use std::borrow::Cow;

use crate::autodiff::{Graph, Program, Workspace};
use crate::error::{Error, Result, counted};
use crate::linalg::{cell, check_table, output_of};
use crate::nn::Network;
use crate::parallel;
use crate::scalar::Scalar;

/// Most rows whose outputs are held at once. Their outputs take this many rows, times samples,
/// times outputs.
const BLOCK: usize = 1024;

/// Most rows in one run of the program, so that their activations stay in a near cache.
const RUN: usize = 64;

/// Most values in the widest layer of a run. Image rows take far more room than table rows.
const RUN_VALUES: usize = 1 << 20;

/// Samples in one parallel task.
const SAMPLES: usize = 32;

/// Outputs `[rows, samples, outputs]`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// Number of input rows.
    pub rows: usize,
    /// Number of parameter samples.
    pub samples: usize,
    /// Numbers per row and sample.
    pub width: usize,
    /// The numbers.
    pub values: Vec<f64>,
}

impl Outputs {
    /// All samples' outputs for one row, `[samples, outputs]`.
    ///
    /// # Panics
    /// If there is no such row, as slices do.
    pub fn row(&self, row: usize) -> &[f64] {
        let stride = self.samples * self.width;
        &self.values[row * stride..(row + 1) * stride]
    }

    /// Turns the logit of class 1 of two classes into logits of both.
    pub fn two_logits(&self) -> Self {
        Self {
            rows: self.rows,
            samples: self.samples,
            width: 2,
            values: self.values.iter().flat_map(|&o| [0.0, o]).collect(),
        }
    }
}

/// A network with parameter samples `[s, P]`, compiled once and evaluated many times.
///
/// When linearised at a point `at`, its output is `f(x; at) + J(x; at) (theta - at)`. If the
/// samples are draws from a Gaussian around `at`, this is the linearised (GLM) predictive of its
/// Laplace approximation (Immer, Korzepa & Bauer 2021). It takes one Jacobian-vector product per
/// draw and needs no covariance of outputs, so the Gaussian may have any structure.
#[derive(Clone, Debug)]
pub struct SampleOutputs<'s, T: Scalar> {
    /// `[s, P]`: parameters, or their differences from the point of linearisation.
    samples: Cow<'s, [T]>,
    /// The point of linearisation.
    at: Option<Vec<T>>,
    dim: usize,
    inputs: usize,
    outputs: usize,
    /// Rows in a run of `many`.
    run: usize,
    one: Program<T>,
    many: Program<T>,
}

/// Memory for computing one row.
#[derive(Clone, Debug)]
pub struct OutputsWorkspace<T> {
    program: Workspace<T>,
    features: Vec<T>,
}

impl<'s, T: Scalar> SampleOutputs<'s, T> {
    /// A network at samples `[s, P]`.
    ///
    /// # Errors
    /// If there is no sample, or their length is not a multiple of `P`.
    pub fn new(network: &dyn Network, samples: impl Into<Cow<'s, [T]>>) -> Result<Self> {
        Self::of(network, None, samples.into())
    }

    /// The network linearised at `at` (`[P]`).
    ///
    /// # Errors
    /// Those of [`SampleOutputs::new`], and if `at` has another length.
    pub fn linearised(network: &dyn Network, at: &[T], samples: &[T]) -> Result<Self> {
        let dim = network.dim();
        if at.len() != dim {
            let op = "linearised_outputs: the point";
            return Err(Error::shape(op, dim, at.len()));
        }
        let steps = samples.iter().zip(at.iter().cycle());
        let steps: Vec<T> = steps.map(|(&theta, &at)| theta - at).collect();
        Self::of(network, Some(at.to_vec()), steps.into())
    }

    fn of(network: &dyn Network, at: Option<Vec<T>>, samples: Cow<'s, [T]>) -> Result<Self> {
        let (dim, inputs) = (network.dim(), network.input_dim());
        if samples.is_empty() || !samples.len().is_multiple_of(dim) {
            let expected = format!("samples of {}, at least one", counted(dim, "parameter"));
            let got = counted(samples.len(), "number");
            return Err(Error::shape("network_outputs", expected, got));
        }
        let run = (RUN_VALUES / network.widest().max(1)).clamp(1, RUN);
        let compile = |rows: usize| {
            let graph = Graph::new();
            let theta = graph.input(&[dim]);
            // a single row is a row in memory too: its matrix product then runs along the matrix
            let x = match rows {
                1 => graph.input(&[1, inputs]),
                _ => graph.input(&[inputs, rows]).batch_first(),
            };
            let f = network.forward(theta, x);
            if at.is_none() {
                return graph.compile::<T>(&[f]);
            }
            let step = graph.input(&[dim]);
            let change = graph.jvp(f, theta, step)?;
            graph.compile::<T>(&[f + change])
        };
        Ok(Self {
            one: compile(1)?,
            many: compile(run)?,
            run,
            samples,
            at,
            dim,
            inputs,
            outputs: network.output_dim(),
        })
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.samples.len() / self.dim
    }

    /// Numbers per row and sample.
    pub fn width(&self) -> usize {
        self.outputs
    }

    /// Memory for [`SampleOutputs::row`].
    pub fn workspace(&self) -> OutputsWorkspace<T> {
        OutputsWorkspace {
            program: self.one.workspace(),
            features: vec![T::ZERO; self.inputs],
        }
    }

    /// Writes the outputs of one row `x` (`[input_dim]`) to `out` (`[samples, outputs]`). It
    /// allocates nothing.
    ///
    /// # Errors
    /// If a length does not fit, a feature is outside the range of `T`, or an output is not finite.
    pub fn row(&self, x: &[f64], ws: &mut OutputsWorkspace<T>, out: &mut [f64]) -> Result<()> {
        let (d, k) = (self.inputs, self.outputs);
        if x.len() != d || out.len() != self.samples() * k {
            let outputs = counted(self.samples() * k, "output");
            let expected = format!("{} and room for {outputs}", counted(d, "feature"));
            let got = format!("{} and {}", x.len(), out.len());
            return Err(Error::shape("SampleOutputs::row", expected, got));
        }
        if ws.features.len() != d {
            let (expected, got) = ("a workspace of these samples", "another");
            return Err(Error::shape("SampleOutputs::row", expected, got));
        }
        for (column, (to, &v)) in ws.features.iter_mut().zip(x).enumerate() {
            *to = cell("SampleOutputs", v, 0, column)?;
        }
        let each = self.samples.chunks_exact(self.dim);
        for (sample, out) in each.zip(out.chunks_exact_mut(k)) {
            self.execute(&self.one, sample, &ws.features, &mut ws.program)?;
            let values = self.one.tensor(&ws.program, 0)?;
            for (out, v) in out.iter_mut().zip(values) {
                *out = v.to_f64();
            }
        }
        check_table::<f64>(OUTPUT, out, out.len(), output_of(k))
    }

    fn execute(
        &self,
        program: &Program<T>,
        sample: &[T],
        features: &[T],
        ws: &mut Workspace<T>,
    ) -> Result<()> {
        match &self.at {
            None => program.run(&[sample, features], ws),
            Some(at) => program.run(&[at, features, sample], ws),
        }
    }

    /// Passes the outputs of every row of `x` (`[n, input_dim]`) to `use_block`, in order, in
    /// blocks of at most 1,024 rows. Samples and rows are computed in parallel. Memory does not
    /// grow with the number of rows. Where a row needs much room ([`Network::widest`]), fewer are
    /// computed at once.
    ///
    /// # Errors
    /// If a length does not fit the network, an output is not finite (the row is named), or
    /// `use_block` fails.
    pub fn blocks(
        &self,
        x: &[f64],
        mut use_block: impl FnMut(&Outputs) -> Result<()>,
    ) -> Result<()> {
        let d = self.inputs;
        if !x.len().is_multiple_of(d) {
            let expected = format!("rows of {}", counted(d, "feature"));
            let got = counted(x.len(), "number");
            return Err(Error::shape("network_outputs", expected, got));
        }
        for (at, rows) in x.chunks(BLOCK * d).enumerate() {
            use_block(&self.block(rows, at * BLOCK)?)?;
        }
        Ok(())
    }

    /// Outputs for the rows of one block; `first` is the number of its first row.
    fn block(&self, x: &[f64], first: usize) -> Result<Outputs> {
        let (d, k, samples) = (self.inputs, self.outputs, self.samples());
        let rows = x.len() / d;
        // features of a run are feature-major; the last run is padded with zeros
        let runs = x.chunks(self.run * d).enumerate().map(|(at, x)| {
            let mut features = vec![T::ZERO; self.run * d];
            for (i, &v) in x.iter().enumerate() {
                let (row, column) = (i / d, i % d);
                let number = first + at * self.run + row;
                features[column * self.run + row] = cell("SampleOutputs", v, number, column)?;
            }
            Ok(features)
        });
        let runs = runs.collect::<Result<Vec<_>>>()?;
        let groups: Vec<&[T]> = self.samples.chunks(SAMPLES * self.dim).collect();
        let parts: Vec<Vec<T>> = parallel::try_map_with(
            groups.len() * runs.len(),
            || self.many.workspace(),
            |ws, task| {
                let (group, features) = (groups[task / runs.len()], &runs[task % runs.len()]);
                let mut part = Vec::with_capacity(group.len() / self.dim * self.run * k);
                for sample in group.chunks_exact(self.dim) {
                    self.execute(&self.many, sample, features, ws)?;
                    part.extend_from_slice(self.many.tensor(ws, 0)?);
                }
                Ok(part)
            },
        )?;
        let mut values = Vec::with_capacity(rows * samples * k);
        for row in 0..rows {
            let (run, within) = (row / self.run, row % self.run);
            for group in parts.iter().skip(run).step_by(runs.len()) {
                for sample in group.chunks_exact(self.run * k) {
                    let one = &sample[within * k..(within + 1) * k];
                    values.extend(one.iter().map(|v| v.to_f64()));
                }
            }
        }
        check_table::<f64>(OUTPUT, &values, samples * k, output_of(k))
            .map_err(|e| e.rows_from(first))?;
        let width = k;
        Ok(Outputs {
            rows,
            samples,
            width,
            values,
        })
    }
}

/// What an output is called that is not finite.
const OUTPUT: &str = "the network's output (its features may be far outside those of training)";

/// [`SampleOutputs::blocks`] of a network at samples `[s, P]`, compiled for this one call.
///
/// # Errors
/// Those of [`SampleOutputs::new`] and [`SampleOutputs::blocks`].
pub fn network_outputs<T: Scalar>(
    network: &dyn Network,
    samples: &[T],
    x: &[f64],
    use_block: impl FnMut(&Outputs) -> Result<()>,
) -> Result<()> {
    SampleOutputs::new(network, samples)?.blocks(x, use_block)
}

/// [`SampleOutputs::blocks`] of the network linearised at `at`, compiled for this one call.
///
/// # Errors
/// Those of [`SampleOutputs::linearised`] and [`SampleOutputs::blocks`].
pub fn linearised_outputs<T: Scalar>(
    network: &dyn Network,
    at: &[T],
    samples: &[T],
    x: &[f64],
    use_block: impl FnMut(&Outputs) -> Result<()>,
) -> Result<()> {
    SampleOutputs::linearised(network, at, samples)?.blocks(x, use_block)
}

#[cfg(test)]
mod tests;
