use super::*;
use approx::assert_relative_eq;
use proptest::prelude::*;

#[test]
fn areas_by_hand() {
    // from the highest: + (+ -) -; pairs: 1 + 1 + 1/2 + 1 of 4
    let detector = Detector::new(&[3.0, 2.0, 2.0, 1.0], &[true, true, false, false]).unwrap();
    assert_eq!(detector.auroc(None).unwrap(), Some(3.5 / 4.0));
    // precision 1 at recall 1/2, 2/3 at recall 1
    let aupr = detector.aupr(None).unwrap().unwrap();
    assert_relative_eq!(aupr, 0.5 + 0.5 * 2.0 / 3.0);
    // to keep 95 % of two rows is to keep both: up to 2, where one positive row is kept too
    assert_eq!(detector.fpr95(None).unwrap(), Some(0.5));
}

#[test]
fn numbers_that_are_all_equal_say_nothing() {
    let same = OutOfDistribution::new(&[1.0; 3], &[1.0], None).unwrap();
    assert_eq!((same.auroc, same.aupr, same.fpr95), (0.5, 0.25, 1.0));
}

#[test]
fn known_rows_may_be_lost_up_to_a_twentieth() {
    // 20 known rows, the last of them far out: 19 are 95 %
    let inside: Vec<f64> = (0..20)
        .map(|i| if i == 19 { 100.0 } else { 0.1 * f64::from(i) })
        .collect();
    let fpr = |outside: &[f64]| {
        OutOfDistribution::new(&inside, outside, None)
            .unwrap()
            .fpr95
    };
    assert_eq!(fpr(&[1.85, 1.75, 50.0, 200.0]), 0.25);
    assert_eq!(fpr(&[1.8]), 1.0, "as uncertain as the last one kept");
    // with 19 rows, all must be kept
    let nineteen = OutOfDistribution::new(&inside[1..], &[50.0, 200.0], None).unwrap();
    assert_eq!(nineteen.fpr95, 0.5);
}

#[test]
fn one_kind_of_rows_alone_has_no_scores() {
    for positive in [true, false] {
        let detector = Detector::new(&[1.0, 2.0], &[positive; 2]).unwrap();
        assert_eq!(detector.auroc(None).unwrap(), None);
        assert_eq!(detector.fpr95(None).unwrap(), None);
        assert_eq!(detector.aupr(None).unwrap().is_some(), positive);
    }
    let detector = Detector::new(&[1.0, 2.0], &[true, false]).unwrap();
    assert_eq!(detector.auroc(Some(&[0.0, 1.0])).unwrap(), None);
    assert!(OutOfDistribution::new(&[], &[1.0], None).is_err());
    assert!(OutOfDistribution::new(&[1.0], &[], None).is_err());
    assert!(OutOfDistribution::new(&[1.0], &[f64::NAN], None).is_err());
    assert!(OutOfDistribution::new(&[1.0], &[2.0], Some(&[1.0, 0.0])).is_err());
    assert!(OutOfDistribution::new(&[1.0], &[2.0], Some(&[1.0])).is_err());
    assert!(Detector::new(&[1.0], &[true, false]).is_err());
    assert!(detector.aupr(Some(&[1.0])).is_err() && detector.fpr95(Some(&[-1.0, 2.0])).is_err());
    // infinite numbers are the highest
    let far = OutOfDistribution::new(&[1.0], &[f64::INFINITY], None).unwrap();
    assert_eq!((far.auroc, far.fpr95), (1.0, 0.0));
}

fn rows() -> impl Strategy<Value = Vec<(f64, bool, f64)>> {
    let number = (0u32..8).prop_map(f64::from);
    let weight = (0u32..4).prop_map(|w| 0.5 * f64::from(w));
    prop::collection::vec((number, any::<bool>(), weight), 1..40)
}

