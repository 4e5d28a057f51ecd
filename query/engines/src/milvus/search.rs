//! Finding the nearest documents, and the documents of rows that were found.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use akin_index::{Hit, Similarity};

use super::MilvusEngine;
use super::condition;
use super::connect::Connection;
use super::read::{confused, count, keys_in, query, text_of};
use super::restriction::Restriction;
use super::rows::{Row, rows};
use super::schema::{EMBEDDING, metric};
use super::wire::{Pair, Search, Searched};
use crate::postgres::unit;
use crate::{Ask, Error, Result};

/// Candidates of an approximate search that names none, and of one with a filter: where most points of the graph do not fit, more
/// of the nearest are missed.
const DEFAULT_EF: usize = 100;
const FILTERED_EF: usize = 250;

/// The most that Milvus takes.
const MOST_EF: usize = 32_768;

/// The most rows that Milvus finds for a query.
pub(super) const MOST_FOUND: usize = 16_384;

/// Bytes of rows that are read together, and the most rows. A row has 200 KB at most, and servers send 100 MB.
const READ_BYTES: usize = 16 << 20;
pub(super) const READ_ROWS: usize = 500;

/// The fields of a row but its vector, and those that lead to its document.
pub(super) const FIELDS: [&str; 11] =
    ["key", "id", "part", "parts", "pieces", "seq", "first", "last", "hash", "text", "metadata"];

/// A passage that was found.
pub(super) struct Found {
    pub(super) row: Row,
    pub(super) score: f32,
}

impl MilvusEngine {
    /// The nearest documents.
    pub(super) fn search(&self, query: &[f32], ask: &Ask) -> Result<Vec<Hit>> {
        let restriction = Restriction::of_filter(self.expression(ask)?);
        Ok(self.nearest_documents(query, ask, &restriction)?.hits)
    }

    /// The expression of a filter.
    pub(super) fn expression(&self, ask: &Ask) -> Result<Option<String>> {
        let refused = |reason: String| Error::Filter { place: self.connection.address.place(), reason };
        match &ask.filter {
            Some(filter) => condition::expression(filter).map_err(refused),
            None => Ok(None),
        }
    }

    /// The nearest documents that fit a restriction.
    pub(super) fn nearest_documents<'a>(
        &'a self,
        query: &[f32],
        ask: &'a Ask,
        restriction: &'a Restriction,
    ) -> Result<Documents<'a>> {
        self.require_dimension(query)?;
        let expression = restriction.expression.as_deref();
        let vector = unit(self.model.similarity, query);
        if ask.exact && ask.k > 0 {
            let found = self.compare_with_all(&vector, expression)?;
            let mut documents = Documents::new(ask, restriction);
            for found in found.chunks(ask.k.max(READ_ROWS)) {
                documents.add(&self.connection, found)?;
                if documents.hits.len() >= ask.k {
                    break;
                }
            }
            return Ok(documents.best(ask.k));
        }
        self.best_documents(ask, restriction, &|wanted| {
            self.nearest_rows(&vector, expression, wanted, ask.ef)
        })
    }

    /// Refuses a query of another dimension.
    pub(super) fn require_dimension(&self, query: &[f32]) -> Result<()> {
        if query.len() != self.model.dimension {
            return Err(Error::Index(akin_index::Error::Invalid(format!(
                "a query has {} dimensions, and the collection {}",
                query.len(),
                self.model.dimension
            ))));
        }
        Ok(())
    }

    /// The best documents of the rows that `find` finds: so many are asked for that the documents are enough.
    pub(super) fn best_documents<'a>(
        &self,
        ask: &'a Ask,
        restriction: &'a Restriction,
        find: &dyn Fn(usize) -> Result<Vec<Found>>,
    ) -> Result<Documents<'a>> {
        if ask.k == 0 {
            return Ok(Documents::new(ask, restriction));
        }
        let mut wanted = ask.k.min(MOST_FOUND);
        loop {
            let found = find(wanted)?;
            let mut documents = Documents::new(ask, restriction);
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
        &self,
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
        let search = Search::of(self.connection.address.collection(), vector, params);
        let similarity = self.model.similarity;
        self.found_rows(search, expression, &FIELDS, &|distance| score_of(similarity, distance))
    }

    /// The rows that a search finds, with some of their fields, best first.
    pub(super) fn found_rows(
        &self,
        mut search: Search,
        expression: Option<&str>,
        fields: &[&str],
        score: &dyn Fn(f32) -> f32,
    ) -> Result<Vec<Found>> {
        search.expression = expression.unwrap_or_default().into();
        search.fields = fields.iter().map(|field| (*field).to_owned()).collect();
        (search.consistency, search.since) = self.connection.consistency();
        let searched: Searched = self.connection.call("Search", &search)?;
        let found = searched.found.unwrap_or_default();
        let keys = found.keys.and_then(|keys| keys.texts).unwrap_or_default().data;
        let scores = found.scores;
        let mut rows =
            rows(found.columns).filter(|rows| rows.len() == scores.len()).ok_or_else(|| self.confused())?;
        // Some servers send the keys beside the other fields alone.
        rows.iter_mut().zip(keys).for_each(|(row, key)| row.key = key);
        let mut found: Vec<Found> = rows
            .into_iter()
            .zip(scores)
            .map(|(row, distance)| Found { row, score: score(distance) })
            .collect();
        found.sort_by(best_first);
        Ok(found)
    }

    pub(super) fn confused(&self) -> Error {
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
            let fields = ["key", "part", "parts", "hash", "seq", "first", "last", EMBEDDING];
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
pub(super) struct Documents<'a> {
    ask: &'a Ask,
    restriction: &'a Restriction,
    seen: HashSet<String>,
    pub(super) hits: Vec<Hit>,
    /// The passage of each hit: the key of its row, and its vector where that was asked for.
    pub(super) passages: Vec<(String, Vec<f32>)>,
}

impl<'a> Documents<'a> {
    fn new(ask: &'a Ask, restriction: &'a Restriction) -> Self {
        Self { ask, restriction, seen: HashSet::new(), hits: Vec::new(), passages: Vec::new() }
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
        let seqs = firsts.values().chain(others.values()).map(|first| first.seq);
        let barred = self.restriction.barred(connection, seqs.collect())?;
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
            let filter = self.ask.filter.as_ref();
            if barred.contains(&first.seq) || filter.is_some_and(|filter| !filter.matches(&first.metadata()))
            {
                continue;
            }
            let document = first.document(text_of(connection, first)?);
            self.hits.push(Hit { score: *score, document, passage: row.passage() });
            self.passages.push((row.key.clone(), row.vector.clone()));
        }
        Ok(())
    }

    fn best(mut self, k: usize) -> Self {
        self.hits.truncate(k);
        self.passages.truncate(k);
        self
    }
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
pub(super) fn clamped(similarity: Similarity, score: f32) -> f32 {
    if similarity == Similarity::Cosine { score.clamp(-1.0, 1.0) } else { score }
}
