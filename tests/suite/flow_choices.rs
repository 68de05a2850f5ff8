//! What each kind of flow is, from the command line and in the library.

use fiberwalk::Streams;
use fiberwalk::artifact::{Fitted, FittedModel};
use fiberwalk::data::banana;
use fiberwalk::deform::HiddenFlow;
use fiberwalk::linalg::log_mean_exp;
use fiberwalk::pipeline::{FitOptions, FlowChoice, FlowSettings, WalkSettings, fit};
use fiberwalk::{Activation, Categorical, IsotropicGaussian, LogDensity, Mlp, PosteriorDensity};

use crate::common::data_file;
use crate::common::program::{ok, refused};

fn options(flow: FlowChoice, layers: usize) -> FitOptions {
    let walk = WalkSettings {
        particles: Some(16),
        steps: Some(200),
        samples: 64,
        ..WalkSettings::default()
    };
    let settings = FlowSettings {
        walk,
        flow,
        layers: Some(layers),
        ..FlowSettings::default()
    };
    FitOptions {
        method: settings.into(),
        hidden: vec![4],
        prior_precision: Some(1.0),
        ..FitOptions::default()
    }
}

/// The base of smoothed points, from a file: its draws, weighted by the posterior over its density,
/// give the evidence that units give. A density of the component that made a draw, in the place of
/// the mixture's, would be off by the logarithm of the number of points: 3.5 nats.
#[test]
fn smoothed_points_have_a_density() {
    let data = banana(60, &Streams::new(1)).unwrap();
    let evidence = |choice: FlowChoice| {
        let fitted = fit::<f64>(&data, &options(choice, 0), &|_, _, _| ()).unwrap();
        let bytes = fitted.model.to_bytes().unwrap();
        let loaded = FittedModel::<f64>::from_bytes(&bytes).unwrap();
        let Fitted::Flow { deformation, rows } = &loaded.fitted else {
            panic!("a flow")
        };
        let smoothed = matches!(deformation.hidden(), Some(HiddenFlow::Smoothed(_)));
        assert_eq!(smoothed, choice == FlowChoice::Points);
        let network = Mlp::new(&[2, 4, 2], Activation::Tanh).unwrap();
        let prior = IsotropicGaussian::new(1.0).unwrap();
        let (x, y) = (rows.features(), &rows.y);
        let posterior =
            PosteriorDensity::<f64>::new(&network, &Categorical, &prior, &x, y).unwrap();
        let draws = deformation.sample(4_000, Streams::new(3)).unwrap();
        let log_q = deformation.log_density(&draws).unwrap();
        let mut ws = posterior.workspace();
        let rows = draws.chunks_exact(posterior.dim());
        let weights = rows
            .zip(&log_q)
            .map(|(theta, log_q)| posterior.log_density(theta, &mut ws).unwrap() - log_q);
        let weights: Vec<f64> = weights.collect();
        log_mean_exp(&weights)
    };
    let (points, units) = (evidence(FlowChoice::Points), evidence(FlowChoice::Units));
    let error = points.std_error.hypot(units.std_error);
    assert!(error < 0.5, "{points:?} {units:?}");
    let off = (points.value - units.value).abs();
    assert!(off < 4.0 * error + 0.5, "{points:?} {units:?}");
}

#[test]
fn every_choice_fits_from_the_command_line_and_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (data_file("yacht.csv"), dir.path().join("m.fw"));
    let (data, out) = (data.to_str().unwrap(), out.to_str().unwrap());
    let short = [
        "--hidden",
        "6",
        "--particles",
        "8",
        "--steps",
        "100",
        "--rows",
        "80",
    ];
    for (choice, line) in [
        ("points", "points x "),
        ("frame", "frame x "),
        ("units", "units"),
        ("latent", "with the last layer computed"),
        ("auto", "points x "),
    ] {
        let mut args = vec![
            "fit", data, "--out", out, "--method", "flow", "--flow", choice,
        ];
        args.extend(short);
        let said = ok(&args);
        assert!(said.contains(line), "{choice}: {said}");
        let rows = ok(&["predict", out, data]);
        assert_eq!(rows.lines().count(), 309, "{choice}");
    }
    // a latent model stores draws, and has no layers
    let latent = [
        "fit", data, "--out", out, "--method", "flow", "--flow", "latent",
    ];
    let args = [&latent[..], &["--layers", "3"], &short].concat();
    refused(&args, &["latent model has none"]);
}

#[test]
fn a_bracket_is_printed_and_needs_draws_of_the_posterior() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (data_file("snelson1d.csv"), dir.path().join("m.fw"));
    let (data, out) = (data.to_str().unwrap(), out.to_str().unwrap());
    let short = ["--hidden", "3", "--particles", "8", "--steps", "100"];
    let fit = ["fit", data, "--out", out, "--bracket"];
    for scales in [&["--prior-precision", "1", "--noise-std", "0.3"][..], &[]] {
        let said = ok(&[&fit[..], &["30"], &short, scales].concat());
        assert!(
            said.contains("log evidence of the standardised targets"),
            "{said}"
        );
        assert!(ok(&["info", out]).contains("nats wide"));
    }
    for (value, more, why) in [
        ("0", &[][..], "bracket = 0"),
        ("99999999999", &[], "must be in 1..="),
        ("5", &["--kernel", "tangent"], "draws of the posterior"),
        ("5", &["--walk-batch", "20"], "draws of the posterior"),
        ("5", &["--particles", "1"], "two --particles"),
        ("5", &["--method", "map"], "--bracket"),
    ] {
        refused(&[&fit[..], &[value], more].concat(), &[why]);
    }
}
