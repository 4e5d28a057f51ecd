//! The messages of Milvus's protocol, as far as they are needed: each field is declared with its number in the protocol, and what
//! is not declared is passed over when it is read.
//!
//! `collection` has those about a collection and its indexes, `rows` those about its rows, `search` a search.

mod collection;
mod rows;
mod search;

use prost::Message;

pub(super) use self::collection::*;
pub(super) use self::rows::*;
pub(super) use self::search::*;

/// Types of fields.
pub(super) const INT64: i32 = 5;
pub(super) const VARCHAR: i32 = 21;
pub(super) const JSON: i32 = 23;
pub(super) const FLOAT_VECTOR: i32 = 101;
pub(super) const SPARSE_VECTOR: i32 = 104;

/// The type of the function that makes a sparse vector of the words of a text.
pub(super) const BM25: i32 = 1;

/// A read sees everything that was acknowledged before it.
pub(super) const STRONG: i32 = 0;
/// A read may lag some seconds.
pub(super) const BOUNDED: i32 = 2;
/// A read sees what was written until the time that it names.
pub(super) const SINCE: i32 = 4;

/// The expression language of filters.
const EXPRESSIONS: i32 = 1;

/// The state of a collection whose rows can be searched.
pub(super) const LOADED: i32 = 3;

/// An answer of the server.
pub(super) trait Answer: Message + Default + 'static {
    /// What became of the request.
    fn status(&self) -> Option<&Status>;
}

macro_rules! answers {
    ($($name:ident),*) => {
        $(impl Answer for $name {
            fn status(&self) -> Option<&Status> {
                self.status.as_ref()
            }
        })*
    };
}

answers!(BoolAnswer, Described, Mutated, Queried, Searched, DescribedIndex, LoadState, Flushed, Version);

impl Answer for Status {
    fn status(&self) -> Option<&Status> {
        Some(self)
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    /// The code of servers before 2.3.
    #[prost(int32, tag = "1")]
    pub(super) old_code: i32,
    #[prost(string, tag = "2")]
    pub(super) reason: String,
    #[prost(int32, tag = "3")]
    pub(super) code: i32,
    #[prost(bool, tag = "4")]
    pub(super) retriable: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Pair {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

impl Pair {
    pub(super) fn new(key: &str, value: impl ToString) -> Self {
        Self { key: key.into(), value: value.to_string() }
    }
}
