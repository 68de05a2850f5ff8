//! Networks for images through the whole pipeline, from IDX files to predictions.

mod edited;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::common::model_bytes::with_json;
use crate::common::program::{csv_rows, ok, refused, scores, text};
use crate::common::{Bars, short};
use fiberwalk::Streams;
use fiberwalk::artifact::{Fitted, FittedModel, NetworkSpec, Scores};
use fiberwalk::data::{Dataset, IdxOptions, Task, load_idx};
use fiberwalk::pipeline::{FitOptions, Method, fit};
use flate2::Compression;
use flate2::write::GzEncoder;
use safetensors::SafeTensors;

/// Windows of three by three can see a bar; 20 + 38 parameters.
const CONV: &str = "conv:2x3,tanh,avgpool:2";

fn zip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A pair of files named as in MNIST, the images in gzip and the labels plain.
fn write_pair(dir: &Path, name: &str, bars: &Bars) -> (PathBuf, PathBuf) {
    let images = dir.join(format!("{name}-images-idx3-ubyte"));
    let labels = dir.join(format!("{name}-labels-idx1-ubyte"));
    fs::write(&images, zip(&bars.images())).unwrap();
    fs::write(&labels, bars.label_file()).unwrap();
    (images, labels)
}

fn load(count: usize, seed: u64) -> Dataset {
    let dir = tempfile::tempdir().unwrap();
    let (images, labels) = write_pair(dir.path(), "a", &Bars::new(count, seed));
    load_idx(&images, &labels, &IdxOptions::default()).unwrap()
}

fn options(method: Method) -> FitOptions {
    FitOptions {
        layers: Some(CONV.parse().unwrap()),
        prior_precision: Some(0.5),
        method: short(method, 10, 60, 20),
        ..FitOptions::default()
    }
}

/// Methods that do not take thousands of steps besides the estimate.
const QUICK: [Method; 9] = [
    Method::Map,
    Method::Ensemble,
    Method::LaplaceGlm,
    Method::LaplaceKfac,
    Method::LaplaceLast,
    Method::Swag,
    Method::Walk,
    Method::Atlas,
    Method::Flow,
];

#[test]
fn every_method_takes_a_network_of_convolutions() {
    let (train, test) = (load(60, 1), load(200, 2));
    assert_eq!(train.task(), Task::Classification { classes: 2 });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.fw");
    for method in QUICK {
        let fitted = fit::<f32>(&train, &options(method), &|_, _, _| ()).unwrap();
        let summary = fitted.report.to_string();
        assert!(
            summary.contains("60 images of 1x8x8, 2 classes"),
            "{summary}"
        );
        let network = "conv:2x3,tanh,avgpool:2,linear:2, 58 parameters";
        assert!(summary.contains(network), "{summary}");
        let model = fitted.model;
        assert_eq!(model.map.len(), 58);
        model.save(&path).unwrap();
        let loaded = FittedModel::<f32>::load(&path).unwrap();
        assert_eq!(loaded.metadata, model.metadata);
        assert_eq!(loaded.metadata.image, Some([1, 8, 8]));
        let layers = CONV.to_string();
        let want = NetworkSpec::Layers { layers, outputs: 2 };
        assert_eq!(loaded.metadata.network, want);
        let score = |m: &FittedModel<f32>| m.evaluate(&test, 9, Streams::new(5)).unwrap();
        assert_eq!(score(&model), score(&loaded), "{method}");
        let Scores::Classification(scores) = score(&model) else {
            panic!("a classification")
        };
        assert!(scores.accuracy > 0.95, "{method}: {scores:?}");
        match (&loaded.fitted, method) {
            (Fitted::Map, Method::Map) => {}
            (Fitted::Points(points), Method::Ensemble) => assert_eq!(points.count(), 10),
            (Fitted::Points(points), _) => assert_eq!(points.values().len(), 20 * 58),
            (Fitted::Atlas { atlas, .. }, Method::Atlas) => assert_eq!(atlas.len(), 20),
            (Fitted::Flow { deformation, .. }, Method::Flow) => {
                // everything except the last layer
                assert_eq!(deformation.hidden().unwrap().dim(), 20);
            }
            _ => panic!("{method} left something else"),
        }
    }
}

