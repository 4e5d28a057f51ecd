//! Structure in a set of embeddings: pairs, near duplicates, clusters. The Python side gives rows of length one.

use akin_mining::Sentences;
use akin_mining::cluster::{
    AGGLOMERATIVE_MAX_SENTENCES, Clustering, Cut, KmeansStep, agglomerative_with, kmeans,
};
use akin_mining::duplicates::near_duplicates_with;
use akin_mining::pairs::most_similar_with;
use numpy::{PyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::errors::Failure;
use crate::{arrays, fork, long};

/// The most similar pairs, best first, as (score, first row, second row).
#[pyfunction]
#[pyo3(signature = (embeddings, top, threshold, progress=None))]
pub fn pairs<'py>(
    py: Python<'py>,
    embeddings: PyReadonlyArray2<'py, f32>,
    top: usize,
    threshold: f32,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Vec<(f32, usize, usize)>> {
    fork::check()?;
    let embeddings = arrays::embeddings(&embeddings, "the embeddings")?;
    long::run(py, progress, move |watch| {
        let sentences = Sentences::of(&embeddings);
        let tell = |done, total| watch.tell("comparing", done, total);
        let found = most_similar_with(&sentences, top, threshold, &tell)?;
        Ok(found.pairs.into_iter().map(|pair| (pair.score, pair.first, pair.second)).collect())
    })
}

/// Groups of near duplicates: the row that is kept, and (row, score) of the others.
#[pyfunction]
#[pyo3(signature = (embeddings, threshold, progress=None))]
#[allow(clippy::type_complexity)] // a plain tuple for a caller in Python
pub fn duplicates<'py>(
    py: Python<'py>,
    embeddings: PyReadonlyArray2<'py, f32>,
    threshold: f32,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Vec<(usize, Vec<(usize, f32)>)>> {
    fork::check()?;
    let embeddings = arrays::embeddings(&embeddings, "the embeddings")?;
    long::run(py, progress, move |watch| {
        let sentences = Sentences::of(&embeddings);
        let found =
            near_duplicates_with(&sentences, threshold, &|done, total| watch.tell("comparing", done, total))?;
        let group = |group: akin_mining::duplicates::Group| {
            let others = group.duplicates.into_iter().map(|duplicate| (duplicate.row, duplicate.score));
            (group.kept, others.collect())
        };
        Ok(found.groups.into_iter().map(group).collect())
    })
}

/// The cluster of each row, and its similarity to the mean of the cluster: `clusters` of them, or as many as have no two with a
/// mean similarity of `threshold`.
#[pyfunction]
#[pyo3(signature = (embeddings, clusters, threshold, seed, progress=None))]
#[allow(clippy::type_complexity)] // a plain tuple for a caller in Python
pub fn clusters<'py>(
    py: Python<'py>,
    embeddings: PyReadonlyArray2<'py, f32>,
    clusters: Option<usize>,
    threshold: Option<f32>,
    seed: u64,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Vec<usize>, Bound<'py, PyArray1<f32>>)> {
    fork::check()?;
    let embeddings = arrays::embeddings(&embeddings, "the embeddings")?;
    let rows = embeddings.rows();
    if threshold.is_some() && rows > AGGLOMERATIVE_MAX_SENTENCES {
        return Err(Failure::invalid(format!(
            "clusters by a threshold take {AGGLOMERATIVE_MAX_SENTENCES} rows at most, and there are {rows}: say how many clusters"
        ))
        .into());
    }
    let found: Clustering = long::run(py, progress, move |watch| {
        let linkage = |done, total| watch.tell("clustering", done, total);
        Ok(match (threshold, clusters) {
            (Some(least), _) => agglomerative_with(&embeddings, Cut::Similarity(least), &linkage)?,
            (None, count) => kmeans(&embeddings, count.unwrap_or(8), seed, &mut |step| match step {
                KmeansStep::Round { number, .. } => watch.tell("clustering", number, 0),
                KmeansStep::Compared { .. } => watch.flow(),
                #[allow(unreachable_patterns)] // steps may become more
                _ => watch.flow(),
            })?,
        })
    })?;
    Ok((found.cluster, arrays::vector(py, found.score)))
}
