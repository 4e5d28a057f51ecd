//! Progress of long calls: how much is done, how much there is, and whether to go on.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use crate::{Error, Result};

/// Hears how much of a call's work is done and how much there is, and may stop the call.
pub(crate) type Progress<'a> = &'a (dyn Fn(usize, usize) -> ControlFlow<()> + Sync);

/// Counts the work that several threads do, and reports it in ascending order.
pub(crate) struct Counter<'a> {
    /// Held while `progress` is called, so that it never hears less than before.
    done: Mutex<usize>,
    total: usize,
    progress: Progress<'a>,
}

impl<'a> Counter<'a> {
    /// Reports that nothing of `total` is done.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if `progress` says to stop.
    pub(crate) fn begin(total: usize, progress: Progress<'a>) -> Result<Self> {
        let counter = Self { done: Mutex::new(0), total, progress };
        counter.add(0)?;
        Ok(counter)
    }

    /// Reports that `more` is done.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if `progress` says to stop.
    pub(crate) fn add(&self, more: usize) -> Result<()> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        *done += more;
        match (self.progress)(*done, self.total) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        }
    }
}
