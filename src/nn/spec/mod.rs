//! Networks for images, written as text.
//!
//! An example is `conv:6x5p2,tanh,avgpool:2,flatten,linear:120,tanh`.
//!
//! ```text
//! network  = preset | layers
//! preset   = "lenet5" | "precursor"
//! layers   = layer { "," layer }
//! layer    = "conv:" channels "x" sides [ "s" sides ] [ "p" sides ] [ "g" groups ]
//!          | ( "avgpool:" | "maxpool:" ) sides [ "s" sides ] [ "p" sides ]
//!          | "layernorm" | "groupnorm:" groups | "linear:" units | "flatten" | activation
//!          | "residual(" layers ")"
//! sides    = number [ "x" number ]            (height and width; one number is both)
//! ```
//!
//! `s` is the stride (by default 1 for `conv`, the window's sides for pools), `p` the zeros on
//! either side (by default 0), and `g` the groups (by default 1). They may stand in any order. The
//! network's last layer is not written: a linear layer to the number of outputs is added. Where a
//! linear layer meets an image, `flatten` is inserted.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use super::layer::numbers;
use super::sequential::MAX_WIDEST;
use super::{
    Activation, AvgPool2d, Conv2d, Flatten, GroupNorm, HeadedSequential, Layer, LayerNorm, Linear,
    MaxPool2d, Residual, Sequential,
};
use crate::autodiff::Window;
use crate::error::{Error, Result, counted};

/// Largest number in a description, so that the extents of a chain of layers can be counted.
const MAX_NUMBER: usize = 1 << 20;

/// Most layers in a description, including those inside residual blocks. `MAX_DEPTH` is the deepest
/// nesting of such blocks.
const MAX_LAYERS: usize = 1_024;
const MAX_DEPTH: usize = 16;

/// LeNet-5 as it is trained today (after LeCun et al. 1998): 61,706 parameters on 1x28x28 images of
/// 10 classes.
const LENET5: &str =
    "conv:6x5p2,tanh,avgpool:2,conv:16x5,tanh,avgpool:2,linear:120,tanh,linear:84,tanh";

/// A small network, for experiments that need many gradients: 1,938 parameters on 1x28x28 images of
/// 10 classes.
const PRECURSOR: &str =
    "conv:4x5,tanh,avgpool:2,conv:4x5,tanh,avgpool:2,linear:16,tanh,linear:10,tanh,linear:10,tanh";

/// One layer of a description.
#[derive(Clone, Debug, PartialEq)]
pub enum LayerSpec {
    /// [`Conv2d`].
    Conv {
        /// Output channels.
        channels: usize,
        /// The window that each of them sees.
        window: Window,
        /// Equal groups of the channels, which do not interact.
        groups: usize,
    },
    /// [`AvgPool2d`].
    AvgPool(Window),
    /// [`MaxPool2d`].
    MaxPool(Window),
    /// [`LayerNorm`].
    LayerNorm,
    /// [`GroupNorm`].
    GroupNorm {
        /// Equal groups of the channels.
        groups: usize,
    },
    /// [`Linear`].
    Linear {
        /// Outputs.
        units: usize,
    },
    /// [`Flatten`].
    Flatten,
    /// An activation.
    Activation(Activation),
    /// [`Residual`].
    Residual(Vec<LayerSpec>),
}

/// A chain of layers as text, without the last, linear one. The grammar is in `docs/networks.md`.
///
/// ```
/// use fiberwalk::Network;
/// use fiberwalk::nn::SequentialSpec;
/// let lenet: SequentialSpec = "lenet5".parse()?;
/// assert_eq!(lenet.build([1, 28, 28], 10)?.dim(), 61_706);
/// let small: SequentialSpec = "conv:4x3p1, relu, maxpool:2".parse()?;
/// assert_eq!(small.to_string(), "conv:4x3p1,relu,maxpool:2");
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SequentialSpec {
    layers: Vec<LayerSpec>,
}

impl SequentialSpec {
    /// Names of networks that need not be written out.
    pub const PRESETS: [&str; 2] = ["lenet5", "precursor"];

