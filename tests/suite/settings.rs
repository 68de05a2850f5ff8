//! Which method has which setting.
//!
//! The command line refuses an option of another method by name. In the library it cannot be
//! written down.

use std::collections::BTreeSet;
use std::time::Duration;

use fiberwalk::artifact::CheckpointReader;
use fiberwalk::data::{CsvOptions, load_csv};
use fiberwalk::pipeline::{
    CheckpointOptions, FitOptions, KernelKind, KernelOptions, Method, MethodOptions,
    MicrocanonicalSettings, PointsSettings, WalkSettings, fit,
};

use crate::common::data_file;
use crate::common::program::{ok, refused, text};

const WALKS: &str = "walk atlas flow";
const WALKS_AND_AUTO: &str = "walk atlas flow auto";

/// Options with a value, and the methods that have them.
const OWN: [(&str, &str, &str); 19] = [
    ("--kernel", "tangent", WALKS),
    ("--starts", "2", WALKS),
    ("--walk-batch", "9", WALKS),
    ("--step-size", "0.1", WALKS_AND_AUTO),
    ("--decoherence-length", "auto", WALKS_AND_AUTO),
    ("--adjusted", "", WALKS_AND_AUTO),
    ("--particles", "8", WALKS_AND_AUTO),
    ("--steps", "auto", WALKS_AND_AUTO),
    ("--max-seconds", "3", "sgld hmc nuts walk atlas flow auto"),
    ("--max-memory", "300", WALKS_AND_AUTO),
    ("--bracket", "50", WALKS),
    ("--checkpoint-every", "60", WALKS),
    ("--resume", "", WALKS),
    ("--flow", "auto", "flow"),
    ("--layers", "10", "flow"),
    ("--recombine", "", "atlas"),
    ("--frozen", "40", "atlas flow"),
    ("--loo-refits", "0", "walk hmc nuts sgld"),
    (
        "--samples",
        "256",
        "laplace laplace-glm laplace-kfac laplace-diag laplace-last swag riemann sgld vi dropout \
         hmc nuts walk atlas flow auto",
    ),
];

/// Options of every method.
const SHARED: &str = "--out --method --rows --target --task --conv --image --hidden --activation \
    --likelihood --feature-transform --target-transform --prior --prior-precision --noise-std \
    --types --ignore --weights --class-weights --missing --missing-values --delimiter --decimal --comment --header \
    --calibrate --calibration --conformal --conformal-score --conformal-folds --class-conditional --batch --epochs --seed --threads --precision --json --quiet --help";

/// There is no such file, so whatever is not refused for another reason is refused for this one.
const NOWHERE: &str = "nowhere.csv";

fn words<'a>(first: &[&'a str], more: &'a str) -> Vec<&'a str> {
    let more = more.split(' ').filter(|word| !word.is_empty());
    first.iter().copied().chain(more).collect()
}

/// Every option with every method. Even a value that is the default is refused: it was given.
#[test]
fn an_option_of_another_method_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("m.fw");
    for method in Method::ALL {
        let name = method.name();
        let fit = ["fit", NOWHERE, "--out", text(&out), "--method", name];
        for (option, value, methods) in OWN {
            let args = words(&[&fit[..], &[option]].concat(), value);
            if methods.split(' ').any(|m| m == name) {
                refused(&args, &[NOWHERE]);
                continue;
            }
            let shown = if value.is_empty() { "true" } else { value };
            let given = format!("error: {option} = {shown}: is for method");
            let not = format!("not for {name}\n");
            refused(&args, &[&words(&[&given, &not], methods)[..]].concat());
        }
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// A new option has to say whose it is.
#[test]
fn every_option_is_shared_or_stands_in_the_table() {
    let help = ok(&["fit", "--help"]);
    let lines = help.lines().map(str::trim_start);
    let options = lines.filter(|l| l.starts_with("--") || l.starts_with("-h"));
    let names = options.filter_map(|l| l.split([' ', ',']).find(|w| w.starts_with("--")));
    let names: BTreeSet<&str> = names.collect();
    let known = OWN.iter().map(|own| own.0).chain(SHARED.split_whitespace());
    assert_eq!(names, known.collect());
}

/// Counts that no memory could hold end in a line, not in an abort.
#[test]
fn a_count_beyond_all_memory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (out, table) = (dir.path().join("m.fw"), dir.path().join("d.csv"));
    std::fs::write(&table, "a,b,y\n1,2,3.5\n2,1,5\n3,3,9\n4,1,2\n").unwrap();
    let fit = ["fit", text(&table), "--out", text(&out), "--hidden", "3"];
    for (more, said) in [
        ("--particles 8000000000 --steps 3", "particles = 8000000000"),
        (
            "--method laplace --samples 80000000000",
            "samples = 80000000000",
        ),
        ("--method vi --samples 80000000000", "samples = 80000000000"),
        ("--method flow --layers 80000000000", "layers = 80000000000"),
        ("--steps 3 --bracket 80000000000", "bracket = 80000000000"),
    ] {
        refused(&words(&fit, more), &[said]);
    }
}

