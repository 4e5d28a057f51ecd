//! Words of passages in a table beside the one of the documents, and finding documents by them.
//!
//! The words are a `tsvector` for each passage, which a text configuration of the server makes of its text. A table of their own can be
//! added to documents that are there without writing those again. Scores are sums over what a query looks for: how often a passage
//! has it, which the server's `ts_rank` tells, times the rarity that BM25 gives it among all passages.

use std::collections::HashMap;

use akin_index::{Background, Hit, Pointless, WordKind, WordQuery};
use postgres::Client;
use postgres::types::ToSql;

use super::address::Address;
use super::condition::Condition;
use super::connect::Connection;
use super::rows::stored;
use super::search::{Found, best_of_documents, operator};
use super::wire::HalfVector;
use super::write::lock;
use super::{GRAPH_PASSAGES, PostgresEngine, schema};
use crate::{Ask, Both, Error, Result};

/// How words are read where nothing else is asked for: as they are, in small letters.
pub(super) const DEFAULT_CONFIG: &str = "simple";

/// The name of no configuration: no words are kept.
pub(super) const NO_WORDS: &str = "none";

/// What the comment of the table of words says.
const COMMENT: &str = "words of Akin, form 1";

/// Characters of a passage whose words are kept: a `tsvector` ends at a megabyte.
const READ_CHARACTERS: usize = 200_000;

/// Passages with a word that are counted, at most: beyond, it is common.
const COUNTED: i64 = 100_000;

/// What a query looks for, at most: the rarest count.
const UNITS: usize = 128;

/// Passages that the background of a query is told by.
const SAMPLE: usize = 256;

/// The number of occurrences counts without regard to where they are, and less in a long passage.
const RANK: (&str, u32) = ("'{1,1,1,1}'", 1);

/// Something to look for, as the server's `tsquery`.
struct Unit {
    query: String,
    weight: f64,
}

/// A query as the server reads it.
struct Plan {
    /// Any of which is enough.
    wanted: Vec<Unit>,
    /// What a passage must have.
    required: Vec<Unit>,
    /// What a document must not have.
    excluded: Vec<String>,
}

/// The table of words.
pub(super) fn table(address: &Address) -> String {
    address.named(&format!("{}_words", address.table_name()))
}

/// Makes the table of words by a configuration, with the words of what is there.
pub(super) fn create(connection: &mut Connection, config: &str) -> Result<()> {
    let (address, place) = (connection.address.clone(), connection.address.place());
    let refused = |reason: &str| Error::TextConfig {
        place: place.clone(),
        asked: config.to_owned(),
        reason: reason.to_owned(),
    };
    let known = "SELECT FROM pg_ts_config WHERE cfgname = $1 AND pg_ts_config_is_visible(oid)";
    if !schema::is_config(config)
        || connection.run(&mut |client| client.query_opt(known, &[&config]))?.is_none()
    {
        return Err(refused(
            "the server has none of that name, as `SELECT cfgname FROM pg_ts_config` lists them",
        ));
    }
    let words = table(&address);
    if schema::comment_on(connection, &words)?.is_some_and(|comment| comment.as_deref() != Some(COMMENT)) {
        return Err(refused("the table for them is there and was not made by Akin"));
    }
    let statements = format!(
        "DROP TABLE IF EXISTS {words}; CREATE TABLE {words} (seq bigint PRIMARY KEY, words tsvector NOT NULL); \
         COMMENT ON TABLE {words} IS '{COMMENT}'"
    );
    let fill = add_statement(&address, config, "");
    connection.run(&mut |client| {
        let mut transaction = client.transaction()?;
        lock(&mut transaction, &address.table())?;
        // Of two commands that come to this the second finds it done.
        if schema::text_config(&mut transaction, &address)?.is_some() {
            return Ok(());
        }
        transaction.batch_execute(&statements)?;
        transaction.execute(&fill, &[])?;
        schema::remember_text_config(&mut transaction, &address, config)?;
        transaction.commit()
    })
}