#[test]
fn all_pixels_share_one_mean_and_scale() {
    let train = load(40, 3);
    let by_evidence = FitOptions {
        prior_precision: None,
        ..options(Method::Map)
    };
    let model = fit::<f64>(&train, &by_evidence, &|_, _, _| ()).unwrap();
    let meta = model.model.metadata;
    let n = train.features().len() as f64;
    let mean = train.features().iter().sum::<f64>() / n;
    let squares: f64 = train.features().iter().map(|x| (x - mean).powi(2)).sum();
    assert_eq!(meta.feature_mean.len(), 64);
    for (m, s) in meta.feature_mean.iter().zip(&meta.feature_scale) {
        assert!((m - mean).abs() < 1e-10 && (s - (squares / n).sqrt()).abs() < 1e-10);
    }
}

#[test]
fn a_regression_on_images_learns_how_bright_they_are() {
    let bars = Bars::new(80, 4);
    let scaled = |(i, p): (usize, &u8)| f64::from(*p) * (0.5 + (i / 64 % 7) as f64);
    let pixels: Vec<f64> = bars.pixels.iter().enumerate().map(scaled).collect();
    let targets = pixels.chunks_exact(64).map(|p| p.iter().sum()).collect();
    let names = (0..64).map(|j| format!("p{j}")).collect();
    let data = Dataset::new(pixels, targets, names, "light", Task::Regression)
        .unwrap()
        .with_image([1, 8, 8])
        .unwrap();
    for method in QUICK {
        let model = fit::<f32>(&data, &options(method), &|_, _, _| ())
            .unwrap()
            .model;
        let Scores::Regression(scores) = model.evaluate(&data, 9, Streams::new(1)).unwrap() else {
            panic!("a regression")
        };
        // the sums of light have a standard deviation of about 9,000
        assert!(scores.rmse < 1_500.0, "{method}: {scores:?}");
    }
}

/// A table and the same images give the same model bit for bit, and each model predicts the same
/// from either.
#[test]
fn images_and_their_table_are_the_same_data() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let bars = Bars::new(40, 5);
    let (images, labels) = write_pair(dir.path(), "train", &bars);
    let pair = format!("{},{}", text(&images), text(&labels));
    let (table, some) = (file("train.csv"), file("some.csv"));
    fs::write(&table, bars.csv()).unwrap();
    let lines: Vec<String> = bars.csv().lines().take(31).map(str::to_string).collect();
    fs::write(&some, lines.join("\n")).unwrap();
    let small = "--prior-precision 0.5 --steps 20 --particles 5 --samples 10 --quiet";
    for network in ["--conv conv:2x3,tanh,avgpool:2", "--hidden 5"] {
        let train = |input: &str, more: &str| {
            let out = file("m.fw");
            let args = format!("{network} {small} {more}");
            let args: Vec<&str> = args.split_whitespace().collect();
            ok(&[&["fit", input, "--out", text(&out)], &args[..]].concat());
            fs::read(out).unwrap()
        };
        let model = train(&pair, "");
        // labels found by the file's name; and images as a table
        assert!(train(text(&images), "") == model, "{network}");
        assert!(train(text(&table), "--image 1x8x8") == model, "{network}");
        for threads in ["1", "8"] {
            let threads = format!("--threads {threads}");
            assert!(train(&pair, &threads) == model, "{network} {threads}");
        }
        // the first rows are those of a shorter file
        let few = train(&pair, "--rows 30");
        assert!(few != model);
        assert!(train(text(&some), "--image 8x8") == few, "{network}");
        assert!(train(text(&table), "--image 8x8 --rows 30") == few);
        if network.starts_with("--hidden") {
            // a table not declared as images is standardised column by column
            assert!(train(text(&table), "") != model);
        }
    }
}

