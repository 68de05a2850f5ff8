//! Converts numbers to and from the bytes of an archive.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};

use safetensors::tensor::{Metadata as SafeMetadata, TensorInfo, TensorView};
use safetensors::{Dtype, SafeTensors};

use super::seal::{self, Sealing};
use crate::scalar::Scalar;

/// A tensor to be written: borrowed, and turned into bytes a piece at a time.
pub(super) struct Tensor<'a> {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: usize,
    write: Box<WriteInto<'a>>,
}

type WriteInto<'a> = dyn Fn(&mut dyn Write) -> io::Result<()> + 'a;

impl<'a> Tensor<'a> {
    /// Numbers in their own precision.
    pub(super) fn new<T: Scalar>(
        name: &'static str,
        shape: Vec<usize>,
        values: impl Into<Cow<'a, [T]>>,
    ) -> Self {
        let values: Cow<'a, [T]> = values.into();
        Self {
            name: name.into(),
            dtype: dtype::<T>(),
            shape,
            bytes: size_of_val(&*values),
            write: Box::new(move |out| write_numbers(&values, out)),
        }
    }
}

impl Tensor<'_> {
    /// Numbers whose bytes come from `write`.
    pub(super) fn streamed<'a, T: Scalar>(
        name: &'static str,
        shape: Vec<usize>,
        write: impl Fn(&mut dyn Write) -> io::Result<()> + 'a,
    ) -> Tensor<'a> {
        Tensor {
            name: name.into(),
            dtype: dtype::<T>(),
            bytes: shape.iter().product::<usize>() * size_of::<T>(),
            shape,
            write: Box::new(write),
        }
    }

    /// The same tensor with `prefix` before its name.
    pub(super) fn prefixed(mut self, prefix: &str) -> Self {
        self.name.insert_str(0, prefix);
        self
    }

    /// Bytes as they are.
    pub(super) fn bytes(name: &'static str, shape: Vec<usize>, bytes: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            dtype: Dtype::U8,
            shape,
            bytes: bytes.len(),
            write: Box::new(move |out| out.write_all(&bytes)),
        }
    }
}

/// The tensors of an archive whose names share a prefix.
pub(super) struct Archive<'a> {
    tensors: &'a SafeTensors<'a>,
    prefix: String,
}

impl<'a> Archive<'a> {
    /// All tensors.
    pub(super) fn of(tensors: &'a SafeTensors<'a>) -> Self {
        Self::within(tensors, String::new())
    }

    /// Tensors whose names begin with `prefix`. Names are then given without it.
    fn within(tensors: &'a SafeTensors<'a>, prefix: String) -> Self {
        Self { tensors, prefix }
    }

    /// The subset whose names continue with `prefix`.
    pub(super) fn part(&self, prefix: &str) -> Self {
        Self::within(self.tensors, format!("{}{prefix}", self.prefix))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensor(name).is_ok()
    }

    fn tensor(&self, name: &str) -> Result<TensorView<'a>, String> {
        let name = format!("{}{name}", self.prefix);
        let missing = |_| format!("tensor '{name}' is missing");
        self.tensors.tensor(&name).map_err(missing)
    }
}

/// Writes an archive with one entry of metadata, and the checksum of everything as its last tensor.
/// Besides the tensors, nothing of a tensor's size is held in memory.
pub(super) fn write_archive(
    mut tensors: Vec<Tensor<'_>>,
    entry: (&str, String),
    out: &mut dyn Write,
) -> io::Result<()> {
    // the order of the format's own library: wide numbers first, then by name
    tensors.sort_by(|a, b| b.dtype.cmp(&a.dtype).then_with(|| a.name.cmp(&b.name)));
    let mut end = 0;
    let infos = tensors.iter().map(|tensor| {
        let start = end;
        end += tensor.bytes;
        let info = TensorInfo {
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            data_offsets: (start, end),
        };
        (tensor.name.clone(), info)
    });
    let mut infos: Vec<_> = infos.collect();
    infos.push(seal::entry(end));
    let entries = HashMap::from([(entry.0.to_string(), entry.1)]);
    let header = SafeMetadata::new(Some(entries), infos).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut out = Sealing::new(out);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    tensors
        .iter()
        .try_for_each(|tensor| (tensor.write)(&mut out))?;
    out.seal()
}

/// Numbers turned into bytes at a time.
const PIECE: usize = 1 << 13;

