//! Data sets of images from pairs of IDX files.
//!
//! One file holds the images, `[n, h, w]` or `[n, c, h, w]`, the other a label for each, `[n]`.

use std::path::Path;

use super::dataset::{Dataset, Task, TaskKind, is_label};
use super::idx::{IdxArray, extents, in_file, read_checked};
use super::labels::{Labels, infer_task};
use crate::error::{Error, Result, counted};

/// Name of the target of a set of images.
const LABEL: &str = "label";

/// How to read a pair of IDX files as a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdxOptions {
    /// What the labels are; see [`load_idx`] for the rule when `None`.
    pub task: Option<TaskKind>,
    /// Take at most this many images, from the first on.
    pub rows: Option<usize>,
}

/// Images without labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    /// Channels, height and width of each.
    pub shape: [usize; 3],
    /// Pixels `[n, c h w]`, channel by channel.
    pub pixels: Vec<f64>,
}

/// Reads images, at most `rows` of them.
///
/// # Errors
/// Those of [`read_idx`](super::read_idx). Also: a rank other than 3 or 4, no images, images
/// without pixels, or a pixel that is not finite.
pub fn load_images(path: &Path, rows: Option<usize>) -> Result<Images> {
    Ok(read_images(path, rows)?.0)
}

/// Reads images for a model that was trained on images of the given shape, at most `rows` of them.
///
/// # Errors
/// Those of [`load_images`], and images of another shape.
pub fn load_images_for_schema(
    path: &Path,
    shape: [usize; 3],
    rows: Option<usize>,
) -> Result<Images> {
    check_shape(path, load_images(path, rows)?, shape)
}

fn check_shape(path: &Path, images: Images, shape: [usize; 3]) -> Result<Images> {
    if images.shape == shape {
        return Ok(images);
    }
    let (got, expected) = (extents(&images.shape), extents(&shape));
    let what = format!("images of {got}, the model was trained on {expected}");
    Err(in_file(path, what))
}

/// Reads a data set of images. Pixels are the features `p0`, `p1`...; the target is `label`.
///
/// Labels of an integer type are classes `0..K`. Each class must occur in the file, but not
/// necessarily in the rows that are taken. Labels of a floating-point type follow the rule of
/// `load_csv`.
///
/// # Errors
/// Those of [`load_images`], for either file, and a number of labels that differs from the number
/// of images. For classification: a label that is not a whole number from 0, a gap in the labels,
/// or a single label.
pub fn load_idx(images: &Path, labels: &Path, options: &IdxOptions) -> Result<Dataset> {
    let (read, count) = read_images(images, options.rows)?;
    let (targets, integer) = read_labels(labels, images, count)?;
    let task = match options.task {
        Some(TaskKind::Regression) => Task::Regression,
        None if !integer => infer_task(&targets),
        _ => {
            let classes = Labels::of(&targets).classes(&targets);
            let classes = classes.map_err(|(row, what)| match row {
                Some(row) => in_file(labels, format!("record {row}: {what}")),
                None => in_file(labels, what),
            })?;
            Task::Classification { classes }
        }
    };
    data_set(read, targets, task)
}

/// Reads a data set for a model that was trained on images of the given shape.
///
/// # Errors
/// Those of [`load_images_for_schema`], for either file, and a number of labels that differs from
/// the number of images. For classification: a label outside `0..classes`.
pub fn load_idx_for_schema(
    images: &Path,
    labels: &Path,
    shape: [usize; 3],
    task: Task,
    rows: Option<usize>,
) -> Result<Dataset> {
    let (read, count) = read_images(images, rows)?;
    let read = check_shape(images, read, shape)?;
    let (targets, _) = read_labels(labels, images, count)?;
    if let Task::Classification { classes } = task
        && let Some(row) = targets.iter().position(|&y| !is_label(y, classes))
    {
        let what = format!(
            "record {row}: {} is not a class in 0..{classes}",
            targets[row]
        );
        return Err(in_file(labels, what));
    }
    data_set(read, targets, task)
}

/// The images taken, and the number of images in the file.
fn read_images(path: &Path, rows: Option<usize>) -> Result<(Images, usize)> {
    if rows == Some(0) {
        return Err(Error::config("rows", 0, "must be positive"));
    }
    let array = read_checked(path, rows, |shape| match shape {
        [0, _, _] | [0, _, _, _] => Err("bytes 4 to 8: no images".into()),
        [_, pixels @ ..] if pixels.contains(&0) => {
            Err(format!("images of {} have no pixels", extents(pixels)))
        }
        [_, _, _] | [_, _, _, _] => Ok(()),
        _ => Err(format!(
            "byte 3: rank {}; images have rank 3, or 4 with channels",
            shape.len()
        )),
    })?;
    let pixels = finite_values(path, &array)?;
    let shape = match *array.shape() {
        [_, h, w] => [1, h, w],
        [_, c, h, w] => [c, h, w],
        // rejected above
        _ => {
            return Err(Error::shape(
                "read_images",
                "rank 3 or 4",
                array.shape().len(),
            ));
        }
    };
    let count = array.shape()[0];
    Ok((Images { shape, pixels }, count))
}

/// All labels, and whether their type is an integer type.
fn read_labels(path: &Path, images: &Path, count: usize) -> Result<(Vec<f64>, bool)> {
    let array = read_checked(path, None, |shape| match shape {
        [n] if *n == count => Ok(()),
        [n] => Err(format!(
            "bytes 4 to 8: {}, but {} has {}",
            counted(n, "label"),
            images.display(),
            counted(count, "image")
        )),
        _ => Err(format!("byte 3: rank {}; labels have rank 1", shape.len())),
    })?;
    let values = finite_values(path, &array)?;
    Ok((values, array.element().is_integer()))
}

fn finite_values(path: &Path, array: &IdxArray) -> Result<Vec<f64>> {
    let values = array.values();
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(values),
        Some(at) => {
            let (shape, width) = (array.shape(), array.element().width());
            let record = at / shape[1..].iter().product::<usize>().max(1);
            let byte = 4 + 4 * shape.len() + at * width;
            let what = format!("byte {byte}, record {record}: {} is not finite", values[at]);
            Err(in_file(path, what))
        }
    }
}

fn data_set(images: Images, mut targets: Vec<f64>, task: Task) -> Result<Dataset> {
    let d = images.shape.iter().product();
    targets.truncate(images.pixels.len() / d);
    let names = (0..d).map(|j| format!("p{j}")).collect();
    Dataset::new(images.pixels, targets, names, LABEL, task)?.with_image(images.shape)
}
