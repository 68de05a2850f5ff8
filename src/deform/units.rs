//! A flow that treats the hidden units of a layer alike.
//!
//! The posterior does not change when the units of a layer are permuted, so the density should not
//! either. The units of layer `l` are rows `u_j` of `d_l` numbers (incoming weights and bias;
//! [`crate::nn::unit_blocks`]). They are images of independent `z_j ~ N(0, I)`. One coupling layer
//! serves all units, with the same parameters:
//!
//! `u_j^b <- u_j^b exp(s(u_j^a, c, e)) + t(u_j^a, c, e)`, `c = mean_i psi(u_i^a)`,
//! `e = sum over earlier layers of mean_i chi(u_i)`.
//!
//! `c`, the *pool*, is a permutation-invariant summary, over all units of the layer, of the halves
//! that pass. So units know of one another, and the map is still a coupling layer, with
//! `log |det| = sum_j sum s_j` and an inverse in closed form. `e` is a summary of the layers
//! before, which come first. After each pair of couplings a fixed rotation mixes a unit's numbers.
//!
//! Permuting the `z_j` of a layer permutes its `u_j`, so the density is exactly exchangeable. The
//! sign symmetry of odd nonlinearities is not built in; training sees points with flipped signs
//! instead ([`augment`](super::augment)).
//!
//! Source: permutation-equivariant maps by pooling are deep sets (Zaheer et al. 2017); coupling
//! layers are those of Real NVP (Dinh et al. 2017).
//!
//! What it drops: which unit of an earlier layer a weight reads from. In deeper layers the order of
//! these units is that of the walkers' common start, so their permutation symmetry is not used.

mod start;

use rand::Rng;

use super::bijection::no_change;
use super::{AffineCoupling, Bijection, DiagonalAffine, OrthogonalMixing};
use crate::autodiff::Var;
use crate::error::{Error, Result, counted};
use crate::nn::{Activation, Mlp, Network, UnitBlock};

/// Settings of an exchangeable flow.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitFlowOptions {
    /// Pairs of coupling layers for each layer of units.
    pub blocks: usize,
    /// Hidden widths of conditioners.
    pub hidden: Vec<usize>,
    /// Size of a layer's pool, and of its summary for later layers; 0: units know nothing of one
    /// another.
    pub pooled: usize,
}

impl Default for UnitFlowOptions {
    fn default() -> Self {
        Self {
            blocks: 3,
            hidden: vec![32],
            pooled: 8,
        }
    }
}

/// Hidden width of the networks that compute the summaries.
const EMBEDDING: usize = 16;

/// The exchangeable flow over the units of all layers: coordinates are `[params, units]` row-major,
/// layer after layer.
pub struct ExchangeableUnits {
    layers: Vec<UnitLayer>,
    dim: usize,
}

struct UnitLayer {
    units: usize,
    params: usize,
    /// Numbers in the summary of earlier layers.
    external: usize,
    couplings: Vec<UnitCoupling>,
    scaling: DiagonalAffine,
    /// The summary for later layers.
    summary: Option<Mlp>,
}

struct UnitCoupling {
    coupling: AffineCoupling,
    pool: Option<Mlp>,
    /// Coordinates that pass.
    passing: std::ops::Range<usize>,
    mixing: Option<OrthogonalMixing>,
}

impl ExchangeableUnits {
    /// The flow over these layers of units. `mixing[l][b]` is the rotation after pair `b` of layer
    /// `l`, `[params, params]`.
    ///
    /// # Errors
    /// If the number of matrices is wrong, a matrix is not orthogonal, or a width is 0.
    pub fn new(
        blocks: &[UnitBlock],
        options: &UnitFlowOptions,
        mixing: &[Vec<Vec<f64>>],
    ) -> Result<Self> {
        if mixing.len() != blocks.len() {
            let expected = format!("rotations for {}", counted(blocks.len(), "layer"));
            return Err(Error::shape("ExchangeableUnits", expected, mixing.len()));
        }
        let count = blocks.len();
        let layers = blocks.iter().zip(mixing).enumerate();
        let layers: Vec<UnitLayer> = layers
            .map(|(l, (block, mixing))| {
                let external = if l == 0 { 0 } else { options.pooled };
                UnitLayer::new(block, external, l + 1 < count, options, mixing)
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            dim: blocks.iter().map(|b| b.units * b.params).sum(),
            layers,
        })
    }

