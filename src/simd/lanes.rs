//! Vectors of the machine's width, for kernels that decide which values stay in registers.
//!
//! Most loops of this crate are plain Rust that the compiler vectorises ([`super::dispatch`]).
//! Matrix products are not left to the compiler, because the shape of the register tile decides
//! their speed. [`Lanes`] is the small part of pulp that such kernels need, for `f32` and `f64`
//! alike.

use pulp::Simd;

/// A scalar type and its vectors.
pub trait Lanes: Copy {
    /// A vector under the instruction set `S`.
    type Of<S: Simd>: Copy;

    /// The same value in every lane.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Of<S>;

    /// Whole vectors, and the values that are left.
    fn split<S: Simd>(simd: S, x: &[Self]) -> (&[Self::Of<S>], &[Self]);

    /// Whole vectors, and the values that are left.
    fn split_mut<S: Simd>(simd: S, x: &mut [Self]) -> (&mut [Self::Of<S>], &mut [Self]);

    /// `a b + c`, rounded once where the machine can.
    fn mul_add<S: Simd>(simd: S, a: Self::Of<S>, b: Self::Of<S>, c: Self::Of<S>) -> Self::Of<S>;

    /// The sum of the lanes.
    fn sum_lanes<S: Simd>(simd: S, a: Self::Of<S>) -> Self;

    /// A vector whose first lanes are given; the others are zero.
    fn load_part<S: Simd>(simd: S, x: &[Self]) -> Self::Of<S>;

    /// Writes the first lanes.
    fn store_part<S: Simd>(simd: S, x: &mut [Self], a: Self::Of<S>);
}

macro_rules! lanes {
    ($t:ident, $vector:ident, $splat:ident, $split:ident, $split_mut:ident, $mul_add:ident, $sum:ident, $load:ident, $store:ident) => {
        impl Lanes for $t {
            type Of<S: Simd> = S::$vector;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$vector {
                simd.$splat(x)
            }
            #[inline(always)]
            fn split<S: Simd>(_: S, x: &[Self]) -> (&[S::$vector], &[Self]) {
                S::$split(x)
            }
            #[inline(always)]
            fn split_mut<S: Simd>(_: S, x: &mut [Self]) -> (&mut [S::$vector], &mut [Self]) {
                S::$split_mut(x)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(
                simd: S,
                a: S::$vector,
                b: S::$vector,
                c: S::$vector,
            ) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn sum_lanes<S: Simd>(simd: S, a: S::$vector) -> Self {
                simd.$sum(a)
            }
            #[inline(always)]
            fn load_part<S: Simd>(simd: S, x: &[Self]) -> S::$vector {
                simd.$load(x)
            }
            #[inline(always)]
            fn store_part<S: Simd>(simd: S, x: &mut [Self], a: S::$vector) {
                simd.$store(x, a)
            }
        }
    };
}

lanes!(
    f32,
    f32s,
    splat_f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    mul_add_e_f32s,
    reduce_sum_f32s,
    partial_load_f32s,
    partial_store_f32s
);
lanes!(
    f64,
    f64s,
    splat_f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    mul_add_e_f64s,
    reduce_sum_f64s,
    partial_load_f64s,
    partial_store_f64s
);
