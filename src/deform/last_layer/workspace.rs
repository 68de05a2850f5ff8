//! The memory for computing one conditional after another.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};

use super::{Conditional, Head, LastLayer};
use crate::autodiff::Workspace;
use crate::error::{Error, Result, counted};
use crate::linalg::Factoriser;
use crate::scalar::Scalar;

/// The memory of [`LastLayer::condition`], which allocates nothing else, and its last result.
pub struct LastLayerWorkspace<T> {
    pub(super) program: Workspace<T>,
    /// `Phi^T`, `[H + 1, rows]`; the last row is 1.
    pub(super) phi: Vec<T>,
    /// The same in double precision, for a Gaussian likelihood and where scales are sampled.
    pub(super) exact_phi: Vec<f64>,
    /// `Phi^T` times weights, and a block of the Hessian, in double precision, where scales are
    /// sampled.
    pub(super) exact_weighted: Vec<f64>,
    pub(super) exact_block: Vec<f64>,
    /// `Phi^T` times weights of the rows.
    pub(super) weighted: Vec<T>,
    /// Outputs, then expected targets, then residuals, `[outputs, rows]`.
    pub(super) expected: Vec<T>,
    /// Expected targets averaged over draws.
    pub(super) average: Vec<T>,
    /// Curvatures of the pairs of outputs, `[pairs, rows]`.
    pub(super) curvatures: Vec<T>,
    /// The changes of the outputs that the nodes cause, `[nodes, outputs, rows]`.
    pub(super) shifts: Vec<T>,
    /// Outputs at the centre.
    pub(super) outputs: Vec<T>,
    /// Two numbers per row. Under a general likelihood: the curvatures of the pairs,
    /// `[pairs, rows]`.
    pub(super) scratch: Vec<T>,
    /// Vectors of the last layer in the number type, `[nodes, dim]`.
    pub(super) cast: Vec<T>,
    pub(super) product: Vec<T>,
    pub(super) block: Vec<T>,
    pub(super) hessian: Vec<f64>,
    pub(super) centre: Vec<f64>,
    /// Where Newton's method ended.
    pub(super) mode: Vec<f64>,
    pub(super) step: Vec<f64>,
    pub(super) gradient: Vec<f64>,
    pub(super) trial: Vec<f64>,
    /// Displacements `L^{-T} z` of the nodes, `[nodes, dim]`.
    pub(super) displacements: Vec<f64>,
    pub(super) factoriser: Factoriser,
    /// Prior precision of the weights of each feature, and of the biases.
    pub(super) precisions: Vec<f64>,
    /// 1 without a Gaussian likelihood.
    pub(super) noise_std: f64,
    /// Of a general likelihood.
    pub(super) general: Option<Workspace<T>>,
}

impl<T: Scalar> LastLayerWorkspace<T> {
    pub(super) fn new(last: &LastLayer<T>) -> Self {
        let (h, n, k, dim) = (last.features, last.rows, last.outputs, last.dim());
        let gaussian = last.is_gaussian();
        let general = match &last.head {
            Head::General(head) => Some(head.workspace()),
            Head::Closed(_) => None,
        };
        let each = general.as_ref().map_or(2, |_| last.pairs().count());
        // a Gaussian likelihood needs one factor for all outputs, and no iteration
        let order = if gaussian { h } else { dim };
        let iterated = if gaussian { 0 } else { 1 };
        let wide = if last.scales.is_some() { iterated } else { 0 };
        let nodes = last.node_count();
        let mut phi = vec![T::ZERO; h * n];
        phi[(h - 1) * n..].fill(T::ONE);
        Self {
            program: last.program.workspace(),
            exact_phi: vec![0.0; if gaussian || wide > 0 { h * n } else { 0 }],
            exact_weighted: vec![0.0; wide * h * n],
            exact_block: vec![0.0; wide * h * h],
            weighted: vec![T::ZERO; iterated * h * n],
            expected: vec![T::ZERO; iterated * k * n],
            average: vec![T::ZERO; iterated * k * n],
            curvatures: vec![T::ZERO; iterated * last.pairs().count() * n],
            shifts: vec![T::ZERO; nodes * k * n],
            outputs: vec![T::ZERO; iterated * k * n],
            scratch: vec![T::ZERO; iterated * each * n],
            cast: vec![T::ZERO; nodes * dim],
            product: vec![T::ZERO; dim],
            block: vec![T::ZERO; iterated * h * h],
            hessian: vec![0.0; order * order],
            centre: vec![0.0; dim],
            mode: vec![0.0; dim],
            step: vec![0.0; dim],
            gradient: vec![0.0; dim],
            trial: vec![0.0; dim],
            displacements: vec![0.0; nodes * dim],
            factoriser: Factoriser::new(order),
            precisions: vec![last.prior_precision; h],
            noise_std: last.head.noise_std().unwrap_or(1.0),
            general,
            phi,
        }
    }

