//! Selecting documents by what a keyword query demands and forbids, for searches by meaning.

use super::snapshot::SegmentView;
use super::{Selection, Snapshot};
use crate::graph::Fault;
use crate::segment::PassageSet;
use crate::words::analysis::Analyzer;
use crate::words::query::Plan;
use crate::{Result, WordQuery};

impl Snapshot {
    /// The live documents, of a selection if one is given, that have all phrases of a query and nothing that it
    /// excludes. None if it says neither: then any document may be found.
    ///
    /// # Errors
    /// [`Error::Stale`](crate::Error::Stale) if the selection was made from another snapshot,
    /// [`Error::Damaged`](crate::Error::Damaged) if what is stored cannot be trusted.
    pub fn select_words(&self, query: &WordQuery, among: Option<&Selection>) -> Result<Option<Selection>> {
        if !query.is_selective() {
            return Ok(None);
        }
        if let Some(selection) = among {
            selection.require(self)?;
        }
        let select = |(at, view): (usize, &SegmentView)| {
            let rows = select_rows(view, query, among.map(|selection| selection.rows(at)))?;
            Ok((count_documents(view, &rows)?, rows))
        };
        let selected: std::result::Result<Vec<(usize, PassageSet)>, Fault> =
            self.segments.iter().enumerate().map(select).collect();
        let (documents, rows): (Vec<usize>, Vec<PassageSet>) =
            selected.map_err(|fault| self.fault(fault))?.into_iter().unzip();
        Ok(Some(Selection::new(self, documents.into_iter().sum(), rows, Vec::new())))
    }
}

/// The live passages of a segment whose documents fit.
fn select_rows(
    view: &SegmentView,
    query: &WordQuery,
    among: Option<&PassageSet>,
) -> Result<PassageSet, Fault> {
    let segment = &view.segment;
    let plan = match segment.words()? {
        Some(words) => query.plan(&Analyzer::new(words.language)),
        // What has no words has nothing that is excluded, and no phrase.
        None if query.is_demanding() => return Ok(PassageSet::of(Vec::new())),
        None => Plan::default(),
    };
    let mut required = Vec::with_capacity(plan.required.len());
    for (unit, _) in &plan.required {
        required.push(segment.documents_of(segment.matches(unit)?.as_slice())?);
    }
    let excluded: Vec<_> = plan
        .excluded
        .iter()
        .filter_map(|unit| segment.matches(unit).transpose())
        .collect::<Result<_, _>>()?;
    let excluded = segment.documents_of(&excluded)?;
    let mut words = vec![0u64; segment.passages().div_ceil(64)];
    for row in 0..segment.passages() as u32 {
        let fits = view.is_live(row as usize)
            && among.is_none_or(|among| among.contains(row))
            && !excluded.contains(row)
            && required.iter().all(|required| required.contains(row));
        words[row as usize / 64] |= u64::from(fits) << (row % 64);
    }
    Ok(PassageSet::of(words))
}

/// How many documents the selected passages are of: all passages of a document are selected or none.
fn count_documents(view: &SegmentView, rows: &PassageSet) -> Result<usize, Fault> {
    if !view.segment.has_passages() {
        return Ok(rows.count());
    }
    let mut documents = 0;
    for document in 0..view.segment.documents() {
        documents += usize::from(rows.contains(view.segment.passages_of(document)?.start as u32));
    }
    Ok(documents)
}
