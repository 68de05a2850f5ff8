//! The exact conditional for a Gaussian likelihood, and Newton's method for the convex ones.

use super::closed::Expect;
use super::workspace::{LastLayerWorkspace, back, lower_product, outputs};
use super::{Head, LastLayer, Start};
use crate::autodiff::Workspace;
use crate::error::{Error, Result};
use crate::linalg::vector::dot;
use crate::model::ClosedForm;
use crate::scalar::Scalar;
use crate::simd;

/// Newton's method stops when half its decrement is below `TOLERANCE` times the square root of the
/// number type's epsilon (1e-3 in f32, 4e-8 in f64). Half the decrement estimates the distance to
/// the minimum in nats. After the next, full step that distance is about the estimate squared.
const TOLERANCE: f64 = 3.0;
const MAX_NEWTON: usize = 100;

impl<T: Scalar> LastLayer<T> {
    /// The exact conditional. Columns of `w` share the precision `Phi^T Phi / s^2 + alpha I`. It is
    /// computed in double precision for every number type, since its eigenvalues span many orders
    /// of magnitude when the noise is small.
    pub(super) fn gaussian(&self, ws: &mut LastLayerWorkspace<T>) -> Result<()> {
        let (h, n, k) = (self.features, self.rows, self.outputs);
        let weight = 1.0 / (ws.noise_std * ws.noise_std);
        lower_product(&ws.exact_phi, &ws.exact_phi, n, &mut ws.hessian);
        for (at, a) in ws.hessian.iter_mut().enumerate() {
            *a *= weight;
            if at % (h + 1) == 0 {
                *a += ws.precisions[at / (h + 1)];
            }
        }
        let factor = ws.factoriser.factorise(&ws.hessian)?;
        back(&ws.exact_phi, n, &self.exact_targets, &mut ws.centre);
        for (g, c) in ws.gradient.iter_mut().zip(&ws.centre) {
            *g = weight * c;
        }
        for c in 0..k {
            let column = &mut ws.step[..h];
            for (i, x) in column.iter_mut().enumerate() {
                *x = ws.gradient[i * k + c];
            }
            factor.solve(column);
            for (i, x) in column.iter().enumerate() {
                ws.centre[i * k + c] = *x;
            }
        }
        ws.mode.copy_from_slice(&ws.centre);
        Ok(())
    }

    /// Finds the minimum of `U`, in `ws.centre`, with its outputs in `ws.outputs` and the factor of
    /// the Hessian.
    ///
    /// A Hessian costs as much as half a dozen gradients. So the last one is reused as long as its
    /// steps halve the decrement (Shamanskii 1967); the first one may come from the start. The last
    /// step always uses the Hessian at its own point, so the result does not depend on the path.
    pub(super) fn newton(
        &self,
        start: Option<Start<'_, T>>,
        ws: &mut LastLayerWorkspace<T>,
    ) -> Result<()> {
        let tolerance = TOLERANCE * T::EPSILON.to_f64().sqrt();
        ws.centre.fill(0.0);
        let mut energy = self.energy_at_centre(ws)?;
        let mut nearby = None;
        if let Some(start) = start {
            for (c, s) in ws.centre.iter_mut().zip(start.mode) {
                *c = s.to_f64();
            }
            let there = self.energy_at_centre(ws)?;
            if there < energy {
                energy = there;
                nearby = start.hessian;
            } else {
                // a start from elsewhere can be worse than none
                ws.centre.fill(0.0);
                energy = self.energy_at_centre(ws)?;
            }
        }
        // what rounding may add to a sum over rows
        let slack = |energy: f64| 8.0 * T::EPSILON.to_f64() * energy.abs();
        let (mut computed, mut before) = (false, f64::INFINITY);
        for _ in 0..MAX_NEWTON {
            ws.curvatures.fill(T::ZERO);
            self.add_curvatures(T::ONE, &ws.expected, &ws.scratch, &mut ws.curvatures);
            residuals(self, &mut ws.expected);
            back(&ws.phi, self.rows, &ws.expected, &mut ws.product);
            for (at, (g, p)) in ws.gradient.iter_mut().zip(&ws.product).enumerate() {
                *g = p.to_f64() + ws.precisions[at / self.outputs] * ws.centre[at];
            }
            let own = computed.then(|| ws.factoriser.factor());
            let mut decrement = f64::INFINITY;
            if let Some(factor) = own.or(nearby) {
                ws.step.copy_from_slice(&ws.gradient);
                factor.solve(&mut ws.step);
                decrement = dot(&ws.gradient, &ws.step);
            }
            let exact =
                decrement > 0.5 * before || decrement <= 2.0 * tolerance || !decrement.is_finite();
            if exact {
                self.hessian(ws);
                ws.step.copy_from_slice(&ws.gradient);
                ws.factoriser.factorise(&ws.hessian)?.solve(&mut ws.step);
                decrement = dot(&ws.gradient, &ws.step);
                computed = true;
            }
            before = decrement;
            ws.trial.copy_from_slice(&ws.centre);
            // halving satisfies Armijo's rule on a smooth convex function; if rounding prevents
            // that, the step is negligible
            let mut length = 1.0;
            loop {
                for ((c, t), s) in ws.centre.iter_mut().zip(&ws.trial).zip(&ws.step) {
                    *c = t - length * s;
                }
                let value = self.energy_at_centre(ws)?;
                let enough = energy - 1e-4 * length * decrement + slack(energy);
                if value <= enough || length < 1e-8 {
                    energy = value;
                    break;
                }
                length *= 0.5;
                // a Hessian that misjudges the step is not used again
                before = 0.0;
            }
            if exact && 0.5 * decrement <= tolerance {
                // the Hessian belongs to the point before this very short step
                ws.mode.copy_from_slice(&ws.centre);
                return Ok(());
            }
        }
        Err(Error::NoConvergence {
            what: "Newton's method for the last layer",
            iterations: MAX_NEWTON,
            residual: energy,
            tolerance,
        })
    }

