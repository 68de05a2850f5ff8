//! A limit of time for chains that may not all run at once.

use std::time::Instant;

use crate::error::{Error, Result};
use crate::parallel;

/// When each of several chains has to end.
///
/// Threads take the chains in order, one after the other. If there are more chains than threads,
/// the time is divided among the rounds: a chain that waited for another has a time of its own.
pub(super) struct Limit {
    started: Instant,
    seconds: Option<f64>,
    rounds: usize,
    threads: usize,
}

impl Limit {
    /// Starts the clock of so many chains.
    pub(super) fn new(seconds: Option<f64>, chains: usize) -> Self {
        let threads = parallel::threads().max(1);
        Self {
            started: Instant::now(),
            seconds,
            rounds: chains.div_ceil(threads).max(1),
            threads,
        }
    }

    /// Whether chain `index` has to end.
    pub(super) fn is_over(&self, index: usize) -> bool {
        let share = (index / self.threads + 1) as f64 / self.rounds as f64;
        let over = |seconds: f64| self.started.elapsed().as_secs_f64() >= share * seconds;
        self.seconds.is_some_and(over)
    }
}

/// Checks a number of seconds.
///
/// # Errors
/// If it is not positive and finite.
pub(crate) fn check_seconds(seconds: Option<f64>) -> Result<()> {
    match seconds {
        Some(seconds) if !(seconds > 0.0 && seconds.is_finite()) => {
            let requirement = "must be a positive number of seconds";
            Err(Error::config("max_seconds", seconds, requirement))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn chains_that_wait_have_a_time_of_their_own() {
        let limit = |seconds| Limit {
            // a minute ago
            started: Instant::now().checked_sub(Duration::from_secs(60)).unwrap(),
            seconds,
            rounds: 2,
            threads: 2,
        };
        let over = |seconds| [0, 1, 2, 3].map(|chain| limit(Some(seconds)).is_over(chain));
        assert_eq!(over(119.0), [true, true, false, false]);
        assert_eq!(over(121.0), [false; 4]);
        assert_eq!(over(59.0), [true; 4]);
        assert_eq!(over(1e300), [false; 4]);
        assert!(!limit(None).is_over(0));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(check_seconds(Some(bad)).is_err());
        }
        assert!(check_seconds(Some(1e30)).is_ok() && check_seconds(None).is_ok());
    }
}
