//! A network in the coordinates `phi = (z, t)`: standard normal values and log scales.

use rand::Rng;

use super::groups::{Factors, ScaleGroups, ScaleParam, assign};
use super::prior::ScalePrior;
use crate::autodiff::Var;
use crate::error::{Error, Result, counted};
use crate::model::CoordinatePrior;
use crate::nn::{Network, ParamLayout};
use crate::scalar::Scalar;

/// `f(x; theta(phi))`: `phi` holds `P` standard normal values `z`, followed by the log scales `t`.
///
/// ```
/// use fiberwalk::{Activation, Mlp, Network, ScaleGroups, ScaledNetwork};
/// let network = Mlp::new(&[2, 8, 1], Activation::Tanh)?;
/// let scaled = ScaledNetwork::new(&network, ScaleGroups::PerTensor);
/// assert_eq!(scaled.dim(), network.dim() + 3); // two weights, the hidden biases
/// let mut theta = vec![0.0; network.dim()];
/// let mut phi = vec![1.0; network.dim()];
/// phi.extend([0.5f64.ln(), 0.0, 0.0]);
/// scaled.theta(&phi, &mut theta)?;
/// assert_eq!(theta[0], 0.5);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
pub struct ScaledNetwork<'a> {
    inner: &'a dyn Network,
    layout: ParamLayout,
    params: Vec<ScaleParam>,
    factors: Vec<Factors>,
}

impl<'a> ScaledNetwork<'a> {
    /// `inner` with scales in groups.
    pub fn new(inner: &'a dyn Network, groups: ScaleGroups) -> Self {
        Self::grouped(inner, groups, false)
    }

    /// The same, but the weights of the last layer have one scale for each output. Use it if the
    /// outputs mean different things, such as a mean and its noise.
    pub fn with_scale_per_output(inner: &'a dyn Network, groups: ScaleGroups) -> Self {
        Self::grouped(inner, groups, true)
    }

    fn grouped(inner: &'a dyn Network, groups: ScaleGroups, per_output: bool) -> Self {
        let (params, factors) = assign(inner.layout(), groups, per_output);
        let mut layout = inner.layout().clone();
        for param in &params {
            layout.push(format!("log_scale.{}", param.name), &[param.len], 1);
        }
        Self {
            inner,
            layout,
            params,
            factors,
        }
    }

    /// Replaces the priors of the log scales: one prior for each entry of
    /// [`ScaledNetwork::params`], in order.
    ///
    /// ```
    /// use fiberwalk::{Activation, CoordinatePrior, Mlp, ScaleGroups, ScaledNetwork};
    /// let network = Mlp::new(&[2, 8, 1], Activation::Tanh)?;
    /// let prior = CoordinatePrior::InverseGamma { shape: 3.0, rate: 1.0 };
    /// let scaled = ScaledNetwork::new(&network, ScaleGroups::Shared).with_priors(&[prior])?;
    /// assert_eq!(scaled.params()[0].prior, prior);
    /// # Ok::<(), fiberwalk::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the number of priors is wrong, or a prior has a parameter out of range.
    pub fn with_priors(mut self, priors: &[CoordinatePrior]) -> Result<Self> {
        if priors.len() != self.params.len() {
            let (expected, got) = (self.params.len(), priors.len());
            return Err(Error::shape("ScaledNetwork::with_priors", expected, got));
        }
        for (param, prior) in self.params.iter_mut().zip(priors) {
            prior.check()?;
            param.prior = *prior;
        }
        Ok(self)
    }