#[test]
fn the_program_predicts_and_scores_images() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let (train, _) = write_pair(dir.path(), "train", &Bars::new(60, 1));
    let bars = Bars::new(50, 2);
    let (test, labels) = write_pair(dir.path(), "t10k", &bars);
    let table = file("test.csv");
    fs::write(&table, bars.csv()).unwrap();
    let model = file("m.fw");
    let summary = ok(&[
        "fit",
        text(&train),
        "--conv",
        " conv:2x3s1 , tanh,avgpool:2",
        "--out",
        text(&model),
        "--method",
        "walk",
        "--steps",
        "60",
    ]);
    assert!(summary.contains("60 images of 1x8x8"), "{summary}");
    let of_images = scores(&model, &test);
    assert_eq!(of_images["n"], 50);
    assert!(
        of_images["accuracy"].as_f64().unwrap() > 0.95,
        "{of_images}"
    );
    assert_eq!(scores(&model, &table), of_images);
    let few = ok(&["evaluate", text(&model), text(&test), "--rows", "7"]);
    assert!(few.starts_with("n                  7\n"), "{few}");
    let few = ok(&["evaluate", text(&model), text(&table), "--rows", "7"]);
    assert!(few.starts_with("n                  7\n"), "{few}");

    let predict = |input: &str, more: &[&str]| {
        let out = file("p.csv");
        let args = ["predict", text(&model), input, "--out", text(&out)];
        ok(&[&args[..], more].concat());
        (fs::read(&out).unwrap(), csv_rows(&out).len())
    };
    let pair = format!("{},{}", text(&test), text(&labels));
    let (whole, rows) = predict(&pair, &[]);
    assert_eq!(rows, 50);
    assert!(predict(text(&table), &[]).0 == whole);
    assert_eq!(predict(text(&test), &["--rows", "7"]).1, 7);
    assert_eq!(predict(text(&table), &["--rows", "7"]).1, 7);
    assert_eq!(predict(text(&table), &["--rows", "700"]).1, 50);
    // labels are not needed, nor is the usual file name
    fs::remove_file(&labels).unwrap();
    assert!(predict(text(&test), &[]).0 == whole);
    assert!(predict(&pair, &[]).0 == whole);
    let renamed = file("holiday.idx");
    fs::rename(&test, &renamed).unwrap();
    assert!(predict(text(&renamed), &[]).0 == whole);
    refused(
        &["evaluate", text(&model), text(&renamed)],
        &["holiday.idx", "no labels", "IMAGES,LABELS"],
    );
}

