//! Brings the files of a commit from a bucket to a folder.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use akin_index::storage::{Folder, Storage};
use akin_index::{CommitFile, CommitFiles};

use super::parallel::for_each;
use super::store::Store;
use super::{BucketError, PART, Watch, object};
use crate::{Error, Result};

/// The folder in `segments/` for files that are not whole yet.
const INCOMING: &str = "incoming";

/// How often a manifest is read again because objects that it names were removed meanwhile.
const TRIES: usize = 20;

/// What was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fetched {
    pub(super) files: usize,
    pub(super) bytes: u64,
}

/// Brings the files of the published commit that the folder at `path` lacks, or all of them where nothing is believed. Gives the
/// commit, whose manifest is not written. The caller sees to it that nobody else does the same in that folder.
pub(super) fn fetch(
    store: &Store,
    path: &Path,
    believes: bool,
    watch: Watch<'_>,
) -> Result<(CommitFiles, Fetched)> {
    let mut last = None;
    let mut fetched = Fetched::default();
    for _ in 0..TRIES {
        let no_index = || BucketError::NoIndex { place: store.place.to_string() };
        let (commit, version) = store.commit()?.ok_or_else(no_index)?;
        let target = Target { store, path, commit: &commit };
        let lacking = target.lacking(believes)?;
        let Some(missing) = target.bring(&lacking, &mut fetched, watch)? else {
            return Ok((commit, fetched));
        };
        // A copy has published another commit meanwhile, and removed what this one names; or it is lost.
        if last.as_ref() == Some(&version) {
            return Err(store.damaged(format!("its object segments/{missing} is missing")).into());
        }
        last = Some(version);
    }
    Err(store.damaged("its manifest names objects that are not there".into()).into())
}

/// Where files of a commit are brought to.
struct Target<'a> {
    store: &'a Store,
    path: &'a Path,
    commit: &'a CommitFiles,
}

impl Target<'_> {
    fn writing(&self, error: &io::Error) -> Error {
        akin_index::Error::writing_at(self.path, error).into()
    }

    /// The files that are not there, or not as their length and end must be.
    fn lacking(&self, believes: bool) -> Result<Vec<CommitFile>> {
        let mut files = self.commit.files();
        if believes {
            let folder = Folder::new(self.path);
            files.retain(|file| !is_there(&folder, file));
        }
        Ok(files)
    }

    /// Brings files; gives the name of one whose object is not there.
    fn bring(&self, files: &[CommitFile], fetched: &mut Fetched, watch: Watch<'_>) -> Result<Option<String>> {
        if files.is_empty() {
            return Ok(None);
        }
        let incoming = self.path.join("segments").join(INCOMING);
        let cleared = match fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir_all(incoming.join("segments")),
        };
        cleared.map_err(|error| self.writing(&error))?;
        let total = files.iter().map(|file| file.length).sum();
        let done = AtomicU64::new(0);
        let count = |bytes: u64| match watch(done.fetch_add(bytes, Ordering::Relaxed) + bytes, total) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(akin_index::Error::Cancelled.into()),
        };
        for batch in batches(files) {
            if let Some(missing) = self.bring_batch(batch, &incoming, &count)? {
                return Ok(Some(missing));
            }
            fetched.files += batch.len();
            fetched.bytes += batch.iter().map(|file| file.length).sum::<u64>();
        }
        let settled = fs::remove_dir_all(&incoming).and_then(|()| Folder::new(self.path).sync_names());
        settled.map_err(|error| self.writing(&error))?;
        Ok(None)
    }

    /// Brings some files at a time, and gives them their names when their checksums hold.
    fn bring_batch(
        &self,
        files: &[CommitFile],
        incoming: &Path,
        count: &(dyn Fn(u64) -> Result<()> + Sync),
    ) -> Result<Option<String>> {
        let mut open = Vec::with_capacity(files.len());
        for file in files {
            let path = incoming.join(object(&file.name));
            let created = File::create(&path).map_err(|error| self.writing(&error))?;
            open.push(Incoming { file, path, target: Mutex::new(created) });
        }
        let parts: Vec<(&Incoming<'_>, u64)> = open
            .iter()
            .flat_map(|incoming| {
                (0..incoming.file.length.div_ceil(PART)).map(move |part| (incoming, part * PART))
            })
            .collect();
        let missing = Mutex::new(None);
        for_each(&parts, |(incoming, from)| {
            if missing.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                return Ok(());
            }
            count(0)?;
            let file = incoming.file;
            let range = *from..file.length.min(from + PART);
            let Some(bytes) = self.store.range(&object(&file.name), range, file.length)? else {
                missing
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert_with(|| file.name.clone());
                return Ok(());
            };
            incoming.write(*from, &bytes).map_err(|error| self.writing(&error))?;
            count(bytes.len() as u64)
        })?;
        if let Some(missing) = missing.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Some(missing));
        }
        let storage = Folder::new(incoming);
        for incoming in &open {
            let name = &incoming.file.name;
            let checked = storage.open(name).map_err(|error| self.writing(&error))?;
            self.commit.check(name, &checked)?;
            let settled = incoming.settle(&self.path.join(object(name)));
            settled.map_err(|error| self.writing(&error))?;
        }
        Ok(None)
    }
}

/// A file that is not whole yet.
struct Incoming<'a> {
    file: &'a CommitFile,
    path: PathBuf,
    target: Mutex<File>,
}

impl Incoming<'_> {
    fn write(&self, from: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(from))?;
        file.write_all(bytes)
    }

    /// Gives it the name by which it is read. After a loss of power it is whole or not there.
    fn settle(&self, path: &Path) -> io::Result<()> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner).sync_all()?;
        fs::rename(&self.path, path)
    }
}

/// Whether a folder has a file, as far as its length and its end tell.
fn is_there(folder: &Folder, file: &CommitFile) -> bool {
    let Ok(blob) = folder.open(&file.name) else { return false };
    let mut end = [0; CommitFile::END];
    let from = file.length.saturating_sub(CommitFile::END as u64);
    blob.bytes().len() as u64 == file.length && blob.read_at(from, &mut end).is_ok() && file.is_end(&end)
}

/// Files of some parts together, so that a kill costs little and small files do not wait for each other.
fn batches(files: &[CommitFile]) -> Vec<&[CommitFile]> {
    const TOGETHER: u64 = 8 * PART;
    let (mut batches, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (at, file) in files.iter().enumerate() {
        if at > begin && bytes + file.length > TOGETHER {
            batches.push(&files[begin..at]);
            (begin, bytes) = (at, 0);
        }
        bytes += file.length;
    }
    if begin < files.len() {
        batches.push(&files[begin..]);
    }
    batches
}
