//! Segments of embeddings, searched through a graph or exactly.