/// The documents of the ids that a statement is given.
pub(super) const OF_IDS: &str = "WHERE p.id = ANY($1)";

/// Adds the words of passages to the table of words.
/// The text of a passage is that of its document, or lies between two bytes of it.
pub(super) fn add_statement(address: &Address, config: &str, which: &str) -> String {
    let (documents, words) = (address.table(), table(address));
    format!(
        "INSERT INTO {words} (seq, words) SELECT p.seq, to_tsvector('{config}'::regconfig, left(CASE WHEN p.first IS NULL \
         THEN p.text ELSE convert_from(substring(convert_to((SELECT f.text FROM {documents} f WHERE f.id = p.id AND f.part = 0), \
         'UTF8') FROM p.first + 1 FOR p.last - p.first), 'UTF8') END, {READ_CHARACTERS})) FROM {documents} p {which}"
    )
}

/// Builds the index of words once there is enough for it.
pub(super) fn finish(client: &mut Client, address: &Address) -> Result<(), postgres::Error> {
    let words = table(address);
    let passages: i64 = client.query_one(&format!("SELECT count(*) FROM {words}"), &[])?.get(0);
    let name = format!("{}_words_in", address.table_name());
    let found = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&address.named(&name)])?;
    if passages < GRAPH_PASSAGES || found.get(0) {
        return Ok(());
    }
    client.batch_execute(&format!(
        "CREATE INDEX IF NOT EXISTS \"{name}\" ON {words} USING gin (words); ANALYZE {words}"
    ))
}

impl PostgresEngine {
    /// The text configuration by which words are kept, if they are.
    pub fn text_config(&self) -> Option<&str> {
        self.text_config.as_deref().filter(|config| *config != NO_WORDS)
    }

    /// Keeps words by a text configuration from now on, or by `simple` if none is named; those of the documents that are there are
    /// added. A table that keeps words already goes on with its own. `none` keeps no words.
    ///
    /// # Errors
    /// [`Error::TextConfig`] if the server has no such configuration, or words are kept by another.
    pub fn keep_words(&mut self, config: Option<&str>) -> Result<()> {
        match (&self.text_config, config) {
            (Some(_), None) => Ok(()),
            (Some(kept), Some(asked)) if kept == asked => Ok(()),
            (Some(kept), Some(asked)) => Err(Error::TextConfig {
                place: self.connection.address.place(),
                asked: asked.into(),
                reason: format!("they are kept by {kept:?}"),
            }),
            (None, asked) => {
                let config = asked.unwrap_or(DEFAULT_CONFIG);
                if config == NO_WORDS {
                    let address = self.connection.address.clone();
                    self.connection.run(&mut |client| {
                        let mut transaction = client.transaction()?;
                        schema::remember_text_config(&mut transaction, &address, config)?;
                        transaction.commit()
                    })?;
                } else {
                    create(&mut self.connection, config)?;
                }
                self.text_config = Some(config.to_owned());
                Ok(())
            }
        }
    }

    /// The documents that have the words of a query.
    pub(super) fn search_words(&mut self, query: &WordQuery, ask: &Ask) -> Result<Vec<Hit>> {
        let plan = self.plan(query)?;
        let found = self.found_by_words(&plan, ask, None)?;
        self.hits(found)
    }

    /// What is found by meaning and by words.
    pub(super) fn search_both(&mut self, query: &WordQuery, vector: &[f32], ask: &Ask) -> Result<Both> {
        let plan = self.plan(query)?;
        let half = HalfVector::of(&stored(self.model.similarity, vector));
        let near = match query.pointless() {
            Some(Pointless::OnlyExclusions) => Vec::new(),
            _ => {
                let mut among = self.condition(ask, 2)?;
                plan.restrict(&self.connection.address, 2, &mut among);
                self.nearest_among(vector, ask, among)?
            }
        };
        let words_of_near = self.words_of(&plan, &near)?;
        let found = self.found_by_words(&plan, ask, Some(&half))?;
        let similarities_of_found = found.iter().map(|one| one.similarity).collect();
        let background = self.background(&half)?;
        Ok(Both {
            by_meaning: self.hits(near)?,
            words_of_near,
            by_words: self.hits(found)?,
            similarities_of_found,
            background,
            trust: 0.0,
        })
    }

