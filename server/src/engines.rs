//! Tables and collections of engines that are served beside the indexes: over `/v1/indexes` they answer queries, and their documents are read,
//! written and deleted. What needs the files of an index is refused.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use akin_encoder::Role;
use akin_engines::{Address, Engine, Pool};
use akin_index::{Document, Passage};
use akin_indexer::passages::Cutter;
use akin_query::{Answer, EngineSearcher, QueryEncoder};
use serde_json::Value;

use crate::app::App;
use crate::error::{ApiError, Kind, StartError};
use crate::patience::Waiting;
use crate::room::Room;
use crate::routes::indexes::Question;
use crate::routes::read_only;
use crate::served::Models;
use crate::writer::{Written, gone, part, refuse_repeated};

/// Connections to one table, at most. Further requests wait for one.
const CONNECTIONS: usize = 8;

/// Tables by name.
pub type Engines = BTreeMap<String, Arc<ServedEngine>>;

/// A table of an engine.
pub struct ServedEngine {
    name: String,
    room: Room,
    is_writable: bool,
    pool: Pool,
}

/// The address that the path of an index is, if it is one.
pub fn address(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| Address::is_one(text))
}

/// Opens a table, with the room of its model.
pub fn open(text: &str, is_writable: bool, models: &mut Models) -> Result<ServedEngine, StartError> {
    let address = Address::parse(text).map_err(akin_query::Error::from)?;
    let engine = address.clone().open().map_err(akin_query::Error::from)?;
    let (name, room) = (address.name().to_owned(), models.of_index(engine.model())?);
    Ok(ServedEngine { name, room, is_writable, pool: Pool::new(address, engine, CONNECTIONS) })
}

impl ServedEngine {
    /// Its name: that of the table.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The table, with its server.
    pub fn place(&self) -> &str {
        self.pool.place()
    }

    /// Asks the table. A connection that failed is not used again.
    fn with<T>(
        &self,
        call: impl FnOnce(Box<dyn Engine>) -> (Result<T, ApiError>, Option<Box<dyn Engine>>),
    ) -> Result<T, ApiError> {
        self.pool.with(|engine| {
            let (done, engine) = call(engine);
            let has_failed = matches!(&done, Err(error) if error.kind == Kind::Unavailable);
            (done, engine.filter(|_| !has_failed))
        })
    }

    /// Asks it for something that the engine itself answers.
    fn call<T>(&self, call: impl FnOnce(&mut dyn Engine) -> Result<T, ApiError>) -> Result<T, ApiError> {
        self.with(|mut engine| (call(&mut *engine), Some(engine)))
    }

    /// Answers a question.
    pub fn ask(&self, app: &App, question: &Question, waiting: &Waiting) -> Result<Answer, ApiError> {
        if question.within.is_some() {
            return Err(not_served(&self.name, "sets of documents"));
        }
        let started = Instant::now();
        let answer = self.with(|engine| {
            let mut searcher = match EngineSearcher::new(
                engine,
                Some(Arc::clone(self.room.encoder())),
                question.manner.mode,
            ) {
                Ok(searcher) => searcher,
                Err(error) => return (Err(error.into()), None),
            };
            let (by, waiting) = (self.room.clone(), waiting.clone());
            let encode: QueryEncoder = Arc::new(move |texts| {
                by.encode_queries(texts, &waiting)
                    .map_err(|error| akin_query::Error::QueryEncoder(Box::new(error)))
            });
            searcher = searcher.with_query_encoder(encode);
            if let (Some(depth), Some(reranker)) = (question.manner.rerank, &app.reranker) {
                searcher = searcher.with_reranker(reranker.model.clone(), depth, None);
            }
            let asked = searcher.ask_all(&[&question.text], &question.options, question.filter.as_ref());
            let answer = asked
                .map_err(ApiError::from)
                .and_then(|mut answers| answers.pop().ok_or_else(ApiError::panicked));
            (answer, Some(searcher.into_engine()))
        })?;
        app.metrics.searched(started.elapsed());
        Ok(answer)
    }

    /// Its figures, as `akin stat --json` prints them.
    pub fn stat(&self) -> Result<Value, ApiError> {
        self.call(|engine| Ok(akin_query::json::engine_stat(engine)?))
    }

    /// How many documents it has.
    pub fn len(&self) -> Result<usize, ApiError> {
        self.call(|engine| Ok(engine.figures()?.documents))
    }

    /// The document of an id.
    pub fn get(&self, id: &str) -> Result<Option<Document>, ApiError> {
        self.call(|engine| Ok(engine.get(&[id])?.pop().flatten()))
    }

    /// Adds documents, or replaces those of the same ids: all of them or none. Their texts are encoded in the engine room.
    pub fn write(&self, documents: Vec<Document>, waiting: &Waiting) -> Result<Written, ApiError> {
        self.require_writable()?;
        refuse_repeated(&documents)?;
        let unchanged = self.call(|engine| Ok(engine.unchanged(&documents)?))?;
        let before = documents.len();
        let changed: Vec<Document> =
            documents.into_iter().zip(unchanged).filter(|(_, same)| !same).map(|(one, _)| one).collect();
        let unchanged = before - changed.len();
        if changed.is_empty() {
            return Ok(Written { unchanged, ..Written::default() });
        }
        let cutter = Cutter::new(self.room.encoder(), self.pool.model().passages)?;
        let passages: Vec<Vec<Passage>> =
            changed.iter().map(|document| cutter.cut_document(document)).collect::<Result<_, _>>()?;
        let texts: Vec<String> = changed
            .iter()
            .zip(&passages)
            .flat_map(|(document, passages)| passages.iter().map(|passage| part(&document.text, passage)))
            .collect();
        let several = texts.len() > changed.len();
        let texts = self.room.measure(texts)?;
        let embeddings = self.room.encode(Some(Role::Document), texts, waiting.clone())?.wait()?;
        if waiting.is_gone() {
            return Err(gone());
        }
        let upserted = self.call(|engine| {
            Ok(engine.upsert(&changed, several.then_some(passages.as_slice()), &embeddings)?)
        })?;
        Ok(Written { added: upserted.added, replaced: upserted.replaced, unchanged })
    }

    /// Deletes documents, and tells how many there were.
    pub fn delete(&self, ids: &[String], waiting: &Waiting) -> Result<usize, ApiError> {
        self.require_writable()?;
        if waiting.is_gone() {
            return Err(gone());
        }
        let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        self.call(|engine| Ok(engine.delete(&ids)?.into_iter().filter(|existed| *existed).count()))
    }

    fn require_writable(&self) -> Result<(), ApiError> {
        if self.is_writable { Ok(()) } else { Err(read_only()) }
    }
}

/// The refusal of what needs the files of an index.
pub fn not_served(name: &str, what: &str) -> ApiError {
    ApiError::new(
        Kind::NotImplemented,
        format!(
            "{name} is a table of an engine, of which {what} cannot be asked: it answers POST /v1/indexes/{name}/query, and \
             gives, takes and deletes documents"
        ),
    )
}
