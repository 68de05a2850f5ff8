//! The deformation of a fit: the atlas, or the flow whose predictions are most like the walk's.
//!
//! Several flows are fitted to the walk. One has exchangeable units, both as fitted by maximum
//! likelihood and as refined on the ELBO. Another is a Gaussian in a frame, with couplings if these
//! help held-out walkers, at its fitted width and narrower. Which one serves best depends on
//! network and data, so it is measured. The candidates whose predictions are most like the walk's
//! (`agreement`), or nearly so, are compared, and the one with the highest ELBO is kept.

use super::agreement::Agreement;
use super::context::Problem;
use super::flows::Candidate;
use super::material::Material;
use super::options::Deforming;
use super::trust::{Trust, energies, trust, weigh};
use super::{AtlasSettings, FitReport, FlowSettings, Stage};
use crate::artifact::{Fitted, TrainingRows};
use crate::curvature::EvidenceReport;
use crate::deform::{Atlas, Deformation, LastLayer, recombine};
use crate::error::Result;
use crate::model::{HiddenFirst, LogDensity, Points, PosteriorDensity, ScaleGroups, ScaledHead};
use crate::nn::{LinearHead, unit_blocks};
use crate::scalar::Scalar;
use crate::walk::Walk;

/// Candidates predict alike if their distance is at most this multiple of the least distance.
const ALIKE: f64 = 1.2;

