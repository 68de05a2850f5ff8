//! Network outputs for many parameter samples and many rows: the part of a prediction that costs time.

use rayon::prelude::*;

use crate::autodiff::Graph;
use crate::error::{Error, Result};
use crate::nn::Network;
use crate::scalar::Scalar;

/// Most rows that are computed at once: this, times samples and outputs, is the memory that a prediction's results take.
const BLOCK: usize = 1024;

/// Most numbers in the widest layer of such a block: images take much more room than the rows of a table.
const BLOCK_NUMBERS: usize = 1 << 20;

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

    /// The logit of class 1 of two classes, as logits of both.
    pub fn two_logits(&self) -> Self {
        Self {
            rows: self.rows,
            samples: self.samples,
            width: 2,
            values: self.values.iter().flat_map(|&o| [0.0, o]).collect(),
        }
    }
}

/// `f(x; theta)` for every row of `x` (`[n, input_dim]`) and every sample (`samples` is `[s, P]`), handed to `use_block` in
/// blocks of at most 1,024 rows, fewer where a row needs much room ([`Network::widest`]), in order. Samples are computed in
/// parallel; memory does not grow with the number of rows.
///
/// # Errors
/// If there is no sample, a length does not fit the network, an output is not finite (the row is named), or `use_block`
/// fails.
pub fn network_outputs<T: Scalar>(
    network: &dyn Network,
    samples: &[T],
    x: &[f64],
    use_block: impl FnMut(&Outputs) -> Result<()>,
) -> Result<()> {
    outputs(network, None, samples, x, use_block)
}

/// The same of the network linearised at `at` (`[P]`): `f(x; at) + J(x; at) (theta - at)`. Where samples are draws of a Gaussian around `at`, this is the linearised (GLM)
/// predictive of its Laplace approximation (Immer, Korzepa & Bauer 2021), one Jacobian-vector product a draw: no covariance of outputs is formed, so any structure will do.
///
/// # Errors
/// Those of [`network_outputs`], and if `at` has another length.
pub fn linearised_outputs<T: Scalar>(
    network: &dyn Network,
    at: &[T],
    samples: &[T],
    x: &[f64],
    use_block: impl FnMut(&Outputs) -> Result<()>,
) -> Result<()> {
    if at.len() != network.dim() {
        let op = "linearised_outputs: the point";
        return Err(Error::shape(op, network.dim(), at.len()));
    }
    outputs(network, Some(at), samples, x, use_block)
}

