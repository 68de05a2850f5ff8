//! The two scalar types of the engine, f32 and f64, behind one sealed trait.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::simd::{BoxMuller, Elementary, Lanes};

/// `f32` or `f64`. Walks and training default to `f32`; tests of derivatives run in `f64`.
///
/// The trait is sealed: the engine's kernels are written for these two types.
pub trait Scalar:
    sealed::Sealed
    + faer::traits::RealField
    + Elementary
    + Lanes
    + BoxMuller
    + Copy
    + Default
    + PartialOrd
    + Debug
    + Display
    + Send
    + Sync
    + Sum
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + 'static
{
    /// The additive identity.
    const ZERO: Self;
    /// The multiplicative identity.
    const ONE: Self;
    /// Distance from 1 to the next number.
    const EPSILON: Self;
    /// `f32` or `f64`, as the command line and model files write it.
    const NAME: &'static str;

    /// The nearest representable value.
    fn from_f64(value: f64) -> Self;
    /// The same value in double precision.
    fn to_f64(self) -> f64;
    /// True for anything but NaN and the infinities.
    fn is_finite(self) -> bool;

    /// The function of this type.
    #[doc(hidden)]
    fn compiled<F: Compiled>() -> F::Of<Self>;
}

/// A function that this crate compiles for both types. A generic function would be compiled again
/// in every crate that calls it, and the engine's loops take the compiler long. `compiled!` makes
/// one, `T::compiled` calls it.
#[doc(hidden)]
pub trait Compiled {
    /// Its type.
    type Of<T: Scalar>;
    /// For `f32`.
    const SINGLE: Self::Of<f32>;
    /// For `f64`.
    const DOUBLE: Self::Of<f64>;
}

/// `compiled!(Name(argument: Type<T>, ...) -> Result<T> { body })`: a [`Compiled`] function, with
/// `T` for the number type.
macro_rules! compiled {
    ($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $out:ty $body:block) => {
        $(#[$doc])*
        struct $name;

        impl $crate::scalar::Compiled for $name {
            type Of<T: $crate::scalar::Scalar> = fn($($type),*) -> $out;
            const SINGLE: Self::Of<f32> = {
                type T = f32;
                #[inline(never)]
                fn call($($arg: $type),*) -> $out $body
                call
            };
            const DOUBLE: Self::Of<f64> = {
                type T = f64;
                #[inline(never)]
                fn call($($arg: $type),*) -> $out $body
                call
            };
        }
    };
}

pub(crate) use compiled;

macro_rules! scalar {
    ($t:ident, $constant:ident) => {
        impl Scalar for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const EPSILON: Self = $t::EPSILON;
            const NAME: &'static str = stringify!($t);

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }
            #[inline(always)]
            fn compiled<F: Compiled>() -> F::Of<Self> {
                F::$constant
            }
        }
    };
}

scalar!(f32, SINGLE);
scalar!(f64, DOUBLE);

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}
