//! What the report of a fit holds as numbers: the spectrum, the posterior of scales, leave-one-out.

use crate::artifact::Draws;
use crate::artifact::report::{LeaveOneOut, Tangent};
use crate::report::chance::{bars, quantile};
use crate::report::figure::{Axis, Figure, Mark, Picture, Ticks, Tone, extent, padded};
use crate::report::material::Material;
use crate::report::ticks::short;

/// The spectrum of the Gauss-Newton matrix; nothing for files without eigenvalues.
pub fn spectrum(tangent: &Tangent, parameters: usize) -> Option<Picture> {
    let values: Vec<f64> = tangent
        .eigenvalues
        .iter()
        .copied()
        .filter(|v| *v > 0.0)
        .collect();
    if values.len() < 2 {
        return None;
    }
    let points: Vec<[f64; 2]> = {
        let each = values.iter().enumerate();
        each.map(|(i, v)| [i as f64 + 1.0, v.log10()]).collect()
    };
    let prior = tangent.prior_precision.filter(|p| *p > 0.0).map(f64::log10);
    let y = padded(extent(points.iter().map(|p| p[1]).chain(prior)), 0.06);
    let count = values.len() as f64;
    let x = [0.0, 1.12 * count];
    let mut figure = Figure::new(
        "Spectrum at the estimate",
        Axis::new("direction, stiffest first", x),
        Axis::new("eigenvalue", y).with(Ticks::PowersOfTen),
    )
    .mark(Mark::FaintBand(
        Tone::Chance,
        vec![[count + 0.5, y[0], y[1]], [x[1], y[0], y[1]]],
    ))
    .mark(Mark::Dashed(
        Tone::Reference,
        vec![[count + 0.5, y[0]], [count + 0.5, y[1]]],
    ))
    .mark(Mark::Dots(Tone::Series(0), 4.0, points))
    .name(Tone::Series(0), "normal directions")
    .name(Tone::Chance, "tangent: the fiber")
    .say(format!(
        "{} directions from {} down to {}; the data determine {} of {parameters} parameters",
        values.len(),
        short(values[0]),
        short(values[values.len() - 1]),
        short(tangent.effective_parameters)
    ));
    if let Some(prior) = prior {
        figure = figure
            .mark(Mark::Dashed(
                Tone::Series(1),
                vec![[x[0], prior], [x[1], prior]],
            ))
            .name(Tone::Series(1), "precision of the prior");
    }
    Some(Picture {
        name: "spectrum",
        title: "Spectrum of the Gauss-Newton matrix".into(),
        caption: "How strongly the data hold the parameters, direction by direction. Directions \
                  left of the cut are held by the data; all others are the fiber, along which \
                  predictions hardly change."
            .into(),
        panels: vec![figure],
    })
}

/// Draws of each scale, by name.
pub fn scale_draws(draws: &Draws<f64>, names: &[String]) -> Vec<(String, Vec<f64>)> {
    let of = |i: usize| {
        draws
            .scales
            .iter()
            .skip(i)
            .step_by(names.len())
            .copied()
            .collect()
    };
    let named = names
        .iter()
        .enumerate()
        .map(|(i, name)| (name.clone(), of(i)));
    let mut all: Vec<(String, Vec<f64>)> = named.collect();
    if !draws.noise_std.is_empty() {
        all.push(("noise (std)".into(), draws.noise_std.clone()));
    }
    if !draws.dof.is_empty() {
        all.push(("degrees of freedom".into(), draws.dof.clone()));
    }
    all
}

/// The name, or its end if it is long: scales of inputs differ there.
fn ending(name: &str) -> String {
    const MOST: usize = 22;
    match name.chars().count().checked_sub(MOST) {
        None | Some(0) => name.into(),
        Some(more) => format!("..{}", name.chars().skip(more + 2).collect::<String>()),
    }
}

/// A name, a tone, and draws of scales by name.
pub type Kind<'a> = (&'a str, Tone, Vec<(String, Vec<f64>)>);

