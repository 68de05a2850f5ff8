//! Checkpoints of a fit: its walk's state is saved now and then, and read back to resume.
//!
//! A checkpoint holds the MAP estimates and scales, the report of the stages before the walk, the
//! kernel's settings, and the run. The tangent space at the estimate is computed anew: the same
//! numbers give the same space. A checkpoint must match its fit: options are compared one by one,
//! the data by a checksum of the standardised rows.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::fit::Problem;
use super::hierarchy::Coordinates;
use super::{FitOptions, FitReport, MicrocanonicalSettings, WalkSettings, notes};
use crate::artifact::{
    CheckpointHeader, CheckpointReader, Checksum, Claim, Fitted, Spool, write_checkpoint,
};
use crate::curvature::EvidenceReport;
use crate::error::{Error, Result};
use crate::model::{LogDensity, Points};
use crate::optim::MapReport;
use crate::scalar::Scalar;
use crate::walk::{Fields, Kernel, Particle, Run, Walk};

/// Where and how often a running walk is saved, and whether to resume it. While it runs, a fit
/// holds the [claim](Claim) to the file, and a second fit to the same file is refused. Whoever
/// saves the model removes the file ([`remove_checkpoint`](crate::artifact::remove_checkpoint)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// The file.
    pub path: PathBuf,
    /// Time between writes, and before the first one; `None`: nothing is written.
    pub every: Option<Duration>,
    /// Resumes the walk from the file, which must have the same data and options. The model is then
    /// bit for bit the same as without an interruption, on any number of threads.
    pub resume: bool,
}

/// What a walk starts from.
struct Trained<T> {
    evidence: EvidenceReport<T>,
    others: Option<Vec<MapReport<T>>>,
    summary: FitReport,
}

/// Writes checkpoints of a fit, and holds the one to resume from.
pub(super) struct Keeper<'a, T> {
    options: Option<&'a CheckpointOptions>,
    identity: Vec<(String, String)>,
    trained: Option<Trained<T>>,
    reader: Option<CheckpointReader<T>>,
    written: Instant,
    /// The file of the walk's points, if they are kept in one.
    spool_path: Option<&'a Path>,
    spool: Option<Spool<T>>,
    /// The form in which a point of the walk is kept.
    coordinates: Option<Coordinates<'a>>,
    /// Why a checkpoint could not be written.
    failure: Option<String>,
    /// Keeps other fits from writing the checkpoint or resuming from it.
    _claim: Option<Claim>,
}

impl<'a, T: Scalar> Keeper<'a, T> {
    /// Opens the checkpoint to resume from, if any.
    pub(super) fn new(problem: &Problem<'a>) -> Result<Self> {
        let method = &problem.options.method;
        let options = method.checkpoint();
        let resumes = options.is_some_and(|o| o.resume);
        let spool_path = method.spool();
        let claim = options.map(|o| Claim::of(&o.path)).transpose()?;
        // finds out before anything takes time whether the file can be created
        let spool = spool_path.filter(|_| !resumes);
        let coordinates = problem.coordinates();
        let width = match &coordinates {
            Some(coordinates) => coordinates.width(),
            None => problem.dim(),
        };
        let spool = spool.map(|path| Spool::create(path, width));
        let mut keeper = Self {
            coordinates,
            options,
            identity: Vec::new(),
            trained: None,
            reader: None,
            written: Instant::now(),
            spool_path,
            spool: spool.transpose()?,
            failure: None,
            _claim: claim,
        };
        let options = options.filter(|o| o.every.is_some() || o.resume);
        let Some((options, walk)) = options.zip(method.walk()) else {
            return Ok(keeper);
        };
        keeper.identity = identity::<T>(problem, walk);
        if options.resume {
            let mut reader = CheckpointReader::open(&options.path)?;
            if let Some(what) = reader.header().difference(&keeper.identity) {
                return Err(reader.wrong(what));
            }
            let summary = notes::read(&reader.header().notes).map_err(|e| reader.wrong(e))?;
            let mut trained = Trained {
                evidence: nothing(),
                others: Some((1..walk.starts).map(|_| report()).collect()),
                summary,
            };
            trained.fields(&mut reader)?;
            let estimates = trained.others.iter().flatten();
            for map in estimates.chain([&trained.evidence.map]) {
                if map.theta.len() != problem.dim() {
                    return Err(reader.wrong("its estimates are of another network"));
                }
            }
            keeper.trained = Some(trained);
            keeper.reader = Some(reader);
        }
        Ok(keeper)
    }

