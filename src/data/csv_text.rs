//! The text of a CSV file: in its file, or in memory if a reader gave it.

use std::cell::Cell;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;

use super::csv::{CsvFormat, HEAD, Source, Table, at};
use super::dialect::Dialect;
use super::memory;
use super::stream::{Checked, fill};
use crate::error::{Error, Result};

/// A CSV file, or the bytes of one, and the name that errors give to it. Plain, or in gzip.
///
/// A text is read more than once: its dialect is found first, and what its columns hold. So a file
/// stays where it is, and is read in a stream each time. What a reader gives is held in memory as
/// it comes, so a source that can be read only once, such as a pipe, is as good as a file. Each
/// method that reads the text also takes it, which frees its memory before the data set is built.
///
/// ```
/// use fiberwalk::data::{CsvOptions, CsvText};
///
/// let pipe = &b"x,y\n1,0.5\n2,oops\n"[..];
/// let text = CsvText::from_reader(pipe, "sensor")?;
/// let error = text.dataset(&CsvOptions::default()).unwrap_err();
/// let expected = "sensor, line 3, column 'y': 'oops' is not a number";
/// assert!(error.to_string().starts_with(expected));
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvText {
    pub(super) name: PathBuf,
    content: Content,
    watch: Watch,
    /// Bytes that the reader of records reads at once.
    pub(super) buffer: usize,
    /// True if the bytes are in gzip.
    packed: bool,
}

/// Where the bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Held(Vec<u8>),
    /// In the file, as it was when it was opened.
    InFile(Seen),
}

/// A file, as far as its system says whether it has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Seen {
    fn of(file: &fs::Metadata) -> Self {
        Self {
            bytes: file.len(),
            modified: file.modified().ok(),
        }
    }
}

/// Bytes of a buffer.
const BUFFER: usize = 1 << 16;

/// The first bytes of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Called while rows are read, with the bytes that are done and all bytes.
type Watcher = dyn Fn(u64, u64) + Send + Sync;

/// Somebody who watches a text being read, perhaps. It makes no difference to what is read.
#[derive(Clone, Default)]
struct Watch(Option<Arc<Watcher>>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.is_some()).finish()
    }
}

impl PartialEq for Watch {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Watch {}

impl CsvText {
    /// A file. A regular file is read when it is needed, in a stream; anything else is read now.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read. [`Error::Data`] when it is not a regular file
    /// and larger than the memory that is available.
    pub fn open(path: &Path) -> Result<Self> {
        let in_file = |source| Error::Io {
            path: path.to_path_buf(),
            source,
        };
        let mut file = File::open(path).map_err(in_file)?;
        let seen = file.metadata().map_err(in_file)?;
        if !seen.is_file() {
            return Self::from_reader(file, path);
        }
        let mut first = [0; 2];
        let n = fill(&mut file, &mut first).map_err(in_file)?;
        Ok(Self::new(
            path,
            Content::InFile(Seen::of(&seen)),
            &first[..n],
        ))
    }

    fn new(name: impl Into<PathBuf>, content: Content, first: &[u8]) -> Self {
        Self {
            name: name.into(),
            content,
            watch: Watch::default(),
            buffer: BUFFER,
            packed: first.starts_with(&GZIP),
        }
    }

    /// The same text. `watcher` is called from time to time while its rows are read, with the bytes
    /// that are done and all bytes, for a progress bar. They are packed bytes if the text is in
    /// gzip. A new table is read twice.
    #[must_use]
    pub fn watched(self, watcher: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        let watch = Watch(Some(Arc::new(watcher)));
        Self { watch, ..self }
    }

    /// Number of bytes, packed if the text is in gzip.
    pub fn size(&self) -> usize {
        match &self.content {
            Content::Held(bytes) => bytes.len(),
            Content::InFile(seen) => usize::try_from(seen.bytes).unwrap_or(usize::MAX),
        }
    }

