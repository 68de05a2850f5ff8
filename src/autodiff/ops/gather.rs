//! Picks one entry per row by a label, and puts it back.
//!
//! Labels are values of the program's scalar type (0, 1, 2...), exact in f32 up to 2^24. They have
//! no derivative.

use super::Op;
use crate::autodiff::graph::Var;
use crate::error::Error;
use crate::scalar::Scalar;

impl<'g> Var<'g> {
    /// Picks from every row of `self` (`[n, k]`) the entry that its label selects. `labels` is
    /// `[n]`, and so is the result.
    ///
    /// A label outside `0..k` picks NaN: the labels are data, known only at run time.
    pub fn pick(self, labels: Var<'g>) -> Var<'g> {
        if let Err(error) = self.same_graph(&[labels], "pick") {
            return self.graph.fail(error);
        }
        let (a, b) = (self.shape(), labels.shape());
        if a.len() != 2 || b != a[..1] || a[1] == 0 {
            let got = format!("{a:?} and {b:?}");
            let expected = "[n, k] of at least one k, and labels [n]";
            return self.graph.fail(Error::shape("pick", expected, got));
        }
        match self.stored() {
            Some(memory) => pick_along(0, memory, labels),
            None => pick_along(1, self, labels),
        }
    }

    /// The transpose of [`Var::pick`]: maps `[n]` and `labels [n]` to `[n, k]`, zero except where
    /// the label points.
    pub fn unpick(self, labels: Var<'g>, k: usize) -> Var<'g> {
        if let Err(error) = self.same_graph(&[labels], "unpick") {
            return self.graph.fail(error);
        }
        let (a, b) = (self.shape(), labels.shape());
        if a.len() != 1 || a != b || k == 0 {
            let got = format!("{a:?}, {b:?} and {k}");
            let expected = "[n], labels [n], and at least one k";
            return self.graph.fail(Error::shape("unpick", expected, got));
        }
        unpick_along(1, self, labels, k)
    }
}

/// Picks for every example the entry that its label selects. The entries lie along `axis` of a
/// matrix.
pub(super) fn pick_along<'g>(axis: usize, x: Var<'g>, labels: Var<'g>) -> Var<'g> {
    let shape = labels.shape();
    x.graph.push(Op::Pick { axis }, &[x.id, labels.id], shape)
}

/// The transpose of [`pick_along`]: the result is a matrix with `k` entries along `axis`.
pub(super) fn unpick_along<'g>(axis: usize, x: Var<'g>, labels: Var<'g>, k: usize) -> Var<'g> {
    let n = x.shape()[0];
    let shape = if axis == 0 { vec![k, n] } else { vec![n, k] };
    x.graph.push(Op::Unpick { axis }, &[x.id, labels.id], shape)
}

fn position<T: Scalar>(label: T, k: usize) -> Option<usize> {
    let label = label.to_f64();
    let names = label >= 0.0 && label < k as f64 && label.fract() == 0.0;
    names.then_some(label as usize)
}

/// `dst[i] = src[i, labels[i]]`.
pub(crate) fn pick<T: Scalar>(src: &[T], labels: &[T], k: usize, dst: &mut [T]) {
    for ((d, row), &label) in dst.iter_mut().zip(src.chunks_exact(k)).zip(labels) {
        *d = position(label, k).map_or(T::from_f64(f64::NAN), |j| row[j]);
    }
}

/// `dst[i] = src[labels[i], i]`, entries along the first axis.
#[inline(always)]
pub(crate) fn pick_columns<T: Scalar>(src: &[T], labels: &[T], dst: &mut [T]) {
    const WIDTH: usize = 64;
    let n = dst.len();
    let nan = T::from_f64(f64::NAN);
    for (at, (dst, labels)) in dst.chunks_mut(WIDTH).zip(labels.chunks(WIDTH)).enumerate() {
        let (mut sum, mut hits) = ([T::ZERO; WIDTH], [T::ZERO; WIDTH]);
        // one class after the other, without a branch: classes are few, and vector registers stay
        // full
        for (j, row) in src.chunks_exact(n).enumerate() {
            let class = T::from_f64(j as f64);
            let row = &row[at * WIDTH..][..dst.len()];
            for (((s, h), &x), &label) in sum.iter_mut().zip(&mut hits).zip(row).zip(labels) {
                let hit = label == class;
                *s += if hit { x } else { T::ZERO };
                *h += if hit { T::ONE } else { T::ZERO };
            }
        }
        for ((d, &s), &h) in dst.iter_mut().zip(&sum).zip(&hits) {
            *d = if h > T::ZERO { s } else { nan };
        }
    }
}

/// `dst[labels[i], i] = src[i]`, the rest zero.
#[inline(always)]
pub(crate) fn unpick_columns<T: Scalar>(src: &[T], labels: &[T], dst: &mut [T]) {
    if !src.is_empty() {
        for (j, row) in dst.chunks_exact_mut(src.len()).enumerate() {
            let class = T::from_f64(j as f64);
            for ((d, &x), &label) in row.iter_mut().zip(src).zip(labels) {
                *d = if label == class { x } else { T::ZERO };
            }
        }
    }
}

/// `dst[i, labels[i]] = src[i]`, the rest zero.
pub(crate) fn unpick<T: Scalar>(src: &[T], labels: &[T], k: usize, dst: &mut [T]) {
    dst.fill(T::ZERO);
    for ((&s, row), &label) in src.iter().zip(dst.chunks_exact_mut(k)).zip(labels) {
        if let Some(j) = position(label, k) {
            row[j] = s;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::Graph;
    use crate::autodiff::tests::{check_derivatives, numbers};

    #[test]
    fn derivatives() {
        check_derivatives(&[3, 4], &numbers(12, 6), |g, x| {
            x.square().pick(g.tensor(&[3], vec![3.0, 0.0, 2.0]))
        });
        check_derivatives(&[3], &numbers(3, 6), |g, x| {
            x.unpick(g.tensor(&[3], vec![1.0, 1.0, 0.0]), 2).tanh()
        });
    }

    #[test]
    fn a_label_out_of_range_picks_nan_and_puts_nothing() {
        let mut out = [0.0f64; 3];
        pick(
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            &[2.0, -1.0, f64::NAN],
            2,
            &mut out,
        );
        assert!(out.iter().all(|x| x.is_nan()));
        let mut back = [7.0f64; 4];
        unpick(&[1.0, 2.0], &[5.0, 1.0], 2, &mut back);
        assert_eq!(back, [0.0, 0.0, 0.0, 2.0]);
        pick_columns(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0], &mut out[..2]);
        assert!(out[0] == 3.0 && out[1].is_nan());
        unpick_columns(&[1.0, 2.0], &[5.0, 1.0], &mut back);
        assert_eq!(back, [0.0, 0.0, 0.0, 2.0]);
    }

    #[test]
    fn nothing_to_pick_from_is_refused() {
        let graph = Graph::new();
        let (x, labels) = (graph.input(&[3, 0]), graph.input(&[3]));
        let refused = |value| graph.compile::<f64>(&[value]).unwrap_err().to_string();
        assert!(refused(x.pick(labels)).contains("pick"));
        let graph = Graph::new();
        let labels = graph.input(&[3]);
        let error = graph
            .compile::<f64>(&[labels.unpick(labels, 0)])
            .unwrap_err();
        assert!(error.to_string().contains("unpick"), "{error}");
    }
}
