//! Checkpoints of a fit: its walk's state is saved now and then, and read back to resume.
//!
//! A checkpoint holds the MAP estimates and scales, the report of the stages before the walk, the
//! kernel's settings, and the run. The tangent space at the estimate is computed anew: the same
//! numbers give the same space. A checkpoint must match its fit: options are compared one by one,
//! the data by a checksum of the standardised rows (`identity`).

use std::path::Path;
use std::time::Instant;

use super::coordinates::Coordinates;
use super::{CheckpointOptions, FitReport, Stage, notes};
use crate::artifact::{
    CheckpointHeader, CheckpointReader, Claim, Files, Fitted, Spool, check_checkpoint_place, lost,
    remove_points, write_checkpoint_in,
};
use crate::curvature::EvidenceReport;
use crate::error::{Error, Result};
use crate::model::{LogDensity, Points};
use crate::optim::MapReport;
use crate::scalar::Scalar;
use crate::walk::{Fields, Kernel, Particle, Run, Walk};

/// The fit whose walk is kept, as far as it matters here.
pub(super) struct Subject<'a> {
    pub files: Files,
    pub options: Option<&'a CheckpointOptions>,
    /// File for the points of the walk, if they are not needed in memory.
    pub spool: Option<&'a Path>,
    /// Parameters of an estimate.
    pub dim: usize,
    /// Estimates besides the first one.
    pub others: usize,
    /// The form in which a point of the walk is kept, if it is not that of the walk.
    pub coordinates: Option<Coordinates<'a>>,
    /// What the fit's outcome depends on, by name; empty if nothing is written or read.
    pub identity: Vec<(String, String)>,
}

/// What a walk starts from.
struct Trained<T> {
    evidence: EvidenceReport<T>,
    others: Option<Vec<MapReport<T>>>,
    summary: FitReport,
}

/// Writes checkpoints of a fit, and holds the one to resume from.
pub(super) struct Keeper<'a, T> {
    of: Subject<'a>,
    trained: Option<Trained<T>>,
    reader: Option<CheckpointReader<T>>,
    written: Instant,
    spool: Option<Spool<T>>,
    /// True if the walk can be resumed: it was, or it has been saved.
    saved: bool,
    /// True if points were written to their file.
    spooled: bool,
    /// Why a checkpoint could not be written.
    failure: Option<String>,
    /// Keeps other fits from writing the checkpoint or resuming from it.
    _claim: Option<Claim>,
}

