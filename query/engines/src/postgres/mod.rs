//! A table of PostgreSQL with pgvector: a row for each passage, of which the first has the text.
//!
//! `address` reads where the table is, `connect` keeps a connection (`tls` says whom it trusts), `schema` has the table with its functions and its model,
//! `condition` says a filter in SQL, `wire` has vectors as they are sent, `words` keeps and finds words, `sources` remembers what a corpus brought; `write` and `search` do what their names say.
//!
//! Vectors are stored with 16 bits a number, so that scores have three digits. Each batch is one transaction: what was
//! acknowledged is there, and a batch that is sent twice is there once.

mod address;
mod condition;
mod connect;
mod schema;
mod search;
mod sources;
mod tls;
mod wire;
mod words;
mod write;

use std::collections::HashSet;

pub use self::address::Address;
use self::connect::Connection;
pub(crate) use self::schema::{model_from, model_json};
pub(crate) use self::write::stored as unit;
use akin_index::{Document, Embeddings, Hit, ModelIdentity, Passage, Upserted, WordQuery};

use crate::{Ask, Both, Engine, Error, Figures, Progress, Result, Source, Stored, SyncRun};

/// With fewer passages than this a query is compared with all of them.
const GRAPH_PASSAGES: i64 = 2000;

/// A table of PostgreSQL.
pub struct PostgresEngine {
    connection: Connection,
    model: ModelIdentity,
    /// The text configuration of its words, or `none`; nothing where nobody has chosen yet.
    text_config: Option<String>,
    /// The last search.
    prepared: Option<search::Prepared>,
    /// Vectors from all over the table.
    sample: Option<Vec<Vec<f32>>>,
    /// The ids that the table had not when it was last asked what is unchanged.
    absent: HashSet<String>,
}

impl PostgresEngine {
    /// Opens a table.
    ///
    /// # Errors
    /// [`Error::NoTable`] if there is none, [`Error::NotOurs`] if somebody else made it, [`Error::NoVectors`] without pgvector;
    /// [`Error::Unreachable`], [`Error::Login`].
    pub fn open(address: Address) -> Result<Self> {
        let mut connection = Connection::open(address)?;
        let found = schema::model_of(&mut connection)?;
        let found = found.ok_or_else(|| Error::NoTable { place: connection.address.place() })?;
        schema::require_vectors(&mut connection, false)?;
        Ok(Self::with(connection, found))
    }

    fn with(connection: Connection, (model, text_config): (ModelIdentity, Option<String>)) -> Self {
        Self { connection, model, text_config, prepared: None, sample: None, absent: HashSet::new() }
    }

    /// Opens a table, or creates one for vectors of a model. It keeps words, by `simple` if it has none yet
    /// ([`PostgresEngine::keep_words`]).
    ///
    /// # Errors
    /// As [`PostgresEngine::open`], and [`Error::OtherModel`] if it has another model.
    pub fn open_or_create(address: Address, model: &ModelIdentity) -> Result<Self> {
        Self::open_or_create_with(address, model, None)
    }

    /// The same with the text configuration that words are kept by.
    ///
    /// # Errors
    /// As [`PostgresEngine::open_or_create`] and [`PostgresEngine::keep_words`].
    pub fn open_or_create_with(
        address: Address,
        model: &ModelIdentity,
        text_config: Option<&str>,
    ) -> Result<Self> {
        let mut connection = Connection::open(address)?;
        schema::require_vectors(&mut connection, true)?;
        let found = match schema::model_of(&mut connection)? {
            Some(found) => found,
            None => {
                let created = schema::create(&mut connection, model);
                // Another command may have been first.
                match schema::model_of(&mut connection)? {
                    Some(found) => found,
                    None => {
                        return Err(created
                            .err()
                            .unwrap_or(Error::NoTable { place: connection.address.place() }));
                    }
                }
            }
        };
        if let Some(what) = model.difference(&found.0) {
            let place = connection.address.place();
            return Err(Error::OtherModel { place, built_with: Box::new(found.0), what });
        }
        let mut engine = Self::with(connection, found);
        engine.keep_words(text_config)?;
        Ok(engine)
    }
}

impl Source for PostgresEngine {
    fn place(&self) -> String {
        self.connection.address.place()
    }

    fn model(&self) -> &ModelIdentity {
        &self.model
    }

    fn figures(&mut self) -> Result<Figures> {
        let address = self.connection.address.clone();
        let table = address.table();
        let count = format!(
            "SELECT count(*) FILTER (WHERE part = 0), count(*), pg_total_relation_size(to_regclass($1)) + \
             coalesce(pg_total_relation_size(to_regclass($2)), 0) FROM {table}"
        );
        // Where it keeps no words there is no such table.
        let words = words::table(&address);
        let (row, has_graph) = self.connection.run(&mut |client| {
            Ok((client.query_one(&count, &[&table, &words])?, schema::has_graph(client, &address)?))
        })?;
        let number = |at: usize| row.get::<_, i64>(at).max(0) as u64;
        Ok(Figures {
            documents: number(0) as usize,
            passages: number(1) as usize,
            has_graph,
            bytes: number(2),
        })
    }

    fn each(&mut self, show: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
        search::each(&mut self.connection, show)
    }
}

impl Engine for PostgresEngine {
    fn unchanged(&mut self, documents: &[Document]) -> Result<Vec<bool>> {
        let (same, absent) = write::unchanged(&mut self.connection, documents)?;
        self.absent = absent;
        Ok(same)
    }

    fn upsert(
        &mut self,
        documents: &[Document],
        passages: Option<&[Vec<Passage>]>,
        embeddings: &Embeddings,
    ) -> Result<Upserted> {
        let config = self.text_config.as_deref().filter(|config| *config != words::NO_WORDS);
        let absent = std::mem::take(&mut self.absent);
        write::upsert(&mut self.connection, &self.model, config, &absent, documents, passages, embeddings)
    }

    fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>> {
        let has_words = self.has_words();
        write::delete(&mut self.connection, has_words, ids)
    }

    fn finish(&mut self, _: Progress<'_>) -> Result<()> {
        let has_words = self.has_words();
        write::finish(&mut self.connection, &self.model, has_words)
    }

    fn nearest(&mut self, query: &[f32], ask: &Ask) -> Result<Vec<Hit>> {
        self.search(query, ask)
    }

    fn get(&mut self, ids: &[&str]) -> Result<Vec<Option<Document>>> {
        search::get(&mut self.connection, ids)
    }

    fn keep_words(&mut self, config: Option<&str>) -> Result<()> {
        PostgresEngine::keep_words(self, config)
    }

    fn text_config(&self) -> Option<&str> {
        PostgresEngine::text_config(self)
    }

    fn begin_sync(&mut self, source: &str) -> Result<SyncRun> {
        PostgresEngine::begin_sync(self, source)
    }

    fn brought(&mut self, run: &SyncRun, ids: &[&str]) -> Result<()> {
        PostgresEngine::brought(self, run, ids)
    }

    fn remove_vanished(&mut self, run: &SyncRun, stays: &dyn Fn(&str) -> bool) -> Result<usize> {
        PostgresEngine::remove_vanished(self, run, stays)
    }

    fn has_words(&self) -> bool {
        self.text_config().is_some()
    }

    fn by_words(&mut self, query: &WordQuery, ask: &Ask) -> Result<Vec<Hit>> {
        self.search_words(query, ask)
    }

    fn by_both(&mut self, query: &WordQuery, vector: &[f32], ask: &Ask) -> Result<Both> {
        self.search_both(query, vector, ask)
    }
}
