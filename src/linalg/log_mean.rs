//! The mean of values that are given by their logarithms.

/// `log mean_i exp(x_i)` with its standard error and effective sample size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogMean {
    /// `log mean_i exp(x_i)`; `-inf` if all `x_i` are.
    pub value: f64,
    /// Standard error of `value` by the delta method: `sd(w) / (sqrt(S) mean(w))`, with the `S`
    /// values `w_i = exp(x_i)` and the divisor `S - 1`. Valid for independent `w_i` of finite
    /// variance, and while it is small compared with 1. Infinite if `S` is 1 or no `w_i` is above
    /// 0.
    pub std_error: f64,
    /// Kish's effective sample size, `(sum w)^2 / sum w^2`, from 1 to `S`; 0 if no `w_i` is above
    /// 0.
    pub effective: f64,
}

/// `log mean_i exp(x_i)`, without overflow: the largest `x_i` is factored out of the sum. `-inf` is
/// the logarithm of 0.
///
/// NaN if `x` is empty, or if one value is NaN or `+inf`.
pub fn log_mean_exp(x: &[f64]) -> LogMean {
    let n = x.len() as f64;
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if x.is_empty() || largest == f64::INFINITY || x.iter().any(|x| x.is_nan()) {
        return LogMean {
            value: f64::NAN,
            std_error: f64::NAN,
            effective: f64::NAN,
        };
    }
    if largest == f64::NEG_INFINITY {
        return LogMean {
            value: largest,
            std_error: f64::INFINITY,
            effective: 0.0,
        };
    }
    let weights = || x.iter().map(|x| (x - largest).exp());
    let mean = weights().sum::<f64>() / n;
    let squares: f64 = weights().map(|w| w * w).sum();
    // centred: for nearly equal weights a difference of squares would be mostly rounding
    let spread: f64 = weights().map(|w| (w - mean).powi(2)).sum();
    let std_error = match x.len() {
        1 => f64::INFINITY,
        _ => (spread / ((n - 1.0) * n)).sqrt() / mean,
    };
    LogMean {
        value: largest + mean.ln(),
        std_error,
        effective: (n * mean).powi(2) / squares,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_from_one_it_is_the_mean_of_the_numbers() {
        // 1, 2, 6: mean 3, deviation 7^{1/2}, error (7/3)^{1/2}; effective sample size 81/41
        for shift in [0.0, 2000.0, -2000.0] {
            let x = [1.0f64, 2.0, 6.0].map(|w| w.ln() + shift);
            let got = log_mean_exp(&x);
            assert!((got.value - shift - 3f64.ln()).abs() < 1e-12);
            assert!((got.std_error - (7.0f64 / 3.0).sqrt() / 3.0).abs() < 1e-12);
            assert!((got.effective - 81.0 / 41.0).abs() < 1e-12);
        }
    }

    #[test]
    fn zeros_count_and_nothing_else_is_swallowed() {
        let none = f64::NEG_INFINITY;
        let half = log_mean_exp(&[3.0, none]);
        assert!((half.value - (3.0 - 2f64.ln())).abs() < 1e-15);
        assert_eq!((half.std_error, half.effective), (1.0, 1.0));
        let zero = log_mean_exp(&[none, none]);
        assert_eq!((zero.value, zero.effective), (none, 0.0));
        assert_eq!(zero.std_error, f64::INFINITY);
        assert_eq!(log_mean_exp(&[1.5]).std_error, f64::INFINITY);
        for bad in [&[][..], &[0.0, f64::NAN], &[f64::INFINITY, 0.0]] {
            assert!(log_mean_exp(bad).value.is_nan());
        }
    }
}
