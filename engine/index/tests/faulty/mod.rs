//! A storage for tests that can fail, and that loses power.
//!
//! Files and names are kept in memory, each with what is on the disk and what is only in the system's cache.
//! Every call is an operation with a number. The [`Plan`] says which operation fails, or at which the power goes.
//! Then [`Faulty::surviving`] is the disk as it is found: every write, name and sector that was not synced is
//! kept, lost or torn, each independently of the others.
//!
//! The catalogue is a real folder, since sled writes through the file system. What is durable of it is a copy
//! that is taken at each `catalogue_synced`; its log is torn between that copy and the folder, sector by sector.

#![allow(dead_code, clippy::unwrap_used)]

pub mod catalogue;
pub mod model;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use akin_fixtures::Random;
use akin_index::storage::{Blob, CatalogueHome, Output, Stamp, Storage};
use tempfile::TempDir;

use self::catalogue::Copied;

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Which operation goes wrong. They are counted from the moment that the plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// None.
    Sound,
    /// This one, since the disk is full for a moment.
    Fail(u64),
    /// This one and all later ones: the disk is full.
    FailFrom(u64),
    /// The power goes at this one.
    PowerLoss(u64),
}

/// A storage that fails by a plan. Its clones are the same disk.
#[derive(Clone)]
pub struct Faulty {
    disk: Arc<Mutex<Disk>>,
    locked: Arc<AtomicBool>,
    home: Arc<TempDir>,
}

/// A file of `segments/`.
#[derive(Debug, Clone)]
enum File {
    /// Not synced yet.
    Written(Vec<u8>),
    Synced(Blob),
}

#[derive(Debug, Clone)]
struct Disk {
    files: Vec<File>,
    /// The files by name, as the running system sees them.
    names: BTreeMap<String, usize>,
    /// What each name was since the names were last synced, oldest first, without what it is now.
    unsynced: BTreeMap<String, Vec<Option<usize>>>,
    /// The published manifest: the durable one, then those renamed since. The last is what the system sees.
    manifests: Vec<Option<Vec<u8>>>,
    published: u64,
    /// The durable content of the catalogue.
    catalogue: Copied,
    operations: u64,
    plan: Plan,
    random: Random,
    /// The disk as it is found after the power went.
    survivor: Option<Box<Disk>>,
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faulty")
    }
}

impl Faulty {
    /// An empty disk. `seed` decides what survives.
    pub fn new(seed: u64) -> Self {
        Self::with(Disk {
            files: Vec::new(),
            names: BTreeMap::new(),
            unsynced: BTreeMap::new(),
            manifests: vec![None],
            published: 0,
            catalogue: Copied::default(),
            operations: 0,
            plan: Plan::Sound,
            random: Random::new(seed),
            survivor: None,
        })
    }

    fn with(disk: Disk) -> Self {
        let home = catalogue::fresh_folder();
        disk.catalogue.write(&home.path().join("catalogue"));
        Self { disk: Arc::new(Mutex::new(disk)), locked: Arc::default(), home: Arc::new(home) }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    /// Counts operations from 0 again and fails those of `plan`.
    pub fn plan(&self, plan: Plan) {
        let mut disk = self.disk();
        (disk.operations, disk.plan) = (0, plan);
    }

    /// Takes the plan away.
    pub fn take_plan(&self) -> Plan {
        std::mem::replace(&mut self.disk().plan, Plan::Sound)
    }

    /// How many operations there were since the plan was made.
    pub fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// Whether the power went.
    pub fn is_off(&self) -> bool {
        self.disk().survivor.is_some()
    }

    /// A disk of its own with the same content, all of it synced. No index may be open in this one.
    pub fn copy(&self, seed: u64) -> Self {
        let mut disk = self.disk().clone();
        disk.unsynced.clear();
        disk.manifests.drain(..disk.manifests.len() - 1);
        disk.catalogue = Copied::of(&self.home.path().join("catalogue"));
        (disk.operations, disk.plan, disk.random) = (0, Plan::Sound, Random::new(seed));
        Self::with(disk)
    }

    /// The disk as it is found when the power comes back; the power goes now unless it went before.
    pub fn surviving(&self) -> Self {
        let mut disk = self.disk();
        if disk.survivor.is_none() {
            self.lose_power(&mut disk);
        }
        let survivor = disk.survivor.clone().unwrap();
        Self::with(*survivor)
    }

    fn lose_power(&self, disk: &mut Disk) {
        let current = Copied::of(&self.home.path().join("catalogue"));
        let mut random = Random::new(disk.random.bits());
        let survivor = disk.torn(&current, &mut random);
        disk.survivor = Some(Box::new(survivor));
    }

    /// Counts an operation, and fails it if that is the plan.
    fn operation(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let mut disk = self.disk();
        let at = disk.operations;
        disk.operations += 1;
        let full = || io::Error::from(ErrorKind::StorageFull);
        if disk.survivor.is_some() {
            return Err(io::Error::other("there is no power"));
        }
        match disk.plan {
            Plan::Fail(n) if n == at => Err(full()),
            Plan::FailFrom(n) if n <= at => Err(full()),
            Plan::PowerLoss(n) if n <= at => {
                self.lose_power(&mut disk);
                Err(io::Error::other("the power went"))
            }
            _ => Ok(disk),
        }
    }
}

impl Disk {
    /// Gives a name another file, or none.
    fn rename(&mut self, name: &str, file: Option<usize>) {
        let before = self.names.get(name).copied();
        self.unsynced.entry(name.to_owned()).or_default().push(before);
        match file {
            Some(file) => self.names.insert(name.to_owned(), file),
            None => self.names.remove(name),
        };
    }

