//! Kronecker factors, layer by layer: `Q = scale A (x) B + alpha I` for each block.
//!
//! This is exact, in the eigenbasis of the factors (Ritter, Botev & Barber 2018, without their
//! approximation of the damping). See [`crate::curvature`], `kfac`, for what the factors drop.

use std::sync::Arc;

use super::structure::{Precision, StructuredCurvature};
use crate::curvature::{KroneckerEigen, KroneckerFactors};
use crate::error::{Error, Result};

/// The eigendecompositions of the blocks.
pub(super) struct KroneckerCurvature {
    blocks: Arc<Vec<KroneckerEigen>>,
}

impl KroneckerCurvature {
    pub(super) fn new(factors: &KroneckerFactors) -> Result<Self> {
        let blocks = factors.blocks().iter().map(KroneckerEigen::new);
        Ok(Self {
            blocks: Arc::new(blocks.collect::<Result<_>>()?),
        })
    }
}

impl StructuredCurvature for KroneckerCurvature {
    /// The prior must be one number per block.
    fn with_prior(&self, scale: f64, prior: &[f64]) -> Result<Box<dyn Precision>> {
        let mut alphas = Vec::with_capacity(self.blocks.len());
        for block in self.blocks.iter() {
            let first = block.index.first().map_or(f64::NAN, |&at| prior[at]);
            if let Some(&other) = block.index.iter().find(|&&at| prior[at] != first) {
                let expected = "one prior precision for each Kronecker block (a layer; with KfacBias::Separate a weight, a bias)";
                let got = format!("{first} and {}", prior[other]);
                return Err(Error::shape("Structure::Kfac", expected, got));
            }
            alphas.push(first);
        }
        Ok(Box::new(KroneckerPrecision {
            blocks: Arc::clone(&self.blocks),
            scale,
            alphas,
            dim: prior.len(),
        }))
    }
}

struct KroneckerPrecision {
    blocks: Arc<Vec<KroneckerEigen>>,
    scale: f64,
    alphas: Vec<f64>,
    dim: usize,
}

impl KroneckerPrecision {
    fn each(&self) -> impl Iterator<Item = crate::curvature::ShiftedKronecker<'_>> {
        let pairs = self.blocks.iter().zip(&self.alphas);
        pairs.map(|(block, &alpha)| block.shifted(self.scale, alpha))
    }
}

impl Precision for KroneckerPrecision {
    fn log_det(&self) -> f64 {
        self.each().map(|block| block.log_det()).sum()
    }

    fn variances(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.dim];
        self.each().for_each(|block| block.variances(&mut out));
        out
    }

    fn root(&self, z: &mut [f64]) {
        self.each().for_each(|block| block.root(z));
    }

    fn root_transposed(&self, rows: &mut [f64]) {
        self.each()
            .for_each(|block| block.root_transposed(rows, self.dim));
    }
}
