//! How often conformal sets and intervals hold their target, in lines.

use fiberwalk::artifact::Promise;
use fiberwalk::error::rounded;

/// Coverage and size beside what was promised.
pub fn lines(promise: &Promise) -> String {
    let with = |x: f64, error: f64| format!("{} +- {}", rounded(x, 4), rounded(error, 4));
    let (level, score) = (100.0 * promise.level, promise.score);
    let mut text = format!("\nconformal          {level} % promised, by {score}\n");
    let mut add = |name: &str, cell: String| text += &format!("{name:<18} {cell}\n");
    add("coverage", with(promise.coverage, promise.coverage_se));
    if let (Some(size), Some(error)) = (promise.size, promise.size_se) {
        add("mean size", with(size, error));
    }
    for (name, count) in [
        ("unlimited", promise.unlimited),
        ("all classes", promise.all_classes),
        ("empty", promise.empty),
    ] {
        if let Some(count) = count {
            add(name, count.to_string());
        }
    }
    for of in &promise.by_class {
        let cell = match of.n {
            0 => "- of 0 rows".into(),
            n => format!("{} of {n} rows", with(of.coverage, of.coverage_se)),
        };
        add(&format!("coverage of {}", of.class), cell);
    }
    text
}
