//! The encoder's view of this executor: whole texts in, pooled vectors out.

use super::CpuBert;
use crate::files::refuse;
use crate::model_dir::ModelDir;
use crate::pooling::{Pooling, pool_without_prompt};
use crate::weights::ModelWeights;
use crate::{Precision, Result};

/// The network on processors: sentences end to end, with nothing padded.
pub(crate) struct CpuNetwork {
    bert: CpuBert,
    pooling: Pooling,
    hidden_size: usize,
}

impl CpuNetwork {
    pub(crate) fn load(model: &ModelDir, weights: &ModelWeights, precision: Precision) -> Result<Self> {
        let bert = CpuBert::load(&model.config, &weights.tensors()?, weights.prefix(), precision)
            .map_err(|reason| refuse(weights.path(), reason))?;
        Ok(Self { bert, pooling: model.pooling, hidden_size: model.config.hidden_size })
    }

    /// The pooled vectors of `sentences` in their order, `[sentences, hidden]`, pooled without the first `skipped` tokens.
    pub(crate) fn embed(&self, sentences: &[&[u32]], skipped: usize) -> Result<Vec<f32>> {
        // Sentences of like length make groups of like work, and none without a token is in a group.
        let mut order: Vec<usize> = (0..sentences.len()).filter(|row| !sentences[*row].is_empty()).collect();
        order.sort_by_key(|row| std::cmp::Reverse(sentences[*row].len()));
        let mut ids = Vec::with_capacity(sentences.iter().map(|ids| ids.len()).sum());
        let mut offsets = vec![0];
        for row in &order {
            ids.extend_from_slice(sentences[*row]);
            offsets.push(ids.len());
        }
        let pooled = self.bert.embed(&ids, &offsets, &|hidden, out| {
            pool_without_prompt(hidden, out, self.pooling, skipped);
        })?;
        let width = self.hidden_size;
        let mut rows = vec![0.0; sentences.len() * width];
        for (row, vector) in order.iter().zip(pooled.chunks_exact(width)) {
            rows[row * width..][..width].copy_from_slice(vector);
        }
        Ok(rows)
    }
}
