//! What chance alone does to counts: the bands of pictures, and the limits of the verdict.

use crate::diagnose::normal_quantile;
use crate::special::ln_factorial;

/// Share of draws inside the bands.
pub const LEVEL: f64 = 0.9;

/// The least counts that a binomial of `n` trials reaches with probability 0.05 and 0.95: nine in
/// ten draws are between them, ends included.
pub fn binomial_range(n: usize, p: f64) -> [usize; 2] {
    let tail = 0.5 * (1.0 - LEVEL);
    let at = |probability: f64| {
        let mut sum = 0.0;
        (0..n).find(|&k| {
            sum += binomial(n, k, p);
            sum >= probability
        })
    };
    [at(tail).unwrap_or(n), at(1.0 - tail).unwrap_or(n)]
}

/// `P(k)` of a binomial.
fn binomial(n: usize, k: usize, p: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        let certain = if p <= 0.0 { 0 } else { n };
        return f64::from(u8::from(k == certain));
    }
    let (n, k) = (n as f64, k as f64);
    let choose = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    (choose + k * p.ln() + (n - k) * (-p).ln_1p()).exp()
}

/// Wilson's 90 % interval of a frequency that was seen in `n` rows (Wilson 1927): it stays between
/// 0 and 1, and has a width where all rows or none are hits.
pub fn wilson(frequency: f64, n: f64) -> [f64; 2] {
    if n <= 0.0 {
        return [0.0, 1.0];
    }
    let z = normal_quantile(0.5 * (1.0 + LEVEL));
    let scale = 1.0 + z * z / n;
    let middle = (frequency + 0.5 * z * z / n) / scale;
    let half = z * (frequency * (1.0 - frequency) / n + 0.25 * (z / n).powi(2)).sqrt() / scale;
    [(middle - half).max(0.0), (middle + half).min(1.0)]
}

/// Counts of values in `bins` bins of equal width over `[low, high]`. Values outside are left out;
/// the last bin holds its upper end.
pub fn histogram(values: &[f64], [low, high]: [f64; 2], bins: usize) -> Vec<usize> {
    let mut counts = vec![0; bins];
    for value in values.iter().filter(|v| **v >= low && **v <= high) {
        let bin = ((value - low) / (high - low) * bins as f64) as usize;
        if let Some(count) = counts.get_mut(bin.min(bins.saturating_sub(1))) {
            *count += 1;
        }
    }
    counts
}

/// The same with weights: the weight of each bin, or its count without any.
pub fn weight_histogram(
    values: &[f64],
    weights: Option<&[f64]>,
    range: [f64; 2],
    bins: usize,
) -> Vec<f64> {
    let mut all = vec![0.0; bins];
    for (i, value) in values.iter().enumerate() {
        let weight = weights.and_then(|w| w.get(i)).unwrap_or(&1.0);
        let one = histogram(std::slice::from_ref(value), range, bins);
        if let Some(bin) = one.iter().position(|count| *count > 0) {
            all[bin] += weight;
        }
    }
    all
}

/// Rows that tell as much as `n` rows with weights: `(sum w)^2 / sum w^2` (Kish 1965).
pub fn effective(n: usize, weights: Option<&[f64]>) -> f64 {
    let Some(weights) = weights else {
        return n as f64;
    };
    let sum: f64 = weights.iter().sum();
    let squares: f64 = weights.iter().map(|w| w * w).sum();
    sum * sum / squares
}

/// The same as a number of trials.
pub fn effective_rows(n: usize, weights: Option<&[f64]>) -> usize {
    effective(n, weights).round().max(1.0) as usize
}

/// Bars of a histogram: `[x0, x1, 0, height]`.
pub fn bars(heights: &[f64], [low, high]: [f64; 2]) -> Vec<[f64; 4]> {
    let width = (high - low) / heights.len().max(1) as f64;
    let bar =
        |(i, &h): (usize, &f64)| [low + i as f64 * width, low + (i + 1) as f64 * width, 0.0, h];
    heights
        .iter()
        .enumerate()
        .filter(|b| *b.1 != 0.0)
        .map(bar)
        .collect()
}

