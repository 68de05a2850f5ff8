//! Draws panels as SVG. Colours are classes of the style sheet, so light and dark are its choice.

use ::svg::node::element::{Element, path::Data};
use ::svg::node::{Blob, Node, Text, Value};

use super::figure::{Axis, Figure, Mark, Picture, Tone};
use super::ticks::ticks;

/// Width of a panel, in pixels.
const WIDTH: f64 = 380.0;
/// Height of a line of text, and the width of a letter on average.
const LINE: f64 = 15.0;
const LETTER: f64 = 6.1;
/// Steps of strength of a shade.
const LEVELS: f64 = 10.0;
/// Panels beside one another in a file of its own.
const COLUMNS: usize = 2;

/// The colours, for pages and for files of their own.
pub const COLOURS: &str = include_str!("colours.css");

/// An element with attributes.
pub fn element(name: &str, attributes: &[(&str, &str)]) -> Element {
    let mut element = Element::new(name);
    for (name, value) in attributes {
        element.assign(*name, *value);
    }
    element
}

/// An element around a text, which is escaped.
pub fn with_text(name: &str, attributes: &[(&str, &str)], text: impl Into<String>) -> Element {
    let mut element = element(name, attributes);
    // characters that XML does not allow
    let allowed = |c: char| !c.is_control() || c == '\n';
    let text: String = text.into();
    element.append(Text::new(
        text.chars().filter(|c| allowed(*c)).collect::<String>(),
    ));
    element
}

/// A coordinate, to a tenth of a pixel.
fn at(x: f64) -> f32 {
    ((10.0 * x).round() / 10.0) as f32
}

fn class(prefix: &str, tone: Tone) -> String {
    let name = match tone {
        Tone::Series(i) => format!("c{}", i % 8),
        Tone::Right => "c2".into(),
        Tone::Wrong => "c1".into(),
        Tone::Reference => "ref".into(),
        Tone::Chance => "chance".into(),
    };
    format!("{prefix} {name}")
}

