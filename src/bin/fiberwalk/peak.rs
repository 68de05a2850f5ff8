//! Peak memory of this process since the last reset, where the system reports it (Linux).

use std::fs;

/// Resets the peak to what the process holds now. That includes memory that the allocator kept from
/// earlier work. Returns false if the system does not support it.
pub fn reset() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Peak memory since the last reset, in MiB.
pub fn mib() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
