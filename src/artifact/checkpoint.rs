//! A checkpoint of a running walk: a file from which another process can continue it unchanged.
//!
//! It holds everything that the rest of the walk depends on.
//!
//! | bytes | content |
//! |---|---|
//! | 23 | `fiberwalk checkpoint 1` and a newline |
//! | 8, and as many as they say | JSON: what the checkpoint belongs to, and notes for resuming |
//! | the rest | fields, in the order in which the state visits them |
//! | 8 | [checksum](super::checksum) of all before |
//!
//! A field is its kind (`v`, `n` or `c`), the length of its name (1 byte), its name, its number of
//! entries, and its entries. Numbers are little-endian. Those of kind `v` have the precision of the
//! fit, `n` is f64, and `c` is a 64-bit count. Fields are written and read one after the other, in
//! pieces, so neither side holds a copy of the state.
//!
//! A file may be hostile. Its checksum is compared before anything is parsed. Nothing is allocated
//! beyond what the file's own size accounts for. Code that restores from it checks that lengths fit
//! ([`Fields::fixed_vector`]).

use std::io::{self, BufReader, Read, Seek, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::atomic::write_in;
use super::checksum::Checksum;
use super::files::{Files, Handle};
use super::mark::{check_replaceable, is_own, remove_own};
use super::tensors::{number, write_numbers};
use crate::error::{Error, Result, counted};
use crate::scalar::Scalar;
use crate::walk::Fields;

const MAGIC: &[u8] = b"fiberwalk checkpoint 1\n";

/// The start of a checkpoint of any version.
const MARK: &[u8] = b"fiberwalk checkpoint ";

/// Bytes read at a time.
const PIECE: usize = 1 << 16;

/// The header of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointHeader {
    /// Everything the state depends on besides itself, by name. A fit that resumes must have the
    /// same.
    pub identity: Vec<(String, String)>,
    /// Notes for the fit that resumes.
    pub notes: String,
}

impl CheckpointHeader {
    /// The first difference from `identity`, as a sentence.
    pub fn difference(&self, identity: &[(String, String)]) -> Option<String> {
        let differs = |&(mine, theirs): &(&(String, String), &(String, String))| mine != theirs;
        let another = || Some("it was written by another version of this program".into());
        match identity.iter().zip(&self.identity).find(differs) {
            Some(((name, mine), (theirs_name, theirs))) if name == theirs_name => Some(format!(
                "it was written by a fit with {name} = {theirs}, this one has {name} = {mine}"
            )),
            Some(_) => another(),
            None if self.identity.len() != identity.len() => another(),
            None => None,
        }
    }
}

/// Writes a checkpoint atomically. `state` visits all fields.
///
/// # Errors
/// [`Error::Io`] if writing fails, or if the path holds a file of something else; and those of
/// `state`.
pub fn write_checkpoint<T: Scalar>(
    path: &Path,
    header: &CheckpointHeader,
    state: impl FnOnce(&mut dyn Fields<T>) -> Result<()>,
) -> Result<()> {
    write_checkpoint_in((&Files::default(), path), header, state)
}

/// True if there is a checkpoint, of any version.
pub(super) fn holds_checkpoint(files: &Files, path: &Path) -> bool {
    is_own(files, path, MARK).unwrap_or(false)
}

/// Refuses a path that holds something besides a checkpoint.
pub(crate) fn check_checkpoint_place(files: &Files, path: &Path) -> Result<()> {
    let checked = check_replaceable(files, path, MARK, "a checkpoint of a walk");
    checked.map_err(io_of(path))
}

/// [`write_checkpoint`] in the given file system.
pub(crate) fn write_checkpoint_in<T: Scalar>(
    (files, path): (&Files, &Path),
    header: &CheckpointHeader,
    state: impl FnOnce(&mut dyn Fields<T>) -> Result<()>,
) -> Result<()> {
    check_checkpoint_place(files, path)?;
    let mut failed = None;
    let written = write_in(files, path, |out: &mut dyn Write| {
        let mut writer = Writer {
            path,
            out,
            sum: Checksum::new(),
        };
        let json = serde_json::to_vec(header)?;
        writer.write_all(MAGIC)?;
        writer.write_all(&(json.len() as u64).to_le_bytes())?;
        writer.write_all(&json)?;
        if let Err(error) = state(&mut writer) {
            failed = Some(error);
            return Err(io::Error::other("the state could not be gone through"));
        }
        let sum = writer.sum.value();
        out.write_all(&sum.to_le_bytes())
    });
    match failed {
        Some(error) => Err(error),
        None => written,
    }
}

