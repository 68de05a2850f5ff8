//! The program with options at their edges, on small tables: whatever it is asked for, it answers
//! or refuses.
//!
//! A case draws a command, a table and some options with values from the edges of their domains. The
//! program must end in time, with status 0, 1 or 2, without a panic; with one line of error for a
//! failure; and with whole outputs or with those of before. `PROPTEST_CASES` sets the number of
//! cases.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestCaseResult;

/// Cases, unless the environment says otherwise.
const CASES: u32 = 16;

/// A command takes well below a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// Values that a number might not expect.
const NUMBERS: &str = "0 -0 1 2 3 -1 0.5 1e-300 1e-30 1e30 1e300 1e400 nan inf -inf 1e \
    9223372036854775808 18446744073709551615 18446744073709551616 0x10 auto full one";

/// Options and their values. What would only take time or memory is left out: wide networks, many
/// passes. Words are separated by blanks; `_` stands for an empty text.
const OPTIONS: [(&str, &str); 36] = [
    (
        "--hidden",
        "none 1 3 2,2 0 2,0 , -1 1e3 18446744073709551616",
    ),
    ("--activation", "relu softplus identity swish _"),
    (
        "--likelihood",
        "gaussian student-t heteroscedastic poisson bernoulli categorical",
    ),
    ("--feature-transform", "none heavy-tails yeo-johnson log"),
    ("--target-transform", "none log yeo-johnson"),
    (
        "--prior",
        "hierarchical ard shared evidence 1 0 -1 1e-300 1e300 nan",
    ),
    ("--prior-precision", NUMBERS),
    ("--noise-std", NUMBERS),
    ("--batch", "0 1 2 full auto -1 18446744073709551615"),
    ("--epochs", "0 1 2 -1 1e3"),
    ("--task", "classification regression both"),
    ("--target", "a y z b,c _ -1"),
    (
        "--types",
        "a=category a=number y=category z=number a= =number a=category,a=number",
    ),
    ("--ignore", "a z a,b,c \"b,c\" \" _ ,"),
    ("--missing", "fill error drop"),
    ("--missing-values", "-1 0 1e300 x , _"),
    ("--delimiter", "comma tab ; | . -1 xx _"),
    ("--decimal", "point comma both"),
    ("--comment", "# a , xx"),
    ("--header", "yes no auto maybe"),
    ("--image", "1x1 1x2 3x1 0x1 18446744073709551615x2 x"),
    ("--conv", "linear:2 conv:1x1,linear:2,tanh lenet5 x"),
    ("--kernel", "drift tangent microcanonical hmc"),
    ("--step-size", NUMBERS),
    ("--decoherence-length", NUMBERS),
    ("--adjusted", ""),
    ("--starts", "0 1 2 9 -1 18446744073709551615"),
    ("--particles", "0 1 2 5 -1 18446744073709551615"),
    ("--steps", "0 1 2 9 -1 auto 1e3"),
    ("--walk-batch", "0 1 9 -1 18446744073709551615"),
    ("--max-memory", "0 1 300 -1 18446744073709551615"),
    ("--frozen", "0 1 5 -1 18446744073709551615"),
    ("--loo-refits", "0 1 -1 18446744073709551615"),
    ("--checkpoint-every", "0 1e-9 1e300 -1 nan"),
    ("--resume", ""),
    ("--recombine", ""),
];

/// Options that all commands which draw have.
const SHARED: [(&str, &str); 5] = [
    ("--samples", "0 1 3 -1 18446744073709551615"),
    ("--seed", NUMBERS),
    ("--threads", "0 1 2 -1 1025 18446744073709551615"),
    ("--rows", "0 1 2 5 -1 18446744073709551615"),
    ("--precision", "f32 f64 f16"),
];

const METHODS: [&str; 12] = [
    "map",
    "map",
    "map",
    "walk",
    "walk",
    "atlas",
    "flow",
    "laplace-last",
    "swag",
    "nuts",
    "sgld",
    "ensemble",
];

