//! Spline coupling (Durkan et al. 2019, Neural Spline Flows), with rational-quadratic splines.
//!
//! One part of the coordinates passes. It decides through which monotone rational-quadratic spline
//! each of the others goes.
//!
//! On `[-B, B]` the spline has `bins` bins with knots `(x_k, y_k)` and derivatives `d_k`. Outside
//! it is the identity. `d` is 1 at both ends, so the spline is smooth there. In a bin of width `w`,
//! height `h` and slope `s = h / w`, with `t = (x - x_k) / w` and `e = d_k + d_{k+1} - 2 s` (their
//! equations 4 and 5),
//!
//! `y = y_k + h (s t^2 + d_k t (1 - t)) / (s + e t (1 - t))`,
//!
//! `dy/dx = s^2 (d_{k+1} t^2 + 2 s t (1 - t) + d_k (1 - t)^2) / (s + e t (1 - t))^2`.
//!
//! The inverse solves a quadratic. With `r = (y - y_k) / h`, `b = d_k - r e`, `a = s - b`, it is
//! `a t^2 + b t - s r = 0`. We take the form of the root that does not cancel: `2 s r / q` where
//! `b > 0`, else `q / 2 a`, with `q = |b| + sqrt(b^2 + 4 a s r)`.
//!
//! The conditioner's outputs are logarithms, bounded by `4 tanh(v/4)`. Widths and heights are
//! softmax shares of them, and derivatives are exponentials. With the bound a bin cannot collapse
//! on points that training did not see. (The paper has no bound, and a softplus for the
//! derivatives.)
//!
//! Everything is elementwise over the moved coordinates. Comparisons with the knots find the bin,
//! as a weight of 0 or 1 for each bin. Each property of the bin is then a weighted sum over all
//! bins. Comparisons have no derivative, but nothing is lost: the spline has one continuous
//! derivative.

use rand::Rng;

use super::bijection::Bijection;
use super::halves::Halves;
use crate::autodiff::{Graph, Var};
use crate::error::{Error, Result};

/// Bound on the conditioner's outputs for widths, heights and derivatives, all logarithms.
const MAX_LOG: f64 = 4.0;

/// Smaller than the square of any possible slope of a bin. Keeps the root's derivative finite where
/// rounding makes the discriminant 0.
const LEAST_DISCRIMINANT: f64 = 1e-12;

/// Shape of the splines of a [`SplineCoupling`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SplineOptions {
    /// Number of bins.
    pub bins: usize,
    /// `B`: beyond it the map is the identity.
    pub bound: f64,
    /// Least width and height of a bin, as a share of `2 B`.
    pub min_bin: f64,
    /// Least derivative at a knot.
    pub min_derivative: f64,
}

impl Default for SplineOptions {
    fn default() -> Self {
        Self {
            bins: 8,
            bound: 5.0,
            min_bin: 1e-2,
            min_derivative: 1e-2,
        }
    }
}

impl SplineOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If there are fewer than 2 bins, the least bins take more than half of the interval, or a
    /// number is not positive (the derivative must also be below 1).
    pub fn validate(&self) -> Result<()> {
        if self.bins < 2 {
            return Err(Error::config("bins", self.bins, "must be at least 2"));
        }
        if !(self.bound > 0.0 && self.bound.is_finite()) {
            let requirement = "must be positive and finite";
            return Err(Error::config("bound", self.bound, requirement));
        }
        if !(self.min_bin > 0.0 && self.min_bin * self.bins as f64 <= 0.5) {
            let requirement = format!("must be positive and at most half of 1/{}", self.bins);
            return Err(Error::config("min_bin", self.min_bin, &requirement));
        }
        if !(self.min_derivative > 0.0 && self.min_derivative < 1.0) {
            let (field, value) = ("min_derivative", self.min_derivative);
            return Err(Error::config(field, value, "must be between 0 and 1"));
        }
        Ok(())
    }
}

/// One coupling layer of splines. Its conditioner is a tanh [`crate::Mlp`] of the coordinates that
/// pass, with `3 bins - 1` outputs for each coordinate that moves.
#[derive(Clone, Debug)]
pub struct SplineCoupling {
    halves: Halves,
    options: SplineOptions,
}

