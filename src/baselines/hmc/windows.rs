//! The schedule of a warm-up: what it adapts, and when.
//!
//! It is Stan's (Stan Reference Manual, "Automatic parameter tuning").
//!
//! Two buffers adapt the step size alone: the first 75 transitions, in which a chain finds the
//! bulk, and the last 50, in which the step size settles. Between them are windows of 25, 50, 100,
//! ... transitions. At the end of each, the mass is estimated anew from the draws of that window,
//! and the search for the step size starts again. A window takes all transitions that are left if
//! the next would not fit. With fewer than 150 transitions the buffers are 15 % and 10 %, with one
//! window between them. With fewer than 20 there is no window.

use std::ops::Range;

const FIRST: usize = 75;
const LAST: usize = 50;
const BASE: usize = 25;
const LEAST: usize = 20;

/// The windows of a warm-up of `warm_up` transitions, one after the other.
pub(super) fn windows(warm_up: usize) -> Vec<Range<usize>> {
    if warm_up < LEAST {
        return Vec::new();
    }
    let (first, last, mut size) = if FIRST + BASE + LAST > warm_up {
        let (first, last) = (warm_up * 15 / 100, warm_up / 10);
        (first, last, warm_up - first - last)
    } else {
        (FIRST, LAST, BASE)
    };
    let all = warm_up - last;
    let mut windows = Vec::new();
    let mut start = first;
    while start < all {
        let end = match start + 3 * size > all {
            true => all,
            false => start + size,
        };
        windows.push(start..end);
        (start, size) = (end, 2 * size);
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_windows_of_stan() {
        let of_1000 = [75..100, 100..150, 150..250, 250..450, 450..950];
        assert_eq!(windows(1000), of_1000);
        // 25, then 50, which leaves nothing for one of 100
        assert_eq!(windows(200), [75..100, 100..150]);
        assert_eq!(
            windows(150),
            [Range {
                start: 75,
                end: 100
            }]
        );
        // 15 % and 10 %
        assert_eq!(
            windows(149),
            [Range {
                start: 22,
                end: 135
            }]
        );
        assert_eq!(windows(20), [Range { start: 3, end: 18 }]);
        assert!(windows(19).is_empty() && windows(0).is_empty());
    }

    #[test]
    fn windows_follow_one_another() {
        for warm_up in 20..3000 {
            let all = windows(warm_up);
            assert!(
                all.windows(2)
                    .all(|w| w[0].end == w[1].start && w[0].len() <= w[1].len())
            );
            assert!(all.iter().all(|w| w.len() >= 10));
            assert!(all[all.len() - 1].end < warm_up);
        }
    }
}
