//! Broadcasting, its transpose the sum, and the log-sum-exp of rows.

use super::Op;
use super::batch::{front_to_last, with_rank};
use crate::autodiff::graph::Var;
use crate::autodiff::shape::{broadcast, broadcast_strides, numel, show};
use crate::error::Error;
use crate::linalg::product::{self, RowSums};
use crate::scalar::Scalar;

impl<'g> Var<'g> {
    /// Stretches to `shape` (extents aligned at the right; 1 stretches). No copy where the consumer can do without.
    pub fn broadcast_to(self, shape: &[usize]) -> Var<'g> {
        let own = self.shape();
        if own == shape {
            return self;
        }
        if broadcast(&own, shape).as_deref() != Some(shape) {
            let error = Error::shape(
                "broadcast_to",
                format!("a shape that stretches to {shape:?}"),
                show(&own),
            );
            return self.graph.fail(error);
        }
        if self.leads(shape) {
            let memory = self.to_memory(shape.len());
            return memory.broadcast_to(&front_to_last(shape)).batch_first();
        }
        let node = self.graph.node(self.id);
        let base = match node.op {
            Op::Broadcast => node.args[0],
            _ => self.id,
        };
        self.graph.push(Op::Broadcast, &[base], shape.to_vec())
    }

    /// Sums to `shape`, a shape that broadcasts to this one.
    pub fn sum_to(self, shape: &[usize]) -> Var<'g> {
        let own = self.shape();
        if own == shape {
            return self;
        }
        if broadcast(shape, &own).as_deref() != Some(&own) {
            let error = Error::shape(
                "sum_to",
                format!("a shape that stretches to {own:?}"),
                show(shape),
            );
            return self.graph.fail(error);
        }
        if let Some(c) = self.graph.as_constant(self.id) {
            // an empty tensor sums to zero, whatever it is filled with
            let count = if numel(shape) == 0 {
                0
            } else {
                numel(&own) / numel(shape)
            };
            return self.graph.full(shape, c * count as f64);
        }
        // a sum of everything is one number in f64, whatever its shape
        if numel(shape) == 1 && !shape.is_empty() {
            return self.sum().reshape(shape);
        }
        if let Some(memory) = self.stored().filter(|_| !shape.is_empty()) {
            let kept = with_rank(shape, own.len());
            return memory
                .sum_to(&front_to_last(&kept))
                .batch_first()
                .reshape(shape);
        }
        let summed = self.stored().unwrap_or(self);
        self.graph.push(Op::SumTo, &[summed.id], shape.to_vec())
    }

    /// Sum of all elements, a scalar; accumulated in f64.
    pub fn sum(self) -> Var<'g> {
        self.sum_to(&[])
    }

    /// Mean of all elements, a scalar; accumulated in f64.
    pub fn mean(self) -> Var<'g> {
        self.sum() / numel(&self.shape()) as f64
    }

    /// Sum along one axis, which goes.
    pub fn sum_axis(self, axis: usize) -> Var<'g> {
        let mut shape = self.shape();
        if axis >= shape.len() {
            let error = Error::shape("sum_axis", format!("an axis below {}", shape.len()), axis);
            return self.graph.fail(error);
        }
        shape[axis] = 1;
        let kept = self.sum_to(&shape);
        shape.remove(axis);
        kept.reshape(&shape)
    }

    /// `log sum exp` of the last axis, which stays with extent 1. Shifted by the maximum, so it does not overflow.
    pub fn logsumexp(self) -> Var<'g> {
        let shape = self.shape();
        match (shape.last(), self.stored()) {
            (None | Some(0), _) => {
                let error = Error::shape("logsumexp", "a last axis of at least 1", show(&shape));
                self.graph.fail(error)
            }
            (_, None) => self.logsumexp_along(shape.len() - 1),
            (_, Some(memory)) => memory.logsumexp_along(shape.len() - 2).batch_first(),
        }
    }

    /// Along `axis`, which exists and is not empty.
    fn logsumexp_along(self, axis: usize) -> Var<'g> {
        let mut shape = self.shape();
        shape[axis] = 1;
        self.graph.push(Op::LogSumExp { axis }, &[self.id], shape)
    }

    /// `x - logsumexp(x)` along the last axis.
    pub fn log_softmax(self) -> Var<'g> {
        self - self.logsumexp()
    }

    /// `exp(log_softmax(x))`: positive, and summing to one along the last axis.
    pub fn softmax(self) -> Var<'g> {
        self.log_softmax().exp()
    }
}

