//! The regularised incomplete beta function, and with it Fisher's F distribution.
//!
//! ```text
//! I_x(a, b) = 1/B(a, b) int_0^x t^(a-1) (1-t)^(b-1) dt
//!           = x^a (1-x)^b / (a B(a, b)) / (1 + d_1 / (1 + d_2 / (1 + ...)))     (DLMF 8.17.22)
//! d_{2k} = k (b-k) x / ((a+2k-1)(a+2k)),  d_{2k+1} = -(a+k)(a+b+k) x / ((a+2k)(a+2k+1))
//! ```
//!
//! This converges fast for `x < (a+1)/(a+b+2)`. Beyond, `I_x(a, b) = 1 - I_{1-x}(b, a)`.

/// `I_x(a, b)`, for `a, b > 0` and `0 <= x <= 1`; NaN elsewhere.
pub fn regularized_beta(a: f64, b: f64, x: f64) -> f64 {
    incomplete(a, b, x, 1.0 - x)
}

/// `P(F > f)` for `F` with `d1` and `d2` degrees of freedom; NaN unless they are positive and
/// `f >= 0`.
///
/// With `d1 = 1`, `f = t^2` it is the two-sided p-value of Student's t with `d2` degrees of
/// freedom.
pub fn fisher_survival(f: f64, d1: f64, d2: f64) -> f64 {
    if !(f >= 0.0 && d1 > 0.0 && d2 > 0.0) {
        return f64::NAN;
    }
    if f.is_infinite() {
        return 0.0;
    }
    let sum = d2 + d1 * f;
    incomplete(0.5 * d2, 0.5 * d1, d2 / sum, d1 * f / sum)
}

/// `I_x(a, b)` for given `y = 1 - x`, which keeps its digits where `x` is near 1.
fn incomplete(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let valid = a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite();
    if !(valid && x >= 0.0 && y >= 0.0) {
        return f64::NAN;
    }
    if x == 0.0 {
        return 0.0;
    }
    if y == 0.0 {
        return 1.0;
    }
    let log_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    let front = (a * x.ln() + b * y.ln() - log_beta).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front / (a * fraction(a, b, x))
    } else {
        1.0 - front / (b * fraction(b, a, y))
    }
}

/// `1 + d_1 / (1 + d_2 / (1 + ...))`, from the front (modified Lentz).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let keep = |v: f64| if v == 0.0 { TINY } else { v };
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    let most = 1000.0 + 50.0 * a.max(b).sqrt();
    let mut k = 0.0;
    while k < most {
        let odd = -(a + k) * (a + b + k) * x / ((a + 2.0 * k) * (a + 2.0 * k + 1.0));
        k += 1.0;
        let even = k * (b - k) * x / ((a + 2.0 * k - 1.0) * (a + 2.0 * k));
        let mut change: f64 = 1.0;
        for numerator in [odd, even] {
            d = keep(1.0 + numerator * d).recip();
            c = keep(1.0 + numerator / c);
            value *= c * d;
            change = c * d;
        }
        if (change - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_forms() {
        for x in [1e-9f64, 0.1, 0.4, 0.77, 0.999] {
            // I_x(a, 1) = x^a; I_x(1, b) = 1 - (1-x)^b; I_x(2, 2) = 3x^2 - 2x^3;
            // I_x(1/2, 1/2) = 2/pi asin sqrt x
            let known = [
                (3.5, 1.0, x.powf(3.5)),
                (1.0, 2.5, -(2.5 * f64::ln_1p(-x)).exp_m1()),
                (2.0, 2.0, x * x * (3.0 - 2.0 * x)),
                (0.5, 0.5, std::f64::consts::FRAC_2_PI * x.sqrt().asin()),
            ];
            for (a, b, expected) in known {
                let got = regularized_beta(a, b, x);
                assert!(
                    (got / expected - 1.0).abs() < 1e-14,
                    "{a} {b} {x}: {got} {expected}"
                );
                let other = regularized_beta(b, a, 1.0 - x);
                // 1 - x is rounded, and the density there is at most 1 / sqrt x
                let loss = 1e-14 + f64::EPSILON / x.sqrt();
                assert!((got + other - 1.0).abs() < loss, "{a} {b} {x}");
            }
        }
    }

    #[test]
    fn the_survival_of_f() {
        // for 2 and d2 degrees: (1 + 2 f / d2)^(-d2/2)
        for (f, d2) in [(0.3, 5.0), (2.0, 60.0), (40.0, 9.0), (1e-12, 3.0)] {
            let expected = (1.0f64 + 2.0 * f / d2).powf(-0.5 * d2);
            assert!((fisher_survival(f, 2.0, d2) / expected - 1.0).abs() < 1e-13);
        }
        for (f, d1, d2, p) in SCIPY {
            let got = fisher_survival(f, d1, d2);
            assert!(
                (got / p - 1.0).abs() < 1e-11,
                "{f} {d1} {d2}: {got:e} {p:e}"
            );
        }
        assert_eq!(fisher_survival(0.0, 3.0, 4.0), 1.0);
        assert_eq!(fisher_survival(f64::INFINITY, 3.0, 4.0), 0.0);
        assert!(fisher_survival(-1.0, 3.0, 4.0).is_nan());
        assert!(regularized_beta(1.0, 1.0, 1.1).is_nan());
    }

    /// `(f, d1, d2, scipy.stats.f.sf(f, d1, d2))`, SciPy 1.17.1.
    const SCIPY: [(f64, f64, f64, f64); 4] = [
        (3.2, 5.0, 59.0, 0.012693595742797607),
        (1.7, 20.0, 44.0, 0.07117793897180577),
        (9.0, 14.0, 50.0, 2.3632205333247575e-09),
        (0.4, 3.5, 7.25, 0.7827186789104389),
    ];
}
