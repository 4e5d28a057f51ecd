//! Encodes equal texts once: those of one batch, and those of the batches before it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use akin_encoder::{Embeddings, Encoding, Role, SentenceEncoder};
use sha2::{Digest, Sha256};

use crate::Result;

/// Bytes of embeddings that are kept: some 43,000 embeddings of 384 numbers.
const REMEMBERED_BYTES: usize = 64 << 20;

/// Texts that are encoded between two looks at whether to go on: enough to batch those of like length.
const TEXTS_AT_ONCE: usize = 1024;

/// Fewer are where they have this many bytes: a second of work or a few.
const BYTES_AT_ONCE: usize = 128 << 10;

/// 128 bits of the SHA-256 of a text: equal if and only if the texts are.
pub type TextHash = [u8; 16];

/// Divides texts into parts that are encoded in a second or a few. Between them a program may stop.
pub fn parts<'a, 't>(texts: &'a [&'t str]) -> impl Iterator<Item = &'a [&'t str]> {
    let mut rest = texts;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = rest.iter().take(TEXTS_AT_ONCE).take_while(|text| {
            bytes += text.len();
            bytes <= BYTES_AT_ONCE
        });
        let count = fit.count().max(1).min(rest.len());
        let (part, others) = rest.split_at(count);
        rest = others;
        (!part.is_empty()).then_some(part)
    })
}

/// The hash that equal texts are found by.
pub fn text_hash(text: &str) -> TextHash {
    let digest = Sha256::digest(text.as_bytes());
    *digest.first_chunk().expect("a SHA-256 has 32 bytes")
}

/// An encoder that keeps the embeddings of the last texts, so that a text that occurs a hundred thousand times is
/// encoded once.
pub struct DistinctEncoder<'a> {
    encoder: &'a SentenceEncoder,
    role: Option<Role>,
    recent: Recent,
}

impl<'a> DistinctEncoder<'a> {
    /// An encoder of texts in a role, or in none, that keeps no embedding yet.
    pub fn new(encoder: &'a SentenceEncoder, role: Option<Role>) -> Self {
        let capacity = REMEMBERED_BYTES / (4 * encoder.dimension());
        Self { encoder, role, recent: Recent::new(encoder.dimension(), capacity.max(1)) }
    }

    /// Takes the embedding of a text from elsewhere: the text is not encoded while it is remembered.
    ///
    /// # Panics
    /// If it has another dimension than the encoder's.
    pub fn remember(&mut self, text: &str, embedding: &[f32]) {
        let hash = text_hash(text);
        if self.recent.get(&hash).is_none() {
            self.recent.insert(hash, embedding);
        }
    }

    /// [`encode`](Self::encode) in [parts]. `go_on` is called after each of several parts, and may stop it.
    ///
    /// # Errors
    /// As there, and [`Cancelled`](akin_index::Error::Cancelled) if `go_on` stopped it.
    pub fn encode_with(
        &mut self,
        texts: &[&str],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<DistinctEncoding> {
        let embeddings = Embeddings::empty(self.encoder.dimension());
        let mut whole = DistinctEncoding { embeddings, encoded: 0, tokens: 0, truncated: 0 };
        for part in parts(texts) {
            let encoding = self.encode(part)?;
            if part.len() == texts.len() {
                return Ok(encoding);
            }
            encoding.embeddings.iter().for_each(|row| whole.embeddings.push(row));
            whole.encoded += encoding.encoded;
            whole.tokens += encoding.tokens;
            whole.truncated += encoding.truncated;
            if go_on().is_break() {
                return Err(akin_index::Error::Cancelled.into());
            }
        }
        Ok(whole)
    }

    /// The embeddings of `texts`, in their order. Tokens and truncated texts of the result are those that went through
    /// the network now: each of equal texts counts once at most.
    ///
    /// # Errors
    /// As [`SentenceEncoder::encode`].
    pub fn encode(&mut self, texts: &[&str]) -> Result<DistinctEncoding> {
        let hashes: Vec<TextHash> = texts.iter().map(|text| text_hash(text)).collect();
        let mut rows = HashMap::new();
        let mut embeddings = Embeddings::empty(self.encoder.dimension());
        let mut new = Vec::new();
        // Rows that are kept are copied first: keeping new ones may overwrite them.
        for hash in &hashes {
            if let Some(embedding) = self.recent.get(hash).filter(|_| !rows.contains_key(hash)) {
                rows.insert(*hash, embeddings.rows());
                embeddings.push(embedding);
            }
        }
        for (hash, text) in hashes.iter().zip(texts) {
            let next = embeddings.rows() + new.len();
            rows.entry(*hash).or_insert_with(|| {
                new.push((*hash, *text));
                next
            });
        }
        let Encoding { embeddings: encoded, tokens, truncated } = match new.is_empty() {
            true => {
                Encoding { embeddings: Embeddings::empty(embeddings.dimension()), tokens: 0, truncated: 0 }
            }
            false => {
                let texts: Vec<&str> = new.iter().map(|(_, text)| *text).collect();
                match self.role {
                    Some(role) => self.encoder.encode_as(role, &texts)?,
                    None => self.encoder.encode(&texts)?,
                }
            }
        };
        for ((hash, _), embedding) in new.iter().zip(encoded.iter()) {
            self.recent.insert(*hash, embedding);
        }
        let embeddings = match (embeddings.rows(), new.len() == texts.len()) {
            // No text is equal to another or was encoded before: the usual case.
            (0, true) => encoded,
            _ => {
                encoded.iter().for_each(|embedding| embeddings.push(embedding));
                let mut spread = Embeddings::empty(embeddings.dimension());
                hashes.iter().for_each(|hash| spread.push(embeddings.row(rows[hash])));
                spread
            }
        };
        Ok(DistinctEncoding { embeddings, encoded: new.len(), tokens, truncated })
    }
}

/// The embeddings of a batch of texts, and what it took to encode them.
pub struct DistinctEncoding {
    /// A row for each text, in the order of the texts.
    pub embeddings: Embeddings,
    /// Texts that were encoded.
    pub encoded: usize,
    /// Their tokens.
    pub tokens: usize,
    /// How many of them were longer than the model reads, so that their end was left out.
    pub truncated: usize,
}

/// The newest embeddings, up to a number. When it is full, a new one replaces the oldest.
struct Recent {
    slots: HashMap<TextHash, usize>,
    /// The text whose embedding is in each slot.
    owners: Vec<TextHash>,
    embeddings: Embeddings,
    capacity: usize,
    /// The slot that is filled next.
    next: usize,
}

impl Recent {
    fn new(dimension: usize, capacity: usize) -> Self {
        let embeddings = Embeddings::empty(dimension);
        Self { slots: HashMap::new(), owners: Vec::new(), embeddings, capacity, next: 0 }
    }

