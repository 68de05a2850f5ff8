//! Elementary functions without branches, so that loops over them vectorise.
//!
//! **The exponential and what follows from it.** All these functions use one reduction,
//! `x = n log 2 + r` with `|r| <= log(2) / 2`, and the Taylor series of `p(r) = e^r - 1`. Its
//! remainder is below a tenth of an ulp (degree 7 in f32: `r^8/8! = 5e-9`; degree 14 in f64:
//! `r^15/15! = 1e-19`):
//! - `e^x = 2^n (1 + p(r))`
//! - in f64, `tanh x = t / (t + 2)` with `t = e^{2|x|} - 1 = 2^n p(r) + (2^n - 1)`, accurate down
//!   to the smallest `x`
//! - in f32, where networks spend their time, `tanh x = x P(x^2) / Q(x^2)` with polynomials of
//!   degree 4 and `P(0) = Q(0) = 1`. They are fitted for the smallest relative error on
//!   `|x| <= 9.02` (reweighted least squares in extended precision: 2.2e-8). This takes 13
//!   operations instead of 24.
//! - `sigmoid x = 1 / (1 + e^{-x})`, from `e^{-|x|}` so that it does not overflow
//!
//! **Logarithms.** `x = 2^n (1 + f)` with `1 + f` between `sqrt(1/2)` and `sqrt(2)`,
//! `s = f / (2 + f)`, and `log(1 + f) = 2 s + 2 s^3/3 + 2 s^5/5 + ...`, cut where the next term is
//! below a tenth of an ulp (`s^2 < 0.0295`):
//! - `log1p x = log(u) + (x - (u - 1)) / u` with `u = 1 + x`: this corrects the rounding of `u` to
//!   first order
//! - `softplus x = max(x, 0) + log1p(e^{-|x|})`
//!
//! **The normal distribution function.** `Phi(-t) = e^{-t^2/2} h(u) / (t + k)` for `t >= 0`,
//! `u = (t - k) / (t + k)`. The polynomial `h` interpolates at the Chebyshev nodes (degree 12,
//! `k = 3`, relative error 2e-9 in f32; degree 26, `k = 4`, 1.4e-18 in f64; computed with 60
//! digits). `t^2` is computed together with its rounding error, which the exponential would
//! otherwise magnify.
//!
//! Largest errors, asserted by the tests over all exponents, in units in the last place (ulp):
//! `exp` 1.5, `sigmoid` 3, `tanh` 3 in f64 and 6 in f32, `ln` 1.5, `ln_1p` 2.5, `softplus` 3,
//! `normal_cdf` 6.

