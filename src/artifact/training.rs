//! The training rows in a model file, for its conditional last layer, stored compactly.
//!
//! Features are stored in the model's precision, which is what the engine sees. Pixels take a byte
//! each: these are whole numbers from 0 to 255 that standardisation reproduces bit for bit.

use super::tensors::{Archive, Tensor, read, read_bytes};
use crate::data::Standardizer;
use crate::error::counted;
use crate::scalar::Scalar;

/// Standardised training rows.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingRows<T> {
    /// `[n, d]`.
    pub x: Vec<T>,
    /// `[n]`: class indices, or the standardised target. With weights `[2 n]`, each target followed
    /// by its weight.
    pub y: Vec<f64>,
}

impl<T: Scalar> TrainingRows<T> {
    /// Rows in the model's precision.
    pub fn new(x: &[f64], y: Vec<f64>) -> Self {
        let x = x.iter().map(|&v| T::from_f64(v)).collect();
        Self { x, y }
    }

    /// Features in double precision.
    pub fn features(&self) -> Vec<f64> {
        self.x.iter().map(|v| v.to_f64()).collect()
    }

    /// The bytes that the features were before standardisation, if they were bytes.
    fn as_bytes(&self, features: &Standardizer) -> Option<Vec<u8>> {
        let d = features.mean().len();
        let columns = features.mean().iter().zip(features.scale());
        let columns: Vec<(f64, f64)> = columns.map(|(m, s)| (*m, *s)).collect();
        let byte = |(at, v): (usize, &T)| {
            let (mean, scale) = columns[at % d];
            let raw = (v.to_f64() * scale + mean).round();
            (0.0..=255.0).contains(&raw).then_some(raw as u8)
        };
        let bytes: Vec<u8> = self.x.iter().enumerate().map(byte).collect::<Option<_>>()?;
        (Self::from_bytes(&bytes, features)? == self.x).then_some(bytes)
    }

    fn from_bytes(bytes: &[u8], features: &Standardizer) -> Option<Vec<T>> {
        let raw: Vec<f64> = bytes.iter().map(|&b| f64::from(b)).collect();
        let x = features.transform_owned(raw).ok()?;
        Some(x.into_iter().map(T::from_f64).collect())
    }

    pub(super) fn tensors(&self, features: &Standardizer) -> [Tensor<'_>; 2] {
        let d = features.mean().len();
        let shape = vec![self.x.len() / d.max(1), d];
        let x = match self.as_bytes(features) {
            Some(bytes) => Tensor::bytes("data.pixels", shape, bytes),
            None => Tensor::new("data.x", shape, &self.x),
        };
        [x, Tensor::new("data.y", vec![self.y.len()], &self.y)]
    }

    /// Reads rows of `d` features.
    pub(super) fn read(
        archive: &Archive<'_>,
        features: &Standardizer,
        d: usize,
    ) -> Result<Self, String> {
        let (rows, y) = read::<f64>(archive, "data.y", 1)?;
        let (shape, x) = match archive.has("data.pixels") {
            true => {
                let (shape, bytes) = read_bytes(archive, "data.pixels", 2)?;
                let fits = shape[1] == d;
                let x = fits.then(|| Self::from_bytes(bytes, features)).flatten();
                (shape, x.unwrap_or_default())
            }
            false => read::<T>(archive, "data.x", 2)?,
        };
        // the program's own likelihood may have several targets per row
        let fits = shape[0] > 0 && rows[0].is_multiple_of(shape[0]) && shape[1] == d;
        if !fits || x.len() != shape[0] * d {
            return Err(format!(
                "training rows have shape {shape:?} for {} and {}",
                counted(rows[0], "target"),
                counted(d, "feature")
            ));
        }
        Ok(Self { x, y })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tensors::write_archive;
    use super::*;
    use safetensors::SafeTensors;

    fn round_trip(x: &[f64], d: usize, shared: bool) -> (usize, bool) {
        let features = match shared {
            true => Standardizer::fit_shared(x, d).unwrap(),
            false => Standardizer::fit(x, d).unwrap(),
        };
        let y: Vec<f64> = (0..x.len() / d).map(|i| i as f64).collect();
        let rows = TrainingRows::<f32>::new(&features.transform(x).unwrap(), y);
        let mut file = Vec::new();
        let tensors = rows.tensors(&features).into_iter().collect();
        write_archive(tensors, ("k", "v".into()), &mut file).unwrap();
        let archive = SafeTensors::deserialize(&file).unwrap();
        let archive = Archive::of(&archive);
        let back = TrainingRows::<f32>::read(&archive, &features, d).unwrap();
        assert_eq!(back, rows);
        (file.len(), archive.has("data.pixels"))
    }

    #[test]
    fn pixels_take_a_byte_and_come_back_to_the_bit() {
        let pixels: Vec<f64> = (0..40 * 25).map(|i| f64::from(i * 7919 % 256)).collect();
        let (bytes, as_pixels) = round_trip(&pixels, 25, true);
        assert!(as_pixels && bytes < 40 * 25 + 40 * 8 + 500, "{bytes}");
        // a constant column holds whole numbers too
        let mut some = pixels.clone();
        some.iter_mut().step_by(25).for_each(|x| *x = 9.0);
        assert!(round_trip(&some, 25, false).1);
    }

    #[test]
    fn other_numbers_are_kept_as_they_are() {
        let real: Vec<f64> = (0..60).map(|i| (i as f64).sin()).collect();
        assert!(!round_trip(&real, 3, false).1);
        let beyond: Vec<f64> = (0..60).map(|i| f64::from(i * 6)).collect();
        assert!(!round_trip(&beyond, 3, false).1);
    }
}
