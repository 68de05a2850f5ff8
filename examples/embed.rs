//! A model in a program that serves rows: bytes in, predictions out, on threads of its own.
//!
//! `cargo run --release -- fit examples/data/yacht.csv --out yacht.fw`, then
//! `cargo run --release --example embed yacht.fw 0 0.6 4.78 3.99 3.17 0.35`: a model file, and the
//! features of one row.

// a program talks to its user; the library does not
#![allow(clippy::print_stdout)]

use fiberwalk::artifact::{AnyModel, RowPrediction};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let bytes = std::fs::read(args.next().ok_or("a model file is missing")?)?;
    let row = args.map(|x| x.parse()).collect::<Result<Vec<f64>, _>>()?;

    // draws, programs and memory are made here, once
    let predictor = AnyModel::from_bytes(&bytes)?.predictor(256, 0)?;
    let serve = || -> fiberwalk::Result<RowPrediction> { predictor.row(&row) };
    // the threads are the program's: a row is computed by the one that asks for it
    let answers = std::thread::scope(|s| [s.spawn(serve), s.spawn(serve)].map(|t| t.join()));
    for answer in answers {
        println!("{:?}", answer.map_err(|_| "a thread panicked")??);
    }
    Ok(())
}
