//! Loops over vectors. Inner products accumulate in f64, in a fixed order.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::scalar::Scalar;
use crate::simd;

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
