//! Indexes in a bucket of an object store: a copy in the user's cache is read, and nothing is changed.

use std::path::Path;
use std::sync::Arc;

use akin_engines::bucket::{BucketAddress, CachedIndex, Freshness};
use pyo3::prelude::*;

use crate::errors::{Failure, Result};
use crate::long;

/// The address that a path is, if it is one.
pub fn address(path: &Path) -> Result<Option<BucketAddress>> {
    match path.to_str().filter(|text| BucketAddress::is_one(text)) {
        Some(text) => Ok(Some(BucketAddress::parse(text).map_err(akin_engines::Error::from)?)),
        None => Ok(None),
    }
}

/// Why an index in a bucket is not changed, and what to do.
pub fn unchanging(place: &BucketAddress) -> Failure {
    Failure::invalid(format!(
        "{place} is in a bucket, where nothing is changed in place: `akin copy {place} FOLDER` brings the index to a folder, \
         and after the change `akin copy FOLDER {place}` takes it back"
    ))
}

/// Brings the copy of an index in the cache up to date. Ctrl-C stops it; what was fetched is kept.
pub fn fetch(py: Python<'_>, place: BucketAddress) -> PyResult<Arc<CachedIndex>> {
    long::run(py, None, move |watch| {
        let tell = |done, total| watch.tell("fetching", done as usize, total as usize);
        Ok(Arc::new(CachedIndex::open(&place, Freshness::Kept, &tell)?))
    })
}

/// Fetches what is new, and tells whether there was a newer commit.
pub fn refresh(py: Python<'_>, copy: Arc<CachedIndex>) -> PyResult<bool> {
    long::run(py, None, move |_| Ok(copy.refresh()?))
}
