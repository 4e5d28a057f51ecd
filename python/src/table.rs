//! A table of PostgreSQL or a collection of Milvus, as Python has it: what [`Index`](crate::index::Index) is for folders and buckets.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;

use akin_encoder::{EncoderOptions, SentenceEncoder};
use akin_engines::{Address, Ask, Engine, EngineOptions, Error, Pool, Stored};
use akin_index::{Document, Embeddings, Filter, ModelIdentity, PassageSize, Upserted};
use akin_indexer::corpus::{CorpusOptions, CorpusReader};
use akin_indexer::passages::PassageEncoder;
use akin_indexer::pipeline::{IndexingReport, Phase, Progress};
use akin_indexer::shard::Shards;
use akin_indexer::tables;
use akin_query::{Answer, EngineSearcher, json, model, remembered};
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::changes::{FileOptions, check_shape, documents_of, report_dict};
use crate::encoder::{self, Encoder};
use crate::errors::{Failure, Result};
use crate::hits::Hits;
use crate::index::{Made, as_tuple, lock, made_for, passage_size};
use crate::long::Watch;
use crate::search::{Manner, Reranker, ask_options, check_most, mode_of};
use crate::{arrays, fork, long, values};

/// Connections to one table, at most. Further threads wait for one.
const CONNECTIONS: usize = 8;

/// Queries that are encoded together. Between two calls the work can be stopped.
const CHUNK: usize = 256;

/// Documents that an iteration reads ahead.
const AHEAD: usize = 256;

/// What all objects of one open table share.
struct Open {
    pool: Pool,
    /// As it was given.
    address: String,
    /// The name that was given to its model.
    named: Option<String>,
    options: EncoderOptions,
    /// The name of the numbers that the model computes in.
    precision: String,
    /// Loaded when it is needed first.
    encoder: Mutex<Option<Arc<SentenceEncoder>>>,
}

impl Open {
    /// The model, loaded if it is not.
    fn encoder(&self) -> Result<Arc<SentenceEncoder>> {
        let mut loaded = lock(&self.encoder);
        if let Some(encoder) = &*loaded {
            return Ok(Arc::clone(encoder));
        }
        let identity = self.pool.model();
        if !identity.is_known() {
            return Err(akin_query::Error::NoEncoder.into());
        }
        let encoder = match &self.named {
            Some(name) => model::load(name, &self.options)?,
            None => model::load(&identity.location, &self.options).map_err(model::moved)?,
        };
        let encoder = Arc::new(self.adopted(encoder)?);
        *loaded = Some(Arc::clone(&encoder));
        Ok(encoder)
    }

    /// An encoder with the prompts of the table, whose model it must be.
    fn adopted(&self, encoder: SentenceEncoder) -> Result<SentenceEncoder> {
        self.require_model(&encoder)?;
        Ok(remembered::adopt(encoder, self.pool.model())?)
    }

    fn require_model(&self, encoder: &SentenceEncoder) -> Result<()> {
        let identity = self.pool.model();
        match encoder.fingerprint() == identity.fingerprint {
            true => Ok(()),
            false => Err(Error::OtherModel {
                place: self.pool.place().to_owned(),
                built_with: Box::new(identity.clone()),
                what: format!("its model is {}", identity.location),
            }
            .into()),
        }
    }

    /// Asks the engine for something. A connection that failed is not used again.
    fn call<T>(&self, call: impl FnOnce(&mut dyn Engine) -> Result<T>) -> Result<T> {
        self.pool.with(|mut engine| {
            let done = call(&mut *engine);
            let has_failed = matches!(&done, Err(failure) if failure.is_of_connection());
            (done, (!has_failed).then_some(engine))
        })
    }
}

/// An open table or collection. `akin.Index` is the class for people.
#[pyclass(frozen, module = "akin._akin")]
pub struct Table {
    open: RwLock<Option<Arc<Open>>>,
}

impl Table {
    fn open(&self) -> Result<Arc<Open>> {
        fork::check()?;
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.clone()
            .ok_or_else(|| Failure::new("Closed", "the index was closed: open it again with akin.open"))
    }

