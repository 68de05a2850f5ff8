//! Whether a table fits into memory, before it is built.

use std::path::Path;

use super::csv::at;
use crate::error::{Result, counted};
pub(super) use crate::memory::available;

/// Bytes of a number.
pub(super) const NUMBER: u64 = 8;

/// Refuses a table of `rows` rows that needs more bytes than are available.
///
/// # Errors
/// If it does.
pub(super) fn check(
    path: &Path,
    rows: usize,
    columns: usize,
    needed: u64,
    available: Option<u64>,
) -> Result<()> {
    match available {
        Some(available) if needed > available => {
            let (rows, columns) = (counted(rows, "row"), counted(columns, "column"));
            let what = format!(
                "{rows} of {columns} need {needed} bytes of memory, and {available} are available; \
                 read the first rows alone (--rows N)"
            );
            Err(at(path, None, None, what))
        }
        _ => Ok(()),
    }
}

/// Refuses the next `more` bytes of a text that is held in memory, if they are not available.
///
/// # Errors
/// If they are not.
pub(super) fn check_text(
    path: &Path,
    held: usize,
    more: u64,
    available: Option<u64>,
) -> Result<()> {
    match available {
        Some(available) if more > available => {
            let what = format!(
                "it has more than {held} bytes, and {available} of memory are available; a file is \
                 not held in memory"
            );
            Err(at(path, None, None, what))
        }
        _ => Ok(()),
    }
}

/// Bytes of a table of numbers.
pub(super) fn table(rows: usize, columns: usize) -> u64 {
    (rows as u64)
        .saturating_mul(columns as u64)
        .saturating_mul(NUMBER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_does_not_fit_is_refused_with_its_bytes() {
        let refuse = |available| check(Path::new("t.csv"), 1_000, 30, 240_000, available);
        assert!(refuse(None).is_ok() && refuse(Some(240_000)).is_ok());
        let error = refuse(Some(239_999)).unwrap_err().to_string();
        let expected = "t.csv: 1000 rows of 30 columns need 240000 bytes of memory, and 239999 are \
                        available; read the first rows alone (--rows N)";
        assert_eq!(error, expected);
        let text = |available| check_text(Path::new("t.csv"), 100, 200, available);
        assert!(text(None).is_ok() && text(Some(200)).is_ok());
        let error = text(Some(199)).unwrap_err().to_string();
        let expected = "t.csv: it has more than 100 bytes, and 199 of memory are available; a file is \
                        not held in memory";
        assert_eq!(error, expected);
        assert_eq!(table(1_000, 30), 240_000);
        assert_eq!(table(usize::MAX, usize::MAX), u64::MAX);
    }
}
