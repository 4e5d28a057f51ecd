//! Documents as rows of the table, in the binary form of COPY.

use std::collections::HashSet;
use std::io::Write;

use akin_index::{Document, Embeddings, Passage, Similarity};
use akin_kernels::dot;
use postgres::{Statement, Transaction};
use sha2::{Digest, Sha256};

use super::wire::{BEYOND, put_halves};
use crate::{Error, Result};

/// The columns of a row, in their order.
const COLUMNS: &str = "id, part, first, last, text, fields, hash, metadata, embedding";

/// How the binary form begins: its signature, flags, and the length of what may follow.
const BEGIN: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// How it ends.
const END: [u8; 2] = (-1_i16).to_be_bytes();

/// Rows are sent in pieces of this many bytes. In small pieces, which a slower server keeps waiting, the memory of a connection is full before its
/// bytes are, and the system drops some and sends them again a fifth of a second later.
const PIECE: usize = 256 << 10;

/// The most bytes of a value.
const MOST: usize = 1 << 30;

/// The statement that takes rows.
pub(super) fn copy_statement(table: &str) -> String {
    format!("COPY {table} ({COLUMNS}) FROM STDIN (FORMAT binary)")
}

/// Documents with a vector for each passage, or for each of them.
pub(super) struct Documents<'a> {
    pub(super) documents: &'a [Document],
    pub(super) passages: Option<&'a [Vec<Passage>]>,
    pub(super) embeddings: &'a Embeddings,
    pub(super) similarity: Similarity,
}

impl<'a> Documents<'a> {
    /// The passages of the document at a place, where it is not one by itself.
    fn passages_of(&self, at: usize) -> Option<&'a [Passage]> {
        self.passages.map(|passages| passages[at].as_slice()).filter(|passages| passages.len() != 1)
    }

    /// Whether the table can keep all of them.
    pub(super) fn check(&self, place: &str, dimension: usize) -> Result<()> {
        let Self { documents, passages, embeddings, .. } = self;
        let count = passages.map_or(documents.len(), |passages| passages.iter().map(Vec::len).sum());
        if passages.is_some_and(|passages| passages.len() != documents.len())
            || embeddings.rows() != count
            || (count > 0 && embeddings.dimension() != dimension)
        {
            let reason = "the embeddings are not those of the documents";
            return Err(Error::Index(akin_index::Error::Invalid(reason.into())));
        }
        // A vector of length one has no number above that.
        let beyond = if self.similarity == Similarity::Cosine { f32::INFINITY } else { BEYOND };
        let (mut next, mut ids) = (0, HashSet::with_capacity(documents.len()));
        for (at, document) in documents.iter().enumerate() {
            let refused = |reason: &str| Error::Document {
                id: document.id.clone(),
                place: place.into(),
                reason: reason.into(),
            };
            if document.id.is_empty() || !ids.insert(document.id.as_str()) {
                return Err(refused("its id is empty, or there twice"));
            }
            let fields = fields_of(document);
            if document.id.contains('\0') || document.text.contains('\0') || has_nul(&fields) {
                return Err(refused("it has a NUL character, which PostgreSQL does not store"));
            }
            if document.text.len() >= MOST || fields.len() >= MOST {
                return Err(refused(
                    "its text or its fields have a gigabyte or more, which PostgreSQL does not store",
                ));
            }
            let parts = self.passages_of(at).map_or(1, <[Passage]>::len);
            if parts == 0 {
                return Err(refused("it has no passage"));
            }
            let mut vectors = (next..next + parts).map(|row| embeddings.row(row));
            if !vectors.all(|vector| vector.iter().all(|value| value.abs() < beyond)) {
                return Err(refused("a number of its vector is beyond 65,504, the greatest of 16 bits"));
            }
            next += parts;
        }
        Ok(())
    }

    /// Sends them. Each is made a row while the server takes those before it.
    pub(super) fn send(
        &self,
        transaction: &mut Transaction<'_>,
        copy: &Statement,
    ) -> Result<(), postgres::Error> {
        let mut writer = transaction.copy_in(copy)?;
        let mut piece = Vec::with_capacity(PIECE + (64 << 10));
        piece.extend_from_slice(BEGIN);
        let mut next = 0;
        for (at, document) in self.documents.iter().enumerate() {
            let fields = fields_of(document);
            let hash = content_hash(document, &fields);
            let passages = self.passages_of(at);
            for part in 0..passages.map_or(1, <[Passage]>::len) {
                let vector = stored(self.similarity, self.embeddings.row(next));
                next += 1;
                // The first row has what the document has once.
                let of_document = (part == 0).then_some((&*document.text, &*hash));
                let own_fields = of_document.filter(|_| !document.metadata.is_empty()).map(|_| &*fields);
                let passage = passages.map(|passages| passages[part]);
                let mut row = Row::begin(&mut piece, 9);
                row.put(document.id.as_bytes());
                row.put(&(part as i32).to_be_bytes());
                row.put_if(passage.map(|one| (one.start as i32).to_be_bytes()));
                row.put_if(passage.map(|one| (one.end as i32).to_be_bytes()));
                row.put_if(of_document.map(|(text, _)| text));
                row.put_if(own_fields);
                row.put_if(of_document.map(|(_, hash)| hash));
                row.put_jsonb(&fields);
                row.put_halfvec(&vector);
                if piece.len() >= PIECE {
                    writer.write_all(&piece).map_err(of_client)?;
                    piece.clear();
                }
            }
        }
        piece.extend_from_slice(&END);
        writer.write_all(&piece).map_err(of_client)?;
        writer.finish().map(drop)
    }
}

