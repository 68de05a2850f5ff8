//! The Kronecker factors, summed over blocks of rows.
//!
//! Eight blocks are computed in parallel at a time, and added up in order.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::layers::{Layer, Layers};
use super::{KfacBias, KfacOptions};
use crate::curvature::roots::{BLOCK, OutputRoots, RowOutputs, Supervised, columns};
use crate::error::{Error, Result, counted};
use crate::parallel;
use crate::scalar::Scalar;

/// `A (x) B` for some parameters: those of a layer, of one of its groups, or of its bias.
#[derive(Clone, Debug, PartialEq)]
pub struct KroneckerBlock {
    /// Index of parameter `(i, j)` in `theta`: input `i`, output `j`, `[a, b]` row-major.
    pub index: Vec<usize>,
    /// `A`, `[a, a]` row-major.
    pub input_factor: Vec<f64>,
    /// `B`, `[b, b]` row-major.
    pub output_factor: Vec<f64>,
}

impl KroneckerBlock {
    /// Orders `a` and `b` of the factors.
    pub fn orders(&self) -> [usize; 2] {
        [&self.input_factor, &self.output_factor].map(|f| f.len().isqrt())
    }
}

/// A Gauss-Newton matrix as blocks `A (x) B`.
#[derive(Clone, Debug, PartialEq)]
pub struct KroneckerFactors {
    dim: usize,
    blocks: Vec<KroneckerBlock>,
}

/// Blocks of rows computed at once.
const AT_ONCE: usize = 8;

/// Sums of one layer, group by group.
struct Sums {
    a: Vec<f64>,
    b: Vec<f64>,
}

impl KroneckerFactors {
    /// The factors at `theta`.
    ///
    /// # Errors
    /// If lengths do not fit, an output is not finite, or a parameter is neither the weight nor the
    /// bias of a linear layer or a convolution (each used once). The last error names the
    /// parameter.
    pub fn new<T: Scalar>(
        data: &Supervised<'_>,
        theta: &[T],
        options: KfacOptions,
    ) -> Result<Self> {
        let outputs = RowOutputs::new(data, theta)?;
        let roots = OutputRoots::new(data, &outputs, options.fisher)?;
        Self::from_roots(data, theta, &roots, options.bias)
    }

    /// The factors, with the output curvature of the likelihood already computed.
    pub(crate) fn from_roots<T: Scalar>(
        data: &Supervised<'_>,
        theta: &[T],
        roots: &OutputRoots,
        bias: KfacBias,
    ) -> Result<Self> {
        let dim = data.network.dim();
        if theta.len() != dim {
            let expected = format!("a vector of {}", counted(dim, "parameter"));
            return Err(Error::shape("KroneckerFactors", expected, theta.len()));
        }
        let layers = Layers::<T>::new(data.network)?;
        let n = data.rows();
        let weights = data.likelihood.row_weights(data.y);
        let total_weight = weights.as_ref().map_or(n as f64, |w| w.iter().sum());
        let fresh = || -> Vec<Sums> {
            let empty = |l: &Layer| Sums {
                a: vec![0.0; l.groups * l.input_order(bias).pow(2)],
                b: vec![0.0; l.groups * l.outputs * l.outputs],
            };
            layers.layers.iter().map(empty).collect()
        };
        let mut total = fresh();
        let starts: Vec<usize> = (0..n).step_by(BLOCK).collect();
        for some in starts.chunks(AT_ONCE) {
            let parts = parallel::try_map(some.len(), |i| {
                let mut sums = fresh();
                layers.add(
                    data,
                    theta,
                    (roots, weights.as_deref()),
                    some[i],
                    bias,
                    &mut sums,
                )?;
                Ok(sums)
            })?;
            for part in &parts {
                for (to, from) in total.iter_mut().zip(part) {
                    to.a.iter_mut().zip(&from.a).for_each(|(t, f)| *t += f);
                    to.b.iter_mut().zip(&from.b).for_each(|(t, f)| *t += f);
                }
            }
        }
        let each = layers.layers.iter().zip(&total);
        let blocks = each.flat_map(|(l, s)| l.blocks((&s.a, &s.b), total_weight, bias));
        Ok(Self {
            dim,
            blocks: blocks.collect(),
        })
    }

