//! Columns: the values of each field of a segment's documents, so that a filter reads no records.
//!
//! A value is the text that a filter compares, whatever its kind: a filter makes no difference between `3` and `"3"`. Each
//! different text of a field is kept once, and documents name it by its number. `builder` makes the columns of
//! documents, `column` reads one.

pub(crate) mod builder;
pub(crate) mod column;
#[cfg(test)]
mod tests;

use bincode::{Decode, Encode};

/// The version of what is written: columns of another are passed over.
pub(crate) const VERSION: u32 = 1;

/// What a segment says of its columns.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Directory {
    pub(crate) version: u32,
    /// Whether all fields have a column: none has where there are too many. Then records are read.
    pub(crate) is_whole: bool,
    /// In the order of their names.
    pub(crate) columns: Vec<ColumnRecord>,
}

/// Where the parts of a column are among the data: one after another.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ColumnRecord {
    /// The name of the field, with dots where it is a field of fields.
    pub(crate) name: String,
    /// The first byte of the column.
    pub(crate) at: u64,
    /// Bytes of its different texts, one after another.
    pub(crate) text_bytes: u64,
    /// How many texts there are; their ends follow them: u32 each.
    pub(crate) texts: u32,
    /// Whether a document may have several values: then the ends of each document's values follow, u32 each.
    pub(crate) is_list: bool,
    /// How many values follow: one for each document, or as many as the last end says.
    pub(crate) values: u32,
    /// Bytes of a value, 1, 2 or 4: the number of a text from 1 on, or 0 for none.
    pub(crate) width: u8,
    /// Whether it has texts at all: not where they are too long or too many. Then records are read.
    pub(crate) is_whole: bool,
}

/// Bytes of one value in a column of so many texts.
fn width(texts: usize) -> u8 {
    match texts {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    }
}
