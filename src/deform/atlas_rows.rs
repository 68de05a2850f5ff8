//! Predictions of an atlas in closed form, its conditionals computed once.
//!
//! Given anchor `a`, a regression's output for features `phi` (with a constant 1 behind them) is
//! `N(phi^T c_a, |L_a^{-1} phi|^2)`, where `c_a` is the centre of the conditional last layer and
//! `L_a L_a^T` its precision. [`AtlasRows`] keeps `c_a` and `L_a^{-1}` of every anchor, so a row
//! takes one run of the feature map and one triangular product an anchor.
//!
//! Inverse factors have the model's number type, which halves the memory of a model in single
//! precision. Products and sums are in double precision. Rounding the factors to single precision
//! changes `|L_a^{-1} phi|` by as much as the rounding of the features does, which are in that type
//! too.
//!
//! Factors of many wide layers would not fit into memory (more than half a gigabyte). They are then
//! computed again for every block of rows.

mod draws;

pub use draws::AtlasDraw;

use super::atlas::{Atlas, Components};
use super::last_layer::{Conditional, LastLayerWorkspace};
use crate::autodiff::{Graph, Program, Workspace};
use crate::error::{Error, Result, counted};
use crate::linalg::{Cholesky, cell, check_table, output_of};
use crate::nn::LinearHead;
use crate::parallel;
use crate::scalar::Scalar;
use crate::simd::{self, Vectorised};

/// Rows whose components are held at once, and rows of one run of the feature map.
const BLOCK: usize = 256;
const RUN: usize = 64;

/// Most values in the widest layer of a run.
const RUN_VALUES: usize = 1 << 20;

/// Most values that kept factors may have.
const MAX_FACTORS: usize = 1 << 26;

/// Rows of a band of a factor: a vector of the widest instruction set.
const LANES: usize = 8;

/// What a component is called whose mean is not finite.
const PREDICTIONS: &str = "predictions of the atlas";

/// The conditionals of some anchors of an atlas, ready for rows.
#[derive(Clone, Debug)]
pub struct AtlasRows<T: Scalar> {
    atlas: Atlas<T>,
    /// The anchors that are used.
    used: Vec<usize>,
    /// What is known of each; empty if that would take too much memory.
    kept: Vec<Kept<T>>,
    noise_stds: Vec<f64>,
    inputs: usize,
    /// Rows of a run of `many`.
    run: usize,
    one: Program<T>,
    many: Program<T>,
}

/// A conditional by its centre and the inverse of its factor.
#[derive(Clone, Debug)]
struct Kept<T> {
    centre: Vec<f64>,
    /// Bands of 8 rows of `L^{-1}`, one after the other, each column by column: the columns up to
    /// the diagonal, with zeros above it and below the last row. A band's sums stay in registers.
    inverse: Vec<T>,
}

impl<T: Scalar> Kept<T> {
    fn new(conditional: &Conditional<'_>) -> Self {
        Self {
            centre: conditional.centre.to_vec(),
            inverse: inverse_factor(conditional.precision),
        }
    }

    /// Mean and standard deviation of the output for features `phi`.
    fn output(&self, phi: &[f64]) -> (f64, f64) {
        let (mean, variance) = simd::dispatch(Quadratic {
            centre: &self.centre,
            inverse: &self.inverse,
            phi,
        });
        (mean, variance.sqrt())
    }
}

/// Columns of the band whose first row is `row`, of a factor of `n` rows.
#[inline(always)]
fn band_columns(row: usize, n: usize) -> usize {
    (row + LANES).min(n)
}

fn inverse_factor<T: Scalar>(precision: &Cholesky) -> Vec<T> {
    let n = precision.dim();
    let bands = || (0..n).step_by(LANES);
    let starts: Vec<usize> = bands()
        .scan(0, |next, row| {
            let start = *next;
            *next += LANES * band_columns(row, n);
            Some(start)
        })
        .collect();
    let length = bands().map(|row| LANES * band_columns(row, n)).sum();
    let (mut all, mut column) = (vec![T::ZERO; length], vec![0.0; n]);
    for j in 0..n {
        let column = &mut column[j..];
        column.fill(0.0);
        column[0] = 1.0;
        precision.solve_lower_rows_behind(j, column);
        for (row, &v) in (j..n).zip(&*column) {
            all[starts[row / LANES] + LANES * j + row % LANES] = T::from_f64(v);
        }
    }
    all
}

/// `centre . phi` and `|inverse phi|^2`.
struct Quadratic<'a, T> {
    centre: &'a [f64],
    inverse: &'a [T],
    phi: &'a [f64],
}

