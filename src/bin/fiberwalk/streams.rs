//! Standard input and standard output in the place of files: the argument `-`.
//!
//! Standard input is read once, to its end, into memory. A file that is really called `-` can be
//! given as `./-`.

use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use fiberwalk::artifact::{AnyModel, Metadata, metadata_from_bytes};
use fiberwalk::data::CsvText;
use fiberwalk::{Error, Result};

use crate::failure::{Failure, Outcome};

/// The name of standard input in messages.
pub const STANDARD_INPUT: &str = "standard input";

/// The name of standard output in messages.
pub const STANDARD_OUTPUT: &str = "standard output";

/// True of the argument that stands for standard input or output.
pub fn is_stream(argument: &Path) -> bool {
    argument.as_os_str() == "-"
}

/// What messages call the source that an argument names.
pub fn source_name(argument: &Path) -> &Path {
    match is_stream(argument) {
        true => Path::new(STANDARD_INPUT),
        false => argument,
    }
}

/// Refuses a second argument that asks for standard input, which `first` reads to its end.
pub fn read_once(
    (first, one): (&str, &Path),
    (second, other): (&'static str, &Path),
) -> Result<()> {
    if !(is_stream(one) && is_stream(other)) {
        return Ok(());
    }
    Err(Error::Config {
        field: second,
        value: "-".into(),
        requirement: format!("standard input is the {first} already; give one of them as a file"),
    })
}

/// Reads standard input to its end.
pub fn read() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let outcome = io::stdin().lock().read_to_end(&mut bytes);
    outcome.map_err(failed)?;
    match bytes.is_empty() {
        true => Err(data_error(EMPTY)),
        false => Ok(bytes),
    }
}

/// Reads the text of a table from standard input, as far as memory allows.
pub fn read_text() -> Result<CsvText> {
    let (mut first, mut input) = (Vec::new(), io::stdin().lock());
    let read = input.by_ref().take(2).read_to_end(&mut first);
    read.map_err(failed)?;
    match first[..] {
        [] => Err(data_error(EMPTY)),
        [0, 0] | [0x1f, 0x8b] => Err(data_error(
            "images, or data in gzip: only the text of a CSV file can be piped; name the files",
        )),
        _ => CsvText::from_reader((&first[..]).chain(input), STANDARD_INPUT),
    }
}

const EMPTY: &str = "it is empty: nothing was piped into it";

fn failed(source: io::Error) -> Error {
    Error::Io {
        path: STANDARD_INPUT.into(),
        source,
    }
}

fn data_error(what: &str) -> Error {
    Error::Data {
        file: Some(STANDARD_INPUT.into()),
        line: None,
        column: None,
        what: what.into(),
    }
}

/// Reads a model from the file that an argument names, or from standard input.
pub fn model(argument: &Path) -> Result<AnyModel> {
    match is_stream(argument) {
        true => AnyModel::from_bytes(&read()?).map_err(|e| from(e, Path::new(STANDARD_INPUT))),
        false => AnyModel::load(argument),
    }
}

/// Reads the metadata of a model, and the size of its file in bytes.
pub fn metadata(argument: &Path) -> Result<(Metadata, u64)> {
    // read once: a pipe has its bytes only once
    let bytes = match is_stream(argument) {
        true => read()?,
        false => std::fs::read(argument).map_err(|source| Error::Io {
            path: argument.into(),
            source,
        })?,
    };
    let metadata = metadata_from_bytes(&bytes).map_err(|e| from(e, source_name(argument)))?;
    Ok((metadata, bytes.len() as u64))
}

fn from(error: Error, source: &Path) -> Error {
    match error {
        Error::Artifact { what, .. } => Error::Artifact {
            file: source.into(),
            what,
        },
        other => other,
    }
}

/// Writes to standard output. A closed or full output is an ordinary error, not a panic.
pub fn write(content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    content(&mut out)
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}

/// Writes a text to standard output.
pub fn say(text: &str) -> Outcome {
    write(|out| out.write_all(text.as_bytes()))
}

/// True if whoever read standard output has closed it, as `head` does when it has seen enough.
pub fn is_closed(failure: &Failure) -> bool {
    matches!(failure, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
}
