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

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use super::checksum::Checksum;
use super::claim::Claim;
use super::tensors::{number, write_numbers};
use crate::error::{Error, Result};
use crate::model::{Posterior, thinned};
use crate::rng::Streams;
use crate::scalar::Scalar;

const MAGIC: &[u8; 32] = b"fiberwalk points 1             \n";

/// Bytes read at a time.
const PIECE: usize = 1 << 16;

/// Points in a file, and their number.
#[derive(Debug)]
pub struct Spool<T> {
    path: PathBuf,
    /// None before the first point.
    file: Option<BufWriter<File>>,
    dim: usize,
    count: usize,
    sum: Checksum,
    precision: PhantomData<T>,
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
        let claim = Claim::of(path)?;
        // a full disk leaves an empty file
        let empty = std::fs::metadata(path).map_or(true, |m| m.is_file() && m.len() == 0);
        if !empty && !is_spool(path) {
            let foreign = "it is there and not a file of points of a walk";
            return Err(of(path)(io::Error::other(foreign)));
        }
        Ok(Self::of_file(path, None, dim, claim))
    }

    /// Opens the file of a walk that resumes after `count` points with the given checksum. Later
    /// points are cut off.
    ///
    /// # Errors
    /// [`Error::InUse`] if another walk writes to it; [`Error::Checkpoint`] if the file does not
    /// exist or its first points differ; [`Error::Io`] if it cannot be used.
    pub fn resume(path: &Path, dim: usize, count: usize, checksum: u64) -> Result<Self> {
        let claim = Claim::of(path)?;
        let wrong = |what: &str| Error::Checkpoint {
            file: path.to_path_buf(),
            what: what.into(),
        };
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
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
            ..Self::of_file(path, Some(BufWriter::new(file)), dim, claim)
        })
    }

    fn of_file(path: &Path, file: Option<BufWriter<File>>, dim: usize, claim: Claim) -> Self {
        Self {
            path: path.to_path_buf(),
            file,
            dim,
            count: 0,
            sum: Checksum::new(),
            precision: PhantomData,
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
                let mut file = File::create(&self.path).map_err(of(&self.path))?;
                file.write_all(MAGIC).map_err(of(&self.path))?;
                none.insert(BufWriter::new(file))
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
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
        let all = (self.count * self.dim * size_of::<T>()) as u64;
        let mut sum = Checksum::new();
        let copied = io::copy(&mut file.take(all), &mut Summing(out, &mut sum))?;
        if copied < all {
            return Err(io::Error::other("the file of points was cut short"));
        }
        // a claim only keeps out those who ask for one
        if sum.value() != self.sum.value() {
            let what = "another program wrote to the file of points during the fit";
            return Err(io::Error::other(what));
        }
        Ok(())
    }

    /// Reads the given points, in the given order.
    fn rows(&self, which: impl Iterator<Item = usize>) -> io::Result<Vec<T>> {
        let mut file = BufReader::new(File::open(&self.path)?);
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
    if is_spool(path) {
        std::fs::remove_file(path).map_err(of(path))?;
    }
    Ok(())
}

fn is_spool(path: &Path) -> bool {
    let mut start = [0; MAGIC.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && &start == MAGIC
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
mod tests {
    use super::*;

    fn all<T: Scalar>(spool: &Spool<T>) -> Vec<T> {
        spool.sample(usize::MAX, Streams::new(0)).unwrap()
    }

    #[test]
    fn points_come_back_and_a_resumed_file_forgets_what_came_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        std::fs::write(&path, "").unwrap();
        let mut spool = Spool::<f32>::create(&path, 2).unwrap();
        spool.sync().unwrap();
        assert_eq!(
            std::fs::read(&path).unwrap(),
            b"",
            "nothing before the first point"
        );
        spool.append(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        spool.append(&[]).unwrap();
        let (count, sum) = (spool.count(), spool.checksum());
        spool.append(&[5.0, 6.0]).unwrap();
        spool.sync().unwrap();
        assert_eq!(all(&spool), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(
            spool.sample(2, Streams::new(0)).unwrap(),
            [1.0, 2.0, 3.0, 4.0]
        );
        let mut bytes = Vec::new();
        spool.copy_to(&mut bytes).unwrap();
        assert_eq!(bytes[..4], 1f32.to_le_bytes());
        assert_eq!(bytes.len(), 24);
        drop(spool);
        let mut again = Spool::<f32>::resume(&path, 2, count, sum).unwrap();
        again.append(&[7.0, 8.0]).unwrap();
        again.sync().unwrap();
        assert_eq!(all(&again), [1.0, 2.0, 3.0, 4.0, 7.0, 8.0]);
        assert!(again.append(&[1.0]).is_err());
        // another walk is refused while this one runs, and one that keeps nothing leaves the points
        for other in [
            Spool::<f32>::create(&path, 2),
            Spool::resume(&path, 2, count, sum),
        ] {
            assert!(matches!(other, Err(Error::InUse { .. })), "{other:?}");
        }
        assert_eq!(all(&again).len(), 6);
        let (count, sum) = (again.count(), again.checksum());
        drop(again);
        drop(Spool::<f32>::create(&path, 2).unwrap());
        let again = Spool::<f32>::resume(&path, 2, count, sum).unwrap();
        assert_eq!(all(&again).len(), 6);
        drop(again);
        // wrong checksum, more points than there are, no file
        assert!(Spool::<f32>::resume(&path, 2, count, sum ^ 1).is_err());
        assert!(Spool::<f32>::resume(&path, 2, 4, sum).is_err());
        assert!(Spool::<f32>::resume(&path, 2, usize::MAX, sum).is_err());
        assert!(Spool::<f32>::resume(&dir.path().join("q"), 2, 0, sum).is_err());
        remove_spool(&path).unwrap();
        assert!(!path.exists());
    }

    /// A writer without a claim is noticed when the points are copied to a model.
    #[test]
    fn points_that_were_overwritten_are_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        let mut spool = Spool::<f32>::create(&path, 2).unwrap();
        spool.append(&[1.0, 2.0]).unwrap();
        spool.sync().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[33] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = spool.copy_to(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("another program"), "{error}");
    }

    #[test]
    fn a_file_of_something_else_is_neither_replaced_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "a year's work").unwrap();
        assert!(Spool::<f64>::create(&path, 1).is_err());
        assert!(Spool::<f64>::resume(&path, 1, 0, Checksum::new().value()).is_err());
        remove_spool(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"a year's work");
    }
}
