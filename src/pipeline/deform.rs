//! The deformation of a fit: the atlas, or the flow whose predictions are most like the walk's.
//!
//! Several flows are fitted to the walk. One has exchangeable units, both as fitted by maximum
//! likelihood and as refined on the ELBO. Another is a Gaussian in a frame, with couplings if these
//! help held-out walkers, at its fitted width and narrower. Which one serves best depends on
//! network and data, so it is measured. The candidates whose predictions are most like the walk's
//! (`agreement`), or nearly so, are compared, and the one with the highest ELBO is kept.

use super::agreement::Agreement;
use super::fit::Problem;
use super::material::Material;
use super::options::Deforming;
use super::trust::{Trust, energies, trust, weigh};
use super::{AtlasSettings, FitReport, FlowChoice, FlowSettings, Stage};
use crate::artifact::{Fitted, TrainingRows};
use crate::curvature::EvidenceReport;
use crate::deform::{
    Atlas, Deformation, ElboOptions, Frame, FrameOptions, HiddenFlow, LastLayer, TrainOptions,
    UnitTrainOptions, fit_units, recombine, refine, train_principal,
};
use crate::error::Result;
use crate::model::{HiddenFirst, LogDensity, Points, PosteriorDensity, ScaleGroups, ScaledHead};
use crate::nn::{LinearHead, unit_blocks};
use crate::scalar::Scalar;
use crate::walk::Walk;

/// Widths of the framed flow to try around the walk's mean, and around the MAP estimate.
const WIDTHS: [f64; 6] = [1.0, 0.7, 0.5, 0.35, 0.25, 0.15];
const MAP_WIDTHS: [f64; 3] = [0.35, 0.25, 0.1];

/// Proposals of a flow of units if its conditional is cheap: for a Gaussian likelihood.
const PROPOSALS: usize = 4;

/// Draws that judge a candidate: `JUDGE_EFFORT` over rows times parameters. They are at most 512 if
/// a conditional is cheap and 128 if it is not, and at least `JUDGED_LEAST`.
const JUDGED: [f64; 2] = [512.0, 128.0];
const JUDGED_LEAST: f64 = 16.0;
const JUDGE_EFFORT: f64 = 4e9;

/// Candidates predict alike if their distance is at most this multiple of the least distance.
const ALIKE: f64 = 1.2;

/// Most hidden parameters for a flow of units, which needs memory for hundreds of times as many.
const UNITS: usize = 20_000;

/// Most rows times parameters for a refinement on the ELBO, which takes thousands of gradients.
const REFINED: usize = 20_000_000;

/// Most values in the directions of a frame: a flow's file must be smaller than the walk's.
const FRAME_NUMBERS: usize = 1_500_000;

