//! Leave-one-out cross-validation from one fit.
//!
//! Each row is predicted without itself, by weighting the draws of the posterior that has seen it.
//!
//! Vehtari, Gelman & Gabry, "Practical Bayesian model evaluation using leave-one-out
//! cross-validation and WAIC", Statistics and Computing 27 (2017), arXiv 1507.04544. With draws
//! `theta_s` of `p(theta | y)`, `s = 1 ... S`, and rows that are independent given the parameters:
//!
//! ```text
//! w_is      ~ 1 / p(y_i | theta_s)              Pareto-smoothed over s, sum_s w_is = 1: see psis
//! elpd_i    = log sum_s w_is p(y_i | theta_s)   ~ log p(y_i | y_-i)
//! elpd_loo  = sum_i elpd_i                                                              (eq. 4)
//! se        = sqrt(n V_i[elpd_i])               V with the divisor n - 1               (eq. 23)
//! lppd      = sum_i log mean_s p(y_i | theta_s)
//! p_loo     = lppd - elpd_loo,  looic = -2 elpd_loo
//! se(A - B) = sqrt(n V_i[elpd_i(A) - elpd_i(B)])                                       (eq. 24)
//! ```
//!
//! A row is *unreliable* if the shape `k` of its weights is above `min(1 - 1 / log10 S, 0.7)`
//! (Vehtari, Simpson, Gelman, Yao & Gabry, JMLR 25, 2024). Its `elpd_i` is then usually too high.
//! The remedy is a fit without that row.
//!
//! **Where there is nothing to smooth**, the weights stay as they are and `k = +inf`, which makes
//! the row unreliable. This happens below [`MIN_DRAWS`] draws, or with fewer than five weights
//! above the rest. `k = -inf` means that about a fifth of the draws share the largest weight: the
//! weights are bounded, and trusted. (ArviZ gives `+inf` there. Its `se` has the divisor `n`.)
//!
//! **What it drops.** All draws count the same. Resample first if the draws have weights. `se`
//! leaves out the error of `elpd_loo` from the finite number of draws.

use super::psis::{MIN_DRAWS, ParetoSmoothed};
use crate::error::{Error, Result, counted};
use crate::linalg::log_mean_exp;
use crate::parallel;

/// One row left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LooRow {
    /// `log p(y_i | y_-i)`, in nats.
    pub elpd: f64,
    /// `log p(y_i | y)`, in nats: the row's density under the fit that has seen it.
    pub lppd: f64,
    /// Shape of the tail of the row's weights: [`ParetoSmoothed::k_hat`], or `+inf` below
    /// [`MIN_DRAWS`] draws.
    pub pareto_k: f64,
    /// Number of draws.
    pub draws: usize,
}

impl LooRow {
    /// Computes a row from `log p(y_i | theta_s)`, `[draws]`, in nats. `row` is used only in
    /// errors. `efficiency` is that of [`loo_log_weights`].
    ///
    /// Rows may be computed in any order, on any thread. Give them to a [`LooBuilder`] in their
    /// order.
    ///
    /// # Errors
    /// Those of [`loo_log_weights`].
    pub fn new(row: usize, log_lik: &[f64], efficiency: Option<f64>) -> Result<Self> {
        check(&format!(" of row {row}"), log_lik)?;
        let (mut terms, pareto_k) = weights(log_lik, efficiency)?;
        for (term, log_lik) in terms.iter_mut().zip(log_lik) {
            *term += log_lik;
        }
        Ok(Self {
            elpd: log_sum_exp(&terms),
            lppd: log_mean_exp(log_lik).value,
            pareto_k,
            draws: log_lik.len(),
        })
    }
}

/// Leave-one-out cross-validation of a fit, in nats. Larger is better, except for `looic`.
#[derive(Clone, Debug, PartialEq)]
pub struct Loo {
    /// Expected log predictive density of as many new rows, `sum_i log p(y_i | y_-i)`.
    pub elpd_loo: f64,
    /// Standard error of `elpd_loo`, for independent rows; infinite for one row.
    pub se: f64,
    /// Effective number of parameters, `lppd - elpd_loo`.
    pub p_loo: f64,
    /// Log predictive density of the rows under the fit that has seen them.
    pub lppd: f64,
    /// The terms of `elpd_loo`, `[rows]`.
    pub pointwise: Vec<f64>,
    /// Shapes of the weights' tails, `[rows]`: [`LooRow::pareto_k`].
    pub pareto_k: Vec<f64>,
    /// Number of draws.
    pub draws: usize,
}