    /// `U` at `ws.centre` without its constants. Leaves expected targets in `ws.expected` and
    /// outputs in `ws.outputs`.
    pub(super) fn energy_at_centre(&self, ws: &mut LastLayerWorkspace<T>) -> Result<f64> {
        let dim = self.dim();
        for (x, c) in ws.cast[..dim].iter_mut().zip(&ws.centre) {
            *x = T::from_f64(*c);
        }
        outputs(&ws.phi, self.rows, &ws.cast[..dim], &mut ws.outputs);
        ws.expected.copy_from_slice(&ws.outputs);
        let likelihood = self.expect(&mut ws.expected, &mut ws.scratch, &mut ws.general)?;
        Ok(likelihood + self.prior_energy(ws, &ws.centre))
    }

    /// Turns outputs into expected targets, in place; under a general likelihood into slopes, with
    /// the curvatures in `scratch`. Returns the negative log-likelihood without the constant.
    pub(super) fn expect(
        &self,
        outputs: &mut [T],
        scratch: &mut [T],
        ws: &mut Option<Workspace<T>>,
    ) -> Result<f64> {
        match (&self.head, ws) {
            (Head::Closed(form), _) => Ok(simd::dispatch(Expect {
                form: *form,
                outputs,
                labels: &self.labels,
                targets: &self.targets,
                scratch,
            })),
            (Head::General(head), Some(ws)) => head.expect(outputs, scratch, ws),
            (Head::General(_), None) => {
                let (expected, got) = ("a workspace of this last layer", "that of another");
                Err(Error::shape("LastLayer", expected, got))
            }
        }
    }

    /// Adds `share` times the curvature of every row to `curvatures`. For a softmax this is
    /// `p_c p_e` for every pair of outputs `c > e`; for a single output it is the output's
    /// curvature; for a general likelihood it is `Lambda_ce`.
    pub(super) fn add_curvatures(
        &self,
        share: T,
        expected: &[T],
        scratch: &[T],
        curvatures: &mut [T],
    ) {
        let n = self.rows;
        let form = match &self.head {
            Head::Closed(form) => *form,
            Head::General(_) => {
                for (out, &lambda) in curvatures.iter_mut().zip(scratch) {
                    *out += share * lambda;
                }
                return;
            }
        };
        for ((c, e), out) in self.pairs().zip(curvatures.chunks_exact_mut(n)) {
            simd::dispatch(AddCurvature {
                form,
                share,
                p: &expected[c * n..][..n],
                q: &expected[e * n..][..n],
                out,
            });
        }
    }