/// Tables, some of them in order.
const TABLES: [&str; 14] = [
    "a,\"b,c\",y\n1,2,3.5\n2,1,1.25\n3,3,7.5\n0,1,0.5\n5,2,2.25\n4,4,8.5\n",
    "a,b,y\n1,2,0\n2,1,1\n3,3,1\n0,1,0\n5,2,0\n4,4,1\n",
    "a,b,y\nu,2,yes\nv,1,no\nu,3,yes\nw,,no\nv,2,no\nu,4,yes\n",
    "a,y\n1e300,1\n-1e300,2\n1e-300,5\n0,3\n",
    "a,y\n1,1e99\n2,-1e99\n5,3e98\n7,0\n",
    "a,y\n1,1e300\n2,-1e300\n5,3e299\n7,0\n",
    "a,y\n1,1e-300\n2,2e-300\n5,3e-300\n7,0\n",
    "a,y\n1,1e-99\n2,2e-99\n5,3e-99\n7,0\n",
    "a,y\n1,2\n1,3\n1,2.5\n1,7\n",
    "a,y\n1,2\n",
    "a,y\n",
    "",
    "a;y\n1,5;2,5\n2,5;3,5\n0,5;2,25\n",
    "a,y\n1e308,0.5\n-1e308,1.5\n1.5e308,2\n-1.5e308,9\n",
];

/// Rows to predict with any model.
const ROWS: [&str; 4] = [
    "a,\"b,c\",b\n1,2,3\n-9,1e300,0\n",
    "a,b,\"b,c\"\n1e308,1,1\nx,2,-1e308\n",
    "a,b,\"b,c\",y\n1,2,2,1\n2,,,5\n",
    "a,b\n1,\"2\n",
];

fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(CASES)
}

/// An option with one of its values.
fn option(all: &'static [(&str, &str)]) -> impl Strategy<Value = Vec<String>> {
    (select(all), any::<Index>()).prop_map(|((name, values), at)| {
        let values: Vec<&str> = values.split_whitespace().collect();
        let value = match values.is_empty() {
            true => None,
            false => Some(values[at.index(values.len())]),
        };
        let value = value.map(|v| if v == "_" { "" } else { v });
        [Some(name), value]
            .into_iter()
            .flatten()
            .map(String::from)
            .collect()
    })
}

fn options(own: &'static [(&str, &str)]) -> impl Strategy<Value = Vec<String>> {
    let one = prop_oneof![3 => option(own), 1 => option(&SHARED)];
    prop::collection::vec(one, 0..4).prop_map(|all| all.concat())
}

/// What a command did.
struct Run {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs in a directory. Nothing is on standard input.
fn run(dir: &Path, args: &[String]) -> Result<Run, TestCaseError> {
    let (out, err) = (dir.join("stdout"), dir.join("stderr"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_fiberwalk"))
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            return Err(TestCaseError::fail(format!("{args:?} does not end")));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let run = Run {
        status: status.code(),
        stdout: read(&out),
        stderr: read(&err),
    };
    fs::remove_file(out).unwrap();
    fs::remove_file(err).unwrap();
    Ok(run)
}

/// Runs and checks what holds for every command. True if it succeeded.
fn checked(dir: &Path, args: &[String]) -> Result<bool, TestCaseError> {
    let Run {
        status,
        stdout,
        stderr,
    } = run(dir, args)?;
    let said = format!("{args:?}: status {status:?}\n{stderr}");
    let said_so = |line: &&str| line.starts_with("note: ") || line.starts_with("warning: ");
    let errors: Vec<&str> = stderr.lines().filter(|line| !said_so(line)).collect();
    prop_assert!(!stderr.contains("panicked"), "{}", said);
    match status {
        Some(0) => prop_assert!(errors.is_empty(), "{}", said),
        Some(1 | 2) => {
            let one = errors.len() == 1 && errors[0].starts_with("error: ");
            prop_assert!(one, "one line of error: {}", said);
            prop_assert_eq!(stdout, "", "{}", said);
        }
        _ => prop_assert!(false, "{}", said),
    }
    Ok(status == Some(0))
}

/// Names and contents of all files.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut all: Vec<_> = entries
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            (name, fs::read(&path).unwrap_or_default())
        })
        .collect();
    all.sort();
    all
}

