//! One changed byte in a file that a fit wrote: it is refused.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::data_file;
use fiberwalk::artifact::{
    AnyModel, CheckpointReader, FittedModel, Predictions, Spool, metadata_from_bytes, read_metadata,
};
use fiberwalk::data::{CsvOptions, Dataset, load_csv};
use fiberwalk::error::Error;
use fiberwalk::pipeline::{
    CheckpointOptions, FitOptions, Method, MethodOptions, PointsSettings, WalkSettings, fit,
};
use safetensors::SafeTensors;

fn data() -> Dataset {
    load_csv(&data_file("snelson1d.csv"), &CsvOptions::default()).unwrap()
}

/// The bytes of a small model.
fn model(method: Method) -> Vec<u8> {
    let mut options = FitOptions::of(method);
    options.hidden = vec![2];
    if let Some(walk) = options.method.walk_mut() {
        (walk.steps, walk.particles, walk.samples) = (Some(20), Some(3), 6);
    }
    let fitted = fit::<f32>(&data(), &options, &()).unwrap();
    fitted.model.to_bytes().unwrap()
}

fn predicted(model: &AnyModel) -> Predictions {
    let predictor = model.predictor(4, 0).unwrap();
    predictor.rows(&[-1.0, 0.5, 2.0]).unwrap()
}

/// Every byte, every bit.
#[test]
fn a_model_file_with_a_flipped_bit_is_refused_in_one_line() {
    for method in [Method::Map, Method::Walk, Method::Atlas] {
        let bytes = model(method);
        AnyModel::from_bytes(&bytes).unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let said = match AnyModel::from_bytes(&damaged) {
                    Err(error @ Error::Artifact { .. }) => error.to_string(),
                    outcome => panic!("{method}, byte {at}, bit {bit}: {outcome:?}"),
                };
                assert!(!said.contains('\n'), "{said}");
                assert!(said.contains("it is damaged"), "{said}");
            }
        }
    }
}

#[test]
fn every_way_to_read_a_model_file_looks_at_its_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.fw");
    let mut bytes = model(Method::Walk);
    let middle = bytes.len() - 20;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let refused = |outcome: Result<(), Error>| {
        let said = outcome.unwrap_err().to_string();
        assert!(said.contains("it is damaged: its checksum"), "{said}");
    };
    refused(AnyModel::load(&path).map(drop));
    refused(AnyModel::from_bytes(&bytes).map(drop));
    refused(AnyModel::from_reader(&bytes[..]).map(drop));
    refused(FittedModel::<f32>::load(&path).map(drop));
    refused(FittedModel::<f32>::from_bytes(&bytes).map(drop));
    refused(FittedModel::<f32>::from_reader(&bytes[..]).map(drop));
    refused(read_metadata(&path).map(drop));
    refused(metadata_from_bytes(&bytes).map(drop));
}

#[test]
fn a_checksum_may_be_missing_in_old_files_only() {
    let bytes = model(Method::Walk);
    let want = predicted(&AnyModel::from_bytes(&bytes).unwrap());
    let archive = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut tensors = archive.tensors();
    tensors.retain(|(name, _)| name != "checksum");
    let as_version = |version: u32| {
        let mut entries = header.metadata().clone().unwrap();
        let json = entries.get_mut("fiberwalk").unwrap();
        let version = format!("\"format_version\":{version}");
        *json = json.replacen("\"format_version\":6", &version, 1);
        safetensors::serialize(tensors.clone(), Some(entries)).unwrap()
    };
    let said = AnyModel::from_bytes(&as_version(6)).unwrap_err();
    assert!(said.to_string().contains("its checksum is missing"));
    // as the versions before the checksum wrote it
    let old = AnyModel::from_bytes(&as_version(2)).unwrap();
    assert_eq!(predicted(&old), want);
    // saved again, it has one
    let again = old.to_bytes().unwrap();
    assert!(again == bytes);
}

/// A fit whose checkpoint and points are left in the directory.
fn options(dir: &Path) -> FitOptions {
    let walk = WalkSettings {
        particles: Some(3),
        samples: 90,
        steps: Some(60),
        ..WalkSettings::default()
    };
    let points = PointsSettings {
        walk,
        spool: Some(dir.join("points")),
        checkpoint: Some(CheckpointOptions {
            path: dir.join("checkpoint"),
            every: Some(Duration::ZERO),
            ..CheckpointOptions::default()
        }),
        ..PointsSettings::default()
    };
    FitOptions {
        hidden: vec![2],
        prior_precision: Some(1.0),
        noise_std: Some(0.5),
        method: points.into(),
        ..FitOptions::default()
    }
}

#[test]
fn a_checkpoint_or_a_file_of_points_with_a_flipped_bit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    let whole = fit::<f32>(&data(), &options, &()).and_then(|f| f.model.to_bytes());
    let whole = whole.unwrap();
    if let MethodOptions::Walk(points) = &mut options.method {
        let checkpoint = points.checkpoint.as_mut().unwrap();
        (checkpoint.resume, checkpoint.every) = (true, None);
    }
    let resumed = || fit::<f32>(&data(), &options, &()).and_then(|f| f.model.to_bytes());
    let damage = |path: &Path, at: usize, bit: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1 << bit;
        fs::write(path, bytes).unwrap();
    };

    let path = dir.path().join("checkpoint");
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        damage(&path, at, at % 8);
        let opened = CheckpointReader::<f32>::open(&path);
        let refused = matches!(&opened, Err(Error::Checkpoint { .. }));
        assert!(refused, "byte {at} of {}", bytes.len());
        fs::write(&path, &bytes).unwrap();
    }
    damage(&path, bytes.len() / 2, 0);
    assert!(matches!(resumed(), Err(Error::Checkpoint { .. })));
    fs::write(&path, &bytes).unwrap();

    // the points behind those of the checkpoint are computed anew
    let points = dir.path().join("points");
    let kept = fs::read(&points).unwrap();
    let step = kept.len() / 12;
    let mut accepted = Vec::new();
    for at in (0..kept.len()).step_by(step.max(1)) {
        damage(&points, at, at % 8);
        match resumed() {
            Ok(model) => {
                assert!(model == whole, "byte {at}");
                accepted.push(at);
            }
            Err(error) => assert!(matches!(error, Error::Checkpoint { .. }), "{error}"),
        }
        fs::write(&path, &bytes).unwrap();
        fs::write(&points, &kept).unwrap();
    }
    assert!(accepted.len() < 6, "accepted: {accepted:?}");
    // byte by byte, without a fit
    let of_two = dir.path().join("two");
    let mut spool = Spool::<f32>::create(&of_two, 2).unwrap();
    spool.append(&[1.0, 2.0, 3.0, 4.0]).unwrap();
    spool.sync().unwrap();
    let (count, sum) = (spool.count(), spool.checksum());
    drop(spool);
    let good = fs::read(&of_two).unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            damage(&of_two, at, bit);
            let opened = Spool::<f32>::resume(&of_two, 2, count, sum);
            assert!(matches!(opened, Err(Error::Checkpoint { .. })), "byte {at}");
            drop(opened);
            fs::write(&of_two, &good).unwrap();
        }
    }
}
