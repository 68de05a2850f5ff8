//! The checksum at the end of a model file.
//!
//! It is a tensor like the others, `checksum`, of eight bytes, and the last one in the file. It is
//! the [sum by words](super::checksum) of all bytes before it, header included, little-endian.
//! Being last, it can be written without going through the tensors twice.

use std::io::{self, Write};

use safetensors::Dtype;
use safetensors::tensor::{Metadata as SafeMetadata, TensorInfo};

use super::checksum::WordSum;

/// Name of the tensor.
pub(super) const NAME: &str = "checksum";

/// Its bytes.
const WIDTH: usize = 8;

/// The entry of the checksum in the header of a file with so many bytes of other tensors.
pub(super) fn entry(others: usize) -> (String, TensorInfo) {
    let info = TensorInfo {
        dtype: Dtype::U8,
        shape: vec![WIDTH],
        data_offsets: (others, others + WIDTH),
    };
    (NAME.to_string(), info)
}

/// A writer that sums what it passes on.
pub(super) struct Sealing<'a> {
    out: &'a mut dyn Write,
    sum: WordSum,
}

impl<'a> Sealing<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            sum: WordSum::new(),
        }
    }

    /// Ends the file with the checksum of all that was written.
    pub(super) fn seal(self) -> io::Result<()> {
        self.out.write_all(&self.sum.value().to_le_bytes())
    }
}

impl Write for Sealing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.sum.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Checks the bytes of a file against its checksum. False if it has none, as files of older
/// versions. The header must be that of the file.
pub(super) fn check(bytes: &[u8], header: &SafeMetadata) -> Result<bool, String> {
    let Some(info) = header.info(NAME) else {
        return Ok(false);
    };
    let misplaced = || "it is damaged: its checksum is not where it belongs".to_string();
    let (start, end) = info.data_offsets;
    if info.dtype != Dtype::U8 || end - start != WIDTH || end != header.data_len() {
        return Err(misplaced());
    }
    let (body, written) = bytes.split_last_chunk::<WIDTH>().ok_or_else(misplaced)?;
    let mut sum = WordSum::new();
    sum.add(body);
    if sum.value().to_le_bytes() != *written {
        return Err("it is damaged: its checksum is not that of its bytes".into());
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::tensors::{Tensor, write_archive};
    use super::*;
    use safetensors::SafeTensors;

    /// Checks an archive as a reader does.
    fn checked(bytes: &[u8]) -> Result<bool, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        check(bytes, &header)
    }

    #[test]
    fn the_checksum_is_the_last_tensor_and_a_changed_byte_is_noticed() {
        let tensors = vec![
            // of the same type as the checksum, with a name after its own
            Tensor::bytes("data.pixels", vec![3], vec![1, 2, 3]),
            Tensor::new("map", vec![2], vec![0.5f32, -1.0]),
        ];
        let mut bytes = Vec::new();
        write_archive(tensors, ("key", "value".into()), &mut bytes).unwrap();
        assert_eq!(checked(&bytes), Ok(true));
        for at in 0..bytes.len() {
            for change in 1..=u8::MAX {
                let mut other = bytes.clone();
                other[at] ^= change;
                // without its name, it is not looked for here, but by whoever knows the version
                let renamed = |header: SafeMetadata| header.info(NAME).is_none();
                let unnamed = SafeTensors::read_metadata(&other).is_ok_and(|h| renamed(h.1));
                assert!(
                    checked(&other).is_err() || unnamed,
                    "byte {at} as {}",
                    other[at]
                );
            }
        }
    }

    #[test]
    fn archives_without_a_checksum_are_told_apart_and_a_misplaced_one_is_refused() {
        let serialize = |names: [&str; 2]| {
            let data = [1, 2, 3, 4, 5, 6, 7, 8];
            let view = || safetensors::tensor::TensorView::new(Dtype::U8, vec![8], &data).unwrap();
            safetensors::serialize(names.map(|name| (name, view())), None).unwrap()
        };
        assert_eq!(checked(&serialize(["a", "b"])), Ok(false));
        let said = checked(&serialize([NAME, "data"])).unwrap_err();
        assert!(said.contains("not where it belongs"), "{said}");
        let said = checked(&serialize(["a", NAME])).unwrap_err();
        assert!(said.contains("damaged"), "{said}");
    }
}
