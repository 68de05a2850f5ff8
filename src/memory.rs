//! How much memory this process can still take, and refusals of what needs more.
//!
//! A system that promises more memory than it has ends the program without a word when the memory
//! is used, and a program that asks for more than its limit ends with an abort. So sizes that a
//! user's numbers decide are computed first, and compared with what the system says is available.

use crate::error::{Error, Result};

/// Bytes that this process can still take: what Linux says is available, what its own control group
/// (of version 2) leaves, or what the limit of the process (`ulimit -v`) does, whichever is least.
/// `None` on other systems, where nothing is refused.
pub(crate) fn available() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let of_machine = read("/proc/meminfo").and_then(|text| kib_in(&text, "MemAvailable:"));
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let limit = number("/sys/fs/cgroup/memory.max");
    let used = number("/sys/fs/cgroup/memory.current");
    // files that were read count as used, and make room when memory is needed
    let files = read("/sys/fs/cgroup/memory.stat").map_or(0, |text| files_in(&text));
    let of_group = limit
        .zip(used)
        .map(|(limit, used)| limit.saturating_sub(used.saturating_sub(files)));
    let limit = read("/proc/self/limits").and_then(|text| limit_in(&text));
    let used = read("/proc/self/status").and_then(|text| kib_in(&text, "VmSize:"));
    let of_process = limit
        .zip(used)
        .map(|(limit, used)| limit.saturating_sub(used));
    [of_machine, of_group, of_process]
        .into_iter()
        .flatten()
        .min()
}

/// Refuses the value of an option that takes more bytes than are available.
///
/// # Errors
/// If it does.
pub(crate) fn check(field: &'static str, value: impl ToString, needed: u64) -> Result<()> {
    check_against(field, value, needed, available())
}

fn check_against(
    field: &'static str,
    value: impl ToString,
    needed: u64,
    available: Option<u64>,
) -> Result<()> {
    match available {
        Some(available) if needed > available => {
            let requirement = format!(
                "needs about {needed} bytes of memory, and {available} are available; take fewer"
            );
            Err(Error::config(field, value, &requirement))
        }
        _ => Ok(()),
    }
}

/// Bytes of `count` things of so many bytes each.
pub(crate) fn bytes(count: usize, each: usize) -> u64 {
    (count as u64).saturating_mul(each as u64)
}

/// A line such as `MemAvailable:  1234 kB`, in bytes.
fn kib_in(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
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

/// The soft limit of the line `Max address space  1234  unlimited  bytes`; `None` without one.
fn limit_in(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_linux_are_read() {
        let text = "MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:   20480 kB\nBuffers: 2 kB\n";
        let available_in = |text| kib_in(text, "MemAvailable:");
        assert_eq!(available_in(text), Some(20_480 * 1024));
        assert_eq!(available_in("MemTotal: 9 kB\n"), None);
        assert_eq!(available_in("MemAvailable: many kB\n"), None);
        let stat = "anon 5\nfile 90\ninactive_file 30\nactive_file 7\nunevictable 0\n";
        assert_eq!((files_in(stat), files_in("")), (37, 0));
        let limits = "Limit   Soft Limit  Hard Limit  Units\n\
                      Max address space         2048000  unlimited            bytes\n";
        assert_eq!(limit_in(limits), Some(2_048_000));
        let none = "Max address space         unlimited            unlimited            bytes\n";
        assert_eq!(limit_in(none), None);
        // whatever the machine says, it is a sensible number
        assert!(available().is_none_or(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_bytes() {
        let refuse = |available| check_against("samples", 7, 800, available);
        assert!(refuse(None).is_ok() && refuse(Some(800)).is_ok());
        let error = refuse(Some(799)).unwrap_err().to_string();
        let expected = "needs about 800 bytes of memory, and 799 are available; take fewer";
        assert!(
            error.contains("samples") && error.contains(expected),
            "{error}"
        );
        assert_eq!(bytes(usize::MAX, 9), u64::MAX);
    }
}
