//! The dense Gauss-Newton matrix of linear layers, from pairs of inputs and pairs of outputs.
//!
//! In a layer `s^l = a^l W_l`, a bias is a weight whose input is 1. Every row `s_nr` of `S` is an
//! outer product of `a^l_n` and `g^l_nr = (ds^l_n/do_n)^T c_nr`, so
//!
//! `G[(l, i, o), (m, j, p)] = sum_n a^l_ni a^m_nj M_n[(l, o), (m, p)]`, `M_n = sum_r g_nr g_nr^T`.
//!
//! For every two layers this is one matrix product: pairs `(i, j)` of inputs by rows of data, times
//! rows of data by pairs `(o, p)` of outputs. If `l = m`, only `i >= j` and `o >= p` are computed.
//! The vectors `c_nr` are summed in `M_n` before this product. A layer of `d` inputs (the bias
//! included) and `u` outputs takes `d (d + 1) u (u + 1) / 2` FLOP per row. Two layers take
//! `2 d_l d_m u_l u_m`. Adding up `s_nr s_nr^T` instead takes `R (d u)^2` and
//! `2 R d_l u_l d_m u_m`.
//!
//! | FLOP per row (`R`) | by rows | by pairs |
//! |---|---|---|
//! | 18-50-4, four classes (3) | 3,995,000 | 898,000 |
//! | its last layer alone (3) | 125,000 | 26,500 |
//! | 2-16-16-2, two classes (1) | 125,000 | 92,000 |
//!
//! For one layer, the sums hold about a fourth of the entries of its block. For two layers, they
//! hold one of the two mirrored blocks. The sums are spread over the matrix at the end, so they
//! need up to half a matrix of extra memory.

use std::ops::Range;

use crate::curvature::kfac::Layers;
use crate::curvature::roots::{BLOCK, OutputRoots, Supervised, columns};
use crate::error::Result;
use crate::linalg::product::{self, Inner, Piece, Rows};
use crate::parallel::{self, Pool};
use crate::scalar::Scalar;

/// Values of inputs and derivatives in memory at once, and the largest number of row blocks.
const NUMBERS: usize = 1 << 21;
const BLOCKS: usize = 16;

/// Blocks of rows multiplied at once, and the pairs of inputs and of outputs in such a product.
/// Each side takes 384 KiB, so that both fit the second-level cache.
const DEEP: usize = 8;
const LEFT: usize = 96;
const RIGHT: usize = 96;

/// Writing out one product of a pair costs as much as this many FLOP of the matrix product.
const PRODUCT: usize = 4;

/// One layer: its parameter `(i, o)` lies at `start + i * outputs + o` of the matrix.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    /// Number of inputs, the bias included.
    inputs: usize,
    outputs: usize,
}

/// The layers of `range`, with the programs for their inputs and derivatives.
pub(super) struct LinearLayers<T> {
    layers: Layers<T>,
    places: Vec<Place>,
}

impl<T: Scalar> LinearLayers<T> {
    /// The layers, if all parameters of `range` belong to linear layers that are used once, and
    /// pairs take less work than rows.
    pub(super) fn find(data: &Supervised<'_>, range: Range<usize>, rank: usize) -> Option<Self> {
        Self::all(data, range).filter(|all| all.are_less_work(rank))
    }

    /// True if pairs take less work than rows.
    pub(super) fn are_less_work(&self, rank: usize) -> bool {
        let q: usize = self.places.iter().map(|p| p.inputs * p.outputs).sum();
        // with rank 0, rows take no work at all, so pairs cannot take less
        work_of_pairs(&self.places, rank) < rank * q * q
    }

    /// The layers, if all parameters of `range` belong to linear layers that are used once.
    pub(super) fn all(data: &Supervised<'_>, range: Range<usize>) -> Option<Self> {
        // a layer of another kind is not an error: the caller falls back to rows
        let layers = Layers::<T>::within(data.network, range.clone()).ok()?;
        let mut places = Vec::new();
        let mut end = 0;
        for layer in &layers.layers {
            let (start, bias) = layer.linear()?;
            let place = Place {
                start: start.checked_sub(range.start)?,
                inputs: layer.inputs + usize::from(bias),
                outputs: layer.outputs,
            };
            if place.start != end || place.inputs == 0 || place.outputs == 0 {
                return None;
            }
            end += place.inputs * place.outputs;
            places.push(place);
        }
        (end == range.len()).then_some(Self { layers, places })
    }

