//! Changes of an index.

use std::ops::ControlFlow;
use std::path::PathBuf;

use akin_index::{Document, Embeddings, Index as Writer, Upserted};
use akin_indexer::corpus::{CorpusOptions, CorpusReader, Encoding, Skipped};
use akin_indexer::passages::PassageEncoder;
use akin_indexer::pipeline::{self, IndexingReport, Phase, Progress};
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping};

use crate::errors::{Failure, Result};
use crate::index::{Index, Open};
use crate::long::Watch;
use crate::{arrays, long, values};

#[pymethods]
impl Index {
    /// Adds documents, or replaces those of the same ids; on the disk when it returns. Gives how many were added, replaced and
    /// there already.
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
            check_shape(vectors, open.snapshot().model().dimension, documents.len())?;
        }
        let (upserted, unchanged) =
            long::run(py, progress, move |watch| upsert(&open, documents, vectors, watch))?;
        Ok((upserted.added, upserted.replaced, unchanged))
    }

    /// Deletes documents, and tells which of them existed; on the disk when it returns.
    fn delete(&self, py: Python<'_>, ids: Vec<String>) -> PyResult<Vec<bool>> {
        let open = self.open()?;
        let delete = || {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            open.change(|writer| Ok(writer.delete(&ids)?))
        };
        Ok(py.detach(delete)?)
    }

    /// Brings the index up to date with files and folders. Gives a report, and the files that were skipped with their reasons.
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
        let open = self.open()?;
        let options = options.of_corpus(program)?;
        let (report, skipped) =
            long::run(py, progress, move |watch| add_files(&open, &paths, &options, watch))?;
        let skipped = skipped.into_iter().map(|file| (file.file, file.reason)).collect();
        Ok((report_dict(py, &report)?, skipped))
    }

    /// Builds the graphs of documents that have none, and merges segments that are many.
    #[pyo3(signature = (progress=None))]
    fn optimize(&self, py: Python<'_>, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let open = self.open()?;
        long::run(py, progress, move |watch| {
            let graph = |done, total| watch.tell("graph", done, total);
            open.change(|writer| {
                writer.seal(&graph)?;
                Ok(writer.merge(&graph)?)
            })?;
            if !open.snapshot().model().is_known() {
                return Ok(());
            }
            let encoder = open.encoder()?;
            open.change(|writer| {
                let documents = writer.len();
                Ok(pipeline::estimate_trust(writer, &encoder, documents)?)
            })
        })
    }

    /// Makes one segment of all, without what was deleted.
    #[pyo3(signature = (progress=None))]
    fn compact<'py>(
        &self,
        py: Python<'py>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let open = self.open()?;
        let compacted = long::run(py, progress, move |watch| {
            open.change(|writer| Ok(writer.compact(&|done, total| watch.tell("graph", done, total))?))
        })?;
        let figures = PyDict::new(py);
        figures.set_item("documents", compacted.documents)?;
        figures.set_item("removed", compacted.removed)?;
        figures.set_item("bytes_before", compacted.bytes_before)?;
        figures.set_item("bytes_after", compacted.bytes_after)?;
        Ok(figures)
    }
}

/// How files are read, as the Python side gives it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct FileOptions {
    text_field: String,
    id_field: String,
    include: Vec<String>,
    exclude: Vec<String>,
    pub sync: bool,
    encoding: Option<String>,
}

impl FileOptions {
    /// The same for a reader of corpora. `program` is a Python that reads the files that may harm their reader.
    pub fn of_corpus(self, program: Option<PathBuf>) -> Result<CorpusOptions> {
        let encoding = match self.encoding {
            None => None,
            Some(name) => Some(
                Encoding::for_label(name.as_bytes())
                    .ok_or_else(|| Failure::invalid(format!("there is no encoding {name:?}")))?,
            ),
        };
        Ok(CorpusOptions {
            text_field: self.text_field,
            id_field: self.id_field,
            include: self.include,
            exclude: self.exclude,
            sync: self.sync,
            encoding,
            worker: program.map(|program| akin::commands::document_reader_of(&program, &["-m", "akin"])),
            ..CorpusOptions::default()
        })
    }
}

