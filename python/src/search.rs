//! Searches of an index.

use std::sync::Arc;

use akin_index::{Embeddings, Filter, SearchOptions, Selection, Snapshot};
use akin_query::rerank::RerankModel;
use akin_query::{Answer, AskOptions, Mode, Searcher};
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::encoder::{Encoder, Scorer};
use crate::errors::{Failure, Result};
use crate::hits::{Asked, Hits};
use crate::index::{Index, Open};
use crate::long::Watch;
use crate::{arrays, long};

/// Queries that are answered in one call. Between two calls the work can be stopped.
const CHUNK: usize = 256;

/// Queries that are answered on the calling thread.
const SHORT: usize = 16;

/// The most hits that a search by vector passes over or gives: room is made for them.
const MOST: usize = 1 << 24;

/// How to search, as the Python side gives it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Manner {
    pub k: usize,
    mode: Option<String>,
    pub filter: Option<String>,
    pub ef: Option<usize>,
    pub exact: bool,
    pub offset: usize,
    min_score: Option<f32>,
    diverse: bool,
    per_document: usize,
    facets: Vec<String>,
    like: Vec<String>,
    unlike: Vec<String>,
    pub depth: usize,
    pub weight: Option<f32>,
}

impl Manner {
    /// The answer to a vector of which `k` and `offset` documents together were found.
    pub fn kept(&self, hits: Vec<akin_index::Hit>) -> Answer {
        let good = |hit: &akin_index::Hit| self.min_score.is_none_or(|least| hit.score >= least);
        let mut answer = Answer::new("", hits.into_iter().filter(good).skip(self.offset).collect());
        answer.hits.iter_mut().for_each(|hit| hit.rank += self.offset);
        answer
    }
}

/// What ranks again.
#[derive(FromPyObject)]
pub enum Reranker<'py> {
    Pairs(PyRef<'py, Scorer>),
    Sentences(PyRef<'py, Encoder>),
}

impl Reranker<'_> {
    /// The model, to be used by any thread.
    pub fn model(&self) -> RerankModel {
        match self {
            Self::Pairs(scorer) => Arc::clone(&scorer.inner).into(),
            Self::Sentences(encoder) => Arc::clone(&encoder.inner).into(),
        }
    }
}

#[pymethods]
impl Index {
    /// The answers to texts, in their order.
    #[pyo3(signature = (texts, manner, reranker=None))]
    fn ask<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
        manner: Manner,
        reranker: Option<Reranker<'py>>,
    ) -> PyResult<Vec<Hits>> {
        let open = self.open()?;
        let reranker = reranker.map(|reranker| reranker.model());
        let prepare = move |open: &Open, manner: &Manner| -> Result<_> {
            let snapshot = open.snapshot();
            let mut searcher = searcher(open, manner, &snapshot)?;
            if let Some(model) = reranker {
                searcher = searcher.with_reranker(model, manner.depth);
            }
            if let Some(weight) = manner.weight {
                searcher = searcher.with_rerank_weight(weight);
            }
            let options = ask_options(manner, select(&snapshot, manner.filter.as_deref())?);
            Ok((Arc::new(searcher), snapshot, options))
        };
        let (answers, asked) = match texts.len() {
            ..=SHORT => py.detach(move || -> Result<_> {
                let (searcher, snapshot, options) = prepare(&open, &manner)?;
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                let answers = searcher.ask_all(&snapshot, &texts, &options)?.0;
                Ok((answers, Asked { searcher, snapshot }))
            })?,
            _ => long::run(py, None, move |watch| {
                let (searcher, snapshot, options) = prepare(&open, &manner)?;
                let answers = ask_all(&searcher, &snapshot, &texts, &options, watch)?;
                Ok((answers, Asked { searcher, snapshot }))
            })?,
        };
        answers.into_iter().map(|answer| Hits::new(py, answer, Some(asked.clone()))).collect()
    }

    /// The `k` documents nearest to one vector, for a search that asks for nothing else: without the dict of [`Manner`], which takes
    /// as long as a quarter of such a search.
    fn nearest_to<'py>(
        &self,
        py: Python<'py>,
        vector: PyReadonlyArray1<'py, f32>,
        k: usize,
    ) -> PyResult<Hits> {
        let open = self.open()?;
        let query = vector.as_slice().map_err(|_| Failure::invalid("the query is not contiguous"))?;
        if query.iter().any(|value| !value.is_finite()) {
            return Err(Failure::invalid("the query has a value that is no finite number").into());
        }
        check_most(k)?;
        let options = SearchOptions { k, ..SearchOptions::default() };
        let hits = py.detach(|| open.snapshot().search(query, &options)).map_err(Failure::from)?;
        Hits::new(py, Answer::new("", hits), None)
    }

    /// The documents nearest to each row of an array.
    fn nearest<'py>(
        &self,
        py: Python<'py>,
        vectors: PyReadonlyArray2<'py, f32>,
        manner: Manner,
    ) -> PyResult<Vec<Hits>> {
        let open = self.open()?;
        let queries = arrays::embeddings(&vectors, "the queries")?;
        let answers = match queries.rows() {
            ..=SHORT => py.detach(|| nearest_all(&open, &queries, &manner, &Watch::default()))?,
            _ => long::run(py, None, move |watch| nearest_all(&open, &queries, &manner, watch))?,
        };
        answers.into_iter().map(|answer| Hits::new(py, answer, None)).collect()
    }
}