fn outputs<T: Scalar>(
    network: &dyn Network,
    linear_at: Option<&[T]>,
    samples: &[T],
    x: &[f64],
    mut use_block: impl FnMut(&Outputs) -> Result<()>,
) -> Result<()> {
    let (dim, d, width) = (network.dim(), network.input_dim(), network.output_dim());
    if samples.is_empty() || !samples.len().is_multiple_of(dim) {
        let expected = format!("samples of {dim} parameters, at least one");
        let got = format!("{} numbers", samples.len());
        return Err(Error::shape("network_outputs", expected, got));
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
    let block = rows.clamp(1, (BLOCK_NUMBERS / network.widest().max(1)).clamp(1, BLOCK));
    let graph = Graph::new();
    let theta = graph.input(&[dim]);
    let inputs = graph.input(&[d, block]).batch_first();
    let program = match linear_at {
        None => graph.compile::<T>(&[network.forward(theta, inputs)])?,
        Some(_) => {
            let step = graph.input(&[dim]);
            let f = network.forward(theta, inputs);
            let change = graph.jvp(f, theta, step)?;
            graph.compile::<T>(&[f + change])?
        }
    };
    for first in (0..rows).step_by(block) {
        let here = block.min(rows - first);
        // the last block is filled up with zeros, whose outputs are not read
        let mut features = vec![T::ZERO; block * d];
        for (at, &v) in x[first * d..(first + here) * d].iter().enumerate() {
            let (row, column) = (at / d, at % d);
            let value = T::from_f64(v);
            if !Scalar::is_finite(value) {
                let (row, name) = (first + row, T::NAME);
                return Err(Error::data(format!(
                    "row {row}, feature {column} (both from 0): {v:e} is outside the range of {name}"
                )));
            }
            features[column * block + row] = value;
        }
        let per_sample: Vec<Vec<T>> = samples
            .par_chunks_exact(dim)
            .map_init(
                || (program.workspace(), vec![T::ZERO; dim]),
                |(ws, step), theta| {
                    match linear_at {
                        None => program.run(&[theta, &features], ws)?,
                        Some(at) => {
                            for ((s, &theta), &at) in step.iter_mut().zip(theta).zip(at) {
                                *s = theta - at;
                            }
                            program.run(&[at, &features, &*step], ws)?;
                        }
                    }
                    Ok(program.tensor(ws, 0)[..here * width].to_vec())
                },
            )
            .collect::<Result<_>>()?;
        let mut values = Vec::with_capacity(here * per_sample.len() * width);
        for row in 0..here {
            for sample in &per_sample {
                let one = &sample[row * width..(row + 1) * width];
                values.extend(one.iter().map(|v| v.to_f64()));
            }
        }
        let stride = per_sample.len() * width;
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::data(format!(
                "row {} (from 0): the network's output is not finite; its features are far outside those of training",
                first + at / stride.max(1)
            )));
        }
        use_block(&Outputs {
            rows: here,
            samples: per_sample.len(),
            width,
            values,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Activation, Mlp};

    #[test]
    fn blocks_are_in_order_and_do_not_change_a_number() {
        let net = Mlp::new(&[2, 3, 2], Activation::Tanh).unwrap();
        let samples: Vec<f64> = (0..2 * net.dim()).map(|i| (i as f64).sin()).collect();
        let x: Vec<f64> = (0..2 * 2_500).map(|i| (i as f64 * 0.3).cos()).collect();
        let mut blocks = Vec::new();
        let mut all = Vec::new();
        network_outputs(&net, &samples, &x, |block| {
            blocks.push(block.rows);
            all.extend_from_slice(&block.values);
            Ok(())
        })
        .unwrap();
        assert_eq!(blocks, [1024, 1024, 452]);
        // one row at a time, another way through the matrix products
        for row in [0, 1_023, 1_024, 2_499] {
            network_outputs(&net, &samples, &x[2 * row..2 * row + 2], |block| {
                for (got, want) in block.row(0).iter().zip(&all[4 * row..]) {
                    assert!((got - want).abs() < 1e-14);
                }
                Ok(())
            })
            .unwrap();
        }
        // rows that need much room come in smaller blocks
        let wide = Mlp::new(&[4_096, 1], Activation::Tanh).unwrap();
        let theta: Vec<f64> = (0..wide.dim()).map(|i| (i as f64).cos()).collect();
        let rows: Vec<f64> = (0..600 * 4_096).map(|i| (i as f64 * 0.7).sin()).collect();
        let mut blocks = Vec::new();
        network_outputs(&wide, &theta, &rows, |block| {
            let first = 256 * blocks.len();
            blocks.push(block.rows);
            for row in [0, block.rows - 1] {
                let x = &rows[(first + row) * 4_096..];
                let want = x
                    .iter()
                    .zip(&theta)
                    .map(|(x, w)| x * w)
                    .take(4_096)
                    .sum::<f64>();
                assert!((block.row(row)[0] - want - theta[4_096]).abs() < 1e-9);
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(blocks, [256, 256, 88]);
        let mut far = x.clone();
        far[2 * 2_000 + 1] = f64::INFINITY;
        let error = network_outputs(&net, &samples, &far, |_| Ok(()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("row 2000, feature 1"), "{error}");
    }

    #[test]
    fn the_linearised_network_is_linear_and_touches_at_the_point() {
        let net = Mlp::new(&[2, 5, 3], Activation::Tanh).unwrap();
        let at: Vec<f64> = (0..net.dim()).map(|i| (i as f64).sin()).collect();
        let step: Vec<f64> = (0..net.dim()).map(|i| (i as f64 * 0.7).cos()).collect();
        let moved = |h: f64| -> Vec<f64> { at.iter().zip(&step).map(|(a, s)| a + h * s).collect() };
        let samples = [
            at.clone(),
            moved(1.0),
            moved(-2.0),
            moved(1e-5),
            moved(-1e-5),
        ]
        .concat();
        let x: Vec<f64> = (0..2 * 4).map(|i| (i as f64 * 0.3).cos()).collect();
        let all = |linear: bool| {
            let mut all = Vec::new();
            let keep = |block: &Outputs| {
                all.extend_from_slice(&block.values);
                Ok(())
            };
            match linear {
                true => linearised_outputs(&net, &at, &samples, &x, keep).unwrap(),
                false => network_outputs(&net, &samples, &x, keep).unwrap(),
            }
            all
        };
        let (linear, exact) = (all(true), all(false));
        for (l, f) in linear.chunks_exact(15).zip(exact.chunks_exact(15)) {
            for c in 0..3 {
                let slope = (f[9 + c] - f[12 + c]) / 2e-5;
                assert!((l[c] - f[c]).abs() < 1e-14);
                assert!((l[3 + c] - l[c] - slope).abs() < 1e-8);
                assert!((l[6 + c] - l[c] + 2.0 * slope).abs() < 1e-8);
            }
        }
        assert!(linearised_outputs(&net, &at[1..], &samples, &x, |_| Ok(())).is_err());
    }
}
