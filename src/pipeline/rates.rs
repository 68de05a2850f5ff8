//! Learning rates of stochastic gradients: the highest viable one, and the best predicting one.
//!
//! A rate is viable if the run's energy is at most a threshold.

use crate::error::{Error, Result};

/// Rates are not lowered below this.
const LEAST_RATE: f64 = 1e-8;

/// Calls `run` with the rates `rate`, `rate / 10`, ... until the energy is at most `threshold`.
/// Returns that result, the rate, and the gradients of all tries. `run` returns a result, its
/// energy and the gradients that it took. At [`LEAST_RATE`] any result is taken.
pub(super) fn at_viable_rate<R>(
    mut rate: f64,
    threshold: f64,
    mut run: impl FnMut(f64) -> Result<(R, f64, usize)>,
) -> Result<(R, f64, usize)> {
    let mut taken = 0;
    loop {
        match run(rate) {
            Ok((report, energy, gradients)) => {
                taken += gradients;
                if energy <= threshold || rate <= LEAST_RATE {
                    return Ok((report, rate, taken));
                }
            }
            Err(Error::Diverged { gradients, .. }) if rate > LEAST_RATE => taken += gradients,
            Err(error) => return Err(error),
        }
        rate = (0.1 * rate).max(LEAST_RATE);
    }
}

/// Most rates of a ladder: over five powers of ten.
const RUNGS: i32 = 12;

/// A rate that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tried {
    pub rate: f64,
    /// Lower is better.
    pub score: f64,
}

/// Finds the best of the rates `1, 3, 10, 30, ...` times `first`, and counts the gradients of all
/// tries. `run` returns a score and the gradients that it took. Its score is `None` if the rate is
/// refused, for example because descent does not stay finite. The ladder ends after a refused rate,
/// after two rates in a row that are no better than the best so far, or after twelve rungs.
///
/// # Errors
/// Those of `run`, and an error if `first` is refused.
pub(super) fn best_rate(
    first: f64,
    mut run: impl FnMut(f64) -> Result<(Option<f64>, usize)>,
) -> Result<(Tried, usize)> {
    let mut best: Option<Tried> = None;
    let (mut taken, mut worse) = (0, 0);
    for (power, digit) in (0..RUNGS / 2).flat_map(|power| [(power, 1.0), (power, 3.0)]) {
        let rate = first * digit * 10f64.powi(power);
        let (score, gradients) = run(rate)?;
        taken += gradients;
        let least = best.as_ref().map_or(f64::INFINITY, |b| b.score);
        match score {
            Some(score) if score < least => (best, worse) = (Some(Tried { rate, score }), 0),
            // worse, or NaN
            Some(_) => worse += 1,
            None => worse = 2,
        }
        if worse == 2 {
            break;
        }
    }
    match best {
        Some(best) => Ok((best, taken)),
        None => Err(Error::config(
            "learning_rate",
            first,
            "must be one at which the descent stays finite",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diverged(gradients: usize) -> Error {
        Error::Diverged {
            what: "a descent",
            quantity: "energy",
            step: 3,
            gradients,
            advice: "",
        }
    }

    #[test]
    fn a_rate_is_lowered_until_it_is_viable_and_every_gradient_counts() {
        let mut rates = Vec::new();
        let (report, rate, taken) = at_viable_rate(1.0, 5.0, |rate| {
            rates.push(rate);
            match rates.len() {
                1 => Err(diverged(7)),
                2 => Ok(("high", 6.0, 100)),
                _ => Ok(("low", 5.0, 100)),
            }
        })
        .unwrap();
        assert_eq!((report, taken), ("low", 207));
        assert!((rate - 0.01).abs() < 1e-15 && rates.len() == 3);
        // if nothing is viable, the result of the least rate is taken, or its error
        let (_, rate, _) = at_viable_rate(1.0, 5.0, |_| Ok(((), 9.0, 1))).unwrap();
        assert_eq!(rate, LEAST_RATE);
        assert!(at_viable_rate::<()>(1.0, 5.0, |_| Err(diverged(0))).is_err());
        let other = || Error::config("rank", 1, "must be at least 2");
        let elsewhere = || Error::NonFinite {
            what: "theta",
            index: 3,
        };
        assert!(at_viable_rate::<()>(1.0, 5.0, |_| Err(elsewhere())).is_err());
        assert!(at_viable_rate::<()>(1.0, 5.0, |_| Err(other())).is_err());
    }

    #[test]
    fn the_best_rate_is_where_the_ladder_turns() {
        // the minimum is at 0.1; 0.3 and 1 are worse
        let mut rates = Vec::new();
        let (best, taken) = best_rate(0.01, |rate| {
            rates.push(rate);
            Ok((Some((rate.log10() + 1.0).abs()), 5))
        })
        .unwrap();
        assert!((best.rate - 0.1).abs() < 1e-12);
        assert_eq!(taken, 25);
        let wanted = [0.01, 0.03, 0.1, 0.3, 1.0];
        assert!(
            rates
                .iter()
                .zip(wanted)
                .all(|(a, b)| (a / b - 1.0).abs() < 1e-12)
        );
        // a single worse rate does not end the ladder, a refused one does
        let scores = [Some(3.0), Some(4.0), Some(1.0), Some(1.0), None, Some(0.0)];
        let mut next = scores.into_iter();
        let (best, _) = best_rate(1.0, |_| Ok((next.next().unwrap(), 0))).unwrap();
        assert_eq!(
            best,
            Tried {
                rate: 10.0,
                score: 1.0
            }
        );
        assert_eq!(next.len(), 1);
        assert!(best_rate(1.0, |_| Ok((None, 1))).is_err());
        // NaN is not the best, and a ladder ends
        let mut next = [Some(2.0), Some(f64::NAN), Some(1.0)].into_iter();
        let (best, _) = best_rate(1.0, |_| Ok((next.next().flatten(), 0))).unwrap();
        assert_eq!(
            best,
            Tried {
                rate: 10.0,
                score: 1.0
            }
        );
        let (best, taken) = best_rate(1.0, |rate| Ok((Some(-rate), 1))).unwrap();
        assert_eq!((best.rate, taken), (3e5, 12));
    }
}
