//! The executor on burn: the reference of all families, the module that training differentiates, and the one that GPUs run.
//!
//! Texts of like length go through the network together (`batches`), padded to the longest of a batch; `transformer`
//! computes what a family describes (`blueprint`), over whatever a `pass` is made of, `bert` is BERT's network alone, which training computes faster,
//! `named` gives trained weights the names of files, and `pooling` makes one vector of the vectors of the tokens.
//! On the processor each thread takes whole batches. A GPU (`device`) gets all batches in a queue, and is read at the end (`queued`).

mod batches;
mod bert;
mod blueprint;
mod device;
mod disentangled;
mod distances;
mod load;
mod named;
mod norm;
mod pass;
mod pooling;
mod queued;
mod transformer;

use burn::tensor::{Device as BurnDevice, Tensor, TensorData};
use rayon::prelude::*;

pub use self::batches::PaddedBatch;
use self::batches::{Batching, smart_batches};
pub use self::bert::{Bert, BertEmbeddings, BertLayer, SelfAttention};
pub(crate) use self::device::available;
use self::device::{caught, open};
pub use self::disentangled::Distances;
pub use self::distances::DistanceBuckets;
pub use self::named::NamedTensor;
pub use self::norm::Norm;
pub use self::pass::{Pass, activate};
pub use self::pooling::pool;
use self::pooling::pool_joined;
pub(crate) use self::queued::Queued;
use self::queued::scatter;
pub use self::transformer::{Transformer, TransformerLayer};
use super::Started;
use crate::config::BertConfig;
use crate::model_dir::ModelDir;
use crate::pooling::Pooling;
use crate::weights::ModelWeights;
use crate::{Device, Error, Result};

/// The network of a model on one of burn's devices.
pub(crate) struct BurnNetwork {
    network: Transformer,
    device: Device,
    burn_device: BurnDevice,
    batching: Batching,
    poolings: Vec<Pooling>,
    config: BertConfig,
}

impl BurnNetwork {
    pub(crate) fn load(model: &ModelDir, weights: &ModelWeights, device: Device) -> Result<Self> {
        let burn_device = open(device)?;
        Ok(Self {
            network: caught(device, || Transformer::load(&model.config, weights, &burn_device))?,
            device,
            burn_device,
            batching: Batching::of(device),
            poolings: model.poolings.clone(),
            config: model.config.clone(),
        })
    }

    /// Whether the network computes on a device that works on its own while the processor goes on.
    pub(crate) fn is_asynchronous(&self) -> bool {
        self.device != Device::Cpu
    }

    /// Begins the pooled vectors of `sentences` in their order, `[sentences, poolings, hidden]`, pooled without the first
    /// `skipped` tokens.
    pub(crate) fn start(&self, sentences: &[&[u32]], skipped: usize) -> Result<Started> {
        let lengths: Vec<usize> = sentences.iter().map(|ids| ids.len()).collect();
        self.run(smart_batches(&lengths, &self.batching), sentences, skipped)
    }

    /// The same in the order given, `batch` sentences at a time.
    pub(crate) fn embed_padded(
        &self,
        sentences: &[&[u32]],
        batch: usize,
        skipped: usize,
    ) -> Result<Vec<f32>> {
        let rows: Vec<usize> = (0..sentences.len()).collect();
        self.run(rows.chunks(batch).map(<[usize]>::to_vec).collect(), sentences, skipped)?.finish()
    }

    fn run(&self, batches: Vec<Vec<usize>>, sentences: &[&[u32]], skipped: usize) -> Result<Started> {
        let width = self.config.hidden_size * self.poolings.len();
        let of_batch = |batch: &[usize]| batch.iter().map(|row| sentences[*row]).collect::<Vec<&[u32]>>();
        if self.is_asynchronous() {
            let mut queued = Queued::new(self.device, sentences.len(), width);
            for batch in batches {
                let vectors = caught(self.device, || Ok(self.pooled(&of_batch(&batch), skipped)))?;
                queued.push(batch, vectors)?;
            }
            return Ok(Started::Queued(queued));
        }
        // Products of matrices stay in one thread.
        let vectors: Vec<Vec<f32>> = batches
            .par_iter()
            .with_max_len(1)
            .map(|batch| floats(self.pooled(&of_batch(batch), skipped).into_data()))
            .collect::<Result<_>>()?;
        let mut rows = vec![0.0; sentences.len() * width];
        for (batch, vectors) in batches.iter().zip(&vectors) {
            scatter(&mut rows, batch, vectors, width);
        }
        Ok(Started::Done(rows))
    }

    /// The pooled vectors of one batch, `[sentences, poolings * hidden]`.
    fn pooled(&self, sentences: &[&[u32]], skipped: usize) -> Tensor<2> {
        let longest = sentences.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let padded = self.batching.padded(longest, self.config.max_position_embeddings);
        let batch = PaddedBatch::padded_to(padded, sentences, &self.config, &self.burn_device);
        pool_joined(self.network.hidden_states(&batch), &batch.lengths, &self.poolings, skipped)
    }
}

fn floats(data: TensorData) -> Result<Vec<f32>> {
    data.try_into_vec().map_err(|error| Error::Invalid(format!("burn gives no f32 embeddings: {error}")))
}
