//! Recognises the program's own files by their first bytes. A file of anything else is neither
//! replaced nor removed.

use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::files::Files;

/// True if the path holds a file that begins with `mark`.
pub(super) fn is_own(files: &Files, path: &Path, mark: &[u8]) -> io::Result<bool> {
    // opening a pipe would wait for its other end
    match std::fs::metadata(path) {
        Ok(about) if about.is_file() => {}
        _ => return Ok(false),
    }
    let mut start = vec![0; mark.len()];
    match files.open(path)?.read_exact(&mut start) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| start == mark),
    }
}

/// Refuses a path that holds something besides an empty file or one that begins with `mark`: it is
/// not `what`.
pub(super) fn check_replaceable(
    files: &Files,
    path: &Path,
    mark: &[u8],
    what: &str,
) -> io::Result<()> {
    let empty = std::fs::metadata(path).map_or(true, |m| m.is_file() && m.len() == 0);
    if empty || is_own(files, path, mark)? {
        return Ok(());
    }
    Err(io::Error::other(format!("it is there and not {what}")))
}

/// Removes a file that begins with `mark`, and no other.
pub(super) fn remove_own(files: &Files, path: &Path, mark: &[u8]) -> io::Result<()> {
    match is_own(files, path, mark)? {
        true => files.remove(path),
        false => Ok(()),
    }
}
