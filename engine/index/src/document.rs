//! What an index holds: documents, and the passages of them that have vectors.

use std::borrow::Cow;

use bincode::{Decode, Encode};
use sha2::{Digest, Sha256};

use crate::manifest::{RECORD_LIMIT, decode, decode_beginning, encode};
use crate::{Error, Result, Similarity};

/// The fields of a document beside its id and text, in the order of the corpus.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// The longest external id, in bytes.
pub(crate) const ID_LIMIT: usize = 4096;

/// What the user gave: the text that is searched, the name it is known by outside, and its other fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// The id the user knows it by; unique in an index.
    pub id: String,
    /// The text whose meaning is searched.
    pub text: String,
    /// Every other field, kept as it was read.
    pub metadata: Metadata,
}

/// A part of a document's text that has a vector of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Passage {
    /// Its first byte in the text.
    pub start: u32,
    /// The byte after its last one.
    pub end: u32,
}

/// 128 bits of a SHA-256 over text and metadata: equal if and only if the content is.
pub(crate) type ContentHash = [u8; 16];

/// A document as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct DocumentRecord {
    /// First, so that it can be compared without the rest.
    hash: ContentHash,
    id: String,
    text: String,
    metadata: String,
}

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

/// The hash that an id is looked up by. Nobody can make two ids with one hash, and two are told apart all
/// the same.
pub(crate) fn id_hash(id: &str) -> u64 {
    let digest = Sha256::digest(id.as_bytes());
    u64::from_le_bytes(*digest.first_chunk().expect("a SHA-256 has 32 bytes"))
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
        let hash = hash_of(&document.text, &metadata);
        Ok(encode(&(hash, document.id.as_str(), document.text.as_str(), metadata.as_str())))
    }

    /// The content hash in the bytes of a record, or what is wrong with them.
    pub(crate) fn hash(bytes: &[u8]) -> Result<ContentHash, String> {
        decode_beginning(bytes)
    }

    /// The id in the bytes of a record.
    pub(crate) fn id(bytes: &[u8]) -> Result<&str, String> {
        decode_beginning::<(ContentHash, &str)>(bytes).map(|(_, id)| id)
    }

    /// The text in the bytes of a record.
    pub(crate) fn text(bytes: &[u8]) -> Result<&str, String> {
        decode_beginning::<(ContentHash, &str, &str)>(bytes).map(|(_, _, text)| text)
    }

    /// The metadata in the bytes of a record as JSON, empty if there is none.
    pub(crate) fn metadata(bytes: &[u8]) -> Result<&str, String> {
        decode_beginning::<(ContentHash, &str, &str, &str)>(bytes).map(|(_, _, _, metadata)| metadata)
    }

    /// The document in the bytes of a record, or what is wrong with them.
    pub(crate) fn document(bytes: &[u8]) -> Result<Document, String> {
        let record = decode::<Self>(bytes)?;
        let metadata = if record.metadata.is_empty() {
            Metadata::new()
        } else {
            serde_json::from_str(&record.metadata).map_err(|error| error.to_string())?
        };
        Ok(Document { id: record.id, text: record.text, metadata })
    }
}

/// A vector as an index stores it: of length one where vectors are compared by their cosine, else as it is.
pub(crate) fn stored(similarity: Similarity, vector: &[f32]) -> Cow<'_, [f32]> {
    match similarity {
        Similarity::Cosine => unit(vector),
        _ => Cow::Borrowed(vector),
    }
}

/// The unit vector in the direction of `vector`; zero stays zero.
///
/// Vectors that a model has normalised already are kept to the bit.
fn unit(vector: &[f32]) -> Cow<'_, [f32]> {
    let square: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let norm = square.sqrt();
    if norm == 0.0 || (norm - 1.0).abs() < 1e-6 {
        return Cow::Borrowed(vector);
    }
    Cow::Owned(vector.iter().map(|&x| (f64::from(x) / norm) as f32).collect())
}
