//! Reports: one HTML page that says whether to trust a model, and the pictures that show why.
//!
//! [`Report::new`] looks at a model and at test rows; [`Report::html`] is the page. It has no
//! script, loads nothing, and is the same bytes for the same model, rows and options. Pictures are
//! SVG with colours for light and dark; [`Report::svg`] gives a single one as a file.
//! `docs/uncertainty.md` says how to read each.
//!
//! ```
//! use fiberwalk::Streams;
//! use fiberwalk::artifact::AnyModel;
//! use fiberwalk::data::banana;
//! use fiberwalk::pipeline::{FitOptions, WalkSettings, fit};
//! use fiberwalk::report::{Report, ReportOptions};
//!
//! let (train, test) = (banana(60, &Streams::new(1))?, banana(60, &Streams::new(2))?);
//! let walk = WalkSettings { steps: Some(20), ..WalkSettings::default() };
//! let options = FitOptions { hidden: vec![5], method: walk.into(), ..FitOptions::default() };
//! let model = AnyModel::from(fit::<f32>(&train, &options, &())?.model);
//! let report = Report::new(&model, &test, &ReportOptions::default())?;
//! assert!(report.html().starts_with("<!DOCTYPE html>"));
//! # Ok::<(), fiberwalk::Error>(())
//! ```

mod about;
pub mod arviz;
mod chance;
mod compared;
mod contours;
mod figure;
mod findings;
mod material;
mod page;
mod pictures;
#[cfg(feature = "png")]
mod png;
mod slice;
mod svg;
mod ticks;
mod verdict;

use crate::artifact::{AnyModel, Calibration, Metadata, Predictions, Promise};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::metrics::{Bootstrap, Interval, Scores, class_uncertainties};

pub use compared::compared;
pub use figure::Picture;
pub use pictures::NAMES;
#[cfg(feature = "png")]
pub use png::PNG_SCALE;
pub use verdict::{Reason, Trust, Verdict};

use material::Material;
use page::Page;
use pictures::elsewhere::Elsewhere;
use pictures::unsure::Table;

/// What a report is made with.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportOptions {
    /// Posterior draws to predict with.
    pub samples: usize,
    /// Seed of the draws and of the bootstrap; `None`: the model's.
    pub seed: Option<u64>,
    /// Bootstraps of rows for the intervals of scores, at least 20; 0: no intervals.
    pub bootstrap: usize,
    /// Raw features of rows from elsewhere, `[m, d]`; empty: none.
    pub elsewhere: Vec<f64>,
    /// The rows that the model was fitted to, for contours of its energy. Files of an atlas or a
    /// flow have them.
    pub training: Option<Dataset>,
    /// The command that makes the report, for the page.
    pub command: Option<String>,
}

impl Default for ReportOptions {
    /// 256 draws with the model's seed, and 1,000 bootstraps.
    fn default() -> Self {
        Self {
            samples: 256,
            seed: None,
            bootstrap: 1_000,
            elsewhere: Vec::new(),
            training: None,
            command: None,
        }
    }
}

/// A model looked at.
#[derive(Clone, Debug)]
pub struct Report {
    metadata: Metadata,
    command: Option<String>,
    seed: u64,
    rows: usize,
    /// The column of weights, and the number of rows that tell as much.
    weights: Option<(String, f64)>,
    scores: Scores,
    intervals: Vec<(&'static str, Option<Interval>)>,
    verdict: Verdict,
    promise: Option<Promise>,
    of_predictions: Vec<Picture>,
    of_features: Vec<Picture>,
    of_elsewhere: Vec<Picture>,
    of_fit: Vec<Picture>,
    unsure: (Vec<String>, Vec<Vec<String>>),
}

impl Report {
    /// Looks at a model and at test rows.
    ///
    /// # Errors
    /// Those of predictions and scores, and if the rows from elsewhere or the training rows do not
    /// fit the model.
    pub fn new(model: &AnyModel, test: &Dataset, options: &ReportOptions) -> Result<Self> {
        let metadata = model.metadata();
        let seed = options.seed.unwrap_or(metadata.seed);
        let predictor = model.predictor(options.samples, seed)?;
        let scored = predictor.score_rows(test)?;
        let scores = scored.scores()?;
        let intervals = match options.bootstrap {
            0 => Vec::new(),
            1..20 => {
                let requirement = "must be 0 (no intervals) or at least 20";
                return Err(Error::config("bootstrap", options.bootstrap, requirement));
            }
            replicates => scored.intervals(&Bootstrap {
                replicates,
                seed,
                ..Bootstrap::default()
            })?,
        };
        let elsewhere = match options.elsewhere.is_empty() {
            true => None,
            false => {
                let outside = match predictor.rows(&options.elsewhere)? {
                    Predictions::Classes(p) => class_uncertainties(&p),
                    Predictions::Real(p) => {
                        vec![("std", p.moments.iter().map(|m| m.std).collect())]
                    }
                };
                let inside = scored.uncertainties();
                Some(Elsewhere::new(inside, outside, scored.weights())?)
            }
        };
        let mut material =
            Material::new(model, &predictor, test, &scored, (options.samples, seed))?;
        if let (None, Some(data)) = (&material.training, &options.training) {
            material.training = Some(slice::training_rows(metadata, data)?);
        }
        let unsure = pictures::unsure::unsure(&material);
        Ok(Self {
            metadata: metadata.clone(),
            command: options.command.clone(),
            seed,
            rows: test.n(),
            weights: scored.weights().map(|w| {
                let name = test.weights_name().unwrap_or("weights");
                (name.to_string(), chance::effective(test.n(), Some(w)))
            }),
            scores,
            intervals,
            verdict: Verdict::new(metadata, &scored, elsewhere.as_ref())?,
            promise: predictor.promise(test, &scored)?,
            of_predictions: pictures::of_predictions(&material)?,
            of_features: pictures::of_features(&material)?,
            of_elsewhere: elsewhere.iter().map(Elsewhere::picture).collect(),
            of_fit: pictures::of_fit(&material)?,
            unsure: (unsure.head, unsure.rows),
        })
    }

