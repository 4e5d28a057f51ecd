//! The address of an engine of any kind.

use akin_index::ModelIdentity;

use crate::milvus::{self, MilvusEngine};
use crate::postgres::{self, PostgresEngine};
use crate::{Engine, EngineOptions, Result};

/// The address of an engine.
#[derive(Debug, Clone)]
pub enum Address {
    /// A table of PostgreSQL.
    Postgres(Box<postgres::Address>),
    /// A collection of Milvus.
    Milvus(milvus::Address),
}

impl Address {
    /// Whether a text is meant to be one.
    pub fn is_one(text: &str) -> bool {
        postgres::Address::is_one(text) || milvus::Address::is_one(text)
    }

    /// Reads an address.
    ///
    /// # Errors
    /// [`Error::Address`](crate::Error::Address).
    pub fn parse(text: &str) -> Result<Self> {
        match milvus::Address::is_one(text) {
            true => milvus::Address::parse(text).map(Self::Milvus),
            false => postgres::Address::parse(text).map(|address| Self::Postgres(Box::new(address))),
        }
    }

    /// The name of the table or collection alone.
    pub fn name(&self) -> &str {
        match self {
            Self::Postgres(address) => address.table_name(),
            Self::Milvus(address) => address.collection(),
        }
    }

    /// Opens what is there.
    ///
    /// # Errors
    /// As [`PostgresEngine::open`] and [`MilvusEngine::open`].
    pub fn open(self) -> Result<Box<dyn Engine>> {
        Ok(match self {
            Self::Postgres(address) => Box::new(PostgresEngine::open(*address)?),
            Self::Milvus(address) => Box::new(MilvusEngine::open(address)?),
        })
    }

    /// Opens what is there, or begins it for vectors of a model.
    ///
    /// # Errors
    /// As [`PostgresEngine::open_or_create`] and [`MilvusEngine::open_or_create`].
    pub fn open_or_create(self, model: &ModelIdentity) -> Result<Box<dyn Engine>> {
        self.open_or_create_with(model, &EngineOptions::default())
    }

    /// The same with what is chosen of it.
    ///
    /// # Errors
    /// As [`Address::open_or_create`] and [`Engine::choose`].
    pub fn open_or_create_with(
        self,
        model: &ModelIdentity,
        options: &EngineOptions,
    ) -> Result<Box<dyn Engine>> {
        Ok(match self {
            Self::Postgres(address) => {
                Box::new(PostgresEngine::open_or_create_with(*address, model, options)?)
            }
            Self::Milvus(address) => Box::new(MilvusEngine::open_or_create_with(address, model, options)?),
        })
    }
}
