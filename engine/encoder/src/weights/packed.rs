//! Weights as they are computed with, kept from one load to the next.
//!
//! To pack the weights for a processor (`executors::cpu`) reads all of them and writes as many bytes again; for int8 each
//! is quantized. A file in the user's cache folder (`$XDG_CACHE_HOME/akin/packed`, or `~/.cache/akin/packed`) keeps the
//! result for a model, an instruction set and a precision, and the next load maps it. The file holds while the files of
//! weights are those that a receipt knows and weights are packed in the same form. All of its bytes have checksums, which
//! are compared at each load: that reads memory which the first text would bring in anyway. A file that is damaged, of
//! another format or of another user is not used, and is written anew.
//!
//! The sections come first, each on a cache line; then lines of text, the last of which is the length of these lines:
//!
//! ```text
//! akin packed 1
//! file …                 the files of weights, a line a file
//! packing …              form, instruction set, precision, release
//! network …              SHA-256 of the shapes and names of the network
//! section START LENGTH   in bytes
//! block CRC              CRC-32 of each 4 MiB before these lines
//! seal SHA-256           of the lines above
//! 0000000000000400
//! ```
//!
//! All files together are at most 4 GiB: those that were not used for the longest time are removed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use akin_kernels::cpu::Isa;
use akin_kernels::gemm::PackedLinear;
use akin_kernels::rows::Precision;
use akin_kernels::shared::{SharedBytes, SharedReader};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::file::{TensorFile, map_open};
use super::place::{Place, hex, seal_of};
use super::receipt::Identity;

/// The first of the lines. The number is that of the format: it must change with the order of the sections and their parts
/// (`executors::cpu::kept`), and with what the lines say.
pub(crate) const FORMAT: &str = "akin packed 1\n";
/// Digits of the last line.
const DIGITS: usize = 16;
/// The lines are longer than this in no case.
const MOST_LINES: usize = 1 << 20;
/// Bytes that have a checksum together.
const BLOCK: usize = 4 << 20;
/// Sections and their parts begin at multiples of this.
const ALIGNMENT: usize = 64;
/// A file is longer than this in no case.
const MOST_OF_ONE: u64 = 2 << 30;
/// All files together are no longer.
const MOST_OF_ALL: u64 = 4 << 30;
/// How exactly the time of the last use is known.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Where the packed weights of a model are kept, and what they must be of.
pub(crate) struct PackedPlace<'a> {
    place: Place,
    key: String,
    weights: &'a TensorFile,
    identity: &'a Identity,
}

/// Packed weights that were found.
pub(crate) struct PackedFile {
    bytes: SharedBytes,
    sections: Vec<Range<usize>>,
}

impl<'a> PackedPlace<'a> {
    /// The place for weights in these files. `network` is everything else that their packed form depends on.
    pub(super) fn of(
        weights: &'a TensorFile,
        identity: &'a Identity,
        isa: Isa,
        precision: Precision,
        network: &str,
    ) -> Option<Self> {
        let place = Place::of(weights.path(), "packed")?;
        Some(Self::at(place, weights, identity, isa, precision, network))
    }

    fn at(
        place: Place,
        weights: &'a TensorFile,
        identity: &'a Identity,
        isa: Isa,
        precision: Precision,
        network: &str,
    ) -> Self {
        let (isa, form) = (isa.name(), PackedLinear::FORMAT);
        let release = env!("CARGO_PKG_VERSION");
        let network = hex(&Sha256::digest(network));
        let key = format!(
            "{FORMAT}{}packing {form} {isa} {precision:?} {release}\nnetwork {network}\n",
            identity.0
        );
        Self { place: place.with_suffix(&format!("-{isa}-{precision:?}")), key, weights, identity }
    }

    /// The packed weights, if they are there and whole.
    pub(crate) fn open(&self) -> Option<PackedFile> {
        let (file, metadata) = self.place.open()?;
        let bytes = map_open(&file).ok()?;
        let (start, sections, sums) = read_lines(&bytes, &self.key)?;
        let blocks = bytes[..start].par_chunks(BLOCK);
        if blocks.len() != sums.len() || !blocks.zip(sums).all(|(block, sum)| crc32fast::hash(block) == sum) {
            return None;
        }
        // So that a file in use is not among those that are removed first.
        if metadata.modified().is_ok_and(|used| used.elapsed().is_ok_and(|age| age > DAY)) {
            drop(file.set_modified(SystemTime::now()));
        }
        Some(PackedFile { bytes: Arc::new(bytes), sections })
    }

