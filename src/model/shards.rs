//! A likelihood over any number of rows, and its gradient, in shards on all cores.
//!
//! Rows are cut into **shards** of a fixed size. The remainder is cut into powers of two. So a few
//! programs, compiled once, serve any number of rows. Shards are computed in parallel, each in its
//! own memory, and added up in the order of their rows. So results are the same bit for bit on any
//! number of threads. At most sixteen whole shards are in memory at once, so memory does not grow
//! with the rows.

use std::ops::Range;
use std::sync::Arc;

use super::chunk::Parts;
use crate::autodiff::{Program, Workspace};
use crate::error::{Error, Result};
use crate::linalg::vector::axpy;
use crate::parallel;
use crate::scalar::Scalar;

/// `sum -log p(y_i | theta)` over rows of data. Copies share the data.
#[derive(Clone, Debug)]
pub(super) struct Shards<T> {
    /// Features per row.
    features: usize,
    /// Values per encoded target.
    encoded: usize,
    x: Arc<[T]>,
    y: Arc<[T]>,
    /// The size of whole shards, then the powers of two below it.
    kinds: Vec<Kind<T>>,
}

/// The programs of shards of one size: one without the gradient, one with it.
#[derive(Clone, Debug)]
struct Kind<T> {
    rows: usize,
    value: Program<T>,
    gradient: Program<T>,
}

/// Memory of the shards that are computed at once.
#[derive(Clone, Debug)]
pub(super) struct ShardMemory<T> {
    whole: Vec<Shard<T>>,
    parts: Vec<Shard<T>>,
}

/// One shard's rows, result and memory. It is idle if it has no rows.
#[derive(Clone, Debug)]
struct Shard<T> {
    /// Index of its programs.
    kind: usize,
    /// Positions among the requested rows.
    part: Range<usize>,
    x: Vec<T>,
    y: Vec<T>,
    nll: f64,
    value: Option<Workspace<T>>,
    gradient: Option<Workspace<T>>,
}

/// The requested rows: all of `rows`, or those that `chosen` picks from them.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub rows: &'a [usize],
    pub chosen: Option<&'a [usize]>,
}

/// Whole shards in memory at once.
const AT_ONCE: usize = 16;

/// Parameters that one task adds up.
const FOLD: usize = 1 << 14;

impl<T: Scalar> Shards<T> {
    /// Shards of at most `shard_rows` rows, from `n` rows of data: features `x` and encoded targets
    /// `y`, row-major.
    pub fn new(
        parts: &Parts<'_>,
        x: &[f64],
        y: &[f64],
        n: usize,
        shard_rows: usize,
    ) -> Result<Self> {
        let whole = shard_rows.min(n);
        let powers = (0..usize::BITS).map(|bit| 1 << bit);
        let powers: Vec<usize> = powers.take_while(|&size| size < whole).collect();
        let sizes = std::iter::once(whole).chain(powers.into_iter().rev());
        Ok(Self {
            features: parts.network.input_dim(),
            encoded: parts.encoded,
            x: x.iter().map(|&v| T::from_f64(v)).collect(),
            y: y.iter().map(|&v| T::from_f64(v)).collect(),
            kinds: sizes
                .map(|rows| Kind::new(parts, rows))
                .collect::<Result<_>>()?,
        })
    }

    pub fn programs(&self) -> impl Iterator<Item = &Program<T>> {
        self.kinds.iter().flat_map(|k| [&k.value, &k.gradient])
    }

    pub fn programs_mut(&mut self) -> impl Iterator<Item = &mut Program<T>> {
        let kinds = self.kinds.iter_mut();
        kinds.flat_map(|k| [&mut k.value, &mut k.gradient])
    }

    /// Fresh memory.
    pub fn memory(&self) -> ShardMemory<T> {
        ShardMemory {
            whole: Vec::new(),
            parts: (1..self.kinds.len()).map(Shard::new).collect(),
        }
    }

