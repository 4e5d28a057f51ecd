//! Encodes the passages of documents.

use std::ops::ControlFlow;

use akin_encoder::{Role, SentenceEncoder};
use akin_index::{DocId, Document, Index, Passage, PassageSize, Progress, Snapshot, Upserted};

use super::{Cutter, text_of};
use crate::Result;
use crate::distinct::{DistinctEncoder, DistinctEncoding};

/// Cuts documents into passages, and encodes these: equal ones once.
pub struct PassageEncoder<'a> {
    cutter: Cutter<'a>,
    encoder: DistinctEncoder<'a>,
}

/// Documents that are ready for an index.
pub struct EncodedDocuments {
    /// The passages of each document; `None` where all are whole.
    pub passages: Option<Vec<Vec<Passage>>>,
    /// A row for each passage, in their order.
    pub encoding: DistinctEncoding,
}

impl<'a> PassageEncoder<'a> {
    /// For passages of a size.
    ///
    /// # Errors
    /// As [`Cutter::new`].
    pub fn new(encoder: &'a SentenceEncoder, size: PassageSize) -> Result<Self> {
        let cutter = Cutter::new(encoder, size)?;
        Ok(Self { cutter, encoder: DistinctEncoder::new(encoder, Some(Role::Document)) })
    }

    /// What encodes them.
    pub fn encoder(&self) -> &'a SentenceEncoder {
        self.cutter.encoder
    }

    /// The passages of documents with their embeddings.
    ///
    /// # Errors
    /// What the encoder reports.
    pub fn encode(&mut self, documents: &[Document]) -> Result<EncodedDocuments> {
        self.encode_with(documents, &mut || ControlFlow::Continue(()))
    }

    /// The same. `go_on` is called after each part of the work, and may stop it.
    ///
    /// # Errors
    /// What the encoder reports, and [`Cancelled`](akin_index::Error::Cancelled) if `go_on` stopped it.
    pub fn encode_with(
        &mut self,
        documents: &[Document],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<EncodedDocuments> {
        let passages: Vec<Vec<Passage>> =
            documents.iter().map(|document| self.cutter.cut_document(document)).collect::<Result<_>>()?;
        let texts: Vec<&str> = documents
            .iter()
            .zip(&passages)
            .flat_map(|(document, passages)| passages.iter().map(|passage| text_of(&document.text, passage)))
            .collect();
        let encoding = self.encoder.encode_with(&texts, go_on)?;
        let passages = (texts.len() > documents.len()).then_some(passages);
        Ok(EncodedDocuments { passages, encoding })
    }

    /// Remembers the passages of a document that is in an index: those that come again are not encoded again.
    ///
    /// # Errors
    /// What the index reports.
    pub fn remember(&mut self, snapshot: &Snapshot, doc: DocId) -> Result<()> {
        let text = snapshot.document(doc)?.text;
        let vectors = snapshot.vectors(doc)?;
        let passages = snapshot.passages(doc)?;
        let passages = passages.unwrap_or_else(|| vec![Passage { start: 0, end: text.len() as u32 }]);
        for (passage, vector) in passages.iter().zip(&vectors) {
            // A text that does not fit its passages is the index's fault, and is found by `verify`.
            if let Some(part) = text.get(passage.start as usize..passage.end as usize) {
                self.encoder.remember(part, vector);
            }
        }
        Ok(())
    }
}

impl EncodedDocuments {
    /// Adds `documents`, whose passages these are, to an index.
    ///
    /// # Errors
    /// As [`Index::upsert_passages`].
    pub fn upsert(&self, index: &mut Index, documents: &[Document]) -> Result<Upserted> {
        self.upsert_with(index, documents, &|_, _| ControlFlow::Continue(()))
    }

    /// The same, with the progress of [`Index::upsert_passages_with`].
    ///
    /// # Errors
    /// As there.
    pub fn upsert_with(
        &self,
        index: &mut Index,
        documents: &[Document],
        progress: Progress<'_>,
    ) -> Result<Upserted> {
        let (passages, embeddings) = (self.passages.as_deref(), &self.encoding.embeddings);
        Ok(index.upsert_passages_with(documents, passages, embeddings, progress)?)
    }
}