/// Draws of scales, of one kind or of several beside one another.
pub fn bars_of(title: &str, kinds: &[Kind<'_>]) -> Figure {
    /// Most scales that have room.
    const MOST: usize = 24;
    let shown = kinds.iter().map(|k| k.2.len()).max().unwrap_or(0).min(MOST);
    let mut figure = Figure::new(
        title,
        Axis::new("value", [0.0, 1.0]).with(Ticks::PowersOfTen),
        Axis::new("", [0.0, shown as f64]),
    );
    let (mut ends, mut names, mut middles, mut said) = (vec![], vec![], vec![], vec![]);
    let thin = 1.0 / kinds.len().max(1) as f64;
    for (kind, (name, tone, all)) in kinds.iter().enumerate() {
        let (mut wide, mut narrow, mut medians) = (vec![], vec![], vec![]);
        for (i, (scale, values)) in all.iter().take(MOST).enumerate() {
            let logs: Vec<f64> = values.iter().map(|v| v.log10()).collect();
            let at = |p: f64| quantile(&logs, p);
            // kinds of one scale are one below the other
            let y = shown as f64 - i as f64 - 0.5;
            let off = thin * 0.9 * (0.5 * (kinds.len() - 1) as f64 - kind as f64);
            let (y, tick) = (y + off, y);
            wide.push([at(0.05), at(0.95), y - 0.08 * thin, y + 0.08 * thin]);
            narrow.push([at(0.25), at(0.75), y - 0.22 * thin, y + 0.22 * thin]);
            middles.push([at(0.5), y]);
            medians.push(format!("{scale} {}", short(10f64.powf(at(0.5)))));
            if kind == 0 {
                names.push((tick, ending(scale)));
            }
        }
        ends.extend(wide.iter().flat_map(|w| [w[0], w[1]]));
        let of = if kinds.len() > 1 { *name } else { "draws" };
        figure = figure
            .mark(Mark::Bars(*tone, wide))
            .mark(Mark::Bars(*tone, narrow))
            .name(*tone, format!("50 % and 90 % of {of}"));
        let of = if kinds.len() > 1 {
            format!(" of {name}")
        } else {
            String::new()
        };
        said.push(format!("medians{of}: {}", medians.join(", ")));
    }
    figure.x.range = padded(extent(ends), 0.06);
    figure.y.ticks = Ticks::Named(names);
    figure.aspect = (0.12 + 0.09 * shown as f64).clamp(0.3, 1.6);
    figure
        .mark(Mark::Dots(Tone::Reference, 5.0, middles))
        .name(Tone::Reference, "median")
        .say(said.join("; "))
}

/// The posterior of the scales.
pub fn scales(material: &Material<'_>) -> Option<Picture> {
    let spec = material.metadata.scales.as_ref()?;
    let all = scale_draws(material.draws.as_ref()?, &spec.names);
    let kinds = [("draws", Tone::Series(0), all)];
    Some(Picture {
        name: "scales",
        title: "Posterior of the scales".into(),
        caption:
            "The data set how large weights may be, layer by layer, and how large the noise is \
                  (in units of the target's standard deviation). A long bar: the data say little \
                  about that scale."
                .into(),
        panels: vec![bars_of("Scales of prior and noise", &kinds)],
    })
}

/// Leave-one-out: how far its numbers can be relied on.
pub fn leave_one_out(loo: &LeaveOneOut) -> Option<Picture> {
    let counts: Vec<f64> = loo.k_counts.iter().map(|c| *c as f64).collect();
    if counts.len() != 12 {
        return None;
    }
    let range = [-0.1, 1.1];
    let top = extent(counts.iter().copied())[1].max(1.0);
    let ticks = [-0.05, 0.2, 0.4, 0.6, 0.8, 1.05];
    let names = ["below 0", "0.2", "0.4", "0.6", "0.8", "above 1"];
    let ticks = ticks.into_iter().zip(names.map(String::from)).collect();
    let figure = Figure::new(
        "Can leave-one-out be relied on?",
        Axis::new("k of a training row", range).with(Ticks::Named(ticks)),
        Axis::new("training rows", [0.0, 1.08 * top]),
    )
    .mark(Mark::Bars(Tone::Series(0), bars(&counts, range)))
    .mark(Mark::Dashed(
        Tone::Wrong,
        vec![[loo.threshold, 0.0], [loo.threshold, 2.0 * top]],
    ))
    .name(Tone::Wrong, "rows to the right count as unreliable")
    .say(format!(
        "{} of {} rows are unreliable",
        loo.unreliable_rows, loo.rows
    ));
    Some(Picture {
        name: "loo",
        title: "Leave-one-out".into(),
        caption: format!(
            "Log density of each training row left out, in sum: {} nats, standard error {}. \
             Effective parameters: {}. It compares models on the same rows. Rows with a large k \
             make it look too good; predictions are not concerned.",
            short(loo.elpd),
            short(loo.se),
            short(loo.p_loo)
        ),
        panels: vec![figure],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_told_apart_by_name() {
        let draws = Draws {
            theta: vec![0.0; 2],
            scales: vec![1.0, 10.0, 2.0, 20.0],
            noise_std: vec![0.1, 0.2],
            dof: Vec::new(),
            params: Vec::new(),
        };
        let names = ["a".to_string(), "b".to_string()];
        let all = scale_draws(&draws, &names);
        assert_eq!(all[0], ("a".to_string(), vec![1.0, 2.0]));
        assert_eq!(all[1], ("b".to_string(), vec![10.0, 20.0]));
        assert_eq!(all[2].1, [0.1, 0.2]);
    }

    #[test]
    fn kinds_of_a_scale_stand_below_one_another() {
        let kind = |low: f64| vec![("a".to_string(), vec![low, 10.0 * low, 100.0 * low])];
        let kinds = [
            ("walk", Tone::Series(0), kind(1.0)),
            ("flow", Tone::Series(1), kind(10.0)),
        ];
        let figure = bars_of("t", &kinds);
        let bar = |mark: usize| match &figure.marks[mark] {
            Mark::Bars(tone, bars) => (*tone, bars[0]),
            other => panic!("{other:?}"),
        };
        let ((walk, upper), (flow, lower)) = (bar(1), bar(3));
        assert_eq!((walk, flow), (Tone::Series(0), Tone::Series(1)));
        // the middle half of 0, 1, 2, and of 1, 2, 3
        assert_eq!(
            (upper[..2].to_vec(), lower[..2].to_vec()),
            (vec![0.5, 1.5], vec![1.5, 2.5])
        );
        assert!(
            lower[3] < upper[2] && lower[2] > 0.0 && upper[3] < 1.0,
            "{lower:?} {upper:?}"
        );
        assert_eq!(
            figure.description,
            "medians of walk: a 10; medians of flow: a 100"
        );
    }

    #[test]
    fn long_names_keep_their_ends() {
        assert_eq!(ending("layer0.bias"), "layer0.bias");
        let long = ending("layer0.weight.input with a long name 12");
        assert!(long.starts_with("..") && long.ends_with(" name 12") && long.len() == 22);
    }

    #[test]
    fn older_files_have_no_such_pictures() {
        assert!(spectrum(&Tangent::default(), 3).is_none());
        assert!(leave_one_out(&LeaveOneOut::default()).is_none());
    }
}
