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

/// Writes `seedN_train.csv` and `seedN_test.csv` into a directory, and creates the directory if
/// needed. The target is the last column. Numbers read back bit for bit.
pub fn write(directory: &Path, seed: u64, train: &Dataset, test: &Dataset) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(|source| Error::Io {
        path: directory.to_path_buf(),
        source,
    })?;
    for (name, part) in [("train", train), ("test", test)] {
        write_atomically(&place(directory, seed, name), |w| {
            let mut csv = csv::Writer::from_writer(w);
            let names = part.feature_names().iter().map(String::as_str);
            csv.write_record(names.chain([part.target_name()]))?;
            let rows = part.features().chunks_exact(part.d().max(1));
            for (row, target) in rows.zip(part.targets()) {
                csv.write_record(row.iter().chain([target]).map(f64::to_string))?;
            }
            csv.flush()
        })?;
    }
    Ok(())
}
