//! Adding and deleting documents.

use std::collections::{HashMap, HashSet};

use akin_index::{Document, Embeddings, ModelIdentity, Passage, Similarity, Upserted};
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::error::SqlState;
use postgres::types::{ToSql, Type};
use postgres::{Statement, Transaction};
use sha2::{Digest, Sha256};

use super::address::Address;
use super::connect::{Connection, Session};
use super::wire::{BEYOND, HalfVector, Jsonb};
use super::{GRAPH_PASSAGES, schema, words};
use crate::options::GraphSettings;
use crate::{Error, Result};

/// Bytes that a point of a graph takes beside its vector while it is built.
const POINT_BYTES: usize = 600;

/// The most memory that building a graph asks the server for, in KiB.
const MOST_MEMORY: usize = 4 << 20;

/// Has the server look for ids by their key: one that has not counted a growing table yet would read all of it for each batch.
const BY_KEY: &str = "SET LOCAL enable_seqscan = off";

/// Which documents the table has as they are, and the ids of those that it does not have at all.
pub(super) fn unchanged(
    connection: &mut Connection,
    documents: &[Document],
) -> Result<(Vec<bool>, HashSet<String>)> {
    // The server knows that a join finds one row at most for each id; of `id = ANY($1)` it may expect the whole table, and read it.
    let find = format!(
        "SELECT t.id, t.hash FROM unnest($1::text[]) asked(id) JOIN {} t ON t.id = asked.id AND t.part = 0",
        connection.address.table()
    );
    let ids: Vec<&str> = documents.iter().map(|document| document.id.as_str()).collect();
    let rows = connection.run(&mut |session| {
        let find = session.prepared(&find)?;
        session.query(&find, &[&ids])
    })?;
    let known: HashMap<&str, &[u8]> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut absent = HashSet::new();
    let same = documents.iter().map(|document| match known.get(document.id.as_str()) {
        Some(hash) => *hash == content_hash(document, &fields_of(document)),
        None => {
            absent.insert(document.id.clone());
            false
        }
    });
    Ok((same.collect(), absent))
}

/// Adds documents or replaces them. Those of `absent` are most likely new.
pub(super) fn upsert(
    connection: &mut Connection,
    model: &ModelIdentity,
    text_config: Option<&str>,
    absent: &HashSet<String>,
    documents: &[Document],
    passages: Option<&[Vec<Passage>]>,
    embeddings: &Embeddings,
) -> Result<Upserted> {
    let documents = Documents { documents, passages, embeddings, similarity: model.similarity };
    documents.check(&connection.address.place(), model.dimension)?;
    if documents.documents.is_empty() {
        return Ok(Upserted::default());
    }
    let address = connection.address.clone();
    let ids: Vec<&str> = documents.documents.iter().map(|document| document.id.as_str()).collect();
    let batch = Batch { address: &address, text_config, ids: &ids, documents: &documents };
    let mut is_new = ids.iter().all(|id| absent.contains(*id));
    let replaced = connection.run(&mut |session| {
        if is_new {
            match batch.write(session, true) {
                // Another writer was faster, or this one did not hear that it was done.
                Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => is_new = false,
                written => return written,
            }
        }
        batch.write(session, false)
    })?;
    Ok(Upserted { added: ids.len() - replaced, replaced })
}

/// Documents that one transaction brings.
struct Batch<'a> {
    address: &'a Address,
    text_config: Option<&'a str>,
    ids: &'a [&'a str],
    documents: &'a Documents<'a>,
}

impl Batch<'_> {
    /// Writes it, and tells how many documents it has replaced. Where all are said to be new nothing is looked for, and the table
    /// refuses one that it has.
    fn write(&self, session: &mut Session, are_new: bool) -> Result<usize, postgres::Error> {
        let table = self.address.table();
        let copy = session.prepared(&copy_statement(&table))?;
        let vectors = session.prepared("SELECT $1::halfvec")?.params()[0].clone();
        let add_words = self
            .text_config
            .map(|config| session.prepared(&words::add_statement(self.address, config, words::OF_IDS)))
            .transpose()?;
        let mut transaction = session.transaction()?;
        transaction.batch_execute(&format!("{BY_KEY}; {}", lock_statement(&table)))?;
        let replaced = match are_new {
            true => 0,
            false => delete_ids(&mut transaction, self.address, add_words.is_some(), self.ids)?.len(),
        };
        self.documents.send(&mut transaction, &copy, &vectors)?;
        if let Some(add) = add_words {
            transaction.execute(&add, &[&self.ids])?;
        }
        transaction.commit()?;
        Ok(replaced)
    }
}

