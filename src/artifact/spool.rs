//! Points of a walk in a file, written as they are kept.
//!
//! The points then take no memory, however many there are.
//!
//! | bytes | content |
//! |---|---|
//! | 32 | `fiberwalk points 1`, blanks, and a newline |
//! | the rest | points `[n, P]`, row-major, little-endian, in the precision of the fit |
//!
//! Points are only appended, by one walk: the file is [claimed](Claim) for as long as its [`Spool`]
//! exists. A checkpoint that records the number of points and their [checksum](super::checksum) is
//! enough to resume. Later points are cut off.

use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use super::atomic;
use super::checksum::Checksum;
use super::claim::Claim;
use super::files::{Files, Handle};
use super::mark::{check_replaceable, remove_own};
use super::tensors::{number, write_numbers};
use crate::error::{Error, Result};
use crate::model::{Posterior, thinned};
use crate::rng::Streams;
use crate::scalar::Scalar;

const MAGIC: &[u8; 32] = b"fiberwalk points 1             \n";

/// The start of a file of points of any version.
const MARK: &[u8] = b"fiberwalk points ";

/// What messages call it.
const WHAT: &str = "a file of points of a walk";

/// Bytes read at a time.
const PIECE: usize = 1 << 16;

/// Points in a file, and their number.
#[derive(Debug)]
pub struct Spool<T> {
    path: PathBuf,
    /// None before the first point.
    file: Option<BufWriter<Handle>>,
    dim: usize,
    count: usize,
    sum: Checksum,
    resumable: bool,
    precision: PhantomData<T>,
    files: Files,
    _claim: Claim,
}

impl<T: Scalar> Spool<T> {
    /// No points and no file yet. The first point creates the file, or replaces that of another
    /// walk.
    ///
    /// # Errors
    /// [`Error::InUse`] if another walk writes to it; [`Error::Io`] if the path holds something
    /// else.
    pub fn create(path: &Path, dim: usize) -> Result<Self> {
        Self::create_in(&Files::default(), path, dim)
    }

    /// [`Spool::create`] in the given file system.
    pub(crate) fn create_in(files: &Files, path: &Path, dim: usize) -> Result<Self> {
        let claim = Claim::within(files, path)?;
        check_replaceable(files, path, MARK, WHAT).map_err(of(path))?;
        Ok(Self::of_file((files, path), None, dim, claim))
    }

    /// Opens the file of a walk that resumes after `count` points with the given checksum. Later
    /// points are cut off.
    ///
    /// # Errors
    /// [`Error::InUse`] if another walk writes to it; [`Error::Checkpoint`] if the file does not
    /// exist or its first points differ; [`Error::Io`] if it cannot be used.
    pub fn resume(path: &Path, dim: usize, count: usize, checksum: u64) -> Result<Self> {
        Self::resume_in((&Files::default(), path), dim, count, checksum)
    }