impl SplineCoupling {
    /// A layer of `dim` coordinates. The first `split` pass through and move the rest; with `swap`,
    /// the other way round.
    ///
    /// # Errors
    /// If a side would be empty, a hidden width is 0, or an option is out of its range.
    pub fn new(
        dim: usize,
        split: usize,
        hidden: &[usize],
        swap: bool,
        options: SplineOptions,
    ) -> Result<Self> {
        Self::build(0, dim, (split, swap), hidden, options)
    }

    /// A layer of `context + dim` coordinates. The context moves all of the last `dim`.
    ///
    /// # Errors
    /// If there is no context, nothing to move, a hidden width is 0, or an option is out of its
    /// range.
    pub fn given(
        context: usize,
        dim: usize,
        hidden: &[usize],
        options: SplineOptions,
    ) -> Result<Self> {
        Self::build(context, dim, (0, false), hidden, options)
    }

    fn build(
        context: usize,
        dim: usize,
        sides: (usize, bool),
        hidden: &[usize],
        options: SplineOptions,
    ) -> Result<Self> {
        options.validate()?;
        let each = 3 * options.bins - 1;
        Ok(Self {
            halves: Halves::new(context, dim, sides, hidden, each)?,
            options,
        })
    }

    /// The layer with `context` more coordinates in front, which always pass and which the
    /// conditioner sees: a map of `context + dim` coordinates.
    ///
    /// # Errors
    /// If the conditioner's parameters are too many to count.
    pub fn with_context(self, context: usize) -> Result<Self> {
        let halves = self.halves.with_context(context)?;
        Ok(Self { halves, ..self })
    }

    /// The coordinates that move, and their splines.
    fn part<'g>(&self, params: Var<'g>, x: Var<'g>) -> (Var<'g>, Splines<'g>) {
        let (moved, out) = self.halves.part(params, x);
        let (m, k) = (self.halves.moved(), self.options.bins);
        let SplineOptions {
            bound,
            min_bin,
            min_derivative,
            ..
        } = self.options;
        let exponentials = ((out * (1.0 / MAX_LOG)).tanh() * MAX_LOG).exp();
        let block = |i: usize| exponentials.slice(1, i * m..(i + 1) * m);
        let shares = |first: usize| -> Vec<Var<'g>> {
            let all: Vec<Var<'g>> = (first..first + k).map(block).collect();
            let free = 2.0 * bound * (1.0 - k as f64 * min_bin);
            let unit = free / sum(x.graph(), all.iter().copied());
            let least = 2.0 * bound * min_bin;
            all.into_iter().map(|e| e * unit + least).collect()
        };
        let one = x.graph().constant(1.0);
        let inner = (2 * k..3 * k - 1).map(|i| block(i) * (1.0 - min_derivative) + min_derivative);
        let splines = Splines {
            bound,
            widths: shares(0),
            heights: shares(k),
            derivatives: std::iter::once(one).chain(inner).chain([one]).collect(),
        };
        (moved, splines)
    }
}

fn sum<'g>(graph: &'g Graph, terms: impl Iterator<Item = Var<'g>>) -> Var<'g> {
    terms
        .reduce(|a, b| a + b)
        .unwrap_or_else(|| graph.constant(0.0))
}

/// One spline for every moved number: bins in order, each `[n, moved]`, and the derivatives at all
/// knots.
struct Splines<'g> {
    bound: f64,
    widths: Vec<Var<'g>>,
    heights: Vec<Var<'g>>,
    derivatives: Vec<Var<'g>>,
}

/// The bin that a number is in.
struct Bin<'g> {
    x: Var<'g>,
    y: Var<'g>,
    width: Var<'g>,
    height: Var<'g>,
    slope: Var<'g>,
    /// The derivatives at its knots.
    left: Var<'g>,
    right: Var<'g>,
}

