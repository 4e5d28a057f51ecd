//! Makes one index of several that were built apart: their segments and what they know of the sources of their documents.

use std::path::Path;

use akin_index::{Adopted, Adoption, Error, Found, Index, Part, Progress};

use crate::{Result, own_ids, sources};

/// Opens the index at `path`, or begins one there that is like the parts, also where that was interrupted before.
///
/// # Errors
/// What the index reports, [`OtherPart`](akin_index::Error::OtherPart) if a part is not like the index or like the first part: then
/// no index is begun.
pub fn open_like(path: &Path, parts: &[Part]) -> Result<Index> {
    let begins = |found| matches!(found, Found::Nothing | Found::EmptyFolder | Found::Interrupted);
    let first = match (Index::open(path), parts.first()) {
        (Err(Error::NotAnIndex { found, .. }), Some(first)) if begins(found) => first,
        (opened, _) => return Ok(opened?),
    };
    let model = first.snapshot().model();
    for part in parts {
        part.require_like(path, model)?;
    }
    Ok(Index::open_or_create(path, model)?)
}

/// Has an index take over the segments of the parts, in one commit, and then what the parts know of their sources: a folder that
/// was indexed in a part is passed over where nothing in it has changed.
///
/// # Errors
/// As [`Index::adopt`].
pub fn adopt(index: &mut Index, parts: &[Part], how: Adoption, progress: Progress<'_>) -> Result<Adopted> {
    let adopted = index.adopt(parts, how, progress)?;
    for part in parts {
        let notes = index.notes_of_part(part);
        sources::adopt(index, &notes, how.keep)?;
        own_ids::adopt(index, &notes)?;
    }
    Ok(adopted)
}
