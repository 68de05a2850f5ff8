//! Model files whose networks were edited.

use super::*;

#[test]
fn edited_networks_in_model_files_are_refused() {
    let train = load(20, 8);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.fw");
    let model = fit::<f32>(&train, &options(Method::Map), &|_, _, _| ())
        .unwrap()
        .model;
    model.save(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let json = header.metadata().as_ref().unwrap()["fiberwalk"].clone();
    let image = "\"image\":[1,8,8]";
    let layers = format!("\"layers\":\"{CONV}\"");
    let deep = format!("\"layers\":\"{}\"", "residual(".repeat(100_000));
    let long = format!("\"layers\":\"{}tanh\"", "tanh,".repeat(100_000));
    let cases: [(&str, &str, &str); 12] = [
        (image, "\"image\":[2,4,8]", "58"),
        (image, "\"image\":[8,8,2]", "64 features cannot be"),
        (
            image,
            "\"image\":[18446744073709551615,18446744073709551615,4]",
            "64 features cannot be",
        ),
        (image, "\"image\":[64]", "parse"),
        (image, "\"picture\":[1,8,8]", "needs images"),
        (&layers, "\"layers\":\"conv:2x4,tanh\"", "58 numbers"),
        (&layers, "\"layers\":\"\"", "expected a layer"),
        (&layers, "\"layers\":\"conv:1000000x1\"", "too many"),
        (&layers, &deep, "nested deeper"),
        (&layers, &long, "more than 1024"),
        ("\"outputs\":2", "\"outputs\":3", "3 outputs"),
        (
            "\"outputs\":2",
            "\"outputs\":9999999999999999999",
            "too many parameters",
        ),
    ];
    for (from, to, word) in cases {
        assert!(json.contains(from), "{from} is not in {json}");
        let edited = with_json(&bytes, |json| json.replacen(from, to, 1));
        fs::write(&path, edited).unwrap();
        let error = match FittedModel::<f32>::load(&path) {
            Ok(_) => panic!("{to:.80} was accepted"),
            Err(e) => e.to_string(),
        };
        assert!(error.contains(word), "{to:.80}: {error}");
        assert!(error.len() < 1_000, "{to:.80}: {} characters", error.len());
    }
}
