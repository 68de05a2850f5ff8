//! Kronecker factors of the Gauss-Newton matrix (KFAC), layer by layer.
//!
//! For a layer `s = a W` (a row `a` of inputs, one of outputs `s`) the block of the Gauss-Newton matrix is `sum_n a_n a_n^T (x) g_n g_n^T`, summed also
//! over the vectors `c_nr` of the likelihood's curvature, with `g_nr = (ds_n/do_n)^T c_nr`. KFAC takes the mean of the products for the product of the
//! means (Martens & Grosse 2015, section 3):
//!
//! `G_l ~ A (x) B`, `A = 1/N sum_n a_n a_n^T`, `B = sum_nr g_nr g_nr^T`.
//!
//! With all `c_nr` the second factor is exact (no targets are drawn); with the scores of the observed targets in their place it is the factor of the
//! empirical Fisher matrix. A convolution has `T` positions `t`, each a use of the same weights (Grosse & Martens 2016; "expand" of Eschenhagen et
//! al. 2023): `A = 1/N sum_nt a_nt a_nt^T` with patches `a_nt`, `B = 1/T sum_ntr g_ntr g_ntr^T`. Groups of channels are blocks of their own.
//!
//! What it drops: all correlations between layers, and within one those between `a` and `g`; for convolutions also those between positions. It is
//! exact for one row and one position, and for a single linear layer whose `Lambda` is the same for all rows.
//!
//! A bias is a weight whose input is 1. It is joined to the weights, `a <- (a, 1)`, or a block of its own, `T B`: for linear layers (`T = 1`) as in laplace-torch.
//!
//! | file | what it does |
//! |---|---|
//! | `layers` | finds the layers of a network, and compiles what is needed of them |
//! | `factors` | adds the factors up over the rows |
//! | `eigen` | `scale A (x) B + alpha I`, factorised exactly in the eigenbasis |

mod eigen;
mod factors;
mod layers;

pub use factors::{KroneckerBlock, KroneckerFactors};

pub(crate) use eigen::{KroneckerEigen, ShiftedKronecker};
pub(super) use layers::Layers;

use super::roots::RowFisher;

/// Where a bias belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KfacBias {
    /// With the weights of its layer, as those of an input that is 1: keeps their correlation.
    #[default]
    Joined,
    /// A block of its own: for priors that tell weights from biases, and to compare with laplace-torch.
    Separate,
}

/// Which factors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KfacOptions {
    /// Exact Gauss-Newton or empirical.
    pub fisher: RowFisher,
    /// Where biases belong.
    pub bias: KfacBias,
}
