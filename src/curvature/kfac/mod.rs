//! Kronecker factors of the Gauss-Newton matrix (KFAC), layer by layer.
//!
//! For a layer `s = a W` (a row `a` of inputs, a row `s` of outputs) the block of the Gauss-Newton
//! matrix is `sum_n a_n a_n^T (x) g_n g_n^T`. The sum also runs over the vectors `c_nr` of the
//! likelihood's curvature, with `g_nr = (ds_n/do_n)^T c_nr`. KFAC replaces the mean of the products
//! by the product of the means (Martens & Grosse 2015, section 3):
//!
//! `G_l ~ A (x) B`, `A = 1/N sum_n a_n a_n^T`, `B = sum_nr g_nr g_nr^T`.
//!
//! Where rows have weights `w_n`, a row counts `w_n` times: `A = sum_n w_n a_n a_n^T / sum_n w_n`.
//! The vectors `c_nr` have their `w_n^{1/2}` from the likelihood.
//!
//! With all `c_nr` the second factor is exact: no targets are drawn. With the scores of the
//! observed targets instead, it is the factor of the empirical Fisher matrix. A convolution uses
//! the same weights at `T` positions `t` (Grosse & Martens 2016; "expand" of Eschenhagen et al.
//! 2023): `A = 1/N sum_nt a_nt a_nt^T` with patches `a_nt`, `B = 1/T sum_ntr g_ntr g_ntr^T`. Each
//! group of channels is a separate block.
//!
//! KFAC drops all correlations between layers, and within a layer those between `a` and `g`. For
//! convolutions it also drops those between positions. It is exact for one row and one position,
//! and for a single linear layer whose `Lambda` is the same for all rows.
//!
//! A bias is a weight whose input is 1. It is either joined to the weights, `a <- (a, 1)`, or a
//! separate block, `T B`: for linear layers (`T = 1`) as in laplace-torch.
//!
//! | file | what it does |
//! |---|---|
//! | `layers` | finds the layers of a network, and compiles their programs |
//! | `factors` | adds the factors up over the rows |
//! | `eigen` | `scale A (x) B + alpha I`, factorised exactly in the eigenbasis |

mod eigen;
mod factors;
mod layers;

pub use factors::{KroneckerBlock, KroneckerFactors};

pub(crate) use eigen::{KroneckerEigen, ShiftedKronecker};
pub(super) use layers::Layers;

use super::roots::RowFisher;

/// How a bias is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KfacBias {
    /// Joined to the weights of its layer, as weights of an input that is 1. This keeps their
    /// correlation.
    #[default]
    Joined,
    /// A separate block: for priors that differ between weights and biases, and for comparison with
    /// laplace-torch.
    Separate,
}

/// Which factors to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KfacOptions {
    /// Exact Gauss-Newton or empirical.
    pub fisher: RowFisher,
    /// How biases are treated.
    pub bias: KfacBias,
}
