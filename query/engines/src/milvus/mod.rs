//! A collection of Milvus: a row for each passage, of which the first has the metadata and the text.
//!
//! `address` reads where the collection is, `connect` makes calls of its server, whose messages `wire` has, `schema` has the fields
//! and the model of the collection, `rows` its rows; `terms` has what filters may ask for, `condition` says a filter in the language of
//! Milvus; `write` and `search` do what their names say.

mod address;
mod condition;
mod connect;
mod rows;
mod schema;
mod search;
mod terms;
mod wire;
mod write;

use std::collections::HashSet;

use akin_index::{Document, Embeddings, Hit, ModelIdentity, Passage, Upserted};

pub use self::address::Address;
use self::connect::Connection;
use crate::{Ask, Engine, Error, Figures, Progress, Result, Source, Stored};

/// With fewer passages than this Milvus builds no graph, and compares a query with all of them.
const GRAPH_PASSAGES: usize = 1024;

/// A collection of Milvus.
pub struct MilvusEngine {
    connection: Connection,
    model: ModelIdentity,
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
        let model = schema::model_of(&connection)?;
        let model = model.ok_or_else(|| Error::NoTable { place: connection.address.place() })?;
        Self::with(connection, model)
    }

    /// Opens a collection, or creates one for vectors of a model.
    ///
    /// # Errors
    /// As [`MilvusEngine::open`]; [`Error::OtherModel`] if it has another model, [`Error::NoVectors`] if Milvus does not keep such
    /// vectors.
    pub fn open_or_create(address: Address, model: &ModelIdentity) -> Result<Self> {
        let connection = Connection::open(address)?;
        let found = match schema::model_of(&connection)? {
            Some(found) => found,
            None => {
                let created = schema::create(&connection, model);
                // Another command may have been first.
                match schema::model_of(&connection)? {
                    Some(found) => found,
                    None => {
                        let none = Error::NoTable { place: connection.address.place() };
                        return Err(created.err().unwrap_or(none));
                    }
                }
            }
        };
        match model.difference(&found) {
            None => Self::with(connection, found),
            Some(what) => {
                let place = connection.address.place();
                Err(Error::OtherModel { place, built_with: Box::new(found), what })
            }
        }
    }

    fn with(connection: Connection, model: ModelIdentity) -> Result<Self> {
        schema::make_ready(&connection, &model)?;
        Ok(Self { connection, model, seq: 0, absent: HashSet::new() })
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
        let documents = search::count(&self.connection, "part == 0")?;
        let passages = search::count(&self.connection, "part >= 0")?;
        let has_graph = passages >= GRAPH_PASSAGES
            && schema::graph_of(&self.connection)?.is_some_and(|graph| graph.indexed_rows > 0);
        Ok(Figures { documents, passages, has_graph, bytes: 0 })
    }

    fn each(&mut self, show: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
        search::each(&self.connection, show)
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
        let rows =
            write::rows_of(&self.connection.address.place(), &self.model, documents, passages, embeddings)?;
        write::upsert(&self.connection, &self.model, &mut self.seq, &absent, rows)
    }

    fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>> {
        write::delete(&self.connection, ids)
    }

    fn finish(&mut self, progress: Progress<'_>) -> Result<()> {
        self.connection.refresh();
        let unbuilt = search::count(&self.connection, "part >= 0")?.saturating_sub(
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
        search::get(&self.connection, ids)
    }
}
