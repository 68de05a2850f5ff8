//! The deformation of a fit: the atlas, or the flow whose draws are most like the walk's points.
//!
//! A flow has a base (`flows`) and kinetic layers after it (`layers`). Which base and how many
//! layers serve best depends on network and data, so both are measured, and `choice` says which is
//! kept.

use super::agreement::Agreement;
use super::choice::{Judged, Rule};
use super::context::Problem;
use super::hierarchy::DIRECTIONS;
use super::layers::{Candidate, Judge, LayerPlan};
use super::material::Material;
use super::options::Deforming;
use super::trust::{CARRIED, Trust, energies, trust, weigh};
use super::{AtlasSettings, FitReport, FlowChoice, FlowSettings, Stage};
use crate::artifact::{Fitted, TrainingRows};
use crate::curvature::EvidenceReport;
use crate::deform::{Atlas, Deformation, LastLayer, recombine};
use crate::error::Result;
use crate::model::{HiddenFirst, LogDensity, Points, PosteriorDensity, ScaleGroups, ScaledHead};
use crate::nn::{LinearHead, unit_blocks};
use crate::scalar::Scalar;
use crate::walk::{FrameOptions, FrameSource, GgnFrame, InverseMassMatrix, Walk};

/// Gradients that the frame of kinetic layers may cost, as a share of the walk's.
const OF_FRAME: f64 = 1.0 / 50.0;

impl Problem<'_> {
    /// A deformation of a walk with given scales.
    pub(super) fn deform<T: Scalar>(
        &mut self,
        how: Deforming<'_>,
        posterior: &PosteriorDensity<T>,
        (walked, mass): (&Walk<T>, Option<InverseMassMatrix<T>>),
        evidence: &EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let hidden = self.network.hidden_params();
        let energy = HiddenFirst::new(posterior.clone(), hidden, 0)?;
        let mass = match mass {
            Some(mass) => mass,
            None => InverseMassMatrix::diagonal(&energy.prior_precision())?,
        };
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
            energy,
            mass,
            gradients: gradients(walked),
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
        let plain = self.density_of(&head, &head.prior())?;
        let density = HiddenFirst::new(plain.clone(), head.hidden_params(), own)?;
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
            mass: self.frame_of_layers(&plain, &density, &walked)?,
            energy: density.clone(),
            gradients: gradients(&walked),
        };
        self.deform_of(how, &material, summary)
    }

    /// Coordinates for kinetic layers where scales are sampled. Small noise makes the same
    /// directions stiff for all walkers; without noise the prior's scales serve.
    fn frame_of_layers<T: Scalar>(
        &self,
        plain: &PosteriorDensity<T>,
        density: &HiddenFirst<T>,
        walked: &Walk<T>,
    ) -> Result<InverseMassMatrix<T>> {
        let precision = density.prior_precision();
        if !self.prepared.observation.has_noise() {
            return InverseMassMatrix::diagonal(&precision);
        }
        let options = FrameOptions {
            max_directions: DIRECTIONS,
            ..FrameOptions::default()
        };
        let (each, walkers) = gradients(walked);
        let budget = (OF_FRAME * (each * walkers) as f64) as usize;
        let ends = walked.ends();
        let rows = ends.chunks_exact(walked.dim);
        let rows: Vec<Vec<T>> = rows.map(|row| density.inner_order(row)).collect();
        let rows: Vec<&[T]> = rows.iter().map(|row| &row[..]).collect();
        let frame = GgnFrame::new(plain, &options, self.streams)?;
        let found = frame.frame(&rows, Some(budget))?;
        let (basis, shrink) = found.parts();
        let basis = density.outer_order(basis);
        InverseMassMatrix::from_parts(&precision, basis, shrink.to_vec())
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
            Deforming::Flow(settings) if settings.flow == FlowChoice::Latent => {
                self.latent(settings, material, summary)
            }
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
            let affordable = || {
                let size = (self.prepared.rows() * self.network.dim()) as f64;
                let draws = self.judged().min(CARRIED);
                LayerPlan::affordable(material.gradients, size, draws)
            };
            let kernel = settings.walk.kernel.microcanonical();
            let samples = kernel.is_some_and(|kernel| kernel.walk_batch.is_none());
            let rule = Rule::new(material.points, material.energies);
            let (rule, plan) = match samples {
                true => (rule, affordable()),
                false => (rule.without_energy(), LayerPlan::UpTo(0)),
            };
            let judge = Judge {
                agreement: self.agreement(material)?,
                rule,
                plan: settings.layers.map_or(plan, LayerPlan::Given),
            };
            let candidates = self.flows(settings.flow, material, &judge, summary)?;
            let map = material.map;
            let map = map.map(|map| judge.agreement.distance(map)).transpose()?;
            let best = self.best(&candidates, &judge.rule, material.density)?;
            summary.candidates(&candidates, best, &judge.rule, map);
            let kept = best.and_then(|(map, at)| {
                let candidate = candidates.into_iter().nth(map)?;
                let layers = candidate.tried.get(at)?.layers;
                Some(candidate.with_layers(layers, material))
            });
            let only = || Ok(Deformation::new(None, last.clone()));
            kept.unwrap_or_else(only)?
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

    /// The candidate that is kept, and which of what was tried with it.
    fn best<T: Scalar, D: LogDensity<T>>(
        &self,
        candidates: &[Candidate<T>],
        rule: &Rule,
        posterior: &D,
    ) -> Result<Option<(usize, usize)>> {
        let tried: Vec<&[Judged]> = candidates.iter().map(|c| &c.tried[..]).collect();
        rule.best(&tried, |map| {
            self.progress.go_on(Stage::Flow)?;
            let (draws, map) = (self.judged(), &candidates[map].map);
            let (weights, ..) = weigh(map, posterior, draws, self.streams)?;
            Ok(weights.iter().sum::<f64>() / weights.len() as f64)
        })
    }

    pub(super) fn agreement<T: Scalar, D: LogDensity<T>>(
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
    pub(super) fn freeze<T: Scalar, D: LogDensity<T>>(
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

/// Gradients that a particle of the walk took, on average, and the number of particles.
fn gradients<T>(walked: &Walk<T>) -> (usize, usize) {
    let all = walked.tallies.iter().map(|t| t.gradients);
    let particles = walked.tallies.len();
    let each = all.fold(0, usize::saturating_add) / particles.max(1);
    (each, particles)
}
