//! Sentences to embeddings.
//!
//! [`SentenceEncoder`] opens a sentence-transformers directory (`model_dir`, `config`, `weights`), cuts texts into
//! tokens (`tokenize`), runs the network (`executors`: `cpu`, or `burn` over batches of like length) and makes one
//! vector of the vectors of the tokens (`pooling`). [`CrossEncoder`] scores pairs of texts with the same kernels.
//!
//! Features, both on by default: `burn`, the executor on burn and the module that training differentiates; `hub`, models
//! by name, downloaded where they are not on this machine. Without them the crate loads a model directory and runs it on
//! processors.

mod config;
mod cross_encoder;
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
mod settings;
mod tokenize;
mod tokenizer_config;
mod weights;

use std::path::Path;

use akin_kernels::cpu::isa;
pub use akin_kernels::rows::Precision;
pub use akin_kernels::{Embeddings, Similarity};
pub use cross_encoder::{CrossEncoder, PairScores};
pub use error::{Error, Result};
#[cfg(feature = "burn")]
pub use executors::burn;
pub use pooling::Pooling;
pub use prompts::{Prompts, Role};

use executors::Network;
use files::{read_file, refuse};
use fingerprint::Fingerprint;
use model::{ModelDir, ModelWeights, SentenceTokenizer};

/// The parts of a model directory, each checked as it is opened: what training begins with.
pub mod model {
    pub use crate::config::{Architecture, BertConfig};
    pub use crate::cross_encoder::longest_first;
    pub use crate::model_dir::ModelDir;
    pub use crate::pooling::pool_tokens;
    pub use crate::settings::{ALL_FILES, Effect, FileKeys};
    pub use crate::tokenize::{Piece, SentenceTokenizer, Tokens};
    pub use crate::weights::ModelWeights;
}

/// The model that is used when none is named.
pub const DEFAULT_MODEL: &str = "sentence-transformers/all-MiniLM-L6-v2";

/// What computes the network.
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
    /// What computes the network.
    pub executor: Executor,
    /// In what numbers. [`Executor::Burn`] computes in f32 only.
    pub precision: Precision,
    /// Prompts in place of the model's own.
    pub prompts: Prompts,
}

/// Encodes sentences with a sentence-transformers model.
///
/// ```no_run
/// # fn main() -> akin_encoder::Result<()> {
/// use akin_encoder::SentenceEncoder;
///
/// let encoder = SentenceEncoder::load("all-MiniLM-L6-v2".as_ref())?;
/// let encoding = encoder.encode(&["A man is eating food.", "Someone has a meal."])?;
/// assert_eq!(encoding.embeddings.rows(), 2);
/// # Ok(())
/// # }
/// ```
pub struct SentenceEncoder {
    model: ModelDir,
    tokenizer: SentenceTokenizer,
    network: Network,
    fingerprint: String,
    prompts: Prompts,
}

/// The embeddings of some texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    /// One row a text, in the order of the texts.
    pub embeddings: Embeddings,
    /// Tokens that went through the network, special tokens included.
    pub tokens: usize,
    /// How many texts were longer than [`SentenceEncoder::max_tokens`] and lost their end.
    pub truncated: usize,
}

impl SentenceEncoder {
    /// Loads the model in `dir` with the default options.
    ///
    /// # Errors
    /// [`Error::Model`] with the file at fault and what is expected of it.
    pub fn load(dir: &Path) -> Result<Self> {
        Self::load_with(dir, &EncoderOptions::default())
    }

    /// Loads the model in `dir`.
    ///
    /// # Errors
    /// [`Error::Model`] with the file at fault and what is expected of it;
    /// [`Error::Precision`] for a precision that the executor or this processor does not compute in.
    pub fn load_with(dir: &Path, options: &EncoderOptions) -> Result<Self> {
        Self::open(ModelDir::open(dir)?, options)
    }

    /// Loads the model in `dir`, which may be a bare Hugging Face directory, and pools in another way than it says: the
    /// baselines of the paper (section 4.1).
    ///
    /// # Errors
    /// [`Error::Model`] with the file at fault and what is expected of it.
    pub fn load_pooled(dir: &Path, options: &EncoderOptions, pooling: Pooling) -> Result<Self> {
        let model = ModelDir { pooling, ..ModelDir::open_base(dir)? };
        Self::open(model, options)
    }