/// The error of the client that a writer reports as one of the system.
fn of_client(error: std::io::Error) -> postgres::Error {
    error.downcast().expect("a writer of COPY reports what its client does")
}

/// A row that is written value by value.
struct Row<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> Row<'a> {
    fn begin(bytes: &'a mut Vec<u8>, values: i16) -> Self {
        bytes.extend_from_slice(&values.to_be_bytes());
        Self { bytes }
    }

    fn put(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(&(value.len() as i32).to_be_bytes());
        self.bytes.extend_from_slice(value);
    }

    /// A value, or none.
    fn put_if(&mut self, value: Option<impl AsRef<[u8]>>) {
        match value {
            Some(value) => self.put(value.as_ref()),
            None => self.bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }

    /// A JSON text, after the version of its form.
    fn put_jsonb(&mut self, json: &str) {
        self.bytes.extend_from_slice(&(json.len() as i32 + 1).to_be_bytes());
        self.bytes.push(1);
        self.bytes.extend_from_slice(json.as_bytes());
    }

    fn put_halfvec(&mut self, vector: &[f32]) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        put_halves(vector, self.bytes);
        let length = (self.bytes.len() - begin - 4) as i32;
        self.bytes[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
    }
}

/// Whether a JSON text says the character NUL: it is escaped there.
fn has_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let before = json[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        before.is_multiple_of(2)
    })
}

/// A vector as it is compared: of length one for the cosine.
pub(crate) fn stored(similarity: Similarity, vector: &[f32]) -> Vec<f32> {
    let length = dot(vector, vector).sqrt();
    match similarity == Similarity::Cosine && length > 0.0 {
        true => vector.iter().map(|value| value / length).collect(),
        false => vector.to_vec(),
    }
}

/// The fields of a document in their order, as JSON.
pub(super) fn fields_of(document: &Document) -> String {
    serde_json::to_string(&document.metadata).expect("a map of JSON values is JSON")
}

pub(super) fn content_hash(document: &Document, fields: &str) -> Vec<u8> {
    let mut hasher = Sha256::new();
    hasher.update((document.text.len() as u64).to_le_bytes());
    hasher.update(document.text.as_bytes());
    hasher.update(fields.as_bytes());
    hasher.finalize()[..16].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_in_json_is_told_from_a_backslash_before_its_name() {
        assert!(has_nul(r#"{"a":"x\u0000"}"#));
        assert!(has_nul(r#"{"a":"\\\u0000"}"#));
        assert!(!has_nul(r#"{"a":"\\u0000"}"#));
    }
}
