//! A table of PostgreSQL with pgvector: a row for each passage, of which the first has the text.
//!
//! `address` reads where the table is, `brought` knows what it has where it was begun here, `connect` keeps a connection (`tls` says whom it trusts), `schema` has the table with its functions and its model,
//! `condition` says a filter in SQL, `rows` makes documents rows, `wire` has vectors as they are sent, `words` keeps and finds words, `sources` remembers what a corpus brought; `write` and `search` do what their names say.
//!
//! Vectors are stored with 16 bits a number, so that scores have three digits. Each batch is one transaction: what was
//! acknowledged is there, and a batch that is sent twice is there once.

mod address;
mod brought;
mod condition;
mod connect;
mod rows;
mod schema;
mod search;
mod sources;
mod tls;
mod wire;
mod words;
mod write;

use std::collections::HashSet;
use std::ops::RangeInclusive;

pub use self::address::Address;
use self::brought::Brought;
use self::connect::Connection;
pub(crate) use self::rows::stored as unit;
use self::schema::GRAPH;
pub(crate) use self::schema::{model_from, model_json};
use akin_index::{Document, Embeddings, Hit, ModelIdentity, Passage, Upserted, WordQuery};

use crate::options::GraphSettings;
use crate::{Ask, Both, Engine, EngineOptions, Error, Figures, Progress, Result, Source, Stored, SyncRun};

/// With fewer passages than this a query is compared with all of them.
const GRAPH_PASSAGES: i64 = 2000;

/// The numbers that pgvector takes for a graph.
const NEIGHBORS: RangeInclusive<usize> = 2..=100;
const CANDIDATES: RangeInclusive<usize> = 4..=1000;

/// A table of PostgreSQL.
pub struct PostgresEngine {
    connection: Connection,
    model: ModelIdentity,
    /// The text configuration of its words, or `none`; nothing where nobody has chosen yet.
    text_config: Option<String>,
    /// How its graph is built, or is to be.
    graph: GraphSettings,
    /// The last search.
    prepared: Option<search::Prepared>,
    /// Vectors from all over the table.
    sample: Option<Vec<Vec<f32>>>,
    /// The ids that the table had not when it was last asked what is unchanged.
    absent: HashSet<String>,
    /// What it has at all, where this process has begun it.
    brought: Brought,
}

impl PostgresEngine {
    /// Opens a table.
    ///
    /// # Errors
    /// [`Error::NoTable`] if there is none, [`Error::NotOurs`] if somebody else made it, [`Error::NoVectors`] without pgvector;
    /// [`Error::Unreachable`], [`Error::Login`].
    pub fn open(address: Address) -> Result<Self> {
        let mut connection = Connection::open(address)?;
        let found = schema::account_of(&mut connection)?;
        let found = found.ok_or_else(|| Error::NoTable { place: connection.address.place() })?;
        schema::require_vectors(&mut connection, false)?;
        Ok(Self::with(connection, found))
    }

    fn with(connection: Connection, account: schema::Account) -> Self {
        let schema::Account { model, text_config, graph } = account;
        Self {
            connection,
            model,
            text_config,
            graph,
            prepared: None,
            sample: None,
            absent: HashSet::new(),
            brought: Brought::default(),
        }
    }

    /// Opens a table, or creates one for vectors of a model. It keeps words, by `simple` if it has none yet
    /// ([`PostgresEngine::keep_words`]).
    ///
    /// # Errors
    /// As [`PostgresEngine::open`], and [`Error::OtherModel`] if it has another model.
    pub fn open_or_create(address: Address, model: &ModelIdentity) -> Result<Self> {
        Self::open_or_create_with(address, model, &EngineOptions::default())
    }

