//! Loops over vectors.
//!
//! Inner products accumulate in f64, in a fixed order. [`dots`] and [`dot_rows`] accumulate in
//! lanes of the scalar type, which are then added up in f64.

pub use super::rows::{add_rows, dot_rows, dots};
use crate::scalar::{Scalar, compiled};
use crate::simd::{self, Elementary};

/// `<a, b>`.
pub fn dot<T: Scalar>(a: &[T], b: &[T]) -> f64 {
    T::compiled::<DotOf>()(a, b)
}

compiled!(
    /// [`dot`].
    DotOf(a: &[T], b: &[T]) -> f64 {
        simd::dispatch(Dot { a, b })
    }
);

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

/// A power of two that brings numbers of this magnitude near 1, where squares neither overflow nor
/// vanish. Multiplying by it is exact. 1 for zero and for what is not finite.
pub(crate) fn scale_of(magnitude: f64) -> f64 {
    match magnitude.is_finite() && magnitude > 0.0 {
        true => libm::ldexp(1.0, (-libm::frexp(magnitude).1).min(1_023)),
        false => 1.0,
    }
}

/// `|a - b|`.
pub fn distance<T: Scalar>(a: &[T], b: &[T]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (*a - *b).to_f64().powi(2));
    squares.sum::<f64>().sqrt()
}

/// `y += s x`.
pub fn axpy<T: Scalar>(s: f64, x: &[T], y: &mut [T]) {
    let s = T::from_f64(s);
    T::compiled::<AxpyOf>()(s, x, y);
}

compiled!(
    /// [`axpy`].
    AxpyOf(s: T, x: &[T], y: &mut [T]) -> () {
        simd::dispatch(Axpy { s, x, y });
    }
);

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

/// `y = a y + b x`.
pub fn combine<T: Scalar>(a: f64, y: &mut [T], b: f64, x: &[T]) {
    let (a, b) = (T::from_f64(a), T::from_f64(b));
    T::compiled::<CombineOf>()(a, y, b, x);
}

compiled!(
    /// [`combine`].
    CombineOf(a: T, y: &mut [T], b: T, x: &[T]) -> () {
        simd::dispatch(Combine { a, y, b, x });
    }
);

struct Combine<'a, T> {
    a: T,
    y: &'a mut [T],
    b: T,
    x: &'a [T],
}

impl<T: Scalar> simd::Vectorised for Combine<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            *y = Elementary::times_plus(self.b, x, self.a * *y);
        }
    }
}

/// `x *= s`.
pub fn scale<T: Scalar>(s: f64, x: &mut [T]) {
    let s = T::from_f64(s);
    T::compiled::<ScaleOf>()(s, x);
}

compiled!(
    /// [`scale`].
    ScaleOf(s: T, x: &mut [T]) -> () {
        simd::dispatch(Scale { s, x });
    }
);

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

/// Index of the first NaN or infinity.
pub fn first_non_finite<T: Scalar>(x: &[T]) -> Option<usize> {
    x.iter().position(|x| !x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Phase, Streams, fill_normal};

    #[test]
    fn a_scale_is_a_power_of_two_that_brings_numbers_near_one() {
        for x in [1e-308, 1e-300, 0.3, 1.0, 7.0, 1e300, f64::MAX] {
            let scale = scale_of(x);
            assert!((0.25..=1.0).contains(&(scale * x)), "{x}");
            assert_eq!(libm::frexp(scale).0, 0.5, "{x}");
        }
        assert_eq!([0.0, f64::NAN, f64::INFINITY].map(scale_of), [1.0; 3]);
    }

    #[test]
    fn the_three_products_and_the_combination_are_the_loops() {
        for n in [0, 1, 7, 8, 9, 33, 100, 5000] {
            let mut rng = Streams::new(8).rng(Phase::USER, 0);
            let (mut x, mut y) = (vec![0.0f64; n], vec![0.0; n]);
            fill_normal(&mut rng, &mut x);
            fill_normal(&mut rng, &mut y);
            let got = dots(&x, &y);
            for (got, want) in got.iter().zip([dot(&x, &x), dot(&x, &y), dot(&y, &y)]) {
                assert!((got - want).abs() <= 1e-12 * n as f64);
            }
            let mut z = y.clone();
            combine(0.7, &mut z, -1.3, &x);
            for i in 0..n {
                assert!((z[i] - (0.7 * y[i] - 1.3 * x[i])).abs() < 1e-14);
            }
        }
    }
}
