//! Writing a segment file, front to back.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::sections::{ALIGNMENT, BLOCK, Placed, Section, Trailer};
use crate::graph::Shape;
use crate::manifest::{IndexId, ModelRecord, encode};
use crate::storage::{Output, Storage};
use crate::{Error, Result};

/// What a segment file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Header {
    /// How many documents it has.
    pub(crate) documents: u64,
    /// How many passages: the rows of its vectors.
    pub(crate) passages: u64,
    /// The length of a vector.
    pub(crate) dimension: u64,
    /// The model of its index: a segment says all that is needed to search it.
    pub(crate) model: ModelRecord,
    /// The commit that it was written for.
    pub(crate) generation: u64,
    /// The segments that it replaces.
    pub(crate) replaces: Vec<u64>,
    /// The sizes of its graph, if it has one.
    pub(crate) graph: Option<Shape>,
    /// Where its sections are.
    pub(crate) sections: Vec<Placed>,
}

impl Encode for Header {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let Self { documents, passages, dimension, model, generation, replaces, graph, sections } = self;
        (documents, passages, dimension, model, generation, replaces, graph, sections).encode(encoder)?;
        model.encode_later(encoder, false)
    }
}

impl<C> Decode<C> for Header {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (documents, passages, dimension, model, generation, replaces, graph, sections) =
            Decode::decode(decoder)?;
        let mut header =
            Self { documents, passages, dimension, model, generation, replaces, graph, sections };
        header.model.decode_later(decoder)?;
        Ok(header)
    }
}

/// A segment file that was written and is durable but for its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Bytes of the file.
    pub(crate) length: u64,
    /// The checksum of its trailer.
    pub(crate) checksum: u32,
}

/// Writes the sections of a segment, one after another.
pub(crate) struct SegmentWriter<'a> {
    storage: &'a dyn Storage,
    name: String,
    output: Box<dyn Output>,
    index: IndexId,
    segment: u64,
    at: u64,
    placed: Vec<Placed>,
    tables: Vec<Vec<u32>>,
    /// The section that is being written: its bytes so far, and the checksum of its last block so far.
    block: crc32fast::Hasher,
    in_block: usize,
}

impl<'a> SegmentWriter<'a> {
    /// Begins the file of a segment.
    pub(crate) fn create(storage: &'a dyn Storage, index: IndexId, segment: u64) -> Result<Self> {
        let name = file_name(segment);
        let output = storage.create(&name).map_err(|error| Error::writing(storage, &error))?;
        Ok(Self {
            storage,
            name,
            output,
            index,
            segment,
            at: 0,
            placed: Vec::new(),
            tables: Vec::new(),
            block: crc32fast::Hasher::new(),
            in_block: 0,
        })
    }

    /// Begins a section.
    pub(crate) fn begin(&mut self, section: Section) -> Result<()> {
        self.end_section();
        self.pad()?;
        self.placed.push(Placed {
            name: section.name().to_owned(),
            offset: self.at,
            length: 0,
            checksums: 0,
            checksum: 0,
        });
        self.tables.push(Vec::new());
        Ok(())
    }

    /// Appends bytes to the section that was begun last.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let (placed, table) = (self.placed.last_mut(), self.tables.last_mut());
        let (placed, table) = placed.zip(table).expect("a section was begun");
        placed.length += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            let part;
            (part, rest) = rest.split_at(rest.len().min(BLOCK - self.in_block));
            self.block.update(part);
            self.in_block += part.len();
            if self.in_block == BLOCK {
                table.push(std::mem::take(&mut self.block).finalize());
                self.in_block = 0;
            }
        }
        self.put(bytes)
    }

    /// A whole section.
    pub(crate) fn section(&mut self, section: Section, bytes: &[u8]) -> Result<()> {
        self.begin(section)?;
        self.append(bytes)
    }

    /// Writes the tables of checksums, the directory and the trailer. Everything is on the disk when it returns,
    /// but for the name of the file. The file is gone if that fails.
    pub(crate) fn finish(mut self, header: Header) -> Result<Sealed> {
        match self.write_end(header) {
            Ok(checksum) => {
                let Self { storage, name, output, at: length, .. } = self;
                output.finish().map_err(|error| {
                    let _ = storage.remove(&name);
                    Error::writing(storage, &error)
                })?;
                Ok(Sealed { length, checksum })
            }
            Err(error) => {
                self.discard();
                Err(error)
            }
        }
    }

    /// Writes what follows the sections, and gives the checksum of the trailer.
    fn write_end(&mut self, mut header: Header) -> Result<u32> {
        self.end_section();
        for at in 0..self.placed.len() {
            self.pad()?;
            let table = std::mem::take(&mut self.tables[at]);
            let bytes: &[u8] = bytemuck::cast_slice(&table);
            self.placed[at].checksums = self.at;
            self.placed[at].checksum = crc32fast::hash(bytes);
            self.put(bytes)?;
        }
        header.sections = std::mem::take(&mut self.placed);
        self.pad()?;
        let directory = encode(&header);
        let (trailer, checksum) = Trailer::bytes(self.index, self.segment, self.at, &directory);
        self.put(&directory)?;
        self.put(&trailer)?;
        Ok(checksum)
    }

    /// Gives the file up.
    pub(crate) fn discard(self) {
        let Self { storage, name, output, .. } = self;
        drop(output);
        // The room it took may be needed; the next open removes what is left.
        let _ = storage.remove(&name);
    }

    fn end_section(&mut self) {
        if self.in_block > 0 {
            let checksum = std::mem::take(&mut self.block).finalize();
            self.tables.last_mut().expect("a section was begun").push(checksum);
            self.in_block = 0;
        }
    }

    fn pad(&mut self) -> Result<()> {
        let padding = (self.at.next_multiple_of(ALIGNMENT) - self.at) as usize;
        self.put(&[0; ALIGNMENT as usize][..padding])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += bytes.len() as u64;
        self.output.append(bytes).map_err(|error| Error::writing(self.storage, &error))
    }
}

/// The name of a segment's file.
pub(crate) fn file_name(segment: u64) -> String {
    format!("{segment:016x}.segment")
}

/// The segment of a file of this name.
pub(crate) fn segment_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".segment").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}