impl Loo {
    /// Computes the sums from `log p(y_i | theta_s)`, `[draws, rows]` row-major, in nats; rows in
    /// parallel. `efficiency` is that of [`loo_log_weights`], the same for all rows.
    ///
    /// If they do not fit into memory, [`LooBuilder`] takes them row by row.
    ///
    /// # Errors
    /// If the length is not `draws` times a number of rows, there are no draws or no rows, or those
    /// of [`loo_log_weights`] for the first row that fails.
    pub fn new(log_lik: &[f64], draws: usize, efficiency: Option<f64>) -> Result<Self> {
        if draws == 0 || log_lik.is_empty() || !log_lik.len().is_multiple_of(draws) {
            let expected = format!(
                "log-likelihoods [{}, rows], both at least 1",
                counted(draws, "draw")
            );
            let got = counted(log_lik.len(), "number");
            return Err(Error::shape("Loo", expected, got));
        }
        let rows = log_lik.len() / draws;
        let left_out = parallel::try_map(rows, |row| {
            let of_row: Vec<f64> = log_lik.iter().skip(row).step_by(rows).copied().collect();
            LooRow::new(row, &of_row, efficiency)
        })?;
        let mut builder = Self::builder(efficiency);
        for row in left_out {
            builder.push(row)?;
        }
        builder.finish()
    }

    /// A builder that takes one row after another. `efficiency` is that of [`loo_log_weights`], the
    /// same for all rows.
    pub fn builder(efficiency: Option<f64>) -> LooBuilder {
        LooBuilder {
            efficiency,
            rows: Vec::new(),
        }
    }

    /// The largest reliable `pareto_k` for this number of draws: [`ParetoSmoothed::threshold`].
    pub fn threshold(&self) -> f64 {
        ParetoSmoothed::threshold(self.draws)
    }

    /// Number of rows with a `pareto_k` above the threshold, `+inf` included.
    pub fn unreliable(&self) -> usize {
        self.unreliable_rows().len()
    }

    /// The rows with a `pareto_k` above the threshold.
    pub fn unreliable_rows(&self) -> Vec<usize> {
        let limit = self.threshold();
        let rows = self.pareto_k.iter().enumerate();
        rows.filter(|(_, k)| **k > limit).map(|(i, _)| i).collect()
    }

    /// Replaces the estimate for row `row` by the exact `log p(y_i | y_-i)`, from a fit without it.
    /// Its `pareto_k` is then `-inf`, as there are no weights.
    ///
    /// # Errors
    /// If there is no such row, or the density is not finite.
    pub fn with_exact(mut self, row: usize, elpd: f64) -> Result<Self> {
        let rows = self.pointwise.len();
        let (Some(old), Some(k)) = (self.pointwise.get_mut(row), self.pareto_k.get_mut(row)) else {
            return Err(Error::shape("Loo", format!("a row below {rows}"), row));
        };
        if !elpd.is_finite() {
            let what = "log density of a row left out";
            return Err(Error::NonFinite { what, index: row });
        }
        (*old, *k) = (elpd, f64::NEG_INFINITY);
        (self.elpd_loo, self.se) = sum_with_error(&self.pointwise);
        self.p_loo = self.lppd - self.elpd_loo;
        Ok(self)
    }

    /// `-2 elpd_loo`, on the scale of a deviance: smaller is better.
    pub fn looic(&self) -> f64 {
        -2.0 * self.elpd_loo
    }
}

/// Collects the rows of a [`Loo`] one by one, so `[draws, rows]` values need never be in memory.
///
/// ```
/// use fiberwalk::diagnose::Loo;
/// let mut builder = Loo::builder(None);
/// for row in 0..3 {
///     let log_lik: Vec<f64> = (0..200).map(|s| -0.5 * f64::from(row * s).sin().powi(2)).collect();
///     builder.push_row(&log_lik)?;
/// }
/// let loo = builder.finish()?;
/// assert!(loo.pointwise.len() == 3 && loo.p_loo > 0.0);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LooBuilder {
    efficiency: Option<f64>,
    rows: Vec<LooRow>,
}

impl LooBuilder {
    /// Adds the next row, from its `log p(y_i | theta_s)`, `[draws]`, in nats.
    ///
    /// # Errors
    /// Those of [`LooRow::new`] and [`LooBuilder::push`].
    pub fn push_row(&mut self, log_lik: &[f64]) -> Result<()> {
        self.push(LooRow::new(self.rows.len(), log_lik, self.efficiency)?)
    }

    /// Adds the next row, computed elsewhere, possibly with its own efficiency.
    ///
    /// # Errors
    /// If its number of draws differs from that of the first row.
    pub fn push(&mut self, row: LooRow) -> Result<()> {
        if let Some(first) = self.rows.first().filter(|first| first.draws != row.draws) {
            let expected = format!("{}, as row 0 has", counted(first.draws, "draw"));
            let got = format!("{} in row {}", row.draws, self.rows.len());
            return Err(Error::shape("LooBuilder", expected, got));
        }
        self.rows.push(row);
        Ok(())
    }

