//! The records of format 3: bincode 2 in its standard configuration.
//!
//! Strings and bytes are borrowed and lists grow item by item, so a length that is read never becomes an
//! allocation before the bytes for it are there.

use std::collections::HashSet;

use bincode::BorrowDecode;
use bincode::config::standard;

use crate::{Document, Metadata};

/// The version of the format that is read here.
pub(super) const FORMAT: u32 = 3;

/// The longest record of a document, in bytes.
pub(super) const RECORD_LIMIT: u32 = 256 << 20;

/// The longest external id, in bytes.
const ID_LIMIT: usize = 4096;

/// The longest embedding.
const DIMENSION_LIMIT: u64 = 65_536;

/// The model of an index.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) fingerprint: String,
    pub(super) location: String,
    pub(super) dimension: usize,
}

/// What exists.
#[derive(Debug)]
pub(super) struct Manifest {
    /// The number of the commit that wrote it.
    pub(super) generation: u64,
    /// Oldest first; the last one is pending: it has no graph.
    pub(super) segments: Vec<SegmentRecord>,
    /// For each page of tombstones: 0 for none, or the slot that counts.
    pub(super) tombstones: Vec<u8>,
    /// The internal id of the next document.
    pub(super) next_doc: u64,
    /// The candidates of a search that names none; 0 for the default.
    pub(super) ef: u32,
}

/// A segment: `rows` documents among `first_doc..end_doc`.
#[derive(Debug)]
pub(super) struct SegmentRecord {
    pub(super) id: u64,
    pub(super) first_doc: u64,
    pub(super) end_doc: u64,
    pub(super) rows: u64,
    /// Bytes of the records of its documents.
    pub(super) record_bytes: u64,
    /// Whether it has a graph.
    is_sealed: bool,
}

impl SegmentRecord {
    /// Whether row `r` is document `first_doc + r`. If not, an array lists the documents.
    pub(super) fn is_consecutive(&self) -> bool {
        self.end_doc - self.first_doc == self.rows
    }
}

impl Model {
    /// The model in the bytes of its record, or what is wrong with them.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut fields = Fields(bytes);
        let (fingerprint, location): (&str, &str) = (fields.next()?, fields.next()?);
        let dimension: u64 = fields.next()?;
        fields.end()?;
        if !(1..=DIMENSION_LIMIT).contains(&dimension) {
            return Err(format!("it has {dimension} dimensions"));
        }
        let (fingerprint, location) = (fingerprint.to_owned(), location.to_owned());
        Ok(Self { fingerprint, location, dimension: dimension as usize })
    }
}

impl Manifest {
    /// The manifest in the bytes of its record, or what is wrong with them.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut fields = Fields(bytes);
        let generation = fields.next()?;
        let count: u64 = fields.next()?;
        let mut segments = Vec::new();
        for _ in 0..count {
            segments.push(SegmentRecord {
                id: fields.next()?,
                first_doc: fields.next()?,
                end_doc: fields.next()?,
                rows: fields.next()?,
                record_bytes: fields.next()?,
                is_sealed: fields.skip_graph()? > 0,
            });
        }
        let tombstones: &[u8] = fields.next()?;
        let next_doc = fields.next()?;
        let ids_through: u64 = fields.next()?;
        let next_segment = fields.next()?;
        let ef = fields.next()?;
        fields.end()?;
        let manifest = Self { generation, segments, tombstones: tombstones.to_vec(), next_doc, ef };
        manifest.check(ids_through, next_segment)?;
        Ok(manifest)
    }

    fn check(&self, ids_through: u64, next_segment: u64) -> Result<(), String> {
        let Some((pending, sealed)) = self.segments.split_last() else {
            return Err("it names no segment".into());
        };
        if pending.is_sealed || sealed.iter().any(|segment| !segment.is_sealed) {
            return Err("a segment has a graph that must not have one, or none that must".into());
        }
        let mut ids = HashSet::new();
        let mut end = 0;
        for segment in &self.segments {
            if segment.first_doc < end || segment.end_doc < segment.first_doc {
                return Err(format!("segment {} is out of order", segment.id));
            }
            end = segment.end_doc;
            if end - segment.first_doc > u64::from(u32::MAX) || segment.rows > end - segment.first_doc {
                return Err(format!("segment {} has more documents than it can", segment.id));
            }
            if segment.id >= next_segment || !ids.insert(segment.id) {
                return Err(format!("segment {} has an id that cannot be its own", segment.id));
            }
        }
        if !pending.is_consecutive() || end != self.next_doc || ids_through > self.next_doc {
            return Err("its counts of documents contradict each other".into());
        }
        Ok(())
    }
}

/// The document in the bytes of its record, or what is wrong with them.
pub(super) fn decode_document(bytes: &[u8]) -> Result<Document, String> {
    let mut fields = Fields(bytes);
    let _content_hash: [u8; 16] = fields.next()?;
    let (id, text, json): (&str, &str, &str) = (fields.next()?, fields.next()?, fields.next()?);
    fields.end()?;
    if id.is_empty() || id.len() > ID_LIMIT {
        return Err(format!("its id has {} bytes", id.len()));
    }
    let metadata = match json {
        "" => Metadata::new(),
        _ => serde_json::from_str(json).map_err(|error| format!("its metadata: {error}"))?,
    };
    Ok(Document { id: id.to_owned(), text: text.to_owned(), metadata })
}

/// The fields of a record that are not decoded yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next<T: BorrowDecode<'a, ()>>(&mut self) -> Result<T, String> {
        let decoded = bincode::borrow_decode_from_slice(self.0, standard());
        let (value, used) = decoded.map_err(|error| error.to_string())?;
        self.0 = &self.0[used..];
        Ok(value)
    }

    /// Passes over the names and lengths of the arrays of a graph, and returns how many there were.
    fn skip_graph(&mut self) -> Result<u64, String> {
        let arrays: u64 = self.next()?;
        for _ in 0..arrays {
            let _name: &str = self.next()?;
            let _bytes: u64 = self.next()?;
        }
        Ok(arrays)
    }

    fn end(self) -> Result<(), String> {
        match self.0.len() {
            0 => Ok(()),
            more => Err(format!("it has {more} bytes too many")),
        }
    }
}
