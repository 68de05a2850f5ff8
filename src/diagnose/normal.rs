//! The inverse of the normal distribution function.
//!
//! M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied
//! Statistics 37 (1988), routine PPND16: rational approximations in three regions, accurate to
//! about 1e-16. With the rounding of their evaluation, the relative error is at most 7.4e-16 (at
//! z = -37; 5e-16 above -6), measured with 40 digits in mpmath 1.4.1.
//!
//! ```text
//! q = p - 1/2, |q| <= 0.425:     z = q R_1(0.425^2 - q^2)
//! r = sqrt(-log min(p, 1 - p)):  z = sign(q) R_2(r - 1.6) for r <= 5, sign(q) R_3(r - 5) beyond
//! ```

/// Coefficients of a numerator and a denominator, from the constant term up.
type Rational = ([f64; 8], [f64; 8]);

const CENTRE: Rational = (
    [
        3.387_132_872_796_366_5,
        1.331_416_678_917_843_8e2,
        1.971_590_950_306_551_3e3,
        1.373_169_376_550_946e4,
        4.592_195_393_154_987e4,
        6.726_577_092_700_87e4,
        3.343_057_558_358_813e4,
        2.509_080_928_730_122_7e3,
    ],
    [
        1.0,
        4.231_333_070_160_091e1,
        6.871_870_074_920_579e2,
        5.394_196_021_424_751e3,
        2.121_379_430_158_659_7e4,
        3.930_789_580_009_271e4,
        2.872_908_573_572_194_3e4,
        5.226_495_278_852_854e3,
    ],
);

const FLANK: Rational = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        2.417_807_251_774_506e-1,
        2.272_384_498_926_918_4e-2,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        6.897_673_349_851e-1,
        1.481_039_764_274_800_8e-1,
        1.519_866_656_361_645_7e-2,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);

const TAIL: Rational = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        2.965_605_718_285_048_7e-1,
        2.653_218_952_657_612_4e-2,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        5.998_322_065_558_88e-1,
        1.369_298_809_227_358e-1,
        1.487_536_129_085_061_5e-2,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_7e-15,
    ],
);

fn rational((numerator, denominator): &Rational, x: f64) -> f64 {
    let horner = |c: &[f64; 8]| c.iter().rev().fold(0.0, |value, c| value * x + c);
    horner(numerator) / horner(denominator)
}

/// `z` with `Phi(z) = p`: minus infinity at 0, infinity at 1, NaN outside.
pub fn normal_quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * rational(&CENTRE, 0.180_625 - q * q);
    }
    let tail = p.min(1.0 - p);
    if tail == 0.0 {
        return f64::INFINITY.copysign(q);
    }
    let r = (-tail.ln()).sqrt();
    let z = if r <= 5.0 {
        rational(&FLANK, r - 1.6)
    } else {
        rational(&TAIL, r - 5.0)
    };
    z.copysign(q)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The distribution function at `z`. It corrects the rounding of the argument `-z / sqrt 2`,
    /// which `erfc` magnifies by `z^2`.
    fn tail(z: f64) -> f64 {
        use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
        let x = -z * FRAC_1_SQRT_2;
        // sqrt(1/2) minus its nearest double
        let rounding = (-z).mul_add(FRAC_1_SQRT_2, -x) - z * -4.833_646_656_726_457e-17;
        0.5 * (libm::erfc(x) - FRAC_2_SQRT_PI * (-x * x).exp() * rounding)
    }

    #[test]
    fn it_inverts_the_distribution_function() {
        // dp/p is about z dz, so z^2 times the relative error of z (7.4e-16, see above); 1e-15 for
        // erfc
        let powers = (1..3000).map(|i| 0.5 * (-0.1 * f64::from(i) / 3000.0 * 7000.0).exp());
        let grid = (1..2000).map(|i| f64::from(i) / 4000.0);
        for p in powers.chain(grid) {
            let z = normal_quantile(p);
            let error = (tail(z) / p - 1.0).abs();
            assert!(
                error < 1e-15 + 7.5e-16 * z * z,
                "p {p:e} z {z} error {error:e}"
            );
        }
    }

    #[test]
    fn it_is_odd_and_continuous_where_its_parts_meet() {
        for p in [0.01, 0.075, 0.25, 0.5] {
            assert!((normal_quantile(p) + normal_quantile(1.0 - p)).abs() < 1e-14);
        }
        // the joints at p = 0.075 and p = exp(-25), where two rationals must agree
        for joint in [0.075, (-25f64).exp()] {
            let (below, above) = (joint * (1.0 - 1e-13), joint * (1.0 + 1e-13));
            let step = normal_quantile(above) - normal_quantile(below);
            // a relative change of p by 1e-13 moves z by less than that over |z|; the rest is
            // rounding
            assert!((0.0..2e-13).contains(&step), "{joint}: {step:e}");
        }
    }

    #[test]
    fn known_values_and_ends() {
        // SciPy 1.17.1, scipy.special.ndtri
        let known = [
            (0.975, 1.959_963_984_540_054),
            (1e-3, -3.090_232_306_167_813),
            (1e-20, -9.262_340_089_798_409),
            (1e-300, -37.047_096_299_361_2),
        ];
        for (p, z) in known {
            assert!((normal_quantile(p) / z - 1.0).abs() < 1e-15, "{p}");
        }
        assert_eq!(normal_quantile(0.5), 0.0);
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
        for p in [-1e-300, 1.1, f64::NAN] {
            assert!(normal_quantile(p).is_nan());
        }
    }
}
