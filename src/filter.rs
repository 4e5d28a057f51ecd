//! `--filter`: parses the expression and selects the documents that a search may return.

use akin_index::Filter;
use akin_index::{Selection, Snapshot};
use akin_query::Searcher;
use anyhow::Context;

use crate::terminal::{Terminal, counted};

/// Reads an expression.
pub fn parse(text: Option<&str>) -> anyhow::Result<Option<Filter>> {
    let read = |text| Filter::parse(text).with_context(|| format!("cannot read --filter {text:?}"));
    text.map(read).transpose()
}

/// Selects once for all queries. Of a filter that nothing fits it is said which fields there are.
pub fn select(
    searcher: &Searcher,
    snapshot: &Snapshot,
    filter: Option<&Filter>,
    terminal: &Terminal,
) -> anyhow::Result<Option<Selection>> {
    let Some(filter) = filter else { return Ok(None) };
    let selection =
        terminal.with_bar("selecting", |progress| searcher.select_with(snapshot, filter, progress))?;
    if selection.is_empty()
        && let Some(first) = snapshot.docs()?.first()
    {
        let fields: Vec<String> =
            snapshot.document(*first)?.metadata.into_iter().map(|(field, _)| field).collect();
        let fields = if fields.is_empty() { "none".into() } else { fields.join(", ") };
        terminal.note(format_args!(
            "none of {} fits the filter (fields of the first: {fields})",
            counted(snapshot.len(), "document"),
        ));
    }
    Ok(Some(selection))
}
