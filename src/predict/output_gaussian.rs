//! Gaussian distributions of the outputs of a network: what a linearised posterior predicts.

/// Gaussians of the outputs, one for each row of data.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputGaussian {
    /// Number of rows, `n`.
    pub rows: usize,
    /// Outputs per row, `K`.
    pub width: usize,
    /// `f(x; theta*)`, `[n, K]`.
    pub means: Vec<f64>,
    /// Covariances, `[n, K, K]`.
    pub covariances: Vec<f64>,
}

/// The joint Gaussian of the outputs of several rows.
#[derive(Clone, Debug, PartialEq)]
pub struct JointOutputGaussian {
    /// Number of rows, `n`.
    pub rows: usize,
    /// Outputs per row, `K`.
    pub width: usize,
    /// `f(x; theta*)`, `[n K]`.
    pub means: Vec<f64>,
    /// Covariance, `[n K, n K]`, row-major.
    pub covariance: Vec<f64>,
}

impl OutputGaussian {
    /// Mean of a row, `[K]`.
    pub fn mean(&self, row: usize) -> &[f64] {
        &self.means[row * self.width..(row + 1) * self.width]
    }

    /// Covariance of a row, `[K, K]`.
    pub fn covariance(&self, row: usize) -> &[f64] {
        let size = self.width * self.width;
        &self.covariances[row * size..(row + 1) * size]
    }
}
