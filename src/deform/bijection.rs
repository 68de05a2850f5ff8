//! What a deformation is made of: invertible maps with a known change of volume.

use rand::Rng;

use crate::autodiff::{Graph, Var};
use crate::error::{Error, Result};
use crate::linalg::vector::dot;
use crate::scalar::Scalar;

/// A bijection of `R^dim`, on batches, recorded in a graph: so it can be trained through anything that is recorded there.
pub trait Bijection: Send + Sync {
    /// Number of coordinates.
    fn dim(&self) -> usize;

    /// Number of learned parameters.
    fn param_count(&self) -> usize;

    /// Parameters to start from, of length [`Bijection::param_count`]; close to the identity map.
    fn init(&self, rng: &mut dyn Rng) -> Vec<f64>;

    /// Records `y = T(z)` and `log |det dT/dz|`: `params` is `[param_count]`, `z` and `y` are `[n, dim]`, the second
    /// result is `[n]`.
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

/// `log N(z; 0, I) + log |det|` for rows of `z` (`[n, dim]`): the density of a bijection's image, given its inverse and that
/// one's log-determinants.
pub(super) fn pulled_back_normal<T: Scalar>(z: &[T], log_det: &[f64], dim: usize) -> Vec<f64> {
    let constant = -0.5 * dim as f64 * (2.0 * std::f64::consts::PI).ln();
    let rows = z.chunks_exact(dim).zip(log_det);
    rows.map(|(z, log_det)| constant - 0.5 * dot(z, z) + log_det)
        .collect()
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::deform::{AffineCoupling, DiagonalAffine, OrthogonalMixing};
    use crate::linalg::vector::fill_normal;
    use crate::rng::{Phase, Streams};
    use proptest::prelude::*;

    /// log |det| by Gaussian elimination with pivoting: the oracle of every log-determinant.
    fn log_abs_det(mut a: Vec<Vec<f64>>) -> f64 {
        let n = a.len();
        let mut sum = 0.0;
        for c in 0..n {
            let pivot = (c..n)
                .max_by(|&i, &j| a[i][c].abs().total_cmp(&a[j][c].abs()))
                .unwrap();
            a.swap(c, pivot);
            sum += a[c][c].abs().ln();
            for r in c + 1..n {
                let f = a[r][c] / a[c][c];
                let (above, below) = a.split_at_mut(r);
                for (x, p) in below[0].iter_mut().zip(&above[c]) {
                    *x -= f * p;
                }
            }
        }
        sum
    }

    /// inverse(forward(z)) = z, and both log-determinants against the dense Jacobian, at random parameters.
    pub(in crate::deform) fn check_bijection(bijection: &dyn Bijection, seed: u64) {
        let (n, d) = (3, bijection.dim());
        let mut rng = Streams::new(seed).rng(Phase::USER, 0);
        let mut params = vec![0.0; bijection.param_count()];
        fill_normal(&mut rng, &mut params);
        for p in &mut params {
            *p *= 0.5;
        }
        let mut z = vec![0.0; n * d];
        fill_normal(&mut rng, &mut z);

        let graph = Graph::new();
        let (p, x) = (graph.input(&[params.len()]), graph.input(&[n, d]));
        let (y, log_det) = bijection.forward(p, x);
        let (back, inverse_log_det) = bijection.inverse(p, x);
        assert_eq!(y.shape(), vec![n, d]);
        assert_eq!(log_det.shape(), vec![n]);
        let v = graph.input(&[n, d]);
        let tangent = graph.jvp(y, x, v).unwrap();
        let program = graph
            .compile::<f64>(&[y, log_det, back, inverse_log_det, tangent])
            .unwrap();
        let mut ws = program.workspace();
        program.run(&[&params, &z, &z], &mut ws).unwrap();
        let y = program.tensor(&ws, 0).to_vec();
        let log_det = program.tensor(&ws, 1).to_vec();
        // the Jacobian of each row, column by column: rows do not see one another
        let mut jacobians = vec![vec![vec![0.0; d]; d]; n];
        for c in 0..d {
            let mut v = vec![0.0; n * d];
            (0..n).for_each(|r| v[r * d + c] = 1.0);
            program.run(&[&params, &z, &v], &mut ws).unwrap();
            let column = program.tensor(&ws, 4);
            for r in 0..n {
                for i in 0..d {
                    jacobians[r][i][c] = column[r * d + i];
                }
            }
        }
        for (r, jacobian) in jacobians.into_iter().enumerate() {
            let want = log_abs_det(jacobian);
            assert!(
                (log_det[r] - want).abs() < 1e-9,
                "{} against {want}",
                log_det[r]
            );
        }
        program.run(&[&params, &y, &z], &mut ws).unwrap();
        for (a, b) in program.tensor(&ws, 2).iter().zip(&z) {
            assert!((a - b).abs() < 1e-9, "inverse(forward(z)) = {a}, z = {b}");
        }
        for (a, b) in program.tensor(&ws, 3).iter().zip(&log_det) {
            assert!((a + b).abs() < 1e-9, "log-determinants {a} and {b}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn random_chains_are_bijections(
            kinds in prop::collection::vec(0u8..4, 0..7),
            dim in 2usize..7,
            seed in 0u64..1000,
        ) {
            let mut rng = Streams::new(seed).rng(Phase::USER, 1);
            let parts = kinds.iter().map(|kind| -> Box<dyn Bijection> {
                match kind {
                    0 => Box::new(DiagonalAffine::new(dim)),
                    1 => Box::new(OrthogonalMixing::random(dim, &mut rng)),
                    _ => Box::new(AffineCoupling::new(dim, dim / 2, &[5], kind % 2 == 0).unwrap()),
                }
            });
            let parts: Vec<_> = parts.collect();
            check_bijection(&Chain::new(dim, parts).unwrap(), seed);
        }
    }

    #[test]
    fn parts_must_agree_in_dimension() {
        let part: Box<dyn Bijection> = Box::new(DiagonalAffine::new(3));
        assert!(Chain::new(4, vec![part]).is_err());
    }
}
