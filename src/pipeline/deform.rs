//! The deformation of a fit: the atlas, or the flow that predicts most like the walk.
//!
//! Several flows are fitted to the walk: exchangeable units, as they come from maximum likelihood and refined on the ELBO, and a Gaussian in
//! a frame (with couplings if these help held-out walkers), at its own width and narrower. Which one serves best depends on the network and the
//! data, and is measured: of those whose draws predict most like the walk (`agreement`), or nearly so, the one with the highest ELBO is kept.

use super::agreement::Agreement;
use super::fit::Problem;
use super::trust::{Trust, trust, weigh};
use super::{FlowChoice, Stage, Summary};
use crate::artifact::{Fitted, TrainingRows};
use crate::curvature::EvidenceReport;
use crate::deform::{
    Atlas, Deformation, ElboOptions, Frame, FrameOptions, HiddenFlow, LastLayer, TrainOptions,
    UnitTrainOptions, fit_units, recombine, refine, train_principal,
};
use crate::error::Result;
use crate::model::{Points, PosteriorDensity};
use crate::nn::unit_blocks;
use crate::scalar::Scalar;
use crate::walk::Walk;

/// Widths of the framed flow that are tried around the walk's mean, and around the MAP estimate.
const WIDTHS: [f64; 6] = [1.0, 0.7, 0.5, 0.35, 0.25, 0.15];
const MAP_WIDTHS: [f64; 3] = [0.35, 0.25, 0.1];

/// Proposals of a flow of units where a conditional is cheap: for a Gaussian likelihood.
const PROPOSALS: usize = 4;

/// Draws that a candidate is judged by, at most (where a conditional is cheap, and where it is not) and at least, and rows times parameters times draws in between.
const JUDGED: [f64; 2] = [512.0, 128.0];
const JUDGED_LEAST: f64 = 16.0;
const JUDGE_EFFORT: f64 = 4e9;

/// Candidates whose distance is at most so many times the least predict alike.
const ALIKE: f64 = 1.2;

/// Hidden parameters up to which a flow of units is learned: its memory is hundreds of times as much.
const UNITS: usize = 20_000;

/// Rows times parameters up to which the ELBO is worth its gradients, of which it takes thousands.
const REFINED: usize = 20_000_000;

/// Numbers that the directions of a frame may take: a flow's file is to be smaller than the walk's.
const FRAME_NUMBERS: usize = 1_500_000;

/// A flow that could be kept.
pub(super) struct Candidate<T> {
    pub what: String,
    pub deformation: Deformation<T>,
    pub distance: f64,
}