/// Writes numbers in their own precision, little-endian.
pub(super) fn write_numbers<T: Scalar>(values: &[T], out: &mut dyn Write) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(PIECE.min(values.len()) * size_of::<T>());
    for piece in values.chunks(PIECE) {
        bytes.clear();
        for v in piece {
            // a cast of an f32 to f64 and back is exact
            if T::NAME == "f32" {
                bytes.extend_from_slice(&(v.to_f64() as f32).to_le_bytes());
            } else {
                bytes.extend_from_slice(&v.to_f64().to_le_bytes());
            }
        }
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// The number that these `size_of::<T>()` bytes encode.
pub(super) fn number<T: Scalar>(bytes: &[u8]) -> T {
    match *bytes {
        [a, b, c, d] => T::from_f64(f64::from(f32::from_le_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => T::from_f64(f64::from_le_bytes([a, b, c, d, e, f, g, h])),
        _ => T::from_f64(f64::NAN),
    }
}

fn dtype<T: Scalar>() -> Dtype {
    if T::NAME == "f32" {
        Dtype::F32
    } else {
        Dtype::F64
    }
}

/// Reads a tensor with the given number of axes: its shape, and its numbers, which must be finite.
pub(super) fn read<T: Scalar>(
    archive: &Archive<'_>,
    name: &str,
    axes: usize,
) -> Result<(Vec<usize>, Vec<T>), String> {
    let tensor = archive.tensor(name)?;
    if tensor.dtype() != dtype::<T>() {
        return Err(format!(
            "tensor '{name}' is {:?}, not {}",
            tensor.dtype(),
            T::NAME
        ));
    }
    if tensor.shape().len() != axes {
        return Err(format!(
            "tensor '{name}' has shape {:?}, expected rank {axes}",
            tensor.shape()
        ));
    }
    let width = size_of::<T>();
    let values: Vec<T> = tensor.data().chunks_exact(width).map(number).collect();
    match values.iter().position(|v| !Scalar::is_finite(*v)) {
        Some(at) => Err(format!("tensor '{name}' is not finite at {at}")),
        None => Ok((tensor.shape().to_vec(), values)),
    }
}

/// Reads a tensor of bytes with the given number of axes: its shape, and its bytes.
pub(super) fn read_bytes<'a>(
    archive: &Archive<'a>,
    name: &str,
    axes: usize,
) -> Result<(Vec<usize>, &'a [u8]), String> {
    let tensor = archive.tensor(name)?;
    if tensor.dtype() != Dtype::U8 || tensor.shape().len() != axes {
        return Err(format!(
            "tensor '{name}' is {:?} {:?}, not bytes of rank {axes}",
            tensor.dtype(),
            tensor.shape()
        ));
    }
    Ok((tensor.shape().to_vec(), tensor.data()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The oracle is the format's own library, which holds everything in memory.
    #[test]
    fn an_archive_has_the_bytes_that_the_library_writes() {
        let long: Vec<f32> = (0..3 * PIECE + 5).map(|i| i as f32 / 7.0 - 3.0).collect();
        let (one, none) = ([f64::MIN_POSITIVE], Vec::<f32>::new());
        let tensors = || {
            vec![
                Tensor::new("b", vec![3 * PIECE + 5], &long),
                Tensor::new("a", vec![0, 4], &none),
                Tensor::new("wide", vec![1, 1], one.to_vec()),
            ]
        };
        let mut got = Vec::new();
        write_archive(tensors(), ("key", "a \"value\"".into()), &mut got).unwrap();
        let written = |t: &Tensor<'_>| {
            let mut bytes = Vec::new();
            (t.write)(&mut bytes).unwrap();
            bytes
        };
        let bytes: Vec<Vec<u8>> = tensors().iter().map(written).collect();
        assert_eq!(bytes[0][4..8], (1f32 / 7.0 - 3.0).to_le_bytes());
        let views = tensors().into_iter().zip(&bytes).map(|(t, bytes)| {
            let view = TensorView::new(t.dtype, t.shape.clone(), bytes).unwrap();
            (t.name, view)
        });
        // what it is of is another test
        let checksum = TensorView::new(Dtype::U8, vec![8], &got[got.len() - 8..]).unwrap();
        let views = views.chain([("checksum".to_string(), checksum)]);
        let entries = HashMap::from([("key".to_string(), "a \"value\"".to_string())]);
        let want = safetensors::serialize(views, Some(entries)).unwrap();
        assert!(got == want);
        let archive = SafeTensors::deserialize(&got).unwrap();
        let archive = Archive::of(&archive);
        assert!(archive.part("wi").has("de") && !archive.part("wi").has("wide"));
        assert_eq!(read::<f32>(&archive, "b", 1).unwrap().1, long);
        assert_eq!(read::<f64>(&archive, "wide", 2).unwrap().1, one);
    }
}
