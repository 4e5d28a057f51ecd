//! Reading rows and documents without a search: by their keys, by an expression, and all of them.

use std::collections::{BTreeMap, HashMap};

use akin_index::Document;

use super::connect::Connection;
use super::rows::{Row, key_of, rows};
use super::schema::EMBEDDING;
use super::search::{FIELDS, READ_ROWS};
use super::wire::{Column, Pair, Queried, Query, Scalars, Values};
use super::write::{KEYS, first_key};
use crate::{Error, Result, Stored};

/// The text of a document, of which this is the first row.
pub(super) fn text_of(connection: &Connection, first: &Row) -> Result<String> {
    if first.pieces <= 1 {
        return Ok(first.text.clone());
    }
    let keys: Vec<String> = (1..first.pieces).map(|part| key_of(&first.key, &first.hash, part)).collect();
    let mut pieces = BTreeMap::new();
    for keys in keys.chunks(READ_ROWS) {
        let rows = query(connection, &keys_in(keys), &["part", "text"])?;
        pieces.extend(rows.into_iter().map(|row| (row.part, row.text)));
    }
    Ok(std::iter::once(first.text.as_str()).chain(pieces.values().map(String::as_str)).collect())
}

/// The documents of some ids.
pub(super) fn get(connection: &Connection, ids: &[&str]) -> Result<Vec<Option<Document>>> {
    connection.refresh();
    let keys: Vec<String> = ids.iter().map(|id| first_key(id)).collect();
    let mut firsts = HashMap::new();
    for keys in keys.chunks(READ_ROWS) {
        let rows = query(connection, &keys_in(keys), &FIELDS)?;
        firsts.extend(rows.into_iter().map(|row| (row.key.clone(), row)));
    }
    let document = |key: &String| -> Result<Option<Document>> {
        let Some(first) = firsts.get(key) else { return Ok(None) };
        Ok(Some(first.document(text_of(connection, first)?)))
    };
    keys.iter().map(document).collect()
}

/// Shows all documents, oldest first.
pub(super) fn each(connection: &Connection, show: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
    connection.refresh();
    // Times of writing, in halves until few enough rows are in each.
    let mut ranges = vec![(0, i64::MAX)];
    while let Some((from, to)) = ranges.pop() {
        let range = format!("seq >= {from} and seq < {to}");
        match count(connection, &range)? {
            0 => {}
            many if many > READ_ROWS && to - from > 1 => {
                let middle = from + (to - from) / 2;
                ranges.push((middle, to));
                ranges.push((from, middle));
            }
            many => show_range(connection, &range, many, show)?,
        }
    }
    Ok(())
}

fn show_range(
    connection: &Connection,
    range: &str,
    count: usize,
    show: &mut dyn FnMut(Stored) -> Result<()>,
) -> Result<()> {
    let fields: Vec<&str> = FIELDS.into_iter().chain([EMBEDDING]).collect();
    let mut rows = Vec::new();
    if count <= READ_ROWS {
        rows = query(connection, range, &fields)?;
    } else {
        // One document that has more passages.
        let mut from = 0;
        while rows.len() < count {
            let to = from + READ_ROWS as i64;
            let some = query(connection, &format!("{range} and part >= {from} and part < {to}"), &fields)?;
            if some.is_empty() {
                break;
            }
            rows.extend(some);
            from = to;
        }
    }
    rows.sort_by(|one, other| {
        (one.seq, one.first_key(), one.part).cmp(&(other.seq, other.first_key(), other.part))
    });
    let mut rows = rows.into_iter().peekable();
    while let Some(first) = rows.next() {
        if first.part != 0 {
            // A passage of what was replaced, or of what is being written.
            continue;
        }
        let mut text = first.text.clone();
        let mut passages: Vec<_> = first.passage().into_iter().collect();
        let (document, parts) = (first.document(String::new()), first.parts);
        let (key, hash, pieces) = (first.key.clone(), first.hash.clone(), first.pieces);
        let mut vectors = vec![first.vector];
        while let Some(row) = rows.next_if(|row| row.part != 0 && row.first_key() == key) {
            if row.hash == hash && row.part == vectors.len() as i64 && row.part < parts {
                text.push_str(if row.part < pieces { &row.text } else { "" });
                passages.extend(row.passage());
                vectors.push(row.vector);
            }
        }
        // A document that is being replaced is shown when it is.
        if vectors.len() as i64 == parts {
            let passages = (passages.len() == vectors.len()).then_some(passages);
            show(Stored { document: akin_index::Document { text, ..document }, passages, vectors })?;
        }
    }
    Ok(())
}

/// The rows of an expression, with some of their fields.
pub(super) fn query(connection: &Connection, expression: &str, fields: &[&str]) -> Result<Vec<Row>> {
    query_some(connection, expression, fields, None)
}

/// The same, at most so many.
pub(super) fn query_some(
    connection: &Connection,
    expression: &str,
    fields: &[&str],
    most: Option<usize>,
) -> Result<Vec<Row>> {
    let (consistency, since) = connection.consistency();
    let query = Query {
        collection: connection.address.collection().into(),
        expression: expression.into(),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        since,
        params: most.map(|most| Pair::new("limit", most)).into_iter().collect(),
        consistency,
    };
    let queried: Queried = connection.call("Query", &query)?;
    rows(queried.columns).ok_or_else(|| confused(connection))
}

/// How many rows an expression has.
pub(super) fn count(connection: &Connection, expression: &str) -> Result<usize> {
    let (consistency, since) = connection.consistency();
    let query = Query {
        collection: connection.address.collection().into(),
        expression: expression.into(),
        fields: vec!["count(*)".into()],
        since,
        params: Vec::new(),
        consistency,
    };
    let queried: Queried = connection.call("Query", &query)?;
    match queried.columns.into_iter().next().and_then(|column| column.column) {
        Some(Column::Scalars(Scalars { values: Some(Values::Longs(longs)) })) => {
            Ok(longs.data.iter().sum::<i64>().max(0) as usize)
        }
        _ => Err(confused(connection)),
    }
}

/// The expression of rows with these keys, which need no escapes.
pub(super) fn keys_in(keys: &[String]) -> String {
    debug_assert!(keys.len() <= KEYS);
    format!("key in [\"{}\"]", keys.join("\", \""))
}

pub(super) fn confused(connection: &Connection) -> Error {
    let reason = "its answer has not one value for each row; is it a server of Milvus 2.3 or newer?".into();
    Error::Refused { server: connection.address.server().into(), reason }
}
