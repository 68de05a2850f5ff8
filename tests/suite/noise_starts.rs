//! The noise by evidence: of several starts, the one of the highest evidence is kept.

use crate::common::{data_file, short};
use fiberwalk::artifact::report::Origin;
use fiberwalk::data::{CsvOptions, load_csv};
use fiberwalk::pipeline::{FitOptions, Method, PriorChoice, fit};

/// On yacht the fixed point has several solutions, whose evidences differ by far more than the
/// rounding of a matrix.
#[test]
fn the_start_of_the_highest_evidence_is_kept() {
    let data = load_csv(&data_file("yacht.csv"), &CsvOptions::default()).unwrap();
    // a walk starts from the estimate as tuning left it; other methods polish it
    let options = |noise_std| FitOptions {
        method: short(Method::Walk, 2, 100, 2),
        hidden: vec![10],
        prior: PriorChoice::Evidence,
        noise_std,
        ..FitOptions::default()
    };
    let report = fit::<f64>(&data, &options(None), &|_, _, _| ())
        .unwrap()
        .report;
    let (scales, estimate) = (report.scales.unwrap(), report.estimate.unwrap());
    assert_eq!(scales.noise_origin, Origin::Evidence);
    let evidences: Vec<f64> = scales
        .noise_starts
        .iter()
        .filter_map(|s| s.log_evidence)
        .collect();
    let starts: Vec<f64> = scales.noise_starts.iter().map(|s| s.start).collect();
    assert!(
        starts.len() > 1 && starts.windows(2).all(|s| s[0] > s[1]),
        "{starts:?}"
    );
    assert_eq!(evidences.len(), starts.len(), "each start has an estimate");
    let highest = evidences.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lowest = evidences.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(highest - lowest > 1.0, "{evidences:?}");
    assert_eq!(estimate.log_evidence, Some(highest), "{evidences:?}");
    assert_eq!(
        estimate.log_evidence_error, None,
        "exact for so few parameters"
    );
    // the noise is that of the start, not of another one: at this noise, given, and the precision
    // by evidence, the evidence is as high
    let given = fit::<f64>(&data, &options(scales.noise_std), &|_, _, _| ()).unwrap();
    let again = given.report.estimate.unwrap().log_evidence.unwrap();
    assert!(
        again > highest - 0.5 * (highest - lowest),
        "{again} {evidences:?}"
    );
}
