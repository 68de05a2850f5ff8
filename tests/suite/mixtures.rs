//! Mixtures of several models: files, threads, the predictive law, and the command line.

use crate::common::program::{csv_rows, ok, refused, scores};
use crate::common::{normals, short};
use crate::observations::{counts, fitted, regression};
use fiberwalk::Streams;
use fiberwalk::artifact::{Fitted, FittedModel, Predictions, Scores};
use fiberwalk::data::{Dataset, banana};
use fiberwalk::pipeline::{FitOptions, FitResult, Method};

/// A small portfolio, fitted on the given number of threads.
fn portfolio(data: &Dataset, threads: usize) -> FitResult<f32> {
    let options = FitOptions {
        method: short(Method::Auto, 4, 30, 16),
        ..FitOptions::default()
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(|| fitted(data, &options))
}

#[test]
fn a_mixture_of_models_is_saved_loaded_and_the_same_for_any_threads() {
    let dir = tempfile::tempdir().unwrap();
    let x: Vec<f64> = (0..60).map(|i| 0.1 * f64::from(i)).collect();
    let noise = normals(60, 3);
    let y: Vec<f64> = x
        .iter()
        .zip(&noise)
        .map(|(x, e)| (x.sin() + 1.5 + 0.1 * e).exp())
        .collect();
    let data = regression(x, y);
    let mut files = Vec::new();
    for threads in [1, 2] {
        let model = portfolio(&data, threads).model;
        let path = dir.path().join(format!("{threads}.fw"));
        model.save(&path).unwrap();
        files.push(std::fs::read(&path).unwrap());
        let loaded = FittedModel::<f32>::load(&path).unwrap();
        let streams = || Streams::new(4);
        let (a, b) = (
            model.predict(data.features(), 32, streams()).unwrap(),
            loaded.predict(data.features(), 32, streams()).unwrap(),
        );
        assert_eq!(a, b);
        let Fitted::Mixture(members) = &loaded.fitted else {
            panic!("a mixture")
        };
        let total: f64 = members.iter().map(|m| m.weight).sum();
        assert!((total - 1.0).abs() < 1e-12 && !members.is_empty());
        // the density of a mixture is the mixture of densities
        let all = loaded.log_densities(&data, 1_000, streams()).unwrap();
        let each: Vec<Vec<f64>> = members
            .iter()
            .map(|m| m.model.log_densities(&data, 1_000, streams()).unwrap())
            .collect();
        for (row, got) in all.iter().enumerate() {
            let want: f64 = members
                .iter()
                .zip(&each)
                .map(|(m, l)| m.weight * l[row].exp())
                .sum();
            assert!((got - want.ln()).abs() < 1e-9, "{got} {}", want.ln());
        }
        let message = loaded.samples(3, streams()).unwrap_err().to_string();
        assert!(message.contains("no parameters in common"), "{message}");
    }
    assert!(files[0] == files[1], "bytes differ");
}

#[test]
fn classes_can_be_a_mixture_too() {
    let (train, test) = (
        banana(90, &Streams::new(1)).unwrap(),
        banana(200, &Streams::new(2)).unwrap(),
    );
    let result = portfolio(&train, 2);
    // the gradients of walks that only scored a model are counted too
    let portfolio = result.report.portfolio.as_ref().unwrap();
    let validation = portfolio.validation_gradients;
    assert!(validation > 0.0 && result.report.gradients() > validation);
    let parts = result.model.metadata.members.len();
    assert!(portfolio.none_agrees || portfolio.kept().count() == parts);
    let scores = result.model.evaluate(&test, 64, Streams::new(0)).unwrap();
    let Scores::Classification(scores) = scores else {
        panic!("classes")
    };
    assert!(scores.nll < 0.35, "{scores:?}\n{}", result.report);
    let Predictions::Classes(p) = result
        .model
        .predict(test.features(), 64, Streams::new(0))
        .unwrap()
    else {
        panic!("classes")
    };
    for (p, (h, i)) in p
        .probabilities
        .chunks_exact(2)
        .zip(p.entropy.iter().zip(&p.mutual_information))
    {
        assert!((p[0] + p[1] - 1.0).abs() < 1e-12 && *i >= 0.0 && i <= h);
    }
}

#[test]
fn the_command_line_has_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    let (table, model, out) = (at("counts.csv"), at("counts.fw"), at("p.csv"));
    let (data, _) = counts(80, 1);
    let rows = data.features().iter().zip(data.targets());
    // a text of many different numbers, so the target is not taken for classes
    let text: String = rows.map(|(x, y)| format!("{x},{y}\n")).collect();
    std::fs::write(&table, format!("x,count\n{text}")).unwrap();
    let short = [
        "--hidden",
        "4",
        "--steps",
        "20",
        "--particles",
        "4",
        "--samples",
        "8",
    ];
    let fit = [
        &["fit", &table, "--out", &model, "--likelihood", "poisson"],
        &short[..],
    ]
    .concat();
    let said = ok(&fit);
    assert!(said.contains("likelihood poisson"), "{said}");
    ok(&["predict", &model, &table, "--out", &out]);
    for row in csv_rows(std::path::Path::new(&out)) {
        assert!(
            row[3].fract() == 0.0 && row[4].fract() == 0.0 && row[3] <= row[4],
            "{row:?}"
        );
    }
    let nll = scores(std::path::Path::new(&model), std::path::Path::new(&table))["nll"].as_f64();
    assert!(nll.unwrap() > 0.0, "probabilities are below 1");
    let short = &short[2..];
    let auto = [&["fit", &table, "--out", &model, "--method", "auto"], short].concat();
    let said = ok(&auto);
    for word in ["stacking", "model", "elpd"] {
        assert!(said.contains(word), "{said}");
    }
    ok(&["predict", &model, &table, "--out", &out]);
    let compare = [&["compare", &table, "--methods", "auto,walk"], short].concat();
    let said = ok(&compare);
    // scores, then paired differences
    let first = said.split("\n\n").next().unwrap();
    assert!(
        first.lines().count() == 3 && first.contains("auto"),
        "{said}"
    );
    let refusal = ["fit", &table, "--out", &model, "--likelihood", "normal"];
    refused(&refusal, &["student-t", "poisson"]);
    let resume = [
        "fit", &table, "--out", &model, "--method", "auto", "--resume",
    ];
    refused(
        &resume,
        &["--resume", "walk, atlas and flow", "not for auto"],
    );
}