impl<T: Scalar> Vectorised for Quadratic<'_, T> {
    type Output = (f64, f64);

    #[inline(always)]
    fn run(self) -> (f64, f64) {
        let n = self.phi.len();
        let (mut rest, _) = self.inverse.as_chunks::<LANES>();
        let mut squares = [0.0; LANES];
        for row in (0..n).step_by(LANES) {
            let (band, others) = rest.split_at(band_columns(row, n));
            rest = others;
            let y = band_product(band, self.phi);
            for i in 0..LANES {
                squares[i] = y[i].mul_add(y[i], squares[i]);
            }
        }
        let (centres, centre_rest) = self.centre.as_chunks::<LANES>();
        let (phis, phi_rest) = self.phi.as_chunks::<LANES>();
        let mut products = [0.0; LANES];
        for (c, p) in centres.iter().zip(phis) {
            for i in 0..LANES {
                products[i] = c[i].mul_add(p[i], products[i]);
            }
        }
        let rest: f64 = centre_rest.iter().zip(phi_rest).map(|(c, p)| c * p).sum();
        (products.iter().sum::<f64>() + rest, squares.iter().sum())
    }
}

/// The sum of a band's columns times `phi`. Four sums run side by side, so that no product waits
/// for the one before it.
#[inline(always)]
fn band_product<T: Scalar>(band: &[[T; LANES]], phi: &[f64]) -> [f64; LANES] {
    let (fours, last) = band.as_chunks::<4>();
    let (phis, phi_last) = phi[..band.len()].as_chunks::<4>();
    let mut sums = [[0.0; LANES]; 4];
    for (columns, p) in fours.iter().zip(phis) {
        for k in 0..4 {
            for i in 0..LANES {
                sums[k][i] = columns[k][i].to_f64().mul_add(p[k], sums[k][i]);
            }
        }
    }
    for (column, &p) in last.iter().zip(phi_last) {
        for i in 0..LANES {
            sums[0][i] = column[i].to_f64().mul_add(p, sums[0][i]);
        }
    }
    let [a, b, c, d] = sums;
    std::array::from_fn(|i| (a[i] + b[i]) + (c[i] + d[i]))
}

/// The memory that one row takes.
#[derive(Clone, Debug)]
pub struct AtlasWorkspace<T> {
    program: Workspace<T>,
    features: Vec<T>,
    phi: Vec<f64>,
}

impl<T: Scalar> AtlasRows<T> {
    /// At most `most` anchors of an atlas, evenly spread. For a Gaussian likelihood with one
    /// output.
    ///
    /// # Errors
    /// If the likelihood is another, the network is not the atlas's, `most` is 0, or a conditional
    /// cannot be computed.
    pub fn new(atlas: Atlas<T>, network: &dyn LinearHead, most: usize) -> Result<Self> {
        let (d, last) = (network.input_dim(), atlas.last());
        if !last.is_gaussian() || network.output_dim() != 1 {
            let expected = "a Gaussian likelihood with one output";
            return Err(Error::shape("AtlasRows", expected, "another"));
        }
        let of_network = last.network_dim();
        if most == 0 || network.hidden_params() != of_network {
            let expected = format!(
                "a network of {}, and anchors",
                counted(of_network, "hidden parameter")
            );
            let got = format!("{}, and {most}", network.hidden_params());
            return Err(Error::shape("AtlasRows", expected, got));
        }
        let count = most.min(atlas.len());
        let used: Vec<usize> = (0..count).map(|k| k * atlas.len() / count).collect();
        let run = (RUN_VALUES / network.widest().max(1)).clamp(1, RUN);
        let compile = |rows: usize| {
            let graph = Graph::new();
            let theta_h = graph.input(&[of_network]);
            let x = match rows {
                1 => graph.input(&[1, d]),
                _ => graph.input(&[d, rows]).batch_first(),
            };
            graph.compile::<T>(&[network.feature_map(theta_h, x)])
        };
        let f = network.features() + 1;
        let keeps = count.saturating_mul(f * (f + 1) / 2) <= MAX_FACTORS;
        let kept = if keeps {
            parallel::try_map_with(
                count,
                || last.workspace(),
                |ws, k| Ok(Kept::new(&atlas.conditional(used[k], ws)?)),
            )?
        } else {
            Vec::new()
        };
        let noise_of = |&a: &usize| last.noise_std(atlas.anchor(a).0);
        Ok(Self {
            noise_stds: used.iter().filter_map(noise_of).collect(),
            one: compile(1)?,
            many: compile(run)?,
            inputs: d,
            run,
            used,
            kept,
            atlas,
        })
    }

    /// Number of anchors: components of a prediction.
    pub fn count(&self) -> usize {
        self.used.len()
    }

    /// Standard deviation of each anchor's noise, `[count]`.
    pub fn noise_stds(&self) -> &[f64] {
        &self.noise_stds
    }

    /// Memory for [`AtlasRows::row`].
    pub fn workspace(&self) -> AtlasWorkspace<T> {
        let f = self.atlas.last().dim();
        AtlasWorkspace {
            program: self.one.workspace(),
            features: vec![T::ZERO; self.inputs],
            phi: vec![1.0; f],
        }
    }

