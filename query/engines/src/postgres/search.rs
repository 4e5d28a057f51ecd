//! Finding documents, and going through all of them.

use std::collections::{HashMap, HashSet};

use akin_index::{Document, Hit, Metadata, Passage, Similarity};
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::ToSql;
use postgres::{Client, Row, Statement};

use super::condition::Condition;
use super::connect::Connection;
use super::rows::stored;
use super::wire::HalfVector;
use super::{PostgresEngine, schema};
use crate::{Ask, Error, Result, Stored};

/// Candidates of an approximate search that names none.
const DEFAULT_EF: usize = 100;

/// The most that pgvector takes.
const MOST_EF: usize = 1000;

/// Rows that an approximate search with a filter looks for, for each that is wanted: the nearest of more are the right ones more
/// often.
const WIDER: usize = 2;

/// The least of them.
const WIDER_AT_LEAST: usize = 20;

/// Documents that are shown together.
const SHOWN: i32 = 500;

/// A search as the server has prepared it.
pub(super) struct Prepared {
    statement: Statement,
    sql: String,
    ef: usize,
    /// The number of the connection.
    connection: usize,
}

/// A passage that was found.
pub(super) struct Found {
    id: String,
    /// The number of its row.
    pub(super) seq: i64,
    pub(super) score: f32,
    /// How near it is to the vector of the query.
    pub(super) similarity: f32,
    /// The text and the fields, which the first passage of a document has.
    first: Option<(String, Option<String>)>,
    passage: Option<Passage>,
}

impl Found {
    /// Reads the columns id, first, last, text, fields, (another,) seq of a row.
    pub(super) fn read(row: &Row, distance: f64, similarity: Similarity) -> Self {
        let (first, last): (Option<i32>, Option<i32>) = (row.get(1), row.get(2));
        let text: Option<String> = row.get(3);
        let near = match similarity {
            // A little more than one comes of rounding.
            Similarity::Cosine => (-distance).clamp(-1.0, 1.0),
            _ => -distance,
        } as f32;
        Self {
            id: row.get(0),
            seq: row.get(6),
            score: near,
            similarity: near,
            first: text.map(|text| (text, row.get(4))),
            passage: first.zip(last).map(|(start, end)| Passage { start: start as u32, end: end as u32 }),
        }
    }
}

impl PostgresEngine {
    /// The nearest documents.
    pub(super) fn search(&mut self, query: &[f32], ask: &Ask) -> Result<Vec<Hit>> {
        let among = self.condition(ask, 2)?;
        let found = self.nearest_among(query, ask, among)?;
        self.hits(found)
    }

    /// The condition of a filter, whose first parameter has the number `next`.
    pub(super) fn condition(&self, ask: &Ask, next: usize) -> Result<Option<Condition>> {
        let address = &self.connection.address;
        ask.filter.as_ref().map(|filter| Condition::of(filter, address, next)).transpose()
    }

    /// The nearest documents that fit a condition.
    pub(super) fn nearest_among(
        &mut self,
        query: &[f32],
        ask: &Ask,
        among: Option<Condition>,
    ) -> Result<Vec<Found>> {
        if query.len() != self.model.dimension {
            return Err(Error::Index(akin_index::Error::Invalid(format!(
                "a query has {} dimensions, and the table {}",
                query.len(),
                self.model.dimension
            ))));
        }
        if ask.k == 0 {
            return Ok(Vec::new());
        }
        let vector = HalfVector::of(&stored(self.model.similarity, query));
        let mut wanted = ask.k;
        loop {
            let found = self.passages(&vector, wanted, ask, among.as_ref())?;
            let (all, mut documents) = (found.len(), best_of_documents(found));
            // Several passages of one document take the places of others.
            if documents.len() >= ask.k || all < wanted {
                documents.truncate(ask.k);
                return Ok(documents);
            }
            wanted = wanted.saturating_mul(2);
        }
    }

    /// The nearest passages, best first.
    fn passages(
        &mut self,
        vector: &HalfVector,
        wanted: usize,
        ask: &Ask,
        condition: Option<&Condition>,
    ) -> Result<Vec<Found>> {
        let address = self.connection.address.clone();
        let is_wide = condition.is_some() && !ask.exact;
        let rows = if is_wide { wanted.saturating_mul(WIDER).max(WIDER_AT_LEAST) } else { wanted }
            .min(i64::MAX as usize);
        let select = statement(&address.table(), self.model.similarity, ask.exact, condition, rows);
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![vector];
        if let Some(condition) = condition {
            parameters.extend(condition.parameters.iter().map(|one| &**one as &(dyn ToSql + Sync)));
        }
        let ef = ask.ef.unwrap_or(DEFAULT_EF).max(rows).clamp(1, MOST_EF);
        let before = self.connection.number;
        let mut prepared = self.prepared.take().filter(|known| known.connection == before);
        let found = self.connection.run(&mut |client| {
            // What was prepared is gone with its connection: a second try prepares again.
            let statement = match prepared.take() {
                Some(known) if known.sql == select && known.ef == ef => known,
                _ => {
                    client.batch_execute(&format!("SET hnsw.ef_search = {ef}"))?;
                    Prepared { statement: client.prepare(&select)?, sql: select.clone(), ef, connection: 0 }
                }
            };
            let found = client.query(&statement.statement, &parameters)?;
            prepared = Some(statement);
            Ok(found)
        });
        let connection = self.connection.number;
        self.prepared = prepared.map(|prepared| Prepared { connection, ..prepared });
        let found = found.map_err(|error| match error {
            // What filters need was taken away, or cannot be read.
            Error::Refused { reason, .. } if condition.is_some() && reason.contains(schema::ORDER) => {
                Error::Filter { place: address.place(), reason }
            }
            other => other,
        })?;
        let mut found: Vec<Found> =
            found.iter().map(|row| Found::read(row, row.get(5), self.model.similarity)).collect();
        // A search that goes on for a filter gives what it finds in no certain order.
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(wanted);
        Ok(found)
    }

