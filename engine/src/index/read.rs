//! Reading an index: what is nearest, and what is there.

use rayon::prelude::*;

use super::segment::{Segment, unit};
use super::{DEFAULT_EF, DocId, Index, Neighbor, SearchOptions};
use crate::{Document, Error, Result};

impl Index {
    /// The documents nearest to `query` by cosine similarity, best first, without their texts; of equal
    /// ones the older comes first.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the query has another dimension than the index or is not finite.
    pub fn nearest(&self, query: &[f32], options: &SearchOptions) -> Result<Vec<Neighbor>> {
        if query.len() != self.model.dimension {
            return Err(Error::Invalid(format!(
                "the query has {} dimensions, and the index has {}",
                query.len(),
                self.model.dimension
            )));
        }
        if !query.iter().all(|x| x.is_finite()) {
            return Err(Error::Invalid("the query is not finite".into()));
        }
        let query = unit(query);
        let ef = options.ef.unwrap_or(DEFAULT_EF);
        let search =
            |segment: &Segment| segment.search(&query, options.k, ef, options.exact, &self.tombstones);
        let segments: Vec<&Segment> = self.segments.iter().filter(|s| s.live() > 0).collect();
        let mut found: Vec<(f32, u64)> = match segments[..] {
            // The common case needs no other thread.
            [segment] => search(segment),
            _ => segments.into_par_iter().flat_map_iter(search).collect(),
        };
        found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(options.k);
        let neighbor = |(score, doc): (f32, u64)| {
            // Rounding takes the product of unit vectors a little beyond one.
            Neighbor { score: score.clamp(-1.0, 1.0), doc: DocId(doc) }
        };
        Ok(found.into_iter().map(neighbor).collect())
    }

    /// The live documents, oldest first.
    pub fn docs(&self) -> impl Iterator<Item = DocId> {
        (0..self.manifest.next_doc).filter(|doc| !self.tombstones.contains(*doc)).map(DocId)
    }

    /// A document that this index named.
    ///
    /// # Errors
    /// [`Error::Damaged`] if what is stored cannot be trusted, or the document was deleted since.
    pub fn document(&self, doc: DocId) -> Result<Document> {
        self.store.document(doc.0)
    }

    /// The unit vector of a document that this index named.
    ///
    /// # Panics
    /// If it did not.
    pub fn vector(&self, doc: DocId) -> &[f32] {
        let segment = self.segments.partition_point(|segment| segment.docs().end <= doc.0);
        let segment = self.segments.get(segment).expect("a document of this index");
        segment.vectors.row((doc.0 - segment.record.first_doc) as usize)
    }
}
