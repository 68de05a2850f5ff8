//! Transforms of columns before they are standardised.

use std::fmt;
use std::str::FromStr;

use crate::data::{Dataset, Standardizer, TargetMap, Warp};
use crate::error::{Error, Result};

/// Transform of the features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeatureTransform {
    /// Nothing.
    #[default]
    None,
    /// A Yeo-Johnson map for columns with heavy tails.
    HeavyTails,
    /// A Yeo-Johnson map for every column that it makes more nearly normal.
    YeoJohnson,
}

/// Transform of a real target. Its slope is part of every density, so scores stay comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetTransform {
    /// Nothing.
    #[default]
    None,
    /// The logarithm, for positive targets.
    Log,
    /// A Yeo-Johnson map, if it makes the target more nearly normal.
    YeoJohnson,
}

impl FeatureTransform {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::HeavyTails, Self::YeoJohnson];

    /// The name that the command line uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::HeavyTails => "heavy-tails",
            Self::YeoJohnson => "yeo-johnson",
        }
    }
}

impl TargetTransform {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Log, Self::YeoJohnson];

    /// The name that the command line uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Log => "log",
            Self::YeoJohnson => "yeo-johnson",
        }
    }

    /// The map for targets `[n]`.
    ///
    /// # Errors
    /// Those of [`TargetMap::fit`].
    pub(super) fn map(self, targets: &[f64]) -> Result<TargetMap> {
        let warp = match self {
            Self::None => None,
            Self::Log => Some(Warp::Log),
            Self::YeoJohnson => Warp::yeo_johnson(targets, Warp::TARGETS),
        };
        TargetMap::fit(targets, warp)
    }
}

impl fmt::Display for FeatureTransform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for TargetTransform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for FeatureTransform {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|t| t.name() == name);
        found.ok_or_else(|| unknown("feature_transform", name, &Self::ALL.map(Self::name)))
    }
}

impl FromStr for TargetTransform {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|t| t.name() == name);
        found.ok_or_else(|| unknown("target_transform", name, &Self::ALL.map(Self::name)))
    }
}

fn unknown(field: &'static str, name: &str, names: &[&str]) -> Error {
    let requirement = format!("must be one of {}", names.join(", "));
    Error::config(field, name, &requirement)
}

/// How the features of a data set are standardised.
///
/// # Errors
/// Those of [`Standardizer::fit`], or a transform of pixels.
pub(super) fn feature_map(data: &Dataset, transform: FeatureTransform) -> Result<Standardizer> {
    let (values, d) = (data.features(), data.d());
    // all pixels of an image share one scale
    if data.image().is_some() {
        if transform != FeatureTransform::None {
            let requirement = "is for the columns of tables, and the features are pixels";
            return Err(Error::config("feature_transform", transform, requirement));
        }
        return Standardizer::fit_shared(values, d);
    }
    match transform {
        FeatureTransform::None => Standardizer::fit(values, d),
        FeatureTransform::HeavyTails => Standardizer::fit_warped(values, d, Warp::for_heavy_tails),
        FeatureTransform::YeoJohnson => {
            let choose = |column: &[f64]| Warp::yeo_johnson(column, Warp::FEATURES);
            Standardizer::fit_warped(values, d, choose)
        }
    }
}
