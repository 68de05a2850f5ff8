//! A likely correction of a misspelt value.

/// The name that `value` was probably meant to be. `message` ends with the names that there are:
/// `one of a, b, c`. In a list of values, the first one that is none of them counts.
pub fn similar<'a>(value: &str, message: &'a str) -> Option<&'a str> {
    let (_, names) = message.trim_end().rsplit_once("one of ")?;
    let names: Vec<&str> = names.split(',').map(str::trim).collect();
    let wrong = value.split(',').map(str::trim);
    let wrong = wrong.into_iter().find(|value| !names.contains(value))?;
    let near = |name: &&&str| 3 * distance(wrong, name) <= wrong.len().max(name.len());
    let nearest = names.iter().filter(near).min_by_key(|n| distance(wrong, n));
    let begun = || {
        let mut begun = names.iter().filter(|n| n.starts_with(wrong));
        let first = begun.next().filter(|_| !wrong.is_empty());
        first.filter(|_| begun.next().is_none())
    };
    nearest.or_else(begun).copied()
}

/// Letters to insert, delete, replace, or swap with their neighbour, to turn one word into another.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    // rows of the table of distances between the beginnings of both words
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let same = usize::from(from[i - 1] != to[j - 1]);
            let mut least = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}
