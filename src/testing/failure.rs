//! What a check found: which property fails, where, and by how much.

use std::fmt;

/// Why a part failed its check.
///
/// Its `Display` is one line. It is an error, so `?` in a property test of `proptest` turns it into
/// a failure of the property, which then shrinks: see [`crate::testing::property()`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Failure {
    /// The check, such as `check_layer`.
    pub check: &'static str,
    /// The property that fails, such as `jvp against finite differences along gain`.
    pub property: String,
    /// Where it fails, and by how much.
    pub cause: Box<Cause>,
    /// The seed that fails with a single case: the failure replays with `seed` set to this and
    /// `cases` set to 1.
    pub seed: u64,
}

/// Where a property fails, and by how much.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// A number that is not the expected one.
    Value {
        /// Where it is.
        place: Place,
        /// The part's number.
        got: f64,
        /// The number that it should be.
        expected: f64,
        /// Largest difference that rounding explains.
        tolerance: f64,
        /// How the tolerance comes about.
        arithmetic: &'static str,
    },
    /// Something that is not as it must be and is not a number: a shape, a name, a sign.
    Claim {
        /// What was found.
        got: String,
        /// What was expected.
        expected: String,
    },
    /// The part reported an error where it must work.
    Error {
        /// The error, as it is shown.
        error: String,
    },
    /// The part accepted what it must refuse.
    Accepted {
        /// What it accepted.
        input: String,
    },
    /// A statistic that a right part gives once in `1 / level` runs.
    Unlikely {
        /// The statistic.
        statistic: f64,
        /// Probability of one as large, if the part is right.
        p_value: f64,
        /// Probability below which the part is rejected.
        level: f64,
        /// What the statistic measures.
        arithmetic: &'static str,
    },
}

/// A place in a tensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The tensor, by its name in the layout, or a word such as `output`.
    pub tensor: String,
    /// The row of the batch, if rows are concerned.
    pub row: Option<usize>,
    /// The index in the tensor (without the row), outermost first. Empty for a scalar.
    pub index: Vec<usize>,
}

impl Place {
    /// A scalar by its name.
    pub(super) fn scalar(tensor: impl Into<String>) -> Self {
        Self {
            tensor: tensor.into(),
            ..Self::default()
        }
    }

    /// Entry `flat` of a tensor of the given shape, row-major.
    pub(super) fn entry(tensor: impl Into<String>, shape: &[usize], flat: usize) -> Self {
        Self {
            tensor: tensor.into(),
            row: None,
            index: unravel(shape, flat),
        }
    }

    /// Entry `flat` of a batch `[rows, shape...]`.
    pub(super) fn of_row(tensor: impl Into<String>, shape: &[usize], flat: usize) -> Self {
        let each: usize = shape.iter().product::<usize>().max(1);
        Self {
            row: Some(flat / each),
            ..Self::entry(tensor, shape, flat % each)
        }
    }
}

/// The index of element `flat` of a row-major tensor.
fn unravel(shape: &[usize], flat: usize) -> Vec<usize> {
    let mut rest = flat;
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&extent| {
            let at = rest % extent.max(1);
            rest /= extent.max(1);
            at
        })
        .collect();
    index.reverse();
    index
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tensor)?;
        if !self.index.is_empty() {
            write!(f, "{:?}", self.index)?;
        }
        match self.row {
            Some(row) => write!(f, " of row {row}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Value {
                place,
                got,
                expected,
                tolerance,
                arithmetic,
            } => {
                let off = (got - expected).abs();
                write!(
                    f,
                    "{place} is {got:.12e}, expected {expected:.12e}: off by {off:.3e}, \
                     tolerance {tolerance:.3e} ({arithmetic})"
                )
            }
            Cause::Claim { got, expected } => write!(f, "got {got}, expected {expected}"),
            Cause::Error { error } => write!(f, "error: {error}"),
            Cause::Accepted { input } => write!(f, "accepted {input}, which it must refuse"),
            Cause::Unlikely {
                statistic,
                p_value,
                level,
                arithmetic,
            } => write!(
                f,
                "statistic {statistic:.4e} has p = {p_value:.3e}, below {level:.3e} ({arithmetic})"
            ),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            check,
            property,
            cause,
            seed,
        } = self;
        write!(
            f,
            "{check}: {property}: {cause}; replay with seed {seed}, cases 1"
        )
    }
}

impl std::error::Error for Failure {}
