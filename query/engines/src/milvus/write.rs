//! Adding and deleting documents.
//!
//! Milvus has no transactions, but a row is there whole or not. So the first row of a document is written last: what it says, its
//! hash and the number of its passages, is true when it is there. Rows of other passages whose hash is another are passed
//! over, and are deleted after it. A batch that is sent again has the same keys, and is there once.

use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use akin_index::{Document, Embeddings, ModelIdentity, Passage, TermReader, Upserted};
use sha2::{Digest, Sha256};

use super::connect::Connection;
use super::read::{keys_in, query};
use super::rows::{Row, columns, key_of};
use super::schema::{MOST_JSON, MOST_TEXT};
use super::terms::terms_of;
use super::wire::{Delete, Upsert};
use super::words::words_of;
use crate::postgres::unit;
use crate::{Error, Result};

/// Bytes that are sent together, roughly. Servers take 64 MiB at most.
const SENT_BYTES: usize = 8 << 20;

/// Keys that are asked for, or deleted, together.
pub(super) const KEYS: usize = 4000;

/// Bytes of a text in one row.
const PIECE_BYTES: usize = 65_000;

/// Which documents the collection has as they are, and the ids of those that it does not have at all.
pub(super) fn unchanged(
    connection: &Connection,
    documents: &[Document],
) -> Result<(Vec<bool>, HashSet<String>)> {
    let keys: Vec<String> = documents.iter().map(|document| first_key(&document.id)).collect();
    let known = first_rows(connection, &keys)?;
    let mut absent = HashSet::new();
    let same = documents.iter().zip(&keys).map(|(document, key)| match known.get(key) {
        Some(row) => row.hash == content_hash(document),
        None => {
            absent.insert(document.id.clone());
            false
        }
    });
    Ok((same.collect(), absent))
}

/// Adds documents or replaces them. Those of `absent` were not there a moment ago, and are not looked for again: a row of the same key
/// is replaced all the same.
pub(super) fn upsert(
    connection: &Connection,
    model: &ModelIdentity,
    last_seq: &mut i64,
    absent: &HashSet<String>,
    mut rows: Vec<Row>,
) -> Result<Upserted> {
    let firsts = rows.iter().filter(|row| row.part == 0);
    let documents = firsts.clone().count();
    let perhaps: Vec<String> =
        firsts.filter(|row| !absent.contains(&row.id)).map(|row| row.key.clone()).collect();
    let before = first_rows(connection, &perhaps)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
    let mut seq = now.max(*last_seq);
    for row in &mut rows {
        seq += i64::from(row.part == 0);
        row.seq = seq;
    }
    *last_seq = seq;
    // What the new rows do not take the place of.
    let keys: HashSet<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    let of_before = before.values().flat_map(row_keys);
    let stale: Vec<String> = of_before.filter(|key| !keys.contains(key.as_str())).collect();
    drop(keys);
    let (firsts, others): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.part == 0);
    for rows in [others, firsts] {
        send(connection, model.dimension, rows)?;
    }
    delete_keys(connection, &stale)?;
    Ok(Upserted { added: documents - before.len(), replaced: before.len() })
}

pub(super) fn delete(connection: &Connection, ids: &[&str]) -> Result<Vec<bool>> {
    let firsts: Vec<String> = ids.iter().map(|id| first_key(id)).collect();
    let known = first_rows(connection, &firsts)?;
    let first: Vec<String> = known.keys().cloned().collect();
    delete_keys(connection, &first)?;
    let others: Vec<String> =
        known.values().flat_map(row_keys).filter(|key| !known.contains_key(key)).collect();
    delete_keys(connection, &others)?;
    Ok(firsts.iter().map(|key| known.contains_key(key)).collect())
}

/// The keys of all rows of a document, of which this is the first.
fn row_keys(first: &Row) -> impl Iterator<Item = String> + '_ {
    (0..first.parts.max(1)).map(|part| key_of(&first.key, &first.hash, part))
}

/// The first rows of documents, as far as they are there, by their keys.
fn first_rows(connection: &Connection, keys: &[String]) -> Result<HashMap<String, Row>> {
    let mut known = HashMap::new();
    for keys in keys.chunks(KEYS) {
        let rows = query(connection, &keys_in(keys), &["key", "hash", "parts"])?;
        known.extend(rows.into_iter().map(|row| (row.key.clone(), row)));
    }
    Ok(known)
}

fn send(connection: &Connection, dimension: usize, rows: Vec<Row>) -> Result<()> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let mut rows = rows.into_iter().peekable();
    while let Some(row) = rows.next() {
        bytes += row.bytes();
        batch.push(row);
        if bytes >= SENT_BYTES || rows.peek().is_none() {
            let upsert = Upsert {
                collection: connection.address.collection().into(),
                columns: columns(&batch, dimension),
                rows: batch.len() as u32,
            };
            connection.write("Upsert", &upsert)?;
            batch.clear();
            bytes = 0;
        }
    }
    Ok(())
}

fn delete_keys(connection: &Connection, keys: &[String]) -> Result<()> {
    for keys in keys.chunks(KEYS) {
        let collection = connection.address.collection().into();
        connection.write("Delete", &Delete { collection, expression: keys_in(keys) })?;
        connection.refresh();
    }
    Ok(())
}

