//! Draws on their two leading directions, with contours of the energy.

use crate::error::Result;
use crate::linalg::symmetric_eigen;
use crate::report::chance::quantile;
use crate::report::figure::{Axis, Figure, Mark, Picture, Tone, thinned};
use crate::report::material::Material;
use crate::report::slice::Energy;
use crate::report::ticks::short;

/// Most points on the plane, and most contours.
const POINTS: usize = 256;
const LEVELS: usize = 7;

/// The colour of contours.
const CONTOURS: Tone = Tone::Series(3);

/// The plane on which some points vary most.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    /// Coordinates of each point.
    pub at: Vec<[f64; 2]>,
    /// Shares of the points' variance along both directions.
    pub shares: [f64; 2],
    /// The mean of the points.
    pub mean: Vec<f64>,
    /// The directions, unit vectors at right angles; zeros where nothing varies.
    pub axes: [Vec<f64>; 2],
}

impl Plane {
    /// The plane of points `[s, dim]`, from the Gram matrix of the centred points: there are fewer
    /// points than parameters.
    ///
    /// # Errors
    /// Those of [`symmetric_eigen`].
    pub fn new(points: &[f64], dim: usize) -> Result<Self> {
        let s = points.len() / dim.max(1);
        let mut mean = vec![0.0; dim];
        for point in points.chunks_exact(dim.max(1)) {
            mean.iter_mut()
                .zip(point)
                .for_each(|(m, p)| *m += p / s as f64);
        }
        let centred: Vec<Vec<f64>> = points
            .chunks_exact(dim.max(1))
            .map(|point| point.iter().zip(&mean).map(|(p, m)| p - m).collect())
            .collect();
        let gram = crate::parallel::map(s, |i| {
            let row = (0..=i).map(|j| dot(&centred[i], &centred[j]));
            row.chain((i + 1..s).map(|_| 0.0)).collect::<Vec<f64>>()
        });
        let eigen = symmetric_eigen(&gram.concat(), s)?;
        let total: f64 = eigen.values.iter().map(|v| v.max(0.0)).sum();
        let direction = |k: usize| -> (Vec<f64>, Vec<f64>, f64) {
            let Some(at) = s.checked_sub(k + 1) else {
                return (vec![0.0; s], vec![0.0; dim], 0.0);
            };
            let value = eigen.values[at].max(0.0);
            let vector = &eigen.vectors[at * s..(at + 1) * s];
            // the sign of an eigenvector is arbitrary: the first point that is off is to the right
            let sign = vector
                .iter()
                .find(|v| v.abs() > 1e-9)
                .map_or(1.0, |v| v.signum());
            let mut axis = vec![0.0; dim];
            if value > 1e-12 * total {
                for (point, v) in centred.iter().zip(vector) {
                    let share = sign * v / value.sqrt();
                    axis.iter_mut()
                        .zip(point)
                        .for_each(|(a, p)| *a += share * p);
                }
            }
            let along = vector.iter().map(|v| sign * v * value.sqrt());
            (along.collect(), axis, value)
        };
        let ((x, e, a), (y, f, b)) = (direction(0), direction(1));
        let share = |v: f64| if total > 0.0 { v / total } else { 0.0 };
        Ok(Self {
            at: x.into_iter().zip(y).map(|(x, y)| [x, y]).collect(),
            shares: [share(a), share(b)],
            mean,
            axes: [e, f],
        })
    }

    /// Where another point is, seen from its foot on the plane.
    pub fn place(&self, point: &[f64]) -> [f64; 2] {
        let off: Vec<f64> = point.iter().zip(&self.mean).map(|(p, m)| p - m).collect();
        [0, 1].map(|k: usize| dot(&off, &self.axes[k]))
    }

