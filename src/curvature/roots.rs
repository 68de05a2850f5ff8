//! Square roots of a likelihood's output curvature, row by row: `Lambda_n = sum_r c_nr c_nr^T`.
//!
//! Every Gauss-Newton matrix is built from these vectors: `G = sum_nr (J_n^T c_nr)(J_n^T c_nr)^T`.
//! With the score `c_n = d(-log p(y_n | o_n)) / d o_n` instead, one vector per row, the result is
//! the empirical Fisher matrix. The vectors are `sqrt(lambda) v` for the eigenpairs of `Lambda_n`,
//! largest first. A softmax over `K` classes has `K - 1` of them.

use crate::autodiff::{Graph, Program};
use crate::error::{Column, Error, Result, counted};
use crate::linalg::{check_table, symmetric_eigen};
use crate::model::{IsotropicGaussian, Likelihood, PosteriorDensity};
use crate::nn::Network;
use crate::parallel;
use crate::scalar::Scalar;

/// Which output curvature to use in a matrix that is built from rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowFisher {
    /// The likelihood's own `Lambda`, an expectation over its targets: the Gauss-Newton matrix.
    #[default]
    Ggn,
    /// The outer product of the observed target's score with itself: the empirical Fisher matrix,
    /// which differs from the Gauss-Newton matrix (Kunstner et al. 2019).
    Empirical,
}

/// Rows of data for a network and a likelihood without its own parameters.
#[derive(Clone, Copy)]
pub struct Supervised<'a> {
    /// The network.
    pub network: &'a dyn Network,
    /// The likelihood.
    pub likelihood: &'a dyn Likelihood,
    /// Features `[n, input_dim]`, row-major.
    pub x: &'a [f64],
    /// Targets `[n, m]`, row-major.
    pub y: &'a [f64],
}

impl std::fmt::Debug for Supervised<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (d, k) = (self.network.input_dim(), self.network.output_dim());
        write!(
            f,
            "{} for a network {d} -> {k}",
            counted(self.x.len() / d.max(1), "row")
        )
    }
}

impl Supervised<'_> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.x.len() / self.network.input_dim().max(1)
    }

    /// Features of a row.
    pub fn row(&self, n: usize) -> &[f64] {
        let d = self.network.input_dim();
        &self.x[n * d..(n + 1) * d]
    }

    /// Checks lengths, targets and values.
    ///
    /// # Errors
    /// If lengths do not fit, there are no rows, a number is not finite in `T`, or the likelihood
    /// rejects the targets or owns parameters.
    pub fn check<T: Scalar>(&self) -> Result<()> {
        let (d, k) = (self.network.input_dim(), self.network.output_dim());
        self.likelihood.check(k, self.y)?;
        let own = self.likelihood.params(k).len();
        if own > 0 {
            let expected = "a likelihood without parameters of its own";
            return Err(Error::shape(
                "Supervised",
                expected,
                format!("{own} of them"),
            ));
        }
        let m = self.likelihood.target_dim(k);
        let rows = self.rows();
        if rows == 0 || self.x.len() != rows * d || self.y.len() != rows * m {
            let expected = format!(
                "rows of {} and {}, at least one",
                counted(d, "feature"),
                counted(m, "target")
            );
            let got = format!("{} and {}", self.x.len(), counted(self.y.len(), "number"));
            return Err(Error::shape("Supervised", expected, got));
        }
        check_table::<T>("Supervised", self.x, d, Column::Number)?;
        check_table::<T>("Supervised", self.y, m, |j| Column::target(j, m))
    }

    /// The density of the data under a standard normal prior. It provides the likelihood's
    /// products.
    ///
    /// # Errors
    /// Those of [`PosteriorDensity::new`].
    pub fn density<T: Scalar>(&self) -> Result<PosteriorDensity<T>> {
        let prior = IsotropicGaussian::new(1.0)?;
        PosteriorDensity::new(self.network, self.likelihood, &prior, self.x, self.y)
    }
}

/// The vectors of all rows.
#[derive(Clone, Debug)]
pub(crate) struct OutputRoots {
    /// Vectors per row.
    pub rank: usize,
    /// Length of a vector.
    pub outputs: usize,
    /// `[n, rank, outputs]`.
    pub values: Vec<f64>,
}

