//! Quantiles, intervals and draws of predictive distributions: against the mixture itself.

use fiberwalk::artifact::{AnyModel, FittedModel, Predictions, Predictor, interval_ends};
use fiberwalk::data::{Dataset, Task, banana};
use fiberwalk::pipeline::{FitOptions, Method, TargetTransform, fit};
use fiberwalk::predict::DrawOptions;
use fiberwalk::{Observation, Streams};

use crate::common::{normals, short};

fn options(method: Method) -> FitOptions {
    FitOptions {
        method: short(method, 5, 20, 30),
        hidden: vec![6],
        ..FitOptions::default()
    }
}

fn regression(target: impl Fn(f64, f64) -> f64) -> Dataset {
    let (x, e) = (normals(60, 1), normals(60, 2));
    let y = x.iter().zip(&e).map(|(&x, &e)| target(x, e)).collect();
    Dataset::new(x, y, vec!["x".into()], "y", Task::Regression).unwrap()
}

fn fitted(data: &Dataset, options: &FitOptions) -> FittedModel<f32> {
    fit::<f32>(data, options, &()).unwrap().model
}

/// A regression by every kind of predictive: one Gaussian mixture, an atlas in closed form, laws,
/// counts, a warped target.
fn models() -> Vec<(&'static str, FittedModel<f32>)> {
    let waves = regression(|x, e| (2.0 * x).sin() + 0.2 * e);
    let counts = regression(|x, e| (1.5 + x + 0.3 * e).exp().floor().min(60.0));
    let positive = regression(|x, e| (x + 0.3 * e).exp());
    let of = |likelihood, method| FitOptions {
        likelihood: Some(likelihood),
        ..options(method)
    };
    let log = FitOptions {
        target_transform: TargetTransform::Log,
        ..options(Method::Walk)
    };
    vec![
        ("map", fitted(&waves, &options(Method::Map))),
        ("walk", fitted(&waves, &options(Method::Walk))),
        ("atlas", fitted(&waves, &options(Method::Atlas))),
        (
            "student-t",
            fitted(&waves, &of(Observation::StudentT, Method::Walk)),
        ),
        (
            "heteroscedastic",
            fitted(&waves, &of(Observation::Heteroscedastic, Method::Walk)),
        ),
        (
            "poisson",
            fitted(&counts, &of(Observation::Poisson, Method::Walk)),
        ),
        ("log", fitted(&positive, &log)),
    ]
}

const X: [f64; 3] = [-1.5, 0.3, 2.0];

fn real(predictor: &Predictor, x: &[f64]) -> fiberwalk::predict::RealPredictions {
    match predictor.rows(x).unwrap() {
        Predictions::Real(real) => real,
        Predictions::Classes(_) => panic!("classes"),
    }
}

/// Draws against the moments and the quantiles that predictions state: what `n` draws say about a
/// share `p` has the standard error `sqrt(p (1 - p) / n)`, about the mean `std / sqrt(n)`.
#[test]
fn draws_have_the_moments_and_quantiles_of_the_mixture() {
    let n = 4_000;
    let how = DrawOptions {
        count: n,
        ..DrawOptions::default()
    };
    for (name, model) in models() {
        let predictor = model.predictor(20, 3).unwrap();
        let moments = real(&predictor, &X).moments;
        let probabilities = [0.05, 0.3, 0.5, 0.8, 0.99];
        let quantiles = predictor.quantiles(&X, &probabilities).unwrap();
        let draws = predictor.draws(&X, &how).unwrap();
        assert_eq!((draws.rows, draws.count, draws.width), (3, n, 1));
        let clean = DrawOptions {
            noise: false,
            ..how
        };
        let clean = predictor.draws(&X, &clean).unwrap();
        for (row, m) in moments.iter().enumerate() {
            let (all, n) = (draws.row(row), n as f64);
            let mean = all.iter().sum::<f64>() / n;
            assert!(
                (mean - m.mean).abs() < 5.0 * m.std / n.sqrt(),
                "{name}: {mean} {m:?}"
            );
            for (&p, &q) in probabilities.iter().zip(&quantiles[row * 5..]) {
                let up_to = all.iter().filter(|y| **y <= q).count() as f64 / n;
                let below = all.iter().filter(|y| **y < q).count() as f64 / n;
                let error = 5.0 * (p * (1.0 - p) / n).sqrt();
                assert!(
                    below < p + error && up_to > p - error,
                    "{name} {p}: {below} {up_to}"
                );
            }
            if name == "log" {
                continue;
            }
            // without noise only the spread of the means is left
            let clean = clean.row(row);
            let mean = clean.iter().sum::<f64>() / n;
            let square = clean.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / n;
            let (got, want) = (square.sqrt(), m.epistemic_std);
            // a mixture of few components: its fourth moment is bounded by the ratio below
            assert!(
                (got - want).abs() < 0.12 * want + 1e-9,
                "{name}: {got} {want}"
            );
            let parts = m.aleatoric_std().hypot(m.epistemic_std);
            assert!((parts / m.std - 1.0).abs() < 1e-7, "{name}");
        }
    }
}

