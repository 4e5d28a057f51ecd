//! An index, open to be read, and to be changed where somebody does.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use akin_encoder::{EncoderOptions, SentenceEncoder};
use akin_engines::bucket::CachedIndex;
use akin_index::{
    Document, Index as Writer, ModelIdentity, PassageSize, Reader, ReaderOptions, Reload, Similarity,
    Snapshot,
};
use akin_query::{json, model, remembered};
use numpy::PyArray2;
use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::encoder::{self, Encoder};
use crate::errors::{Failure, Result};
use crate::{arrays, bucket, fork, long, values};

/// What all objects of one open index share.
pub struct Open {
    /// The folder of its files.
    pub path: PathBuf,
    /// The copy in the user's cache, where the index is in a bucket. It is kept for as long as this lives.
    copy: Option<Arc<CachedIndex>>,
    reader: Reader,
    /// The length of a vector, which no commit changes.
    dimension: usize,
    /// The commit that is read, where it stays the same.
    pinned: Option<Arc<Snapshot>>,
    /// The name that was given to its model.
    named: Option<String>,
    options: EncoderOptions,
    /// The name of the numbers that the model computes in.
    precision: String,
    /// Loaded when it is needed first.
    encoder: Mutex<Option<Arc<SentenceEncoder>>>,
    /// Opened by the first change.
    writer: Mutex<Option<Writer>>,
}

impl Open {
    /// The commit to read.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.pinned.clone().unwrap_or_else(|| self.reader.snapshot())
    }

    /// The reader, which follows commits.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The model, loaded if it is not.
    pub fn encoder(&self) -> Result<Arc<SentenceEncoder>> {
        let mut loaded = lock(&self.encoder);
        if let Some(encoder) = &*loaded {
            return Ok(Arc::clone(encoder));
        }
        let snapshot = self.snapshot();
        snapshot.require_known_model()?;
        let identity = snapshot.model();
        let encoder = load_model(self.named.as_deref(), &self.options, identity)?;
        snapshot.require_model(encoder.fingerprint())?;
        let encoder = Arc::new(remembered::adopt(encoder, identity)?);
        *loaded = Some(Arc::clone(&encoder));
        Ok(encoder)
    }

    /// Refuses a snapshot, and an index in a bucket.
    pub fn require_changeable(&self) -> Result<()> {
        if let Some(copy) = &self.copy {
            return Err(bucket::unchanging(copy.place()));
        }
        match self.pinned.is_some() {
            true => Err(Failure::invalid("a snapshot is not changed: change the index that it is of")),
            false => Ok(()),
        }
    }

    /// Does something with the writer, which is opened if it is not. After a write that failed it goes on once the disk takes it.
    pub fn change<T>(&self, change: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        self.require_changeable()?;
        let mut writer = lock(&self.writer);
        if writer.is_none() {
            *writer = Some(Writer::open(&self.path)?);
        }
        match &mut *writer {
            Some(writer) => {
                writer.recover()?;
                change(writer)
            }
            None => Err(Failure::new("Error", "the writer is gone")),
        }
    }
}

/// The model that is named, else the one of an index or table, from where it was.
pub fn load_model(
    named: Option<&str>,
    options: &EncoderOptions,
    identity: &ModelIdentity,
) -> Result<SentenceEncoder> {
    Ok(match named {
        Some(name) => model::load(name, options)?,
        None => model::load(&identity.location, options).map_err(model::moved)?,
    })
}

/// What a panic may have left half done is checked by the index itself.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open index. `akin.Index` is the class for people.
#[pyclass(frozen, module = "akin._akin")]
pub struct Index {
    open: RwLock<Option<Arc<Open>>>,
}

impl Index {
    fn of(open: Open) -> Self {
        Self { open: RwLock::new(Some(Arc::new(open))) }
    }

    /// What is open, unless it was closed.
    pub fn open(&self) -> Result<Arc<Open>> {
        fork::check()?;
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.clone()
            .ok_or_else(|| Failure::new("Closed", "the index was closed: open it again with akin.open"))
    }
}

/// What an index is made for: a model, or vectors from elsewhere.
pub enum Made {
    For(Arc<SentenceEncoder>, ModelIdentity),
    Vectors(ModelIdentity),
}

