//! The files of one commit, for whoever keeps copies of an index byte by byte.
//!
//! A copy needs the manifest and the files that it names, nothing else. The files are immutable, so that one that a copy
//! has already need not be sent again: its length and its last bytes, which have a checksum, tell that it is the same.

use std::path::{Path, PathBuf};

use crate::manifest::{DeletedRecord, MANIFEST_LIMIT, Manifest, Origin, SegmentRecord};
use crate::reader::snapshot::read_manifest_at;
use crate::segment::write::{file_name, segment_of};
use crate::segment::{Deleted, Segment, deleted_file_name, sections, segment_of_deleted};
use crate::storage::{Blob, Folder, Storage};
use crate::{Error, ModelIdentity, Result};

/// A published manifest, and the files that it names.
#[derive(Debug, Clone)]
pub struct CommitFiles {
    bytes: Vec<u8>,
    manifest: Manifest,
    path: PathBuf,
}

/// A file that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitFile {
    /// Its name below `segments/`.
    pub name: String,
    /// Its bytes.
    pub length: u64,
    end: End,
}

/// What the last bytes of a file must be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Segment { origin: Origin, checksum: u32 },
    Tombstones { checksum: u32 },
}

impl CommitFiles {
    /// No manifest has more bytes.
    pub const MANIFEST_LIMIT: usize = MANIFEST_LIMIT;

    /// Reads the bytes of a manifest. `path` names its index in messages.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a checksum does not hold, [`Error::Format`] if it is of another version.
    pub fn of_manifest(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let manifest = read_manifest_at(path, &bytes)?;
        Ok(Self { bytes, manifest, path: path.to_owned() })
    }

    /// The published manifest of a storage; none if it has none.
    ///
    /// # Errors
    /// As [`CommitFiles::of_manifest`], and [`Error::Io`] if it cannot be read.
    pub fn published(storage: &dyn Storage) -> Result<Option<Self>> {
        let bytes = storage.manifest().map_err(|error| Error::reading(storage, error))?;
        bytes.map(|bytes| Self::of_manifest(storage.path(), bytes)).transpose()
    }

    /// The bytes of the manifest.
    pub fn manifest(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of the commit.
    pub fn generation(&self) -> u64 {
        self.manifest.generation
    }

    /// How many live documents it has.
    pub fn documents(&self) -> usize {
        self.manifest.live() as usize
    }

    /// The model of the index.
    pub fn model(&self) -> ModelIdentity {
        self.manifest.model.identity()
    }

    /// Whether both are commits of one index.
    pub fn is_of_one_index_with(&self, other: &Self) -> bool {
        self.manifest.index == other.manifest.index
    }

    /// The files that it names, oldest segment first, each segment before its tombstones.
    pub fn files(&self) -> Vec<CommitFile> {
        let mut files = Vec::with_capacity(self.manifest.segments.len());
        for record in &self.manifest.segments {
            let origin = record.origin.unwrap_or(Origin { index: self.manifest.index, segment: record.id });
            files.push(CommitFile {
                name: file_name(record.id),
                length: record.length,
                end: End::Segment { origin, checksum: record.checksum },
            });
            files.extend(record.deleted.map(|deleted| tombstones(record, deleted)));
        }
        files
    }

    /// Compares all blocks of a file that the manifest names with their checksums.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is not the file that the manifest names.
    pub fn check(&self, name: &str, file: &Blob) -> Result<()> {
        // Only its path counts, by which messages name the index.
        let storage = Folder::new(&self.path);
        let of = segment_of(name).or_else(|| segment_of_deleted(name).map(|(segment, _)| segment));
        let record = of.and_then(|id| self.manifest.segments.iter().find(|record| record.id == id));
        let other = |what: &str| Err(Error::damaged(&storage, format!("{name}: {what}")));
        let Some(record) = record else { return other("its manifest names no such file") };
        let index = self.manifest.index;
        let Some((id, generation)) = segment_of_deleted(name) else {
            let segment = Segment::of_record(&storage, index, &self.manifest.model, record, file.clone())?;
            return segment.check_blocks().map_err(|fault| Error::fault(&storage, fault));
        };
        let passages = record.passages as usize;
        let (_, found) = Deleted::of_blob(&storage, index, id, generation, passages, file)?;
        match record.deleted == Some(found) {
            true => Ok(()),
            false => other("it is not the file that the manifest names"),
        }
    }
}

fn tombstones(record: &SegmentRecord, deleted: DeletedRecord) -> CommitFile {
    CommitFile {
        name: deleted_file_name(record.id, deleted.generation),
        length: deleted.length,
        end: End::Tombstones { checksum: deleted.checksum },
    }
}

impl CommitFile {
    /// So many of the last bytes of a file tell which it is. No file is shorter.
    pub const END: usize = sections::TRAILER;

