//! `akin completions`: prints the script that completes commands and options in a shell.

use std::io::{self, Write};

use anyhow::Context;
use clap::CommandFactory;

use crate::commands::cli::{Cli, CompletionsArguments};

/// Prints the script that the shell loads.
pub fn run(arguments: &CompletionsArguments) -> anyhow::Result<()> {
    // By way of a buffer, because clap_complete panics where a pipe breaks.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "akin", &mut script);
    io::stdout().write_all(&script).context("cannot write to stdout")
}
