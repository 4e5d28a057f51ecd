//! A collection of Milvus: a row for each passage, of which the first has the metadata and the text.
//!
//! `address` reads where the collection is, `connect` makes calls of its server, whose messages `wire` has, `schema` has the fields
//! and the model of the collection, `rows` its rows; `terms` has what filters may ask for, `condition` says a filter in the language of
//! Milvus, `restriction` what phrases and exclusions say of documents; `words` has the words of passages and queries as they are sent,
//! `word_search` finds documents by them; `write`, `read` and `search` do what their names say.

mod address;
mod condition;
mod connect;
mod read;
mod restriction;
mod rows;
mod schema;
mod search;
mod terms;
mod wire;
mod word_search;
mod words;
mod write;

use std::collections::HashSet;

use akin_index::{Document, Embeddings, Hit, ModelIdentity, Passage, TermReader, Upserted, WordQuery};

pub use self::address::Address;
use self::connect::Connection;
use self::schema::Account;
use crate::{Ask, Both, Engine, EngineOptions, Error, Figures, Progress, Result, Source, Stored};

/// With fewer passages than this Milvus builds no graph, and compares a query with all of them.
const GRAPH_PASSAGES: usize = 1024;

/// A collection of Milvus.
pub struct MilvusEngine {
    connection: Connection,
    model: ModelIdentity,
    settings: schema::Settings,
    /// What reads the words of passages and queries, where the collection keeps words.
    reader: Option<TermReader>,
    /// Vectors from all over the collection.
    sample: Option<Vec<Vec<f32>>>,
    /// Of what was written last.
    seq: i64,
    /// The ids that the collection had not when it was last asked what is unchanged.
    absent: HashSet<String>,
}

impl MilvusEngine {
    /// Opens a collection.
    ///
    /// # Errors
    /// [`Error::NoTable`] if there is none, [`Error::NotOurs`] if somebody else made it; [`Error::Unreachable`], [`Error::Login`],
    /// [`Error::Encryption`].
    pub fn open(address: Address) -> Result<Self> {
        let connection = Connection::open(address)?;
        let account = schema::account_of(&connection)?;
        let account = account.ok_or_else(|| Error::NoTable { place: connection.address.place() })?;
        Self::with(connection, account)
    }

    /// Opens a collection, or creates one for vectors of a model. A new one keeps words, not stemmed, where the server is of Milvus 2.5 or
    /// newer ([`MilvusEngine::open_or_create_with`]).
    ///
    /// # Errors
    /// As [`MilvusEngine::open`]; [`Error::OtherModel`] if it has another model, [`Error::NoVectors`] if Milvus does not keep such
    /// vectors.
    pub fn open_or_create(address: Address, model: &ModelIdentity) -> Result<Self> {
        Self::open_or_create_with(address, model, &EngineOptions::default())
    }

    /// The same with what is chosen of a new collection: the way in which words are read, by a name that [`TermReader::named`] knows, or `none` for
    /// no words; its graph, and its shards.
    ///
    /// # Errors
    /// As [`MilvusEngine::open_or_create`]; [`Error::TextConfig`] if there is no such way, the collection is there and keeps its words in
    /// another way or not at all, or the server keeps none.
    pub fn open_or_create_with(
        address: Address,
        model: &ModelIdentity,
        options: &EngineOptions,
    ) -> Result<Self> {
        let connection = Connection::open(address)?;
        let found = match schema::account_of(&connection)? {
            Some(found) => found,
            None => {
                let config = words::config_for(&connection, options.text_config.as_deref())?;
                let created = schema::create(&connection, model, config, options);
                // Another command may have been first.
                match schema::account_of(&connection)? {
                    Some(found) => found,
                    None => {
                        let none = Error::NoTable { place: connection.address.place() };
                        return Err(created.err().unwrap_or(none));
                    }
                }
            }
        };
        if let Some(what) = model.difference(&found.model) {
            let place = connection.address.place();
            return Err(Error::OtherModel { place, built_with: Box::new(found.model), what });
        }
        let mut engine = Self::with(connection, found)?;
        engine.choose(options)?;
        Ok(engine)
    }

    fn with(connection: Connection, account: Account) -> Result<Self> {
        schema::make_ready(&connection, &account)?;
        let Account { model, text_config, settings } = account;
        let reader = text_config.as_deref().and_then(TermReader::named);
        Ok(Self { connection, model, reader, settings, sample: None, seq: 0, absent: HashSet::new() })
    }
}

