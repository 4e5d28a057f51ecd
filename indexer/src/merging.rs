//! A merge of segments that is made while a run encodes.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{Scope, ScopedJoinHandle};

use akin_index::{Merge, Merged};

use crate::{Error, Result};

/// A merge on a thread of its own.
pub(crate) struct Merging<'scope> {
    pub(crate) thread: ScopedJoinHandle<'scope, akin_index::Result<Merged>>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) progress: Receiver<(usize, usize)>,
}

impl<'scope> Merging<'scope> {
    pub(crate) fn begin(scope: &'scope Scope<'scope, '_>, merge: Merge) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, progress) = channel();
        let stopped = Arc::clone(&stop);
        let thread = scope.spawn(move || {
            // In a mutex because the merge reports from several threads.
            let sender = Mutex::new(sender);
            merge.run(&|done, total| {
                if let Ok(sender) = sender.lock() {
                    // Nobody is told when the run has ended already.
                    let _ = sender.send((done, total));
                }
                if stopped.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
        });
        Self { thread, stop, progress }
    }

    pub(crate) fn join(self) -> Result<Merged> {
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic)).map_err(Error::Index)
    }
}
