//! Against laplace-torch on vehicle, 18-50-4 tanh, with its weights.
//!
//! The data are in `tests/data/laplace_torch`; docs/datasets.md has their origin.

use crate::common::standardised;
use fiberwalk::baselines::{Laplace, LaplaceOptions, Structure, TuneOptions};
use fiberwalk::curvature::{KfacBias, KfacOptions, KroneckerFactors, Supervised};
use fiberwalk::linalg::symmetric_eigen;
use fiberwalk::model::RowCurvature;
use fiberwalk::predict::{SoftmaxMean, class_probabilities};
use fiberwalk::{Activation, Categorical, IsotropicGaussian, Mlp, Network, Streams};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    let all = value.as_array().unwrap();
    all.iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Largest difference over the largest number.
fn distance(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let top = want.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let most = got.iter().zip(want).map(|(g, w)| (g - w).abs());
    most.fold(0.0, f64::max) / top
}

#[test]
fn curvatures_evidences_and_predictives_are_those_of_laplace_torch() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/laplace_torch/vehicle.json"
    );
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (x, y, d, k) = standardised("vehicle.csv");
    let net = Mlp::new(&[d, 50, k], Activation::Tanh).unwrap();
    let theta = numbers(&golden["theta"]);
    let data = Supervised {
        network: &net,
        likelihood: &Categorical,
        x: &x,
        y: &y,
    };

    let rows = RowCurvature::new(&net, &Categorical, &x, &y).unwrap();
    let diagonal = rows.ggn_diagonal(&theta).unwrap();
    let error = distance(&diagonal, &numbers(&golden["diag"]["diagonal"]));
    assert!(error < 1e-8, "diagonal: {error}");

    let separate = KfacOptions {
        bias: KfacBias::Separate,
        ..KfacOptions::default()
    };
    let factors = KroneckerFactors::new(&data, &theta, separate).unwrap();
    let theirs = golden["kron"]["eigenvalues"].as_array().unwrap();
    assert_eq!(factors.blocks().len(), theirs.len());
    for (block, theirs) in factors.blocks().iter().zip(theirs) {
        let [a, b] = block.orders();
        // theirs are [outputs, inputs], and [outputs] for a bias
        let ours = [(&block.output_factor, b), (&block.input_factor, a)];
        for ((factor, order), theirs) in ours.into_iter().zip(theirs.as_array().unwrap()) {
            let eigen = symmetric_eigen(factor, order).unwrap();
            let mut want = numbers(theirs);
            want.sort_by(f64::total_cmp);
            let error = distance(&eigen.values, &want);
            assert!(error < 1e-8, "eigenvalues of order {order}: {error}");
        }
    }

    for (name, structure) in [
        ("full", Structure::Full),
        ("diag", Structure::Diagonal),
        (
            "kron",
            Structure::Kfac {
                bias: KfacBias::Separate,
            },
        ),
    ] {
        let golden = &golden[name];
        let options = LaplaceOptions {
            structure,
            ..LaplaceOptions::default()
        };
        let prior = IsotropicGaussian::new(1.0).unwrap();
        let mut laplace = Laplace::fit(&data, &prior, &theta, &options, Streams::new(0)).unwrap();
        let outputs = laplace.linearised_all(&net, &x[..24 * d]).unwrap();
        let probit = class_probabilities(&outputs, SoftmaxMean::Probit).unwrap();
        for (got, key) in [
            (&outputs.means, "mean"),
            (&outputs.covariances, "variance"),
            (&probit, "probit"),
        ] {
            let error = distance(got, &numbers(&golden[key]));
            assert!(error < 1e-7, "{name} {key}: {error}");
        }
        let evidences = numbers(&golden["log_marginal_likelihood"]);
        for (alpha, want) in [0.1, 1.0, 10.0].into_iter().zip(evidences) {
            laplace
                .set_prior_precision(&vec![alpha; net.dim()])
                .unwrap();
            let got = laplace.log_evidence();
            assert!((got / want - 1.0).abs() < 1e-8, "{name}: {got} for {want}");
        }
        // theirs by 400 steps of Adam
        let report = laplace.tune_by_evidence(&TuneOptions::default()).unwrap();
        let precision = report.prior_precision[0].1;
        let want = golden["tuned_precision"].as_f64().unwrap();
        assert!(
            (precision / want - 1.0).abs() < 1e-4,
            "{name}: {precision} for {want}"
        );
        let want = golden["tuned_log_marginal_likelihood"].as_f64().unwrap();
        assert!((report.log_evidence / want - 1.0).abs() < 1e-8 && report.settled);
    }
}
