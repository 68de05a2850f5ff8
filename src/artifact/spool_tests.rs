use super::*;

fn all<T: Scalar>(spool: &Spool<T>) -> Vec<T> {
    spool.sample(usize::MAX, Streams::new(0)).unwrap()
}

#[test]
fn points_come_back_and_a_resumed_file_forgets_what_came_after() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    std::fs::write(&path, "").unwrap();
    let mut spool = Spool::<f32>::create(&path, 2).unwrap();
    spool.sync().unwrap();
    assert_eq!(
        std::fs::read(&path).unwrap(),
        b"",
        "nothing before the first point"
    );
    spool.append(&[1.0, 2.0, 3.0, 4.0]).unwrap();
    spool.append(&[]).unwrap();
    let (count, sum) = (spool.count(), spool.checksum());
    spool.append(&[5.0, 6.0]).unwrap();
    spool.sync().unwrap();
    assert_eq!(all(&spool), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(
        spool.sample(2, Streams::new(0)).unwrap(),
        [1.0, 2.0, 3.0, 4.0]
    );
    let mut bytes = Vec::new();
    spool.copy_to(&mut bytes).unwrap();
    assert_eq!(bytes[..4], 1f32.to_le_bytes());
    assert_eq!(bytes.len(), 24);
    drop(spool);
    let mut again = Spool::<f32>::resume(&path, 2, count, sum).unwrap();
    again.append(&[7.0, 8.0]).unwrap();
    again.sync().unwrap();
    assert_eq!(all(&again), [1.0, 2.0, 3.0, 4.0, 7.0, 8.0]);
    assert!(again.append(&[1.0]).is_err());
    // another walk is refused while this one runs, and one that keeps nothing leaves the points
    for other in [
        Spool::<f32>::create(&path, 2),
        Spool::resume(&path, 2, count, sum),
    ] {
        assert!(matches!(other, Err(Error::InUse { .. })), "{other:?}");
    }
    assert_eq!(all(&again).len(), 6);
    let (count, sum) = (again.count(), again.checksum());
    drop(again);
    drop(Spool::<f32>::create(&path, 2).unwrap());
    let again = Spool::<f32>::resume(&path, 2, count, sum).unwrap();
    assert_eq!(all(&again).len(), 6);
    drop(again);
    // wrong checksum, more points than there are, no file
    assert!(Spool::<f32>::resume(&path, 2, count, sum ^ 1).is_err());
    assert!(Spool::<f32>::resume(&path, 2, 4, sum).is_err());
    assert!(Spool::<f32>::resume(&path, 2, usize::MAX, sum).is_err());
    assert!(Spool::<f32>::resume(&dir.path().join("q"), 2, 0, sum).is_err());
    remove_spool(&path).unwrap();
    assert!(!path.exists());
}

/// A writer without a claim is noticed when the points are copied to a model.
#[test]
fn points_that_were_overwritten_are_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let mut spool = Spool::<f32>::create(&path, 2).unwrap();
    spool.append(&[1.0, 2.0]).unwrap();
    spool.sync().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[33] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = spool.copy_to(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("another program"), "{error}");
}

#[test]
fn a_file_of_something_else_is_neither_replaced_nor_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    std::fs::write(&path, "a year's work").unwrap();
    assert!(Spool::<f64>::create(&path, 1).is_err());
    assert!(Spool::<f64>::resume(&path, 1, 0, Checksum::new().value()).is_err());
    remove_spool(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"a year's work");
}
