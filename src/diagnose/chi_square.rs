//! The chi-square distribution, and Pearson's test of counts.

use super::outcome::TestOutcome;
use crate::error::{Error, Result, counted};
use crate::special::regularized_gamma_q;

/// `P(X > x)` for a chi-square variable with `dof` degrees of freedom; NaN unless `x >= 0` and
/// `dof > 0`.
pub fn chi_square_survival(x: f64, dof: f64) -> f64 {
    regularized_gamma_q(0.5 * dof, 0.5 * x)
}

/// Pearson's test of counts against their expectations: `sum (n_i - e_i)^2 / e_i`, with `cells - 1`
/// degrees of freedom.
///
/// # Errors
/// If there are fewer than 2 cells, lengths differ, an expectation is below 5 (where the chi-square
/// approximation fails), or the expectations do not add up to the number of counts.
pub fn goodness_of_fit(observed: &[usize], expected: &[f64]) -> Result<TestOutcome> {
    if observed.len() < 2 || observed.len() != expected.len() {
        let expected = format!(
            "2 or more counts for {}",
            counted(expected.len(), "expectation")
        );
        return Err(Error::shape("goodness_of_fit", expected, observed.len()));
    }
    if let Some(&low) = expected.iter().find(|&&e| e.is_nan() || e < 5.0) {
        return Err(Error::config("expected", low, "at least 5 in each cell"));
    }
    let total = observed.iter().sum::<usize>() as f64;
    let sum: f64 = expected.iter().sum();
    if sum.is_infinite() || (sum - total).abs() > 1e-9 * total {
        let requirement = format!("must add up to the {}", counted(total, "count"));
        return Err(Error::config("expected", sum, &requirement));
    }
    let cells = observed.iter().zip(expected);
    let statistic = cells.map(|(&n, e)| (n as f64 - e).powi(2) / e).sum();
    Ok(TestOutcome {
        statistic,
        p_value: chi_square_survival(statistic, (observed.len() - 1) as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiles_of_tables() {
        // two degrees of freedom: exp(-x/2); one: 2 (1 - Phi(sqrt x)); 95 % of 10 degrees: 18.307
        assert!((chi_square_survival(3.0, 2.0) - (-1.5f64).exp()).abs() < 1e-15);
        assert!((chi_square_survival(3.841_458_820_694_124, 1.0) - 0.05).abs() < 1e-15);
        assert!((chi_square_survival(18.307_038_053_275_15, 10.0) - 0.05).abs() < 1e-14);
    }

    #[test]
    fn a_fit_by_hand() {
        // (10 - 15)^2/15 + (20 - 15)^2/15 = 10/3
        let outcome = goodness_of_fit(&[10, 20], &[15.0, 15.0]).unwrap();
        assert!((outcome.statistic - 10.0 / 3.0).abs() < 1e-14);
        assert!((outcome.p_value - chi_square_survival(10.0 / 3.0, 1.0)).abs() < 1e-15);
        assert_eq!(
            goodness_of_fit(&[15, 15], &[15.0, 15.0]).unwrap().p_value,
            1.0
        );
    }

    #[test]
    fn what_cannot_be_tested_is_refused() {
        assert!(goodness_of_fit(&[30], &[30.0]).is_err());
        assert!(goodness_of_fit(&[15, 15], &[30.0]).is_err());
        assert!(goodness_of_fit(&[2, 28], &[2.0, 28.0]).is_err());
        assert!(goodness_of_fit(&[15, 15], &[15.0, f64::NAN]).is_err());
        assert!(goodness_of_fit(&[15, 15], &[15.0, 16.0]).is_err());
    }
}
