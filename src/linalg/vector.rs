//! Loops over vectors. Inner products accumulate in f64, in a fixed order.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::scalar::Scalar;
use crate::simd::{self, Elementary};

/// `<a, b>`.
pub fn dot<T: Scalar>(a: &[T], b: &[T]) -> f64 {
    simd::dispatch(Dot { a, b })
}

struct Dot<'a, T> {
    a: &'a [T],
    b: &'a [T],
}

impl<T: Scalar> simd::Vectorised for Dot<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        let n = self.a.len().min(self.b.len());
        let (a, tail_a) = self.a[..n].split_at(n - n % 8);
        let (b, tail_b) = self.b[..n].split_at(n - n % 8);
        let mut lanes = [0.0f64; 8];
        for (x, y) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
            for i in 0..8 {
                lanes[i] += x[i].to_f64() * y[i].to_f64();
            }
        }
        let mut tail = 0.0;
        for (x, y) in tail_a.iter().zip(tail_b) {
            tail += x.to_f64() * y.to_f64();
        }
        let [a, b, c, d, e, f, g, h] = lanes;
        ((a + e) + (c + g)) + ((b + f) + (d + h)) + tail
    }
}

/// Euclidean norm.
pub fn norm<T: Scalar>(a: &[T]) -> f64 {
    dot(a, a).sqrt()
}

/// `|a - b|`.
pub fn distance<T: Scalar>(a: &[T], b: &[T]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (*a - *b).to_f64().powi(2));
    squares.sum::<f64>().sqrt()
}

/// `y += s x`.
pub fn axpy<T: Scalar>(s: f64, x: &[T], y: &mut [T]) {
    let s = T::from_f64(s);
    simd::dispatch(Axpy { s, x, y });
}

struct Axpy<'a, T> {
    s: T,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for Axpy<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            *y += self.s * x;
        }
    }
}

/// `out[i] = <rows[i], v>` for rows of the length of `v`, one after the other in `rows`.
pub fn dot_rows<T: Scalar>(rows: &[T], v: &[T], out: &mut [f64]) {
    if !v.is_empty() {
        simd::dispatch(DotRows { rows, v, out });
    }
}

struct DotRows<'a, T> {
    rows: &'a [T],
    v: &'a [T],
    out: &'a mut [f64],
}

/// Numbers that are summed in their own type before the sum goes on in f64.
const RUN: usize = 1024;

impl<T: Scalar> simd::Vectorised for DotRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let n = self.v.len();
        // four rows at a time: `v` is read a quarter as often, and four sums are under way
        let mut quads = self.rows.chunks_exact(4 * n);
        let mut out = self.out.chunks_exact_mut(4);
        for (rows, out) in quads.by_ref().zip(out.by_ref()) {
            let (first, second) = rows.split_at(2 * n);
            let ((p, q), (r, s)) = (first.split_at(n), second.split_at(n));
            out.fill(0.0);
            for start in (0..n).step_by(RUN) {
                let run = start..n.min(start + RUN);
                let v = &self.v[run.clone()];
                let rows = [&p[run.clone()], &q[run.clone()], &r[run.clone()], &s[run]];
                let sums = four_dots(rows, v);
                for (o, sum) in out.iter_mut().zip(sums) {
                    *o += sum;
                }
            }
        }
        let rest = quads.remainder().chunks_exact(n);
        for (row, out) in rest.zip(out.into_remainder()) {
            *out = row
                .chunks(RUN)
                .zip(self.v.chunks(RUN))
                .map(|(a, v)| four_dots([a; 4], v)[0])
                .sum();
        }
    }
}

/// Four inner products with `v`, in lanes of the number type.
#[inline(always)]
fn four_dots<T: Scalar>(rows: [&[T]; 4], v: &[T]) -> [f64; 4] {
    let [p, q, r, s] = rows;
    let mut lanes = [[T::ZERO; 32]; 4];
    let whole = v.len() - v.len() % 32;
    let parts = p.chunks_exact(32).zip(q.chunks_exact(32));
    let parts = parts.zip(r.chunks_exact(32).zip(s.chunks_exact(32)));
    for (((p, q), (r, s)), v) in parts.zip(v.chunks_exact(32)) {
        for i in 0..32 {
            lanes[0][i] = Elementary::times_plus(p[i], v[i], lanes[0][i]);
            lanes[1][i] = Elementary::times_plus(q[i], v[i], lanes[1][i]);
            lanes[2][i] = Elementary::times_plus(r[i], v[i], lanes[2][i]);
            lanes[3][i] = Elementary::times_plus(s[i], v[i], lanes[3][i]);
        }
    }
    let mut sums = [0.0; 4];
    for j in 0..4 {
        let mut sum = T::ZERO;
        for i in whole..v.len() {
            sum = Elementary::times_plus(rows[j][i], v[i], sum);
        }
        let mut half = [T::ZERO; 16];
        for i in 0..16 {
            half[i] = lanes[j][i] + lanes[j][i + 16];
        }
        for i in 0..8 {
            half[i] += half[i + 8];
        }
        for i in 0..4 {
            half[i] += half[i + 4];
        }
        sums[j] = ((half[0] + half[1]) + (half[2] + half[3])).to_f64() + sum.to_f64();
    }
    sums
}