    /// Keeps packed weights, each section as parts that lie on cache lines. What cannot be written is not kept.
    pub(crate) fn write(&self, sections: &[Vec<&[u8]>]) {
        let length: usize =
            sections.iter().flatten().map(|part| part.len().next_multiple_of(ALIGNMENT)).sum();
        // Not where the files were changed while they were packed.
        if length as u64 > MOST_OF_ONE || self.weights.identity().as_ref() != Some(self.identity) {
            return;
        }
        let written = self.place.write(|file| write_sections(file, &self.key, sections));
        let trimmed = written.and_then(|()| trim(&self.place.folder, &self.place.file, MOST_OF_ALL));
        if let Err(error) = trimmed {
            tracing::debug!("packed weights are not kept in {}: {error}", self.place.folder.display());
        }
    }
}

impl PackedFile {
    /// A reader of each section.
    pub(crate) fn sections(&self) -> impl ExactSizeIterator<Item = SharedReader> {
        self.sections.iter().map(|section| SharedReader::new(self.bytes.clone(), section.clone()))
    }
}

/// Where the lines begin, the sections, and the checksums of the blocks; nothing unless the lines are whole and begin
/// with `key`.
fn read_lines(bytes: &[u8], key: &str) -> Option<(usize, Vec<Range<usize>>, Vec<u32>)> {
    let (rest, digits) = bytes.split_last_chunk::<DIGITS>()?;
    let length = usize::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    let start = rest.len().checked_sub(length).filter(|_| length <= MOST_LINES)?;
    let (text, seal) = str::from_utf8(&rest[start..]).ok()?.rsplit_once("seal ")?;
    let (mut sections, mut sums) = (Vec::new(), Vec::new());
    if seal != seal_of(text) {
        return None;
    }
    for line in text.strip_prefix(key)?.lines() {
        let mut words = line.split(' ');
        match (words.next()?, words.next()?) {
            ("section", from) => {
                let (from, length): (usize, usize) = (from.parse().ok()?, words.next()?.parse().ok()?);
                let end = from.checked_add(length).filter(|end| *end <= start)?;
                sections.push(from..end);
            }
            ("block", sum) => sums.push(u32::from_str_radix(sum, 16).ok()?),
            _ => return None,
        }
    }
    Some((start, sections, sums))
}

/// Writes the sections, and the lines after them.
fn write_sections(file: &mut File, key: &str, sections: &[Vec<&[u8]>]) -> std::io::Result<()> {
    let mut out =
        SummedWriter { out: BufWriter::new(file), sums: Vec::new(), sum: Default::default(), written: 0 };
    let mut lines = key.to_owned();
    for parts in sections {
        let start = out.written;
        for part in parts {
            out.write(part)?;
            out.write(&[0; ALIGNMENT][..part.len().next_multiple_of(ALIGNMENT) - part.len()])?;
        }
        writeln!(lines, "section {start} {}", out.written - start).expect(TAKES_ALL);
    }
    for sum in out.finish() {
        writeln!(lines, "block {sum:08x}").expect(TAKES_ALL);
    }
    lines += &format!("seal {}", seal_of(&lines));
    write!(out.out, "{lines}{:0DIGITS$x}", lines.len())?;
    out.out.flush()
}

const TAKES_ALL: &str = "a string takes what is written to it";

/// Writes, and sums up each block.
struct SummedWriter<W> {
    out: W,
    sums: Vec<u32>,
    sum: crc32fast::Hasher,
    written: usize,
}

impl<W: Write> SummedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.out.write_all(bytes)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (block, after) = rest.split_at(rest.len().min(BLOCK - self.written % BLOCK));
            self.sum.update(block);
            self.written += block.len();
            rest = after;
            if self.written.is_multiple_of(BLOCK) {
                self.sums.push(std::mem::take(&mut self.sum).finalize());
            }
        }
        Ok(())
    }

    /// The sums of all blocks.
    fn finish(&mut self) -> Vec<u32> {
        if !self.written.is_multiple_of(BLOCK) {
            self.sums.push(std::mem::take(&mut self.sum).finalize());
        }
        std::mem::take(&mut self.sums)
    }
}

/// Removes the files that were not used for the longest time until all have at most so many bytes; never `kept`.
fn trim(folder: &Path, kept: &Path, most: u64) -> std::io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() {
            files.push((metadata.modified()?, metadata.len(), entry.path()));
        }
    }
    let mut held: u64 = files.iter().map(|(_, length, _)| length).sum();
    files.sort();
    for (_, length, path) in files.iter().filter(|(.., path)| path != kept) {
        if held <= most {
            break;
        }
        // Another process may have removed it. One that has it mapped keeps it.
        drop(fs::remove_file(path));
        held -= length;
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests;
