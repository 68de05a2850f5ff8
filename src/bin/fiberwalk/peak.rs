//! The most memory that this process has had since it was last asked to forget, where the system tells (Linux).

use std::fs;

/// Forgets what the most was: it is what the process has now, with all that the allocator keeps of what came before. False if the system does not do that.
pub fn reset() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The most since then, in MiB.
pub fn mib() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