/// A posterior draw serves all rows: without noise, twice the same row gives twice the same draw,
/// and rows nearby move together. An atlas draws its last layer once for all rows.
#[test]
fn draws_are_joint_over_rows() {
    let how = DrawOptions {
        count: 500,
        noise: false,
        ..DrawOptions::default()
    };
    for (name, model) in models() {
        let predictor = model.predictor(20, 3).unwrap();
        let draws = predictor.draws(&[0.3, 0.3, 0.301], &how).unwrap();
        assert_eq!(draws.row(0), draws.row(1), "{name}");
        let spread = real(&predictor, &[0.3]).moments[0];
        for (a, b) in draws.row(0).iter().zip(draws.row(2)) {
            assert!((a - b).abs() < 0.05 * spread.std, "{name}: {a} {b}");
        }
        let noisy = DrawOptions { noise: true, ..how };
        let noisy = predictor.draws(&[0.3, 0.3], &noisy).unwrap();
        assert_ne!(noisy.row(0), noisy.row(1), "{name}: noise is of each row");
    }
}

/// The same bits for any number of threads and any blocks, and more draws begin with the same.
#[test]
fn draws_do_not_depend_on_threads_blocks_or_their_number() {
    let x: Vec<f64> = normals(150, 5);
    let how = DrawOptions {
        count: 7,
        seed: 11,
        ..DrawOptions::default()
    };
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for (name, model) in models() {
        let predictor = model.predictor(20, 3).unwrap();
        let all = predictor.draws(&x, &how).unwrap();
        for threads in [1, 2, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let again = pool.unwrap().install(|| predictor.draws(&x, &how).unwrap());
            assert_eq!(
                bits(&again.values),
                bits(&all.values),
                "{name}, {threads} threads"
            );
        }
        let (mut values, mut predicted) = (Vec::new(), Vec::new());
        let of_blocks = predictor.in_blocks::<fiberwalk::Error>(&x, 37, |first_row, x, block| {
            let how = DrawOptions { first_row, ..how };
            values.extend(predictor.draws(x, &how)?.values);
            match block {
                Predictions::Real(block) => predicted.extend(block.quantiles.clone()),
                Predictions::Classes(_) => panic!("classes"),
            }
            Ok(())
        });
        of_blocks.unwrap();
        assert_eq!(bits(&values), bits(&all.values), "{name}");
        assert_eq!(
            bits(&predicted),
            bits(&real(&predictor, &x).quantiles),
            "{name}"
        );
        let fewer = predictor
            .draws(&x, &DrawOptions { count: 3, ..how })
            .unwrap();
        for row in 0..150 {
            assert_eq!(bits(fewer.row(row)), bits(&all.row(row)[..3]), "{name}");
        }
        let other = predictor
            .draws(&x, &DrawOptions { seed: 12, ..how })
            .unwrap();
        assert_ne!(other.values, all.values, "{name}");
    }
}