/// Removes a checkpoint. Does nothing if there is none, or if the file is something else.
///
/// # Errors
/// [`Error::Io`] if it exists and cannot be removed.
pub fn remove_checkpoint(path: &Path) -> Result<()> {
    remove_checkpoint_in(&Files::default(), path)
}

/// [`remove_checkpoint`] in the given file system.
pub(crate) fn remove_checkpoint_in(files: &Files, path: &Path) -> Result<()> {
    remove_own(files, path, MARK).map_err(io_of(path))
}

struct Writer<'a> {
    path: &'a Path,
    out: &'a mut dyn Write,
    sum: Checksum,
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.sum.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Writer<'_> {
    fn field(
        &mut self,
        (kind, name, count): (u8, &str, usize),
        entries: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> Result<()> {
        let Ok(length) = u8::try_from(name.len()) else {
            return Err(Error::config("field", name, "must have a shorter name"));
        };
        let start = [&[kind, length], name.as_bytes()].concat();
        let outcome = self
            .write_all(&start)
            .and_then(|()| self.write_all(&(count as u64).to_le_bytes()))
            .and_then(|()| entries(self));
        outcome.map_err(io_of(self.path))
    }
}

impl<T: Scalar> Fields<T> for Writer<'_> {
    fn vector(&mut self, name: &str, value: &mut Vec<T>) -> Result<()> {
        self.field((b'v', name, value.len()), |w| write_numbers(value, w))
    }

    fn numbers(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()> {
        self.field((b'n', name, value.len()), |w| write_numbers(value, w))
    }

    fn counts(&mut self, name: &str, value: &mut Vec<usize>) -> Result<()> {
        self.field((b'c', name, value.len()), |w| {
            let mut each = value.iter();
            each.try_for_each(|&n| w.write_all(&(n as u64).to_le_bytes()))
        })
    }
}

/// Reads a checkpoint, field by field.
pub struct CheckpointReader<T> {
    path: PathBuf,
    header: CheckpointHeader,
    file: BufReader<Handle>,
    /// Bytes before the checksum that are still unread.
    left: u64,
    precision: PhantomData<T>,
}

