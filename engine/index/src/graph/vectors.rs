//! Where the vectors are that a graph is built from, and those that a walk's best points are ranked by.

use std::ops::Range;

use akin_kernels::{dot, prefetch};

use super::Fault;
use crate::Embeddings;

/// Rows of f32 that are in memory or mapped: `[rows, dimension]`.
pub(crate) trait Matrix: Sync {
    /// How many rows there are.
    fn rows(&self) -> usize;
    /// The length of a row.
    fn dimension(&self) -> usize;
    /// A row, which the caller has [checked](Self::check).
    fn row(&self, row: usize) -> &[f32];

    /// The rows of a range hold their checksums.
    fn check(&self, _rows: Range<usize>) -> Result<(), Fault> {
        Ok(())
    }
}

impl Matrix for Embeddings {
    fn rows(&self) -> usize {
        Embeddings::rows(self)
    }

    fn dimension(&self) -> usize {
        Embeddings::dimension(self)
    }

    fn row(&self, row: usize) -> &[f32] {
        Embeddings::row(self, row)
    }
}

/// Vectors that can be compared with a query, a few at a time.
pub(crate) trait Vectors {
    /// Appends the dot product of `query` with each of `rows` to `scores`.
    fn scores(&self, query: &[f32], rows: &[u32], scores: &mut Vec<f32>) -> Result<(), Fault>;
}

impl Vectors for Embeddings {
    fn scores(&self, query: &[f32], rows: &[u32], scores: &mut Vec<f32>) -> Result<(), Fault> {
        for row in rows {
            prefetch(self.row(*row as usize));
        }
        scores.extend(rows.iter().map(|row| dot(query, self.row(*row as usize))));
        Ok(())
    }
}
