//! The options of rows that a fit holds out.

use clap::Args;
use fiberwalk::artifact::ConformalScore;
use fiberwalk::pipeline::{CalibrationMap, CalibrationSettings, ConformalSettings};
use fiberwalk::{Error, Result};

/// Rows that are held out, and what is done with them.
#[derive(Args)]
pub struct HeldOut {
    /// Hold out this share of the rows, and repair the stated probabilities by them (see
    /// docs/uncertainty.md)
    #[arg(
        long,
        value_name = "SHARE",
        allow_negative_numbers = true,
        help_heading = "Calibration"
    )]
    pub calibrate: Option<f64>,
    /// The map of the predictions: temperature, vector or isotonic (two classes) for classes;
    /// spread for a number; auto (temperature or spread) or none [default: auto; none without
    /// --calibrate]
    #[arg(long, value_name = "NAME", help_heading = "Calibration")]
    pub calibration: Option<CalibrationMap>,
    /// Conformal sets or intervals that hold the target with this probability, on rows like the
    /// held-out ones (a fifth of the rows, unless --calibrate says otherwise)
    #[arg(
        long,
        value_name = "P",
        allow_negative_numbers = true,
        help_heading = "Calibration"
    )]
    pub conformal: Option<f64>,
    /// aps or raps for classes; absolute, normalised or cqr for a number [default: aps or
    /// normalised]
    #[arg(
        long,
        value_name = "NAME",
        requires = "conformal",
        help_heading = "Calibration"
    )]
    pub conformal_score: Option<ConformalScore>,
    /// Hold no rows out: fit K times, without a fold each, and take the mixture as the model (CV+,
    /// for few rows)
    #[arg(
        long,
        value_name = "K",
        requires = "conformal",
        conflicts_with_all = [
            "calibrate",
            "calibration",
            "class_conditional",
            "resume",
            "checkpoint_every",
            "loo_refits",
        ],
        help_heading = "Calibration"
    )]
    pub conformal_folds: Option<usize>,
    /// Make the conformal promise for each class by itself
    #[arg(long, requires = "conformal", help_heading = "Calibration")]
    pub class_conditional: bool,
}

impl HeldOut {
    /// The settings, if rows are held out.
    pub fn settings(&self) -> Result<Option<CalibrationSettings>> {
        let conformal = self.conformal.map(|level| ConformalSettings {
            level,
            score: self.conformal_score,
            class_conditional: self.class_conditional,
            folds: self.conformal_folds,
        });
        let map = self.calibration;
        match (self.calibrate, map, conformal) {
            (None, Some(map), None) => {
                let requirement = "needs rows: say which share of them with --calibrate";
                Err(Error::config("--calibration", map, requirement))
            }
            (None, None, None) => Ok(None),
            (share, map, conformal) => Ok(Some(CalibrationSettings {
                share: share.unwrap_or(CalibrationSettings::default().share),
                map: map.unwrap_or(match share {
                    Some(_) => CalibrationMap::Auto,
                    None => CalibrationMap::None,
                }),
                conformal,
            })),
        }
    }
}
