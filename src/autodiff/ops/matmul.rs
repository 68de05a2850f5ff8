//! Matrix products, with either operand transposed.
//!
//! This crate's register tiles compute them where a long axis is contiguous. Otherwise faer's
//! sequential kernel does.

use faer::linalg::matmul::matmul as faer_matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::Op;
use crate::autodiff::graph::Var;
use crate::autodiff::shape::show;
use crate::error::{Error, counted};
use crate::linalg::product::{self, Inner, Outer, Piece, Rows};
use crate::scalar::Scalar;

impl<'g> Var<'g> {
    /// `self @ other` for matrices `[m, k]` and `[k, n]`. A transposed operand costs nothing.
    pub fn matmul(self, other: Var<'g>) -> Var<'g> {
        if let Err(error) = self.same_graph(&[other], "matmul") {
            return self.graph.fail(error);
        }
        let ((a, ta), (b, tb)) = (untransposed(self), untransposed(other));
        let (left, right) = (self.shape(), other.shape());
        let (&[m, k], &[k2, n]) = (&left[..], &right[..]) else {
            let error = Error::shape("matmul", "two matrices", format!("{left:?} and {right:?}"));
            return self.graph.fail(error);
        };
        if k != k2 {
            let error = Error::shape(
                "matmul",
                format!("{} on the right of {left:?}", counted(k, "row")),
                show(&right),
            );
            return self.graph.fail(error);
        }
        if self.is_constant(0.0) || other.is_constant(0.0) {
            return self.graph.full(&[m, n], 0.0);
        }
        // a feature-major batch gives a feature-major result: (a^T b)^T = b^T a
        if let Some(memory) = self.stored() {
            return other.t().matmul(memory).batch_first();
        }
        self.graph
            .push(Op::MatMul { ta, tb }, &[a.id, b.id], vec![m, n])
    }
}

fn untransposed(x: Var<'_>) -> (Var<'_>, bool) {
    let node = x.graph.node(x.id);
    match node.op {
        Op::Transpose | Op::BatchFirst => {
            let inner = Var {
                graph: x.graph,
                id: node.args[0],
            };
            (inner, true)
        }
        _ => (x, false),
    }
}

/// With `A = op(a)`, `B = op(b)`: `dA = g B^T`, `dB = A^T g`, transposed back where `op`
/// transposes.
pub(super) fn vjp<'g>(
    ta: bool,
    tb: bool,
    args: &[Var<'g>],
    position: usize,
    g: Var<'g>,
) -> Var<'g> {
    let flip = |x: Var<'g>, t: bool| if t { x.t() } else { x };
    let (a, b) = (flip(args[0], ta), flip(args[1], tb));
    match (position, ta, tb) {
        (0, false, _) => g.matmul(b.t()),
        (0, true, _) => b.matmul(g.t()),
        (_, _, false) => a.t().matmul(g),
        (_, _, true) => g.t().matmul(a),
    }
}

/// Extents of `op(a) [m, k] @ op(b) [k, n]` and the two transpositions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MatMulShape {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub ta: bool,
    pub tb: bool,
}

/// `dst = op(a) op(b)`, everything row-major.
pub(crate) fn matmul<T: Scalar>(s: MatMulShape, a: &[T], b: &[T], dst: &mut [T]) {
    if s.m == 0 || s.n == 0 {
        return;
    }
    if s.k == 0 {
        dst.fill(T::ZERO);
        return;
    }
    match Form::of(s) {
        Form::Outer => outer(s, a, b, dst),
        Form::Inner => inner(s, a, b, dst),
        Form::Packed => packed(s, a, b, dst),
    }
}

/// Which kernel computes a product. The bounds are near the sizes at which the kernels were equally
/// fast. They were timed on a Zen 4 machine with AVX-512, on the products of the benchmark's
/// networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Outer,
    Inner,
    Packed,
}

impl Form {
    pub(crate) fn of(s: MatMulShape) -> Self {
        // adding up the lanes costs about as much as 128 terms of the sum
        let long = s.k >= 768 || (s.k >= 64 && s.m.min(s.n) < 32);
        match (s.ta, s.tb) {
            (_, false) if s.n >= 16 && s.k <= 1024 => Form::Outer,
            (false, true) if long => Form::Inner,
            _ => Form::Packed,
        }
    }
}

fn outer<T: Scalar>(s: MatMulShape, a: &[T], b: &[T], dst: &mut [T]) {
    let (a_row, a_col) = if s.ta { (1, s.m) } else { (s.k, 1) };
    product::run(Outer {
        m: s.m,
        n: s.n,
        pieces: &[Piece {
            a: 0,
            b: 0,
            len: s.k,
        }],
        a,
        a_row,
        a_col,
        b,
        b_row: s.n,
        add: None,
        c: dst,
        c_row: s.n,
    });
}

fn inner<T: Scalar>(s: MatMulShape, a: &[T], b: &[T], dst: &mut [T]) {
    dst.fill(T::ZERO);
    product::run(Inner {
        m: s.m,
        n: s.n,
        pieces: &[Piece {
            a: 0,
            b: 0,
            len: s.k,
        }],
        a,
        a_rows: Rows::Every(s.k),
        b,
        b_row: s.k,
        c: dst,
        c_row: s.n,
        c_col: 1,
    });
}

fn packed<T: Scalar>(s: MatMulShape, a: &[T], b: &[T], dst: &mut [T]) {
    let view = |x, rows, cols, transposed| {
        if transposed {
            MatRef::from_row_major_slice(x, cols, rows).transpose()
        } else {
            MatRef::from_row_major_slice(x, rows, cols)
        }
    };
    faer_matmul(
        MatMut::from_row_major_slice_mut(dst, s.m, s.n),
        Accum::Replace,
        view(a, s.m, s.k, s.ta),
        view(b, s.k, s.n, s.tb),
        T::ONE,
        Par::Seq,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::tests::{check_derivatives, numbers};

    #[test]
    fn derivatives_with_every_transposition() {
        check_derivatives(&[2, 3], &numbers(6, 3), |g, x| {
            let w = g.tensor(&[3, 4], numbers(12, 1));
            x.matmul(w).tanh()
        });
        check_derivatives(&[2, 3], &numbers(6, 3), |_, x| x.t().matmul(x));
        check_derivatives(&[2, 3], &numbers(6, 3), |_, x| x.matmul(x.t()));
        check_derivatives(&[3, 3], &numbers(9, 3), |_, x| {
            x.t().matmul(x.t()).matmul(x)
        });
    }

    #[test]
    fn agrees_with_three_loops() {
        let cases = [(3, 5, 4), (5, 70, 3), (7, 3, 40), (33, 800, 2)];
        for ((m, k, n), which) in cases.into_iter().flat_map(|c| (0..4).map(move |w| (c, w))) {
            let (ta, tb) = (which % 2 == 1, which > 1);
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let mut dst = vec![f64::NAN; m * n];
            matmul(MatMulShape { m, k, n, ta, tb }, &a, &b, &mut dst);
            for i in 0..m {
                for j in 0..n {
                    let at = |l: usize| if ta { a[l * m + i] } else { a[i * k + l] };
                    let bt = |l: usize| if tb { b[j * k + l] } else { b[l * n + j] };
                    let want: f64 = (0..k).map(|l| at(l) * bt(l)).sum();
                    assert!((dst[i * n + j] - want).abs() < 1e-15 * k as f64 * 4.0);
                }
            }
        }
    }
}
