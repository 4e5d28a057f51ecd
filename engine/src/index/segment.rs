//! A segment in memory: vectors, and a graph once it is sealed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::exact::exact_search;
use super::graph::FrozenGraph;
use super::tombstones::Tombstones;
use crate::store::Store;
use crate::store::chunks::{CHUNK_BYTES, VECTORS};
use crate::store::records::SegmentRecord;
use crate::{Embeddings, Result};

/// Some documents with consecutive internal ids, and what is needed to search them.
pub(super) struct Segment {
    pub(super) record: SegmentRecord,
    /// Unit vectors; row `r` is document `first_doc + r`.
    pub(super) vectors: Embeddings,
    pub(super) graph: Option<FrozenGraph>,
    /// How many of its documents are deleted.
    pub(super) deleted: usize,
}

impl Segment {
    /// A pending segment without documents.
    pub(super) fn pending(id: u64, first_doc: u64, dimension: usize) -> Self {
        Self {
            record: SegmentRecord { id, first_doc, ..SegmentRecord::default() },
            vectors: Embeddings::empty(dimension),
            graph: None,
            deleted: 0,
        }
    }

    /// Reads a segment and checks it whole.
    pub(super) fn load(
        store: &Store,
        record: &SegmentRecord,
        dimension: usize,
        tombstones: &Tombstones,
    ) -> Result<Self> {
        let count = record.rows * dimension as u64;
        let values = store.floats(record.id, VECTORS, count)?;
        let vectors = Embeddings::from_values(dimension, values);
        let mut parts = HashMap::with_capacity(record.graph.len());
        for (part, stored) in (VECTORS + 1..).zip(&record.graph) {
            parts.insert(stored.name.clone(), store.chunks(record.id, part, stored.bytes)?);
        }
        let graph = match parts.len() {
            0 => None,
            _ => Some(
                FrozenGraph::from_parts(&parts, &vectors)
                    .map_err(|why| store.damaged(format!("the graph of segment {}: {why}", record.id)))?,
            ),
        };
        let deleted = tombstones.count(docs_of(record));
        Ok(Self { record: record.clone(), vectors, graph, deleted })
    }

    /// The internal ids of its documents, deleted ones too.
    pub(super) fn docs(&self) -> Range<u64> {
        docs_of(&self.record)
    }

    /// How many of its documents are live.
    pub(super) fn live(&self) -> usize {
        self.vectors.rows() - self.deleted
    }

    /// The live documents nearest to a unit vector: `(score, internal id)`, best first.
    pub(super) fn search(
        &self,
        query: &[f32],
        k: usize,
        ef: usize,
        exact: bool,
        tombstones: &Tombstones,
    ) -> Vec<(f32, u64)> {
        let first = self.record.first_doc;
        let k = k.min(self.live());
        if k == 0 {
            return Vec::new();
        }
        let is_live = |row: u32| !tombstones.contains(first + u64::from(row));
        let found = match &self.graph {
            Some(graph) if !exact => {
                let ef = ef.min(self.vectors.rows()).max(k);
                let live: &dyn Fn(u32) -> bool = &is_live;
                graph.search(&self.vectors, query, k, ef, (self.deleted > 0).then_some(live))
            }
            _ => exact_search(&self.vectors, query, k, &is_live),
        };
        found.into_iter().map(|(score, row)| (score, first + u64::from(row))).collect()
    }

    /// Writes `rows` behind the rows it has; it has them only when they are [added](Self::add).
    pub(super) fn put_rows(&self, store: &Store, rows: &Embeddings) -> Result<()> {
        // The last chunk is written again, longer: cheaper than chunks of all lengths.
        let chunk_floats = CHUNK_BYTES / 4;
        let values = self.vectors.as_slice();
        let chunk = values.len() / chunk_floats;
        let mut tail = values[chunk * chunk_floats..].to_vec();
        tail.extend_from_slice(rows.as_slice());
        let chunk = u32::try_from(chunk)
            .map_err(|_| crate::Error::Invalid("a segment cannot hold more vectors: seal it".into()))?;
        store.put_chunks(self.record.id, VECTORS, chunk, &le_bytes(&tail))
    }

    /// Takes rows that are committed.
    pub(super) fn add(&mut self, rows: &Embeddings) {
        for row in rows.iter() {
            self.vectors.push(row);
        }
        self.record.rows += rows.rows() as u64;
    }

    /// Where its own vectors end in the store.
    pub(super) fn chunk_count(&self) -> u32 {
        size_of_val(self.vectors.as_slice()).div_ceil(CHUNK_BYTES) as u32
    }
}

fn docs_of(record: &SegmentRecord) -> Range<u64> {
    record.first_doc..record.first_doc + record.rows
}

fn le_bytes(values: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        Cow::Owned(values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

/// The unit vector in the direction of `vector`; zero stays zero.
///
/// Vectors that a model has normalised already are kept to the bit.
pub(super) fn unit(vector: &[f32]) -> Cow<'_, [f32]> {
    let square: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let norm = square.sqrt();
    if norm == 0.0 || (norm - 1.0).abs() < 1e-6 {
        return Cow::Borrowed(vector);
    }
    Cow::Owned(vector.iter().map(|&x| (f64::from(x) / norm) as f32).collect())
}