/// Probabilities below this are zero in gradients. Rows that a network is certain about have residuals of such size, and their products are
/// below the normal range of f32, where arithmetic takes up to a hundred times as long: walks with large scales took twice
/// the time.
const NEGLIGIBLE: f64 = 1e-28;

/// `g softmax(x)`, the softmax as `exp(x - y)` for `y = logsumexp(x)`, less what is negligible.
pub(super) fn log_sum_exp_vjp<'g>(y: Var<'g>, x: Var<'g>, g: Var<'g>) -> Var<'g> {
    g * ((x - y).exp() - NEGLIGIBLE).relu()
}

/// Sum of everything in f64, in eight interleaved lanes: a fixed order, and room for vector instructions.
#[inline(always)]
pub(crate) fn sum_all<T: Scalar>(src: &[T]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let chunks = src.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x.to_f64();
        }
    }
    let tail: f64 = rest.iter().map(|x| x.to_f64()).sum();
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h)) + tail
}

/// How a sum to a broadcastable shape is carried out; decided when the graph is compiled.
#[derive(Clone, Debug)]
pub(crate) enum SumPlan {
    /// The leading axes go: rows of `inner` numbers are added up.
    Rows { inner: usize },
    /// Runs of `summed` numbers become one; runs add in turn to each number of the result.
    Runs { summed: usize },
    /// Any mixture: extents of the source, strides of the result along them.
    Strided {
        extents: Vec<usize>,
        strides: Vec<usize>,
    },
}

impl SumPlan {
    /// The plan for a source of shape `from` and a result of shape `to`.
    pub(crate) fn new(from: &[usize], to: &[usize]) -> Self {
        let strides = broadcast_strides(to, from);
        let axes = || strides.iter().zip(from).rev();
        let inner = axes()
            .take_while(|&(&s, &n)| s != 0 || n == 1)
            .map(|(_, &n)| n)
            .product();
        if numel(to) == inner {
            return SumPlan::Rows { inner };
        }
        let summed: usize = axes()
            .take_while(|&(&s, n)| s == 0 || *n == 1)
            .map(|(_, &n)| n)
            .product();
        let trailing = axes().take_while(|&(&s, n)| s == 0 || *n == 1).count();
        let kept: usize = axes()
            .skip(trailing)
            .take_while(|&(&s, &n)| s != 0 || n == 1)
            .map(|(_, &n)| n)
            .product();
        if numel(to) == kept {
            return SumPlan::Runs { summed };
        }
        SumPlan::Strided {
            extents: from.to_vec(),
            strides,
        }
    }
}

/// Sums `src` to `dst` as planned.
#[inline(always)]
pub(crate) fn sum_to<T: Scalar>(plan: &SumPlan, src: &[T], dst: &mut [T]) {
    dst.fill(T::ZERO);
    match plan {
        _ if src.is_empty() || dst.is_empty() => {}
        SumPlan::Rows { inner } => {
            for row in src.chunks_exact(*inner) {
                for (d, s) in dst.iter_mut().zip(row) {
                    *d += *s;
                }
            }
        }
        SumPlan::Runs { summed } => product::run(RowSums {
            src,
            len: *summed,
            sums: dst,
        }),
        SumPlan::Strided { extents, strides } => {
            for (position, &x) in src.iter().enumerate() {
                dst[offset(position, extents, strides)] += x;
            }
        }
    }
}

