//! The messages of Milvus's protocol, as far as they are needed: each field is declared with its number in the protocol, and what
//! is not declared is passed over when it is read.

use std::collections::HashMap;

use prost::{Message, Oneof};

/// Types of fields.
pub(super) const INT64: i32 = 5;
pub(super) const VARCHAR: i32 = 21;
pub(super) const JSON: i32 = 23;
pub(super) const FLOAT_VECTOR: i32 = 101;

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

answers!(BoolAnswer, Described, Mutated, Queried, Searched, DescribedIndex, LoadState, Flushed);

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

#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldSchema {
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(bool, tag = "3")]
    pub(super) is_primary_key: bool,
    #[prost(string, tag = "4")]
    pub(super) description: String,
    #[prost(int32, tag = "5")]
    pub(super) data_type: i32,
    #[prost(message, repeated, tag = "6")]
    pub(super) type_params: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CollectionSchema {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) description: String,
    #[prost(message, repeated, tag = "4")]
    pub(super) fields: Vec<FieldSchema>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CreateCollection {
    #[prost(string, tag = "3")]
    pub(super) collection: String,
    /// A [`CollectionSchema`].
    #[prost(bytes = "vec", tag = "4")]
    pub(super) schema: Vec<u8>,
    #[prost(int32, tag = "5")]
    pub(super) shards: i32,
    #[prost(int32, tag = "6")]
    pub(super) consistency: i32,
    #[prost(message, repeated, tag = "7")]
    pub(super) properties: Vec<Pair>,
}

/// A request that names a collection and nothing else: whether there is one, what it is, that it be loaded.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OfCollection {
    #[prost(string, tag = "3")]
    pub(super) collection: String,
}