    /// True while a run has yet to be restored.
    pub(super) fn resumes(&self) -> bool {
        self.reader.is_some()
    }

    /// The estimate, scales and report of the fit that is resumed.
    pub(super) fn evidence(&self) -> Option<(EvidenceReport<T>, FitReport)> {
        let trained = self.trained.as_ref()?;
        Some((trained.evidence.clone(), trained.summary.clone()))
    }

    /// Remembers what was trained, if checkpoints are written.
    pub(super) fn trained(&mut self, evidence: &EvidenceReport<T>, summary: &FitReport) {
        if self.trained.is_none() && self.options.is_some_and(|o| o.every.is_some()) {
            self.trained = Some(Trained {
                evidence: evidence.clone(),
                others: None,
                summary: summary.clone(),
            });
        }
    }

    /// The estimates from other initial parameters: from the resumed fit, or else from `compute`.
    pub(super) fn others(
        &mut self,
        compute: impl FnOnce() -> Result<Vec<MapReport<T>>>,
    ) -> Result<Vec<MapReport<T>>> {
        let Some(trained) = &mut self.trained else {
            return compute();
        };
        let others = match trained.others.take() {
            Some(others) => others,
            None => compute()?,
        };
        trained.others = Some(others.clone());
        Ok(others)
    }

    /// Restores kernel and run to their state at the checkpoint.
    pub(super) fn restore<D: LogDensity<T>, K: Kernel<T, D>>(
        &mut self,
        kernel: &mut K,
        run: &mut Run<T, K::State, K::Workspace>,
        summary: &mut FitReport,
    ) -> Result<()> {
        self.written = Instant::now();
        let (Some(mut reader), Some(options)) = (self.reader.take(), self.options) else {
            return Ok(());
        };
        let mut spooled = Spooled::default();
        let restored = kernel
            .fields(&mut reader)
            .and_then(|()| run.fields(&mut reader))
            .and_then(|()| spooled.fields(&mut reader));
        restored.map_err(|e| match e {
            Error::Checkpoint { .. } | Error::Io { .. } => e,
            other => reader.wrong(format!("it is damaged: {other}")),
        })?;
        if run.drained() != spooled.count {
            return Err(reader.wrong("it is damaged: its points are not as many as it says"));
        }
        if self.spool_path.is_none() && spooled.count > 0 {
            return Err(reader.wrong("it is of a walk whose points are in a file of their own"));
        }
        // checked first: a wrong checkpoint must not cut off points
        reader.finish()?;
        let resumed = self.spool_path.map(|path| match spooled.count {
            // the points are in the checkpoint
            0 => Spool::create(path, run.dim()),
            count => Spool::resume(path, run.dim(), count, spooled.checksum()),
        });
        self.spool = resumed.transpose()?;
        let said = summary.checkpoint.get_or_insert_default();
        said.resumed_after = Some(run.steps());
        said.file = Some(options.path.display().to_string());
        Ok(())
    }

    /// Writes the points that were just kept to their file. If the disk does not take them, the
    /// walk ends; it can resume from the last checkpoint.
    pub(super) fn spool<S: Particle<T>, W: Send>(&mut self, run: &mut Run<T, S, W>) -> Result<()> {
        match &mut self.spool {
            Some(spool) if run.kept_bytes() > 0 => {
                let coordinates = &self.coordinates;
                run.drain(|points| match coordinates {
                    Some(coordinates) => spool.append(&coordinates.stored(points)?),
                    None => spool.append(points),
                })
            }
            _ => Ok(()),
        }
    }

