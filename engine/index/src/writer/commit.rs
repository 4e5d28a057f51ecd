//! A commit: the one place where a change becomes true.
//!
//! 1. The files of new segments and tombstones are on the disk when a commit begins, and their names are made
//!    durable.
//! 2. The catalogue takes the new manifest, and has it on the disk.
//! 3. The manifest is published: an atomic rename, made durable. Now the change is acknowledged.
//!
//! A crash before the second step leaves the previous commit; one after it, the next writer publishes. A reader
//! sees the previous commit until the rename.

use std::sync::Arc;

use super::Index;
use crate::manifest::{Manifest, TrustRecord};
use crate::reader::snapshot::{Opened, Snapshot};
use crate::{Error, Result};

impl Index {
    /// Makes a manifest true, with the next generation. Its files were finished before.
    pub(super) fn commit(&mut self, manifest: Manifest) -> Result<Arc<Snapshot>> {
        self.require_sound()?;
        let before = self.now();
        let manifest = Manifest {
            generation: before.manifest.generation + 1,
            next_segment: self.next_segment,
            ..manifest
        };
        let new: Vec<String> = manifest.files().difference(&before.manifest.files()).cloned().collect();
        match self.make_true(&before, manifest) {
            Ok(snapshot) => {
                self.retire(&before, &snapshot);
                self.reader.replace(Arc::clone(&snapshot));
                Ok(snapshot)
            }
            Err(error) => {
                match self.failed {
                    true => self.doubtful.extend(new),
                    // Nothing names them.
                    false => new.iter().for_each(|name| drop(self.reader.storage().remove(name))),
                }
                Err(error)
            }
        }
    }

    fn make_true(&mut self, before: &Snapshot, manifest: Manifest) -> Result<Arc<Snapshot>> {
        let storage = Arc::clone(self.reader.storage());
        storage.sync_names().map_err(|error| Error::writing(&*storage, &error))?;
        let published = manifest.to_bytes();
        // Opened before it counts: what cannot be read is not committed.
        let snapshot = match Snapshot::of(&storage, self.reader.pool(), Some(before), manifest, published)? {
            Opened::Snapshot(snapshot) => Arc::new(*snapshot),
            Opened::Missing(name, _) => return Err(Error::damaged(&*storage, format!("{name} vanished"))),
        };
        // From here on the disk may have it even if it says that it failed.
        self.failed = true;
        self.catalogue.commit(&*storage, &snapshot.published)?;
        let published = storage.publish(&snapshot.published, Some(&before.published));
        published.map_err(|error| Error::writing(&*storage, &error))?;
        self.failed = false;
        Ok(snapshot)
    }

    /// Removes the files that the commit before last named and these two do not.
    fn retire(&mut self, before: &Snapshot, now: &Snapshot) {
        let named = now.manifest.files();
        for name in std::mem::take(&mut self.unnamed) {
            if let Err(error) = self.reader.storage().remove(&name) {
                tracing::warn!("cannot remove {name}: {error}");
            }
        }
        self.unnamed.extend(before.manifest.files().into_iter().filter(|name| !named.contains(name)));
    }

    /// Sets how many candidates a search keeps that does not say; on the disk when it returns.
    ///
    /// # Errors
    /// [`Error::Write`] if the disk takes no more.
    pub fn set_default_ef(&mut self, ef: usize) -> Result<()> {
        let manifest = Manifest { ef: ef.try_into().unwrap_or(u32::MAX), ..self.now().manifest.clone() };
        self.commit(manifest).map(drop)
    }

    /// Keeps an estimate of how well the model understands what is in the index, beside its words: from -1 to 1, see
    /// [`Snapshot::trust`]. On the disk when it returns. A repair may lose it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another number, [`Error::Write`] if the disk takes no more.
    pub fn set_trust(&mut self, trust: f32) -> Result<()> {
        if !(-1.0..=1.0).contains(&trust) {
            return Err(Error::Invalid(format!("the trust {trust} is not from -1 to 1")));
        }
        let now = self.now();
        let trust = Some(TrustRecord { trust, passages: now.live_passages() as u64 });
        self.commit(Manifest { trust, ..now.manifest.clone() }).map(drop)
    }
}