/// The quantile of values at `p`, between order statistics; NaN without finite values.
pub fn quantile(values: &[f64], p: f64) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let place = p * sorted.len().saturating_sub(1) as f64;
    let (below, above) = (place.floor(), place.ceil());
    match (sorted.get(below as usize), sorted.get(above as usize)) {
        (Some(a), Some(b)) => a + (place - below) * (b - a),
        _ => f64::NAN,
    }
}

/// The least value that half of the weight, or the share `p` of it, does not exceed; without
/// weights [`quantile`].
pub fn weighted_quantile(values: &[f64], weights: Option<&[f64]>, p: f64) -> f64 {
    let Some(weights) = weights else {
        return quantile(values, p);
    };
    let pairs = values.iter().copied().zip(weights.iter().copied());
    let mut pairs: Vec<(f64, f64)> = pairs.filter(|(v, w)| v.is_finite() && *w > 0.0).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = pairs.iter().map(|pair| pair.1).sum();
    let mut below = 0.0;
    let found = pairs.iter().find(|(_, w)| {
        below += w;
        below >= p * total
    });
    found.or(pairs.last()).map_or(f64::NAN, |pair| pair.0)
}

/// The mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binomial_range_by_hand() {
        // ten coins: P(at most 1) = 11/1024 = 0.011, P(at most 2) = 56/1024 = 0.055;
        // P(at most 7) = 968/1024 = 0.945, P(at most 8) = 0.989
        assert_eq!(binomial_range(10, 0.5), [2, 8]);
        assert_eq!(binomial_range(10, 0.0), [0, 0]);
        assert_eq!(binomial_range(10, 1.0), [10, 10]);
        let [low, high] = binomial_range(10_000, 0.1);
        // 1000 -+ 1.645 times 30
        assert!((949..=952).contains(&low) && (1048..=1051).contains(&high));
    }

    #[test]
    fn wilsons_interval_by_hand() {
        // z = 1.6449, n = 10, 5 hits: 0.5 -+ z sqrt(0.025 + z^2/400)/(1 + z^2/10)
        let [low, high] = wilson(0.5, 10.0);
        assert!(
            (low - 0.2693).abs() < 1e-3 && (high - 0.7307).abs() < 1e-3,
            "{low} {high}"
        );
        // no hit: the upper end is z^2/n / (1 + z^2/n)
        let [low, high] = wilson(0.0, 10.0);
        assert!(
            low == 0.0 && (high - 0.27055 / 1.27055).abs() < 1e-4,
            "{high}"
        );
        assert_eq!(wilson(0.5, 0.0), [0.0, 1.0]);
    }

    #[test]
    fn a_histogram_holds_its_ends() {
        let values = [0.0, 0.1, 0.25, 0.5, 1.0, 1.1, -0.1, f64::NAN];
        assert_eq!(histogram(&values, [0.0, 1.0], 4), [2, 1, 1, 1]);
        assert_eq!(
            bars(&[2.0, 0.0, 1.0], [0.0, 3.0]),
            [[0.0, 1.0, 0.0, 2.0], [2.0, 3.0, 0.0, 1.0]]
        );
    }

    #[test]
    fn weights_repeat_rows() {
        let (values, weights) = ([0.1, 0.6, 0.9], [2.0, 0.0, 1.0]);
        let heap = weight_histogram(&values, Some(&weights), [0.0, 1.0], 2);
        assert_eq!(heap, [2.0, 1.0]);
        assert_eq!(weight_histogram(&values, None, [0.0, 1.0], 2), [1.0, 2.0]);
        assert_eq!(weighted_quantile(&values, Some(&weights), 0.5), 0.1);
        assert_eq!(weighted_quantile(&values, Some(&weights), 0.9), 0.9);
        assert_eq!(weighted_quantile(&values, None, 0.5), 0.6);
        // 9 / 5; equal weights count each row once
        assert_eq!(effective(3, Some(&weights)), 1.8);
        assert_eq!(effective(3, Some(&[4.0; 3])), 3.0);
        assert_eq!(effective(3, None), 3.0);
        assert_eq!(effective_rows(3, Some(&weights)), 2);
    }

    #[test]
    fn quantiles_lie_between_order_statistics() {
        let values = [4.0, 1.0, f64::NAN, 3.0, 2.0];
        assert_eq!(quantile(&values, 0.5), 2.5);
        assert_eq!((quantile(&values, 0.0), quantile(&values, 1.0)), (1.0, 4.0));
        assert!(quantile(&[], 0.5).is_nan());
    }
}
