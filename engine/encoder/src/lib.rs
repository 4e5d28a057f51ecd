//! Sentences to embeddings.
//!
//! [`SentenceEncoder`] opens a sentence-transformers directory (`model_dir`, `config`, `weights`), cuts texts into
//! tokens (`tokenize`), runs the network (`transformer`, `executors`: `cpu`, or `burn` over batches of like length), makes
//! one vector of the vectors of the tokens (`pooling`), and applies the modules that follow (`after_pooling`). A model
//! without layers is the mean of a vector for each token (`static_embedding`) or word (`word_embeddings`). [`CrossEncoder`] scores pairs of texts with
//! the same kernels.
//!
//! Features that are on by default: `burn`, the executor on burn and the module that training differentiates; `hub`, models
//! by name, downloaded where they are not on this machine. Without them the crate loads a model directory and runs it on
//! processors. Features that are not: `cuda` and `wgpu`, by which burn computes on GPUs ([`Device`]).

mod after_pooling;
mod config;
mod cross_encoder;
mod device;
mod error;
mod executors;
mod families;
mod files;
mod fingerprint;
#[cfg(feature = "hub")]
pub mod hub;
mod model_dir;
mod pooling;
mod prompts;
mod sentence_encoder;
mod settings;
mod static_embedding;
mod tokenize;
mod tokenizer_config;
mod tokenizer_files;
mod transformer;
mod weights;
mod word_embeddings;

use std::num::NonZeroUsize;

pub use akin_kernels::rows::Precision;
pub use akin_kernels::{Embeddings, Similarity};
pub use cross_encoder::{CrossEncoder, PairScores};
pub use device::Device;
pub use error::{Error, Result};
#[cfg(feature = "burn")]
pub use executors::burn;
pub use pooling::Pooling;
pub use prompts::{Prompts, Role};
pub use sentence_encoder::{Encoding, SentenceEncoder};

/// The parts of a model directory, each checked as it is opened: what training begins with.
pub mod model {
    pub use crate::config::{Architecture, BertConfig};
    pub use crate::cross_encoder::{HeadActivation, HeadForm, longest_first};
    pub use crate::model_dir::ModelDir;
    pub use crate::pooling::pool_tokens;
    pub use crate::settings::{ALL_FILES, Effect, FileKeys};
    pub use crate::tokenize::{Piece, SentenceTokenizer, Tokens, WordPieces};
    pub use crate::weights::ModelWeights;
}

/// The model that is used when none is named.
pub const DEFAULT_MODEL: &str = "sentence-transformers/all-MiniLM-L6-v2";

/// What computes the network on the processor. On any other [`Device`] burn does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Executor {
    /// The module on burn: the reference, and what training differentiates. With the feature `burn`.
    Burn,
    /// Inference on processors, with nothing padded: the same embeddings, several times as fast.
    #[default]
    Cpu,
}

/// How to load an encoder.
#[derive(Clone, Debug, Default)]
pub struct EncoderOptions {
    /// Where the network is computed. A model without layers is always computed by the processor.
    pub device: Device,
    /// What computes the network on the processor.
    pub executor: Executor,
    /// In what numbers. [`Executor::Burn`] and GPUs compute in f32 only.
    pub precision: Precision,
    /// Prompts in place of the model's own.
    pub prompts: Prompts,
    /// How many numbers of an embedding are kept: the first ones, and as many as the model makes where there is none.
    pub dimensions: Option<NonZeroUsize>,
}