    /// Does something on a thread of its own, while this one hears Ctrl-C.
    fn run<T: Send + 'static>(
        &self,
        py: Python<'_>,
        progress: Option<&Bound<'_, PyAny>>,
        work: impl FnOnce(&Open, &Watch) -> Result<T> + Send + 'static,
    ) -> PyResult<T> {
        let open = self.open()?;
        long::run(py, progress, move |watch| work(&open, watch))
    }

    /// Refuses what needs the files of an index.
    fn refuse<T>(&self, what: &str, instead: &str) -> PyResult<T> {
        let open = self.open()?;
        let place = open.pool.place();
        Err(Failure::invalid(format!("{what} cannot be asked of {place}, which an engine keeps: {instead}"))
            .into())
    }
}

#[pymethods]
impl Table {
    /// Whether a text is meant to be the address of an engine.
    #[staticmethod]
    fn is_one(address: &str) -> bool {
        Address::is_one(address)
    }

    /// Opens what is at an address, or makes it.
    #[staticmethod]
    #[pyo3(signature = (address, create, model, encoder, precision, query_prompt, document_prompt, truncate_dim, dimension,
        similarity, passages, engine_options))]
    #[allow(clippy::too_many_arguments)] // the Python side names them
    fn at(
        py: Python<'_>,
        address: String,
        create: bool,
        model: Option<String>,
        encoder: Option<PyRef<'_, Encoder>>,
        precision: &str,
        query_prompt: Option<String>,
        document_prompt: Option<String>,
        truncate_dim: Option<usize>,
        dimension: Option<usize>,
        similarity: Option<String>,
        passages: Option<&str>,
        engine_options: Vec<(String, String)>,
    ) -> PyResult<Self> {
        fork::check()?;
        let options = encoder::options(precision, query_prompt, document_prompt, truncate_dim)?;
        let precision = encoder.as_ref().map_or(precision, |encoder| &encoder.precision).to_owned();
        let encoder = encoder.map(|encoder| Arc::clone(&encoder.inner));
        let passages = passages.map(passage_size).transpose()?;
        let open = long::run(py, None, move |_| {
            let parsed = Address::parse(&address)?;
            let given = engine_options.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let chosen = EngineOptions::read(given)?;
            let mut made_with = None;
            let engine = match parsed.clone().open() {
                Ok(mut engine) => {
                    if create || chosen != EngineOptions::default() {
                        engine.choose(&chosen)?;
                    }
                    engine
                }
                Err(Error::NoTable { .. } | Error::NoVectors { .. }) if create => {
                    let (name, similarity) = (model.as_deref(), similarity.as_deref());
                    let whole = passages.unwrap_or(PassageSize::Window);
                    let made = made_for(name, encoder.clone(), &options, dimension, similarity)?;
                    let identity = match made {
                        Made::For(encoder, identity) => {
                            // A size that the model cannot read is refused before anything is made.
                            PassageEncoder::new(&encoder, whole)?;
                            made_with = Some(encoder);
                            ModelIdentity { passages: whole, ..identity }
                        }
                        Made::Vectors(identity) => identity,
                    };
                    parsed.clone().open_or_create_with(&identity, &chosen)?
                }
                Err(error) => return Err(error.into()),
            };
            let open = Open {
                pool: Pool::new(parsed, engine, CONNECTIONS),
                address,
                named: model,
                options,
                precision,
                encoder: Mutex::new(None),
            };
            if let Some(encoder) = made_with.or(encoder) {
                open.require_model(&encoder)?;
                remembered::require(&encoder, open.pool.model())?;
                *lock(&open.encoder) = Some(encoder);
            }
            if let Some(asked) = dimension.filter(|asked| *asked != open.pool.model().dimension) {
                let (place, found) = (open.pool.place(), open.pool.model().dimension);
                return Err(Failure::new(
                    "DimensionError",
                    format!("{place} has vectors of {found} numbers, not {asked}"),
                ));
            }
            Ok(open)
        })?;
        Ok(Self { open: RwLock::new(Some(Arc::new(open))) })
    }

    fn close(&self) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Does nothing: others may always change a table.
    fn release(&self) -> PyResult<()> {
        self.open()?;
        Ok(())
    }

    #[getter]
    fn closed(&self) -> bool {
        self.open.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The table with its server, without a password.
    #[getter]
    fn path(&self) -> PyResult<String> {
        Ok(self.open()?.pool.place().to_owned())
    }

    /// The address as it was given, for another process to open.
    #[getter]
    fn address(&self) -> PyResult<String> {
        Ok(self.open()?.address.clone())
    }

    /// A table is always up to date.
    fn refresh(&self) -> PyResult<bool> {
        self.open()?;
        Ok(false)
    }

    #[getter]
    fn has_model(&self) -> PyResult<bool> {
        Ok(self.open()?.pool.model().is_known())
    }

    #[getter]
    fn dimension(&self) -> PyResult<usize> {
        Ok(self.open()?.pool.model().dimension)
    }

    /// The model of the table.
    fn encoder(&self, py: Python<'_>) -> PyResult<Encoder> {
        let inner = self.run(py, None, |open, _| open.encoder())?;
        Ok(Encoder { inner, precision: self.open()?.precision.clone() })
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.run(py, None, |open, _| open.call(|engine| Ok(engine.figures()?.documents)))
    }

    fn contains(&self, py: Python<'_>, ids: Vec<String>) -> PyResult<Vec<bool>> {
        let found = self.run(py, None, move |open, _| found(open, &ids))?;
        Ok(found.iter().map(Option::is_some).collect())
    }

    /// The documents of ids as (id, text, metadata), or None.
    fn get<'py>(&self, py: Python<'py>, ids: Vec<String>) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
        let found = self.run(py, None, move |open, _| found(open, &ids))?;
        let shown = |document: Option<Document>| document.map(|one| as_tuple(py, one)).transpose();
        found.into_iter().map(shown).collect()
    }

    /// All documents, oldest first, read while they are asked for.
    fn documents(&self, py: Python<'_>) -> PyResult<TableDocuments> {
        let count = self.__len__(py)?;
        let open = self.open()?;
        let (sender, documents) = sync_channel(AHEAD);
        let read = move || {
            let mut show = |stored: Stored| {
                sender.send(Ok(stored.document)).map_err(|_| Error::Index(akin_index::Error::Cancelled))
            };
            let read = open.call(|engine| Ok(engine.each(&mut show)?));
            if let Err(failure) = read {
                // Nobody listens where the iteration was left: that is no failure.
                drop(sender.send(Err(failure)));
            }
        };
        thread::Builder::new()
            .name("akin".into())
            .spawn(read)
            .map_err(|error| Failure::new("Error", format!("cannot start a thread: {error}")))?;
        Ok(TableDocuments { count, documents: Mutex::new(documents) })
    }

    /// The figures of the table.
    fn stat<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stat = self.run(py, None, |open, _| open.call(|engine| Ok(json::engine_stat(engine)?)))?;
        match stat {
            serde_json::Value::Object(figures) => values::dict(py, &figures),
            _ => Ok(PyDict::new(py)),
        }
    }

    /// Adds documents, or replaces those of the same ids; kept when it returns. Gives how many were added, replaced and there already.
    #[pyo3(signature = (ids, texts, metadata, vectors=None, progress=None))]
    fn upsert<'py>(
        &self,
        py: Python<'py>,
        ids: Vec<String>,
        texts: &Bound<'py, PyList>,
        metadata: &Bound<'py, PyList>,
        vectors: Option<PyReadonlyArray2<'py, f32>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(usize, usize, usize)> {
        let open = self.open()?;
        let documents = documents_of(ids, texts, metadata)?;
        let vectors = vectors.map(|array| arrays::embeddings(&array, "the vectors")).transpose()?;
        if let Some(vectors) = &vectors {
            check_shape(vectors, open.pool.model().dimension, documents.len())?;
        }
        let (upserted, unchanged) =
            self.run(py, progress, move |open, watch| upsert(open, documents, vectors, watch))?;
        Ok((upserted.added, upserted.replaced, unchanged))
    }

    /// Deletes documents, and tells which of them existed.
    fn delete(&self, py: Python<'_>, ids: Vec<String>) -> PyResult<Vec<bool>> {
        self.run(py, None, move |open, _| {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            open.call(|engine| Ok(engine.delete(&ids)?))
        })
    }

    /// Brings the table up to date with files and folders. Gives a report, and the files that were skipped with their reasons.
    #[pyo3(signature = (paths, options, program, progress=None))]
    #[allow(clippy::type_complexity)] // a plain tuple for a caller in Python
    fn add_files<'py>(
        &self,
        py: Python<'py>,
        paths: Vec<PathBuf>,
        options: FileOptions,
        program: Option<PathBuf>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyDict>, Vec<(String, String)>)> {
        let sync = options.sync;
        let options = options.of_corpus(program)?;
        let (report, skipped) =
            self.run(py, progress, move |open, watch| add_files(open, &paths, &options, sync, watch))?;
        Ok((report_dict(py, &report)?, skipped))
    }

    /// Has the engine build what searches need.
    #[pyo3(signature = (progress=None))]
    fn optimize(&self, py: Python<'_>, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.run(py, progress, |open, watch| {
            open.call(|engine| Ok(engine.finish(&|done, total| watch.tell("graph", done, total))?))
        })
    }

    /// The answers to texts, in their order.
    #[pyo3(signature = (texts, manner, reranker=None))]
    fn ask<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
        manner: Manner,
        reranker: Option<Reranker<'py>>,
    ) -> PyResult<Vec<Hits>> {
        let reranker = reranker.map(|reranker| reranker.model());
        let answers = self.run(py, None, move |open, watch| {
            let (mode, filter) = (mode_of(&manner)?, filter_of(&manner)?);
            let options = ask_options(&manner, None);
            let encoder = match mode {
                Some(akin_query::Mode::Keyword) => None,
                _ => Some(open.encoder()?),
            };
            let mut answers = Vec::with_capacity(texts.len());
            for chunk in texts.chunks(CHUNK) {
                if watch.flow().is_break() {
                    return Err(akin_index::Cancelled.into());
                }
                let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
                let asked = open.pool.with(|engine| {
                    let mut searcher = match EngineSearcher::new(engine, encoder.clone(), mode) {
                        Ok(searcher) => searcher,
                        Err(error) => return (Err(Failure::from(error)), None),
                    };
                    if let Some(model) = reranker.clone() {
                        searcher = searcher.with_reranker(model, manner.depth, manner.weight);
                    }
                    let asked = searcher.ask_all(&chunk, &options, filter.as_ref()).map_err(Failure::from);
                    let has_failed = matches!(&asked, Err(failure) if failure.is_of_connection());
                    (asked, (!has_failed).then(|| searcher.into_engine()))
                })?;
                answers.extend(asked);
            }
            Ok(answers)
        })?;
        answers.into_iter().map(|answer| Hits::new(py, answer, None)).collect()
    }

    /// The `k` documents nearest to one vector.
    fn nearest_to<'py>(
        &self,
        py: Python<'py>,
        vector: PyReadonlyArray1<'py, f32>,
        k: usize,
    ) -> PyResult<Hits> {
        let query = vector.as_slice().map_err(|_| Failure::invalid("the query is not contiguous"))?.to_vec();
        check_most(k)?;
        let hits = self.run(py, None, move |open, _| nearest(open, &query, &Ask { k, ..Ask::default() }))?;
        Hits::new(py, Answer::new("", hits), None)
    }

    /// The documents nearest to each row of an array.
    fn nearest<'py>(
        &self,
        py: Python<'py>,
        vectors: PyReadonlyArray2<'py, f32>,
        manner: Manner,
    ) -> PyResult<Vec<Hits>> {
        let queries = arrays::embeddings(&vectors, "the queries")?;
        let answers = self.run(py, None, move |open, watch| {
            let wanted = manner.k.saturating_add(manner.offset);
            check_most(wanted)?;
            let ask = Ask { k: wanted, ef: manner.ef, exact: manner.exact, filter: filter_of(&manner)? };
            let mut answers = Vec::with_capacity(queries.rows());
            for query in queries.iter() {
                if watch.flow().is_break() {
                    return Err(akin_index::Cancelled.into());
                }
                answers.push(manner.kept(nearest(open, query, &ask)?));
            }
            Ok(answers)
        })?;
        answers.into_iter().map(|answer| Hits::new(py, answer, None)).collect()
    }

    #[getter]
    fn generation(&self) -> PyResult<u64> {
        self.refuse("the number of a commit", "only an index in a folder or a bucket has commits")
    }

    fn snapshot(&self) -> PyResult<Self> {
        self.refuse("a snapshot", "open an index in a folder, or copy it there with `akin copy`")
    }

    #[allow(unused_variables)] // the signature is that of an index
    fn vectors(&self, id: &str) -> PyResult<()> {
        self.refuse("the vectors of a document", "`akin export --vectors` writes those of all")
    }

    #[pyo3(signature = (progress=None))]
    #[allow(unused_variables)] // the signature is that of an index
    fn compact(&self, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.refuse("compaction", "the server does that by itself")
    }

    #[pyo3(signature = (progress=None))]
    #[allow(unused_variables)] // the signature is that of an index
    fn verify(&self, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.refuse("a check of every byte", "the server keeps them: use its own tools")
    }
}

