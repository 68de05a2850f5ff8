//! The lines of a report on the rows and their columns.

use super::Data;
use super::text::Lines;
use crate::data::Warp;
use crate::error::counted;

/// Names that are listed one by one.
pub(super) const LISTED: usize = 8;

pub(super) fn data(data: &Data, lines: &mut Lines) {
    let target = data
        .classes
        .map_or("a real target".into(), |k| counted(k, "class").to_string());
    let rows = match data.image {
        Some([c, h, w]) => format!("{} of {c}x{h}x{w}", counted(data.rows, "image")),
        None => format!(
            "{}, {}",
            counted(data.rows, "row"),
            counted(data.features, "feature")
        ),
    };
    lines.add("data", &format!("{rows}, {target} ('{}')", data.target));
    if let Some(weights) = &data.weights {
        lines.add("weights", &weights.to_string());
    }
    data.notes.iter().for_each(|note| lines.add("note", note));
    data.columns
        .iter()
        .for_each(|column| lines.add("column", column));
}

/// What is out of the ordinary about likelihood and columns.
pub(super) fn transforms(data: &Data, lines: &mut Lines) {
    if let Some(likelihood) = &data.likelihood {
        lines.add("likelihood", likelihood);
    }
    match data.target_transform {
        Some(Warp::Log) => lines.add("transform", "the target's logarithm"),
        Some(Warp::YeoJohnson { lambda, .. }) => {
            let text = format!("the target by a Yeo-Johnson map of power {lambda:.2}");
            lines.add("transform", &text);
        }
        None => {}
    }
    let warped = &data.warped_features;
    if !warped.is_empty() {
        let listed = warped[..warped.len().min(LISTED)].join(", ");
        let more = match warped.len().saturating_sub(LISTED) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        lines.add("transform", &format!("Yeo-Johnson maps for {listed}{more}"));
    }
}
