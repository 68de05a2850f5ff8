//! The parts of a deformation: invertible maps with a known change of volume.

use rand::Rng;

use crate::autodiff::{Graph, Var};
use crate::error::{Error, Result, counted};
use crate::linalg::vector::dot;
use crate::parallel;
use crate::scalar::Scalar;

/// A bijection of `R^dim` on batches, recorded in a graph. So it can be trained through anything
/// that is recorded there.
///
/// Every row of a batch is mapped independently. A *conditional* map is a bijection of `R^{c + d}`
/// that leaves the first `c` coordinates, its context, unchanged ([`super::Beside`], and
/// `with_context` of the coupling layers).
///
/// Your own maps can join the others in a [`Chain`]:
///
/// ```
/// use fiberwalk::autodiff::{Graph, Var};
/// use fiberwalk::deform::{Bijection, Chain, DiagonalAffine};
/// use rand::Rng;
///
/// /// `y = sinh z` of every coordinate: heavy tails.
/// struct Sinh(usize);
///
/// impl Bijection for Sinh {
///     fn dim(&self) -> usize {
///         self.0
///     }
///     fn param_count(&self) -> usize {
///         0
///     }
///     fn init(&self, _: &mut dyn Rng) -> Vec<f64> {
///         Vec::new()
///     }
///     fn forward<'g>(&self, _: Var<'g>, z: Var<'g>) -> (Var<'g>, Var<'g>) {
///         let (up, down) = (z.exp(), (-z).exp());
///         // dy/dz = cosh z
///         ((up - down) * 0.5, ((up + down) * 0.5).ln().sum_axis(1))
///     }
///     fn inverse<'g>(&self, _: Var<'g>, y: Var<'g>) -> (Var<'g>, Var<'g>) {
///         let cosh = (y.square() + 1.0).sqrt();
///         ((y + cosh).ln(), -cosh.ln().sum_axis(1))
///     }
/// }
///
/// # fn main() -> fiberwalk::Result<()> {
/// let flow = Chain::new(2, vec![Box::new(Sinh(2)), Box::new(DiagonalAffine::new(2))])?;
/// let graph = Graph::new();
/// let (params, z) = (graph.input(&[flow.param_count()]), graph.input(&[1, 2]));
/// let (y, log_det) = flow.forward(params, z);
/// let (back, _) = flow.inverse(params, y);
/// let program = graph.compile::<f64>(&[y, log_det, back])?;
/// let mut ws = program.workspace();
/// // the diagonal map's parameters: log-scales, then shifts
/// let params = [2f64.ln(), 0.0, 0.0, -1.0];
/// program.run(&[&params, &[0.5, -3.0]], &mut ws)?;
/// assert!((program.tensor(&ws, 0)?[0] - 2.0 * 0.5f64.sinh()).abs() < 1e-12);
/// assert!((program.tensor(&ws, 1)?[0] - (2.0 * 0.5f64.cosh() * 3f64.cosh()).ln()).abs() < 1e-12);
/// assert!((program.tensor(&ws, 2)?[1] + 3.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
pub trait Bijection: Send + Sync {
    /// Number of coordinates.
    fn dim(&self) -> usize;

    /// Number of learned parameters.
    fn param_count(&self) -> usize;

    /// Initial parameters, of length [`Bijection::param_count`]; close to the identity map.
    fn init(&self, rng: &mut dyn Rng) -> Vec<f64>;

    /// Records `y = T(z)` and `log |det dT/dz|`. `params` is `[param_count]`, `z` and `y` are
    /// `[n, dim]`, and the log-determinant is `[n]`.
    fn forward<'g>(&self, params: Var<'g>, z: Var<'g>) -> (Var<'g>, Var<'g>);

    /// Records `z = T^{-1}(y)` and `log |det dT^{-1}/dy|`, shapes as in [`Bijection::forward`].
    fn inverse<'g>(&self, params: Var<'g>, y: Var<'g>) -> (Var<'g>, Var<'g>);
}

