//! Commands whose INDEX is in a bucket, `s3://BUCKET/PREFIX`.
//!
//! Readers get a folder in the place of the address: a copy of its files in the user's cache, brought up to date first. `akin copy`
//! is the only command that writes into a bucket.

mod copy;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use akin_engines::bucket::{BucketAddress, CachedIndex, Freshness};
use akin_index::Index;
use anyhow::{Context, bail};
use tempfile::TempDir;

pub use self::copy::{back_up, restore};
use crate::commands::cli::{Command, Evaluation};
use crate::commands::interrupt::{self, Clean};
use crate::commands::terminal::Terminal;

/// How often a server or a session looks for newer commits in a bucket.
const FOLLOW: Duration = Duration::from_secs(10);

/// The folders that commands got in the place of addresses, with those addresses.
static BROUGHT: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// The address that a path is, if it is one.
pub fn address(path: &Path) -> anyhow::Result<Option<BucketAddress>> {
    match path.to_str().filter(|text| BucketAddress::is_one(text)) {
        Some(text) => Ok(Some(BucketAddress::parse(text).map_err(akin_engines::Error::from)?)),
        None => Ok(None),
    }
}

/// Puts the addresses that a user gave in the place of the folders of the cache that a sentence names. A file in such a folder keeps
/// its name: it is the copy that is meant.
pub fn with_addresses(sentence: &str) -> String {
    let brought = BROUGHT.lock().unwrap_or_else(PoisonError::into_inner);
    brought.iter().fold(sentence.to_owned(), |told, (folder, address)| {
        told.replace(&format!("{folder} "), &format!("{address} "))
    })
}

/// What a command that reads indexes in buckets needs for as long as it runs.
#[derive(Default)]
pub struct Copies {
    _indexes: Vec<Arc<CachedIndex>>,
    /// The folder of an index that is changed, where its command does that.
    _scratch: Option<TempDir>,
}

/// How a command uses its indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// As they are when it begins.
    Once,
    /// As they are from then on.
    Follow,
    /// Every byte is fetched again.
    Mistrust,
}

/// Puts a folder in the place of each address in a bucket that a command reads, and refuses one that it would write to.
pub fn bring(command: &mut Command, terminal: &Terminal) -> anyhow::Result<Copies> {
    let (paths, how): (Vec<&mut PathBuf>, Use) = match command {
        Command::Query(arguments) => {
            let is_session = arguments.text.is_none() && arguments.search.like.is_empty();
            (vec![&mut arguments.index], if is_session { Use::Follow } else { Use::Once })
        }
        Command::Batch(arguments) => (vec![&mut arguments.index], Use::Once),
        Command::Bench(arguments) => (vec![&mut arguments.index], Use::Once),
        Command::Show(arguments) => (vec![&mut arguments.index], Use::Once),
        Command::Stat(arguments) => (vec![&mut arguments.index], Use::Once),
        Command::Export(arguments) => (vec![&mut arguments.index], Use::Once),
        Command::Map(arguments) => (vec![&mut arguments.index], Use::Once),
        Command::Verify(arguments) => (vec![&mut arguments.index], Use::Mistrust),
        Command::Pairs(arguments) => (arguments.compared.paths.iter_mut().collect(), Use::Once),
        Command::Dedup(arguments) => (arguments.compared.paths.iter_mut().collect(), Use::Once),
        Command::Cluster(arguments) => (arguments.compared.paths.iter_mut().collect(), Use::Once),
        Command::Negatives(arguments) => (arguments.paths.iter_mut().collect(), Use::Once),
        Command::Serve(arguments) => {
            if arguments.writable {
                refuse_writing(arguments.indexes.iter().chain(&arguments.create_in))?;
            }
            (arguments.indexes.iter_mut().collect(), Use::Follow)
        }
        Command::Mcp(arguments) => {
            if arguments.is_writable() {
                refuse_writing(&arguments.indexes)?;
            }
            // The client of the agent starts this command by its address.
            if arguments.install.is_some() {
                return Ok(Copies::default());
            }
            (arguments.indexes.iter_mut().collect(), Use::Follow)
        }
        Command::Eval(arguments) => match &mut arguments.evaluation {
            Evaluation::Retrieval(arguments) => return bring_to_change(arguments.index.as_mut(), terminal),
            _ => return Ok(Copies::default()),
        },
        Command::Index(arguments) => return refuse_writing([&arguments.index]),
        Command::Import(arguments) => return refuse_writing([&arguments.index]),
        Command::Adopt(arguments) => return refuse_writing(arguments.parts.iter().chain([&arguments.index])),
        Command::Delete(arguments) => return refuse_writing([&arguments.index]),
        Command::Compact(arguments) => return refuse_writing([&arguments.index]),
        Command::Repair(arguments) => return refuse_writing([&arguments.index]),
        Command::Copy(_) | Command::Encode(_) | Command::Shard(_) | Command::Train(_) => {
            return Ok(Copies::default());
        }
        Command::Completions(_) => return Ok(Copies::default()),
    };
    let mut indexes = Vec::new();
    for path in paths {
        if let Some(address) = address(path)? {
            let freshness = if how == Use::Mistrust { Freshness::Anew } else { Freshness::Kept };
            let index = open(&address, freshness, terminal)?;
            *path = index.folder();
            remember(path, &address);
            indexes.push(Arc::new(index));
        }
    }
    if how == Use::Follow && !indexes.is_empty() {
        follow(indexes.clone())?;
    }
    Ok(Copies { _indexes: indexes, _scratch: None })
}

