//! `akin copy`: brings the documents of one index into another, wherever the two are, or its files into a bucket and back.

use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use akin_encoder::EncoderOptions;
use akin_engines::bucket::Freshness;
use akin_engines::copy::{Copied, Step, copy};
use akin_engines::folder::{FolderEngine, FolderSource};
use akin_engines::{Engine, Source};
use akin_index::{Index, Reader};
use akin_indexer::pipeline::estimate_trust;
use anyhow::bail;
use serde_json::json;

use crate::commands::cli::CopyArguments;
use crate::commands::index::print_json;
use crate::commands::interrupt::{self, Clean};
use crate::commands::terminal::{Terminal, counted, duration, grouped};
use crate::commands::{bucket, engine, model};

/// Brings files into a bucket or out of one, and documents elsewhere.
pub fn run(arguments: &CopyArguments, terminal: &Terminal) -> anyhow::Result<()> {
    require_different(arguments)?;
    let (from, to) = (bucket::address(&arguments.from)?, bucket::address(&arguments.to)?);
    let to_engine = engine::address(&arguments.to)?.is_some();
    match (from, to) {
        (None, None) => copy_documents(arguments, terminal),
        (None, Some(to)) => match engine::address(&arguments.from)? {
            None => bucket::back_up(arguments, &arguments.from, &to, terminal),
            Some(_) => bail!(
                "{} is no folder, and a bucket takes the files of one: copy it to a folder first, and the folder to {to}",
                arguments.from.display()
            ),
        },
        (Some(from), None) if !to_engine && Reader::open(&arguments.to).is_err() => {
            bucket::restore(arguments, &from, &arguments.to, terminal)
        }
        (Some(from), to) => {
            let cached = bucket::open(&from, Freshness::Kept, terminal)?;
            let folder = cached.folder();
            match to {
                Some(to) => bucket::back_up(arguments, &folder, &to, terminal),
                None => copy_documents(
                    &CopyArguments { from: folder, to: arguments.to.clone(), json: arguments.json },
                    terminal,
                ),
            }
        }
    }
}

/// Sends what is not there, reads everything back, and says what came of it.
fn copy_documents(arguments: &CopyArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let begin = Instant::now();
    let mut from = source(&arguments.from)?;
    let mut to = target(&arguments.to, &*from)?;
    let _clean = Clean::begin();
    let copied = watched(&mut *from, &mut *to, terminal);
    let copied = interrupt::with_kept(copied, || "what was sent is kept; the same command goes on".into())?;
    let place = to.place();
    drop((from, to));
    if engine::address(&arguments.to)?.is_none() {
        know_whom_to_trust(&arguments.to, copied, terminal)?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    terminal.note(format_args!(
        "{} of {} in {}: {} added, {} replaced, {} unchanged; all read back and found equal",
        counted(copied.documents, "document"),
        counted(copied.passages, "passage"),
        duration(seconds),
        grouped(copied.added),
        grouped(copied.replaced),
        grouped(copied.unchanged),
    ));
    if copied.others > 0 {
        terminal.note(format_args!(
            "{} that {} had besides stay there",
            counted(copied.others, "document"),
            place
        ));
    }
    if arguments.json {
        print_json(&json!({
            "documents": copied.documents,
            "passages": copied.passages,
            "added": copied.added,
            "replaced": copied.replaced,
            "unchanged": copied.unchanged,
            "others": copied.others,
            "seconds": seconds,
        }))?;
    }
    Ok(())
}

fn source(path: &Path) -> anyhow::Result<Box<dyn Source>> {
    Ok(match engine::address(path)? {
        Some(address) => address.open()?,
        None => Box::new(FolderSource::open(path)?),
    })
}

fn target(path: &Path, from: &dyn Source) -> anyhow::Result<Box<dyn Engine>> {
    Ok(match engine::address(path)? {
        Some(address) => address.open_or_create(from.model())?,
        None => Box::new(FolderEngine::open_or_create(path, from.model())?),
    })
}

/// A copy with a bar for each of its steps.
fn watched(from: &mut dyn Source, to: &mut dyn Engine, terminal: &Terminal) -> anyhow::Result<Copied> {
    let bar = terminal.documents_bar(from.figures()?.documents);
    let step = Mutex::new(Step::Sending);
    let copied = copy(from, to, &|now, done, of| {
        if let Ok(mut step) = step.lock()
            && *step != now
        {
            *step = now;
            bar.reset();
        }
        bar.set_message(match now {
            Step::Sending => "documents",
            Step::Building => "graph",
            Step::Checking => "read back",
        });
        bar.set_length(of as u64);
        bar.set_position(done as u64);
        interrupt::flow()
    });
    bar.finish_and_clear();
    Ok(copied?)
}

/// Estimates how well the model understands the documents of an index that got many, as `akin index` does: searches by meaning
/// and words need it. The copy is complete without.
fn know_whom_to_trust(path: &Path, copied: Copied, terminal: &Terminal) -> anyhow::Result<()> {
    let mut index = Index::open(path)?;
    let of_index = index.model();
    if !of_index.is_known() {
        return Ok(());
    }
    let loaded = model::load(&of_index.location, &EncoderOptions::default());
    match loaded.and_then(|encoder| model::adopt(encoder, &of_index)) {
        Ok(encoder) if encoder.fingerprint() == of_index.fingerprint => {
            Ok(estimate_trust(&mut index, &encoder, copied.added + copied.replaced)?)
        }
        _ => {
            terminal.note(format_args!(
                "the model {} is not here: how far it is to be trusted beside words is not known until `akin index` adds documents",
                of_index.location
            ));
            Ok(())
        }
    }
}

fn require_different(arguments: &CopyArguments) -> anyhow::Result<()> {
    let place = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if place(&arguments.from) == place(&arguments.to) {
        bail!("{} is both ends of the copy: name another place for the second", arguments.from.display());
    }
    Ok(())
}
