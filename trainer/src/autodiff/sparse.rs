//! The gradient of an embedding table, of which a step uses a few rows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows of a gradient, each with its number: all other rows are zero. BERT's word embeddings are half of its weights, and
/// a batch holds one word in a hundred.
#[derive(Debug, Clone, Default)]
pub struct SparseGradient {
    rows: Arc<Mutex<HashMap<u32, Vec<f32>>>>,
}

impl SparseGradient {
    /// Adds to rows: `gradient` has as many, one after the other, as there are `numbers`.
    pub(super) fn add(&self, numbers: &[u32], gradient: &[f32], width: usize) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, gradient) in numbers.iter().zip(gradient.chunks_exact(width)) {
            let row = rows.entry(*number).or_insert_with(|| vec![0.0; width]);
            row.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
        }
    }

    /// Takes the rows out, and leaves none.
    pub fn take(&self) -> HashMap<u32, Vec<f32>> {
        std::mem::take(&mut *self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