    /// The points of a finished walk, in memory or in a file.
    pub(super) fn points(&mut self, walked: Walk<T>) -> Result<Fitted<T>> {
        let points = match &self.coordinates {
            Some(coordinates) => coordinates.stored(&walked.points)?,
            None => walked.points,
        };
        match self.spool.take() {
            Some(mut spool) => {
                spool.append(&points)?;
                spool.sync()?;
                Ok(Fitted::Spooled(spool))
            }
            None => Ok(Fitted::Points(Points::new(walked.dim, points)?)),
        }
    }

    /// Writes a checkpoint if it is time. A failure does not end the walk; the report states it at
    /// the end.
    pub(super) fn between_blocks<D: LogDensity<T>, K: Kernel<T, D>>(
        &mut self,
        kernel: &mut K,
        run: &mut Run<T, K::State, K::Workspace>,
    ) -> Result<()> {
        let (Some(options), Some(trained)) = (self.options, &mut self.trained) else {
            return Ok(());
        };
        if options.every.is_none_or(|e| self.written.elapsed() < e) {
            return Ok(());
        }
        let header = CheckpointHeader {
            identity: self.identity.clone(),
            notes: notes::write(&trained.summary),
        };
        let mut spooled = Spooled::default();
        if let Some(spool) = &mut self.spool {
            if let Err(error) = spool.sync() {
                self.failure = Some(error.to_string());
                self.written = Instant::now();
                return Ok(());
            }
            spooled = Spooled::of(spool);
        }
        let written = write_checkpoint(&options.path, &header, |fields| {
            trained.fields(fields)?;
            kernel.fields(fields)?;
            run.fields(fields)?;
            spooled.fields(fields)
        });
        self.failure = match written {
            Err(e @ Error::Io { .. }) => Some(e.to_string()),
            outcome => outcome.map(|()| None)?,
        };
        self.written = Instant::now();
        Ok(())
    }

    /// Reports whether the last checkpoint failed.
    pub(super) fn say(&self, summary: &mut FitReport) {
        if let Some(failure) = &self.failure {
            summary.checkpoint.get_or_insert_default().failure = Some(failure.clone());
        }
    }
}

/// What a checkpoint records about the file of points.
#[derive(Default)]
struct Spooled {
    count: usize,
    /// The two halves of the checksum, because a count may have only 32 bits.
    low: usize,
    high: usize,
}

impl Spooled {
    const HALF: u64 = u32::MAX as u64;

    fn of<T: Scalar>(spool: &Spool<T>) -> Self {
        let sum = spool.checksum();
        Self {
            count: spool.count(),
            low: (sum & Self::HALF) as usize,
            high: (sum >> 32) as usize,
        }
    }

    fn checksum(&self) -> u64 {
        (self.high as u64) << 32 | (self.low as u64 & Self::HALF)
    }

    fn fields<T>(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.count("spooled", &mut self.count)?;
        fields.count("spooled checksum, low", &mut self.low)?;
        fields.count("spooled checksum, high", &mut self.high)
    }
}

impl<T: Scalar> Trained<T> {
    fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        let e = &mut self.evidence;
        map_fields(&mut e.map, fields)?;
        fields.number("prior_precision", &mut e.prior_precision)?;
        let mut noise = e.noise_std.unwrap_or(f64::NAN);
        fields.number("noise_std", &mut noise)?;
        e.noise_std = (!noise.is_nan()).then_some(noise);
        fields.count("rounds", &mut e.rounds)?;
        fields.count("products", &mut e.products)?;
        for (name, flag) in [("settled", &mut e.settled), ("bounded", &mut e.bounded)] {
            let mut count = usize::from(*flag);
            fields.count(name, &mut count)?;
            *flag = count != 0;
        }
        let others = self.others.iter_mut().flatten();
        others.into_iter().try_for_each(|m| map_fields(m, fields))
    }
}

