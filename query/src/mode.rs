//! By what documents are found.

use akin_engines::Engine;
use akin_index::{Similarity, Snapshot};

use crate::Result;

/// By what documents are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// By meaning: the cosine similarity of embeddings.
    #[default]
    Semantic,
    /// By words: BM25. Needs no model.
    Keyword,
    /// By both.
    Hybrid,
}

impl Mode {
    /// The mode that finds most in an index: both, if most of its passages have words and it compares by cosine. What
    /// meaning counts beside words was not measured with other similarities.
    ///
    /// # Errors
    /// What the index reports.
    pub fn best_of(snapshot: &Snapshot) -> Result<Self> {
        let by_cosine = snapshot.model().similarity == Similarity::Cosine;
        let passages = snapshot.live_passages();
        let worded = by_cosine && passages > 0 && 2 * snapshot.passages_with_words()? >= passages;
        Ok(if worded { Self::Hybrid } else { Self::Semantic })
    }

    /// The same of an engine: both, if it keeps words and compares by cosine.
    pub fn best_of_engine(engine: &dyn Engine) -> Self {
        let by_cosine = engine.model().similarity == Similarity::Cosine;
        if by_cosine && engine.has_words() { Self::Hybrid } else { Self::Semantic }
    }

    /// Whether queries are encoded by a model.
    pub fn needs_model(self) -> bool {
        self != Self::Keyword
    }

    /// Whether queries are looked up word by word.
    pub fn needs_words(self) -> bool {
        self != Self::Semantic
    }
}
