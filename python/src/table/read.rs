//! What a table holds.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use akin_engines::{Error, Stored};
use akin_index::Document;
use akin_query::json;
use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{Open, Table};
use crate::errors::{Failure, Result};
use crate::index::{as_tuple, lock};
use crate::{fork, values};

/// Documents that an iteration reads ahead.
const AHEAD: usize = 256;

#[pymethods]
impl Table {
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

    /// All documents, oldest first, read while they are asked for: by a connection of its own, which an iteration that is left half done would
    /// keep from others.
    fn documents(&self, py: Python<'_>) -> PyResult<TableDocuments> {
        let count = self.__len__(py)?;
        let mut engine = self.run(py, None, |open, _| Ok(open.pool.address().clone().open()?))?;
        let (sender, documents) = sync_channel(AHEAD);
        let read = move || {
            let mut show = |stored: Stored| {
                sender.send(Ok(stored.document)).map_err(|_| Error::Index(akin_index::Error::Cancelled))
            };
            if let Err(error) = engine.each(&mut show) {
                // Nobody listens where the iteration was left: that is no failure.
                drop(sender.send(Err(Failure::from(error))));
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
