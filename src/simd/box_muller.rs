//! Turns pairs of random words into pairs of standard normal variates.
//!
//! There are no branches, so loops over the pairs vectorise.
//!
//! With `u` uniform in `(0, 1)` and `t` uniform on the circle, `(-2 log u)^{1/2} (cos t, sin t)`
//! are two independent standard normal variates (Box & Muller 1958, Ann. Math. Stat. 29:610). The
//! first word gives `u`. Two bits of the second word are the signs, and one bit says which of the
//! two variates takes the sine. The rest are an angle in `(0, pi/4)`. There the Taylor series of
//! sine and cosine are short (remainder below a tenth of an ulp), and no reduction is needed.
//!
//! `u` is the middle of one of 2^32 (f32) or 2^52 (f64) equal intervals. So no variate is larger
//! than 6.8 or 8.6; what lies beyond has probability 1e-11 or 1e-17. In f32 the middles of the
//! intervals above 2^24 are rounded. This shows only in lengths below 1e-3, of probability 5e-7. An
//! angle may be as small as 2^-30, so both variates are fine-grained near zero.

use super::Elementary;

/// Generates standard normal variates.
pub trait BoxMuller: Sized {
    /// Bytes of a random word.
    const WORD: usize;

    /// Computes `first[i]` and `second[i]` from the `i`-th words of `lengths` and `angles`,
    /// little-endian. The shortest of the four slices sets the number of pairs.
    fn pairs(lengths: &[u8], angles: &[u8], first: &mut [Self], second: &mut [Self]);
}

macro_rules! box_muller {
    (
        $t:ident, word $word:ident, $bytes:literal bytes, uniform $uniform:expr, fraction $fraction:expr,
        sin [$sin_first:expr $(, $sin_rest:expr)*], cos [$cos_first:expr $(, $cos_rest:expr)*]
    ) => {
        impl BoxMuller for $t {
            const WORD: usize = $bytes;

            #[inline(always)]
            fn pairs(lengths: &[u8], angles: &[u8], first: &mut [Self], second: &mut [Self]) {
                let words = lengths.as_chunks::<$bytes>().0.iter().zip(angles.as_chunks::<$bytes>().0);
                for ((x, y), (length, angle)) in first.iter_mut().zip(second).zip(words) {
                    (*x, *y) = pair($word::from_le_bytes(*length), $word::from_le_bytes(*angle));
                }
            }
        }

        #[inline(always)]
        pub(super) fn pair(length: $word, angle: $word) -> ($t, $t) {
            let u: $t = ($uniform)(length);
            let r = Elementary::sqrt(-2.0 * Elementary::ln(u));
            let fraction: $t = ($fraction)(angle);
            let (sin, cos) = sin_cos(fraction * std::$t::consts::FRAC_PI_4);
            const TOP: $word = 1 << ($word::BITS - 1);
            let swapped = (angle >> ($word::BITS - 3)) & 1 == 1;
            let (x, y) = if swapped { (sin, cos) } else { (cos, sin) };
            let signed = |x: $t, sign: $word| $t::from_bits(x.to_bits() ^ (sign & TOP));
            (signed(r * x, angle), signed(r * y, angle << 1))
        }

        /// Sine and cosine of an angle in `[0, pi/4]`.
        #[inline(always)]
        pub(super) fn sin_cos(x: $t) -> ($t, $t) {
            let s = x * x;
            let series: $t = $sin_first;
            $(let series = series.mul_add(s, $sin_rest);)*
            let sin = (x * s).mul_add(series, x);
            let series: $t = $cos_first;
            $(let series = series.mul_add(s, $cos_rest);)*
            // 1 - s/2 is rounded, and the rounding error is added to the rest
            let head = s.mul_add(-0.5, 1.0);
            let lost = s.mul_add(-0.5, 1.0 - head);
            (sin, head + (s * s).mul_add(series, lost))
        }
    };
}

mod single {
    use super::{BoxMuller, Elementary};

    box_muller!(
        f32, word u32, 4 bytes,
        uniform |w: u32| (w as f32 + 0.5) * 2.0f32.powi(-32),
        fraction |w: u32| ((w & (u32::MAX >> 3)) as i32 as f32 + 0.5) * 2.0f32.powi(-29),
        sin [1.0 / 362_880.0, -1.0 / 5_040.0, 1.0 / 120.0, -1.0 / 6.0],
        cos [-1.0 / 3_628_800.0, 1.0 / 40_320.0, -1.0 / 720.0, 1.0 / 24.0]
    );
}

