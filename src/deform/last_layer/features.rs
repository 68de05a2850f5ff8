//! The features of the last layer for all rows.

use super::LastLayer;
use super::workspace::LastLayerWorkspace;
use crate::error::{Column, Error, Result, counted};
use crate::linalg::not_a_number;
use crate::scalar::Scalar;

impl<T: Scalar> LastLayer<T> {
    /// Computes `Phi^T`, `[H + 1, rows]`, in the workspace.
    pub(super) fn compute_features(
        &self,
        theta_h: &[T],
        ws: &mut LastLayerWorkspace<T>,
    ) -> Result<()> {
        let (h, n) = (self.features - 1, self.rows);
        if !ws.is_of(self) {
            let (expected, got) = ("a workspace of this last layer", "that of another");
            return Err(Error::shape("LastLayer", expected, got));
        }
        if theta_h.len() != self.hidden_dim() {
            let expected = counted(self.hidden_dim(), "hidden number");
            return Err(Error::shape("LastLayer", expected, theta_h.len()));
        }
        self.set_scales(theta_h, ws)?;
        let of_network = &theta_h[..self.network_dim];
        for (b, x) in self.blocks.iter().enumerate() {
            self.program.run(&[of_network, x], &mut ws.program)?;
            let features = self.program.tensor(&ws.program, 0)?;
            let first = b * self.block;
            let here = self.block.min(n - first);
            for i in 0..h {
                ws.phi[i * n + first..][..here]
                    .copy_from_slice(&features[i * self.block..][..here]);
            }
        }
        // `exact_phi` is empty where it is not needed
        for (exact, phi) in ws.exact_phi.iter_mut().zip(&ws.phi) {
            *exact = phi.to_f64();
        }
        // the square root of a weight belongs to the features and to the targets
        if !self.roots.is_empty() {
            for exact in ws.exact_phi.chunks_exact_mut(n) {
                let pairs = exact.iter_mut().zip(&self.roots);
                pairs.for_each(|(exact, root)| *exact *= root);
            }
        }
        match ws.phi.iter().position(|v| !Scalar::is_finite(*v)) {
            None => Ok(()),
            Some(at) => {
                let (row, column, value) = (at % n, Column::Number(at / n), ws.phi[at].to_f64());
                let what = "features of the last layer";
                Err(not_a_number::<T>(what, row, column, value))
            }
        }
    }
}
