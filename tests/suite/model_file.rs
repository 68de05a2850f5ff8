//! Model files that are damaged, foreign or malicious.
//!
//! Each gives an error that says what is wrong, and never a panic.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::data_file;
use crate::common::model_bytes::{sealed, with_json};
use fiberwalk::artifact::{Fitted, FittedModel, read_metadata};
use fiberwalk::pipeline::{FitOptions, FlowSettings, WalkSettings};
use fiberwalk::{Gaussian, IsotropicGaussian, LogDensity, PosteriorDensity, Streams};
use proptest::prelude::*;
use safetensors::SafeTensors;

/// A small model of the given method.
fn model_file(dir: &Path, method: &str) -> PathBuf {
    model_file_with(dir, &["--method", method])
}

/// A small model with these options of `fit`.
fn model_file_with(dir: &Path, options: &[&str]) -> PathBuf {
    let path = dir.join(options.join("_") + ".fw");
    let data = data_file("snelson1d.csv");
    let small = match options.contains(&"map") {
        true => "--hidden 6 --quiet",
        false => "--hidden 6 --steps 20 --particles 5 --samples 10 --quiet",
    };
    let status = Command::new(env!("CARGO_BIN_EXE_fiberwalk"))
        .args([Path::new("fit"), &data, Path::new("--out"), &path])
        .args(small.split(' ').chain(options.iter().copied()))
        .status()
        .unwrap();
    assert!(status.success());
    path
}

fn load(bytes: &[u8]) -> Result<FittedModel<f32>, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    FittedModel::load(file.path()).map_err(|e| e.to_string())
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    for method in ["map", "walk", "atlas", "flow"] {
        let path = model_file(dir.path(), method);
        let model = FittedModel::<f32>::load(&path).unwrap();
        assert_eq!(read_metadata(&path).unwrap(), model.metadata);
        let copy = dir.path().join("copy.fw");
        model.save(&copy).unwrap();
        assert!(
            fs::read(&path).unwrap() == fs::read(&copy).unwrap(),
            "{method}"
        );
        let samples = model.samples(7, Streams::new(1)).unwrap();
        assert_eq!(
            samples,
            FittedModel::<f32>::load(&copy)
                .unwrap()
                .samples(7, Streams::new(1))
                .unwrap()
        );
        let count = samples.len() / model.map.len();
        assert_eq!(count, if method == "map" { 1 } else { 7 });
        assert!(matches!(
            (&model.fitted, method),
            (Fitted::Map, "map")
                | (Fitted::Points(_), "walk")
                | (Fitted::Atlas { .. }, "atlas")
                | (Fitted::Flow { .. }, "flow")
        ));
        assert!(
            FittedModel::<f64>::load(&path)
                .err()
                .unwrap()
                .to_string()
                .contains("f32")
        );
    }
}

#[test]
fn a_walks_samples_are_spread_over_its_points() {
    let dir = tempfile::tempdir().unwrap();
    let model = FittedModel::<f32>::load(&model_file(dir.path(), "walk")).unwrap();
    let p = model.map.len();
    let Fitted::Points(points) = &model.fitted else {
        panic!("a walk")
    };
    let draws = model.draws(4, Streams::new(0)).unwrap();
    // in a point, the logarithms of its scales and of its noise follow its parameters
    let width = p + model.metadata.extras();
    let scales = model.metadata.scales.as_ref().unwrap().names.len();
    assert!(width > p + scales);
    // 10 points of 5 walkers: rows 0, 2, 5 and 7
    for (i, row) in [0, 2, 5, 7].into_iter().enumerate() {
        let point = &points.values()[row * width..(row + 1) * width];
        assert_eq!(draws.theta[i * p..(i + 1) * p], point[..p]);
        let logs = draws.scales[i * scales..(i + 1) * scales].iter();
        for (scale, log) in logs.chain([&draws.noise_std[i]]).zip(&point[p..]) {
            assert_eq!(*scale, f64::from(*log).exp());
        }
    }
    assert!(model.samples(usize::MAX, Streams::new(0)).is_err());
}

