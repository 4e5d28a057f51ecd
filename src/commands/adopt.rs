//! `akin adopt`: makes one index of several that were built apart.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use akin_index::{Adoption, Keep, Part};
use akin_indexer::adopt::{adopt, open_like};
use anyhow::bail;
use serde_json::json;

use crate::commands::cli::{AdoptArguments, KeepName};
use crate::commands::index::print_json;
use crate::commands::interrupt::{self, Clean};
use crate::commands::terminal::{Terminal, bytes, counted, duration, grouped};

/// Checks all parts, takes them over in one commit, and puts small segments together.
pub fn run(arguments: &AdoptArguments, terminal: &Terminal) -> anyhow::Result<()> {
    require_different(arguments)?;
    let begin = Instant::now();
    let parts = arguments.parts.iter().map(|path| Part::open(path)).collect::<Result<Vec<_>, _>>()?;
    let mut index = open_like(&arguments.index, &parts)?;
    let _clean = Clean::begin();
    let keep = match arguments.keep {
        KeepName::Last => Keep::Last,
        KeepName::First => Keep::First,
    };
    let how = Adoption { keep, copy: arguments.copy };
    let adopted = terminal.with_bar("files", |progress| adopt(&mut index, &parts, how, progress));
    let adopted =
        interrupt::with_kept(adopted.map_err(anyhow::Error::from), || "the index is as it was".into())?;
    drop(parts);
    let seconds = begin.elapsed().as_secs_f64();
    let built = terminal.with_bar("graph", |progress| -> anyhow::Result<()> {
        index.seal(progress)?;
        if arguments.merge {
            index.merge(progress)?;
        }
        Ok(())
    });
    interrupt::with_kept(built, || "all documents are in the index".into())?;
    let stat = index.stat()?;
    terminal.note(format_args!(
        "{} of {} in {}: {} replaced, {} left out, {} linked, {} copied",
        counted(adopted.documents, "document"),
        counted(arguments.parts.len(), "part"),
        duration(seconds),
        grouped(adopted.replaced),
        grouped(adopted.left_out),
        bytes(adopted.linked),
        bytes(adopted.copied),
    ));
    if adopted.known > 0 {
        terminal.note(format_args!("{} passed over: adopted before", counted(adopted.known, "segment")));
    }
    if stat.segments.len() > 1 {
        terminal.note(format_args!(
            "the index has {} graphs, and a query asks each; `akin compact` makes one of all",
            stat.segments.len()
        ));
    }
    if arguments.json {
        print_json(&json!({
            "adopted": adopted.documents,
            "replaced": adopted.replaced,
            "left_out": adopted.left_out,
            "segments": adopted.segments,
            "known": adopted.known,
            "bytes_linked": adopted.linked,
            "bytes_copied": adopted.copied,
            "seconds": seconds,
            "documents": stat.documents,
        }))?;
    }
    Ok(())
}

/// Refuses a part that is the index, or is named twice.
fn require_different(arguments: &AdoptArguments) -> anyhow::Result<()> {
    let place = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    let index = place(&arguments.index);
    let mut seen = HashSet::new();
    for part in &arguments.parts {
        if place(part) == index {
            bail!("{} is the index itself: name other indexes as parts", part.display());
        }
        if !seen.insert(place(part)) {
            bail!("the part {} is named twice: name it once", part.display());
        }
    }
    Ok(())
}
