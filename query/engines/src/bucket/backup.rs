//! Brings the last commit of an index to a bucket.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use akin_index::storage::{Blob, Folder, Storage};
use akin_index::{CommitFile, CommitFiles, Reader};
use bytes::Bytes;

use super::parallel::for_each;
use super::store::{Published, Store};
use super::{BucketAddress, BucketError, PART, Watch, object};
use crate::{Error, Result};

/// How often a manifest is read again because files that it names were merged away meanwhile.
const TRIES: usize = 100;

/// Parts of an object, at most.
const MOST_PARTS: u64 = 10_000;

/// What a copy into a bucket came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackedUp {
    /// The number of the commit that was copied.
    pub generation: u64,
    /// Its live documents.
    pub documents: usize,
    /// Its files.
    pub files: usize,
    /// Files that were sent.
    pub sent: usize,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Objects of earlier commits that were removed.
    pub removed: usize,
}

/// A file of a commit, open.
struct OpenFile {
    file: CommitFile,
    blob: Blob,
}

/// Brings the last commit of the index in the folder `from` to `to`, and removes the objects of the commit that was there before.
///
/// What is there already is not sent. Readers see the old commit until the new manifest is put, at once, and only if nobody else
/// has put another meanwhile. The folder may be searched and changed while it is copied. Each file is compared with its checksums
/// before it is sent.
///
/// # Errors
/// As [`Reader::open`]; [`BucketError::Other`] if another index is there, or a newer or other state of this one;
/// [`BucketError::Overtaken`] if another copy was published meanwhile; what the object store reports.
pub fn back_up(from: &Path, to: &BucketAddress, watch: Watch<'_>) -> Result<BackedUp> {
    Reader::open(from)?;
    let (commit, files) = pin(&Folder::new(from))?;
    let store = Store::open(to)?;
    let before = store.commit()?;
    if let Some((before, _)) = &before {
        require_successor(&commit, before, to)?;
    }
    let listed = store.list()?;
    let missing = missing(&store, &files, &listed, before.as_ref().map(|(before, _)| before))?;
    let sent_bytes = send(&store, &commit, &missing, watch)?;
    let is_published = before.as_ref().is_some_and(|(before, _)| before.manifest() == commit.manifest());
    if !is_published {
        publish(&store, &commit, &files, before.as_ref().map(|(_, version)| &**version))?;
    }
    let removed = remove_unnamed(&store, &commit, &files, &listed)?;
    Ok(BackedUp {
        generation: commit.generation(),
        documents: commit.documents(),
        files: files.len(),
        sent: missing.len(),
        sent_bytes,
        removed,
    })
}

/// Opens the files of the published commit: they stay readable whatever a writer does.
fn pin(storage: &Folder) -> Result<(CommitFiles, Vec<OpenFile>)> {
    let damaged = |what: String| akin_index::Error::Damaged { path: storage.path().to_owned(), what };
    let mut last = None;
    for _ in 0..TRIES {
        let commit = CommitFiles::published(storage)?;
        let commit = commit.ok_or_else(|| damaged("its manifest is missing".into()))?;
        let open = |file: CommitFile| match storage.open(&file.name) {
            Ok(blob) => Ok(OpenFile { file, blob }),
            Err(error) => Err((file.name, error)),
        };
        match commit.files().into_iter().map(open).collect::<std::result::Result<Vec<_>, _>>() {
            Ok(files) => return Ok((commit, files)),
            Err((name, error)) if error.kind() == io::ErrorKind::NotFound => {
                if last.as_deref() == Some(commit.manifest()) {
                    return Err(damaged(format!("its file {name} is missing")).into());
                }
                last = Some(commit.manifest().to_vec());
            }
            Err((name, source)) => {
                return Err(reading(storage, &name, source).into());
            }
        }
    }
    Err(damaged("its manifest names files that are not there".into()).into())
}

fn reading(storage: &Folder, name: &str, source: io::Error) -> akin_index::Error {
    akin_index::Error::Io { action: "read", path: storage.path().join(object(name)), source }
}

/// Refuses a commit that does not follow the one that is there: an index whose copy it would replace may be the only one.
fn require_successor(commit: &CommitFiles, before: &CommitFiles, to: &BucketAddress) -> Result<()> {
    let other = |what: String| Err(BucketError::Other { place: to.to_string(), what }.into());
    if !commit.is_of_one_index_with(before) {
        return other(format!("another index, of {} documents", before.documents()));
    }
    let (ours, theirs) = (commit.generation(), before.generation());
    if theirs > ours {
        return other(format!("a newer commit of this index, number {theirs} and not {ours}"));
    }
    let ours_by_name: HashMap<String, CommitFile> =
        commit.files().into_iter().map(|file| (file.name.clone(), file)).collect();
    let contradicts = |file: &CommitFile| ours_by_name.get(&file.name).is_some_and(|ours| ours != file);
    let is_other = theirs == ours && commit.manifest() != before.manifest();
    match is_other || before.files().iter().any(contradicts) {
        true => other("a copy of this index that was changed apart from it".into()),
        false => Ok(()),
    }
}

