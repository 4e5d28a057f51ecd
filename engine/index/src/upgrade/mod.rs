//! Reads an index of format 3, so that it can be written anew in the format of today.
//!
//! Format 3 kept everything in a database of sled's; `engine/index/FORMAT.md` of that version draws its
//! bytes, and `fixtures/format-3` has such an index. Nothing here writes to it, except that sled tidies its
//! log whenever it opens one, and that [`OlderIndex::remove`] removes it. Every length and checksum is
//! checked, and memory is taken only for chunks that have been found.
//!
//! Sled's panics are caught, and print their message as panics do.
//!
//! [`folder`] locks the folder and knows its files, [`database`] reads records from sled, [`arrays`] puts
//! arrays together from their chunks, [`records`] decodes, and [`segment`] walks over rows.

mod arrays;
mod database;
mod folder;
mod records;
mod segment;
#[cfg(test)]
mod tests;
mod tombstones;

use std::path::Path;

use self::database::{Database, Tree};
use self::folder::Folder;
use self::records::{FORMAT, Manifest, Model, decode_document};
use self::segment::{Rows, live_rows};
use self::tombstones::Tombstones;
use crate::{Document, Error, Result};

use self::folder::remove_files;
pub(crate) use self::folder::{is_older, remove_leftovers};

/// A batch ends when its records have this many bytes, however few rows it has.
const BATCH_BYTES: usize = 16 << 20;

/// How far the length of a stored vector may be from one (or from zero).
const NORM_TOLERANCE: f64 = 1e-3;

/// An index of format 3, locked against every other program until it is dropped.
pub(crate) struct OlderIndex {
    // Dropped before `folder`, which holds the lock.
    database: Database,
    folder: Folder,
    model: Model,
    manifest: Manifest,
    tombstones: Tombstones,
    documents: usize,
}

impl OlderIndex {
    /// Locks and opens the index at `path`, after completing a compaction that was interrupted.
    ///
    /// # Errors
    /// [`Error::NotAnIndex`]; [`Error::Locked`] while another program holds it; [`Error::Format`] for any
    /// format but 3; [`Error::Damaged`] if a checksum does not hold or a commit is lost; [`Error::Write`] on
    /// a medium that takes no writes, since sled cannot open a database there; [`Error::Io`].
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let folder = Folder::claim(path)?;
        let database = Database::open(&folder.store(), path)?;
        let format = database.require(Tree::Meta, b"format")?;
        match <[u8; 4]>::try_from(&format[..]).map(u32::from_le_bytes) {
            Ok(FORMAT) => {}
            Ok(found) => return Err(Error::Format { path: path.to_owned(), found, known: FORMAT }),
            Err(_) => return Err(damaged(path, "its format version is not four bytes")),
        }
        let model = Model::decode(&database.require(Tree::Meta, b"model")?);
        let model = model.map_err(|why| damaged(path, format!("its model: {why}")))?;
        let manifest = Manifest::decode(&database.require(Tree::Manifest, b"manifest")?);
        let manifest = manifest.map_err(|why| damaged(path, format!("the manifest: {why}")))?;
        let noted = folder.generation()?;
        if noted > manifest.generation {
            let last = manifest.generation;
            return Err(damaged(
                path,
                format!("its last commit was number {noted}, and the database ends with number {last}"),
            ));
        }
        let tombstones = Tombstones::load(&database, &manifest.tombstones, manifest.next_doc)?;
        let mut documents = 0;
        for segment in &manifest.segments {
            documents += live_rows(&database, segment, model.dimension, &tombstones)?;
        }
        let documents = usize::try_from(documents).map_err(|_| damaged(path, "it has too many documents"))?;
        Ok(Self { database, folder, model, manifest, tombstones, documents })
    }

    /// The fingerprint, the location and the dimension of its model. The first two are empty if the vectors
    /// were imported.
    pub(crate) fn model(&self) -> (String, String, usize) {
        (self.model.fingerprint.clone(), self.model.location.clone(), self.model.dimension)
    }

    /// The candidates of a search that names none; 0 for the default.
    pub(crate) fn ef(&self) -> u32 {
        self.manifest.ef
    }

    /// How many live documents it has.
    pub(crate) fn documents(&self) -> usize {
        self.documents
    }

    /// Gives `take` every live document, oldest first, in batches of at most `rows` documents with their
    /// vectors (row-major, of length one or zero). Every chunk of an array of rows is read once.
    ///
    /// Memory is bounded by `rows` vectors, 16 MiB of records, the longest record, and some 40 MB of sled's
    /// pages.
    ///
    /// # Errors
    /// [`Error::Damaged`] and [`Error::Io`], possibly after some batches were given; those of `take`.
    pub(crate) fn each_batch(
        &self,
        rows: usize,
        take: &mut dyn FnMut(Vec<Document>, Vec<f32>) -> Result<()>,
    ) -> Result<()> {
        let (mut documents, mut vectors, mut bytes) = (Vec::new(), Vec::new(), 0);
        for segment in &self.manifest.segments {
            let mut stored = Rows::new(&self.database, segment, self.model.dimension);
            while let Some(row) = stored.next()? {
                if self.tombstones.contains(row.doc) {
                    continue;
                }
                let wrong = |why: String| damaged(self.folder.path(), format!("document {}: {why}", row.doc));
                documents.push(decode_document(row.record).map_err(wrong)?);
                let words = row.vector.as_chunks().0.iter();
                vectors.extend(words.map(|word| f32::from_le_bytes(*word)));
                check_norm(&vectors[vectors.len() - self.model.dimension..]).map_err(wrong)?;
                bytes += row.record.len();
                if documents.len() >= rows || bytes >= BATCH_BYTES {
                    take(std::mem::take(&mut documents), std::mem::take(&mut vectors))?;
                    bytes = 0;
                }
            }
        }
        if documents.is_empty() { Ok(()) } else { take(documents, vectors) }
    }

    /// Closes the database and removes all files of format 3, `akin-index` last.
    ///
    /// # Errors
    /// [`Error::Write`] and [`Error::Io`]; [`remove_leftovers`] removes the rest.
    pub(crate) fn remove(self) -> Result<()> {
        let Self { database, folder, .. } = self;
        database.close();
        remove_files(folder.path())
    }
}

fn check_norm(vector: &[f32]) -> Result<(), String> {
    let norm = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if norm == 0.0 || (norm - 1.0).abs() <= NORM_TOLERANCE {
        return Ok(());
    }
    Err(format!("its vector has length {norm}"))
}

/// The error of an index whose stored bytes cannot be right.
fn damaged(index: &Path, what: impl Into<String>) -> Error {
    Error::Damaged { path: index.to_owned(), what: what.into() }
}
