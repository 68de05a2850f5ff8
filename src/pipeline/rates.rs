//! Learning rates of stochastic gradients: the highest at which what they leave behind is viable, and the one that predicts best.

use crate::error::{Error, Result};

/// Rates are not lowered beyond this.
const LEAST_RATE: f64 = 1e-8;

/// What `run` gives (with its energy and the gradients that it took) at the first of the rates `rate`, `rate / 10`, ... whose energy is at most `threshold`; that
/// rate, and the gradients of all tries. At [`LEAST_RATE`] whatever comes is taken.
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
            // the index is that of the gradient
            Err(Error::NonFinite { index, .. }) if rate > LEAST_RATE => taken += index,
            Err(error) => return Err(error),
        }
        rate = (0.1 * rate).max(LEAST_RATE);
    }
}

/// Rates of a ladder, at most: over five powers of ten.
const RUNGS: i32 = 12;

/// One of the rates that were tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tried {
    pub rate: f64,
    /// The lower the better.
    pub score: f64,
}

/// The best of the rates `1, 3, 10, 30, ...` times `first`, by the score that `run` gives (with the gradients it took). The ladder ends where two rates in a row are no better
/// than the best so far, or one is refused: `None`, as where a descent does not stay finite; it has twelve rungs at most. Besides, the gradients of all tries.
///
/// # Errors
/// Those of `run`, and if `first` is refused.
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
            // worse, or not a number
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

    fn diverged(index: usize) -> Error {
        let what = "a gradient";
        Error::NonFinite { what, index }
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
        // where nothing is viable the least rate's result is taken, or its error
        let (_, rate, _) = at_viable_rate(1.0, 5.0, |_| Ok(((), 9.0, 1))).unwrap();
        assert_eq!(rate, LEAST_RATE);
        assert!(at_viable_rate::<()>(1.0, 5.0, |_| Err(diverged(0))).is_err());
        let other = || Error::config("rank", 1, "must be at least 2");
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
        // one that is worse alone does not end it, one that is refused does
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
        // what is no number is not the best, and a ladder has an end
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
