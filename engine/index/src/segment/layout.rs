//! What is where in a segment file: the sections by name, and the trailer.

use bincode::{Decode, Encode};

use crate::manifest::{IndexId, Origin};
use crate::storage::Blob;

/// Bytes that one checksum stands for.
pub(crate) const BLOCK: usize = 16 << 10;

/// Sections begin at multiples of so many bytes: a cache line.
pub(crate) const ALIGNMENT: u64 = 64;

/// The first bytes of a trailer.
pub(super) const MAGIC: [u8; 8] = *b"AKINSEG4";

/// Bytes of a trailer.
pub(crate) const TRAILER: usize = 64;

/// Bytes of a directory, at most.
const DIRECTORY_LIMIT: u64 = 1 << 20;

/// The sections that a segment may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub(crate) enum Section {
    /// Unit vectors, equal ones once: f32, `[vectors, dimension]`.
    Vectors,
    /// The vector of each passage: u32, `[passages]`. This and the next two are absent where all vectors differ:
    /// there passage and vector are the same number.
    PassageVectors,
    /// Where the passages of each vector begin in the next section, and the number of passages: u32, `[vectors + 1]`.
    VectorEnds,
    /// The passages of each vector, ascending: u32, `[passages]`.
    VectorPassages,
    /// Records of the documents, one after another: bytes.
    Documents,
    /// Where the record of each document ends: u64, `[documents]`.
    DocumentEnds,
    /// Hashes of the documents' ids, ascending: u64, `[documents]`.
    IdHashes,
    /// The document of each of those hashes: u32, `[documents]`.
    IdDocuments,
    /// The first passage of each document, and the number of passages: u32, `[documents + 1]`. Absent where
    /// every document has one passage.
    FirstPassages,
    /// Where each passage begins and ends in its document's text, in bytes: u32, `[passages, 2]`. Absent where
    /// every document is one passage.
    Spans,
    /// The vector of each point of the graph: u32, `[points]`.
    GraphRows,
    /// Lists of the base layer: u32, `[points, base width]`.
    GraphBase,
    /// Lists of the upper layers: u32, layer after layer.
    GraphUpper,
    /// Codes of the points: bytes, `[points, stride]`.
    Codes,
    /// What the next five are: version and language of the terms (u32 each), terms and sum of lengths (u64 each).
    /// All six are absent where no passage has a word.
    Words,
    /// The terms, ascending: bytes.
    Terms,
    /// Where each block of terms begins: u64.
    TermBlocks,
    /// The length of each passage: u16, `[passages]`.
    Lengths,
    /// The passages of each term: bytes.
    Postings,
    /// The positions of each term in its passages: bytes.
    Positions,
    /// What the next has: version, and name, place and kind of each field's column.
    Columns,
    /// The values of fields: bytes.
    ColumnData,
}

impl Section {
    /// All of them.
    pub(crate) const ALL: [Section; 22] = [
        Section::Vectors,
        Section::PassageVectors,
        Section::VectorEnds,
        Section::VectorPassages,
        Section::Documents,
        Section::DocumentEnds,
        Section::IdHashes,
        Section::IdDocuments,
        Section::FirstPassages,
        Section::Spans,
        Section::GraphRows,
        Section::GraphBase,
        Section::GraphUpper,
        Section::Codes,
        Section::Words,
        Section::Terms,
        Section::TermBlocks,
        Section::Lengths,
        Section::Postings,
        Section::Positions,
        Section::Columns,
        Section::ColumnData,
    ];

    /// Its name in the directory of a segment and in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Section::Vectors => "vectors",
            Section::PassageVectors => "passages.vectors",
            Section::VectorEnds => "vectors.ends",
            Section::VectorPassages => "vectors.passages",
            Section::Documents => "documents",
            Section::DocumentEnds => "documents.ends",
            Section::IdHashes => "ids.hashes",
            Section::IdDocuments => "ids.documents",
            Section::FirstPassages => "passages.first",
            Section::Spans => "passages.spans",
            Section::GraphRows => "graph.rows",
            Section::GraphBase => "graph.base",
            Section::GraphUpper => "graph.upper",
            Section::Codes => "codes",
            Section::Words => "words",
            Section::Terms => "words.terms",
            Section::TermBlocks => "words.blocks",
            Section::Lengths => "words.lengths",
            Section::Postings => "postings",
            Section::Positions => "postings.positions",
            Section::Columns => "columns",
            Section::ColumnData => "columns.data",
        }
    }
}

