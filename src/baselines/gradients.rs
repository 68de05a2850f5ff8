//! Gradients of a stochastic method: from all rows, or from a fresh batch at every step.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::model::{LogDensity, Minibatch, MinibatchWorkspace};
use crate::scalar::Scalar;

/// The energy `U` and its gradient, or unbiased estimates of both.
pub trait GradientSource<T: Scalar>: Sync {
    /// Memory of an evaluation, which holds the current batch: one for each thread.
    type Memory: Send;

    /// Number of parameters, `P`.
    fn dim(&self) -> usize;

    /// Number of rows `N` that the energy sums over. Learning rates of the literature are for the
    /// mean loss `U / N`.
    fn rows(&self) -> usize;

    /// Fresh memory.
    fn memory(&self) -> Self::Memory;

    /// Draws the next batch. The batches of a memory depend only on the generators it was given, in
    /// order.
    fn draw_batch(&self, memory: &mut Self::Memory, rng: &mut ChaCha8Rng);

    /// All that the next batch depends on besides the generator: the numbers of the rows in some
    /// order, `0, 1, ...` in fresh memory. `None` if it depends on nothing else. A kernel keeps the
    /// order with the particle, so that memory can be shared.
    fn order<'m>(&self, memory: &'m mut Self::Memory) -> Option<&'m mut Vec<usize>> {
        let _ = memory;
        None
    }

    /// `U_B(theta)` in nats, scaled to all rows, and its gradient in `grad`.
    ///
    /// # Errors
    /// If a length is wrong.
    fn energy_and_grad(
        &self,
        theta: &[T],
        grad: &mut [T],
        memory: &mut Self::Memory,
    ) -> Result<f64>;
}

/// All rows for every gradient, so gradients are exact.
#[derive(Clone, Copy, Debug)]
pub struct AllRows<'a, D> {
    density: &'a D,
    rows: usize,
}

impl<'a, D> AllRows<'a, D> {
    /// The gradients of `density`, whose log-likelihood is a sum over `rows` rows.
    ///
    /// # Errors
    /// If there are no rows.
    pub fn new(density: &'a D, rows: usize) -> Result<Self> {
        if rows == 0 {
            return Err(Error::config("rows", rows, "must be positive"));
        }
        Ok(Self { density, rows })
    }
}

impl<T: Scalar, D: LogDensity<T>> GradientSource<T> for AllRows<'_, D> {
    type Memory = D::Workspace;

    fn dim(&self) -> usize {
        self.density.dim()
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn memory(&self) -> D::Workspace {
        self.density.workspace()
    }

    fn draw_batch(&self, _: &mut D::Workspace, _: &mut ChaCha8Rng) {}

    fn energy_and_grad(
        &self,
        theta: &[T],
        grad: &mut [T],
        memory: &mut D::Workspace,
    ) -> Result<f64> {
        let log_density = self.density.log_density_and_grad(theta, grad, memory)?;
        for g in grad {
            *g = -*g;
        }
        Ok(-log_density)
    }
}

/// Batches of a fixed number of distinct rows. Each batch is drawn uniformly, independently of
/// those before.
#[derive(Clone, Copy, Debug)]
pub struct RandomBatches<'a, T> {
    density: &'a Minibatch<T>,
    batch_rows: usize,
}

impl<'a, T: Scalar> RandomBatches<'a, T> {
    /// Batches of `batch_rows` rows of `density`, or of all rows if there are fewer.
    ///
    /// # Errors
    /// If `batch_rows` is 0.
    pub fn new(density: &'a Minibatch<T>, batch_rows: usize) -> Result<Self> {
        if batch_rows == 0 {
            return Err(Error::config("batch_rows", batch_rows, "must be positive"));
        }
        Ok(Self {
            density,
            batch_rows: batch_rows.min(density.rows()),
        })
    }
}

/// Memory of [`RandomBatches`]: the batch, and all rows in some order.
#[derive(Clone, Debug)]
pub struct BatchMemory<T> {
    order: Vec<usize>,
    batch: Vec<usize>,
    ws: MinibatchWorkspace<T>,
}

