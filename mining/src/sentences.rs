//! Sentences and their embeddings, equal ones once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use akin_kernels::Embeddings;

/// Sentences, each with its embedding of length one. Equal sentences share a row: a million sentences of which half are
/// copies are compared as half a million rows.
///
/// What is equal is the same text, which the caller knows ([`push_copy`](Self::push_copy)), or the same embedding to the
/// bit ([`push`](Self::push)). A row of zeros equals nothing: it says nothing about its sentence.
#[derive(Debug)]
pub struct Sentences {
    /// The different embeddings, in the order of their first sentences.
    embeddings: Embeddings,
    /// The row of each sentence.
    rows: Vec<u32>,
    /// The first sentence of each row.
    firsts: Vec<u32>,
    /// The last row of each hash of an embedding.
    by_hash: HashMap<u64, u32>,
}

impl Sentences {
    /// None yet, with embeddings of a known length.
    pub fn new(dimension: usize) -> Self {
        let embeddings = Embeddings::empty(dimension);
        Self { embeddings, rows: Vec::new(), firsts: Vec::new(), by_hash: HashMap::new() }
    }

    /// One sentence a row.
    pub fn of(embeddings: &Embeddings) -> Self {
        let mut sentences = Self::new(embeddings.dimension());
        embeddings.iter().for_each(|row| sentences.push(row));
        sentences
    }

    /// Adds a sentence with its embedding.
    ///
    /// # Panics
    /// If the embedding has another length, or if there are 2^32 sentences.
    pub fn push(&mut self, embedding: &[f32]) {
        let hash = hash(embedding);
        let known = self.by_hash.get(&hash).copied().filter(|row| {
            let known = self.embeddings.row(*row as usize);
            is_equal(known, embedding) && embedding.iter().any(|value| *value != 0.0)
        });
        let row = known.unwrap_or_else(|| {
            let row = number(self.embeddings.rows());
            self.embeddings.push(embedding);
            self.firsts.push(number(self.rows.len()));
            self.by_hash.insert(hash, row);
            row
        });
        self.rows.push(row);
    }

    /// Adds a sentence with the text of an earlier one.
    ///
    /// # Panics
    /// If there is no such sentence, or if there are 2^32 sentences.
    pub fn push_copy(&mut self, of: usize) {
        let row = self.rows[of];
        number(self.rows.len());
        self.rows.push(row);
    }

    /// How many sentences there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The different embeddings: `[rows, dimension]`, in the order of their first sentences.
    pub fn distinct(&self) -> &Embeddings {
        &self.embeddings
    }

    /// The row of a sentence among the [different embeddings](Self::distinct).
    pub fn row_of(&self, sentence: usize) -> usize {
        self.rows[sentence] as usize
    }

    /// The first sentence of a row.
    pub fn first_of(&self, row: usize) -> usize {
        self.firsts[row] as usize
    }

    /// Each sentence that equals an earlier one, and the first that it equals: (first, copy), by copy.
    pub fn copies(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let pairs =
            self.rows.iter().enumerate().map(|(copy, row)| (self.firsts[*row as usize] as usize, copy));
        pairs.filter(|(first, copy)| first != copy)
    }

    /// The embedding of each sentence: `[sentences, dimension]`. Takes no more memory than that.
    pub fn into_embeddings(self) -> Embeddings {
        let Self { mut embeddings, rows, by_hash, .. } = self;
        drop(by_hash);
        let dimension = embeddings.dimension();
        let zeros = vec![0.0; dimension];
        (embeddings.rows()..rows.len()).for_each(|_| embeddings.push(&zeros));
        let values = embeddings.as_mut_slice();
        // No sentence has a row after its own place, so that from the end on no row is overwritten that is still needed.
        for (sentence, row) in rows.iter().enumerate().rev() {
            let row = *row as usize * dimension;
            values.copy_within(row..row + dimension, sentence * dimension);
        }
        embeddings
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("fewer than 2^32 sentences")
}

/// Whether all bits are equal. Zero and minus zero differ, which separates nothing but what nobody computes twice.
fn is_equal(one: &[f32], other: &[f32]) -> bool {
    one.iter().map(|value| value.to_bits()).eq(other.iter().map(|value| value.to_bits()))
}

fn hash(embedding: &[f32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    embedding.iter().for_each(|value| hasher.write_u32(value.to_bits()));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed() -> Sentences {
        let mut sentences = Sentences::new(2);
        sentences.push(&[1.0, 0.0]);
        sentences.push(&[0.0, 1.0]);
        sentences.push(&[1.0, 0.0]);
        sentences.push_copy(1);
        sentences.push(&[0.6, 0.8]);
        sentences.push_copy(2);
        sentences
    }

    #[test]
    fn equal_sentences_share_a_row() {
        let sentences = mixed();
        assert_eq!((sentences.len(), sentences.distinct().rows()), (6, 3));
        assert_eq!((0..6).map(|sentence| sentences.row_of(sentence)).collect::<Vec<_>>(), [0, 1, 0, 1, 2, 0]);
        assert_eq!((0..3).map(|row| sentences.first_of(row)).collect::<Vec<_>>(), [0, 1, 4]);
        assert_eq!(sentences.copies().collect::<Vec<_>>(), [(0, 2), (1, 3), (0, 5)]);
    }

    #[test]
    fn each_sentence_has_its_embedding_again() {
        let values = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.6, 0.8, 1.0, 0.0];
        assert_eq!(mixed().into_embeddings(), Embeddings::from_values(2, values.to_vec()));
    }

    #[test]
    fn rows_of_zeros_are_not_equal_but_copies_of_their_text_are() {
        let mut sentences = Sentences::of(&Embeddings::from_values(2, vec![0.0; 4]));
        assert_eq!(sentences.copies().count(), 0);
        sentences.push_copy(0);
        assert_eq!(sentences.copies().collect::<Vec<_>>(), [(0, 2)]);
    }
}
