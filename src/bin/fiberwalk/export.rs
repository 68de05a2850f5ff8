//! `fiberwalk export`: posterior, predictions and diagnostics for ArviZ.

use fiberwalk::report::arviz::arviz;

use crate::failure::{Failure, Outcome, in_file};
use crate::input::Input;
use crate::report::{claim, write};
use crate::report_args::ExportArgs;
use crate::say_notes;
use crate::streams::{self, is_stream, read_once};

const UNCALIBRATED: &str = "log_likelihood and posterior_predictive are before the model's \
                            calibration, which is a map of the average over draws";

pub fn run(args: &ExportArgs) -> Outcome {
    if let Some(test) = &args.test {
        read_once(("MODEL", &args.model), ("TEST", test))?;
    }
    let input = args.test.as_deref().map(Input::find).transpose()?;
    let mut files: Vec<_> = input.iter().flat_map(Input::files).collect();
    files.extend(Some(&*args.model).filter(|model| !is_stream(model)));
    let _claim = claim("--arviz", &args.arviz, &files)?;
    let model = streams::model(&args.model)?;
    let metadata = model.metadata();
    let test = match &input {
        None => None,
        Some(input) => Some(input.scored(metadata, args.rows.rows, &args.table)?),
    };
    test.iter().for_each(|test| say_notes(test.notes()));
    let map = metadata
        .calibration
        .as_ref()
        .and_then(|c| c.recalibration.as_ref());
    if map.is_some() && metadata.task.classes().is_some() && test.is_some() {
        say_notes(&[UNCALIBRATED.into()]);
    }
    let seed = args.sampling.seed_of(metadata);
    let json =
        arviz(&model, test.as_ref(), args.sampling.samples, seed).map_err(|e| match &input {
            Some(input) => in_file(input.place(e, &args.table), input.rows()),
            None => e,
        })?;
    let text = serde_json::to_string(&json).map_err(|e| Failure::Output(e.into()))?;
    write(&args.arviz, &(text + "\n"))
}