impl<'g> Splines<'g> {
    /// `v` cut to `[-B, B]`.
    fn inside(&self, v: Var<'g>) -> Var<'g> {
        let low = v.graph().constant(-self.bound);
        -(-v.max(low)).max(low)
    }

    /// The bins that contain the numbers `v` in `[-B, B]`, where bins have these sizes.
    fn find(&self, v: Var<'g>, sizes: &[Var<'g>]) -> Bin<'g> {
        let graph = v.graph();
        // passed[k]: the number lies beyond the lower knot of bin k + 1
        let mut knot = graph.constant(-self.bound);
        let mut passed = Vec::with_capacity(sizes.len() - 1);
        for &size in &sizes[..sizes.len() - 1] {
            knot = knot + size;
            passed.push((v - knot).step());
        }
        // adds the bins below in the order of the knots, so that the sum equals the knot bit for
        // bit
        let below = |sizes: &[Var<'g>]| {
            let start = graph.constant(-self.bound);
            let terms = passed.iter().zip(sizes);
            terms.fold(start, |at, (&p, &size)| at + p * size)
        };
        let mut is_in = vec![1.0 - passed[0]];
        is_in.extend(passed.windows(2).map(|p| p[0] - p[1]));
        is_in.extend(passed.last());
        let choose = |of: &[Var<'g>]| sum(graph, is_in.iter().zip(of).map(|(&i, &o)| i * o));
        let (width, height) = (choose(&self.widths), choose(&self.heights));
        Bin {
            x: below(&self.widths),
            y: below(&self.heights),
            width,
            height,
            slope: height / width,
            left: choose(&self.derivatives),
            right: choose(&self.derivatives[1..]),
        }
    }

    fn forward(&self, v: Var<'g>) -> (Var<'g>, Var<'g>) {
        let x = self.inside(v);
        let bin = self.find(x, &self.widths);
        let t = (x - bin.x) / bin.width;
        let rise = bin.slope * t.square() + bin.left * (t * (1.0 - t));
        let y = bin.y + bin.height * (rise / bin.denominator(t));
        (y + (v - x), bin.log_derivative(t))
    }

    fn inverse(&self, v: Var<'g>) -> (Var<'g>, Var<'g>) {
        let y = self.inside(v);
        let bin = self.find(y, &self.heights);
        let rise = (y - bin.y) / bin.height;
        let b = bin.left - rise * bin.excess();
        let a = bin.slope - b;
        let c = bin.slope * rise * 2.0;
        let least = v.graph().constant(LEAST_DISCRIMINANT);
        let root = (b.square() + a * c * 2.0).max(least).sqrt();
        let q = b.max(-b) + root;
        let positive = b.step();
        let other = 1.0 - positive;
        let t = (positive * c + other * q) / (positive * q + other * (a * 2.0));
        let x = bin.x + t * bin.width;
        (x + (v - y), -bin.log_derivative(t))
    }
}

impl<'g> Bin<'g> {
    fn excess(&self) -> Var<'g> {
        self.left + self.right - self.slope * 2.0
    }

    fn denominator(&self, t: Var<'g>) -> Var<'g> {
        self.slope + self.excess() * (t * (1.0 - t))
    }

    fn log_derivative(&self, t: Var<'g>) -> Var<'g> {
        let rest = 1.0 - t;
        let middle = self.slope * (t * rest) * 2.0;
        let top = self.right * t.square() + middle + self.left * rest.square();
        (top * (self.slope / self.denominator(t)).square()).ln()
    }
}

impl Bijection for SplineCoupling {
    fn dim(&self) -> usize {
        self.halves.dim()
    }

    fn param_count(&self) -> usize {
        self.halves.param_count()
    }

    /// The conditioner's initial parameters with its last layer zero: the identity map.
    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        self.halves.init(rng)
    }

    fn forward<'g>(&self, params: Var<'g>, z: Var<'g>) -> (Var<'g>, Var<'g>) {
        let (moved, splines) = self.part(params, z);
        let (y, log_derivative) = splines.forward(moved);
        (self.halves.join(z, y), log_derivative.sum_axis(1))
    }

    fn inverse<'g>(&self, params: Var<'g>, y: Var<'g>) -> (Var<'g>, Var<'g>) {
        let (moved, splines) = self.part(params, y);
        let (z, log_derivative) = splines.inverse(moved);
        (self.halves.join(y, z), log_derivative.sum_axis(1))
    }
}

#[cfg(test)]
mod tests;