    /// The matrix, `[q, q]` row-major.
    pub(super) fn matrix(
        &self,
        data: &Supervised<'_>,
        theta: &[T],
        roots: &OutputRoots,
    ) -> Result<Vec<f64>> {
        let mut pairs = Vec::new();
        for l in 0..self.places.len() {
            pairs.extend((0..=l).map(|m| LayerPair::new(&self.places, l, m)));
        }
        // buffers shared by all threads; a task overwrites whatever it finds there
        let memory = Pool::new();
        let make = || vec![0.0; (LEFT + RIGHT) * DEEP * BLOCK];
        let widths = self.places.iter();
        let numbers: usize = widths.map(|p| p.inputs + roots.rank * p.outputs).sum();
        let at_once = BLOCK * (NUMBERS / (BLOCK * numbers).max(1)).clamp(1, BLOCKS);
        for first in (0..data.rows()).step_by(at_once) {
            let end = (first + at_once).min(data.rows());
            let starts: Vec<usize> = (first..end).step_by(BLOCK).collect();
            let blocks: Vec<Block> =
                parallel::try_map(starts.len(), |i| self.block(data, theta, roots, starts[i]))?;
            let tasks: Vec<_> = pairs.iter_mut().flat_map(LayerPair::tasks).collect();
            parallel::try_for_each(tasks, |_, task| {
                memory.with(make, |own| {
                    task.add(&blocks, roots.rank, own);
                    Ok(())
                })
            })?;
        }
        Ok(spread(&self.places, &pairs))
    }

    /// Inputs and derivatives of the rows from `first`.
    fn block(
        &self,
        data: &Supervised<'_>,
        theta: &[T],
        roots: &OutputRoots,
        first: usize,
    ) -> Result<Block> {
        let n = data.rows();
        let rows = BLOCK.min(n - first);
        let x = columns::<T>(data.x, n, first, BLOCK);
        let copy = |tensor: &[T], to: &mut Vec<f64>| {
            for row in tensor.chunks_exact(BLOCK) {
                to.extend(row[..rows].iter().map(|v| v.to_f64()));
            }
        };
        let (inputs, cotangents) = (&self.layers.inputs, &self.layers.cotangents);
        let mut ws = inputs.workspace();
        inputs.run(&[theta, &x, &[T::ONE]], &mut ws)?;
        let mut block = Block {
            rows,
            inputs: Vec::with_capacity(self.places.len()),
            slopes: vec![Vec::new(); self.places.len()],
        };
        for (l, place) in self.places.iter().enumerate() {
            let mut all = Vec::with_capacity(place.inputs * rows);
            copy(inputs.tensor(&ws, l)?, &mut all);
            // the input of the bias
            all.resize(place.inputs * rows, 1.0);
            block.inputs.push(all);
        }
        let mut ws = cotangents.workspace();
        let mut u = vec![T::ZERO; roots.outputs * BLOCK];
        for r in 0..roots.rank {
            for i in 0..rows {
                for (k, &c) in roots.vector(first + i, r).iter().enumerate() {
                    u[k * BLOCK + i] = T::from_f64(c);
                }
            }
            cotangents.run(&[theta, &x, &u, &[T::ONE]], &mut ws)?;
            for (l, to) in block.slopes.iter_mut().enumerate() {
                copy(cotangents.tensor(&ws, l)?, to);
            }
        }
        Ok(block)
    }
}

/// Inputs and derivatives of some rows of data, layer by layer.
struct Block {
    rows: usize,
    /// `[inputs, rows]` for each layer. The last input is 1 if there is a bias.
    inputs: Vec<Vec<f64>>,
    /// `[R, outputs, rows]` for each layer.
    slopes: Vec<Vec<f64>>,
}

fn triangle(n: usize) -> usize {
    n * (n + 1) / 2
}

