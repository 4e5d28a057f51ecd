//! The passages of one document, each by itself: a search names the best one alone.

use super::Snapshot;
use super::snapshot::SegmentView;
use crate::graph::Fault;
use crate::{DocId, Neighbor, Passage, Result, WordQuery};

impl Snapshot {
    /// All passages of a document by their similarity to `query`, best first.
    ///
    /// # Errors
    /// As [`Snapshot::search`], and [`Error::Stale`](crate::Error::Stale) if another snapshot named the document.
    pub fn passages_by_meaning(&self, query: &[f32], doc: DocId) -> Result<Vec<Neighbor>> {
        let query = self.checked(query)?;
        let SegmentView { segment, .. } = self.view_of(doc)?;
        let scored = || -> Result<Vec<Neighbor>, Fault> {
            let passages = segment.passages_of(doc.document as usize)?;
            let scored = passages.map(|passage| {
                let score = segment.similarity().of(&query, &segment.vector(passage)?);
                Ok(Neighbor { score, doc, passage: passage as u32 })
            });
            scored.collect()
        };
        scored().map(best_first).map_err(|fault| self.fault(fault))
    }

    /// The passages of a document that have words of `query`, best first.
    ///
    /// # Errors
    /// As [`Snapshot::search_words`], and [`Error::Stale`](crate::Error::Stale) if another snapshot named the document.
    pub fn passages_by_words(&self, query: &WordQuery, doc: DocId) -> Result<Vec<Neighbor>> {
        let SegmentView { segment, .. } = self.view_of(doc)?;
        let scored = || {
            let passages = segment.passages_of(doc.document as usize)?;
            self.words_of_passages(query, doc, passages)
        };
        scored().map(best_first).map_err(|fault| self.fault(fault))
    }

    /// Where the passage of a neighbor is in its document; `None` where the whole text is one.
    ///
    /// # Errors
    /// As [`Snapshot::document`].
    pub fn span(&self, near: &Neighbor) -> Result<Option<Passage>> {
        let span = self.view_of(near.doc)?.segment.span(near.passage as usize);
        span.map_err(|fault| self.fault(fault))
    }

    /// The vector of the passage of a neighbor.
    ///
    /// # Errors
    /// As [`Snapshot::document`].
    pub fn vector(&self, near: &Neighbor) -> Result<Vec<f32>> {
        let vector = self.view_of(near.doc)?.segment.vector(near.passage as usize);
        vector.map_err(|fault| self.fault(fault))
    }
}

fn best_first(mut passages: Vec<Neighbor>) -> Vec<Neighbor> {
    passages.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.passage.cmp(&b.passage)));
    passages
}

#[cfg(test)]
mod tests {
    use crate::{Document, Embeddings, Index, ModelIdentity, Passage, SearchOptions, WordQuery};
    use akin_fixtures::Folder;

    #[test]
    fn the_passages_of_a_document_are_scored_by_meaning_and_by_words() {
        let folder = Folder::new();
        let mut index = Index::open_or_create(&folder.path("index"), &ModelIdentity::unknown(2)).unwrap();
        let text =
            |id: &str, text: &str| Document { id: id.into(), text: text.into(), ..Document::default() };
        let documents = [text("a", "red fish. blue whale. red red sea."), text("b", "red")];
        let spans = [vec![(0, 9), (10, 21), (22, 34)], vec![(0, 3)]];
        let spans: Vec<Vec<Passage>> = spans
            .iter()
            .map(|spans| spans.iter().map(|&(start, end)| Passage { start, end }).collect())
            .collect();
        let vectors = Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8, 1.0, 0.0]);
        index.upsert_passages(&documents, Some(&spans), &vectors).unwrap();
        let snapshot = index.snapshot();
        let doc = snapshot.find("a").unwrap().unwrap();
        let spans_of = |found: &[crate::Neighbor]| -> Vec<u32> {
            found.iter().map(|near| snapshot.span(near).unwrap().unwrap().start).collect()
        };
        let by_meaning = snapshot.passages_by_meaning(&[0.0, 1.0], doc).unwrap();
        assert_eq!(spans_of(&by_meaning), [10, 22, 0]);
        assert_eq!(by_meaning.iter().map(|near| near.score).collect::<Vec<_>>(), [1.0, 0.8, 0.0]);
        assert_eq!(snapshot.vector(&by_meaning[1]).unwrap(), [0.6, 0.8]);
        let query = WordQuery::parse("red");
        let by_words = snapshot.passages_by_words(&query, doc).unwrap();
        assert_eq!(spans_of(&by_words), [22, 0]);
        // The best of them is what a search says.
        let best = snapshot.nearest_words(&query, &SearchOptions::default()).unwrap();
        assert!(best.iter().any(|near| near.doc == doc && near.score == by_words[0].score), "{best:?}");
    }
}
