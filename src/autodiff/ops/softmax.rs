//! `log sum exp` of rows, its derivative the softmax, and the log of the softmax.
//!
//! `log sum exp(x) = m + y`, with the maximum `m` and `y = log sum exp(x - m)`. The two terms are
//! separate operations, and differences from `x` are computed as `(x - m) - y`: exact differences
//! of the inputs, minus a number of at most `log k`. The rounded sum `m + y` would be worse,
//! because its error is the spacing of floats near `m`. For logits of 1e7 in f32 that spacing is 1,
//! and the probabilities `exp(x - (m + y))` sum to 0.87 or 1.3. The derivative of `m` is taken as
//! zero, because its two contributions to the result cancel.

use super::Op;
use crate::autodiff::graph::Var;
use crate::autodiff::shape::show;
use crate::error::Error;
use crate::scalar::Scalar;

impl<'g> Var<'g> {
    /// `log sum exp` along the last axis, which stays with extent 1. It is shifted by the maximum,
    /// so it does not overflow.
    pub fn logsumexp(self) -> Var<'g> {
        self.of_shifted(|_, shift, rest| shift + rest)
    }

    /// `x - logsumexp(x)` along the last axis.
    pub fn log_softmax(self) -> Var<'g> {
        self.of_shifted(|x, shift, rest| (x - shift) - rest)
    }

    /// `exp(log_softmax(x))`: positive, and sums to one along the last axis.
    pub fn softmax(self) -> Var<'g> {
        self.log_softmax().exp()
    }

    /// Applies `f` to this value, its maxima along the last axis, and `log sum exp(x - max)` along
    /// that axis.
    fn of_shifted(self, f: impl Fn(Var<'g>, Var<'g>, Var<'g>) -> Var<'g>) -> Var<'g> {
        let shape = self.shape();
        let along = |x: Var<'g>, axis: usize| {
            let mut shape = x.shape();
            shape[axis] = 1;
            let shift = self.graph.push(Op::Shift { axis }, &[x.id], shape.clone());
            let op = Op::LogSumExp { axis };
            let rest = self.graph.push(op, &[x.id, shift.id], shape);
            f(x, shift, rest)
        };
        match (shape.last(), self.stored()) {
            (None | Some(0), _) => {
                let error = Error::shape("logsumexp", "a last axis of at least 1", show(&shape));
                self.graph.fail(error)
            }
            (_, None) => along(self, shape.len() - 1),
            (_, Some(memory)) => along(memory, shape.len() - 2).batch_first(),
        }
    }
}

/// Probabilities below this count as zero in gradients. A network that is certain about a row has
/// residuals of this size. Their products are subnormal in f32, where arithmetic takes up to a
/// hundred times as long: walks with large scales took twice the time.
const NEGLIGIBLE: f64 = 1e-28;

/// `g softmax(x)` without negligible probabilities, for `y = log sum exp(x - shift)`.
pub(super) fn log_sum_exp_vjp<'g>(y: Var<'g>, args: &[Var<'g>], g: Var<'g>) -> Var<'g> {
    let (x, shift) = (args[0], args[1]);
    g * (((x - shift) - y).exp() - NEGLIGIBLE).relu()
}

/// Values that are exponentiated together. Short rows, one at a time, would leave vector registers
/// partly empty.
const GROUP: usize = 1024;

/// The maximum of each row of length `cols`, or zero if it is not finite (such a maximum cannot be
/// subtracted).
#[inline(always)]
pub(crate) fn shift<T: Scalar>(src: &[T], cols: usize, dst: &mut [T]) {
    for (row, d) in src.chunks_exact(cols).zip(dst) {
        let mut top = row[0];
        // a NaN loses every comparison; it reaches the result through the sum
        for &x in &row[1..] {
            if x > top {
                top = x;
            }
        }
        *d = if top.is_finite() { top } else { T::ZERO };
    }
}

/// The same over the middle axis of `[outer, k, inner]`, vectors along `inner`.
#[inline(always)]
pub(crate) fn shift_columns<T: Scalar>(src: &[T], k: usize, inner: usize, dst: &mut [T]) {
    for (src, dst) in src.chunks_exact(k * inner).zip(dst.chunks_exact_mut(inner)) {
        for (at, dst) in dst.chunks_mut(GROUP).enumerate() {
            for (r, row) in src.chunks_exact(inner).enumerate() {
                let row = &row[at * GROUP..][..dst.len()];
                for (t, &x) in dst.iter_mut().zip(row) {
                    *t = if r == 0 || x > *t { x } else { *t };
                }
            }
            for t in dst {
                *t = if t.is_finite() { *t } else { T::ZERO };
            }
        }
    }
}