/// Functions of one number, for `f32` and `f64`.
pub trait Elementary: Copy {
    /// `e^x`; overflows to infinity, underflows through the subnormals to zero.
    fn exp(self) -> Self;
    /// Natural logarithm: `-inf` at zero, NaN below.
    fn ln(self) -> Self;
    /// `log(1 + x)`.
    fn ln_1p(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// `1 / (1 + e^-x)`.
    fn sigmoid(self) -> Self;
    /// `log(1 + e^x)`.
    fn softplus(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// `self a + b`, rounded once.
    fn times_plus(self, a: Self, b: Self) -> Self;
    /// The standard normal distribution function.
    fn normal_cdf(self) -> Self;
}

macro_rules! elementary {
    (
        $t:ident, bits $bits:ident, mantissa $mantissa:literal, bias $bias:literal,
        magic $magic:expr, log2e $log2e:expr, ln2_hi $hi:expr, ln2_lo $lo:expr,
        clamp $low:literal .. $high:literal,
        taylor [$first:expr $(, $rest:expr)*], atanh [$log_first:expr $(, $log_rest:expr)*],
        normal $k:literal [$cdf_first:expr $(, $cdf_rest:expr)*]
    ) => {
        impl Elementary for $t {
            #[inline(always)]
            fn exp(self) -> Self {
                // the clamp keeps n in range; NaN fails both comparisons and passes through
                let x = if self < $low { $low } else { self };
                let x = if x > $high { $high } else { x };
                let (n, p) = reduce(x);
                // 2^n in two factors, so that subnormal results are rounded once and overflow gives
                // infinity
                let half = n >> 1;
                (1.0 + p) * power_of_two(half) * power_of_two(n - half)
            }

            #[inline(always)]
            fn ln(self) -> Self {
                // subnormals are scaled into the normal range first
                let tiny = self < $t::MIN_POSITIVE;
                let x = if tiny { self * SCALE_UP } else { self };
                let shift: $bits = if tiny { -($mantissa) } else { 0 };
                let bits = x.to_bits() as $bits;
                let offset = bits.wrapping_sub(SQRT_HALF.to_bits() as $bits);
                let n = (offset >> $mantissa).wrapping_add(shift);
                let f = $t::from_bits(bits.wrapping_sub((offset >> $mantissa) << $mantissa) as _) - 1.0;
                let s = f / (2.0 + f);
                let s2 = s * s;
                let series: $t = $log_first;
                $(let series = series.mul_add(s2, $log_rest);)*
                let tail = 2.0 * s2 * series;
                let half = 0.5 * f * f;
                let n = to_float(n);
                // 2 s = f - s f and s f = f^2/2 - s f^2/2: the leading term f is exact
                let small = n.mul_add($lo, s * (half + tail));
                let y = n.mul_add($hi, f - (half - small));
                let y = if self == $t::INFINITY { self } else { y };
                let y = if self == 0.0 { $t::NEG_INFINITY } else { y };
                if self >= 0.0 { y } else { $t::NAN }
            }

            #[inline(always)]
            fn ln_1p(self) -> Self {
                let u = 1.0 + self;
                let correction = (self - (u - 1.0)) / u;
                let y = Elementary::ln(u) + correction;
                // at the ends the correction is NaN
                if self == $t::INFINITY || u == 0.0 { Elementary::ln(u) } else { y }
            }

            #[inline(always)]
            fn tanh(self) -> Self {
                hyperbolic_tangent(self)
            }

            #[inline(always)]
            fn sigmoid(self) -> Self {
                let e = Elementary::exp(-self.abs());
                let top = if self < 0.0 { e } else { 1.0 };
                top / (1.0 + e)
            }

            #[inline(always)]
            fn softplus(self) -> Self {
                let positive = if self < 0.0 { 0.0 } else { self };
                positive + Elementary::ln_1p(Elementary::exp(-self.abs()))
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }

            #[inline(always)]
            fn times_plus(self, a: Self, b: Self) -> Self {
                $t::mul_add(self, a, b)
            }

            #[inline(always)]
            fn normal_cdf(self) -> Self {
                let t = self.abs();
                // beyond 40 the tail is zero, and infinity over infinity would be NaN
                let t = if t > 40.0 { 40.0 } else { t };
                let square = t * t;
                let lost = t.mul_add(t, -square);
                let gauss = Elementary::exp(-0.5 * square) * (1.0 - 0.5 * lost);
                let u = (t - $k) / (t + $k);
                let series: $t = $cdf_first;
                $(let series = series.mul_add(u, $cdf_rest);)*
                let tail = gauss * series / (t + $k);
                if self > 0.0 { 1.0 - tail } else { tail }
            }
        }

        /// An integer below 2^(mantissa - 1) as a float, built from its bits: not every instruction
        /// set converts vectors of i64.
        #[inline(always)]
        fn to_float(n: $bits) -> $t {
            $t::from_bits(n.wrapping_add($magic.to_bits() as $bits) as _) - $magic
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

    #[inline(always)]
    fn hyperbolic_tangent(x: f32) -> f32 {
        // beyond 9.02 the function rounds to one; NaN fails the comparison and passes through
        let t = x.abs();
        let t = if t > 9.02 { 9.02 } else { t };
        let s = t * t;
        let mut top: f32 = 1.338_429_6e-8;
        let mut bottom: f32 = 7.790_251_4e-7;
        for (a, b) in [
            (2.063_582_7e-5, 3.288_517_8e-4),
            (3.497_458e-3, 2.588_436_2e-2),
            (1.338_268_7e-1, 4.671_600_9e-1),
            (1.0, 1.0),
        ] {
            top = top.mul_add(s, a);
            bottom = bottom.mul_add(s, b);
        }
        let y = t * top / bottom;
        let y = if y > 1.0 { 1.0 } else { y };
        y.copysign(x)
    }

    const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23
    const SCALE_UP: f32 = 8_388_608.0; // 2^23
    const SQRT_HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
    elementary!(
        f32, bits i32, mantissa 23, bias 127,
        magic MAGIC, log2e std::f32::consts::LOG2_E,
        // log 2 in two parts; the first has few enough bits that n times it is exact
        ln2_hi 0.693_359_4_f32, ln2_lo -2.121_944_4e-4_f32,
        clamp -104.0 .. 89.0,
        taylor [1.0 / 5_040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5],
        atanh [1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0],
        normal 3.0 [
            -1.050_718_7e-5, -1.523_290_7e-5, 6.697_861e-5, 1.539_482_3e-4, -2.497_552_4e-4, -1.044_860_1e-3,
            1.025_649_2e-3, 6.972_24e-3, -1.046_262_7e-2, -4.726_297e-2, 2.300_177_2e-1, -5.093_32e-1,
            7.290_837e-1
        ]
    );
}

mod double {
    use super::Elementary;

    #[inline(always)]
    fn hyperbolic_tangent(x: f64) -> f64 {
        let t = x.abs();
        let t = if t > 20.0 { 20.0 } else { t };
        let (n, p) = reduce(t + t);
        let scale = power_of_two(n);
        let e = scale.mul_add(p, scale - 1.0);
        (e / (e + 2.0)).copysign(x)
    }

    const MAGIC: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
    const SCALE_UP: f64 = 4_503_599_627_370_496.0; // 2^52
    const SQRT_HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;
    elementary!(
        f64, bits i64, mantissa 52, bias 1023,
        magic MAGIC, log2e std::f64::consts::LOG2_E,
        ln2_hi 0.693_145_751_953_125_f64, ln2_lo 1.428_606_820_309_417_3e-6_f64,
        clamp -746.0 .. 710.0,
        taylor [
            1.0 / 87_178_291_200.0, 1.0 / 6_227_020_800.0, 1.0 / 479_001_600.0, 1.0 / 39_916_800.0,
            1.0 / 3_628_800.0, 1.0 / 362_880.0, 1.0 / 40_320.0, 1.0 / 5_040.0, 1.0 / 720.0, 1.0 / 120.0,
            1.0 / 24.0, 1.0 / 6.0, 0.5
        ],
        atanh [
            1.0 / 21.0, 1.0 / 19.0, 1.0 / 17.0, 1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0,
            1.0 / 3.0
        ],
        normal 4.0 [
            -4.445_136_353_605_862e-11, 1.169_652_910_507_667_5e-10, 6.292_078_679_667_772e-10, -8.510_067_291_525_694e-10,
            -4.560_985_282_531_475e-9, 1.422_954_396_995_231_4e-9, 2.281_718_958_450_826e-8, 1.464_671_760_847_852_5e-8,
            -8.836_619_569_126_603e-8, -1.565_186_643_460_710_9e-7, 2.735_553_067_099_946e-7, 1.022_571_517_571_551_7e-6,
            -6.303_827_237_271_143e-7, -5.920_591_641_286_063_5e-6, 7.168_454_813_833_569e-7, 3.514_479_637_594_862_6e-5,
            -1.908_289_122_943_111_6e-6, -2.310_949_535_620_83e-4, 1.333_443_156_987_661_5e-4, 1.630_818_459_434_920_3e-3,
            -3.479_692_367_597_778e-3, -7.540_188_966_828_071e-3, 6.039_657_489_094_285e-2, -1.865_218_579_596_547_3e-1,
            3.871_374_007_422_145e-1, -6.078_966_419_718_921e-1, 7.552_851_304_157_515e-1
        ]
    );
}
