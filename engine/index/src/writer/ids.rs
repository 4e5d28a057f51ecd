//! Which document has an id, for segments that have no graph yet and may be many.

use std::collections::HashMap;

use crate::graph::Fault;
use crate::reader::Snapshot;

/// A document by segment id and place: what it is called across commits.
pub(super) type Located = (u64, u32);

/// The documents of segments without a graph by the hashes of their ids.
#[derive(Debug, Default)]
pub(super) struct RecentIds {
    of_hash: HashMap<u64, Located>,
    /// Documents whose hash another one has.
    others: Vec<(u64, Located)>,
}

impl RecentIds {
    /// Those of a snapshot.
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self, Fault> {
        let mut recent = Self::default();
        for view in snapshot.segments.iter().filter(|view| !view.segment.has_graph()) {
            for (hash, document) in view.segment.id_hashes()? {
                if view.is_live_document(document)? {
                    recent.insert(hash, (view.segment.id(), document as u32));
                }
            }
        }
        Ok(recent)
    }

    pub(super) fn insert(&mut self, hash: u64, document: Located) {
        if let Some(before) = self.of_hash.insert(hash, document) {
            // Most often a document that was replaced; it is found to be deleted when it is looked at.
            self.others.push((hash, before));
        }
    }

    /// The documents whose ids have a hash.
    pub(super) fn get(&self, hash: u64) -> impl Iterator<Item = Located> + '_ {
        let first = self.of_hash.get(&hash).copied();
        let others = if first.is_some() { &self.others[..] } else { &[] };
        let others = others.iter().filter(move |(other, _)| *other == hash).map(|(_, document)| *document);
        first.into_iter().chain(others)
    }

    /// How many documents are kept beside the first of their hash: looking through them takes that long.
    pub(super) fn crowded(&self) -> bool {
        self.others.len() > 64
    }
}
