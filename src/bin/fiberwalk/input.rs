//! Sources of rows: a CSV file, one on standard input, or IDX files of images and their labels.

use std::path::{Path, PathBuf};

use fiberwalk::artifact::Metadata;
use fiberwalk::data::{
    CsvOptions, CsvText, Dataset, FeatureRows, IdxOptions, RowOptions, Schema, Task, line_of_row,
    load_idx, load_idx_for_schema, load_images_for_schema, looks_like_idx,
};
use fiberwalk::{Error, Result};

use crate::args::Settings;
use crate::failure::{in_file, in_rows};
use crate::progress::watched;
use crate::streams::{is_stream, read_text, source_name};
use crate::table::TableArgs;
use crate::values::ImageShape;

/// The source of rows that an argument names.
pub enum Input {
    /// A CSV file, or `-` for standard input.
    Csv(PathBuf),
    /// Images, and their labels if there are any.
    Idx {
        images: PathBuf,
        labels: Option<PathBuf>,
    },
}

impl Input {
    /// Finds the source that an argument names. `images,labels` is a pair of IDX files, unless a
    /// file has that name. The first bytes of a single file tell whether it is IDX. For images
    /// alone, the labels are looked for beside them, under the name that MNIST uses. `-` is a CSV
    /// file on standard input, which is not read yet.
    pub fn find(argument: &Path) -> Result<Self> {
        if is_stream(argument) {
            return Ok(Input::Csv(argument.into()));
        }
        if argument.exists() {
            // Only a regular file can be read twice.
            if !argument.is_file() || !looks_like_idx(argument)? {
                return Ok(Input::Csv(argument.into()));
            }
            let labels = labels_beside(argument).filter(|p| p.is_file());
            return Ok(Input::Idx {
                images: argument.into(),
                labels,
            });
        }
        match argument.to_str().and_then(|text| text.split_once(',')) {
            Some((images, labels)) => Self::pair(images, labels),
            // Reading it will report that it is missing.
            None => Ok(Input::Csv(argument.into())),
        }
    }

    /// Two files that an argument names.
    fn pair(images: &str, labels: &str) -> Result<Self> {
        let [images, labels] = [images, labels].map(PathBuf::from);
        if [&images, &labels].iter().any(|p| p.as_os_str().is_empty()) {
            let what = "a file is missing at the comma; give both files, as IMAGES,LABELS";
            let file = if images.as_os_str().is_empty() {
                &labels
            } else {
                &images
            };
            return Err(data_error(file, what.into()));
        }
        if images.is_file() && !looks_like_idx(&images)? {
            let what = "not an IDX file, and two names with a comma between them are IDX files of \
                        images and labels; give a CSV file alone";
            return Err(data_error(&images, what.into()));
        }
        Ok(Input::Idx {
            images,
            labels: Some(labels),
        })
    }

    /// The file that holds the features, as messages call it.
    pub fn rows(&self) -> &Path {
        match self {
            Input::Csv(file) => source_name(file),
            Input::Idx { images, .. } => images,
        }
    }

    /// The same error, with the file, and with the line of its row if the rows can be read again.
    pub fn place(&self, error: Error, table: &TableArgs) -> Error {
        in_rows(error, self.rows(), |row| match self {
            Input::Csv(file) if file.is_file() => {
                line_of_row(file, &table.format(), row).ok().flatten()
            }
            _ => None,
        })
    }

    /// All files that will be read.
    pub fn files(&self) -> Vec<&Path> {
        match self {
            Input::Idx {
                images,
                labels: Some(labels),
            } => vec![images, labels],
            Input::Csv(file) if is_stream(file) => Vec::new(),
            _ => vec![self.rows()],
        }
    }

    /// Rows to train on.
    pub fn training(&self, args: &Settings, quiet: bool) -> Result<Dataset> {
        let rows = args.rows.rows;
        let data = match self {
            Input::Csv(file) => {
                let options = CsvOptions {
                    target: args.target.clone(),
                    task: args.task,
                    types: args.columns.types()?,
                    ignore: args.columns.ignored(),
                    weights: args.columns.weights.clone(),
                    missing: args.columns.missing.unwrap_or_default(),
                    missing_values: args.columns.missing_values(),
                    rows,
                    format: args.table.format(),
                };
                check_rows(rows)?;
                let data = watched(csv_text(file)?, quiet).dataset(&options)?;
                match args.image {
                    Some(ImageShape(shape)) => data.with_image(shape)?,
                    None => data,
                }
            }
            Input::Idx { images, labels } => {
                if let Some(target) = &args.target {
                    let what = "is for CSV files; the labels of images are their target";
                    return Err(config("--target", target, what));
                }
                if let Some(shape) = args.image {
                    let what = "is for CSV files; IDX files say the shape of their images";
                    return Err(config("--image", &shape.to_string(), what));
                }
                args.table.refuse()?;
                args.columns.refuse()?;
                let options = IdxOptions {
                    task: args.task,
                    rows,
                };
                load_idx(images, needed(images, labels)?, &options)?
            }
        };
        if let (None, Some(conv)) = (data.image(), &args.conv) {
            let what = "needs images: IDX files, or --image HxW to read the columns of a CSV file as pixels";
            return Err(config("--conv", &conv.to_string(), what));
        }
        data.check_trainable()
            .map_err(|e| in_file(e, self.rows()))?;
        Ok(data)
    }