#[test]
fn bad_images_and_networks_are_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let bars = Bars::new(12, 6);
    let (images, labels) = write_pair(dir.path(), "a", &bars);
    let pair = format!("{},{}", text(&images), text(&labels));
    let (table, out) = (file("t.csv"), file("m.fw"));
    fs::write(&table, bars.csv()).unwrap();
    let case = |input: &str, extra: &[&str], words: &[&str]| {
        refused(
            &[&["fit", input, "--out", text(&out)], extra].concat(),
            words,
        );
        assert!(!out.exists(), "no half-written output");
    };
    let conv = ["--conv", CONV];
    case(text(&table), &conv, &["--conv", CONV, "--image HxW"]);
    case(text(&table), &["--image", "8x7"], &["1x8x7", "64 feature"]);
    case(text(&table), &["--image", "64"], &["64", "28x28"]);
    case(text(&table), &["--image", "8x0x8"], &["--image"]);
    case(&pair, &["--image", "8x8"], &["--image", "IDX"]);
    case(&pair, &["--target", "p0"], &["--target", "label"]);
    case(&pair, &["--rows", "0"], &["rows", "positive"]);
    case(text(&table), &["--rows", "0"], &["rows", "positive"]);
    case(&pair, &["--rows", "1"], &["1 row"]);
    case(&pair, &["--conv", "lenet6"], &["'lenet6'", "conv"]);
    case(&pair, &["--conv", "conv:2y3"], &["character 7", "'y'"]);
    case(&pair, &["--conv", "conv:2x9"], &["conv:2x9 (layer 1)"]);
    case(&pair, &["--conv", "precursor"], &["(layer 4)", "4x2x2"]);
    case(&pair, &["--conv", CONV, "--hidden", "5"], &["--hidden"]);
    let relu = ["--conv", CONV, "--activation", "relu"];
    case(&pair, &relu, &["--activation"]);
    let wide = ["--conv", "conv:1000000x1"];
    case(&pair, &wide, &["too many"]);
    case(&pair, &["--noise-std", "0.1"], &["noise_std"]);

    let swapped = format!("{},{}", text(&labels), text(&images));
    case(&swapped, &[], &["a-labels", "rank 1"]);
    let nowhere = format!("{},{}", text(&images), text(&file("no.gz")));
    case(&nowhere, &[], &["no.gz"]);
    case("no-images,no-labels", &[], &["no-images"]);
    let mixed = format!("{},{}", text(&images), text(&table));
    case(&mixed, &[], &["t.csv", "not an IDX file", "70 30"]);
    refused(
        &["fit", &pair, "--out", text(&labels)],
        &["one of the inputs"],
    );
    fs::write(&labels, crate::common::idx(&[11], &bars.labels[..11])).unwrap();
    case(text(&images), &[], &["a-labels", "11 labels", "12 images"]);
    fs::write(&labels, crate::common::idx(&[12], &[0; 12])).unwrap();
    case(&pair, &[], &["a-labels", "every label is 0"]);
    fs::remove_file(&labels).unwrap();
    case(text(&images), &[], &["a-images", "there is no", "a-labels"]);
    let whole = zip(&bars.images());
    fs::write(&images, &whole[..whole.len() / 2]).unwrap();
    case(&pair, &[], &["a-images", "gzip", "byte"]);
    fs::write(&images, &bars.images()[..300]).unwrap();
    case(&pair, &[], &["a-images", "byte 300", "record 4"]);
}

#[test]
fn a_model_refuses_images_that_it_was_not_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let bars = Bars::new(12, 7);
    let (images, labels) = write_pair(dir.path(), "a", &bars);
    let (table, model, out) = (file("t.csv"), file("m.fw"), file("p.csv"));
    fs::write(&table, bars.csv()).unwrap();
    let quick = "--method map --prior-precision 1 --hidden 2 --quiet";
    let train = |input: &Path| {
        let args: Vec<&str> = quick.split(' ').collect();
        ok(&[&["fit", text(input), "--out", text(&model)], &args[..]].concat());
    };
    let case = |words: &[&str]| {
        refused(&["evaluate", text(&model), text(&images)], words);
        let predict = ["predict", text(&model), text(&images)];
        refused(&[&predict[..], &["--out", text(&out)]].concat(), words);
    };
    train(&table);
    case(&["a-images", "columns of a table"]);
    train(&images);
    fs::write(&images, crate::common::idx(&[12, 4, 16], &bars.pixels)).unwrap();
    case(&["a-images", "1x4x16", "1x8x8"]);
    fs::write(&images, bars.images()).unwrap();
    fs::write(&labels, crate::common::idx(&[12], &[2; 12])).unwrap();
    refused(
        &["evaluate", text(&model), text(&images)],
        &["a-labels", "record 0", "0..2"],
    );
    let predict = ["predict", text(&model), text(&images)];
    let args = [&predict[..], &["--out", text(&images)]].concat();
    refused(&args, &["one of the inputs"]);
}