/// Where a section is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Placed {
    /// Its name. A section of an unknown name is passed over.
    pub(crate) name: String,
    /// Its first byte in the file, a multiple of 64.
    pub(crate) offset: u64,
    /// Its bytes.
    pub(crate) length: u64,
    /// The first byte of its table of checksums, one u32 for each block.
    pub(crate) checksums: u64,
    /// The checksum of that table.
    pub(crate) checksum: u32,
}

/// What identifies a segment file: the manifest names it by these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) index: IndexId,
    pub(crate) segment: u64,
    pub(super) directory: u64,
    pub(super) directory_bytes: u64,
    pub(super) length: u64,
    pub(super) directory_checksum: u32,
    pub(crate) checksum: u32,
}

impl Trailer {
    pub(super) fn bytes(
        index: IndexId,
        segment: u64,
        directory: u64,
        encoded: &[u8],
    ) -> ([u8; TRAILER], u32) {
        let mut bytes = [0; TRAILER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..24].copy_from_slice(&index.0);
        bytes[24..32].copy_from_slice(&segment.to_le_bytes());
        bytes[32..40].copy_from_slice(&directory.to_le_bytes());
        bytes[40..48].copy_from_slice(&(encoded.len() as u64).to_le_bytes());
        let length = directory + (encoded.len() + TRAILER) as u64;
        bytes[48..56].copy_from_slice(&length.to_le_bytes());
        bytes[56..60].copy_from_slice(&crc32fast::hash(encoded).to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        (bytes, checksum)
    }

    /// The index that wrote the file, and the id that the segment had there.
    pub(crate) fn origin(&self) -> Origin {
        Origin { index: self.index, segment: self.segment }
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Whether bytes are a trailer of this origin, length and checksum.
    pub(crate) fn says(bytes: &[u8], origin: Origin, length: u64, checksum: u32) -> bool {
        bytes.len() == TRAILER
            && bytes[..8] == MAGIC
            && bytes[8..24] == origin.index.0
            && bytes[24..32] == origin.segment.to_le_bytes()
            && bytes[48..56] == length.to_le_bytes()
            && bytes[60..] == checksum.to_le_bytes()
            && crc32fast::hash(&bytes[..60]) == checksum
    }

    /// Reads the trailer of a file.
    pub(crate) fn read(blob: &Blob) -> Result<Self, String> {
        let file = blob.bytes().len();
        let at = file.checked_sub(TRAILER).ok_or_else(|| format!("it has only {file} bytes"))?;
        let mut bytes = [0; TRAILER];
        blob.read_at(at as u64, &mut bytes).map_err(|error| error.to_string())?;
        let word =
            |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("a trailer is long enough"));
        let half =
            |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().expect("a trailer is long enough"));
        let checksum = half(60);
        if bytes[..8] != MAGIC || crc32fast::hash(&bytes[..60]) != checksum {
            return Err("its end is not that of a segment, or fails its checksum".into());
        }
        let trailer = Self {
            index: IndexId(*bytes[8..].first_chunk().expect("a trailer is long enough")),
            segment: word(24),
            directory: word(32),
            directory_bytes: word(40),
            length: word(48),
            directory_checksum: half(56),
            checksum,
        };
        let end = trailer.directory.checked_add(trailer.directory_bytes);
        if trailer.length != file as u64
            || end != Some(at as u64)
            || trailer.directory_bytes > DIRECTORY_LIMIT
        {
            return Err(format!("it has {file} bytes where its end says {}", trailer.length));
        }
        Ok(trailer)
    }
}
