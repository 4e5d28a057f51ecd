//! The same work on several things at a time: a request mostly waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::Result;

/// Requests that are under way at a time. Each holds a part of a file in memory.
const AT_ONCE: usize = 4;

/// Does `work` for each thing. The first error ends it when what is under way is done.
pub(super) fn for_each<T: Sync>(things: &[T], work: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let first = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    let run = || {
        while let Some(thing) = things.get(next.fetch_add(1, Ordering::Relaxed)) {
            let is_over = first().is_some();
            if is_over {
                return;
            }
            if let Err(error) = work(thing) {
                first().get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..AT_ONCE.min(things.len()) {
            scope.spawn(run);
        }
        run();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn everything_is_done_once_and_the_first_error_ends_it() {
        let things: Vec<AtomicUsize> = (0..50).map(|_| AtomicUsize::new(0)).collect();
        let count = |thing: &AtomicUsize| {
            thing.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        for_each(&things, count).unwrap();
        assert!(things.iter().all(|thing| thing.load(Ordering::Relaxed) == 1));
        let done = AtomicUsize::new(0);
        let failed = for_each(&things, |_| {
            done.fetch_add(1, Ordering::Relaxed);
            Err(Error::Shown("no".into()))
        });
        assert!(failed.is_err() && done.load(Ordering::Relaxed) <= AT_ONCE);
    }
}