    /// Whether it was made for this last layer, or one of the same size and kind.
    pub(super) fn is_of(&self, last: &LastLayer<T>) -> bool {
        let (h, n, dim) = (last.features, last.rows, last.dim());
        let gaussian = last.is_gaussian();
        let exact = gaussian || last.scales.is_some();
        self.phi.len() == h * n
            && self.exact_phi.len() == if exact { h * n } else { 0 }
            && self.centre.len() == dim
            && self.outputs.len() == if gaussian { 0 } else { last.outputs * n }
            && self.displacements.len() == last.nodes.len()
            && self.precisions.len() == h
            && self.general.is_some() == matches!(last.head, Head::General(_))
    }

    /// The mode of the last conditional, `[H + 1, outputs]`: the best start for computing it again.
    pub fn mode(&self) -> &[f64] {
        &self.mode
    }

    /// The last conditional that was computed in this workspace.
    pub fn conditional(&self) -> Conditional<'_> {
        Conditional {
            centre: &self.centre,
            precision: self.factoriser.factor(),
        }
    }
}

impl<T: Scalar> LastLayerWorkspace<T> {
    /// Number of columns of the last layer that share a factor: all outputs for a Gaussian
    /// likelihood, otherwise one.
    fn columns(&self) -> usize {
        self.centre.len() / self.factoriser.factor().dim()
    }

    /// `log |det|` of the map from standard normals to the last layer: `-sum log L_ii` over its
    /// columns.
    pub fn log_det(&self) -> f64 {
        -0.5 * self.columns() as f64 * self.factoriser.factor().log_det()
    }

    /// Turns standard normals into a draw from the last conditional, in place: `c + L^{-T} z`.
    ///
    /// # Errors
    /// If `w` is not as long as the last layer.
    pub fn forward(&mut self, w: &mut [T]) -> Result<()> {
        self.check(w.len())?;
        let (factor, k) = (self.factoriser.factor(), self.columns());
        for c in 0..k {
            let column = &mut self.step[..factor.dim()];
            for (x, w) in column.iter_mut().zip(w[c..].iter().step_by(k)) {
                *x = w.to_f64();
            }
            factor.solve_transposed(column);
            let centres = self.centre[c..].iter().step_by(k);
            for ((w, x), m) in w[c..].iter_mut().step_by(k).zip(&*column).zip(centres) {
                *w = T::from_f64(x + m);
            }
        }
        Ok(())
    }

    /// Turns a last layer into the standard normals that it comes from, in place: the inverse of
    /// [`LastLayerWorkspace::forward`].
    ///
    /// # Errors
    /// If `w` is not as long as the last layer.
    pub fn inverse(&mut self, w: &mut [T]) -> Result<()> {
        self.check(w.len())?;
        let (factor, k) = (self.factoriser.factor(), self.columns());
        for c in 0..k {
            let (offset, z) = (&mut self.step[..factor.dim()], &mut self.trial);
            let pairs = w[c..].iter().zip(&self.centre[c..]).step_by(k);
            for (x, (w, m)) in offset.iter_mut().zip(pairs) {
                *x = w.to_f64() - m;
            }
            factor.multiply_transposed(offset, &mut z[..factor.dim()]);
            for (w, z) in w[c..].iter_mut().step_by(k).zip(&*z) {
                *w = T::from_f64(*z);
            }
        }
        Ok(())
    }

    fn check(&self, got: usize) -> Result<()> {
        let dim = self.centre.len();
        if got == dim {
            return Ok(());
        }
        let expected = format!("a last layer of {}", counted(dim, "parameter"));
        Err(Error::shape("LastLayerWorkspace", expected, got))
    }
}

/// `out [outputs, rows] = w^T Phi^T` for `w [h, outputs]`.
pub(super) fn outputs<T: Scalar>(phi: &[T], rows: usize, w: &[T], out: &mut [T]) {
    let h = phi.len() / rows;
    let k = w.len() / h;
    matmul(
        MatMut::from_row_major_slice_mut(out, k, rows),
        Accum::Replace,
        MatRef::from_row_major_slice(w, h, k).transpose(),
        MatRef::from_row_major_slice(phi, h, rows),
        T::ONE,
        Par::Seq,
    );
}

/// `out [h, k] = Phi^T r^T` for `r [k, rows]`.
pub(super) fn back<T: Scalar>(phi: &[T], rows: usize, r: &[T], out: &mut [T]) {
    let (h, k) = (phi.len() / rows, r.len() / rows);
    matmul(
        MatMut::from_row_major_slice_mut(out, h, k),
        Accum::Replace,
        MatRef::from_row_major_slice(phi, h, rows),
        MatRef::from_row_major_slice(r, k, rows).transpose(),
        T::ONE,
        Par::Seq,
    );
}

/// The lower triangle of `a b^T` for `a` and `b` `[h, rows]` whose product is symmetric.
pub(super) fn lower_product<T: Scalar>(a: &[T], b: &[T], rows: usize, out: &mut [T]) {
    let h = a.len() / rows;
    triangular::matmul(
        MatMut::from_row_major_slice_mut(out, h, h),
        BlockStructure::TriangularLower,
        Accum::Replace,
        MatRef::from_row_major_slice(a, h, rows),
        BlockStructure::Rectangular,
        MatRef::from_row_major_slice(b, h, rows).transpose(),
        BlockStructure::Rectangular,
        T::ONE,
        Par::Seq,
    );
}
