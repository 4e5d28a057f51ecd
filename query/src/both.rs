//! Finds documents by meaning and by words together.

use akin_index::{Embeddings, Neighbor, Pointless, SearchOptions, Snapshot, WordQuery};

use crate::Result;
use crate::fuse::{DEPTH, Known, Lists, fuse};

/// The documents that are found by meaning, by words or by both, best first, for each query: its words, and the row of
/// `embeddings` of the same number. Scores are on the scale of similarities.
///
/// # Errors
/// As [`Snapshot::nearest_all`] and [`Snapshot::nearest_words_all`].
pub fn nearest_by_both(
    snapshot: &Snapshot,
    queries: &[WordQuery],
    embeddings: &Embeddings,
    options: &SearchOptions,
) -> Result<Vec<Vec<Neighbor>>> {
    let deep = SearchOptions { k: options.k.max(DEPTH), ..options.clone() };
    let by_meaning = nearest_that_fit(snapshot, queries, embeddings, &deep)?;
    let by_words = snapshot.nearest_words_beside_all(queries, &by_meaning, &deep)?;
    let lists = embeddings.iter().zip(by_meaning.iter().zip(by_words));
    let fused = lists.map(|(embedding, (near, (found, words_of_near)))| -> Result<_> {
        let similarities_of_found = snapshot.similarities(embedding, &found)?;
        let lists = Lists {
            by_meaning: near,
            words_of_near: &words_of_near,
            by_words: &found,
            similarities_of_found: &similarities_of_found,
        };
        let background = snapshot.background(embedding)?.unwrap_or_default();
        Ok(fuse(lists, Known { background, trust: snapshot.trust() }, options.k))
    });
    fused.collect()
}

/// The nearest documents of each query that have its phrases and not what it excludes.
fn nearest_that_fit(
    snapshot: &Snapshot,
    queries: &[WordQuery],
    embeddings: &Embeddings,
    options: &SearchOptions,
) -> Result<Vec<Vec<Neighbor>>> {
    // A query of exclusions alone says nothing to look for. A blank one comes with examples, which do.
    let is_pointless = |query: &WordQuery| query.pointless() == Some(Pointless::OnlyExclusions);
    if !queries.iter().any(|query| query.is_selective() || is_pointless(query)) {
        return Ok(snapshot.nearest_all(embeddings, options)?);
    }
    let near =
        |(row, query): (usize, &WordQuery)| match snapshot.select_words(query, options.among.as_ref())? {
            _ if is_pointless(query) => Ok(Vec::new()),
            None => Ok(snapshot.nearest(embeddings.row(row), options)?),
            among => Ok(snapshot.nearest(embeddings.row(row), &SearchOptions { among, ..options.clone() })?),
        };
    queries.iter().enumerate().map(near).collect()
}
