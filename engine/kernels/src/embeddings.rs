//! A matrix of sentence embeddings.

/// Embeddings of `rows` texts: f32, row-major, `[rows, dimension]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embeddings {
    dimension: usize,
    values: Vec<f32>,
}

impl Embeddings {
    /// No rows yet, of a known width.
    pub fn empty(dimension: usize) -> Self {
        Self::from_values(dimension, Vec::new())
    }

    /// Takes `values` as rows of `dimension` floats.
    ///
    /// # Panics
    /// If `dimension` is zero or does not divide the number of values.
    pub fn from_values(dimension: usize, values: Vec<f32>) -> Self {
        assert!(dimension > 0, "an embedding has at least one dimension");
        assert_eq!(values.len() % dimension, 0, "the values must fill whole rows");
        Self { dimension, values }
    }

    /// How many texts these embeddings are of.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.dimension).unwrap_or(0)
    }

    /// The length of each embedding.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The embedding of text `row`.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dimension..][..self.dimension]
    }

    /// The embeddings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimension.max(1))
    }

    /// Adds one embedding at the end.
    ///
    /// # Panics
    /// If it has another dimension.
    pub fn push(&mut self, embedding: &[f32]) {
        assert_eq!(embedding.len(), self.dimension, "an embedding of another dimension");
        self.values.extend_from_slice(embedding);
    }

    /// The whole matrix, row after row.
    pub fn as_slice(&self) -> &[f32] {
        &self.values
    }

    /// The values of the whole matrix, row after row.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// The whole matrix, to write rows in place.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.values
    }
}
