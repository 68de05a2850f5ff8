//! The report of a fit in its checkpoints.

use serde::{Deserialize, Serialize};

use super::FitReport;

/// The report is in a separate field. The notes of older programs lack it, and would otherwise be
/// mistaken for an empty report.
#[derive(Serialize, Deserialize)]
struct Notes<R> {
    report: R,
}

/// The whole report, in the form that [`read`] reads.
pub(super) fn write(report: &FitReport) -> String {
    // texts and numbers: all of it can be written
    serde_json::to_string(&Notes { report }).unwrap_or_default()
}

/// What [`write`] wrote, or why it cannot be read.
pub(super) fn read(json: &str) -> Result<FitReport, String> {
    let notes: Notes<FitReport> = serde_json::from_str(json).map_err(|e| {
        format!(
            "its report of the fit is not in the form of this version of the program ({e}); \
             without --resume the fit begins anew"
        )
    })?;
    Ok(notes.report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_of_this_program_are_read_and_older_ones_are_refused() {
        let report = FitReport {
            method_gradients: Some(0.1 + 0.2),
            warnings: vec!["a".into()],
            ..FitReport::default()
        };
        assert_eq!(read(&write(&report)).unwrap(), report);
        let old = r#"{"lines":[["data","5 rows"]],"figures":{"map_energy":3.0}}"#;
        let said = read(old).unwrap_err();
        assert!(
            said.contains("version") && said.contains("--resume"),
            "{said}"
        );
    }
}