    /// [`Spool::resume`] in the given file system.
    pub(crate) fn resume_in(
        (files, path): (&Files, &Path),
        dim: usize,
        count: usize,
        checksum: u64,
    ) -> Result<Self> {
        let claim = Claim::within(files, path)?;
        let wrong = |what: &str| Error::Checkpoint {
            file: path.to_path_buf(),
            what: what.into(),
        };
        let mut file = match files.open_to_change(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(wrong(
                    "it holds the points of the walk to be resumed, and is not there",
                ));
            }
            outcome => outcome.map_err(of(path))?,
        };
        let bytes = (count as u64).checked_mul((dim * size_of::<T>()) as u64);
        let end = bytes.and_then(|b| b.checked_add(MAGIC.len() as u64));
        let about = file.metadata().map_err(of(path))?;
        let (Some(bytes), Some(end)) = (bytes, end.filter(|&end| end <= about.len())) else {
            return Err(wrong("it has fewer points than the checkpoint says"));
        };
        let mut start = [0; MAGIC.len()];
        file.read_exact(&mut start).map_err(of(path))?;
        let (mut sum, mut left, mut piece) = (Checksum::new(), bytes, vec![0; PIECE]);
        while left > 0 {
            let now = left.min(PIECE as u64) as usize;
            file.read_exact(&mut piece[..now]).map_err(of(path))?;
            sum.add(&piece[..now]);
            left -= now as u64;
        }
        if &start != MAGIC || sum.value() != checksum {
            return Err(wrong("its points are not those of the checkpoint"));
        }
        file.set_len(end).map_err(of(path))?;
        file.seek(SeekFrom::Start(end)).map_err(of(path))?;
        Ok(Self {
            count,
            sum,
            resumable: true,
            ..Self::of_file((files, path), Some(BufWriter::new(file)), dim, claim)
        })
    }

    fn of_file(
        (files, path): (&Files, &Path),
        file: Option<BufWriter<Handle>>,
        dim: usize,
        claim: Claim,
    ) -> Self {
        Self {
            path: path.to_path_buf(),
            file,
            dim,
            count: 0,
            sum: Checksum::new(),
            resumable: false,
            precision: PhantomData,
            files: files.clone(),
            _claim: claim,
        }
    }

    /// Appends points `[n, P]`.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be written, [`Error::Shape`] if they are not rows of `P`
    /// numbers.
    pub fn append(&mut self, points: &[T]) -> Result<()> {
        if self.dim == 0 || !points.len().is_multiple_of(self.dim) {
            let expected = format!("[n, {}] numbers", self.dim);
            return Err(Error::shape("Spool::append", expected, points.len()));
        }
        if points.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let (files, path) = (&self.files, &self.path);
                let created = check_replaceable(files, path, MARK, WHAT).and_then(|()| {
                    atomic::create(files, path, &mut |out: &mut dyn Write| out.write_all(MAGIC))
                });
                none.insert(BufWriter::new(created.map_err(of(path))?))
            }
        };
        let mut out = Summing(file, &mut self.sum);
        write_numbers(points, &mut out).map_err(of(&self.path))?;
        self.count += points.len() / self.dim;
        Ok(())
    }

    /// Writes all appended points to the disk.
    ///
    /// # Errors
    /// [`Error::Io`] if that fails.
    pub fn sync(&mut self) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.flush().map_err(of(&self.path))?;
        file.get_ref().sync_data().map_err(of(&self.path))
    }

    /// Notes that a checkpoint can resume the walk from these points.
    pub(crate) fn set_resumable(&mut self) {
        self.resumable = true;
    }

    /// Whether there is a checkpoint to resume the walk from. Otherwise the file is of no use once
    /// its fit has failed.
    pub(crate) fn is_resumable(&self) -> bool {
        self.resumable
    }

    /// Closes the file and removes it, still under its claim: a full disk may not take the lock of
    /// another one.
    pub(crate) fn remove(mut self) -> Result<()> {
        match self.file.take() {
            Some(file) => {
                // what is not written yet need not be
                drop(file.into_parts());
                remove_spool_in(&self.files, &self.path)
            }
            None => Ok(()),
        }
    }

    /// Number of points.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Checksum of the bytes of all points.
    pub fn checksum(&self) -> u64 {
        self.sum.value()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies the bytes of all points to `out`. Fails if they are not those that were appended.
    /// Call [`Spool::sync`] first.
    pub(super) fn copy_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut file = self.files.open(&self.path)?;
        file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
        let all = (self.count * self.dim * size_of::<T>()) as u64;
        let mut sum = Checksum::new();
        let copied = io::copy(&mut file.take(all), &mut Summing(out, &mut sum))?;
        if copied < all {
            return Err(io::Error::other("the file of points was cut short"));
        }
        // a claim only keeps out those who ask for one
        if sum.value() != self.sum.value() {
            let what = "another program wrote to the file of points during the fit, or the disk \
                        lost some of it";
            return Err(io::Error::other(what));
        }
        Ok(())
    }

    /// Reads the given points, in the given order.
    fn rows(&self, which: impl Iterator<Item = usize>) -> io::Result<Vec<T>> {
        let mut file = BufReader::new(self.files.open(&self.path)?);
        let width = self.dim * size_of::<T>();
        let (mut bytes, mut values) = (vec![0; width], Vec::new());
        for row in which {
            let at = MAGIC.len() as u64 + row as u64 * width as u64;
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut bytes)?;
            values.extend(bytes.chunks_exact(size_of::<T>()).map(number::<T>));
        }
        Ok(values)
    }
}

impl<T: Scalar> Posterior<T> for Spool<T> {
    fn dim(&self) -> usize {
        self.dim
    }

    /// At most `count` of the points, thinned evenly.
    fn sample(&self, count: usize, _: Streams) -> Result<Vec<T>> {
        if count == 0 {
            return Err(Error::config("samples", count, "must be positive"));
        }
        self.rows(thinned(self.count, count))
            .map_err(of(&self.path))
    }
}

/// Removes a file of points. Does nothing if there is none, or if the file is something else.
///
/// # Errors
/// [`Error::Io`] if it exists and cannot be removed.
pub fn remove_spool(path: &Path) -> Result<()> {
    remove_spool_in(&Files::default(), path)
}

/// [`remove_spool`] in the given file system.
pub(crate) fn remove_spool_in(files: &Files, path: &Path) -> Result<()> {
    remove_own(files, path, MARK).map_err(of(path))
}

fn of(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |source| Error::Io {
        path: path.to_path_buf(),
        source,
    }
}

struct Summing<'a, W: ?Sized>(&'a mut W, &'a mut Checksum);

impl<W: Write + ?Sized> Write for Summing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        self.1.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