pub(super) fn delete(connection: &mut Connection, has_words: bool, ids: &[&str]) -> Result<Vec<bool>> {
    let address = connection.address.clone();
    let table = address.table();
    let existed = connection.run(&mut |client| {
        let mut transaction = client.transaction()?;
        lock(&mut transaction, &table)?;
        let existed = delete_ids(&mut transaction, &address, has_words, ids)?;
        transaction.commit()?;
        Ok(existed)
    })?;
    Ok(ids.iter().map(|id| existed.contains(*id)).collect())
}

/// Builds the graph once there is enough for it.
pub(super) fn finish(
    connection: &mut Connection,
    model: &ModelIdentity,
    graph: GraphSettings,
    has_words: bool,
) -> Result<()> {
    let address = connection.address.clone();
    if has_words {
        connection.run(&mut |client| words::finish(client, &address))?;
    }
    let table = address.table();
    let build = schema::build_graph(&address, model.similarity, graph);
    connection.run(&mut |client| {
        if schema::has_graph(&mut **client, &address)? {
            return Ok(());
        }
        let passages: i64 = client.query_one(&format!("SELECT count(*) FROM {table}"), &[])?.get(0);
        if passages < GRAPH_PASSAGES {
            return Ok(());
        }
        let mut transaction = client.transaction()?;
        // Of two commands that come to this the second finds it done.
        lock(&mut transaction, &table)?;
        // A graph that does not fit into the memory for it is built many times slower.
        let needed = (passages as usize).saturating_mul(2 * model.dimension + POINT_BYTES) / 1024 + 65_536;
        let held: i64 = transaction
            .query_one("SELECT setting::bigint FROM pg_settings WHERE name = 'maintenance_work_mem'", &[])?
            .get(0);
        if needed.min(MOST_MEMORY) as i64 > held {
            transaction
                .batch_execute(&format!("SET LOCAL maintenance_work_mem = {}", needed.min(MOST_MEMORY)))?;
        }
        transaction.batch_execute(&build)?;
        transaction.commit()?;
        client.batch_execute(&format!("ANALYZE {table}"))
    })
}

/// Has writers of one table take turns: each sees what the one before it did.
pub(super) fn lock(transaction: &mut Transaction<'_>, table: &str) -> Result<(), postgres::Error> {
    transaction.batch_execute(&lock_statement(table))
}

fn lock_statement(table: &str) -> String {
    format!("SELECT pg_advisory_xact_lock(hashtextextended('{}', 0))", table.replace('\'', "''"))
}

/// Deletes documents with their words, and tells which there were.
pub(super) fn delete_ids(
    transaction: &mut Transaction<'_>,
    address: &Address,
    has_words: bool,
    ids: &[&str],
) -> Result<HashSet<String>, postgres::Error> {
    transaction.batch_execute(BY_KEY)?;
    let delete = format!("DELETE FROM {} WHERE id = ANY($1) RETURNING id, seq", address.table());
    let rows = transaction.query(&delete, &[&ids])?;
    if has_words && !rows.is_empty() {
        let seqs: Vec<i64> = rows.iter().map(|row| row.get(1)).collect();
        let delete = format!("DELETE FROM {} WHERE seq = ANY($1)", words::table(address));
        transaction.execute(&delete, &[&seqs])?;
    }
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn copy_statement(table: &str) -> String {
    format!(
        "COPY {table} (id, part, first, last, text, fields, hash, metadata, embedding) FROM STDIN (FORMAT binary)"
    )
}

/// Documents with a vector for each passage, or for each of them.
struct Documents<'a> {
    documents: &'a [Document],
    passages: Option<&'a [Vec<Passage>]>,
    embeddings: &'a Embeddings,
    similarity: Similarity,
}

