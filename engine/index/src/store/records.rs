//! The records of the store and their fields: bincode 2, variable-length integers, little-endian.

use std::collections::HashSet;

use bincode::config::{Configuration, Limit};
use bincode::{Decode, Encode};
use sha2::{Digest, Sha256};

use super::{Store, Tree};
use crate::{Document, Error, Result};

/// The version of the format that this program reads and writes.
pub(crate) const FORMAT: u32 = 3;

/// The longest record, in bytes: a document with its metadata.
pub(crate) const RECORD_LIMIT: usize = 256 << 20;

/// Arrays of a graph, at most.
const GRAPH_PARTS: usize = 200;

/// The longest external id, in bytes: it is a key, and keys are kept short.
pub(crate) const ID_LIMIT: usize = 4096;

/// The longest embedding: products of longer rows of codes could overflow.
pub(crate) const DIMENSION_LIMIT: u64 = 65_536;

/// The keys of the single records.
pub(crate) const FORMAT_KEY: &[u8] = b"format";
pub(crate) const MODEL_KEY: &[u8] = b"model";
pub(crate) const MANIFEST_KEY: &[u8] = b"manifest";

const CODEC: Configuration<bincode::config::LittleEndian, bincode::config::Varint, Limit<RECORD_LIMIT>> =
    bincode::config::standard().with_limit::<RECORD_LIMIT>();

/// What exists: replaced last in every commit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub(crate) struct Manifest {
    /// The number of this commit.
    pub(crate) generation: u64,
    /// Oldest first; the last one is pending and takes new documents.
    pub(crate) segments: Vec<SegmentRecord>,
    /// For each page of tombstones where it is stored: [`NO_PAGE`], or its slot.
    pub(crate) tombstones: Vec<u8>,
    /// The internal id of the next document.
    pub(crate) next_doc: u64,
    /// Documents before this one have their entry in `ids` on the disk.
    pub(crate) ids_through: u64,
    /// The id of the next segment.
    pub(crate) next_segment: u64,
    /// The `ef` of searches that name none; 0 for the default.
    pub(crate) ef: u32,
}

/// A page of tombstones without any.
pub(crate) const NO_PAGE: u8 = 0;

/// A segment: `rows` documents, which are among `first_doc..end_doc`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub(crate) struct SegmentRecord {
    /// Unique in the index, never used again.
    pub(crate) id: u64,
    /// The least internal id that it may have.
    pub(crate) first_doc: u64,
    /// One more than the greatest.
    pub(crate) end_doc: u64,
    /// How many documents it has. If they are as many as the range has numbers, row `r` is document
    /// `first_doc + r`; if fewer, a part of the segment lists them.
    pub(crate) rows: u64,
    /// Bytes of the records of its documents.
    pub(crate) record_bytes: u64,
    /// Names and bytes of the parts of its graph; none while it is pending.
    pub(crate) graph: Vec<GraphPart>,
}

impl SegmentRecord {
    /// Whether every number of its range is a document of it.
    pub(crate) fn is_consecutive(&self) -> bool {
        self.end_doc - self.first_doc == self.rows
    }
}

/// An array of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct GraphPart {
    /// Its name within the graph.
    pub(crate) name: String,
    /// Its length in bytes.
    pub(crate) bytes: u64,
}

/// The model of an index.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ModelRecord {
    pub(crate) fingerprint: String,
    pub(crate) location: String,
    pub(crate) dimension: u64,
}

/// A document as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct DocumentRecord {
    /// First, so that it can be compared without the rest.
    pub(crate) hash: ContentHash,
    id: String,
    text: String,
    metadata: String,
}

/// 128 bits of a SHA-256 over text and metadata: equal if and only if the content is.
pub(crate) type ContentHash = [u8; 16];

/// The hash of a document's content; its id is not part of it.
pub(crate) fn content_hash(document: &Document) -> ContentHash {
    hash_of(&document.text, &metadata_text(document))
}

fn hash_of(text: &str, metadata: &str) -> ContentHash {
    let mut hasher = Sha256::new();
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
    hasher.update(metadata.as_bytes());
    let digest = hasher.finalize();
    *digest.first_chunk().expect("a SHA-256 has 32 bytes")
}

fn metadata_text(document: &Document) -> String {
    if document.metadata.is_empty() {
        return String::new();
    }
    serde_json::to_string(&document.metadata).expect("a map of JSON values is JSON")
}

impl DocumentRecord {
    /// The record of a document.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is too long to be stored.
    pub(crate) fn encode(document: &Document) -> Result<Vec<u8>> {
        let metadata = metadata_text(document);
        if document.id.len() > ID_LIMIT {
            return Err(Error::Invalid(format!(
                "an id has {} bytes, and at most {ID_LIMIT} can be stored: {:?}…",
                document.id.len(),
                document.id.chars().take(40).collect::<String>()
            )));
        }
        // Half of the limit leaves room for lengths and escapes beyond doubt.
        if document.text.len() + metadata.len() > RECORD_LIMIT / 2 {
            return Err(Error::Invalid(format!(
                "document {:?} has {} bytes of text and metadata, and at most {} can be stored",
                document.id,
                document.text.len() + metadata.len(),
                RECORD_LIMIT / 2
            )));
        }
        let record = DocumentRecord {
            hash: hash_of(&document.text, &metadata),
            id: document.id.clone(),
            text: document.text.clone(),
            metadata,
        };
        Ok(encode(&record))
    }

    /// The content hash in the bytes of a record, or what is wrong with them.
    pub(crate) fn hash(bytes: &[u8]) -> std::result::Result<ContentHash, String> {
        let decoded = bincode::decode_from_slice(bytes, CODEC);
        decoded.map(|(hash, _)| hash).map_err(|error| error.to_string())
    }

