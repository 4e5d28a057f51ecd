//! `--filter`: parses the expression and selects the documents that a search may return.

use std::collections::BTreeSet;

use akin_index::{Filter, Selection, Snapshot};
use akin_query::Searcher;
use anyhow::Context;

use crate::commands::terminal::{Terminal, counted};

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

/// Documents whose fields are looked at.
const LOOKED_AT: usize = 100;

/// So many fields are named where one was asked for that there is not.
const LISTED: usize = 12;

/// Says why a filter may not do what was meant.
fn note(selection: &Selection, snapshot: &Snapshot, terminal: &Terminal) -> anyhow::Result<()> {
    let mut present = BTreeSet::new();
    for doc in snapshot.docs()?.into_iter().take(LOOKED_AT) {
        present.extend(snapshot.document(doc)?.metadata.into_iter().map(|(field, _)| field));
    }
    for field in selection.unknown_fields() {
        let meant = match likely_meant(field, &present) {
            Some(meant) => format!("; did you mean {meant}?"),
            None => format!(" (fields: {})", listed(&present)),
        };
        terminal.note(format_args!("no document has the field {field}{meant}"));
    }
    if selection.is_empty() && !snapshot.is_empty() {
        let documents = counted(snapshot.len(), "document");
        terminal.note(format_args!("none of {documents} fits the filter (fields: {})", listed(&present)));
    }
    Ok(())
}

/// The field whose name is nearest to one that there is not: a letter or two are another, or small and not large.
fn likely_meant<'a>(field: &str, present: &'a BTreeSet<String>) -> Option<&'a String> {
    let distance = |name: &String| strsim::osa_distance(&field.to_lowercase(), &name.to_lowercase());
    let most = 1 + field.chars().count() / 5;
    present
        .iter()
        .map(|name| (distance(name), name))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, name)| name)
}

/// The first names, or `none`.
fn listed(present: &BTreeSet<String>) -> String {
    match present.is_empty() {
        true => "none".into(),
        false => present.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_misspelt_is_found_and_another_is_not() {
        let present: BTreeSet<String> = ["status", "year", "page count"].map(String::from).into();
        for (field, meant) in
            [("Status", Some("status")), ("staus", Some("status")), ("yaer", Some("year")), ("author", None)]
        {
            assert_eq!(likely_meant(field, &present).map(String::as_str), meant, "{field}");
        }
    }
}
