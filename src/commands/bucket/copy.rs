//! `akin copy` into a bucket and out of one: the files of an index, byte for byte.

use std::path::Path;
use std::time::Instant;

use akin_engines::bucket::{self, BucketAddress};
use serde_json::json;

use crate::commands::cli::CopyArguments;
use crate::commands::index::print_json;
use crate::commands::interrupt::{self, Clean};
use crate::commands::terminal::{Terminal, bytes, counted, duration, grouped};

/// Brings the last commit of the index in the folder `from` to `to`.
pub fn back_up(
    arguments: &CopyArguments,
    from: &Path,
    to: &BucketAddress,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let begin = Instant::now();
    let copied = watched(terminal, "what was sent is kept", |watch| bucket::back_up(from, to, watch))?;
    let seconds = begin.elapsed().as_secs_f64();
    terminal.note(format_args!(
        "{} in {to}, commit {}, in {}: {} of {} sent, {}, {} removed",
        counted(copied.documents, "document"),
        grouped(copied.generation as usize),
        duration(seconds),
        grouped(copied.sent),
        counted(copied.files, "file"),
        bytes(copied.sent_bytes),
        grouped(copied.removed),
    ));
    if arguments.json {
        print_json(&json!({
            "documents": copied.documents,
            "generation": copied.generation,
            "files": copied.files,
            "sent": copied.sent,
            "sent_bytes": copied.sent_bytes,
            "removed": copied.removed,
            "seconds": seconds,
        }))?;
    }
    Ok(())
}

/// Makes an index in the folder `to` of the one at `from`.
pub fn restore(
    arguments: &CopyArguments,
    from: &BucketAddress,
    to: &Path,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let begin = Instant::now();
    let copied = watched(terminal, "what was fetched is kept", |watch| bucket::restore(from, to, watch))?;
    let seconds = begin.elapsed().as_secs_f64();
    terminal.note(format_args!(
        "{} in {}, commit {}, in {}: {} fetched, {}; all checksums hold",
        counted(copied.documents, "document"),
        to.display(),
        grouped(copied.generation as usize),
        duration(seconds),
        counted(copied.fetched, "file"),
        bytes(copied.fetched_bytes),
    ));
    if arguments.json {
        print_json(&json!({
            "documents": copied.documents,
            "generation": copied.generation,
            "fetched": copied.fetched,
            "fetched_bytes": copied.fetched_bytes,
            "seconds": seconds,
        }))?;
    }
    Ok(())
}

/// A copy with a bar over its bytes.
fn watched<T>(
    terminal: &Terminal,
    kept: &str,
    copy: impl FnOnce(bucket::Watch<'_>) -> akin_engines::Result<T>,
) -> anyhow::Result<T> {
    let bar = terminal.bytes_bar();
    let _clean = Clean::begin();
    let copied = copy(&|done, total| {
        bar.set_length(total);
        bar.set_position(done);
        interrupt::flow()
    });
    bar.finish_and_clear();
    interrupt::with_kept(copied.map_err(Into::into), || format!("{kept}; the same command goes on"))
}