/// Where the panel's axes are, in pixels.
struct Frame<'a> {
    figure: &'a Figure,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Frame<'_> {
    fn x(&self, x: f64) -> f64 {
        let [low, high] = self.figure.x.range;
        self.left + (x - low) / (high - low) * (self.right - self.left)
    }

    fn y(&self, y: f64) -> f64 {
        let [low, high] = self.figure.y.range;
        self.bottom - (y - low) / (high - low) * (self.bottom - self.top)
    }

    /// A point in pixels, if it is finite. Marks far outside are moved to just outside.
    fn point(&self, [x, y]: [f64; 2]) -> Option<(f32, f32)> {
        let (x, y) = (self.x(x), self.y(y));
        (x.is_finite() && y.is_finite()).then(|| (at(x.clamp(-2e3, 2e3)), at(y.clamp(-2e3, 2e3))))
    }

    fn polyline(&self, points: &[[f64; 2]]) -> Data {
        let (mut data, mut pen_is_down) = (Data::new(), false);
        for point in points {
            match (self.point(*point), pen_is_down) {
                (Some(p), true) => data = data.line_to(p),
                (Some(p), false) => data = data.move_to(p),
                (None, _) => {}
            }
            pen_is_down = self.point(*point).is_some();
        }
        data
    }

    fn rectangle(&self, data: Data, [x0, x1, y0, y1]: [f64; 4]) -> Data {
        match (self.point([x0, y0]), self.point([x1, y1])) {
            (Some((ax, ay)), Some((bx, by))) => data
                .move_to((ax, ay))
                .horizontal_line_to(bx)
                .vertical_line_to(by)
                .horizontal_line_to(ax)
                .close(),
            _ => data,
        }
    }

    fn band(&self, band: &[[f64; 3]]) -> Data {
        let finite = band.iter().filter(|b| b.iter().all(|v| v.is_finite()));
        let band: Vec<[f64; 3]> = finite.copied().collect();
        let upper = band.iter().map(|b| [b[0], b[2]]);
        let lower = band.iter().rev().map(|b| [b[0], b[1]]);
        let data = self.polyline(&upper.chain(lower).collect::<Vec<_>>());
        if band.is_empty() { data } else { data.close() }
    }

    fn draw(&self, mark: &Mark, into: &mut Element) {
        let mut path = |kind: &str, tone: Tone, data: Data| {
            if data.is_empty() {
                return;
            }
            let mut path = element("path", &[("class", &class(kind, tone))]);
            path.assign("d", Value::from(data));
            into.append(path);
        };
        match mark {
            Mark::Dots(tone, size, points) => {
                let finite = points.iter().filter_map(|p| self.point(*p));
                // a stroke without length is a dot, by its round ends
                let dots = finite.fold(Data::new(), |d, p| d.move_to(p).horizontal_line_by(0));
                if dots.is_empty() {
                    return;
                }
                let mut path = element("path", &[("class", &class("dots", *tone))]);
                path.assign("stroke-width", at(*size));
                path.assign("d", Value::from(dots));
                into.append(path);
            }
            Mark::Line(tone, points) => path("line", *tone, self.polyline(points)),
            Mark::Dashed(tone, points) => path("line dashed", *tone, self.polyline(points)),
            Mark::Thin(tone, points) => path("line thin", *tone, self.polyline(points)),
            Mark::Level(tone, points) => path("line level", *tone, self.polyline(points)),
            Mark::Band(tone, band) => path("band", *tone, self.band(band)),
            Mark::FaintBand(tone, band) => path("band faint", *tone, self.band(band)),
            Mark::Bars(tone, bars) => {
                let data = bars.iter().fold(Data::new(), |d, b| self.rectangle(d, *b));
                path("bars", *tone, data);
            }
            Mark::Strokes(tone, strokes) => {
                let ends =
                    |s: &[f64; 4]| Some((self.point([s[0], s[1]])?, self.point([s[2], s[3]])?));
                let finite = strokes.iter().filter_map(ends);
                let data = finite.fold(Data::new(), |d, (a, b)| d.move_to(a).line_to(b));
                path("line", *tone, data);
            }
            Mark::Shades(tone, shades) => {
                for level in 1..=LEVELS as usize {
                    let is_of =
                        |shade: f64| (shade * LEVELS).round().clamp(0.0, LEVELS) as usize == level;
                    let of_level = shades.iter().filter(|s| is_of(s.1));
                    let data = of_level.fold(Data::new(), |d, s| self.rectangle(d, s.0));
                    path(&format!("shade o{level}"), *tone, data);
                }
            }
            Mark::Text(place, text) => self.text("value", *place, text, into),
            Mark::Label(tone, place, text) => {
                self.text(&class("value rim", *tone), *place, text, into);
            }
        }
    }

    fn text(&self, class: &str, place: [f64; 2], text: &str, into: &mut Element) {
        if let Some((x, y)) = self.point(place) {
            let mut node = with_text("text", &[("class", class)], text);
            node.assign("x", x);
            node.assign("y", y + 4.0);
            into.append(node);
        }
    }

    fn axes(&self, into: &mut Element, x: &[(f64, String)], y: &[(f64, String)]) {
        let mut grid = Data::new();
        for (value, text) in x.iter().filter(|t| within(&self.figure.x, t.0)) {
            let place = at(self.x(*value));
            grid = grid
                .move_to((place, at(self.bottom)))
                .vertical_line_to(at(self.top));
            into.append(label("tick mid", place, self.bottom + 13.0, text));
        }
        for (value, text) in y.iter().filter(|t| within(&self.figure.y, t.0)) {
            let place = self.y(*value);
            grid = grid
                .move_to((at(self.left), at(place)))
                .horizontal_line_to(at(self.right));
            into.append(label("tick end", at(self.left - 5.0), place + 3.5, text));
        }
        if !grid.is_empty() {
            let mut path = element("path", &[("class", "rule")]);
            path.assign("d", Value::from(grid));
            into.append(path);
        }
        let middle = at(0.5 * (self.left + self.right));
        into.append(label(
            "axis mid",
            middle,
            self.bottom + 29.0,
            &self.figure.x.label,
        ));
        let (x, y) = (11.0, 0.5 * (self.top + self.bottom));
        let mut text = label("axis mid", at(x), y, &self.figure.y.label);
        text.assign("transform", format!("rotate(-90 {} {})", at(x), at(y)));
        into.append(text);
    }
}

fn within(axis: &Axis, value: f64) -> bool {
    let [low, high] = axis.range;
    let slack = 1e-9 * (high - low);
    value >= low - slack && value <= high + slack
}

fn label(class: &str, x: f32, y: f64, text: &str) -> Element {
    let mut node = with_text("text", &[("class", class)], text);
    node.assign("x", x);
    node.assign("y", at(y));
    node
}

/// The width of a text, about.
fn width_of(text: &str) -> f64 {
    LETTER * text.chars().count() as f64
}

/// Entries of a legend in lines, each entry with its offset.
fn legend_lines(figure: &Figure) -> Vec<Vec<(f64, Tone, &str)>> {
    let mut lines: Vec<Vec<(f64, Tone, &str)>> = Vec::new();
    let mut used = f64::INFINITY;
    for (tone, name) in &figure.legend {
        let width = width_of(name) + 28.0;
        if used + width > WIDTH - 20.0 {
            lines.push(Vec::new());
            used = 0.0;
        }
        if let Some(line) = lines.last_mut() {
            line.push((used, *tone, name));
        }
        used += width;
    }
    lines
}

/// What stands beside a name in the legend: a stroke if the first mark of its tone is a line.
fn swatch(figure: &Figure, tone: Tone, x: f64, y: f64) -> Element {
    let line = figure.marks.iter().find_map(|mark| match mark {
        Mark::Dashed(t, _) if *t == tone => Some(Some("line dashed")),
        Mark::Thin(t, _) | Mark::Level(t, _) if *t == tone => Some(Some("line")),
        Mark::Bars(t, _) if *t == tone => Some(None),
        Mark::Dots(t, ..) if *t == tone => Some(None),
        Mark::Band(t, _) | Mark::FaintBand(t, _) if *t == tone => Some(None),
        _ => None,
    });
    if let Some(kind) = line.flatten() {
        let stroke = Data::new()
            .move_to((at(x), at(y + 4.5)))
            .horizontal_line_by(14);
        let mut path = element("path", &[("class", &class(kind, tone))]);
        path.assign("d", Value::from(stroke));
        return path;
    }
    let mut swatch = element("rect", &[("class", &class("swatch", tone))]);
    for (name, value) in [("x", x), ("y", y), ("width", 12.0), ("height", 9.0)] {
        swatch.assign(name, at(value));
    }
    swatch
}