    /// Has the server read a query, and counts the passages that have each of its words.
    fn plan(&mut self, query: &WordQuery) -> Result<Plan> {
        let address = &self.connection.address;
        let Some(config) = self.text_config.as_deref().filter(|config| *config != NO_WORDS) else {
            return Err(Error::NoWords { place: address.place() });
        };
        let words = table(address);
        let parts: Vec<_> = query.parts().take(2 * UNITS).collect();
        // What PostgreSQL does not store is in no document.
        let texts: Vec<String> = parts.iter().map(|part| part.text.replace('\0', " ")).collect();
        let kinds: Vec<i32> = parts.iter().map(|part| part.kind as i32).collect();
        let quoted =
            |name: &str| format!(r"'''' || replace(replace({name}, '\', '\\'), '''', '''''') || ''''");
        let (lexeme, beginning) = (quoted("l.lexeme"), quoted("a.said"));
        let (of_words, of_phrase, of_prefix) =
            (WordKind::Words as i32, WordKind::Phrase as i32, WordKind::Prefix as i32);
        let read = format!(
            "SELECT a.n, u.q::text, (SELECT count(*) FROM (SELECT FROM {words} w WHERE w.words @@ u.q LIMIT {COUNTED}) c), \
             (SELECT CASE WHEN reltuples >= 10000 THEN reltuples::bigint ELSE (SELECT count(*) FROM {words}) END \
             FROM pg_class WHERE oid = to_regclass($3)) \
             FROM unnest($1::text[], $2::int[]) WITH ORDINALITY a(said, kind, n), LATERAL (\
             SELECT ({lexeme})::tsquery FROM unnest(to_tsvector('{config}'::regconfig, a.said)) l WHERE a.kind = {of_words} \
             UNION ALL SELECT phraseto_tsquery('{config}'::regconfig, a.said) WHERE a.kind = {of_phrase} \
             UNION ALL SELECT to_tsquery('{config}'::regconfig, {beginning} || ':*') WHERE a.kind = {of_prefix}\
             ) u(q) WHERE numnode(u.q) > 0 ORDER BY a.n LIMIT 4096"
        );
        let rows = self.connection.run(&mut |client| client.query(&read, &[&texts, &kinds, &words]))?;
        let mut plan = Plan { wanted: Vec::new(), required: Vec::new(), excluded: Vec::new() };
        for row in &rows {
            let (number, text): (i64, String) = (row.get(0), row.get(1));
            let (with, passages): (i64, i64) = (row.get(2), row.get::<_, i64>(3).max(row.get(2)).max(1));
            let part = usize::try_from(number - 1).ok().and_then(|at| parts.get(at));
            let Some(part) = part else { continue };
            let most = query.most_common(passages as u64).map_or(i64::MAX, |most| most as i64);
            let rarity = 1.0 + (passages - with) as f64 + 0.5;
            let unit = Unit { query: text, weight: (rarity / (with as f64 + 0.5)).ln().max(1e-6) };
            match (part.is_excluded, part.kind) {
                (true, _) => plan.excluded.push(unit.query),
                (false, WordKind::Phrase) => plan.required.push(unit),
                (false, _) if with > most || (most < i64::MAX && with >= COUNTED) => {}
                (false, _) => match plan.wanted.iter_mut().find(|known| known.query == unit.query) {
                    Some(known) => known.weight += unit.weight,
                    None => plan.wanted.push(unit),
                },
            }
        }
        plan.wanted.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        plan.wanted.truncate(UNITS);
        plan.required.truncate(UNITS);
        plan.excluded.truncate(UNITS);
        Ok(plan)
    }

