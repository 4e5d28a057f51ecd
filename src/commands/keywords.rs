//! Says why a search by words finds nothing, where one was asked for.

use std::path::Path;

use akin_index::{Pointless, Snapshot, WordQuery};
use akin_query::Mode;

use crate::commands::terminal::Terminal;

/// Says so if an index, or a part of it, has no words to search.
pub fn note_missing(
    named: Option<Mode>,
    snapshot: &Snapshot,
    path: &Path,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    if named.is_some_and(Mode::needs_words) && !snapshot.is_empty() && !snapshot.has_words()? {
        terminal.note(format_args!(
            "some documents have no words to search, for they have no text or an earlier release wrote them; \
             `akin compact {}` adds the words of the latter",
            path.display()
        ));
    }
    Ok(())
}

/// Says so if a query can find nothing by its words.
pub fn note_pointless(named: Option<Mode>, text: &str, terminal: &Terminal) {
    let Some(mode) = named.filter(|mode| mode.needs_words()) else { return };
    match WordQuery::parse(text).pointless() {
        Some(Pointless::Blank) if mode == Mode::Keyword => terminal.note("the query has no word to look for"),
        Some(Pointless::OnlyExclusions) => {
            terminal.note("the query says only what must not be there: add a word to look for");
        }
        _ => {}
    }
}
