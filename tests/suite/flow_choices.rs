//! What each kind of flow is, from the command line and in the library.

use fiberwalk::Streams;
use fiberwalk::artifact::{Fitted, FittedModel};
use fiberwalk::data::banana;
use fiberwalk::deform::{Deformation, Frame, FrameOptions, HiddenFlow, Smoothed};
use fiberwalk::linalg::log_mean_exp;
use fiberwalk::pipeline::{FitOptions, FlowChoice, FlowSettings, WalkSettings, fit};
use fiberwalk::{
    Activation, Categorical, IsotropicGaussian, LinearHead, LogDensity, Mlp, PosteriorDensity,
};

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

/// Draws of smoothed points, weighted by the posterior over the density of the mixture and of the last
/// layer, give the evidence that units give. A density of the component that made a draw would be off
/// by up to the logarithm of the number of points: 4.2 nats.
#[test]
fn smoothed_points_have_a_density() {
    let data = banana(60, &Streams::new(1)).unwrap();
    let options = options(FlowChoice::Units, 0);
    let fitted = fit::<f64>(&data, &options, &|_, _, _| ()).unwrap();
    let bytes = fitted.model.to_bytes().unwrap();
    let loaded = FittedModel::<f64>::from_bytes(&bytes).unwrap();
    let Fitted::Flow { deformation, rows } = &loaded.fitted else {
        panic!("a flow")
    };
    let network = Mlp::new(&[2, 4, 2], Activation::Tanh).unwrap();
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let (x, y) = (rows.features(), &rows.y);
    let posterior = PosteriorDensity::<f64>::new(&network, &Categorical, &prior, &x, y).unwrap();
    let evidence = |deformation: &Deformation<f64>| {
        let draws = deformation.sample(6_400, Streams::new(3)).unwrap();
        let log_q = deformation.log_density(&draws).unwrap();
        let mut ws = posterior.workspace();
        let rows = draws.chunks_exact(posterior.dim());
        let weights = rows
            .zip(&log_q)
            .map(|(theta, log_q)| posterior.log_density(theta, &mut ws).unwrap() - log_q);
        let weights: Vec<f64> = weights.collect();
        log_mean_exp(&weights)
    };
    // draws of the units as points, nearly as wide as their Gaussian
    let (dim, hidden) = (posterior.dim(), network.hidden_params());
    let points = deformation.sample(64, Streams::new(5)).unwrap();
    let points = points.chunks_exact(dim).flat_map(|row| &row[..hidden]);
    let points: Vec<f64> = points.copied().collect();
    let diagonal = FrameOptions {
        directions: 0,
        ..FrameOptions::default()
    };
    let frame = Frame::fit(&points, hidden, 64, &[], &diagonal).unwrap();
    let smoothed = Smoothed::new(frame, &points, 0.8).unwrap();
    let smoothed = Some(HiddenFlow::Smoothed(smoothed));
    let smoothed = Deformation::new(smoothed, deformation.last().clone());
    let (points, units) = (evidence(&smoothed), evidence(deformation));
    let error = points.std_error.hypot(units.std_error);
    assert!(error < 0.4, "{points:?} {units:?}");
    let off = (points.value - units.value).abs();
    assert!(off < 4.0 * error, "{points:?} {units:?}");
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