    /// The verdict.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// All pictures, in the order of the page.
    pub fn pictures(&self) -> impl Iterator<Item = &Picture> {
        let first = self.of_predictions.iter().chain(&self.of_elsewhere);
        first.chain(&self.of_features).chain(&self.of_fit)
    }

    /// The picture of this name as an SVG file.
    ///
    /// # Errors
    /// If there is no such picture of this model; the error names those that there are.
    pub fn svg(&self, name: &str) -> Result<String> {
        self.picture(name).map(svg::file)
    }

    /// The picture of this name as a PNG file, in light colours, with [`PNG_SCALE`] pixels for each
    /// unit of the SVG file. Letters are those of the fonts of the system, so the bytes are the
    /// same on machines with the same fonts.
    ///
    /// # Errors
    /// Those of [`Report::svg`], and if the system has no font.
    #[cfg(feature = "png")]
    pub fn png(&self, name: &str) -> Result<Vec<u8>> {
        png::png(&svg::light(self.picture(name)?))
    }

    fn picture(&self, name: &str) -> Result<&Picture> {
        self.pictures().find(|p| p.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.pictures().map(|p| p.name).collect();
            let there = names.join(", ");
            let requirement = match NAMES.iter().find(|n| n.0 == name) {
                Some((_, of)) => format!("is of {of}; of this model there are: {there}"),
                None => format!("no such picture; of this model there are: {there}"),
            };
            Error::config("picture", name, &requirement)
        })
    }

    /// The page.
    pub fn html(&self) -> String {
        let metadata = &self.metadata;
        let title = format!("Model of {} ({})", metadata.target_name, metadata.method);
        let mut page = Page::new(title);
        page.verdict(&self.verdict);
        page.remark(
            "The verdict holds for rows like the test rows. Below: scores, pictures with how to read \
             them, and how the fit went.",
        );
        page.heading("Scores on the test rows");
        page.table(&self.score_caption(), &self.score_table());
        page.heading("Are its predictions right?");
        page.pictures(&self.of_predictions);
        if !self.of_elsewhere.is_empty() {
            page.heading("Does it notice rows from elsewhere?");
            page.pictures(&self.of_elsewhere);
        }
        if !self.of_features.is_empty() {
            page.heading("What does it do with the columns?");
            page.pictures(&self.of_features);
        }
        page.heading("Where is it least sure?");
        let (head, rows) = self.unsure.clone();
        page.table(
            "The test rows that it doubts most. Row 1 is the first row under the header.",
            &Table { head, rows },
        );
        page.heading("Data and model");
        page.table("What was fitted, and to what", &self.about());
        page.heading("How did the fit go?");
        if self
            .metadata
            .calibration
            .iter()
            .any(Calibration::is_crossed)
        {
            page.remark(
                "The model is a mixture of fits, each without a fold of the rows. What follows is of \
                 the first of them, with the findings of all.",
            );
        }
        if !self.of_fit.is_empty() {
            page.pictures(&self.of_fit);
        }
        let missing = self.missing();
        if !missing.is_empty() {
            page.remark(format!(
                "Not shown, because this model file does not hold it: {missing}."
            ));
        }
        if let Some(report) = &metadata.report {
            page.paragraph("The summary that fit printed (docs/summary.md explains each line):");
            let lines = report.lines().into_iter();
            let text: Vec<String> = lines.map(|(h, t)| format!("{h:<10} {t}")).collect();
            page.verbatim(text.join("\n"));
        }
        page.heading("How this page was made");
        if let Some(command) = &self.command {
            page.verbatim(command.clone());
        }
        page.remark(format!(
            "fiberwalk {}; the model was written by fiberwalk {} with seed {}, in {}; draws and \
             bootstrap with seed {}. The same command gives the same page, byte by byte, so it holds \
             no times of day and no durations.",
            env!("CARGO_PKG_VERSION"),
            metadata.crate_version,
            metadata.seed,
            metadata.precision,
            self.seed
        ));
        page.html()
    }

    /// Pictures of a fit that are not there, by name.
    fn missing(&self) -> String {
        let there: Vec<&str> = self.of_fit.iter().map(|p| p.name).collect();
        let wanted = [
            "energy",
            "predictions",
            "ranks",
            "mixing",
            "directions",
            "scales",
            "spectrum",
            "loo",
        ];
        let missing = wanted.iter().filter(|name| !there.contains(name));
        let of = |name: &&str| {
            NAMES
                .iter()
                .find(|n| n.0 == *name)
                .map(|n| format!("{} (of {})", n.0, n.1))
        };
        let mut missing: Vec<String> = missing.filter_map(of).collect();
        if self.metadata.method == "flow" && !there.contains(&"beside") {
            missing.push("draws beside points of the walk (of a flow of points)".into());
        }
        missing.join("; ")
    }
}
