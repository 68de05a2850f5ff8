//! A scaled network whose last layer is not scaled: `psi = (z_h, t, W, b)`.
//!
//! Hidden parameters are `theta_h = z_h sigma(t)`, as in a [`ScaledNetwork`]. The last layer is not
//! scaled: its prior is `W, b ~ N(0, sigma(t)^2)`. Given `z_h` and `t`, the network is linear in
//! `W` and `b`, which have a Gaussian prior. So their conditional posterior is that of a linear
//! model. An atlas and a flow need this.
//!
//! Points of a walk are `phi = (z, t, own)`, with the likelihood's own parameters last. There are
//! two other orders:
//!
//! | order | values | used by |
//! |---|---|---|
//! | hidden first | `z_h, t, own, W, b` | atlas and flow: all that the last layer depends on comes first |
//! | stored | `theta, t, own` | model files and predictions |

use rand::Rng;

use super::groups::ScaleGroups;
use super::network::ScaledNetwork;
use super::prior::ScalePrior;
use crate::autodiff::Var;
use crate::error::{Error, Result, counted};
use crate::model::{HALF_LOG_2PI, Prior};
use crate::nn::{LinearHead, Network, ParamLayout, UnitBlock, unit_blocks};
use crate::scalar::Scalar;

/// A standard deviation: a factor times `e^t` for each of some log scales `t`.
#[derive(Clone, Debug, PartialEq)]
pub struct StdFromLogs {
    /// The factor.
    pub factor: f64,
    /// Indices of the log scales among the hidden coordinates.
    pub places: Vec<usize>,
}

impl StdFromLogs {
    /// The logarithm of the standard deviation.
    pub fn log<T: Scalar>(&self, hidden: &[T]) -> f64 {
        let logs = self.places.iter().filter_map(|&at| hidden.get(at));
        self.factor.ln() + logs.map(|t| t.to_f64()).sum::<f64>()
    }
}

/// How the hidden coordinates set the prior of the last layer, and the noise.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadScales {
    /// Standard deviations for the weights of each feature, then for the biases: `[features + 1]`.
    pub weights: Vec<StdFromLogs>,
    /// Index of the log of the noise's standard deviation, if it is sampled.
    pub noise: Option<usize>,
}

/// `f(x; psi)`, a network with a linear head whose hidden coordinates are `z_h` and `t`.
pub struct ScaledHead<'a> {
    scaled: ScaledNetwork<'a>,
    inner: &'a dyn LinearHead,
    layout: ParamLayout,
    /// Number of tensors that hold hidden parameters.
    tensors: usize,
}

impl<'a> ScaledHead<'a> {
    /// `inner` with scales in groups.
    pub fn new(inner: &'a dyn LinearHead, groups: ScaleGroups) -> Self {
        let scaled = ScaledNetwork::new(inner, groups);
        let all = inner.layout().tensors();
        let hidden = inner.hidden_params();
        let tensors = all.iter().filter(|t| t.range.end <= hidden).count();
        let mut layout = ParamLayout::default();
        for tensor in &all[..tensors] {
            layout.push(&tensor.name, &tensor.shape, tensor.fan_in);
        }
        for param in scaled.params() {
            layout.push(format!("log_scale.{}", param.name), &[param.len], 1);
        }
        for tensor in &all[tensors..] {
            layout.push(&tensor.name, &tensor.shape, tensor.fan_in);
        }
        Self {
            scaled,
            inner,
            layout,
            tensors,
        }
    }