/// Where the element at row-major `position` of a tensor with these extents lies under other strides.
#[inline(always)]
pub(crate) fn offset(position: usize, extents: &[usize], strides: &[usize]) -> usize {
    let mut rest = position;
    let mut at = 0;
    for (&extent, &stride) in extents.iter().zip(strides).rev() {
        at += rest % extent * stride;
        rest /= extent;
    }
    at
}

/// Numbers that are exponentiated together: short rows would leave vector registers empty one by one.
const GROUP: usize = 1024;

/// `log sum exp` of each row of length `cols`. A row of `-inf` gives `-inf`, a NaN in a row gives NaN.
#[inline(always)]
pub(crate) fn log_sum_exp<T: Scalar>(src: &[T], cols: usize, dst: &mut [T]) {
    let mut shifted = [T::ZERO; GROUP];
    let rows = (GROUP / cols).max(1);
    for (src, dst) in src.chunks(rows * cols).zip(dst.chunks_mut(rows)) {
        if cols > GROUP {
            dst[0] = long_row(src);
            continue;
        }
        let shifted = &mut shifted[..src.len()];
        for ((row, out), d) in src
            .chunks_exact(cols)
            .zip(shifted.chunks_exact_mut(cols))
            .zip(&mut *dst)
        {
            *d = shift(row);
            for (o, &x) in out.iter_mut().zip(row) {
                *o = x - *d;
            }
        }
        for x in shifted.iter_mut() {
            *x = x.exp();
        }
        for (row, d) in shifted.chunks_exact(cols).zip(&mut *dst) {
            let mut sum = T::ZERO;
            for &e in row {
                sum += e;
            }
            *d += sum.ln();
        }
    }
}

/// `log sum exp` over the middle axis of `[outer, k, inner]`, vectors along `inner`.
#[inline(always)]
pub(crate) fn log_sum_exp_columns<T: Scalar>(src: &[T], k: usize, inner: usize, dst: &mut [T]) {
    let mut top = [T::ZERO; GROUP];
    let mut sum = [T::ZERO; GROUP];
    for (src, dst) in src.chunks_exact(k * inner).zip(dst.chunks_exact_mut(inner)) {
        for (at, dst) in dst.chunks_mut(GROUP).enumerate() {
            let rows = || {
                src.chunks_exact(inner)
                    .map(|row| &row[at * GROUP..][..dst.len()])
            };
            let (top, sum) = (&mut top[..dst.len()], &mut sum[..dst.len()]);
            for (r, row) in rows().enumerate() {
                for (t, &x) in top.iter_mut().zip(row) {
                    // a NaN loses every comparison; it reaches the result through the sum
                    *t = if r == 0 || x > *t { x } else { *t };
                }
            }
            for t in top.iter_mut() {
                *t = if t.is_finite() { *t } else { T::ZERO };
            }
            sum.fill(T::ZERO);
            for row in rows() {
                for ((s, &t), &x) in sum.iter_mut().zip(&*top).zip(row) {
                    *s += (x - t).exp();
                }
            }
            for ((d, &s), &t) in dst.iter_mut().zip(&*sum).zip(&*top) {
                *d = t + s.ln();
            }
        }
    }
}

/// The largest number of a row, or zero if that is not finite (nothing can be subtracted from it then).
#[inline(always)]
fn shift<T: Scalar>(row: &[T]) -> T {
    let mut top = row[0];
    // a NaN loses every comparison; it reaches the result through the sum
    for &x in &row[1..] {
        if x > top {
            top = x;
        }
    }
    if top.is_finite() { top } else { T::ZERO }
}

