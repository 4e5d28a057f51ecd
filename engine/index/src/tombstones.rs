//! Which documents are deleted: a bit each, in pages that are stored by themselves.
//!
//! A commit writes only the pages that it changes, each into the slot that the manifest does not
//! name, so a commit costs no more in a large index than in a small one and an interrupted one
//! changes nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::Result;
use crate::store::Store;
use crate::store::chunks::PAGE_DOCUMENTS;
use crate::store::records::NO_PAGE;

const PAGE_WORDS: usize = (PAGE_DOCUMENTS / 64) as usize;

/// The bits of a page; document `d` is bit `d % 64` of word `d / 64`, counted within the page.
type Page = Box<[u64; PAGE_WORDS]>;

/// The deleted documents of an index.
#[derive(Clone, Debug, Default)]
pub(super) struct Tombstones {
    pages: Vec<Option<Page>>,
    slots: Vec<u8>,
}

/// Pages with more tombstones than before, and where they are written.
#[derive(Debug, Default)]
pub(super) struct Burial {
    pages: BTreeMap<usize, (Page, u8)>,
}

impl Tombstones {
    /// Reads the pages that a manifest names.
    pub(super) fn load(store: &Store, slots: &[u8], next_doc: u64) -> Result<Self> {
        let mut pages = Vec::with_capacity(slots.len());
        for (page, &slot) in slots.iter().enumerate() {
            pages.push(match slot {
                NO_PAGE => None,
                1 | 2 => {
                    let bits = store.tombstones(page as u32, slot)?;
                    let mut words = empty_page();
                    for (word, bytes) in words.iter_mut().zip(bits.as_chunks().0) {
                        *word = u64::from_le_bytes(*bytes);
                    }
                    Some(words)
                }
                other => return Err(store.damaged(format!("the manifest names slot {other}"))),
            });
        }
        let tombstones = Self { pages, slots: slots.to_vec() };
        if tombstones.count(next_doc..slots.len() as u64 * PAGE_DOCUMENTS) > 0 {
            return Err(store.damaged("documents are deleted that were never there"));
        }
        Ok(tombstones)
    }

    /// Whether document `doc` is deleted.
    pub(super) fn contains(&self, doc: u64) -> bool {
        let (page, word, bit) = position(doc);
        match self.pages.get(page) {
            Some(Some(words)) => words[word] & bit != 0,
            _ => false,
        }
    }

    /// How many documents of a range are deleted.
    pub(super) fn count(&self, docs: Range<u64>) -> usize {
        let mut count = 0;
        let mut doc = docs.start;
        while doc < docs.end {
            let (page, word, _) = position(doc);
            let next_page = (doc / PAGE_DOCUMENTS + 1) * PAGE_DOCUMENTS;
            let Some(Some(words)) = self.pages.get(page) else {
                doc = next_page;
                continue;
            };
            let next_word = (doc / 64 + 1) * 64;
            let end = next_word.min(docs.end);
            let mask = (u64::MAX << (doc % 64)) & (u64::MAX >> (next_word - end));
            count += (words[word] & mask).count_ones() as usize;
            doc = end;
        }
        count
    }

    /// Prepares the deletion of `docs`; nothing is deleted yet.
    pub(super) fn bury(&self, docs: &[u64]) -> Burial {
        let mut burial = Burial::default();
        for &doc in docs {
            let (page, word, bit) = position(doc);
            let (words, _) = burial.pages.entry(page).or_insert_with(|| {
                let words = self.pages.get(page).cloned().flatten().unwrap_or_else(empty_page);
                let slot = self.slots.get(page).copied().unwrap_or(NO_PAGE);
                (words, if slot == 1 { 2 } else { 1 })
            });
            words[word] |= bit;
        }
        burial
    }

    /// Makes a committed deletion count.
    pub(super) fn apply(&mut self, burial: Burial) {
        for (page, (words, slot)) in burial.pages {
            if self.pages.len() <= page {
                self.pages.resize(page + 1, None);
                self.slots.resize(page + 1, NO_PAGE);
            }
            self.pages[page] = Some(words);
            self.slots[page] = slot;
        }
    }

    /// What the manifest of a commit says of the pages.
    pub(super) fn slots_after(&self, burial: &Burial) -> Vec<u8> {
        let mut slots = self.slots.clone();
        for (&page, &(_, slot)) in &burial.pages {
            if slots.len() <= page {
                slots.resize(page + 1, NO_PAGE);
            }
            slots[page] = slot;
        }
        slots
    }

    /// The pages that are stored, and their slots.
    pub(super) fn stored(&self) -> impl Iterator<Item = (u32, u8)> + '_ {
        let pages = self.slots.iter().enumerate();
        pages.filter(|&(_, &slot)| slot != NO_PAGE).map(|(page, &slot)| (page as u32, slot))
    }
}

impl Burial {
    /// Writes the changed pages.
    pub(super) fn put(&self, store: &Store) -> Result<()> {
        for (&page, (words, slot)) in &self.pages {
            let bits: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            store.put_tombstones(page as u32, *slot, &bits)?;
        }
        Ok(())
    }
}

fn position(doc: u64) -> (usize, usize, u64) {
    let within = doc % PAGE_DOCUMENTS;
    ((doc / PAGE_DOCUMENTS) as usize, (within / 64) as usize, 1 << (within % 64))
}

fn empty_page() -> Page {
    Box::new([0; PAGE_WORDS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_any_range_is_the_count_of_its_documents() {
        let dead = [0, 1, 63, 64, 100, 127, 128, 32_767, 32_768, 40_000, 100_000];
        let mut tombstones = Tombstones::default();
        tombstones.apply(tombstones.bury(&dead));
        for start in [0, 1, 2, 63, 64, 65, 128, 32_767, 32_768, 65_535, 99_999] {
            for end in [0, 1, 64, 65, 127, 128, 129, 32_768, 32_769, 40_001, 100_001, 200_000] {
                let expected = dead.iter().filter(|doc| (start..end).contains(*doc)).count();
                assert_eq!(tombstones.count(start..end), expected, "{start}..{end}");
            }
        }
    }

    #[test]
    fn a_second_deletion_goes_to_the_other_slot_and_keeps_the_first() {
        let mut tombstones = Tombstones::default();
        let first = tombstones.bury(&[5]);
        assert_eq!(tombstones.slots_after(&first), [1]);
        assert!(!tombstones.contains(5));
        tombstones.apply(first);
        let second = tombstones.bury(&[6]);
        assert_eq!(tombstones.slots_after(&second), [2]);
        tombstones.apply(second);
        assert!(tombstones.contains(5) && tombstones.contains(6) && !tombstones.contains(7));
    }
}
