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

/// The posterior of the scales.
pub fn scales(material: &Material<'_>) -> Option<Picture> {
    /// Most scales that have room.
    const MOST: usize = 24;
    let spec = material.metadata.scales.as_ref()?;
    let all = scale_draws(material.draws.as_ref()?, &spec.names);
    let shown = all.len().min(MOST);
    let mut figure = Figure::new(
        "Scales of prior and noise",
        Axis::new("value", [0.0, 1.0]).with(Ticks::PowersOfTen),
        Axis::new("", [0.0, shown as f64]),
    );
    let (mut wide, mut narrow, mut middles, mut names, mut said) =
        (vec![], vec![], vec![], vec![], vec![]);
    for (i, (name, values)) in all.iter().take(MOST).enumerate() {
        let logs: Vec<f64> = values.iter().map(|v| v.log10()).collect();
        let at = |p: f64| quantile(&logs, p);
        let y = shown as f64 - i as f64 - 0.5;
        wide.push([at(0.05), at(0.95), y - 0.08, y + 0.08]);
        narrow.push([at(0.25), at(0.75), y - 0.22, y + 0.22]);
        middles.push([at(0.5), y]);
        names.push((y, ending(name)));
        said.push(format!("{name} {}", short(10f64.powf(at(0.5)))));
    }
    figure.x.range = padded(extent(wide.iter().flat_map(|w| [w[0], w[1]])), 0.06);
    figure.y.ticks = Ticks::Named(names);
    figure.aspect = (0.12 + 0.09 * shown as f64).clamp(0.3, 1.6);
    let figure = figure
        .mark(Mark::Bars(Tone::Series(0), wide))
        .mark(Mark::Bars(Tone::Series(0), narrow))
        .mark(Mark::Dots(Tone::Reference, 5.0, middles))
        .name(Tone::Series(0), "50 % and 90 % of draws")
        .name(Tone::Reference, "median")
        .say(format!("medians: {}", said.join(", ")));
    Some(Picture {
        name: "scales",
        title: "Posterior of the scales".into(),
        caption:
            "The data set how large weights may be, layer by layer, and how large the noise is \
                  (in units of the target's standard deviation). A long bar: the data say little \
                  about that scale."
                .into(),
        panels: vec![figure],
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