/// Shared options have parts of a model as their object, and are refused where those are missing.
#[test]
fn an_option_without_an_object_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (out, table) = (dir.path().join("m.fw"), dir.path().join("d.csv"));
    std::fs::write(&table, "a,b,y\n1,2,3\n2,1,5\n3,3,9\n").unwrap();
    let fit = ["fit", text(&table), "--out", text(&out), "--method", "map"];
    for (more, words) in [
        (
            "--hidden none --activation relu",
            ["--activation = relu", "--hidden"],
        ),
        (
            "--image 1x2 --feature-transform yeo-johnson",
            ["feature_transform", "pixels"],
        ),
        ("--epochs 3", ["epochs = 3", "--batch"]),
        (
            "--likelihood poisson --noise-std 1",
            ["noise_std", "no noise"],
        ),
        (
            "--prior ard --prior-precision 1",
            ["--prior", "--prior-precision"],
        ),
    ] {
        let more: Vec<&str> = more.split(' ').collect();
        refused(&[&fit[..], &more].concat(), &words);
    }
}

#[test]
fn an_option_of_another_kernel_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("m.fw");
    let fit = ["fit", NOWHERE, "--out", text(&out)];
    for kernel in ["drift", "tangent"] {
        for (option, value) in [
            ("--step-size", "0.1"),
            ("--decoherence-length", "2"),
            ("--walk-batch", "9"),
            ("--adjusted", ""),
        ] {
            // the order of the arguments does not matter
            let args = words(&[&fit[..], &[option]].concat(), value);
            let args = [&args[..], &["--kernel", kernel]].concat();
            let not = format!("not for {kernel}");
            refused(&args, &[option, "is for the kernel microcanonical", &not]);
        }
    }
}

/// In a comparison an option goes to the methods that have it, and somebody must.
#[test]
fn an_option_of_a_comparison_is_for_one_of_its_methods() {
    let compare = |more| words(&["compare", NOWHERE], more);
    for taken in [
        "--methods map,walk --starts 2 --kernel drift",
        "--methods vi,flow,atlas --flow units --recombine",
        // the kernel is for the walk, and its setting for the models of auto
        "--methods walk,auto --kernel drift --step-size 0.1",
        // so many draws score
        "--methods map,ensemble --samples 64",
    ] {
        refused(&compare(taken), &[NOWHERE]);
    }
    for (more, words) in [
        (
            "--methods map,vi,auto --starts 2",
            ["--starts = 2: is for", "not for map, vi or auto"],
        ),
        (
            "--methods walk,flow --recombine",
            ["--recombine = true: is for", "not for walk or flow"],
        ),
        (
            "--methods map,walk --kernel drift --adjusted",
            ["--adjusted = true: is for", "not for drift"],
        ),
    ] {
        refused(&compare(more), &words);
    }
}

