//! Changes of a table.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;

use akin_index::{Document, Embeddings, Upserted};
use akin_indexer::corpus::{CorpusOptions, CorpusReader};
use akin_indexer::passages::PassageEncoder;
use akin_indexer::pipeline::{IndexingReport, Phase, Progress};
use akin_indexer::shard::Shards;
use akin_indexer::tables;
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::{Open, Table};
use crate::arrays;
use crate::changes::{FileOptions, check_shape, documents_of, report_dict};
use crate::errors::Result;
use crate::long::Watch;

#[pymethods]
impl Table {
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
    let documents = Shards::open(corpus, NonZeroUsize::MIN, &mut |surveyed| {
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
