//! The passages of a hit that are shown where more than the best is wanted.

use akin_index::{Neighbor, Passage, Snapshot};

use crate::Result;
use crate::retrieve::Questions;

/// A passage of a hit and its score.
pub(crate) type Scored = (Passage, f32);

/// The `count` best passages of each hit of each question; none where the best alone is wanted, or a hit has no other.
pub(crate) fn shown(
    snapshot: &Snapshot,
    questions: &Questions,
    pages: &[Vec<Neighbor>],
    count: usize,
) -> Result<Vec<Vec<Vec<Scored>>>> {
    let of_page = |(row, page): (usize, &Vec<Neighbor>)| {
        page.iter().map(|hit| of_hit(snapshot, questions, row, hit, count)).collect()
    };
    pages.iter().enumerate().map(of_page).collect()
}

fn of_hit(
    snapshot: &Snapshot,
    questions: &Questions,
    row: usize,
    hit: &Neighbor,
    count: usize,
) -> Result<Vec<Scored>> {
    if count < 2 {
        return Ok(Vec::new());
    }
    let passages = match &questions.embeddings {
        Some(embeddings) => snapshot.passages_by_meaning(embeddings.row(row), hit.doc)?,
        None => snapshot.passages_by_words(&questions.words[row], hit.doc)?,
    };
    let spans =
        passages.iter().take(count).map(|near| Ok(snapshot.span(near)?.map(|span| (span, near.score))));
    Ok(spans.collect::<Result<Option<_>>>()?.unwrap_or_default())
}
