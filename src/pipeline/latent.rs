//! The latent model of `--flow latent`: draws of an autoencoder of the walk's points, to compare
//! with.
//!
//! They are judged twice: as they are decoded, and with the last layer computed from the decoded
//! hidden values. The nearer ones are stored. A latent model has no density over parameters, and so
//! no ELBO, no layers and no sampler in the file.

use super::context::Problem;
use super::material::Material;
use super::{FitReport, FlowSettings, Stage};
use crate::artifact::Fitted;
use crate::deform::{LastLayer, LatentOptions, fit_latent};
use crate::error::Result;
use crate::model::LogDensity;
use crate::parallel;
use crate::rng::{Phase, fill_normal};
use crate::scalar::Scalar;

impl Problem<'_> {
    pub(super) fn latent<T: Scalar, D: LogDensity<T>>(
        &self,
        settings: &FlowSettings,
        material: &Material<'_, T, D>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let options = LatentOptions::default();
        let step = |done| self.progress.step(Stage::Flow, done, options.steps);
        let (latent, report) = fit_latent(material.points, &options, self.streams, step)?;
        let agreement = self.agreement(material)?;
        let draws = |count: usize| latent.sample(count, self.streams);
        let redrawn = |count: usize| self.redrawn(draws(count)?, material.hidden, &material.last);
        let distance = |rows: Result<Vec<T>>| {
            let thetas = material.thetas(rows?, self.network.dim())?;
            agreement.distance(&thetas)
        };
        let count = self.judged();
        // a decoded point may have no last layer
        let computed = distance(redrawn(count)).unwrap_or(f64::INFINITY);
        let decoded = distance(draws(count)).unwrap_or(f64::INFINITY);
        let map = material.map.map(|map| agreement.distance(map));
        summary.latent(&report, [computed, decoded], map.transpose()?);
        let count = settings.drawn().unwrap_or(settings.walk.samples);
        match computed <= decoded {
            true => self.freeze(count, material, redrawn, summary),
            false => self.freeze(count, material, draws, summary),
        }
    }

    /// Rows with their last layer drawn anew from its conditional.
    fn redrawn<T: Scalar>(
        &self,
        mut rows: Vec<T>,
        hidden: usize,
        last: &LastLayer<T>,
    ) -> Result<Vec<T>> {
        let each = rows.chunks_exact_mut(hidden + last.dim());
        let workspace = || last.workspace();
        parallel::try_for_each_with(each, workspace, |ws, i, row: &mut [T]| {
            let (h, w) = row.split_at_mut(hidden);
            last.condition(h, ws)?;
            // stream i of this phase is that of the code
            let mut rng = self.streams.rng(Phase::SAMPLE, LAST + i as u64);
            fill_normal(&mut rng, w);
            ws.forward(w)
        })?;
        Ok(rows)
    }
}

/// First stream of the last layers.
const LAST: u64 = 1 << 40;
