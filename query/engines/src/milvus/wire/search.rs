//! A search for the nearest vectors, or for words.

use prost::Message;

use super::{EXPRESSIONS, FLOAT_VECTOR, FieldData, Pair, Status, Texts, VARCHAR};

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Search {
    #[prost(string, tag = "3")]
    pub(in crate::milvus) collection: String,
    #[prost(string, tag = "5")]
    pub(in crate::milvus) expression: String,
    /// A [`PlaceholderGroup`].
    #[prost(bytes = "vec", tag = "6")]
    pub(in crate::milvus) sought: Vec<u8>,
    #[prost(int32, tag = "7")]
    pub(in crate::milvus) language: i32,
    #[prost(string, repeated, tag = "8")]
    pub(in crate::milvus) fields: Vec<String>,
    #[prost(message, repeated, tag = "9")]
    pub(in crate::milvus) params: Vec<Pair>,
    #[prost(uint64, tag = "11")]
    pub(in crate::milvus) since: u64,
    #[prost(int64, tag = "12")]
    pub(in crate::milvus) queries: i64,
    #[prost(int32, tag = "14")]
    pub(in crate::milvus) consistency: i32,
}

impl Search {
    /// A search for the nearest to one vector.
    pub(in crate::milvus) fn of(collection: &str, vector: &[f32], params: Vec<Pair>) -> Self {
        let bytes = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::with(collection, FLOAT_VECTOR, bytes, params)
    }

    /// A search for the words of a text, which the server reads.
    pub(in crate::milvus) fn for_words(collection: &str, text: &str, params: Vec<Pair>) -> Self {
        Self::with(collection, VARCHAR, text.as_bytes().to_vec(), params)
    }

    fn with(collection: &str, kind: i32, value: Vec<u8>, params: Vec<Pair>) -> Self {
        let placeholder = Placeholder { tag: "$0".into(), kind, values: vec![value] };
        Self {
            collection: collection.into(),
            sought: PlaceholderGroup { placeholders: vec![placeholder] }.encode_to_vec(),
            language: EXPRESSIONS,
            params,
            queries: 1,
            ..Self::default()
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct PlaceholderGroup {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::milvus) placeholders: Vec<Placeholder>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Placeholder {
    #[prost(string, tag = "1")]
    pub(in crate::milvus) tag: String,
    #[prost(int32, tag = "2")]
    pub(in crate::milvus) kind: i32,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(in crate::milvus) values: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Searched {
    #[prost(message, optional, tag = "1")]
    pub(in crate::milvus) status: Option<Status>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::milvus) found: Option<Found>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Found {
    #[prost(message, repeated, tag = "3")]
    pub(in crate::milvus) columns: Vec<FieldData>,
    #[prost(float, repeated, tag = "4")]
    pub(in crate::milvus) scores: Vec<f32>,
    #[prost(message, optional, tag = "5")]
    pub(in crate::milvus) keys: Option<Keys>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::milvus) struct Keys {
    #[prost(message, optional, tag = "2")]
    pub(in crate::milvus) texts: Option<Texts>,
}
