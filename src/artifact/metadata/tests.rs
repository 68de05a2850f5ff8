//! Tests of the module above.

use super::*;

/// Metadata as they were written before images were supported.
const OLD: &str = r#"{"format_version":1,"crate_version":"0.1.0","precision":"f32",
    "task":{"kind":"regression","noise_std":0.5,"target_mean":1.0,"target_scale":2.0},
    "feature_names":["x"],"target_name":"y","feature_mean":[0.0],"feature_scale":[1.0],
    "network":{"sizes":[1,6,1],"activation":"tanh"},"prior_precision":1.5,"method":"map","seed":0,
    "flow_hidden":[32],"diagnostics":{"map_energy":3.0}}"#;

#[test]
fn files_from_before_images_are_read_and_written_alike() {
    let meta: Metadata = serde_json::from_str(OLD).unwrap();
    assert_eq!(meta.image, None);
    let (sizes, activation) = (vec![1, 6, 1], "tanh".to_string());
    assert_eq!(meta.network, NetworkSpec::Mlp { sizes, activation });
    assert_eq!(meta.check(None).unwrap().dim(), 19);
    let old: serde_json::Value = serde_json::from_str(OLD).unwrap();
    assert_eq!(serde_json::to_value(&meta).unwrap(), old);
}

#[test]
fn an_image_shape_must_fit_the_features() {
    let mut meta: Metadata = serde_json::from_str(OLD).unwrap();
    meta.image = Some([1, 1, 1]);
    assert!(meta.check(None).is_ok());
    for shape in [[2, 1, 1], [0, 1, 1], [usize::MAX, 2, 1]] {
        meta.image = Some(shape);
        assert!(meta.check(None).err().unwrap().contains("images of"));
    }
}