impl Problem<'_> {
    pub(super) fn atlas<T: Scalar>(
        &mut self,
        walked: &Walk<T>,
        evidence: &EvidenceReport<T>,
        summary: &mut Summary,
    ) -> Result<Fitted<T>> {
        let last = self.last_layer(evidence.prior_precision, evidence.noise_std)?;
        let (hidden, dim) = (self.network.hidden_params(), self.network.dim());
        let points = walked.points.chunks_exact(dim);
        let mut anchors: Vec<T> = points.flat_map(|p| &p[..hidden]).copied().collect();
        let mut count = walked.len();
        if self.options.recombine && hidden > 0 {
            let blocks = unit_blocks(self.network.layout(), hidden);
            anchors = recombine(&anchors, &blocks, count, self.streams)?;
        }
        if hidden == 0 {
            // the conditional is the same for all
            count = 1;
        }
        let atlas = Atlas::new(anchors, count, last)?;
        let agreement = self.agreement(walked, evidence)?;
        let samples = atlas.sample(walked.len(), self.streams)?;
        let distance = agreement.distance(&samples)?;
        let map = agreement.distance(&evidence.map.theta)?;
        summary.atlas(&atlas, self.options.recombine, distance, map);
        if self.options.frozen.is_some() {
            return self.freeze(|count| atlas.sample(count, self.streams), summary);
        }
        let rows = self.training_rows(summary);
        let atlas = Box::new(atlas);
        Ok(Fitted::Atlas { atlas, rows })
    }

    pub(super) fn flow<T: Scalar>(
        &mut self,
        posterior: &PosteriorDensity<T>,
        walked: &Walk<T>,
        evidence: &EvidenceReport<T>,
        summary: &mut Summary,
    ) -> Result<Fitted<T>> {
        let last = self.last_layer(evidence.prior_precision, evidence.noise_std)?;
        let deformation = if self.network.hidden_params() == 0 {
            summary.no_flow();
            Deformation::new(None, last)
        } else {
            let agreement = self.agreement(walked, evidence)?;
            let mut candidates = Vec::new();
            if self.options.flow != FlowChoice::Units {
                let map = &evidence.map.theta;
                candidates = self.framed(&last, (walked, map), &agreement, summary)?;
            }
            let large = self.network.hidden_params() > UNITS;
            let units = match self.options.flow {
                FlowChoice::Auto => !large,
                FlowChoice::Frame => false,
                FlowChoice::Units => true,
            };
            if units {
                candidates.extend(self.units(&last, posterior, walked, &agreement, summary)?);
            }
            let map = agreement.distance(&evidence.map.theta)?;
            let best = self.best(&candidates, posterior)?;
            summary.candidates(&candidates, best, map);
            let best = candidates.into_iter().nth(best);
            best.map_or_else(|| Deformation::new(None, last), |best| best.deformation)
        };
        let trusted: Trust = trust(&deformation, posterior, self.streams)?;
        summary.trust(&trusted, walked);
        if self.options.frozen.is_some() {
            return self.freeze(|count| deformation.sample(count, self.streams), summary);
        }
        let rows = self.training_rows(summary);
        let deformation = Box::new(deformation);
        Ok(Fitted::Flow { deformation, rows })
    }

    /// Of the candidates that predict about as much like the walk as any, the one with the highest ELBO: so many draws cannot tell their predictions apart, and a
    /// better density should not be given away for that.
    fn best<T: Scalar>(
        &self,
        candidates: &[Candidate<T>],
        posterior: &PosteriorDensity<T>,
    ) -> Result<usize> {
        let least = candidates.iter().map(|c| c.distance);
        let least = least.fold(f64::INFINITY, f64::min);
        // the nearest one, should no ELBO be a number
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

    /// Draws that a candidate is judged by.
    fn judged(&self) -> usize {
        let effort = (self.prepared.y.len() * self.network.dim()) as f64;
        let gaussian = self.prepared.target.is_some();
        let most = JUDGED[usize::from(!gaussian)];
        (JUDGE_EFFORT / effort).clamp(JUDGED_LEAST, most) as usize
    }

    fn agreement<T: Scalar>(
        &self,
        walked: &Walk<T>,
        evidence: &EvidenceReport<T>,
    ) -> Result<Agreement<'_>> {
        let (network, x) = (self.network, &self.prepared.x);
        Agreement::new(network, x, evidence.noise_std, &walked.points)
    }

    fn candidate<T: Scalar>(
        &self,
        what: String,
        deformation: Deformation<T>,
        agreement: &Agreement<'_>,
    ) -> Result<Candidate<T>> {
        let samples = deformation.sample(self.judged(), self.streams)?;
        Ok(Candidate {
            distance: agreement.distance(&samples)?,
            what,
            deformation,
        })
    }

    /// The Gaussian in a frame, at several widths.
    fn framed<T: Scalar>(
        &self,
        last: &LastLayer<T>,
        (walked, map): (&Walk<T>, &[T]),
        agreement: &Agreement<'_>,
        summary: &mut Summary,
    ) -> Result<Vec<Candidate<T>>> {
        let hidden = self.network.hidden_params();
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
        let (flow, report) = train_principal(walked, hidden, &options, self.streams, done)?;
        summary.framed(&report);
        let candidate = |(around, frame, width): (&str, &Frame<T>, &f64)| {
            let hidden = HiddenFlow::Framed(flow.in_frame(frame.scaled(*width)?)?);
            let deformation = Deformation::new(Some(hidden), last.clone());
            let what = format!("frame around {around} x {width}");
            self.candidate(what, deformation, agreement)
        };
        let mean = flow.frame();
        let of_map = mean.centred(map[..hidden].to_vec())?;
        let of_mean = WIDTHS.iter().map(|width| ("the mean", mean, width));
        let of_map = MAP_WIDTHS.iter().map(|width| ("the MAP", &of_map, width));
        of_mean.chain(of_map).map(candidate).collect()
    }

    /// Exchangeable units, and the same refined on the ELBO.
    fn units<T: Scalar>(
        &self,
        last: &LastLayer<T>,
        posterior: &PosteriorDensity<T>,
        walked: &Walk<T>,
        agreement: &Agreement<'_>,
        summary: &mut Summary,
    ) -> Result<Vec<Candidate<T>>> {
        let hidden = self.network.hidden_params();
        let blocks = unit_blocks(self.network.layout(), hidden);
        let options = UnitTrainOptions::default();
        let steps = options.training.steps;
        let done = |done| (self.progress)(Stage::Flow, done, steps);
        let odd = self.options.layers.is_none() && self.options.activation.is_odd();
        let (flow, report) = fit_units(walked, blocks, odd, &options, self.streams, done)?;
        summary.units(&report);
        let proposals = if last.is_gaussian() { PROPOSALS } else { 1 };
        let deformation = |flow| {
            let hidden = Some(HiddenFlow::Units(flow));
            Deformation::new(hidden, last.clone()).with_proposals(proposals)
        };
        let learned = deformation(flow.clone())?;
        let mut all = vec![self.candidate("units".into(), learned, agreement)?];
        let cost = self.prepared.y.len().saturating_mul(self.network.dim());
        if cost <= REFINED {
            let defaults = ElboOptions::default();
            // a conditional that is not Gaussian costs fifty times as much
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
                (last, posterior),
                &options,
                self.streams,
                |done| (self.progress)(Stage::Flow, done, total),
            )?;
            summary.refined(&report);
            let refined = deformation(flow.with_params(params)?)?;
            all.push(self.candidate("units + elbo".into(), refined, agreement)?);
        }
        Ok(all)
    }

    /// The rows that go into the file; nothing that comes after needs them.
    fn training_rows<T: Scalar>(&mut self, summary: &mut Summary) -> TrainingRows<T> {
        let (x, y) = (&mut self.prepared.x, &mut self.prepared.y);
        summary.carries_data(y.len());
        TrainingRows::new(&std::mem::take(x), std::mem::take(y))
    }

    /// Draws in the place of the sampler.
    fn freeze<T: Scalar>(
        &self,
        sample: impl Fn(usize) -> Result<Vec<T>>,
        summary: &mut Summary,
    ) -> Result<Fitted<T>> {
        let count = self.options.frozen.unwrap_or(self.options.samples);
        let samples = sample(count)?;
        summary.frozen(count);
        Ok(Fitted::Points(Points::new(self.network.dim(), samples)?))
    }
}