    /// The pairs of outputs that [`LastLayer::add_curvatures`] covers.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<T> {
        let k = self.outputs;
        // those of one output with itself follow from the others for a softmax alone
        let diagonal = usize::from(k == 1 || matches!(self.head, Head::General(_)));
        (0..k).flat_map(move |c| (0..c + diagonal).map(move |e| (c, e)))
    }

    /// The lower triangle of `sum_n phi_n phi_n^T (x) Lambda_n + alpha I` in coordinates
    /// `(feature, output)`, from `ws.curvatures`.
    ///
    /// The curvature of a softmax has rows that sum to zero, so its diagonal blocks are minus the
    /// sums of the others, whose signs are those of `p_c p_e` reversed.
    pub(super) fn hessian(&self, ws: &mut LastLayerWorkspace<T>) {
        let (h, n, k) = (self.features, self.rows, self.outputs);
        let dim = h * k;
        ws.hessian.fill(0.0);
        let wide = self.scales.is_some();
        let general = matches!(self.head, Head::General(_));
        for ((c, e), weights) in self.pairs().zip(ws.curvatures.chunks_exact(n)) {
            simd::dispatch(Weigh {
                weights,
                phi: &ws.phi,
                out: &mut ws.weighted,
            });
            if wide {
                // rounding in single precision can be as large as the precision of a wide prior
                let pairs = ws.exact_weighted.iter_mut().zip(&ws.weighted);
                pairs.for_each(|(exact, w)| *exact = w.to_f64());
                lower_product(&ws.exact_weighted, &ws.exact_phi, n, &mut ws.exact_block);
            } else {
                lower_product(&ws.weighted, &ws.phi, n, &mut ws.block);
            }
            for i in 0..h {
                for j in 0..=i {
                    let x = match wide {
                        true => ws.exact_block[i * h + j],
                        false => ws.block[i * h + j].to_f64(),
                    };
                    // below the diagonal i is at least j; the blocks of (c, e) and (e, c) are equal
                    let block = if c == e || general { x } else { -x };
                    ws.hessian[(i * k + c) * dim + j * k + e] = block;
                    ws.hessian[(i * k + e) * dim + j * k + c] = block;
                    if c == e || general {
                        continue;
                    }
                    ws.hessian[(i * k + c) * dim + j * k + c] += x;
                    ws.hessian[(i * k + e) * dim + j * k + e] += x;
                }
            }
        }
        for (at, a) in ws.hessian.iter_mut().step_by(dim + 1).enumerate() {
            *a += ws.precisions[at / k];
        }
    }
}

/// Turns expected targets into residuals, in place. Slopes, which are residuals, have no targets.
pub(super) fn residuals<T: Scalar>(last: &LastLayer<T>, expected: &mut [T]) {
    for (row, &label) in last.labels.iter().enumerate() {
        expected[label * last.rows + row] += -T::ONE;
    }
    for (e, &y) in expected.iter_mut().zip(&last.targets) {
        *e += -y;
    }
}

/// Rows of features times weights.
struct Weigh<'a, T> {
    weights: &'a [T],
    phi: &'a [T],
    out: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for Weigh<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let n = self.weights.len();
        let rows = self.phi.chunks_exact(n);
        for (out, phi) in self.out.chunks_exact_mut(n).zip(rows) {
            for ((out, &phi), &weight) in out.iter_mut().zip(phi).zip(self.weights) {
                *out = weight * phi;
            }
        }
    }
}

/// The curvature of a pair of outputs (for a softmax, its absolute value), row by row.
struct AddCurvature<'a, T> {
    form: ClosedForm,
    share: T,
    p: &'a [T],
    q: &'a [T],
    out: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for AddCurvature<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let share = self.share;
        let rows = self.out.iter_mut().zip(self.p.iter().zip(self.q));
        match self.form {
            ClosedForm::Categorical => {
                for (out, (&p, &q)) in rows {
                    *out += share * p * q;
                }
            }
            ClosedForm::Bernoulli => {
                for (out, (&p, _)) in rows {
                    *out += share * p * (T::ONE - p);
                }
            }
            ClosedForm::Poisson { .. } => {
                for (out, (&p, _)) in rows {
                    *out += share * p;
                }
            }
            // handled by `LastLayer::gaussian`
            ClosedForm::Gaussian { .. } => {}
        }
    }
}
