//! Progress of long calls: how much is done, how much there is, and whether to go on.

use std::ops::ControlFlow;

pub(crate) use akin_index::Progress;
use akin_index::{Embeddings, Error, Neighbor, SearchOptions, Snapshot};

use crate::Result;

/// Hears how many searches are done; an error stops them.
pub(crate) type Searched<'a> = &'a dyn Fn(usize) -> Result<()>;

/// Queries that are searched between two reports.
pub(crate) const SEARCHED_AT_ONCE: usize = 64;

/// Reports how much is done.
///
/// # Errors
/// [`Error::Cancelled`] if `progress` says to stop.
pub(crate) fn report(progress: Progress<'_>, done: usize, total: usize) -> Result<()> {
    match progress(done, total) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled.into()),
    }
}

/// [`Snapshot::nearest_all`], with a report before, between and after parts of the queries.
pub(crate) fn search_all(
    index: &Snapshot,
    queries: &Embeddings,
    options: &SearchOptions,
    searched: Searched<'_>,
) -> Result<Vec<Vec<Neighbor>>> {
    let mut found = Vec::with_capacity(queries.rows());
    for part in queries.as_slice().chunks(SEARCHED_AT_ONCE * queries.dimension()) {
        searched(found.len())?;
        let part = Embeddings::from_values(queries.dimension(), part.to_vec());
        found.extend(index.nearest_all(&part, options)?);
    }
    searched(found.len())?;
    Ok(found)
}