    /// Records the map or its inverse.
    fn record<'g>(&self, params: Var<'g>, x: Var<'g>, inverse: bool) -> (Var<'g>, Var<'g>) {
        let graph = x.graph();
        let memory = x.batch_last();
        let rows = x.shape().first().copied().unwrap_or(0);
        let (mut at, mut used) = (0, 0);
        let mut external: Option<Var<'g>> = None;
        let mut log_det = no_change(graph, x);
        let mut parts = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let size = layer.units * layer.params;
            let own = params.slice(0, used..used + layer.param_count());
            // places the numbers of all units of all rows side by side, without a copy
            let units = memory
                .slice(0, at..at + size)
                .reshape(&[layer.params, layer.units * rows])
                .batch_first();
            let (mapped, change) = layer.record(own, units, external, rows, inverse);
            log_det = log_det + change;
            // later layers see the units of this one, not their latent numbers
            let seen = if inverse { units } else { mapped };
            if let Some(summary) = layer.summarise(own, seen, rows) {
                external = Some(external.map_or(summary, |e| e + summary));
            }
            parts.push(mapped.batch_last().reshape(&[size, rows]));
            (at, used) = (at + size, used + layer.param_count());
        }
        let mapped = match parts[..] {
            [] => x,
            [one] => one.batch_first(),
            _ => graph.concat(0, &parts).batch_first(),
        };
        (mapped, log_det)
    }
}

/// `mean_j f(u_j)` for rows `[units rows, k]`: a summary `[width, rows]`.
fn pooled<'g>(net: &Mlp, params: Var<'g>, u: Var<'g>, units: usize, rows: usize) -> Var<'g> {
    let features = net.forward(params, u).tanh().batch_last();
    let width = net.output_dim();
    let sum = features.reshape(&[width, units, rows]).sum_axis(1);
    sum * (1.0 / units as f64)
}

/// Repeats a summary `[width, rows]` for every unit: `[units rows, width]`.
fn spread<'g>(summary: Var<'g>, units: usize, rows: usize) -> Var<'g> {
    let width = summary.shape().first().copied().unwrap_or(0);
    summary
        .reshape(&[width, 1, rows])
        .broadcast_to(&[width, units, rows])
        .reshape(&[width, units * rows])
        .batch_first()
}

impl UnitLayer {
    fn new(
        block: &UnitBlock,
        external: usize,
        summarised: bool,
        options: &UnitFlowOptions,
        mixing: &[Vec<f64>],
    ) -> Result<Self> {
        let (d, c) = (block.params, options.pooled);
        let embed = |inputs: usize| Mlp::new(&[inputs, EMBEDDING, c], Activation::Tanh);
        let split = d / 2;
        let mut couplings = Vec::new();
        if mixing.len() != options.blocks {
            return Err(Error::shape(
                "ExchangeableUnits",
                format!("{} a layer", counted(options.blocks, "rotation")),
                mixing.len(),
            ));
        }
        for matrix in mixing {
            let sides = [false, true];
            // one number has no halves: without couplings only its scaling is left
            let sides = if d > 1 { &sides[..] } else { &[] };
            for &swap in sides {
                let coupling = AffineCoupling::new(d, split, &options.hidden, swap)?;
                let passing = if swap { split..d } else { 0..split };
                couplings.push(UnitCoupling {
                    coupling: coupling.with_context(c + external)?,
                    pool: (c > 0).then(|| embed(passing.len())).transpose()?,
                    passing,
                    mixing: match swap {
                        true => Some(OrthogonalMixing::from_matrix(d, matrix.clone())?),
                        false => None,
                    },
                });
            }
        }
        Ok(Self {
            units: block.units,
            params: d,
            external,
            couplings,
            scaling: DiagonalAffine::new(d),
            summary: (summarised && c > 0).then(|| embed(d)).transpose()?,
        })
    }

