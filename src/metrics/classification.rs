//! Scores of class probabilities.

use super::brier::BrierParts;
use super::calibration::{Binning, CalibrationBin, Diagram};
use super::detection::auroc;
use super::ranking::Ranking;
use super::selective::area;
use super::smooth::smooth_error;
use super::weights::{Weights, at, average, check_optional};
use crate::error::{Column, Error, Result, counted};
use crate::linalg::check_table;

/// Largest deviation of a row's sum from 1. Probabilities computed in `f32` stay well within it.
/// Logits or log-probabilities passed by mistake do not.
const SUM_TOLERANCE: f64 = 1e-4;

/// Class probabilities beside the labels, and the scores of both.
///
/// Scores that are means over rows are also available row by row, in the same order: to compare two
/// models on the same rows, or to find the rows that cost most.
#[derive(Clone, Copy, Debug)]
pub struct ClassRows<'a> {
    probabilities: &'a [f64],
    classes: usize,
    labels: &'a [usize],
    weights: Weights<'a>,
}

impl<'a> ClassRows<'a> {
    /// Rows with `probabilities`, row-major `[n, classes]`, and `labels` `[n]`.
    ///
    /// # Errors
    /// Shapes that do not fit, fewer than 2 classes, no rows, a label outside `0..classes`, or rows
    /// that are not probabilities (each in 0..=1, with sum 1 within 1e-4).
    pub fn new(probabilities: &'a [f64], classes: usize, labels: &'a [usize]) -> Result<Self> {
        check("ClassRows", probabilities, classes, labels)?;
        Ok(Self {
            probabilities,
            classes,
            labels,
            weights: None,
        })
    }

    /// The same rows with weights `[n]`. A row of weight 2 counts like two equal rows.
    ///
    /// # Errors
    /// More or fewer weights than rows, or weights that are negative, not finite, or all 0.
    pub fn weighted(self, weights: &'a [f64]) -> Result<Self> {
        check_optional("ClassRows::weighted", self.len(), Some(weights))?;
        Ok(self.reweighted(Some(weights)))
    }

    /// [`ClassRows::weighted`] with weights that are known to fit.
    pub(super) fn reweighted(self, weights: Weights<'a>) -> Self {
        Self { weights, ..self }
    }

