use super::*;
use approx::assert_relative_eq;
use proptest::prelude::*;

#[test]
fn differences_by_hand() {
    // 1, 2, 4: mean 7/3, sample variance 7/3
    let found = PairedDifference::new(&[1.5, 3.0, 9.0], &[0.5, 1.0, 5.0], None).unwrap();
    assert_relative_eq!(found.mean, 7.0 / 3.0, epsilon = 1e-15);
    assert_relative_eq!(found.error.unwrap(), (7.0f64 / 9.0).sqrt(), epsilon = 1e-15);
    assert_eq!(found.rows, 3);
    let one = PairedDifference::new(&[2.0], &[1.0], None).unwrap();
    assert_eq!((one.mean, one.error, one.rows), (1.0, None, 1));
    let same = PairedDifference::new(&[2.0, 3.0], &[2.0, 3.0], None).unwrap();
    assert_eq!((same.mean, same.error), (0.0, Some(0.0)));
    // a row without weight is no row
    let weighted =
        PairedDifference::new(&[1.0, 2.0, 7.0], &[0.0; 3], Some(&[1.0, 1.0, 0.0])).unwrap();
    assert_eq!(
        (weighted.mean, weighted.error, weighted.rows),
        (1.5, Some(0.5), 2)
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(PairedDifference::new(&[], &[], None).is_err());
    assert!(PairedDifference::new(&[1.0], &[1.0, 2.0], None).is_err());
    assert!(PairedDifference::new(&[f64::INFINITY], &[1.0], None).is_err());
    assert!(PairedDifference::new(&[1.0], &[1.0], Some(&[-1.0])).is_err());
    assert!(PairedDifference::clustered(&[1.0], &[0, 1], None).is_err());
}

proptest! {
    /// A row that is scored again with the same result adds nothing to what is known.
    #[test]
    fn repeated_rows_do_not_shrink_the_error(
        d in prop::collection::vec(-2.0f64..2.0, 2..20), seeds in 1usize..4
    ) {
        let rows: Vec<usize> = (0..d.len()).collect();
        let once = PairedDifference::clustered(&d, &rows, None).unwrap();
        let many = PairedDifference::clustered(&d.repeat(seeds), &rows.repeat(seeds), None).unwrap();
        prop_assert!((once.mean - many.mean).abs() < 1e-12);
        prop_assert!((once.error.unwrap() - many.error.unwrap()).abs() < 1e-12);
        prop_assert_eq!(many.rows, d.len());
        // swapped models: the same with the other sign
        let zero = vec![0.0; d.len()];
        let (a, b) = (PairedDifference::new(&d, &zero, None).unwrap(), PairedDifference::new(&zero, &d, None).unwrap());
        prop_assert_eq!((a.mean, a.error), (-b.mean, b.error));
    }
}