    /// The sum over `rows`, in nats. Its gradient is added to `grad`, which must have the right
    /// length.
    pub fn sum(
        &self,
        theta: &[T],
        rows: Rows<'_>,
        mut grad: Option<&mut [T]>,
        memory: &mut ShardMemory<T>,
    ) -> Result<f64> {
        if memory.parts.len() + 1 != self.kinds.len() {
            let (expected, got) = ("memory of these rows", "that of others");
            return Err(Error::shape("Minibatch", expected, got));
        }
        let at_once = self.kinds[0].rows * AT_ONCE;
        let with_grad = grad.is_some();
        let mut nll = 0.0;
        for start in (0..rows.len()).step_by(at_once) {
            let (whole, parts) = memory.deal(self, start..rows.len().min(start + at_once));
            parallel::try_for_each(whole.iter_mut().chain(&mut *parts), |_, shard| {
                shard.run(self, theta, rows, with_grad)
            })?;
            let (whole, parts) = (&*whole, &*parts);
            let busy = || whole.iter().chain(parts).filter(|s| !s.part.is_empty());
            nll += busy().map(|shard| shard.nll).sum::<f64>();
            if let Some(grad) = grad.as_deref_mut() {
                parallel::try_for_each(grad.chunks_mut(FOLD), |chunk, out| {
                    for shard in busy() {
                        let from = &shard.gradient(self)?[chunk * FOLD..];
                        axpy(1.0, &from[..out.len()], out);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(nll)
    }
}

impl Rows<'_> {
    /// Number of requested rows.
    pub fn len(self) -> usize {
        self.chosen.unwrap_or(self.rows).len()
    }

    /// The row of the data at a position.
    fn row(self, position: usize) -> usize {
        match self.chosen {
            Some(chosen) => self.rows[chosen[position]],
            None => self.rows[position],
        }
    }
}

impl<T: Scalar> Kind<T> {
    fn new(parts: &Parts<'_>, rows: usize) -> Result<Self> {
        let (value, gradient) = parts.likelihood(rows)?;
        Ok(Self {
            rows,
            value,
            gradient,
        })
    }
}

/// Puts row number `i` of `n` into feature-major memory.
fn put<T: Copy>(row: &[T], i: usize, n: usize, columns: &mut [T]) {
    for (&x, column) in row.iter().zip(columns.chunks_exact_mut(n)) {
        column[i] = x;
    }
}

impl<T: Scalar> ShardMemory<T> {
    /// Cuts a range of positions into shards: as many whole ones as fit, then the rest by its
    /// binary digits.
    fn deal(
        &mut self,
        shards: &Shards<T>,
        part: Range<usize>,
    ) -> (&mut [Shard<T>], &mut [Shard<T>]) {
        let size = shards.kinds[0].rows;
        let (count, rest) = (part.len() / size, part.len() % size);
        while self.whole.len() < count {
            self.whole.push(Shard::new(0));
        }
        let mut start = part.start;
        let mut take = |rows: usize| {
            start += rows;
            start - rows..start
        };
        for shard in &mut self.whole[..count] {
            shard.part = take(size);
        }
        for shard in &mut self.parts {
            shard.part = take(shards.kinds[shard.kind].rows & rest);
        }
        (&mut self.whole[..count], &mut self.parts)
    }
}

impl<T: Scalar> Shard<T> {
    fn new(kind: usize) -> Self {
        Self {
            kind,
            part: 0..0,
            x: Vec::new(),
            y: Vec::new(),
            nll: 0.0,
            value: None,
            gradient: None,
        }
    }

    fn run(
        &mut self,
        shards: &Shards<T>,
        theta: &[T],
        rows: Rows<'_>,
        with_grad: bool,
    ) -> Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let (width, encoded, n) = (shards.features, shards.encoded, self.part.len());
        self.x.resize(n * width, T::ZERO);
        self.y.resize(n * encoded, T::ZERO);
        for (i, position) in self.part.clone().enumerate() {
            let row = rows.row(position);
            put(&shards.x[row * width..(row + 1) * width], i, n, &mut self.x);
            put(
                &shards.y[row * encoded..(row + 1) * encoded],
                i,
                n,
                &mut self.y,
            );
        }
        let programs = &shards.kinds[self.kind];
        let (program, memory) = if with_grad {
            (&programs.gradient, &mut self.gradient)
        } else {
            (&programs.value, &mut self.value)
        };
        let ws = memory.get_or_insert_with(|| program.workspace());
        program.run(&[theta, &self.x, &self.y], ws)?;
        self.nll = program.scalar(ws, 0)?;
        Ok(())
    }

    /// The gradient from the last run that computed one.
    fn gradient(&self, shards: &Shards<T>) -> Result<&[T]> {
        let program = &shards.kinds[self.kind].gradient;
        let none = || Error::shape("Minibatch", "a gradient", "none");
        program.tensor(self.gradient.as_ref().ok_or_else(none)?, 1)
    }
}