    /// Reads `reader` to its end; what it gives may be in gzip. Errors call the source `name`.
    ///
    /// # Errors
    /// [`Error::Io`], with `name` as its path, when reading fails. [`Error::Data`] when it gives
    /// more than the memory that is available.
    pub fn from_reader(mut reader: impl Read, name: impl Into<PathBuf>) -> Result<Self> {
        let (name, mut bytes) = (name.into(), Vec::new());
        loop {
            // as much again, so that a byte is copied twice on average
            let more = bytes.len().max(BUFFER);
            memory::check_text(&name, bytes.len(), more as u64, memory::available())?;
            let read = (&mut reader).take(more as u64).read_to_end(&mut bytes);
            match read {
                Ok(n) if n < more => return Ok(Self::from_bytes(bytes, name)),
                Ok(_) => {}
                Err(source) => return Err(Error::Io { path: name, source }),
            }
        }
    }

    /// Takes bytes that are in memory already, plain or in gzip. Errors call them `name`.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>, name: impl Into<PathBuf>) -> Self {
        let bytes = bytes.into();
        let first = bytes.get(..2).unwrap_or(&[]).to_vec();
        Self::new(name, Content::Held(bytes), &first)
    }

    /// The text from its start, unpacked, without a byte order mark, checked while it is read.
    pub(super) fn checked(&self, dialect: Option<Dialect>) -> Result<Checked<Box<dyn Read + '_>>> {
        let bytes: Box<dyn Read + '_> = match &self.content {
            Content::Held(bytes) => Box::new(&bytes[..]),
            Content::InFile(_) => Box::new(File::open(&self.name).map_err(|e| self.io(e))?),
        };
        #[cfg(test)]
        let bytes: Box<dyn Read + '_> = Box::new(super::csv::tests::Failing(bytes));
        let checked = match self.packed {
            false => Checked::new(bytes, dialect),
            true => {
                let done = Rc::new(Cell::new(0));
                let counted = Counted {
                    inner: bytes,
                    done: Rc::clone(&done),
                };
                let packed = BufReader::with_capacity(BUFFER, counted);
                let text: Box<dyn Read + '_> = Box::new(MultiGzDecoder::new(packed));
                Checked::new(text, dialect).map(|text| text.packed(done))
            }
        };
        checked.map_err(|source| self.io(source))
    }

    /// The first bytes of the text, one more than [`HEAD`] if there are that many.
    pub(super) fn head(&self) -> Result<Vec<u8>> {
        let (mut head, mut text) = (Vec::new(), self.checked(None)?);
        let read = text.by_ref().take(HEAD as u64 + 1).read_to_end(&mut head);
        read.map_err(|source| self.io(source))?;
        Ok(head)
    }

    /// What is wrong with the text as a whole; if nothing is, `error`.
    pub(super) fn wrong_or(&self, dialect: Option<Dialect>, error: Error) -> Error {
        if matches!(error, Error::Io { .. }) {
            return error;
        }
        let found = self.checked(dialect).map(|mut text| text.finish());
        match found {
            Ok(Ok(None)) => error,
            Ok(Ok(Some((line, what)))) => at(&self.name, line, None, what),
            Ok(Err(source)) => self.io(source),
            Err(error) => error,
        }
    }

    /// Checks that a file is still the one that was opened: it is read in several passes.
    ///
    /// # Errors
    /// If it is not.
    pub(super) fn unchanged(&self) -> Result<()> {
        let Content::InFile(seen) = self.content else {
            return Ok(());
        };
        let now = fs::metadata(&self.name).map_err(|source| self.io(source))?;
        match Seen::of(&now) == seen {
            true => Ok(()),
            false => Err(at(&self.name, None, None, "it changed while it was read")),
        }
    }

    /// Tells a watcher how many bytes are read.
    pub(super) fn tell(&self, done: u64) {
        if let Watch(Some(watcher)) = &self.watch {
            watcher(done, self.size() as u64);
        }
    }

    /// An error of reading.
    pub(super) fn io(&self, source: io::Error) -> Error {
        Error::Io {
            path: self.name.clone(),
            source,
        }
    }

    /// Every column, as numbers.
    ///
    /// # Errors
    /// [`Error::Data`]: see [`read_table`](super::read_table).
    pub fn table(self) -> Result<Table> {
        Source::open(&self, &CsvFormat::default())?.table()
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    done: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(bytes)?;
        self.done.set(self.done.get() + n as u64);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{
        CsvOptions, RowOptions, Schema, Task, load_csv, load_features, load_for_schema,
    };
    use std::io::{Error as IoError, Write};

    /// Gives one byte at a time, as a slow pipe may.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let n = into.len().min(1);
            self.0.read(&mut into[..n])
        }
    }

    #[test]
    fn a_pipe_gives_what_the_file_gives() {
        let content = "b,y,a\r\n\r\n2,1,\"1\"\r\n4,0,3\r\n6,1,5\r\n";
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        let path = file.path();
        let pipe = || CsvText::from_reader(Drip(content.as_bytes()), "a pipe").unwrap();
        let options = CsvOptions {
            target: Some("y".into()),
            ..CsvOptions::default()
        };
        assert_eq!(pipe().table().unwrap().lines, [3, 4, 5]);
        assert_eq!(
            pipe().dataset(&options).unwrap(),
            load_csv(path, &options).unwrap()
        );
        let schema = Schema::of_numbers(&["a".into(), "b".into()], "y");
        let rows = RowOptions::default();
        let task = Task::Classification { classes: 2 };
        assert_eq!(
            pipe().dataset_for_schema(&schema, task, &rows).unwrap(),
            load_for_schema(path, &schema, task, &rows).unwrap()
        );
        assert_eq!(
            pipe().features(&schema, &rows).unwrap(),
            load_features(path, &schema, &rows).unwrap()
        );
    }

    #[test]
    fn a_watcher_sees_both_passes_and_changes_nothing() {
        let rows: String = (0..10_000).map(|i| format!("{i},{}\n", i % 7)).collect();
        let text = CsvText::from_bytes(format!("a,y\n{rows}"), "t");
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (log, all) = (seen.clone(), text.size() as u64);
        let watched = text.clone().watched(move |done, of| {
            assert_eq!(of, all);
            log.lock().unwrap().push(done);
        });
        let options = CsvOptions::default();
        let plain = text.dataset(&options).unwrap();
        assert_eq!(watched.dataset(&options).unwrap(), plain);
        let seen = seen.lock().unwrap();
        // rows 0, 4096 and 8192, twice
        assert_eq!(seen.len(), 6);
        assert!(
            seen[0] < seen[1] && seen[2] < all && seen[3] == seen[0],
            "{seen:?}"
        );
    }

    #[test]
    fn every_error_names_the_source_and_the_line() {
        let text = |content: &str| CsvText::from_bytes(content, "a pipe");
        let options = CsvOptions::default();
        let schema = Schema::of_numbers(&["a".into()], "y");
        let rows = RowOptions::default();
        for (error, expected) in [
            (text("").table().err(), "a pipe: it is empty"),
            (
                text("a,y\n1,\"2\n").dataset(&options).err(),
                "a pipe, line 2: a field begins with a quote that is never closed",
            ),
            (
                text("y\n1\n").dataset(&options).err(),
                "a pipe, line 1, column 'y': the only column is the target: there are no features \
                 (fields are separated by a comma; --delimiter says otherwise)",
            ),
            (
                text("a,y\n1,2\nx,3\n").features(&schema, &rows).err(),
                "a pipe, line 3, column 'a': 'x' is not a number",
            ),
            (
                text("a,y\n1,7\n")
                    .dataset_for_schema(&schema, Task::Classification { classes: 2 }, &rows)
                    .err(),
                "a pipe, line 2, column 'y': 7 is not a class in 0..2",
            ),
        ] {
            assert_eq!(error.unwrap().to_string(), expected);
        }
    }

    #[test]
    fn a_reader_that_fails_is_an_io_error_with_the_name() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(IoError::other("unplugged"))
            }
        }
        let error = CsvText::from_reader(Broken, "a pipe").unwrap_err();
        assert!(matches!(error, Error::Io { .. }));
        assert_eq!(error.to_string(), "a pipe: unplugged");
    }
}
