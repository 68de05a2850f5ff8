//! The atlas: walkers' hidden parameters as anchors, with the last layer drawn from its
//! conditional.
//!
//! `q(theta) = 1/A sum_a delta(h - h_a) N(w; c(h_a), A(h_a)^{-1})`. The hidden parameters are those
//! of walkers, so no learned density loses anything. Every anchor can provide any number of last
//! layers. With a Gaussian likelihood `p(w | h, D)` is exact, and so is the prediction given the
//! anchor, `N(phi^T c, phi^T A^{-1} phi + noise^2)`: no draw of `w` adds its noise (Rao-Blackwell).
//!
//! [`recombine`] makes further anchors: it takes each hidden unit from a randomly drawn walker.
//! Units are exchangeable, and they are nearly independent where one layer has many of them. In
//! deep networks they are not, and recombined anchors are worse than the walkers themselves.
//!
//! Where scales are part of the posterior, an anchor carries its own scales and noise: see
//! [`LastLayer::with_scales`].
//!
//! What it drops: anything between the anchors. It has no density over hidden parameters; a flow
//! has.

use rand::RngExt;

use super::last_layer::Conditional;
use super::{LastLayer, LastLayerWorkspace};
use crate::error::{Error, Result, counted};
use crate::linalg::vector::first_non_finite;
use crate::model::Posterior;
use crate::nn::UnitBlock;
use crate::parallel;
use crate::rng::{Phase, Streams, fill_normal};
use crate::scalar::Scalar;

/// Anchors and the conditional of the last layer.
#[derive(Clone, Debug)]
pub struct Atlas<T> {
    /// `[anchors, hidden]`.
    anchors: Vec<T>,
    /// Modes of the conditionals, from which Newton's method starts: `[anchors, last]`.
    modes: Vec<T>,
    count: usize,
    hidden: usize,
    last: LastLayer<T>,
}

/// Predictive components of a block of rows, `[rows, anchors]` row-major, in the units of the
/// target that the last layer was conditioned on.
#[derive(Clone, Debug, PartialEq)]
pub struct Components {
    /// Number of rows.
    pub rows: usize,
    /// Components of each row.
    pub anchors: usize,
    /// Means.
    pub means: Vec<f64>,
    /// Standard deviations of the network's output given the anchor, without noise.
    pub stds: Vec<f64>,
    /// Standard deviation of the noise of each anchor, `[anchors]`.
    pub noise_stds: Vec<f64>,
}

impl<T: Scalar> Atlas<T> {
    /// An atlas of anchors `[count, hidden]`. Computes the modes of their conditionals, in
    /// parallel.
    ///
    /// # Errors
    /// If there are no anchors, the numbers do not make up rows, or a conditional cannot be
    /// computed.
    pub fn new(anchors: Vec<T>, count: usize, last: LastLayer<T>) -> Result<Self> {
        let hidden = anchors.len() / count.max(1);
        let modes: Vec<Vec<T>> = parallel::try_map_with(
            count,
            || last.workspace(),
            |ws, a| {
                let anchor = anchors.get(a * hidden..(a + 1) * hidden).unwrap_or(&[]);
                last.condition(anchor, ws)?;
                Ok(ws.mode().iter().map(|&m| T::from_f64(m)).collect())
            },
        )?;
        Self::from_parts(anchors, modes.concat(), last)
    }

    /// An atlas from its parts, as read from a file: anchors `[count, hidden]`, modes
    /// `[count, last]`.
    ///
    /// # Errors
    /// If there is no anchor, a number is not finite, or lengths do not fit.
    pub fn from_parts(anchors: Vec<T>, modes: Vec<T>, last: LastLayer<T>) -> Result<Self> {
        let count = modes.len() / last.dim();
        if count == 0 || modes.len() != count * last.dim() || !anchors.len().is_multiple_of(count) {
            let expected = format!("at least one anchor, with modes of {}", last.dim());
            let got = format!("{} and {}", anchors.len(), counted(modes.len(), "number"));
            return Err(Error::shape("Atlas", expected, got));
        }
        for (what, numbers) in [("anchors", &anchors), ("modes of anchors", &modes)] {
            if let Some(index) = first_non_finite(numbers) {
                return Err(Error::NonFinite { what, index });
            }
        }
        Ok(Self {
            hidden: anchors.len() / count,
            anchors,
            modes,
            count,
            last,
        })
    }

