//! A segment: immutable documents, their passages with vectors, and a graph once it is sealed.
//!
//! `sections` reads the parts of a segment file and checks them at first use, `write` writes one. The
//! components are `documents` (records and ids), `passages`, `vectors` and `graph`; `deleted` has the tombstones,
//! which are in a file of their own. `search` looks for the passages nearest to a query. `columns` has the values of fields, `words` the terms,
//! `postings` goes through the passages of one, and `word_search` finds the passages with the best scores.

pub(crate) mod columns;
mod deleted;
mod documents;
mod graph;
mod layout;
pub(crate) mod passage_set;
mod passages;
pub(crate) mod postings;
pub(crate) mod search;
pub(crate) mod sections;
pub(crate) mod shared;
#[cfg(test)]
mod tests;
mod vectors;
mod word_matches;
pub(crate) mod word_search;
pub(crate) mod words;
#[cfg(test)]
mod words_tests;
mod words_verify;
pub(crate) mod write;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub(crate) use self::deleted::{Deleted, deleted_file_name, segment_of_deleted};
pub(crate) use self::passage_set::PassageSet;
use self::sections::{Section, Sections, Trailer};
use self::write::{Header, file_name};
use crate::graph::codes::{longer_stride, stride};
use crate::graph::{Fault, Graph, Pages};
use crate::manifest::{DIMENSION_LIMIT, IndexId, ModelRecord, Origin, PASSAGE_LIMIT, SegmentRecord};
use crate::storage::{Blob, Storage};
use crate::{Error, Result, Similarity};

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    id: u64,
    header: Header,
    trailer: Trailer,
    sections: Sections,
    /// The graph in large pages of this process, once walks have taken long enough to pay for the copy.
    resident: std::sync::OnceLock<Option<Box<Graph>>>,
    /// The vectors in large pages of this process, if somebody asked for it.
    resident_vectors: std::sync::OnceLock<Option<Pages<f32>>>,
    /// Nanoseconds that walks through the mapping took.
    walked: AtomicU64,
}

/// Bytes that a verification checks between two looks at whether to go on: whole blocks.
const VERIFIED_AT_ONCE: usize = 64 << 20;

/// Why a segment cannot be opened.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// Its file is not there: it was merged away, or lost.
    Missing,
    /// It cannot be used, and why.
    Failed(Error),
}

impl Segment {
    /// Opens the segment that a manifest names.
    pub(crate) fn open(
        storage: &dyn Storage,
        index: IndexId,
        model: &ModelRecord,
        record: &SegmentRecord,
    ) -> Result<Arc<Self>, Unopened> {
        let blob = open_blob(storage, record.id)?;
        Self::of_record(storage, index, model, record, blob).map(Arc::new).map_err(Unopened::Failed)
    }

    /// The segment that a manifest names, of a file of `storage` that is open.
    pub(crate) fn of_record(
        storage: &dyn Storage,
        index: IndexId,
        model: &ModelRecord,
        record: &SegmentRecord,
        blob: Blob,
    ) -> Result<Self> {
        let origin = record.origin.unwrap_or(Origin { index, segment: record.id });
        let segment = Self::of_blob(storage, origin, record.id, blob)?;
        let damaged = |why: &str| Err(Error::damaged(storage, format!("{}: {why}", segment.sections.name())));
        let is_named =
            segment.trailer.checksum == record.checksum && segment.trailer.length() == record.length;
        let is_alike =
            segment.header.dimension == model.dimension && segment.similarity() == model.similarity;
        if !is_named || !is_alike {
            return damaged("it is not the file that the manifest names");
        }
        if segment.documents() as u64 != record.documents
            || segment.passages() as u64 != record.passages
            || segment.has_graph() != record.is_sealed()
        {
            return damaged("it has other counts than the manifest says");
        }
        Ok(segment)
    }

    /// Opens the file of segment `id`, which says that it is of `origin`, whatever a manifest says of it.
    pub(crate) fn open_file(storage: &dyn Storage, origin: Origin, id: u64) -> Result<Self, Unopened> {
        Self::of_blob(storage, origin, id, open_blob(storage, id)?).map_err(Unopened::Failed)
    }

