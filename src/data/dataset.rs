//! A table of features with one target per row, checked once, when it is built.

mod weights;

use std::collections::HashSet;

use super::schema::Schema;
use super::standardize::Standardizer;
use crate::error::{Column, Error, Result, counted};
use crate::linalg::check_table;

/// Standard deviations that a real target may have: their squares, and densities in the target's
/// units, are numbers.
const SCALES: std::ops::RangeInclusive<f64> = 1e-100..=1e100;

/// The kind of targets of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Targets are class indices `0..classes`.
    Classification {
        /// Number of classes, at least 2. A data set need not contain all of them.
        classes: usize,
    },
    /// Targets are real numbers.
    Regression,
}

/// A [`Task`] before the number of classes is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// Targets are class indices.
    Classification,
    /// Targets are real numbers.
    Regression,
}

impl Task {
    /// The kind of task, without the number of classes.
    pub fn kind(self) -> TaskKind {
        match self {
            Task::Classification { .. } => TaskKind::Classification,
            Task::Regression => TaskKind::Regression,
        }
    }
}

/// Features `[n, d]` and targets `[n]`, all finite, with at least one row and one column. The
/// features may be the pixels of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    features: Vec<f64>,
    targets: Vec<f64>,
    feature_names: Vec<String>,
    target_name: String,
    task: Task,
    image: Option<[usize; 3]>,
    /// The name of the weights, and a weight for each row.
    weights: Option<(String, Vec<f64>)>,
    /// What the columns were before they were encoded, if they were not plain numbers.
    schema: Option<Schema>,
    notes: Vec<String>,
}

impl Dataset {
    /// A data set of row-major `features` `[n, d]` and `targets` `[n]`. `d` is the number of names.
    ///
    /// # Errors
    /// No rows, no columns, lengths that do not fit, a name that appears twice, fewer than 2
    /// classes, or a target that is not a class index `0..classes`. [`Error::NonFiniteData`] names
    /// row and column of a value that is not finite.
    pub fn new(
        features: Vec<f64>,
        targets: Vec<f64>,
        feature_names: Vec<String>,
        target_name: impl Into<String>,
        task: Task,
    ) -> Result<Self> {
        let set = Self {
            features,
            targets,
            feature_names,
            target_name: target_name.into(),
            task,
            image: None,
            weights: None,
            schema: None,
            notes: Vec::new(),
        };
        set.check_shape()?;
        set.check_names()?;
        set.check_values()?;
        Ok(set)
    }

    /// Says what the columns were before they were encoded. A plain table of numbers needs none.
    pub(super) fn with_schema(self, schema: Schema) -> Self {
        let schema = (!schema.is_plain()).then_some(schema);
        Self { schema, ..self }
    }

    pub(super) fn with_notes(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    /// What the columns were before they were encoded.
    pub fn schema(&self) -> Schema {
        let plain = || Schema::of_numbers(&self.feature_names, &self.target_name);
        self.schema.clone().unwrap_or_else(plain)
    }

    /// The same; `None` for a plain table of numbers.
    #[cfg(feature = "safetensors")]
    pub(crate) fn special_schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// What a reader should know about how the table was read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn check_shape(&self) -> Result<()> {
        let (n, d) = (self.n(), self.d());
        if n == 0 {
            return Err(Error::data("no rows"));
        }
        if d == 0 {
            return Err(Error::data("no feature columns"));
        }
        if n.checked_mul(d) != Some(self.features.len()) {
            let (rows, columns) = (counted(n, "row"), counted(d, "column"));
            return Err(Error::shape(
                "Dataset::new",
                format!("{rows} x {columns} of features"),
                counted(self.features.len(), "value"),
            ));
        }
        Ok(())
    }

    // A model finds columns of new data by name. A name that appears twice would be ambiguous.
    fn check_names(&self) -> Result<()> {
        let mut seen = HashSet::from([self.target_name.as_str()]);
        match self.feature_names.iter().find(|name| !seen.insert(name)) {
            None => Ok(()),
            Some(name) => Err(in_column(name, "this column name appears twice")),
        }
    }

    fn check_values(&self) -> Result<()> {
        let feature = |j: usize| Column::Named(self.feature_names[j].clone());
        check_table::<f64>("Dataset::new", &self.features, self.d(), feature)?;
        let target = |_| Column::Named(self.target_name.clone());
        check_table::<f64>("Dataset::new", &self.targets, 1, target)?;
        let Task::Classification { classes } = self.task else {
            return Ok(());
        };
        if classes < 2 {
            return Err(Error::config("classes", classes, "at least 2 are needed"));
        }
        match self.targets.iter().position(|&y| !is_label(y, classes)) {
            None => Ok(()),
            Some(row) => {
                let label = self.targets[row];
                let what = format!("row {row}: {label} is not a class in 0..{classes}");
                Err(in_column(&self.target_name, what))
            }
        }
    }

    /// Features, row-major `[n, d]`.
    pub fn features(&self) -> &[f64] {
        &self.features
    }

    /// Targets `[n]`: real numbers, or class indices held as `f64`.
    pub fn targets(&self) -> &[f64] {
        &self.targets
    }

    /// Number of rows, at least 1.
    pub fn n(&self) -> usize {
        self.targets.len()
    }

    /// Number of feature columns, at least 1.
    pub fn d(&self) -> usize {
        self.feature_names.len()
    }

    /// Names of the feature columns `[d]`, all different.
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// Name of the target column.
    pub fn target_name(&self) -> &str {
        &self.target_name
    }

