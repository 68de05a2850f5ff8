//! The flows that method `flow` chooses from: smoothed points (`smoothing`), a Gaussian in a frame,
//! and exchangeable units. By default points and units are tried, units only where the posterior is
//! broad enough for them.

use super::context::Problem;
use super::layers::{Candidate, Judge};
use super::material::Material;
use super::{FitReport, FlowChoice, Stage};
use crate::deform::{
    Deformation, ElboOptions, ElboReport, FlowReport, FrameOptions, FramedFlow, HiddenFlow,
    LastLayer, TrainOptions, UnitFlow, UnitTrainOptions, fit_units, refine, train_principal,
};
use crate::error::Result;
use crate::model::LogDensity;
use crate::scalar::Scalar;

/// Widths of the framed flow to try around the walk's mean.
const WIDTHS: [f64; 2] = [1.0, 0.7];

/// Proposals of a flow of units if its conditional is cheap: for a Gaussian likelihood.
const PROPOSALS: usize = 4;

/// Draws that judge a candidate: `JUDGE_EFFORT` over rows times parameters. They are at most 512 if
/// a conditional is cheap and 128 if it is not, and at least `JUDGED_LEAST`.
const JUDGED: [f64; 2] = [512.0, 128.0];
const JUDGED_LEAST: f64 = 16.0;
const JUDGE_EFFORT: f64 = 4e9;

/// Most hidden parameters for a flow of units, which needs memory for hundreds of times as many.
const UNITS: usize = 20_000;

/// Most rows times parameters for a refinement on the ELBO, which takes thousands of gradients.
const REFINED: usize = 20_000_000;

/// Most values in the directions of a frame: a flow's file must be smaller than the walk's.
const FRAME_NUMBERS: usize = 1_500_000;

/// The flows that are trained, and how.
struct Plan {
    framed: Option<TrainOptions>,
    units: Option<UnitTrainOptions>,
    /// The refinement of units.
    elbo: Option<ElboOptions>,
}

impl Plan {
    /// Steps of the trainings, in their order.
    fn steps(&self) -> [usize; 3] {
        let framed = self.framed.as_ref().map(|o| o.steps);
        let units = self.units.as_ref().map(|o| o.training.steps);
        let elbo = self.elbo.as_ref().map(|o| o.steps);
        [framed, units, elbo].map(|steps| steps.unwrap_or(0))
    }
}

