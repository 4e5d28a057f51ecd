//! Which documents are deleted: a bit each, in pages.

use std::collections::BTreeMap;

use super::arrays::{TOMBSTONES, key};
use super::database::{Database, Tree};
use crate::Result;

/// The documents of a page, and its bytes.
const PAGE_DOCUMENTS: u64 = 32 * 1024;
const PAGE_BYTES: usize = PAGE_DOCUMENTS as usize / 8;

/// The deleted documents of an index.
pub(super) struct Tombstones {
    /// Bit `d % 8` of byte `d / 8` is document `d` of the page. Only pages that are stored.
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl Tombstones {
    /// Reads the pages that a manifest names: for each page the slot that counts, or 0.
    pub(super) fn load(database: &Database, slots: &[u8], next_doc: u64) -> Result<Self> {
        let mut pages = BTreeMap::new();
        for (page, &slot) in (0u32..).zip(slots) {
            match slot {
                0 => {}
                1 | 2 => {
                    let bits = database.require(Tree::Segments, &key(TOMBSTONES, slot, page))?;
                    if bits.len() != PAGE_BYTES {
                        let what = format!("page {page} of the tombstones has {} bytes", bits.len());
                        return Err(database.damaged(what));
                    }
                    pages.insert(u64::from(page), Box::from(&bits[..]));
                }
                other => return Err(database.damaged(format!("the manifest names slot {other}"))),
            }
        }
        let tombstones = Self { pages };
        if tombstones.count(next_doc, u64::MAX) > 0 {
            return Err(database.damaged("documents are deleted that were never there"));
        }
        Ok(tombstones)
    }

    /// Whether document `doc` is deleted.
    pub(super) fn contains(&self, doc: u64) -> bool {
        let page = self.pages.get(&(doc / PAGE_DOCUMENTS));
        let within = (doc % PAGE_DOCUMENTS) as usize;
        page.is_some_and(|bits| bits[within / 8] >> (within % 8) & 1 == 1)
    }

    /// How many documents of `start..end` are deleted.
    pub(super) fn count(&self, start: u64, end: u64) -> u64 {
        let pages = self.pages.range(start / PAGE_DOCUMENTS..=end / PAGE_DOCUMENTS);
        pages
            .map(|(page, bits)| {
                let first = page * PAGE_DOCUMENTS;
                if (start..end).contains(&first) && first + PAGE_DOCUMENTS <= end {
                    return bits.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>();
                }
                let docs = start.max(first)..end.min(first + PAGE_DOCUMENTS);
                docs.map(|doc| u64::from(self.contains(doc))).sum()
            })
            .sum()
    }
}
