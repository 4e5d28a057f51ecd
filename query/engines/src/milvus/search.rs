//! Finding documents, and going through all of them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

use akin_index::{Document, Filter, Hit, Similarity};

use super::MilvusEngine;
use super::condition;
use super::connect::Connection;
use super::rows::{Row, key_of, rows};
use super::schema::{EMBEDDING, metric};
use super::wire::{Pair, Queried, Query, Search, Searched};
use super::write::{KEYS, first_key};
use crate::postgres::unit;
use crate::{Ask, Error, Result, Stored};

/// Candidates of an approximate search that names none, and of one with a filter: where most points of the graph do not fit, more
/// of the nearest are missed.
const DEFAULT_EF: usize = 100;
const FILTERED_EF: usize = 250;

/// The most that Milvus takes.
const MOST_EF: usize = 32_768;

/// The most rows that Milvus finds for a query.
const MOST_FOUND: usize = 16_384;

/// Bytes of rows that are read together, and the most rows. A row has 200 KB at most, and servers send 100 MB.
const READ_BYTES: usize = 16 << 20;
const READ_ROWS: usize = 500;

/// The fields of a row but its vector, and those that lead to its document.
const FIELDS: [&str; 10] =
    ["key", "id", "part", "parts", "pieces", "first", "last", "hash", "text", "metadata"];

/// A passage that was found.
struct Found {
    row: Row,
    score: f32,
}

impl MilvusEngine {
    /// The nearest documents.
    pub(super) fn search(&mut self, query: &[f32], ask: &Ask) -> Result<Vec<Hit>> {
        if query.len() != self.model.dimension {
            return Err(Error::Index(akin_index::Error::Invalid(format!(
                "a query has {} dimensions, and the collection {}",
                query.len(),
                self.model.dimension
            ))));
        }
        if ask.k == 0 {
            return Ok(Vec::new());
        }
        let refused = |reason: String| Error::Filter { place: self.connection.address.place(), reason };
        let expression = match &ask.filter {
            Some(filter) => condition::expression(filter).map_err(refused)?,
            None => None,
        };
        let vector = unit(self.model.similarity, query);
        if ask.exact {
            let found = self.compare_with_all(&vector, expression.as_deref())?;
            let mut documents = Documents::new(ask.filter.as_ref());
            for found in found.chunks(ask.k.max(READ_ROWS)) {
                documents.add(&self.connection, found)?;
                if documents.hits.len() >= ask.k {
                    break;
                }
            }
            return Ok(documents.best(ask.k));
        }
        let mut wanted = ask.k.min(MOST_FOUND);
        loop {
            let found = self.nearest_rows(&vector, expression.as_deref(), wanted, ask.ef)?;
            let mut documents = Documents::new(ask.filter.as_ref());
            documents.add(&self.connection, &found)?;
            if documents.hits.len() >= ask.k || found.len() < wanted {
                return Ok(documents.best(ask.k));
            }
            // Several passages of one document took the places of others.
            if wanted == MOST_FOUND {
                let reason = format!(
                    "it finds {MOST_FOUND} passages at most, and these are too few: ask for fewer documents"
                );
                return Err(Error::Refused { server: self.connection.address.server().into(), reason });
            }
            wanted = wanted.saturating_mul(2).min(MOST_FOUND);
        }
    }

    /// The nearest rows, best first.
    fn nearest_rows(
        &mut self,
        vector: &[f32],
        expression: Option<&str>,
        wanted: usize,
        ef: Option<usize>,
    ) -> Result<Vec<Found>> {
        let default = if expression.is_some() { FILTERED_EF } else { DEFAULT_EF };
        let ef = ef.unwrap_or(default).max(wanted).clamp(1, MOST_EF);
        let params = vec![
            Pair::new("anns_field", EMBEDDING),
            Pair::new("topk", wanted),
            Pair::new("params", format!("{{\"ef\": {ef}}}")),
            Pair::new("metric_type", metric(self.model.similarity).unwrap_or("IP")),
            Pair::new("round_decimal", -1),
        ];
        let mut search = Search::of(self.connection.address.collection(), vector, params);
        search.expression = expression.unwrap_or_default().into();
        search.fields = FIELDS.map(str::to_owned).to_vec();
        (search.consistency, search.since) = self.connection.consistency();
        let searched: Searched = self.connection.call("Search", &search)?;
        let found = searched.found.unwrap_or_default();
        let keys = found.keys.and_then(|keys| keys.texts).unwrap_or_default().data;
        let scores = found.scores;
        let mut rows =
            rows(found.columns).filter(|rows| rows.len() == scores.len()).ok_or_else(|| self.confused())?;
        // Some servers send the keys beside the other fields alone.
        rows.iter_mut().zip(keys).for_each(|(row, key)| row.key = key);
        let similarity = self.model.similarity;
        let mut found: Vec<Found> = rows
            .into_iter()
            .zip(scores)
            .map(|(row, score)| Found { row, score: score_of(similarity, score) })
            .collect();
        found.sort_by(best_first);
        Ok(found)
    }

    fn confused(&self) -> Error {
        confused(&self.connection)
    }

