//! Calls that may take long: they run on a thread of their own, while the calling thread hears Ctrl-C and tells of progress.
//!
//! The work never touches Python. So Ctrl-C is heard within [`TICK`] whatever the work does at the moment: the call returns at once,
//! and the work stops by itself at its next clean point.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

use crate::errors::{Failure, Result};

/// How often the calling thread looks for signals and progress.
const TICK: Duration = Duration::from_millis(40);

/// What the work tells, and whether it is to stop.
#[derive(Default)]
pub struct Watch {
    stopped: AtomicBool,
    done: AtomicUsize,
    total: AtomicUsize,
    phase: Mutex<&'static str>,
}

impl Watch {
    /// Tells how much is done of how much, and hears whether to go on.
    pub fn tell(&self, phase: &'static str, done: usize, total: usize) -> ControlFlow<()> {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        self.total.store(total, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
        self.flow()
    }

    /// Whether to go on.
    pub fn flow(&self) -> ControlFlow<()> {
        match self.stopped.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn seen(&self) -> (&'static str, usize, usize) {
        let phase = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        (phase, self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }
}

/// Does `work` on another thread. `progress` is called with a phase, how much is done and how much there is, whenever that has
/// changed and at the end; what it raises stops the work, as Ctrl-C does.
pub fn run<T: Send + 'static>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Watch) -> Result<T> + Send + 'static,
) -> PyResult<T> {
    let watch = Arc::new(Watch::default());
    let (sender, mut results) = mpsc::sync_channel(1);
    let watched = Arc::clone(&watch);
    thread::Builder::new()
        .name("akin".into())
        .spawn(move || drop(sender.send(work(&watched))))
        .map_err(|error| Failure::new("Error", format!("cannot start a thread: {error}")))?;
    let mut told = ("", 0, 0);
    loop {
        let (answer, back) = py.detach(move || (results.recv_timeout(TICK), results));
        results = back;
        match answer {
            Ok(result) => {
                let result = result?;
                // Work that ends before the next tick is told of, too: a bar comes to its end.
                tell(&watch, progress, &mut told)?;
                return Ok(result);
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::new(
                    "Error",
                    "the call ended by a fault of Akin's own: please report it",
                )
                .into());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let heard = py.check_signals().and_then(|()| tell(&watch, progress, &mut told));
        if let Err(error) = heard {
            watch.stopped.store(true, Ordering::Relaxed);
            return Err(error);
        }
    }
}

fn tell(
    watch: &Watch,
    progress: Option<&Bound<'_, PyAny>>,
    told: &mut (&'static str, usize, usize),
) -> PyResult<()> {
    let (Some(progress), seen) = (progress, watch.seen()) else { return Ok(()) };
    if seen != *told {
        *told = seen;
        progress.call1(seen)?;
    }
    Ok(())
}
