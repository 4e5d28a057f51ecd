//! `akin delete`: deletes documents from an index by their ids.

use akin_index::Index;

use crate::commands::cli::DeleteArguments;
use crate::commands::engine;
use crate::commands::terminal::{Terminal, counted};

/// Deletes by id. An id that is not there is mentioned: deleting twice does no harm.
pub fn run(arguments: &DeleteArguments, terminal: &Terminal) -> anyhow::Result<()> {
    if let Some(address) = engine::address(&arguments.index)? {
        return engine::delete(arguments, address, terminal);
    }
    let mut index = Index::open(&arguments.index)?;
    let mut ids: Vec<&str> = arguments.ids.iter().map(String::as_str).collect();
    ids.sort_unstable();
    ids.dedup();
    let existed = index.delete(&ids)?;
    for (id, _) in ids.iter().zip(&existed).filter(|(_, existed)| !**existed) {
        terminal.note(format_args!("not in the index: {id}"));
    }
    let deleted = existed.iter().filter(|existed| **existed).count();
    terminal.note(format_args!("deleted {}, {} left", counted(deleted, "document"), index.len()));
    Ok(())
}