    fn open(model: ModelDir, options: &EncoderOptions) -> Result<Self> {
        check_options(options)?;
        let weights = ModelWeights::open(&model)?;
        // Hashing the weights takes as long as loading them: each has a core.
        let (hashed, (tokenizer, network)) = rayon::join(
            || Ok(Fingerprint::default().with(weights.bytes()).with(&read_file(&model.tokenizer())?)),
            || rayon::join(|| SentenceTokenizer::load(&model), || Network::load(&model, &weights, options)),
        );
        let (hashed, tokenizer): (Result<Fingerprint>, _) = (hashed, tokenizer?);
        let settings = model.settings() + tokenizer.changes();
        let fingerprint = hashed?.with(settings.as_bytes()).digits();
        Ok(Self { tokenizer, network: network?, fingerprint, prompts: options.prompts.clone(), model })
    }

    /// The same encoder with other prompts in place of the model's own.
    #[must_use]
    pub fn with_prompts(self, prompts: Prompts) -> Self {
        Self { prompts, ..self }
    }

    /// The prompts that were given in place of the model's own.
    pub fn prompts(&self) -> &Prompts {
        &self.prompts
    }

    /// The text that is put before each text of a role; empty where there is none.
    pub fn prompt(&self, role: Role) -> &str {
        self.prompts.of(role).unwrap_or_else(|| self.own_prompt(role))
    }

    /// The model's own prompt for a role; empty where it has none.
    pub fn own_prompt(&self, role: Role) -> &str {
        self.model.texts.prompt(Some(role))
    }

    /// How the model wants its embeddings compared (`similarity_fn_name`). The dot product of embeddings of length one
    /// counts as their cosine.
    pub fn similarity(&self) -> Similarity {
        self.model.similarity()
    }

    /// How one vector is made of those of the tokens.
    pub fn pooling(&self) -> Pooling {
        self.model.pooling
    }

    /// The length of an embedding.
    pub fn dimension(&self) -> usize {
        self.model.dimension()
    }

    /// The longest text that is read whole, in tokens, special tokens included (`max_seq_length`).
    pub fn max_tokens(&self) -> usize {
        self.model.max_tokens
    }

    /// How many tokens of a text itself are read in a role: [`max_tokens`](Self::max_tokens) without special tokens and
    /// the prompt of the role.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the tokenizer refuses the prompt.
    pub fn text_tokens(&self, role: Role) -> Result<usize> {
        let around = self.count_tokens(&[self.prompt(role)])?[0];
        Ok(self.max_tokens().saturating_sub(around))
    }

    /// Where each token of `text` begins, in bytes and in order: of all of it, however long it is, without special
    /// tokens and prompt.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the tokenizer refuses a text.
    pub fn token_starts(&self, text: &str) -> Result<Vec<usize>> {
        self.tokenizer.token_starts(text)
    }

    /// What the embeddings depend on: SHA-256 over weights, tokenizer and settings, in 64 hex digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Where the model was loaded from.
    pub fn directory(&self) -> &Path {
        &self.model.root
    }

    /// How many tokens of each of `texts` the network reads, special tokens included.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the tokenizer refuses a text.
    pub fn count_tokens(&self, texts: &[&str]) -> Result<Vec<usize>> {
        Ok(self.tokenizer.tokenize(texts)?.iter().map(|text| text.ids.len()).collect())
    }

    /// The tokens of each of `texts` as the network reads them, special tokens included, without a prompt; and whether the
    /// text was longer than the model reads.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the tokenizer refuses a text.
    pub fn tokenize(&self, texts: &[&str]) -> Result<Vec<model::Tokens>> {
        self.tokenizer.tokenize(texts)
    }

    /// The tokens of a text that the network reads, each with its place in the text.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the tokenizer refuses the text.
    pub fn pieces(&self, text: &str, special: bool) -> Result<Vec<model::Piece>> {
        self.tokenizer.pieces(text, special)
    }