/// `v += sum_i coefficients[i] rows[i]`.
pub fn add_rows<T: Scalar>(coefficients: &[f64], rows: &[T], v: &mut [T]) {
    if !v.is_empty() {
        simd::dispatch(AddRows {
            coefficients,
            rows,
            v,
        });
    }
}

struct AddRows<'a, T> {
    coefficients: &'a [f64],
    rows: &'a [T],
    v: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for AddRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let n = self.v.len();
        // four rows at a time: `v` is read and written a quarter as often
        let (quads, rest) = self.coefficients.split_at(self.coefficients.len() / 4 * 4);
        let (of_quads, of_rest) = self.rows.split_at((quads.len() * n).min(self.rows.len()));
        for (c, rows) in quads.chunks_exact(4).zip(of_quads.chunks_exact(4 * n)) {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| T::from_f64(c[i]));
            let (first, second) = rows.split_at(2 * n);
            let ((p, q), (r, s)) = (first.split_at(n), second.split_at(n));
            for ((((v, &p), &q), &r), &s) in self.v.iter_mut().zip(p).zip(q).zip(r).zip(s) {
                let low = Elementary::times_plus(a, p, *v);
                let high = Elementary::times_plus(c, r, d * s);
                *v = Elementary::times_plus(b, q, low) + high;
            }
        }
        for (&c, row) in rest.iter().zip(of_rest.chunks_exact(n)) {
            let c = T::from_f64(c);
            for (v, &x) in self.v.iter_mut().zip(row) {
                *v = Elementary::times_plus(c, x, *v);
            }
        }
    }
}

/// `x *= s`.
pub fn scale<T: Scalar>(s: f64, x: &mut [T]) {
    let s = T::from_f64(s);
    simd::dispatch(Scale { s, x });
}

struct Scale<'a, T> {
    s: T,
    x: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for Scale<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for x in self.x {
            *x *= self.s;
        }
    }
}

/// Independent standard normal numbers.
pub fn fill_normal<T: Scalar>(rng: &mut impl Rng, out: &mut [T]) {
    for x in out {
        let draw: f64 = StandardNormal.sample(rng);
        *x = T::from_f64(draw);
    }
}

/// The first NaN or infinity.
pub fn first_non_finite<T: Scalar>(x: &[T]) -> Option<usize> {
    x.iter().position(|x| !x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Phase, Streams};

    /// Against the loops, for lengths around the runs and numbers of rows around four.
    #[test]
    fn rows_are_multiplied_and_added_as_the_loops_do() {
        for n in [1, 31, 32, 33, 1023, 1024, 1025, 2100] {
            for k in [0, 1, 3, 4, 5, 9] {
                let mut rng = Streams::new(7).rng(Phase::USER, 0);
                let (mut rows, mut v) = (vec![0.0f64; n * k], vec![0.0; n]);
                fill_normal(&mut rng, &mut rows);
                fill_normal(&mut rng, &mut v);
                let mut out = vec![f64::NAN; k];
                dot_rows(&rows, &v, &mut out);
                let mut sum = v.clone();
                add_rows(&out, &rows, &mut sum);
                let mut want = v.clone();
                for (row, got) in rows.chunks_exact(n).zip(&out) {
                    let product: f64 = row.iter().zip(&v).map(|(a, b)| a * b).sum();
                    assert!((got - product).abs() < 1e-11, "{n} {k}");
                    want.iter_mut().zip(row).for_each(|(w, x)| *w += got * x);
                }
                for (got, want) in sum.iter().zip(&want) {
                    assert!((got - want).abs() < 1e-11 * want.abs().max(1.0), "{n} {k}");
                }
            }
        }
    }
}