/// Bijections one after the other: `forward` applies the first one first.
pub struct Chain {
    dim: usize,
    parts: Vec<Box<dyn Bijection>>,
}

impl Chain {
    /// A chain of maps of `dim` coordinates; with no part it is the identity.
    ///
    /// # Errors
    /// If a part has another dimension.
    pub fn new(dim: usize, parts: Vec<Box<dyn Bijection>>) -> Result<Self> {
        match parts.iter().find(|p| p.dim() != dim) {
            Some(part) => Err(Error::shape(
                "Chain",
                format!("parts of dimension {dim}"),
                part.dim(),
            )),
            None => Ok(Self { dim, parts }),
        }
    }

    /// The parameters of each part.
    fn split<'g>(&self, params: Var<'g>) -> Vec<Var<'g>> {
        let mut start = 0;
        let mut all = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let end = start + part.param_count();
            all.push(params.slice(0, start..end));
            start = end;
        }
        all
    }
}

/// `[n]` zeros for a batch `[n, dim]`: the log-determinant of a map that keeps volume.
pub(super) fn no_change<'g>(graph: &'g Graph, batch: Var<'g>) -> Var<'g> {
    let rows = batch.shape().first().copied().unwrap_or(0);
    graph.full(&[rows], 0.0)
}

/// `log N(z; 0, I) + log |det|` for rows of `z` (`[n, dim]`). This is the density of a bijection's
/// image, given `z` and the log-determinants of the inverse.
pub(super) fn pulled_back_normal<T: Scalar>(z: &[T], log_det: &[f64], dim: usize) -> Vec<f64> {
    let constant = -0.5 * dim as f64 * (2.0 * std::f64::consts::PI).ln();
    let rows = z.chunks_exact(dim).zip(log_det);
    rows.map(|(z, log_det)| constant - 0.5 * dot(z, z) + log_det)
        .collect()
}

/// Runs `work` on batches of `batch` rows of `dim` numbers in parallel. Joins the results in order:
/// mapped rows, and one number per row.
///
/// # Errors
/// If there are no whole rows (`what` names the map), and those of `work`.
pub(super) fn in_batches<T: Scalar>(
    what: &'static str,
    rows: &[T],
    dim: usize,
    batch: usize,
    work: impl Fn(&[T]) -> Result<(Vec<T>, Vec<f64>)> + Sync,
) -> Result<(Vec<T>, Vec<f64>)> {
    if dim == 0 || !rows.len().is_multiple_of(dim) {
        let expected = format!("rows of {}", counted(dim, "number"));
        return Err(Error::shape(what, expected, rows.len()));
    }
    let batches: Vec<&[T]> = rows.chunks(batch * dim).collect();
    let parts = parallel::try_map(batches.len(), |i| work(batches[i]))?;
    let mut all = (Vec::with_capacity(rows.len()), Vec::new());
    for (numbers, figures) in parts {
        all.0.extend(numbers);
        all.1.extend(figures);
    }
    Ok(all)
}

impl Bijection for Chain {
    fn dim(&self) -> usize {
        self.dim
    }

    fn param_count(&self) -> usize {
        self.parts.iter().map(|p| p.param_count()).sum()
    }

    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        self.parts.iter().flat_map(|p| p.init(rng)).collect()
    }

    fn forward<'g>(&self, params: Var<'g>, z: Var<'g>) -> (Var<'g>, Var<'g>) {
        let mut state = (z, no_change(z.graph(), z));
        for (part, params) in self.parts.iter().zip(self.split(params)) {
            let (y, log_det) = part.forward(params, state.0);
            state = (y, state.1 + log_det);
        }
        state
    }

    fn inverse<'g>(&self, params: Var<'g>, y: Var<'g>) -> (Var<'g>, Var<'g>) {
        let mut state = (y, no_change(y.graph(), y));
        for (part, params) in self.parts.iter().zip(self.split(params)).rev() {
            let (z, log_det) = part.inverse(params, state.0);
            state = (z, state.1 + log_det);
        }
        state
    }
}
