//! By what documents are found.

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
    /// Whether queries are encoded by a model.
    pub fn needs_model(self) -> bool {
        self != Self::Keyword
    }

    /// Whether queries are looked up word by word.
    pub fn needs_words(self) -> bool {
        self != Self::Semantic
    }
}
