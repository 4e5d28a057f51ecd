//! `akin compact`: rewrites an index as one segment, without deleted documents; upgrades an older format.

use akin_index::Index;

use crate::commands::cli::CompactArguments;
use crate::commands::interrupt;
use crate::commands::terminal::{Terminal, bytes, counted, grouped};

/// Upgrades an index of an older format, compacts, and tells what it came to.
pub fn run(arguments: &CompactArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let compacted = terminal.with_bar("graph", |progress| -> anyhow::Result<_> {
        let (mut index, older) = Index::open_or_upgrade(&arguments.index, progress)?;
        let compaction = index.compact(progress)?;
        Ok((index, older, compaction))
    });
    let (index, older, compaction) = interrupt::with_kept(compacted, || "no document is lost".into())?;
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
