//! Hidden units: which parameters belong to each, so that a posterior can treat units alike.
//!
//! The density of a posterior does not change when the units of a layer are permuted together with
//! the weights that read them. For an odd nonlinearity, it does not change when the sign of a unit
//! is flipped either. A unit's own parameters are its incoming weights and its bias. For a
//! convolution, they are those of an output channel; for a normalisation, its gain and bias.

use super::ParamLayout;

/// The units of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitBlock {
    /// Number of units.
    pub units: usize,
    /// Parameters per unit.
    pub params: usize,
    /// Where parameter `i` of unit `j` lies in `theta`, `[params, units]` row-major.
    pub index: Vec<usize>,
    /// True if a unit can change its sign when the nonlinearity is odd.
    pub has_sign: bool,
}

/// The units of all layers whose parameters lie within the first `hidden` ones, in order. Together
/// they hold all of these parameters.
///
/// Weights with two axes are `[inputs, units]`; weights with more axes are `[units, ...]`. A vector
/// belongs to the tensor before it if it has one value for each unit of that tensor. Otherwise it
/// is a layer by itself.
pub fn unit_blocks(layout: &ParamLayout, hidden: usize) -> Vec<UnitBlock> {
    let mut blocks: Vec<UnitBlock> = Vec::new();
    let mut open = false;
    for tensor in layout.tensors() {
        if tensor.range.end > hidden {
            break;
        }
        let (start, len) = (tensor.range.start, tensor.range.len());
        let (units, matrix) = match tensor.shape[..] {
            [_, units] => (units, true),
            [units] | [units, ..] => (units, tensor.shape.len() > 1),
            [] => (1, false),
        };
        let params = len / units.max(1);
        let columns = tensor.shape.len() <= 2;
        let at = |i: usize, j: usize| {
            if columns {
                start + i * units + j
            } else {
                start + j * params + i
            }
        };
        let index = (0..params * units).map(|k| at(k / units, k % units));
        match blocks.last_mut() {
            Some(last) if open && !matrix && last.units == units => {
                last.params += params;
                last.index.extend(index);
                open = false;
            }
            _ => {
                blocks.push(UnitBlock {
                    units,
                    params,
                    index: index.collect(),
                    has_sign: true,
                });
                open = true;
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Activation, LinearHead, Mlp, Network, SequentialSpec};

    #[test]
    fn a_units_parameters_are_its_column_and_its_bias() {
        let net = Mlp::new(&[2, 3, 4, 1], Activation::Tanh).unwrap();
        let blocks = unit_blocks(net.layout(), net.hidden_params());
        assert_eq!(blocks.len(), 2);
        // theta: W [2, 3] at 0, b [3] at 6, W [3, 4] at 9, b [4] at 21
        assert_eq!((blocks[0].units, blocks[0].params), (3, 3));
        assert_eq!(blocks[0].index, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!((blocks[1].units, blocks[1].params), (4, 4));
        let second = &blocks[1].index;
        let unit: Vec<usize> = (0..4).map(|i| second[i * 4 + 1]).collect();
        assert_eq!(unit, [10, 14, 18, 22]);
    }

    #[test]
    fn channels_are_units_and_every_parameter_belongs_to_one() {
        let spec: SequentialSpec = "conv:3x2,relu,flatten,linear:5".parse().unwrap();
        let net = spec.build([2, 4, 4], 3).unwrap();
        let blocks = unit_blocks(net.layout(), net.hidden_params());
        // each filter has 2 x 2 x 2 weights in a row; the biases come after all 24 of them
        assert_eq!((blocks[0].units, blocks[0].params), (3, 9));
        let unit: Vec<usize> = (0..9).map(|i| blocks[0].index[i * 3 + 1]).collect();
        assert_eq!(unit, [8, 9, 10, 11, 12, 13, 14, 15, 25]);
        let mut all: Vec<usize> = blocks.iter().flat_map(|b| b.index.clone()).collect();
        all.sort_unstable();
        assert!(all.iter().enumerate().all(|(i, &x)| i == x));
        assert_eq!(all.len(), net.hidden_params());
    }
}
