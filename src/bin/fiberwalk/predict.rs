//! `fiberwalk predict`: one row of predictions for every row of a file.

use std::io::Write;

use fiberwalk::artifact::{
    Claim, ConformalRegions, ConformalScore, Metadata, Predictions, Predictor, interval_ends,
    write_atomically,
};
use fiberwalk::calibrate::conformal::Interval;
use fiberwalk::data::FeatureRows;
use fiberwalk::error::counted;
use fiberwalk::predict::{DrawOptions, PredictiveDraws};
use fiberwalk::{Error, Result};

use crate::args::PredictArgs;
use crate::failure::{Failure, Outcome};
use crate::input::Input;
use crate::rows_out::{Cell, Column, RowWriter};
use crate::streams::{self, is_stream, read_once, say};
use crate::values::{RowFormat, Texts};
use crate::{check_destination, say_notes};

/// Rows that are predicted and written at once.
const BLOCK: usize = 1024;

/// The probabilities of the quantiles, unless others are asked for, and their columns.
const QUANTILES: [(f64, &str); 2] = [(0.05, "q05"), (0.95, "q95")];

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
    let table = Table::new(args, metadata, keep)?;
    let ignore = &Texts::all(&args.ignore);
    let columns = (&keep[..], &ignore[..]);
    let read = input.features(metadata, args.rows.rows, &args.table, columns, args.quiet)?;
    say_notes(&read.notes);
    let seed = args.sampling.seed_of(metadata);
    let predictor = model
        .predictor(args.sampling.samples, seed)?
        .with_quantiles(&table.probabilities)?;
    let mut failure = None;
    let mut content = |w: &mut dyn Write| match table.write(w, &predictor, &read, seed) {
        Ok(()) => Ok(()),
        Err(Failure::Output(error)) => Err(error),
        Err(other) => {
            failure = Some(other);
            Err(std::io::Error::other("no predictions"))
        }
    };
    let written = match out {
        None => streams::write(&mut content),
        Some(out) => write_atomically(out, &mut content).map_err(Failure::from),
    };
    match failure {
        Some(Failure::Run(error)) => return Err(input.place(error, &args.table).into()),
        Some(other) => return Err(other),
        None => written?,
    }
    if let Some(out) = out
        && !args.quiet
    {
        let rows = counted(read.rows, "row");
        say(&format!("{}: {rows}\n", out.display()))?;
    }
    Ok(())
}

/// What is written of every row.
struct Table<'a> {
    args: &'a PredictArgs,
    columns: Vec<Column>,
    /// Names of the classes, if the target is one.
    classes: Option<Vec<String>>,
    /// Probabilities of the quantiles.
    probabilities: Vec<f64>,
    /// How many of them have columns.
    written: usize,
    /// Draws of the predictive distribution, if they are asked for.
    draws: Option<DrawOptions>,
}

impl<'a> Table<'a> {
    fn new(args: &'a PredictArgs, metadata: &Metadata, keep: &[String]) -> Result<Self> {
        let named = metadata.schema().target().classes.clone();
        let classes = metadata.task.classes().map(|count| {
            let name = |k: usize| named.get(k).cloned().unwrap_or_else(|| k.to_string());
            (0..count).map(name).collect::<Vec<_>>()
        });
        let asked = [
            ("--quantiles", args.quantiles.first()),
            ("--interval", args.interval.first()),
        ];
        if let (Some(_), Some((name, Some(p)))) =
            (&classes, asked.into_iter().find(|(_, p)| p.is_some()))
        {
            let requirement = "is for a target that is a number, and this one is a class";
            return Err(Error::config(name, p, requirement));
        }
        // quantiles that are computed with the others, and not written
        let mut cqr = Vec::new();
        let mut columns: Vec<Column> = keep.iter().map(Column::one).collect();
        let mut probabilities = Vec::new();
        match &classes {
            Some(names) => {
                columns.extend(names.iter().map(|name| Column::one(format!("p_{name}"))));
                columns.extend(["entropy", "mutual_information"].map(Column::one));
                columns.push(Column::of_json("aleatoric_entropy"));
            }
            None => {
                columns.extend(["mean", "std", "epistemic_std"].map(Column::one));
                columns.push(Column::of_json("aleatoric_std"));
                let mut add = |p: f64, name: String| {
                    probabilities.push(p);
                    columns.push(Column::one(name));
                };
                if args.quantiles.is_empty() && args.interval.is_empty() {
                    QUANTILES
                        .into_iter()
                        .for_each(|(p, name)| add(p, name.into()));
                }
                for &p in &args.quantiles {
                    if !(p > 0.0 && p < 1.0) {
                        let requirement = "must lie strictly between 0 and 1";
                        return Err(Error::config("--quantiles", p, requirement));
                    }
                    add(p, format!("q{}", percent(p)));
                }
                for &level in &args.interval {
                    let ends = interval_ends(level).map_err(|_| {
                        let requirement = "must lie strictly between 0 and 1";
                        Error::config("--interval", level, requirement)
                    })?;
                    add(ends[0], format!("low_{}", percent(level)));
                    add(ends[1], format!("high_{}", percent(level)));
                }
            }
        }
        if let Some(conformal) = metadata
            .calibration
            .as_ref()
            .and_then(|c| c.conformal.as_ref())
        {
            match &classes {
                None => {
                    columns.extend(["conformal_low", "conformal_high"].map(Column::one));
                    if conformal.score == ConformalScore::Interval(Interval::Cqr) {
                        cqr = interval_ends(conformal.level)?.to_vec();
                    }
                }
                Some(names) => columns.push(Column {
                    name: "conformal_set".into(),
                    in_csv: names.iter().map(|name| format!("in_set_{name}")).collect(),
                }),
            }
        }
        let draws = args.draws.map(|count| DrawOptions {
            count,
            noise: !args.noiseless,
            ..DrawOptions::default()
        });
        if let Some(draws) = &draws {
            let width = classes.as_ref().map_or(1, Vec::len);
            draws.check(1, width).map_err(|error| match error {
                Error::Config {
                    value, requirement, ..
                } => Error::config("--draws", value, &requirement),
                other => other,
            })?;
            columns.push(draws_column(draws, classes.as_deref()));
        }
        check_names(&columns, args.format)?;
        let written = probabilities.len();
        probabilities.append(&mut cqr);
        Ok(Self {
            args,
            columns,
            classes,
            probabilities,
            written,
            draws,
        })
    }

