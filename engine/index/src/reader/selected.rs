//! The documents of a selection, and selections that are put together of others.

use super::select::Selection;
use super::{Snapshot, snapshot::SegmentView};
use crate::segment::PassageSet;
use crate::{DocId, Result};

impl Snapshot {
    /// The documents of a selection, oldest first.
    ///
    /// # Errors
    /// [`Error::Stale`](crate::Error::Stale) if it was made from another snapshot,
    /// [`Error::Damaged`](crate::Error::Damaged) if what is stored cannot be trusted.
    pub fn docs_among(&self, selection: &Selection) -> Result<Vec<DocId>> {
        selection.require(self)?;
        let mut docs = Vec::with_capacity(selection.len());
        for (at, view) in self.segments.iter().enumerate() {
            self.each_document(view, selection.rows(at), &mut |document| {
                docs.push(DocId { segment: at as u32, document });
            })?;
        }
        Ok(docs)
    }

    /// All live documents as a selection.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if what is stored cannot be trusted.
    pub fn select_all(&self) -> Result<Selection> {
        self.selection_of(&self.docs()?)
    }

    /// The live documents of some ids. Those that are not there are left out.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if what is stored cannot be trusted.
    pub fn select_ids(&self, ids: &[String]) -> Result<Selection> {
        let found = ids.iter().filter_map(|id| self.find(id).transpose());
        self.selection_of(&found.collect::<Result<Vec<_>>>()?)
    }

    /// The documents that are in two selections of this snapshot.
    ///
    /// # Errors
    /// As [`Snapshot::docs_among`].
    pub fn both(&self, one: &Selection, other: &Selection) -> Result<Selection> {
        self.combined(one, other, |one, other| one & other)
    }

    /// The documents that are in one of two selections of this snapshot, or in both.
    ///
    /// # Errors
    /// As [`Snapshot::docs_among`].
    pub fn either(&self, one: &Selection, other: &Selection) -> Result<Selection> {
        self.combined(one, other, |one, other| one | other)
    }

    /// The documents of a selection that are not in another of this snapshot.
    ///
    /// # Errors
    /// As [`Snapshot::docs_among`].
    pub fn but_not(&self, one: &Selection, other: &Selection) -> Result<Selection> {
        self.combined(one, other, |one, other| one & !other)
    }

    fn combined(
        &self,
        one: &Selection,
        other: &Selection,
        combine: impl Fn(u64, u64) -> u64,
    ) -> Result<Selection> {
        one.require(self)?;
        other.require(self)?;
        let segments = 0..self.segments.len();
        self.selection(segments.map(|at| one.rows(at).with(other.rows(at), &combine)).collect())
    }

    fn selection_of(&self, docs: &[DocId]) -> Result<Selection> {
        let empty = |view: &SegmentView| vec![0u64; view.segment.passages().div_ceil(64)];
        let mut words: Vec<Vec<u64>> = self.segments.iter().map(empty).collect();
        for doc in docs {
            let view = self.view_of(*doc)?;
            let passages = view.segment.passages_of(doc.document as usize);
            for passage in passages.map_err(|fault| self.fault(fault))? {
                words[doc.segment as usize][passage / 64] |= 1 << (passage % 64);
            }
        }
        self.selection(words.into_iter().map(PassageSet::of).collect())
    }

    /// The selection of these passages, which are all passages of each of their documents.
    fn selection(&self, rows: Vec<PassageSet>) -> Result<Selection> {
        let mut documents = 0;
        for (view, rows) in self.segments.iter().zip(&rows) {
            self.each_document(view, rows, &mut |_| documents += 1)?;
        }
        Ok(Selection::new(self, documents, rows, Vec::new()))
    }

    /// Each document that has a passage in a set, once, ascending: the passages of a document lie side by side.
    fn each_document(&self, view: &SegmentView, rows: &PassageSet, each: &mut dyn FnMut(u32)) -> Result<()> {
        let mut last = None;
        for passage in rows.iter() {
            let document =
                view.segment.document_of(passage as usize).map_err(|fault| self.fault(fault))? as u32;
            if last.replace(document) != Some(document) {
                each(document);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use crate::storage::{Memory, Storage};
    use crate::{Document, Embeddings, Filter, Index, ModelIdentity, Passage, Selection};

    /// Documents `0` to `9`, those of even numbers with two passages, in two segments; `3` is deleted.
    fn index() -> Index {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let mut index = Index::open_or_create_in(storage, &ModelIdentity::unknown(2)).unwrap();
        for half in [0..5, 5..10] {
            let count = |n: &usize| 2 - n % 2;
            let document = |n: usize| {
                let mut document = Document { id: n.to_string(), text: "ab".into(), ..Document::default() };
                document.metadata.insert("n".into(), json!(n));
                document
            };
            let documents: Vec<Document> = half.clone().map(document).collect();
            let both = [Passage { start: 0, end: 1 }, Passage { start: 1, end: 2 }];
            let passages: Vec<Vec<Passage>> = half.clone().map(|n| both[..count(&n)].to_vec()).collect();
            let rows = passages.iter().map(Vec::len).sum::<usize>();
            let embeddings = Embeddings::from_values(2, vec![1.0; 2 * rows]);
            index.upsert_passages(&documents, Some(&passages), &embeddings).unwrap();
        }
        index.delete(&["3"]).unwrap();
        index
    }

    #[test]
    fn selections_are_put_together_document_by_document() {
        let index = index();
        let snapshot = index.snapshot();
        let ids = |selection: &Selection| -> Vec<String> {
            let docs = snapshot.docs_among(selection).unwrap();
            assert_eq!(docs.len(), selection.len());
            docs.into_iter().map(|doc| snapshot.document(doc).unwrap().id).collect()
        };
        let named = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            snapshot.select_ids(&names).unwrap()
        };
        let low = snapshot.select(&Filter::parse("n < 6").unwrap()).unwrap();
        assert_eq!(ids(&low), ["0", "1", "2", "4", "5"]);
        let some = named(&["8", "4", "3", "nobody", "4", "5"]);
        assert_eq!(ids(&some), ["4", "5", "8"]);
        assert_eq!(ids(&snapshot.both(&low, &some).unwrap()), ["4", "5"]);
        assert_eq!(ids(&snapshot.either(&low, &some).unwrap()), ["0", "1", "2", "4", "5", "8"]);
        assert_eq!(ids(&snapshot.but_not(&low, &some).unwrap()), ["0", "1", "2"]);
        let all = snapshot.select_all().unwrap();
        assert_eq!(all.len(), 9);
        assert!(ids(&snapshot.but_not(&all, &all).unwrap()).is_empty());
    }

    #[test]
    fn selections_of_another_snapshot_are_refused() {
        let mut index = index();
        let before = index.snapshot().select_all().unwrap();
        index.delete(&["1"]).unwrap();
        let now = index.snapshot();
        assert!(now.docs_among(&before).is_err());
        assert!(now.both(&before, &now.select_all().unwrap()).is_err());
        assert!(now.both(&now.select_all().unwrap(), &before).is_err());
    }
}
