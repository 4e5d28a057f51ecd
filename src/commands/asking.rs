//! Asks an index again and again, of its newest commit, among the documents that fit a filter.

use akin_index::{Filter, Snapshot};
use akin_query::{Answer, AskOptions, Highlight, Searcher};

use crate::commands::filter;
use crate::commands::terminal::Terminal;

/// A searcher, how to search, and the filter that documents must fit.
pub struct Asking<'a> {
    searcher: &'a Searcher,
    /// How to search, and among which documents of the snapshot that was searched last.
    pub options: AskOptions,
    filter: Option<Filter>,
}

impl<'a> Asking<'a> {
    /// Selects the documents that fit. Says so if there are none.
    pub fn new(
        searcher: &'a Searcher,
        options: AskOptions,
        filter: Option<Filter>,
        terminal: &Terminal,
    ) -> anyhow::Result<Self> {
        let mut asking = Self { searcher, options, filter: None };
        asking.set_filter(filter, terminal)?;
        Ok(asking)
    }

    /// Searches among other documents from now on, and tells how many they are.
    pub fn set_filter(&mut self, filter: Option<Filter>, terminal: &Terminal) -> anyhow::Result<usize> {
        let snapshot = self.searcher.snapshot();
        self.options.search.among = filter::select(self.searcher, &snapshot, filter.as_ref(), terminal)?;
        self.filter = filter;
        Ok(self.options.search.among.as_ref().map_or(snapshot.len(), akin_index::Selection::len))
    }

    /// How many documents the index holds.
    pub fn documents(&self) -> usize {
        self.searcher.reader().len()
    }

    /// Answers from the newest commit; documents are selected again if there is a newer one.
    pub fn ask(&mut self, text: &str) -> anyhow::Result<Answer> {
        let snapshot = self.searcher.snapshot();
        self.follow(&snapshot)?;
        Ok(self.searcher.ask_of(&snapshot, text, &self.options)?)
    }

    /// What to show of the hits of an answer.
    pub fn highlights(&self, answer: &Answer) -> anyhow::Result<Vec<Highlight>> {
        Ok(self.searcher.highlights(&self.searcher.snapshot(), answer)?)
    }

    fn follow(&mut self, snapshot: &Snapshot) -> anyhow::Result<()> {
        let is_older = self.options.search.among.as_ref().is_some_and(|selection| !selection.is_of(snapshot));
        if let Some(filter) = self.filter.as_ref().filter(|_| is_older) {
            self.options.search.among = Some(self.searcher.select(snapshot, filter)?);
        }
        Ok(())
    }
}
