//! What an index knows of the files that its documents came from: notes in its catalogue.
//!
//! A *source* is a file or folder that was named. It has a name that the ids of its documents begin with: none for the first
//! folder, the path as it was typed for a file of lines. Where another source has that name, the names of the folders
//! above it are put before it. The index remembers a source by its full path, so that its documents have the same ids
//! from wherever it is named.
//!
//! | key | value, in JSON |
//! | --- | --- |
//! | `source/PATH` | the name, the last line of a text |
//! | `file/PATH\0ID` | size and time of a file when it was read, when that was, its hash, and what it came to |

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use akin_index::{Index, Keep};
use serde_json::{Value, json};

use crate::Result;
use crate::corpus::{
    Content, CorpusReader, DocumentFiles, FileOutcome, Format, KnownFile, ReadFile, Skipped, Source, Stamp,
};
use crate::passages::PassageEncoder;

/// A key and its value in the catalogue.
type Note = (Vec<u8>, Vec<u8>);

/// Notes that are written together.
const NOTES_AT_ONCE: usize = 4096;

/// The sources of a corpus, as an index knows them.
pub(crate) struct Sources {
    /// In the order of the corpus; `None` where nothing is remembered.
    known: Vec<Option<KnownSource>>,
}

/// A source that an index remembers.
struct KnownSource {
    path: String,
    /// What the ids of its documents begin with in the index.
    name: String,
    /// What they begin with in the corpus.
    typed: String,
    /// The files that the index has documents of, and that are no longer there: by id, with what they came to.
    vanished: Vec<(String, FileOutcome)>,
    /// Keys of notes that are replaced altogether: those of where the source was before.
    stale: Vec<Vec<u8>>,
}

impl Sources {
    /// Looks up the sources of a corpus, and tells each what is known of it.
    pub(crate) fn open(index: &Index, corpus: &mut CorpusReader) -> Result<Self> {
        let mut names: HashMap<String, String> = HashMap::new();
        let mut lines: HashMap<String, u64> = HashMap::new();
        for (path, (name, last)) in names_of(&index.notes(b"source/")?) {
            lines.insert(path.clone(), last);
            names.insert(path, name);
        }
        let mut known = Vec::new();
        for source in corpus.sources_mut() {
            let Some((path, typed)) = remembered(source) else {
                known.push(None);
                continue;
            };
            let before = match place_before(&names, &path, &typed) {
                Some(before) if is_same(index, &before, source)? => Some(before),
                _ => None,
            };
            let name = match names.get(before.as_ref().unwrap_or(&path)) {
                Some(name) => name.clone(),
                None => free_name(&names, &path, &typed),
            };
            let last = lines.get(before.as_ref().unwrap_or(&path)).copied().unwrap_or(0);
            source.lines().lock().unwrap_or_else(PoisonError::into_inner).known = last;
            let mut found =
                KnownSource { path: path.clone(), name, typed, vanished: Vec::new(), stale: Vec::new() };
            if let Some(before) = &before {
                names.remove(before);
                found.stale.push(source_key(before));
            }
            names.insert(path, found.name.clone());
            if let Content::Files(files) = &mut source.content {
                found.tell_files(index, files, before.as_deref())?;
            }
            known.push(Some(found));
        }
        Ok(Self { known })
    }

    /// The sources of a corpus as an index knows them that is begun with it.
    pub(crate) fn of_new_index(corpus: &CorpusReader) -> Self {
        let mut names: HashMap<String, String> = HashMap::new();
        let mut known = Vec::new();
        for source in corpus.sources() {
            known.push(remembered(source).map(|(path, typed)| {
                let name = names.get(&path).cloned().unwrap_or_else(|| free_name(&names, &path, &typed));
                names.insert(path.clone(), name.clone());
                KnownSource { path, name, typed, vanished: Vec::new(), stale: Vec::new() }
            }));
        }
        Self { known }
    }

