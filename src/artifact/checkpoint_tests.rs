use super::*;

/// A state with a field of every kind, and entries at the limits of their types.
#[derive(Clone, Debug, PartialEq)]
struct State {
    vector: Vec<f32>,
    numbers: Vec<f64>,
    counts: Vec<usize>,
    empty: Vec<f32>,
}

impl State {
    fn new() -> Self {
        Self {
            vector: (0..70_001).map(|i| (i as f32).sin()).collect(),
            numbers: vec![f64::INFINITY, -0.0, f64::MIN_POSITIVE],
            counts: vec![0, usize::MAX],
            empty: Vec::new(),
        }
    }

    fn fields(&mut self, fields: &mut dyn Fields<f32>) -> Result<()> {
        fields.vector("vector", &mut self.vector)?;
        fields.numbers("numbers", &mut self.numbers)?;
        fields.counts("counts", &mut self.counts)?;
        fields.vector("empty", &mut self.empty)
    }
}

fn header() -> CheckpointHeader {
    let entry = |name: &str, value: &str| (name.to_string(), value.to_string());
    CheckpointHeader {
        identity: vec![entry("seed", "3"), entry("steps", "auto")],
        notes: "two\nlines".into(),
    }
}

/// Writes a checkpoint in a temporary directory.
fn written() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.fw.checkpoint");
    write_checkpoint(&path, &header(), |fields| State::new().fields(fields)).unwrap();
    (dir, path)
}

fn read(path: &Path) -> Result<State> {
    let mut reader = CheckpointReader::open(path)?;
    let mut state = State {
        vector: vec![1.0; 3],
        numbers: Vec::new(),
        counts: vec![7],
        empty: vec![2.0],
    };
    state.fields(&mut reader)?;
    reader.finish()?;
    Ok(state)
}

/// The bytes with the right checksum.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 8;
    let mut sum = Checksum::new();
    sum.add(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.value().to_le_bytes());
    bytes
}

#[test]
fn what_is_written_is_read_and_removed() {
    let (dir, path) = written();
    let want = State::new();
    assert_eq!(read(&path).unwrap(), want);
    let reader = CheckpointReader::<f32>::open(&path).unwrap();
    assert_eq!(*reader.header(), header());
    assert!(reader.finish().is_err(), "nothing was read of it");
    remove_checkpoint(&path).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    remove_checkpoint(&path).unwrap();
    std::fs::write(&path, "something else, of some length").unwrap();
    remove_checkpoint(&path).unwrap();
    assert!(path.exists(), "not one of ours");
}

#[test]
fn the_first_difference_is_named() {
    let same = header().identity;
    assert_eq!(header().difference(&same), None);
    let mut other = same.clone();
    other[0].1 = "4".into();
    let what = header().difference(&other).unwrap();
    assert_eq!(
        what,
        "it was written by a fit with seed = 3, this one has seed = 4"
    );
    other[0].0 = "seeds".into();
    let what = header().difference(&other).unwrap();
    assert!(what.contains("another version"));
    let what = header().difference(&same[..1]).unwrap();
    assert!(what.contains("another version"));
}

#[test]
fn a_file_that_was_cut_or_changed_anywhere_is_refused() {
    let (_dir, path) = written();
    let bytes = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        matches!(read(&path), Err(Error::Checkpoint { .. }))
    };
    let every = bytes.len() / 61;
    let places = (0..200).chain((200..bytes.len()).step_by(every));
    for at in places.chain(bytes.len() - 9..bytes.len()) {
        assert!(refused(&bytes[..at]), "cut at {at}");
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert!(refused(&changed), "changed at {at}");
    }
    assert!(refused(b""));
    assert!(!refused(&bytes));
}

/// Even with a recomputed checksum, the reader does not panic or allocate more than the file holds.
#[test]
fn lengths_that_lie_are_refused() {
    let (_dir, path) = written();
    let bytes = std::fs::read(&path).unwrap();
    let at = |name: &[u8]| bytes.windows(name.len()).position(|w| w == name).unwrap();
    let counts = [
        MAGIC.len(),
        at(b"\x06vector") + 7,
        at(b"\x07numbers") + 8,
        at(b"\x06counts") + 7,
        at(b"\x05empty") + 6,
    ];
    for (i, start) in counts.into_iter().enumerate() {
        for count in [1 << 20, 1 << 40, u64::MAX / 4, u64::MAX] {
            let mut changed = bytes.clone();
            changed[start..start + 8].copy_from_slice(&u64::to_le_bytes(count));
            std::fs::write(&path, signed(changed)).unwrap();
            let outcome = read(&path);
            let refused = matches!(outcome, Err(Error::Checkpoint { .. }));
            assert!(refused, "length {i} as {count}: {outcome:?}");
        }
    }
    // names, kinds, and what comes after the last field
    for (place, byte) in [
        (at(b"vector"), b'w'),
        (at(b"\x06vector") - 1, b'n'),
        (at(b"\x06counts"), 5),
    ] {
        let mut changed = bytes.clone();
        changed[place] = byte;
        std::fs::write(&path, signed(changed)).unwrap();
        assert!(read(&path).is_err());
    }
    let mut longer = bytes.clone();
    longer.push(0);
    std::fs::write(&path, signed(longer)).unwrap();
    assert!(read(&path).is_err(), "a byte is left over");
}