/// The last layer of a flow is conditioned with the model's prior precision and noise. Given the
/// hidden block, the log joint density under these and the flow's log density differ by a constant.
#[test]
fn a_flow_uses_the_scales_of_its_model() {
    let dir = tempfile::tempdir().unwrap();
    let scales = "--method flow --precision f64 --prior-precision 0.7 --noise-std 0.4";
    let path = model_file_with(dir.path(), &scales.split(' ').collect::<Vec<_>>());
    let model = FittedModel::<f64>::load(&path).unwrap();
    let Fitted::Flow { deformation, rows } = &model.fitted else {
        panic!("a flow")
    };
    let net = model.metadata.build_network().unwrap();
    let (likelihood, prior) = (
        Gaussian::new(0.4).unwrap(),
        IsotropicGaussian::new(0.7).unwrap(),
    );
    let posterior =
        PosteriorDensity::<f64>::new(net.as_ref(), &likelihood, &prior, &rows.features(), &rows.y)
            .unwrap();
    let mut ws = posterior.workspace();
    let mut theta = model.map.clone();
    let h = net.hidden_params();
    let mut difference = |shift: f64| {
        theta[h..]
            .iter_mut()
            .enumerate()
            .for_each(|(i, t)| *t += shift * (i as f64 + 0.5).sin());
        posterior.log_density(&theta, &mut ws).unwrap()
            - deformation.log_density(&theta).unwrap()[0]
    };
    let (a, b) = (difference(0.0), difference(0.3));
    assert!((a - b).abs() < 1e-7 * a.abs(), "{a} and {b}");
}

/// Step lengths and frame are in the file, and the energy is computed from its rows again: the
/// draws are the same to the bit. A file without layers has the version that it always had.
#[test]
fn a_flow_with_layers_draws_the_same_from_its_file() {
    let data = fiberwalk::data::banana(80, &Streams::new(1)).unwrap();
    let fit = |layers: usize| {
        let walk = WalkSettings {
            particles: Some(8),
            steps: Some(60),
            samples: 32,
            ..WalkSettings::default()
        };
        let options = FitOptions {
            method: FlowSettings {
                walk,
                layers: Some(layers),
                ..FlowSettings::default()
            }
            .into(),
            hidden: vec![6],
            prior_precision: Some(1.0),
            ..FitOptions::default()
        };
        fiberwalk::pipeline::fit::<f32>(&data, &options, &|_, _, _| ())
    };
    let draws = |m: &FittedModel<f32>| m.samples(9, Streams::new(4)).unwrap();
    let model = fit(5).unwrap().model;
    let bytes = model.to_bytes().unwrap();
    let loaded = FittedModel::<f32>::from_bytes(&bytes).unwrap();
    assert_eq!(draws(&model), draws(&loaded));
    assert_eq!(loaded.metadata.format_version, 7);
    let Fitted::Flow { deformation, .. } = &loaded.fitted else {
        panic!("a flow")
    };
    assert_eq!(deformation.layers().unwrap().kinetic().steps().len(), 5);
    let plain = fit(0).unwrap().model;
    assert_eq!(plain.metadata.format_version, 7);
    assert_ne!(draws(&plain), draws(&model));
    for (from, to) in [
        ("\"flow_layers\":5", "\"flow_layers\":6"),
        ("\"flow_layers\":5", "\"flow_layers\":99999999"),
        ("\"format_version\":7", "\"format_version\":1"),
    ] {
        let edited = with_json(&bytes, |json| {
            assert!(json.contains(from), "{from} is not in {json}");
            json.replacen(from, to, 1)
        });
        assert!(load(&edited).is_err(), "{to} was accepted");
    }
    // stored draws need no layers
    let mut frozen = loaded;
    frozen.freeze(9, 4).unwrap();
    assert_eq!(frozen.metadata.flow_layers, 0);
    let back = FittedModel::<f32>::from_bytes(&frozen.to_bytes().unwrap()).unwrap();
    assert_eq!(draws(&back), draws(&model));
}

