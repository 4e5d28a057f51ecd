//! `akin compact`: rewrites an index without deleted documents and unused space.

use crate::cli::CompactArguments;
use crate::model;
use crate::terminal::{Terminal, bytes, counted, grouped};

/// Compacts, and tells what it came to.
pub fn run(arguments: &CompactArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let index = model::open_index(&arguments.index)?;
    let bar = terminal.documents_bar(index.len());
    bar.set_message("graph");
    let (_, compaction) = index.compact(&|done, _| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    terminal.note(format_args!(
        "{} in {}, {} before: {} deleted ones are gone",
        counted(compaction.documents, "document"),
        bytes(compaction.bytes_after),
        bytes(compaction.bytes_before),
        grouped(compaction.removed),
    ));
    Ok(())
}