/// A flow that may be kept.
pub(super) struct Candidate<T> {
    pub what: String,
    pub deformation: Deformation<T>,
    pub distance: f64,
}

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
        let likelihood = self.head_likelihood(noise_std)?;
        let material = Material {
            points: walked.points_of()?,
            energies: &walked.energies,
            hidden,
            blocks: head.unit_blocks(own),
            last: LastLayer::new(&head, likelihood, 1.0, x, y)?
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
            let mut candidates = Vec::new();
            if settings.flow != FlowChoice::Units {
                candidates = self.framed(material, &agreement, summary)?;
            }
            let large = material.hidden > UNITS;
            let units = match settings.flow {
                FlowChoice::Auto => !large,
                FlowChoice::Frame => false,
                FlowChoice::Units => true,
            };
            if units {
                candidates.extend(self.units(material, &agreement, summary)?);
            }
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
            let draws = self.judged();
            let (weights, _) = weigh(&candidate.deformation, posterior, draws, self.streams)?;
            let elbo = weights.iter().sum::<f64>() / draws as f64;
            if elbo > highest {
                (best, highest) = (i, elbo);
            }
        }
        Ok(best)
    }

    /// Number of draws that judge a candidate.
    fn judged(&self) -> usize {
        let effort = (self.prepared.rows() * self.network.dim()) as f64;
        let gaussian = self.prepared.target.is_some();
        let most = JUDGED[usize::from(!gaussian)];
        (JUDGE_EFFORT / effort).clamp(JUDGED_LEAST, most) as usize
    }

    fn agreement<T: Scalar, D: LogDensity<T>>(
        &self,
        material: &Material<'_, T, D>,
    ) -> Result<Agreement<'_>> {
        let (network, x) = (self.network, &self.prepared.x);
        let points = material.thetas(material.points.values().to_vec(), network.dim())?;
        Agreement::new(network, x, material.noise_std, &points)
    }

    fn candidate<T: Scalar, D: LogDensity<T>>(
        &self,
        what: String,
        deformation: Deformation<T>,
        (material, agreement): (&Material<'_, T, D>, &Agreement<'_>),
    ) -> Result<Candidate<T>> {
        let samples = deformation.sample(self.judged(), self.streams)?;
        let samples = material.thetas(samples, self.network.dim())?;
        Ok(Candidate {
            distance: agreement.distance(&samples)?,
            what,
            deformation,
        })
    }

    /// The Gaussian in a frame, at several widths.
    fn framed<T: Scalar, D: LogDensity<T>>(
        &self,
        material: &Material<'_, T, D>,
        agreement: &Agreement<'_>,
        summary: &mut FitReport,
    ) -> Result<Vec<Candidate<T>>> {
        let (points, hidden) = (material.points, material.hidden);
        let defaults = TrainOptions::default();
        let directions = defaults.frame.directions.min(FRAME_NUMBERS / hidden);
        let options = TrainOptions {
            frame: FrameOptions {
                directions,
                ..defaults.frame
            },
            ..defaults
        };
        let done = |done| (self.progress)(Stage::Flow, done, options.steps);
        let (flow, report) = train_principal(points, hidden, &options, self.streams, done)?;
        summary.framed(&report);
        let candidate = |(around, frame, width): (&str, &Frame<T>, &f64)| {
            let hidden = HiddenFlow::Framed(flow.in_frame(frame.scaled(*width)?)?);
            let deformation = Deformation::new(Some(hidden), material.last.clone());
            let what = format!("frame around {around} x {width}");
            self.candidate(what, deformation, (material, agreement))
        };
        let mean = flow.frame();
        let of_map = material.map.map(|map| mean.centred(map[..hidden].to_vec()));
        let of_map = of_map.transpose()?;
        let of_mean = WIDTHS.iter().map(|width| ("the mean", mean, width));
        let of_map = of_map.iter().flat_map(|of_map| {
            let widths = MAP_WIDTHS.iter();
            widths.map(move |width| ("the MAP", of_map, width))
        });
        of_mean.chain(of_map).map(candidate).collect()
    }

    /// Exchangeable units, as trained and refined on the ELBO.
    fn units<T: Scalar, D: LogDensity<T>>(
        &self,
        material: &Material<'_, T, D>,
        agreement: &Agreement<'_>,
        summary: &mut FitReport,
    ) -> Result<Vec<Candidate<T>>> {
        let (last, points) = (&material.last, material.points);
        let blocks = material.blocks.clone();
        let options = UnitTrainOptions::default();
        let steps = options.training.steps;
        let done = |done| (self.progress)(Stage::Flow, done, steps);
        let odd = self.options.layers.is_none() && self.options.activation.is_odd();
        let (flow, report) = fit_units(points, blocks, odd, &options, self.streams, done)?;
        summary.units(&report);
        let proposals = if last.is_gaussian() { PROPOSALS } else { 1 };
        let deformation = |flow| {
            let hidden = Some(HiddenFlow::Units(flow));
            Deformation::new(hidden, last.clone()).with_proposals(proposals)
        };
        let learned = deformation(flow.clone())?;
        let mut all = vec![self.candidate("units".into(), learned, (material, agreement))?];
        let cost = self.prepared.rows().saturating_mul(self.network.dim());
        if cost <= REFINED {
            let defaults = ElboOptions::default();
            // a conditional that is not Gaussian is fifty times as expensive
            let options = ElboOptions {
                steps: if last.is_gaussian() { 1_500 } else { 200 },
                draws: if last.is_gaussian() { 16 } else { 8 },
                ..defaults
            };
            let (map, params) = (flow.bijection()?, flow.parts().3.to_vec());
            let total = options.steps;
            let (params, report) = refine(
                &map,
                flow.order(),
                params,
                (last, material.density),
                &options,
                self.streams,
                |done| (self.progress)(Stage::Flow, done, total),
            )?;
            summary.refined(&report);
            let refined = deformation(flow.with_params(params)?)?;
            all.push(self.candidate("units + elbo".into(), refined, (material, agreement))?);
        }
        Ok(all)
    }

    /// The rows that go into the file; moved out, as no later stage needs them.
    fn training_rows<T: Scalar>(&mut self, summary: &mut FitReport) -> TrainingRows<T> {
        let (x, y) = (&mut self.prepared.x, &mut self.prepared.y);
        summary.carries_data(y.len());
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
