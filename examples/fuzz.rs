//! Damaged files for every reader: tables, images, models, checkpoints and points. A reader returns
//! a value or an error; a panic ends the program.
//!
//! `cargo run --release --example fuzz [SECONDS [SEED [READER...]]]` mutates small good files for
//! so many seconds (10 by default), an equal share of the time for each reader, and prints how many
//! it tried. `1000000x` in place of the seconds is so many files of each reader. Readers are
//! tables, images, models, checkpoints and points: all, unless some are named. The same seed gives
//! the same files. Half of the models and checkpoints get a right checksum after the damage:
//! otherwise nothing behind the checksum would be tried.

// a program talks to its user; the library does not
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::{Duration, Instant};

use fiberwalk::artifact::{AnyModel, Spool};
use fiberwalk::data::{CsvOptions, CsvText, Dataset, RowOptions, Schema, banana, read_idx};
use fiberwalk::model::Posterior;
use fiberwalk::pipeline::{
    CheckpointOptions, FitOptions, Method, PointsSettings, Progress, WalkSettings, fit,
};
use fiberwalk::{Phase, Result, Streams};
use rand::{Rng, RngExt};

const TABLES: [&str; 4] = [
    "a,b,y\n1,2.5,0\n3,4,1\n5,6,1\n",
    "sex;deck;age;fare\nmale;A;22;7,25\nfemale;?;38;71,5\nfemale;C;;8\n",
    "\u{feff}\"x\"\t\"y\"\r\n\"1\"\t\"a \"\"b\"\"\"\r\n2\tc\r\n",
    "# note\n,x,y\n0,1e-3,yes\n1,-2E+4,no\n2,.5,yes\n",
];

/// Bytes that mean something to a reader.
const TELLING: &[u8] = b",;\t|\"\n\r.-+eE0195?N#={}[]:\x00\xff\x1f\x8b";

/// Changes, inserts, removes or repeats a few pieces.
fn mutate(good: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=bytes.len());
        let byte = match rng.random_range(0..3) {
            0 => rng.random_range(0..=u8::MAX),
            _ => TELLING[rng.random_range(0..TELLING.len())],
        };
        match rng.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] = byte,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            3 => {
                let end = (at + rng.random_range(0..16)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => bytes.insert(at, byte),
        }
    }
    bytes
}

/// 64-bit FNV-1a, of a byte or a word.
fn fnv(sum: u64, next: u64) -> u64 {
    (sum ^ next).wrapping_mul(0x0000_0100_0000_01b3)
}

const START: u64 = 0xcbf2_9ce4_8422_2325;

/// A damaged model with the right checksum: either its header is damaged, or its tensors are, in
/// place. The sum is by words of eight bytes: `src/artifact/checksum.rs`.
fn forged_model(good: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let (Some((length, rest)), Some((body, _))) =
        (good.split_first_chunk::<8>(), good.split_last_chunk::<8>())
    else {
        return good.to_vec();
    };
    let mut body = body.to_vec();
    let end = u64::from_le_bytes(*length) as usize;
    if rng.random() || body.len() <= 8 + end {
        let header = mutate(&rest[..end], rng);
        let length = (header.len() as u64).to_le_bytes();
        body = [&length[..], &header, &body[8 + end..]].concat();
    } else {
        let at = rng.random_range(8 + end..body.len());
        body[at] = rng.random_range(0..=u8::MAX);
    }
    let mut words = body.clone();
    words.resize(body.len() / 8 * 8 + 8, 0);
    words.extend((body.len() as u64).to_le_bytes());
    let (words, _) = words.as_chunks::<8>();
    let sum = words.iter().fold(START, |sum, word| {
        let product = fnv(sum, u64::from_le_bytes(*word));
        product ^ (product >> 32)
    });
    body.extend(sum.to_le_bytes());
    body
}