/// Rows whose outputs are computed at once.
pub(crate) const BLOCK: usize = 64;

impl OutputRoots {
    /// The vectors of every row, computed in parallel over rows.
    ///
    /// # Errors
    /// If a `Lambda` cannot be computed or decomposed.
    pub fn new(data: &Supervised<'_>, outputs: &RowOutputs, fisher: RowFisher) -> Result<Self> {
        let (k, n) = (data.network.output_dim(), data.rows());
        let rank = match fisher {
            RowFisher::Ggn => k,
            RowFisher::Empirical => 1,
        };
        let m = data.y.len() / n.max(1);
        let rows: Vec<Vec<f64>> = parallel::try_map(n, |row| {
            let target = &data.y[row * m..(row + 1) * m];
            let (o, slope) = (outputs.of(row), outputs.slope(row));
            match fisher {
                RowFisher::Ggn => root(data.likelihood, o, target),
                RowFisher::Empirical => Ok(slope.to_vec()),
            }
        })?;
        // drop the trailing vectors that are zero in every row
        let used = |r: usize| {
            rows.iter()
                .any(|c| c[r * k..(r + 1) * k].iter().any(|x| *x != 0.0))
        };
        let kept = (0..rank).rev().find(|&r| used(r)).map_or(0, |r| r + 1);
        let short = |c: &Vec<f64>| c[..kept * k].to_vec();
        Ok(Self {
            rank: kept,
            outputs: k,
            values: rows.iter().flat_map(short).collect(),
        })
    }

    /// Vector `r` of a row.
    pub fn vector(&self, row: usize, r: usize) -> &[f64] {
        let at = (row * self.rank + r) * self.outputs;
        &self.values[at..at + self.outputs]
    }
}

/// `c_r = sqrt(lambda_r) v_r`, `[k, k]`. Zero if `lambda_r` is only a rounding error.
fn root(likelihood: &dyn Likelihood, outputs: &[f64], target: &[f64]) -> Result<Vec<f64>> {
    let k = outputs.len();
    let mut lambda = vec![0.0; k * k];
    likelihood.output_hessian(outputs, target, &[], &mut lambda)?;
    let eigen = symmetric_eigen(&lambda, k)?;
    let top = eigen.values.last().copied().unwrap_or(0.0);
    let least = 4.0 * k as f64 * f64::EPSILON * top;
    let mut out = vec![0.0; k * k];
    let pairs = eigen.values.iter().zip(eigen.vectors.chunks_exact(k)).rev();
    for (c, (&value, vector)) in out.chunks_exact_mut(k).zip(pairs) {
        if value > least {
            c.iter_mut()
                .zip(vector)
                .for_each(|(c, v)| *c = value.sqrt() * v);
        }
    }
    Ok(out)
}

/// Outputs and scores of all rows at a point, and the value of the negative log-likelihood.
pub(crate) struct RowOutputs {
    k: usize,
    values: Vec<f64>,
    slopes: Vec<f64>,
    /// `-log p(D | theta)`, in nats.
    pub neg_log_likelihood: f64,
}

impl RowOutputs {
    /// The values at `theta`.
    ///
    /// # Errors
    /// Those of [`OutputPrograms::new`] and [`OutputPrograms::at`].
    pub fn new<T: Scalar>(data: &Supervised<'_>, theta: &[T]) -> Result<Self> {
        OutputPrograms::new(data)?.at(data, theta)
    }

    fn of(&self, row: usize) -> &[f64] {
        &self.values[row * self.k..(row + 1) * self.k]
    }

    fn slope(&self, row: usize) -> &[f64] {
        &self.slopes[row * self.k..(row + 1) * self.k]
    }
}

/// The programs for [`RowOutputs`]: one for whole blocks of rows, one for the remainder.
pub(crate) struct OutputPrograms<T> {
    /// Encoded targets, row-major.
    encoded: Vec<f64>,
    programs: [Option<Program<T>>; 2],
}

