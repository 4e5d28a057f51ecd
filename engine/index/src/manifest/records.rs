//! What a manifest holds: the model, segments and their tombstones.

use bincode::de::Decoder;
use bincode::de::read::Reader as _;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::IndexId;
use crate::{ModelIdentity, PassageSize, Similarity};

/// What an estimate came to.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub(crate) struct TrustRecord {
    /// From -1, where the words say more, to 1.
    pub(crate) trust: f32,
    /// The live passages that there were.
    pub(crate) passages: u64,
}

/// The model of an index, and how texts are given to it. Fingerprint and location are empty where it is not known.
///
/// A record that holds it has the first three fields at one place, and the others, which came later, at its end:
/// see [`ModelRecord::encode_later`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelRecord {
    pub(crate) fingerprint: String,
    pub(crate) location: String,
    pub(crate) dimension: u64,
    pub(crate) query_prompt: Option<String>,
    pub(crate) document_prompt: Option<String>,
    pub(crate) similarity: Similarity,
    pub(crate) passages: PassageSize,
}

/// A segment and its tombstones. Its origin is not written with the rest, but at the end of the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentRecord {
    /// Names the file; never used again.
    pub(crate) id: u64,
    pub(crate) documents: u64,
    pub(crate) passages: u64,
    /// Bytes of its file.
    pub(crate) length: u64,
    /// The checksum of its trailer.
    pub(crate) checksum: u32,
    /// Edges of its graph; none where it has no graph and is searched exactly.
    pub(crate) edges: Option<u64>,
    /// Its tombstones, if it has any.
    pub(crate) deleted: Option<DeletedRecord>,
    /// The segment of another index whose file this is; none for the index's own.
    pub(crate) origin: Option<Origin>,
}

/// What a file of a segment says of itself: the index that wrote it, and the id that it had there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Origin {
    pub(crate) index: IndexId,
    pub(crate) segment: u64,
}

impl Encode for SegmentRecord {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let Self { id, documents, passages, length, checksum, edges, deleted, origin: _ } = self;
        (id, documents, passages, length, checksum, edges, deleted).encode(encoder)
    }
}

impl<C> Decode<C> for SegmentRecord {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (id, documents, passages, length, checksum, edges, deleted) = Decode::decode(decoder)?;
        Ok(Self { id, documents, passages, length, checksum, edges, deleted, origin: None })
    }
}

/// A file of tombstones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct DeletedRecord {
    /// The commit that wrote it.
    pub(crate) generation: u64,
    /// Deleted documents.
    pub(crate) documents: u64,
    /// Their passages.
    pub(crate) passages: u64,
    /// Bytes of the file.
    pub(crate) length: u64,
    /// The checksum of the file.
    pub(crate) checksum: u32,
}

impl SegmentRecord {
    /// Whether it has a graph.
    pub(crate) fn is_sealed(&self) -> bool {
        self.edges.is_some()
    }

    /// Documents that are not deleted.
    pub(crate) fn live(&self) -> u64 {
        self.documents - self.deleted.map_or(0, |deleted| deleted.documents)
    }

    /// Passages of those documents.
    pub(crate) fn live_passages(&self) -> u64 {
        self.passages - self.deleted.map_or(0, |deleted| deleted.passages)
    }
}

impl ModelRecord {
    pub(crate) fn of(model: &ModelIdentity) -> Self {
        Self {
            fingerprint: model.fingerprint.clone(),
            location: model.location.clone(),
            dimension: model.dimension as u64,
            query_prompt: model.query_prompt.clone(),
            document_prompt: model.document_prompt.clone(),
            similarity: model.similarity,
            passages: model.passages,
        }
    }

    pub(crate) fn identity(&self) -> ModelIdentity {
        ModelIdentity {
            fingerprint: self.fingerprint.clone(),
            location: self.location.clone(),
            dimension: self.dimension as usize,
            query_prompt: self.query_prompt.clone(),
            document_prompt: self.document_prompt.clone(),
            similarity: self.similarity,
            passages: self.passages,
        }
    }

    /// Writes the fields that came later, at the end of the record that holds this one. Nothing is written where all
    /// have their defaults and nothing follows: the bytes are those that earlier releases wrote and read.
    pub(crate) fn encode_later<E: Encoder>(&self, encoder: &mut E, follows: bool) -> Result<(), EncodeError> {
        let Self { query_prompt, document_prompt, similarity, passages, .. } = self;
        let cut = *passages != PassageSize::default() || follows;
        let prompted = query_prompt.is_some() || document_prompt.is_some();
        if prompted || *similarity != Similarity::default() || cut {
            (query_prompt, document_prompt, similarity.code()).encode(encoder)?;
        }
        if cut { passages.code().encode(encoder) } else { Ok(()) }
    }

    /// Reads the fields that came later, if the record that holds this one goes on.
    pub(crate) fn decode_later<C, D: Decoder<Context = C>>(
        &mut self,
        decoder: &mut D,
    ) -> Result<(), DecodeError> {
        if decoder.reader().peek_read(1).is_none() {
            return Ok(());
        }
        let similarity: u8;
        (self.query_prompt, self.document_prompt, similarity) = Decode::decode(decoder)?;
        self.similarity = Similarity::from_code(similarity)
            .ok_or_else(|| DecodeError::OtherString(format!("its similarity has the number {similarity}")))?;
        // Releases that did not cut documents end here.
        if decoder.reader().peek_read(1).is_some() {
            self.passages = PassageSize::from_code(Decode::decode(decoder)?);
        }
        Ok(())
    }
}

impl Encode for ModelRecord {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (&self.fingerprint, &self.location, self.dimension).encode(encoder)
    }
}

impl<C> Decode<C> for ModelRecord {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (fingerprint, location, dimension) = Decode::decode(decoder)?;
        let (query_prompt, document_prompt, similarity, passages) = Default::default();
        Ok(Self { fingerprint, location, dimension, query_prompt, document_prompt, similarity, passages })
    }
}
