//! Pictures as PNG: the SVG file in light colours on white, drawn by `resvg`.
//!
//! Letters need a font. There is none in the crate: those of the system are looked through, and one
//! is chosen by name. So the bytes depend on the fonts that are installed, and on nothing else.

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Family, Query, Weight};
use resvg::usvg::{FontResolver, Options, Tree};

use crate::error::{Error, Result};

/// Pixels for each unit of the SVG file.
pub const PNG_SCALE: u32 = 2;

/// Fonts that pictures look good in, the first that is installed.
const FONTS: [&str; 8] = [
    "Inter",
    "Roboto",
    "Segoe UI",
    "Helvetica Neue",
    "Arial",
    "Liberation Sans",
    "DejaVu Sans",
    "Noto Sans",
];

/// A picture without media queries as PNG, with the fonts of the system.
///
/// # Errors
/// If there is no font, or the text is no picture.
pub fn png(svg: &str) -> Result<Vec<u8>> {
    let mut fonts = Database::new();
    fonts.load_system_fonts();
    with_fonts(svg, fonts)
}

/// The same with these fonts.
fn with_fonts(svg: &str, fonts: Database) -> Result<Vec<u8>> {
    let Some(family) = family(&fonts) else {
        let requirement = "no font was found on this system, so the labels cannot be drawn: \
                           install one, such as DejaVu Sans, or write SVG";
        return Err(Error::config("picture", "PNG", requirement));
    };
    let options = Options {
        fontdb: fonts.into(),
        font_resolver: FontResolver {
            select_font: Box::new(move |font, fonts| {
                fonts.query(&Query {
                    families: &[Family::Name(&family)],
                    weight: Weight(font.weight()),
                    ..Query::default()
                })
            }),
            select_fallback: FontResolver::default_fallback_selector(),
        },
        ..Options::default()
    };
    let failed = |what: String| Error::config("picture", "PNG", &what);
    let tree = Tree::from_str(svg, &options).map_err(|e| failed(e.to_string()))?;
    let size = tree.size().to_int_size();
    let (width, height) = (PNG_SCALE * size.width(), PNG_SCALE * size.height());
    let mut pixels =
        Pixmap::new(width, height).ok_or_else(|| failed("it has no size".to_string()))?;
    pixels.fill(Color::WHITE);
    let scale = Transform::from_scale(PNG_SCALE as f32, PNG_SCALE as f32);
    resvg::render(&tree, scale, &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| failed(e.to_string()))
}

/// The first of the good fonts that is there, or the first of all by name.
fn family(fonts: &Database) -> Option<String> {
    let is_there = |name: &&&str| {
        let query = Query {
            families: &[Family::Name(name)],
            ..Query::default()
        };
        fonts.query(&query).is_some()
    };
    if let Some(name) = FONTS.iter().find(is_there) {
        return Some((*name).to_string());
    }
    let upright = fonts.faces().filter(|face| !face.monospaced);
    let names = |face: &resvg::usvg::fontdb::FaceInfo| Some(face.families.first()?.0.clone());
    upright.filter_map(names).min()
}

#[cfg(test)]
mod tests {
    use resvg::tiny_skia::Pixmap;

    use super::*;
    use crate::report::figure::{Axis, Figure, Mark, Picture, Tone};
    use crate::report::svg::light;

    fn picture(label: &str, marks: &[Mark]) -> Picture {
        let axis =
            |label: &str| Axis::new(label, [0.0, 1.0]).with(crate::report::figure::Ticks::None);
        let mut figure = Figure::new("", axis(label), axis(""));
        figure.marks = marks.to_vec();
        Picture {
            name: "test",
            title: String::new(),
            caption: String::new(),
            panels: vec![figure],
        }
    }

    /// Pixels that are not white.
    fn inked(bytes: &[u8]) -> usize {
        let pixels = Pixmap::decode_png(bytes).unwrap();
        let white = [255, 255, 255, 255];
        assert!(pixels.pixels().iter().all(|p| p.alpha() == 255), "opaque");
        pixels.data().chunks(4).filter(|p| **p != white).count()
    }

    fn drawn(label: &str, marks: &[Mark]) -> Vec<u8> {
        png(&light(&picture(label, marks))).unwrap()
    }

    /// The size, and that each mark and each text leaves ink. Needs a font, as the feature does.
    #[test]
    fn text_and_marks_leave_ink() {
        let empty = drawn("", &[]);
        let pixels = Pixmap::decode_png(&empty).unwrap();
        assert_eq!(pixels.width(), 2 * 380);
        let none = inked(&empty);
        assert!(inked(&drawn("a label of the axis", &[])) > none + 300);
        let tone = Tone::Series(0);
        let line = vec![[0.1, 0.2], [0.8, 0.9]];
        for mark in [
            // a dot is a stroke without length
            Mark::Dots(tone, 6.0, vec![[0.5, 0.5]]),
            Mark::Line(tone, line.clone()),
            Mark::Dashed(tone, line.clone()),
            Mark::Thin(tone, line.clone()),
            Mark::Level(tone, line),
            Mark::Band(tone, vec![[0.1, 0.2, 0.4], [0.9, 0.3, 0.7]]),
            Mark::FaintBand(tone, vec![[0.1, 0.2, 0.4], [0.9, 0.3, 0.7]]),
            Mark::Bars(tone, vec![[0.1, 0.4, 0.0, 0.7]]),
            Mark::Strokes(tone, vec![[0.1, 0.4, 0.3, 0.7]]),
            Mark::Shades(tone, vec![([0.1, 0.4, 0.0, 0.7], 0.1)]),
            Mark::Text([0.5, 0.5], "12".into()),
            Mark::Label(tone, [0.5, 0.5], "12".into()),
        ] {
            let ink = inked(&drawn("", std::slice::from_ref(&mark)));
            assert!(ink > none + 50, "{mark:?}: {ink} of {none}");
        }
        // colours are those of the style sheet
        let bytes = drawn("", &[Mark::Dots(Tone::Series(1), 40.0, vec![[0.5, 0.5]])]);
        let pixels = Pixmap::decode_png(&bytes).unwrap();
        let orange = |p: &resvg::tiny_skia::PremultipliedColorU8| {
            p.red() > 200 && p.green() < 160 && p.blue() < 130
        };
        assert!(pixels.pixels().iter().filter(|p| orange(p)).count() > 2_000);
    }

    #[test]
    fn without_a_font_there_is_no_picture() {
        let svg = light(&picture("label", &[]));
        let error = with_fonts(&svg, Database::new()).unwrap_err().to_string();
        assert!(
            error.contains("no font") && error.contains("SVG"),
            "{error}"
        );
        assert!(!error.contains('\n'));
    }

    #[test]
    fn the_same_picture_has_the_same_bytes() {
        let marks = [Mark::Line(Tone::Series(2), vec![[0.0, 0.0], [1.0, 1.0]])];
        assert_eq!(drawn("label", &marks), drawn("label", &marks));
    }
}