    /// The same with the text configuration that words are kept by, and how its graph is built.
    ///
    /// # Errors
    /// As [`PostgresEngine::open_or_create`] and [`Engine::choose`].
    pub fn open_or_create_with(
        address: Address,
        model: &ModelIdentity,
        options: &EngineOptions,
    ) -> Result<Self> {
        let mut connection = Connection::open(address)?;
        schema::require_vectors(&mut connection, true)?;
        let mut brought = Brought::default();
        let found = match schema::account_of(&mut connection)? {
            Some(found) => found,
            None => {
                // Nothing is made for options that cannot be.
                graph_of(GRAPH, options)?;
                let created = schema::create(&mut connection, model);
                if created.is_ok() {
                    brought = Brought::to_new_table();
                }
                // Another command may have been first.
                match schema::account_of(&mut connection)? {
                    Some(found) => found,
                    None => {
                        return Err(created
                            .err()
                            .unwrap_or(Error::NoTable { place: connection.address.place() }));
                    }
                }
            }
        };
        if let Some(what) = model.difference(&found.model) {
            let place = connection.address.place();
            return Err(Error::OtherModel { place, built_with: Box::new(found.model), what });
        }
        let mut engine = Self { brought, ..Self::with(connection, found) };
        engine.choose(options)?;
        Ok(engine)
    }
}

/// How a graph is built by what is chosen, and as before where nothing is.
fn graph_of(before: GraphSettings, options: &EngineOptions) -> Result<GraphSettings> {
    if options.shards.is_some() {
        let reason = "a table of PostgreSQL has none".into();
        return Err(Error::Option { name: "shards".into(), reason });
    }
    let graph = before.chosen(options, NEIGHBORS, CANDIDATES)?;
    if graph.ef_construction < 2 * graph.m {
        let reason = format!("pgvector takes twice m and more, and that is {}", 2 * graph.m);
        return Err(Error::Option { name: "ef_construction".into(), reason });
    }
    Ok(graph)
}

impl PostgresEngine {
    /// Has the graph built as is chosen. One that is there is not built again.
    fn choose_graph(&mut self, options: &EngineOptions) -> Result<()> {
        let graph = graph_of(self.graph, options)?;
        if graph == self.graph {
            return Ok(());
        }
        let address = self.connection.address.clone();
        let is_built = self.connection.run(&mut |client| {
            let mut transaction = client.transaction()?;
            write::lock(&mut transaction, &address.table())?;
            if schema::has_graph(&mut transaction, &address)? {
                return Ok(true);
            }
            schema::remember_graph(&mut transaction, &address, graph)?;
            transaction.commit()?;
            Ok(false)
        })?;
        if is_built {
            let name = if options.m.is_some() { "m" } else { "ef_construction" };
            let built = format!("the graph of {} was built with {}", address.place(), self.graph);
            let index = address.named(&schema::graph_name(&address));
            let reason = format!("{built}: DROP INDEX {index}, and the next `akin index` builds another");
            return Err(Error::Option { name: name.into(), reason });
        }
        self.graph = graph;
        Ok(())
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
            Ok((client.query_one(&count, &[&table, &words])?, schema::has_graph(&mut **client, &address)?))
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
        if !self.brought.may_have(documents.iter().map(|document| document.id.as_str())) {
            self.absent = documents.iter().map(|document| document.id.clone()).collect();
            return Ok(vec![false; documents.len()]);
        }
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
        self.brought.remember(documents.iter().map(|document| document.id.as_str()));
        write::upsert(&mut self.connection, &self.model, config, &absent, documents, passages, embeddings)
    }

    fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>> {
        let has_words = self.has_words();
        write::delete(&mut self.connection, has_words, ids)
    }

    fn finish(&mut self, _: Progress<'_>) -> Result<()> {
        let has_words = self.has_words();
        write::finish(&mut self.connection, &self.model, self.graph, has_words)
    }

    fn nearest(&mut self, query: &[f32], ask: &Ask) -> Result<Vec<Hit>> {
        self.search(query, ask)
    }

    fn get(&mut self, ids: &[&str]) -> Result<Vec<Option<Document>>> {
        search::get(&mut self.connection, ids)
    }

    fn choose(&mut self, options: &EngineOptions) -> Result<()> {
        self.choose_graph(options)?;
        self.keep_words(options.text_config.as_deref())
    }

    fn chosen(&self) -> Vec<(&'static str, String)> {
        let text_config = self.text_config.clone().map(|config| ("text_config", config));
        text_config.into_iter().chain(self.graph.named()).collect()
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
