//! The bytes of records, by bincode with bounds.

use bincode::config::{Configuration, Limit};
use bincode::{Decode, Encode};

/// Bytes of a record, at most: a document with its metadata.
pub(crate) const RECORD_LIMIT: usize = 256 << 20;

const CODEC: Configuration<bincode::config::LittleEndian, bincode::config::Varint, Limit<RECORD_LIMIT>> =
    bincode::config::standard().with_limit::<RECORD_LIMIT>();

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
