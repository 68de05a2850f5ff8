//! The regularised incomplete beta function.
//!
//! It is the distribution function of beta variables. With `a = nu / 2`, `b = 1/2` and
//! `x = nu / (nu + t^2)` it is the probability of both tails of Student's t.
//!
//! ```text
//! I_x(a, b) = 1/B(a, b) int_0^x t^(a-1) (1-t)^(b-1) dt
//! x < (a+1)/(a+b+2):  I_x(a, b) = x^a (1-x)^b / (a B(a, b)) / (1 + d_1 / (1 + d_2 / (1 + ...)))
//! else:               I_x(a, b) = 1 - I_{1-x}(b, a)
//! d_{2m} = m (b-m) x / ((a+2m-1)(a+2m)),  d_{2m+1} = -(a+m)(a+b+m) x / ((a+2m)(a+2m+1))
//! ```
//!
//! (DLMF 8.17.22, by the modified Lentz method; about `sqrt(max(a, b))` terms.)

/// `I_x(a, b)` for `a, b > 0` and `x` in `[0, 1]`; NaN elsewhere. `y` is `1 - x`. It is a separate
/// argument, because computing it from `x` can lose digits.
pub fn regularized_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let inside = |v: f64| (0.0..=1.0).contains(&v);
    if !(a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite() && inside(x) && inside(y)) {
        return f64::NAN;
    }
    if x == 0.0 || y == 0.0 {
        return if x == 0.0 { 0.0 } else { 1.0 };
    }
    // the logarithm of the smaller one is taken directly, not from its complement
    let (log_x, log_y) = if x < y {
        (x.ln(), (-x).ln_1p())
    } else {
        ((-y).ln_1p(), y.ln())
    };
    let front = (a * log_x + b * log_y - log_beta(a, b)).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front / (a * fraction(a, b, x))
    } else {
        1.0 - front / (b * fraction(b, a, y))
    }
}

/// `log B(a, b)`. If one argument is large, it avoids the difference of large numbers.
fn log_beta(a: f64, b: f64) -> f64 {
    let (large, small) = if a > b { (a, b) } else { (b, a) };
    if large < 50.0 {
        return libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    }
    // Stirling's series of both large terms: (l - 1/2) log l - l and its corrections
    let correction = |l: f64| {
        let v = l.powi(-2);
        (1.0 / 12.0 - v * (1.0 / 360.0 - v * (1.0 / 1260.0 - v / 1680.0))) / l
    };
    let sum = large + small;
    // (l - 1/2) log l - (s - 1/2) log s + s - l
    let main = -(large - 0.5) * (small / large).ln_1p() - small * sum.ln() + small;
    main + correction(large) - correction(sum) + libm::lgamma(small)
}

/// The denominator `1 + d_1 / (1 + d_2 / (1 + ...))`.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |v: f64| if v == 0.0 { TINY } else { v };
    let most = 200.0 + 20.0 * a.max(b).sqrt();
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    let mut m = 0.0;
    while m < most {
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let k = m + 1.0;
        let even = k * (b - k) * x / ((a + 2.0 * k - 1.0) * (a + 2.0 * k));
        let mut change = 1.0;
        for term in [odd, even] {
            d = guard(1.0 + term * d).recip();
            c = guard(1.0 + term / c);
            change = c * d;
            value *= change;
        }
        if (change - 1.0f64).abs() <= f64::EPSILON {
            break;
        }
        m = k;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beta(a: f64, b: f64, x: f64) -> f64 {
        regularized_beta(a, b, x, 1.0 - x)
    }

    #[test]
    fn closed_forms() {
        for x in [1e-6, 0.1, 0.35, 0.5, 0.8, 0.999] {
            for n in [0.5, 1.0, 3.0, 40.0] {
                // I_x(n, 1) = x^n, I_x(1, n) = 1 - (1 - x)^n
                let got = beta(n, 1.0, x);
                assert!((got / x.powf(n) - 1.0).abs() < 1e-12, "{n} {x}");
                assert!((beta(1.0, n, x) - (1.0 - (1.0 - x).powf(n))).abs() < 1e-13);
            }
            // I_x(1/2, 1/2) = 2/pi asin(sqrt x)
            let arcsine = 2.0 / std::f64::consts::PI * x.sqrt().asin();
            assert!((beta(0.5, 0.5, x) - arcsine).abs() < 1e-13, "{x}");
            // I_x(2, 3) by hand
            let cubic = x * x * (6.0 - 8.0 * x + 3.0 * x * x);
            assert!((beta(2.0, 3.0, x) - cubic).abs() < 1e-13, "{x}");
        }
    }

    #[test]
    fn the_recurrence_holds_for_any_shape() {
        // I_x(a, b) - I_x(a + 1, b) = x^a (1-x)^b / (a B(a, b)): this covers both forms of
        // everything
        for a in [0.3, 2.0, 24.9, 49.9, 50.1, 700.0, 1e5] {
            for b in [0.5, 1.7, 60.0] {
                for x in [0.02, 0.3, 0.6, 0.9, 0.99, 0.999_9] {
                    let step = (a * f64::ln(x) + b * f64::ln_1p(-x)
                        - (libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)))
                    .exp()
                        / a;
                    let got = beta(a, b, x) - beta(a + 1.0, b, x);
                    let loss = 1e-13 + step * 1e-15 * (a + b) * 12.0;
                    assert!((got - step).abs() < loss, "{a} {b} {x}: {got:e} {step:e}");
                }
            }
        }
    }

    #[test]
    fn ends_and_nonsense() {
        assert_eq!(beta(2.0, 3.0, 0.0), 0.0);
        assert_eq!(beta(2.0, 3.0, 1.0), 1.0);
        for (a, b, x) in [(0.0, 1.0, 0.5), (1.0, -1.0, 0.5), (1.0, 1.0, 1.5)] {
            assert!(beta(a, b, x).is_nan());
        }
    }
}
