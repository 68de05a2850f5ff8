//! Arrays from IDX files, the format of MNIST.
//!
//! Files may be plain or gzip, which is detected from the first bytes.
//!
//! | bytes | content |
//! |---|---|
//! | 0 and 1 | 0 |
//! | 2 | type of the elements: 8 is u8, 9 i8, 11 i16, 12 i32, 13 f32, 14 f64 |
//! | 3 | rank `r` |
//! | 4 to 4 + 4 r | extents, u32 |
//! | the rest | elements, row-major |
//!
//! Numbers are big-endian. A file may be hostile. Memory grows with what the file really holds, and
//! never beyond what its header promises. Both must agree byte for byte.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result, counted};

/// Largest number of values kept from one file. As `f64` they take 8 GiB.
const MAX_NUMBERS: usize = 1 << 30;

/// Type of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdxType {
    /// Unsigned byte.
    U8,
    /// Signed byte.
    I8,
    /// Two bytes, signed.
    I16,
    /// Four bytes, signed.
    I32,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

impl IdxType {
    /// All of them.
    pub const ALL: [IdxType; 6] = [
        IdxType::U8,
        IdxType::I8,
        IdxType::I16,
        IdxType::I32,
        IdxType::F32,
        IdxType::F64,
    ];

    /// The byte that stands for it in a file.
    pub fn code(self) -> u8 {
        match self {
            IdxType::U8 => 8,
            IdxType::I8 => 9,
            IdxType::I16 => 11,
            IdxType::I32 => 12,
            IdxType::F32 => 13,
            IdxType::F64 => 14,
        }
    }

    /// Bytes of an element.
    pub fn width(self) -> usize {
        match self {
            IdxType::U8 | IdxType::I8 => 1,
            IdxType::I16 => 2,
            IdxType::I32 | IdxType::F32 => 4,
            IdxType::F64 => 8,
        }
    }

    /// True for integer types.
    pub fn is_integer(self) -> bool {
        !matches!(self, IdxType::F32 | IdxType::F64)
    }

    fn name(self) -> &'static str {
        match self {
            IdxType::U8 => "u8",
            IdxType::I8 => "i8",
            IdxType::I16 => "i16",
            IdxType::I32 => "i32",
            IdxType::F32 => "f32",
            IdxType::F64 => "f64",
        }
    }
}

/// The first records of an array, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxArray {
    element: IdxType,
    shape: Vec<usize>,
    records: usize,
    bytes: Vec<u8>,
}

impl IdxArray {
    /// Type of the elements.
    pub fn element(&self) -> IdxType {
        self.element
    }

    /// Extents of the array in the file, at least one.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of records kept. A record is one part along the first extent, so this is at most that
    /// extent.
    pub fn records(&self) -> usize {
        self.records
    }

    /// The kept elements, row-major. Every type fits in `f64` exactly.
    pub fn values(&self) -> Vec<f64> {
        match self.element {
            IdxType::U8 => decode(&self.bytes, |[b]| f64::from(b)),
            IdxType::I8 => decode(&self.bytes, |b| f64::from(i8::from_be_bytes(b))),
            IdxType::I16 => decode(&self.bytes, |b| f64::from(i16::from_be_bytes(b))),
            IdxType::I32 => decode(&self.bytes, |b| f64::from(i32::from_be_bytes(b))),
            IdxType::F32 => decode(&self.bytes, |b| f64::from(f32::from_be_bytes(b))),
            IdxType::F64 => decode(&self.bytes, f64::from_be_bytes),
        }
    }
}

fn decode<const W: usize>(bytes: &[u8], number: impl Fn([u8; W]) -> f64) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|&b| number(b)).collect()
}

/// True if a file, or what is packed in it by gzip, starts as IDX files do. A text table never
/// does: UTF-8 text has no such bytes. A damaged gzip file counts as one, and reading it says what
/// is wrong.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read.
pub fn looks_like_idx(path: &Path) -> Result<bool> {
    let io = |source| io_error(path, source);
    let mut start = Vec::new();
    let file = File::open(path).map_err(io)?;
    (&file).take(2).read_to_end(&mut start).map_err(io)?;
    if start == GZIP {
        let file = File::open(path).map_err(io)?;
        start.clear();
        let unpacked = MultiGzDecoder::new(BufReader::new(file));
        return Ok(unpacked.take(2).read_to_end(&mut start).is_err() || start == [0, 0]);
    }
    Ok(start == [0, 0])
}

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Reads an array. Keeps the first `most` records, and only checks that the others exist.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read. [`Error::Data`] in all other cases; it names the
/// byte (of the content, if it is in gzip). These are: the file is not an IDX file, has an unknown
/// type or no extents, promises more than can be counted or kept, is cut short or goes on after its
/// end, or its gzip data are damaged.
pub fn read_idx(path: &Path, most: Option<usize>) -> Result<IdxArray> {
    read_checked(path, most, |_| Ok(()))
}

/// As [`read_idx`], with a `check` that may reject the extents before anything else is read.
pub(super) fn read_checked(
    path: &Path,
    most: Option<usize>,
    check: impl FnOnce(&[usize]) -> std::result::Result<(), String>,
) -> Result<IdxArray> {
    let io = |source| io_error(path, source);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut reader = BufReader::new(file);
    let zipped = reader.fill_buf().map_err(io)?.starts_with(&GZIP);
    let reader: Box<dyn Read> = if zipped {
        Box::new(MultiGzDecoder::new(reader))
    } else {
        Box::new(reader)
    };
    let content = Content {
        path,
        reader,
        zipped,
        at: 0,
    };
    content.array(length, most, check)
}

