//! The executors of a network behind one call: sentences of token ids to pooled vectors.
//!
//! An executor is given a whole batch, of as many sentences as the caller has and of any lengths, and sorts, groups and pads them
//! as suits it. [`Network::start`] returns when the executor likes: after the work, or as soon as a device has it in its queue.
//! [`Started::finish`] waits for the vectors.

#[cfg(feature = "burn")]
pub mod burn;
pub(crate) mod cpu;

#[cfg(feature = "burn")]
use self::burn::{BurnNetwork, Queued};
use self::cpu::CpuNetwork;
use crate::model_dir::ModelDir;
use crate::weights::ModelWeights;
use crate::{Device, EncoderOptions, Error, Executor, Result};

/// Texts that are given to a device at once: while it computes them, the next ones are cut into tokens.
#[cfg(feature = "burn")]
const TEXTS_AT_ONCE: usize = 512;

/// The weights in the form that an executor computes with.
pub(crate) enum Network {
    #[cfg(feature = "burn")]
    Burn(Box<BurnNetwork>),
    Cpu(Box<CpuNetwork>),
}

/// A batch that an executor has begun.
pub(crate) enum Started {
    /// The vectors are there.
    Done(Vec<f32>),
    /// A device computes them.
    #[cfg(feature = "burn")]
    Queued(Queued),
}

impl Started {
    /// Waits for the pooled vectors, `[sentences, poolings, hidden]`.
    pub(crate) fn finish(self) -> Result<Vec<f32>> {
        match self {
            Self::Done(vectors) => Ok(vectors),
            #[cfg(feature = "burn")]
            Self::Queued(queued) => queued.finish(),
        }
    }
}

impl Network {
    pub(crate) fn load(model: &ModelDir, weights: &ModelWeights, options: &EncoderOptions) -> Result<Self> {
        match (options.device, options.executor) {
            (Device::Cpu, Executor::Cpu) => {
                Ok(Self::Cpu(CpuNetwork::load(model, weights, options.precision)?.into()))
            }
            #[cfg(feature = "burn")]
            (device, _) => Ok(Self::Burn(BurnNetwork::load(model, weights, device)?.into())),
            #[cfg(not(feature = "burn"))]
            _ => Err(Error::Invalid("the burn executor is not compiled in".into())),
        }
    }

    /// How many texts a caller that has more shall give at once.
    pub(crate) fn texts_at_once(&self) -> usize {
        match self {
            #[cfg(feature = "burn")]
            Self::Burn(network) if network.is_asynchronous() => TEXTS_AT_ONCE,
            _ => usize::MAX,
        }
    }

    /// Begins the pooled vectors of `sentences` in their order, `[sentences, poolings, hidden]`, pooled without the first
    /// `skipped` tokens; zeros for a sentence without a token.
    pub(crate) fn start(&self, sentences: &[&[u32]], skipped: usize) -> Result<Started> {
        match self {
            #[cfg(feature = "burn")]
            Self::Burn(network) => network.start(sentences, skipped),
            Self::Cpu(network) => Ok(Started::Done(network.embed(sentences, skipped)?)),
        }
    }

    /// The last hidden states of all tokens of `sentences`, in their order, `[tokens, hidden]`.
    pub(crate) fn token_states(&self, sentences: &[&[u32]]) -> Result<Vec<f32>> {
        match self {
            #[cfg(feature = "burn")]
            Self::Burn(_) => Err(Error::Invalid("the burn executor gives no vectors of tokens".into())),
            Self::Cpu(network) => network.token_states(sentences),
        }
    }

    /// The pooled vectors in the order given, `batch` sentences at a time, each batch padded to its longest.
    #[cfg_attr(not(feature = "burn"), allow(unused_variables))]
    pub(crate) fn embed_padded(
        &self,
        sentences: &[&[u32]],
        batch: usize,
        skipped: usize,
    ) -> Result<Vec<f32>> {
        match self {
            #[cfg(feature = "burn")]
            Self::Burn(network) => network.embed_padded(sentences, batch, skipped),
            Self::Cpu(_) => Err(Error::Invalid("only the burn executor pads".into())),
        }
    }
}
