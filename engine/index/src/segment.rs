//! A segment in memory: vectors, where the records of its documents are, and a graph once it is sealed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::SearchOptions;
use super::exact::{exact_search, exact_search_among};
use super::graph::FrozenGraph;
use super::selection::Rows;
use super::tombstones::Tombstones;
use crate::store::Store;
use crate::store::chunks::Place;
use crate::store::records::{DocumentRecord, GraphPart, RECORD_LIMIT, SegmentRecord};
use crate::{Document, Embeddings, Result};

/// Some documents in the order of their internal ids, and what is needed to search them.
pub(super) struct Segment {
    pub(super) record: SegmentRecord,
    /// Unit vectors, a document a row.
    pub(super) vectors: Embeddings,
    /// Which documents the rows are, as distances from `first_doc`; none where they are consecutive.
    rows: Option<Vec<u32>>,
    /// Where the record of each row ends among their bytes.
    ends: Vec<u64>,
    pub(super) graph: Option<FrozenGraph>,
    /// How many of its documents are deleted. It changes under the lock of the state, and only by that may
    /// others share the segment.
    deleted: AtomicUsize,
}

impl Segment {
    /// A pending segment without documents.
    pub(super) fn pending(id: u64, first_doc: u64, dimension: usize) -> Self {
        let record = SegmentRecord { id, first_doc, end_doc: first_doc, ..SegmentRecord::default() };
        Self::new(record, Embeddings::empty(dimension), Vec::new(), &[])
    }

    /// A segment of `docs`, or of consecutive ones if there are none, whose records have `lengths` bytes.
    pub(super) fn new(record: SegmentRecord, vectors: Embeddings, rows: Vec<u32>, lengths: &[u32]) -> Self {
        let rows = (!record.is_consecutive()).then_some(rows);
        let deleted = AtomicUsize::new(0);
        let mut segment = Self { record, vectors, rows, ends: Vec::new(), graph: None, deleted };
        segment.extend_ends(lengths);
        segment
    }

    fn extend_ends(&mut self, lengths: &[u32]) {
        let mut end = self.ends.last().copied().unwrap_or(0);
        self.ends.extend(lengths.iter().map(|length| {
            end += u64::from(*length);
            end
        }));
    }

    /// Reads a segment and checks it whole.
    pub(super) fn load(
        store: &Store,
        record: &SegmentRecord,
        dimension: usize,
        tombstones: &Tombstones,
    ) -> Result<Self> {
        let id = record.id;
        let damaged = |why: String| store.damaged(format!("segment {id}: {why}"));
        let values = store.floats(Place::vectors(id), record.rows.saturating_mul(dimension as u64))?;
        let vectors = Embeddings::from_values(dimension, values);
        let rows = match record.is_consecutive() {
            true => Vec::new(),
            false => store.integers(Place::docs(id), record.rows)?,
        };
        let range = record.end_doc - record.first_doc;
        if !rows.is_sorted_by(|a, b| a < b) || rows.last().is_some_and(|last| u64::from(*last) >= range) {
            return Err(damaged("its list of documents is not in order".into()));
        }
        let lengths = store.integers(Place::lengths(id), record.rows)?;
        if lengths.iter().any(|length| *length as usize > RECORD_LIMIT) {
            return Err(damaged("a document is longer than it can be".into()));
        }
        let mut segment = Self::new(record.clone(), vectors, rows, &lengths);
        if segment.ends.last().copied().unwrap_or(0) != record.record_bytes {
            return Err(damaged("its documents have another length than it says".into()));
        }
        if !record.graph.is_empty() {
            let mut parts = HashMap::with_capacity(record.graph.len());
            for (number, stored) in record.graph.iter().enumerate() {
                parts.insert(stored.name.clone(), store.bytes(Place::graph(id, number), stored.bytes)?);
            }
            let graph = FrozenGraph::from_parts(&parts, &segment.vectors);
            segment.graph = Some(graph.map_err(|why| damaged(format!("its graph: {why}")))?);
        }
        segment.count_deleted(tombstones);
        Ok(segment)
    }

    /// The internal ids of its documents, deleted ones too, row by row.
    pub(super) fn docs(&self) -> impl Iterator<Item = u64> {
        (0..self.vectors.rows()).map(|row| self.doc(row))
    }

    /// The document of a row.
    #[inline]
    pub(super) fn doc(&self, row: usize) -> u64 {
        let distance = self.rows.as_ref().map_or(row as u64, |rows| u64::from(rows[row]));
        self.record.first_doc + distance
    }

    /// The row of a document, if it is one of its own.
    pub(super) fn row(&self, doc: u64) -> Option<usize> {
        let distance = doc.checked_sub(self.record.first_doc)?;
        match &self.rows {
            None => (distance < self.record.rows).then_some(distance as usize),
            Some(rows) => rows.binary_search(&u32::try_from(distance).ok()?).ok(),
        }
    }

    /// How many of its documents are live.
    pub(super) fn live(&self) -> usize {
        self.vectors.rows() - self.deleted()
    }

    /// How many of its documents are deleted.
    pub(super) fn deleted(&self) -> usize {
        self.deleted.load(Ordering::Relaxed)
    }

    /// One of its documents is deleted.
    pub(super) fn note_deleted(&self) {
        self.deleted.fetch_add(1, Ordering::Relaxed);
    }

