//! Contour lines of a function on a grid, by marching squares.
//!
//! A line crosses an edge of the grid where the linear interpolation of its two ends has the level.
//! In a cell whose diagonals disagree, the mean of its corners decides. Source: Lorensen & Cline,
//! "Marching cubes", SIGGRAPH 1987, in two dimensions.
//!
//! What it drops: between two nodes the function is a straight line. A point of a contour misses
//! its level by at most `h^2 / 8` times the largest second derivative along its edge, of length
//! `h`. What is smaller than a cell is not seen.

use std::collections::BTreeMap;

/// Values at the nodes of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Places of the columns, ascending, `[nx]`.
    pub x: Vec<f64>,
    /// Places of the rows, ascending, `[ny]`.
    pub y: Vec<f64>,
    /// Values, `[ny, nx]`. Cells with a corner that is not finite are left out.
    pub values: Vec<f64>,
}

/// An edge of the grid: the index of its lower or left node, and whether it is vertical.
type Edge = (usize, bool);

impl Grid {
    /// The node's value.
    fn at(&self, i: usize, j: usize) -> f64 {
        self.values[j * self.x.len() + i]
    }

    /// Where the level crosses an edge.
    fn crossing(&self, (node, vertical): Edge, level: f64) -> [f64; 2] {
        let (i, j) = (node % self.x.len(), node / self.x.len());
        let (k, l) = if vertical { (i, j + 1) } else { (i + 1, j) };
        let (a, b) = (self.at(i, j), self.at(k, l));
        // one end is above the level and one is not, so they differ
        let share = (level - a) / (b - a);
        let between = |from: f64, to: f64| from + share * (to - from);
        [between(self.x[i], self.x[k]), between(self.y[j], self.y[l])]
    }

    /// Pairs of edges that the level joins in the cell whose lower left node is `(i, j)`.
    fn joined(&self, i: usize, j: usize, level: f64) -> Vec<(Edge, Edge)> {
        let corners = [
            self.at(i, j),
            self.at(i + 1, j),
            self.at(i + 1, j + 1),
            self.at(i, j + 1),
        ];
        if corners.iter().any(|v| !v.is_finite()) {
            return Vec::new();
        }
        let node = |i: usize, j: usize| j * self.x.len() + i;
        let (bottom, left) = ((node(i, j), false), (node(i, j), true));
        let (top, right) = ((node(i, j + 1), false), (node(i + 1, j), true));
        let middle = 0.25 * corners.iter().sum::<f64>() > level;
        match corners.map(|v| v > level) {
            [a, b, c, d] if a == b && b == c && c == d => Vec::new(),
            // the upper or lower half, the left or right one
            [a, b, c, d] if a == b && c == d => vec![(left, right)],
            [a, b, c, d] if a == d && b == c => vec![(bottom, top)],
            // both diagonals: the middle is of the same side as one of them
            [a, _, c, _] if a == c && corner_alone(corners.map(|v| v > level)).is_none() => {
                match a == middle {
                    true => vec![(bottom, right), (left, top)],
                    false => vec![(left, bottom), (right, top)],
                }
            }
            above => match corner_alone(above) {
                Some(0) => vec![(left, bottom)],
                Some(1) => vec![(bottom, right)],
                Some(2) => vec![(right, top)],
                _ => vec![(left, top)],
            },
        }
    }

    /// The lines of a level. A closed one ends where it begins.
    pub fn lines(&self, level: f64) -> Vec<Vec<[f64; 2]>> {
        let mut neighbours: BTreeMap<Edge, Vec<Edge>> = BTreeMap::new();
        for j in 1..self.y.len() {
            for i in 1..self.x.len() {
                for (a, b) in self.joined(i - 1, j - 1, level) {
                    neighbours.entry(a).or_default().push(b);
                    neighbours.entry(b).or_default().push(a);
                }
            }
        }
        // open lines from their ends first; what is left is closed
        let ends = neighbours.iter().filter(|n| n.1.len() == 1);
        let starts: Vec<Edge> = ends.chain(&neighbours).map(|n| *n.0).collect();
        let mut lines = Vec::new();
        for start in starts {
            let mut line = vec![start];
            let mut at = start;
            while let Some(next) = neighbours.get_mut(&at).and_then(Vec::pop) {
                if let Some(back) = neighbours.get_mut(&next)
                    && let Some(place) = back.iter().position(|edge| *edge == at)
                {
                    back.remove(place);
                }
                line.push(next);
                at = next;
            }
            if line.len() > 1 {
                let places = line.into_iter().map(|edge| self.crossing(edge, level));
                lines.push(places.collect());
            }
        }
        lines
    }

    /// At most `most` levels, of 1, 2 or 5 times a power of ten above the least value, but at least
    /// 1: those that some nodes are below and some above.
    pub fn levels(&self, most: usize) -> Vec<f64> {
        /// Nodes that a level has to enclose.
        const ENCLOSED: usize = 5;
        let mut sorted: Vec<f64> = self
            .values
            .iter()
            .copied()
            .filter(|v| v.is_finite())
            .collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(low), Some(few), Some(high)) =
            (sorted.first(), sorted.get(ENCLOSED), sorted.last())
        else {
            return Vec::new();
        };
        let inside = |level: &f64| low + level > *few && low + level < *high;
        let powers = (0..300).flat_map(|p| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(p)));
        let all: Vec<f64> = powers.filter(inside).collect();
        let chosen = super::figure::thinned(all.len(), most);
        chosen.into_iter().map(|i| all[i]).collect()
    }
}

