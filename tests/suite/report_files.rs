//! Reports of model files of all versions and methods.

use std::fs;
use std::path::Path;

use fiberwalk::artifact::AnyModel;
use fiberwalk::data::{Dataset, Task};
use fiberwalk::report::{Report, ReportOptions};

use crate::report::elements;

/// Whatever wrote the file, and whatever method: there is a page, and it says what is missing.
#[test]
fn every_model_file_ever_written_has_a_report() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models");
    let mut seen = 0;
    for folder in ["", "0.1.0", "format6"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "fw") {
                continue;
            }
            let name = path.display();
            let model = AnyModel::load(&path).unwrap();
            let metadata = model.metadata();
            let d = metadata.feature_names.len();
            let x: Vec<f64> = (0..12 * d).map(|i| ((i * 7) % 11) as f64 / 4.0).collect();
            let y = (0..12).map(|i| match metadata.data_task() {
                Task::Regression => (i % 5 + 1) as f64,
                Task::Classification { classes } => (i % classes) as f64,
            });
            let y = y.collect();
            let names = metadata.feature_names.clone();
            let test = Dataset::new(
                x.clone(),
                y,
                names,
                &metadata.target_name,
                metadata.data_task(),
            )
            .unwrap();
            let options = ReportOptions {
                samples: 12,
                bootstrap: 20,
                elsewhere: x,
                ..ReportOptions::default()
            };
            let report =
                Report::new(&model, &test, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
            let page = report.html();
            elements(&page);
            assert!(page.contains("What to do"), "{name}");
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}
