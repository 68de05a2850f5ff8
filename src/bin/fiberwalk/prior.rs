//! The values of `--prior`.

use fiberwalk::Error;
use fiberwalk::pipeline::PriorChoice;

/// How prior scales are set, or a fixed precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prior {
    Choice(PriorChoice),
    Precision(f64),
}

pub fn parse_prior(text: &str) -> std::result::Result<Prior, String> {
    if let Ok(alpha) = text.parse() {
        return Ok(Prior::Precision(alpha));
    }
    text.parse().map(Prior::Choice).map_err(|_: Error| {
        let names = PriorChoice::ALL.map(PriorChoice::name).join(", ");
        format!("expected a number or one of {names}")
    })
}