    /// Components of one row `x` (`[input_dim]`): means and standard deviations without the noise,
    /// `[count]` each. It allocates nothing where factors are kept.
    ///
    /// # Errors
    /// If a length does not fit, or a mean is not finite.
    pub fn row(
        &self,
        x: &[f64],
        ws: &mut AtlasWorkspace<T>,
        means: &mut [f64],
        stds: &mut [f64],
    ) -> Result<()> {
        let n = self.count();
        if x.len() != self.inputs || means.len() != n || stds.len() != n {
            let expected = format!(
                "{} and room for {}",
                counted(self.inputs, "feature"),
                counted(n, "component")
            );
            let got = format!("{}, {} and {}", x.len(), means.len(), stds.len());
            return Err(Error::shape("AtlasRows::row", expected, got));
        }
        if self.kept.is_empty() {
            let block = self.block(x)?;
            means.copy_from_slice(&block.means);
            stds.copy_from_slice(&block.stds);
            return Ok(());
        }
        for (j, (to, &v)) in ws.features.iter_mut().zip(x).enumerate() {
            *to = cell("AtlasRows", v, 0, j)?;
        }
        let of_network = self.atlas.last().network_dim();
        for (k, (&a, kept)) in self.used.iter().zip(&self.kept).enumerate() {
            let (anchor, _) = self.atlas.anchor(a);
            self.one
                .run(&[&anchor[..of_network], &ws.features], &mut ws.program)?;
            set_features(&mut ws.phi, self.one.tensor(&ws.program, 0)?);
            (means[k], stds[k]) = kept.output(&ws.phi);
        }
        check_table::<f64>(PREDICTIONS, means, n, output_of(1))
    }

    /// Components of rows `x` (`[n, input_dim]`), handed to `use_block` in blocks, in order.
    ///
    /// # Errors
    /// If a length does not fit, an output is not finite, or `use_block` fails.
    pub fn blocks(
        &self,
        x: &[f64],
        mut use_block: impl FnMut(&Components) -> Result<()>,
    ) -> Result<()> {
        let d = self.inputs;
        if !x.len().is_multiple_of(d) {
            let expected = format!("rows of {}", counted(d, "feature"));
            return Err(Error::shape("AtlasRows", expected, x.len()));
        }
        for (at, rows) in x.chunks(BLOCK * d).enumerate() {
            let block = self.block(rows).map_err(|e| e.rows_from(at * BLOCK))?;
            use_block(&block)?;
        }
        Ok(())
    }

    fn block(&self, x: &[f64]) -> Result<Components> {
        let (d, run) = (self.inputs, self.run);
        let rows = x.len() / d;
        // feature-major, the last run filled up with zeros
        let runs = x.chunks(run * d).enumerate().map(|(first, x)| {
            let mut features = vec![T::ZERO; run * d];
            for (at, &v) in x.iter().enumerate() {
                let (row, column) = (at / d, at % d);
                features[column * run + row] = cell("AtlasRows", v, first * run + row, column)?;
            }
            Ok(features)
        });
        let runs: Vec<Vec<T>> = runs.collect::<Result<_>>()?;
        let parts: Vec<Vec<(f64, f64)>> = parallel::try_map_with(
            self.count(),
            || {
                let f = self.atlas.last().dim();
                let last = self.kept.is_empty().then(|| self.atlas.last().workspace());
                (self.many.workspace(), last, vec![1.0; f])
            },
            |(ws, last, phi), k| {
                let again = match last {
                    Some(last) => Some(self.again(k, last)?),
                    None => None,
                };
                let kept = again.as_ref().or(self.kept.get(k));
                let kept = kept.ok_or_else(|| Error::shape("AtlasRows", "an anchor", k))?;
                let (anchor, _) = self.atlas.anchor(self.used[k]);
                let anchor = &anchor[..self.atlas.last().network_dim()];
                let mut part = Vec::with_capacity(rows);
                for features in &runs {
                    self.many.run(&[anchor, features], ws)?;
                    let h = phi.len() - 1;
                    let all = self.many.tensor(ws, 0)?;
                    for row in 0..run.min(rows - part.len()) {
                        set_features(phi, &all[row * h..(row + 1) * h]);
                        part.push(kept.output(phi));
                    }
                }
                Ok(part)
            },
        )?;
        let flat = |of: fn(&(f64, f64)) -> f64| -> Vec<f64> {
            let all = (0..rows).flat_map(|r| parts.iter().map(move |p| of(&p[r])));
            all.collect()
        };
        let components = Components {
            rows,
            anchors: self.count(),
            means: flat(|p| p.0),
            stds: flat(|p| p.1),
            noise_stds: self.noise_stds.clone(),
        };
        check_table::<f64>(PREDICTIONS, &components.means, self.count(), output_of(1))?;
        Ok(components)
    }

    fn again(&self, k: usize, ws: &mut LastLayerWorkspace<T>) -> Result<Kept<T>> {
        Ok(Kept::new(&self.atlas.conditional(self.used[k], ws)?))
    }
}

/// The features of a row; the constant 1 behind them stays.
fn set_features<T: Scalar>(phi: &mut [f64], features: &[T]) {
    for (p, v) in phi.iter_mut().zip(features) {
        *p = v.to_f64();
    }
}