    /// A description of the given layers.
    ///
    /// # Errors
    /// If there are no layers or more than 1,024, blocks are nested deeper than 16, or a number is
    /// out of range. Numbers are from 1 (padding from 0) to 2^20, padding is smaller than its
    /// window, and groups divide the channels.
    pub fn new(layers: Vec<LayerSpec>) -> Result<Self> {
        let fault = match count(&layers, 0) {
            Err(what) => Some(what),
            Ok(n) if n > MAX_LAYERS => Some(format!("{n} layers are more than {MAX_LAYERS}")),
            Ok(_) => None,
        };
        match fault {
            None => Ok(Self { layers }),
            Some(what) => Err(Error::config("layers", chain(&layers), &what)),
        }
    }

    /// The layers, in order.
    pub fn layers(&self) -> &[LayerSpec] {
        &self.layers
    }

    /// The network for images of `[channels, height, width]`, with a linear layer to `outputs` at
    /// its end.
    ///
    /// # Errors
    /// If a layer cannot take the output of the one before. The error names the layer, its place
    /// and the shape of its input. Also if the network would have too many parameters, or too many
    /// values per image.
    pub fn build(&self, image: [usize; 3], outputs: usize) -> Result<HeadedSequential> {
        if numbers(&image) > MAX_WIDEST {
            let requirement = format!("at most {MAX_WIDEST} numbers in all");
            return Err(Error::config("image", extents(&image), &requirement));
        }
        let mut shape = image.to_vec();
        let mut layers: Vec<Box<dyn Layer>> = Vec::new();
        for (i, spec) in self.layers.iter().enumerate() {
            if matches!(spec, LayerSpec::Linear { .. }) {
                flatten(&mut shape, &mut layers)?;
            }
            let layer = spec.layer()?;
            let next = layer.output_shape(&shape).map_err(|e| {
                let place = format!("{spec} (layer {})", i + 1);
                let requirement = format!("does not fit its input of {}: {e}", extents(&shape));
                Error::config("layers", place, &requirement)
            })?;
            shape = next;
            layers.push(layer);
        }
        flatten(&mut shape, &mut layers)?;
        layers.push(Box::new(Linear::new(outputs)?));
        let headed = Sequential::new(&image, layers)?.with_head();
        headed.ok_or_else(|| Error::config("layers", self, "the last layer is not linear"))
    }
}

/// Adds a layer that turns images into vectors, if needed.
fn flatten(shape: &mut Vec<usize>, layers: &mut Vec<Box<dyn Layer>>) -> Result<()> {
    if shape.len() > 1 {
        *shape = Flatten.output_shape(shape)?;
        layers.push(Box::new(Flatten));
    }
    Ok(())
}

fn extents(shape: &[usize]) -> String {
    let parts: Vec<String> = shape.iter().map(usize::to_string).collect();
    parts.join("x")
}

/// Checks all layers, and returns how many there are.
fn count(layers: &[LayerSpec], depth: usize) -> std::result::Result<usize, String> {
    if layers.is_empty() {
        return Err("at least one layer is needed".into());
    }
    if depth > MAX_DEPTH {
        return Err(format!("blocks are nested deeper than {MAX_DEPTH}"));
    }
    let mut total = 0;
    for layer in layers {
        layer.check().map_err(|what| format!("{layer}: {what}"))?;
        total += match layer {
            LayerSpec::Residual(inner) => 1 + count(inner, depth + 1)?,
            _ => 1,
        };
    }
    Ok(total)
}