/// The content of a file, unpacked.
struct Content<'a> {
    path: &'a Path,
    reader: Box<dyn Read>,
    zipped: bool,
    /// Bytes read so far.
    at: usize,
}

impl Content<'_> {
    fn array(
        mut self,
        length: u64,
        most: Option<usize>,
        check: impl FnOnce(&[usize]) -> std::result::Result<(), String>,
    ) -> Result<IdxArray> {
        let (element, shape) = self.header()?;
        check(&shape).map_err(|what| in_file(self.path, what))?;
        let text = format!("{} of {}", extents(&shape), element.name());
        let sized = |extents: &[usize]| {
            let width = Some(element.width());
            extents.iter().fold(width, |n, &x| n?.checked_mul(x))
        };
        let (Some(all), Some(record)) = (sized(&shape), sized(&shape[1..])) else {
            let what = format!(
                "bytes 4 to {}: {text} are more than can be counted",
                self.at
            );
            return Err(in_file(self.path, what));
        };
        let records = most.map_or(shape[0], |most| most.min(shape[0]));
        // no more than `all`, which did not overflow
        let kept = records * record;
        // the promise of a plain file can be held against its length
        let holds = length.saturating_sub(self.at as u64);
        let is_cut = !self.zipped && holds < all as u64;
        if kept / element.width() > MAX_NUMBERS && !is_cut {
            let what = format!("{text} are more than 2^30 numbers: take fewer records");
            return Err(in_file(self.path, what));
        }
        let header = self.at;
        let bytes = self.keep(kept, length)?;
        if bytes.len() == kept {
            self.skip(all - kept)?;
        }
        let found = self.at - header;
        if found < all {
            let what = format!(
                "ends after byte {}, in record {}: its header promises {text}, {} in all",
                self.at,
                found.checked_div(record).unwrap_or(0),
                counted(header + all, "byte")
            );
            return Err(in_file(self.path, what));
        }
        if self.skip(1)? > 0 {
            let what = format!(
                "byte {}: data after the end of {text}, which its header promises",
                header + all
            );
            return Err(in_file(self.path, what));
        }
        Ok(IdxArray {
            element,
            shape,
            records,
            bytes,
        })
    }

    fn header(&mut self) -> Result<(IdxType, Vec<usize>)> {
        let magic = self.keep(4, 4)?;
        let &[0, 0, code, rank] = &magic[..] else {
            let bytes: Vec<String> = magic.iter().map(|b| format!("{b:02x}")).collect();
            let got = if bytes.is_empty() {
                "nothing".into()
            } else {
                bytes.join(" ")
            };
            return Err(in_file(
                self.path,
                format!("byte 0: not an IDX file: expected 00 00, a type and a rank, got {got}"),
            ));
        };
        let element = IdxType::ALL.into_iter().find(|t| t.code() == code);
        let element = element.ok_or_else(|| {
            in_file(
                self.path,
                format!("byte 2: type {code} is none of 8, 9, 11, 12, 13 and 14"),
            )
        })?;
        if rank == 0 {
            return Err(in_file(
                self.path,
                "byte 3: rank 0: there are no extents".into(),
            ));
        }
        let bytes = self.keep(4 * usize::from(rank), 4)?;
        if bytes.len() < 4 * usize::from(rank) {
            let what = format!(
                "ends after byte {}, in its {}",
                self.at,
                counted(rank, "extent")
            );
            return Err(in_file(self.path, what));
        }
        let (extents, _) = bytes.as_chunks();
        let shape = extents.iter().map(|&b| u32::from_be_bytes(b) as usize);
        Ok((element, shape.collect()))
    }

    /// Reads up to `count` bytes, fewer at the end. Allocates at most `likely` bytes before they
    /// arrive.
    fn keep(&mut self, count: usize, likely: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let first = count.min(usize::try_from(likely).unwrap_or(usize::MAX));
        if bytes.try_reserve_exact(first).is_err() {
            return Err(io_error(self.path, io::ErrorKind::OutOfMemory.into()));
        }
        let outcome = self
            .reader
            .by_ref()
            .take(count as u64)
            .read_to_end(&mut bytes);
        self.at += bytes.len();
        outcome.map_err(|e| self.fault(e))?;
        Ok(bytes)
    }

    /// Skips up to `count` bytes, fewer at the end. Returns how many.
    fn skip(&mut self, count: usize) -> Result<usize> {
        let outcome = io::copy(
            &mut self.reader.by_ref().take(count as u64),
            &mut io::sink(),
        );
        // no more than `count`
        let passed = outcome.map_err(|e| self.fault(e))? as usize;
        self.at += passed;
        Ok(passed)
    }

    /// Damaged gzip data are a data error, not an I/O error.
    fn fault(&self, e: io::Error) -> Error {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match e.kind() {
            InvalidData | InvalidInput | UnexpectedEof if self.zipped => {
                let what = format!(
                    "its gzip data are damaged or cut short, after byte {} of their content ({e})",
                    self.at
                );
                in_file(self.path, what)
            }
            _ => io_error(self.path, e),
        }
    }
}

/// Formats extents, such as `60000x28x28`.
pub(super) fn extents(shape: &[usize]) -> String {
    let parts: Vec<String> = shape.iter().map(usize::to_string).collect();
    parts.join("x")
}

pub(super) fn in_file(path: &Path, what: String) -> Error {
    Error::Data {
        file: Some(path.to_path_buf()),
        line: None,
        column: None,
        what,
    }
}

fn io_error(path: &Path, source: io::Error) -> Error {
    Error::Io {
        path: path.to_path_buf(),
        source,
    }
}