    /// What is found after a loss of power: of everything that was not synced some is kept.
    fn torn(&self, catalogue: &Copied, random: &mut Random) -> Disk {
        let mut names = self.names.clone();
        for (name, earlier) in &self.unsynced {
            let mut found = earlier.clone();
            found.push(self.names.get(name).copied());
            match random.pick(&found) {
                Some(file) => names.insert(name.clone(), *file),
                None => names.remove(name),
            };
        }
        let files = self.files.iter().map(|file| match file {
            File::Synced(blob) => File::Synced(blob.clone()),
            File::Written(bytes) => File::Synced(Blob::owned(&torn_bytes(&[], bytes, random))),
        });
        Disk {
            files: files.collect(),
            names,
            unsynced: BTreeMap::new(),
            manifests: vec![random.pick(&self.manifests).clone()],
            published: self.published,
            catalogue: catalogue.torn(&self.catalogue, random),
            operations: 0,
            plan: Plan::Sound,
            random: random.clone(),
            survivor: None,
        }
    }
}

/// What is found of a file that was being changed from `durable` to `current`: each length may be the file's, and
/// each sector of either.
fn torn_bytes(durable: &[u8], current: &[u8], random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => return durable.to_vec(),
        1 => return current.to_vec(),
        _ => {}
    }
    let (shorter, longer) = (durable.len().min(current.len()), durable.len().max(current.len()));
    let length = match random.below(3) {
        0 => durable.len(),
        1 => current.len(),
        _ => shorter + random.below((longer - shorter) as u64 + 1) as usize,
    };
    let mut found = vec![0; length];
    // Sometimes nearly everything reached the disk, sometimes nearly nothing.
    let share = 1 + random.below(15);
    for (at, sector) in found.chunks_mut(SECTOR).enumerate() {
        let from = if random.below(16) < share { current } else { durable };
        let from = from.get(at * SECTOR..).unwrap_or_default();
        let bytes = from.len().min(sector.len());
        sector[..bytes].copy_from_slice(&from[..bytes]);
    }
    found
}

impl Storage for Faulty {
    fn path(&self) -> &Path {
        Path::new("(faulty)")
    }

    fn manifest(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.operation()?.manifests.last().unwrap().clone())
    }

    fn manifest_stamp(&self) -> io::Result<Stamp> {
        Ok(Stamp([self.disk().published, 0, 0, 0]))
    }

    fn publish(&self, manifest: &[u8], expected: Option<&[u8]>) -> io::Result<()> {
        if self.disk().manifests.last().unwrap().as_deref() != expected {
            return Err(ErrorKind::AlreadyExists.into());
        }
        // Written, synced, renamed, and the rename synced.
        drop(self.operation()?);
        drop(self.operation()?);
        let mut disk = self.operation()?;
        disk.manifests.push(Some(manifest.to_vec()));
        disk.published += 1;
        drop(disk);
        self.sync_manifest()
    }

    fn sync_manifest(&self) -> io::Result<()> {
        let mut disk = self.operation()?;
        let durable = disk.manifests.len() - 1;
        disk.manifests.drain(..durable);
        Ok(())
    }

    fn open(&self, name: &str) -> io::Result<Blob> {
        let disk = self.operation()?;
        let file = disk.names.get(name).ok_or(ErrorKind::NotFound)?;
        match &disk.files[*file] {
            File::Synced(blob) => Ok(blob.clone()),
            File::Written(bytes) => Ok(Blob::owned(bytes)),
        }
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Output>> {
        let mut disk = self.operation()?;
        let file = disk.files.len();
        disk.files.push(File::Written(Vec::new()));
        disk.rename(name, Some(file));
        Ok(Box::new(Writing { storage: self.clone(), file }))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.operation()?.unsynced.clear();
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let disk = self.operation()?;
        let length = |file: &usize| match &disk.files[*file] {
            File::Synced(blob) => blob.bytes().len() as u64,
            File::Written(bytes) => bytes.len() as u64,
        };
        Ok(disk.names.iter().map(|(name, file)| (name.clone(), length(file))).collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.operation()?;
        if disk.names.contains_key(name) {
            disk.rename(name, None);
        }
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        if self.locked.swap(true, Ordering::AcqRel) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Unlock(Arc::clone(&self.locked))))
    }

    fn catalogue(&self) -> CatalogueHome {
        CatalogueHome::Folder(self.home.path().join("catalogue"))
    }

    fn catalogue_synced(&self) {
        // Where the power goes here it has written and not synced yet; nobody hears of an error.
        let Ok(mut disk) = self.operation() else { return };
        disk.catalogue = Copied::of(&self.home.path().join("catalogue"));
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.list()?.iter().map(|(_, length)| length).sum())
    }
}

struct Unlock(Arc<AtomicBool>);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A file that is being written.
struct Writing {
    storage: Faulty,
    file: usize,
}

impl Output for Writing {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.storage.operation()?.files[self.file] {
            File::Written(written) => written.extend_from_slice(bytes),
            File::Synced(_) => panic!("a finished file is written to"),
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        let mut disk = self.storage.operation()?;
        if let File::Written(bytes) = &disk.files[self.file] {
            disk.files[self.file] = File::Synced(Blob::owned(bytes));
        }
        Ok(())
    }
}