    /// The network whose parameters are scaled.
    pub fn inner(&self) -> &'a dyn Network {
        self.inner
    }

    /// The log scales, in the order in which they follow `z` in `phi`.
    pub fn params(&self) -> &[ScaleParam] {
        &self.params
    }

    /// `G`, the number of log scales.
    pub fn scales(&self) -> usize {
        self.layout.len() - self.inner.dim()
    }

    /// A name for each log scale: its tensor's name, numbered if the tensor has several.
    pub fn scale_names(&self) -> Vec<String> {
        let each = |p: &ScaleParam| -> Vec<String> {
            match p.len {
                1 => vec![p.name.clone()],
                n => (0..n).map(|i| format!("{}.{i}", p.name)).collect(),
            }
        };
        self.params.iter().flat_map(each).collect()
    }

    /// The prior of `phi`.
    pub fn prior(&self) -> ScalePrior {
        ScalePrior::new(self.inner.dim(), self.params.clone())
    }

    /// The prior mode of every log scale, `[G]`. For a half-Cauchy prior this is the logarithm of
    /// its median.
    pub fn init_scales(&self) -> Vec<f64> {
        self.each_scale().map(|(_, prior)| prior.mode()).collect()
    }

    /// Index and prior of every log scale.
    pub(super) fn each_scale(&self) -> impl Iterator<Item = (usize, CoordinatePrior)> {
        let each = self
            .params
            .iter()
            .flat_map(|p| std::iter::repeat_n(p.prior, p.len));
        each.enumerate()
    }

    /// The parameters that the log scale at `at` multiplies.
    pub(super) fn members(&self, at: usize) -> impl Iterator<Item = Members> {
        let tensors = self.inner.layout().tensors().iter().zip(&self.factors);
        tensors.filter_map(move |(tensor, of)| {
            let (start, len) = (tensor.range.start, tensor.range.len());
            if of.shared == Some(at) {
                return Some(Members::new(start, len, 1));
            }
            let rows = *tensor.shape.first()?;
            let width = len / rows.max(1);
            let within = |first: Option<usize>, count: usize| {
                at.checked_sub(first?).filter(|&index| index < count)
            };
            if let Some(row) = within(of.rows, rows) {
                return Some(Members::new(start + row * width, width, 1));
            }
            let column = within(of.columns, width)?;
            Some(Members::new(start + column, rows, width))
        })
    }

    /// Writes `theta` (`[P]`) for `phi`. Only the first `P + G` values of `phi` are used.
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn theta<T: Scalar>(&self, phi: &[T], theta: &mut [T]) -> Result<()> {
        let p = self.inner.dim();
        if theta.len() != p || phi.len() < self.dim() {
            let expected = format!(
                "{} and {}",
                counted(p, "parameter"),
                counted(self.dim(), "coordinate")
            );
            let got = format!("{} and {}", theta.len(), phi.len());
            return Err(Error::shape("ScaledNetwork::theta", expected, got));
        }
        self.prior_std(&phi[p..], theta)?;
        for (x, &z) in theta.iter_mut().zip(phi) {
            *x *= z;
        }
        Ok(())
    }

    /// Writes the prior standard deviation of every parameter (`[P]`) for log scales `t`. Only the
    /// first `G` values of `t` are used.
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn prior_std<T: Scalar>(&self, t: &[T], std: &mut [T]) -> Result<()> {
        if std.len() != self.inner.dim() || t.len() < self.scales() {
            let expected = format!(
                "{} and {}",
                counted(self.inner.dim(), "parameter"),
                counted(self.scales(), "scale")
            );
            let got = format!("{} and {}", std.len(), t.len());
            return Err(Error::shape("ScaledNetwork::prior_std", expected, got));
        }
        let exp = |at: usize| t[at].to_f64().exp();
        for (tensor, of) in self.inner.layout().tensors().iter().zip(&self.factors) {
            let all = of.fixed * of.shared.map_or(1.0, exp);
            let rows = tensor.shape.first().copied().unwrap_or(1).max(1);
            let width = tensor.range.len() / rows;
            for (i, s) in std[tensor.range.clone()].iter_mut().enumerate() {
                let row = of.rows.map_or(1.0, |first| exp(first + i / width));
                let column = of.columns.map_or(1.0, |first| exp(first + i % width));
                *s = T::from_f64(all * row * column);
            }
        }
        Ok(())
    }
    /// Records the first `count` tensors of `theta`, from log scales `t` and standard normal values
    /// `z`. `z` is a vector that starts with the values of these tensors.
    pub(super) fn scale_tensors<'g>(&self, z: Var<'g>, t: Var<'g>, count: usize) -> Var<'g> {
        let tensors = self.inner.layout().tensors().iter().zip(&self.factors);
        let tensors = tensors.take(count);
        let scaled: Vec<Var<'g>> = tensors
            .map(|(tensor, of)| {
                let mut log_scale = of.shared.map(|at| t.slice(0, at..at + 1));
                let z = tensor.view(z);
                let mut rows = vec![1; tensor.shape.len()];
                if let Some(first) = of.rows {
                    let n = tensor.shape[0];
                    rows[0] = n;
                    let each = t.slice(0, first..first + n);
                    log_scale = Some(log_scale.map_or(each, |all| each + all));
                }
                let mut scaled = match log_scale {
                    Some(log_scale) => z * log_scale.exp().reshape(&rows),
                    None => z,
                };
                if let Some(first) = of.columns {
                    let n = tensor.shape[1];
                    scaled = scaled * t.slice(0, first..first + n).exp().reshape(&[1, n]);
                }
                let scaled = if of.fixed == 1.0 {
                    scaled
                } else {
                    scaled * of.fixed
                };
                scaled.reshape(&[tensor.range.len()])
            })
            .collect();
        match scaled[..] {
            // nothing to concatenate
            [] => z.slice(0, 0..0),
            _ => z.graph().concat(0, &scaled),
        }
    }

    /// The factors of parameter `at`'s standard normal value: a number, and the indices of log
    /// scales.
    pub(super) fn factor_of(&self, at: usize) -> (f64, Vec<usize>) {
        let tensors = self.inner.layout().tensors().iter().zip(&self.factors);
        for (tensor, of) in tensors {
            if !tensor.range.contains(&at) {
                continue;
            }
            let rows = tensor.shape.first().copied().unwrap_or(1).max(1);
            let width = (tensor.range.len() / rows).max(1);
            let i = at - tensor.range.start;
            let row = of.rows.map(|first| first + i / width);
            let column = of.columns.map(|first| first + i % width);
            let places = [of.shared, row, column];
            return (of.fixed, places.into_iter().flatten().collect());
        }
        (1.0, Vec::new())
    }
}

