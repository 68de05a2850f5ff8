//! An HTML page: no script, nothing to load. Every text that comes from outside is escaped by the
//! library that writes the elements.

use ::svg::node::element::Element;
use ::svg::node::{Blob, Node, Text};

use super::figure::Picture;
use super::pictures::unsure::Table;
use super::svg::{COLOURS, element, panel, with_text};
use super::verdict::{Reason, Trust, Verdict};

const STYLE: &str = include_str!("page.css");

/// A page under way.
pub struct Page {
    title: String,
    main: Element,
    pictures: usize,
}

impl Page {
    /// An empty page.
    pub fn new(title: impl Into<String>) -> Self {
        let title = title.into();
        let mut main = element("main", &[]);
        main.append(with_text("h1", &[], &title));
        Self {
            title,
            main,
            pictures: 0,
        }
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        self.main.append(with_text("h2", &[], text));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: impl Into<String>) {
        self.main.append(with_text("p", &[], text));
    }

    /// A paragraph in small letters.
    pub fn remark(&mut self, text: impl Into<String>) {
        self.main.append(with_text("p", &[("class", "soft")], text));
    }

    /// Text as it stands, such as a command.
    pub fn verbatim(&mut self, text: impl Into<String>) {
        self.main.append(with_text("pre", &[], text));
    }

    /// The verdict.
    pub fn verdict(&mut self, verdict: &Verdict) {
        let mut section = element(
            "section",
            &[("class", &format!("verdict {}", tone(verdict.trust)))],
        );
        section.append(with_text("h2", &[], verdict.trust.headline()));
        section.append(prose("p", &[], verdict.trust.meaning()));
        let mut list = element("ul", &[]);
        verdict.reasons.iter().for_each(|r| list.append(item(r)));
        section.append(list);
        self.main.append(section);
    }

    /// A table. The first cell of each row is its heading.
    pub fn table(&mut self, caption: &str, table: &Table) {
        let mut all = element("table", &[]);
        all.append(with_text("caption", &[], caption));
        let mut head = element("tr", &[]);
        let texts: Vec<bool> = (0..table.head.len()).map(|c| is_text(table, c)).collect();
        for (column, name) in table.head.iter().enumerate() {
            let class = if texts[column] { "text" } else { "" };
            head.append(with_text("th", &[("scope", "col"), ("class", class)], name));
        }
        let mut top = element("thead", &[]);
        top.append(head);
        all.append(top);
        let mut body = element("tbody", &[]);
        for cells in &table.rows {
            let mut row = element("tr", &[]);
            for (column, cell) in cells.iter().enumerate() {
                let class = if texts.get(column) == Some(&true) {
                    "text"
                } else {
                    ""
                };
                row.append(match column {
                    0 => with_text("th", &[("scope", "row")], cell),
                    _ => with_text("td", &[("class", class)], cell),
                });
            }
            body.append(row);
        }
        all.append(body);
        let mut scroll = element(
            "div",
            &[
                ("class", "scroll"),
                ("tabindex", "0"),
                ("role", "region"),
                ("aria-label", "table"),
            ],
        );
        scroll.append(all);
        self.main.append(scroll);
    }

    /// Pictures in a grid.
    pub fn pictures(&mut self, pictures: &[Picture]) {
        let mut grid = element("div", &[("class", "grid")]);
        for picture in pictures {
            let class = match picture.panels.len() {
                0 | 1 => "one",
                2 => "two",
                _ => "wide",
            };
            let mut figure = element("figure", &[("class", class), ("id", picture.name)]);
            figure.append(with_text("h3", &[], &picture.title));
            let mut panels = element("div", &[("class", "panels")]);
            for one in &picture.panels {
                panels.append(panel(one, &format!("f{}", self.pictures)).0);
                self.pictures += 1;
            }
            figure.append(panels);
            figure.append(prose("figcaption", &[], &picture.caption));
            grid.append(figure);
        }
        self.main.append(grid);
    }

    /// The whole page.
    pub fn html(self) -> String {
        let mut head = element("head", &[]);
        head.append(element("meta", &[("charset", "utf-8")]));
        let view = [
            ("name", "viewport"),
            ("content", "width=device-width, initial-scale=1"),
        ];
        head.append(element("meta", &view));
        head.append(with_text("title", &[], self.title));
        let mut style = element("style", &[]);
        style.append(Blob::new(format!("{STYLE}{COLOURS}")));
        head.append(style);
        let mut body = element("body", &[]);
        body.append(self.main);
        let mut html = element("html", &[("lang", "en")]);
        html.append(head);
        html.append(body);
        format!("<!DOCTYPE html>\n{html}\n")
    }
}

/// True of a column whose cells are not numbers.
fn is_text(table: &Table, column: usize) -> bool {
    let cells = || table.rows.iter().filter_map(|row| row.get(column));
    let number = |cell: &&String| cell.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    cells().any(|cell| !number(&cell))
}

fn tone(trust: Trust) -> &'static str {
    match trust {
        Trust::Trust => "good",
        Trust::LookCloser => "fair",
        Trust::DoNotTrust => "bad",
    }
}

fn item(reason: &Reason) -> Element {
    let mut item = element("li", &[("class", tone(reason.trust))]);
    item.append(prose("div", &[], &reason.what));
    if !reason.advice.is_empty() {
        let advice = format!("What to do: {}", reason.advice);
        item.append(prose("div", &[("class", "advice")], &advice));
    }
    if !reason.detail.is_empty() {
        item.append(prose("div", &[("class", "soft")], &reason.detail));
    }
    item
}

/// An element around a text in which the names of options stay whole: a line must not end between
/// their two hyphens.
fn prose(name: &str, attributes: &[(&str, &str)], text: &str) -> Element {
    let mut all = element(name, attributes);
    // elements stand on lines of their own, but what follows one does not
    let mut space = "";
    let words: Vec<&str> = text.split_whitespace().collect();
    for run in words.chunk_by(|a, b| !a.contains("--") && !b.contains("--")) {
        let run = run.join(" ");
        match run.contains("--") {
            true => {
                all.append(with_text("span", &[("class", "whole")], run));
                space = " ";
            }
            false => all.append(Text::new(format!("{space}{run}"))),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_options_stay_whole() {
        let text = "Fit with --steps 9 or --method auto. a & b";
        let shown = prose("p", &[], text).to_string();
        for whole in ["--steps", "--method"] {
            assert_eq!(
                shown
                    .matches(&format!("<span class=\"whole\">{whole}</span>"))
                    .count(),
                1
            );
        }
        // without the elements it is the same text
        let plain = shown
            .split('<')
            .map(|part| part.split_once('>').map_or(part, |p| p.1));
        let plain = plain.collect::<String>();
        let words: Vec<&str> = plain.split_whitespace().collect();
        assert_eq!(words.join(" "), text.replace('&', "&amp;"));
    }
}
