//! `akin compact`: rewrites an index as one segment, without deleted documents; upgrades an older format.

use std::ops::ControlFlow;

use akin_index::Index;

use crate::cli::CompactArguments;
use crate::terminal::{Terminal, bytes, counted, grouped};

/// Upgrades an index of an older format, compacts, and tells what it came to.
pub fn run(arguments: &CompactArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let bar = terminal.documents_bar(0);
    bar.set_message("graph");
    let progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        ControlFlow::Continue(())
    };
    let (mut index, older) = Index::open_or_upgrade(&arguments.index, &progress)?;
    let compaction = index.compact(&progress)?;
    bar.finish_and_clear();
    if older.is_some() {
        terminal.note(format_args!("upgraded to format {}", index.stat()?.format));
    }
    terminal.note(format_args!(
        "{} in {}, {} before: {} deleted ones are gone",
        counted(compaction.documents, "document"),
        bytes(compaction.bytes_after),
        bytes(older.unwrap_or(compaction.bytes_before)),
        grouped(compaction.removed),
    ));
    Ok(())
}