    /// Number of anchors.
    pub fn len(&self) -> usize {
        self.count
    }

    /// False: there is always an anchor.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// `P`.
    pub fn dim(&self) -> usize {
        self.hidden + self.last.dim()
    }

    /// Anchors `[len, hidden]` and modes of their conditionals `[len, last]`.
    pub fn parts(&self) -> (&[T], &[T]) {
        (&self.anchors, &self.modes)
    }

    /// The conditional of the last layer.
    pub fn last(&self) -> &LastLayer<T> {
        &self.last
    }

    /// The conditional last layer of anchor `a`.
    pub(super) fn conditional<'w>(
        &self,
        a: usize,
        ws: &'w mut LastLayerWorkspace<T>,
    ) -> Result<Conditional<'w>> {
        let (anchor, mode) = self.anchor(a);
        self.last.condition_from(anchor, mode, ws)
    }

    /// Anchor `a` and the mode of its conditional.
    pub(super) fn anchor(&self, a: usize) -> (&[T], &[T]) {
        let last = self.last.dim();
        (
            &self.anchors[a * self.hidden..(a + 1) * self.hidden],
            &self.modes[a * last..(a + 1) * last],
        )
    }

    /// `count` draws of `theta`, `[count, P]`. Draw `i` uses anchor `i mod len` and the seed's
    /// stream `i`. This is systematic sampling: all anchors get the same number of draws, as nearly
    /// as possible.
    ///
    /// # Errors
    /// If a conditional cannot be computed or a draw is not finite.
    pub fn sample(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        let (dim, h) = (self.dim(), self.hidden);
        let numbers = count.checked_mul(dim).ok_or_else(|| {
            Error::config("samples", count, "times the parameters must be a number")
        })?;
        let mut theta = vec![T::ZERO; numbers];
        // all draws of an anchor share one conditional
        let mut of_anchor: Vec<Vec<(usize, &mut [T])>> = Vec::new();
        of_anchor.resize_with(self.count.min(count), Vec::new);
        for (i, row) in theta.chunks_exact_mut(dim).enumerate() {
            of_anchor[i % self.count].push((i, row));
        }
        parallel::try_for_each_with(
            of_anchor,
            || self.last.workspace(),
            |ws, a, rows| {
                let (anchor, mode) = self.anchor(a);
                self.last.condition_from(anchor, mode, ws)?;
                for (i, row) in rows {
                    let (hidden, w) = row.split_at_mut(h);
                    hidden.copy_from_slice(anchor);
                    fill_normal(&mut streams.rng(Phase::SAMPLE, i as u64), w);
                    ws.forward(w)?;
                }
                Ok(())
            },
        )?;
        match first_non_finite(&theta) {
            None => Ok(theta),
            Some(index) => Err(Error::NonFinite {
                what: "samples of the atlas",
                index,
            }),
        }
    }
}

/// `count` new anchors from anchors `[n, hidden]`. Every unit of every layer takes its parameters
/// from an anchor that is drawn for this unit alone. New anchor `i` depends only on the seed and
/// `i`.
///
/// # Errors
/// If the anchors are not rows of the units' parameters, or there are none.
pub fn recombine<T: Scalar>(
    anchors: &[T],
    blocks: &[UnitBlock],
    count: usize,
    streams: Streams,
) -> Result<Vec<T>> {
    let hidden: usize = blocks.iter().map(|b| b.index.len()).sum();
    if hidden == 0 || anchors.is_empty() || !anchors.len().is_multiple_of(hidden) {
        let expected = format!("rows of {} of units", counted(hidden, "parameter"));
        return Err(Error::shape("recombine", expected, anchors.len()));
    }
    let n = anchors.len() / hidden;
    let mut all = vec![T::ZERO; count * hidden];
    for (i, row) in all.chunks_exact_mut(hidden).enumerate() {
        let mut rng = streams.rng(Phase::RECOMBINE, i as u64);
        for block in blocks {
            for unit in 0..block.units {
                let from = rng.random_range(0..n) * hidden;
                for &at in block.index[unit..].iter().step_by(block.units) {
                    row[at] = anchors[from + at];
                }
            }
        }
    }
    Ok(all)
}

impl<T: Scalar> Posterior<T> for Atlas<T> {
    fn dim(&self) -> usize {
        Atlas::dim(self)
    }

    fn sample(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        Atlas::sample(self, count, streams)
    }
}
