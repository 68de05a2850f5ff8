//! The whole deformation: hidden parameters by a flow, the last layer by its conditional.
//!
//! `theta = (h, w)`, `h = flow(z_h)`, `w = c(h) + L(h)^{-T} z_w`, `z ~ N(0, I_P)`:
//! `log q(theta) = log N(z; 0, I_P) - log |det flow(z_h)| + sum log L_ii`.
//!
//! Walks teach the flow where hidden parameters can be. How the last layer must then compensate for
//! them is computed: no Gaussian and no small flow over all parameters could learn that.
//!
//! **Proposals.** A flow knows each unit, but little of how the units of a network depend on one
//! another. `p(D | h)`, the evidence with the last layer integrated out, knows this, and the
//! conditional provides it. With `M > 1` proposals, a draw takes one of `M` images `h_m` of the
//! flow with probability proportional to `p(D | h_m)` (sampling importance resampling, Rubin 1987,
//! with the flow in the place of the prior). The draw then has a different density from `q`; `q`
//! remains the density of the map.
//!
//! **Kinetic layers** ([`Layers`]) carry draws on in the energy of the posterior, all parameters
//! together. They come after the map, whose density `q` remains.

use rand::RngExt;

use super::last_layer::Start;
use super::{HiddenFlow, LastLayer, LastLayerWorkspace, Layers};
use crate::error::{Error, Result, counted};
use crate::linalg::Cholesky;
use crate::linalg::vector::{dot, first_non_finite};
use crate::model::Posterior;
use crate::parallel;
use crate::rng::{Phase, Streams, fill_normal};
use crate::scalar::Scalar;

/// A density over all parameters that can be drawn from: of the hidden ones by a flow, a bijection
/// or a mixture, and of the last layer given these. For a network without hidden layers there is no
/// flow: the posterior is the conditional of its last layer.
#[derive(Clone, Debug)]
pub struct Deformation<T> {
    hidden: Option<HiddenFlow<T>>,
    last: LastLayer<T>,
    proposals: usize,
    /// Where Newton's method starts: mode and precision of the conditional at the middle of the
    /// flow, for a framed flow.
    start: Option<(Vec<T>, Cholesky)>,
    layers: Option<Layers<T>>,
}

impl<T: Scalar> Deformation<T> {
    /// Combines a flow over the hidden parameters, if there are any, with the conditional of the
    /// last layer.
    pub fn new(hidden: Option<HiddenFlow<T>>, last: LastLayer<T>) -> Self {
        let frame = match &hidden {
            Some(HiddenFlow::Framed(flow)) => Some(flow.frame()),
            Some(HiddenFlow::Smoothed(flow)) => Some(flow.parts().0),
            _ => None,
        };
        let start = match frame {
            Some(frame) => {
                let mut ws = last.workspace();
                let middle = frame.parts().0;
                // a failure here means no start; the error then appears where the conditional is
                // used
                let precision = last.condition(middle, &mut ws).ok();
                let precision = precision.map(|c| c.precision.clone());
                let mode = || ws.mode().iter().map(|&m| T::from_f64(m)).collect();
                precision.map(|precision| (mode(), precision))
            }
            _ => None,
        };
        Self {
            hidden,
            last,
            proposals: 1,
            start,
            layers: None,
        }
    }

    /// The same deformation with `proposals` proposals for every draw of [`Deformation::sample`].
    ///
    /// # Errors
    /// If `proposals` is 0.
    pub fn with_proposals(self, proposals: usize) -> Result<Self> {
        if proposals == 0 {
            return Err(Error::config("proposals", 0, "must be positive"));
        }
        Ok(Self { proposals, ..self })
    }

    /// The same deformation with kinetic layers after the map, for draws.
    ///
    /// # Errors
    /// If they have another dimension.
    pub fn with_layers(self, layers: Layers<T>) -> Result<Self> {
        let (dim, got) = (self.dim(), layers.kinetic().dim());
        if dim != got {
            let expected = format!("layers of {}", counted(dim, "number"));
            return Err(Error::shape("Deformation", expected, got));
        }
        let layers = Some(layers);
        Ok(Self { layers, ..self })
    }

    /// The kinetic layers, if there are any.
    pub fn layers(&self) -> Option<&Layers<T>> {
        self.layers.as_ref()
    }

    /// Proposals for every draw.
    pub fn proposals(&self) -> usize {
        self.proposals
    }

