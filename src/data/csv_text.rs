//! The text of a CSV file in memory: a file that was read, or whatever a reader gave.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::csv::{CsvFormat, Source, Table, at};
use super::memory;
use crate::error::{Error, Result};

/// The bytes of a CSV file, and the name that errors give to it.
///
/// The text is held as a whole, because it is read more than once: quotes are checked and lines
/// are counted. So a source that can be read only once, such as a pipe, is as good as a file. Each
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
    pub(super) bytes: Vec<u8>,
    pub(super) watch: Watch,
}

/// Called while rows are read, with the bytes that are done and all bytes.
type Watcher = dyn Fn(u64, u64) + Send + Sync;

/// Somebody who watches a text being read, perhaps. It makes no difference to what is read.
#[derive(Clone, Default)]
pub(super) struct Watch(Option<Arc<Watcher>>);

impl Watch {
    pub(super) fn tell(&self, done: u64, all: usize) {
        if let Some(watcher) = &self.0 {
            watcher(done, all as u64);
        }
    }
}

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
    /// Reads a file, plain or in gzip.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read or unpacked. [`Error::Data`] when it is larger
    /// than the memory that is available.
    pub fn open(path: &Path) -> Result<Self> {
        let size = fs::metadata(path).map_or(0, |file| file.len());
        if let Some(available) = memory::available().filter(|bytes| size > *bytes) {
            let what = format!("it has {size} bytes, and {available} of memory are available");
            return Err(at(path, None, None, what));
        }
        let bytes = fs::read(path).map_err(|source| Error::Io {
            path: path.to_path_buf(),
            source,
        })?;
        Self::from_bytes(bytes, path).unpacked()
    }

    /// The same text. `watcher` is called from time to time while its rows are read, with the bytes
    /// that are done and all bytes, for a progress bar. A new table is read twice.
    #[must_use]
    pub fn watched(self, watcher: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        let watch = Watch(Some(Arc::new(watcher)));
        Self { watch, ..self }
    }

    /// Number of bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Reads `reader` to its end; what it gives may be in gzip. Errors call the source `name`.
    ///
    /// # Errors
    /// [`Error::Io`], with `name` as its path, when reading fails.
    pub fn from_reader(mut reader: impl Read, name: impl Into<PathBuf>) -> Result<Self> {
        let (name, mut bytes) = (name.into(), Vec::new());
        match reader.read_to_end(&mut bytes) {
            Ok(_) => Self::from_bytes(bytes, name).unpacked(),
            Err(source) => Err(Error::Io { path: name, source }),
        }
    }

    /// Unpacks gzip, which its first bytes tell.
    fn unpacked(self) -> Result<Self> {
        if !self.bytes.starts_with(&[0x1f, 0x8b]) {
            return Ok(self);
        }
        let mut bytes = Vec::new();
        let read = MultiGzDecoder::new(&self.bytes[..]).read_to_end(&mut bytes);
        match read {
            Ok(_) => Ok(Self { bytes, ..self }),
            Err(source) => Err(Error::Io {
                path: self.name,
                source,
            }),
        }
    }

    /// Takes plain bytes that are in memory already. Errors call them `name`.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>, name: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
            watch: Watch::default(),
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
