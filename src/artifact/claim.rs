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
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
        Self::with(path, File::try_lock)
    }

    /// False if other processes cannot be detected, as on a file system without locks. Other
    /// threads are refused all the same.
    pub fn keeps_processes_out(&self) -> bool {
        self.lock.is_some()
    }

    fn with(
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
        let lock = Lock::take(&lock_path, try_lock).map_err(|source| Error::Io {
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
        path: &Path,
        try_lock: impl Fn(&File) -> std::result::Result<(), TryLockError>,
    ) -> io::Result<Outcome> {
        let foreign = || io::Error::other("it is there and not a lock of a fit");
        for _ in 0..TRIES {
            // opening a pipe would wait for its other end
            if std::fs::symlink_metadata(path).is_ok_and(|m| !m.is_file()) {
                return Err(foreign());
            }
            let mut options = OpenOptions::new();
            let file = options
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            if file.metadata()?.len() > 0 {
                return Err(foreign());
            }
            match try_lock(&file) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Outcome::Taken),
                // any other failure means a file system without locks; NFS without its lock daemon
                // has its own error code
                Err(TryLockError::Error(_)) => {
                    remove(path, &file);
                    return Ok(Outcome::NoLocks);
                }
            }
            if has_name(&file, path) {
                let path = path.to_path_buf();
                return Ok(Outcome::Held(Self { path, file }));
            }
        }
        Err(io::Error::other("it is made and removed without end"))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // the file is closed after this, which ends the lock
        remove(&self.path, &self.file);
    }
}

/// Removes a lock file that still has its name. A failure does no harm: it leaves an empty file
/// without a lock.
fn remove(path: &Path, file: &File) {
    if cfg!(unix) && has_name(file, path) {
        let _ = std::fs::remove_file(path);
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
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let name = |e: io::Result<std::fs::DirEntry>| e.unwrap().file_name();
        let mut all: Vec<String> = entries
            .map(|e| name(e).to_str().unwrap().to_string())
            .collect();
        all.sort();
        all
    }

    fn no_locks(_: &File) -> std::result::Result<(), TryLockError> {
        Err(TryLockError::Error(io::ErrorKind::Unsupported.into()))
    }

    #[test]
    fn a_file_is_claimed_once_and_again_when_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.fw");
        let first = Claim::of(&path).unwrap();
        assert!(first.keeps_processes_out());
        assert_eq!(names(dir.path()), ["m.fw.lock"]);
        let error = Claim::of(&path).unwrap_err();
        assert!(matches!(&error, Error::InUse { path: p } if p == &path));
        let said = error.to_string();
        assert!(said.contains("m.fw") && said.contains("wait"), "{said}");
        // the refused claim leaves the first one intact
        assert!(Claim::of(&path).is_err());
        assert_eq!(names(dir.path()), ["m.fw.lock"]);
        let other = Claim::of(&dir.path().join("n.fw")).unwrap();
        drop((first, other));
        assert_eq!(names(dir.path()), [""; 0]);
        drop(Claim::of(&path).unwrap());
    }

    #[test]
    fn another_handle_on_the_lock_keeps_a_claim_out_and_a_file_left_behind_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.fw");
        // as if from another process, which this one's list does not know
        let other = File::create(beside(&path)).unwrap();
        other.try_lock().unwrap();
        assert!(matches!(Claim::of(&path), Err(Error::InUse { .. })));
        drop(other);
        assert_eq!(
            names(dir.path()),
            ["m.fw.lock"],
            "as a killed run leaves it"
        );
        drop(Claim::of(&path).unwrap());
        assert_eq!(names(dir.path()), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_file_that_is_removed_before_it_is_locked_is_not_held() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.fw");
        let removed = std::cell::Cell::new(0);
        let claim = Claim::with(&path, |file| {
            if removed.get() < 3 {
                removed.set(removed.get() + 1);
                std::fs::remove_file(beside(&path)).unwrap();
            }
            file.try_lock()
        });
        let claim = claim.unwrap();
        let lock = OpenOptions::new().write(true).open(beside(&path)).unwrap();
        assert!(lock.try_lock().is_err(), "the file of that name is locked");
        // another file of the same name is not this claim's to remove
        std::fs::remove_file(beside(&path)).unwrap();
        std::fs::write(beside(&path), "").unwrap();
        drop(claim);
        assert_eq!(names(dir.path()), ["m.fw.lock"]);
        let endless = Claim::with(&path, |file| {
            std::fs::remove_file(beside(&path)).unwrap();
            file.try_lock()
        });
        assert!(matches!(endless, Err(Error::Io { .. })));
        assert!(Claim::of(&path).is_ok(), "a failure leaves nothing claimed");
    }

    #[cfg(unix)]
    #[test]
    fn two_names_of_a_file_are_one_claim() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        let held = Claim::of(&link).unwrap();
        let roundabout = dir.path().join("sub/../real");
        for name in [&real, &link, &roundabout] {
            let refused = Claim::of(name);
            assert!(matches!(refused, Err(Error::InUse { .. })), "{name:?}");
        }
        drop(held);
        let roundabout = dir.path().join("sub/../new");
        let _held = Claim::of(&roundabout).unwrap();
        assert!(Claim::of(&dir.path().join("new")).is_err());
    }

    #[test]
    fn without_locks_threads_are_still_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.fw");
        let claim = Claim::with(&path, no_locks).unwrap();
        assert!(!claim.keeps_processes_out());
        assert!(matches!(
            Claim::with(&path, no_locks),
            Err(Error::InUse { .. })
        ));
        drop(claim);
        drop(Claim::with(&path, no_locks).unwrap());
        assert_eq!(names(dir.path()), [""; 0]);
    }

    #[test]
    fn a_file_of_something_else_is_neither_locked_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.fw");
        std::fs::write(beside(&path), "notes").unwrap();
        let said = Claim::of(&path).unwrap_err().to_string();
        assert!(said.contains("m.fw.lock"), "{said}");
        assert_eq!(std::fs::read(beside(&path)).unwrap(), b"notes");
        std::fs::remove_file(beside(&path)).unwrap();
        std::fs::create_dir(beside(&path)).unwrap();
        assert!(Claim::of(&path).is_err());
        assert!(Claim::of(&dir.path().join("no/m.fw")).is_err());
        for no_file in ["..", ".", "", "/"] {
            let refused = Claim::of(Path::new(no_file));
            assert!(matches!(refused, Err(Error::Io { .. })), "{no_file}");
        }
    }

    /// However claims are taken and dropped, no two threads ever hold the file at once.
    #[test]
    fn many_threads_have_it_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.fw");
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let start = Barrier::new(8);
        // long enough for another thread to come in between, if it could
        let pause = || std::thread::sleep(std::time::Duration::from_micros(20));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..500 {
                        // each acts as a separate process: only the lock tells them apart
                        let lock = Lock::take(&beside(&path), |file| {
                            pause();
                            file.try_lock()
                        });
                        let lock = lock.unwrap();
                        if let Outcome::Held(lock) = lock {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            taken.fetch_add(1, Ordering::SeqCst);
                            pause();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(taken.load(Ordering::SeqCst) > 0);
        assert_eq!(names(dir.path()), [""; 0]);
    }
}
