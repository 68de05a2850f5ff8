//! `fiberwalk completions` and `fiberwalk man`: scripts for shells, and manual pages.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use fiberwalk::Error;

use crate::args::Cli;
use crate::failure::{Failure, Outcome};
use crate::streams::say;

/// The name of the program and of its completion script.
const NAME: &str = "fiberwalk";

pub fn completions(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    say(&String::from_utf8_lossy(&script))
}

/// Writes the manual page of the program or of one of its commands.
pub fn man(command: Option<&str>) -> Outcome {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let page = match command {
        None => Man::new(program),
        Some(name) => {
            let Some(found) = program.find_subcommand(name) else {
                let requirement = format!("must be one of {}", names(&program));
                return Err(Error::config("man", name, &requirement).into());
            };
            Man::new(found.clone())
        }
    };
    let mut roff = Vec::new();
    page.render(&mut roff).map_err(Failure::Output)?;
    say(&String::from_utf8_lossy(&roff))
}

fn names(program: &clap::Command) -> String {
    let names: Vec<&str> = program.get_subcommands().map(|c| c.get_name()).collect();
    names.join(", ")
}