/// The files that the bucket has not: an object of the same name, length and end is the same file.
fn missing<'a>(
    store: &Store,
    files: &'a [OpenFile],
    listed: &HashMap<String, u64>,
    before: Option<&CommitFiles>,
) -> Result<Vec<&'a OpenFile>> {
    let known = before.map(CommitFiles::files).unwrap_or_default();
    let (there, unsure): (Vec<&OpenFile>, Vec<&OpenFile>) =
        files.iter().partition(|open| known.contains(&open.file));
    let missing = Mutex::new(Vec::new());
    let is_listed = |file: &CommitFile| listed.get(&file.name) == Some(&file.length);
    let add =
        |open: &'a OpenFile| missing.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(open);
    there.into_iter().filter(|open| !is_listed(&open.file)).for_each(add);
    for_each(&unsure, |open| {
        let file = &open.file;
        let end = file.length.saturating_sub(CommitFile::END as u64)..file.length;
        let is_there = is_listed(file)
            && store.range(&object(&file.name), end, file.length)?.is_some_and(|end| file.is_end(&end));
        if !is_there {
            add(open);
        }
        Ok(())
    })?;
    Ok(missing.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// Sends files, small ones several at a time and the parts of a large one likewise. Gives their bytes.
fn send(store: &Store, commit: &CommitFiles, files: &[&OpenFile], watch: Watch<'_>) -> Result<u64> {
    let total = files.iter().map(|open| open.file.length).sum();
    let sent = AtomicU64::new(0);
    let count = |bytes: u64| match watch(sent.fetch_add(bytes, Ordering::Relaxed) + bytes, total) {
        std::ops::ControlFlow::Continue(()) => Ok(()),
        std::ops::ControlFlow::Break(()) => Err(Error::from(akin_index::Error::Cancelled)),
    };
    let (small, large): (Vec<&OpenFile>, Vec<&OpenFile>) =
        files.iter().partition(|open| open.file.length <= PART);
    for_each(&small, |open| {
        count(0)?;
        commit.check(&open.file.name, &open.blob)?;
        store.put(&object(&open.file.name), &read(open, 0, open.file.length)?)?;
        count(open.file.length)
    })?;
    for open in large {
        commit.check(&open.file.name, &open.blob)?;
        send_parts(store, open, &count)?;
    }
    Ok(total)
}

/// Sends a file in parts.
fn send_parts(store: &Store, open: &OpenFile, count: &(dyn Fn(u64) -> Result<()> + Sync)) -> Result<()> {
    let (name, length) = (object(&open.file.name), open.file.length);
    let part = PART.max(length.div_ceil(MOST_PARTS));
    let numbers: Vec<u64> = (0..length.div_ceil(part)).collect();
    let id = store.begin_parts(&name)?;
    let done = Mutex::new(Vec::with_capacity(numbers.len()));
    let sent = for_each(&numbers, |number| {
        count(0)?;
        let from = number * part;
        let bytes = read(open, from, part.min(length - from))?;
        let put = store.put_part(&name, &id, *number as usize, &bytes)?;
        done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((*number, put));
        count(bytes.len() as u64)
    });
    let mut parts = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    parts.sort_by_key(|(number, _)| *number);
    let parts: Vec<_> = parts.into_iter().map(|(_, part)| part).collect();
    let finished = sent.and_then(|()| store.finish_parts(&name, &id, &parts));
    if finished.is_err() {
        store.forget_parts(&name, &id);
    }
    finished
}

fn read(open: &OpenFile, from: u64, length: u64) -> Result<Bytes> {
    let name = Path::new(&open.file.name);
    let failed = |source: io::Error| akin_index::Error::Io { action: "read", path: name.to_owned(), source };
    let length = usize::try_from(length).map_err(|_| failed(io::ErrorKind::FileTooLarge.into()))?;
    let mut bytes = vec![0; length];
    open.blob.read_at(from, &mut bytes).map_err(failed)?;
    Ok(bytes.into())
}

/// Puts the manifest, if everything that it names is there and nobody has put another.
fn publish(store: &Store, commit: &CommitFiles, files: &[OpenFile], expected: Option<&str>) -> Result<()> {
    let overtaken = || BucketError::Overtaken { place: store.place.to_string() };
    // Another copy may have removed what this one found there.
    let listed = store.list()?;
    if files.iter().any(|open| listed.get(&open.file.name) != Some(&open.file.length)) {
        return Err(overtaken().into());
    }
    match store.publish(commit.manifest(), expected)? {
        Published::Now => Ok(()),
        Published::Overtaken => Err(overtaken().into()),
    }
}

/// Removes objects that were there when this copy began and that the published commit does not name. Those that came later
/// may be of a copy that goes on now.
fn remove_unnamed(
    store: &Store,
    commit: &CommitFiles,
    files: &[OpenFile],
    listed: &HashMap<String, u64>,
) -> Result<usize> {
    let is_named = |name: &str| files.iter().any(|open| open.file.name == name);
    let unnamed: Vec<&String> =
        listed.keys().filter(|name| CommitFile::is_name(name) && !is_named(name)).collect();
    // One that has published since may have found them there.
    let is_ours = |now: &(CommitFiles, String)| now.0.manifest() == commit.manifest();
    if unnamed.is_empty() || !store.commit()?.as_ref().is_some_and(is_ours) {
        return Ok(0);
    }
    for_each(&unnamed, |name| store.remove(&object(name)))?;
    Ok(unnamed.len())
}