    /// The network with all its parameters scaled.
    pub fn scaled(&self) -> &ScaledNetwork<'a> {
        &self.scaled
    }

    /// The prior of `psi`.
    pub fn prior(&self) -> ScaledHeadPrior {
        let hidden = self.inner.hidden_params();
        ScaledHeadPrior {
            hidden: ScalePrior::new(hidden, self.scaled.params().to_vec()),
            first: hidden + self.scaled.scales(),
            weights: self.weights(),
            outputs: self.output_dim(),
        }
    }

    /// How hidden coordinates `(z_h, t, own)` set the scales of the last layer. `noise` says that
    /// the first of the likelihood's own parameters is the log of a Gaussian noise.
    pub fn head_scales(&self, noise: bool) -> HeadScales {
        HeadScales {
            weights: self.weights(),
            noise: noise.then_some(self.hidden_params()),
        }
    }

    fn weights(&self) -> Vec<StdFromLogs> {
        let (hidden, k) = (self.inner.hidden_params(), self.output_dim().max(1));
        let rows = self.inner.dim() - hidden;
        let each = (0..rows).step_by(k).map(|at| {
            let (factor, places) = self.scaled.factor_of(hidden + at);
            let places = places.into_iter().map(|t| hidden + t).collect();
            StdFromLogs { factor, places }
        });
        each.collect()
    }

    /// The units of all layers. The scales and the likelihood's `own` parameters form a unit that
    /// comes first, because the meaning of a unit depends on the scales. Indices are those of the
    /// hidden-first order.
    pub fn unit_blocks(&self, own: usize) -> Vec<UnitBlock> {
        let first = self.inner.hidden_params();
        let params = self.scaled.scales() + own;
        let scales = UnitBlock {
            units: 1,
            params,
            index: (first..first + params).collect(),
            has_sign: false,
        };
        let units = unit_blocks(self.inner.layout(), first);
        std::iter::once(scales).chain(units).collect()
    }

    /// Reorders points `[n, P + G + own]` of a walk, `phi`, to hidden-first order.
    ///
    /// # Errors
    /// If the values do not form rows of that width.
    pub fn hidden_first<T: Scalar>(&self, points: &[T], own: usize) -> Result<Vec<T>> {
        let (p, h) = (self.inner.dim(), self.inner.hidden_params());
        let mut theta = vec![T::ZERO; p];
        self.rows(points, own, |phi, out| {
            self.scaled.theta(phi, &mut theta)?;
            out.extend_from_slice(&phi[..h]);
            out.extend_from_slice(&phi[p..]);
            out.extend_from_slice(&theta[h..]);
            Ok(())
        })
    }

    /// Converts hidden-first rows to the stored order.
    ///
    /// # Errors
    /// If the values do not form rows of width `P + G + own`.
    pub fn stored<T: Scalar>(&self, rows: &[T], own: usize) -> Result<Vec<T>> {
        let (p, h) = (self.inner.dim(), self.inner.hidden_params());
        let tail = self.scaled.scales() + own;
        let mut std = vec![T::ZERO; p];
        self.rows(rows, own, |row, out| {
            self.scaled.prior_std(&row[h..h + tail], &mut std)?;
            out.extend(row[..h].iter().zip(&std).map(|(&z, &s)| z * s));
            out.extend_from_slice(&row[h + tail..]);
            out.extend_from_slice(&row[h..h + tail]);
            Ok(())
        })
    }

    fn rows<T: Scalar>(
        &self,
        rows: &[T],
        own: usize,
        mut one: impl FnMut(&[T], &mut Vec<T>) -> Result<()>,
    ) -> Result<Vec<T>> {
        let width = self.dim() + own;
        if !rows.len().is_multiple_of(width) {
            let expected = format!("rows of {}", counted(width, "number"));
            return Err(Error::shape("ScaledHead", expected, rows.len()));
        }
        let mut out = Vec::with_capacity(rows.len());
        for row in rows.chunks_exact(width) {
            one(row, &mut out)?;
        }
        Ok(out)
    }
}

