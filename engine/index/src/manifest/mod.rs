//! The manifest: which segments and tombstones exist, with their lengths and checksums. A commit replaces it.

mod codec;
mod records;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use bincode::de::Decoder;
use bincode::de::read::Reader as _;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::ModelIdentity;
use crate::segment::deleted_file_name;
use crate::segment::write::file_name;

pub(crate) use self::codec::{RECORD_LIMIT, decode, decode_beginning, encode};
pub(crate) use self::records::{DeletedRecord, ModelRecord, Origin, SegmentRecord, TrustRecord};

/// The version of the format that this crate reads and writes.
pub(crate) const FORMAT: u32 = 4;

/// The first bytes of a manifest.
const MAGIC: [u8; 8] = *b"AKINMAN\n";

/// Bytes of a manifest, at most: some hundred thousand segments.
pub(crate) const MANIFEST_LIMIT: usize = 64 << 20;

/// The longest embedding: sums over longer rows of codes could overflow.
pub(crate) const DIMENSION_LIMIT: u64 = 65_536;

/// A segment holds fewer passages: they are points of a graph.
pub(crate) const PASSAGE_LIMIT: u64 = crate::graph::POINT_LIMIT as u64;

/// Numbers of commits and segments are less: there is always a next one.
const NUMBER_LIMIT: u64 = 1 << 62;

/// Written in the place of an estimate where there is none and something follows.
const NO_TRUST: TrustRecord = TrustRecord { trust: 0.0, passages: 0 };

/// 128 random bits that tell the files of one index from those of another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub(crate) struct IndexId(pub(crate) [u8; 16]);

impl IndexId {
    /// One that no other index has.
    pub(crate) fn random() -> Self {
        use std::hash::{BuildHasher, Hasher, RandomState};
        // The standard library seeds each state from the system's randomness.
        let half = || RandomState::new().build_hasher().finish().to_le_bytes();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&half());
        id[8..].copy_from_slice(&half());
        Self(id)
    }
}

impl std::fmt::Debug for IndexId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What exists at one commit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    /// The index that it is of.
    pub(crate) index: IndexId,
    /// The number of this commit.
    pub(crate) generation: u64,
    /// The model of the index.
    pub(crate) model: ModelRecord,
    /// The `ef` of searches that name none; 0 for the default.
    pub(crate) ef: u32,
    /// The id of the next segment.
    pub(crate) next_segment: u64,
    /// Oldest first.
    pub(crate) segments: Vec<SegmentRecord>,
    /// How well the model understands the documents beside their words, once that was estimated. It came later, and is at
    /// the end of the record.
    pub(crate) trust: Option<TrustRecord>,
}

impl Encode for Manifest {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let Self { index, generation, model, ef, next_segment, segments, trust } = self;
        (index, generation, model, ef, next_segment, segments).encode(encoder)?;
        let adopted: Vec<(u64, Origin)> =
            segments.iter().filter_map(|segment| Some((segment.id, segment.origin?))).collect();
        model.encode_later(encoder, trust.is_some() || !adopted.is_empty())?;
        match (trust, adopted.is_empty()) {
            (None, true) => Ok(()),
            (Some(trust), true) => trust.encode(encoder),
            (trust, false) => (trust.unwrap_or(NO_TRUST), adopted).encode(encoder),
        }
    }
}

impl<C> Decode<C> for Manifest {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (index, generation, model, ef, next_segment, segments) = Decode::decode(decoder)?;
        let mut manifest = Self { index, generation, model, ef, next_segment, segments, trust: None };
        manifest.model.decode_later(decoder)?;
        if decoder.reader().peek_read(1).is_some() {
            manifest.trust = Some(Decode::decode(decoder)?);
        }
        if decoder.reader().peek_read(1).is_some() {
            manifest.trust = manifest.trust.filter(|trust| *trust != NO_TRUST);
            manifest.decode_origins(decoder)?;
        }
        Ok(manifest)
    }
}

impl Manifest {
    /// That of an index without documents.
    pub(crate) fn begin(model: &ModelIdentity) -> Self {
        Self {
            index: IndexId::random(),
            generation: 1,
            model: ModelRecord::of(model),
            ef: 0,
            next_segment: 1,
            segments: Vec::new(),
            trust: None,
        }
    }