proptest! {
    #[test]
    fn areas_are_those_of_all_pairs_and_of_all_thresholds(rows in rows()) {
        let numbers: Vec<f64> = rows.iter().map(|r| r.0).collect();
        let positive: Vec<bool> = rows.iter().map(|r| r.1).collect();
        let mut weights: Vec<f64> = rows.iter().map(|r| r.2).collect();
        weights[0] += 1.0;
        let detector = Detector::new(&numbers, &positive).unwrap();
        let sum = |keep: &dyn Fn(usize) -> bool| -> f64 {
            (0..rows.len()).filter(|&i| keep(i)).map(|i| weights[i]).sum()
        };
        let (p, n) = (sum(&|i| positive[i]), sum(&|i| !positive[i]));
        let mut pairs = 0.0;
        for i in (0..rows.len()).filter(|&i| positive[i]) {
            for j in (0..rows.len()).filter(|&j| !positive[j]) {
                let won = match numbers[i].total_cmp(&numbers[j]) {
                    std::cmp::Ordering::Less => 0.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Greater => 1.0,
                };
                pairs += weights[i] * weights[j] * won;
            }
        }
        let auroc = detector.auroc(Some(&weights)).unwrap();
        prop_assert_eq!(auroc.is_some(), p > 0.0 && n > 0.0);
        if let Some(auroc) = auroc {
            prop_assert!((auroc - pairs / (p * n)).abs() < 1e-12);
        }
        // every threshold from the highest down
        let (mut area, mut recall) = (0.0, 0.0);
        for t in (0..8).rev().map(f64::from) {
            let found = sum(&|i| positive[i] && numbers[i] >= t);
            let taken = sum(&|i| numbers[i] >= t);
            if taken > 0.0 && p > 0.0 {
                area += (found / p - recall) * found / taken;
                recall = found / p;
            }
        }
        let aupr = detector.aupr(Some(&weights)).unwrap();
        prop_assert_eq!(aupr.is_some(), p > 0.0);
        prop_assert!((aupr.unwrap_or(0.0) - area).abs() < 1e-12);
        if let Some(fpr) = detector.fpr95(Some(&weights)).unwrap() {
            let enough = |t: &f64| sum(&|i| !positive[i] && numbers[i] <= *t) >= 0.95 * n - 1e-12;
            let threshold = (0..8).map(f64::from).find(enough).unwrap();
            let kept = sum(&|i| positive[i] && numbers[i] <= threshold);
            prop_assert!((fpr - kept / p).abs() < 1e-12);
        }
    }

    #[test]
    fn only_the_order_counts_and_the_sign_turns_it(rows in rows(), scale in 0.1f64..5.0) {
        let positive: Vec<bool> = rows.iter().map(|r| r.1).collect();
        let score = |map: &dyn Fn(f64) -> f64| {
            let numbers: Vec<f64> = rows.iter().map(|r| map(r.0)).collect();
            let d = Detector::new(&numbers, &positive).unwrap();
            [d.auroc(None).unwrap(), d.aupr(None).unwrap(), d.fpr95(None).unwrap()]
        };
        let plain = score(&|x| x);
        prop_assert_eq!(score(&|x| (scale * x).exp()), plain);
        prop_assert_eq!(score(&|x| x.powi(3) - 10.0), plain);
        let (turned, plain) = (score(&|x| -x)[0], plain[0]);
        prop_assert!((turned.unwrap_or(0.5) - (1.0 - plain.unwrap_or(0.5))).abs() < 1e-12);
    }
}

#[test]
fn intervals_draw_from_both_kinds_of_rows() {
    let inside: Vec<f64> = (0..40).map(|i| (1.3 * f64::from(i)).sin()).collect();
    let outside: Vec<f64> = (0..25).map(|i| 0.8 + (0.7 * f64::from(i)).cos()).collect();
    let bootstrap = Bootstrap::default();
    let found = OutOfDistribution::new(&inside, &outside, None).unwrap();
    let all = OutOfDistribution::intervals(&inside, &outside, None, &bootstrap).unwrap();
    let scores = [
        ("auroc", found.auroc),
        ("aupr", found.aupr),
        ("fpr95", found.fpr95),
    ];
    for ((name, interval), (same, score)) in all.into_iter().zip(scores) {
        assert_eq!(name, same);
        let interval = interval.unwrap();
        assert!(interval.lower <= score && score <= interval.upper, "{name}");
    }
    // the error of an area by the formula of DeLong, DeLong & Clarke-Pearson (1988)
    let won = |a: f64, b: f64| {
        if a > b {
            1.0
        } else {
            0.5 * f64::from(u8::from(a == b))
        }
    };
    let variance = |values: Vec<f64>| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0) / n
    };
    let of_outside = outside
        .iter()
        .map(|o| inside.iter().map(|i| won(*o, *i)).sum::<f64>() / 40.0);
    let of_inside = inside
        .iter()
        .map(|i| outside.iter().map(|o| won(*o, *i)).sum::<f64>() / 25.0);
    let error = (variance(of_outside.collect()) + variance(of_inside.collect())).sqrt();
    assert_relative_eq!(all[0].1.unwrap().error, error, max_relative = 0.1);
    // nothing tells them: no interval
    let none = OutOfDistribution::intervals(&[1.0; 3], &[1.0; 2], None, &bootstrap).unwrap();
    assert!(none.iter().all(|i| i.1.is_none()) || none[2].1.is_none());
}