impl<T: Scalar> OutputPrograms<T> {
    /// Compiles them.
    ///
    /// # Errors
    /// Those of [`Supervised::check`].
    pub fn new(data: &Supervised<'_>) -> Result<Self> {
        data.check::<T>()?;
        let encoded = data.likelihood.encode(data.y);
        let e = encoded.len() / data.rows();
        let compile = |(from, to, size): (usize, usize, usize)| {
            let some = (from < to).then(|| outputs_program(data, e, size));
            some.transpose()
        };
        let [whole, rest] = parts(data.rows()).map(compile);
        Ok(Self {
            encoded,
            programs: [whole?, rest?],
        })
    }

    /// The values at `theta` for the rows that were compiled, computed in parallel over them.
    ///
    /// # Errors
    /// If `theta` has the wrong length, or an output is not finite.
    pub fn at(&self, data: &Supervised<'_>, theta: &[T]) -> Result<RowOutputs> {
        let (n, k) = (data.rows(), data.network.output_dim());
        let mut out = RowOutputs {
            k,
            values: Vec::with_capacity(n * k),
            slopes: Vec::with_capacity(n * k),
            neg_log_likelihood: 0.0,
        };
        for (program, (start, end, size)) in self.programs.iter().zip(parts(n)) {
            let Some(program) = program else { continue };
            let firsts: Vec<usize> = (start..end).step_by(size).collect();
            let blocks: Vec<(Vec<f64>, Vec<f64>, f64)> = parallel::try_map_with(
                firsts.len(),
                || program.workspace(),
                |ws, i| {
                    let first = firsts[i];
                    let x = columns::<T>(data.x, n, first, size);
                    let y = columns::<T>(&self.encoded, n, first, size);
                    program.run(&[theta, &x, &y, &[], &[T::ONE]], ws)?;
                    let rows = |v: &[T]| -> Vec<f64> {
                        let at = |at: usize| v[at % k * size + at / k].to_f64();
                        (0..size * k).map(at).collect()
                    };
                    let tensor = |i| program.tensor(ws, i).map(rows);
                    Ok((tensor(0)?, tensor(1)?, program.scalar(ws, 2)?))
                },
            )?;
            for (values, slopes, nll) in blocks {
                out.values.extend(values);
                out.slopes.extend(slopes);
                out.neg_log_likelihood += nll;
            }
        }
        let output = |output| Column::Output { sample: 0, output };
        check_table::<f64>("outputs of the network", &out.values, k, output)?;
        Ok(out)
    }
}

/// First row, end and block size of the whole blocks, then of the remainder.
fn parts(n: usize) -> [(usize, usize, usize); 2] {
    let whole = n / BLOCK * BLOCK;
    [(0, whole, BLOCK), (whole, n, n - whole)]
}

/// The program for outputs, scores and value of a block of rows. `e` is the number of values per
/// encoded target. Inputs: `theta`, features, targets, an empty vector, and 1.
fn outputs_program<T: Scalar>(data: &Supervised<'_>, e: usize, rows: usize) -> Result<Program<T>> {
    let network = data.network;
    let graph = Graph::new();
    let theta = graph.input(&[network.dim()]);
    let x = graph.input(&[network.input_dim(), rows]).batch_first();
    let shape = if e == 1 { vec![rows] } else { vec![e, rows] };
    let y = graph.input(&shape).batch_first();
    let outputs = network.forward(theta, x);
    let likelihood = data.likelihood;
    let nll = likelihood.neg_log_likelihood(outputs, y, graph.input(&[0]));
    let slope = graph.grad(nll, &[outputs])?[0];
    // results are read from the program's memory: an input that is passed through is not there
    let one = graph.input(&[1, 1]);
    let [outputs, slope] = [outputs, slope].map(|v| v.batch_last() * one);
    graph.compile(&[outputs, slope, nll])
}

/// Rows `first..` of `rows` (`[n, d]` row-major) as columns `[d, block]`. The last block is padded
/// with copies of its first row, which every likelihood accepts.
pub(crate) fn columns<T: Scalar>(rows: &[f64], n: usize, first: usize, block: usize) -> Vec<T> {
    let d = rows.len() / n.max(1);
    let here = block.min(n - first);
    let at = |j: usize, i: usize| rows[(first + if i < here { i } else { 0 }) * d + j];
    (0..d * block)
        .map(|k| T::from_f64(at(k / block, k % block)))
        .collect()
}
