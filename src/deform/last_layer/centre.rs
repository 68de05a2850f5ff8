//! From the mode of a convex energy to the Gaussian that fits it best.
//!
//! Of all Gaussians `q = N(c, A^{-1})`, the one nearest to the posterior (in `KL(q | p)`) has
//! `E_q[grad U] = 0` and `A = E_q[Hessian of U]` (Opper & Archambeau 2009). This module takes one
//! step of Newton's method towards it, from Laplace's approximation `q_0` at the mode:
//! `A = E_{q_0}[H]`, `c = mode - A^{-1} E_{q_0}[grad U]`. Averages are taken over draws
//! `mode +- L_0^{-T} z_i` with fixed orthogonal directions `z_i` of length `dim^{1/2}`. So centre
//! and precision are functions of the hidden parameters, as a coupling layer needs.
//! `E_{q_0}[U(. - s)]` is convex in the shift `s`; the step is halved until the average falls.
//!
//! One step brings much: with six classes and 214 rows (glass), the predictions of Laplace's last
//! layer are three times as far from a walk. Further steps bring little, since the averages are
//! over a few draws.

use super::LastLayer;
use super::newton::residuals;
use super::workspace::{LastLayerWorkspace, back, outputs};
use crate::error::Result;
use crate::linalg::vector::dot;
use crate::scalar::Scalar;

/// Largest number of halvings of the step.
const HALVINGS: usize = 6;

impl<T: Scalar> LastLayer<T> {
    /// Moves `ws.centre` away from the mode, where Newton's method left it, and replaces the
    /// Hessian there by its average.
    pub(super) fn centre(&self, ws: &mut LastLayerWorkspace<T>) -> Result<()> {
        self.displace(ws);
        ws.curvatures.fill(T::ZERO);
        let before = self.averages(ws, true)?;
        residuals(self, &mut ws.average);
        back(&ws.phi, self.rows, &ws.average, &mut ws.product);
        for (at, (g, p)) in ws.step.iter_mut().zip(&ws.product).enumerate() {
            *g = p.to_f64() + ws.precisions[at / self.outputs] * ws.centre[at];
        }
        self.hessian(ws);
        ws.factoriser.factorise(&ws.hessian)?.solve(&mut ws.step);
        let mut length = 1.0;
        for _ in 0..HALVINGS {
            for ((c, m), s) in ws.centre.iter_mut().zip(&ws.mode).zip(&ws.step) {
                *c = m - length * s;
            }
            if self.averages(ws, false)? <= before {
                return Ok(());
            }
            length *= 0.5;
        }
        ws.centre.copy_from_slice(&ws.mode);
        Ok(())
    }

    /// `log p(D | theta_h)`, computed from the conditional in `ws`.
    pub(super) fn integrated(&self, ws: &mut LastLayerWorkspace<T>) -> Result<f64> {
        let dim = self.dim() as f64;
        let log_det = ws.factoriser.factor().log_det();
        let prior = self.half_log_det_prior(ws);
        if self.is_gaussian() {
            // -U at the mean, where A c = Phi^T y / s^2, and the volume of the Gaussian around it
            let weight = 1.0 / (ws.noise_std * ws.noise_std);
            let fit = 0.5 * weight * dot(&self.exact_targets, &self.exact_targets);
            let gain = 0.5 * dot(&ws.centre, &ws.gradient);
            let constant = self.likelihood_constant(ws);
            return Ok(prior - constant - fit + gain - 0.5 * self.outputs as f64 * log_det);
        }
        // E_q[-U - log q], with |z|^2 = dim for every draw
        self.displace(ws);
        let energy = self.averages(ws, false)? + self.constant;
        Ok(prior - energy - 0.5 * log_det + 0.5 * dim)
    }

    /// Computes the displacements `L^{-T} z` of the nodes, and the changes of the outputs that they
    /// cause.
    fn displace(&self, ws: &mut LastLayerWorkspace<T>) {
        let dim = self.dim();
        ws.displacements.copy_from_slice(&self.nodes);
        for one in ws.displacements.chunks_exact_mut(dim) {
            ws.factoriser.factor().solve_transposed(one);
        }
        for (x, d) in ws.cast.iter_mut().zip(&ws.displacements) {
            *x = T::from_f64(*d);
        }
        let size = self.outputs * self.rows;
        for (w, shift) in ws
            .cast
            .chunks_exact(dim)
            .zip(ws.shifts.chunks_exact_mut(size))
        {
            outputs(&ws.phi, self.rows, w, shift);
        }
    }

    /// `E_q[U]` around `ws.centre` without its constants. Leaves the averages of the expected
    /// targets in `ws.average`. If `curved`, adds the averages of the curvatures to
    /// `ws.curvatures`.
    fn averages(&self, ws: &mut LastLayerWorkspace<T>, curved: bool) -> Result<f64> {
        let dim = self.dim();
        let share = T::from_f64(0.5 / self.node_count() as f64);
        for (x, c) in ws.cast[..dim].iter_mut().zip(&ws.centre) {
            *x = T::from_f64(*c);
        }
        outputs(&ws.phi, self.rows, &ws.cast[..dim], &mut ws.outputs);
        ws.average.fill(T::ZERO);
        let mut sum = 0.0;
        for shift in ws.shifts.chunks_exact(self.outputs * self.rows) {
            for sign in [T::ONE, -T::ONE] {
                for ((e, &o), &s) in ws.expected.iter_mut().zip(&ws.outputs).zip(shift) {
                    *e = o + sign * s;
                }
                sum += self.expect(&mut ws.expected, &mut ws.scratch, &mut ws.general)?;
                for (a, &e) in ws.average.iter_mut().zip(&ws.expected) {
                    *a += share * e;
                }
                if curved {
                    self.add_curvatures(share, &ws.expected, &ws.scratch, &mut ws.curvatures);
                }
            }
        }
        Ok(sum * share.to_f64() + self.expected_prior_energy(ws))
    }
}