    fn get(&self, hash: &TextHash) -> Option<&[f32]> {
        self.slots.get(hash).map(|slot| self.embeddings.row(*slot))
    }

    fn insert(&mut self, hash: TextHash, embedding: &[f32]) {
        let slot = self.next;
        self.next = (slot + 1) % self.capacity;
        if slot == self.owners.len() {
            self.owners.push(hash);
            self.embeddings.push(embedding);
        } else {
            let before = std::mem::replace(&mut self.owners[slot], hash);
            self.slots.remove(&before);
            let dimension = embedding.len();
            self.embeddings.as_mut_slice()[slot * dimension..][..dimension].copy_from_slice(embedding);
        }
        self.slots.insert(hash, slot);
    }
}

#[cfg(test)]
mod tests {
    use akin_fixtures::models::tiny;

    use super::*;

    fn encoder() -> SentenceEncoder {
        SentenceEncoder::load(&tiny("bert")).unwrap()
    }

    #[test]
    fn equal_texts_are_encoded_once_and_have_equal_embeddings() {
        let encoder = encoder();
        let mut distinct = DistinctEncoder::new(&encoder, None);
        let first = distinct.encode(&["a cat", "a dog", "a cat", "a cat"]).unwrap();
        assert_eq!((first.encoded, first.embeddings.rows()), (2, 4));
        for copy in [2, 3] {
            assert_eq!(first.embeddings.row(copy), first.embeddings.row(0));
        }
        assert_ne!(first.embeddings.row(1), first.embeddings.row(0));
        let second = distinct.encode(&["a bird", "a cat", "a bird", "a dog"]).unwrap();
        assert_eq!(second.encoded, 1);
        assert_eq!(second.embeddings.row(1), first.embeddings.row(0));
        assert_eq!(second.embeddings.row(3), first.embeddings.row(1));
        assert_eq!(second.embeddings.row(0), second.embeddings.row(2));
        let none = distinct.encode(&["a dog", "a dog"]).unwrap();
        assert_eq!((none.encoded, none.tokens, none.embeddings.rows()), (0, 0, 2));
    }

    #[test]
    fn long_texts_are_encoded_in_parts_to_the_same_vectors_and_can_be_stopped_between() {
        let encoder = encoder();
        let texts: Vec<String> = (0..7).map(|number| format!("cat {} ", number % 5).repeat(15_000)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut heard = 0;
        let whole = DistinctEncoder::new(&encoder, None).encode_with(&texts, &mut || {
            heard += 1;
            ControlFlow::Continue(())
        });
        let whole = whole.unwrap();
        assert_eq!((heard, whole.encoded, whole.truncated), (7, 5, 5), "two texts come twice");
        for (row, text) in whole.embeddings.iter().zip(&texts) {
            assert_eq!(row, encoder.encode(&[text]).unwrap().embeddings.row(0));
        }
        let stopped =
            DistinctEncoder::new(&encoder, None).encode_with(&texts, &mut || ControlFlow::Break(()));
        assert!(matches!(stopped, Err(crate::Error::Index(akin_index::Error::Cancelled))));
        assert_eq!(parts(&[]).count(), 0);
        assert_eq!(parts(&["a"; 2500]).map(<[&str]>::len).collect::<Vec<_>>(), [1024, 1024, 452]);
    }

    #[test]
    fn a_text_that_was_forgotten_is_encoded_again_to_the_same_embedding() {
        let encoder = encoder();
        let recent = Recent::new(encoder.dimension(), 2);
        let mut distinct = DistinctEncoder { encoder: &encoder, role: None, recent };
        let first = distinct.encode(&["one"]).unwrap();
        // Three texts go through a memory of two while one of the batch is remembered.
        let batch = distinct.encode(&["two", "one", "three", "four"]).unwrap();
        assert_eq!((batch.encoded, batch.embeddings.row(1)), (3, first.embeddings.row(0)));
        assert_eq!(distinct.recent.slots.len(), 2);
        let again = distinct.encode(&["one", "four"]).unwrap();
        assert_eq!((again.encoded, again.embeddings.row(0)), (1, first.embeddings.row(0)));
        assert_eq!(again.embeddings.row(1), batch.embeddings.row(3));
    }
}
