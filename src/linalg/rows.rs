//! Products of several vectors with the rows of a matrix, and all inner products of two vectors.
//!
//! The matrix is larger than the near caches, and reading it is most of the work. So several
//! vectors are multiplied in one pass.
//!
//! Sums run in lanes of the scalar type, over at most 2,048 values, and go on in f64. In f32 the
//! error is that of a hundred additions.

use pulp::{Simd, WithSimd};

use super::product::run;
use crate::scalar::{Scalar, compiled};

/// `out[j][i] = <rows[i], v[j]>`. Rows are as long as the vectors and contiguous in `rows`, which
/// is read once.
pub fn dot_rows<T: Scalar, const V: usize>(rows: &[T], v: [&[T]; V], out: [&mut [f64]; V]) {
    if v.iter().all(|v| !v.is_empty()) {
        run(DotRows { rows, v, out });
    }
}

struct DotRows<'a, T, const V: usize> {
    rows: &'a [T],
    v: [&'a [T]; V],
    out: [&'a mut [f64]; V],
}

/// Values that are summed in the scalar type before the sum goes on in f64.
const RUN: usize = 2048;

impl<T: Scalar, const V: usize> WithSimd for DotRows<'_, T, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Some(n) = self.v.first().map(|v| v.len()) else {
            return;
        };
        // four rows at a time: the vectors are read a quarter as often, and four sums of each run
        // side by side
        for (group, rows) in self.rows.chunks(4 * n).enumerate() {
            let count = rows.len() / n;
            // if fewer rows are left, the last one is repeated, and its sums are not kept
            let mut four = [rows; 4];
            for (i, row) in four.iter_mut().enumerate() {
                *row = &rows[i.min(count - 1) * n..][..n];
            }
            let mut sums = [[0.0; 4]; V];
            for start in (0..n).step_by(RUN) {
                let end = n.min(start + RUN);
                let (mut rows, mut v) = ([rows; 4], [rows; V]);
                for i in 0..4 {
                    rows[i] = &four[i][start..end];
                }
                for (part, v) in v.iter_mut().zip(&self.v) {
                    *part = &v[start..end];
                }
                let part = four_dots(simd, rows, v);
                for j in 0..V {
                    for i in 0..4 {
                        sums[j][i] += T::sum_lanes(simd, part[j][i]).to_f64();
                    }
                }
            }
            for (out, sums) in self.out.iter_mut().zip(&sums) {
                out[4 * group..4 * group + count].copy_from_slice(&sums[..count]);
            }
        }
    }
}

/// Four inner products with each vector, before their lanes are added up.
#[inline(always)]
fn four_dots<S: Simd, T: Scalar, const V: usize>(
    simd: S,
    rows: [&[T]; 4],
    v: [&[T]; V],
) -> [[T::Of<S>; 4]; V] {
    let (first, _) = T::split(simd, rows[0]);
    let count = first.len();
    let (mut whole_rows, mut whole_v) = ([first; 4], [first; V]);
    let (mut rest_rows, mut rest_v) = (rows, v);
    for i in 0..4 {
        let (whole, rest) = T::split(simd, rows[i]);
        (whole_rows[i], rest_rows[i]) = (&whole[..count], rest);
    }
    for j in 0..V {
        let (whole, rest) = T::split(simd, v[j]);
        (whole_v[j], rest_v[j]) = (&whole[..count], rest);
    }
    let mut acc = [[T::splat(simd, T::ZERO); 4]; V];
    for p in 0..count {
        for i in 0..4 {
            let x = whole_rows[i][p];
            for j in 0..V {
                acc[j][i] = T::mul_add(simd, x, whole_v[j][p], acc[j][i]);
            }
        }
    }
    for i in 0..4 {
        let x = T::load_part(simd, rest_rows[i]);
        for j in 0..V {
            acc[j][i] = T::mul_add(simd, x, T::load_part(simd, rest_v[j]), acc[j][i]);
        }
    }
    acc
}

