//! The executors of a network behind one call: sentences of token ids to pooled vectors.

#[cfg(feature = "burn")]
pub mod burn;
pub(crate) mod cpu;

#[cfg(feature = "burn")]
use self::burn::BurnNetwork;
use self::cpu::CpuNetwork;
use crate::model_dir::ModelDir;
use crate::weights::ModelWeights;
use crate::{EncoderOptions, Error, Executor, Result};

/// The weights in the form that an executor computes with.
pub(crate) enum Network {
    #[cfg(feature = "burn")]
    Burn(Box<BurnNetwork>),
    Cpu(Box<CpuNetwork>),
}

impl Network {
    pub(crate) fn load(model: &ModelDir, weights: &ModelWeights, options: &EncoderOptions) -> Result<Self> {
        match options.executor {
            #[cfg(feature = "burn")]
            Executor::Burn => Ok(Self::Burn(BurnNetwork::load(model, weights)?.into())),
            #[cfg(not(feature = "burn"))]
            Executor::Burn => Err(Error::Invalid("the burn executor is not compiled in".into())),
            Executor::Cpu => Ok(Self::Cpu(CpuNetwork::load(model, weights, options.precision)?.into())),
        }
    }

    /// The pooled vectors of `sentences` in their order, `[sentences, poolings, hidden]`, pooled without the first `skipped`
    /// tokens; zeros for a sentence without a token.
    pub(crate) fn embed(&self, sentences: &[&[u32]], skipped: usize) -> Result<Vec<f32>> {
        match self {
            #[cfg(feature = "burn")]
            Self::Burn(network) => network.embed(sentences, skipped),
            Self::Cpu(network) => network.embed(sentences, skipped),
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
