//! Progress of long calls: how much is done, how much there is, and whether to go on.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

/// Hears how much of a call's work is done and how much there is, and may stop the call.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) -> ControlFlow<()> + Sync);

/// A progress callback stopped the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped before it was done")]
pub struct Cancelled;

/// Counts the work that several threads do, and reports it in ascending order.
pub struct Counter<'a> {
    /// Held while `progress` is called, so that it never hears less than before.
    done: Mutex<usize>,
    total: usize,
    progress: Progress<'a>,
}

impl<'a> Counter<'a> {
    /// Reports that nothing of `total` is done.
    ///
    /// # Errors
    /// [`Cancelled`] if `progress` says to stop.
    pub fn begin(total: usize, progress: Progress<'a>) -> Result<Self, Cancelled> {
        let counter = Self { done: Mutex::new(0), total, progress };
        counter.add(0)?;
        Ok(counter)
    }

    /// Reports that `more` is done.
    ///
    /// # Errors
    /// [`Cancelled`] if `progress` says to stop.
    pub fn add(&self, more: usize) -> Result<(), Cancelled> {
        self.report(|done| done + more)
    }

    /// Reports that so much is done in all, unless more was reported before.
    ///
    /// # Errors
    /// [`Cancelled`] if `progress` says to stop.
    pub fn reach(&self, done: usize) -> Result<(), Cancelled> {
        self.report(|before| before.max(done))
    }

    fn report(&self, done_after: impl FnOnce(usize) -> usize) -> Result<(), Cancelled> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        *done = done_after(*done);
        match (self.progress)(*done, self.total) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Cancelled),
        }
    }
}
