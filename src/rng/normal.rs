//! Standard normal variates in bulk.

use rand::Rng;

use crate::scalar::{Scalar, compiled};
use crate::simd;

/// Variates that are made at once.
const BLOCK: usize = 512;

/// Fills `out` with independent standard normal variates, made in pairs
/// ([`crate::simd::BoxMuller`]). In every 512 of them, the first half holds the first members of
/// the pairs, and the second half the second members. An odd number of variates takes as many
/// random words as the next even number.
pub fn fill_normal<T: Scalar>(rng: &mut impl Rng, out: &mut [T]) {
    let mut memory = [0; BLOCK * size_of::<f64>()];
    for block in out.chunks_mut(BLOCK) {
        let pairs = block.len().div_ceil(2);
        let words = &mut memory[..2 * pairs * T::WORD];
        rng.fill_bytes(words);
        let (lengths, angles) = words.split_at(pairs * T::WORD);
        let mut spare = [T::ZERO];
        let (first, second) = block.split_at_mut(pairs);
        let whole = second.len();
        let split = whole * T::WORD;
        T::compiled::<FillPairs>()(Pairs {
            lengths: &lengths[..split],
            angles: &angles[..split],
            first: &mut first[..whole],
            second,
        });
        if pairs > whole {
            T::pairs(
                &lengths[split..],
                &angles[split..],
                &mut first[whole..],
                &mut spare,
            );
        }
    }
}

compiled!(
    /// Makes pairs.
    FillPairs(pairs: Pairs<'_, T>) -> () {
        simd::dispatch(pairs);
    }
);

struct Pairs<'a, T> {
    lengths: &'a [u8],
    angles: &'a [u8],
    first: &'a mut [T],
    second: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for Pairs<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        T::pairs(self.lengths, self.angles, self.first, self.second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Phase, Streams};

    fn draws<T: Scalar>(n: usize, seed: u64) -> Vec<f64> {
        let mut out = vec![T::ZERO; n];
        fill_normal(&mut Streams::new(seed).rng(Phase::USER, 0), &mut out);
        out.into_iter().map(T::to_f64).collect()
    }

    fn cdf(x: f64) -> f64 {
        0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
    }

    /// Lengths around the size of a block. Every element is written, each with a different value.
    /// An odd length takes the same random words as the next even one.
    #[test]
    fn every_length_is_filled() {
        for n in [0, 1, 2, 3, 31, 511, 512, 513, 1024, 1155] {
            let mut all: Vec<u64> = draws::<f64>(n, 1).iter().map(|x| x.to_bits()).collect();
            assert!(all.iter().all(|&x| x != 0));
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), n);
        }
        let (odd, even) = (draws::<f32>(1155, 2), draws::<f32>(1156, 2));
        assert_eq!(odd[..], even[..1155]);
        let mut rng = [(); 2].map(|()| Streams::new(3).rng(Phase::USER, 0));
        fill_normal(&mut rng[0], &mut [0f32; 3]);
        fill_normal(&mut rng[1], &mut [0f32; 4]);
        assert_eq!(rng[0].next_u64(), rng[1].next_u64());
    }

    /// Kolmogorov's distance, moments and tails of a million variates, and of the first and second
    /// members of their pairs.
    fn check<T: Scalar>() {
        let n = 1 << 20;
        let all = draws::<T>(n, 4);
        let halves = |second: usize| {
            let blocks = all
                .chunks(BLOCK)
                .map(move |b| &b[second * BLOCK / 2..][..BLOCK / 2]);
            blocks.flatten().copied().collect::<Vec<f64>>()
        };
        let (first, second) = (halves(0), halves(1));
        for mut x in [all.clone(), first.clone(), second.clone()] {
            let n = x.len() as f64;
            // the moments of N(0, 1), each within 5 standard deviations of its mean over n:
            // Var(x^k) = E x^{2k} - (E x^k)^2
            for (power, want, variance) in
                [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)]
            {
                let mean = x.iter().map(|x| x.powi(power)).sum::<f64>() / n;
                assert!(
                    (mean - want).abs() < 5.0 * f64::sqrt(variance / n),
                    "{power} {mean}"
                );
            }
            for edge in [2.0, 3.0, 4.0, 4.5] {
                for sign in [-1.0, 1.0] {
                    let want = n * cdf(-edge);
                    let got = x.iter().filter(|&&x| sign * x > edge).count() as f64;
                    assert!(
                        (got - want).abs() < 5.0 * want.sqrt(),
                        "{edge} {got} {want}"
                    );
                }
            }
            // numbers near zero, where the density is 0.3989
            for width in [1e-2, 1e-3, 1e-4] {
                let want = n * 2.0 * width * 0.398_942_3;
                let got = x.iter().filter(|x| x.abs() < width).count() as f64;
                assert!(
                    (got - want).abs() < 5.0 * want.sqrt(),
                    "{width} {got} {want}"
                );
            }
            x.sort_unstable_by(f64::total_cmp);
            let distance = x.iter().enumerate().map(|(i, &x)| {
                let f = cdf(x);
                (f - i as f64 / n).max((i as f64 + 1.0) / n - f)
            });
            // exceeded with probability 2 exp(-2 * 2.5^2) = 7e-6
            let distance = distance.fold(0.0, f64::max);
            assert!(distance < 2.5 / n.sqrt(), "{distance}");
        }
        // the two members of a pair, and neighbours, are independent: products of powers have the
        // right means, and no cell in a table of quantiles stands out
        let later: Vec<f64> = first[1..].iter().chain(&first[..1]).copied().collect();
        for other in [&second, &later] {
            let n = first.len() as f64;
            for (a, b) in [(1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (3, 3)] {
                let moment = |k: i32| [1.0, 0.0, 1.0, 0.0, 3.0, 0.0, 15.0][k as usize];
                let want = moment(a) * moment(b);
                let variance = moment(2 * a) * moment(2 * b) - want * want;
                let sum: f64 = first
                    .iter()
                    .zip(other)
                    .map(|(x, y)| x.powi(a) * y.powi(b))
                    .sum();
                assert!(
                    (sum / n - want).abs() < 5.0 * (variance / n).sqrt(),
                    "{a} {b}"
                );
            }
            let mut cells = [0.0f64; 64];
            let eighth = |x: f64| ((8.0 * cdf(x)) as usize).min(7);
            for (x, y) in first.iter().zip(other) {
                cells[8 * eighth(*x) + eighth(*y)] += 1.0;
            }
            let expected = n / 64.0;
            let chi_square: f64 = cells
                .iter()
                .map(|c| (c - expected).powi(2) / expected)
                .sum();
            // 63 degrees of freedom: 5 standard deviations above the mean, 63 + 5 sqrt(126)
            assert!(chi_square < 119.0, "{chi_square}");
        }
    }

    #[test]
    fn single_precision_is_normal() {
        check::<f32>();
    }

    #[test]
    fn double_precision_is_normal() {
        check::<f64>();
    }
}