fn map_fields<T>(map: &mut MapReport<T>, fields: &mut dyn Fields<T>) -> Result<()> {
    fields.vector("theta", &mut map.theta)?;
    fields.number("energy", &mut map.energy)?;
    fields.number("gradient_norm", &mut map.gradient_norm)?;
    fields.number("initial_gradient_norm", &mut map.initial_gradient_norm)?;
    fields.count("gradients", &mut map.gradients)?;
    fields.count("clipped", &mut map.clipped)
}

fn report<T>() -> MapReport<T> {
    MapReport {
        theta: Vec::new(),
        energy: 0.0,
        gradient_norm: 0.0,
        initial_gradient_norm: 0.0,
        gradients: 0,
        clipped: 0,
    }
}

fn nothing<T>() -> EvidenceReport<T> {
    EvidenceReport::given(report(), 1.0, None)
}

/// Everything that a walk's outcome depends on. The options are destructured field by field, so that
/// a new option cannot be forgotten here. What a method does after its walk does not matter.
fn identity<T: Scalar>(problem: &Problem<'_>, walk: &WalkSettings) -> Vec<(String, String)> {
    let FitOptions {
        layers,
        hidden,
        choose_hidden: _,
        activation,
        likelihood: _,
        feature_transform,
        target_transform,
        prior,
        prior_precision,
        noise_std,
        batch,
        epochs,
        method,
        seed,
    } = problem.options;
    let WalkSettings {
        kernel,
        starts,
        particles,
        steps,
        samples,
        max_seconds: _,
        max_memory: _,
    } = walk;
    // of a kernel without these settings, the defaults are written
    let MicrocanonicalSettings {
        step_size,
        decoherence_length,
        adjusted,
        walk_batch,
    } = &kernel.microcanonical().copied().unwrap_or_default();
    let auto = |value: &Option<f64>| value.map_or("auto".into(), |x| format!("{x:?}"));
    let (x, y) = (&problem.prepared.x, &problem.prepared.y);
    let mut data = Checksum::new();
    for v in x.iter().chain(y) {
        data.add(&v.to_bits().to_le_bytes());
    }
    let layers = layers.as_ref().map_or("none".into(), |l| l.to_string());
    let entries = [
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("precision", T::NAME.into()),
        ("method", method.method().name().into()),
        ("kernel", kernel.kind().name().into()),
        ("rows", problem.prepared.rows().to_string()),
        ("features", problem.network.input_dim().to_string()),
        ("layers", layers),
        ("hidden", format!("{hidden:?}")),
        ("activation", activation.name().into()),
        ("likelihood", problem.likelihood_name()),
        ("feature_transform", feature_transform.name().into()),
        ("target_transform", target_transform.name().into()),
        ("prior", prior.name().into()),
        ("prior_precision", auto(prior_precision)),
        ("noise_std", auto(noise_std)),
        ("batch", format!("{batch:?}")),
        ("epochs", format!("{epochs:?}")),
        ("step_size", auto(step_size)),
        ("decoherence_length", auto(decoherence_length)),
        ("adjusted", adjusted.to_string()),
        ("starts", starts.to_string()),
        (
            "particles",
            particles.map_or("auto".into(), |n| n.to_string()),
        ),
        ("steps", steps.map_or("auto".into(), |n| n.to_string())),
        ("samples", samples.to_string()),
        ("walk_batch", format!("{walk_batch:?}")),
        ("seed", seed.to_string()),
        // last: the maps of columns depend on all of the above
        (
            "data",
            format!("(standardised, checksum {:016x})", data.value()),
        ),
    ];
    entries.map(|(name, value)| (name.into(), value)).into()
}
