//! Notes on columns that may not be what they are read as.

use std::collections::HashMap;

use super::schema::{Raw, as_option, list, shown};
use crate::error::counted;

/// Fewest rows of which a column of texts or numbers without a repetition says anything.
const ROWS: usize = 8;

/// Columns that number the rows, in one note.
pub(super) fn note_on_numbering(names: &[&str], rows: usize) -> Option<String> {
    if names.is_empty() || rows < ROWS {
        return None;
    }
    let option = as_option(names.iter().copied());
    Some(match names {
        [name] => format!(
            "column '{}' numbers the rows; if it only names them, leave it out: --ignore {option}",
            shown(name)
        ),
        _ => format!(
            "{} number the rows ({}); if they only name them, leave them out: --ignore {option}",
            counted(names.len(), "column"),
            list(names.iter().copied())
        ),
    })
}

/// What is odd about the texts of a column: another one in every row, or two that differ only in
/// their case.
pub(super) fn notes_on_texts(name: &str, cells: &Raw) -> Vec<String> {
    let Raw::Texts { texts, rows } = cells else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    if rows.len() >= ROWS && texts.len() == rows.len() {
        notes.push(format!(
            "column '{}' has another text in every row; if it only names them, leave it out: \
             --ignore {}",
            shown(name),
            as_option([name])
        ));
        return notes;
    }
    let mut first: HashMap<String, &str> = HashMap::new();
    for text in texts {
        if let Some(other) = first.insert(text.to_lowercase(), text) {
            notes.push(format!(
                "column '{}': '{}' and '{}' differ only in their case, and count as two",
                shown(name),
                shown(other),
                shown(text)
            ));
            // one pair tells enough
            break;
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use crate::data::{CsvOptions, CsvText, TaskKind};

    /// The notes on a table.
    fn notes(text: &str, options: &CsvOptions) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let data = CsvText::open(file.path()).unwrap().dataset(options);
        data.unwrap().notes().to_vec()
    }

    fn rows(count: usize, row: impl Fn(usize) -> String) -> String {
        (0..count).map(|i| row(i) + "\n").collect()
    }

    #[test]
    fn texts_of_every_row_and_of_two_cases_are_noted() {
        let plain = CsvOptions::default();
        let named = |count| "who,y\n".to_string() + &rows(count, |i| format!("p{i}x,{i}.5"));
        let said = notes(&named(9), &plain);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("'who'") && said[0].ends_with("--ignore who"));
        assert_eq!(notes(&named(4), &plain), [""; 0]);
        // advice can be pasted into a shell
        for (name, option) in [("Unnamed: 0", "'Unnamed: 0'"), ("o'clock", "'o'\\''clock'")] {
            let said = notes(&named(9).replacen("who", name, 1), &plain);
            assert!(said[0].ends_with(&format!("--ignore {option}")), "{said:?}");
        }
        let city = |i: usize| ["Oslo", "Rome", "oslo"][i % 3];
        let text = "city,y\n".to_string() + &rows(12, |i| format!("{},{i}.5", city(i)));
        let said = notes(&text, &plain);
        let expected =
            "column 'city': 'Oslo' and 'oslo' differ only in their case, and count as two";
        assert_eq!(said, [expected]);
    }

    #[test]
    fn columns_that_number_the_rows_are_one_note() {
        let text = |count| "c1,c2,y\n".to_string() + &rows(count, |i| format!("{i},{i},{i}.5"));
        let said = notes(&text(9), &CsvOptions::default());
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("2 columns number the rows") && said[0].ends_with("c1,c2"));
        assert_eq!(notes(&text(4), &CsvOptions::default()), [""; 0]);
    }

    #[test]
    fn classes_of_few_rows_may_be_amounts() {
        let text = |count, classes: usize| {
            "a,y\n".to_string() + &rows(count, |i| format!("{}.5,{}", i * i, i % classes))
        };
        for task in [None, Some(TaskKind::Classification)] {
            let options = CsvOptions {
                task,
                ..CsvOptions::default()
            };
            let said = notes(&text(24, 8), &options);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].contains("8 classes in 24 rows") && said[0].contains("--task"));
            assert_eq!(notes(&text(60, 8), &options), [""; 0]);
            assert_eq!(notes(&text(12, 3), &options), [""; 0]);
        }
    }
}
