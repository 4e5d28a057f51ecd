//! `akin verify`: checks every byte of an index.

use std::io::{self, Write};

use anyhow::Context;

use crate::cli::VerifyArguments;
use crate::model;
use crate::terminal::{bytes, counted};

/// Prints what was checked; the first fault is the error.
pub fn run(arguments: &VerifyArguments) -> anyhow::Result<()> {
    let verification = model::open_reader(&arguments.index)?.verify()?;
    let documents = counted(verification.documents, "document");
    let chunks = counted(verification.chunks, "block");
    writeln!(io::stdout(), "ok: {documents}, {chunks}, {}", bytes(verification.bytes))
        .context("cannot write to stdout")
}