impl<T: Scalar> CheckpointReader<T> {
    /// Opens a checkpoint and checks that its bytes are as they were written.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if there is none, or it is damaged or foreign; [`Error::Io`] if it
    /// cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_in(&Files::default(), path)
    }

    /// [`CheckpointReader::open`] in the given file system.
    pub(crate) fn open_in(files: &Files, path: &Path) -> Result<Self> {
        let io = io_of(path);
        let file = match files.open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(wrong(path, "there is none to resume from"));
            }
            outcome => outcome.map_err(&io)?,
        };
        let about = file.metadata().map_err(&io)?;
        let all = about.len();
        let Some(left) = all.checked_sub(8).filter(|_| about.is_file()) else {
            return Err(wrong(path, "it is not a checkpoint"));
        };
        let mut reader = Self {
            path: path.to_path_buf(),
            header: CheckpointHeader::default(),
            file: BufReader::with_capacity(PIECE, file),
            left,
            precision: PhantomData,
        };
        if left < MAGIC.len() as u64 || reader.bytes(MAGIC.len())? != MAGIC {
            return Err(reader.wrong("it is not a checkpoint of this version"));
        }
        reader.compare_checksums()?;
        let length = reader.count()?;
        let json = reader.bytes(length)?;
        reader.header = serde_json::from_slice(&json)
            .map_err(|e| reader.wrong(format!("its header does not parse: {e}")))?;
        Ok(reader)
    }

    /// The header.
    pub fn header(&self) -> &CheckpointHeader {
        &self.header
    }

    /// An error that says what is wrong with this checkpoint.
    pub fn wrong(&self, what: impl Into<String>) -> Error {
        wrong(&self.path, what)
    }

    /// Checks that all fields have been read.
    ///
    /// # Errors
    /// If some are left.
    pub fn finish(self) -> Result<()> {
        match self.left {
            0 => Ok(()),
            left => Err(self.wrong(format!("{} too many", counted(left, "byte")))),
        }
    }

    /// Reads the whole file once to compare checksums, then returns to where it was.
    fn compare_checksums(&mut self) -> Result<()> {
        let (mut sum, mut left) = (Checksum::new(), self.left);
        sum.add(MAGIC);
        let mut piece = vec![0; PIECE];
        while left > 0 {
            let bytes = left.min(PIECE as u64) as usize;
            self.read(&mut piece[..bytes])?;
            sum.add(&piece[..bytes]);
            left -= bytes as u64;
        }
        let mut written = [0; 8];
        self.read(&mut written)?;
        if written != sum.value().to_le_bytes() {
            return Err(self.wrong("it is damaged: its checksum is another"));
        }
        let back = io::SeekFrom::Start(MAGIC.len() as u64);
        self.file.seek(back).map(drop).map_err(io_of(&self.path))
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.file
            .read_exact(bytes)
            .map_err(|source| match source.kind() {
                io::ErrorKind::UnexpectedEof => self.wrong("it is truncated"),
                _ => io_of(&self.path)(source),
            })
    }

    /// Accounts for `count` entries of `width` bytes that are about to be read.
    fn take(&mut self, count: usize, width: usize) -> Result<()> {
        let bytes = (count as u64).checked_mul(width as u64);
        match bytes.and_then(|bytes| self.left.checked_sub(bytes)) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.wrong("it is damaged: a length is beyond its end")),
        }
    }

    fn bytes(&mut self, count: usize) -> Result<Vec<u8>> {
        self.take(count, 1)?;
        let mut bytes = vec![0; count];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    fn count(&mut self) -> Result<usize> {
        self.take(1, 8)?;
        let mut bytes = [0; 8];
        self.read(&mut bytes)?;
        usize::try_from(u64::from_le_bytes(bytes))
            .map_err(|_| self.wrong("it is damaged: a count is out of range"))
    }

    /// Reads the entries of the next field, `width` bytes each.
    fn entries<E>(
        &mut self,
        (kind, name): (u8, &str),
        width: usize,
        value: &mut Vec<E>,
        entry: impl Fn(&[u8]) -> Option<E>,
    ) -> Result<()> {
        let start = self.bytes(2)?;
        let length = usize::from(start[1]);
        if start[0] != kind || self.bytes(length)? != name.as_bytes() {
            return Err(self.wrong(format!("field '{name}' is not where it belongs")));
        }
        let count = self.count()?;
        self.take(count, width)?;
        value.clear();
        value.reserve_exact(count);
        let mut piece = vec![0; (PIECE / width * width).min(count * width)];
        let mut left = count;
        while left > 0 {
            let now = left.min(PIECE / width);
            let bytes = &mut piece[..now * width];
            self.read(bytes)?;
            for bytes in bytes.chunks_exact(width) {
                match entry(bytes) {
                    Some(entry) => value.push(entry),
                    None => return Err(self.wrong(format!("field '{name}' is out of range"))),
                }
            }
            left -= now;
        }
        Ok(())
    }
}

impl<T: Scalar> Fields<T> for CheckpointReader<T> {
    fn vector(&mut self, name: &str, value: &mut Vec<T>) -> Result<()> {
        let width = size_of::<T>();
        self.entries((b'v', name), width, value, |b| Some(number(b)))
    }

    fn numbers(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()> {
        self.entries((b'n', name), 8, value, |b| Some(number(b)))
    }

    fn counts(&mut self, name: &str, value: &mut Vec<usize>) -> Result<()> {
        self.entries((b'c', name), 8, value, |b| {
            let bytes = b.try_into().ok()?;
            usize::try_from(u64::from_le_bytes(bytes)).ok()
        })
    }
}

fn io_of(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |source| Error::Io {
        path: path.to_path_buf(),
        source,
    }
}

fn wrong(path: &Path, what: impl Into<String>) -> Error {
    Error::Checkpoint {
        file: path.to_path_buf(),
        what: what.into(),
    }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
