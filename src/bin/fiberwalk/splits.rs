//! `compare --write-splits`: the rows of every seed as CSV files, to measure other programs on.

use std::path::{Path, PathBuf};

use fiberwalk::artifact::write_atomically;
use fiberwalk::data::Dataset;
use fiberwalk::{Error, Result};

/// Writes `seedN_train.csv` and `seedN_test.csv` into a directory, and creates the directory if
/// needed. The target is the last column. Numbers read back bit for bit.
pub fn write(directory: &Path, seed: u64, train: &Dataset, test: &Dataset) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(|source| Error::Io {
        path: directory.to_path_buf(),
        source,
    })?;
    for (name, part) in [("train", train), ("test", test)] {
        let path: PathBuf = directory.join(format!("seed{seed}_{name}.csv"));
        write_atomically(&path, |w| {
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
