//! Answers any number of queries in bounded memory, one JSON line for each.

use std::io::Write;
use std::ops::ControlFlow;

use akin_index::Snapshot;

use crate::{AskOptions, Error, Result, Searcher, rerank};

/// Queries that are encoded together: enough to batch texts of similar length, few enough that the first answers come
/// soon.
pub const CHUNK: usize = 256;

/// How many queries were answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchReport {
    /// Queries answered.
    pub queries: usize,
    /// Queries longer than the model reads, whose end was left out.
    pub truncated: usize,
}

/// Answers `queries` as they come and writes a JSON line each, in their order: line n of the output
/// answers query n, and a blank query is answered with no hits. No more than [`CHUNK`] queries and
/// their answers are held at a time. `progress` hears how many are answered after each chunk, and may stop it: their
/// lines are written then.
///
/// # Errors
/// The first error of `queries`, once all before it are answered; what the searcher reports;
/// [`Error::Write`]; [`Cancelled`](akin_index::Error::Cancelled) if `progress` stopped it.
pub fn answer_lines(
    searcher: &Searcher,
    snapshot: &Snapshot,
    mut queries: impl Iterator<Item = Result<String>>,
    options: &AskOptions,
    output: &mut dyn Write,
    progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<BatchReport> {
    let mut report = BatchReport::default();
    let size = if searcher.reranks() { rerank::CHUNK } else { CHUNK };
    let mut chunk = Vec::with_capacity(size);
    let mut failure = None;
    let mut more = true;
    while more {
        chunk.clear();
        while more && chunk.len() < size {
            match queries.next() {
                Some(Ok(query)) => chunk.push(query),
                Some(Err(error)) => {
                    failure = Some(error);
                    more = false;
                }
                None => more = false,
            }
        }
        let texts: Vec<&str> = chunk.iter().map(String::as_str).collect();
        if texts.is_empty() {
            break;
        }
        let (answers, truncated) = searcher.ask_all(snapshot, &texts, options)?;
        for answer in &answers {
            answer.write_json_line(output).map_err(Error::Write)?;
        }
        output.flush().map_err(Error::Write)?;
        report.queries += answers.len();
        report.truncated += truncated;
        if progress(report.queries).is_break() {
            return Err(akin_index::Error::Cancelled.into());
        }
    }
    failure.map_or(Ok(report), Err)
}
