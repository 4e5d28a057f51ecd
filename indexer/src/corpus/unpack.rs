//! Unpacks what is compressed: told by its first bytes, not by its name.

use std::io::{self, BufRead, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;

use super::source::Input;

pub(super) const BUFFER: usize = 128 << 10;

/// Memory that the dictionary of an xz file may take, in KiB. `xz -9` takes 64 MiB.
const XZ_MEMORY: u32 = 256 << 10;

/// The endings of names that compressed files have.
pub(super) const ENDINGS: [&str; 5] = ["gz", "zst", "bz2", "xz", "gzip"];

/// Compressions that are known by their first bytes, and not read.
const NAMED: [(&[u8], &str); 7] = [
    (b"PK\x03\x04", "zip"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"LZIP", "lzip"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"Rar!\x1a\x07", "RAR"),
    (b"\x1f\x9d", "compress"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy"),
];

/// The bytes of an input, unpacked if they are compressed with gzip, zstd, bzip2 or xz: all members, frames or streams, one after
/// another.
///
/// # Errors
/// What the input reports, and a compression that is not read.
pub(super) fn unpacked(mut input: impl BufRead + Send + 'static) -> io::Result<Input> {
    let beginning = input.fill_buf()?;
    let unpacked: Box<dyn Read + Send> = match compression(beginning) {
        None => match NAMED.iter().find(|(first, _)| beginning.starts_with(first)) {
            Some((_, name)) => return Err(unread(name)),
            None => return Ok(Box::new(input)),
        },
        Some(Compression::Gzip) => Box::new(GzipMembers { member: Some(GzDecoder::new(input)) }),
        Some(Compression::Zstd) => Box::new(zstd::Decoder::with_buffer(input)?),
        Some(Compression::Bzip2) => Box::new(MultiBzDecoder::new(input)),
        Some(Compression::Xz) => Box::new(XzReader::new_mem_limit(input, true, XZ_MEMORY)),
    };
    Ok(Box::new(BufReader::with_capacity(BUFFER, unpacked)))
}

/// The same for a file in memory, of which no more than `limit` bytes are unpacked; one byte more where there are more.
/// Gives back what is not compressed.
pub(super) fn unpacked_bytes(bytes: Vec<u8>, limit: u64) -> io::Result<Vec<u8>> {
    if compression(&bytes).is_none() {
        return Ok(bytes);
    }
    let mut unpacked_bytes = Vec::new();
    unpacked(io::Cursor::new(bytes))?.take(limit + 1).read_to_end(&mut unpacked_bytes)?;
    Ok(unpacked_bytes)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

fn compression(beginning: &[u8]) -> Option<Compression> {
    Some(match beginning {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        // A file may begin with a frame that is passed over: pzstd writes sizes into one.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        // The level, and the mark of a block or of the end.
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, ..] => Compression::Bzip2,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        _ => return None,
    })
}

fn unread(name: &str) -> io::Error {
    io::Error::other(format!(
        "it is compressed with {name}: unpack it, for gzip, zstd, bzip2 and xz are read as they are"
    ))
}

/// The members of a gzip file, one after another. As with `gzip -d`, what follows the last one is passed over: tapes and
/// block devices pad with zeros.
struct GzipMembers<R> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(mut rest) = self.member.take().map(GzDecoder::into_inner) else { break };
            if rest.fill_buf()?.first() == Some(&0x1f) {
                self.member = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}
