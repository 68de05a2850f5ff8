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
        for (row, out) in self.rows.chunks_exact(self.v.len()).zip(self.out) {
            let mut sum = 0.0;
            for (a, b) in row.chunks(RUN).zip(self.v.chunks(RUN)) {
                let mut lanes = [T::ZERO; 64];
                for (x, y) in a.chunks_exact(64).zip(b.chunks_exact(64)) {
                    for i in 0..64 {
                        lanes[i] = Elementary::times_plus(x[i], y[i], lanes[i]);
                    }
                }
                let whole = a.len() - a.len() % 64;
                for (x, y) in a[whole..].iter().zip(&b[whole..]) {
                    sum += x.to_f64() * y.to_f64();
                }
                for i in 0..16 {
                    let (a, b) = (lanes[i] + lanes[i + 32], lanes[i + 16] + lanes[i + 48]);
                    sum += (a + b).to_f64();
                }
            }
            *out = sum;
        }
    }
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
    for x in x {
        *x *= s;
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