mod double {
    use super::{BoxMuller, Elementary};

    /// The middle of the `k`-th of 2^52 equal parts of (0, 1), built from its bits: not every
    /// instruction set converts vectors of u64.
    #[inline(always)]
    fn middle(k: u64) -> f64 {
        f64::from_bits(1.0f64.to_bits() | k) - (1.0 - 0.5 * f64::EPSILON)
    }

    box_muller!(
        f64, word u64, 8 bytes,
        uniform |w: u64| middle(w >> 12),
        fraction |w: u64| middle((w & (u64::MAX >> 3)) >> 9),
        sin [
            -1.0 / 1_307_674_368_000.0, 1.0 / 6_227_020_800.0, -1.0 / 39_916_800.0, 1.0 / 362_880.0, -1.0 / 5_040.0,
            1.0 / 120.0, -1.0 / 6.0
        ],
        cos [
            1.0 / 20_922_789_888_000.0, -1.0 / 87_178_291_200.0, 1.0 / 479_001_600.0, -1.0 / 3_628_800.0, 1.0 / 40_320.0,
            -1.0 / 720.0, 1.0 / 24.0
        ]
    );
}

#[cfg(test)]
mod tests {
    use super::{double, single};
    use crate::simd::tests::{ulp32, ulp64};

    #[test]
    fn sine_and_cosine_are_accurate() {
        let n = 200_000;
        for i in 0..=n {
            let x = std::f64::consts::FRAC_PI_4 * f64::from(i) / f64::from(n);
            let (sin, cos) = double::sin_cos(x);
            assert!(ulp64(sin, libm::sin(x)) <= 1.0, "sin {x}");
            assert!(ulp64(cos, libm::cos(x)) <= 1.0, "cos {x}");
            let x = x as f32;
            let (sin, cos) = single::sin_cos(x);
            assert!(ulp32(sin, libm::sin(f64::from(x))) <= 1.0, "sin {x}");
            assert!(ulp32(cos, libm::cos(f64::from(x))) <= 1.0, "cos {x}");
        }
    }

    /// Words at the ends of every range, compared with the formula in f64.
    #[test]
    fn words_give_the_pairs_that_the_formula_says() {
        let words = [
            0,
            1,
            2,
            1 << 20,
            (1 << 29) - 1,
            1 << 31,
            u32::MAX - 1,
            u32::MAX,
        ];
        let eighths: Vec<u32> = (0..8)
            .flat_map(|e| words.map(|w| (e << 29) | (w >> 3)))
            .collect();
        for length in words {
            for &angle in &eighths {
                let check = |(x, y): (f64, f64), u: f64, fraction: f64, tolerance: f64| {
                    assert!(x.is_finite() && y.is_finite());
                    let (r, t) = (
                        (-2.0 * u.ln()).sqrt(),
                        fraction * std::f64::consts::FRAC_PI_4,
                    );
                    let (mut want_x, mut want_y) = (r * t.cos(), r * t.sin());
                    if angle >> 29 & 1 == 1 {
                        (want_x, want_y) = (want_y, want_x);
                    }
                    want_x *= if angle >> 31 == 1 { -1.0 } else { 1.0 };
                    want_y *= if angle >> 30 & 1 == 1 { -1.0 } else { 1.0 };
                    // near u = 1 the length comes from a rounded u
                    let tolerance = tolerance * r.max(1.0 / r.max(1e-3));
                    assert!(
                        (x - want_x).abs() <= tolerance,
                        "{length} {angle}: {x} {want_x}"
                    );
                    assert!(
                        (y - want_y).abs() <= tolerance,
                        "{length} {angle}: {y} {want_y}"
                    );
                };
                let (x, y) = single::pair(length, angle);
                let u = (f64::from(length) + 0.5) / 2f64.powi(32);
                let fraction = (f64::from(angle & (u32::MAX >> 3)) + 0.5) / 2f64.powi(29);
                check((x.into(), y.into()), u, fraction, 4e-7);
                let (length, wide) = (u64::from(length) << 32, u64::from(angle) << 32);
                let u = ((length >> 12) as f64 + 0.5) / 2f64.powi(52);
                let fraction = ((wide << 3 >> 12) as f64 + 0.5) / 2f64.powi(52);
                check(double::pair(length, wide), u, fraction, 1e-13);
            }
        }
        let largest = single::pair(0, 0).0;
        assert!((6.7..6.8).contains(&largest), "{largest}");
        let largest = double::pair(0, 0).0;
        assert!((8.5..8.6).contains(&largest), "{largest}");
    }
}
