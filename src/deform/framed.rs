//! Frame and flow together: a closed-form density over a block of parameters.
//!
//! `theta = mu + D^{1/2} (B^T flow(B z) + s (I - B^T B) z)`, a bijection of `R^P` with
//!
//! `log q(theta) = log N(z; 0, I_P) - log |det flow| - 1/2 sum log D_i - (P - K) log s`.

use super::bijection::{in_batches, pulled_back_normal};
use super::{Bijection, FlowKind, FlowOptions, Frame, coupling_flow};
use crate::autodiff::{Graph, Program};
use crate::error::{Error, Result, counted};
use crate::linalg::vector::{axpy, first_non_finite};
use crate::scalar::Scalar;

/// Rows that go through the flow at once. The number is fixed, so that a sample does not depend,
/// bit for bit, on how many are drawn with it.
const BATCH: usize = 64;

/// A flow on the directions of a frame, and a Gaussian on all others.
#[derive(Clone, Debug)]
pub struct FramedFlow<T> {
    frame: Frame<T>,
    options: FlowOptions,
    mixing: Vec<Vec<f64>>,
    params: Vec<T>,
    forward: Program<T>,
    inverse: Program<T>,
}

impl<T: Scalar> FramedFlow<T> {
    /// A framed flow of affine layers from its parts: the flow is [`coupling_flow`] on the frame's
    /// directions with these parameters.
    ///
    /// # Errors
    /// If the parts do not fit one another or a parameter is not finite.
    pub fn new(
        frame: Frame<T>,
        hidden: Vec<usize>,
        mixing: Vec<Vec<f64>>,
        params: Vec<T>,
    ) -> Result<Self> {
        Self::of_kind(FlowKind::Affine, frame, hidden, mixing, params)
    }

    /// The same with layers of another kind.
    ///
    /// # Errors
    /// As [`FramedFlow::new`].
    pub fn of_kind(
        kind: FlowKind,
        frame: Frame<T>,
        hidden: Vec<usize>,
        mixing: Vec<Vec<f64>>,
        params: Vec<T>,
    ) -> Result<Self> {
        let k = frame.directions();
        let options = FlowOptions {
            kind,
            hidden,
            context: 0,
        };
        let flow = coupling_flow(k, &mixing, &options)?;
        if params.len() != flow.param_count() {
            let expected = format!("{} of the flow", counted(flow.param_count(), "parameter"));
            return Err(Error::shape("FramedFlow", expected, params.len()));
        }
        if let Some(index) = first_non_finite(&params) {
            let what = "parameters of the flow";
            return Err(Error::NonFinite { what, index });
        }
        let graph = Graph::new();
        let (p, x) = (graph.input(&[params.len()]), graph.input(&[BATCH, k]));
        let (y, up) = flow.forward(p, x);
        let (z, down) = flow.inverse(p, x);
        Ok(Self {
            forward: graph.compile(&[y, up])?,
            inverse: graph.compile(&[z, down])?,
            frame,
            options,
            mixing,
            params,
        })
    }

    /// The same flow in another frame with as many directions: narrower, or around another mean.
    ///
    /// # Errors
    /// If the frame has other dimensions.
    pub fn in_frame(&self, frame: Frame<T>) -> Result<Self> {
        let own = (self.frame.dim(), self.frame.directions());
        if (frame.dim(), frame.directions()) != own {
            let expected = format!("{} of {}", counted(own.1, "direction"), own.0);
            let got = format!("{} of {}", frame.directions(), frame.dim());
            return Err(Error::shape("FramedFlow::in_frame", expected, got));
        }
        Ok(Self {
            frame,
            ..self.clone()
        })
    }

    /// Number of parameters that the density covers.
    pub fn dim(&self) -> usize {
        self.frame.dim()
    }

    /// The frame.
    pub fn frame(&self) -> &Frame<T> {
        &self.frame
    }

    /// What the layers of the flow do.
    pub fn kind(&self) -> FlowKind {
        self.options.kind
    }

    /// Hidden widths of the conditioners, mixing matrices, and learned parameters of the flow.
    pub fn flow_parts(&self) -> (&[usize], &[Vec<f64>], &[T]) {
        (&self.options.hidden, &self.mixing, &self.params)
    }

    /// `theta = T(z)` and `log |det dT/dz|` for rows of `z` (`[n, P]`).
    ///
    /// # Errors
    /// If `z` is not rows of `P` numbers.
    pub fn forward(&self, z: &[T]) -> Result<(Vec<T>, Vec<f64>)> {
        let k = self.frame.directions();
        in_batches("FramedFlow", z, self.dim(), BATCH, |rows| {
            let mut latent = vec![T::ZERO; BATCH * k];
            let mut rest = Vec::with_capacity(rows.len());
            for (i, z) in rows.chunks_exact(self.dim()).enumerate() {
                let mut c = z.to_vec();
                let g = self.frame.take_out(&mut c);
                latent[i * k..(i + 1) * k].copy_from_slice(&g);
                rest.push(c);
            }
            let mut ws = self.forward.workspace();
            self.forward.run(&[&self.params, &latent], &mut ws)?;
            let g = self.forward.tensor(&ws, 0)?;
            let log_det = self.forward.tensor(&ws, 1)?;
            let place = |(i, c): (usize, &Vec<T>)| self.frame.place(&g[i * k..(i + 1) * k], c);
            let theta = rest.iter().enumerate().flat_map(place).collect();
            let volume = |l: &T| l.to_f64() + self.frame.log_det();
            Ok((theta, log_det[..rest.len()].iter().map(volume).collect()))
        })
    }

    /// `z = T^{-1}(theta)` and `log |det dT^{-1}/dtheta|` for rows of `theta` (`[n, P]`).
    ///
    /// # Errors
    /// If `theta` is not rows of `P` numbers.
    pub fn inverse(&self, theta: &[T]) -> Result<(Vec<T>, Vec<f64>)> {
        let k = self.frame.directions();
        let (_, _, basis, s) = self.frame.parts();
        in_batches("FramedFlow", theta, self.dim(), BATCH, |rows| {
            let mut latent = vec![T::ZERO; BATCH * k];
            let mut rest = Vec::with_capacity(rows.len());
            for (i, theta) in rows.chunks_exact(self.dim()).enumerate() {
                let (g, c) = self.frame.coordinates(theta);
                latent[i * k..(i + 1) * k].copy_from_slice(&g);
                rest.push(c);
            }
            let mut ws = self.inverse.workspace();
            self.inverse.run(&[&self.params, &latent], &mut ws)?;
            let g = self.inverse.tensor(&ws, 0)?;
            let log_det = self.inverse.tensor(&ws, 1)?;
            let lift = |(i, c): (usize, Vec<T>)| {
                let mut z: Vec<T> = c.iter().map(|&c| c / s).collect();
                for (&g, row) in g[i * k..(i + 1) * k]
                    .iter()
                    .zip(basis.chunks_exact(self.dim()))
                {
                    axpy(g.to_f64(), row, &mut z);
                }
                z
            };
            let count = rest.len();
            let z = rest.into_iter().enumerate().flat_map(lift).collect();
            let volume = |l: &T| l.to_f64() - self.frame.log_det();
            Ok((z, log_det[..count].iter().map(volume).collect()))
        })
    }

    /// `log q` of rows (`[n, dim]`), in nats.
    ///
    /// # Errors
    /// If the rows have another length.
    pub fn log_density(&self, theta: &[T]) -> Result<Vec<f64>> {
        let (z, log_det) = self.inverse(theta)?;
        Ok(pulled_back_normal(&z, &log_det, self.dim()))
    }
}