impl<'a, T: Scalar> Keeper<'a, T> {
    /// Opens the checkpoint to resume from, if any.
    pub(super) fn new(of: Subject<'a>) -> Result<Self> {
        let files = &of.files;
        let claim = of.options.map(|o| Claim::within(files, &o.path));
        let claim = claim.transpose()?;
        let resumed = of.options.filter(|o| o.resume);
        // finds out before anything takes time whether the files can be created
        if let Some(options) = of.options.filter(|o| o.saves_cancelled() && !o.resume) {
            check_checkpoint_place(files, &options.path)?;
        }
        let spool = of.spool.filter(|_| resumed.is_none());
        let width = of.coordinates.as_ref().map_or(of.dim, Coordinates::width);
        let spool = spool.map(|path| Spool::create_in(files, path, width));
        let spool = spool.transpose()?;
        let (mut trained, mut reader) = (None, None);
        if let Some(options) = resumed {
            let mut opened = CheckpointReader::open_in(files, &options.path)?;
            trained = Some(Trained::read(&mut opened, &of)?);
            reader = Some(opened);
        }
        Ok(Self {
            of,
            saved: reader.is_some(),
            trained,
            reader,
            written: Instant::now(),
            spool,
            spooled: false,
            failure: None,
            _claim: claim,
        })
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
        let saves = self.of.options.is_some_and(|o| o.saves_cancelled());
        if self.trained.is_none() && saves {
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
        let (Some(mut reader), Some(options)) = (self.reader.take(), self.of.options) else {
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
        if self.of.spool.is_none() && spooled.count > 0 {
            return Err(reader.wrong("it is of a walk whose points are in a file of their own"));
        }
        // checked first: a wrong checkpoint must not cut off points
        reader.finish()?;
        let files = &self.of.files;
        let resumed = self.of.spool.map(|path| match spooled.count {
            // the points are in the checkpoint
            0 => Spool::create_in(files, path, run.dim()),
            count => Spool::resume_in((files, path), run.dim(), count, spooled.checksum()),
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
                self.spooled = true;
                let coordinates = &self.of.coordinates;
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
        let points = match &self.of.coordinates {
            Some(coordinates) => coordinates.stored(&walked.points)?,
            None => walked.points,
        };
        if let Some(spool) = &mut self.spool {
            self.spooled = true;
            spool.append(&points)?;
            spool.sync()?;
            if self.saved {
                spool.set_resumable();
            }
        }
        match self.spool.take() {
            Some(spool) => Ok(Fitted::Spooled(spool)),
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
        let every = self.of.options.and_then(|o| o.every);
        if every.is_none_or(|e| self.written.elapsed() < e) {
            return Ok(());
        }
        self.failure = match self.write(kernel, run) {
            Err(e @ Error::Io { .. }) => Some(e.to_string()),
            outcome => outcome.map(|()| None)?,
        };
        self.written = Instant::now();
        Ok(())
    }

    /// Saves a walk that is cancelled between two blocks, if the fit asks for that. Returns the
    /// error that ends the fit.
    pub(super) fn cancelled<D: LogDensity<T>, K: Kernel<T, D>>(
        &mut self,
        kernel: &mut K,
        run: &mut Run<T, K::State, K::Workspace>,
    ) -> Error {
        let saves = self.of.options.is_some_and(|o| o.saves_cancelled());
        if saves && let Err(failure) = self.write(kernel, run) {
            return failure;
        }
        Error::Cancelled {
            stage: Stage::Walk.name(),
            checkpoint: None,
        }
    }

    /// Tidies up after a fit that failed: its file of points is removed, unless there is a
    /// checkpoint to go on from. The error of a cancelled fit, or of a file, says which.
    pub(super) fn tidy(mut self, error: Error) -> Error {
        let stale = self.spooled && !self.saved;
        let removed = match (self.spool.take(), self.of.spool) {
            (Some(spool), _) if stale => spool.remove(),
            (None, Some(path)) if stale => remove_points(&self.of.files, path),
            _ => Ok(()),
        };
        let checkpoint = self.of.options.filter(|_| self.saved);
        let checkpoint = checkpoint.map(|o| o.path.clone());
        match (error, removed) {
            (Error::Cancelled { .. }, Err(failure)) => failure,
            (Error::Cancelled { stage, .. }, Ok(())) => Error::Cancelled { stage, checkpoint },
            (Error::Io { path, source }, removed) if self.spooled || self.saved => {
                lost((path, &source), checkpoint.as_deref(), removed)
            }
            (other, _) => other,
        }
    }

    fn write<D: LogDensity<T>, K: Kernel<T, D>>(
        &mut self,
        kernel: &mut K,
        run: &mut Run<T, K::State, K::Workspace>,
    ) -> Result<()> {
        let (Some(options), Some(trained)) = (self.of.options, &mut self.trained) else {
            return Ok(());
        };
        let header = CheckpointHeader {
            identity: self.of.identity.clone(),
            notes: notes::write(&trained.summary),
        };
        let mut spooled = Spooled::default();
        if let Some(spool) = &mut self.spool {
            spool.sync()?;
            spooled = Spooled::of(spool);
        }
        write_checkpoint_in((&self.of.files, &options.path), &header, |fields| {
            trained.fields(fields)?;
            kernel.fields(fields)?;
            run.fields(fields)?;
            spooled.fields(fields)
        })?;
        self.saved = true;
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
    /// The state of a fit to be resumed, which must be that of `subject`.
    fn read(reader: &mut CheckpointReader<T>, subject: &Subject<'_>) -> Result<Self> {
        if let Some(what) = reader.header().difference(&subject.identity) {
            return Err(reader.wrong(what));
        }
        let summary = notes::read(&reader.header().notes).map_err(|e| reader.wrong(e))?;
        let mut trained = Self {
            evidence: EvidenceReport::given(report(), 1.0, None),
            others: Some((0..subject.others).map(|_| report()).collect()),
            summary,
        };
        trained.fields(reader)?;
        let estimates = trained.others.iter().flatten();
        for map in estimates.chain([&trained.evidence.map]) {
            if map.theta.len() != subject.dim {
                return Err(reader.wrong("its estimates are of another network"));
            }
        }
        Ok(trained)
    }

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