/// Targets drawn from the model fall into its intervals as often as these say: 3,000 draws at each
/// of 3 rows, a binomial count.
#[test]
fn intervals_cover_targets_of_the_model() {
    let how = DrawOptions {
        count: 3_000,
        seed: 2,
        ..DrawOptions::default()
    };
    for (name, model) in models() {
        let predictor = model.predictor(20, 3).unwrap();
        let draws = predictor.draws(&X, &how).unwrap();
        for level in [0.5, 0.9] {
            for (row, [low, high]) in predictor.intervals(&X, level).unwrap().iter().enumerate() {
                let inside = draws
                    .row(row)
                    .iter()
                    .filter(|y| *low <= **y && **y <= *high);
                let share = inside.count() as f64 / 3_000.0;
                let error = 5.0 * (level * (1.0 - level) / 3_000.0f64).sqrt();
                assert!(share > level - error, "{name}, {level}: {share}");
                // counts jump over the ends
                assert!(
                    share < level + error || name == "poisson",
                    "{name}, {level}: {share}"
                );
            }
        }
    }
    assert_eq!(interval_ends(0.9).unwrap(), [0.05, 0.95]);
    assert_eq!(interval_ends(0.5).unwrap(), [0.25, 0.75]);
    for level in [0.0, 1.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
        assert!(interval_ends(level).is_err(), "{level}");
    }
}

/// Labels come with the stated probabilities, and probabilities of single draws average to them.
#[test]
fn draws_of_classes() {
    let data = banana(60, &Streams::new(1)).unwrap();
    let of = |likelihood| FitOptions {
        likelihood: Some(likelihood),
        ..options(Method::Walk)
    };
    let x = [0.0, 0.0, 1.0, -2.0];
    for likelihood in [Observation::Categorical, Observation::Bernoulli] {
        let model = fitted(&data, &of(likelihood));
        let predictor = model.predictor(20, 3).unwrap();
        let Predictions::Classes(stated) = predictor.rows(&x).unwrap() else {
            panic!("numbers");
        };
        let how = DrawOptions {
            count: 4_000,
            ..DrawOptions::default()
        };
        let labels = predictor.draws(&x, &how).unwrap();
        let clean = predictor
            .draws(
                &x,
                &DrawOptions {
                    noise: false,
                    ..how
                },
            )
            .unwrap();
        assert_eq!((labels.width, clean.width), (1, 2));
        for row in 0..2 {
            let p = stated.probabilities[row * 2 + 1];
            let error = 5.0 * (p * (1.0 - p) / 4_000.0).sqrt();
            let ones = labels.row(row).iter().filter(|l| **l == 1.0).count() as f64 / 4_000.0;
            assert!((ones - p).abs() < error, "{ones} {p}");
            // probabilities vary less than labels do
            let mean = clean.row(row).chunks(2).map(|p| p[1]).sum::<f64>() / 4_000.0;
            assert!((mean - p).abs() < error, "{mean} {p}");
            assert!(
                clean
                    .row(row)
                    .chunks(2)
                    .all(|p| (p[0] + p[1] - 1.0).abs() < 1e-12)
            );
        }
        let message = predictor.quantiles(&x, &[0.5]).unwrap_err().to_string();
        assert!(
            message.contains("quantiles = a target of 2 classes"),
            "{message}"
        );
    }
}

/// A mixture of models: the draws come by weight.
#[test]
fn draws_of_a_mixture_of_models() {
    use fiberwalk::pipeline::AutoSettings;
    let waves = regression(|x, e| (2.0 * x).sin() + 0.2 * e);
    let auto = AutoSettings {
        particles: Some(5),
        steps: Some(20),
        samples: 30,
        ..AutoSettings::default()
    };
    let options = FitOptions {
        method: auto.into(),
        ..FitOptions::default()
    };
    let model = AnyModel::from(fitted(&waves, &options));
    let predictor = model.predictor(30, 0).unwrap();
    let how = DrawOptions {
        count: 4_000,
        ..DrawOptions::default()
    };
    let draws = predictor.draws(&X, &how).unwrap();
    for (row, m) in real(&predictor, &X).moments.iter().enumerate() {
        let mean = draws.row(row).iter().sum::<f64>() / 4_000.0;
        assert!(
            (mean - m.mean).abs() < 5.0 * m.std / 4_000f64.sqrt(),
            "{mean} {m:?}"
        );
    }
}