    /// An axis for direction `k` that holds these places.
    pub fn axis(&self, k: usize, places: &[[f64; 2]]) -> Axis {
        let name = ["first", "second"][k.min(1)];
        let share = short(100.0 * self.shares[k]);
        let label = format!("{name} direction ({share} % of the variance)");
        Axis::of(label, places.iter().map(|p| p[k]))
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The draws on their two leading directions.
///
/// # Errors
/// Those of [`Plane::new`], and of energies.
pub fn directions(material: &Material<'_>) -> Result<Option<Picture>> {
    let Some(draws) = &material.draws else {
        return Ok(None);
    };
    let dim = material.parameters;
    if dim < 2 || draws.theta.len() / dim < 4 {
        return Ok(None);
    }
    let count = draws.theta.len() / dim;
    let chosen = thinned(count, POINTS);
    let points: Vec<f64> = chosen
        .iter()
        .flat_map(|i| draws.theta[i * dim..(i + 1) * dim].to_vec())
        .collect();
    let plane = Plane::new(&points, dim)?;
    let at = &plane.at;
    let walk = material
        .metadata
        .report
        .as_ref()
        .and_then(|r| r.walk.as_ref());
    let energies = walk.map_or(&[][..], |w| &w.energies);
    let mut figure = Figure::new(
        "Draws on two directions",
        plane.axis(0, at),
        plane.axis(1, at),
    );
    figure.aspect = 0.85;
    if let Some(particles) = material.particles.filter(|_| count == chosen.len()) {
        let paths = (0..particles).flat_map(|p| {
            let path = at.iter().skip(p).step_by(particles).copied();
            path.chain([[f64::NAN; 2]])
        });
        figure = figure
            .mark(Mark::Thin(Tone::Chance, paths.collect()))
            .name(Tone::Chance, "paths of walkers");
    }
    let known = energies.len() == count && material.metadata.method == "walk";
    let of: Vec<f64> = match known {
        true => chosen.iter().map(|i| energies[*i]).collect(),
        false => vec![0.0; at.len()],
    };
    let limits = [1.0 / 3.0, 2.0 / 3.0].map(|p| quantile(&of, p));
    let groups: &[(&str, usize)] = match known {
        true => &[("lowest third of U", 2), ("middle", 0), ("highest", 1)],
        false => &[("draws", 0)],
    };
    for (group, (name, tone)) in groups.iter().enumerate() {
        let is_in = |u: f64| match group {
            0 => u <= limits[0],
            1 => u > limits[0] && u <= limits[1],
            _ => u > limits[1],
        };
        let part = at.iter().zip(&of).filter(|p| !known || is_in(*p.1));
        let tone = Tone::Series(*tone);
        figure = figure
            .mark(Mark::Dots(tone, 5.0, part.map(|p| *p.0).collect()))
            .name(tone, *name);
    }
    figure.description = format!(
        "{} draws; the two directions hold {} % and {} % of their variance",
        at.len(),
        short(100.0 * plane.shares[0]),
        short(100.0 * plane.shares[1])
    );
    let energy = contours(material, &plane, &mut figure)?;
    Ok(Some(Picture {
        name: "directions",
        title: "Draws on their two leading directions".into(),
        caption: format!(
            "Parameters of the draws, seen where they vary most. {}Often the two directions hold a \
             small share: the posterior of a network is wide in many directions. {energy}",
            match material.particles {
                Some(_) => "Walkers that stay in corners of their own explored little. ",
                None => "",
            }
        ),
        panels: vec![figure],
    }))
}

/// Adds contours of the energy, and says what they are or why there are none.
fn contours(material: &Material<'_>, plane: &Plane, figure: &mut Figure) -> Result<String> {
    let (Some(draws), Some(rows)) = (&material.draws, &material.training) else {
        return Ok(match material.metadata.own_model() {
            Some(_) => String::new(),
            None => "For contours of the energy give the training rows: --train TRAIN.csv.".into(),
        });
    };
    if plane.axes.iter().any(|axis| axis.iter().all(|v| *v == 0.0)) {
        return Ok(String::new());
    }
    let Some(energy) = Energy::new(material.metadata, rows, draws)? else {
        return Ok(
            "There are no contours of the energy: for so many rows and parameters they would take \
             too long."
                .into(),
        );
    };
    let axes = [&plane.axes[0][..], &plane.axes[1][..]];
    let ranges = [figure.x.range, figure.y.range];
    let (grid, lowest) = energy.on(&plane.mean, axes, ranges)?;
    let levels = grid.levels(LEVELS);
    let mut labels = Vec::new();
    let mut taken: Vec<[f64; 2]> = Vec::new();
    for level in &levels {
        let lines = grid.lines(*level);
        if let Some(place) = free_place(&lines, ranges, &taken) {
            labels.push(Mark::Label(CONTOURS, place, short(*level)));
            taken.push(place);
        }
        let broken = lines
            .into_iter()
            .flat_map(|line| line.into_iter().chain([[f64::NAN; 2]]));
        figure.marks.push(Mark::Level(CONTOURS, broken.collect()));
    }
    figure.marks.extend(labels);
    if !levels.is_empty() {
        figure.legend.push((CONTOURS, "energy of the plane".into()));
    }
    let said: Vec<String> = levels.iter().map(|level| short(*level)).collect();
    figure.description += &format!(
        "; the least energy of the plane is {} nats, contours are {} nats above it",
        short(lowest),
        said.join(", ")
    );
    let held = match material.metadata.scales {
        Some(_) => ", with the scales held at their means",
        None => "",
    };
    let more = match material.metadata.calibration {
        Some(_) if !material.carries_rows() => {
            " They are of all rows of TRAIN, those that the fit held out among them."
        }
        _ => "",
    };
    Ok(format!(
        "Contours are of the energy U, which says how badly parameters fit data and prior, in nats \
         above its lowest place on the plane{held}. The plane goes through the mean of the draws. It \
         is a slice: the draws lie off it and are shown at their feet, so the contours do not say \
         what U is at a draw.{more}"
    ))
}

/// A place of some lines for a label: as far to the top as there is room, away from other labels.
fn free_place(
    lines: &[Vec<[f64; 2]>],
    ranges: [[f64; 2]; 2],
    taken: &[[f64; 2]],
) -> Option<[f64; 2]> {
    let share = |p: &[f64; 2], k: usize| (p[k] - ranges[k][0]) / (ranges[k][1] - ranges[k][0]);
    let inside =
        |p: &&[f64; 2]| (0.06..0.94).contains(&share(p, 0)) && (0.04..0.96).contains(&share(p, 1));
    let is_free = |p: &&[f64; 2]| {
        taken.iter().all(|t| {
            (share(p, 0) - share(t, 0)).abs() > 0.1 || (share(p, 1) - share(t, 1)).abs() > 0.06
        })
    };
    let free = lines.iter().flatten().filter(inside).filter(is_free);
    free.copied().max_by(|a, b| a[1].total_cmp(&b[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_by_hand() {
        // four points of a cross: twice as far along the first of three coordinates as the second
        let points = [2.0, 0.0, 5.0, -2.0, 0.0, 5.0, 0.0, 1.0, 5.0, 0.0, -1.0, 5.0];
        let plane = Plane::new(&points, 3).unwrap();
        let expected = [[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]];
        for (got, expected) in plane.at.iter().zip(&expected) {
            assert!(
                (got[0] - expected[0]).abs() < 1e-9 && (got[1] - expected[1]).abs() < 1e-9,
                "{:?}",
                plane.at
            );
        }
        let shares = plane.shares;
        assert!((shares[0] - 0.8).abs() < 1e-12 && (shares[1] - 0.2).abs() < 1e-12);
        // the way back: a point is the mean and its coordinates along the axes, and what is off
        // the plane is not seen
        assert_eq!(plane.mean, [0.0, 0.0, 5.0]);
        for (point, at) in points.chunks(3).zip(&plane.at) {
            for (i, p) in point.iter().enumerate() {
                let back = plane.mean[i] + at[0] * plane.axes[0][i] + at[1] * plane.axes[1][i];
                assert!((back - p).abs() < 1e-9);
            }
        }
        let place = plane.place(&[2.0, 1.0, 99.0]);
        assert!((place[0] - 2.0).abs() < 1e-9 && (place[1] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn equal_points_have_no_directions() {
        let plane = Plane::new(&[1.0; 6], 2).unwrap();
        assert!(plane.at.iter().flatten().all(|v| v.abs() < 1e-9));
        assert_eq!(plane.shares, [0.0, 0.0]);
        assert!(plane.axes.concat().iter().all(|v| *v == 0.0));
    }

    #[test]
    fn labels_keep_away_from_one_another_and_from_the_rim() {
        let ranges = [[0.0, 1.0], [0.0, 1.0]];
        let line: Vec<[f64; 2]> = (0..=10).map(|i| [0.5, f64::from(i) / 10.0]).collect();
        let lines = [line];
        let first = free_place(&lines, ranges, &[]).unwrap();
        assert_eq!(first, [0.5, 0.9]);
        assert_eq!(free_place(&lines, ranges, &[first]).unwrap(), [0.5, 0.8]);
        assert!(free_place(&[vec![[0.5, 1.0]]], ranges, &[]).is_none());
    }
}
