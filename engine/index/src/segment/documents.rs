//! The documents of a segment: their records, and which id is whose.

use std::ops::Range;

use super::Segment;
use super::sections::Section;
use crate::Document;
use crate::document::{ContentHash, DocumentRecord, ID_LIMIT, id_hash};
use crate::graph::Fault;
use crate::manifest::RECORD_LIMIT;

/// Bytes of records that are read together where many are wanted.
const READ_BYTES: usize = 1 << 20;

/// Takes a document and its record, or says what is wrong with it.
pub(crate) type Show<'a> = &'a mut dyn FnMut(usize, &[u8]) -> Result<(), String>;

impl Segment {
    /// A document by its place in the segment.
    pub(crate) fn document(&self, document: usize) -> Result<Document, Fault> {
        let bytes = self.record(document)?;
        DocumentRecord::document(&bytes).map_err(|why| self.document_fault(document, &why))
    }

    /// The hash of a document's content.
    pub(crate) fn content_hash(&self, document: usize) -> Result<ContentHash, Fault> {
        let bytes = self.record(document)?;
        DocumentRecord::hash(&bytes).map_err(|why| self.document_fault(document, &why))
    }

    /// The id of a document.
    pub(crate) fn document_id(&self, document: usize) -> Result<String, Fault> {
        let bytes = self.record(document)?;
        let id = DocumentRecord::id(&bytes).map(str::to_owned);
        id.map_err(|why| self.document_fault(document, &why))
    }

    /// The documents of an id, deleted ones too; there can be one at most.
    pub(crate) fn find(&self, id: &str, hash: u64) -> Result<Option<usize>, Fault> {
        let hashes: &[u64] = self.sections.numbers(Section::IdHashes);
        let check = |at: usize| self.sections.check(Section::IdHashes, 8 * at..8 * (at + 1));
        // A binary search that checks what it looks at.
        let (mut low, mut high) = (0, hashes.len());
        while low < high {
            let middle = low + (high - low) / 2;
            check(middle)?;
            if hashes[middle] < hash { low = middle + 1 } else { high = middle }
        }
        while low < hashes.len() {
            check(low)?;
            if hashes[low] != hash {
                break;
            }
            let document = self.document_of_hash(low)?;
            if self.document_id(document)? == id {
                return Ok(Some(document));
            }
            low += 1;
        }
        Ok(None)
    }

    /// The hashes of all ids, and whose they are.
    pub(crate) fn id_hashes(&self) -> Result<impl Iterator<Item = (u64, usize)> + '_, Fault> {
        self.check_section(Section::IdHashes)?;
        self.check_section(Section::IdDocuments)?;
        let hashes: &[u64] = self.sections.numbers(Section::IdHashes);
        let documents: &[u32] = self.sections.numbers(Section::IdDocuments);
        if documents.iter().any(|document| *document as usize >= self.documents()) {
            return Err(self.sections.fault(Section::IdDocuments, "it names a document that is not there"));
        }
        Ok(hashes.iter().zip(documents).map(|(hash, document)| (*hash, *document as usize)))
    }

    fn document_of_hash(&self, at: usize) -> Result<usize, Fault> {
        self.sections.check(Section::IdDocuments, 4 * at..4 * (at + 1))?;
        let document = self.sections.numbers::<u32>(Section::IdDocuments)[at] as usize;
        if document < self.documents() {
            return Ok(document);
        }
        Err(self.sections.fault(Section::IdDocuments, "it names a document that is not there"))
    }

    /// Bytes of a document's text.
    pub(crate) fn text_length(&self, document: usize) -> Result<u32, Fault> {
        let bytes = self.record(document)?;
        let length = DocumentRecord::text(&bytes).map(|text| text.len() as u32);
        length.map_err(|why| self.document_fault(document, &why))
    }

    /// The bytes of a document's record.
    pub(crate) fn record(&self, document: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        self.sections.read(Section::Documents, self.record_range(document)?, &mut bytes)?;
        Ok(bytes)
    }

    /// Shows the records of those of `documents` that are wanted, in their order. Reads them a megabyte at a
    /// time. What `show` finds wrong is reported as damage of that document.
    pub(crate) fn each_record(
        &self,
        documents: Range<usize>,
        wanted: &dyn Fn(usize) -> bool,
        show: Show<'_>,
    ) -> Result<(), Fault> {
        let mut next = documents.start;
        let mut bytes = Vec::new();
        while next < documents.end {
            let begin = self.record_range(next)?.start;
            let mut until = next + 1;
            while until < documents.end && self.record_range(until)?.end - begin <= READ_BYTES {
                until += 1;
            }
            bytes.clear();
            self.sections.read(Section::Documents, begin..self.record_range(until - 1)?.end, &mut bytes)?;
            for document in (next..until).filter(|document| wanted(*document)) {
                let Range { start, end } = self.record_range(document)?;
                show(document, &bytes[start - begin..end - begin])
                    .map_err(|why| self.document_fault(document, &why))?;
            }
            next = until;
        }
        Ok(())
    }

    fn record_range(&self, document: usize) -> Result<Range<usize>, Fault> {
        let from = document.saturating_sub(1);
        self.sections.check(Section::DocumentEnds, 8 * from..8 * (document + 1))?;
        let ends: &[u64] = self.sections.numbers(Section::DocumentEnds);
        let start = if document == 0 { 0 } else { ends[document - 1] };
        let end = ends[document];
        let fits = start <= end && end <= self.sections.len(Section::Documents);
        if !fits || end - start > RECORD_LIMIT as u64 {
            return Err(self.document_fault(document, "its record ends where it cannot"));
        }
        Ok(start as usize..end as usize)
    }

    fn document_fault(&self, document: usize, why: &str) -> Fault {
        self.sections.fault(Section::Documents, &format!("document {document}: {why}"))
    }

    /// Every document can be read and is found by its id.
    pub(super) fn verify_documents(&self) -> Result<(), Fault> {
        let hashes: &[u64] = self.sections.numbers(Section::IdHashes);
        if !hashes.is_sorted() {
            return Err(self.sections.fault(Section::IdHashes, "they are not in order"));
        }
        let mut of: Vec<Option<u64>> = vec![None; self.documents()];
        for (hash, document) in self.id_hashes()? {
            if of[document].replace(hash).is_some() {
                return Err(self.sections.fault(Section::IdDocuments, "it names a document twice"));
            }
        }
        self.each_record(0..self.documents(), &|_| true, &mut |document, bytes| {
            let Document { id, text, .. } = DocumentRecord::document(bytes)?;
            for passage in self.passages_of(document).map_err(|fault| fault.0)? {
                let span = self.span(passage).map_err(|fault| fault.0)?;
                if span.is_some_and(|span| text.get(span.start as usize..span.end as usize).is_none()) {
                    return Err(format!("passage {passage} is outside of its text"));
                }
            }
            if id.is_empty() || id.len() > ID_LIMIT || of[document] != Some(id_hash(&id)) {
                return Err(format!("it is not found by its id {id:?}"));
            }
            Ok(())
        })?;
        self.verify_passages()
    }

    /// Checks a whole section.
    pub(crate) fn check_section(&self, section: Section) -> Result<(), Fault> {
        self.sections.check(section, 0..self.sections.len(section) as usize)
    }
}