#[pymethods]
impl Index {
    /// Opens the index at a path, or makes one.
    #[staticmethod]
    #[pyo3(signature = (path, create, model, encoder, precision, query_prompt, document_prompt, truncate_dim, dimension,
        similarity, passages))]
    #[allow(clippy::too_many_arguments)] // the Python side names them
    fn at(
        py: Python<'_>,
        mut path: PathBuf,
        create: bool,
        model: Option<String>,
        encoder: Option<PyRef<'_, Encoder>>,
        precision: &str,
        query_prompt: Option<String>,
        document_prompt: Option<String>,
        truncate_dim: Option<usize>,
        dimension: Option<usize>,
        similarity: Option<&str>,
        passages: Option<&str>,
    ) -> PyResult<Self> {
        fork::check()?;
        let options = encoder::options(precision, query_prompt, document_prompt, truncate_dim)?;
        let precision = encoder.as_ref().map_or(precision, |encoder| &encoder.precision).to_owned();
        let (given, similarity) =
            (encoder.map(|encoder| Arc::clone(&encoder.inner)), similarity.map(str::to_owned));
        let passages = passages.map(passage_size).transpose()?;
        let copy = match bucket::address(&path)? {
            Some(address) if create => return Err(bucket::unchanging(&address).into()),
            Some(address) => Some(bucket::fetch(py, address)?),
            None => None,
        };
        if let Some(copy) = &copy {
            path = copy.folder();
        }
        let opened = py.detach(move || {
            let mut writer = None;
            if create && Reader::open(&path).is_err() {
                let made =
                    made_for(model.as_deref(), given.clone(), &options, dimension, similarity.as_deref())?;
                let (identity, encoder) = match made {
                    Made::For(encoder, identity) => (
                        ModelIdentity { passages: passages.unwrap_or(PassageSize::Window), ..identity },
                        Some(encoder),
                    ),
                    Made::Vectors(identity) => (identity, None),
                };
                writer = Some((Writer::open_or_create(&path, &identity)?, encoder));
            }
            let reading = ReaderOptions { reload: Reload::OnChange, ..ReaderOptions::default() };
            let reader = Reader::open_with(&path, reading)?;
            let (writer, made_with) =
                writer.map_or((None, None), |(writer, encoder)| (Some(writer), encoder));
            let snapshot = reader.snapshot();
            let encoder = match made_with.or(given) {
                Some(encoder) => {
                    snapshot.require_model(encoder.fingerprint())?;
                    remembered::require(&encoder, snapshot.model())?;
                    Some(encoder)
                }
                None => None,
            };
            if let Some(asked) = dimension.filter(|asked| *asked != snapshot.model().dimension) {
                let found = snapshot.model().dimension;
                return Err(Failure::new(
                    "DimensionError",
                    format!("the index {} has vectors of {found} numbers, not {asked}", path.display()),
                ));
            }
            Ok(Open {
                path,
                copy,
                dimension: snapshot.model().dimension,
                reader,
                pinned: None,
                named: model,
                options,
                precision,
                encoder: Mutex::new(encoder),
                writer: Mutex::new(writer),
            })
        })?;
        Ok(Self::of(opened))
    }

    /// The same index at its present commit, which stays what it is.
    fn snapshot(&self) -> PyResult<Self> {
        let open = self.open()?;
        Ok(Self::of(Open {
            path: open.path.clone(),
            copy: open.copy.clone(),
            dimension: open.dimension,
            reader: open.reader.clone(),
            pinned: Some(open.snapshot()),
            named: open.named.clone(),
            options: open.options.clone(),
            precision: open.precision.clone(),
            encoder: Mutex::new(lock(&open.encoder).clone()),
            writer: Mutex::new(None),
        }))
    }

    /// Ends the use of the index. Another may change it then.
    fn close(&self, py: Python<'_>) {
        let open = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| {
            if let Some(open) = open {
                lock(&open.writer).take();
            }
        });
    }

    /// Lets others change the index, until it is changed here again.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let open = self.open()?;
        py.detach(|| drop(lock(&open.writer).take()));
        Ok(())
    }

    #[getter]
    fn closed(&self) -> bool {
        self.open.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Where the index was opened: a folder, or an address in a bucket.
    #[getter]
    fn path(&self) -> PyResult<OsString> {
        let open = self.open()?;
        Ok(match &open.copy {
            Some(copy) => copy.place().to_string().into(),
            None => open.path.clone().into_os_string(),
        })
    }

    /// Fetches what is new of an index in a bucket, and tells whether there was a newer commit. A folder is always up to date.
    fn refresh(&self, py: Python<'_>) -> PyResult<bool> {
        let open = self.open()?;
        match &open.copy {
            Some(copy) => bucket::refresh(py, Arc::clone(copy)),
            None => Ok(false),
        }
    }

    /// Whether the index knows the model of its vectors.
    #[getter]
    fn has_model(&self) -> PyResult<bool> {
        Ok(self.open()?.snapshot().model().is_known())
    }

    #[getter]
    fn dimension(&self) -> PyResult<usize> {
        Ok(self.open()?.dimension)
    }

    /// A number that changes with every commit.
    #[getter]
    fn generation(&self) -> PyResult<u64> {
        Ok(self.open()?.snapshot().generation())
    }

    /// The model of the index.
    fn encoder(&self, py: Python<'_>) -> PyResult<Encoder> {
        let open = self.open()?;
        Ok(Encoder { inner: py.detach(|| open.encoder())?, precision: open.precision.clone() })
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.open()?.snapshot().len())
    }

    /// Whether there is a document of each id.
    fn contains(&self, py: Python<'_>, ids: Vec<String>) -> PyResult<Vec<bool>> {
        let snapshot = self.open()?.snapshot();
        let find = || ids.iter().map(|id| Ok(snapshot.find(id)?.is_some())).collect::<Result<Vec<_>>>();
        Ok(py.detach(find)?)
    }

    /// The documents of ids as (id, text, metadata), or None.
    fn get<'py>(&self, py: Python<'py>, ids: Vec<String>) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
        let snapshot = self.open()?.snapshot();
        let get = || ids.iter().map(|id| Ok(snapshot.get(id)?)).collect::<Result<Vec<_>>>();
        let found = py.detach(get)?;
        found
            .into_iter()
            .map(|document| document.map(|document| as_tuple(py, document)).transpose())
            .collect()
    }

    /// The vectors of a document's passages, of shape (passages, dimension); None if there is no such document.
    fn vectors<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Option<Bound<'py, PyArray2<f32>>>> {
        let snapshot = self.open()?.snapshot();
        let Some(doc) = snapshot.find(id).map_err(Failure::from)? else { return Ok(None) };
        let values = snapshot.vectors(doc).map_err(Failure::from)?.concat();
        let dimension = snapshot.model().dimension;
        arrays::matrix(py, akin_index::Embeddings::from_values(dimension, values)).map(Some)
    }

    /// All documents of the present commit.
    fn documents(&self) -> PyResult<Documents> {
        let snapshot = self.open()?.snapshot();
        let docs = snapshot.docs().map_err(Failure::from)?;
        Ok(Documents { snapshot, docs, at: Mutex::new(0) })
    }

    /// The figures of the index.
    fn stat<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let snapshot = self.open()?.snapshot();
        let stat = py.detach(|| snapshot.stat()).map_err(Failure::from)?;
        match json::stat(&stat) {
            serde_json::Value::Object(figures) => values::dict(py, &figures),
            _ => Ok(PyDict::new(py)),
        }
    }

    /// Checks every byte.
    #[pyo3(signature = (progress=None))]
    fn verify<'py>(
        &self,
        py: Python<'py>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let snapshot = self.open()?.snapshot();
        let checked = long::run(py, progress, move |watch| {
            Ok(snapshot.verify_with(&|done, total| watch.tell("verifying", done as usize, total as usize))?)
        })?;
        let figures = PyDict::new(py);
        figures.set_item("documents", checked.documents)?;
        figures.set_item("blocks", checked.chunks)?;
        figures.set_item("bytes", checked.bytes)?;
        Ok(figures)
    }
}