impl Problem<'_> {
    /// Every flow that the settings allow, trained and compared with the walk.
    pub(super) fn flows<T: Scalar, D: LogDensity<T>>(
        &self,
        choice: FlowChoice,
        material: &Material<'_, T, D>,
        judge: &Judge<'_>,
        summary: &mut FitReport,
    ) -> Result<Vec<Candidate<T>>> {
        let plan = self.plan(choice, material);
        let [framed, units, elbo] = plan.steps();
        // a training that stops early leaves a gap
        let report = |before: usize| {
            move |done: usize| {
                let (done, total) = (before + done, framed + units + elbo);
                self.progress.step(Stage::Flow, done, total)
            }
        };
        let of = (material, judge);
        let mut all: Vec<Candidate<T>> = Vec::new();
        // points take no step of training
        report(0)(0)?;
        let mut broad = true;
        if choice.smooths() {
            let smoothings = self.smoothings(material, judge)?;
            broad = smoothings.broad;
            all.extend(smoothings.candidates);
        }
        if let Some(options) = &plan.framed {
            let (points, hidden) = (material.points, material.hidden);
            let (flow, trained) =
                train_principal(points, hidden, options, self.streams, report(0))?;
            summary.framed(&trained);
            all.extend(self.framed(&flow, of)?);
        }
        if let Some(options) = plan.units.as_ref().filter(|_| broad) {
            let (flow, trained) = self.units(material, options, report(framed))?;
            summary.units(&trained);
            let deformation = |flow| self.of_units(flow, &material.last);
            all.push(self.candidate("units".into(), deformation(flow.clone())?, of)?);
            if let Some(options) = &plan.elbo {
                let step = report(framed + units);
                let (params, refined) = self.refined(material, &flow, options, step)?;
                summary.refined(&refined);
                let refined = deformation(flow.with_params(params)?)?;
                all.push(self.candidate("units + elbo".into(), refined, of)?);
            }
        }
        Ok(all)
    }

    fn plan<T: Scalar, D: LogDensity<T>>(
        &self,
        choice: FlowChoice,
        material: &Material<'_, T, D>,
    ) -> Plan {
        let framed = choice == FlowChoice::Frame;
        let units = match choice {
            FlowChoice::Auto => material.hidden <= UNITS,
            FlowChoice::Points | FlowChoice::Frame | FlowChoice::Latent => false,
            FlowChoice::Units => true,
        };
        let defaults = TrainOptions::default();
        let directions = defaults.frame.directions;
        let directions = directions.min(material.points.len() / 4);
        let framed = framed.then(|| TrainOptions {
            frame: FrameOptions {
                directions: directions.min(FRAME_NUMBERS / material.hidden),
                ..defaults.frame
            },
            ..defaults
        });
        let cost = self.prepared.rows().saturating_mul(self.network.dim());
        // a conditional that is not Gaussian is fifty times as expensive
        let (steps, draws) = match material.last.is_gaussian() {
            true => (1_500, 16),
            false => (200, 8),
        };
        let elbo = (choice == FlowChoice::Units && cost <= REFINED).then(|| ElboOptions {
            steps,
            draws,
            ..ElboOptions::default()
        });
        Plan {
            framed,
            units: units.then(UnitTrainOptions::default),
            elbo,
        }
    }

    /// Number of draws that judge a candidate.
    pub(super) fn judged(&self) -> usize {
        let effort = (self.prepared.rows() * self.network.dim()) as f64;
        let gaussian = self.prepared.target.is_some();
        let most = JUDGED[usize::from(!gaussian)];
        (JUDGE_EFFORT / effort).clamp(JUDGED_LEAST, most) as usize
    }

    /// The Gaussian in a frame, with couplings if they help, at several widths.
    fn framed<T: Scalar, D: LogDensity<T>>(
        &self,
        flow: &FramedFlow<T>,
        (material, judge): (&Material<'_, T, D>, &Judge<'_>),
    ) -> Result<Vec<Candidate<T>>> {
        let each = WIDTHS.into_iter().map(|width| {
            let frame = flow.frame().scaled(width)?;
            let hidden = HiddenFlow::Framed(flow.in_frame(frame)?);
            let deformation = Deformation::new(Some(hidden), material.last.clone());
            self.candidate(format!("frame x {width}"), deformation, (material, judge))
        });
        each.collect()
    }

    /// Exchangeable units, by maximum likelihood.
    fn units<T: Scalar, D: LogDensity<T>>(
        &self,
        material: &Material<'_, T, D>,
        options: &UnitTrainOptions,
        step: impl FnMut(usize) -> Result<()>,
    ) -> Result<(UnitFlow<T>, FlowReport)> {
        let (points, blocks) = (material.points, material.blocks.clone());
        let odd = self.options.layers.is_none() && self.options.activation.is_odd();
        fit_units(points, blocks, odd, options, self.streams, step)
    }

    /// The parameters of units, refined on the ELBO.
    fn refined<T: Scalar, D: LogDensity<T>>(
        &self,
        material: &Material<'_, T, D>,
        flow: &UnitFlow<T>,
        options: &ElboOptions,
        step: impl FnMut(usize) -> Result<()>,
    ) -> Result<(Vec<T>, ElboReport)> {
        let (map, params) = (flow.bijection()?, flow.parts().3.to_vec());
        let of = (&material.last, material.density);
        refine(&map, flow.order(), params, of, options, self.streams, step)
    }

    fn of_units<T: Scalar>(
        &self,
        flow: UnitFlow<T>,
        last: &LastLayer<T>,
    ) -> Result<Deformation<T>> {
        let proposals = if last.is_gaussian() { PROPOSALS } else { 1 };
        Deformation::new(Some(HiddenFlow::Units(flow)), last.clone()).with_proposals(proposals)
    }
}