/// One panel as an `svg` element, with its height. `id` tells its title from those of others.
pub fn panel(figure: &Figure, id: &str) -> (Element, f64) {
    let y_ticks = ticks(&figure.y, 6);
    let widest = y_ticks.iter().map(|t| width_of(&t.1)).fold(12.0, f64::max);
    let lines = legend_lines(figure);
    let top = 24.0 + LINE * lines.len() as f64;
    let left = 24.0 + widest;
    let right = WIDTH - 10.0;
    let frame = Frame {
        figure,
        left,
        right,
        top,
        bottom: top + figure.aspect * (right - left),
    };
    let height = frame.bottom + 38.0;
    let x_most = if matches!(figure.x.ticks, super::figure::Ticks::PowersOfTen) {
        5
    } else {
        6
    };
    let x_ticks = ticks(&figure.x, x_most);
    let (title_id, desc_id, clip) = (format!("{id}t"), format!("{id}d"), format!("{id}c"));
    let mut root = element(
        "svg",
        &[
            ("class", "figure"),
            ("role", "img"),
            ("aria-labelledby", &format!("{title_id} {desc_id}")),
            ("viewBox", &format!("0 0 {WIDTH} {}", at(height))),
        ],
    );
    root.append(with_text("title", &[("id", &title_id)], &figure.title));
    root.append(with_text("desc", &[("id", &desc_id)], &figure.description));
    root.append(label("title", at(8.0), 14.0, &figure.title));
    for (line, entries) in lines.iter().enumerate() {
        let y = 29.0 + LINE * line as f64;
        for (offset, tone, name) in entries {
            root.append(swatch(figure, *tone, 8.0 + offset, y - 8.0));
            root.append(label("key", at(24.0 + offset), y, name));
        }
    }
    frame.axes(&mut root, &x_ticks, &y_ticks);
    let mut clipping = element("clipPath", &[("id", &clip)]);
    let mut area = element("rect", &[]);
    for (name, value) in [
        ("x", frame.left),
        ("y", frame.top - 1.0),
        ("width", frame.right - frame.left),
        ("height", frame.bottom - frame.top + 2.0),
    ] {
        area.assign(name, at(value));
    }
    clipping.append(area);
    root.append(clipping);
    let mut inside = element("g", &[("clip-path", &format!("url(#{clip})"))]);
    figure
        .marks
        .iter()
        .for_each(|mark| frame.draw(mark, &mut inside));
    root.append(inside);
    (root, height)
}

/// A picture as a file of its own: panels in columns, with the colours.
pub fn file(picture: &Picture) -> String {
    with_style(picture, COLOURS)
}

/// The same in light colours only, for programs that know no media queries.
#[cfg(feature = "png")]
pub fn light(picture: &Picture) -> String {
    let light = COLOURS.split("@media").next().unwrap_or(COLOURS);
    with_style(picture, light)
}

fn with_style(picture: &Picture, colours: &str) -> String {
    let columns = picture.panels.len().clamp(1, COLUMNS);
    let mut root = element("svg", &[("xmlns", "http://www.w3.org/2000/svg")]);
    root.append(with_text("title", &[], &picture.title));
    root.append(with_text("desc", &[], &picture.caption));
    let mut style = element("style", &[]);
    style.append(Blob::new(colours));
    root.append(style);
    let drawn: Vec<(Element, f64)> = {
        let each = picture.panels.iter().enumerate();
        each.map(|(i, figure)| panel(figure, &format!("p{i}")))
            .collect()
    };
    let rows: Vec<f64> = {
        let rows = drawn.chunks(columns);
        rows.map(|row| row.iter().map(|d| d.1).fold(0.0, f64::max))
            .collect()
    };
    let (width, height) = (WIDTH * columns as f64, rows.iter().sum::<f64>());
    root.assign("viewBox", format!("0 0 {width} {}", at(height)));
    root.assign("width", at(width));
    root.assign("height", at(height));
    let mut back = element("rect", &[("class", "back")]);
    back.assign("width", at(width));
    back.assign("height", at(height));
    root.append(back);
    let mut y = 0.0;
    let mut drawn = drawn.into_iter();
    for row in rows {
        for (column, (mut figure, height)) in drawn.by_ref().take(columns).enumerate() {
            figure.assign("x", at(WIDTH * column as f64));
            figure.assign("y", at(y));
            figure.assign("width", at(WIDTH));
            figure.assign("height", at(height));
            root.append(figure);
        }
        y += row;
    }
    format!("{root}\n")
}