impl Network for ScaledHead<'_> {
    fn input_dim(&self) -> usize {
        self.inner.input_dim()
    }

    fn output_dim(&self) -> usize {
        self.inner.output_dim()
    }

    fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    fn forward<'g>(&self, psi: Var<'g>, x: Var<'g>) -> Var<'g> {
        let h = self.hidden_params();
        let theta_h = self.hidden_theta(psi);
        let last = psi.slice(0, h..self.layout.len());
        let theta = match self.tensors {
            0 => last,
            _ => psi.graph().concat(0, &[theta_h, last]),
        };
        self.inner.forward(theta, x)
    }

    /// Initial parameters of the inner network. The hidden ones are divided by their prior standard
    /// deviations at the modes.
    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        let (p, h) = (self.inner.dim(), self.inner.hidden_params());
        let phi = self.scaled.init(rng);
        let mut std = vec![1.0; p];
        // lengths are this network's own, so this does not fail
        let known = self.scaled.prior_std(&phi[p..], &mut std).is_ok();
        let last = phi[h..p].iter().zip(&std[h..]);
        let last = last.map(|(z, s)| if known { z * s } else { *z });
        let hidden = phi[..h].iter().chain(&phi[p..]).copied();
        hidden.chain(last).collect()
    }

    fn widest(&self) -> usize {
        self.inner.widest()
    }
}

impl ScaledHead<'_> {
    /// `theta_h`, from a vector that starts with `z_h` and `t`.
    fn hidden_theta<'g>(&self, psi: Var<'g>) -> Var<'g> {
        let h = self.inner.hidden_params();
        let t = psi.slice(0, h..self.hidden_params());
        self.scaled.scale_tensors(psi, t, self.tensors)
    }
}

impl LinearHead for ScaledHead<'_> {
    fn hidden_params(&self) -> usize {
        self.inner.hidden_params() + self.scaled.scales()
    }

    fn features(&self) -> usize {
        self.inner.features()
    }

    fn feature_map<'g>(&self, hidden: Var<'g>, x: Var<'g>) -> Var<'g> {
        self.inner.feature_map(self.hidden_theta(hidden), x)
    }
}

/// The prior of a [`ScaledHead`], which creates it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledHeadPrior {
    hidden: ScalePrior,
    /// Index at which the last layer begins.
    first: usize,
    weights: Vec<StdFromLogs>,
    outputs: usize,
}

impl ScaledHeadPrior {
    /// Log standard deviations for the weights of each feature, then for the biases,
    /// `[features + 1]`.
    fn log_stds<'g>(&self, psi: Var<'g>) -> Var<'g> {
        let runs = self.weights.chunk_by(|a, b| a == b);
        let parts = runs.map(|run| {
            let n = run.len();
            let constant = psi.graph().tensor(&[n], vec![run[0].factor.ln(); n]);
            let places = run[0].places.iter();
            places.fold(constant, |sum, &at| {
                sum + psi.slice(0, at..at + 1).broadcast_to(&[n])
            })
        });
        let parts: Vec<Var<'g>> = parts.collect();
        psi.graph().concat(0, &parts)
    }
}

impl Prior for ScaledHeadPrior {
    fn neg_log_density<'g>(&self, psi: Var<'g>, layout: &ParamLayout) -> Var<'g> {
        let (rows, k) = (self.weights.len(), self.outputs);
        let log_std = self.log_stds(psi);
        let end = self.first + rows * k;
        let last = psi.slice(0, self.first..end).reshape(&[rows, k]);
        let z = last * (-log_std).exp().reshape(&[rows, 1]);
        let constant = (rows * k) as f64 * HALF_LOG_2PI;
        let own = z.square().sum() * 0.5 + log_std.sum() * k as f64 + constant;
        let hidden = psi.slice(0, 0..self.first);
        self.hidden.neg_log_density(hidden, layout) + own
    }

    fn precision(&self, layout: &ParamLayout) -> Vec<f64> {
        let mut all = self.hidden.precision(layout);
        for std in &self.weights {
            all.extend(std::iter::repeat_n(std.factor.powi(-2), self.outputs));
        }
        all
    }

    fn check(&self, layout: &ParamLayout) -> Result<()> {
        let dim = self.first + self.weights.len() * self.outputs;
        if layout.len() == dim {
            return Ok(());
        }
        let expected = format!("a scaled head of {}", counted(dim, "coordinate"));
        Err(Error::shape("ScaledHeadPrior", expected, layout.len()))
    }
}