/// A damaged checkpoint with the right checksum behind it.
fn forged_checkpoint(good: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = mutate(&good[..good.len() - 8], rng);
    let sum = bytes.iter().fold(START, |sum, b| fnv(sum, u64::from(*b)));
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// How long a reader is tried.
#[derive(Clone, Copy)]
enum Until {
    Time(Duration),
    Files(u64),
}

impl Until {
    /// `10`, seconds for all readers, or `1000x`, files of each.
    fn parse(text: &str, readers: usize) -> std::result::Result<Self, Box<dyn std::error::Error>> {
        Ok(match text.strip_suffix('x') {
            Some(files) => Self::Files(files.parse()?),
            None => Self::Time(Duration::from_secs_f64(
                text.parse::<f64>()? / readers as f64,
            )),
        })
    }

    fn is_over(self, start: Instant, tried: u64) -> bool {
        match self {
            Self::Time(time) => start.elapsed() >= time,
            Self::Files(files) => tried >= files,
        }
    }
}

/// Mutates until the time is over. Returns how many files were tried, and how many were read.
fn try_all<R: Rng>(
    good: &[Vec<u8>],
    time: Until,
    rng: &mut R,
    read: impl FnMut(&[u8]) -> bool,
) -> (u64, u64) {
    try_with(good, (time, &mut |good, rng| mutate(good, rng)), rng, read)
}

type Damage<'a, R> = &'a mut dyn FnMut(&[u8], &mut R) -> Vec<u8>;

/// As [`try_all`], with damage of another kind.
fn try_with<R: Rng>(
    good: &[Vec<u8>],
    (time, damage): (Until, Damage<'_, R>),
    rng: &mut R,
    mut read: impl FnMut(&[u8]) -> bool,
) -> (u64, u64) {
    let (start, mut tried, mut accepted) = (Instant::now(), 0, 0);
    while !time.is_over(start, tried) {
        let bytes = damage(&good[rng.random_range(0..good.len())], rng);
        accepted += u64::from(read(&bytes));
        tried += 1;
    }
    (tried, accepted)
}

/// Reads a table anew and for a model, and encodes what it has read once more.
fn read_table(bytes: &[u8], known: &Schema) -> bool {
    let text = CsvText::from_bytes(bytes, "fuzz");
    let rows = text.clone().features(known, &RowOptions::default());
    if let Ok(rows) = &rows {
        assert_eq!(rows.features.len(), rows.rows * known.encoded_names().len());
    }
    match text.dataset(&CsvOptions::default()) {
        Ok(data) => {
            let schema = data.schema();
            assert_eq!(schema.encoded_names(), data.feature_names());
            assert!(data.features().iter().all(|v| v.is_finite()));
            true
        }
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "{error}");
            rows.is_ok()
        }
    }
}

/// Small models: a table with words, and a walk.
fn models() -> Result<Vec<Vec<u8>>> {
    let words = Dataset::builder()
        .texts("city", ["Rome", "Oslo", "Rome", "Lima", "Oslo", "Lima"])
        .optional_numbers(
            "x",
            [Some(1.0), None, Some(0.5), Some(2.0), None, Some(3.0)],
        )
        .target_numbers("y", [0.1, 0.9, 0.2, 1.4, 1.1, 1.9])?;
    let mut all = Vec::new();
    for method in [Method::Map, Method::Walk, Method::Atlas] {
        let mut options = FitOptions::of(method);
        options.hidden = vec![3];
        if let Some(walk) = options.method.walk_mut() {
            (walk.steps, walk.particles) = (Some(20), Some(4));
        }
        all.push(fit::<f32>(&words, &options, &())?.model.to_bytes()?);
    }
    Ok(all)
}

/// Ends a walk that a forged checkpoint makes endless.
struct Limit(Instant);

impl Progress for Limit {
    fn cancelled(&self) -> bool {
        self.0.elapsed() > Duration::from_secs(1)
    }
}

/// Resumes a small fit from damaged checkpoints.
fn checkpoints(directory: &Path, time: Until, rng: &mut impl Rng) -> Result<(u64, u64)> {
    let data = banana(12, &Streams::new(0))?;
    let (path, points) = (directory.join("checkpoint"), directory.join("points"));
    let options = |resume: bool| {
        let walk = WalkSettings {
            particles: Some(2),
            samples: 20,
            steps: Some(60),
            ..WalkSettings::default()
        };
        let checkpoint = CheckpointOptions {
            path: path.clone(),
            every: Some(Duration::ZERO).filter(|_| !resume),
            resume,
            ..CheckpointOptions::default()
        };
        let method = PointsSettings {
            walk,
            spool: Some(points.clone()),
            checkpoint: Some(checkpoint),
            ..PointsSettings::default()
        };
        FitOptions {
            hidden: vec![2],
            prior_precision: Some(1.0),
            method: method.into(),
            ..FitOptions::default()
        }
    };
    let whole = fit::<f32>(&data, &options(false), &())?.model.to_bytes()?;
    let of_file = |path: &Path| {
        std::fs::read(path).map_err(|source| fiberwalk::Error::Io {
            path: path.to_path_buf(),
            source,
        })
    };
    let (good, kept) = (of_file(&path)?, of_file(&points)?);
    let mut forge = false;
    let mut damage = |good: &[u8], rng: &mut _| {
        forge = !forge;
        match forge {
            true => forged_checkpoint(good, rng),
            false => mutate(good, rng),
        }
    };
    let signed = |bytes: &[u8]| {
        let end = bytes.len().saturating_sub(8);
        let sum = bytes[..end]
            .iter()
            .fold(START, |sum, b| fnv(sum, u64::from(*b)));
        bytes[end..] == sum.to_le_bytes()
    };
    let resume = options(true);
    Ok(try_with(&[good], (time, &mut damage), rng, |bytes| {
        let placed = std::fs::write(&path, bytes).and_then(|()| std::fs::write(&points, &kept));
        let resumed = fit::<f32>(&data, &resume, &Limit(Instant::now()));
        let model = resumed.and_then(|fitted| fitted.model.to_bytes());
        if !signed(bytes) {
            assert!(model.is_err(), "damage that the checksum does not show");
        }
        placed.is_ok() && model.is_ok_and(|model| model == whole)
    }))
}

