//! Which ids each file of records brought, for documents that have ids of their own: notes in the catalogue. So a file can be
//! *synced*: what it brought once and no longer has is removed, and nothing that came from elsewhere.
//!
//! | key | value |
//! | --- | --- |
//! | `ids/PATH\0N` | 64 bits of the SHA-256 of each id, in order; up to 4,096 of them |

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use akin_index::Index;
use sha2::{Digest, Sha256};

use crate::Result;
use crate::corpus::{Content, CorpusReader, Format, Source};

/// Ids in a note: 32 KiB.
const IN_A_NOTE: usize = 4096;

/// The ids that the files of a corpus have.
pub(crate) struct OwnIds {
    /// The full path of each source, in the order of the corpus; `None` where ids are not its documents' own.
    paths: Vec<Option<String>>,
    /// What was read of each path.
    read: Mutex<BTreeMap<String, Vec<u64>>>,
}

impl OwnIds {
    pub(crate) fn of(corpus: &CorpusReader) -> Self {
        let paths: Vec<_> = corpus.sources().iter().map(path_of).collect();
        let read = paths.iter().flatten().map(|path| (path.clone(), Vec::new())).collect();
        Self { paths, read: Mutex::new(read) }
    }

    /// Notes a document of a source that was read.
    pub(crate) fn note(&self, source: usize, id: &str) {
        let Some(Some(path)) = self.paths.get(source) else { return };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ids) = read.get_mut(path) {
            ids.push(hash_of(id));
        }
    }

    /// Writes down what each file has now. With `sync`, removes the documents that a file brought and no longer has, and that no
    /// other file brought. The whole corpus has been read and committed. Gives how many documents were removed.
    pub(crate) fn finish(self, index: &mut Index, sync: bool) -> Result<usize> {
        let read = self.read.into_inner().unwrap_or_else(PoisonError::into_inner);
        if read.is_empty() {
            return Ok(0);
        }
        let mut known = match sync {
            true => known_ids(index, b"ids/")?,
            // What other files have matters only to what is removed: an index may have millions of ids.
            false => BTreeMap::new(),
        };
        let mut gone = HashSet::new();
        let (mut written, mut stale) = (Vec::new(), Vec::new());
        for (path, now) in read {
            let mut now: BTreeSet<u64> = now.into_iter().collect();
            let before = match sync {
                true => known.remove(&path),
                false => known_ids(index, &key_of(&path, ""))?.remove(&path),
            };
            let before = before.unwrap_or_default();
            match sync {
                true => gone.extend(before.difference(&now)),
                // They are in the index still.
                false => now.extend(&before),
            }
            if now != before {
                let notes = now.len().div_ceil(IN_A_NOTE)..before.len().div_ceil(IN_A_NOTE);
                stale.extend(notes.map(|number| key_of(&path, number)));
                written.extend(notes_of(&path, &now));
            }
            known.insert(path, now);
        }
        known.values().flatten().for_each(|id| {
            gone.remove(id);
        });
        let removed = remove(index, &gone)?;
        index.write_notes(&written, &stale)?;
        Ok(removed)
    }
}

/// Has an index know which ids the files of a part brought, of whose notes these are: they come to those it knows.
pub(crate) fn adopt(index: &mut Index, notes: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
    for (path, theirs) in ids_of(notes) {
        let mut known = known_ids(index, &key_of(&path, ""))?.remove(&path).unwrap_or_default();
        let before = known.len();
        known.extend(theirs);
        if known.len() > before {
            index.write_notes(&notes_of(&path, &known), &[])?;
        }
    }
    Ok(())
}

/// The full path of a file whose documents have ids of their own: not of stdin or a pipe.
fn path_of(source: &Source) -> Option<String> {
    match &source.content {
        Content::Records(Format::Auto | Format::Text) | Content::Files(_) => return None,
        Content::Records(_) => {}
    }
    let full = std::fs::canonicalize(source.path()).ok().filter(|full| full.is_file())?;
    full.to_str().map(str::to_owned)
}

/// The ids that are known of each file, in the notes whose keys begin so.
fn known_ids(index: &Index, beginning: &[u8]) -> Result<BTreeMap<String, BTreeSet<u64>>> {
    Ok(ids_of(&index.notes(beginning)?))
}

/// The ids that notes name, by the path of their file.
fn ids_of(notes: &[(Vec<u8>, Vec<u8>)]) -> BTreeMap<String, BTreeSet<u64>> {
    let mut known: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for (key, value) in notes.iter().filter(|(key, _)| key.starts_with(b"ids/")) {
        let Some(end) = key.iter().rposition(|byte| *byte == 0) else { continue };
        let Ok(path) = std::str::from_utf8(&key[4.min(end)..end]) else { continue };
        let ids = value.chunks_exact(8).map(|id| u64::from_le_bytes(id.try_into().expect("eight bytes")));
        known.entry(path.to_owned()).or_default().extend(ids);
    }
    known
}

/// Removes the documents of these ids.
fn remove(index: &mut Index, gone: &HashSet<u64>) -> Result<usize> {
    if gone.is_empty() {
        return Ok(0);
    }
    let snapshot = index.snapshot();
    let mut ids = Vec::new();
    for doc in snapshot.docs()? {
        let id = snapshot.document(doc)?.id;
        if gone.contains(&hash_of(&id)) {
            ids.push(id);
        }
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let existed = if ids.is_empty() { Vec::new() } else { index.delete(&ids)? };
    Ok(existed.into_iter().filter(|existed| *existed).count())
}

fn notes_of(path: &str, ids: &BTreeSet<u64>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let ids: Vec<u64> = ids.iter().copied().collect();
    let notes = ids.chunks(IN_A_NOTE).enumerate();
    notes
        .map(|(number, ids)| (key_of(path, number), ids.iter().flat_map(|id| id.to_le_bytes()).collect()))
        .collect()
}

fn key_of(path: &str, number: impl ToString) -> Vec<u8> {
    [b"ids/", path.as_bytes(), b"\0", number.to_string().as_bytes()].concat()
}

fn hash_of(id: &str) -> u64 {
    u64::from_le_bytes(*Sha256::digest(id.as_bytes()).first_chunk().expect("a SHA-256 has 32 bytes"))
}