    /// `P`.
    pub fn dim(&self) -> usize {
        self.hidden_dim() + self.last.dim()
    }

    /// The flow over the hidden parameters.
    pub fn hidden(&self) -> Option<&HiddenFlow<T>> {
        self.hidden.as_ref()
    }

    /// The conditional of the last layer.
    pub fn last(&self) -> &LastLayer<T> {
        &self.last
    }

    /// `theta = T(z)` and `log |det dT/dz|` for rows of `z` (`[n, P]`). Of the map alone,
    /// without kinetic layers.
    ///
    /// # Errors
    /// If `z` is not rows of `P` numbers, or a conditional cannot be computed.
    pub fn forward(&self, z: &[T]) -> Result<(Vec<T>, Vec<f64>)> {
        let h = self.hidden_dim();
        let (hidden, log_det) = self.map_hidden(z, HiddenFlow::forward)?;
        self.per_row(z, |i, row, ws| {
            row[..h].copy_from_slice(&hidden[i * h..(i + 1) * h]);
            let (hidden, w) = row.split_at_mut(h);
            self.last.solve(hidden, self.start(), ws)?;
            ws.forward(w)?;
            Ok(log_det[i] + ws.log_det())
        })
    }

    /// `z = T^{-1}(theta)` and `log |det dT^{-1}/dtheta|` for rows of `theta` (`[n, P]`). Of the
    /// map alone, without kinetic layers.
    ///
    /// # Errors
    /// If `theta` is not rows of `P` numbers, or a conditional cannot be computed.
    pub fn inverse(&self, theta: &[T]) -> Result<(Vec<T>, Vec<f64>)> {
        let h = self.hidden_dim();
        let (latent, log_det) = self.map_hidden(theta, HiddenFlow::inverse)?;
        self.per_row(theta, |i, row, ws| {
            let (hidden, w) = row.split_at_mut(h);
            self.last.solve(hidden, self.start(), ws)?;
            ws.inverse(w)?;
            hidden.copy_from_slice(&latent[i * h..(i + 1) * h]);
            Ok(log_det[i] - ws.log_det())
        })
    }

    /// `log q(theta)` for rows of `theta` (`[n, P]`), in nats. Of the map alone,
    /// without kinetic layers.
    ///
    /// # Errors
    /// If `theta` is not rows of `P` numbers, or a conditional cannot be computed.
    pub fn log_density(&self, theta: &[T]) -> Result<Vec<f64>> {
        let hidden = self.hidden_densities(theta)?;
        let h = self.hidden_dim();
        let constant = 0.5 * self.last.dim() as f64 * (2.0 * std::f64::consts::PI).ln();
        let (_, all) = self.per_row(theta, |i, row, ws| {
            let (of_hidden, w) = row.split_at_mut(h);
            self.last.solve(of_hidden, self.start(), ws)?;
            ws.inverse(w)?;
            Ok(hidden[i] - 0.5 * dot(w, w) - ws.log_det() - constant)
        })?;
        Ok(all)
    }

    /// `count` draws of `theta`, `[count, P]`. Draw `i` depends only on the seed and `i`. Draws are
    /// independent, but those of a mixture take its components in turn.
    ///
    /// # Errors
    /// If a conditional cannot be computed or a draw is not finite.
    pub fn sample(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        let mut theta = self.images(count, streams)?;
        if let Some(layers) = &self.layers {
            layers.carry(&mut theta, streams)?;
        }
        match first_non_finite(&theta) {
            None => Ok(theta),
            Some(index) => Err(Error::NonFinite {
                what: "samples of the deformation",
                index,
            }),
        }
    }