    /// The id in the index of a document of a source.
    pub(crate) fn id_of(&self, source: usize, id: String) -> String {
        match self.known.get(source) {
            Some(Some(known)) => known.id_of(id),
            _ => id,
        }
    }

    /// Has passages remembered of files that vanished: a file that was renamed is not encoded again.
    pub(crate) fn remember_vanished(&self, index: &Index, encoder: &mut PassageEncoder<'_>) -> Result<()> {
        let snapshot = index.snapshot();
        for known in self.known.iter().flatten() {
            for (file, outcome) in &known.vanished {
                for id in outcome.ids(file) {
                    if let Some(doc) = snapshot.find(&known.id_of(id))? {
                        encoder.remember(&snapshot, doc)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes the documents that the sources no longer have, and notes what they are now. The whole corpus has been read
    /// and committed. Gives how many documents were removed.
    pub(crate) fn finish(self, index: &mut Index, corpus: &CorpusReader) -> Result<usize> {
        let (mut written, mut removed) = (Vec::new(), Vec::new());
        let mut gone = Vec::new();
        for (source, known) in corpus.sources().iter().zip(&self.known) {
            let Some(known) = known else { continue };
            removed.extend(known.stale.iter().cloned());
            let seen = source.lines();
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let name = json!({"name": known.name, "lines": seen.last});
            written.push((source_key(&known.path), name.to_string().into_bytes()));
            if let Content::Files(files) = &source.content {
                for (file, outcome) in &known.vanished {
                    let lost = outcome.ids(file).into_iter().filter(|id| !files.has(id));
                    gone.extend(lost.map(|id| known.id_of(id)));
                    removed.push(file_key(&known.path, file));
                }
                for file in &files.read {
                    if !file.unchanged {
                        let mut lost = lost_ids(file, files.known.get(&file.id));
                        // Another file may have that name, and is a document of its own.
                        lost.retain(|id| *id == file.id || !files.has(id));
                        gone.extend(lost.into_iter().map(|id| known.id_of(id)));
                    }
                    if !file.unchanged
                        || !known.stale.is_empty()
                        || files.known.get(&file.id) != Some(&file.now)
                    {
                        written.push(note_of(&known.path, file, files.way()));
                    }
                }
            } else {
                let lost = (seen.last + 1..=seen.known).chain(seen.blank.iter().copied());
                gone.extend(lost.map(|line| known.id_of(format!("{}:{line}", known.typed))));
            }
        }
        let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
        let existed = if gone.is_empty() { Vec::new() } else { index.delete(&gone)? };
        // What is written counts where a key is among both.
        let kept: HashSet<&[u8]> = written.iter().map(|(key, _)| key.as_slice()).collect();
        removed.retain(|key| !kept.contains(key.as_slice()));
        index.write_notes(&written, &removed)?;
        Ok(existed.into_iter().filter(|existed| *existed).count())
    }
}

/// Has an index know the sources of a part, of whose notes these are. Where both know a source, `keep` says whose notes count. A
/// source is left out where its name is another's in the index: it is read again when it is indexed again.
pub(crate) fn adopt(index: &mut Index, notes: &[Note], keep: Keep) -> Result<()> {
    let mut names = names_of(&index.notes(b"source/")?);
    let mut written = Vec::new();
    for (path, (name, lines)) in names_of(notes) {
        let known = names.get(&path).cloned();
        let is_alike = match &known {
            Some((ours, _)) => *ours == name,
            None => names.values().all(|(taken, _)| *taken != name),
        };
        if !is_alike {
            continue;
        }
        let lines = lines.max(known.map_or(0, |(_, lines)| lines));
        written.push((source_key(&path), json!({"name": name, "lines": lines}).to_string().into_bytes()));
        let prefix = file_key(&path, "");
        let mut files: Vec<Note> =
            notes.iter().filter(|(key, _)| key.starts_with(&prefix)).cloned().collect();
        if keep == Keep::First {
            let ours: HashSet<Vec<u8>> = index.notes(&prefix)?.into_iter().map(|(key, _)| key).collect();
            files.retain(|(key, _)| !ours.contains(key));
        }
        written.extend(files);
        names.insert(path, (name, lines));
    }
    for some in written.chunks(NOTES_AT_ONCE) {
        index.write_notes(some, &[])?;
    }
    Ok(())
}

/// The name and the last line of each source that notes tell of, by its path.
fn names_of(notes: &[Note]) -> HashMap<String, (String, u64)> {
    let sources = notes.iter().filter_map(|(key, value)| {
        let path = String::from_utf8(key.strip_prefix(b"source/")?.to_vec()).ok()?;
        let value: Value = serde_json::from_slice(value).unwrap_or_default();
        let name = value["name"].as_str().unwrap_or_default().to_owned();
        Some((path, (name, value["lines"].as_u64().unwrap_or(0))))
    });
    sources.collect()
}

impl KnownSource {
    fn id_of(&self, id: String) -> String {
        match self.name == self.typed {
            true => id,
            false => format!("{}{}", self.name, id.strip_prefix(&self.typed).unwrap_or(&id)),
        }
    }

    /// Tells files what is known of them, at `before` if they were elsewhere.
    fn tell_files(&mut self, index: &Index, files: &mut DocumentFiles, before: Option<&str>) -> Result<()> {
        let prefix = file_key(before.unwrap_or(&self.path), "");
        let there: HashSet<String> = files.files().iter().map(|file| file.id.clone()).collect();
        let snapshot = index.snapshot();
        for (key, value) in index.notes(&prefix)? {
            if before.is_some() {
                self.stale.push(key.clone());
            }
            let Ok(id) = String::from_utf8(key[prefix.len()..].to_vec()) else { continue };
            let Some(mut file) = file_of(&value, files.way()) else { continue };
            if !there.contains(&id) {
                self.vanished.push((id, file.outcome));
                continue;
            }
            for document in file.outcome.ids(&id) {
                // A document that was deleted from the index comes again.
                if snapshot.find(&self.id_of(document))?.is_none() {
                    (file.hash, file.read) = ([0; 16], 0);
                    break;
                }
            }
            files.known.insert(id, file);
        }
        Ok(())
    }
}

/// The ids of documents that a file had or may have had, and has no longer. Of a file that is no document now it is not certain
/// what it was: the index may have lost its notes.
fn lost_ids(file: &ReadFile, before: Option<&KnownFile>) -> Vec<String> {
    let now: HashSet<String> = file.now.outcome.ids(&file.id).into_iter().collect();
    let mut before = before.map(|before| before.outcome.ids(&file.id)).unwrap_or_default();
    before.push(file.id.clone());
    before.retain(|id| !now.contains(id));
    before
}

/// The full path of a source and what the ids of its documents begin with, if anything is remembered of it: not of
/// stdin and pipes, nor of documents that have ids of their own.
fn remembered(source: &Source) -> Option<(String, String)> {
    let path = source.path();
    let typed = match &source.content {
        Content::Records(Format::Auto | Format::Text) => path.display().to_string(),
        Content::Records(_) => return None,
        Content::Files(_) if path.is_dir() => String::new(),
        Content::Files(files) => files.files().first()?.id.clone(),
    };
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() && !metadata.is_dir() {
        return None;
    }
    let full = std::fs::canonicalize(path).ok()?;
    Some((full.to_str()?.to_owned(), typed))
}

/// Where a source of a name was, if it has been moved: it is not known where it is, and no longer there.
fn place_before(names: &HashMap<String, String>, path: &str, typed: &str) -> Option<String> {
    if names.contains_key(path) {
        return None;
    }
    let moved = |(before, name): &(&String, &String)| *name == typed && !Path::new(before).exists();
    names.iter().find(moved).map(|(before, _)| before.clone())
}

/// Whether a source is likely the one that was at `before`: of a folder, half of the files are there.
fn is_same(index: &Index, before: &str, source: &Source) -> Result<bool> {
    let Content::Files(files) = &source.content else { return Ok(true) };
    let there: HashSet<&[u8]> = files.files().iter().map(|file| file.id.as_bytes()).collect();
    let prefix = file_key(before, "");
    let known = index.notes(&prefix)?;
    let found = known.iter().filter(|(key, _)| there.contains(&key[prefix.len()..])).count();
    Ok(2 * found >= known.len())
}

/// Files of which no document could be made when they were indexed last.
///
/// # Errors
/// [`Error::Catalogue`](akin_index::Error::Catalogue) if the notes of the index cannot be read.
pub fn skipped_files(index: &Index) -> Result<Vec<Skipped>> {
    let skipped = |(key, value): Note| {
        let file = key.split(|byte| *byte == 0).nth(1)?;
        match file_of(&value, None)?.outcome {
            FileOutcome::Skipped(reason) => {
                Some(Skipped { file: String::from_utf8_lossy(file).into_owned(), reason })
            }
            _ => None,
        }
    };
    Ok(index.notes(b"file/")?.into_iter().filter_map(skipped).collect())
}

/// A name that no other source has: the one as typed, or with the names of as many folders above as it takes.
fn free_name(names: &HashMap<String, String>, path: &str, typed: &str) -> String {
    let taken: HashSet<&String> = names.values().collect();
    if !taken.contains(&typed.to_owned()) {
        return typed.to_owned();
    }
    let folder = if typed.is_empty() { "/" } else { "" };
    let parts: Vec<String> = PathBuf::from(path)
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .filter(|part| part != "/")
        .collect();
    let least = if typed.is_empty() { 1 } else { 2 };
    let longer = (least..=parts.len()).map(|count| parts[parts.len() - count..].join("/") + folder);
    longer.into_iter().find(|name| !taken.contains(name)).unwrap_or_else(|| format!("{path}{folder}"))
}

fn source_key(path: &str) -> Vec<u8> {
    [b"source/", path.as_bytes()].concat()
}

fn file_key(path: &str, id: &str) -> Vec<u8> {
    [b"file/", path.as_bytes(), b"\0", id.as_bytes()].concat()
}

fn note_of(path: &str, file: &ReadFile, way: Option<&str>) -> Note {
    let KnownFile { stamp, read, hash, outcome } = &file.now;
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let (kind, reason) = match outcome {
        FileOutcome::Document => ("document", None),
        FileOutcome::Documents(_) => ("documents", None),
        FileOutcome::Skipped(reason) => ("skipped", Some(reason)),
        FileOutcome::LeftOut => ("left out", None),
    };
    let value = json!({
        "bytes": stamp.bytes, "modified": stamp.modified, "read": read, "hash": hash, "kind": kind, "reason": reason,
        "reader": crate::documents::READER, "encoding": way, "documents": outcome.documents(),
    });
    (file_key(path, &file.id), value.to_string().into_bytes())
}

/// What a note says of a file. One that was read by other readers or in another encoding is read again: it may give another
/// text.
fn file_of(value: &[u8], way: Option<&str>) -> Option<KnownFile> {
    let value: Value = serde_json::from_slice(value).ok()?;
    let number = |key: &str| value[key].as_u64();
    let stamp = Stamp { bytes: number("bytes")?, modified: number("modified")? };
    let digits = value["hash"].as_str().filter(|digits| digits.len() == 32 && digits.is_ascii())?;
    let mut hash = [0; 16];
    for (byte, at) in hash.iter_mut().zip((0..32).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
    }
    let outcome = match value["kind"].as_str()? {
        "document" => FileOutcome::Document,
        "documents" => FileOutcome::Documents(usize::try_from(number("documents")?).ok()?),
        "skipped" => FileOutcome::Skipped(value["reason"].as_str().unwrap_or_default().to_owned()),
        _ => FileOutcome::LeftOut,
    };
    if number("reader") != Some(crate::documents::READER) || value["encoding"].as_str() != way {
        hash = [0; 16];
    }
    let read = if hash == [0; 16] { 0 } else { number("read")? };
    Some(KnownFile { stamp, read, hash, outcome })
}