    /// The metadata in the bytes of a record as JSON, empty if there is none, without a copy of anything.
    pub(crate) fn metadata(bytes: &[u8]) -> std::result::Result<&str, String> {
        type Borrowed<'a> = (ContentHash, &'a str, &'a str, &'a str);
        let decoded: Result<(Borrowed<'_>, usize), _> = bincode::borrow_decode_from_slice(bytes, CODEC);
        decoded.map(|((_, _, _, metadata), _)| metadata).map_err(|error| error.to_string())
    }

    /// The document in the bytes of a record, or what is wrong with them.
    pub(crate) fn decode(bytes: &[u8]) -> std::result::Result<Document, String> {
        decode::<Self>(bytes)?.into_document()
    }

    fn into_document(self) -> std::result::Result<Document, String> {
        let metadata = if self.metadata.is_empty() {
            crate::Metadata::new()
        } else {
            serde_json::from_str(&self.metadata).map_err(|error| error.to_string())?
        };
        Ok(Document { id: self.id, text: self.text, metadata })
    }
}

/// The bytes of a record.
pub(crate) fn encode(record: &impl Encode) -> Vec<u8> {
    bincode::encode_to_vec(record, CODEC).expect("a record is bounded before it is made")
}

/// The record of exactly these bytes, or what is wrong with them.
pub(crate) fn decode<T: Decode<()>>(bytes: &[u8]) -> std::result::Result<T, String> {
    match bincode::decode_from_slice(bytes, CODEC) {
        Ok((record, used)) if used == bytes.len() => Ok(record),
        Ok((_, used)) => Err(format!("it has {} bytes too many", bytes.len() - used)),
        Err(error) => Err(error.to_string()),
    }
}

impl Store {
    /// Writes what a new index begins with. On the disk when it returns.
    pub(crate) fn begin(&self, model: &ModelRecord) -> Result<()> {
        self.put(Tree::Meta, FORMAT_KEY, &FORMAT.to_le_bytes())?;
        self.put(Tree::Meta, MODEL_KEY, &encode(model))?;
        let manifest =
            Manifest { segments: vec![SegmentRecord::default()], next_segment: 1, ..Manifest::default() };
        self.put(Tree::Manifest, MANIFEST_KEY, &encode(&manifest))?;
        self.flush()
    }

    /// Refuses a store of another format: asked before anything else.
    pub(crate) fn require_format(&self) -> Result<()> {
        let payload = self.require(Tree::Meta, FORMAT_KEY)?;
        let found = <[u8; 4]>::try_from(&payload[..])
            .map(u32::from_le_bytes)
            .map_err(|_| self.damaged("its format version is not four bytes"))?;
        if found == FORMAT {
            return Ok(());
        }
        Err(Error::Format { path: self.index().to_owned(), found, known: FORMAT })
    }

    /// The model of the index.
    pub(crate) fn model(&self) -> Result<ModelRecord> {
        let payload = self.require(Tree::Meta, MODEL_KEY)?;
        let model: ModelRecord = decode(&payload).map_err(|why| self.damaged(format!("its model: {why}")))?;
        match model.dimension {
            1..=DIMENSION_LIMIT => Ok(model),
            other => Err(self.damaged(format!("its model has {other} dimensions"))),
        }
    }

    /// Replaces the model record; on the disk when it returns.
    pub(crate) fn replace_model(&self, model: &ModelRecord) -> Result<()> {
        self.put(Tree::Meta, MODEL_KEY, &encode(model))?;
        self.flush()
    }

    /// The manifest, if what it says can be.
    pub(crate) fn manifest(&self) -> Result<Manifest> {
        let payload = self.require(Tree::Manifest, MANIFEST_KEY)?;
        let manifest: Manifest =
            decode(&payload).map_err(|why| self.damaged(format!("the manifest: {why}")))?;
        manifest.check().map_err(|why| self.damaged(format!("the manifest: {why}")))?;
        Ok(manifest)
    }

    /// Replaces the manifest: the moment of a commit. On the disk when it returns.
    pub(crate) fn commit(&self, manifest: &Manifest) -> Result<()> {
        self.put(Tree::Manifest, MANIFEST_KEY, &encode(manifest))?;
        self.flush()
    }
}

impl Manifest {
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        let Some((pending, sealed)) = self.segments.split_last() else {
            return Err("it names no segment".into());
        };
        if !pending.graph.is_empty() {
            return Err("its last segment is sealed".into());
        }
        let mut ids = HashSet::new();
        let mut end = 0u64;
        for segment in &self.segments {
            if segment.first_doc < end || segment.end_doc < segment.first_doc {
                return Err(format!("segment {} is out of order", segment.id));
            }
            end = segment.end_doc;
            if end - segment.first_doc > u64::from(u32::MAX) || segment.graph.len() > GRAPH_PARTS {
                return Err(format!("segment {} is too large", segment.id));
            }
            if segment.rows > end - segment.first_doc {
                return Err(format!("segment {} has more rows than documents", segment.id));
            }
            if segment.id >= self.next_segment || !ids.insert(segment.id) {
                return Err(format!("segment {} has an id that cannot be its own", segment.id));
            }
        }
        if let Some(segment) = sealed.iter().find(|segment| segment.graph.is_empty()) {
            return Err(format!("segment {} has no graph", segment.id));
        }
        if !pending.is_consecutive() || end != self.next_doc || self.ids_through > self.next_doc {
            return Err("its counts of documents contradict each other".into());
        }
        Ok(())
    }
}