/// Numbers of input pairs and of output pairs of two layers.
fn counts(places: &[Place], l: usize, m: usize) -> [usize; 2] {
    let (a, b) = (places[l], places[m]);
    if l == m {
        [triangle(a.inputs), triangle(a.outputs)]
    } else {
        [a.inputs * b.inputs, a.outputs * b.outputs]
    }
}

/// FLOP per row, plus the cost of writing out pairs: input pairs once, output pairs once for every
/// [`LEFT`] input pairs.
fn work_of_pairs(places: &[Place], rank: usize) -> usize {
    let two = |l: usize, m: usize| {
        let [left, right] = counts(places, l, m);
        2 * left * right + PRODUCT * (left + left.div_ceil(LEFT) * rank * right)
    };
    let all = (0..places.len()).flat_map(|l| (0..=l).map(move |m| two(l, m)));
    all.sum()
}

/// The sums for two layers `l >= m`.
struct LayerPair {
    layers: [usize; 2],
    /// Numbers of inputs of both layers, then numbers of outputs.
    orders: [[usize; 2]; 2],
    inputs: Vec<(usize, usize)>,
    outputs: Vec<(usize, usize)>,
    /// `[input pairs, output pairs]`.
    sums: Vec<f64>,
}

/// Some pairs of inputs, with all pairs of outputs.
struct Task<'a> {
    layers: [usize; 2],
    orders: [[usize; 2]; 2],
    inputs: &'a [(usize, usize)],
    outputs: &'a [(usize, usize)],
    sums: &'a mut [f64],
}

impl LayerPair {
    fn new(places: &[Place], l: usize, m: usize) -> Self {
        let pairs = |left: usize, right: usize| -> Vec<(usize, usize)> {
            let to = |i: usize| if l == m { i + 1 } else { right };
            let all = (0..left).flat_map(|i| (0..to(i)).map(move |j| (i, j)));
            all.collect()
        };
        let [left, right] = counts(places, l, m);
        let (a, b) = (places[l], places[m]);
        Self {
            layers: [l, m],
            orders: [[a.inputs, b.inputs], [a.outputs, b.outputs]],
            inputs: pairs(a.inputs, b.inputs),
            outputs: pairs(a.outputs, b.outputs),
            sums: vec![0.0; left * right],
        }
    }

    /// Splits the input pairs into runs of about equal length.
    fn tasks(&mut self) -> Vec<Task<'_>> {
        let count = self.inputs.len().div_ceil(LEFT).max(1);
        let size = self.inputs.len().div_ceil(count).max(1);
        let (layers, orders, outputs) = (self.layers, self.orders, &self.outputs[..]);
        let width = (size * outputs.len()).max(1);
        let parts = self.inputs.chunks(size).zip(self.sums.chunks_mut(width));
        parts
            .map(|(inputs, sums)| Task {
                layers,
                orders,
                inputs,
                outputs,
                sums,
            })
            .collect()
    }
}

impl Task<'_> {
    /// Adds the contributions of the blocks, in order. `memory` holds the pairs that are written
    /// out.
    fn add(self, blocks: &[Block], rank: usize, memory: &mut [f64]) {
        let [l, m] = self.layers;
        let count = self.inputs.len();
        let (left, right) = memory.split_at_mut(LEFT * DEEP * BLOCK);
        for blocks in blocks.chunks(DEEP) {
            let depth: usize = blocks.iter().map(|b| b.rows).sum();
            let left = &mut left[..count * depth];
            let inputs = |b| inputs_of(b, l, m);
            write_products(self.inputs, (self.orders[0], 1), blocks, inputs, left);
            for (some, first) in self.outputs.chunks(RIGHT).zip((0..).step_by(RIGHT)) {
                let right = &mut right[..some.len() * depth];
                let slopes = |b| slopes_of(b, l, m);
                write_products(some, (self.orders[1], rank), blocks, slopes, right);
                product::run(Inner {
                    m: count,
                    n: some.len(),
                    pieces: &[Piece {
                        a: 0,
                        b: 0,
                        len: depth,
                    }],
                    a: left,
                    a_rows: Rows::Every(depth),
                    b: right,
                    b_row: depth,
                    c: &mut self.sums[first..],
                    c_row: self.outputs.len(),
                    c_col: 1,
                });
            }
        }
    }
}

