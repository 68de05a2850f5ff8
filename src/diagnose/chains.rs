//! Draws of one quantity from several chains.

use crate::error::{Error, Result};
use crate::linalg::vector::first_non_finite;

/// Draws of one quantity from chains of equal length, `[chains, draws]` row-major.
///
/// The shape is checked here, once. The values may be anything. Each diagnostic says what it does
/// with values that are not finite, and with chains that do not move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chains<'a> {
    values: &'a [f64],
    chains: usize,
    draws: usize,
}

impl<'a> Chains<'a> {
    /// A view of `values` as `chains` rows.
    ///
    /// # Errors
    /// If there are no chains, the length is not a multiple of their number, or a chain has fewer
    /// than 4 draws (each half needs a variance).
    pub fn new(values: &'a [f64], chains: usize) -> Result<Self> {
        if chains == 0 || !values.len().is_multiple_of(chains) {
            let expected = format!("values [{chains}, draws] of at least 1 chain");
            return Err(Error::shape("Chains", expected, values.len()));
        }
        let draws = values.len() / chains;
        if draws < 4 {
            return Err(Error::shape("Chains", "at least 4 draws of a chain", draws));
        }
        Ok(Self {
            values,
            chains,
            draws,
        })
    }

    /// Number of chains.
    pub fn chains(&self) -> usize {
        self.chains
    }

    /// Number of draws per chain.
    pub fn draws(&self) -> usize {
        self.draws
    }

    /// All draws, chain by chain.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// The draws of one chain, in order.
    ///
    /// # Panics
    /// If there is no such chain.
    pub fn chain(&self, index: usize) -> &'a [f64] {
        &self.values[index * self.draws..(index + 1) * self.draws]
    }

    pub(super) fn are_finite(&self) -> bool {
        first_non_finite(self.values).is_none()
    }

    /// The first and last half of each chain, as chains. With an odd number of draws, the middle
    /// one is left out.
    pub(super) fn split(&self) -> Sequences {
        let length = self.draws / 2;
        let halves = |chain: &[f64]| {
            [
                chain[..length].to_vec(),
                chain[self.draws - length..].to_vec(),
            ]
        };
        let rows = self.values.chunks_exact(self.draws).flat_map(halves);
        Sequences {
            values: rows.flatten().collect(),
            length,
        }
    }
}

/// Sequences of equal length, one after the other: halves of chains, possibly transformed.
#[derive(Clone, Debug)]
pub(super) struct Sequences {
    pub values: Vec<f64>,
    pub length: usize,
}

impl Sequences {
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.length)
    }

    /// Sequences of the same length with other values.
    pub fn with(&self, values: Vec<f64>) -> Self {
        Self {
            values,
            length: self.length,
        }
    }
}

/// Mean, and variance with divisor `n - 1` (0 for a single value). For equal values, they are
/// exactly that value and 0.
pub(super) fn mean_and_variance(x: &[f64]) -> (f64, f64) {
    let Some(&first) = x.first() else {
        return (f64::NAN, f64::NAN);
    };
    let n = x.len() as f64;
    // relative to the first value: rounding gives no variance to a chain that does not move
    let mean = first + x.iter().map(|v| v - first).sum::<f64>() / n;
    let squares: f64 = x.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, squares / (n - 1.0).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_checked() {
        let x = [0.0; 12];
        assert!(Chains::new(&x, 3).is_ok());
        for chains in [0, 4, 5] {
            assert!(Chains::new(&x, chains).is_err(), "{chains}");
        }
        assert!(Chains::new(&[], 1).is_err());
    }

    #[test]
    fn halves_leave_the_middle_out() {
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        let halves = Chains::new(&x, 2).unwrap().split();
        assert_eq!(halves.length, 2);
        assert_eq!(halves.values, [0.0, 1.0, 3.0, 4.0, 5.0, 6.0, 8.0, 9.0]);
    }

    #[test]
    fn equal_values_have_no_variance() {
        assert_eq!(mean_and_variance(&[0.1; 7]), (0.1, 0.0));
        assert_eq!(mean_and_variance(&[1.0, 2.0, 6.0]), (3.0, 7.0));
        assert_eq!(mean_and_variance(&[2.0]), (2.0, 0.0));
    }
}
