//! A table of PostgreSQL with pgvector: a row for each passage, of which the first has the text.
//!
//! `address` reads where the table is, `connect` keeps a connection (`tls` says whom it trusts), `schema` has the table with its functions and its model,
//! `condition` says a filter in SQL, `wire` has vectors as they are sent; `write` and `search` do what their names say.
//!
//! Vectors are stored with 16 bits a number, so that scores have three digits. Each batch is one transaction: what was
//! acknowledged is there, and a batch that is sent twice is there once.

mod address;
mod condition;
mod connect;
mod schema;
mod search;
mod tls;
mod wire;
mod write;

pub use self::address::Address;
use self::connect::Connection;
pub(crate) use self::schema::{model_from, model_json};
pub(crate) use self::write::stored as unit;
use akin_index::{Document, Embeddings, Hit, ModelIdentity, Passage, Upserted};

use crate::{Ask, Engine, Error, Figures, Progress, Result, Source, Stored};

/// With fewer passages than this a query is compared with all of them.
const GRAPH_PASSAGES: i64 = 2000;

/// A table of PostgreSQL.
pub struct PostgresEngine {
    connection: Connection,
    model: ModelIdentity,
    /// The last search.
    prepared: Option<search::Prepared>,
}

impl PostgresEngine {
    /// Opens a table.
    ///
    /// # Errors
    /// [`Error::NoTable`] if there is none, [`Error::NotOurs`] if somebody else made it, [`Error::NoVectors`] without pgvector;
    /// [`Error::Unreachable`], [`Error::Login`].
    pub fn open(address: Address) -> Result<Self> {
        let mut connection = Connection::open(address)?;
        let model = schema::model_of(&mut connection)?;
        let model = model.ok_or_else(|| Error::NoTable { place: connection.address.place() })?;
        schema::require_vectors(&mut connection, false)?;
        Ok(Self { connection, model, prepared: None })
    }

    /// Opens a table, or creates one for vectors of a model.
    ///
    /// # Errors
    /// As [`PostgresEngine::open`], and [`Error::OtherModel`] if it has another model.
    pub fn open_or_create(address: Address, model: &ModelIdentity) -> Result<Self> {
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
        match model.difference(&found) {
            None => Ok(Self { connection, model: found, prepared: None }),
            Some(what) => {
                let place = connection.address.place();
                Err(Error::OtherModel { place, built_with: Box::new(found), what })
            }
        }
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
            "SELECT count(*) FILTER (WHERE part = 0), count(*), pg_total_relation_size(to_regclass($1)) FROM {table}"
        );
        let (row, has_graph) = self.connection.run(&mut |client| {
            Ok((client.query_one(&count, &[&table])?, schema::has_graph(client, &address)?))
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
        write::unchanged(&mut self.connection, documents)
    }

    fn upsert(
        &mut self,
        documents: &[Document],
        passages: Option<&[Vec<Passage>]>,
        embeddings: &Embeddings,
    ) -> Result<Upserted> {
        write::upsert(&mut self.connection, &self.model, documents, passages, embeddings)
    }

    fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>> {
        write::delete(&mut self.connection, ids)
    }

    fn finish(&mut self, _: Progress<'_>) -> Result<()> {
        write::finish(&mut self.connection, &self.model)
    }

    fn nearest(&mut self, query: &[f32], ask: &Ask) -> Result<Vec<Hit>> {
        self.search(query, ask)
    }
}