/// A document as (id, text, metadata).
pub fn as_tuple(py: Python<'_>, document: Document) -> PyResult<Bound<'_, PyAny>> {
    let metadata = values::dict(py, &document.metadata)?;
    Ok((document.id, document.text, metadata).into_pyobject(py)?.into_any())
}

/// What an index that is not there is made for.
pub fn made_for(
    name: Option<&str>,
    given: Option<Arc<SentenceEncoder>>,
    options: &EncoderOptions,
    dimension: Option<usize>,
    similarity: Option<&str>,
) -> Result<Made> {
    if let Some(dimension) = dimension {
        if dimension == 0 {
            return Err(Failure::invalid("a vector has one number at least"));
        }
        let similarity = match similarity {
            None => Similarity::default(),
            Some(name) => Similarity::from_name(name).ok_or_else(|| {
                Failure::invalid(format!(
                    "there is no similarity {name:?}: \"cosine\", \"dot\", \"euclidean\" and \"manhattan\" are"
                ))
            })?,
        };
        return Ok(Made::Vectors(ModelIdentity { similarity, ..ModelIdentity::unknown(dimension) }));
    }
    let (encoder, name) = match (given, name) {
        (Some(encoder), Some(name)) => (encoder, name.to_owned()),
        (Some(encoder), None) => {
            let directory = encoder.directory().to_string_lossy().into_owned();
            (encoder, directory)
        }
        (None, name) => {
            let name = name.unwrap_or(akin_encoder::DEFAULT_MODEL);
            (Arc::new(model::load(name, options)?), name.to_owned())
        }
    };
    let identity = model::identity(&name, &encoder)?;
    Ok(Made::For(encoder, identity))
}

/// How long texts are cut: "auto", "none", or a number of tokens.
pub fn passage_size(name: &str) -> Result<PassageSize> {
    match (name, name.parse()) {
        ("auto", _) => Ok(PassageSize::Window),
        ("none", _) => Ok(PassageSize::Whole),
        (_, Ok(tokens)) if tokens > 0 => Ok(PassageSize::Tokens(tokens)),
        _ => Err(Failure::invalid(format!(
            "passages={name:?} is none of \"auto\", None and a number of tokens"
        ))),
    }
}

/// The documents of a commit, one after the other.
#[pyclass(frozen, module = "akin._akin")]
pub struct Documents {
    snapshot: Arc<Snapshot>,
    docs: Vec<akin_index::DocId>,
    at: Mutex<usize>,
}

#[pymethods]
impl Documents {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __len__(&self) -> usize {
        self.docs.len()
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fork::check()?;
        let place = {
            let mut at = lock(&self.at);
            *at += 1;
            *at - 1
        };
        match self.docs.get(place) {
            None => Err(PyStopIteration::new_err(())),
            Some(doc) => as_tuple(py, self.snapshot.document(*doc).map_err(Failure::from)?),
        }
    }
}