/// Documents as rows, where the collection can keep all of them; with the words of each passage where it has a `reader` of them.
pub(super) fn rows_of(
    place: &str,
    model: &ModelIdentity,
    reader: Option<&TermReader>,
    documents: &[Document],
    passages: Option<&[Vec<Passage>]>,
    embeddings: &Embeddings,
) -> Result<Vec<Row>> {
    let invalid = |reason: &str| Error::Index(akin_index::Error::Invalid(reason.into()));
    let count = passages.map_or(documents.len(), |passages| passages.iter().map(Vec::len).sum());
    if passages.is_some_and(|passages| passages.len() != documents.len())
        || embeddings.rows() != count
        || (count > 0 && embeddings.dimension() != model.dimension)
    {
        return Err(invalid("the embeddings are not those of the documents"));
    }
    let (mut rows, mut next, mut ids) = (Vec::with_capacity(count), 0, HashSet::new());
    for (at, document) in documents.iter().enumerate() {
        let refused =
            |reason: String| Error::Document { id: document.id.clone(), place: place.into(), reason };
        if document.id.is_empty() || !ids.insert(document.id.as_str()) {
            return Err(refused("its id is empty, or there twice".into()));
        }
        let passages: Vec<Option<Passage>> = match passages {
            // The only passage of a document is its text.
            Some(passages) if passages[at].len() != 1 => passages[at].iter().copied().map(Some).collect(),
            _ => vec![None],
        };
        if passages.is_empty() {
            return Err(refused("it has no passage".into()));
        }
        let vectors = (next..next + passages.len()).map(|row| unit(model.similarity, embeddings.row(row)));
        next += passages.len();
        rows.extend(rows_of_one(document, reader, &passages, vectors).map_err(refused)?);
    }
    Ok(rows)
}

fn rows_of_one(
    document: &Document,
    reader: Option<&TermReader>,
    passages: &[Option<Passage>],
    vectors: impl Iterator<Item = Vec<f32>>,
) -> Result<Vec<Row>, String> {
    let metadata = serde_json::to_vec(&document.metadata).expect("a map of JSON values is JSON");
    let terms = serde_json::to_vec(&terms_of(&document.metadata)).expect("a JSON value is JSON");
    if document.id.len() > MOST_TEXT {
        return Err(format!("its id has {} bytes, and Milvus keeps {MOST_TEXT}", document.id.len()));
    }
    if metadata.len() > MOST_JSON || terms.len() > MOST_JSON {
        let most = metadata.len().max(terms.len());
        return Err(format!("its metadata takes {most} bytes, and Milvus keeps {MOST_JSON}"));
    }
    let mut pieces = pieces_of(&document.text);
    if pieces.len() > passages.len() {
        return Err(format!(
            "its text has {} bytes, and Milvus keeps {PIECE_BYTES} with each of its {} passages",
            document.text.len(),
            passages.len()
        ));
    }
    let (first, hash) = (first_key(&document.id), content_hash(document));
    let (parts, count) = (passages.len() as i64, pieces.len() as i64);
    pieces.resize(passages.len(), "");
    let rows =
        passages.iter().zip(pieces).zip(vectors).enumerate().map(|(part, ((passage, text), vector))| {
            let at = |of: fn(&Passage) -> u32| passage.as_ref().map_or(-1, |passage| i64::from(of(passage)));
            let said = passage.as_ref().map_or(Some(document.text.as_str()), |passage| {
                document.text.get(passage.start as usize..passage.end as usize)
            });
            Row {
                key: key_of(&first, &hash, part as i64),
                id: document.id.clone(),
                part: part as i64,
                parts,
                pieces: count,
                seq: 0,
                first: at(|passage| passage.start),
                last: at(|passage| passage.end),
                hash: hash.clone(),
                text: text.into(),
                metadata: if part == 0 { metadata.clone() } else { b"{}".to_vec() },
                terms: terms.clone(),
                words: reader.map(|reader| words_of(reader, said.unwrap_or_default())),
                vector,
            }
        });
    Ok(rows.collect())
}

/// A text in pieces that a row can keep: one at least.
fn pieces_of(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while text.len() > PIECE_BYTES {
        let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE_BYTES));
        pieces.push(piece);
        text = rest;
    }
    pieces.push(text);
    pieces
}

/// The key of the first row of a document.
pub(super) fn first_key(id: &str) -> String {
    digits(Sha256::new_with_prefix(id.as_bytes()))
}

fn content_hash(document: &Document) -> String {
    let mut hasher = Sha256::new();
    hasher.update((document.text.len() as u64).to_le_bytes());
    hasher.update(document.text.as_bytes());
    hasher.update(serde_json::to_vec(&document.metadata).expect("a map of JSON values is JSON"));
    digits(hasher)
}

fn digits(hasher: Sha256) -> String {
    hasher.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_spread_over_the_rows_of_its_passages_or_refused() {
        let text = "ä".repeat(PIECE_BYTES);
        let document = Document { id: "long".into(), text: text.clone(), ..Document::default() };
        let passages = |count: u32| -> Vec<Option<Passage>> {
            (0..count).map(|start| Some(Passage { start, end: start + 1 })).collect()
        };
        let vectors = || (0..).map(|_| vec![1.0]);
        let rows = rows_of_one(&document, None, &passages(4), vectors()).unwrap();
        assert_eq!(rows.iter().map(|row| row.text.as_str()).collect::<String>(), text);
        assert_eq!((rows[0].pieces, rows[0].parts, rows[2].text.len()), (2, 4, 0));
        assert!(rows.iter().all(|row| row.text.len() <= MOST_TEXT));
        let refused = rows_of_one(&document, None, &passages(1), vectors()).unwrap_err();
        assert!(refused.contains("130000 bytes"), "{refused}");
    }
}