    /// Reads where the segments are from that came from other indexes.
    fn decode_origins<C, D: Decoder<Context = C>>(&mut self, decoder: &mut D) -> Result<(), DecodeError> {
        let adopted: Vec<(u64, Origin)> = Decode::decode(decoder)?;
        let wrong = |why: String| DecodeError::OtherString(why);
        if adopted.is_empty() {
            return Err(wrong(
                "it lists no segment of another index where it says that there are some".into(),
            ));
        }
        // In the order of the segments, each at most once.
        let mut segments = self.segments.iter_mut();
        for (id, origin) in adopted {
            let segment = segments.find(|segment| segment.id == id);
            let segment = segment.ok_or_else(|| {
                wrong(format!("it says where segment {id} is from, which it does not have"))
            })?;
            if origin.segment == id {
                return Err(wrong(format!("segment {id} of another index has the same id there")));
            }
            segment.origin = Some(origin);
        }
        Ok(())
    }

    /// The bytes of the published file: magic, format, length and checksum of the record, the record.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let record = encode(self);
        let mut bytes = Vec::with_capacity(record.len() + 20);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&record).to_le_bytes());
        bytes.extend_from_slice(&record);
        bytes
    }

    /// Reads the bytes of a published file.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let damaged = |why: &str| Unreadable::Damaged(why.to_owned());
        if bytes.len() < 20 || bytes[..8] != MAGIC {
            return Err(damaged("it is not a manifest of Akin"));
        }
        let word = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().expect("20 bytes are there"));
        if word(8) != FORMAT {
            return Err(Unreadable::Format(word(8)));
        }
        let record = &bytes[20..];
        if record.len() != word(12) as usize || record.len() > MANIFEST_LIMIT {
            return Err(damaged("it has another length than it says"));
        }
        if crc32fast::hash(record) != word(16) {
            return Err(damaged("it fails its checksum"));
        }
        let manifest: Self = decode(record).map_err(Unreadable::Damaged)?;
        manifest.check().map_err(Unreadable::Damaged)?;
        Ok(manifest)
    }

    /// Says what cannot be, if anything.
    fn check(&self) -> Result<(), String> {
        if !(1..=DIMENSION_LIMIT).contains(&self.model.dimension) {
            return Err(format!("its model has {} dimensions", self.model.dimension));
        }
        if self.generation >= NUMBER_LIMIT || self.next_segment >= NUMBER_LIMIT {
            return Err(format!(
                "it is commit {}, and its next segment {}",
                self.generation, self.next_segment
            ));
        }
        if let Some(TrustRecord { trust, .. }) = self.trust.filter(|it| !(-1.0..=1.0).contains(&it.trust)) {
            return Err(format!("its trust in the model is {trust}"));
        }
        let mut ids = HashSet::with_capacity(self.segments.len());
        for segment in &self.segments {
            let id = segment.id;
            if id >= self.next_segment || !ids.insert(id) {
                return Err(format!("segment {id} has an id that cannot be its own"));
            }
            let (documents, passages) = (segment.documents, segment.passages);
            if documents == 0 || documents > passages || passages >= PASSAGE_LIMIT {
                return Err(format!("segment {id} has {documents} documents and {passages} passages"));
            }
            let dead = segment.deleted.is_some_and(|deleted| {
                deleted.documents == 0
                    || deleted.documents > documents
                    || deleted.passages < deleted.documents
                    || deleted.passages > passages
                    || deleted.generation > self.generation
            });
            if dead {
                return Err(format!("the tombstones of segment {id} are not possible"));
            }
        }
        Ok(())
    }

    /// The files that it names.
    pub(crate) fn files(&self) -> HashSet<String> {
        let deleted = self.segments.iter().filter_map(|segment| {
            segment.deleted.map(|deleted| deleted_file_name(segment.id, deleted.generation))
        });
        self.segments.iter().map(|segment| file_name(segment.id)).chain(deleted).collect()
    }

    /// How many documents are not deleted.
    pub(crate) fn live(&self) -> u64 {
        self.segments.iter().map(SegmentRecord::live).sum()
    }
}

/// Why the bytes of a manifest cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// They are of another version of the format.
    Format(u32),
    /// They are not what they must be.
    Damaged(String),
}
