//! Whatever makes vectors of sentences, so that the paper's baselines are evaluated as its models are.

use std::collections::HashMap;

use akin_encoder::{Embeddings, SentenceEncoder, Similarity};

use crate::Result;

/// Makes a vector of each sentence.
pub trait Embedder {
    /// The length of a vector.
    fn dimension(&self) -> usize;

    /// How the vectors of queries and documents are compared.
    fn similarity(&self) -> Similarity {
        Similarity::Cosine
    }

    /// The vectors of `texts`, and how many texts were longer than what is read.
    ///
    /// # Errors
    /// What the encoder reports.
    fn embed(&self, texts: &[&str]) -> Result<(Embeddings, usize)>;
}

impl Embedder for SentenceEncoder {
    fn dimension(&self) -> usize {
        SentenceEncoder::dimension(self)
    }

    fn similarity(&self) -> Similarity {
        SentenceEncoder::similarity(self)
    }

    fn embed(&self, texts: &[&str]) -> Result<(Embeddings, usize)> {
        let encoding = self.encode(texts)?;
        Ok((encoding.embeddings, encoding.truncated))
    }
}

/// How many sentences are encoded between two words to the observer.
const CHUNK: usize = 512;

/// The vectors of some sentences, each different one encoded once.
#[derive(Debug)]
pub struct Embedded<'a> {
    rows: HashMap<&'a str, usize>,
    embeddings: Embeddings,
    /// Different sentences that were longer than what is read, and lost their end.
    pub truncated: usize,
}

impl<'a> Embedded<'a> {
    /// Encodes `sentences`; `observer` hears (sentences encoded, of how many).
    ///
    /// # Errors
    /// What the encoder reports.
    pub fn of(
        embedder: &dyn Embedder,
        sentences: impl IntoIterator<Item = &'a str>,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let mut different: Vec<&str> = Vec::new();
        let mut rows = HashMap::new();
        for sentence in sentences {
            rows.entry(sentence).or_insert_with(|| {
                different.push(sentence);
                different.len() - 1
            });
        }
        let mut embeddings = Embeddings::empty(embedder.dimension());
        let mut truncated = 0;
        for chunk in different.chunks(CHUNK) {
            let (vectors, cut) = embedder.embed(chunk)?;
            truncated += cut;
            vectors.iter().for_each(|vector| embeddings.push(vector));
            observer(embeddings.rows(), different.len());
        }
        Ok(Self { rows, embeddings, truncated })
    }

    /// The vector of a sentence that was among them.
    ///
    /// # Panics
    /// If it was not.
    pub fn vector(&self, sentence: &str) -> &[f32] {
        self.embeddings.row(self.rows[sentence])
    }
}
