//! The rows of a segment, in order.

use super::arrays::{Array, ArrayReader};
use super::database::{Database, Tree};
use super::records::{RECORD_LIMIT, SegmentRecord};
use super::tombstones::Tombstones;
use crate::Result;

/// The arrays of a segment with an entry for each row. Those of its graph are not read.
struct Arrays {
    /// f32, `[rows, dimension]`.
    vectors: Array,
    /// u32, `[rows]`: distances from `first_doc`, where the documents are not consecutive.
    docs: Option<Array>,
    /// The records of the documents, one after another.
    records: Array,
    /// u32, `[rows]`: the bytes of each record.
    lengths: Array,
}

impl Arrays {
    fn of(record: &SegmentRecord, dimension: usize) -> Self {
        let segment = record.id;
        let array = |tree, part, bytes| Array { tree, segment, part, bytes };
        let words = record.rows.saturating_mul(4);
        Self {
            vectors: array(Tree::Segments, 0, words.saturating_mul(dimension as u64)),
            docs: (!record.is_consecutive()).then(|| array(Tree::Segments, 1, words)),
            records: array(Tree::Documents, 0, record.record_bytes),
            lengths: array(Tree::Documents, 1, words),
        }
    }
}

/// Checks that the arrays of a segment are as long as the manifest says, and counts its live documents.
pub(super) fn live_rows(
    database: &Database,
    record: &SegmentRecord,
    dimension: usize,
    tombstones: &Tombstones,
) -> Result<u64> {
    let Arrays { vectors, docs, records, lengths } = Arrays::of(record, dimension);
    for array in [vectors, records, lengths].into_iter().chain(docs) {
        array.check_length(database)?;
    }
    if docs.is_none() {
        return Ok(record.rows - tombstones.count(record.first_doc, record.end_doc));
    }
    let mut docs = Docs::new(database, record, docs);
    let mut live = 0;
    while let Some(doc) = docs.next()? {
        live += u64::from(!tombstones.contains(doc));
    }
    Ok(live)
}

/// A row as it is stored.
pub(super) struct Row<'a> {
    /// The internal id of its document.
    pub(super) doc: u64,
    /// The bytes of its vector: little-endian f32.
    pub(super) vector: &'a [u8],
    /// The record of its document.
    pub(super) record: &'a [u8],
}

/// The rows of a segment, those of deleted documents too.
pub(super) struct Rows<'a> {
    database: &'a Database,
    segment: u64,
    row_bytes: usize,
    docs: Docs<'a>,
    vectors: ArrayReader<'a>,
    records: ArrayReader<'a>,
    lengths: ArrayReader<'a>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(database: &'a Database, record: &'a SegmentRecord, dimension: usize) -> Self {
        let Arrays { vectors, docs, records, lengths } = Arrays::of(record, dimension);
        Self {
            database,
            segment: record.id,
            row_bytes: 4 * dimension,
            docs: Docs::new(database, record, docs),
            vectors: vectors.read(database),
            records: records.read(database),
            lengths: lengths.read(database),
        }
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>> {
        let Some(doc) = self.docs.next()? else {
            if self.records.is_at_end() {
                return Ok(None);
            }
            let what = format!("segment {}: its documents have another length than it says", self.segment);
            return Err(self.database.damaged(what));
        };
        let length = self.lengths.take_word()?;
        if length > RECORD_LIMIT {
            return Err(self.database.damaged(format!("document {doc} is longer than it can be")));
        }
        let vector = self.vectors.take(self.row_bytes)?;
        Ok(Some(Row { doc, vector, record: self.records.take(length as usize)? }))
    }
}

/// The internal ids of the documents of a segment, row by row.
struct Docs<'a> {
    database: &'a Database,
    record: &'a SegmentRecord,
    /// None where they are consecutive.
    list: Option<ArrayReader<'a>>,
    row: u64,
    /// The least that the next one may be.
    least: u64,
}

impl<'a> Docs<'a> {
    fn new(database: &'a Database, record: &'a SegmentRecord, list: Option<Array>) -> Self {
        let list = list.map(|list| list.read(database));
        Self { database, record, list, row: 0, least: record.first_doc }
    }

    fn next(&mut self) -> Result<Option<u64>> {
        if self.row == self.record.rows {
            return Ok(None);
        }
        let doc = match &mut self.list {
            Some(list) => self.record.first_doc.saturating_add(u64::from(list.take_word()?)),
            None => self.least,
        };
        if doc < self.least || doc >= self.record.end_doc {
            let what = format!("segment {}: its list of documents is not in order", self.record.id);
            return Err(self.database.damaged(what));
        }
        self.row += 1;
        self.least = doc + 1;
        Ok(Some(doc))
    }
}
