//! Notes: small records that a writer keeps for whoever reads the sources of documents. Only the last of them may be lost, by
//! a crash or a repair: nothing that was committed depends on them.

use std::path::Path;

use super::shield::{Failure, shield};
use super::{Catalogue, damaged};
use crate::storage::Storage;
use crate::storage::memory::Records;
use crate::{Error, Result};

/// Where the keys of all notes begin.
const NOTES: &[u8] = b"notes/";

/// The longest key and value of a note, in bytes. Sled writes longer ones into files of their own.
pub(crate) const NOTE_BYTES: usize = 64 << 10;

/// A key and its value.
pub(crate) type Note = (Vec<u8>, Vec<u8>);

/// The notes of a catalogue in memory whose keys begin with `prefix`, in the order of their keys.
pub(crate) fn notes_in(records: &Records, prefix: &[u8]) -> Vec<Note> {
    let begin = [NOTES, prefix].concat();
    let records = records.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let wanted = records.iter().filter(|(key, _)| key.starts_with(&begin));
    wanted.map(|(key, value)| (key[NOTES.len()..].to_vec(), value.clone())).collect()
}

fn scan(db: &sled::Db, prefix: &[u8]) -> sled::Result<Vec<Note>> {
    let note = |(key, value): (sled::IVec, sled::IVec)| (key[NOTES.len()..].to_vec(), value.to_vec());
    db.scan_prefix([NOTES, prefix].concat()).map(|entry| entry.map(note)).collect()
}

/// The notes of the catalogue in a folder, which nobody changes meanwhile. Opening a database writes to it, so that a copy in
/// `scratch` is opened; it is removed again, and so is what an interrupted call left there.
///
/// # Errors
/// Why they cannot be read.
pub(crate) fn notes_of_copy(folder: &Path, scratch: &Path) -> Result<Vec<Note>, String> {
    let _ = std::fs::remove_dir_all(scratch);
    let copied = copy_folder(folder, scratch).map_err(|error| error.to_string());
    let notes = copied.and_then(|()| {
        let database = super::open_database(scratch).map_err(|failure| failure.describe())?;
        shield(|| scan(&database.db, b"")).map_err(|failure| failure.describe())
    });
    let _ = std::fs::remove_dir_all(scratch);
    notes
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

impl Catalogue {
    /// The notes whose keys begin with `prefix`, in the order of their keys.
    pub(crate) fn notes(&self, storage: &dyn Storage, prefix: &[u8]) -> Result<Vec<Note>> {
        match self {
            Self::Memory(records) => Ok(notes_in(records, prefix)),
            Self::Sled(database) => {
                let read = database.read(|db| scan(db, prefix));
                read.map_err(|failure| damaged(storage, failure.describe()))
            }
        }
    }

    /// Writes notes in place of those with their keys, and removes others. On the disk with the next commit.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a note that is too long, [`Error::Write`] if the disk takes no more.
    pub(crate) fn write_notes(
        &mut self,
        storage: &dyn Storage,
        written: &[Note],
        removed: &[Vec<u8>],
    ) -> Result<()> {
        if written.iter().any(|(key, value)| key.len() > NOTE_BYTES || value.len() > NOTE_BYTES) {
            return Err(Error::Invalid(format!("a note is longer than {NOTE_BYTES} bytes")));
        }
        let full = |key: &[u8]| [NOTES, key].concat();
        match self {
            Self::Memory(records) => {
                let mut records = records.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                removed.iter().for_each(|key| drop(records.remove(&full(key))));
                records.extend(written.iter().map(|(key, value)| (full(key), value.clone())));
                Ok(())
            }
            Self::Sled(database) => {
                let wrote = database.call(|open| {
                    let mut batch = sled::Batch::default();
                    removed.iter().for_each(|key| batch.remove(full(key)));
                    written.iter().for_each(|(key, value)| batch.insert(full(key), value.as_slice()));
                    open.db.apply_batch(batch)
                });
                wrote.map_err(|failure| match &failure {
                    Failure::Sled(sled::Error::Io(error)) => Error::writing(storage, error),
                    _ => damaged(storage, failure.describe()),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::storage::{Folder, Memory};

    #[test]
    fn notes_come_back_by_prefix_beside_manifests_of_any_length() {
        let folder = tempfile::tempdir().unwrap();
        let storages: [Arc<dyn Storage>; 2] =
            [Arc::new(Folder::new(folder.path())), Arc::new(Memory::default())];
        for storage in storages {
            let mut catalogue = Catalogue::open(&*storage).unwrap();
            catalogue.commit(&*storage, &vec![7; 400_000]).unwrap();
            let note = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
            let notes = [note("a/1", "one"), note("a/2", "two"), note("b/1", "three")];
            catalogue.write_notes(&*storage, &notes, &[]).unwrap();
            catalogue.commit(&*storage, b"a short manifest").unwrap();
            drop(catalogue);
            let mut catalogue = Catalogue::open(&*storage).unwrap();
            assert_eq!(catalogue.notes(&*storage, b"a/").unwrap(), notes[..2]);
            catalogue.write_notes(&*storage, &[note("a/1", "new")], &[b"a/2".to_vec()]).unwrap();
            assert_eq!(catalogue.notes(&*storage, b"").unwrap(), [note("a/1", "new"), notes[2].clone()]);
            assert_eq!(catalogue.manifest(&*storage).unwrap().as_deref(), Some(&b"a short manifest"[..]));
            let long = (vec![0; NOTE_BYTES + 1], Vec::new());
            assert!(matches!(catalogue.write_notes(&*storage, &[long], &[]), Err(Error::Invalid(_))));
        }
    }
}
