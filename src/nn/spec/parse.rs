//! Parses text into layers. Errors say at which character, from 1, and what was expected.

use super::{LayerSpec, MAX_DEPTH, MAX_LAYERS, SequentialSpec};
use crate::autodiff::Window;
use crate::error::{Error, Result};
use crate::nn::Activation;

/// Reads a chain of layers to the end of the text.
pub(super) fn layers(text: &str) -> Result<Vec<LayerSpec>> {
    let mut parser = Parser {
        text,
        at: 0,
        layers: 0,
    };
    parser.chain(0)
}

struct Parser<'a> {
    text: &'a str,
    /// Position of the next byte.
    at: usize,
    /// Number of layers begun.
    layers: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// An error at byte `at`. The message is short and has no control characters, whatever the
    /// text.
    fn fault(&self, at: usize, what: impl AsRef<str>) -> Error {
        const LONGEST: usize = 100;
        let mut shown: String = self.text.chars().take(LONGEST).collect();
        if shown.len() < self.text.len() {
            shown.push_str("...");
        }
        let place = self.text[..at].chars().count() + 1;
        let what = format!("at character {place}, {}", what.as_ref());
        Error::config("layers", format!("'{}'", shown.escape_debug()), &what)
    }

    fn expected(&self, what: &str) -> Error {
        let found = match self.rest().chars().next() {
            None => "the end".to_string(),
            Some(c) => format!("'{}'", c.escape_debug()),
        };
        self.fault(self.at, format!("expected {what}, got {found}"))
    }

    fn spaces(&mut self) {
        let rest = self.rest().trim_start_matches(' ');
        self.at = self.text.len() - rest.len();
    }

    /// Takes a character if it comes next.
    fn take(&mut self, c: char) -> bool {
        let here = self.rest().starts_with(c);
        if here {
            self.at += c.len_utf8();
        }
        here
    }

    fn need(&mut self, c: char, what: &str) -> Result<()> {
        if self.take(c) {
            Ok(())
        } else {
            Err(self.expected(what))
        }
    }

    /// Layers up to the end of the text, or of a block.
    fn chain(&mut self, depth: usize) -> Result<Vec<LayerSpec>> {
        let mut layers = Vec::new();
        loop {
            self.spaces();
            layers.push(self.layer(depth)?);
            self.spaces();
            let end = if depth == 0 {
                self.rest().is_empty()
            } else {
                self.take(')')
            };
            if end {
                return Ok(layers);
            }
            let what = if depth == 0 { "','" } else { "',' or ')'" };
            self.need(',', what)?;
        }
    }

    fn layer(&mut self, depth: usize) -> Result<LayerSpec> {
        let start = self.at;
        self.layers += 1;
        if self.layers > MAX_LAYERS {
            return Err(self.fault(start, format!("more than {MAX_LAYERS} layers")));
        }
        let name: &str = {
            let rest = self.rest();
            let end = rest.find(|c: char| !c.is_alphanumeric());
            &rest[..end.unwrap_or(rest.len())]
        };
        self.at += name.len();
        let layer = match name {
            "conv" => self.conv()?,
            "avgpool" => LayerSpec::AvgPool(self.pool()?),
            "maxpool" => LayerSpec::MaxPool(self.pool()?),
            "groupnorm" => LayerSpec::GroupNorm {
                groups: self.argument("the number of groups")?,
            },
            "linear" => LayerSpec::Linear {
                units: self.argument("the number of units")?,
            },
            "layernorm" => LayerSpec::LayerNorm,
            "flatten" => LayerSpec::Flatten,
            "residual" => {
                if depth == MAX_DEPTH {
                    let what = format!("blocks are nested deeper than {MAX_DEPTH}");
                    return Err(self.fault(start, what));
                }
                self.need('(', "'(' and the layers of the block")?;
                LayerSpec::Residual(self.chain(depth + 1)?)
            }
            name => match Activation::ALL.into_iter().find(|a| a.name() == name) {
                Some(activation) => LayerSpec::Activation(activation),
                None => return Err(self.unknown(start, name)),
            },
        };
        match layer.check() {
            Ok(()) => Ok(layer),
            Err(what) => Err(self.fault(start, what)),
        }
    }

    fn unknown(&mut self, start: usize, name: &str) -> Error {
        let layers = "conv, avgpool, maxpool, layernorm, groupnorm, linear, flatten, residual";
        let activations = Activation::ALL.map(Activation::name).join(", ");
        self.at = start;
        if SequentialSpec::PRESETS.contains(&name) {
            let what = format!("'{name}' is a whole network and stands alone");
            self.fault(start, what)
        } else if name.is_empty() {
            self.expected(&format!("a layer ({layers}, {activations})"))
        } else {
            let name: String = name.chars().take(20).collect();
            let what = format!("expected one of {layers}, {activations}, got '{name}'");
            self.fault(start, what)
        }
    }

    fn conv(&mut self) -> Result<LayerSpec> {
        self.need(':', "':' and channels x window, such as conv:6x5")?;
        let channels = self.number("the number of channels")?;
        self.need('x', "'x' and the sides of the window")?;
        let size = self.sides("the sides of the window")?;
        let usual = Window {
            size,
            stride: [1, 1],
            padding: [0, 0],
        };
        let (window, groups) = self.modifiers(usual, true)?;
        Ok(LayerSpec::Conv {
            channels,
            window,
            groups,
        })
    }

    fn pool(&mut self) -> Result<Window> {
        self.need(':', "':' and the sides of the window, such as 2")?;
        let size = self.sides("the sides of the window")?;
        let usual = Window {
            size,
            stride: size,
            padding: [0, 0],
        };
        Ok(self.modifiers(usual, false)?.0)
    }

    /// Stride, padding and groups in any order, each at most once.
    fn modifiers(&mut self, mut window: Window, with_groups: bool) -> Result<(Window, usize)> {
        let (mut stride, mut padding, mut groups) = (None, None, None);
        loop {
            let start = self.at;
            let again = if self.take('s') {
                stride.replace(self.sides("the stride")?).is_some()
            } else if self.take('p') {
                padding.replace(self.sides("the padding")?).is_some()
            } else if with_groups && self.take('g') {
                groups
                    .replace(self.number("the number of groups")?)
                    .is_some()
            } else {
                break;
            };
            if again {
                let what = format!("'{}' stands twice", &self.text[start..=start]);
                return Err(self.fault(start, what));
            }
        }
        // the caller knows best what may follow; what may not follow is clearer here
        if !(self.rest().is_empty() || self.rest().starts_with([',', ')', ' '])) {
            let what = if with_groups { "s, p, g" } else { "s, p" };
            return Err(self.expected(&format!("{what} or the next layer")));
        }
        window.stride = stride.unwrap_or(window.stride);
        window.padding = padding.unwrap_or(window.padding);
        Ok((window, groups.unwrap_or(1)))
    }

    fn argument(&mut self, what: &str) -> Result<usize> {
        self.need(':', &format!("':' and {what}"))?;
        self.number(what)
    }

    fn sides(&mut self, what: &str) -> Result<[usize; 2]> {
        let height = self.number(what)?;
        let width = if self.take('x') {
            self.number(what)?
        } else {
            height
        };
        Ok([height, width])
    }

    fn number(&mut self, what: &str) -> Result<usize> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit());
        let digits = &rest[..end.unwrap_or(rest.len())];
        if digits.is_empty() {
            return Err(self.expected(&format!("a number, {what}")));
        }
        match digits.parse() {
            Ok(number) => {
                self.at += digits.len();
                Ok(number)
            }
            Err(_) => Err(self.fault(self.at, format!("{what} is too large"))),
        }
    }
}