impl<'a> Documents<'a> {
    /// The passages of the document at a place, where it is not one by itself.
    fn passages_of(&self, at: usize) -> Option<&'a [Passage]> {
        self.passages.map(|passages| passages[at].as_slice()).filter(|passages| passages.len() != 1)
    }

    /// Whether the table can keep all of them.
    fn check(&self, place: &str, dimension: usize) -> Result<()> {
        let Self { documents, passages, embeddings, .. } = self;
        let count = passages.map_or(documents.len(), |passages| passages.iter().map(Vec::len).sum());
        if passages.is_some_and(|passages| passages.len() != documents.len())
            || embeddings.rows() != count
            || (count > 0 && embeddings.dimension() != dimension)
        {
            let reason = "the embeddings are not those of the documents";
            return Err(Error::Index(akin_index::Error::Invalid(reason.into())));
        }
        let (mut next, mut ids) = (0, HashSet::with_capacity(documents.len()));
        for (at, document) in documents.iter().enumerate() {
            let refused = |reason: &str| Error::Document {
                id: document.id.clone(),
                place: place.into(),
                reason: reason.into(),
            };
            if document.id.is_empty() || !ids.insert(document.id.as_str()) {
                return Err(refused("its id is empty, or there twice"));
            }
            if document.id.contains('\0') || document.text.contains('\0') || has_nul(&fields_of(document)) {
                return Err(refused("it has a NUL character, which PostgreSQL does not store"));
            }
            let parts = self.passages_of(at).map_or(1, <[Passage]>::len);
            if parts == 0 {
                return Err(refused("it has no passage"));
            }
            let mut vectors = (next..next + parts).map(|row| embeddings.row(row));
            if vectors.any(|vector| !stored(self.similarity, vector).iter().all(|value| value.abs() < BEYOND))
            {
                return Err(refused("a number of its vector is beyond 65,504, the greatest of 16 bits"));
            }
            next += parts;
        }
        Ok(())
    }

    /// Sends them. Each is made a row while the server takes those before it.
    fn send(
        &self,
        transaction: &mut Transaction<'_>,
        copy: &Statement,
        vectors: &Type,
    ) -> Result<(), postgres::Error> {
        let types = [
            Type::TEXT,
            Type::INT4,
            Type::INT4,
            Type::INT4,
            Type::TEXT,
            Type::TEXT,
            Type::BYTEA,
            Type::JSONB,
            vectors.clone(),
        ];
        let mut writer = BinaryCopyInWriter::new(transaction.copy_in(copy)?, &types);
        let mut next = 0;
        for (at, document) in self.documents.iter().enumerate() {
            let fields = fields_of(document);
            let hash = content_hash(document, &fields);
            let (metadata, passages) = (Jsonb(&fields), self.passages_of(at));
            for part in 0..passages.map_or(1, <[Passage]>::len) {
                let vector = HalfVector::of(&stored(self.similarity, self.embeddings.row(next)));
                next += 1;
                let passage = passages.map(|passages| passages[part]);
                let (first, last) = (passage.map(|one| one.start as i32), passage.map(|one| one.end as i32));
                // The first row has what the document has once.
                let (text, hash) = (document.text.as_str(), hash.as_slice());
                let (text, hash) = if part == 0 { (Some(text), Some(hash)) } else { (None, None) };
                let own_fields = (part == 0 && !document.metadata.is_empty()).then_some(fields.as_str());
                let part = part as i32;
                let values: [&(dyn ToSql + Sync); 9] =
                    [&document.id, &part, &first, &last, &text, &own_fields, &hash, &metadata, &vector];
                writer.write(&values)?;
            }
        }
        writer.finish().map(drop)
    }
}

/// Whether a JSON text says the character NUL: it is escaped there.
fn has_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let before = json[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        before.is_multiple_of(2)
    })
}

/// A vector as it is compared: of length one for the cosine.
pub(crate) fn stored(similarity: Similarity, vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    match similarity == Similarity::Cosine && length > 0.0 {
        true => vector.iter().map(|value| value / length).collect(),
        false => vector.to_vec(),
    }
}

/// The fields of a document in their order, as JSON.
fn fields_of(document: &Document) -> String {
    serde_json::to_string(&document.metadata).expect("a map of JSON values is JSON")
}

fn content_hash(document: &Document, fields: &str) -> Vec<u8> {
    let mut hasher = Sha256::new();
    hasher.update((document.text.len() as u64).to_le_bytes());
    hasher.update(document.text.as_bytes());
    hasher.update(fields.as_bytes());
    hasher.finalize()[..16].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_in_json_is_told_from_a_backslash_before_its_name() {
        assert!(has_nul(r#"{"a":"x\u0000"}"#));
        assert!(has_nul(r#"{"a":"\\\u0000"}"#));
        assert!(!has_nul(r#"{"a":"\\u0000"}"#));
    }
}
