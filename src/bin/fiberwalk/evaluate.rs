//! `fiberwalk evaluate`: scores on rows with known targets.

use fiberwalk::Result;
use fiberwalk::artifact::{TaskSpec, read_metadata};
use fiberwalk::data::load_for_schema;
use fiberwalk::metrics::{ClassificationMetrics, RegressionMetrics};
use fiberwalk::predict::ClassPredictions;

use crate::args::EvaluateArgs;
use crate::predict::{outputs, regression_predictions};

pub fn run(args: &EvaluateArgs) -> Result<()> {
    let metadata = read_metadata(&args.model)?;
    let data = load_for_schema(
        &args.test,
        &metadata.feature_names,
        &metadata.target_name,
        metadata.data_task(),
    )?;
    let outputs = outputs(&args.model, &metadata, data.features(), &args.sampling)?;
    let figures = match metadata.task {
        TaskSpec::Classification { classes } => {
            let predictions = ClassPredictions::new(&outputs);
            let m = ClassificationMetrics::compute(
                &predictions.probabilities,
                classes,
                &data.labels()?,
            )?;
            vec![
                ("n", m.n as f64),
                ("nll", m.nll),
                ("accuracy", m.accuracy),
                ("ece", m.ece),
                ("mce", m.mce),
                ("brier", m.brier),
            ]
        }
        TaskSpec::Regression { .. } => {
            let p = regression_predictions(&metadata, &outputs)?;
            let m = RegressionMetrics::compute(&p.means, p.samples, p.noise_std, data.targets())?;
            vec![
                ("n", m.n as f64),
                ("nll", m.nll),
                ("rmse", m.rmse),
                ("crps", m.crps),
                ("coverage_90", m.coverage_90),
            ]
        }
    };
    if args.json {
        let value = |&(name, x): &(&str, f64)| {
            let number = if name == "n" {
                serde_json::json!(x as u64)
            } else {
                serde_json::json!(x)
            };
            (name.to_string(), number)
        };
        let object: serde_json::Map<String, serde_json::Value> =
            figures.iter().map(value).collect();
        println!("{}", serde_json::Value::Object(object));
    } else {
        for (name, x) in figures {
            if name == "n" {
                println!("{name:<12} {x}");
            } else {
                println!("{name:<12} {x:.4}");
            }
        }
    }
    Ok(())
}