fn found(open: &Open, ids: &[String]) -> Result<Vec<Option<Document>>> {
    // An engine is asked for ids that differ.
    let mut names: Vec<&str> = ids.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let documents = open.call(|engine| Ok(engine.get(&names)?))?;
    Ok(ids
        .iter()
        .map(|id| names.binary_search(&id.as_str()).ok().and_then(|at| documents[at].clone()))
        .collect())
}

fn filter_of(manner: &Manner) -> Result<Option<Filter>> {
    Ok(manner.filter.as_deref().map(Filter::parse).transpose()?)
}

fn nearest(open: &Open, query: &[f32], ask: &Ask) -> Result<Vec<akin_index::Hit>> {
    if query.iter().any(|value| !value.is_finite()) {
        return Err(Failure::invalid("the query has a value that is no finite number"));
    }
    open.call(|engine| Ok(engine.nearest(query, ask)?))
}

fn upsert(
    open: &Open,
    mut documents: Vec<Document>,
    vectors: Option<Embeddings>,
    watch: &Watch,
) -> Result<(Upserted, usize)> {
    let total = documents.len();
    if let Some(vectors) = vectors {
        let upserted = open.call(|engine| Ok(engine.upsert(&documents, None, &vectors)?))?;
        return Ok((upserted, 0));
    }
    let encoder = open.encoder()?;
    let mut same = open.call(|engine| Ok(engine.unchanged(&documents)?))?.into_iter();
    documents.retain(|_| !same.next().unwrap_or(false));
    let unchanged = total - documents.len();
    if documents.is_empty() {
        return Ok((Upserted::default(), unchanged));
    }
    let mut passages = PassageEncoder::new(&encoder, open.pool.model().passages)?;
    let encoded = passages.encode_with(&documents, &mut || watch.flow())?;
    let (passages, embeddings) = (encoded.passages.as_deref(), &encoded.encoding.embeddings);
    let upserted = open.call(|engine| Ok(engine.upsert(&documents, passages, embeddings)?))?;
    Ok((upserted, unchanged))
}

