//! Flows of coupling layers: which layers, in which order.

use rand::Rng;

use super::{
    AffineCoupling, Beside, Bijection, Chain, DiagonalAffine, OrthogonalMixing, SplineCoupling,
    SplineOptions,
};
use crate::error::Result;
use crate::linalg::random_orthogonal;

/// What the layers of a flow do to the coordinates that move.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum FlowKind {
    /// Scale and shift them.
    #[default]
    Affine,
    /// Put each through a spline, then scale and shift it. The spline works where N(0, 1) has its
    /// mass. The affine layer moves the result to where it belongs, also beyond the spline's bound.
    Spline(SplineOptions),
}

/// A flow of coupling layers over some coordinates.
#[derive(Clone, Debug)]
pub struct FlowOptions {
    /// What the layers do.
    pub kind: FlowKind,
    /// Hidden widths of the conditioners.
    pub hidden: Vec<usize>,
    /// Number of leading coordinates that pass and that all layers see.
    pub context: usize,
}

impl Default for FlowOptions {
    fn default() -> Self {
        Self {
            kind: FlowKind::Affine,
            hidden: vec![32],
            context: 0,
        }
    }
}

/// A chain of coupling layers on `dim` coordinates behind the context. Every mixing matrix
/// (`[dim, dim]`) adds a layer for each half, then the rotation. A diagonal affine map comes at the
/// end, and so do its parameters. A single coordinate has no halves; with a context, it has one
/// layer for each matrix.
///
/// # Errors
/// If a matrix is not orthogonal, a width is 0, or an option of the splines is out of its range.
pub fn coupling_flow(dim: usize, mixing: &[Vec<f64>], options: &FlowOptions) -> Result<Chain> {
    let (c, hidden) = (options.context, &options.hidden[..]);
    let mut parts: Vec<Box<dyn Bijection>> = Vec::new();
    for matrix in mixing {
        let rotation = OrthogonalMixing::from_matrix(dim, matrix.clone())?;
        let sides: &[bool] = match dim {
            0 => &[],
            1 if c == 0 => &[],
            1 => &[false],
            _ => &[false, true],
        };
        for &swap in sides {
            if let FlowKind::Spline(spline) = options.kind {
                parts.push(Box::new(match dim {
                    1 => SplineCoupling::given(c, 1, hidden, spline)?,
                    _ => {
                        SplineCoupling::new(dim, dim / 2, hidden, swap, spline)?.with_context(c)?
                    }
                }));
            }
            parts.push(Box::new(match dim {
                1 => AffineCoupling::given(c, 1, hidden)?,
                _ => AffineCoupling::new(dim, dim / 2, hidden, swap)?.with_context(c)?,
            }));
        }
        if dim > 1 {
            parts.push(Box::new(Beside::new(c, rotation)));
        }
    }
    parts.push(Box::new(Beside::new(c, DiagonalAffine::new(dim))));
    Chain::new(c + dim, parts)
}

/// Random mixing matrices (`[dim, dim]` each) for `blocks` blocks of a [`coupling_flow`].
pub fn draw_mixing(dim: usize, blocks: usize, rng: &mut impl Rng) -> Vec<Vec<f64>> {
    (0..blocks).map(|_| random_orthogonal(dim, rng)).collect()
}