/// Indices of some parameters, at equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Members {
    start: usize,
    pub count: usize,
    stride: usize,
}

impl Members {
    fn new(start: usize, count: usize, stride: usize) -> Self {
        Self {
            start,
            count,
            stride,
        }
    }

    pub fn places(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |i| self.start + i * self.stride)
    }
}

impl Network for ScaledNetwork<'_> {
    fn input_dim(&self) -> usize {
        self.inner.input_dim()
    }

    fn output_dim(&self) -> usize {
        self.inner.output_dim()
    }

    fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    fn forward<'g>(&self, phi: Var<'g>, x: Var<'g>) -> Var<'g> {
        let t = phi.slice(0, self.inner.dim()..self.layout.len());
        let all = self.factors.len();
        self.inner.forward(self.scale_tensors(phi, t, all), x)
    }

    /// Initial parameters of the inner network, divided by their prior standard deviations at the
    /// modes.
    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        let mut phi = self.inner.init(rng);
        let t = self.init_scales();
        let mut std = vec![1.0; phi.len()];
        // lengths are this network's own, so this does not fail
        if self.prior_std(&t, &mut std).is_ok() {
            phi.iter_mut().zip(&std).for_each(|(z, s)| *z /= s);
        }
        phi.extend(t);
        phi
    }

    fn widest(&self) -> usize {
        self.inner.widest()
    }
}
