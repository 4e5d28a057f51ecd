//! Ctrl-C: a long command ends at a clean point, with one sentence and exit status 130. A second Ctrl-C ends it at once.
//!
//! Where a command has begun nothing that it must end cleanly, the first Ctrl-C ends it at once too: it may be waiting for
//! a pipe or for a download, which nothing else stops.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::commands::terminal::Terminal;

/// The exit status of a command that was interrupted, as shells have it.
pub const STATUS: u8 = 130;

/// `timeout` and other programs send a signal to a process and to its group: what comes so soon is the same signal.
const SAME: Duration = Duration::from_millis(400);

/// What is said where a command has nothing else to say.
const SENTENCE: &str = "interrupted before it was done";

static ASKED: AtomicBool = AtomicBool::new(false);
static STATE: Mutex<State> = Mutex::new(State { clean: 0, first: None, hear: None });

struct State {
    /// How many [`Clean`] there are.
    clean: usize,
    /// When the first signal came.
    first: Option<Instant>,
    hear: Option<Box<dyn Fn() + Send>>,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on signals that end a process are heard.
pub fn listen() -> anyhow::Result<()> {
    if hangup_is_ignored() {
        return Ok(());
    }
    ctrlc::set_handler(heard).context("cannot listen for signals")
}

/// A process that `nohup` started goes on when its terminal is closed. The handler would be one for that signal too.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Bit n - 1 is signal n, and a hangup is signal 1.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Runs on a thread of its own for each signal.
fn heard() {
    let mut state = state();
    let again = match state.first {
        Some(first) if first.elapsed() < SAME => return,
        first => first.is_some(),
    };
    state.first = Some(Instant::now());
    ASKED.store(true, Ordering::Relaxed);
    if again || state.clean == 0 {
        Terminal::fail(SENTENCE);
        process::exit(STATUS.into());
    }
    if let Some(hear) = &state.hear {
        hear();
    }
}

/// Whether the command is to end.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// For the progress of a library: whether it is to go on.
pub fn flow() -> ControlFlow<()> {
    if asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// An error if the command is to end.
pub fn check() -> anyhow::Result<()> {
    if asked() { Err(Interrupted::default().into()) } else { Ok(()) }
}

/// While there is one, the first signal only has the command asked to end: it looks at [`asked`] often.
pub struct Clean(());

impl Clean {
    pub fn begin() -> Self {
        state().clean += 1;
        Self(())
    }

    /// The same. `hear` is called with the first signal, for whoever waits.
    pub fn hearing(hear: impl Fn() + Send + 'static) -> Self {
        state().hear = Some(Box::new(hear));
        Self::begin()
    }
}

impl Drop for Clean {
    fn drop(&mut self) {
        state().clean -= 1;
    }
}

/// The command was interrupted, and what is kept of it.
#[derive(Debug)]
pub struct Interrupted(String);

impl Default for Interrupted {
    fn default() -> Self {
        Self(SENTENCE.into())
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Interrupted {}

impl From<Interrupted> for io::Error {
    fn from(interrupted: Interrupted) -> Self {
        Self::other(interrupted)
    }
}

/// What to say of a command that was interrupted; `None` if that is not why it ended.
pub fn sentence(error: &anyhow::Error) -> Option<String> {
    if !is_interruption(error) {
        return None;
    }
    Some(error.downcast_ref::<Interrupted>().map_or_else(|| SENTENCE.to_owned(), Interrupted::to_string))
}

/// Says what is kept, if the command was interrupted.
pub fn with_kept<T>(outcome: anyhow::Result<T>, kept: impl FnOnce() -> String) -> anyhow::Result<T> {
    outcome.map_err(|error| match is_interruption(&error) {
        true => Interrupted(format!("interrupted: {}", kept())).into(),
        false => error,
    })
}

/// Whether a library or a write reports that it was stopped because the command is to end.
fn is_interruption(error: &anyhow::Error) -> bool {
    asked() && error.chain().any(is_stop)
}

fn is_stop(cause: &(dyn std::error::Error + 'static)) -> bool {
    let of_index = |error: &akin_index::Error| matches!(error, akin_index::Error::Cancelled);
    let of_engine =
        |error: &akin_engines::Error| matches!(error, akin_engines::Error::Index(error) if of_index(error));
    let of_indexer = |error: &akin_indexer::Error| match error {
        akin_indexer::Error::Index(error) => of_index(error),
        akin_indexer::Error::Engine(error) => of_engine(error),
        _ => false,
    };
    let of_query = |error: &akin_query::Error| match error {
        akin_query::Error::Index(error) => of_index(error),
        akin_query::Error::Queries(error) => of_indexer(error),
        _ => false,
    };
    let of_write = |error: &io::Error| error.get_ref().is_some_and(|inner| inner.is::<Interrupted>());
    cause.is::<Interrupted>()
        || cause.is::<akin_index::Cancelled>()
        || cause.downcast_ref().is_some_and(of_index)
        || cause.downcast_ref().is_some_and(of_indexer)
        || cause.downcast_ref().is_some_and(of_engine)
        || cause.downcast_ref().is_some_and(of_query)
        || cause.downcast_ref().is_some_and(of_write)
        || cause.downcast_ref().is_some_and(|error| matches!(error, akin_trainer::Error::Cancelled { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_library_reports_of_a_stop_is_told_from_other_errors() {
        let stops: [anyhow::Error; 7] = [
            akin_engines::Error::Index(akin_index::Error::Cancelled).into(),
            akin_index::Cancelled.into(),
            akin_indexer::Error::Index(akin_index::Error::Cancelled).into(),
            akin_indexer::Error::Engine(akin_index::Error::Cancelled.into()).into(),
            akin_query::Error::Index(akin_index::Error::Cancelled).into(),
            akin_query::Error::Write(Interrupted::default().into()).into(),
            akin_trainer::Error::Cancelled { step: 3 }.into(),
        ];
        for stop in stops {
            let stop = stop.context("cannot write");
            assert!(stop.chain().any(is_stop), "{stop:#}");
            assert_eq!(sentence(&stop), None, "nothing was asked for");
        }
        assert!(!anyhow::anyhow!("no space left").chain().any(is_stop));
    }
}
