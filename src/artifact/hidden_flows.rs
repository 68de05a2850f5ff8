//! The flow over hidden parameters in a model file: its tensors, and back.

use super::metadata::Metadata;
use super::tensors::{Archive, Tensor, read};
use crate::deform::{Frame, FramedFlow, HiddenFlow, Smoothed, UnitFlow};
use crate::error::{Error, counted};
use crate::nn::UnitBlock;
use crate::scalar::Scalar;

type Parsed<X> = Result<X, String>;

fn say(e: Error) -> String {
    e.to_string()
}

/// The tensors of a flow.
pub(super) fn hidden_tensors<'a, T: Scalar>(flow: &'a HiddenFlow<T>, all: &mut Vec<Tensor<'a>>) {
    match flow {
        HiddenFlow::Framed(flow) => framed_tensors(flow, all),
        HiddenFlow::Smoothed(flow) => smoothed_tensors(flow, all),
        HiddenFlow::Units(flow) => {
            let (_, _, mixing, params) = flow.parts();
            let numbers = mixing.iter().flatten().flatten();
            let mixing: Vec<f32> = numbers.map(|&x| x as f32).collect();
            all.push(Tensor::new("flow.mixing", vec![mixing.len()], mixing));
            all.push(Tensor::new("flow.params", vec![params.len()], params));
        }
    }
}

/// The flow of a file over `hidden` parameters, the units of which are `blocks`.
pub(super) fn read_hidden<T: Scalar>(
    metadata: &Metadata,
    (hidden, blocks): (usize, Vec<UnitBlock>),
    archive: &Archive<'_>,
) -> Parsed<Option<HiddenFlow<T>>> {
    if hidden == 0 {
        return Ok(None);
    }
    let flow = match &metadata.flow_units {
        Some(_) => read_units(metadata, blocks, archive)?,
        None if archive.has(LATENTS) => read_smoothed(hidden, archive)?,
        None => read_framed(metadata, hidden, archive)?,
    };
    Ok(Some(flow))
}

fn frame_tensors<'a, T: Scalar>(frame: &'a Frame<T>, all: &mut Vec<Tensor<'a>>) {
    let (mean, scale, basis, complement) = frame.parts();
    let (h, k) = (frame.dim(), frame.directions());
    all.push(Tensor::new("frame.mean", vec![h], mean));
    all.push(Tensor::new("frame.scale", vec![h], scale));
    all.push(Tensor::new("frame.basis", vec![k, h], basis));
    all.push(Tensor::new("frame.complement", vec![1], vec![complement]));
}

fn smoothed_tensors<'a, T: Scalar>(flow: &'a Smoothed<T>, all: &mut Vec<Tensor<'a>>) {
    let (frame, latents, width) = flow.parts();
    frame_tensors(frame, all);
    let shape = vec![flow.components(), flow.dim()];
    all.push(Tensor::new(LATENTS, shape, latents));
    all.push(Tensor::new("points.width", vec![1], vec![width]));
}

/// The tensor that a flow of smoothed points has, and no other flow.
const LATENTS: &str = "points.latents";

fn framed_tensors<'a, T: Scalar>(flow: &'a FramedFlow<T>, all: &mut Vec<Tensor<'a>>) {
    let (_, mixing, params) = flow.flow_parts();
    let k = flow.frame().directions();
    frame_tensors(flow.frame(), all);
    all.push(Tensor::new("flow.params", vec![params.len()], params));
    let shape = vec![mixing.len(), k, k];
    all.push(Tensor::new("flow.mixing", shape, mixing.concat()));
}

fn read_frame<T: Scalar>(hidden: usize, archive: &Archive<'_>) -> Parsed<Frame<T>> {
    let (_, mean) = read::<T>(archive, "frame.mean", 1)?;
    let (_, scale) = read::<T>(archive, "frame.scale", 1)?;
    let (_, basis) = read::<T>(archive, "frame.basis", 2)?;
    let (_, complement) = read::<T>(archive, "frame.complement", 1)?;
    if mean.len() != hidden || complement.len() != 1 {
        return Err(format!(
            "a frame of {}, the model has {hidden}",
            counted(mean.len(), "parameter")
        ));
    }
    Frame::from_parts(mean, scale, basis, complement[0]).map_err(say)
}

fn read_smoothed<T: Scalar>(hidden: usize, archive: &Archive<'_>) -> Parsed<HiddenFlow<T>> {
    let frame = read_frame::<T>(hidden, archive)?;
    let (_, latents) = read::<T>(archive, LATENTS, 2)?;
    let (_, width) = read::<f64>(archive, "points.width", 1)?;
    let &[width] = &width[..] else {
        return Err(format!("widths of {}, expected 1", width.len()));
    };
    let flow = Smoothed::from_latents(frame, latents, width).map_err(say)?;
    Ok(HiddenFlow::Smoothed(flow))
}

fn read_framed<T: Scalar>(
    metadata: &Metadata,
    hidden: usize,
    archive: &Archive<'_>,
) -> Parsed<HiddenFlow<T>> {
    let frame = read_frame::<T>(hidden, archive)?;
    let (_, params) = read::<T>(archive, "flow.params", 1)?;
    let (mixing_shape, mixing) = read::<f64>(archive, "flow.mixing", 3)?;
    let k = frame.directions();
    if mixing_shape[1..] != [k, k] {
        return Err(format!(
            "tensor 'flow.mixing' has shape {mixing_shape:?} for {}",
            counted(k, "direction")
        ));
    }
    // k can be 0, and then there is nothing to mix
    let matrices = mixing.chunks_exact((k * k).max(1)).map(<[f64]>::to_vec);
    let hidden = metadata.flow_hidden.clone();
    let flow = FramedFlow::new(frame, hidden, matrices.collect(), params).map_err(say)?;
    Ok(HiddenFlow::Framed(flow))
}

fn read_units<T: Scalar>(
    metadata: &Metadata,
    blocks: Vec<UnitBlock>,
    archive: &Archive<'_>,
) -> Parsed<HiddenFlow<T>> {
    let options = metadata.unit_flow().ok_or("not a flow of units")?;
    let (_, params) = read::<T>(archive, "flow.params", 1)?;
    let (_, mixing) = read::<f32>(archive, "flow.mixing", 1)?;
    let each = |params: usize| params.saturating_mul(params);
    let expected = blocks
        .iter()
        .fold(0usize, |n, b| n.saturating_add(each(b.params)))
        .saturating_mul(options.blocks);
    if mixing.len() != expected {
        return Err(format!(
            "tensor 'flow.mixing' has {}, expected {expected}",
            counted(mixing.len(), "number")
        ));
    }
    let mut numbers = mixing.into_iter().map(f64::from);
    let rotations = blocks.iter().map(|block| {
        let pairs = 0..options.blocks;
        pairs
            .map(|_| numbers.by_ref().take(each(block.params)).collect())
            .collect()
    });
    let rotations = rotations.collect();
    let flow = UnitFlow::new(blocks, options, rotations, params).map_err(say)?;
    Ok(HiddenFlow::Units(flow))
}
