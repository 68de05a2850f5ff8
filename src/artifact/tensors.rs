//! Numbers to and from the bytes of an archive.

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::scalar::Scalar;

/// A tensor on its way into a file.
pub(super) struct OwnedTensor {
    pub name: &'static str,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl OwnedTensor {
    /// Numbers in their own precision.
    pub(super) fn new<T: Scalar>(name: &'static str, shape: Vec<usize>, values: &[T]) -> Self {
        let mut bytes = Vec::with_capacity(size_of_val(values));
        for v in values {
            // a cast of an f32 to f64 and back is exact
            if T::NAME == "f32" {
                bytes.extend_from_slice(&(v.to_f64() as f32).to_le_bytes());
            } else {
                bytes.extend_from_slice(&v.to_f64().to_le_bytes());
            }
        }
        Self {
            name,
            dtype: dtype::<T>(),
            shape,
            bytes,
        }
    }

    pub(super) fn view(&self) -> Result<TensorView<'_>, String> {
        TensorView::new(self.dtype, self.shape.clone(), &self.bytes).map_err(|e| e.to_string())
    }
}

fn dtype<T: Scalar>() -> Dtype {
    if T::NAME == "f32" {
        Dtype::F32
    } else {
        Dtype::F64
    }
}

/// Reads a tensor of the given number of axes; all numbers must be finite. Gives its extents too.
pub(super) fn read<T: Scalar>(
    archive: &SafeTensors<'_>,
    name: &str,
    axes: usize,
) -> Result<(Vec<usize>, Vec<T>), String> {
    let tensor = archive
        .tensor(name)
        .map_err(|_| format!("tensor '{name}' is missing"))?;
    if tensor.dtype() != dtype::<T>() {
        return Err(format!(
            "tensor '{name}' is {:?}, not {}",
            tensor.dtype(),
            T::NAME
        ));
    }
    if tensor.shape().len() != axes {
        return Err(format!(
            "tensor '{name}' has shape {:?}, not {axes} axes",
            tensor.shape()
        ));
    }
    let width = size_of::<T>();
    let number = |bytes: &[u8]| {
        let mut padded = [0u8; 8];
        padded[..width].copy_from_slice(bytes);
        if width == 4 {
            let [a, b, c, d, ..] = padded;
            T::from_f64(f64::from(f32::from_le_bytes([a, b, c, d])))
        } else {
            T::from_f64(f64::from_le_bytes(padded))
        }
    };
    let values: Vec<T> = tensor.data().chunks_exact(width).map(number).collect();
    match values.iter().position(|v| !Scalar::is_finite(*v)) {
        Some(at) => Err(format!("tensor '{name}' is not finite at {at}")),
        None => Ok((tensor.shape().to_vec(), values)),
    }
}