    /// Whether a file of the right length that ends with these [`END`](Self::END) bytes is this one. They say nothing of
    /// damage in the bytes before: [`CommitFiles::check`] does.
    pub fn is_end(&self, end: &[u8]) -> bool {
        match &self.end {
            End::Segment { origin, checksum } => {
                sections::Trailer::says(end, *origin, self.length, *checksum)
            }
            End::Tombstones { checksum } => end.ends_with(&checksum.to_le_bytes()),
        }
    }

    /// Whether a name could be that of a file of a commit.
    pub fn is_name(name: &str) -> bool {
        segment_of(name).is_some() || segment_of_deleted(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::storage::Memory;
    use crate::{Document, Embeddings, Index};

    fn index() -> (Arc<Memory>, Index) {
        let storage = Arc::new(Memory::default());
        let mut index = Index::open_or_create_in(storage.clone(), &ModelIdentity::unknown(2)).unwrap();
        let document = |id: &str| Document { id: id.into(), ..Document::default() };
        let rows = Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 1.0]);
        index.upsert(&[document("east"), document("north")], &rows).unwrap();
        index.delete(&["north"]).unwrap();
        (storage, index)
    }

    #[test]
    fn a_commit_names_its_files_and_knows_them_by_their_ends() {
        let (storage, _index) = index();
        let commit = CommitFiles::published(&*storage).unwrap().unwrap();
        let files = commit.files();
        let listed: Vec<(String, u64)> = storage.list().unwrap();
        let mut named: Vec<(String, u64)> =
            files.iter().map(|file| (file.name.clone(), file.length)).collect();
        named.sort();
        assert_eq!((named, files.len(), commit.documents()), (listed, 2, 1));
        for (at, file) in files.iter().enumerate() {
            let bytes = storage.open(&file.name).unwrap().bytes().to_vec();
            let end = &bytes[bytes.len() - CommitFile::END..];
            assert!(file.is_end(end) && CommitFile::is_name(&file.name));
            assert!(!files[1 - at].is_end(end));
            commit.check(&file.name, &Blob::owned(&bytes)).unwrap();
        }
        assert!(!CommitFile::is_name("manifest") && !CommitFile::is_name("../x.segment"));
    }

    #[test]
    fn a_flipped_byte_of_any_file_is_found() {
        let (storage, _index) = index();
        let commit = CommitFiles::published(&*storage).unwrap().unwrap();
        for file in commit.files() {
            let bytes = storage.open(&file.name).unwrap().bytes().to_vec();
            for at in [0, 7, bytes.len() - CommitFile::END, bytes.len() - 1] {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1;
                let error = commit.check(&file.name, &Blob::owned(&damaged)).unwrap_err();
                assert!(matches!(error, Error::Damaged { .. }), "{} byte {at}: {error}", file.name);
            }
            commit.check(&file.name, &Blob::owned(&bytes[..bytes.len() - 1])).unwrap_err();
            let error =
                commit.check("0000000000000009.segment", &Blob::owned(&bytes)).unwrap_err().to_string();
            assert!(error.contains("(in memory)") && error.contains("names no such file"), "{error}");
        }
    }
}
