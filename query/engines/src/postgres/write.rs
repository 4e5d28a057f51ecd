//! Adding and deleting documents.

use std::collections::{HashMap, HashSet};

use akin_index::{Document, Embeddings, ModelIdentity, Passage, Upserted};
use postgres::Transaction;
use postgres::error::SqlState;

use super::address::Address;
use super::connect::{Connection, Session};
use super::rows::{Documents, content_hash, copy_statement, fields_of};
use super::{GRAPH_PASSAGES, schema, words};
use crate::Result;
use crate::options::GraphSettings;

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
        self.documents.send(&mut transaction, &copy)?;
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
