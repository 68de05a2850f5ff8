//! Densities that a fit compiles once: later stages take copies, with other scales where needed.

use std::any::Any;
use std::sync::OnceLock;

use crate::error::Result;

/// The densities of a fit.
#[derive(Default)]
pub(super) struct Densities {
    /// Over the network's parameters, from all rows at once.
    pub plain: Once,
    /// The same on batches.
    pub batched: Once,
    /// Over the network's parameters and their scales.
    pub scaled: Once,
}

/// A value that is made at the first call. Its type depends on the fit's number type, which the
/// problem does not know.
#[derive(Default)]
pub(super) struct Once(OnceLock<Box<dyn Any + Send + Sync>>);

impl Once {
    /// A copy of the value. Threads that come first at the same time all make one.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get<D: Any + Clone + Send + Sync>(&self, make: impl FnOnce() -> Result<D>) -> Result<D> {
        let known = self.0.get().and_then(|any| any.downcast_ref::<D>());
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let made = make()?;
        self.0.get_or_init(|| Box::new(made.clone()));
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::artifact::Files;
    use crate::autodiff::Var;
    use crate::curvature::{
        EvidenceOptions, RowFisher, Supervised, dense_curvature, tune_by_evidence,
    };
    use crate::data::regression_with_gap;
    use crate::model::{Gaussian, IsotropicGaussian, LogDensity, PosteriorDensity};
    use crate::nn::{Activation, LinearHead, Mlp, Network, ParamLayout};
    use crate::optim::MapOptions;
    use crate::pipeline::context::Problem;
    use crate::pipeline::prepare::prepare;
    use crate::pipeline::{FitOptions, FitReport, Method, PriorChoice};
    use crate::rng::Streams;

    /// A network that counts its recordings: every program that holds it needs one.
    struct Counted {
        inner: Mlp,
        recorded: AtomicUsize,
    }

    impl Network for Counted {
        fn input_dim(&self) -> usize {
            self.inner.input_dim()
        }

        fn output_dim(&self) -> usize {
            self.inner.output_dim()
        }

        fn layout(&self) -> &ParamLayout {
            self.inner.layout()
        }

        fn forward<'g>(&self, theta: Var<'g>, x: Var<'g>) -> Var<'g> {
            self.recorded.fetch_add(1, Ordering::Relaxed);
            self.inner.forward(theta, x)
        }

        fn init(&self, rng: &mut dyn rand::Rng) -> Vec<f64> {
            self.inner.init(rng)
        }
    }

    impl LinearHead for Counted {
        fn hidden_params(&self) -> usize {
            self.inner.hidden_params()
        }

        fn features(&self) -> usize {
            self.inner.features()
        }

        fn feature_map<'g>(&self, theta_h: Var<'g>, x: Var<'g>) -> Var<'g> {
            self.inner.feature_map(theta_h, x)
        }
    }

