//! What a search found, as Python has it.

use std::sync::Arc;

use akin_index::Snapshot;
use akin_query::answer::FoundPassage;
use akin_query::{Answer, RankedHit, Searcher};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySlice};

use crate::errors::Failure;
use crate::values;

/// A document that a search found.
///
/// Attributes:
///     rank: its place, from 1.
///     score: how similar query and document are; higher is better.
///     id: the id of the document.
///     text: its whole text.
///     passage: the part of the text that was found, or None where the document is one passage.
///     passages: its best passages, where several were asked for.
///     metadata: its other fields, a dict.
#[pyclass(frozen, sequence, module = "akin")]
pub struct Hit {
    answer: Arc<Answer>,
    /// Which hit of the answer.
    at: usize,
}

impl Hit {
    fn hit(&self) -> &RankedHit {
        &self.answer.hits[self.at]
    }
}

#[pymethods]
impl Hit {
    #[getter]
    fn rank(&self) -> usize {
        self.hit().rank
    }

    #[getter]
    fn score(&self) -> f32 {
        self.hit().score
    }

    #[getter]
    fn id(&self) -> &str {
        &self.hit().id
    }

    #[getter]
    fn text(&self) -> &str {
        &self.hit().text
    }

    #[getter]
    fn passage(&self) -> Option<Passage> {
        self.hit().passage.clone().map(|found| Passage::new(found, &self.hit().text))
    }

    #[getter]
    fn passages(&self) -> Vec<Passage> {
        let passages = self.hit().passages.iter().cloned();
        passages.map(|found| Passage::new(found, &self.hit().text)).collect()
    }

    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        values::dict(py, &self.hit().metadata)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, field: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.hit().metadata.get(field) {
            Some(value) => values::object(py, value),
            None => Err(pyo3::exceptions::PyKeyError::new_err(field.to_owned())),
        }
    }

    fn __repr__(&self) -> String {
        let shown = self.hit().passage.as_ref().map_or(&self.hit().text, |passage| &passage.text);
        let text: String = shown.chars().take(80).collect();
        let more = if text.len() < shown.len() { "…" } else { "" };
        format!("Hit({:.4}, id={:?}, text={:?})", self.hit().score, self.hit().id, text + more)
    }
}

/// A part of a document's text.
///
/// Attributes:
///     text: its text.
///     start: where it begins in the document's text, in characters: `hit.text[start:end] == text`.
///     end: where it ends.
///     score: how it scores by itself, where several were asked for; else None.
#[pyclass(frozen, get_all, module = "akin")]
#[derive(Clone)]
pub struct Passage {
    text: String,
    start: usize,
    end: usize,
    score: Option<f32>,
}

impl Passage {
    /// Places are bytes in the library, and characters in Python.
    fn new(found: FoundPassage, of: &str) -> Self {
        let chars = |bytes: usize| of.get(..bytes).map_or(0, |before| before.chars().count());
        let start = chars(found.start);
        Self { start, end: start + found.text.chars().count(), text: found.text, score: found.score }
    }
}

#[pymethods]
impl Passage {
    fn __repr__(&self) -> String {
        format!("Passage({:?}, start={}, end={})", self.text, self.start, self.end)
    }
}

/// The documents that a search found, best first: a sequence of :class:`Hit`.
///
/// Attributes:
///     query: the text that was asked for; empty for a vector.
///     facets: how often each value of a field is among the best hits, where fields were named: {field: {value: count}}.
#[pyclass(frozen, sequence, module = "akin")]
pub struct Hits {
    answer: Arc<Answer>,
    hits: Vec<Py<Hit>>,
    /// What tells which sentence to mark: of a text that was asked for.
    asked: Option<Asked>,
}

/// A searcher and the commit that it searched.
#[derive(Clone)]
pub struct Asked {
    pub searcher: Arc<Searcher>,
    pub snapshot: Arc<Snapshot>,
}

impl Hits {
    /// The hits of an answer.
    pub fn new(py: Python<'_>, answer: Answer, asked: Option<Asked>) -> PyResult<Self> {
        let answer = Arc::new(answer);
        let hits = (0..answer.hits.len()).map(|at| Py::new(py, Hit { answer: Arc::clone(&answer), at }));
        Ok(Self { hits: hits.collect::<PyResult<_>>()?, answer, asked })
    }
}

#[pymethods]
impl Hits {
    #[getter]
    fn query(&self) -> &str {
        &self.answer.query
    }

    #[getter]
    fn facets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let json = serde_json::to_value(&self.answer.facets);
        values::object(py, &json.map_err(|error| Failure::new("Error", error.to_string()))?)
    }

    /// The ids of the hits.
    #[getter]
    fn ids(&self) -> Vec<&str> {
        self.answer.hits.iter().map(|hit| hit.id.as_str()).collect()
    }

    /// The scores of the hits.
    #[getter]
    fn scores(&self) -> Vec<f32> {
        self.answer.hits.iter().map(|hit| hit.score).collect()
    }

    /// For each hit, what to mark: the passage, the nearest sentence or None, and the words of the query, as pairs of first and
    /// last character.
    #[allow(clippy::type_complexity)] // a plain tuple for a caller in Python
    fn marks(
        &self,
        py: Python<'_>,
    ) -> PyResult<Vec<((usize, usize), Option<(usize, usize)>, Vec<(usize, usize)>)>> {
        let Some(asked) = &self.asked else {
            let whole = |hit: &RankedHit| match &hit.passage {
                Some(passage) => {
                    let passage = Passage::new(passage.clone(), &hit.text);
                    (passage.start, passage.end)
                }
                None => (0, hit.text.chars().count()),
            };
            return Ok(self.answer.hits.iter().map(|hit| (whole(hit), None, Vec::new())).collect());
        };
        let highlights = py.detach(|| asked.searcher.highlights(&asked.snapshot, &self.answer));
        let marked = highlights.map_err(Failure::from)?.into_iter().zip(&self.answer.hits);
        let in_chars = |text: &str, range: std::ops::Range<usize>| {
            let chars = |bytes: usize| text.get(..bytes).map_or(0, |before| before.chars().count());
            (chars(range.start), chars(range.end))
        };
        let marks = marked.map(|(found, hit)| {
            let chars = |range| in_chars(&hit.text, range);
            (chars(found.passage), found.sentence.map(chars), found.words.into_iter().map(chars).collect())
        });
        Ok(marks.collect())
    }

    /// The answer as `akin query --json` prints it, without the end of the line.
    fn to_json(&self) -> PyResult<String> {
        let json = serde_json::to_string(&*self.answer);
        Ok(json.map_err(|error| Failure::new("Error", error.to_string()))?)
    }

    fn __len__(&self) -> usize {
        self.hits.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, at: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = at.cast::<PySlice>() {
            return PyList::new(py, &self.hits)?.as_any().get_item(slice);
        }
        let at: isize = at.extract()?;
        let place = if at < 0 { at + self.hits.len() as isize } else { at };
        let hit = usize::try_from(place).ok().and_then(|place| self.hits.get(place));
        match hit {
            Some(hit) => Ok(hit.bind(py).clone().into_any()),
            None => Err(PyIndexError::new_err(format!("there are {} hits", self.hits.len()))),
        }
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        PyList::new(py, &self.hits)?.as_any().try_iter().map(Bound::into_any)
    }

    fn __repr__(&self) -> String {
        let lines = self.hits.iter().map(|hit| hit.get().__repr__());
        format!("[{}]", lines.collect::<Vec<_>>().join(",\n "))
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let table = slf.py().import("akin._notebook")?.getattr("table")?.call1((slf,))?;
        Ok(table.unbind())
    }
}
