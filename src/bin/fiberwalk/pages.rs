//! `fiberwalk completions` and `fiberwalk man`: scripts for shells, and manual pages.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use fiberwalk::{Error, Result};

use crate::args::Cli;
use crate::streams::{STANDARD_OUTPUT, say};

/// The name of the program and of its completion script.
const NAME: &str = "fiberwalk";

pub fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    say(&String::from_utf8_lossy(&script))
}

/// Writes the manual page of the program or of one of its commands.
pub fn man(command: Option<&str>) -> Result<()> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let page = match command {
        None => Man::new(program),
        Some(name) => {
            let Some(found) = program.find_subcommand(name) else {
                return Err(Error::Config {
                    field: "man",
                    value: name.into(),
                    requirement: format!("must be one of {}", names(&program)),
                });
            };
            Man::new(found.clone())
        }
    };
    let mut roff = Vec::new();
    page.render(&mut roff).map_err(|source| Error::Io {
        path: STANDARD_OUTPUT.into(),
        source,
    })?;
    say(&String::from_utf8_lossy(&roff))
}

fn names(program: &clap::Command) -> String {
    let names: Vec<&str> = program.get_subcommands().map(|c| c.get_name()).collect();
    names.join(", ")
}
