//! Rank normalisation: draws replaced by the normal quantiles of their ranks.

use super::normal::normal_quantile;

/// `z_i = Phi^{-1}((r_i - 3/8) / (S + 1/4))`, where `r_i` is the rank of draw `i` among all `S`,
/// from 1. Ties share their mean rank.
///
/// Statistics of `z` exist even if the target has no variance, and do not change under an
/// increasing map of the quantity. (Vehtari et al. 2021, equation 14.)
///
/// NaNs rank above infinity, so check for them first.
pub fn rank_normalize(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let size = values.len() as f64 + 0.25;
    let mut out = vec![0.0; values.len()];
    let mut before = 0;
    // 0 and -0 differ in the total order, but are adjacent and tied
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + 0.5 * (tied.len() as f64 + 1.0);
        let z = normal_quantile((rank - 0.375) / size);
        for &i in tied {
            out[i] = z;
        }
        before += tied.len();
    }
    out
}

/// The middle value, or the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The quantile by linear interpolation between order statistics at `(n - 1) p` (type 7 of Hyndman
/// & Fan 1996).
pub(super) fn quantile(values: &[f64], p: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let position = last as f64 * p;
    let low = position.floor();
    let weight = position - low;
    let low = low as usize;
    (1.0 - weight) * sorted[low] + weight * sorted[(low + 1).min(last)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_mean_rank() {
        let z = rank_normalize(&[3.0, 0.0, 7.0, -0.0, 3.0]);
        let of = |rank: f64| normal_quantile((rank - 0.375) / 5.25);
        assert_eq!(z, [of(3.5), of(1.5), of(5.0), of(1.5), of(3.5)]);
    }

    #[test]
    fn quantiles_interpolate() {
        let x = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(median(&x), 2.5);
        assert_eq!(quantile(&x, 0.0), 1.0);
        assert_eq!(quantile(&x, 1.0), 4.0);
        assert!((quantile(&x, 0.9) - 3.7).abs() < 1e-15);
    }
}