impl<T: Scalar> GradientSource<T> for RandomBatches<'_, T> {
    type Memory = BatchMemory<T>;

    fn dim(&self) -> usize {
        self.density.dim()
    }

    fn rows(&self) -> usize {
        self.density.rows()
    }

    fn memory(&self) -> BatchMemory<T> {
        BatchMemory {
            order: (0..self.density.rows()).collect(),
            batch: (0..self.batch_rows).collect(),
            ws: self.density.workspace(),
        }
    }

    fn draw_batch(&self, memory: &mut BatchMemory<T>, rng: &mut ChaCha8Rng) {
        if self.batch_rows < self.density.rows() {
            // a uniform choice, whatever the order was before
            let (chosen, _) = memory.order.partial_shuffle(rng, self.batch_rows);
            memory.batch.copy_from_slice(chosen);
        }
    }

    fn order<'m>(&self, memory: &'m mut BatchMemory<T>) -> Option<&'m mut Vec<usize>> {
        (self.batch_rows < self.density.rows()).then_some(&mut memory.order)
    }

    fn energy_and_grad(
        &self,
        theta: &[T],
        grad: &mut [T],
        memory: &mut BatchMemory<T>,
    ) -> Result<f64> {
        self.density
            .energy_and_grad(theta, &memory.batch, grad, &mut memory.ws)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Gaussian, IsotropicGaussian};
    use crate::nn::{Activation, Mlp, Network};
    use crate::rng::{Phase, Streams};

    fn density(rows: usize) -> Minibatch<f64> {
        let network = Mlp::new(&[1, 1], Activation::Tanh).unwrap();
        let prior = IsotropicGaussian::new(1.0).unwrap();
        let x: Vec<f64> = (0..rows).map(|i| i as f64).collect();
        let likelihood = Gaussian::new(1.0).unwrap();
        assert_eq!(network.dim(), 2);
        Minibatch::new(&network, &likelihood, &prior, &x, &x).unwrap()
    }

    /// Every pair of rows is drawn equally often. Single rows would not do: a biased shuffle can
    /// draw each row with the right frequency.
    #[test]
    fn every_set_of_rows_is_equally_likely() {
        let density = density(5);
        let source = RandomBatches::new(&density, 2).unwrap();
        let (mut memory, mut rng) = (source.memory(), Streams::new(4).rng(Phase::USER, 0));
        let n = 10_000;
        let mut counts = [0usize; 25];
        for _ in 0..n {
            source.draw_batch(&mut memory, &mut rng);
            let (a, b) = (memory.batch[0], memory.batch[1]);
            assert_ne!(a, b);
            counts[a.min(b) * 5 + a.max(b)] += 1;
        }
        let expected = n as f64 / 10.0;
        let pairs = (0..25).filter(|ab| ab / 5 < ab % 5);
        let statistic: f64 = pairs
            .map(|ab| (counts[ab] as f64 - expected).powi(2) / expected)
            .sum();
        // chi-square of 9 degrees: above 33.7 with probability 1e-4
        assert!(statistic < 33.7, "{statistic}");
    }

    #[test]
    fn large_batches_are_all_rows_and_the_energies_agree() {
        let density = density(5);
        let (theta, mut rng) = ([0.3, -0.2], Streams::new(4).rng(Phase::USER, 0));
        let all = AllRows::new(&density, 5).unwrap();
        let batches = RandomBatches::new(&density, 50).unwrap();
        let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
        let exact = all
            .energy_and_grad(&theta, &mut a, &mut GradientSource::memory(&all))
            .unwrap();
        let mut memory = batches.memory();
        batches.draw_batch(&mut memory, &mut rng);
        let energy = batches.energy_and_grad(&theta, &mut b, &mut memory);
        assert!((energy.unwrap() - exact).abs() < 1e-12 * exact.abs());
        assert!(
            (a[0] - b[0]).abs() < 1e-12 * a[0].abs() && (a[1] - b[1]).abs() < 1e-12 * a[1].abs()
        );
        assert!(RandomBatches::new(&density, 0).is_err() && AllRows::new(&density, 0).is_err());
    }
}