fn add_files(
    open: &Open,
    paths: &[PathBuf],
    options: &CorpusOptions,
    sync: bool,
    watch: &Watch,
) -> Result<(IndexingReport, Vec<(String, String)>)> {
    let corpus = CorpusReader::open(paths, options)?;
    let documents = Shards::open(corpus, std::num::NonZeroUsize::MIN, &mut |surveyed| {
        watch.tell("reading", surveyed.documents, 0)
    })?;
    let skipped = documents.skipped().into_iter().map(|file| (file.file, file.reason)).collect();
    let source = match sync {
        true => Some(tables::source_of(paths)?),
        false => None,
    };
    let encoder = open.encoder()?;
    let mut hear = |progress: Progress| -> ControlFlow<()> {
        match progress.phase {
            Phase::Sealing { done, total } => watch.tell("graph", done, total),
            _ => watch.tell("indexing", progress.done, progress.documents),
        }
    };
    let report = open.call(|engine| {
        Ok(tables::index_documents(engine, &encoder, documents, source.as_deref(), &mut hear)?)
    })?;
    Ok((report, skipped))
}

/// The documents of a table, one after the other.
#[pyclass(frozen, module = "akin._akin")]
pub struct TableDocuments {
    count: usize,
    documents: Mutex<Receiver<Result<Document>>>,
}

#[pymethods]
impl TableDocuments {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __len__(&self) -> usize {
        self.count
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fork::check()?;
        match py.detach(|| lock(&self.documents).recv()) {
            Ok(document) => as_tuple(py, document?),
            Err(_) => Err(PyStopIteration::new_err(())),
        }
    }
}
