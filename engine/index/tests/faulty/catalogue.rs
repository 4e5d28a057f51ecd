//! Copies of the catalogue's folder: what is durable of it, and what is found after a loss of power.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use akin_fixtures::Random;
use tempfile::TempDir;

use super::torn_bytes;

/// The content of a folder: files by their path in it.
#[derive(Debug, Clone, Default)]
pub struct Copied(BTreeMap<PathBuf, Vec<u8>>);

impl Copied {
    /// Copies a folder; nothing if it is not there.
    pub fn of(folder: &Path) -> Self {
        let mut copied = Self::default();
        copied.add(folder, Path::new(""));
        copied
    }

    fn add(&mut self, folder: &Path, below: &Path) {
        let Ok(entries) = fs::read_dir(folder.join(below)) else { return };
        for entry in entries.map_while(Result::ok) {
            let name = below.join(entry.file_name());
            if entry.path().is_dir() {
                self.add(folder, &name);
            } else if let Ok(bytes) = fs::read(entry.path()) {
                self.0.insert(name, bytes);
            }
        }
    }

    /// Writes it as a folder.
    pub fn write(&self, folder: &Path) {
        for (name, bytes) in &self.0 {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// What is found of this folder where `durable` was synced: the log is torn; other files, which sled syncs
    /// before it renames them, are as they were or as they are. New names may be lost, and removed ones come back.
    pub fn torn(&self, durable: &Self, random: &mut Random) -> Self {
        let names: BTreeSet<&PathBuf> = self.0.keys().chain(durable.0.keys()).collect();
        let mut found = BTreeMap::new();
        for name in names {
            let (was, is) = (durable.0.get(name), self.0.get(name));
            let is_log = name == Path::new("db");
            let bytes = match (was, is) {
                (Some(was), Some(is)) if is_log => Some(torn_bytes(was, is, random)),
                (None, Some(is)) if is_log && random.once_in(2) => Some(torn_bytes(&[], is, random)),
                // Sled never syncs its `conf`.
                (None, Some(_)) if name == Path::new("conf") && random.once_in(3) => Some(Vec::new()),
                (None, Some(is)) if name == Path::new("conf") && random.once_in(3) => Some(vec![0; is.len()]),
                _ => random.pick(&[was, is]).cloned(),
            };
            if let Some(bytes) = bytes {
                found.insert(name.clone(), bytes);
            }
        }
        // Sled has its log on the disk before it writes a snapshot.
        let is_snapshot = |name: &PathBuf| name.to_string_lossy().starts_with("snap.");
        let is_new = |name: &PathBuf| is_snapshot(name) && !durable.0.contains_key(name);
        if found.keys().any(is_new) {
            found
                .extend(self.0.get_key_value(Path::new("db")).map(|(name, log)| (name.clone(), log.clone())));
        }
        Self(found)
    }
}

/// A folder in memory where the system has one: nothing here needs a disk.
pub fn fresh_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}