/// The corner that is not on the side of the three others.
fn corner_alone(above: [bool; 4]) -> Option<usize> {
    let count = above.iter().filter(|a| **a).count();
    match count {
        1 => above.iter().position(|a| *a),
        3 => above.iter().position(|a| !*a),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(side: usize, half: f64, f: impl Fn(f64, f64) -> f64) -> Grid {
        let step = 2.0 * half / (side - 1) as f64;
        let places: Vec<f64> = (0..side).map(|i| i as f64 * step - half).collect();
        let values = (0..side * side).map(|n| f(places[n % side], places[n / side]));
        Grid {
            values: values.collect(),
            x: places.clone(),
            y: places,
        }
    }

    /// Twice the area inside a closed line.
    fn doubled_area(line: &[[f64; 2]]) -> f64 {
        let pairs = line.windows(2);
        pairs
            .map(|p| p[0][0] * p[1][1] - p[1][0] * p[0][1])
            .sum::<f64>()
            .abs()
    }

    /// `U = a x^2 / 2 + b x y + c y^2 / 2`: the contour of level `L` is an ellipse of area
    /// `2 pi L / sqrt(a c - b^2)`. On an edge of length `h` along `x`, linear interpolation misses
    /// a quadratic by at most `h^2 a / 8`, and along `y` by `h^2 c / 8`.
    #[test]
    fn contours_of_a_quadratic_are_ellipses() {
        let (a, b, c) = (2.0, 0.7, 1.0);
        let u = |x: f64, y: f64| 0.5 * a * x * x + b * x * y + 0.5 * c * y * y;
        for side in [21, 41, 81] {
            let grid = grid(side, 3.0, u);
            let h = 6.0 / (side - 1) as f64;
            for level in [0.5, 1.0, 2.0] {
                let lines = grid.lines(level);
                assert_eq!(lines.len(), 1, "one closed line");
                let line = &lines[0];
                assert_eq!(line[0], line[line.len() - 1]);
                for point in line {
                    let miss = level - u(point[0], point[1]);
                    // chords of a convex function are above it, so points are inside
                    assert!(
                        (-1e-12..=h * h * a / 8.0 + 1e-12).contains(&miss),
                        "{miss} at {point:?}"
                    );
                }
                // the polygon is inside by at most the error of its corners, and that of its
                // chords, which are no longer than a cell's diagonal: 2 h^2 / 8 times the larger
                // curvature (below 2.4). dA/dL = 2 pi / sqrt(ac - b^2)
                let exact =
                    |level: f64| 2.0 * std::f64::consts::PI * level / (a * c - b * b).sqrt();
                let area = 0.5 * doubled_area(line);
                let least = exact(level - h * h * a / 8.0 - 2.0 * h * h * 2.4 / 8.0);
                assert!(area <= exact(level) && area >= least, "{area} {least}");
            }
        }
    }

    #[test]
    fn a_saddle_is_cut_where_its_middle_says() {
        // the corners at (0, 0) and (1, 1) are above 0, the two others below
        let saddle = |high: f64, low: f64| Grid {
            x: vec![0.0, 1.0],
            y: vec![0.0, 1.0],
            values: vec![high, low, low, high],
        };
        let ends = |grid: &Grid| {
            let mut lines = grid.lines(0.0);
            lines
                .iter_mut()
                .for_each(|l| l.sort_by(|a, b| a[0].total_cmp(&b[0])));
            lines.sort_by(|a, b| a[0][0].total_cmp(&b[0][0]));
            lines
        };
        // the middle is at 1: the high corners are joined, so each line cuts a low one off
        let joined = ends(&saddle(3.0, -1.0));
        assert_eq!(
            joined,
            [[[0.0, 0.75], [0.25, 1.0]], [[0.75, 0.0], [1.0, 0.25]]]
        );
        // the middle is at -1: each line cuts a high corner off
        let apart = ends(&saddle(1.0, -3.0));
        assert_eq!(
            apart,
            [[[0.0, 0.25], [0.25, 0.0]], [[0.75, 1.0], [1.0, 0.75]]]
        );
    }

    #[test]
    fn lines_that_leave_the_grid_are_open_and_holes_are_left_out() {
        let slope = grid(5, 2.0, |x, _| x);
        let lines = slope.lines(0.5);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].len() == 5 && lines[0].iter().all(|p| (p[0] - 0.5).abs() < 1e-12));
        let mut holed = slope.clone();
        // a node on the line's way: its four cells are left out
        holed.values[2 * 5 + 2] = f64::NAN;
        assert_eq!(holed.lines(0.5).len(), 2);
        assert!(slope.lines(9.0).is_empty());
    }

    #[test]
    fn levels_are_round_and_inside() {
        let bowl = grid(41, 10.0, |x, y| 7.0 + x * x + y * y);
        assert_eq!(bowl.levels(9), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert_eq!(bowl.levels(3), [1.0, 10.0, 100.0]);
        assert!(grid(4, 1.0, |_, _| 1.0).levels(5).is_empty());
    }
}