    /// The documents that have the words of a plan, and their similarities with a vector.
    fn found_by_words(&mut self, plan: &Plan, ask: &Ask, vector: Option<&HalfVector>) -> Result<Vec<Found>> {
        if ask.k == 0 || (plan.wanted.is_empty() && plan.required.is_empty()) {
            return Ok(Vec::new());
        }
        let mut wanted = ask.k;
        loop {
            let found = self.passages_by_words(plan, wanted, ask, vector)?;
            let (all, mut documents) = (found.len(), best_of_documents(found));
            // Several passages of one document take the places of others.
            if documents.len() >= ask.k || all < wanted {
                documents.truncate(ask.k);
                return Ok(documents);
            }
            wanted = wanted.saturating_mul(2);
        }
    }

    fn passages_by_words(
        &mut self,
        plan: &Plan,
        wanted: usize,
        ask: &Ask,
        vector: Option<&HalfVector>,
    ) -> Result<Vec<Found>> {
        let address = self.connection.address.clone();
        let similarity = self.model.similarity;
        let mut parameters: Vec<Box<dyn ToSql + Sync>> = Vec::new();
        let score = plan.score(&mut parameters);
        let mut conditions = plan.conditions(&mut parameters);
        if !plan.excluded.is_empty() {
            conditions.push(without(&address, &plan.excluded, &mut parameters));
        }
        if let Some(condition) = self.condition(ask, parameters.len() + 1)? {
            conditions.push(condition.sql);
            parameters.extend(condition.parameters);
        }
        let distance = match vector {
            Some(vector) => {
                parameters.push(Box::new(vector.clone()));
                format!("d.embedding {} ${}", operator(similarity), parameters.len())
            }
            None => "0::float8".into(),
        };
        let (documents, words) = (address.table(), table(&address));
        let select = format!(
            "SELECT d.id, d.first, d.last, d.text, d.fields, s.score, d.seq, {distance} FROM (SELECT w.seq, {score} AS score \
             FROM {words} w JOIN {documents} USING (seq) WHERE {} ORDER BY score DESC, w.seq LIMIT {}) s \
             JOIN {documents} d USING (seq) ORDER BY s.score DESC, d.seq",
            conditions.join(" AND "),
            wanted.min(i64::MAX as usize)
        );
        let given: Vec<&(dyn ToSql + Sync)> =
            parameters.iter().map(|one| &**one as &(dyn ToSql + Sync)).collect();
        let rows = self.connection.run(&mut |client| client.query(&select, &given))?;
        let found = rows.iter().map(|row| {
            let mut found = Found::read(row, row.get(7), similarity);
            found.score = row.get::<_, f64>(5) as f32;
            found
        });
        Ok(found.collect())
    }

    /// The scores by words of passages that were found otherwise.
    fn words_of(&mut self, plan: &Plan, near: &[Found]) -> Result<Vec<f32>> {
        if near.is_empty() || (plan.wanted.is_empty() && plan.required.is_empty()) {
            return Ok(vec![0.0; near.len()]);
        }
        let seqs: Vec<i64> = near.iter().map(|one| one.seq).collect();
        let mut parameters: Vec<Box<dyn ToSql + Sync>> = Vec::new();
        let score = plan.score(&mut parameters);
        parameters.push(Box::new(seqs.clone()));
        let words = table(&self.connection.address);
        let select = format!("SELECT w.seq, {score} FROM {words} w WHERE w.seq = ANY(${})", parameters.len());
        let given: Vec<&(dyn ToSql + Sync)> =
            parameters.iter().map(|one| &**one as &(dyn ToSql + Sync)).collect();
        let rows = self.connection.run(&mut |client| client.query(&select, &given))?;
        let scores: HashMap<i64, f64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        Ok(seqs.iter().map(|seq| scores.get(seq).map_or(0.0, |score| *score as f32)).collect())
    }

