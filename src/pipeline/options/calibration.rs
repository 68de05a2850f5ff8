//! Rows held out to repair probabilities, and for conformal sets and intervals.

use std::fmt;
use std::str::FromStr;

use crate::artifact::ConformalScore;
use crate::calibrate::conformal::{Interval, SetScore};
use crate::error::{Error, Result};

/// What is done with rows that are held out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationSettings {
    /// Share of the rows that is held out, strictly between 0 and 1. The seed says which; of
    /// classes each gives its share.
    pub share: f64,
    /// The map of the predictions.
    pub map: CalibrationMap,
    /// Conformal sets or intervals. They take half of the held-out rows, or all if there is no map.
    pub conformal: Option<ConformalSettings>,
}

impl Default for CalibrationSettings {
    fn default() -> Self {
        Self {
            share: 0.2,
            map: CalibrationMap::Auto,
            conformal: None,
        }
    }
}

/// The map of the predictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CalibrationMap {
    /// A temperature for classes, a factor of the standard deviation for a real target; none for
    /// counts and for a target with a transform.
    #[default]
    Auto,
    /// None.
    None,
    /// [`Temperature`](crate::calibrate::Temperature).
    Temperature,
    /// [`VectorScaling`](crate::calibrate::VectorScaling).
    Vector,
    /// [`Isotonic`](crate::calibrate::Isotonic), for two classes.
    Isotonic,
    /// [`Spread`](crate::calibrate::Spread), for a real target.
    Spread,
}

impl CalibrationMap {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Auto,
        Self::None,
        Self::Temperature,
        Self::Vector,
        Self::Isotonic,
        Self::Spread,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::None => "none",
            Self::Temperature => "temperature",
            Self::Vector => "vector",
            Self::Isotonic => "isotonic",
            Self::Spread => "spread",
        }
    }
}

impl fmt::Display for CalibrationMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CalibrationMap {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|map| map.name() == text);
        found.ok_or_else(|| {
            let requirement = "must be one of auto, none, temperature, vector, isotonic, spread";
            Error::config("calibration", text, requirement)
        })
    }
}

/// Conformal sets or intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConformalSettings {
    /// The coverage that is promised, strictly between 0 and 1.
    pub level: f64,
    /// The score; `None`: `aps` for classes, `normalised` for a real target.
    pub score: Option<ConformalScore>,
    /// True for a threshold of its own for each class.
    pub class_conditional: bool,
    /// Holds no rows out, but fits once without each of so many folds (CV+). The model is the
    /// mixture of these fits.
    pub folds: Option<usize>,
}

impl ConformalSettings {
    /// With this level, and all else by default.
    pub fn of(level: f64) -> Self {
        Self {
            level,
            score: None,
            class_conditional: false,
            folds: None,
        }
    }
}

impl FromStr for ConformalScore {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [
            Self::Set(SetScore::Aps),
            Self::Set(SetScore::RAPS),
            Self::Interval(Interval::Absolute),
            Self::Interval(Interval::Normalised),
            Self::Interval(Interval::Cqr),
        ];
        let found = all.into_iter().find(|score| score.name() == text);
        found.ok_or_else(|| {
            let requirement = "must be one of aps, raps, absolute, normalised, cqr";
            Error::config("conformal_score", text, requirement)
        })
    }
}
