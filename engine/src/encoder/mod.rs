//! Sentences to embeddings.
