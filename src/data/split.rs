//! Splits of the rows into training and test rows.

use rand::Rng;
use rand::seq::SliceRandom;

use super::dataset::{Dataset, Task};
use crate::error::{Error, Result, counted};

/// The rows of a data set, divided in two. Both parts are ascending and disjoint, and together hold
/// all rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Rows to train on.
    pub train: Vec<usize>,
    /// Rows to test on.
    pub test: Vec<usize>,
}

impl Split {
    fn new(n: usize, mut test: Vec<usize>) -> Self {
        test.sort_unstable();
        let train = (0..n)
            .filter(|row| test.binary_search(row).is_err())
            .collect();
        Self { train, test }
    }
}

/// Draws `round(n * test_fraction)` of `n` rows for testing, but at least one and at most `n - 1`.
///
/// # Errors
/// Fewer than 2 rows, or a fraction outside (0, 1).
pub fn random_split<R: Rng + ?Sized>(n: usize, test_fraction: f64, rng: &mut R) -> Result<Split> {
    let size = test_size(n, test_fraction)?;
    let mut rows: Vec<usize> = (0..n).collect();
    rows.shuffle(rng);
    rows.truncate(size);
    Ok(Split::new(n, rows))
}

/// Draws the test rows class by class, so that both parts have the proportions of the whole.
///
/// There are as many test rows as with [`random_split`]. They are distributed by largest
/// remainders, with ties going to the lower class. Every class keeps at least one row in training.
/// If that leaves too few rows, fewer are tested. Data sets for regression are split by
/// [`random_split`].
///
/// # Errors
/// Fewer than 2 rows, a fraction outside (0, 1), or no class with 2 rows.
pub fn stratified_split<R: Rng + ?Sized>(
    dataset: &Dataset,
    test_fraction: f64,
    rng: &mut R,
) -> Result<Split> {
    let n = dataset.n();
    if dataset.task() == Task::Regression {
        return random_split(n, test_fraction, rng);
    }
    let size = test_size(n, test_fraction)?;
    let sizes = deal(&dataset.class_counts(), test_fraction, size);
    let mut test = Vec::with_capacity(size);
    for (mut rows, take) in rows_by_class(dataset).into_iter().zip(sizes) {
        rows.shuffle(rng);
        test.extend_from_slice(&rows[..take]);
    }
    if test.is_empty() {
        return Err(Error::data(
            "no class has 2 rows: nothing is left to test on",
        ));
    }
    Ok(Split::new(n, test))
}

/// Divides the rows into `k` test sets. Their sizes differ by at most 1, and so do their counts of
/// each class.
///
/// # Errors
/// `k` below 2 or above the number of rows.
pub fn k_folds<R: Rng + ?Sized>(dataset: &Dataset, k: usize, rng: &mut R) -> Result<Vec<Split>> {
    let n = dataset.n();
    if k < 2 || k > n {
        let requirement = format!("at least 2 and at most the {}", counted(n, "row"));
        return Err(Error::config("k", k, &requirement));
    }
    // Dealt like cards, one class after the other: every fold gets a first row of a class before
    // any gets a second.
    let mut folds = vec![Vec::new(); k];
    let mut next = 0;
    for mut rows in rows_by_class(dataset) {
        rows.shuffle(rng);
        for row in rows {
            folds[next % k].push(row);
            next += 1;
        }
    }
    Ok(folds.into_iter().map(|test| Split::new(n, test)).collect())
}

/// Rows of each class; all rows together for regression.
fn rows_by_class(dataset: &Dataset) -> Vec<Vec<usize>> {
    let Task::Classification { classes } = dataset.task() else {
        return vec![(0..dataset.n()).collect()];
    };
    let mut rows = vec![Vec::new(); classes];
    for (i, &y) in dataset.targets().iter().enumerate() {
        rows[y as usize].push(i);
    }
    rows
}

fn test_size(n: usize, test_fraction: f64) -> Result<usize> {
    let inside = test_fraction > 0.0 && test_fraction < 1.0;
    if !inside {
        let requirement = "must lie strictly between 0 and 1";
        return Err(Error::config("test_fraction", test_fraction, requirement));
    }
    if n < 2 {
        return Err(Error::data(format!(
            "{} cannot be split in two",
            counted(n, "row")
        )));
    }
    Ok(((n as f64 * test_fraction).round() as usize).clamp(1, n - 1))
}

