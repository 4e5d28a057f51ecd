//! The executor on burn: the reference of all families, and the module that training differentiates.
//!
//! Texts of like length go through the network together (`batches`), padded to the longest of a batch; `transformer`
//! computes what a family describes, `bert` is the module that is trained, and `pooling` makes one vector of the vectors of the tokens.

mod batches;
mod bert;
mod distances;
mod load;
mod pooling;
mod transformer;

use burn::tensor::{Device, TensorData};
use rayon::prelude::*;

pub use self::batches::PaddedBatch;
use self::batches::smart_batches;
pub use self::bert::{Bert, BertEmbeddings, BertLayer, SelfAttention};
pub use self::distances::DistanceBuckets;
pub use self::pooling::pool;
use self::transformer::Transformer;
use crate::config::BertConfig;
use crate::model_dir::ModelDir;
use crate::pooling::{Pooling, pool_joined};
use crate::weights::ModelWeights;
use crate::{Error, Result};

/// The module on burn. Products of matrices stay in one thread, and each thread takes whole batches.
pub(crate) struct BurnNetwork {
    network: Transformer,
    device: Device,
    poolings: Vec<Pooling>,
    config: BertConfig,
}

impl BurnNetwork {
    pub(crate) fn load(model: &ModelDir, weights: &ModelWeights) -> Result<Self> {
        let device = Device::default();
        Ok(Self {
            network: Transformer::load(&model.config, weights, &device)?,
            device,
            poolings: model.poolings.clone(),
            config: model.config.clone(),
        })
    }

    /// The pooled vectors of `sentences` in their order, `[sentences, poolings, hidden]`, pooled without the first `skipped` tokens.
    pub(crate) fn embed(&self, sentences: &[&[u32]], skipped: usize) -> Result<Vec<f32>> {
        let lengths: Vec<usize> = sentences.iter().map(|ids| ids.len()).collect();
        let batches = smart_batches(&lengths, rayon::current_num_threads());
        let pooled: Vec<Vec<f32>> = batches
            .par_iter()
            .with_max_len(1)
            .map(|batch| {
                self.embed_batch(&batch.iter().map(|row| sentences[*row]).collect::<Vec<_>>(), skipped)
            })
            .collect::<Result<_>>()?;

        let width = self.config.hidden_size * self.poolings.len();
        let mut rows = vec![0.0; sentences.len() * width];
        for (batch, vectors) in batches.iter().zip(&pooled) {
            for (row, vector) in batch.iter().zip(vectors.chunks_exact(width)) {
                rows[row * width..][..width].copy_from_slice(vector);
            }
        }
        Ok(rows)
    }

    /// The same in the order given, `batch` sentences at a time.
    pub(crate) fn embed_padded(
        &self,
        sentences: &[&[u32]],
        batch: usize,
        skipped: usize,
    ) -> Result<Vec<f32>> {
        let pooled: Vec<Vec<f32>> = sentences
            .par_chunks(batch)
            .with_max_len(1)
            .map(|batch| self.embed_batch(batch, skipped))
            .collect::<Result<_>>()?;
        Ok(pooled.concat())
    }

    fn embed_batch(&self, sentences: &[&[u32]], skipped: usize) -> Result<Vec<f32>> {
        let batch = PaddedBatch::new(sentences, &self.config, &self.device);
        let hidden = self.network.forward(&batch);
        if let ([pooling], 0) = (self.poolings.as_slice(), skipped) {
            return floats(pool(hidden, batch.padding, *pooling).into_data());
        }
        let [_, longest, width] = hidden.dims();
        let hidden = floats(hidden.into_data())?;
        let mut rows = vec![0.0; sentences.len() * width * self.poolings.len()];
        let pooled =
            rows.chunks_exact_mut(width * self.poolings.len()).zip(hidden.chunks_exact(longest * width));
        for ((pooled, hidden), sentence) in pooled.zip(sentences) {
            pool_joined(&hidden[..sentence.len() * width], pooled, &self.poolings, skipped);
        }
        Ok(rows)
    }
}

fn floats(data: TensorData) -> Result<Vec<f32>> {
    data.try_into_vec().map_err(|error| Error::Invalid(format!("burn gives no f32 embeddings: {error}")))
}