    /// The embeddings of `texts`, in their order: `encode` of sentence-transformers, with the model's default prompt if
    /// it has one. All threads of rayon's pool take part.
    ///
    /// # Errors
    /// [`Error::Model`] when the network gives something that is not a number.
    pub fn encode(&self, texts: &[&str]) -> Result<Encoding> {
        self.encode_after(self.model.texts.prompt(None), texts)
    }

    /// The embeddings of texts of a role: `encode_query` and `encode_document` of sentence-transformers 5 and later.
    ///
    /// # Errors
    /// As [`SentenceEncoder::encode`].
    pub fn encode_as(&self, role: Role, texts: &[&str]) -> Result<Encoding> {
        self.encode_after(self.prompt(role), texts)
    }

    /// Puts `prompt` before each text.
    fn encode_after(&self, prompt: &str, texts: &[&str]) -> Result<Encoding> {
        let prompted: Vec<String>;
        let (tokens, skipped) = if prompt.is_empty() {
            (self.tokenizer.tokenize(texts)?, 0)
        } else {
            prompted = texts.iter().map(|text| format!("{prompt}{text}")).collect();
            let prompted: Vec<&str> = prompted.iter().map(String::as_str).collect();
            let skipped = if self.model.include_prompt { 0 } else { self.tokenizer.prompt_tokens(prompt)? };
            (self.tokenizer.tokenize(&prompted)?, skipped)
        };
        let sentences: Vec<&[u32]> = tokens.iter().map(|text| text.ids.as_slice()).collect();
        let mut rows = self.network.embed(&sentences, skipped)?;
        for (embedding, text) in rows.chunks_exact_mut(self.model.config.hidden_size).zip(texts) {
            self.require_finite(embedding, text)?;
            if self.model.normalize {
                pooling::normalize(embedding);
            }
        }
        Ok(Encoding {
            embeddings: self.cut(rows),
            tokens: sentences.iter().map(|ids| ids.len()).sum(),
            truncated: tokens.iter().filter(|text| text.truncated).count(),
        })
    }

    /// The embeddings of `texts` without smart batching: in their order, `batch` at a time, each batch padded to its
    /// longest text. What smart batching is measured against.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless the executor is burn, the only one that pads.
    pub fn encode_padded(&self, texts: &[&str], batch: usize) -> Result<Embeddings> {
        let tokens = self.tokenizer.tokenize(texts)?;
        let sentences: Vec<&[u32]> = tokens.iter().map(|text| text.ids.as_slice()).collect();
        let mut rows = self.network.embed_padded(&sentences, batch, 0)?;
        if self.model.normalize {
            rows.chunks_exact_mut(self.model.config.hidden_size).for_each(pooling::normalize);
        }
        Ok(self.cut(rows))
    }

    /// Keeps the first numbers of each row, `[texts, hidden]`, as many as the model says (`truncate_dim`).
    fn cut(&self, rows: Vec<f32>) -> Embeddings {
        let (width, kept) = (self.model.config.hidden_size, self.dimension());
        if kept == width {
            return Embeddings::from_values(width, rows);
        }
        let values = rows.chunks_exact(width).flat_map(|row| &row[..kept]).copied().collect();
        Embeddings::from_values(kept, values)
    }

    fn require_finite(&self, embedding: &[f32], text: &str) -> Result<()> {
        if embedding.iter().all(|x| x.is_finite()) {
            return Ok(());
        }
        let start: String = text.chars().take(40).collect();
        Err(refuse(
            &self.model.weights(),
            format!(
                "the network gives values that are not numbers for the text that begins {start:?}: the weights are broken, fetch them again"
            ),
        ))
    }
}

/// Refuses a precision that the executor or this processor does not compute in.
fn check_options(options: &EncoderOptions) -> Result<()> {
    match (options.executor, options.precision) {
        (Executor::Burn, precision @ (Precision::Bf16 | Precision::Int8)) => {
            Err(Error::Precision { precision, reason: "the burn executor computes in f32 only".into() })
        }
        (Executor::Cpu, precision @ Precision::Bf16) if !isa().multiplies_bf16() => {
            let name = isa().name();
            let reason = format!("this processor ({name}) does not multiply bf16, only f32 and int8");
            Err(Error::Precision { precision, reason })
        }
        _ => Ok(()),
    }
}
