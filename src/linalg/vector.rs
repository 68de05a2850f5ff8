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

/// The root mean square of values with weights, `[(weight, value)]`, computed without overflow. NaN
/// without values.
pub(crate) fn root_mean_square(values: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let largest = values.clone().fold(0.0, |m: f64, (_, x)| m.max(x.abs()));
    let scale = scale_of(largest);
    let weights: f64 = values.clone().map(|(w, _)| w).sum();
    let squares: f64 = values.map(|(w, x)| w * (x * scale).powi(2)).sum();
    (squares / weights).sqrt() / scale
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

    #[test]
    fn a_root_mean_square_does_not_depend_on_the_unit() {
        let rms = |unit: f64| {
            let values = [3.0, -4.0, 0.0, 5.0].map(|x| (1.0, x * unit));
            root_mean_square(values.into_iter()) / unit
        };
        let expected = 12.5f64.sqrt();
        for power in [-1_000, -600, 0, 600, 1_000] {
            assert_eq!(rms(libm::ldexp(1.0, power)), expected, "2^{power}");
        }
        for unit in [1e-300, 1e-160, 1e160, 1e300] {
            assert!((rms(unit) - expected).abs() < 1e-14, "{unit}");
        }
        let weighted = [(3.0, 1.0), (1.0, 5.0)];
        assert_eq!(root_mean_square(weighted.into_iter()), 7f64.sqrt());
        assert_eq!(root_mean_square([(1.0, 0.0)].into_iter()), 0.0);
        assert_eq!(
            root_mean_square([(1.0, f64::INFINITY)].into_iter()),
            f64::INFINITY
        );
        assert!(root_mean_square([(1.0, f64::NAN), (1.0, 1.0)].into_iter()).is_nan());
    }
    use crate::rng::{Phase, Streams, fill_normal};

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
