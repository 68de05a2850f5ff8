//! A walk saved after any block and continued elsewhere equals the uninterrupted walk, bit for bit.
//!
//! The walk runs to its end and is saved after every block, kernel and particles. From each save a
//! fresh kernel and fresh particles (at the first start) are restored. They must save the same, and
//! go on to the same end.

use super::super::checker::Checker;
use super::super::failure::Failure;
use super::fields::SavedState;
use crate::error::Result as Outcome;
use crate::model::LogDensity;
use crate::rng::Streams;
use crate::scalar::Scalar;
use crate::walk::{Kernel, Observable, Run, Walk, WalkOptions};

/// Settings of [`check_continues`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContinueOptions {
    /// The seed of the walk.
    pub seed: u64,
    /// How many particles walk, and how far.
    pub walk: WalkOptions,
}

impl Default for ContinueOptions {
    /// Nine particles, 60 steps in blocks of 5.
    fn default() -> Self {
        Self {
            seed: 0,
            walk: WalkOptions {
                particles: 9,
                steps: Some(60),
                max_steps: 60,
                keep: 4,
                block: 5,
            },
        }
    }
}

/// Checks that a walk with the kernel that `make` makes can be stopped after any block.
///
/// # Errors
/// The first block after which the walk goes on in another way, and the first field that differs.
pub fn check_continues<T, D, K>(
    make: impl Fn() -> K,
    density: &D,
    starts: &[Vec<T>],
    observable: &dyn Observable<T>,
    options: &ContinueOptions,
) -> Result<(), Failure>
where
    T: Scalar,
    D: LogDensity<T>,
    K: Kernel<T, D>,
{
    let checker = Checker {
        check: "check_continues",
        seed: options.seed,
    };
    let fresh = || -> Outcome<Both<T, D, K>> {
        let kernel = make();
        let streams = Streams::new(options.seed);
        let run = Run::new(&kernel, density, starts, &options.walk, streams)?;
        Ok((run, kernel))
    };
    let mut both = checker.works("the start of a walk", fresh())?;
    let mut saved = vec![checker.works("saving", save::<T, D, K>(&mut both))?];
    while checker.works("a block", both.0.advance(&mut both.1, density, observable))? {
        saved.push(checker.works("saving", save::<T, D, K>(&mut both))?);
    }
    let Some(last) = saved.last() else {
        return Ok(());
    };
    let walk = both.0.finish();
    for (block, from) in saved.iter().enumerate() {
        let mut both = checker.works("the start of a walk", fresh())?;
        let mut reader = from.reader();
        let restored = both.1.fields(&mut reader);
        let restored = restored.and_then(|()| both.0.fields(&mut reader));
        checker.works(&format!("restoring block {block}"), restored)?;
        checker.claim(
            "restoring",
            reader.is_done(),
            || format!("less than was saved after block {block}"),
            || "all of it".into(),
        )?;
        let again = checker.works("saving", save::<T, D, K>(&mut both))?;
        same(
            checker,
            &format!("block {block}, restored and saved"),
            &again,
            from,
        )?;
        while checker.works("a block", both.0.advance(&mut both.1, density, observable))? {}
        let end = checker.works("saving", save::<T, D, K>(&mut both))?;
        same(
            checker,
            &format!("the walk continued from block {block}"),
            &end,
            last,
        )?;
        let property = format!("the points of the walk continued from block {block}");
        same_points(checker, &property, &both.0.finish(), &walk)?;
    }
    Ok(())
}

type Both<T, D, K> = (
    Run<T, <K as Kernel<T, D>>::State, <K as Kernel<T, D>>::Workspace>,
    K,
);

fn save<T: Scalar, D: LogDensity<T>, K: Kernel<T, D>>(
    (run, kernel): &mut Both<T, D, K>,
) -> Outcome<SavedState> {
    let mut state = SavedState::default();
    kernel.fields(&mut state)?;
    run.fields(&mut state)?;
    Ok(state)
}

fn same(
    checker: Checker,
    property: &str,
    got: &SavedState,
    expected: &SavedState,
) -> Result<(), Failure> {
    let difference = got.differs(expected);
    let shown = difference.clone();
    checker.claim(
        property,
        difference.is_none(),
        || shown.unwrap_or_default(),
        || "the same bits".into(),
    )
}

/// Points, energies and the whole text of the walk: the shortest decimals that read back.
fn same_points<T: Scalar>(
    checker: Checker,
    property: &str,
    got: &Walk<T>,
    expected: &Walk<T>,
) -> Result<(), Failure> {
    let numbers = |walk: &Walk<T>| -> Vec<u64> {
        let points = walk.points.iter().map(|x| x.to_f64().to_bits());
        points
            .chain(walk.energies.iter().map(|x| x.to_bits()))
            .collect()
    };
    let (a, b) = (numbers(got), numbers(expected));
    let entry = a.iter().zip(&b).position(|(a, b)| a != b);
    checker.claim(
        property,
        a == b && format!("{got:?}") == format!("{expected:?}"),
        || match entry {
            Some(i) => format!("a difference in number {i} of points and energies"),
            None => "another length, trace or tally".into(),
        },
        || "the same bits".into(),
    )
}