    /// Runs a check on a regression of 30 rows. It gets the number of recordings so far.
    fn with_problem(prior: PriorChoice, check: impl FnOnce(&Problem<'_>, &dyn Fn() -> usize)) {
        let data = regression_with_gap(30, 0.3, &Streams::new(4)).unwrap();
        let network = Counted {
            inner: Mlp::new(&[data.d(), 5, 1], Activation::Tanh).unwrap(),
            recorded: AtomicUsize::new(0),
        };
        let options = FitOptions {
            prior,
            method: Method::Map.into(),
            ..FitOptions::default()
        };
        let problem = Problem {
            files: &Files::default(),
            own: None,
            options: &options,
            network: &network,
            prepared: prepare(data, &options).unwrap(),
            streams: Streams::new(3),
            progress: &(),
            densities: Densities::default(),
        };
        check(&problem, &|| network.recorded.load(Ordering::Relaxed));
    }

    /// Four starts of the noise, up to ten rounds each, the steps at the end, and the stages that
    /// follow: all run what one density and one matrix take to compile.
    #[test]
    fn a_fit_by_evidence_compiles_its_programs_once() {
        let mut once = 0;
        with_problem(PriorChoice::Evidence, |problem, recorded| {
            problem.posterior::<f64>(1.0, Some(0.7)).unwrap();
            problem.compiled_curvature::<f64>().unwrap();
            once = recorded();
        });
        assert!(once > 2);
        with_problem(PriorChoice::Evidence, |problem, recorded| {
            let report = problem.fit_map::<f64>(&mut FitReport::default()).unwrap();
            assert!(report.rounds > 1);
            let noise = report.noise_std;
            let posterior = problem.posterior::<f64>(report.prior_precision, noise);
            assert_eq!(recorded(), once);
            // of the scales that were found, not of those that were compiled
            let ws = &mut posterior.as_ref().unwrap().workspace();
            let value = posterior
                .unwrap()
                .log_density(&report.map.theta, ws)
                .unwrap();
            assert_eq!(-value, report.map.energy);
            problem.minibatch::<f64>(1.0, noise).unwrap();
            let with_batches = recorded();
            problem.minibatch::<f64>(2.0, noise).unwrap();
            assert_eq!(recorded(), with_batches);
            // another number type has programs of its own
            assert!(problem.posterior::<f32>(1.0, noise).is_ok());
            assert!(recorded() > with_batches);
        });
    }

    #[test]
    fn a_start_and_a_walk_with_sampled_scales_share_a_density() {
        with_problem(PriorChoice::Hierarchical, |problem, recorded| {
            problem.stand_in::<f32>(&mut FitReport::default()).unwrap();
            let after = recorded();
            let coordinates = problem.coordinates().unwrap();
            problem.scaled_density::<f32>(&coordinates.scaled).unwrap();
            assert_eq!((recorded(), after > 0), (after, true));
        });
    }

    /// Rounds on one density against rounds that build their own, bit for bit.
    #[test]
    fn rounds_give_the_same_bits_as_with_densities_of_their_own() {
        with_problem(PriorChoice::Evidence, |problem, _| {
            let (x, y) = (&problem.prepared.x[..], &problem.prepared.y[..]);
            let options = EvidenceOptions {
                noise_std: Some(1.0),
                tune_noise_std: true,
                rounds: 4,
                map: MapOptions {
                    steps: 400,
                    ..MapOptions::default()
                },
                ..EvidenceOptions::default()
            };
            let network = problem.network;
            let built = |alpha, noise: Option<f64>| {
                let likelihood = Gaussian::new(noise.unwrap())?;
                let prior = IsotropicGaussian::new(alpha)?;
                PosteriorDensity::<f32>::new(network, &likelihood, &prior, x, y)
            };
            let matrix = |noise: Option<f64>, theta: &[f32]| {
                let likelihood = &Gaussian::new(noise.unwrap())?;
                let data = Supervised {
                    network,
                    likelihood,
                    x,
                    y,
                };
                dense_curvature(&data, theta, 0..network.dim(), RowFisher::Ggn)
            };
            let first = problem.posterior::<f32>(0.2, Some(0.9)).unwrap();
            let shared = |alpha, noise| {
                let density = problem.posterior::<f32>(alpha, noise)?;
                assert!(density.shares_programs_with(&first));
                Ok(density)
            };
            let compiled = problem.compiled_curvature::<f32>().unwrap();
            let once = |noise: Option<f64>, theta: &[f32]| {
                compiled.at(&Gaussian::new(noise.unwrap())?, theta)
            };
            let start = || problem.initial::<f32>(0);
            let streams = problem.streams;
            for exact in [true, false] {
                let want = exact.then_some(&matrix as _);
                let want = tune_by_evidence(start(), built, want, &options, streams, |_| ());
                let got = exact.then_some(&once as _);
                let got = tune_by_evidence(start(), shared, got, &options, streams, |_| ());
                let (want, got) = (want.unwrap(), got.unwrap());
                assert_eq!(got.map.theta, want.map.theta);
                assert_eq!(got.prior_precision, want.prior_precision);
                assert_eq!(got.noise_std, want.noise_std);
                assert_eq!(got.log_evidence, want.log_evidence);
                assert_eq!(got.rounds, 4);
            }
        });
    }
}
