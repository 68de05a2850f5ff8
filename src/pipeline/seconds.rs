//! How the seconds of a fit are divided among walks that run one after the other.

/// The least that a walk gets, even if no time is left.
const LEAST: f64 = 0.1;

/// Seconds for the next of `left` walks after `elapsed` seconds. Together they may run until
/// `until`. What one leaves over is divided among the next ones, and so is what it took too much.
pub(super) fn of_next_walk(until: f64, elapsed: f64, left: usize) -> f64 {
    ((until - elapsed) / left.max(1) as f64).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds after `walks` walks that start at `elapsed` and take what they may, times `factor`,
    /// and `more` besides.
    fn ends(until: f64, mut elapsed: f64, walks: usize, (factor, more): (f64, f64)) -> f64 {
        for k in 0..walks {
            elapsed += factor * of_next_walk(until, elapsed, walks - k) + more;
        }
        elapsed
    }

    #[test]
    fn walks_end_when_they_have_to() {
        for walks in [1, 2, 25] {
            assert!((ends(30.0, 0.0, walks, (1.0, 0.0)) - 30.0).abs() < 1e-9);
            // each walk may take as long as all others, whatever came before
            assert!((of_next_walk(30.0, 12.0, walks) - 18.0 / walks as f64).abs() < 1e-12);
        }
        // walks that are slow to stop: later ones have less, and only the last is too late
        let slow = ends(30.0, 0.0, 25, (1.0, 0.2));
        assert!(slow > 30.0 && slow < 30.0 + 0.2 + 1e-9, "{slow}");
        // walks that need less end early
        assert!(ends(30.0, 0.0, 25, (0.5, 0.0)) < 30.0);
    }

    /// Without time each walk has a tenth of a second.
    #[test]
    fn a_limit_that_is_too_small_is_exceeded_by_a_tenth_of_a_second_a_walk() {
        for until in [0.0, 1e-9, 2.0] {
            assert_eq!(of_next_walk(until, 5.0, 3), LEAST);
            let end = ends(until, 5.0, 25, (1.0, 0.0));
            assert!((end - 7.5).abs() < 1e-9, "{end}");
        }
        assert_eq!(of_next_walk(1.0, 0.0, 0), 1.0);
    }
}
