//! The manifest: which segments and tombstones exist, with their lengths and checksums. A commit replaces it.

use std::collections::HashSet;

use bincode::config::{Configuration, Limit};
use bincode::de::Decoder;
use bincode::de::read::Reader as _;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::segment::deleted_file_name;
use crate::segment::write::file_name;
use crate::{ModelIdentity, PassageSize, Similarity};

/// The version of the format that this crate reads and writes.
pub(crate) const FORMAT: u32 = 4;

/// The first bytes of a manifest.
const MAGIC: [u8; 8] = *b"AKINMAN\n";

/// Bytes of a record, at most: a document with its metadata.
pub(crate) const RECORD_LIMIT: usize = 256 << 20;

/// Bytes of a manifest, at most: some hundred thousand segments.
pub(crate) const MANIFEST_LIMIT: usize = 64 << 20;

/// The longest embedding: sums over longer rows of codes could overflow.
pub(crate) const DIMENSION_LIMIT: u64 = 65_536;

/// A segment holds fewer passages: they are points of a graph.
pub(crate) const PASSAGE_LIMIT: u64 = crate::graph::POINT_LIMIT as u64;

/// Numbers of commits and segments are less: there is always a next one.
const NUMBER_LIMIT: u64 = 1 << 62;

const CODEC: Configuration<bincode::config::LittleEndian, bincode::config::Varint, Limit<RECORD_LIMIT>> =
    bincode::config::standard().with_limit::<RECORD_LIMIT>();

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

/// A segment and its tombstones.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
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

impl Encode for Manifest {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let Self { index, generation, model, ef, next_segment, segments, trust } = self;
        (index, generation, model, ef, next_segment, segments).encode(encoder)?;
        model.encode_later(encoder, trust.is_some())?;
        trust.map_or(Ok(()), |trust| trust.encode(encoder))
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

/// The bytes of a record.
pub(crate) fn encode(record: &impl Encode) -> Vec<u8> {
    bincode::encode_to_vec(record, CODEC).expect("a record is bounded before it is made")
}

/// The record of exactly these bytes, or what is wrong with them.
pub(crate) fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, String> {
    match bincode::decode_from_slice(bytes, CODEC) {
        Ok((record, used)) if used == bytes.len() => Ok(record),
        Ok((_, used)) => Err(format!("it has {} bytes too many", bytes.len() - used)),
        Err(error) => Err(error.to_string()),
    }
}

/// The same without copying texts, and with the rest of the bytes.
pub(crate) fn decode_beginning<'a, T: bincode::BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T, String> {
    bincode::borrow_decode_from_slice(bytes, CODEC)
        .map(|(record, _)| record)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifest() -> Manifest {
        let model = ModelIdentity::new("f".repeat(64), "m", 4);
        let mut manifest = Manifest::begin(&model);
        manifest.next_segment = 3;
        manifest.segments = vec![SegmentRecord {
            id: 2,
            documents: 5,
            passages: 7,
            length: 1000,
            checksum: 9,
            edges: Some(3),
            deleted: Some(DeletedRecord {
                generation: 1,
                documents: 1,
                passages: 2,
                length: 60,
                checksum: 4,
            }),
        }];
        manifest
    }

    #[test]
    fn a_manifest_comes_back_from_its_bytes() {
        let manifest = manifest();
        assert_eq!(Manifest::from_bytes(&manifest.to_bytes()), Ok(manifest.clone()));
        assert_eq!(manifest.live(), 4);
    }

    /// The record of `manifest()` with index `[7; 16]`, as a release before the later fields wrote it.
    fn earlier_record() -> Vec<u8> {
        let mut record = vec![7; 16];
        record.extend([1, 64]);
        record.extend([b'f'; 64]);
        record.extend([1, b'm', 4, 0, 3, 1]);
        record.extend([2, 5, 7, 251, 0xe8, 0x03, 9, 1, 3, 1, 1, 1, 2, 60, 4]);
        record
    }

