//! Elementwise loops at the machine's vector width, chosen at run time, without `unsafe`.
//!
//! The functions are plain branch-free Rust, marked `#[inline(always)]`. Inside `dispatch` they are
//! compiled once for each instruction set that pulp knows (AVX-512, AVX2 + FMA, baseline), and the
//! compiler turns the loops into vector code. Every instruction set runs the same correctly rounded
//! operations (`mul_add` rounds once everywhere). So results do not depend on the instruction set
//! either, bit for bit.

mod aligned;
mod box_muller;
mod elementary;
mod lanes;
#[cfg(test)]
mod tests;

pub(crate) use aligned::Aligned;
pub use box_muller::BoxMuller;
pub use elementary::Elementary;
pub use lanes::Lanes;

/// Work that is compiled once for each instruction set. Implementations mark `run`, and everything
/// it calls, as `#[inline(always)]`: what is not inlined is compiled for the baseline. (This is a
/// trait and not a closure, because closures are inlined at the compiler's discretion.)
pub(crate) trait Vectorised {
    /// The result of the work.
    type Output;
    /// Does the work.
    fn run(self) -> Self::Output;
}

/// Runs `work` with the best instruction set of this machine.
#[inline(always)]
pub(crate) fn dispatch<W: Vectorised>(work: W) -> W::Output {
    struct Wrapper<W>(W);
    impl<W: Vectorised> pulp::NullaryFnOnce for Wrapper<W> {
        type Output = W::Output;
        #[inline(always)]
        fn call(self) -> W::Output {
            self.0.run()
        }
    }
    pulp::Arch::new().dispatch(Wrapper(work))
}

/// `dst[i] = f(src[i])`, with `f` an expression of its operand. It expands to a loop in place, so
/// there is no call that might not be inlined.
macro_rules! map {
    ($src:expr, $dst:expr, $x:ident => $f:expr) => {
        for (d, &$x) in $dst.iter_mut().zip($src.iter()) {
            *d = $f;
        }
    };
}

/// `dst[i] = f(a[i], b[i])`.
macro_rules! zip {
    ($a:expr, $b:expr, $dst:expr, ($x:ident, $y:ident) => $f:expr) => {
        for ((d, &$x), &$y) in $dst.iter_mut().zip($a.iter()).zip($b.iter()) {
            *d = $f;
        }
    };
}

pub(crate) use {map, zip};