/// Documents of which Python has ids, texts and fields in three lists.
pub fn documents_of(
    ids: Vec<String>,
    texts: &Bound<'_, PyList>,
    metadata: &Bound<'_, PyList>,
) -> PyResult<Vec<Document>> {
    let mut documents = Vec::with_capacity(ids.len());
    for ((id, text), fields) in ids.into_iter().zip(texts.iter()).zip(metadata.iter()) {
        let text = values::text(&text, &format!("the text of {id:?}"))?;
        let fields = match fields.is_none() {
            true => akin_index::Metadata::new(),
            false => values::fields(fields.cast::<PyMapping>()?, &[])?,
        };
        documents.push(Document { id, text, metadata: fields });
    }
    Ok(documents)
}

/// Refuses vectors that are not one for each document, or of another length than those of the index.
pub fn check_shape(vectors: &Embeddings, dimension: usize, documents: usize) -> Result<()> {
    if vectors.rows() != documents {
        let rows = vectors.rows();
        return Err(Failure::invalid(format!(
            "there are {rows} vectors and {documents} documents: each needs one"
        )));
    }
    match vectors.dimension() == dimension {
        true => Ok(()),
        false => Err(Failure::new(
            "DimensionError",
            format!("the index has vectors of {dimension} numbers, and these have {}", vectors.dimension()),
        )),
    }
}

fn upsert(
    open: &Open,
    documents: Vec<Document>,
    vectors: Option<Embeddings>,
    watch: &Watch,
) -> Result<(Upserted, usize)> {
    let total = documents.len();
    if let Some(vectors) = vectors {
        let upserted = open.change(|writer| {
            Ok(writer.upsert_passages_with(&documents, None, &vectors, &|_, _| watch.flow())?)
        })?;
        return Ok((upserted, 0));
    }
    // Before anything is encoded in vain.
    open.require_changeable()?;
    let (encoder, snapshot) = (open.encoder()?, open.snapshot());
    let mut changed = Vec::with_capacity(total);
    for document in documents {
        if !snapshot.is_unchanged(&document)? {
            changed.push(document);
        }
    }
    let unchanged = total - changed.len();
    if changed.is_empty() {
        return Ok((Upserted::default(), unchanged));
    }
    let mut passages = PassageEncoder::new(&encoder, snapshot.model().passages)?;
    let encoded = passages.encode_with(&changed, &mut || watch.flow())?;
    let upserted = open.change(|writer| Ok(encoded.upsert_with(writer, &changed, &|_, _| watch.flow())?))?;
    Ok((upserted, unchanged))
}

fn add_files(
    open: &Open,
    paths: &[PathBuf],
    options: &CorpusOptions,
    watch: &Watch,
) -> Result<(IndexingReport, Vec<Skipped>)> {
    open.require_changeable()?;
    let mut corpus = CorpusReader::open(paths, options)?;
    let encoder = open.encoder()?;
    let report = open.change(|writer: &mut Writer| {
        Ok(akin_indexer::index_corpus(writer, &encoder, &mut corpus, &mut |progress| hear(watch, progress))?)
    })?;
    Ok((report, corpus.skipped()))
}

fn hear(watch: &Watch, progress: Progress) -> ControlFlow<()> {
    match progress.phase {
        Phase::Surveying => watch.tell("reading", progress.documents, 0),
        Phase::Encoding => watch.tell("indexing", progress.done, progress.documents),
        Phase::Sealing { done, total } | Phase::Merging { done, total } => watch.tell("graph", done, total),
    }
}

/// A report as a dict.
pub fn report_dict<'py>(py: Python<'py>, report: &IndexingReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, figure) in [
        ("read", report.read),
        ("added", report.added),
        ("replaced", report.replaced),
        ("unchanged", report.unchanged),
        ("duplicates", report.duplicates),
        ("removed", report.removed),
        ("skipped", report.skipped),
        ("passages", report.passages),
        ("truncated", report.truncated),
        ("tokens", report.tokens),
    ] {
        dict.set_item(name, figure)?;
    }
    dict.set_item("seconds", report.seconds)?;
    Ok(dict)
}
