//! Which passages are whose, and where they are in the text.

use std::ops::Range;

use super::Segment;
use super::sections::Section;
use crate::Passage;
use crate::graph::Fault;

impl Segment {
    /// Whether some document may have another number of passages than one.
    pub(crate) fn has_passages(&self) -> bool {
        self.sections.has(Section::FirstPassages)
    }

    /// The passages of a document: rows of its vectors.
    pub(crate) fn passages_of(&self, document: usize) -> Result<Range<usize>, Fault> {
        if !self.has_passages() {
            return Ok(document..document + 1);
        }
        self.sections.check(Section::FirstPassages, 4 * document..4 * (document + 2))?;
        let first: &[u32] = self.sections.numbers(Section::FirstPassages);
        let (start, end) = (first[document] as usize, first[document + 1] as usize);
        if start >= end || end > self.passages() {
            return Err(self.sections.fault(Section::FirstPassages, "a document has no passage"));
        }
        Ok(start..end)
    }

    /// The document of a passage.
    pub(crate) fn document_of(&self, passage: usize) -> Result<usize, Fault> {
        if !self.has_passages() {
            return Ok(passage);
        }
        self.check_section(Section::FirstPassages)?;
        let first: &[u32] = self.sections.numbers(Section::FirstPassages);
        let document = first.partition_point(|first| *first as usize <= passage);
        match document.checked_sub(1) {
            Some(document) if document < self.documents() => Ok(document),
            _ => Err(self.sections.fault(Section::FirstPassages, "a passage is of no document")),
        }
    }

    /// Where a passage is in its document's text; nothing where the document is one passage.
    pub(crate) fn span(&self, passage: usize) -> Result<Option<Passage>, Fault> {
        if !self.sections.has(Section::Spans) {
            return Ok(None);
        }
        self.sections.check(Section::Spans, 8 * passage..8 * (passage + 1))?;
        let spans: &[[u32; 2]] = self.sections.numbers(Section::Spans);
        let [start, end] = spans[passage];
        if start > end {
            return Err(self.sections.fault(Section::Spans, "a passage ends before it begins"));
        }
        Ok(Some(Passage { start, end }))
    }

    /// Each document has the passages after those of the one before it.
    pub(super) fn verify_passages(&self) -> Result<(), Fault> {
        if self.has_passages() {
            let first: &[u32] = self.sections.numbers(Section::FirstPassages);
            let ends =
                first.first() == Some(&0) && first.last().map(|last| *last as usize) == Some(self.passages());
            if !ends || !first.is_sorted_by(|a, b| a < b) {
                return Err(self.sections.fault(Section::FirstPassages, "they are not in order"));
            }
        }
        for passage in 0..if self.sections.has(Section::Spans) { self.passages() } else { 0 } {
            self.span(passage)?;
        }
        Ok(())
    }
}
