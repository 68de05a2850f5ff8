//! Elementwise loops at the width of the machine's vector registers, chosen at run time, without `unsafe`.
//!
//! The functions are plain branch-free Rust, marked `#[inline(always)]`. Inside [`dispatch`] they are compiled once for
//! each instruction set that pulp knows (AVX-512, AVX2 + FMA, baseline), and the compiler turns the loops into vector
//! code. Every function is made of the same correctly rounded operations on each of them (`mul_add` is one rounding
//! everywhere), so the bits do not depend on the instruction set either.

mod elementary;

pub use elementary::Elementary;

/// Runs `f` compiled for the best instruction set of this machine.
#[inline(always)]
pub(crate) fn dispatch<R>(f: impl FnOnce() -> R) -> R {
    struct Wrapper<F>(F);
    impl<R, F: FnOnce() -> R> pulp::NullaryFnOnce for Wrapper<F> {
        type Output = R;
        #[inline(always)]
        fn call(self) -> R {
            (self.0)()
        }
    }
    pulp::Arch::new().dispatch(Wrapper(f))
}

/// `dst[i] = f(src[i])`.
#[inline(always)]
pub(crate) fn map<T: Copy>(src: &[T], dst: &mut [T], f: impl Fn(T) -> T) {
    for (d, &x) in dst.iter_mut().zip(src) {
        *d = f(x);
    }
}

/// `dst[i] = f(a[i], b[i])`.
#[inline(always)]
pub(crate) fn zip<T: Copy>(a: &[T], b: &[T], dst: &mut [T], f: impl Fn(T, T) -> T) {
    for ((d, &x), &y) in dst.iter_mut().zip(a).zip(b) {
        *d = f(x, y);
    }
}