    /// Every row that fits, best first: each vector comes over the network.
    fn compare_with_all(&self, vector: &[f32], expression: Option<&str>) -> Result<Vec<Found>> {
        let all = count(&self.connection, "part >= 0")?;
        let at_once = (READ_BYTES / (4 * vector.len() + 200)).clamp(1, MOST_FOUND);
        let mut found = Vec::new();
        // Keys are spread evenly over the digits that they begin with.
        let mut digits = 0;
        while all >> (4 * digits) > at_once / 2 {
            digits += 1;
        }
        for window in 0..1usize << (4 * digits) {
            let mut windowed = match digits {
                0 => "part >= 0".to_owned(),
                _ => {
                    let (from, next) = (format!("{window:0digits$x}"), window + 1);
                    match next >> (4 * digits) {
                        0 => format!("key >= \"{from}\" and key < \"{next:0digits$x}\""),
                        _ => format!("key >= \"{from}\""),
                    }
                }
            };
            if let Some(expression) = expression {
                windowed = format!("{windowed} and ({expression})");
            }
            let fields = ["key", "part", "parts", "hash", "first", "last", EMBEDDING];
            for mut row in query(&self.connection, &windowed, &fields)? {
                let score = self.model.similarity.of(vector, &std::mem::take(&mut row.vector));
                found.push(Found { row, score: clamped(self.model.similarity, score) });
            }
        }
        found.sort_by(best_first);
        Ok(found)
    }
}

/// The documents of passages.
struct Documents<'a> {
    filter: Option<&'a Filter>,
    seen: HashSet<String>,
    hits: Vec<Hit>,
}

impl<'a> Documents<'a> {
    fn new(filter: Option<&'a Filter>) -> Self {
        Self { filter, seen: HashSet::new(), hits: Vec::new() }
    }

    /// Adds those of more passages, which are best first, unless they are there.
    fn add(&mut self, connection: &Connection, found: &[Found]) -> Result<()> {
        let mut firsts: HashMap<&str, Row> = HashMap::new();
        let has_document = |row: &Row| row.part == 0 && !row.metadata.is_empty();
        for found in found.iter().filter(|found| has_document(&found.row)) {
            firsts.insert(&found.row.key, found.row.clone());
        }
        let lacking: HashSet<&str> =
            found.iter().map(|found| found.row.first_key()).filter(|key| !firsts.contains_key(key)).collect();
        let lacking: Vec<String> = lacking.into_iter().map(str::to_owned).collect();
        let mut others = HashMap::new();
        for keys in lacking.chunks(READ_ROWS) {
            let rows = query(connection, &keys_in(keys), &FIELDS)?;
            others.extend(rows.into_iter().map(|row| (row.key.clone(), row)));
        }
        for Found { row, score } in found {
            let Some(first) = firsts.get(row.first_key()).or_else(|| others.get(row.first_key())) else {
                // A document that was deleted since is none.
                continue;
            };
            // A passage of what was replaced, or of what is being written, is none.
            let is_current = row.hash == first.hash && row.part < first.parts;
            if !is_current || self.seen.contains(&first.key) {
                continue;
            }
            self.seen.insert(first.key.clone());
            if self.filter.is_none_or(|filter| filter.matches(&first.metadata())) {
                let document = first.document(text_of(connection, first)?);
                self.hits.push(Hit { score: *score, document, passage: row.passage() });
            }
        }
        Ok(())
    }

    fn best(mut self, k: usize) -> Vec<Hit> {
        self.hits.truncate(k);
        self.hits
    }
}

/// The text of a document, of which this is the first row.
fn text_of(connection: &Connection, first: &Row) -> Result<String> {
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
    let fields: Vec<&str> = FIELDS.into_iter().chain(["seq", EMBEDDING]).collect();
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
    let (consistency, since) = connection.consistency();
    let query = Query {
        collection: connection.address.collection().into(),
        expression: expression.into(),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        since,
        consistency,
    };
    let queried: Queried = connection.call("Query", &query)?;
    rows(queried.columns).ok_or_else(|| confused(connection))
}

/// How many rows an expression has.
pub(super) fn count(connection: &Connection, expression: &str) -> Result<usize> {
    use super::wire::{Column, Scalars, Values};
    let (consistency, since) = connection.consistency();
    let query = Query {
        collection: connection.address.collection().into(),
        expression: expression.into(),
        fields: vec!["count(*)".into()],
        since,
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

fn confused(connection: &Connection) -> Error {
    let reason = "its answer has not one value for each row; is it a server of Milvus 2.3 or newer?".into();
    Error::Refused { server: connection.address.server().into(), reason }
}

fn best_first(one: &Found, other: &Found) -> Ordering {
    other.score.total_cmp(&one.score)
}

/// The similarity that a distance of Milvus stands for.
fn score_of(similarity: Similarity, distance: f32) -> f32 {
    match similarity {
        // Milvus does not draw the root.
        Similarity::Euclidean => -distance.max(0.0).sqrt(),
        _ => clamped(similarity, distance),
    }
}

/// A little more than one comes of rounding.
fn clamped(similarity: Similarity, score: f32) -> f32 {
    if similarity == Similarity::Cosine { score.clamp(-1.0, 1.0) } else { score }
}
