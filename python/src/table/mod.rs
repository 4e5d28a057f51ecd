//! A table of PostgreSQL or a collection of Milvus, as Python has it: what [`Index`](crate::index::Index) is for folders and buckets.
//!
//! `read` tells what it holds, `changes` and `search` do what their names say.

mod changes;
mod read;
mod search;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use akin_encoder::{EncoderOptions, SentenceEncoder};
use akin_engines::{Address, Engine, EngineOptions, Error, Pool};
use akin_index::{ModelIdentity, PassageSize};
use akin_indexer::passages::PassageEncoder;
use akin_query::remembered;
use pyo3::prelude::*;

use crate::encoder::{self, Encoder};
use crate::errors::{Failure, Result};
use crate::index::{Made, load_model, lock, made_for, passage_size};
use crate::long::Watch;
use crate::{fork, long};

/// Connections to one table, at most. Further threads wait for one.
const CONNECTIONS: usize = 8;

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
        let encoder = load_model(self.named.as_deref(), &self.options, identity)?;
        self.require_model(&encoder)?;
        let encoder = Arc::new(remembered::adopt(encoder, identity)?);
        *loaded = Some(Arc::clone(&encoder));
        Ok(encoder)
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
