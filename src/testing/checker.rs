//! Comparisons that turn a difference into a [`Failure`].

use approx::abs_diff_eq;

use super::failure::{Cause, Failure, Place};
use crate::diagnose::TestOutcome;
use crate::error::{Error, Result, counted};

/// The largest difference that rounding explains, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    pub bound: f64,
    pub arithmetic: &'static str,
}

/// One case of a check: it knows the check's name and the seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checker {
    pub check: &'static str,
    pub seed: u64,
}

impl Checker {
    pub fn fail(self, property: impl Into<String>, cause: Cause) -> Failure {
        Failure {
            check: self.check,
            property: property.into(),
            cause: Box::new(cause),
            seed: self.seed,
        }
    }

    /// `got` must be `expected` up to the tolerance. A NaN or an infinity never is.
    pub fn value(
        self,
        property: &str,
        place: impl FnOnce() -> Place,
        got: f64,
        expected: f64,
        tolerance: Tolerance,
    ) -> std::result::Result<(), Failure> {
        if abs_diff_eq!(got, expected, epsilon = tolerance.bound) {
            return Ok(());
        }
        let cause = Cause::Value {
            place: place(),
            got,
            expected,
            tolerance: tolerance.bound,
            arithmetic: tolerance.arithmetic,
        };
        Err(self.fail(property, cause))
    }

    /// All of `got` must be as `expected`, with one tolerance.
    pub fn values(
        self,
        property: &str,
        place: impl Fn(usize) -> Place,
        got: &[f64],
        expected: &[f64],
        tolerance: Tolerance,
    ) -> std::result::Result<(), Failure> {
        self.claim(
            property,
            got.len() == expected.len(),
            || counted(got.len(), "number").to_string(),
            || counted(expected.len(), "number").to_string(),
        )?;
        for (i, (&got, &expected)) in got.iter().zip(expected).enumerate() {
            self.value(property, || place(i), got, expected, tolerance)?;
        }
        Ok(())
    }

    /// All numbers must be finite.
    pub fn finite(
        self,
        property: &str,
        place: impl Fn(usize) -> Place,
        numbers: &[f64],
    ) -> std::result::Result<(), Failure> {
        match numbers.iter().position(|x| !x.is_finite()) {
            None => Ok(()),
            Some(i) => Err(self.fail(
                property,
                Cause::Claim {
                    got: format!("{} in {}", numbers[i], place(i)),
                    expected: "a finite number".into(),
                },
            )),
        }
    }

    pub fn claim(
        self,
        property: &str,
        holds: bool,
        got: impl FnOnce() -> String,
        expected: impl FnOnce() -> String,
    ) -> std::result::Result<(), Failure> {
        if holds {
            return Ok(());
        }
        let (got, expected) = (got(), expected());
        Err(self.fail(property, Cause::Claim { got, expected }))
    }

    pub fn shape(
        self,
        property: &str,
        got: &[usize],
        expected: &[usize],
    ) -> std::result::Result<(), Failure> {
        let (shown, wanted) = (|| format!("{got:?}"), || format!("{expected:?}"));
        self.claim(property, got == expected, shown, wanted)
    }

    /// The part must not report an error here.
    pub fn works<T>(self, property: &str, result: Result<T>) -> std::result::Result<T, Failure> {
        result.map_err(|error: Error| {
            let error = error.to_string();
            self.fail(property, Cause::Error { error })
        })
    }

    /// The part must report an error here.
    pub fn refuses<T>(
        self,
        property: &str,
        result: Result<T>,
        input: &str,
    ) -> std::result::Result<(), Failure> {
        match result {
            Err(_) => Ok(()),
            Ok(_) => Err(self.fail(
                property,
                Cause::Accepted {
                    input: input.into(),
                },
            )),
        }
    }

    /// A p-value below the level rejects.
    pub fn likely(
        self,
        property: &str,
        outcome: TestOutcome,
        level: f64,
        arithmetic: &'static str,
    ) -> std::result::Result<(), Failure> {
        if outcome.p_value >= level {
            return Ok(());
        }
        let cause = Cause::Unlikely {
            statistic: outcome.statistic,
            p_value: outcome.p_value,
            level,
            arithmetic,
        };
        Err(self.fail(property, cause))
    }
}
