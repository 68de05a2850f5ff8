//! Compares every function with the platform's in f64, over all exponents and at special values.

use super::Elementary;
use crate::simd;

/// Distance in units in the last place of the reference, with subnormal spacing at the bottom.
pub(super) fn ulp32(got: f32, want: f64) -> f64 {
    let w = want as f32;
    if got == w {
        return 0.0;
    }
    let spacing = (w.abs().max(f32::MIN_POSITIVE).to_bits() + 1) as f64;
    let next = f32::from_bits(spacing as u32) as f64;
    (got as f64 - want).abs() / (next - w.abs().max(f32::MIN_POSITIVE) as f64)
}

pub(super) fn ulp64(got: f64, want: f64) -> f64 {
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
    // a quotient of two polynomials, each rounded as it is evaluated
    check32(&src, &dst, 6.0, Elementary::tanh, f64::tanh);
    vectorised!(sigmoid, &src, &mut dst);
    check32(&src, &dst, 3.0, Elementary::sigmoid, |x| {
        if x < 0.0 {
            x.exp() / (1.0 + x.exp())
        } else {
            1.0 / (1.0 + (-x).exp())
        }
    });
    vectorised!(normal_cdf, &src, &mut dst);
    check32(&src, &dst, 6.0, Elementary::normal_cdf, |x| {
        0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
    });
    vectorised!(softplus, &src, &mut dst);
    check32(&src, &dst, 3.0, Elementary::softplus, |x| {
        x.max(0.0) + (-x.abs()).exp().ln_1p()
    });
    let src: Vec<f32> = src.into_iter().filter(|&x| x >= 0.0).collect();
    dst.truncate(src.len());
    vectorised!(ln, &src, &mut dst);
    check32(&src, &dst, 1.5, Elementary::ln, f64::ln);
    let src: Vec<f32> = all32().filter(|&x| x > -1.0).collect();
    dst.resize(src.len(), 0.0);
    vectorised!(ln_1p, &src, &mut dst);
    check32(&src, &dst, 2.5, Elementary::ln_1p, f64::ln_1p);
}

/// `erfc(-x / sqrt 2) / 2` by libm, corrected to first order for the rounding of its argument. In
/// the tail `x^2` magnifies that rounding: 780 ulp at -37.
fn normal_cdf_oracle(x: f64) -> f64 {
    // 1 / sqrt 2 = HIGH + LOW to 32 digits
    const HIGH: f64 = std::f64::consts::FRAC_1_SQRT_2;
    const LOW: f64 = -4.833_646_656_726_457e-17;
    let argument = -x * HIGH;
    let lost = (-x).mul_add(HIGH, -argument) - x * LOW;
    let value = libm::erfc(argument);
    let slope = -2.0 / std::f64::consts::PI.sqrt() * f64::exp(-argument * argument);
    0.5 * (value + slope * lost)
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
                ("ln", Elementary::ln(x.abs()), f64::ln(x.abs()), 1.5),
                (
                    "ln_1p",
                    Elementary::ln_1p(x.max(-0.99)),
                    f64::ln_1p(x.max(-0.99)),
                    2.5,
                ),
                (
                    "softplus",
                    Elementary::softplus(x),
                    x.max(0.0) + f64::ln_1p(f64::exp(-x.abs())),
                    3.0,
                ),
                (
                    "sigmoid",
                    Elementary::sigmoid(x),
                    f64::exp(x.min(0.0)) / (1.0 + f64::exp(-x.abs())),
                    3.0,
                ),
                (
                    "normal_cdf",
                    Elementary::normal_cdf(x),
                    normal_cdf_oracle(x),
                    6.0,
                ),
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
        assert_eq!(of(0.0).ln(), of(-inf));
        assert_eq!(of(-0.0).ln(), of(-inf));
        assert_eq!(of(1.0).ln(), of(0.0));
        assert_eq!(of(inf).ln(), of(inf));
        assert_eq!(of(-1.0).ln_1p(), of(-inf));
        assert_eq!(of(inf).ln_1p(), of(inf));
        assert_eq!(of(inf).softplus(), of(inf));
        assert_eq!(of(-inf).softplus(), of(0.0));
        assert_eq!(of(inf).normal_cdf(), of(1.0));
        assert_eq!(of(-inf).normal_cdf(), of(0.0));
        assert_eq!(of(0.0).normal_cdf(), of(0.5));
        assert!(of(-1.0).ln().into().is_nan() && of(-2.0).ln_1p().into().is_nan());
        assert!(of(-0.0).tanh().into().is_sign_negative());
        let functions = [
            T::exp,
            T::tanh,
            T::sigmoid,
            T::ln,
            T::ln_1p,
            T::softplus,
            T::normal_cdf,
        ];
        for y in functions.map(|f| f(of(nan))) {
            assert!(y.into().is_nan());
        }
    }
    check::<f32>(|x| x as f32);
    check::<f64>(|x| x);
}