#[inline(always)]
fn long_row<T: Scalar>(row: &[T]) -> T {
    let top = shift(row);
    let mut sum = T::ZERO;
    for &x in row {
        sum += (x - top).exp();
    }
    top + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::Graph;
    use crate::autodiff::tests::{check_derivatives, numbers};

    #[test]
    fn derivatives() {
        check_derivatives(&[2, 3], &numbers(6, 2), |_, x| {
            x.square().sum_to(&[3]).exp()
        });
        check_derivatives(&[2, 3], &numbers(6, 2), |_, x| x.exp().sum_axis(1));
        check_derivatives(&[2, 3], &numbers(6, 2), |_, x| x.square().mean());
        check_derivatives(&[2, 3], &numbers(6, 2), |_, x| x.logsumexp());
        check_derivatives(&[2, 3], &numbers(6, 2), |_, x| x.softmax() * x);
        check_derivatives(&[2, 1], &numbers(2, 2), |_, x| {
            x.broadcast_to(&[3, 2, 4]).square()
        });
    }

    #[test]
    fn every_plan_agrees_with_the_definition() {
        let from = [2, 3, 4];
        let src = numbers(24, 1);
        for to in [
            &[][..],
            &[4],
            &[3, 4],
            &[3, 1],
            &[2, 1, 1],
            &[2, 3, 1],
            &[2, 1, 4],
            &[1, 3, 1],
        ] {
            let mut dst = vec![0.0; numel(to)];
            sum_to(&SumPlan::new(&from, to), &src, &mut dst);
            let strides = broadcast_strides(to, &from);
            let mut want = vec![0.0; numel(to)];
            for (i, x) in src.iter().enumerate() {
                want[offset(i, &from, &strides)] += x;
            }
            for (a, b) in dst.iter().zip(&want) {
                assert!((a - b).abs() < 1e-13, "{to:?}");
            }
        }
    }

    #[test]
    fn logsumexp_neither_overflows_nor_hides_a_nan() {
        let of = |row: &[f64]| {
            let mut out = [0.0];
            log_sum_exp(row, row.len(), &mut out);
            out[0]
        };
        assert_eq!(of(&[1e4, 1e4]), 1e4 + 2f64.ln());
        assert_eq!(of(&[-1e4, -2e4]), -1e4);
        assert_eq!(of(&[f64::NEG_INFINITY; 2]), f64::NEG_INFINITY);
        assert_eq!(of(&[f64::INFINITY, 0.0]), f64::INFINITY);
        assert!(of(&[0.0, f64::NAN]).is_nan() && of(&[f64::NAN, 0.0]).is_nan());
    }

    #[test]
    fn logsumexp_of_short_and_long_rows_is_the_definition() {
        for (rows, cols) in [(1, 1), (700, 3), (5, 1024), (3, 1025), (2, 4000)] {
            let src = numbers(rows * cols, 7);
            let mut dst = vec![0.0; rows];
            log_sum_exp(&src, cols, &mut dst);
            for (row, got) in src.chunks_exact(cols).zip(dst) {
                let want = row.iter().map(|x| x.exp()).sum::<f64>().ln();
                assert!(
                    (got - want).abs() < 1e-12,
                    "{rows} x {cols}: {got} against {want}"
                );
            }
        }
    }

    #[test]
    fn a_sum_of_everything_is_in_f64_whatever_its_shape() {
        // 2^25 + 1000 ones: in f32 they would be lost one by one
        let graph = Graph::new();
        let x = graph.input(&[3, 1001]);
        let sums = [
            x.sum(),
            x.batch_first().sum(),
            x.sum_to(&[1, 1]).reshape(&[]),
        ];
        let program = graph.compile::<f32>(&sums).unwrap();
        let mut ws = program.workspace();
        let mut values = vec![0.0f32; 3 * 1001];
        values[..1001].fill(1.0);
        values[0] = (1 << 25) as f32;
        program.run(&[&values], &mut ws).unwrap();
        for i in 0..3 {
            assert_eq!(
                program.scalar(&ws, i),
                f64::from(1 << 25) + 1000.0,
                "sum {i}"
            );
        }
    }

    #[test]
    fn an_empty_tensor_sums_to_zero() {
        let graph = Graph::new();
        let sum = graph.full(&[0, 3], 1.0).sum_to(&[3]);
        assert!(sum.is_constant(0.0));
    }
}
