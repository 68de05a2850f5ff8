//! Imports go downward only, and every file is short enough to read in one sitting.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules; each may import those before it. `simd` stands before `scalar`, whose functions it
/// provides.
const ORDER: [&str; 27] = [
    "error",
    "memory",
    "parallel",
    "special",
    "simd",
    "scalar",
    "rng",
    "linalg",
    "autodiff",
    "nn",
    "data",
    "model",
    "optim",
    "curvature",
    "walk",
    "deform",
    "predict",
    "baselines",
    "diagnose",
    "metrics",
    "calibrate",
    "testing",
    "artifact",
    "pipeline",
    "report",
    "lib",
    "bin",
];

fn rank(module: &str) -> usize {
    ORDER
        .iter()
        .position(|m| *m == module)
        .unwrap_or_else(|| panic!("module '{module}' has no place in the order"))
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Modules named after `crate::` in a source, with braces expanded one level:
/// `use crate::{a::b, c}` names a and c.
fn imports(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            let mut fresh = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => fresh = true,
                    c if depth == 0 && (c.is_alphanumeric() || c == '_') && fresh => word.push(c),
                    c if c.is_whitespace() => {}
                    _ => fresh = false,
                }
                if (c == ',' || c == ':') && depth == 0 && !word.is_empty() {
                    found.push(std::mem::take(&mut word));
                    fresh = c == ',';
                }
            }
            if !word.is_empty() {
                found.push(word);
            }
        } else {
            found.push(
                rest.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect(),
            );
        }
    }
    found
}

/// A file of the library.
struct Source {
    /// Its path in `src`.
    inside: PathBuf,
    /// The module of the first level that it belongs to.
    module: String,
    code: String,
    /// The tests: the whole file, or the module at its end.
    tests: String,
}

/// All files of the library but `lib.rs`, without the program.
fn library() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let read = |file: PathBuf| {
        let inside = file.strip_prefix(&root).unwrap().to_path_buf();
        let names = inside.iter().map(|part| part.to_str().unwrap());
        let names: Vec<&str> = names.map(|name| name.trim_end_matches(".rs")).collect();
        let text = fs::read_to_string(&file).unwrap();
        let tests = |name: &&str| *name == "tests" || name.ends_with("_tests");
        let start = match names.iter().any(tests) {
            true => 0,
            false => text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len()),
        };
        let (code, tests) = text.split_at(start);
        Source {
            module: names[0].to_string(),
            code: code.to_string(),
            tests: tests.to_string(),
            inside,
        }
    };
    let all = files.into_iter().map(read);
    all.filter(|source| source.module != "bin" && source.module != "lib")
        .collect()
}

#[test]
fn imports_go_downward_only() {
    let mut seen = 0;
    for source in library() {
        let Source { inside, module, .. } = &source;
        let of = |text: &str, is_test| {
            imports(text)
                .into_iter()
                .map(move |import| (import, is_test))
        };
        for (import, is_test) in of(&source.code, false).chain(of(&source.tests, true)) {
            // re-exports at the root; inside the crate only tests and documentation may use them
            if import.chars().next().is_some_and(char::is_uppercase) {
                panic!(
                    "{} imports the re-export crate::{import}; name its module",
                    inside.display()
                );
            }
            seen += 1;
            // the kit stands above what it tests, and tests anywhere may use it
            if import == "testing" && is_test {
                continue;
            }
            assert!(
                rank(&import) <= rank(module),
                "{} (module {module}) imports {import}, which stands above it",
                inside.display()
            );
        }
    }
    assert!(
        seen > 100,
        "only {seen} imports were recognised: the test does not see what it should"
    );
}

#[test]
fn the_recogniser_of_imports_sees_what_there_is() {
    let text = "use crate::linalg::{a, b};\nuse crate::{walk::Walk, deform, nn::{X, Y}};\n// crate::comment\nlet x = crate::rng::f(); mycrate::no();";
    assert_eq!(imports(text), ["linalg", "walk", "deform", "nn", "rng"]);
}

/// Rayon's iterators are compiled anew at every call, so only one file may call them.
#[test]
fn rayon_is_called_in_one_module_only() {
    let calls = |source: &Source| {
        let mut lines = source.code.lines().map(str::trim_start);
        lines.any(|line| !line.starts_with("//") && line.contains("rayon"))
    };
    let calling: Vec<PathBuf> = library()
        .into_iter()
        .filter(calls)
        .map(|source| source.inside)
        .collect();
    assert_eq!(calling, [Path::new("parallel.rs")]);
}

/// Files of the pipeline that a file names: `super::file::` in a use or a path, and what the module
/// re-exports from it.
fn siblings(text: &str, module: &str, files: &BTreeSet<String>) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let lines = code.lines().filter(|l| !l.trim_start().starts_with("//"));
    let code: String = lines.map(|line| format!("{line}\n")).collect();
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.filter(|w| !w.is_empty()).map(String::from).collect()
    };
    let mut owners = BTreeMap::new();
    for line in module
        .split(';')
        .filter_map(|l| l.trim().strip_prefix("pub use "))
    {
        let names = words(line);
        owners.extend(
            names[1..]
                .iter()
                .map(|name| (name.clone(), names[0].clone())),
        );
    }
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("super::") {
        let rest = &code[at + "super::".len()..];
        let end = match rest.starts_with('{') {
            true => rest.find('}'),
            false => rest.find(|c: char| !c.is_alphanumeric() && c != '_'),
        };
        for word in words(&rest[..end.unwrap_or(rest.len())]) {
            let file = owners.get(&word).unwrap_or(&word);
            found.extend(files.get(file).cloned());
        }
    }
    found
}

/// Stages and methods are functions over a small context. If two files know each other, neither can
/// be read alone.
#[test]
fn files_of_the_pipeline_do_not_import_one_another_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pipeline");
    let entries = fs::read_dir(&root).unwrap().map(|e| e.unwrap().path());
    let names = entries.map(|p| p.file_stem().unwrap().to_str().unwrap().to_string());
    let files: BTreeSet<String> = names.filter(|n| n != "mod").collect();
    // a folder is one file, whose parts call the module by its name
    let read = |name: &str| {
        let mut paths = vec![root.join(name).with_extension("rs")];
        if root.join(name).is_dir() {
            paths.clear();
            sources(&root.join(name), &mut paths);
        }
        let texts = paths.iter().map(|p| fs::read_to_string(p).unwrap());
        let text: String = texts.collect();
        text.replace("crate::pipeline::", "super::")
    };
    let module = read("mod");
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in &files {
        let mut of_file = siblings(&read(file), &module, &files);
        of_file.remove(file);
        imports.insert(file.clone(), of_file);
    }
    let all: usize = imports.values().map(BTreeSet::len).sum();
    assert!(all > 50, "only {all} imports were recognised");
    // files that import nothing that is left are taken away, until none is left
    while !imports.is_empty() {
        let left: BTreeSet<String> = imports.keys().cloned().collect();
        imports.retain(|_, of_file| of_file.iter().any(|f| left.contains(f)));
        assert!(imports.len() < left.len(), "a circle among {imports:?}");
    }
}

#[test]
fn files_are_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for dir in ["src", "tests", "examples", "benches"] {
        sources(&root.join(dir), &mut files);
    }
    for file in files {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines", file.display());
    }
}
