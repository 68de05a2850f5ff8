//! Entry points compiled in this crate, once for each number type.
//!
//! Generic code is compiled where it is used. A program that loads a `FittedModel<f32>` would
//! compile the whole engine again at every edit. The functions of this trait are not generic, so
//! such a program only calls them.

use std::io::Write;

use super::fitted::Fitted;
use super::metadata::Metadata;
use super::model::{Draws, FittedModel};
use super::predictor::{Core, Rows};
use crate::error::Result;
use crate::model::Model;
use crate::rng::Streams;
use crate::scalar::Scalar;

/// `f32` or `f64`, with everything that a fitted model does compiled for it.
pub trait Compiled: Scalar {
    #[doc(hidden)]
    fn parse(
        metadata: Metadata,
        bytes: &[u8],
        parts: Option<&Model>,
    ) -> std::result::Result<FittedModel<Self>, String>;
    #[doc(hidden)]
    fn write(model: &FittedModel<Self>, out: &mut dyn Write) -> Result<()>;
    #[doc(hidden)]
    fn draws(model: &FittedModel<Self>, count: usize, streams: Streams) -> Result<Draws<Self>>;
    #[doc(hidden)]
    fn freeze(model: &FittedModel<Self>, count: usize, streams: Streams) -> Result<Fitted<Self>>;
    #[doc(hidden)]
    fn rows(model: &FittedModel<Self>, count: usize, streams: Streams) -> Result<Box<dyn Rows>>;
}

macro_rules! compiled {
    ($t:ident) => {
        impl Compiled for $t {
            fn parse(
                metadata: Metadata,
                bytes: &[u8],
                parts: Option<&Model>,
            ) -> std::result::Result<FittedModel<$t>, String> {
                FittedModel::parse(metadata, bytes, parts)
            }
            fn write(model: &FittedModel<$t>, out: &mut dyn Write) -> Result<()> {
                model.write_to(out)
            }
            fn draws(model: &FittedModel<$t>, count: usize, streams: Streams) -> Result<Draws<$t>> {
                model.draw(count, streams)
            }
            fn freeze(
                model: &FittedModel<$t>,
                count: usize,
                streams: Streams,
            ) -> Result<Fitted<$t>> {
                model.frozen(count, streams)
            }
            fn rows(
                model: &FittedModel<$t>,
                count: usize,
                streams: Streams,
            ) -> Result<Box<dyn Rows>> {
                Ok(Box::new(Core::new(model, count, streams)?))
            }
        }
    };
}

compiled!(f32);
compiled!(f64);