/// Checks the files after a command that may have written `out`. Returns whether it wrote.
fn check_files(
    dir: &Path,
    before: &[(String, Vec<u8>)],
    out: &str,
    written: bool,
    said: &str,
) -> Result<(), TestCaseError> {
    let mut after = files(dir);
    let mut before = before.to_vec();
    if written {
        before.retain(|f| f.0 != out);
        let count = after.len();
        after.retain(|f| f.0 != out);
        prop_assert_eq!(after.len(), count - 1, "no output: {}", said);
    }
    let names = |all: &[(String, Vec<u8>)]| all.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    prop_assert_eq!(names(&before), names(&after), "{}", said);
    prop_assert!(before == after, "a file has changed: {}", said);
    Ok(())
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(String::from).collect()
}

/// Every row has as many cells as the header, and those are numbers.
fn check_predictions(text: &str) -> TestCaseResult {
    let mut lines = text.lines();
    let width = lines.next().map_or(0, |header| header.split(',').count());
    prop_assert!(width > 1 && text.lines().count() > 1, "{}", text);
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        prop_assert_eq!(cells.len(), width, "{}", text);
        let number = |cell: &&str| cell.len() < 30 && cell.parse::<f64>().is_ok_and(f64::is_finite);
        prop_assert!(cells.iter().all(number), "{}", text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        max_shrink_iters: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_fit_and_what_follows_end_well(
        table in select(&TABLES[..]),
        rows in select(&ROWS[..]),
        method in select(&METHODS[..]),
        of_fit in options(&OPTIONS),
        of_predict in options(&[
            ("--keep", "a y z a,a \"b,c\" \" _"),
            ("--header", "yes no"),
            ("--delimiter", "comma tab -1"),
        ]),
        there in any::<bool>(),
    ) {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path();
        fs::write(dir.join("train.csv"), table).unwrap();
        fs::write(dir.join("rows.csv"), rows).unwrap();
        if there {
            fs::write(dir.join("m.fw"), "old").unwrap();
        }
        let before = files(dir);
        let mut fit = words("fit train.csv --out m.fw --method");
        fit.push(method.into());
        fit.extend(of_fit);
        // what is not drawn is small
        let walks = matches!(method, "walk" | "atlas" | "flow");
        let mut small = String::from("--hidden 2 --threads 1 ");
        if walks {
            small.push_str("--particles 5 --steps 6 ");
        }
        if walks || matches!(method, "nuts" | "sgld") {
            small.push_str("--samples 5 --max-seconds 0.1 ");
        }
        let small = words(&small);
        for pair in small.chunks(2) {
            let given = |name: &str| fit.iter().any(|word| word == name);
            if !(given(&pair[0]) || (pair[0] == "--hidden" && given("--conv"))) {
                fit.extend_from_slice(pair);
            }
        }
        let fitted = checked(dir, &fit)?;
        let mut said = format!("{fit:?}");
        check_files(dir, &before, "m.fw", fitted, &said)?;
        if !fitted {
            return Ok(());
        }
        prop_assert!(checked(dir, &words("info m.fw"))?);
        // its columns may be read in another way now, and be refused
        checked(dir, &words("evaluate m.fw train.csv --samples 2"))?;
        let before = files(dir);
        let mut predict = words("predict m.fw rows.csv --out p.csv");
        predict.extend(of_predict);
        let predicted = checked(dir, &predict)?;
        write!(said, " {predict:?}").unwrap();
        check_files(dir, &before, "p.csv", predicted, &said)?;
        if predicted && !predict.contains(&"--keep".into()) {
            check_predictions(&fs::read_to_string(dir.join("p.csv")).unwrap())?;
        }
    }
}

/// Places where an output cannot be are refused before anything is trained.
#[test]
fn outputs_are_files_in_directories_that_are_there() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    fs::write(dir.join("train.csv"), TABLES[0]).unwrap();
    fs::create_dir(dir.join("there")).unwrap();
    let before = files(dir);
    for (out, word) in [
        ("new/", "directory"),
        ("there/", "directory"),
        ("there", "directory"),
        (".", "directory"),
        ("..", "directory"),
        ("new/m.fw", "make it first"),
        ("train.csv", "one of the inputs"),
        ("train.csv/m.fw", "directory"),
    ] {
        let args = ["fit", "train.csv", "--method", "map", "--out", out].map(String::from);
        let ran = run(dir, &args).unwrap();
        assert_eq!(ran.status, Some(2), "{out}: {}", ran.stderr);
        assert!(ran.stderr.contains(word), "{out}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{out}: {}", ran.stderr);
        assert!(files(dir) == before, "{out}");
    }
}
