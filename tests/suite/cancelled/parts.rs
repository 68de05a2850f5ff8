//! Models of the user: the checkpoint of a cancelled fit knows their parts.

use super::{end_at, small_walk};
use crate::common::normals;
use fiberwalk::model::Model;
use fiberwalk::pipeline::{CheckpointOptions, FitOptions, PointsSettings, Stage, fit_model};
use fiberwalk::{Activation, Error, FanInGaussian, Gaussian, IsotropicGaussian, Mlp};

/// A model of one name with other parts is another model.
#[test]
fn a_checkpoint_knows_the_parts_of_a_users_model() {
    let network = |activation| Mlp::new(&[1, 4, 1], activation).unwrap();
    let plain = || network(Activation::Tanh);
    let prior = |alpha| IsotropicGaussian::new(alpha).unwrap();
    let noise = |std| Gaussian::new(std).unwrap();
    let mine = Model::with_head("mine", plain(), noise(0.3), prior(1.0));
    let x = normals(40, 3);
    let y: Vec<f64> = x.iter().map(|x| x.sin()).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoint");
    let plainly = FitOptions {
        method: small_walk().into(),
        ..FitOptions::default()
    };
    let kept = |resume| {
        let points = PointsSettings {
            walk: small_walk(),
            checkpoint: Some(CheckpointOptions {
                path: path.clone(),
                on_cancel: true,
                resume,
                ..CheckpointOptions::default()
            }),
            ..PointsSettings::default()
        };
        FitOptions {
            method: points.into(),
            ..FitOptions::default()
        }
    };
    let whole = fit_model::<f32>(&mine, &x, &y, &plainly, &());
    let whole = whole.unwrap().model.to_bytes().unwrap();
    let end = end_at(|stage, done, _| stage == Stage::Walk && done > 20);
    let ended = fit_model::<f32>(&mine, &x, &y, &kept(false), &end);
    assert!(matches!(
        ended,
        Err(Error::Cancelled {
            checkpoint: Some(_),
            ..
        })
    ));
    let others = [
        (
            Model::with_head("mine", plain(), noise(0.3), prior(1.1)),
            "prior",
        ),
        (
            Model::with_head(
                "mine",
                plain(),
                noise(0.3),
                FanInGaussian::new(1.0, 1.0).unwrap(),
            ),
            "prior",
        ),
        (
            Model::with_head("mine", plain(), noise(0.31), prior(1.0)),
            "network and likelihood",
        ),
        (
            Model::with_head("mine", network(Activation::Silu), noise(0.3), prior(1.0)),
            "network and likelihood",
        ),
        (
            Model::with_head(
                "mine",
                Mlp::new(&[1, 5, 1], Activation::Tanh).unwrap(),
                noise(0.3),
                prior(1.0),
            ),
            "parameters = ",
        ),
        (
            Model::with_head("other", plain(), noise(0.3), prior(1.0)),
            "likelihood = of model",
        ),
    ];
    for (other, named) in others {
        let error = fit_model::<f32>(&other, &x, &y, &kept(true), &())
            .err()
            .unwrap();
        let said = error.to_string();
        assert!(matches!(error, Error::Checkpoint { .. }), "{said}");
        let named = format!("a fit with {named}");
        assert!(said.contains(&named), "{said}");
    }
    let resumed = fit_model::<f32>(&mine, &x, &y, &kept(true), &()).unwrap();
    assert!(resumed.model.to_bytes().unwrap() == whole);
    // the stages of such a fit can be cancelled too
    let end = end_at(|stage, done, _| stage == Stage::Map && done == 3);
    let ended = fit_model::<f32>(&mine, &x, &y, &plainly, &end);
    assert!(matches!(
        ended,
        Err(Error::Cancelled {
            stage: "map",
            checkpoint: None
        })
    ));
}