    /// What the targets are.
    pub fn task(&self) -> Task {
        self.task
    }

    /// The same set, with its features read as the pixels of images `[channels, height, width]`,
    /// row-major.
    ///
    /// # Errors
    /// If the number of pixels of such images is not the number of features, or columns are not
    /// numbers without gaps.
    pub fn with_image(self, shape: [usize; 3]) -> Result<Self> {
        if self.schema.as_ref().is_some_and(|s| !s.is_of_numbers()) {
            return Err(Error::data(
                "pixels are numbers, and none of them is missing",
            ));
        }
        let pixels = shape.iter().try_fold(1usize, |n, &x| n.checked_mul(x));
        if pixels != Some(self.d()) {
            let [c, h, w] = shape;
            let got = counted(self.d(), "feature column");
            return Err(Error::shape(
                "image",
                format!("as many features as {c}x{h}x{w} images have numbers"),
                got,
            ));
        }
        Ok(Self {
            image: Some(shape),
            ..self
        })
    }

    /// Channels, height and width, if the features are the pixels of images.
    pub fn image(&self) -> Option<[usize; 3]> {
        self.image
    }

    /// Keeps the first `rows` rows, or all if there are not that many.
    ///
    /// # Errors
    /// If `rows` is 0.
    pub fn truncate(&mut self, rows: usize) -> Result<()> {
        if rows == 0 {
            return Err(Error::config("rows", rows, "must be positive"));
        }
        self.features.truncate(rows.saturating_mul(self.d()));
        self.targets.truncate(rows);
        if let Some((_, weights)) = &mut self.weights {
            weights.truncate(rows);
        }
        Ok(())
    }

    /// Returns the features `[n, d]` and targets `[n]`, without a copy.
    pub fn into_values(self) -> (Vec<f64>, Vec<f64>) {
        (self.features, self.targets)
    }

    /// Features of row `i` `[d]`.
    ///
    /// # Panics
    /// If `i >= n`, as slices do.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.features[i * self.d()..(i + 1) * self.d()]
    }

    /// Targets as class indices `[n]`.
    ///
    /// # Errors
    /// The set is for regression.
    pub fn labels(&self) -> Result<Vec<usize>> {
        match self.task {
            // exact: every target was checked to be an integer in 0..classes
            Task::Classification { .. } => Ok(self.targets.iter().map(|&y| y as usize).collect()),
            Task::Regression => Err(in_column(&self.target_name, "not a class label")),
        }
    }

    /// Rows per class `[classes]`. Empty for regression.
    pub fn class_counts(&self) -> Vec<usize> {
        let Task::Classification { classes } = self.task else {
            return Vec::new();
        };
        let mut counts = vec![0; classes];
        for &y in &self.targets {
            counts[y as usize] += 1;
        }
        counts
    }

    /// The given rows, in the given order. A row may be taken more than once.
    ///
    /// # Errors
    /// No rows, or an index outside `0..n`.
    pub fn select(&self, rows: &[usize]) -> Result<Dataset> {
        if rows.is_empty() {
            return Err(Error::data("no rows selected"));
        }
        if let Some(&row) = rows.iter().find(|&&row| row >= self.n()) {
            return Err(Error::shape(
                "Dataset::select",
                format!("rows below {}", self.n()),
                format!("row {row}"),
            ));
        }
        Ok(Dataset {
            features: rows.iter().flat_map(|&i| self.row(i)).copied().collect(),
            targets: rows.iter().map(|&i| self.targets[i]).collect(),
            feature_names: self.feature_names.clone(),
            target_name: self.target_name.clone(),
            task: self.task,
            image: self.image,
            weights: self.weights.as_ref().map(|(name, weights)| {
                let some = rows.iter().map(|&i| weights[i]).collect();
                (name.clone(), some)
            }),
            schema: self.schema.clone(),
            notes: self.notes.clone(),
        })
    }

    /// Checks that a model can learn from this set.
    ///
    /// # Errors
    /// Fewer than 2 rows, a single class among the targets, or a regression target that does not
    /// vary (beyond rounding, by the rule of [`Standardizer::fit`]), or whose standard deviation is
    /// not in 1e-100..=1e100.
    pub fn check_trainable(&self) -> Result<()> {
        if self.n() < 2 {
            return Err(Error::data("1 row: training needs at least 2"));
        }
        let first = self.targets[0];
        match self.task {
            Task::Classification { .. } if self.targets.iter().all(|&y| y == first) => {
                let what = format!("every row has class {first}: training needs at least 2");
                Err(in_column(&self.target_name, what))
            }
            Task::Regression => {
                let scale = Standardizer::fit(&self.targets, 1)?.scale()[0];
                if scale == 0.0 {
                    let what =
                        format!("the target is {first} in every row: there is nothing to learn");
                    return Err(in_column(&self.target_name, what));
                }
                if !SCALES.contains(&scale) {
                    let what = format!(
                        "the target's standard deviation is {scale:.1e}, and must be from {:e} to \
                         {:e}: write the target in another unit",
                        SCALES.start(),
                        SCALES.end()
                    );
                    return Err(in_column(&self.target_name, what));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// True if `y` is an integer in `0..classes`.
pub(super) fn is_label(y: f64, classes: usize) -> bool {
    y >= 0.0 && y < classes as f64 && y.fract() == 0.0
}

fn in_column(name: &str, what: impl Into<String>) -> Error {
    Error::Data {
        file: None,
        line: None,
        column: Some(name.to_string()),
        what: what.into(),
    }
}

#[cfg(test)]
mod tests;
