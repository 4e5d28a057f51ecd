//! The two executors of a network behind one call: sentences of token ids to pooled vectors.

use burn::tensor::Device;
use rayon::prelude::*;

use crate::{Error, Result};

use super::batches::smart_batches;
use super::burn_bert::{Bert, PaddedBatch};
use super::config::{BertConfig, Pooling};
use super::cpu::CpuBert;
use super::model_dir::{ModelDir, refuse};
use super::pooling::{pool, pool_tokens};
use super::weights::Weights;
use super::{EncoderOptions, Executor, Precision};

/// The weights in the form that an executor computes with.
pub(super) enum Network {
    Burn(Box<BurnNetwork>),
    Cpu(Box<CpuNetwork>),
}

impl Network {
    pub(super) fn load(model: &ModelDir, weights: &Weights, options: &EncoderOptions) -> Result<Self> {
        match options.executor {
            Executor::Burn => Ok(Self::Burn(BurnNetwork::load(model, weights)?.into())),
            Executor::Cpu => Ok(Self::Cpu(CpuNetwork::load(model, weights, options.precision)?.into())),
        }
    }

    /// The pooled vectors of `sentences` in their order, `[sentences, hidden]`; zeros for a sentence
    /// without a token.
    pub(super) fn embed(&self, sentences: &[&[u32]]) -> Result<Vec<f32>> {
        match self {
            Self::Burn(network) => network.embed(sentences),
            Self::Cpu(network) => network.embed(sentences),
        }
    }

    /// The same in the order given, `batch` sentences at a time.
    pub(super) fn embed_padded(&self, sentences: &[&[u32]], batch: usize) -> Result<Vec<f32>> {
        let Self::Burn(network) = self else {
            return Err(Error::Invalid("only the burn executor pads".into()));
        };
        let pooled: Vec<Vec<f32>> = sentences
            .par_chunks(batch)
            .with_max_len(1)
            .map(|batch| network.embed_batch(batch))
            .collect::<Result<_>>()?;
        Ok(pooled.concat())
    }
}

/// The module on burn. Products of matrices stay in one thread, and each thread takes whole batches.
pub(super) struct BurnNetwork {
    bert: Bert,
    device: Device,
    pooling: Pooling,
    config: BertConfig,
}

impl BurnNetwork {
    fn load(model: &ModelDir, weights: &Weights) -> Result<Self> {
        let device = Device::default();
        Ok(Self {
            bert: Bert::load(&model.config, weights, &device)?,
            device,
            pooling: model.pooling,
            config: model.config.clone(),
        })
    }

    fn embed(&self, sentences: &[&[u32]]) -> Result<Vec<f32>> {
        let lengths: Vec<usize> = sentences.iter().map(|ids| ids.len()).collect();
        let batches = smart_batches(&lengths, rayon::current_num_threads());
        let pooled: Vec<Vec<f32>> = batches
            .par_iter()
            .with_max_len(1)
            .map(|batch| self.embed_batch(&batch.iter().map(|row| sentences[*row]).collect::<Vec<_>>()))
            .collect::<Result<_>>()?;

        let width = self.config.hidden_size;
        let mut rows = vec![0.0; sentences.len() * width];
        for (batch, vectors) in batches.iter().zip(&pooled) {
            for (row, vector) in batch.iter().zip(vectors.chunks_exact(width)) {
                rows[row * width..][..width].copy_from_slice(vector);
            }
        }
        Ok(rows)
    }

    fn embed_batch(&self, sentences: &[&[u32]]) -> Result<Vec<f32>> {
        let batch = PaddedBatch::new(sentences, &self.config, &self.device);
        let pooled = pool(self.bert.forward(&batch), batch.padding, self.pooling);
        pooled
            .into_data()
            .try_into_vec()
            .map_err(|error| Error::Invalid(format!("burn gives no f32 embeddings: {error}")))
    }
}

/// The network on processors: sentences end to end, with nothing padded.
pub(super) struct CpuNetwork {
    bert: CpuBert,
    pooling: Pooling,
    hidden_size: usize,
}

impl CpuNetwork {
    fn load(model: &ModelDir, weights: &Weights, precision: Precision) -> Result<Self> {
        let bert = CpuBert::load(&model.config, &weights.tensors()?, weights.prefix(), precision)
            .map_err(|reason| refuse(weights.path(), reason))?;
        Ok(Self { bert, pooling: model.pooling, hidden_size: model.config.hidden_size })
    }

    fn embed(&self, sentences: &[&[u32]]) -> Result<Vec<f32>> {
        // Sentences of like length make groups of like work, and none without a token is in a group.
        let mut order: Vec<usize> = (0..sentences.len()).filter(|row| !sentences[*row].is_empty()).collect();
        order.sort_by_key(|row| std::cmp::Reverse(sentences[*row].len()));
        let mut ids = Vec::with_capacity(sentences.iter().map(|ids| ids.len()).sum());
        let mut offsets = vec![0];
        for row in &order {
            ids.extend_from_slice(sentences[*row]);
            offsets.push(ids.len());
        }
        let pooled =
            self.bert.embed(&ids, &offsets, &|hidden, out| pool_tokens(hidden, out, self.pooling))?;
        let width = self.hidden_size;
        let mut rows = vec![0.0; sentences.len() * width];
        for (row, vector) in order.iter().zip(pooled.chunks_exact(width)) {
            rows[row * width..][..width].copy_from_slice(vector);
        }
        Ok(rows)
    }
}
