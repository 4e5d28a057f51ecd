//! Answers as the program would that asks, or not at all.

use akin_index::{Filter, Selection};
use akin_query::{Answer, Mode, Searcher};

use super::wire::{self, Ask, Shown, Surroundings};
use crate::app::App;
use crate::error::ApiError;
use crate::served::{Manner, ServedIndex};

/// The answer; none where the program would say more than that on stderr, or is refused: it then says so itself.
pub fn answer(app: &App, index: &ServedIndex, ask: &Ask) -> Result<Option<Vec<u8>>, ApiError> {
    let (Some(manner), Some(manifest)) = (manner(app, ask), wire::manifest(index.folder())) else {
        return Ok(None);
    };
    if manifest != ask.manifest {
        return Ok(None);
    }
    // By the encoder's own call: beside the texts of others sums would be added in another order.
    let searcher = index.searcher_alone(&manner)?;
    let snapshot = searcher.snapshot();
    if manner.mode.is_some_and(Mode::needs_words) && !snapshot.is_empty() && !snapshot.has_words()? {
        return Ok(None);
    }
    let mut options = ask.options();
    if let Some(filter) = &ask.filter {
        let selection = searcher.select(&snapshot, &Filter::parse(filter)?)?;
        if says_more(&selection) {
            return Ok(None);
        }
        options.search.among = Some(selection);
    }
    let (mut answers, truncated) = searcher.ask_all(&snapshot, &[&ask.text], &options)?;
    let Some(answer) = answers.pop().filter(|_| truncated == 0) else { return Ok(None) };
    written(ask, &searcher, &snapshot, answer)
}

/// How the index is asked; none where the program computes otherwise.
fn manner(app: &App, ask: &Ask) -> Option<Manner> {
    let mode = ask.mode()?;
    let by_example = ask.text.trim().is_empty();
    let with_model = !by_example && mode != Some(Mode::Keyword);
    let here = Surroundings::new(app.encoder_precision, app.encoder_device, app.threads);
    here.equal(&ask.surroundings, with_model).then_some(Manner { mode, by_example, ..Manner::default() })
}

/// Whether the program would say something about a filter.
fn says_more(selection: &Selection) -> bool {
    selection.is_empty() || !selection.unknown_fields().is_empty()
}

fn written(
    ask: &Ask,
    searcher: &Searcher,
    snapshot: &akin_index::Snapshot,
    answer: Answer,
) -> Result<Option<Vec<u8>>, ApiError> {
    let mut bytes = Vec::new();
    if ask.json {
        answer.write_json_line(&mut bytes).map_err(|_| ApiError::panicked())?;
        return Ok(Some(bytes));
    }
    let highlights = if ask.highlights { searcher.highlights(snapshot, &answer)? } else { Vec::new() };
    serde_json::to_writer(&mut bytes, &Shown { answer, highlights }).map_err(|_| ApiError::panicked())?;
    Ok(Some(bytes))
}
