//! Readers of documents run here: what one does wrong costs its document, and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::Unread;

/// How long a file may be read. A reader on a thread that does not end by then goes on by itself, and nobody waits for it.
pub(super) const TIME: Duration = Duration::from_secs(60);

/// So many readers may go on by themselves. While there are as many, no other file is read on a thread.
const MOST_ABANDONED: usize = 4;

/// What is said of a reader that panics or dies.
pub(super) const GAVE_UP: &str = "damaged, or of a kind that is not read: its reader gave up";

/// Readers that took too long and have not ended yet.
static ABANDONED: AtomicUsize = AtomicUsize::new(0);

/// Whether a reader took too long and has not ended yet.
pub(super) fn has_abandoned() -> bool {
    ABANDONED.load(Ordering::SeqCst) > 0
}

/// What is said of a reader that takes longer than it may.
pub(super) fn too_slow(time: Duration) -> String {
    match time == TIME {
        true => "it takes more than a minute to read".into(),
        false => format!("it takes more than {} s to read", time.as_secs_f64()),
    }
}

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
    guarded_for(TIME, &ABANDONED, read)
}

fn guarded_for<T: Send + 'static>(
    time: Duration,
    abandoned: &'static AtomicUsize,
    read: impl FnOnce() -> Result<T, Unread> + Send + 'static,
) -> Result<T, Unread> {
    let because = |reason: &str| Err(Unread::Because(reason.to_owned()));
    if abandoned.load(Ordering::SeqCst) >= MOST_ABANDONED {
        return because("the readers of too many files before it have not ended");
    }
    let (sender, receiver) = channel();
    let run = move || {
        let outcome = catching_panics(|| catch_unwind(AssertUnwindSafe(read)));
        if sender.send(outcome).is_err() {
            // Nobody waited for it, and it was counted.
            abandoned.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let Ok(_) = thread::Builder::new().name("reader".into()).stack_size(STACK).spawn(run) else {
        return because("there is no thread to read it");
    };
    if let Ok(outcome) = receiver.recv_timeout(time) {
        return outcome.unwrap_or_else(|_| because(GAVE_UP));
    }
    // Counted before the thread can see that nobody waits.
    abandoned.fetch_add(1, Ordering::SeqCst);
    if receiver.try_recv().is_ok() {
        abandoned.fetch_sub(1, Ordering::SeqCst);
    }
    drop(receiver);
    Err(Unread::Because(too_slow(time)))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

    use super::*;

    static COUNT: AtomicUsize = AtomicUsize::new(0);

    /// A reader that goes on until the sender is dropped.
    fn hanging() -> (Sender<()>, impl FnOnce() -> Result<(), Unread> + Send) {
        let (end, ended) = channel();
        (end, move || {
            let _ = ended.recv();
            Ok(())
        })
    }

    #[test]
    fn no_more_than_a_few_readers_go_on_by_themselves() {
        let mut ends = Vec::new();
        for _ in 0..MOST_ABANDONED {
            let (end, read) = hanging();
            ends.push(end);
            let slow = guarded_for(Duration::from_millis(1), &COUNT, read);
            assert_eq!(slow, Err(Unread::Because("it takes more than 0.001 s to read".into())));
        }
        assert_eq!(COUNT.load(Ordering::SeqCst), MOST_ABANDONED);
        let Err(Unread::Because(reason)) = guarded_for(TIME, &COUNT, || Ok(())) else {
            panic!("one more is read")
        };
        assert!(reason.starts_with("the readers of too many files"), "{reason}");
        drop(ends);
        while COUNT.load(Ordering::SeqCst) > 0 {
            thread::yield_now();
        }
        assert_eq!(guarded_for(TIME, &COUNT, || Ok(7)), Ok(7));
    }
}
