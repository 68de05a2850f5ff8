//! `fiberwalk predict`: one row of predictions for every row of a file.

use std::io::Write;

use fiberwalk::artifact::{Claim, Predictions, write_atomically};
use fiberwalk::error::counted;
use fiberwalk::predict::{ClassPredictions, RealPredictions};

use crate::args::PredictArgs;
use crate::failure::Outcome;
use crate::input::Input;
use crate::numbers::shortest;
use crate::streams::{self, is_stream, read_once, say};
use crate::values::Texts;
use crate::{check_destination, say_notes};

pub fn run(args: &PredictArgs) -> Outcome {
    read_once(("MODEL", &args.model), ("TEST", &args.test))?;
    let input = Input::find(&args.test)?;
    let out = args.out.as_deref().filter(|out| !is_stream(out));
    if let Some(out) = out {
        let mut files = input.files();
        files.extend(Some(&*args.model).filter(|model| !is_stream(model)));
        check_destination(out, &files)?;
    }
    // Do not overwrite what a fit is writing.
    let _claim = out.map(Claim::of).transpose()?;
    let model = streams::model(&args.model)?;
    let metadata = model.metadata();
    let keep = &Texts::all(&args.keep);
    let read = input.features(metadata, args.rows.rows, &args.table, keep, args.quiet)?;
    say_notes(&read.notes);
    let seed = args.sampling.seed_of(metadata);
    let predictions = model
        .predictor(args.sampling.samples, seed)?
        .rows(&read.features)
        .map_err(|e| input.place(e, &args.table))?;
    let table = match predictions {
        Predictions::Classes(p) => classification(&p, &metadata.schema().target().classes),
        Predictions::Real(p) => regression(&p),
    };
    let mut names: Vec<&String> = keep.iter().chain(&table.header).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let requirement = "would be there twice among the columns of the predictions";
        return Err(fiberwalk::Error::config("--keep", twice[0], requirement).into());
    }
    let table = Table {
        kept: read.kept,
        ..table
    };
    let Some(out) = out else {
        return streams::write(|w| write_csv(w, keep, &table));
    };
    write_atomically(out, |w| write_csv(w, keep, &table))?;
    if !args.quiet {
        say(&format!(
            "{}: {}\n",
            out.display(),
            counted(table.rows.len(), "row")
        ))?;
    }
    Ok(())
}

struct Table {
    /// Cells that are copied before the numbers.
    kept: Vec<Vec<String>>,
    header: Vec<String>,
    rows: Vec<Vec<f64>>,
}

fn classification(predictions: &ClassPredictions, names: &[String]) -> Table {
    let name = |k: usize| match names.get(k) {
        Some(name) => format!("p_{name}"),
        None => format!("p_{k}"),
    };
    let mut header: Vec<String> = (0..predictions.classes).map(name).collect();
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
    Table {
        kept: Vec::new(),
        header,
        rows,
    }
}

fn regression(p: &RealPredictions) -> Table {
    let header = ["mean", "std", "epistemic_std", "q05", "q95"];
    Table {
        kept: Vec::new(),
        header: header.map(String::from).to_vec(),
        rows: p
            .moments
            .iter()
            .enumerate()
            .map(|(i, m)| [&[m.mean, m.std, m.epistemic_std], p.quantiles_of(i)].concat())
            .collect(),
    }
}

fn write_csv(w: &mut dyn Write, keep: &[String], table: &Table) -> std::io::Result<()> {
    let mut csv = csv::Writer::from_writer(w);
    csv.write_record(keep.iter().chain(&table.header))
        .map_err(cause)?;
    for (at, row) in table.rows.iter().enumerate() {
        let cells = row.iter().map(|&x| shortest(x));
        let kept = table.kept.get(at).into_iter().flatten().cloned();
        csv.write_record(kept.chain(cells)).map_err(cause)?;
    }
    csv.flush()
}

/// The error of the writer below, which tells a closed pipe from a full disk.
fn cause(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => std::io::Error::other(format!("{other:?}")),
    }
}