/// `log sum exp(x - shift)` of each row of length `cols` with its shift. A row of `-inf` gives
/// `-inf`, a NaN in a row gives NaN.
#[inline(always)]
pub(crate) fn log_sum_exp<T: Scalar>(src: &[T], shift: &[T], cols: usize, dst: &mut [T]) {
    let mut shifted = [T::ZERO; GROUP];
    let rows = (GROUP / cols).max(1);
    for ((src, top), dst) in src
        .chunks(rows * cols)
        .zip(shift.chunks(rows))
        .zip(dst.chunks_mut(rows))
    {
        if cols > GROUP {
            dst[0] = long_row(src, top[0]);
            continue;
        }
        let shifted = &mut shifted[..src.len()];
        for ((row, out), &t) in src
            .chunks_exact(cols)
            .zip(shifted.chunks_exact_mut(cols))
            .zip(top)
        {
            for (o, &x) in out.iter_mut().zip(row) {
                *o = x - t;
            }
        }
        for x in shifted.iter_mut() {
            *x = x.exp();
        }
        for (row, d) in shifted.chunks_exact(cols).zip(dst) {
            let mut sum = T::ZERO;
            for &e in row {
                sum += e;
            }
            *d = sum.ln();
        }
    }
}

/// The same over the middle axis of `[outer, k, inner]`, vectors along `inner`.
#[inline(always)]
pub(crate) fn log_sum_exp_columns<T: Scalar>(
    src: &[T],
    shift: &[T],
    k: usize,
    inner: usize,
    dst: &mut [T],
) {
    let mut sum = [T::ZERO; GROUP];
    for ((src, shift), dst) in src
        .chunks_exact(k * inner)
        .zip(shift.chunks_exact(inner))
        .zip(dst.chunks_exact_mut(inner))
    {
        for ((at, dst), top) in dst.chunks_mut(GROUP).enumerate().zip(shift.chunks(GROUP)) {
            let sum = &mut sum[..dst.len()];
            sum.fill(T::ZERO);
            for row in src.chunks_exact(inner) {
                let row = &row[at * GROUP..][..top.len()];
                for ((s, &t), &x) in sum.iter_mut().zip(top).zip(row) {
                    *s += (x - t).exp();
                }
            }
            for (d, &s) in dst.iter_mut().zip(&*sum) {
                *d = s.ln();
            }
        }
    }
}

#[inline(always)]
fn long_row<T: Scalar>(row: &[T], top: T) -> T {
    let mut sum = T::ZERO;
    for &x in row {
        sum += (x - top).exp();
    }
    sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::Graph;
    use crate::autodiff::tests::{check_derivatives, numbers};

    #[test]
    fn derivatives() {
        check_derivatives(&[2, 3], &numbers(6, 2), |_, x| x.logsumexp());
        check_derivatives(&[2, 3], &numbers(6, 2), |_, x| x.softmax() * x);
        check_derivatives(&[2, 3], &numbers(6, 2), |_, x| x.log_softmax());
    }

    #[test]
    fn logsumexp_neither_overflows_nor_hides_a_nan() {
        let of = |row: &[f64]| {
            let (mut top, mut out) = ([0.0], [0.0]);
            shift(row, row.len(), &mut top);
            log_sum_exp(row, &top, row.len(), &mut out);
            top[0] + out[0]
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
            let (mut top, mut dst) = (vec![0.0; rows], vec![0.0; rows]);
            shift(&src, cols, &mut top);
            log_sum_exp(&src, &top, cols, &mut dst);
            for ((row, top), rest) in src.chunks_exact(cols).zip(top).zip(dst) {
                let got = top + rest;
                let want = row.iter().map(|x| x.exp()).sum::<f64>().ln();
                assert!(
                    (got - want).abs() < 1e-12,
                    "{rows} x {cols}: {got} against {want}"
                );
            }
        }
    }

    /// The gradient of `logsumexp`, `softmax` and `exp(log_softmax)` of large logits: in f32
    /// numbers near 1e7 are 1 apart.
    #[test]
    fn probabilities_of_large_logits_sum_to_one() {
        for batch_first in [false, true] {
            let graph = Graph::new();
            let x = graph.input(if batch_first { &[3, 2] } else { &[2, 3] });
            let rows = if batch_first { x.batch_first() } else { x };
            let gradient = graph.grad(rows.logsumexp().sum(), &[rows]).unwrap();
            // one row after the other, however they are stored
            let outputs = [gradient[0], rows.softmax(), rows.log_softmax().exp()];
            let outputs = outputs.map(|p| graph.concat(0, &[p, graph.full(&[1, 3], 1.0)]));
            let program = graph.compile::<f32>(&outputs).unwrap();
            let mut ws = program.workspace();
            for size in [0.0f32, 1e3, 1e7, -1e7, 1e20] {
                let rows = [size, size, size - 1.0, size, size - 2.0, size - 2.0];
                let columns: Vec<f32> = (0..6).map(|i| rows[i % 2 * 3 + i / 2]).collect();
                let values = if batch_first { &columns[..] } else { &rows };
                program.run(&[values], &mut ws).unwrap();
                for i in 0..outputs.len() {
                    let p = &program.tensor(&ws, i).unwrap()[..6];
                    for (p, x) in p.chunks_exact(3).zip(rows.chunks_exact(3)) {
                        let sum: f32 = p.iter().sum();
                        assert!((sum - 1.0).abs() < 1e-6, "{size}, output {i}: {p:?}");
                        let want = (x[2] - x[0]).exp();
                        assert!((p[2] / p[0] - want).abs() < 1e-6, "{size}, {i}: {p:?}");
                    }
                }
            }
        }
    }
}
