//! `fiberwalk predict`: a row of predictions for every row of a file.

use std::io::Write;
use std::path::Path;

use fiberwalk::artifact::{Metadata, Model, TaskSpec, read_metadata, write_atomically};
use fiberwalk::data::load_features;
use fiberwalk::predict::{ClassPredictions, Outputs, RegressionPredictions, network_outputs};
use fiberwalk::{Result, Scalar, Streams};

use crate::args::{PredictArgs, Sampling};

pub fn run(args: &PredictArgs) -> Result<()> {
    let metadata = read_metadata(&args.model)?;
    let features = load_features(&args.test, &metadata.feature_names, &metadata.target_name)?;
    let outputs = outputs(&args.model, &metadata, &features, &args.sampling)?;
    let table = match metadata.task {
        TaskSpec::Classification { .. } => classification(&outputs),
        TaskSpec::Regression { .. } => regression(&regression_predictions(&metadata, &outputs)?)?,
    };
    write_atomically(&args.out, |w| write_csv(w, &table))?;
    if !args.quiet {
        println!("{}: {} rows", args.out.display(), outputs.rows);
    }
    Ok(())
}

/// Network outputs of posterior samples for raw feature rows, in the model's own precision.
pub fn outputs(
    path: &Path,
    metadata: &Metadata,
    features: &[f64],
    sampling: &Sampling,
) -> Result<Outputs> {
    match metadata.precision.as_str() {
        "f64" => outputs_in::<f64>(path, features, sampling),
        _ => outputs_in::<f32>(path, features, sampling),
    }
}

fn outputs_in<T: Scalar>(path: &Path, features: &[f64], sampling: &Sampling) -> Result<Outputs> {
    let model = Model::<T>::load(path)?;
    let streams = Streams::new(sampling.seed.unwrap_or(model.metadata.seed));
    let samples = model.samples(sampling.samples, streams)?;
    let network = model.metadata.build_network()?;
    let x = model.metadata.standardizer()?.transform(features)?;
    network_outputs(&network, &samples, &x)
}

/// Predictive mixtures in the target's own units.
pub fn regression_predictions(
    metadata: &Metadata,
    outputs: &Outputs,
) -> Result<RegressionPredictions> {
    let (noise_std, mean, scale) = match metadata.task {
        TaskSpec::Regression {
            noise_std,
            target_mean,
            target_scale,
        } => (noise_std, target_mean, target_scale),
        TaskSpec::Classification { .. } => (1.0, 0.0, 1.0),
    };
    RegressionPredictions::new(outputs, noise_std, mean, scale)
}

struct Table {
    header: Vec<String>,
    rows: Vec<Vec<f64>>,
}

fn classification(outputs: &Outputs) -> Table {
    let predictions = ClassPredictions::new(outputs);
    let mut header: Vec<String> = (0..predictions.classes).map(|k| format!("p_{k}")).collect();
    header.extend(["entropy".into(), "mutual_information".into()]);
    let probabilities = predictions.probabilities.chunks_exact(predictions.classes);
    let uncertainty = predictions
        .entropy
        .iter()
        .zip(&predictions.mutual_information);
    let rows = probabilities
        .zip(uncertainty)
        .map(|(p, (&h, &i))| [p, &[h, i]].concat())
        .collect();
    Table { header, rows }
}

fn regression(predictions: &RegressionPredictions) -> Result<Table> {
    let header = ["mean", "std", "epistemic_std", "q05", "q95"]
        .map(String::from)
        .to_vec();
    let rows = predictions.summaries()?;
    let rows = rows
        .iter()
        .map(|s| vec![s.mean, s.std, s.epistemic_std, s.q05, s.q95])
        .collect();
    Ok(Table { header, rows })
}

fn write_csv(w: &mut dyn Write, table: &Table) -> std::io::Result<()> {
    let mut csv = csv::Writer::from_writer(w);
    csv.write_record(&table.header)?;
    for row in &table.rows {
        // the shortest decimal that reads back to the same number
        csv.write_record(row.iter().map(f64::to_string))?;
    }
    csv.flush()
}
