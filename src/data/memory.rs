//! Whether a table fits into memory, before it is built.
//!
//! A system that promises more memory than it has ends the program without a word when the memory
//! is used. So the size is computed first, and compared with what the system says is available.

use std::path::Path;

use super::csv::at;
use crate::error::{Result, counted};

/// Bytes of a number.
pub(super) const NUMBER: u64 = 8;

/// Bytes that this process can still take: what Linux says is available, or what a control group
/// leaves. `None` on other systems, where nothing is refused.
pub(super) fn available() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let of_machine = read("/proc/meminfo").and_then(|text| available_in(&text));
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let limit = number("/sys/fs/cgroup/memory.max");
    let used = number("/sys/fs/cgroup/memory.current");
    // files that were read count as used, and make room when memory is needed
    let files = read("/sys/fs/cgroup/memory.stat").map_or(0, |text| files_in(&text));
    let of_group = limit
        .zip(used)
        .map(|(limit, used)| limit.saturating_sub(used.saturating_sub(files)));
    match (of_machine, of_group) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The line `MemAvailable:  1234 kB`.
fn available_in(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The lines `active_file 1234` and `inactive_file 1234`, in bytes.
fn files_in(text: &str) -> u64 {
    let one = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|l| l.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    let all = ["active_file ", "inactive_file "].into_iter();
    all.filter_map(one).sum()
}

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

    #[test]
    fn the_line_of_linux_is_read() {
        let text = "MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:   20480 kB\nBuffers: 2 kB\n";
        assert_eq!(available_in(text), Some(20_480 * 1024));
        assert_eq!(available_in("MemTotal: 9 kB\n"), None);
        assert_eq!(available_in("MemAvailable: many kB\n"), None);
        let stat = "anon 5\nfile 90\ninactive_file 30\nactive_file 7\nunevictable 0\n";
        assert_eq!((files_in(stat), files_in("")), (37, 0));
        // whatever the machine says, it is a sensible number
        assert!(available().is_none_or(|bytes| bytes > 1 << 20));
    }
}
