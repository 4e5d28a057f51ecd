//! Readers of documents run here: what one does wrong costs its document, and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::Unread;

/// How long a file may be read. A reader that does not end by then goes on by itself, and nobody waits for it.
const TIME: Duration = Duration::from_secs(60);

/// The stack of a reader. Some formats are read by calls within calls.
const STACK: usize = 64 << 20;

thread_local! {
    static GUARDED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether a panic on this thread is that of a reader, and becomes a reason to skip a file: a program's panic hook may then
/// keep quiet about it.
pub fn catches_panics() -> bool {
    GUARDED.get()
}

/// Calls a reader whose panics are caught on this thread.
pub(crate) fn catching_panics<T>(read: impl FnOnce() -> T) -> T {
    GUARDED.set(true);
    let outcome = read();
    GUARDED.set(false);
    outcome
}

/// Calls a reader on a thread of its own.
pub(super) fn guarded<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, Unread> + Send + 'static,
) -> Result<T, Unread> {
    let because = |reason: &str| Err(Unread::Because(reason.to_owned()));
    let (sender, receiver) = channel();
    let run = move || {
        let outcome = catching_panics(|| catch_unwind(AssertUnwindSafe(read)));
        // Nobody waits for a reader that was too slow.
        let _ = sender.send(outcome);
    };
    let Ok(_) = thread::Builder::new().name("reader".into()).stack_size(STACK).spawn(run) else {
        return because("there is no thread to read it");
    };
    match receiver.recv_timeout(TIME) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => because("damaged, or of a kind that is not read: its reader gave up"),
        Err(_) => because("it takes more than a minute to read"),
    }
}
