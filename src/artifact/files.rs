//! The operations on files that a fit and its outputs need, in one place: a test can let the n-th
//! of them fail.
//!
//! Outside tests a [`Files`] holds nothing, and every operation is that of the standard library.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::NamedTempFile;

#[cfg(test)]
use super::faults::Faults;

/// What an operation does, for those who let it fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Opens, reads, or asks.
    Read,
    /// Creates, writes, or brings to the disk: may find the disk full.
    Write,
    /// Renames.
    Rename,
    /// Removes.
    Remove,
}

/// A file system.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    #[cfg(test)]
    pub(super) faults: Option<std::sync::Arc<Faults>>,
}

impl Files {
    #[cfg(test)]
    fn step(&self, call: Call) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |f| f.step(call))
    }

    #[cfg(not(test))]
    fn step(&self, _: Call) -> io::Result<()> {
        Ok(())
    }

    /// Opens a file to read.
    pub(super) fn open(&self, path: &Path) -> io::Result<Handle> {
        self.step(Call::Read)?;
        Ok(self.handle(File::open(path)?))
    }

    /// Opens a file that exists, to read and write.
    pub(super) fn open_to_change(&self, path: &Path) -> io::Result<Handle> {
        self.step(Call::Write)?;
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(self.handle(file))
    }

    /// Opens a file to lock it, and creates it if needed.
    pub(super) fn open_lock(&self, path: &Path) -> io::Result<File> {
        self.step(Call::Write)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).open(path)
    }

    /// Removes a file.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(Call::Remove)?;
        std::fs::remove_file(path)
    }

    /// Creates a file with a new name in a directory. It is removed when it is dropped.
    pub(super) fn temporary(
        &self,
        builder: &tempfile::Builder<'_, '_>,
        directory: &Path,
    ) -> io::Result<Temporary> {
        self.step(Call::Write)?;
        let file = builder.tempfile_in(directory)?;
        let files = self.clone();
        Ok(Temporary { file, files })
    }

    fn handle(&self, file: File) -> Handle {
        let files = self.clone();
        Handle { file, files }
    }

    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        self.step(Call::Write)?;
        // in pieces, so that a disk can become full in the middle
        #[cfg(test)]
        let bytes = match self.faults {
            Some(_) => &bytes[..bytes.len().min(1 << 11)],
            None => bytes,
        };
        file.write(bytes)
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct Handle {
    file: File,
    files: Files,
}

impl Handle {
    /// What is known about it.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.files.step(Call::Read)?;
        self.file.metadata()
    }

    /// Cuts it off, or fills it up with zeros.
    pub(super) fn set_len(&self, length: u64) -> io::Result<()> {
        self.files.step(Call::Write)?;
        self.file.set_len(length)
    }

    /// Brings its content to the disk.
    pub(super) fn sync_data(&self) -> io::Result<()> {
        self.files.step(Call::Write)?;
        self.file.sync_data()
    }
}

impl Read for Handle {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.files.step(Call::Read)?;
        self.file.read(bytes)
    }
}

impl Write for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.files.write(&self.file, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Handle {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.files.step(Call::Read)?;
        self.file.seek(to)
    }
}

/// A file under a name of its own, which is removed unless it gets the name that it is made for.
#[derive(Debug)]
pub(super) struct Temporary {
    file: NamedTempFile,
    files: Files,
}

impl Temporary {
    /// Gives it the permissions of another file.
    pub(super) fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.files.step(Call::Write)?;
        self.file.as_file().set_permissions(permissions)
    }

    /// Brings it to the disk, under its name.
    pub(super) fn persist(self, path: &Path) -> io::Result<Handle> {
        self.files.step(Call::Write)?;
        self.file.as_file().sync_all()?;
        self.files.step(Call::Rename)?;
        let file = self.file.persist(path).map_err(|e| e.error)?;
        Ok(self.files.handle(file))
    }
}

impl Write for Temporary {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.files.write(self.file.as_file(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
