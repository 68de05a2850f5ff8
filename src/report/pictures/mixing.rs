//! Whether walkers agree: rank plots, and R-hat and effective draws over predictions.

use crate::diagnose::{Chains, ess_bulk, grouped_rhat, grouped_rhat_limit};
use crate::error::Result;
use crate::report::chance::{bars, binomial_range, histogram, quantile};
use crate::report::figure::{Axis, Figure, Mark, Picture, Tone, extent, thinned};
use crate::report::material::Material;
use crate::report::ticks::short;

use super::walk::all_draws;

/// Rows whose predictions are looked at, groups of walkers, and bins of ranks.
const ROWS: usize = 60;
const GROUPS: usize = 4;
const BINS: usize = 8;

/// Draws `[draws, particles]` as chains, `[particles, draws]`.
pub fn chains(values: &[f64], particles: usize) -> Vec<f64> {
    let of = |p: usize| values.iter().skip(p).step_by(particles.max(1)).copied();
    (0..particles).flat_map(of).collect()
}

/// For each group of chains the number of its draws in each bin of ranks over all draws. Equal
/// draws have the mean of their ranks.
pub fn rank_counts(values: &[f64], groups: usize, bins: usize) -> Vec<Vec<usize>> {
    let n = values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; n];
    let mut start = 0;
    while start < n {
        let same = order[start..]
            .iter()
            .take_while(|i| values[**i] == values[order[start]]);
        let end = start + same.count().max(1);
        for i in &order[start..end] {
            ranks[*i] = 0.5 * (start + end - 1) as f64;
        }
        start = end;
    }
    let each = ranks.chunks(n.div_ceil(groups.max(1)).max(1));
    each.map(|group| histogram(group, [-0.5, n as f64 - 0.5], bins))
        .collect()
}

/// Predictions of some rows as chains: the name of each, and its draws.
fn predictions(material: &Material<'_>) -> Result<Option<(usize, Vec<Vec<f64>>)>> {
    let Some(particles) = material.particles.filter(|p| *p >= 2) else {
        return Ok(None);
    };
    let rows = thinned(material.test.n(), ROWS);
    let x: Vec<f64> = rows
        .iter()
        .flat_map(|r| material.test.row(*r).to_vec())
        .collect();
    let Some(all) = all_draws(material, &x)? else {
        return Ok(None);
    };
    // the probabilities of two classes say the same
    let columns = if all.width == 2 { 1 } else { all.width.min(4) };
    let of = |row: usize, c: usize| {
        let values = all.row(row).iter().skip(c).step_by(all.width);
        chains(&values.copied().collect::<Vec<_>>(), particles)
    };
    let each = (0..all.rows).flat_map(|row| (0..columns).map(move |c| (row, c)));
    let all: Vec<Vec<f64>> = each.map(|(row, c)| of(row, c)).collect();
    Ok(Some((particles, all)))
}

/// Rank plots, and histograms of R-hat and of effective draws.
///
/// # Errors
/// Those of predictions.
pub fn mixing(material: &Material<'_>) -> Result<Vec<Picture>> {
    let Some((particles, all)) = predictions(material)? else {
        return Ok(Vec::new());
    };
    let mut pictures = Vec::new();
    let groups = GROUPS.min(particles);
    let energies = material
        .metadata
        .report
        .as_ref()
        .and_then(|r| r.walk.as_ref());
    let energies = energies
        .map(|w| chains(&w.energies, particles))
        .filter(|e| !e.is_empty());
    let mut panels: Vec<Figure> = energies
        .iter()
        .map(|e| ranks("Ranks of the energy", e, groups))
        .collect();
    let spread = |values: &[f64]| {
        let mean = crate::report::chance::mean(values);
        values.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
    };
    // the prediction that varies most
    let widest = all
        .iter()
        .fold(None, |best: Option<&Vec<f64>>, one| match best {
            Some(best) if spread(best) >= spread(one) => Some(best),
            _ => Some(one),
        });
    panels.extend(widest.map(|w| ranks("Ranks of a prediction", w, groups)));
    pictures.push(Picture {
        name: "ranks",
        title: "Rank plots".into(),
        caption:
            "All draws are put in order, and each line counts where the draws of a quarter of \
                  the walkers stand. Lines that stay near the dashed one: the walkers agree. A \
                  line that is high at one end: some walkers are where others are not."
                .into(),
        panels,
    });
    let panels: Vec<Figure> = [r_hats(&all, particles), effective(&all, particles)]
        .into_iter()
        .flatten()
        .collect();
    if !panels.is_empty() {
        pictures.push(Picture {
            name: "mixing",
            title: "R-hat and effective draws".into(),
            caption:
                "Nested R-hat near 1: walkers have forgotten where they began. Effective draws: \
                      how many independent draws the walk is worth; some hundred are plenty for \
                      means and 90 % intervals."
                    .into(),
            panels,
        });
    }
    Ok(pictures)
}

