//! A collection: its fields and functions, its indexes, and whether it is ready.

use std::collections::HashMap;

use prost::Message;

use super::{Longs, Pair, Status};

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct FieldSchema {
    #[prost(string, tag = "2")]
    pub(in crate::milvus) name: String,
    #[prost(bool, tag = "3")]
    pub(in crate::milvus) is_primary_key: bool,
    #[prost(string, tag = "4")]
    pub(in crate::milvus) description: String,
    #[prost(int32, tag = "5")]
    pub(in crate::milvus) data_type: i32,
    #[prost(message, repeated, tag = "6")]
    pub(in crate::milvus) type_params: Vec<Pair>,
    /// Whether a function of the server fills it.
    #[prost(bool, tag = "16")]
    pub(in crate::milvus) is_function_output: bool,
}

/// What the server makes of one field, in another.
#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct FunctionSchema {
    #[prost(string, tag = "1")]
    pub(in crate::milvus) name: String,
    #[prost(int32, tag = "4")]
    pub(in crate::milvus) kind: i32,
    #[prost(string, repeated, tag = "5")]
    pub(in crate::milvus) inputs: Vec<String>,
    #[prost(string, repeated, tag = "7")]
    pub(in crate::milvus) outputs: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct CollectionSchema {
    #[prost(string, tag = "1")]
    pub(in crate::milvus) name: String,
    #[prost(string, tag = "2")]
    pub(in crate::milvus) description: String,
    #[prost(message, repeated, tag = "4")]
    pub(in crate::milvus) fields: Vec<FieldSchema>,
    #[prost(message, repeated, tag = "7")]
    pub(in crate::milvus) functions: Vec<FunctionSchema>,
}

/// Asks for the version of the server.
#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct GetVersion {}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Version {
    #[prost(message, optional, tag = "1")]
    pub(in crate::milvus) status: Option<Status>,
    #[prost(string, tag = "2")]
    pub(in crate::milvus) version: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct CreateCollection {
    #[prost(string, tag = "3")]
    pub(in crate::milvus) collection: String,
    /// A [`CollectionSchema`].
    #[prost(bytes = "vec", tag = "4")]
    pub(in crate::milvus) schema: Vec<u8>,
    #[prost(int32, tag = "5")]
    pub(in crate::milvus) shards: i32,
    #[prost(int32, tag = "6")]
    pub(in crate::milvus) consistency: i32,
    #[prost(message, repeated, tag = "7")]
    pub(in crate::milvus) properties: Vec<Pair>,
}

/// A request that names a collection and nothing else: whether there is one, what it is, that it be loaded.
#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct OfCollection {
    #[prost(string, tag = "3")]
    pub(in crate::milvus) collection: String,
}

/// The same where the name has another number.
#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct StateOfCollection {
    #[prost(string, tag = "2")]
    pub(in crate::milvus) collection: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct BoolAnswer {
    #[prost(message, optional, tag = "1")]
    pub(in crate::milvus) status: Option<Status>,
    #[prost(bool, tag = "2")]
    pub(in crate::milvus) value: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Described {
    #[prost(message, optional, tag = "1")]
    pub(in crate::milvus) status: Option<Status>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::milvus) schema: Option<CollectionSchema>,
    #[prost(message, repeated, tag = "13")]
    pub(in crate::milvus) properties: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct LoadState {
    #[prost(message, optional, tag = "1")]
    pub(in crate::milvus) status: Option<Status>,
    #[prost(int32, tag = "2")]
    pub(in crate::milvus) state: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct CreateIndex {
    #[prost(string, tag = "3")]
    pub(in crate::milvus) collection: String,
    #[prost(string, tag = "4")]
    pub(in crate::milvus) field: String,
    #[prost(message, repeated, tag = "5")]
    pub(in crate::milvus) params: Vec<Pair>,
    #[prost(string, tag = "6")]
    pub(in crate::milvus) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct DescribeIndex {
    #[prost(string, tag = "3")]
    pub(in crate::milvus) collection: String,
    #[prost(string, tag = "4")]
    pub(in crate::milvus) field: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct DescribedIndex {
    #[prost(message, optional, tag = "1")]
    pub(in crate::milvus) status: Option<Status>,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::milvus) indexes: Vec<IndexDescription>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct IndexDescription {
    #[prost(message, repeated, tag = "3")]
    pub(in crate::milvus) params: Vec<Pair>,
    #[prost(string, tag = "4")]
    pub(in crate::milvus) field: String,
    /// Rows of it that are indexed, of those that are no longer in memory alone.
    #[prost(int64, tag = "5")]
    pub(in crate::milvus) indexed_rows: i64,
    #[prost(int64, tag = "6")]
    pub(in crate::milvus) total_rows: i64,
    #[prost(int64, tag = "9")]
    pub(in crate::milvus) pending_rows: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Flush {
    #[prost(string, repeated, tag = "3")]
    pub(in crate::milvus) collections: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Flushed {
    #[prost(message, optional, tag = "1")]
    pub(in crate::milvus) status: Option<Status>,
    /// The segments that are being written, of each collection.
    #[prost(map = "string, message", tag = "3")]
    pub(in crate::milvus) segments: HashMap<String, Longs>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct FlushState {
    #[prost(int64, repeated, tag = "1")]
    pub(in crate::milvus) segments: Vec<i64>,
}