    /// Sums over all rows.
    ///
    /// # Errors
    /// If there are no rows.
    pub fn finish(self) -> Result<Loo> {
        let Some(LooRow { draws, .. }) = self.rows.first().copied() else {
            return Err(Error::shape("LooBuilder", "at least 1 row", "none"));
        };
        let pointwise: Vec<f64> = self.rows.iter().map(|row| row.elpd).collect();
        let (elpd_loo, se) = sum_with_error(&pointwise);
        let lppd: f64 = self.rows.iter().map(|row| row.lppd).sum();
        Ok(Loo {
            elpd_loo,
            se,
            p_loo: lppd - elpd_loo,
            lppd,
            pointwise,
            pareto_k: self.rows.iter().map(|row| row.pareto_k).collect(),
            draws,
        })
    }
}

/// Log weights that turn draws of `p(theta | y)` into draws of `p(theta | y_-i)`, `[draws]` with
/// `sum_s exp = 1`, and the shape `k` of their tail. They are computed from `log p(y_i | theta_s)`,
/// `[draws]`, in nats.
///
/// Weighted averages are the predictions of a fit without the row: for example its predictive mean,
/// or the probability of a value below `y_i` (LOO-PIT). If `k` is high they are as unreliable as
/// `elpd_i`.
///
/// `efficiency` is the effective number of draws over their number: `ess_mean` of
/// `p(y_i | theta_s)` over `S`, or one number for all rows. `None` is 1, for independent draws.
///
/// # Errors
/// If there are no draws, the efficiency is not positive and finite, or a log-likelihood is not
/// finite. This includes `-inf`: a draw under which the row cannot happen would take all the
/// weight.
pub fn loo_log_weights(log_lik: &[f64], efficiency: Option<f64>) -> Result<(Vec<f64>, f64)> {
    check("", log_lik)?;
    weights(log_lik, efficiency)
}

/// The difference of two models in expected log predictive density of new rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ElpdDifference {
    /// `elpd(A) - elpd(B)`, in nats: above 0 if A is better.
    pub difference: f64,
    /// Its standard error, from the differences row by row; infinite for one row. It is usually too
    /// small below a hundred rows, or for a difference of less than 4 (Sivula, Magnusson, Matamoros
    /// & Vehtari, arXiv 2008.10296).
    pub std_error: f64,
}

/// Compares two models by their log predictive densities of the same rows, `[rows]`, in nats:
/// [`Loo::pointwise`] of both, or densities of held-out rows.
///
/// # Errors
/// If the numbers of rows differ, there are no rows, or a value is not finite.
pub fn elpd_difference(a: &[f64], b: &[f64]) -> Result<ElpdDifference> {
    if a.len() != b.len() || a.is_empty() {
        let got = format!("{} and {}", a.len(), b.len());
        let expected = "as many rows of both models, at least 1";
        return Err(Error::shape("elpd_difference", expected, got));
    }
    for (name, x) in [("the first", a), ("the second", b)] {
        if let Some(row) = x.iter().position(|x| !x.is_finite()) {
            return Err(Error::data(format!(
                "log predictive density of row {row} by {name} model: expected a finite number, \
                 got {}",
                x[row]
            )));
        }
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let (difference, std_error) = sum_with_error(&differences);
    Ok(ElpdDifference {
        difference,
        std_error,
    })
}

/// Checks that log-likelihoods are finite; `of_row` names their row in errors.
fn check(of_row: &str, log_lik: &[f64]) -> Result<()> {
    if log_lik.is_empty() {
        let got = format!("none{of_row}");
        return Err(Error::shape("leave-one-out", "at least 1 draw", got));
    }
    let Some(draw) = log_lik.iter().position(|l| !l.is_finite()) else {
        return Ok(());
    };
    let got = log_lik[draw];
    let why = match got == f64::NEG_INFINITY {
        true => {
            " (the row cannot happen under this draw, whose weight without it would be infinite)"
        }
        false => "",
    };
    Err(Error::data(format!(
        "log-likelihood{of_row} at draw {draw}: expected a finite number, got {got}{why}"
    )))
}

/// [`loo_log_weights`] of validated log-likelihoods.
fn weights(log_lik: &[f64], efficiency: Option<f64>) -> Result<(Vec<f64>, f64)> {
    let mut raw: Vec<f64> = log_lik.iter().map(|l| -l).collect();
    let efficiency = efficiency.unwrap_or(1.0);
    if raw.len() >= MIN_DRAWS {
        let smoothed = ParetoSmoothed::with_efficiency(&raw, efficiency)?;
        return Ok((smoothed.log_weights, smoothed.k_hat));
    }
    ParetoSmoothed::check_efficiency(efficiency)?;
    let total = log_sum_exp(&raw);
    raw.iter_mut().for_each(|w| *w -= total);
    Ok((raw, f64::INFINITY))
}

fn log_sum_exp(x: &[f64]) -> f64 {
    log_mean_exp(x).value + (x.len() as f64).ln()
}

/// `sum_i x_i` and `sqrt(n V_i[x_i])`.
fn sum_with_error(x: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let sum: f64 = x.iter().sum();
    if x.len() == 1 {
        return (sum, f64::INFINITY);
    }
    let mean = sum / n;
    let squares: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
    (sum, (n * squares / (n - 1.0)).sqrt())
}