    /// Number of parameters.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The blocks, in the order of the layers. Every parameter is in one of them.
    pub fn blocks(&self) -> &[KroneckerBlock] {
        &self.blocks
    }
}

impl<T: Scalar> Layers<T> {
    /// Adds the contributions of one block of rows, layer by layer.
    fn add(
        &self,
        data: &Supervised<'_>,
        theta: &[T],
        (roots, weights): (&OutputRoots, Option<&[f64]>),
        first: usize,
        bias: KfacBias,
        sums: &mut [Sums],
    ) -> Result<()> {
        let n = data.rows();
        let here = BLOCK.min(n - first);
        let x = columns::<T>(data.x, n, first, BLOCK);
        let mut ws = self.inputs.workspace();
        self.inputs.run(&[theta, &x, &[T::ONE]], &mut ws)?;
        for (l, (layer, sums)) in self.layers.iter().zip(sums.iter_mut()).enumerate() {
            let order = layer.input_order(bias);
            let input = self.inputs.tensor(&ws, l)?;
            add_products(
                &mut sums.a,
                (layer.groups, order, here * layer.uses()),
                |g, i, out| {
                    layer.patches(input, (g, i), out);
                    if let Some(weights) = weights {
                        // the vectors of the second factor have the root of the weight already
                        let root = weights[first + i].sqrt();
                        out.iter_mut().for_each(|x| *x *= root);
                    }
                },
                here,
            );
        }
        let mut ws = self.cotangents.workspace();
        let mut u = vec![T::ZERO; roots.outputs * BLOCK];
        for r in 0..roots.rank {
            for i in 0..here {
                for (k, &c) in roots.vector(first + i, r).iter().enumerate() {
                    u[k * BLOCK + i] = T::from_f64(c);
                }
            }
            self.cotangents.run(&[theta, &x, &u, &[T::ONE]], &mut ws)?;
            for (l, (layer, sums)) in self.layers.iter().zip(sums.iter_mut()).enumerate() {
                let cotangent = self.cotangents.tensor(&ws, l)?;
                add_products(
                    &mut sums.b,
                    (layer.groups, layer.outputs, here * layer.uses()),
                    |g, i, out| layer.slopes(cotangent, (g, i), out),
                    here,
                );
            }
        }
        Ok(())
    }
}

/// Approximate number of values in a matrix of columns.
const COLUMNS: usize = 1 << 16;

/// `sum[g] += V_g V_g^T`. `fill` writes the columns of `V_g` `[order, columns]` for one row of
/// data. Several rows are multiplied at a time.
fn add_products(
    sums: &mut [f64],
    (groups, order, columns): (usize, usize, usize),
    fill: impl Fn(usize, usize, &mut [f64]),
    rows: usize,
) {
    let uses = columns / rows.max(1);
    let size = order * uses;
    if size == 0 {
        return;
    }
    let at_once = (COLUMNS / size).clamp(1, rows);
    let mut one = vec![0.0; size];
    // [order, rows, uses]: a row of data is a run of columns
    let mut all = vec![0.0; at_once * size];
    for (g, sum) in sums
        .chunks_exact_mut(order * order)
        .enumerate()
        .take(groups)
    {
        for first in (0..rows).step_by(at_once) {
            let here = at_once.min(rows - first);
            let width = here * uses;
            for i in 0..here {
                fill(g, first + i, &mut one);
                for (j, from) in one.chunks_exact(uses).enumerate() {
                    all[j * width + i * uses..][..uses].copy_from_slice(from);
                }
            }
            let v = MatRef::from_row_major_slice(&all[..order * width], order, width);
            let out = MatMut::from_row_major_slice_mut(sum, order, order);
            matmul(out, Accum::Add, v, v.transpose(), 1.0, Par::Seq);
        }
    }
}
