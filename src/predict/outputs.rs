//! Network outputs for many parameter samples and many rows: the part of a prediction that costs time.

use rayon::prelude::*;

use crate::autodiff::Graph;
use crate::error::{Error, Result};
use crate::nn::Network;
use crate::scalar::Scalar;

/// Rows that are pushed through the network at once: bounds the memory of a thread, not of the result.
const CHUNK: usize = 1024;

/// Largest number of numbers that outputs may have.
const MAX_NUMBERS: usize = 1 << 30;

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
    pub fn row(&self, row: usize) -> &[f64] {
        let stride = self.samples * self.width;
        &self.values[row * stride..(row + 1) * stride]
    }
}

/// `f(x; theta)` for every row of `x` (`[n, input_dim]`) and every sample (`samples` is `[s, P]`), samples in parallel.
///
/// # Errors
/// If there is no sample, or a length does not fit the network.
pub fn network_outputs<T: Scalar>(
    network: &dyn Network,
    samples: &[T],
    x: &[f64],
) -> Result<Outputs> {
    let (dim, d, width) = (network.dim(), network.input_dim(), network.output_dim());
    if samples.is_empty() || !samples.len().is_multiple_of(dim) {
        let expected = format!("samples of {dim} parameters, at least one");
        return Err(Error::shape(
            "network_outputs",
            expected,
            format!("{} numbers", samples.len()),
        ));
    }
    if !x.len().is_multiple_of(d) {
        let got = format!("{} numbers", x.len());
        return Err(Error::shape(
            "network_outputs",
            format!("rows of {d} features"),
            got,
        ));
    }
    let rows = x.len() / d;
    let count = samples.len() / dim;
    let chunk = rows.clamp(1, CHUNK);
    if rows.saturating_mul(count).saturating_mul(width) > MAX_NUMBERS {
        let value = format!("{rows} rows x {count} samples x {width} outputs");
        let requirement = "must be at most 2^30 numbers: fewer samples, or fewer rows at a time";
        return Err(Error::config("predictions", value, requirement));
    }
    let graph = Graph::new();
    let theta = graph.input(&[dim]);
    let inputs = graph.input(&[chunk, d]);
    let program = graph.compile::<T>(&[network.forward(theta, inputs)])?;
    // the last chunk is filled up with zeros, whose outputs are not read
    let padded = rows.div_ceil(chunk) * chunk * d;
    let mut features: Vec<T> = x.iter().map(|&v| T::from_f64(v)).collect();
    if let Some(at) = features.iter().position(|&v| !Scalar::is_finite(v)) {
        let (row, column) = (at / d, at % d);
        return Err(Error::data(format!(
            "row {row}, feature {column} (both from 0): {:e} is outside the range of {}",
            x[at],
            T::NAME
        )));
    }
    features.resize(padded, T::ZERO);

    let per_sample: Vec<Vec<T>> = samples
        .par_chunks_exact(dim)
        .map_init(
            || program.workspace(),
            |ws, theta| {
                let mut all = Vec::with_capacity(rows * width);
                for block in features.chunks_exact(chunk * d) {
                    program.run(&[theta, block], ws)?;
                    let left = rows * width - all.len();
                    let outputs = program.tensor(ws, 0);
                    all.extend_from_slice(&outputs[..left.min(outputs.len())]);
                }
                Ok(all)
            },
        )
        .collect::<Result<_>>()?;
    let mut values = Vec::with_capacity(rows * count * width);
    for row in 0..rows {
        for sample in &per_sample {
            let one = &sample[row * width..(row + 1) * width];
            values.extend(one.iter().map(|v| v.to_f64()));
        }
    }
    if let Some(index) = values.iter().position(|v| !v.is_finite()) {
        let row = index / (count * width).max(1);
        return Err(Error::data(format!(
            "row {row} (from 0): the network's output is not finite; its features are far outside those of training"
        )));
    }
    Ok(Outputs {
        rows,
        samples: count,
        width,
        values,
    })
}
