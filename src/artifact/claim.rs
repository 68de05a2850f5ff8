//! The right to write to a file: only one fit has it at a time, across all processes.
//!
//! A claim is an advisory lock of the operating system on an empty file beside the claimed one,
//! `FILE.lock`. The lock ends with its process, however that ends. So a lock file left by a killed
//! run blocks nobody; the next run takes it over.
//!
//! On Unix the lock file is removed with the claim, while the lock is still held. Whoever locks a
//! file then checks that the file still has its name, so nobody holds the lock of a deleted file.
//! Other systems cannot tell two files of one name apart, so there the empty lock file stays.

use std::collections::BTreeSet;
use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::files::Files;
use crate::error::{Error, Result};

/// Most attempts to lock, since a lock file may vanish between its opening and its locking.
const TRIES: usize = 100;

/// What this process has claimed. Within a process, no lock of the operating system is needed.
static CLAIMED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The right to write to a file, until it is dropped. Every writer has to ask for it: others are
/// not kept out.
#[derive(Debug)]
pub struct Claim {
    lock: Option<Lock>,
    // dropped after the lock: other processes can take the file before this one gives it up
    _entry: Entry,
}

impl Claim {
    /// Claims a file, which need not exist. Links are followed, so two names of one file are one
    /// claim.
    ///
    /// # Errors
    /// [`Error::InUse`] if the file is claimed already; [`Error::Io`] if its directory does not
    /// exist, or `FILE.lock` cannot be made or is something else.
    pub fn of(path: &Path) -> Result<Self> {
        Self::within(&Files::default(), path)
    }

    /// [`Claim::of`] in the given file system.
    pub(crate) fn within(files: &Files, path: &Path) -> Result<Self> {
        Self::with(files, path, File::try_lock)
    }

    /// False if other processes cannot be detected, as on a file system without locks. Other
    /// threads are refused all the same.
    pub fn keeps_processes_out(&self) -> bool {
        self.lock.is_some()
    }

    fn with(
        files: &Files,
        path: &Path,
        try_lock: impl Fn(&File) -> std::result::Result<(), TryLockError>,
    ) -> Result<Self> {
        let in_use = || Error::InUse {
            path: path.to_path_buf(),
        };
        let real = real_path(path).map_err(|source| Error::Io {
            path: path.to_path_buf(),
            source,
        })?;
        let lock_path = beside(&real);
        let entry = Entry::new(real).ok_or_else(in_use)?;
        let lock = Lock::take(files, &lock_path, try_lock).map_err(|source| Error::Io {
            path: lock_path.clone(),
            source,
        })?;
        match lock {
            Outcome::Held(lock) => Ok(Self {
                lock: Some(lock),
                _entry: entry,
            }),
            Outcome::NoLocks => Ok(Self {
                lock: None,
                _entry: entry,
            }),
            Outcome::Taken => Err(in_use()),
        }
    }
}

/// The canonical name of a file, whether it exists or not.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    let no_file = || io::Error::other("it is not the name of a file");
    match path.canonicalize() {
        Ok(real) if real.is_dir() => return Err(no_file()),
        Ok(real) => return Ok(real),
        Err(_) => {}
    }
    let name = path.file_name().ok_or_else(no_file)?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    Ok(parent.unwrap_or(Path::new(".")).canonicalize()?.join(name))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".lock");
    name.into()
}

/// A path among [`CLAIMED`].
#[derive(Debug)]
struct Entry(PathBuf);

impl Entry {
    fn new(path: PathBuf) -> Option<Self> {
        // do not build a refused entry: its drop would remove the other's path from the set
        let new = claimed().insert(path.clone());
        new.then(|| Self(path))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        claimed().remove(&self.0);
    }
}

fn claimed() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // the set is intact, whatever happened to a thread that held the lock
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lock file that is locked.
#[derive(Debug)]
struct Lock {
    files: Files,
    path: PathBuf,
    file: File,
}

enum Outcome {
    Held(Lock),
    Taken,
    NoLocks,
}

impl Lock {
    fn take(
        files: &Files,
        path: &Path,
        try_lock: impl Fn(&File) -> std::result::Result<(), TryLockError>,
    ) -> io::Result<Outcome> {
        let foreign = || io::Error::other("it is there and not a lock of a fit");
        for _ in 0..TRIES {
            // opening a pipe would wait for its other end
            if std::fs::symlink_metadata(path).is_ok_and(|m| !m.is_file()) {
                return Err(foreign());
            }
            let file = files.open_lock(path)?;
            if file.metadata()?.len() > 0 {
                return Err(foreign());
            }
            match try_lock(&file) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Outcome::Taken),
                // any other failure means a file system without locks; NFS without its lock daemon
                // has its own error code
                Err(TryLockError::Error(_)) => {
                    remove(files, path, &file);
                    return Ok(Outcome::NoLocks);
                }
            }
            if has_name(&file, path) {
                let (files, path) = (files.clone(), path.to_path_buf());
                return Ok(Outcome::Held(Self { files, path, file }));
            }
        }
        Err(io::Error::other("it is made and removed without end"))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // the file is closed after this, which ends the lock
        remove(&self.files, &self.path, &self.file);
    }
}

/// Removes a lock file that still has its name. A failure does no harm: it leaves an empty file
/// without a lock.
fn remove(files: &Files, path: &Path, file: &File) {
    if cfg!(unix) && has_name(file, path) {
        let _ = files.remove(path);
    }
}

/// Whether `path` still names this open file, and not another one made since.
fn has_name(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => same(&open, &named),
        _ => false,
    }
}

#[cfg(unix)]
fn same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn same(_: &Metadata, _: &Metadata) -> bool {
    true
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
