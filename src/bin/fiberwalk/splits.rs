//! `compare --write-splits`: the rows of every seed as CSV files, to measure other programs on.

use std::path::{Path, PathBuf};

use fiberwalk::artifact::write_atomically;
use fiberwalk::data::Dataset;
use fiberwalk::{Error, Result};

/// Refuses a directory in which a file to be written is one of the inputs.
pub fn check(
    directory: &Path,
    mut seeds: impl Iterator<Item = u64>,
    inputs: &[&Path],
) -> Result<()> {
    let real = |path: &Path| path.canonicalize().ok();
    let inputs: Vec<PathBuf> = inputs.iter().filter_map(|path| real(path)).collect();
    let hit = seeds.find_map(|seed| {
        let mut both = ["train", "test"]
            .map(|name| place(directory, seed, name))
            .into_iter();
        both.find(|path| real(path).is_some_and(|path| inputs.contains(&path)))
    });
    match hit {
        Some(path) => {
            let requirement = format!("{} is one of the inputs", path.display());
            Err(Error::config(
                "--write-splits",
                directory.display(),
                &requirement,
            ))
        }
        None => Ok(()),
    }
}

fn place(directory: &Path, seed: u64, name: &str) -> PathBuf {
    directory.join(format!("seed{seed}_{name}.csv"))
}

/// The rows of a seed as the text of CSV files. The target is the last column, and the column
/// before it holds the weights if there are any. Numbers read back bit for bit.
pub struct Splits {
    files: [(PathBuf, Vec<u8>); 2],
}

impl Splits {
    /// `seedN_train.csv` and `seedN_test.csv` in a directory.
    pub fn new(directory: &Path, seed: u64, train: &Dataset, test: &Dataset) -> Result<Self> {
        let one = |name: &str, part: &Dataset| {
            let path = place(directory, seed, name);
            match text(part) {
                Ok(text) => Ok((path, text)),
                Err(source) => Err(Error::Io { path, source }),
            }
        };
        Ok(Self {
            files: [one("train", train)?, one("test", test)?],
        })
    }

    /// Refuses to replace what other rows are in. The same rows may be there from a run before.
    pub fn check(&self) -> Result<()> {
        for (path, text) in &self.files {
            if path.exists() && !holds(path, text)? {
                let requirement = format!(
                    "{} is there and holds something else: remove it, or name another directory",
                    path.display()
                );
                let directory = path.parent().unwrap_or(path).display();
                return Err(Error::config("--write-splits", directory, &requirement));
            }
        }
        Ok(())
    }

    /// Writes the files, and creates the directory if needed.
    pub fn write(&self) -> Result<()> {
        for (path, text) in &self.files {
            if let Some(directory) = path.parent() {
                std::fs::create_dir_all(directory).map_err(|source| Error::Io {
                    path: directory.to_path_buf(),
                    source,
                })?;
            }
            if !path.exists() {
                write_atomically(path, |w| w.write_all(text))?;
            }
        }
        Ok(())
    }
}

/// True for a file with exactly this content.
fn holds(path: &Path, text: &[u8]) -> Result<bool> {
    // something else, such as a pipe, could be read without end
    if !path.is_file() {
        return Ok(false);
    }
    let found = std::fs::read(path).map_err(|source| Error::Io {
        path: path.to_path_buf(),
        source,
    })?;
    Ok(found == text)
}

fn text(part: &Dataset) -> std::io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let names = part.feature_names().iter().map(String::as_str);
    csv.write_record(names.chain(part.weights_name()).chain([part.target_name()]))?;
    let rows = part.features().chunks_exact(part.d().max(1));
    for (i, (row, target)) in rows.zip(part.targets()).enumerate() {
        let weight = part.weights().map(|weights| &weights[i]);
        let cells = row.iter().chain(weight).chain([target]);
        csv.write_record(cells.map(f64::to_string))?;
    }
    csv.into_inner().map_err(|error| error.into_error())
}