    /// Finds out how many of its documents are deleted.
    pub(super) fn count_deleted(&self, tombstones: &Tombstones) {
        let deleted = match &self.rows {
            None => tombstones.count(self.record.first_doc..self.record.end_doc),
            Some(_) => self.docs().filter(|doc| tombstones.contains(*doc)).count(),
        };
        self.deleted.store(deleted, Ordering::Relaxed);
    }

    /// The live documents nearest to a unit vector, or those `among` its rows, which are live: `(score,
    /// internal id)`, best first.
    pub(super) fn search(
        &self,
        query: &[f32],
        options: &SearchOptions<'_>,
        ef: usize,
        among: Option<&Rows>,
        tombstones: &Tombstones,
    ) -> Vec<(f32, u64)> {
        let k = options.k.min(among.map_or(self.live(), Rows::count));
        if k == 0 {
            return Vec::new();
        }
        let ef = ef.min(self.vectors.rows()).max(k);
        let is_live = |row: u32| !tombstones.contains(self.doc(row as usize));
        let graph = self.graph.as_ref().filter(|_| !options.exact);
        let found = match (graph, among) {
            (Some(graph), None) => {
                let live: &dyn Fn(u32) -> bool = &is_live;
                graph.search(&self.vectors, query, k, ef, (self.deleted() > 0).then_some(live))
            }
            (Some(graph), Some(rows)) if rows.are_for_walking(self.vectors.rows(), ef) => {
                let live: &dyn Fn(u32) -> bool = &|row| rows.contains(row);
                let walked = graph.search_within(&self.vectors, query, k, ef, Some(live), rows.count());
                walked.unwrap_or_else(|| exact_search_among(&self.vectors, query, k, rows))
            }
            (_, Some(rows)) => exact_search_among(&self.vectors, query, k, rows),
            (None, None) => exact_search(&self.vectors, query, k, &is_live),
        };
        found.into_iter().map(|(score, row)| (score, self.doc(row as usize))).collect()
    }

    /// The bytes of the record of a row.
    pub(super) fn record_bytes(&self, store: &Store, row: usize) -> Result<Vec<u8>> {
        store.range(Place::records(self.record.id), self.record_range(row))
    }

    /// The document of a row, read and decoded.
    pub(super) fn document(&self, store: &Store, row: usize) -> Result<Document> {
        let bytes = self.record_bytes(store, row)?;
        let document = DocumentRecord::decode(&bytes);
        document.map_err(|why| store.damaged(format!("document {}: {why}", self.doc(row))))
    }

    /// Where the record of a row is among the bytes of all.
    pub(super) fn record_range(&self, row: usize) -> std::ops::Range<u64> {
        row.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[row]
    }

    /// Writes rows and records behind those it has; it has them only when they are [added](Self::add).
    pub(super) fn put(&self, store: &Store, rows: &Embeddings, records: &Records) -> Result<()> {
        let id = self.record.id;
        let before = self.record.rows;
        let row_bytes = size_of::<f32>() as u64 * rows.dimension() as u64;
        store.append(Place::vectors(id), before * row_bytes, &le_bytes(rows.as_slice()))?;
        store.append(Place::records(id), self.record.record_bytes, &records.bytes)?;
        store.append(Place::lengths(id), before * size_of::<u32>() as u64, &le_words(&records.lengths))
    }

    /// Takes rows that are committed, and whose records have `lengths` bytes.
    pub(super) fn add(&mut self, record: SegmentRecord, rows: &Embeddings, lengths: &[u32]) {
        for row in rows.iter() {
            self.vectors.push(row);
        }
        self.extend_ends(lengths);
        self.record = record;
    }
}

impl SegmentRecord {
    /// The record of a segment with so many documents more.
    pub(super) fn extended(&self, records: &Records) -> Self {
        let rows = records.lengths.len() as u64;
        Self {
            rows: self.rows + rows,
            end_doc: self.end_doc + rows,
            record_bytes: self.record_bytes + records.bytes.len() as u64,
            ..self.clone()
        }
    }
}

/// The records of some documents, one after another.
#[derive(Default)]
pub(super) struct Records {
    pub(super) bytes: Vec<u8>,
    pub(super) lengths: Vec<u32>,
}

impl Records {
    /// Those of `documents`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if one is too long to be stored.
    pub(super) fn of(documents: &[Document]) -> Result<Self> {
        let mut records = Self::default();
        for document in documents {
            records.push(&DocumentRecord::encode(document)?);
        }
        Ok(records)
    }

    pub(super) fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.lengths.push(u32::try_from(record.len()).expect("a record has at most 256 MiB"));
    }
}

/// Writes the arrays of a graph as those of segment `id`, and tells what the manifest says of them.
pub(super) fn put_graph(store: &Store, id: u64, graph: &FrozenGraph) -> Result<Vec<GraphPart>> {
    let mut parts = Vec::new();
    for (number, (name, bytes)) in graph.to_parts().into_iter().enumerate() {
        store.append(Place::graph(id, number), 0, &bytes)?;
        parts.push(GraphPart { name: name.to_owned(), bytes: bytes.len() as u64 });
    }
    Ok(parts)
}

pub(super) fn le_bytes(values: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        Cow::Owned(values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

pub(super) fn le_words(values: &[u32]) -> Cow<'_, [u8]> {
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