    /// Features of the rows to predict, as the model takes them.
    pub fn features(
        &self,
        model: &Metadata,
        rows: Option<usize>,
        table: &TableArgs,
        (keep, ignore): (&[String], &[String]),
        quiet: bool,
    ) -> Result<FeatureRows> {
        check_rows(rows)?;
        let d = model.feature_names.len();
        let mut read = match self {
            Input::Csv(file) => {
                let options = RowOptions {
                    format: table.format(),
                    keep: keep.to_vec(),
                    ignore: ignore.to_vec(),
                    rows,
                    ..RowOptions::default()
                };
                watched(csv_text(file)?, quiet).features(&model.schema(), &options)?
            }
            Input::Idx { images, .. } => {
                table.refuse()?;
                if let Some(name) = keep.first() {
                    return Err(config("--keep", name, "is for CSV files"));
                }
                if let Some(name) = ignore.first() {
                    return Err(config("--ignore", name, "is for CSV files"));
                }
                let shape = image(model.image, images)?;
                let features = load_images_for_schema(images, shape, rows)?.pixels;
                FeatureRows {
                    rows: features.len() / d.max(1),
                    features,
                    ..FeatureRows::default()
                }
            }
        };
        if let Some(rows) = rows {
            read.rows = read.rows.min(rows);
            read.features.truncate(rows.saturating_mul(d));
            read.kept.truncate(rows);
        }
        Ok(read)
    }

    /// Rows with known targets, to score a model on. They get weights if the training rows had any.
    pub fn scored(
        &self,
        model: &Metadata,
        rows: Option<usize>,
        table: &TableArgs,
    ) -> Result<Dataset> {
        let weights = model.weights.as_ref().and_then(|w| w.column.clone());
        let options = scoring(table, weights, rows);
        let (schema, task) = (model.schema(), model.data_task());
        self.like(&schema, task, model.image, (table, &options))
    }

    /// Rows with known targets and the same columns as `train`.
    pub fn scored_like(&self, train: &Dataset, table: &TableArgs) -> Result<Dataset> {
        let options = scoring(table, train.weights_name().map(String::from), None);
        let (schema, task) = (train.schema(), train.task());
        self.like(&schema, task, train.image(), (table, &options))
    }

    fn like(
        &self,
        schema: &Schema,
        task: Task,
        shape: Option<[usize; 3]>,
        (table, options): (&TableArgs, &RowOptions),
    ) -> Result<Dataset> {
        let rows = options.rows;
        check_rows(rows)?;
        match self {
            Input::Csv(file) => csv_text(file)?.dataset_for_schema(schema, task, options),
            Input::Idx { images, labels } => {
                table.refuse()?;
                let shape = image(shape, images)?;
                load_idx_for_schema(images, needed(images, labels)?, shape, task, rows)
            }
        }
    }
}

/// How to read rows to score.
fn scoring(table: &TableArgs, weights: Option<String>, rows: Option<usize>) -> RowOptions {
    RowOptions {
        format: table.format(),
        weights,
        rows,
        ..RowOptions::default()
    }
}

/// The text of a CSV file, or of standard input.
fn csv_text(file: &Path) -> Result<CsvText> {
    match is_stream(file) {
        true => read_text(),
        false => CsvText::open(file),
    }
}

/// The labels file beside a file of images, named as MNIST names it.
fn labels_beside(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    name.contains("images-idx3")
        .then(|| images.with_file_name(name.replace("images-idx3", "labels-idx1")))
}

fn needed<'a>(images: &Path, labels: &'a Option<PathBuf>) -> Result<&'a Path> {
    labels.as_deref().ok_or_else(|| {
        let what = match labels_beside(images) {
            Some(path) => format!("no labels: there is no {}", path.display()),
            None => "no labels".into(),
        };
        data_error(images, what + "; give both files, as IMAGES,LABELS")
    })
}

fn image(shape: Option<[usize; 3]>, images: &Path) -> Result<[usize; 3]> {
    shape.ok_or_else(|| {
        let what = "images, but the model was trained on the columns of a table";
        data_error(images, what.into())
    })
}

fn check_rows(rows: Option<usize>) -> Result<()> {
    match rows {
        Some(0) => Err(config("--rows", "0", "must be positive")),
        _ => Ok(()),
    }
}

fn data_error(file: &Path, what: String) -> Error {
    Error::Data {
        file: Some(file.into()),
        line: None,
        column: None,
        what,
    }
}

fn config(field: &'static str, value: &str, requirement: &str) -> Error {
    Error::Config {
        field,
        value: value.into(),
        requirement: requirement.into(),
    }
}