/// Resumes from damaged files of points: what is read of them are the points that were written.
fn points(directory: &Path, time: Until, rng: &mut impl Rng) -> Result<(u64, u64)> {
    let path = directory.join("two");
    let mut spool = Spool::<f32>::create(&path, 2)?;
    spool.append(&[1.0, 2.0, 3.0, 4.0])?;
    let (count, sum) = (spool.count(), spool.checksum());
    spool.append(&[5.0, 6.0])?;
    spool.sync()?;
    drop(spool);
    let good = std::fs::read(&path).unwrap_or_default();
    Ok(try_all(&[good], time, rng, |bytes| {
        let placed = std::fs::write(&path, bytes);
        let resumed = Spool::<f32>::resume(&path, 2, count, sum);
        let read = resumed.and_then(|spool| spool.sample(9, Streams::new(0)));
        let same = read.map(|points| assert_eq!(points, [1.0, 2.0, 3.0, 4.0]));
        placed.is_ok() && same.is_ok()
    }))
}

/// Tables, read anew and for a model.
fn tables(time: Until, rng: &mut impl Rng) -> Result<(u64, u64)> {
    let tables: Vec<Vec<u8>> = TABLES.iter().map(|t| t.as_bytes().to_vec()).collect();
    let known = CsvText::from_bytes(TABLES[1], "good").dataset(&CsvOptions::default())?;
    let known = known.schema();
    Ok(try_all(&tables, time, rng, |bytes| {
        read_table(bytes, &known)
    }))
}

/// Two images of 2 x 3 pixels, and a vector of floats.
fn images(directory: &Path, time: Until, rng: &mut impl Rng) -> (u64, u64) {
    let images = [
        &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3][..],
        &[7; 12],
    ]
    .concat();
    let floats = [
        &[0, 0, 13, 1, 0, 0, 0, 2][..],
        &1.5f32.to_be_bytes(),
        &[0; 4],
    ]
    .concat();
    let file = directory.join("images");
    try_all(&[images, floats], time, rng, |bytes| {
        std::fs::write(&file, bytes).is_ok() && read_idx(&file, None).is_ok()
    })
}

/// Models: what can be read can be used, or says why not.
fn damaged_models(time: Until, rng: &mut impl Rng) -> Result<(u64, u64)> {
    let mut forge = false;
    let mut damage = |good: &[u8], rng: &mut _| {
        forge = !forge;
        match forge {
            true => forged_model(good, rng),
            false => mutate(good, rng),
        }
    };
    let models = models()?;
    Ok(try_with(
        &models,
        (time, &mut damage),
        rng,
        |bytes| match AnyModel::from_bytes(bytes) {
            Ok(model) => model
                .predictor(4, 0)
                .is_ok_and(|p| p.row(&[0.0; 5]).is_ok()),
            Err(_) => false,
        },
    ))
}

const READERS: [&str; 5] = ["tables", "images", "models", "checkpoints", "points"];

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (time, seed) = (args.next(), args.next());
    let seed: u64 = seed.map_or(Ok(0), |s| s.parse())?;
    let named: Vec<String> = args.collect();
    if let Some(other) = named.iter().find(|name| !READERS.contains(&name.as_str())) {
        return Err(format!(
            "no such reader as {other}: there are {}",
            READERS.join(", ")
        )
        .into());
    }
    let wanted = |name: &&str| named.is_empty() || named.iter().any(|n| n == name);
    let readers: Vec<&str> = READERS.into_iter().filter(wanted).collect();
    let time = Until::parse(time.as_deref().unwrap_or("10"), readers.len())?;
    let mut rng = Streams::new(seed).rng(Phase::USER, 0);
    let directory = tempfile::tempdir()?;
    for name in readers {
        let (start, at) = (Instant::now(), directory.path());
        let (tried, read) = match name {
            "tables" => tables(time, &mut rng)?,
            "images" => images(at, time, &mut rng),
            "models" => damaged_models(time, &mut rng)?,
            "checkpoints" => checkpoints(at, time, &mut rng)?,
            _ => points(at, time, &mut rng)?,
        };
        let seconds = start.elapsed().as_secs_f64();
        println!("{name:<11} {tried} files, {read} of them read, {seconds:.0} s");
    }
    Ok(())
}