/// Brings the copy of an index in the cache up to date, with a bar.
pub fn open(
    address: &BucketAddress,
    freshness: Freshness,
    terminal: &Terminal,
) -> anyhow::Result<CachedIndex> {
    let bar = terminal.bytes_bar();
    let _clean = Clean::begin();
    let opened = CachedIndex::open(address, freshness, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
        interrupt::flow()
    });
    bar.finish_and_clear();
    Ok(opened?)
}

fn remember(folder: &Path, address: &BucketAddress) {
    let mut brought = BROUGHT.lock().unwrap_or_else(PoisonError::into_inner);
    brought.push((folder.display().to_string(), address.to_string()));
}

/// Looks for newer commits until the process ends.
fn follow(indexes: Vec<Arc<CachedIndex>>) -> anyhow::Result<()> {
    let mut failed = vec![false; indexes.len()];
    let look = move || {
        loop {
            thread::sleep(FOLLOW);
            for (index, failed) in indexes.iter().zip(&mut failed) {
                match index.refresh() {
                    Ok(newer) => {
                        if newer || *failed {
                            tracing::info!("{} is up to date again", index.place());
                        }
                        *failed = false;
                    }
                    Err(error) if !*failed => {
                        tracing::warn!("what was there before is read on: {error}");
                        *failed = true;
                    }
                    Err(_) => {}
                }
            }
        }
    };
    thread::Builder::new().name("buckets".into()).spawn(look).context("cannot start a thread")?;
    Ok(())
}

/// Refuses a command that would write into a bucket.
fn refuse_writing<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> anyhow::Result<Copies> {
    for path in paths {
        if let Some(address) = address(path)? {
            bail!(
                "{address} is in a bucket, where nothing is changed in place: `akin copy {address} FOLDER` brings the index to a \
                 folder, and after the change `akin copy FOLDER {address}` takes it back"
            );
        }
    }
    Ok(Copies::default())
}

/// Gives a command an index of its own that it may change: its files are links to those in the cache.
fn bring_to_change(path: Option<&mut PathBuf>, terminal: &Terminal) -> anyhow::Result<Copies> {
    let Some(path) = path else { return Ok(Copies::default()) };
    let Some(address) = address(path)? else { return Ok(Copies::default()) };
    let index = open(&address, Freshness::Kept, terminal)?;
    let cached = index.folder();
    let scratch = tempfile::tempdir_in(cached.parent().unwrap_or(&cached))
        .with_context(|| format!("cannot make a folder beside {}", cached.display()))?;
    let own = scratch.path().join(address.name());
    link(&cached, &own).with_context(|| format!("cannot write to {}", own.display()))?;
    Index::repair(&own)?;
    remember(&own, &address);
    *path = own;
    Ok(Copies { _indexes: vec![Arc::new(index)], _scratch: Some(scratch) })
}

fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    let segments = to.join("segments");
    fs::create_dir_all(&segments)?;
    for entry in fs::read_dir(from.join("segments"))? {
        let entry = entry?;
        if entry.metadata()?.is_file() {
            fs::hard_link(entry.path(), segments.join(entry.file_name()))?;
        }
    }
    fs::copy(from.join("manifest"), to.join("manifest"))?;
    Ok(())
}