impl LayerSpec {
    /// Checks the numbers of this layer, but not the layers inside a block. The error says what is
    /// wrong.
    fn check(&self) -> std::result::Result<(), String> {
        let number = |what: &str, x: usize| match x {
            1..=MAX_NUMBER => Ok(()),
            _ => Err(format!("{what} must be from 1 to {MAX_NUMBER}, not {x}")),
        };
        let window = |w: &Window| {
            for axis in 0..2 {
                let (size, padding) = (w.size[axis], w.padding[axis]);
                number("a window's sides", size)?;
                number("strides", w.stride[axis])?;
                if padding >= size {
                    return Err(format!(
                        "padding {padding} must be less than the window's {size}"
                    ));
                }
            }
            Ok(())
        };
        match self {
            LayerSpec::Conv {
                channels,
                window: w,
                groups,
            } => {
                number("channels", *channels)?;
                number("groups", *groups)?;
                if !channels.is_multiple_of(*groups) {
                    return Err(format!(
                        "{} must divide {}",
                        counted(groups, "group"),
                        counted(channels, "channel")
                    ));
                }
                window(w)
            }
            LayerSpec::AvgPool(w) | LayerSpec::MaxPool(w) => window(w),
            LayerSpec::GroupNorm { groups } => number("groups", *groups),
            LayerSpec::Linear { units } => number("units", *units),
            LayerSpec::LayerNorm
            | LayerSpec::Flatten
            | LayerSpec::Activation(_)
            | LayerSpec::Residual(_) => Ok(()),
        }
    }

    fn layer(&self) -> Result<Box<dyn Layer>> {
        Ok(match self {
            LayerSpec::Conv {
                channels,
                window,
                groups,
            } => Box::new(Conv2d::new(*channels, *window)?.with_groups(*groups)?),
            LayerSpec::AvgPool(window) => Box::new(AvgPool2d(*window)),
            LayerSpec::MaxPool(window) => Box::new(MaxPool2d(*window)),
            LayerSpec::LayerNorm => Box::new(LayerNorm),
            LayerSpec::GroupNorm { groups } => Box::new(GroupNorm::new(*groups)?),
            LayerSpec::Linear { units } => Box::new(Linear::new(*units)?),
            LayerSpec::Flatten => Box::new(Flatten),
            LayerSpec::Activation(activation) => Box::new(*activation),
            LayerSpec::Residual(inner) => {
                let layers = inner.iter().map(LayerSpec::layer);
                Box::new(Residual::new(layers.collect::<Result<_>>()?))
            }
        })
    }
}

/// One number for equal sides.
fn sides([height, width]: [usize; 2]) -> String {
    if height == width {
        height.to_string()
    } else {
        format!("{height}x{width}")
    }
}

/// Sides, stride and padding. Stride and padding are left out if they have their usual values.
fn window(w: &Window, usual_stride: [usize; 2]) -> String {
    let mut text = sides(w.size);
    if w.stride != usual_stride {
        text += &format!("s{}", sides(w.stride));
    }
    if w.padding != [0, 0] {
        text += &format!("p{}", sides(w.padding));
    }
    text
}

fn chain(layers: &[LayerSpec]) -> String {
    let parts: Vec<String> = layers.iter().map(LayerSpec::to_string).collect();
    parts.join(",")
}

impl fmt::Display for LayerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayerSpec::Conv {
                channels,
                window: w,
                groups,
            } => {
                write!(f, "conv:{channels}x{}", window(w, [1, 1]))?;
                match groups {
                    1 => Ok(()),
                    groups => write!(f, "g{groups}"),
                }
            }
            LayerSpec::AvgPool(w) => write!(f, "avgpool:{}", window(w, w.size)),
            LayerSpec::MaxPool(w) => write!(f, "maxpool:{}", window(w, w.size)),
            LayerSpec::LayerNorm => f.write_str("layernorm"),
            LayerSpec::GroupNorm { groups } => write!(f, "groupnorm:{groups}"),
            LayerSpec::Linear { units } => write!(f, "linear:{units}"),
            LayerSpec::Flatten => f.write_str("flatten"),
            LayerSpec::Activation(activation) => activation.fmt(f),
            LayerSpec::Residual(inner) => write!(f, "residual({})", chain(inner)),
        }
    }
}

/// The canonical text: presets are written out, and usual values are left out.
impl fmt::Display for SequentialSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(&self.layers))
    }
}

impl FromStr for SequentialSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let written = match text.trim() {
            "lenet5" => LENET5,
            "precursor" => PRECURSOR,
            _ => text,
        };
        Self::new(parse::layers(written)?)
    }
}