    /// The documents of passages.
    pub(super) fn hits(&mut self, found: Vec<Found>) -> Result<Vec<Hit>> {
        let lacking: Vec<&str> =
            found.iter().filter(|one| one.first.is_none()).map(|one| one.id.as_str()).collect();
        let mut texts: HashMap<String, (String, Option<String>)> = HashMap::new();
        if !lacking.is_empty() {
            let find = format!(
                "SELECT id, text, fields FROM {} WHERE part = 0 AND id = ANY($1)",
                self.connection.address.table()
            );
            let rows = self.connection.run(&mut |client| client.query(&find, &[&lacking]))?;
            texts.extend(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))));
        }
        let hits = found.into_iter().filter_map(|Found { id, score, first, passage, .. }| {
            // A document that was deleted since is none.
            let (text, fields) = first.or_else(|| texts.remove(&id))?;
            Some(Hit {
                score,
                document: Document { id, text, metadata: metadata_of(fields.as_deref()) },
                passage,
            })
        });
        Ok(hits.collect())
    }
}

/// The operator of pgvector that tells how far vectors are apart.
pub(super) fn operator(similarity: Similarity) -> &'static str {
    match similarity {
        Similarity::Cosine | Similarity::Dot => "<#>",
        Similarity::Euclidean => "<->",
        Similarity::Manhattan => "<+>",
    }
}

fn statement(
    table: &str,
    similarity: Similarity,
    exact: bool,
    condition: Option<&Condition>,
    rows: usize,
) -> String {
    let operator = operator(similarity);
    // No graph is in the order of a sum.
    let exactly = if exact { " + 0" } else { "" };
    let among = condition.map_or(String::new(), |condition| format!("WHERE {} ", condition.sql));
    format!(
        "SELECT id, first, last, text, fields, embedding {operator} $1 AS distance, seq FROM {table} {among}ORDER BY \
         (embedding {operator} $1){exactly} LIMIT {rows}"
    )
}

/// The best passage of each document.
pub(super) fn best_of_documents(found: Vec<Found>) -> Vec<Found> {
    let mut seen = HashSet::new();
    found.into_iter().filter(|one| seen.insert(one.id.clone())).collect()
}

fn metadata_of(fields: Option<&str>) -> Metadata {
    fields.and_then(|fields| serde_json::from_str(fields).ok()).unwrap_or_default()
}

/// The documents of some ids.
pub(super) fn get(connection: &mut Connection, ids: &[&str]) -> Result<Vec<Option<Document>>> {
    let find = format!(
        "SELECT id, text, fields FROM {} WHERE part = 0 AND id = ANY($1)",
        connection.address.table()
    );
    let rows = connection.run(&mut |client| client.query(&find, &[&ids]))?;
    let read = |row: &Row| {
        let (id, text, fields): (String, Option<String>, Option<String>) =
            (row.get(0), row.get(1), row.get(2));
        let metadata = metadata_of(fields.as_deref());
        (id.clone(), Document { id, text: text.unwrap_or_default(), metadata })
    };
    let mut found: HashMap<String, Document> = rows.iter().map(read).collect();
    Ok(ids.iter().map(|id| found.remove(*id)).collect())
}

/// Shows all documents of one moment, oldest first.
pub(super) fn each(connection: &mut Connection, show: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
    let table = connection.address.table();
    // A second time would show documents twice.
    connection.run_once(&mut |client| each_of(client, &table, show))?
}

fn each_of(
    client: &mut Client,
    table: &str,
    show: &mut dyn FnMut(Stored) -> Result<()>,
) -> Result<Result<()>, postgres::Error> {
    let mut transaction = client.transaction()?;
    let select = format!("SELECT id, first, last, text, fields, embedding FROM {table} ORDER BY seq");
    let portal = transaction.bind(&select, &[])?;
    let mut open: Option<Stored> = None;
    loop {
        let mut rows = transaction.query_portal_raw(&portal, SHOWN)?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            let vector: HalfVector = row.get(5);
            let vector = vector.numbers();
            let (first, last): (Option<i32>, Option<i32>) = (row.get(1), row.get(2));
            let passage =
                first.zip(last).map(|(start, end)| Passage { start: start as u32, end: end as u32 });
            let text: Option<String> = row.get(3);
            match (text, &mut open) {
                (None, Some(open)) => {
                    open.vectors.push(vector);
                    open.passages.iter_mut().for_each(|passages| passages.extend(passage));
                }
                (text, _) => {
                    if let Some(whole) = open.take()
                        && let Err(error) = show(whole)
                    {
                        return Ok(Err(error));
                    }
                    let fields: Option<String> = row.get(4);
                    let metadata = metadata_of(fields.as_deref());
                    let document = Document { id: row.get(0), text: text.unwrap_or_default(), metadata };
                    open = Some(Stored {
                        document,
                        passages: passage.map(|one| vec![one]),
                        vectors: vec![vector],
                    });
                }
            }
        }
        if count < SHOWN {
            break;
        }
    }
    Ok(open.map_or(Ok(()), &mut *show))
}