    /// The similarities of a query with passages from all over the table, which are read once.
    fn background(&mut self, query: &HalfVector) -> Result<Background> {
        // A table that has few documents yet may have others soon.
        if self.sample.as_ref().is_none_or(|sample| sample.len() < SAMPLE) {
            let table = self.connection.address.table();
            let spread = format!(
                "SELECT d.embedding FROM (SELECT min(seq) AS least, max(seq) AS most FROM {table}) m, \
                 generate_series(0, {SAMPLE} - 1) n JOIN LATERAL (SELECT embedding FROM {table} WHERE \
                 seq >= m.least + (m.most - m.least) * n / {SAMPLE} ORDER BY seq LIMIT 1) d ON true"
            );
            let rows = self.connection.run(&mut |client| client.query(&spread, &[]))?;
            self.sample = Some(rows.iter().map(|row| row.get::<_, HalfVector>(0).numbers()).collect());
        }
        let query = query.numbers();
        let similarity = self.model.similarity;
        let scores: Vec<f64> =
            self.sample.iter().flatten().map(|vector| f64::from(similarity.of(&query, vector))).collect();
        let count = scores.len().max(1) as f64;
        let mean = scores.iter().sum::<f64>() / count;
        let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count;
        Ok(Background { mean: mean as f32, deviation: variance.sqrt() as f32 })
    }
}

impl Plan {
    /// The score of the words `w.words`.
    fn score(&self, parameters: &mut Vec<Box<dyn ToSql + Sync>>) -> String {
        let (weights, normalization) = RANK;
        let terms = self.wanted.iter().chain(&self.required).map(|unit| {
            let query = asked(&unit.query, parameters);
            format!("{:.6}::float8 * ts_rank({weights}, w.words, {query}, {normalization})", unit.weight)
        });
        terms.collect::<Vec<_>>().join(" + ")
    }

    /// What the words `w.words` of a passage must have.
    fn conditions(&self, parameters: &mut Vec<Box<dyn ToSql + Sync>>) -> Vec<String> {
        let mut conditions: Vec<String> = self
            .required
            .iter()
            .map(|unit| format!("w.words @@ {}", asked(&unit.query, parameters)))
            .collect();
        if conditions.is_empty() {
            let any: Vec<String> = self.wanted.iter().map(|unit| format!("({})", unit.query)).collect();
            conditions.push(format!("w.words @@ {}", asked(&any.join(" | "), parameters)));
        }
        conditions
    }

    /// Narrows a condition, whose first parameter is `next`, to the documents that have what is required and nothing excluded.
    fn restrict(&self, address: &Address, next: usize, among: &mut Option<Condition>) {
        if self.required.is_empty() && self.excluded.is_empty() {
            return;
        }
        let mut condition = among.take().unwrap_or(Condition { sql: "true".into(), parameters: Vec::new() });
        // The parameters before belong to the search.
        let mut parameters: Vec<Box<dyn ToSql + Sync>> = (1..next).map(|_| Box::new(0) as _).collect();
        parameters.append(&mut condition.parameters);
        if !self.required.is_empty() {
            let conditions = self.conditions(&mut parameters);
            let (documents, words) = (address.table(), table(address));
            condition.sql = format!(
                "{} AND id IN (SELECT x.id FROM {documents} x JOIN {words} w USING (seq) WHERE {})",
                condition.sql,
                conditions.join(" AND ")
            );
        }
        if !self.excluded.is_empty() {
            condition.sql =
                format!("{} AND {}", condition.sql, without(address, &self.excluded, &mut parameters));
        }
        condition.parameters = parameters.split_off(next - 1);
        *among = Some(condition);
    }
}

/// Whether a document has nothing of what is excluded.
fn without(address: &Address, excluded: &[String], parameters: &mut Vec<Box<dyn ToSql + Sync>>) -> String {
    let any: Vec<String> = excluded.iter().map(|query| format!("({query})")).collect();
    let query = asked(&any.join(" | "), parameters);
    let (documents, words) = (address.table(), table(address));
    format!("id NOT IN (SELECT x.id FROM {documents} x JOIN {words} y USING (seq) WHERE y.words @@ {query})")
}

/// A `tsquery` as a parameter.
fn asked(query: &str, parameters: &mut Vec<Box<dyn ToSql + Sync>>) -> String {
    parameters.push(Box::new(query.to_owned()));
    format!("${}::text::tsquery", parameters.len())
}