    fn param_count(&self) -> usize {
        let couplings: usize = self.couplings.iter().map(UnitCoupling::param_count).sum();
        couplings + self.scaling.param_count() + self.summary.as_ref().map_or(0, Network::dim)
    }

    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        let mut all = Vec::new();
        for part in &self.couplings {
            if let Some(pool) = &part.pool {
                all.extend(pool.init(rng));
            }
            all.extend(part.coupling.init(rng));
        }
        all.extend(self.scaling.init(rng));
        if let Some(summary) = &self.summary {
            all.extend(summary.init(rng));
        }
        all
    }

    fn summarise<'g>(&self, params: Var<'g>, u: Var<'g>, rows: usize) -> Option<Var<'g>> {
        let net = self.summary.as_ref()?;
        let end = self.param_count();
        let own = params.slice(0, end - net.dim()..end);
        Some(pooled(net, own, u, self.units, rows))
    }

    /// The mapped rows `[units rows, params]`, and the change of volume `[rows]`.
    fn record<'g>(
        &self,
        params: Var<'g>,
        x: Var<'g>,
        external: Option<Var<'g>>,
        rows: usize,
        inverse: bool,
    ) -> (Var<'g>, Var<'g>) {
        let mut starts = Vec::with_capacity(self.couplings.len() + 1);
        let mut at = 0;
        for part in &self.couplings {
            starts.push(at);
            at += part.param_count();
        }
        let external = external.filter(|_| self.external > 0);
        let scaling = params.slice(0, at..at + self.scaling.param_count());
        let couplings = self.couplings.iter().zip(&starts).map(|(part, &start)| {
            let own = params.slice(0, start..start + part.param_count());
            (part, own)
        });
        let (mut y, mut change) = (x, no_change(x.graph(), x));
        if inverse {
            let (z, log_det) = self.scaling.inverse(scaling, y);
            (y, change) = (z, change + log_det);
            for (part, own) in couplings.rev() {
                let (z, log_det) = part.inverse(own, y, external, self.units, rows);
                (y, change) = (z, change + log_det);
            }
        } else {
            for (part, own) in couplings {
                let (z, log_det) = part.forward(own, y, external, self.units, rows);
                (y, change) = (z, change + log_det);
            }
            let (z, log_det) = self.scaling.forward(scaling, y);
            (y, change) = (z, change + log_det);
        }
        (y, change.reshape(&[self.units, rows]).sum_axis(0))
    }
}

impl UnitCoupling {
    fn param_count(&self) -> usize {
        self.coupling.param_count() + self.pool.as_ref().map_or(0, Network::dim)
    }

    /// The context that all units share, repeated for each unit.
    fn context<'g>(
        &self,
        params: Var<'g>,
        x: Var<'g>,
        external: Option<Var<'g>>,
        (units, rows): (usize, usize),
    ) -> Vec<Var<'g>> {
        let pool = self.pool.as_ref().map(|net| {
            let own = params.slice(0, 0..net.dim());
            let passing = x.slice(1, self.passing.clone());
            pooled(net, own, passing, units, rows)
        });
        let both = pool.into_iter().chain(external);
        both.map(|summary| spread(summary, units, rows)).collect()
    }

    fn forward<'g>(
        &self,
        params: Var<'g>,
        x: Var<'g>,
        external: Option<Var<'g>>,
        units: usize,
        rows: usize,
    ) -> (Var<'g>, Var<'g>) {
        let (y, log_det) = self.couple(params, x, external, (units, rows), Bijection::forward);
        match &self.mixing {
            None => (y, log_det),
            // a rotation has no parameters and keeps volume
            Some(mixing) => (mixing.forward(params, y).0, log_det),
        }
    }

    fn inverse<'g>(
        &self,
        params: Var<'g>,
        y: Var<'g>,
        external: Option<Var<'g>>,
        units: usize,
        rows: usize,
    ) -> (Var<'g>, Var<'g>) {
        let y = match &self.mixing {
            None => y,
            Some(mixing) => mixing.inverse(params, y).0,
        };
        self.couple(params, y, external, (units, rows), Bijection::inverse)
    }

    fn couple<'g>(
        &self,
        params: Var<'g>,
        x: Var<'g>,
        external: Option<Var<'g>>,
        extents: (usize, usize),
        map: impl Fn(&AffineCoupling, Var<'g>, Var<'g>) -> (Var<'g>, Var<'g>),
    ) -> (Var<'g>, Var<'g>) {
        let context = self.context(params, x, external, extents);
        let own = params.slice(
            0,
            self.pool.as_ref().map_or(0, Network::dim)..self.param_count(),
        );
        if context.is_empty() {
            return map(&self.coupling, own, x);
        }
        let mut columns = context;
        columns.push(x);
        let (y, log_det) = map(&self.coupling, own, x.graph().concat(1, &columns));
        let width = self.coupling.dim();
        let d = x.shape().last().copied().unwrap_or(0);
        (y.slice(1, width - d..width), log_det)
    }
}

impl Bijection for ExchangeableUnits {
    fn dim(&self) -> usize {
        self.dim
    }

    fn param_count(&self) -> usize {
        self.layers.iter().map(UnitLayer::param_count).sum()
    }

    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        self.layers.iter().flat_map(|l| l.init(rng)).collect()
    }

    fn forward<'g>(&self, params: Var<'g>, z: Var<'g>) -> (Var<'g>, Var<'g>) {
        self.record(params, z, false)
    }

    fn inverse<'g>(&self, params: Var<'g>, y: Var<'g>) -> (Var<'g>, Var<'g>) {
        self.record(params, y, true)
    }
}