    /// The weights of the rows, `[n]`, if they have any.
    pub fn weights(&self) -> Option<&'a [f64]> {
        self.weights
    }

    /// Number of rows, at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    fn row(&self, row: usize) -> &'a [f64] {
        &self.probabilities[row * self.classes..(row + 1) * self.classes]
    }

    fn mean(&self, score: impl Fn(usize) -> f64) -> f64 {
        average(self.len(), self.weights, score)
    }

    /// The probability of the most probable class of every row, `[n]`.
    pub fn confidences(&self) -> Vec<f64> {
        (0..self.len()).map(|i| top(self.row(i)).1).collect()
    }

    /// 1 where the most probable class is the label, else 0, `[n]`. Among equally probable classes
    /// the lowest counts.
    pub fn hits(&self) -> Vec<f64> {
        (0..self.len()).map(|i| self.hit(i)).collect()
    }

    /// 0 where the most probable class is the label, else 1.
    pub(super) fn misses(&self) -> Vec<f64> {
        (0..self.len()).map(|i| 1.0 - self.hit(i)).collect()
    }

    fn hit(&self, row: usize) -> f64 {
        indicator(top(self.row(row)).0 == self.labels[row])
    }

    /// `-ln(probability of the label)` of every row, in nats, `[n]`.
    ///
    /// Probabilities are floored at the smallest positive normal double. So a row costs at most
    /// 708.4, and the mean is finite even if a label has probability 0.
    pub fn log_losses(&self) -> Vec<f64> {
        (0..self.len()).map(|i| self.log_loss(i)).collect()
    }

    fn log_loss(&self, row: usize) -> f64 {
        // subtracted from 0: minus a logarithm of 0 would be -0
        0.0 - self.row(row)[self.labels[row]].max(f64::MIN_POSITIVE).ln()
    }

    /// `sum_k (probability of k - [k is the label])^2` of every row, `[n]` (Brier 1950): 0 if sure
    /// and right, 2 if sure and wrong.
    pub fn brier_losses(&self) -> Vec<f64> {
        (0..self.len()).map(|i| self.brier_loss(i)).collect()
    }

    fn brier_loss(&self, row: usize) -> f64 {
        let error = |(class, p): (usize, &f64)| p - indicator(class == self.labels[row]);
        let classes = self.row(row).iter().enumerate();
        classes.map(|c| error(c).powi(2)).sum()
    }

    /// Share of the rows whose most probable class is the label ([`ClassRows::hits`]).
    pub fn accuracy(&self) -> f64 {
        self.mean(|i| self.hit(i))
    }

    /// The mean over classes of the share of a class's rows that are right, as far as the class has
    /// rows. By chance it is one over the number of classes, however rare some are.
    pub fn balanced_accuracy(&self) -> f64 {
        self.balanced_accuracy_of(&self.hits())
    }

    pub(super) fn balanced_accuracy_of(&self, hits: &[f64]) -> f64 {
        let mut of_class = vec![(0.0, 0.0); self.classes];
        for (i, &label) in self.labels.iter().enumerate() {
            of_class[label].0 += at(self.weights, i);
            of_class[label].1 += at(self.weights, i) * hits[i];
        }
        let present = of_class.iter().filter(|c| c.0 > 0.0);
        let (count, sum) = present.fold((0.0, 0.0), |(n, sum), c| (n + 1.0, sum + c.1 / c.0));
        sum / count
    }

    /// Negative log likelihood in nats: the mean of [`ClassRows::log_losses`].
    pub fn nll(&self) -> f64 {
        self.mean(|i| self.log_loss(i))
    }

    /// Brier score, 0 to 2: the mean of [`ClassRows::brier_losses`].
    pub fn brier(&self) -> f64 {
        self.mean(|i| self.brier_loss(i))
    }

    /// The parts of the Brier score, with probabilities in so many bins of equal width.
    ///
    /// # Errors
    /// No bins.
    pub fn brier_parts(&self, bins: usize) -> Result<BrierParts> {
        let diagrams = self.class_diagrams(Binning::EqualWidth(bins))?;
        Ok(BrierParts::of(&diagrams, self.brier(), self.weights))
    }

    /// The reliability diagram of the most probable class: rows grouped by its probability.
    ///
    /// # Errors
    /// No bins.
    pub fn reliability(&self, binning: Binning) -> Result<Vec<CalibrationBin>> {
        Ok(self.diagram(binning)?.bins(self.weights))
    }

    /// The reliability diagram of one class against the rest: rows grouped by its probability.
    ///
    /// # Errors
    /// No bins, or no such class.
    pub fn class_reliability(&self, class: usize, binning: Binning) -> Result<Vec<CalibrationBin>> {
        if class >= self.classes {
            let requirement = format!("must be in 0..{}", self.classes);
            return Err(Error::config("class", class, &requirement));
        }
        Ok(self.class_diagram(class, binning)?.bins(self.weights))
    }

    pub(super) fn diagram(&self, binning: Binning) -> Result<Diagram> {
        Diagram::new(self.confidences(), self.hits(), binning)
    }

    fn class_diagram(&self, class: usize, binning: Binning) -> Result<Diagram> {
        let of_class = self.labels.iter().map(|&l| indicator(l == class));
        Diagram::new(self.column(class), of_class.collect(), binning)
    }

    /// The diagrams of all classes.
    pub(super) fn class_diagrams(&self, binning: Binning) -> Result<Vec<Diagram>> {
        (0..self.classes)
            .map(|class| self.class_diagram(class, binning))
            .collect()
    }

    /// The smooth calibration error of the most probable class (Blasiok & Nakkiran 2023). See
    /// [`smooth_calibration_error`](super::smooth_calibration_error).
    pub fn smooth_ece(&self) -> f64 {
        smooth_error(&self.confidences(), &self.hits(), self.weights)
    }

    fn column(&self, class: usize) -> Vec<f64> {
        (0..self.len()).map(|i| self.row(i)[class]).collect()
    }

    /// Rows ranked by the probability of a class: class 1 of two, else every class.
    pub(super) fn rankings(&self) -> Vec<(usize, Ranking)> {
        let first = if self.classes == 2 { 1 } else { 0 };
        let ranked = |class| (class, Ranking::new(&self.column(class)));
        (first..self.classes).map(ranked).collect()
    }

    /// Area under the receiver operating characteristic. For two classes, of the probability of
    /// class 1. For more, the mean over classes of one class against the rest (macro average).
    /// `None` if no class has both rows of its own and others; other classes that do not are left
    /// out.
    pub fn roc_auc(&self) -> Option<f64> {
        self.macro_auroc(&self.rankings())
    }

    pub(super) fn macro_auroc(&self, rankings: &[(usize, Ranking)]) -> Option<f64> {
        let of_class = |(class, ranking): &(usize, Ranking)| {
            auroc(ranking, |row| self.labels[row] == *class, self.weights)
        };
        let areas: Vec<f64> = rankings.iter().filter_map(of_class).collect();
        (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
    }

    /// Area under the risk-coverage curve: the error rate of the surest rows by their top
    /// probability, over all coverages. See [`RiskCoverage`](super::RiskCoverage).
    pub fn aurc(&self) -> f64 {
        area(&self.by_doubt(), &self.misses(), self.weights)
    }

    /// Rows ranked from the surest to the least sure, by their top probability.
    pub(super) fn by_doubt(&self) -> Ranking {
        let doubts: Vec<f64> = self.confidences().iter().map(|p| -p).collect();
        Ranking::new(&doubts)
    }
}

fn indicator(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// The most probable class and its probability. Among equals the lowest class.
fn top(row: &[f64]) -> (usize, f64) {
    let mut best = (0, f64::NEG_INFINITY);
    for (class, &p) in row.iter().enumerate() {
        if p > best.1 {
            best = (class, p);
        }
    }
    best
}

/// Checks for `n >= 1` rows of `k >= 2` probabilities, each row with a label in `0..k`.
fn check(op: &'static str, probs: &[f64], k: usize, labels: &[usize]) -> Result<()> {
    let n = labels.len();
    if n == 0 || k < 2 || n.checked_mul(k) != Some(probs.len()) {
        return Err(Error::shape(
            op,
            format!(
                "probabilities of {} (at least 2) for {} (at least 1)",
                counted(k, "class"),
                counted(n, "label")
            ),
            counted(probs.len(), "probability"),
        ));
    }
    if let Some(row) = labels.iter().position(|&label| label >= k) {
        let what = format!("row {row}: label {} is not a class in 0..{k}", labels[row]);
        return Err(Error::data(what));
    }
    check_table::<f64>(op, probs, k, Column::Class)?;
    for (i, row) in probs.chunks_exact(k).enumerate() {
        let sum: f64 = row.iter().sum();
        if row.iter().any(|&p| p < 0.0) || (sum - 1.0).abs() > SUM_TOLERANCE {
            let what = format!("row {i} is not made of probabilities: their sum is {sum}");
            return Err(Error::data(what));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests/classification.rs"]
mod tests;
