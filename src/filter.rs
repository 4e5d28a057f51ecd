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
    if selection.is_empty() || !selection.unknown_fields().is_empty() {
        note(&selection, snapshot, terminal)?;
    }
    Ok(Some(selection))
}

/// Documents whose fields are listed.
const LISTED: usize = 100;

/// Says why a filter may not do what was meant.
fn note(selection: &Selection, snapshot: &Snapshot, terminal: &Terminal) -> anyhow::Result<()> {
    let mut fields: Vec<String> = Vec::new();
    for doc in snapshot.docs()?.into_iter().take(LISTED) {
        for (field, _) in snapshot.document(doc)?.metadata {
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
    }
    for unknown in selection.unknown_fields() {
        match nearest(unknown, &fields) {
            Some(meant) => {
                terminal.note(format_args!("no document has the field {unknown:?}; did you mean {meant:?}?"));
            }
            None => terminal.note(format_args!("no document has the field {unknown:?}")),
        }
    }
    if selection.is_empty() && !snapshot.is_empty() {
        let fields = if fields.is_empty() { "none".into() } else { fields.join(", ") };
        let documents = counted(snapshot.len(), "document");
        terminal.note(format_args!("none of {documents} fits the filter (fields: {fields})"));
    }
    Ok(())
}

/// The name that is most like a misspelt one, if one is.
fn nearest<'a>(misspelt: &str, names: &'a [String]) -> Option<&'a str> {
    let likeness = |name: &&str| strsim::jaro_winkler(&misspelt.to_lowercase(), &name.to_lowercase());
    let best = names.iter().map(String::as_str).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.filter(|name| likeness(name) > 0.8)
}