impl Problem<'_> {
    /// A deformation of a walk with given scales.
    pub(super) fn deform<T: Scalar>(
        &mut self,
        how: Deforming<'_>,
        posterior: &PosteriorDensity<T>,
        walked: &Walk<T>,
        evidence: &EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let hidden = self.network.hidden_params();
        let material = Material {
            points: walked.points_of()?,
            energies: &walked.energies,
            hidden,
            blocks: unit_blocks(self.network.layout(), hidden),
            last: self.last_layer(evidence.prior_precision, evidence.noise_std)?,
            density: posterior,
            map: Some(&evidence.map.theta),
            scaled: None,
            noise_std: evidence.noise_std,
        };
        self.deform_of(how, &material, summary)
    }

    /// A deformation of a walk whose points contain scales.
    pub(super) fn deform_scaled<T: Scalar>(
        &mut self,
        how: Deforming<'_>,
        groups: ScaleGroups,
        mut walked: Walk<T>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let network: &dyn LinearHead = self.network;
        let head = ScaledHead::new(network, groups);
        let own = self.own();
        walked.points = head.hidden_first(&walked.points, own)?;
        let density = self.density_of(&head, &head.prior())?;
        let density = HiddenFirst::new(density, head.hidden_params(), own)?;
        // in these coordinates the energy of the last layer differs
        walked.energies = energies(&density, &walked.points)?;
        let hidden = head.hidden_params() + own;
        // if the noise is sampled, its mean over the points is typical
        let noises = walked.points.chunks_exact(walked.dim);
        let noises = noises.map(|row| row[hidden - 1].to_f64().exp());
        let sampled = (own > 0).then(|| noises.sum::<f64>() / walked.len().max(1) as f64);
        let noise_std = self.options.noise_std.or(sampled);
        let observation = self.prepared.observation;
        let (x, y) = (&self.prepared.x, &self.prepared.y);
        let likelihood = self.likelihood(noise_std)?;
        let material = Material {
            points: walked.points_of()?,
            energies: &walked.energies,
            hidden,
            blocks: head.unit_blocks(own),
            last: LastLayer::new(&head, likelihood.as_ref(), 1.0, x, y)?
                .with_scales(head.head_scales(own > 0))?,
            density: &density,
            map: None,
            scaled: Some((&head, own)),
            noise_std: noise_std.filter(|_| observation.has_noise()),
        };
        self.deform_of(how, &material, summary)
    }

    fn deform_of<T: Scalar, D: LogDensity<T>>(
        &mut self,
        how: Deforming<'_>,
        material: &Material<'_, T, D>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        self.progress.go_on(Stage::Flow)?;
        match how {
            Deforming::Atlas(settings) => self.atlas(settings, material, summary),
            Deforming::Flow(settings) => self.flow(settings, material, summary),
        }
    }

    fn atlas<T: Scalar, D: LogDensity<T>>(
        &mut self,
        settings: &AtlasSettings,
        material: &Material<'_, T, D>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let (points, hidden) = (material.points, material.hidden);
        let rows = points.values().chunks_exact(points.dim());
        let mut anchors: Vec<T> = rows.flat_map(|p| &p[..hidden]).copied().collect();
        let mut count = points.len();
        if settings.recombine && hidden > 0 {
            anchors = recombine(&anchors, &material.blocks, count, self.streams)?;
        }
        if hidden == 0 {
            // the conditional is the same for all anchors
            count = 1;
        }
        let atlas = Atlas::new(anchors, count, material.last.clone())?;
        let agreement = self.agreement(material)?;
        let samples = atlas.sample(points.len(), self.streams)?;
        let samples = material.thetas(samples, self.network.dim())?;
        let distance = agreement.distance(&samples)?;
        let map = material
            .map
            .map(|map| agreement.distance(map))
            .transpose()?;
        summary.atlas(&atlas, settings.recombine, distance, map);
        if let Some(count) = settings.frozen {
            return self.freeze(count, material, |n| atlas.sample(n, self.streams), summary);
        }
        let rows = self.training_rows(summary);
        let atlas = Box::new(atlas);
        Ok(Fitted::Atlas { atlas, rows })
    }

    fn flow<T: Scalar, D: LogDensity<T>>(
        &mut self,
        settings: &FlowSettings,
        material: &Material<'_, T, D>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let last = &material.last;
        let deformation = if material.hidden == 0 {
            summary.no_flow();
            Deformation::new(None, last.clone())
        } else {
            let agreement = self.agreement(material)?;
            let candidates = self.flows(settings.flow, material, &agreement, summary)?;
            let map = material
                .map
                .map(|map| agreement.distance(map))
                .transpose()?;
            let best = self.best(&candidates, material.density)?;
            summary.candidates(&candidates, best, map);
            let best = candidates.into_iter().nth(best);
            best.map_or_else(
                || Deformation::new(None, last.clone()),
                |best| best.deformation,
            )
        };
        let of = (material.density, self.prepared.rows());
        let trusted: Trust = trust(&deformation, of, self.streams)?;
        summary.trust(&trusted, material.energies);
        if let Some(count) = settings.frozen {
            let sample = |n| deformation.sample(n, self.streams);
            return self.freeze(count, material, sample, summary);
        }
        let rows = self.training_rows(summary);
        let deformation = Box::new(deformation);
        Ok(Fitted::Flow { deformation, rows })
    }

    /// Chooses the candidate with the highest ELBO among those that predict about as much like the
    /// walk as the nearest. This few draws cannot tell their predictions apart, so the better
    /// density decides.
    fn best<T: Scalar, D: LogDensity<T>>(
        &self,
        candidates: &[Candidate<T>],
        posterior: &D,
    ) -> Result<usize> {
        let least = candidates.iter().map(|c| c.distance);
        let least = least.fold(f64::INFINITY, f64::min);
        // the nearest one, in case no ELBO is finite
        let nearest = candidates.iter().position(|c| c.distance == least);
        let (mut best, mut highest) = (nearest.unwrap_or(0), f64::NEG_INFINITY);
        for (i, candidate) in candidates.iter().enumerate() {
            if candidate.distance > ALIKE * least {
                continue;
            }
            self.progress.go_on(Stage::Flow)?;
            let draws = self.judged();
            let (weights, _) = weigh(&candidate.deformation, posterior, draws, self.streams)?;
            let elbo = weights.iter().sum::<f64>() / draws as f64;
            if elbo > highest {
                (best, highest) = (i, elbo);
            }
        }
        Ok(best)
    }

    fn agreement<T: Scalar, D: LogDensity<T>>(
        &self,
        material: &Material<'_, T, D>,
    ) -> Result<Agreement<'_>> {
        let (network, x) = (self.network, &self.prepared.x);
        let points = material.thetas(material.points.values().to_vec(), network.dim())?;
        Agreement::new(network, x, material.noise_std, &points)
    }

    /// The rows that go into the file; moved out, as no later stage needs them.
    fn training_rows<T: Scalar>(&mut self, summary: &mut FitReport) -> TrainingRows<T> {
        summary.carries_data(self.prepared.rows());
        let (x, y) = (&mut self.prepared.x, &mut self.prepared.y);
        TrainingRows::new(&std::mem::take(x), std::mem::take(y))
    }

    /// Stores `count` draws instead of the sampler.
    fn freeze<T: Scalar, D: LogDensity<T>>(
        &self,
        count: usize,
        material: &Material<'_, T, D>,
        sample: impl Fn(usize) -> Result<Vec<T>>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let samples = material.stored(sample(count)?)?;
        summary.frozen(count);
        Ok(Fitted::Points(Points::new(
            material.density.dim(),
            samples,
        )?))
    }
}
