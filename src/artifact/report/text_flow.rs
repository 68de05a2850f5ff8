//! The lines of a summary on the choice between flows, and on how near a deformation is to its
//! walk.

use super::text::Lines;
use super::{Candidate, Carried, Deformation, KineticLayers};
use crate::error::counted;

/// How near predictions are to the walk's, and why the kept flow was kept.
pub(super) fn distances(of: &Deformation, lines: &mut Lines) {
    let distance = of.distance.unwrap_or(f64::NAN);
    let of_map = of
        .map_distance
        .map_or(String::new(), |map| format!(" (MAP {map:.3})"));
    if let Some(best) = of.candidates.iter().find(|c| c.kept) {
        let list = of
            .candidates
            .iter()
            .map(|c| format!("{} {:.3}", c.name, c.distance));
        let list: Vec<String> = list.collect();
        let text = format!(
            "{} is kept: distance of predictions to the walk's {distance:.3}{of_map}; tried {}",
            best.name,
            list.join(", ")
        );
        lines.add("flow", &text);
        choice(of, best, lines);
    }
    if of.proposals > 1 {
        let text = format!(
            "a draw takes one of {} by its evidence",
            counted(of.proposals, "proposal")
        );
        lines.add("flow", &text);
    }
    if let Some(latent) = &of.latent {
        let kept = if latent.computed <= latent.decoded {
            "computed"
        } else {
            "decoded"
        };
        let text = format!(
            "a code of {} for {} (best after {} of {}), held-out error {:.3} (linear {:.3}); \
             distance of predictions to the walk's {:.3} with the last layer computed, {:.3} with \
             it decoded{of_map}: {kept} draws are kept",
            counted(latent.codes, "number"),
            counted(latent.directions, "principal coordinate"),
            latent.best_step,
            counted(latent.steps, "step"),
            latent.error,
            latent.linear_error,
            latent.computed,
            latent.decoded,
        );
        lines.add("latent", &text);
    }
    if let Some(atlas) = &of.atlas {
        let how = match atlas.recombined {
            true => "recombined from the units of all walkers",
            false => "hidden parameters of the walk's points",
        };
        let text = format!(
            "{}, {how}; distance of predictions to the walk's {distance:.3}{of_map}",
            counted(atlas.anchors, "anchor")
        );
        lines.add("atlas", &text);
    }
}

/// Layers, what they did to draws, and what was nearer but no posterior.
fn choice(of: &Deformation, best: &Candidate, lines: &mut Lines) {
    let count = of.layers.as_ref().map_or(0, |layers| layers.count);
    if let Some(layers) = &of.layers {
        lines.add("layers", &layers_text(layers));
    }
    if best.tried.is_empty() {
        return;
    }
    let each = best.tried.iter().map(|t| {
        format!(
            "{}: {:.3}, U {:.1}, spread {:.2}",
            t.layers, t.distance, t.energy, t.spread
        )
    });
    let each: Vec<String> = each.collect();
    let text = format!("draws after layers ({})", each.join("; "));
    lines.add("layers", &text);
    let Some(kept) = best.tried.iter().find(|t| t.layers == count) else {
        return;
    };
    if !kept.faithful {
        let text = format!(
            "none has the energy of the walk (within {:.1} nats) and its spread (within 25 %); \
             the one that is least far out is kept",
            kept.allowed
        );
        lines.add("choice", &text);
        return;
    }
    let all = of.candidates.iter();
    let all = all.flat_map(|c| c.tried.iter().map(move |t| (c, t)));
    let nearer = all.filter(|(_, t)| !t.faithful && t.distance < kept.distance);
    if let Some((c, t)) = nearer.min_by(|a, b| a.1.distance.total_cmp(&b.1.distance)) {
        lines.add("choice", &refusal(c, t));
    }
}

fn layers_text(layers: &KineticLayers) -> String {
    let [first, last] = layers.steps;
    let mut text = format!(
        "{} in the energy of the posterior, of length {first:.3} to {last:.3}",
        counted(layers.count, "kinetic layer")
    );
    if layers.directions > 0 {
        text += &format!(", {} in the frame", counted(layers.directions, "direction"));
    }
    text
}

/// Why a flow whose predictions are nearer was not taken.
fn refusal(of: &Candidate, tried: &Carried) -> String {
    let after = match tried.layers {
        0 => String::new(),
        layers => format!(" with {}", counted(layers, "layer")),
    };
    format!(
        "{}{after} predicts nearer to the walk ({:.3}), but its energy (U {:.1}) or its spread \
         ({:.2} of the walk's) is not the walk's",
        of.name, tried.distance, tried.energy, tried.spread
    )
}