/// The walks that choose widths have settings, whatever the method is.
#[test]
fn options_of_a_walk_are_for_the_choice_of_widths() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("m.fw");
    let fit = ["fit", NOWHERE, "--out", text(&out), "--hidden", "auto"];
    for (option, value, methods) in OWN {
        let args = [&fit[..], &["--method", "map", option]].concat();
        let args = words(&args, value);
        let walks = methods.contains("walk atlas flow") && option != "--resume";
        match walks && option != "--checkpoint-every" {
            true => refused(&args, &[NOWHERE]),
            false => refused(&args, &[option, "not for map"]),
        }
    }
}

#[test]
fn defaults_are_those_of_the_method_that_is_asked_for() {
    for method in Method::ALL {
        let mut options = MethodOptions::of(method);
        assert_eq!(options.method(), method);
        assert_eq!(options.walk().is_some(), method.walks(), "{method}");
        assert_eq!(options.walk().copied(), options.walk_mut().copied());
        assert_eq!(options.samples(), options.samples_mut().copied());
        assert!(options.samples().is_none_or(|samples| samples == 256));
        if let Some(walk) = options.walk() {
            assert_eq!(*walk, WalkSettings::default());
        }
    }
    for kind in KernelKind::ALL {
        assert_eq!(KernelOptions::from(kind).kind(), kind);
    }
    assert_eq!(
        FitOptions::default().method,
        MethodOptions::of(Method::Walk)
    );
}

/// A checkpoint is resumed if these pairs are the same, so older ones are lost if their text
/// changes.
#[test]
fn the_pairs_that_identify_a_checkpoint_stay_as_they_are() {
    let data = load_csv(&data_file("snelson1d.csv"), &CsvOptions::default()).unwrap();
    let rows = data.n().to_string();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    let kernel = MicrocanonicalSettings {
        step_size: Some(0.01),
        walk_batch: Some(50),
        ..MicrocanonicalSettings::default()
    };
    for (kernel, particles, texts) in [
        (
            KernelOptions::Drift,
            None,
            ["drift", "auto", "auto", "None"],
        ),
        (
            kernel.into(),
            Some(3),
            ["microcanonical", "0.01", "3", "Some(50)"],
        ),
    ] {
        let points = PointsSettings {
            walk: WalkSettings {
                kernel,
                particles,
                samples: 6,
                steps: Some(30),
                ..WalkSettings::default()
            },
            checkpoint: Some(CheckpointOptions {
                path: path.clone(),
                every: Some(Duration::ZERO),
                ..CheckpointOptions::default()
            }),
            ..PointsSettings::default()
        };
        let options = FitOptions {
            hidden: vec![3],
            prior_precision: Some(1.0),
            noise_std: Some(0.5),
            method: points.into(),
            ..FitOptions::default()
        };
        fit::<f32>(&data, &options, &|_, _, _| ()).unwrap();
        let reader = CheckpointReader::<f32>::open(&path).unwrap();
        let pairs = reader.header().identity.iter();
        let pairs: Vec<(&str, &str)> = pairs.map(|(name, value)| (&name[..], &value[..])).collect();
        let [kernel, step_size, particles, walk_batch] = texts;
        let expected = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("precision", "f32"),
            ("method", "walk"),
            ("kernel", kernel),
            ("rows", &rows),
            ("features", "1"),
            ("layers", "none"),
            ("hidden", "[3]"),
            ("activation", "tanh"),
            ("likelihood", "gaussian"),
            ("feature_transform", "none"),
            ("target_transform", "none"),
            ("prior", "auto"),
            ("prior_precision", "1.0"),
            ("noise_std", "0.5"),
            ("batch", "Auto"),
            ("epochs", "None"),
            ("step_size", step_size),
            ("decoherence_length", "auto"),
            ("adjusted", "false"),
            ("starts", "1"),
            ("particles", particles),
            ("steps", "30"),
            ("samples", "6"),
            ("walk_batch", walk_batch),
            ("seed", "0"),
        ];
        let (last, others) = pairs.split_last().unwrap();
        assert_eq!(others, expected);
        assert!(last.0 == "data" && last.1.contains("checksum"));
    }
}