/// `v[j] += sum_i coefficients[j][i] rows[i]`. `rows` is read once.
pub fn add_rows<T: Scalar, const V: usize>(
    coefficients: [&[f64]; V],
    rows: &[T],
    v: [&mut [T]; V],
) {
    if v.iter().all(|v| !v.is_empty()) {
        run(AddRows {
            coefficients,
            rows,
            v,
        });
    }
}

struct AddRows<'a, T, const V: usize> {
    coefficients: [&'a [f64]; V],
    rows: &'a [T],
    v: [&'a mut [T]; V],
}

impl<T: Scalar, const V: usize> WithSimd for AddRows<'_, T, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Some(n) = self.v.first().map(|v| v.len()) else {
            return;
        };
        // several rows at a time: the vectors are read and written less often
        for (group, rows) in self.rows.chunks(GROUP * n).enumerate() {
            let count = rows.len() / n;
            let mut c = [[T::ZERO; GROUP]; V];
            for (c, all) in c.iter_mut().zip(&self.coefficients) {
                for (c, &x) in c.iter_mut().zip(&all[GROUP * group..GROUP * group + count]) {
                    *c = T::from_f64(x);
                }
            }
            // if fewer rows are left, the last one is repeated, times zero
            let mut some = [rows; GROUP];
            for (i, row) in some.iter_mut().enumerate() {
                *row = &rows[i.min(count - 1) * n..][..n];
            }
            self.add_group(simd, c, some);
        }
    }
}

/// Rows that are added at once.
const GROUP: usize = 8;

impl<T: Scalar, const V: usize> AddRows<'_, T, V> {
    #[inline(always)]
    fn add_group<S: Simd>(&mut self, simd: S, c: [[T; GROUP]; V], rows: [&[T]; GROUP]) {
        let (first, _) = T::split(simd, rows[0]);
        let (mut whole, mut rest) = ([first; GROUP], rows);
        for i in 0..GROUP {
            let (vectors, left) = T::split(simd, rows[i]);
            (whole[i], rest[i]) = (&vectors[..first.len()], left);
        }
        let mut factors = [[T::splat(simd, T::ZERO); GROUP]; V];
        for j in 0..V {
            for i in 0..GROUP {
                factors[j][i] = T::splat(simd, c[j][i]);
            }
        }
        let v = self.v.each_mut().map(|v| T::split_mut(simd, v));
        for (p, &x) in first.iter().enumerate() {
            let mut x = [x; GROUP];
            for i in 1..GROUP {
                x[i] = whole[i][p];
            }
            for j in 0..V {
                v[j].0[p] = sum_of_group::<S, T>(simd, factors[j], x, v[j].0[p]);
            }
        }
        if !rest[0].is_empty() {
            let mut x = [T::splat(simd, T::ZERO); GROUP];
            for i in 0..GROUP {
                x[i] = T::load_part(simd, rest[i]);
            }
            for j in 0..V {
                let sum = T::load_part(simd, v[j].1);
                let sum = sum_of_group::<S, T>(simd, factors[j], x, sum);
                T::store_part(simd, v[j].1, sum);
            }
        }
    }
}

/// `sum + sum_i c[i] x[i]`.
#[inline(always)]
fn sum_of_group<S: Simd, T: Scalar>(
    simd: S,
    c: [T::Of<S>; GROUP],
    x: [T::Of<S>; GROUP],
    mut sum: T::Of<S>,
) -> T::Of<S> {
    for i in 0..GROUP {
        sum = T::mul_add(simd, c[i], x[i], sum);
    }
    sum
}

/// `<x, x>`, `<x, y>` and `<y, y>`.
pub fn dots<T: Scalar>(x: &[T], y: &[T]) -> [f64; 3] {
    T::compiled::<AllDots>()(x, y)
}

compiled!(
    /// [`dots`].
    AllDots(x: &[T], y: &[T]) -> [f64; 3] {
        let n = x.len().min(y.len());
        run(Dots {
            x: &x[..n],
            y: &y[..n],
        })
    }
);

