//! The head of a model file: its JSON, which describes the model without the tensors.

use std::io::Read;
use std::path::Path;

use safetensors::SafeTensors;

use super::files::Files;
use super::metadata::{Metadata, SEALED};
use super::seal;
use crate::error::{Error, Result};

/// The key of the JSON in the archive's metadata.
pub(super) const KEY: &str = "fiberwalk";

/// Reads and checks the metadata of a model file, and its checksum. Does not look at the tensors
/// otherwise.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Artifact`] if it is not a model file.
pub fn read_metadata(path: &Path) -> Result<Metadata> {
    named(&read_bytes(path)?, path)
}

/// The metadata of a model file whose bytes are in memory: see [`read_metadata`].
///
/// # Errors
/// [`Error::Artifact`] if they are not a model file; the error names the file `bytes`.
pub fn metadata_from_bytes(bytes: &[u8]) -> Result<Metadata> {
    named(bytes, Path::new("bytes"))
}

fn named(bytes: &[u8], path: &Path) -> Result<Metadata> {
    let wrong = |what| Error::Artifact {
        file: path.to_path_buf(),
        what,
    };
    let metadata = parse_metadata(bytes).map_err(wrong)?;
    // A file made with a program's own parts is checked later, when the parts are there.
    if metadata.own_model().is_none() {
        metadata.check(None).map_err(wrong)?;
    }
    Ok(metadata)
}

pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    read_bytes_in(&Files::default(), path)
}

/// The bytes of a file in the given file system.
pub(super) fn read_bytes_in(files: &Files, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = files.open(path).and_then(|mut file| {
        // one allocation, as long as the file does not change
        let length = file.metadata()?.len();
        bytes.reserve_exact(usize::try_from(length).unwrap_or(0));
        file.read_to_end(&mut bytes)
    });
    match read {
        Ok(_) => Ok(bytes),
        Err(source) => Err(Error::Io {
            path: path.to_path_buf(),
            source,
        }),
    }
}

pub(super) fn read_all(reader: &mut dyn Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|source| Error::Io {
        path: "reader".into(),
        source,
    })?;
    Ok(bytes)
}

/// The metadata of a file that has the checksum which its version asks for.
pub(super) fn parse_metadata(bytes: &[u8]) -> std::result::Result<Metadata, String> {
    let (_, header) = SafeTensors::read_metadata(bytes)
        .map_err(|e| format!("it is damaged, or not a safetensors archive ({e})"))?;
    let sealed = seal::check(bytes, &header)?;
    let json = header
        .metadata()
        .as_ref()
        .and_then(|map| map.get(KEY))
        .ok_or("a safetensors archive of another program")?;
    let metadata: Metadata =
        serde_json::from_str(json).map_err(|e| format!("its metadata do not parse: {e}"))?;
    if !sealed && metadata.format_version >= SEALED {
        return Err("it is damaged: its checksum is missing".into());
    }
    Ok(metadata)
}
