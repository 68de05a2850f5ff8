//! Deep ensembles.

use super::{bits, for_any_threads, minibatch};
use crate::common::{labels, network, normals};
use crate::linear::Linear;
use fiberwalk::baselines::{EnsembleOptions, fit_ensemble, fit_ensemble_minibatch};
use fiberwalk::optim::{Decay, MapOptions, MinibatchOptions};
use fiberwalk::{
    Activation, Categorical, Error, IsotropicGaussian, Network, Phase, Posterior, PosteriorDensity,
    Streams, fit_map,
};
use rand::Rng;

#[test]
fn members_are_map_fits_from_their_own_starts_for_any_number_of_threads() {
    let (net, _) = network(&[3, 4, 2], Activation::Tanh, 1);
    let prior = IsotropicGaussian::new(0.5).unwrap();
    let (x, y) = (normals(20 * 3, 2), labels(20, 2, 3));
    let density = PosteriorDensity::<f64>::new(&net, &Categorical, &prior, &x, &y).unwrap();
    let options = EnsembleOptions {
        members: 3,
        map: MapOptions {
            steps: 60,
            ..MapOptions::default()
        },
        ..EnsembleOptions::default()
    };
    let streams = Streams::new(5);
    let fit = || fit_ensemble(&density, |rng| net.init(rng), &options, streams, |_| ()).unwrap();
    let points = for_any_threads(|| fit().posterior.values().to_vec());
    let report = fit();
    assert_eq!((report.posterior.count(), report.gradients), (3, 3 * 61));
    for (m, point) in points.chunks_exact(net.dim()).enumerate() {
        // the first word of the stream seeds the order of minibatches
        let mut rng = streams.rng(Phase::ENSEMBLE, m as u64);
        rng.next_u64();
        let alone = fit_map(&density, net.init(&mut rng), &options.map, |_| ()).unwrap();
        assert_eq!(bits(point), bits(&alone.theta), "member {m}");
        assert_eq!(report.members[m].energy, alone.energy);
    }
    let first = report.posterior.sample(1, streams).unwrap();
    assert_ne!(bits(&first), bits(&points[net.dim()..2 * net.dim()]));
}

#[test]
fn members_by_minibatches_reach_the_minimum_of_a_convex_energy_in_orders_of_their_own() {
    let linear = Linear::full_rank();
    let density = minibatch(&linear);
    let options = EnsembleOptions {
        members: 2,
        minibatch: MinibatchOptions {
            epochs: 400,
            batch_rows: 5,
            learning_rate: 0.03,
            schedule: Decay::Cosine.into(),
            ..EnsembleOptions::default().minibatch
        },
        ..EnsembleOptions::default()
    };
    // both from the same point: they differ only in the order of the rows
    let init = |_: &mut _| vec![0.5; linear.dim()];
    let report = fit_ensemble_minibatch(&density, init, &options, Streams::new(1), |_| ()).unwrap();
    let points = report.posterior.values();
    assert_ne!(points[0], points[linear.dim()]);
    for point in points.chunks_exact(linear.dim()) {
        for (a, b) in point.iter().zip(&linear.mean) {
            // the cosine ends with steps of 1e-7; the error that batches leave is a small share of
            // the posterior's deviation, about 0.1
            assert!((a - b).abs() < 5e-3, "{point:?} {:?}", linear.mean);
        }
    }
    // three batches per epoch
    assert_eq!(report.gradients, 2 * 400 * 3);
}

#[test]
fn what_cannot_be_an_ensemble_is_refused() {
    let linear = Linear::full_rank();
    let none = EnsembleOptions {
        members: 0,
        ..EnsembleOptions::default()
    };
    let fit = |p: usize, options: &EnsembleOptions| {
        fit_ensemble(
            &linear.posterior,
            |_| vec![0.0; p],
            options,
            Streams::new(0),
            |_| (),
        )
        .unwrap_err()
    };
    assert!(matches!(
        fit(linear.dim(), &none),
        Error::Config {
            field: "members",
            ..
        }
    ));
    let error = fit(linear.dim() + 1, &EnsembleOptions::default());
    assert!(matches!(
        error,
        Error::Shape {
            op: "fit_ensemble",
            ..
        }
    ));
}
