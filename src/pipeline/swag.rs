//! SWAG for a fit, with the learning rate that predicts best.
//!
//! The width of SWAG's Gaussian depends on its learning rate, not on the posterior. Its authors
//! choose the rate on held-out data, and so does a fit:
//!
//! - A fifth of the rows is held out, and an estimate is trained on the others.
//! - SWAG starts from that estimate with each rate of a ladder.
//! - The best rate is the one whose draws predict the held-out rows best, by mean log predictive
//!   density. It is used for all rows, or lowered tenfold until it is viable there.
//!
//! Nothing that is scored on the held-out rows was trained on them. The exceptions are the prior
//! precision, the noise level and the column scales, which come from the whole fit.
//!
//! The ladder begins at the paper's rate, 0.01. Descent may diverge at this rate if the noise is
//! small or the features are large. Then the ladder begins at the first of 0.001, 0.0001, ... that
//! is viable. It ends before the first rate that is not.

use super::context::Problem;
use super::densities::Densities;
use super::map::share;
use super::prepare::Prepared;
use super::progress::Steps;
use super::rates::{Tried, at_viable_rate, best_rate};
use super::{FitReport, Stage};
use crate::artifact::report::{Baseline, ChosenRate};
use crate::baselines::{SwagOptions, SwagReport, fit_swag};
use crate::curvature::EvidenceReport;
use crate::data::random_split;
use crate::error::{Error, Result};
use crate::metrics::ClassRows;
use crate::model::{LogDensity, Minibatch, Posterior};
use crate::optim::MinibatchProgress;
use crate::predict::{ClassPredictions, RegressionPredictions, network_outputs};
use crate::rng::Phase;
use crate::scalar::Scalar;
use crate::walk::viability_threshold;

/// Share of the rows that are held out to judge a rate.
const HELD_OUT: f64 = 0.2;

/// With fewer rows, a fifth of them says nothing; the first viable rate is used.
const LEAST_ROWS: usize = 20;

/// Draws that predict the held-out rows.
const DRAWS: usize = 64;

