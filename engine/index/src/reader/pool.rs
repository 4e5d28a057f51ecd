//! The threads that search, apart from those that build: a query is not queued behind a graph.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Threads that search. They start with the first search that needs more than one.
#[derive(Debug)]
pub(crate) struct QueryPool {
    threads: Option<usize>,
    pool: OnceLock<Option<ThreadPool>>,
}

impl QueryPool {
    pub(crate) fn new(threads: Option<usize>) -> Self {
        Self { threads, pool: OnceLock::new() }
    }

    /// Runs `work` on these threads; on this one if it is one of them, or if no others can be had.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let pool = self.pool.get_or_init(|| {
            let threads = self.threads.unwrap_or_else(rayon::current_num_threads);
            let builder = ThreadPoolBuilder::new().num_threads(threads);
            builder.thread_name(|number| format!("akin-query-{number}")).build().ok()
        });
        match pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}