impl Source for MilvusEngine {
    fn place(&self) -> String {
        self.connection.address.place()
    }

    fn model(&self) -> &ModelIdentity {
        &self.model
    }

    /// Milvus does not tell how many bytes a collection takes: they are 0.
    fn figures(&mut self) -> Result<Figures> {
        self.connection.refresh();
        let documents = read::count(&self.connection, "part == 0")?;
        let passages = read::count(&self.connection, "part >= 0")?;
        let has_graph = passages >= GRAPH_PASSAGES
            && schema::graph_of(&self.connection)?.is_some_and(|graph| graph.indexed_rows > 0);
        Ok(Figures { documents, passages, has_graph, bytes: 0 })
    }

    fn each(&mut self, show: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
        read::each(&self.connection, show)
    }
}

impl Engine for MilvusEngine {
    fn unchanged(&mut self, documents: &[Document]) -> Result<Vec<bool>> {
        let (same, absent) = write::unchanged(&self.connection, documents)?;
        self.absent = absent;
        Ok(same)
    }

    fn upsert(
        &mut self,
        documents: &[Document],
        passages: Option<&[Vec<Passage>]>,
        embeddings: &Embeddings,
    ) -> Result<Upserted> {
        let absent = std::mem::take(&mut self.absent);
        let place = self.connection.address.place();
        let rows =
            write::rows_of(&place, &self.model, self.reader.as_ref(), documents, passages, embeddings)?;
        write::upsert(&self.connection, &self.model, &mut self.seq, &absent, rows)
    }

    fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>> {
        write::delete(&self.connection, ids)
    }

    fn finish(&mut self, progress: Progress<'_>) -> Result<()> {
        self.connection.refresh();
        let unbuilt = read::count(&self.connection, "part >= 0")?.saturating_sub(
            schema::graph_of(&self.connection)?.map_or(0, |graph| graph.indexed_rows.max(0) as usize),
        );
        // Few more are compared with a query one by one, and each flush makes a segment of its own.
        if unbuilt < GRAPH_PASSAGES {
            return Ok(());
        }
        schema::flush(&self.connection, progress)
    }

    fn nearest(&mut self, query: &[f32], ask: &Ask) -> Result<Vec<Hit>> {
        self.search(query, ask)
    }

    fn get(&mut self, ids: &[&str]) -> Result<Vec<Option<Document>>> {
        read::get(&self.connection, ids)
    }

    /// What a collection keeps is decided when it is made: nothing can be added.
    fn choose(&mut self, options: &EngineOptions) -> Result<()> {
        let asked = self.settings.chosen(options)?;
        if asked != self.settings {
            let schema::Settings { graph, shards } = self.settings;
            let name = match asked.graph == graph {
                true => "shards",
                false if asked.graph.m == graph.m => "ef_construction",
                false => "m",
            };
            let begun = format!("{} was made with {graph}, and {shards} shards", self.place());
            let reason =
                format!("{begun}: `akin copy` brings its documents to another that is made otherwise");
            return Err(Error::Option { name: name.into(), reason });
        }
        let kept = self.text_config();
        match options.text_config.as_deref() {
            None => Ok(()),
            Some(asked) if kept.unwrap_or(words::NO_WORDS) == asked => Ok(()),
            Some(asked) => Err(Error::TextConfig {
                place: self.place(),
                asked: asked.into(),
                reason: match kept {
                    Some(kept) => format!("they are kept by {kept:?}"),
                    None => "it was made without words, and Milvus adds no field that it makes itself".into(),
                },
            }),
        }
    }

    fn chosen(&self) -> Vec<(&'static str, String)> {
        let text_config = self.text_config().unwrap_or(words::NO_WORDS).to_owned();
        let shards = ("shards", self.settings.shards.to_string());
        [("text_config", text_config)]
            .into_iter()
            .chain(self.settings.graph.named())
            .chain([shards])
            .collect()
    }

    fn text_config(&self) -> Option<&str> {
        self.reader.as_ref().map(TermReader::name)
    }

    fn has_words(&self) -> bool {
        self.reader.is_some()
    }

    fn by_words(&mut self, query: &WordQuery, ask: &Ask) -> Result<Vec<Hit>> {
        self.search_words(query, ask)
    }

    fn by_both(&mut self, query: &WordQuery, vector: &[f32], ask: &Ask) -> Result<Both> {
        self.search_both(query, vector, ask)
    }
}