/// The same where the name has another number.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StateOfCollection {
    #[prost(string, tag = "2")]
    pub(super) collection: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct BoolAnswer {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Status>,
    #[prost(bool, tag = "2")]
    pub(super) value: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Described {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Status>,
    #[prost(message, optional, tag = "2")]
    pub(super) schema: Option<CollectionSchema>,
    #[prost(message, repeated, tag = "13")]
    pub(super) properties: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LoadState {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Status>,
    #[prost(int32, tag = "2")]
    pub(super) state: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CreateIndex {
    #[prost(string, tag = "3")]
    pub(super) collection: String,
    #[prost(string, tag = "4")]
    pub(super) field: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) params: Vec<Pair>,
    #[prost(string, tag = "6")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DescribeIndex {
    #[prost(string, tag = "3")]
    pub(super) collection: String,
    #[prost(string, tag = "4")]
    pub(super) field: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DescribedIndex {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Status>,
    #[prost(message, repeated, tag = "2")]
    pub(super) indexes: Vec<IndexDescription>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct IndexDescription {
    #[prost(message, repeated, tag = "3")]
    pub(super) params: Vec<Pair>,
    #[prost(string, tag = "4")]
    pub(super) field: String,
    /// Rows of it that are indexed, of those that are no longer in memory alone.
    #[prost(int64, tag = "5")]
    pub(super) indexed_rows: i64,
    #[prost(int64, tag = "6")]
    pub(super) total_rows: i64,
    #[prost(int64, tag = "9")]
    pub(super) pending_rows: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Flush {
    #[prost(string, repeated, tag = "3")]
    pub(super) collections: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Flushed {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Status>,
    /// The segments that are being written, of each collection.
    #[prost(map = "string, message", tag = "3")]
    pub(super) segments: HashMap<String, Longs>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FlushState {
    #[prost(int64, repeated, tag = "1")]
    pub(super) segments: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Upsert {
    #[prost(string, tag = "3")]
    pub(super) collection: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) columns: Vec<FieldData>,
    #[prost(uint32, tag = "7")]
    pub(super) rows: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Delete {
    #[prost(string, tag = "3")]
    pub(super) collection: String,
    #[prost(string, tag = "5")]
    pub(super) expression: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Mutated {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Status>,
    /// When it was written, by the clock of the server.
    #[prost(uint64, tag = "9")]
    pub(super) time: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Query {
    #[prost(string, tag = "3")]
    pub(super) collection: String,
    #[prost(string, tag = "4")]
    pub(super) expression: String,
    #[prost(string, repeated, tag = "5")]
    pub(super) fields: Vec<String>,
    #[prost(uint64, tag = "8")]
    pub(super) since: u64,
    #[prost(int32, tag = "11")]
    pub(super) consistency: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Queried {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Status>,
    #[prost(message, repeated, tag = "2")]
    pub(super) columns: Vec<FieldData>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Search {
    #[prost(string, tag = "3")]
    pub(super) collection: String,
    #[prost(string, tag = "5")]
    pub(super) expression: String,
    /// A [`PlaceholderGroup`].
    #[prost(bytes = "vec", tag = "6")]
    pub(super) vectors: Vec<u8>,
    #[prost(int32, tag = "7")]
    pub(super) language: i32,
    #[prost(string, repeated, tag = "8")]
    pub(super) fields: Vec<String>,
    #[prost(message, repeated, tag = "9")]
    pub(super) params: Vec<Pair>,
    #[prost(uint64, tag = "11")]
    pub(super) since: u64,
    #[prost(int64, tag = "12")]
    pub(super) queries: i64,
    #[prost(int32, tag = "14")]
    pub(super) consistency: i32,
}

impl Search {
    /// A search for the nearest to one vector.
    pub(super) fn of(collection: &str, vector: &[f32], params: Vec<Pair>) -> Self {
        let bytes = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
        let placeholder = Placeholder { tag: "$0".into(), kind: FLOAT_VECTOR, values: vec![bytes] };
        Self {
            collection: collection.into(),
            vectors: PlaceholderGroup { placeholders: vec![placeholder] }.encode_to_vec(),
            language: EXPRESSIONS,
            params,
            queries: 1,
            ..Self::default()
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PlaceholderGroup {
    #[prost(message, repeated, tag = "1")]
    pub(super) placeholders: Vec<Placeholder>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Placeholder {
    #[prost(string, tag = "1")]
    pub(super) tag: String,
    #[prost(int32, tag = "2")]
    pub(super) kind: i32,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(super) values: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Searched {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Status>,
    #[prost(message, optional, tag = "2")]
    pub(super) found: Option<Found>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Found {
    #[prost(message, repeated, tag = "3")]
    pub(super) columns: Vec<FieldData>,
    #[prost(float, repeated, tag = "4")]
    pub(super) scores: Vec<f32>,
    #[prost(message, optional, tag = "5")]
    pub(super) keys: Option<Keys>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Keys {
    #[prost(message, optional, tag = "2")]
    pub(super) texts: Option<Texts>,
}

/// A column of rows.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldData {
    #[prost(int32, tag = "1")]
    pub(super) data_type: i32,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(oneof = "Column", tags = "3, 4")]
    pub(super) column: Option<Column>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Column {
    #[prost(message, tag = "3")]
    Scalars(Scalars),
    #[prost(message, tag = "4")]
    Vectors(Vectors),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Scalars {
    #[prost(oneof = "Values", tags = "3, 6, 9")]
    pub(super) values: Option<Values>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Values {
    #[prost(message, tag = "3")]
    Longs(Longs),
    #[prost(message, tag = "6")]
    Texts(Texts),
    #[prost(message, tag = "9")]
    Json(Blobs),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Longs {
    #[prost(int64, repeated, tag = "1")]
    pub(super) data: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Texts {
    #[prost(string, repeated, tag = "1")]
    pub(super) data: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Blobs {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) data: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Floats {
    #[prost(float, repeated, tag = "1")]
    pub(super) data: Vec<f32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Vectors {
    #[prost(int64, tag = "1")]
    pub(super) dimension: i64,
    #[prost(message, optional, tag = "2")]
    pub(super) floats: Option<Floats>,
}
