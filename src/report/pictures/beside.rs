//! Draws of a flow beside the points of the walk that it was made of.
//!
//! The flow keeps hidden parameters and scales of the points. The last layer is drawn anew for each
//! draw, so it is left out.

use crate::error::Result;
use crate::report::figure::{Figure, Mark, Picture, Tone, thinned};
use crate::report::material::Material;
use crate::report::ticks::short;

use super::directions::Plane;
use super::fit::{bars_of, scale_draws};

/// Most dots of either kind.
const POINTS: usize = 256;

const WALK: Tone = Tone::Series(0);
const FLOW: Tone = Tone::Series(1);

/// The plane of the walk's points, and the scales of both.
///
/// # Errors
/// Those of [`Plane::new`].
pub fn beside(material: &Material<'_>) -> Result<Option<Picture>> {
    let (Some(points), Some(draws)) = (&material.walk_points, &material.draws) else {
        return Ok(None);
    };
    let Ok(network) = material.metadata.build_network() else {
        return Ok(None);
    };
    let (dim, hidden) = (network.dim(), network.hidden_params());
    let n = points.theta.len() / hidden.max(1);
    if n < 4 || hidden < 2 {
        return Ok(None);
    }
    let some = thinned(n, POINTS).into_iter();
    let kept: Vec<f64> = some
        .flat_map(|i| points.theta[i * hidden..(i + 1) * hidden].to_vec())
        .collect();
    let plane = Plane::new(&kept, hidden)?;
    let all: Vec<&[f64]> = draws.theta.chunks_exact(dim).collect();
    let some = thinned(all.len(), POINTS).into_iter();
    let of_flow: Vec<[f64; 2]> = some.map(|i| plane.place(&all[i][..hidden])).collect();
    let both = [&plane.at[..], &of_flow].concat();
    let mut figure = Figure::new(
        "Hidden parameters",
        plane.axis(0, &both),
        plane.axis(1, &both),
    )
    .mark(Mark::Dots(WALK, 5.5, plane.at.clone()))
    .mark(Mark::Dots(FLOW, 4.0, of_flow.clone()))
    .name(WALK, "points of the walk")
    .name(FLOW, "draws of the flow");
    figure.aspect = 0.85;
    let spread = |places: &[[f64; 2]], k: usize| {
        let mean = places.iter().map(|p| p[k]).sum::<f64>() / places.len() as f64;
        let squares = places.iter().map(|p| (p[k] - mean).powi(2)).sum::<f64>();
        (squares / places.len() as f64).sqrt()
    };
    let said = [0, 1].map(|k: usize| {
        format!(
            "{} and {}",
            short(spread(&plane.at, k)),
            short(spread(&of_flow, k))
        )
    });
    let figure = figure.say(format!(
        "{} points of the walk and {} draws of the flow; standard deviations along the first \
         direction {}, along the second {}",
        plane.at.len(),
        of_flow.len(),
        said[0],
        said[1]
    ));
    let mut panels = vec![figure];
    if let Some(spec) = &material.metadata.scales {
        let both = [
            ("walk", WALK, scale_draws(points, &spec.names)),
            ("flow", FLOW, scale_draws(draws, &spec.names)),
        ];
        panels.push(bars_of("Scales of prior and noise", &both));
    }
    Ok(Some(Picture {
        name: "beside",
        title: "Draws of the flow beside points of the walk".into(),
        caption:
            "The flow is a compact form of the walk. First, hidden parameters where the walk's \
                  points vary most: the clouds should cover one another. Then, where scales are \
                  sampled, their draws: those of the flow should reach as far. The last layer is \
                  left out, because the flow computes it."
                .into(),
        panels,
    }))
}

#[cfg(test)]
mod tests {
    use crate::artifact::AnyModel;
    use crate::data::regression_with_gap;
    use crate::pipeline::{
        FitOptions, FlowChoice, FlowSettings, Method, PriorChoice, WalkSettings, fit,
    };
    use crate::rng::Streams;

    fn fitted(prior: PriorChoice) -> AnyModel {
        let data = regression_with_gap(30, 0.3, &Streams::new(4)).unwrap();
        let flow = FlowSettings {
            flow: FlowChoice::Points,
            layers: Some(0),
            walk: WalkSettings {
                steps: Some(60),
                particles: Some(8),
                samples: 32,
                ..WalkSettings::default()
            },
            ..FlowSettings::default()
        };
        let options = FitOptions {
            hidden: vec![4],
            prior,
            method: flow.into(),
            ..FitOptions::default()
        };
        AnyModel::from(fit::<f64>(&data, &options, &()).unwrap().model)
    }

    /// A mixture has the mean and the variances of its points, whatever its width (see
    /// `deform::smoothed`). So draws and points agree in each hidden parameter, in each log scale
    /// and in the log noise. Kinetic layers move draws, so there are none here.
    #[test]
    fn draws_of_a_flow_of_points_lie_around_its_points() {
        for prior in [PriorChoice::Hierarchical, PriorChoice::Evidence] {
            let model = fitted(prior);
            assert_eq!(model.training_rows().unwrap().y.len(), 30);
            let points = model.walk_points().unwrap().unwrap();
            let draws = model.draws(2_000, 7).unwrap();
            let dim = draws.theta.len() / 2_000;
            let n = points.theta.len() / (2 * 4);
            assert!(n >= 8 && points.theta.len() == n * 8);
            let scales = draws.scales.len() / 2_000;
            assert_eq!(points.scales.len(), n * scales);
            assert_eq!(points.noise_std.len(), draws.noise_std.len().min(n));
            let compare = |name: &str, few: Vec<f64>, many: Vec<f64>| {
                let moments = |v: &[f64]| {
                    let mean = v.iter().sum::<f64>() / v.len() as f64;
                    let square = v.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
                    (mean, (square / v.len() as f64).sqrt())
                };
                let ((a, s), (b, t)) = (moments(&few), moments(&many));
                // draws are chosen among proposals, so moments agree roughly; a wrong order of
                // coordinates or a missing scale is off by more
                assert!((a - b).abs() < 0.5 * t, "{name}: {a} {b} {t}");
                assert!((0.6..1.7).contains(&(t / s)), "{name}: {s} {t}");
            };
            let log = |values: &[f64], k: usize, width: usize| -> Vec<f64> {
                values
                    .iter()
                    .skip(k)
                    .step_by(width)
                    .map(|v| v.ln())
                    .collect()
            };
            for k in 0..scales {
                compare(
                    "scale",
                    log(&points.scales, k, scales),
                    log(&draws.scales, k, scales),
                );
            }
            if scales > 0 {
                compare(
                    "noise",
                    log(&points.noise_std, 0, 1),
                    log(&draws.noise_std, 0, 1),
                );
                continue;
            }
            for k in 0..8 {
                let few = points.theta.iter().skip(k).step_by(8).copied().collect();
                let many = draws.theta.iter().skip(k).step_by(dim).copied().collect();
                compare("parameter", few, many);
            }
        }
    }

    #[test]
    fn other_models_keep_no_points() {
        let data = regression_with_gap(20, 0.3, &Streams::new(4)).unwrap();
        let options = FitOptions {
            hidden: vec![2],
            ..FitOptions::of(Method::Map)
        };
        let model = AnyModel::from(fit::<f32>(&data, &options, &()).unwrap().model);
        assert!(model.training_rows().is_none() && model.walk_points().unwrap().is_none());
    }
}