/// By what documents are to be found; None for what finds most.
pub fn mode_of(manner: &Manner) -> Result<Option<Mode>> {
    Ok(match manner.mode.as_deref() {
        None => None,
        Some("semantic") => Some(Mode::Semantic),
        Some("keyword") => Some(Mode::Keyword),
        Some("hybrid") => Some(Mode::Hybrid),
        Some(other) => {
            return Err(Failure::invalid(format!(
                "there is no mode {other:?}: \"semantic\", \"keyword\" and \"hybrid\" are"
            )));
        }
    })
}

/// A searcher for one call. A model is loaded only where it is needed.
fn searcher(open: &Open, manner: &Manner, snapshot: &Snapshot) -> Result<Searcher> {
    let mode = mode_of(manner)?;
    if mode == Some(Mode::Keyword) {
        return Ok(Searcher::without_model(open.reader().clone(), Mode::Keyword));
    }
    let searcher = Searcher::new(open.reader().clone(), open.encoder()?)?;
    Ok(match mode {
        Some(mode) => searcher.with_mode(mode)?,
        None => searcher.with_mode(Mode::best_of(snapshot)?)?.with_plain_texts(),
    })
}

fn select(snapshot: &Snapshot, filter: Option<&str>) -> Result<Option<Selection>> {
    match filter {
        None => Ok(None),
        Some(text) => Ok(Some(snapshot.select(&Filter::parse(text)?)?)),
    }
}

/// The same for what answers texts.
pub fn ask_options(manner: &Manner, among: Option<Selection>) -> AskOptions {
    AskOptions {
        search: SearchOptions { k: manner.k, ef: manner.ef, exact: manner.exact, among },
        offset: manner.offset,
        min_score: manner.min_score,
        diverse: manner.diverse,
        per_document: manner.per_document,
        facets: manner.facets.clone(),
        like: manner.like.clone(),
        unlike: manner.unlike.clone(),
    }
}

fn ask_all(
    searcher: &Searcher,
    snapshot: &Snapshot,
    texts: &[String],
    options: &AskOptions,
    watch: &Watch,
) -> Result<Vec<Answer>> {
    let mut answers = Vec::with_capacity(texts.len());
    for chunk in texts.chunks(CHUNK) {
        if watch.flow().is_break() {
            return Err(akin_index::Cancelled.into());
        }
        let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
        answers.extend(searcher.ask_all(snapshot, &chunk, options)?.0);
    }
    Ok(answers)
}

/// Refuses more hits than room can be made for.
pub fn check_most(wanted: usize) -> Result<()> {
    match wanted > MOST {
        true => Err(Failure::invalid(format!("k and offset are {wanted} together, and {MOST} at most"))),
        false => Ok(()),
    }
}

fn nearest_all(open: &Open, queries: &Embeddings, manner: &Manner, watch: &Watch) -> Result<Vec<Answer>> {
    let snapshot = open.snapshot();
    let wanted = manner.k.saturating_add(manner.offset);
    check_most(wanted)?;
    let among = select(&snapshot, manner.filter.as_deref())?;
    let options = SearchOptions { k: wanted, ef: manner.ef, exact: manner.exact, among };
    if let [query] = &queries.iter().collect::<Vec<_>>()[..] {
        return Ok(vec![manner.kept(snapshot.search(query, &options)?)]);
    }
    let mut answers = Vec::with_capacity(queries.rows());
    let width = queries.dimension();
    for chunk in queries.as_slice().chunks(CHUNK * width) {
        if watch.flow().is_break() {
            return Err(akin_index::Cancelled.into());
        }
        let chunk = Embeddings::from_values(width, chunk.to_vec());
        answers.extend(snapshot.search_all(&chunk, &options)?.into_iter().map(|hits| manner.kept(hits)));
    }
    Ok(answers)
}