    /// Draws of the map alone.
    fn images(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        let too_many = || Error::config("samples", count, "times the parameters must be a number");
        let (h, dim) = (self.hidden_dim(), self.dim());
        // without hidden parameters all proposals are alike
        let m = if h == 0 { 1 } else { self.proposals };
        let numbers = count.checked_mul(dim).ok_or_else(too_many)?;
        let latent = numbers.checked_mul(m).ok_or_else(too_many)?;
        let mut z = vec![T::ZERO; numbers];
        let mut all = Vec::with_capacity(latent / dim.max(1) * h);
        let mut gumbels = Vec::with_capacity(if m > 1 { count * m } else { 0 });
        for (i, row) in z.chunks_exact_mut(dim).enumerate() {
            let mut rng = streams.rng(Phase::SAMPLE, i as u64);
            fill_normal(&mut rng, row);
            all.extend_from_slice(&row[..h]);
            for _ in 1..m {
                let start = all.len();
                all.resize(start + h, T::ZERO);
                fill_normal(&mut rng, &mut all[start..]);
            }
            if m > 1 {
                // a uniform number is below 1, so the inner logarithm is finite above 0
                let gumbel = |u: f64| -(-u.max(f64::MIN_POSITIVE).ln()).ln();
                gumbels.extend((0..m).map(|_| gumbel(rng.random())));
            }
        }
        let hidden = match &self.hidden {
            None => Vec::new(),
            Some(flow) => flow.forward(&all)?.0,
        };
        let (theta, _) = self.per_row(&z, |i, row, ws| {
            let (h_row, w) = row.split_at_mut(h);
            let proposals = &hidden[i * m * h..(i + 1) * m * h];
            if m == 1 {
                h_row.copy_from_slice(proposals);
                self.last.solve(h_row, self.start(), ws)?;
                ws.forward(w)?;
                return Ok(0.0);
            }
            let latent = w.to_vec();
            let mut best = f64::NEG_INFINITY;
            for (proposal, gumbel) in proposals.chunks_exact(h).zip(&gumbels[i * m..]) {
                // the maximum of log p + Gumbel noise is a draw from p (Gumbel's trick)
                let score = self.last.log_evidence(proposal, ws)? + gumbel;
                if score > best || best == f64::NEG_INFINITY {
                    best = score;
                    h_row.copy_from_slice(proposal);
                    w.copy_from_slice(&latent);
                    ws.forward(w)?;
                }
            }
            Ok(0.0)
        })?;
        Ok(theta)
    }

    fn start(&self) -> Option<Start<'_, T>> {
        let (mode, precision) = self.start.as_ref()?;
        let hessian = Some(precision);
        // a Gaussian likelihood needs no start, and its precision is that of one output only
        (!self.last.is_gaussian()).then_some(Start { mode, hessian })
    }

    fn hidden_dim(&self) -> usize {
        self.hidden.as_ref().map_or(0, HiddenFlow::dim)
    }

    /// The hidden block of every row, mapped through the flow.
    fn map_hidden(
        &self,
        rows: &[T],
        map: impl Fn(&HiddenFlow<T>, &[T]) -> Result<(Vec<T>, Vec<f64>)>,
    ) -> Result<(Vec<T>, Vec<f64>)> {
        if !rows.len().is_multiple_of(self.dim()) {
            let expected = format!("rows of {}", counted(self.dim(), "number"));
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

    /// `log q` of the hidden block of every row.
    fn hidden_densities(&self, rows: &[T]) -> Result<Vec<f64>> {
        let (dim, h) = (self.dim(), self.hidden_dim());
        if !rows.len().is_multiple_of(dim) {
            let expected = format!("rows of {}", counted(dim, "number"));
            return Err(Error::shape("Deformation", expected, rows.len()));
        }
        let rows = rows.chunks_exact(dim);
        match &self.hidden {
            None => Ok(vec![0.0; rows.len()]),
            Some(flow) => {
                let blocks = rows.flat_map(|row| &row[..h]);
                flow.log_density(&blocks.copied().collect::<Vec<T>>())
            }
        }
    }

    /// Copies the rows, does `work` on each in place, in parallel, and collects what `work`
    /// returns.
    fn per_row(
        &self,
        rows: &[T],
        work: impl Fn(usize, &mut [T], &mut LastLayerWorkspace<T>) -> Result<f64> + Sync,
    ) -> Result<(Vec<T>, Vec<f64>)> {
        let mut out = rows.to_vec();
        let mut log_dets = vec![0.0; rows.len() / self.dim()];
        let each = out.chunks_exact_mut(self.dim()).zip(&mut log_dets);
        parallel::try_for_each_with(
            each,
            || self.last.workspace(),
            |ws, i, (row, log_det)| {
                *log_det = work(i, row, ws)?;
                Ok(())
            },
        )?;
        Ok((out, log_dets))
    }
}

impl<T: Scalar> Posterior<T> for Deformation<T> {
    fn dim(&self) -> usize {
        Deformation::dim(self)
    }

    fn sample(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        Deformation::sample(self, count, streams)
    }
}
