use super::*;
use std::fs::OpenOptions;
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
    let claim = Claim::with(&Files::default(), &path, |file| {
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
    let endless = Claim::with(&Files::default(), &path, |file| {
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
    let claim = Claim::with(&Files::default(), &path, no_locks).unwrap();
    assert!(!claim.keeps_processes_out());
    assert!(matches!(
        Claim::with(&Files::default(), &path, no_locks),
        Err(Error::InUse { .. })
    ));
    drop(claim);
    drop(Claim::with(&Files::default(), &path, no_locks).unwrap());
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
                    let lock = Lock::take(&Files::default(), &beside(&path), |file| {
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
