//! Elementary functions without branches, so that loops over them vectorise.
//!
//! All rest on one reduction, `x = n log 2 + r` with `|r| <= log(2) / 2`, and the Taylor series of `e^r - 1`, whose
//! remainder there is below a tenth of an ulp (degree 7 in f32: `r^8/8! = 5e-9`; degree 14 in f64: `r^15/15! = 1e-19`):
//!
//! - `e^x = 2^n (1 + p(r))`
//! - `tanh x = t / (t + 2)` with `t = e^{2|x|} - 1 = 2^n p(r) + (2^n - 1)`, accurate down to the smallest `x`
//! - `sigmoid x = 1 / (1 + e^{-x})`, from `e^{-|x|}` so that it does not overflow
//!
//! Errors, measured by the tests below over the whole range: `exp` 1.5 ulp, `tanh` and `sigmoid` 3 ulp. Logarithms,
//! `log1p` and the normal distribution function are the platform's or libm's.

/// Functions of one number, for `f32` and `f64`.
pub trait Elementary: Copy {
    /// `e^x`; overflows to infinity, underflows through the subnormals to zero.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// `log(1 + x)`.
    fn ln_1p(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// `1 / (1 + e^-x)`.
    fn sigmoid(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// The standard normal distribution function.
    fn normal_cdf(self) -> Self;
}

macro_rules! elementary {
    (
        $t:ident, bits $bits:ident, mantissa $mantissa:literal, bias $bias:literal,
        magic $magic:expr, log2e $log2e:expr, ln2_hi $hi:expr, ln2_lo $lo:expr,
        clamp $low:literal .. $high:literal, tanh_one $one_at:literal, taylor [$first:expr $(, $rest:expr)*]
    ) => {
        impl Elementary for $t {
            #[inline(always)]
            fn exp(self) -> Self {
                // the clamp keeps n in range; NaN fails both comparisons and goes through
                let x = if self < $low { $low } else { self };
                let x = if x > $high { $high } else { x };
                let (n, p) = reduce(x);
                // 2^n in two factors, so that subnormal results are rounded once and overflow gives infinity
                let half = n >> 1;
                (1.0 + p) * power_of_two(half) * power_of_two(n - half)
            }

            #[inline(always)]
            fn ln(self) -> Self {
                $t::ln(self)
            }

            #[inline(always)]
            fn ln_1p(self) -> Self {
                $t::ln_1p(self)
            }

            #[inline(always)]
            fn tanh(self) -> Self {
                let x = self.abs();
                let x = if x > $one_at { $one_at } else { x };
                let (n, p) = reduce(x + x);
                let scale = power_of_two(n);
                let t = scale.mul_add(p, scale - 1.0);
                (t / (t + 2.0)).copysign(self)
            }

            #[inline(always)]
            fn sigmoid(self) -> Self {
                let e = Elementary::exp(-self.abs());
                let top = if self < 0.0 { e } else { 1.0 };
                top / (1.0 + e)
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }

            #[inline(always)]
            fn normal_cdf(self) -> Self {
                // in f64: the tail amplifies the rounding of the argument by its square
                (0.5 * libm::erfc(-f64::from(self) * std::f64::consts::FRAC_1_SQRT_2)) as $t
            }
        }

        /// `n` and `e^r - 1` for `x = n log 2 + r`.
        #[inline(always)]
        fn reduce(x: $t) -> ($bits, $t) {
            // adding 1.5 * 2^mantissa rounds to an integer and leaves it in the low bits
            let shifted = x.mul_add($log2e, $magic);
            let n = (shifted.to_bits() as $bits).wrapping_sub($magic.to_bits() as $bits);
            let whole = shifted - $magic;
            let r = whole.mul_add(-$lo, whole.mul_add(-$hi, x));
            let series: $t = $first;
            $(let series = series.mul_add(r, $rest);)*
            // r + r^2 q(r): the leading term stays exact
            (n, (r * r).mul_add(series, r))
        }

        #[inline(always)]
        fn power_of_two(n: $bits) -> $t {
            $t::from_bits((n.wrapping_add($bias) << $mantissa) as _)
        }
    };
}

mod single {
    use super::Elementary;
    const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23
    elementary!(
        f32, bits i32, mantissa 23, bias 127,
        magic MAGIC, log2e std::f32::consts::LOG2_E,
        // log 2 in two parts; the first has few enough bits that n times it is exact
        ln2_hi 0.693_359_4_f32, ln2_lo -2.121_944_4e-4_f32,
        clamp -104.0 .. 89.0, tanh_one 9.5,
        taylor [1.0 / 5_040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5]
    );
}

mod double {
    use super::Elementary;
    const MAGIC: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
    elementary!(
        f64, bits i64, mantissa 52, bias 1023,
        magic MAGIC, log2e std::f64::consts::LOG2_E,
        ln2_hi 0.693_145_751_953_125_f64, ln2_lo 1.428_606_820_309_417_3e-6_f64,
        clamp -746.0 .. 710.0, tanh_one 20.0,
        taylor [
            1.0 / 87_178_291_200.0, 1.0 / 6_227_020_800.0, 1.0 / 479_001_600.0, 1.0 / 39_916_800.0,
            1.0 / 3_628_800.0, 1.0 / 362_880.0, 1.0 / 40_320.0, 1.0 / 5_040.0, 1.0 / 720.0, 1.0 / 120.0,
            1.0 / 24.0, 1.0 / 6.0, 0.5
        ]
    );
}

#[cfg(test)]
mod tests {
    use super::Elementary;
    use crate::simd;

    /// Distance in units in the last place of the reference, subnormal spacing at the bottom.
    fn ulp32(got: f32, want: f64) -> f64 {
        let w = want as f32;
        if got == w {
            return 0.0;
        }
        let spacing = (w.abs().max(f32::MIN_POSITIVE).to_bits() + 1) as f64;
        let next = f32::from_bits(spacing as u32) as f64;
        (got as f64 - want).abs() / (next - w.abs().max(f32::MIN_POSITIVE) as f64)
    }

    fn ulp64(got: f64, want: f64) -> f64 {
        if got == want {
            return 0.0;
        }
        let base = want.abs().max(f64::MIN_POSITIVE);
        (got - want).abs() / (f64::from_bits(base.to_bits() + 1) - base)
    }

    /// Every 1009th bit pattern of f32: both signs, subnormals, all exponents.
    fn all32() -> impl Iterator<Item = f32> {
        (0..=u32::MAX)
            .step_by(1009)
            .map(f32::from_bits)
            .filter(|x| x.is_finite())
    }

    /// One function of f32 over a slice, compiled for the machine.
    macro_rules! vectorised {
        ($f:ident, $src:expr, $dst:expr) => {{
            struct Loop<'a>(&'a [f32], &'a mut [f32]);
            impl simd::Vectorised for Loop<'_> {
                type Output = ();
                #[inline(always)]
                fn run(self) {
                    simd::map!(self.0, self.1, x => Elementary::$f(x));
                }
            }
            simd::dispatch(Loop($src, $dst));
        }};
    }

    fn check32(src: &[f32], dst: &[f32], bound: f64, f: fn(f32) -> f32, oracle: fn(f64) -> f64) {
        for (&x, &y) in src.iter().zip(dst) {
            let want = oracle(f64::from(x));
            if want.abs() > f64::from(f32::MAX) {
                assert!(
                    y.is_infinite() || ulp32(y, want) < bound,
                    "f({x:e}) = {y:e}"
                );
                continue;
            }
            let error = ulp32(y, want);
            assert!(
                error <= bound,
                "f({x:e}) = {y:e}, want {want:e}: {error} ulp"
            );
            assert_eq!(
                f(x).to_bits(),
                y.to_bits(),
                "f({x:e}) depends on the instruction set"
            );
        }
    }

    #[test]
    fn f32_functions_are_accurate_over_all_exponents() {
        let src: Vec<f32> = all32().collect();
        let mut dst = vec![0.0; src.len()];
        vectorised!(exp, &src, &mut dst);
        check32(&src, &dst, 1.5, Elementary::exp, f64::exp);
        vectorised!(tanh, &src, &mut dst);
        check32(&src, &dst, 3.0, Elementary::tanh, f64::tanh);
        vectorised!(sigmoid, &src, &mut dst);
        check32(&src, &dst, 3.0, Elementary::sigmoid, |x| {
            if x < 0.0 {
                x.exp() / (1.0 + x.exp())
            } else {
                1.0 / (1.0 + (-x).exp())
            }
        });
        vectorised!(normal_cdf, &src, &mut dst);
        check32(&src, &dst, 1.0, Elementary::normal_cdf, |x| {
            0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
        });
    }

    #[test]
    fn f64_functions_are_accurate() {
        let scales = (-1074..11).map(|e| 2f64.powi(e));
        let grid = (-76_000..=76_000).map(|i| f64::from(i) * 0.01 + 1e-3 / 7.0);
        for x in scales.chain(grid) {
            for x in [x, -x] {
                let cases = [
                    ("exp", Elementary::exp(x), f64::exp(x), 1.5),
                    ("tanh", Elementary::tanh(x), f64::tanh(x), 3.0),
                ];
                for (name, got, want, bound) in cases {
                    let error = ulp64(got, want);
                    assert!(
                        error <= bound,
                        "{name}({x:e}) = {got:e}, want {want:e}: {error} ulp"
                    );
                }
            }
        }
    }

    #[test]
    fn special_values() {
        fn check<T: Elementary + PartialEq + std::fmt::Debug + Into<f64>>(of: fn(f64) -> T) {
            let (inf, nan) = (f64::INFINITY, f64::NAN);
            assert_eq!(of(0.0).exp(), of(1.0));
            assert_eq!(of(inf).exp(), of(inf));
            assert_eq!(of(-inf).exp(), of(0.0));
            assert_eq!(of(inf).tanh(), of(1.0));
            assert_eq!(of(-inf).tanh(), of(-1.0));
            assert_eq!(of(inf).sigmoid(), of(1.0));
            assert_eq!(of(-inf).sigmoid(), of(0.0));
            assert!(of(-0.0).tanh().into().is_sign_negative());
            for y in [of(nan).exp(), of(nan).tanh(), of(nan).sigmoid()] {
                assert!(y.into().is_nan());
            }
        }
        check::<f32>(|x| x as f32);
        check::<f64>(|x| x);
    }
}