#[test]
fn edited_metadata_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["--method", "flow", "--flow", "units", "--layers", "0"];
    let bytes = fs::read(model_file_with(dir.path(), &options)).unwrap();
    let cases = [
        ("\"format_version\":7", "\"format_version\":3", "version 3"),
        ("\"format_version\":7", "\"format_version\":8", "1 to 7"),
        ("\"sizes\":[1,6,1]", "\"sizes\":[1,7,1]", "19 numbers"),
        (
            "\"sizes\":[1,6,1]",
            "\"sizes\":[1,4000000000,4000000000,1]",
            "too many",
        ),
        ("\"sizes\":[1,6,1]", "\"sizes\":[]", "sizes"),
        ("\"sizes\":[1,6,1]", "\"sizes\":[1,6,3]", "outputs"),
        ("\"activation\":\"tanh\"", "\"activation\":\"what\"", "what"),
        ("\"method\":\"flow\"", "\"method\":\"walk\"", "samples"),
        ("\"method\":\"flow\"", "\"method\":\"mcmc\"", "mcmc"),
        (
            "\"flow_hidden\":[32]",
            "\"flow_hidden\":[9999999]",
            "parameters",
        ),
        ("\"flow_hidden\":[32]", "\"flow_hidden\":[0]", "sizes"),
        ("\"flow_proposals\":4", "\"flow_proposals\":0", "proposals"),
        (
            "\"flow_units\":[3,8]",
            "\"flow_units\":[9999,8]",
            "flow_units",
        ),
        (
            "\"flow_units\":[3,8]",
            "\"flow_units\":[2,8]",
            "flow.mixing",
        ),
        (
            "\"feature_names\":[\"x\"]",
            "\"feature_names\":[\"x\",\"z\"]",
            "2 feature names",
        ),
        ("\"precision\":\"f32\"", "\"precision\":\"f16\"", "f16"),
        ("\"noise_std\":", "\"noise_std\":-", "noise_std"),
        ("{", "[", "parse"),
    ];
    for (from, to, word) in cases {
        let edited = with_json(&bytes, |json| {
            assert!(json.contains(from), "{from} is not in {json}");
            json.replacen(from, to, 1)
        });
        let error = load(&edited)
            .err()
            .unwrap_or_else(|| panic!("{to} was accepted"));
        assert!(error.contains(word), "{to}: {error}");
    }
    let archive = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = archive.tensors();
    tensors.retain(|(name, _)| name != "checksum");
    let foreign = safetensors::serialize(tensors, None).unwrap();
    assert!(load(&foreign).err().unwrap().contains("another program"));
    assert!(load(b"PK\x03\x04 some zip file").is_err());
    assert!(load(b"").is_err());
}

#[test]
fn every_truncation_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for method in ["map", "walk", "atlas", "flow"] {
        let bytes = fs::read(model_file(dir.path(), method)).unwrap();
        for cut in (0..bytes.len()).step_by(bytes.len() / 97 + 1) {
            assert!(load(&bytes[..cut]).is_err(), "{method} cut at {cut}");
        }
        assert!(
            load(&[&bytes[..], b"x"].concat()).is_err(),
            "{method} with a byte too many"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the bytes, if the checksum is that of them: a model may come of it (a weight is a
    /// weight), but never a panic, in loading or in sampling.
    #[test]
    fn a_changed_byte_under_a_forged_checksum_never_panics(at in 0.0f64..1.0, bit in 0u8..8, header in any::<bool>()) {
        use std::sync::OnceLock;
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        let bytes = BYTES.get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            fs::read(model_file(dir.path(), "flow")).unwrap()
        });
        let mut damaged = bytes.clone();
        let end = if header { 3_000.min(bytes.len()) } else { bytes.len() };
        let position = (at * end as f64) as usize;
        damaged[position] ^= 1 << bit;
        if let Ok(model) = load(&sealed(damaged)) {
            let _ = model.samples(3, Streams::new(0));
        }
    }
}