    #[test]
    fn a_manifest_of_before_the_prompts_is_read_and_written_as_it_was() {
        let expected = Manifest { index: IndexId([7; 16]), ..manifest() };
        assert_eq!(decode(&earlier_record()), Ok(expected.clone()));
        assert_eq!(encode(&expected), earlier_record());
    }

    #[test]
    fn prompts_and_similarity_follow_the_record() {
        let mut prompted = Manifest { index: IndexId([7; 16]), ..manifest() };
        prompted.model.query_prompt = Some("q: ".into());
        prompted.model.similarity = Similarity::Dot;
        let record = encode(&prompted);
        assert_eq!(record, [&earlier_record()[..], &[1, 3, b'q', b':', b' ', 0, 1]].concat());
        assert_eq!(decode(&record), Ok(prompted));
        let unknown = [&earlier_record()[..], &[0, 0, 9]].concat();
        assert!(decode::<Manifest>(&unknown).unwrap_err().contains("similarity"));
        let longer = [&record[..], &[5, 0, 0, 0, 0, 7, 0]].concat();
        assert!(decode::<Manifest>(&longer).unwrap_err().contains("1 bytes too many"));
    }

    #[test]
    fn the_trust_follows_the_size_of_passages() {
        let mut trusted = Manifest { index: IndexId([7; 16]), ..manifest() };
        trusted.trust = Some(TrustRecord { trust: 0.5, passages: 7 });
        let record = encode(&trusted);
        assert_eq!(record, [&earlier_record()[..], &[0, 0, 0, 0, 0, 0, 0, 0x3f, 7]].concat());
        assert_eq!(decode(&record), Ok(trusted.clone()));
        for trust in [f32::NAN, -1.5, 1.01] {
            trusted.trust = Some(TrustRecord { trust, passages: 7 });
            let read = Manifest::from_bytes(&trusted.to_bytes());
            assert!(matches!(read, Err(Unreadable::Damaged(why)) if why.contains("trust")), "{trust}");
        }
    }

    #[test]
    fn the_size_of_passages_follows_the_similarity() {
        let mut cut = Manifest { index: IndexId([7; 16]), ..manifest() };
        for (passages, bytes) in [
            (PassageSize::Tokens(100), vec![0, 0, 0, 100]),
            (PassageSize::Window, vec![0, 0, 0, 252, 255, 255, 255, 255]),
        ] {
            cut.model.passages = passages;
            let record = encode(&cut);
            assert_eq!(record, [&earlier_record()[..], &bytes].concat());
            assert_eq!(decode(&record), Ok(cut.clone()));
        }
    }

    #[test]
    fn each_byte_of_a_manifest_is_checked() {
        let mut manifest = manifest();
        manifest.model.document_prompt = Some(String::new());
        let bytes = manifest.to_bytes();
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert!(Manifest::from_bytes(&bytes).is_err(), "byte {at}");
            assert!(Manifest::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refuse = |change: &dyn Fn(&mut Manifest)| {
            let mut changed = manifest();
            change(&mut changed);
            assert!(matches!(Manifest::from_bytes(&changed.to_bytes()), Err(Unreadable::Damaged(_))));
        };
        refuse(&|m| m.segments.push(m.segments[0].clone()));
        refuse(&|m| m.segments[0].id = 3);
        refuse(&|m| m.segments[0].passages = 1 << 63);
        refuse(&|m| m.segments[0].documents = 8);
        refuse(&|m| m.segments[0].deleted.as_mut().unwrap().passages = 8);
        refuse(&|m| m.model.dimension = 1 << 40);
        refuse(&|m| m.generation = u64::MAX);
        refuse(&|m| m.next_segment = u64::MAX);
        refuse(&|m| m.segments[0].documents = 1 << 63);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Manifest>(&bytes);
            let crc = crc32fast::hash(&bytes);
            let mut file = MAGIC.to_vec();
            for word in [FORMAT, bytes.len() as u32, crc] {
                file.extend_from_slice(&word.to_le_bytes());
            }
            file.append(&mut bytes);
            let _ = Manifest::from_bytes(&file);
        }
    }
}
