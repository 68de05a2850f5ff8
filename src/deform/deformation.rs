//! The whole deformation: hidden parameters by a framed flow, the last layer by its conditional.
//!
//! `theta = (theta_h, w)`, `theta_h = flow(z_h)`, `w = m(theta_h) + L(theta_h)^{-T} z_w`, `z ~ N(0, I_P)`:
//! `log q(theta) = log N(z; 0, I_P) - log |det flow(z_h)| + sum log L_ii`.
//!
//! What is learned from walks is where hidden parameters can be; that the last layer must then compensate for them, which
//! no Gaussian and no small flow over all parameters can know, is computed.

use rayon::prelude::*;

use super::bijection::pulled_back_normal;
use super::{FramedFlow, LastLayer, LastLayerWorkspace};
use crate::error::{Error, Result};
use crate::linalg::vector::{fill_normal, first_non_finite};
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// An explicit bijection of parameter space. A network without hidden layers has no flow: its posterior is the
/// conditional of its last layer.
#[derive(Clone, Debug)]
pub struct Deformation<T> {
    hidden: Option<FramedFlow<T>>,
    last: LastLayer<T>,
}

impl<T: Scalar> Deformation<T> {
    /// A flow over the hidden parameters, if there are any, and the conditional of the last layer.
    pub fn new(hidden: Option<FramedFlow<T>>, last: LastLayer<T>) -> Self {
        Self { hidden, last }
    }

    /// `P`.
    pub fn dim(&self) -> usize {
        self.hidden_dim() + self.last.dim()
    }

    /// The flow over the hidden parameters.
    pub fn hidden(&self) -> Option<&FramedFlow<T>> {
        self.hidden.as_ref()
    }

    /// `theta = T(z)` and `log |det dT/dz|` for rows of `z` (`[n, P]`).
    ///
    /// # Errors
    /// If `z` is not rows of `P` numbers, or a conditional cannot be computed.
    pub fn forward(&self, z: &[T]) -> Result<(Vec<T>, Vec<f64>)> {
        let h = self.hidden_dim();
        let (hidden, log_det) = self.map_hidden(z, FramedFlow::forward)?;
        self.per_row(z, |i, z, ws| {
            let hidden = &hidden[i * h..(i + 1) * h];
            self.last.condition(hidden, ws)?;
            let mut theta = [hidden, &z[h..]].concat();
            ws.place(&mut theta[h..]);
            Ok((theta, log_det[i] + ws.log_det()))
        })
    }

    /// `z = T^{-1}(theta)` and `log |det dT^{-1}/dtheta|` for rows of `theta` (`[n, P]`).
    ///
    /// # Errors
    /// If `theta` is not rows of `P` numbers, or a conditional cannot be computed.
    pub fn inverse(&self, theta: &[T]) -> Result<(Vec<T>, Vec<f64>)> {
        let h = self.hidden_dim();
        let (latent, log_det) = self.map_hidden(theta, FramedFlow::inverse)?;
        self.per_row(theta, |i, theta, ws| {
            self.last.condition(&theta[..h], ws)?;
            let mut z = [&latent[i * h..(i + 1) * h], &theta[h..]].concat();
            ws.take_back(&mut z[h..]);
            Ok((z, log_det[i] - ws.log_det()))
        })
    }

    /// `log q(theta)` for rows of `theta` (`[n, P]`), in nats.
    ///
    /// # Errors
    /// If `theta` is not rows of `P` numbers, or a conditional cannot be computed.
    pub fn log_density(&self, theta: &[T]) -> Result<Vec<f64>> {
        let (z, log_det) = self.inverse(theta)?;
        Ok(pulled_back_normal(&z, &log_det, self.dim()))
    }

    /// `count` independent draws of `theta`, `[count, P]`. Draw `i` depends on the seed and `i` alone.
    ///
    /// # Errors
    /// If a conditional cannot be computed or a draw is not finite.
    pub fn sample(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        let numbers = count.checked_mul(self.dim()).ok_or_else(|| {
            Error::config("samples", count, "times the parameters must be a number")
        })?;
        let mut z = vec![T::ZERO; numbers];
        for (i, row) in z.chunks_exact_mut(self.dim()).enumerate() {
            fill_normal(&mut streams.rng(Phase::SAMPLE, i as u64), row);
        }
        let (theta, _) = self.forward(&z)?;
        match first_non_finite(&theta) {
            None => Ok(theta),
            Some(index) => Err(Error::NonFinite {
                what: "samples of the deformation",
                index,
            }),
        }
    }

    fn hidden_dim(&self) -> usize {
        self.hidden.as_ref().map_or(0, FramedFlow::dim)
    }

    /// The hidden block of every row, through the flow.
    fn map_hidden(
        &self,
        rows: &[T],
        map: impl Fn(&FramedFlow<T>, &[T]) -> Result<(Vec<T>, Vec<f64>)>,
    ) -> Result<(Vec<T>, Vec<f64>)> {
        if !rows.len().is_multiple_of(self.dim()) {
            let expected = format!("rows of {} numbers", self.dim());
            return Err(Error::shape("Deformation", expected, rows.len()));
        }
        let rows = rows.chunks_exact(self.dim());
        match &self.hidden {
            None => Ok((Vec::new(), vec![0.0; rows.len()])),
            Some(flow) => {
                let blocks = rows.flat_map(|row| &row[..flow.dim()]);
                map(flow, &blocks.copied().collect::<Vec<T>>())
            }
        }
    }

    /// Does `work` on every row in parallel and joins the results in order.
    fn per_row(
        &self,
        rows: &[T],
        work: impl Fn(usize, &[T], &mut LastLayerWorkspace<T>) -> Result<(Vec<T>, f64)> + Sync + Send,
    ) -> Result<(Vec<T>, Vec<f64>)> {
        let parts: Vec<(Vec<T>, f64)> = rows
            .par_chunks_exact(self.dim())
            .enumerate()
            .map_init(|| self.last.workspace(), |ws, (i, row)| work(i, row, ws))
            .collect::<Result<_>>()?;
        let log_dets = parts.iter().map(|part| part.1).collect();
        Ok((
            parts.into_iter().flat_map(|part| part.0).collect(),
            log_dets,
        ))
    }
}