    fn of_blob(storage: &dyn Storage, origin: Origin, id: u64, blob: Blob) -> Result<Self> {
        let name = file_name(id);
        let open = || {
            let trailer = Trailer::read(&blob)?;
            if trailer.origin() != origin {
                return Err("it belongs to another index".to_owned());
            }
            let (sections, header) =
                Sections::open(blob.clone(), name.clone(), &trailer, |header: &Header| &header.sections)?;
            check_header(&header, &sections)?;
            Ok(Self {
                id,
                header,
                trailer,
                sections,
                resident: std::sync::OnceLock::new(),
                resident_vectors: std::sync::OnceLock::new(),
                walked: AtomicU64::new(0),
            })
        };
        open().map_err(|why| Error::damaged(storage, format!("{name}: {why}")))
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// How many documents it has, deleted ones too.
    pub(crate) fn documents(&self) -> usize {
        self.header.documents as usize
    }

    /// How many passages it has.
    pub(crate) fn passages(&self) -> usize {
        self.header.passages as usize
    }

    /// The length of a vector.
    pub(crate) fn dimension(&self) -> usize {
        self.header.dimension as usize
    }

    /// How its vectors are compared.
    #[inline]
    pub(crate) fn similarity(&self) -> Similarity {
        self.header.model.similarity
    }

    /// What its file says of itself.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The index that wrote its file, and the id that it had there.
    pub(crate) fn origin(&self) -> Origin {
        self.trailer.origin()
    }

    /// Whether its index wrote it. The file of an adopted segment has another id in it than its name.
    pub(crate) fn is_own(&self) -> bool {
        self.trailer.segment == self.id
    }

    /// The checksum of its trailer.
    pub(crate) fn checksum(&self) -> u32 {
        self.trailer.checksum
    }

    /// Bytes of its file.
    pub(crate) fn length(&self) -> u64 {
        self.trailer.length()
    }

    pub(crate) fn has_graph(&self) -> bool {
        self.header.graph.is_some()
    }

    /// Compares every block of every section with its checksum.
    pub(crate) fn check_blocks(&self) -> Result<(), Fault> {
        for section in Section::ALL {
            self.check_section(section)?;
            self.sections.forget(section);
        }
        Ok(())
    }

    /// Checks every block of every section, and what they say of each other. `look` hears how many bytes are
    /// checked; none if it says to stop.
    pub(crate) fn verify(&self, look: &dyn Fn(u64) -> bool) -> Result<Option<Verified>, Fault> {
        let mut verified = Verified::default();
        for section in Section::ALL {
            let bytes = self.sections.len(section) as usize;
            for first in (0..bytes).step_by(VERIFIED_AT_ONCE) {
                if !look(verified.bytes + first as u64) {
                    return Ok(None);
                }
                self.check_content(section, first..bytes.min(first + VERIFIED_AT_ONCE))?;
            }
            verified.blocks += bytes.div_ceil(sections::BLOCK);
            verified.bytes += bytes as u64;
            self.sections.forget(section);
        }
        let checks = [
            Self::verify_vectors,
            Self::verify_sharing,
            Self::verify_documents,
            Self::verify_graph,
            Self::verify_words,
            Self::verify_columns,
        ];
        for check in checks {
            if !look(verified.bytes) {
                return Ok(None);
            }
            check(self)?;
        }
        Section::ALL.iter().for_each(|section| self.sections.forget(*section));
        Ok(Some(verified))
    }
}

fn open_blob(storage: &dyn Storage, id: u64) -> Result<Blob, Unopened> {
    let name = file_name(id);
    storage.open(&name).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Unopened::Missing,
        _ => Unopened::Failed(Error::Io {
            action: "read",
            path: storage.path().join("segments").join(&name),
            source: error,
        }),
    })
}

/// What a verification of a segment went through.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Verified {
    pub(crate) blocks: usize,
    pub(crate) bytes: u64,
}

/// Every section has the length that the counts give it.
fn check_header(header: &Header, sections: &Sections) -> Result<(), String> {
    let Header { documents, passages, dimension, .. } = *header;
    if documents == 0 || documents > passages || passages >= PASSAGE_LIMIT {
        return Err(format!("it has {documents} documents and {passages} passages"));
    }
    if !(1..=DIMENSION_LIMIT).contains(&dimension) {
        return Err(format!("its vectors have {dimension} dimensions"));
    }
    let require = |section: Section, expected: u64| match sections.len(section) {
        length if length == expected => Ok(()),
        length => Err(format!("{}: it has {length} bytes and not {expected}", section.name())),
    };
    let vectors = check_vectors(header, sections)?;
    require(Section::DocumentEnds, 8 * documents)?;
    require(Section::IdHashes, 8 * documents)?;
    require(Section::IdDocuments, 4 * documents)?;
    match sections.has(Section::FirstPassages) {
        true => require(Section::FirstPassages, 4 * (documents + 1))?,
        false if documents != passages => return Err("it does not say whose its passages are".into()),
        false => {}
    }
    if sections.has(Section::Spans) {
        require(Section::Spans, 8 * passages)?;
    }
    words::check_words(passages, sections)?;
    columns::check_columns(sections)?;
    let Some(shape) = &header.graph else { return Ok(()) };
    if !header.model.similarity.is_product() {
        return Err("it has a graph of vectors that are compared by a distance".into());
    }
    shape.check()?;
    let strides = [stride(dimension as usize), longer_stride(dimension as usize)];
    if u64::from(shape.points) != vectors || !strides.contains(&(shape.stride as usize)) {
        return Err("its graph has other points than it has vectors".into());
    }
    if !(shape.square.is_finite() && shape.square >= 0.0) {
        return Err("its codes have no length".into());
    }
    require(Section::GraphRows, 4 * vectors)?;
    require(Section::GraphBase, 4 * shape.base_len())?;
    require(Section::GraphUpper, 4 * shape.upper_len())?;
    require(Section::Codes, shape.code_bytes())
}

/// How many vectors a segment has: as many as passages, or fewer where it says which passages have one.
fn check_vectors(header: &Header, sections: &Sections) -> Result<u64, String> {
    let Header { passages, dimension, .. } = *header;
    let bytes = sections.len(Section::Vectors);
    let vectors = bytes / (4 * dimension);
    let shared = sections.has(Section::PassageVectors);
    let counts = if shared { 1..=passages } else { passages..=passages };
    if !bytes.is_multiple_of(4 * dimension) || !counts.contains(&vectors) {
        return Err(format!("vectors: it has {bytes} bytes for {passages} passages of {dimension} numbers"));
    }
    let lengths = [
        (Section::PassageVectors, 4 * passages),
        (Section::VectorEnds, 4 * (vectors + 1)),
        (Section::VectorPassages, 4 * passages),
    ];
    match lengths
        .into_iter()
        .find(|(section, length)| sections.len(*section) != if shared { *length } else { 0 })
    {
        Some((section, _)) => Err(format!("{}: it has {} bytes", section.name(), sections.len(section))),
        None => Ok(vectors),
    }
}
