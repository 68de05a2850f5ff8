//! Files that are either complete or absent.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

use super::files::{Files, Handle};
use crate::error::{Error, Result};

/// Writes a file through a temporary one in the same directory, which is renamed once everything is
/// on disk.
///
/// If anything fails, an existing file stays untouched and the temporary one is removed. Symbolic
/// links are followed. A file that is replaced keeps its permissions.
///
/// # Errors
/// [`Error::Io`] with the path; also if the path holds something other than a regular file, or a
/// file that is write-protected.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    write_in(&Files::default(), path, write)
}

/// [`write_atomically`] in the given file system.
pub(crate) fn write_in(
    files: &Files,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let mut write = Some(write);
    let written = create(files, path, &mut |out| {
        write.take().map_or(Ok(()), |write| write(out))
    });
    written.map(drop).map_err(|source| Error::Io {
        path: path.to_path_buf(),
        source,
    })
}

/// Creates a file with what `write` writes, and leaves it open behind that. `write` is called once.
/// Not generic: compiled once for all that is written.
pub(super) fn create(
    files: &Files,
    path: &Path,
    write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<Handle> {
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let before = std::fs::metadata(path).ok();
    if before.as_ref().is_some_and(|m| !m.is_file()) {
        return Err(io::Error::other("it is there and not a regular file"));
    }
    if before.as_ref().is_some_and(|m| m.permissions().readonly()) {
        let what = "it is there and write-protected";
        return Err(io::Error::new(ErrorKind::PermissionDenied, what));
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".fiberwalk-");
    #[cfg(unix)]
    {
        // less what the process's umask removes, as for any other new file
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut buffered = BufWriter::new(files.temporary(&builder, directory)?);
    write(&mut buffered)?;
    let file = buffered
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    if let Some(before) = before {
        file.set_permissions(before.permissions())?;
    }
    file.persist(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        write_atomically(&path, |w| w.write_all(b"old")).unwrap();
        let outcome = write_atomically(&path, |w| {
            w.write_all(b"half")?;
            Err(std::io::Error::other("disk on fire"))
        });
        assert!(outcome.unwrap_err().to_string().contains("disk on fire"));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_atomically(&dir.path().join("no/such"), |_| Ok(())).is_err());
        assert!(
            write_atomically(dir.path(), |_| Ok(())).is_err(),
            "a directory"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_write_protected_file_is_not_replaced() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, b"old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
        let error = write_atomically(&path, |w| w.write_all(b"new")).unwrap_err();
        assert!(error.to_string().contains("write-protected"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_permissions_kept() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        std::fs::write(&real, b"old").unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write_atomically(&link, |w| w.write_all(b"new")).unwrap();
        assert_eq!(std::fs::read(&real).unwrap(), b"new");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            std::fs::metadata(&real).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
