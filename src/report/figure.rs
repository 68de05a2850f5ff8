//! What a picture is made of, before it is drawn: axes, and marks in data units.

/// Colours of data, by their use. The style sheet gives each a light and a dark tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// One of several series or classes; the tones repeat after eight.
    Series(usize),
    /// What was right.
    Right,
    /// What was wrong.
    Wrong,
    /// A reference, such as the diagonal.
    Reference,
    /// What chance alone would do.
    Chance,
}

/// A mark. Positions are in data units; those that are not finite are left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// Dots of a diameter in pixels.
    Dots(Tone, f64, Vec<[f64; 2]>),
    /// A line through points. It is broken where a point is not finite.
    Line(Tone, Vec<[f64; 2]>),
    /// The same, dashed.
    Dashed(Tone, Vec<[f64; 2]>),
    /// The same, thin: one of many.
    Thin(Tone, Vec<[f64; 2]>),
    /// The same, narrow: a contour.
    Level(Tone, Vec<[f64; 2]>),
    /// A band between two lines: `[x, low, high]`.
    Band(Tone, Vec<[f64; 3]>),
    /// A weaker band.
    FaintBand(Tone, Vec<[f64; 3]>),
    /// Rectangles `[x0, x1, y0, y1]`.
    Bars(Tone, Vec<[f64; 4]>),
    /// Straight strokes `[x0, y0, x1, y1]`.
    Strokes(Tone, Vec<[f64; 4]>),
    /// Rectangles `[x0, x1, y0, y1]` of a strength 0 to 1.
    Shades(Tone, Vec<([f64; 4], f64)>),
    /// A text, centred at a point.
    Text([f64; 2], String),
    /// The same in a tone and with a rim, so that it is read on lines and dots.
    Label(Tone, [f64; 2], String),
}

/// Where ticks are.
#[derive(Clone, Debug, PartialEq)]
pub enum Ticks {
    /// At round numbers.
    Round,
    /// At powers of ten: positions are logarithms to base 10.
    PowersOfTen,
    /// At given positions, with names.
    Named(Vec<(f64, String)>),
    /// None.
    None,
}

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it shows, with its unit.
    pub label: String,
    /// The least and the greatest position shown.
    pub range: [f64; 2],
    /// The ticks.
    pub ticks: Ticks,
}

impl Axis {
    /// An axis with ticks at round numbers.
    pub fn new(label: impl Into<String>, range: [f64; 2]) -> Self {
        Self {
            label: label.into(),
            range,
            ticks: Ticks::Round,
        }
    }

    /// An axis that holds all finite values, with a margin.
    pub fn of(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        Self::new(label, padded(extent(values), 0.04))
    }

    /// The same axis with other ticks.
    pub fn with(self, ticks: Ticks) -> Self {
        Self { ticks, ..self }
    }
}

/// The least and the greatest of the finite values; 0 and 1 if there are none.
pub fn extent(values: impl IntoIterator<Item = f64>) -> [f64; 2] {
    let finite = values.into_iter().filter(|v| v.is_finite());
    let ends = finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], v| {
        [a.min(v), b.max(v)]
    });
    match ends[0] <= ends[1] {
        true => ends,
        false => [0.0, 1.0],
    }
}

/// The range with a margin of a share of its width on both sides. One without width gets one.
pub fn padded([low, high]: [f64; 2], share: f64) -> [f64; 2] {
    let width = high - low;
    let margin = match width > 0.0 {
        true => share * width,
        false => 0.5 * low.abs().max(1.0),
    };
    [low - margin, high + margin]
}

/// One panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its title, short.
    pub title: String,
    /// What it shows, in words and numbers, for those who do not see it.
    pub description: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, from back to front.
    pub marks: Vec<Mark>,
    /// Names of tones.
    pub legend: Vec<(Tone, String)>,
    /// Height over width of the panel.
    pub aspect: f64,
}

impl Figure {
    /// A panel without marks.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self {
            title: title.into(),
            description: String::new(),
            x,
            y,
            marks: Vec::new(),
            legend: Vec::new(),
            aspect: 0.72,
        }
    }

    /// The same with one more mark, in front.
    pub fn mark(mut self, mark: Mark) -> Self {
        self.marks.push(mark);
        self
    }

    /// The same with one more entry in the legend.
    pub fn name(mut self, tone: Tone, name: impl Into<String>) -> Self {
        self.legend.push((tone, name.into()));
        self
    }

    /// The same with this description.
    pub fn say(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }
}

/// Panels that belong together, with words around them.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The name by which `plot` finds it.
    pub name: &'static str,
    /// Its heading.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// The panels.
    pub panels: Vec<Figure>,
}

/// At most `most` indices of `count`, evenly spaced, the first and the last among them.
pub fn thinned(count: usize, most: usize) -> Vec<usize> {
    match (count <= most, most) {
        (true, _) => (0..count).collect(),
        (_, 0) => Vec::new(),
        (_, 1) => vec![0],
        _ => (0..most).map(|i| i * (count - 1) / (most - 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_both_ends_and_no_index_twice() {
        assert_eq!(thinned(3, 5), [0, 1, 2]);
        assert_eq!(thinned(9, 3), [0, 4, 8]);
        assert_eq!(thinned(0, 3), [0; 0]);
        let some = thinned(1000, 600);
        assert!(some.windows(2).all(|w| w[0] < w[1]) && some.len() == 600);
        assert_eq!((some[0], some[599]), (0, 999));
    }

    #[test]
    fn ranges_hold_finite_values_only_and_have_a_width() {
        assert_eq!(extent([f64::NAN, 2.0, -1.0, f64::INFINITY]), [-1.0, 2.0]);
        assert_eq!(extent([f64::NAN]), [0.0, 1.0]);
        assert_eq!(padded([0.0, 10.0], 0.1), [-1.0, 11.0]);
        assert_eq!(padded([4.0, 4.0], 0.1), [2.0, 6.0]);
    }
}
