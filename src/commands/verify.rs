//! `akin verify`: checks every byte of an index.

use std::io::{self, Write};

use anyhow::Context;

use crate::commands::cli::VerifyArguments;
use crate::commands::interrupt::{self, Clean};
use crate::commands::model;
use crate::commands::terminal::{Terminal, bytes, counted};

/// Prints what was checked; the first fault is the error.
pub fn run(arguments: &VerifyArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let snapshot = model::open_reader(&arguments.index)?.snapshot();
    let bar = terminal.bytes_bar();
    let clean = Clean::begin();
    let verification = snapshot.verify_with(&|done, total| {
        bar.set_length(total);
        bar.set_position(done);
        interrupt::flow()
    });
    bar.finish_and_clear();
    let verification = verification?;
    drop(clean);
    let documents = counted(verification.documents, "document");
    let chunks = counted(verification.chunks, "block");
    writeln!(io::stdout(), "ok: {documents}, {chunks}, {}", bytes(verification.bytes))
        .context("cannot write to stdout")
}
