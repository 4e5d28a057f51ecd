//! Rows: those that are written, and those that come back, column by column.

use prost::{Message, Oneof};

use super::{Pair, Status};

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Upsert {
    #[prost(string, tag = "3")]
    pub(in crate::milvus) collection: String,
    #[prost(message, repeated, tag = "5")]
    pub(in crate::milvus) columns: Vec<FieldData>,
    #[prost(uint32, tag = "7")]
    pub(in crate::milvus) rows: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Delete {
    #[prost(string, tag = "3")]
    pub(in crate::milvus) collection: String,
    #[prost(string, tag = "5")]
    pub(in crate::milvus) expression: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Mutated {
    #[prost(message, optional, tag = "1")]
    pub(in crate::milvus) status: Option<Status>,
    /// When it was written, by the clock of the server.
    #[prost(uint64, tag = "9")]
    pub(in crate::milvus) time: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Query {
    #[prost(string, tag = "3")]
    pub(in crate::milvus) collection: String,
    #[prost(string, tag = "4")]
    pub(in crate::milvus) expression: String,
    #[prost(string, repeated, tag = "5")]
    pub(in crate::milvus) fields: Vec<String>,
    #[prost(uint64, tag = "8")]
    pub(in crate::milvus) since: u64,
    #[prost(message, repeated, tag = "9")]
    pub(in crate::milvus) params: Vec<Pair>,
    #[prost(int32, tag = "11")]
    pub(in crate::milvus) consistency: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Queried {
    #[prost(message, optional, tag = "1")]
    pub(in crate::milvus) status: Option<Status>,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::milvus) columns: Vec<FieldData>,
}

/// A column of rows.
#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct FieldData {
    #[prost(int32, tag = "1")]
    pub(in crate::milvus) data_type: i32,
    #[prost(string, tag = "2")]
    pub(in crate::milvus) name: String,
    #[prost(oneof = "Column", tags = "3, 4")]
    pub(in crate::milvus) column: Option<Column>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(in crate::milvus) enum Column {
    #[prost(message, tag = "3")]
    Scalars(Scalars),
    #[prost(message, tag = "4")]
    Vectors(Vectors),
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Scalars {
    #[prost(oneof = "Values", tags = "3, 6, 9")]
    pub(in crate::milvus) values: Option<Values>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(in crate::milvus) enum Values {
    #[prost(message, tag = "3")]
    Longs(Longs),
    #[prost(message, tag = "6")]
    Texts(Texts),
    #[prost(message, tag = "9")]
    Json(Blobs),
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Longs {
    #[prost(int64, repeated, tag = "1")]
    pub(in crate::milvus) data: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Texts {
    #[prost(string, repeated, tag = "1")]
    pub(in crate::milvus) data: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Blobs {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(in crate::milvus) data: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Floats {
    #[prost(float, repeated, tag = "1")]
    pub(in crate::milvus) data: Vec<f32>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Vectors {
    #[prost(int64, tag = "1")]
    pub(in crate::milvus) dimension: i64,
    #[prost(message, optional, tag = "2")]
    pub(in crate::milvus) floats: Option<Floats>,
}