fn ranks(title: &str, values: &[f64], groups: usize) -> Figure {
    let counts = rank_counts(values, groups, BINS);
    let even = values.len() as f64 / (groups * BINS) as f64;
    let each = values.len() / groups.max(1);
    let [low, high] = binomial_range(each, 1.0 / BINS as f64).map(|k| k as f64);
    let top = counts.iter().flatten().copied().max().unwrap_or(1) as f64;
    let mut figure = Figure::new(
        title,
        Axis::new("rank among all draws", [0.0, 1.0]),
        Axis::new("draws", [0.0, 1.12 * top.max(high)]),
    )
    .mark(Mark::FaintBand(
        Tone::Chance,
        vec![[0.0, low, high], [1.0, low, high]],
    ))
    .mark(Mark::Dashed(
        Tone::Reference,
        vec![[0.0, even], [1.0, even]],
    ))
    .name(Tone::Chance, "90 % of independent draws");
    for (group, counts) in counts.iter().enumerate() {
        let steps = counts.iter().enumerate().flat_map(|(b, c)| {
            let x = |b: usize| b as f64 / BINS as f64;
            [[x(b), *c as f64], [x(b + 1), *c as f64]]
        });
        figure
            .marks
            .push(Mark::Line(Tone::Series(group), steps.collect()));
        figure
            .legend
            .push((Tone::Series(group), format!("group {}", group + 1)));
    }
    let ends = extent(counts.iter().flatten().map(|c| *c as f64));
    figure.say(format!(
        "counts from {} to {}, {} on average",
        ends[0],
        ends[1],
        short(even)
    ))
}

fn r_hats(all: &[Vec<f64>], particles: usize) -> Option<Figure> {
    let of = |values: &Vec<f64>| grouped_rhat(&Chains::new(values, particles).ok()?, GROUPS).ok();
    let values: Vec<f64> = all
        .iter()
        .filter_map(of)
        .filter(|v| v.is_finite())
        .collect();
    let limit = grouped_rhat_limit(particles, GROUPS);
    let range = [1.0, extent(values.iter().copied().chain([limit * 1.05]))[1]];
    let clamped: Vec<f64> = values.iter().map(|v| v.max(1.0)).collect();
    counted(
        "Do walkers forget their starts?",
        ("nested R-hat of predictions", range),
        &clamped,
        Some(("one healthy walk in a thousand is above", limit)),
    )
}

fn effective(all: &[Vec<f64>], particles: usize) -> Option<Figure> {
    let of = |values: &Vec<f64>| Some(ess_bulk(&Chains::new(values, particles).ok()?));
    let values: Vec<f64> = all
        .iter()
        .filter_map(of)
        .filter(|v| v.is_finite())
        .collect();
    let range = [0.0, 1.02 * extent(values.iter().copied())[1]];
    counted(
        "What are the draws worth?",
        ("effective draws of predictions", range),
        &values,
        None,
    )
}

/// A histogram of one number for each prediction.
fn counted(
    title: &str,
    (label, range): (&str, [f64; 2]),
    values: &[f64],
    limit: Option<(&str, f64)>,
) -> Option<Figure> {
    if values.is_empty() {
        return None;
    }
    let heights: Vec<f64> = histogram(values, range, 20)
        .iter()
        .map(|c| *c as f64)
        .collect();
    let top = extent(heights.iter().copied())[1];
    let figure = Figure::new(
        title,
        Axis::new(label, range),
        Axis::new("predictions", [0.0, 1.1 * top]),
    )
    .mark(Mark::Bars(Tone::Series(0), bars(&heights, range)))
    .say(format!(
        "{} predictions: median {}, from {} to {}",
        values.len(),
        short(quantile(values, 0.5)),
        short(quantile(values, 0.0)),
        short(quantile(values, 1.0))
    ));
    Some(match limit {
        None => figure,
        Some((name, at)) => figure
            .mark(Mark::Dashed(Tone::Wrong, vec![[at, 0.0], [at, 2.0 * top]]))
            .name(Tone::Wrong, name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_step_by_step_become_chains() {
        assert_eq!(
            chains(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2),
            [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]
        );
    }

    #[test]
    fn ranks_by_hand() {
        // the first chain has the lower half
        let apart = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        assert_eq!(rank_counts(&apart, 2, 2), [[4, 0], [0, 4]]);
        let alike = [1.0, 3.0, 5.0, 7.0, 2.0, 4.0, 6.0, 8.0];
        assert_eq!(rank_counts(&alike, 2, 2), [[2, 2], [2, 2]]);
        // equal draws are in the middle, all together
        let equal = rank_counts(&[1.0; 8], 2, 4);
        assert_eq!(equal[0], equal[1]);
    }
}