struct Dots<'a, T> {
    x: &'a [T],
    y: &'a [T],
}

impl<T: Scalar> WithSimd for Dots<'_, T> {
    type Output = [f64; 3];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f64; 3] {
        let mut sums = [0.0; 3];
        for (x, y) in self.x.chunks(RUN).zip(self.y.chunks(RUN)) {
            let ((x, last_x), (y, last_y)) = (T::split(simd, x), T::split(simd, y));
            // two sums of each, so that an addition need not wait for the one before
            let mut acc = [[T::splat(simd, T::ZERO); 3]; 2];
            let (pairs_x, pairs_y) = (x.chunks_exact(2), y.chunks_exact(2));
            let (odd_x, odd_y) = (pairs_x.remainder(), pairs_y.remainder());
            for (x, y) in pairs_x.zip(pairs_y) {
                for i in 0..2 {
                    acc[i] = three::<S, T>(simd, x[i], y[i], acc[i]);
                }
            }
            if let (&[x], &[y]) = (odd_x, odd_y) {
                acc[0] = three::<S, T>(simd, x, y, acc[0]);
            }
            let (x, y) = (T::load_part(simd, last_x), T::load_part(simd, last_y));
            acc[1] = three::<S, T>(simd, x, y, acc[1]);
            // no closures here: they may be compiled for the baseline instruction set
            for i in 0..3 {
                sums[i] += T::sum_lanes(simd, acc[0][i]).to_f64();
                sums[i] += T::sum_lanes(simd, acc[1][i]).to_f64();
            }
        }
        sums
    }
}

#[inline(always)]
fn three<S: Simd, T: Scalar>(
    simd: S,
    x: T::Of<S>,
    y: T::Of<S>,
    acc: [T::Of<S>; 3],
) -> [T::Of<S>; 3] {
    [
        T::mul_add(simd, x, x, acc[0]),
        T::mul_add(simd, x, y, acc[1]),
        T::mul_add(simd, y, y, acc[2]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Phase, Streams, fill_normal};

    /// Compared with plain loops, for lengths around a run and row counts around four. One vector
    /// gives the same as two.
    #[test]
    fn rows_are_multiplied_and_added_as_the_loops_do() {
        for n in [1, 7, 16, 33, 1154, 2047, 2048, 2100] {
            for k in [0, 1, 3, 4, 5, 9] {
                let mut rng = Streams::new(7).rng(Phase::USER, 0);
                let (mut rows, mut v, mut w) = (vec![0.0f64; n * k], vec![0.0; n], vec![0.0; n]);
                for x in [&mut rows, &mut v, &mut w] {
                    fill_normal(&mut rng, x);
                }
                let (mut out, mut alone) =
                    ([vec![f64::NAN; k], vec![f64::NAN; k]], vec![f64::NAN; k]);
                let [of_v, of_w] = &mut out;
                dot_rows(&rows, [&v, &w], [of_v, of_w]);
                dot_rows(&rows, [&w], [&mut alone]);
                assert_eq!(alone, out[1]);
                let mut sums = [v.clone(), w.clone()];
                let mut alone = w.clone();
                let [to_v, to_w] = &mut sums;
                add_rows([&out[0], &out[1]], &rows, [to_v, to_w]);
                add_rows([&out[1]], &rows, [&mut alone]);
                assert_eq!(alone, sums[1]);
                for (j, v) in [&v, &w].into_iter().enumerate() {
                    let mut want = v.clone();
                    for (row, got) in rows.chunks_exact(n).zip(&out[j]) {
                        let product: f64 = row.iter().zip(v).map(|(a, b)| a * b).sum();
                        assert!((got - product).abs() < 1e-11, "{n} {k}");
                        want.iter_mut().zip(row).for_each(|(w, x)| *w += got * x);
                    }
                    for (got, want) in sums[j].iter().zip(&want) {
                        assert!((got - want).abs() < 1e-11 * want.abs().max(1.0), "{n} {k}");
                    }
                }
            }
        }
    }
}
