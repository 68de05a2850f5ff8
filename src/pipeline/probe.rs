//! Predictions for a few training rows, observed along a walk to see whether it mixes.
//!
//! They have to forget the walk's start and to mix.

use crate::autodiff::{Graph, Program, Workspace};
use crate::error::{Error, Result};
use crate::model::ScaledNetwork;
use crate::nn::Network;
use crate::parallel::Pool;
use crate::scalar::Scalar;
use crate::walk::Observable;

/// Most rows that are predicted, and most values that are observed.
const ROWS: usize = 16;
const NUMBERS: usize = 128;

/// Class probabilities, or outputs, for rows spread over the training data.
pub(super) struct Probe<T> {
    program: Program<T>,
    features: Vec<T>,
    len: usize,
    /// Number of network parameters. Those of a likelihood may follow them.
    dim: usize,
    pool: Pool<Workspace<T>>,
}

impl<T: Scalar> Probe<T> {
    /// `x` are the training rows, `[n, d]`; `classes` means that outputs are logits.
    pub(super) fn new(network: &dyn Network, x: &[f64], classes: bool) -> Result<Self> {
        let (d, outputs) = (network.input_dim(), network.output_dim());
        let n = x.len() / d.max(1);
        let rows = ROWS.min(NUMBERS / outputs.max(1)).clamp(1, n.max(1));
        let row = |i: usize| i * n / rows;
        let mut features = vec![T::ZERO; rows * d];
        for (at, feature) in features.iter_mut().enumerate() {
            *feature = T::from_f64(x[row(at % rows) * d + at / rows]);
        }
        let graph = Graph::new();
        let theta = graph.input(&[network.dim()]);
        let inputs = graph.input(&[d, rows]).batch_first();
        let outputs_of_rows = network.forward(theta, inputs);
        let predicted = if classes {
            outputs_of_rows.softmax()
        } else {
            outputs_of_rows
        };
        Ok(Self {
            program: graph.compile(&[predicted])?,
            features,
            len: rows * outputs,
            dim: network.dim(),
            pool: Pool::new(),
        })
    }
}

impl<T: Scalar> Observable<T> for Probe<T> {
    fn len(&self) -> usize {
        self.len
    }

    fn observe(&self, theta: &[T], out: &mut [f64]) -> Result<()> {
        let make = || self.program.workspace();
        self.pool.with(make, |ws| {
            let theta = theta.get(..self.dim).unwrap_or(theta);
            self.program.run(&[theta, &self.features], ws)?;
            for (o, v) in out.iter_mut().zip(self.program.tensor(ws, 0)?) {
                *o = v.to_f64();
            }
            Ok(())
        })
    }
}

/// The predictions of a [`Probe`], followed by log scales and likelihood parameters.
pub(super) struct ScaledProbe<T> {
    probe: Probe<T>,
    /// Number of coordinates of the scaled network.
    dim: usize,
    /// Where the log scales begin.
    params: usize,
    tail: usize,
}

impl<T: Scalar> ScaledProbe<T> {
    /// `own` likelihood parameters follow the network's coordinates.
    pub(super) fn new(
        scaled: &ScaledNetwork<'_>,
        own: usize,
        x: &[f64],
        classes: bool,
    ) -> Result<Self> {
        Ok(Self {
            probe: Probe::new(scaled, x, classes)?,
            dim: scaled.dim(),
            params: scaled.inner().dim(),
            tail: scaled.scales() + own,
        })
    }

    /// Number of values observed before the log scales.
    pub(super) fn predictions(&self) -> usize {
        self.probe.len
    }
}

impl<T: Scalar> Observable<T> for ScaledProbe<T> {
    fn len(&self) -> usize {
        self.probe.len + self.tail
    }

    fn observe(&self, phi: &[T], out: &mut [f64]) -> Result<()> {
        if phi.len() != self.params + self.tail {
            let expected = self.params + self.tail;
            return Err(Error::shape("ScaledProbe", expected, phi.len()));
        }
        let (predicted, tail) = out.split_at_mut(self.probe.len);
        self.probe.observe(&phi[..self.dim], predicted)?;
        for (o, t) in tail.iter_mut().zip(&phi[self.params..]) {
            *o = t.to_f64();
        }
        Ok(())
    }
}