    /// Predicts and writes block by block. Nothing is written before the first block is predicted.
    fn write(
        &self,
        w: &mut dyn Write,
        predictor: &Predictor,
        read: &FeatureRows,
        seed: u64,
    ) -> Outcome {
        let mut writer = RowWriter::new(w, self.args.format, &self.columns);
        predictor.in_blocks(&read.features, BLOCK, |first, x, predictions| {
            let draws = match self.draws {
                None => None,
                Some(draws) => {
                    let of_block = DrawOptions {
                        seed,
                        first_row: first,
                        ..draws
                    };
                    let drawn = predictor.draws(x, &of_block);
                    Some(drawn.map_err(|e| e.rows_from(first))?)
                }
            };
            let regions = predictor.conformal_of(x, predictions);
            let regions = regions.map_err(|e| e.rows_from(first))?;
            let rows = match predictions {
                Predictions::Classes(p) => p.entropy.len(),
                Predictions::Real(p) => p.len(),
            };
            for row in 0..rows {
                let kept = read.kept.get(first + row).into_iter().flatten();
                let mut cells: Vec<Cell> = kept.cloned().map(Cell::Text).collect();
                numbers(predictions, self.written, row, &mut cells);
                regions.iter().for_each(|r| self.region(r, row, &mut cells));
                if let Some(draws) = &draws {
                    cells.push(self.drawn(draws, row));
                }
                writer.row(cells).map_err(Failure::Output)?;
            }
            Ok::<(), Failure>(())
        })?;
        writer.end().map_err(Failure::Output)
    }

    /// The conformal interval or set of a row.
    fn region(&self, regions: &ConformalRegions, row: usize, cells: &mut Vec<Cell>) {
        match regions {
            ConformalRegions::Intervals(ends) => cells.extend(ends[row].map(Cell::Number)),
            ConformalRegions::Sets { classes, inside } => {
                let names = self.classes.iter().flatten().cloned();
                let inside = &inside[row * classes..(row + 1) * classes];
                let each = names.zip(inside).map(|(name, is)| Cell::Member(name, *is));
                cells.push(Cell::Many(each.collect()));
            }
        }
    }

    /// The draws of a row: numbers, names of classes, or probabilities.
    fn drawn(&self, draws: &PredictiveDraws, row: usize) -> Cell {
        let each = draws.row(row).chunks(draws.width);
        let cell = |draw: &[f64]| match (&self.classes, draw) {
            (Some(names), [label]) => {
                let name = names.get(*label as usize).cloned();
                Cell::Text(name.unwrap_or_else(|| label.to_string()))
            }
            (_, [one]) => Cell::Number(*one),
            (_, all) => Cell::Many(all.iter().map(|&p| Cell::Number(p)).collect()),
        };
        Cell::Many(each.map(cell).collect())
    }
}

/// The moments and quantiles of a real target, or the probabilities of classes.
fn numbers(predictions: &Predictions, written: usize, row: usize, cells: &mut Vec<Cell>) {
    let mut add = |numbers: &[f64]| cells.extend(numbers.iter().map(|&x| Cell::Number(x)));
    match predictions {
        Predictions::Classes(p) => {
            add(&p.probabilities[row * p.classes..(row + 1) * p.classes]);
            let parts = [&p.entropy, &p.mutual_information, &p.aleatoric_entropy];
            add(&parts.map(|part| part[row]));
        }
        Predictions::Real(p) => {
            let m = &p.moments[row];
            add(&[m.mean, m.std, m.epistemic_std, m.aleatoric_std()]);
            add(&p.quantiles_of(row)[..written]);
        }
    }
}

/// A probability as a percentage of at least two digits before the point: 05, 50, 97.5.
fn percent(p: f64) -> String {
    let all = format!("{:.8}", 100.0 * p);
    let short = all.trim_end_matches('0').trim_end_matches('.');
    match short.find('.').unwrap_or(short.len()) {
        1 => format!("0{short}"),
        _ => short.to_string(),
    }
}

fn draws_column(draws: &DrawOptions, classes: Option<&[String]>) -> Column {
    let names = (0..draws.count).flat_map(|j| match classes {
        Some(names) if !draws.noise => {
            let each = names.iter().map(|name| format!("draw_{j}_p_{name}"));
            each.collect::<Vec<_>>()
        }
        _ => vec![format!("draw_{j}")],
    });
    Column {
        name: "draws".into(),
        in_csv: names.collect(),
    }
}

/// Refuses two columns of one name.
fn check_names(columns: &[Column], format: RowFormat) -> Result<()> {
    let names = columns.iter().flat_map(|column| match format {
        RowFormat::Csv => &column.in_csv[..],
        RowFormat::Json | RowFormat::JsonLines => std::slice::from_ref(&column.name),
    });
    let mut names: Vec<&String> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(twice) => {
            let requirement = "would be there twice: look at --keep, --interval and --quantiles";
            Err(Error::config(
                "column of the predictions",
                twice[0],
                requirement,
            ))
        }
    }
}