fn inputs_of(block: &Block, l: usize, m: usize) -> [&[f64]; 2] {
    [&block.inputs[l], &block.inputs[m]]
}

fn slopes_of(block: &Block, l: usize, m: usize) -> [&[f64]; 2] {
    [&block.slopes[l], &block.slopes[m]]
}

/// Writes `sum_r v_ri w_rj` for every pair, with rows of data side by side: `[pairs, depth]`. `v`
/// and `w` are `[rank, order, rows]` in every block.
fn write_products<'a>(
    pairs: &[(usize, usize)],
    (orders, rank): ([usize; 2], usize),
    blocks: &'a [Block],
    factors: impl Fn(&'a Block) -> [&'a [f64]; 2],
    out: &mut [f64],
) {
    let depth = out.len() / pairs.len().max(1);
    let mut at = 0;
    for block in blocks {
        let (rows, [v, w]) = (block.rows, factors(block));
        for (&(i, j), out) in pairs.iter().zip(out.chunks_exact_mut(depth)) {
            let out = &mut out[at..at + rows];
            for r in 0..rank {
                let v = &v[(r * orders[0] + i) * rows..][..rows];
                let w = &w[(r * orders[1] + j) * rows..][..rows];
                let products = v.iter().zip(w).map(|(v, w)| v * w);
                if r == 0 {
                    out.iter_mut().zip(products).for_each(|(o, p)| *o = p);
                } else {
                    out.iter_mut().zip(products).for_each(|(o, p)| *o += p);
                }
            }
        }
        at += rows;
    }
}

/// The matrix, filled from the sums. Its rows are filled in parallel.
fn spread(places: &[Place], pairs: &[LayerPair]) -> Vec<f64> {
    let q = places.iter().map(|p| p.inputs * p.outputs).sum();
    let mut matrix = vec![0.0; q * q];
    let mut rows = Vec::with_capacity(q);
    for (l, place) in places.iter().enumerate() {
        let units = (0..place.inputs).flat_map(|i| (0..place.outputs).map(move |o| (i, o)));
        rows.extend(units.map(|(i, o)| (l, i, o)));
    }
    // some rows at a time, as a short one takes less than a microsecond
    let some = matrix.chunks_mut(16 * q.max(1)).zip(rows.chunks(16));
    parallel::for_each(some, |_, (some, rows)| {
        for (row, &(l, i, o)) in some.chunks_mut(q.max(1)).zip(rows) {
            let mut rest = row;
            for (m, other) in places.iter().enumerate() {
                let (part, behind) = rest.split_at_mut(other.inputs * other.outputs);
                rest = behind;
                let sums = &pairs[triangle(l.max(m)) + l.min(m)];
                for (j, out) in part.chunks_exact_mut(other.outputs).enumerate() {
                    sums.write([l, m], [i, j], o, out);
                }
            }
        }
    });
    matrix
}

impl LayerPair {
    /// Writes the entries between output `o` of input `i` in layer `l` and all outputs of input `j`
    /// in layer `m`.
    fn write(&self, [l, m]: [usize; 2], [i, j]: [usize; 2], o: usize, out: &mut [f64]) {
        let width = self.outputs.len();
        let line = |at: usize| &self.sums[at * width..(at + 1) * width];
        if l == m {
            let line = line(triangle(i.max(j)) + i.min(j));
            out[..=o].copy_from_slice(&line[triangle(o)..][..=o]);
            for (p, out) in out.iter_mut().enumerate().skip(o + 1) {
                *out = line[triangle(p) + o];
            }
        } else if l > m {
            let line = line(i * self.orders[0][1] + j);
            out.copy_from_slice(&line[o * out.len()..][..out.len()]);
        } else {
            let line = &line(j * self.orders[0][1] + i)[o..];
            let column = line.iter().step_by(self.orders[1][1]);
            out.iter_mut().zip(column).for_each(|(out, x)| *out = *x);
        }
    }
}
