//! `akin repair`: rebuilds the catalogue of an index, or its manifest, from what is there.

use akin_index::{Index, RepairedFrom};

use crate::commands::cli::RepairArguments;
use crate::commands::interrupt;
use crate::commands::terminal::{Terminal, counted};

/// Repairs, and tells from what and what was lost.
pub fn run(arguments: &RepairArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let repaired = terminal.with_bar("files", |progress| Index::repair_with(&arguments.index, progress));
    let repaired = interrupt::with_kept(repaired.map_err(Into::into), || "the index is as it was".into())?;
    let from = match repaired.from {
        RepairedFrom::Manifest => "its manifest: the catalogue was made anew",
        RepairedFrom::Catalogue => "its catalogue: the manifest was published anew",
        RepairedFrom::Segments => "its segment files: manifest and catalogue were made anew",
    };
    for lost in &repaired.lost {
        terminal.note(format_args!("lost: {lost}"));
    }
    terminal.note(format_args!("{}, from {from}", counted(repaired.documents, "document")));
    Ok(())
}
