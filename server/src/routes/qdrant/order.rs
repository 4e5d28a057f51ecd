//! Points in the order of a value of their payloads.

use std::cmp::Ordering;

use akin_index::{DocId, Metadata, Snapshot};
use serde::Deserialize;
use serde_json::Value;

use super::points::payload_of;
use crate::body;
use crate::error::ApiError;

/// `order_by` of a scroll.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    key: String,
    direction: Option<Direction>,
    start_from: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Asc,
    Desc,
}

impl Order {
    /// Reads it: a key, or an object.
    pub fn read(value: &Value) -> Result<Self, ApiError> {
        match value {
            Value::String(key) => Ok(Self { key: key.clone(), direction: None, start_from: None }),
            other => body::of_value(other.clone()),
        }
    }

    /// The first documents with their values. Those without a number or a text there are left out.
    pub fn first(
        &self,
        snapshot: &Snapshot,
        docs: Vec<DocId>,
        limit: usize,
    ) -> Result<Vec<(Value, DocId)>, ApiError> {
        let mut valued = Vec::new();
        for doc in docs {
            let payload = payload_of(snapshot.document(doc)?);
            if let Some(value) = value_at(&payload, &self.key).filter(|value| self.is_in(value)) {
                valued.push((value.clone(), doc));
            }
        }
        valued.sort_by(|(one, _), (other, _)| self.compare(one, other));
        valued.truncate(limit);
        Ok(valued)
    }

    fn is_in(&self, value: &Value) -> bool {
        let start = self.start_from.as_ref().filter(|start| !start.is_null());
        rank(value).is_some() && start.is_none_or(|start| self.compare(start, value) != Ordering::Greater)
    }

    fn compare(&self, one: &Value, other: &Value) -> Ordering {
        let ascending = ascending(one, other);
        if self.direction == Some(Direction::Desc) { ascending.reverse() } else { ascending }
    }
}

/// Numbers come before texts, of which dates in ISO 8601 lie in the order of time.
fn rank(value: &Value) -> Option<u8> {
    match value {
        Value::Number(_) => Some(0),
        Value::String(_) => Some(1),
        _ => None,
    }
}

fn ascending(one: &Value, other: &Value) -> Ordering {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        _ => rank(one).cmp(&rank(other)).then_with(|| one.as_str().cmp(&other.as_str())),
    }
}

/// The value at a key: a dot leads into an object, and of a list the first counts.
fn value_at<'a>(payload: &'a Metadata, key: &str) -> Option<&'a Value> {
    let found = match payload.get(key) {
        Some(value) => value,
        None => {
            let (first, rest) = key.split_once('.')?;
            value_at(payload.get(first)?.as_object()?, rest)?
        }
    };
    found.as_array().map_or(Some(found), |list| list.first())
}