impl Problem<'_> {
    pub(super) fn swag<T: Scalar>(
        &self,
        samples: usize,
        evidence: &EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Vec<T>> {
        let rows = self.prepared.rows();
        let (first, chosen, choice) = match rows < LEAST_ROWS {
            true => (SwagOptions::default().learning_rate, None, 0.0),
            false => {
                let (best, gradients) = self.swag_rate(evidence)?;
                let (rate, nll) = (best.rate, best.score);
                (rate, Some(ChosenRate { rate, nll }), gradients)
            }
        };
        let map = &evidence.map;
        let data = self.minibatch(evidence.prior_precision, evidence.noise_std)?;
        let threshold = viability_threshold(map.energy, data.dim());
        let run = |rate| self.swag_at(&data, &map.theta, rate);
        let (report, rate, taken) = at_viable_rate(first, threshold, run)?;
        let batch_rows = SwagOptions::default().batch_rows;
        summary.baseline = Some(Baseline::Swag {
            rate,
            chosen,
            points: report.points,
            energy: report.energy,
            initial_energy: report.initial_energy,
            gradients: taken,
            batch_rows,
        });
        summary.method_gradients = Some(choice + taken as f64 * share(batch_rows, rows));
        report.posterior.sample(samples, self.streams)
    }

    /// Runs SWAG from an estimate with a given rate: report, energy, and gradients of batches.
    fn swag_at<T: Scalar>(
        &self,
        data: &Minibatch<T>,
        theta: &[T],
        learning_rate: f64,
    ) -> Result<(SwagReport<T>, f64, usize)> {
        let options = SwagOptions {
            learning_rate,
            ..SwagOptions::default()
        };
        // how many rates are tried is not known
        let steps = Steps::new(self.progress, Stage::Baseline, 0);
        let step = |_: &MinibatchProgress| steps.step();
        let report = fit_swag(data, theta.to_vec(), &options, self.streams, step)?;
        let (energy, gradients) = (report.energy, report.gradients);
        Ok((report, energy, gradients))
    }

    /// The rate that predicts held-out rows best, and the cost of the choice in full gradients.
    fn swag_rate<T: Scalar>(&self, evidence: &EvidenceReport<T>) -> Result<(Tried, f64)> {
        let rows = self.prepared.rows();
        let mut rng = self.streams.rng(Phase::SWAG, 1);
        let split = random_split(rows, HELD_OUT, &mut rng)?;
        let part = Problem {
            prepared: self.prepared.select(&split.train),
            densities: Densities::default(),
            ..*self
        };
        let posterior = part.posterior(evidence.prior_precision, evidence.noise_std)?;
        let estimates = part.other_estimates(&posterior, evidence, 2)?;
        let Some(map) = estimates.into_iter().next() else {
            return Err(Error::shape("swag", "an estimate of the training part", 0));
        };
        let held_out = self.prepared.select(&split.test);
        let score = |report: &SwagReport<T>| {
            let draws = report.posterior.sample(DRAWS, self.streams)?;
            self.mean_nll(&draws, &held_out, evidence.noise_std)
        };
        let defaults = SwagOptions::default();
        let data = part.minibatch(evidence.prior_precision, evidence.noise_std)?;
        let threshold = viability_threshold(map.energy, data.dim());
        let run = |rate| part.swag_at(&data, &map.theta, rate);
        let (report, first, mut taken) = at_viable_rate(defaults.learning_rate, threshold, run)?;
        let mut known = Some(score(&report)?);
        let (best, others) = best_rate(first, |rate| {
            if let Some(score) = known.take() {
                return Ok((Some(score), 0));
            }
            match run(rate) {
                // draws may fail to predict the rows, for example if a layer overflows;
                // that is no better than a diverging descent
                Ok((report, energy, gradients)) if energy <= threshold => {
                    Ok((score(&report).ok(), gradients))
                }
                Ok((.., gradients)) => Ok((None, gradients)),
                Err(Error::Diverged { gradients, .. }) => Ok((None, gradients)),
                Err(error) => Err(error),
            }
        })?;
        taken += others;
        let part_rows = split.train.len();
        let of_all = part_rows as f64 / rows as f64;
        let batches = taken as f64 * share(defaults.batch_rows, part_rows);
        let gradients = of_all * (batches + map.gradients as f64 * part.map_share());
        Ok((best, gradients))
    }

    /// Mean negative log predictive density of rows, with targets in standardised units.
    fn mean_nll<T: Scalar>(
        &self,
        draws: &[T],
        rows: &Prepared,
        noise_std: Option<f64>,
    ) -> Result<f64> {
        let classes = self.network.output_dim();
        let Some(noise_std) = noise_std else {
            let mut all = ClassPredictions::empty(classes);
            network_outputs(self.network, draws, &rows.x, |block| all.extend(block))?;
            let label = |row: usize| rows.target_of(row).0 as usize;
            let labels: Vec<usize> = (0..rows.rows()).map(label).collect();
            return Ok(ClassRows::new(&all.probabilities, classes, &labels)?.nll());
        };
        let (mut sum, mut done) = (0.0, 0);
        network_outputs(self.network, draws, &rows.x, |block| {
            let predictions = RegressionPredictions::new(block, noise_std, 0.0, 1.0)?;
            let y = (done..done + block.rows).map(|row| rows.target_of(row).0);
            let y: Vec<f64> = y.collect();
            sum -= predictions.log_densities(&y)?.iter().sum::<f64>();
            done += block.rows;
            Ok(())
        })?;
        Ok(sum / done.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Files;
    use crate::data::{Dataset, banana, regression_with_gap};
    use crate::model::{Categorical, Gaussian, IsotropicGaussian, PosteriorDensity};
    use crate::nn::{Activation, Mlp};
    use crate::optim::{MapOptions, MapReport, fit_map};
    use crate::pipeline::FitOptions;
    use crate::pipeline::prepare::prepare;
    use crate::rng::Streams;

    fn with_problem(data: Dataset, outputs: usize, check: impl FnOnce(&Problem<'_>)) {
        let network = Mlp::new(&[data.d(), 4, outputs], Activation::Tanh).unwrap();
        check(&Problem {
            files: &Files::default(),
            own: None,
            options: &FitOptions::default(),
            network: &network,
            prepared: prepare(data, &FitOptions::default()).unwrap(),
            streams: Streams::new(3),
            progress: &(),
            densities: Densities::default(),
        });
    }

    fn evidence(map: MapReport<f64>, noise_std: Option<f64>) -> EvidenceReport<f64> {
        EvidenceReport::given(map, 0.5, noise_std)
    }

    /// Computes the score of the chosen rate step by step: an estimate on four fifths of the rows,
    /// SWAG from there, and the mean predictive density of the last fifth.
    #[test]
    fn the_rate_is_judged_by_rows_that_trained_nothing() {
        let data = banana(60, &Streams::new(4)).unwrap();
        with_problem(data, 2, |problem| {
            let all = problem.posterior::<f64>(0.5, None).unwrap();
            let map = fit_map(&all, problem.initial(0), &MapOptions::default(), |_| ()).unwrap();
            let evidence = evidence(map, None);
            let (best, gradients) = problem.swag_rate(&evidence).unwrap();

            let mut rng = problem.streams.rng(Phase::SWAG, 1);
            let split = random_split(60, HELD_OUT, &mut rng).unwrap();
            let [train, test] =
                [&split.train, &split.test].map(|rows| problem.prepared.select(rows));
            assert_eq!([train.y.len(), test.y.len()], [48, 12]);
            let prior = IsotropicGaussian::new(0.5).unwrap();
            let (network, likelihood) = (problem.network, &Categorical);
            let part =
                PosteriorDensity::<f64>::new(network, likelihood, &prior, &train.x, &train.y)
                    .unwrap();
            let start = problem.initial(1);
            let map = fit_map(&part, start, &MapOptions::default(), |_| ()).unwrap();
            let rows = Minibatch::<f64>::new(network, likelihood, &prior, &train.x, &train.y);
            let rows = rows.unwrap();
            let score = |rate: f64| {
                let options = SwagOptions {
                    learning_rate: rate,
                    ..SwagOptions::default()
                };
                let report =
                    fit_swag(&rows, map.theta.clone(), &options, problem.streams, |_| ()).unwrap();
                let draws = report.posterior.sample(DRAWS, problem.streams).unwrap();
                let mut sum = 0.0;
                network_outputs(network, &draws, &test.x, |block| {
                    for row in 0..block.rows {
                        let logits = block.row(row).chunks_exact(2);
                        let class = test.y[row] as usize;
                        let p = logits.map(|o| 1.0 / (1.0 + (o[1 - class] - o[class]).exp()));
                        sum -= (p.sum::<f64>() / DRAWS as f64).ln();
                    }
                    Ok(())
                })
                .unwrap();
                sum / 12.0
            };
            assert!((best.score - score(best.rate)).abs() < 1e-9, "{best:?}");
            for rate in [0.01, 0.03, 0.1] {
                assert!(score(rate) >= best.score - 1e-12, "{best:?}");
            }
            // a batch is the whole training part, four fifths of the rows: epochs and steps are
            // gradients
            let batches = (gradients / 0.8 - map.gradients as f64) / 140.0;
            assert!(
                (batches - batches.round()).abs() < 1e-9 && batches > 2.5,
                "{batches}"
            );
        });
    }

    #[test]
    fn the_score_of_a_regression_is_that_of_its_mixture() {
        let data = regression_with_gap(40, 0.3, &Streams::new(4)).unwrap();
        with_problem(data, 1, |problem| {
            let noise = 0.3;
            let draws: Vec<f64> = [0, 1].map(|i| problem.initial::<f64>(i)).concat();
            let got = problem
                .mean_nll(&draws, &problem.prepared, Some(noise))
                .unwrap();
            let gaussian = Gaussian::new(noise).unwrap();
            let prior = IsotropicGaussian::new(1.0).unwrap();
            let mut sum = 0.0;
            for row in 0..40 {
                let one = problem.prepared.select(&[row]);
                let density = PosteriorDensity::<f64>::new(
                    problem.network,
                    &gaussian,
                    &prior,
                    &one.x,
                    &one.y,
                )
                .unwrap();
                let nll = |theta| {
                    density
                        .neg_log_likelihood(theta, &mut density.workspace())
                        .unwrap()
                };
                let likelihood = draws
                    .chunks_exact(density.dim())
                    .map(|theta| (-nll(theta)).exp());
                sum -= (0.5 * likelihood.sum::<f64>()).ln();
            }
            assert!((got - sum / 40.0).abs() < 1e-9, "{got} for {}", sum / 40.0);
        });
    }
}