/// Test rows per class: `counts * fraction`, rounded so that they sum to `total`. Each stays below
/// its count.
fn deal(counts: &[usize], fraction: f64, total: usize) -> Vec<usize> {
    let quota = |c: usize| counts[c] as f64 * fraction;
    let room = |c: usize| counts[c].saturating_sub(1);
    let mut sizes: Vec<usize> = (0..counts.len())
        .map(|c| (quota(c) as usize).min(room(c)))
        .collect();
    for _ in sizes.iter().sum::<usize>()..total {
        let lag = |c: usize, sizes: &[usize]| quota(c) - sizes[c] as f64;
        let open = (0..counts.len()).filter(|&c| sizes[c] < room(c));
        // `rev` because `max_by` keeps the last of equals
        let most = open
            .rev()
            .max_by(|&a, &b| lag(a, &sizes).total_cmp(&lag(b, &sizes)));
        match most {
            Some(c) => sizes[c] += 1,
            None => break,
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Phase, Streams};
    use proptest::prelude::*;

    fn labelled(counts: &[usize]) -> Dataset {
        // interleave the classes, so that a split by position is not stratified by luck
        let mut labels: Vec<f64> = Vec::new();
        for i in 0..counts.iter().copied().max().unwrap() {
            labels.extend(
                (0..counts.len())
                    .filter(|&c| i < counts[c])
                    .map(|c| c as f64),
            );
        }
        let features = (0..labels.len()).map(|i| i as f64).collect();
        let classes = counts.len();
        let task = Task::Classification { classes };
        Dataset::new(features, labels, vec!["x".into()], "y", task).unwrap()
    }

    fn rng(seed: u64) -> impl Rng {
        Streams::new(seed).rng(Phase::SPLIT, 0)
    }

    fn counts(set: &Dataset, rows: &[usize]) -> Vec<usize> {
        set.select(rows).unwrap().class_counts()
    }

    fn is_partition(split: &Split, n: usize) -> bool {
        let mut all = [split.train.clone(), split.test.clone()].concat();
        all.sort_unstable();
        let ascending = split.train.is_sorted() && split.test.is_sorted();
        ascending && all == (0..n).collect::<Vec<_>>()
    }

    #[test]
    fn largest_remainders_by_hand() {
        // quotas 1.5, 2.1, 1.4 -> floors 1, 2, 1; the fifth row goes to the remainder 0.5
        assert_eq!(deal(&[5, 7, 5], 0.3, 5), [2, 2, 1]);
        // equal remainders: the lower class
        assert_eq!(deal(&[5, 5], 0.5, 5), [3, 2]);
        // a class of one row stays in training, and absent classes do not matter
        assert_eq!(deal(&[1, 9, 0], 0.5, 5), [0, 5, 0]);
        // the room runs out before the total is reached
        assert_eq!(deal(&[2, 2], 0.9, 3), [1, 1]);
    }

    #[test]
    fn a_stratified_split_keeps_the_proportions() {
        let set = labelled(&[100, 40, 10]);
        let split = stratified_split(&set, 0.2, &mut rng(1)).unwrap();
        assert_eq!(counts(&set, &split.test), [20, 8, 2]);
        assert_eq!(counts(&set, &split.train), [80, 32, 8]);
    }

    #[test]
    fn splits_are_drawn_by_the_generator() {
        let set = labelled(&[30, 30]);
        let draw = |seed| stratified_split(&set, 0.3, &mut rng(seed)).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let draw = |seed| random_split(60, 0.3, &mut rng(seed)).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn every_row_is_tested_equally_often() {
        let mut tested = [0u32; 10];
        let mut rng = rng(3);
        for _ in 0..2000 {
            for row in random_split(10, 0.3, &mut rng).unwrap().test {
                tested[row] += 1;
            }
        }
        // binomial(2000, 0.3): mean 600, deviation 20.5; 5 sigma
        assert!(tested.iter().all(|&t| t.abs_diff(600) < 103), "{tested:?}");
    }

    #[test]
    fn bad_arguments_are_refused() {
        for fraction in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(random_split(10, fraction, &mut rng(1)).is_err());
            assert!(stratified_split(&labelled(&[5, 5]), fraction, &mut rng(1)).is_err());
        }
        assert!(random_split(1, 0.5, &mut rng(1)).is_err());
        assert!(stratified_split(&labelled(&[1, 1, 1]), 0.5, &mut rng(1)).is_err());
        // one row per fold is the most
        assert_eq!(
            k_folds(&labelled(&[5, 5]), 10, &mut rng(1)).unwrap().len(),
            10
        );
        for k in [0, 1, 11] {
            assert!(k_folds(&labelled(&[5, 5]), k, &mut rng(1)).is_err());
        }
    }

    #[test]
    fn regression_splits_at_random() {
        let set = crate::data::linear_regression(50, &[1.0], 0.1, &Streams::new(1)).unwrap();
        let split = stratified_split(&set, 0.2, &mut rng(1)).unwrap();
        assert_eq!(split, random_split(50, 0.2, &mut rng(1)).unwrap());
        assert_eq!(k_folds(&set, 7, &mut rng(1)).unwrap().len(), 7);
    }

    proptest! {
        #[test]
        fn splits_are_partitions_of_the_promised_size(
            sizes in prop::collection::vec(1usize..30, 2..6), fraction in 0.01f64..0.99, seed in 0u64..50
        ) {
            let set = labelled(&sizes);
            let n = set.n();
            let wanted = ((n as f64 * fraction).round() as usize).clamp(1, n - 1);
            let split = random_split(n, fraction, &mut rng(seed)).unwrap();
            prop_assert!(is_partition(&split, n));
            prop_assert_eq!(split.test.len(), wanted);
            let room = n - sizes.len();
            prop_assume!(room > 0);
            let split = stratified_split(&set, fraction, &mut rng(seed)).unwrap();
            prop_assert!(is_partition(&split, n));
            prop_assert_eq!(split.test.len(), wanted.min(room));
            prop_assert!(counts(&set, &split.train).iter().all(|&c| c > 0));
        }

        #[test]
        fn folds_test_every_row_once_in_equal_shares(
            sizes in prop::collection::vec(1usize..30, 2..6), k in 2usize..9, seed in 0u64..50
        ) {
            let set = labelled(&sizes);
            prop_assume!(k <= set.n());
            let folds = k_folds(&set, k, &mut rng(seed)).unwrap();
            let mut tested: Vec<usize> = folds.iter().flat_map(|f| f.test.clone()).collect();
            tested.sort_unstable();
            prop_assert_eq!(tested, (0..set.n()).collect::<Vec<_>>());
            for fold in &folds {
                prop_assert!(is_partition(fold, set.n()));
                for (c, &count) in counts(&set, &fold.test).iter().enumerate() {
                    prop_assert!(count == sizes[c] / k || count == sizes[c].div_ceil(k));
                }
            }
        }
    }
}
