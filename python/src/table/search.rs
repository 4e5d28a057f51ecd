//! Searches of a table.

use akin_engines::Ask;
use akin_index::{Filter, Hit};
use akin_query::{Answer, EngineSearcher, Mode};
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

use super::{Open, Table};
use crate::arrays;
use crate::errors::{Failure, Result};
use crate::hits::Hits;
use crate::search::{Manner, Reranker, ask_options, check_most, mode_of};

/// Queries that are encoded together. Between two calls the work can be stopped.
const CHUNK: usize = 256;

#[pymethods]
impl Table {
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
                Some(Mode::Keyword) => None,
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
}

fn filter_of(manner: &Manner) -> Result<Option<Filter>> {
    Ok(manner.filter.as_deref().map(Filter::parse).transpose()?)
}

fn nearest(open: &Open, query: &[f32], ask: &Ask) -> Result<Vec<Hit>> {
    if query.iter().any(|value| !value.is_finite()) {
        return Err(Failure::invalid("the query has a value that is no finite number"));
    }
    open.call(|engine| Ok(engine.nearest(query, ask)?))
}
