//! Reading everything that is stored and holding it against each other.

use std::ops::ControlFlow;

use super::Snapshot;
use crate::{DocId, Error, Result, Verification};

impl Snapshot {
    /// Reads everything from the disk and checks it: every block holds its checksum, every document has a unit
    /// vector for each passage, a text and an id that finds it, every graph stays within its segment, and no two
    /// live documents have one id.
    ///
    /// # Errors
    /// [`Error::Damaged`] on the first fault.
    pub fn verify(&self) -> Result<Verification> {
        self.verify_with(&|_, _| ControlFlow::Continue(()))
    }

    /// The same. `progress` hears how many bytes of segments are checked and how many there are, and may stop it.
    ///
    /// # Errors
    /// As [`Snapshot::verify`], and [`Error::Cancelled`] if `progress` stopped it.
    pub fn verify_with(&self, progress: &dyn Fn(u64, u64) -> ControlFlow<()>) -> Result<Verification> {
        let total = self.segments.iter().map(|view| view.segment.length()).sum();
        let mut seen = Verification::default();
        for (view, record) in self.segments.iter().zip(&self.manifest.segments) {
            let before = seen.bytes;
            let look = |bytes: u64| progress(before + bytes, total).is_continue();
            let verified = view.segment.verify(&look).map_err(|fault| self.fault(fault))?;
            let verified = verified.ok_or(Error::Cancelled)?;
            if record.edges.is_some_and(|edges| edges != view.segment.edges()) {
                let why = format!("segment {} has other edges than the manifest says", record.id);
                return Err(Error::damaged(&*self.storage, why));
            }
            seen.chunks += verified.blocks;
            seen.bytes += verified.bytes;
        }
        seen.documents = self.verify_ids()?;
        if seen.documents != self.len() {
            let (live, seen) = (self.len(), seen.documents);
            return Err(Error::damaged(
                &*self.storage,
                format!("{live} documents are live and {seen} are there"),
            ));
        }
        match progress(total, total) {
            ControlFlow::Continue(()) => Ok(seen),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        }
    }

    /// No two live documents have one id. Tells how many there are.
    fn verify_ids(&self) -> Result<usize> {
        let mut by_hash: Vec<(u64, DocId)> = Vec::with_capacity(self.len());
        for (at, view) in self.segments.iter().enumerate() {
            let hashes = view.segment.id_hashes().map_err(|fault| self.fault(fault))?;
            for (hash, document) in hashes {
                if view.is_live_document(document).map_err(|fault| self.fault(fault))? {
                    by_hash.push((hash, DocId { segment: at as u32, document: document as u32 }));
                }
            }
        }
        by_hash.sort_unstable();
        for pair in by_hash.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            let (id, twin) = (self.document(pair[0].1)?.id, self.document(pair[1].1)?.id);
            if id == twin {
                return Err(Error::damaged(&*self.storage, format!("two live documents have the id {id:?}")));
            }
        }
        Ok(by_hash.len())
    }
}
