//! Pairs of texts to scores: a cross-encoder reads both texts of a pair together (section 2 of the paper).
//!
//! [`CrossEncoder`] opens a directory that sentence-transformers' `CrossEncoder` reads (`settings`), makes one sequence
//! of the tokens of both texts (`pairs`), runs the network of `executors::cpu` without padding, and computes the score
//! from the first token or the mean of all (`head`, in the form of the family: `head_form`). It knows a pair better than two embeddings do, and costs a pass through the network
//! for each pair: it ranks again what an index has found.

mod head;
mod head_form;
mod pairs;
pub(crate) mod settings;

use std::path::Path;

use self::head::ScoreHead;
pub use self::head_form::{HeadActivation, HeadForm};
use self::pairs::PairTokenizer;
pub(crate) use self::pairs::PairTokens;
pub use self::pairs::longest_first;
use self::settings::Activation;
use crate::executors::cpu::CpuNetwork;
use crate::files::refuse;
use crate::model::{ModelDir, ModelWeights};
use crate::transformer::check_options;
use crate::{EncoderOptions, Precision, Result};

/// Scores pairs of texts with a cross-encoder of sentence-transformers.
///
/// ```no_run
/// # fn main() -> akin_encoder::Result<()> {
/// use akin_encoder::{CrossEncoder, Precision};
///
/// let encoder = CrossEncoder::load("ms-marco-MiniLM-L6-v2".as_ref(), Precision::Int8)?;
/// let question = "How tall is the tower?";
/// let scores = encoder.score(&[(question, "It is 330 metres tall."), (question, "It was painted green.")])?;
/// assert_eq!(scores.len(), 2);
/// # Ok(())
/// # }
/// ```
pub struct CrossEncoder {
    model: ModelDir,
    tokenizer: PairTokenizer,
    network: CpuNetwork,
    head: ScoreHead,
    activation: Activation,
}

/// The scores of some pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct PairScores {
    /// One a pair, in the order of the pairs.
    pub scores: Vec<f32>,
    /// Tokens that went through the network, special tokens included.
    pub tokens: usize,
}

impl CrossEncoder {
    /// Loads the cross-encoder in `dir`, to compute in numbers of this precision.
    ///
    /// # Errors
    /// [`Error::NoCrossEncoder`](crate::Error::NoCrossEncoder) when the model in `dir` scores no pairs;
    /// [`Error::Model`](crate::Error::Model) with the file at fault and what is expected of it;
    /// [`Error::Precision`](crate::Error::Precision) for a precision that this processor does not compute in.
    pub fn load(dir: &Path, precision: Precision) -> Result<Self> {
        check_options(&EncoderOptions { precision, ..EncoderOptions::default() })?;
        let model = ModelDir::open_cross_encoder(dir)?;
        let activation = Activation::read(&model)?;
        let weights = ModelWeights::open(&model)?;
        let head = ScoreHead::load(&model, &weights)?;
        let (tokenizer, network) =
            rayon::join(|| PairTokenizer::load(&model), || CpuNetwork::load(&model, &weights, precision));
        Ok(Self { tokenizer: tokenizer?, network: network?, head, activation, model })
    }

    /// The longest pair that is read whole, in tokens, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.model.max_tokens
    }

    /// Where the model was loaded from.
    pub fn directory(&self) -> &Path {
        &self.model.root
    }

    /// The score of each pair, in their order: `CrossEncoder.predict` of sentence-transformers. A pair that is longer
    /// than the model reads loses the end of its longer text. All threads of rayon's pool take part.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when the tokenizer refuses a text,
    /// [`Error::Model`](crate::Error::Model) when the network gives something that is not a number.
    pub fn score(&self, pairs: &[(&str, &str)]) -> Result<Vec<f32>> {
        Ok(self.score_pairs(pairs)?.scores)
    }

    /// Whether scores are from 0 to 1: the model has a sigmoid at its end. Otherwise they are any numbers.
    pub fn scores_within_one(&self) -> bool {
        matches!(self.activation, Activation::Sigmoid)
    }

    /// The scores of pairs with the tokens that they took.
    ///
    /// # Errors
    /// As [`CrossEncoder::score`].
    pub fn score_pairs(&self, pairs: &[(&str, &str)]) -> Result<PairScores> {
        let prompt = self.model.texts.prompt(None);
        let prompted: Vec<String>;
        let sequences = if prompt.is_empty() {
            self.tokenizer.tokenize(pairs)?
        } else {
            // sentence-transformers puts it before the first text alone.
            prompted = pairs.iter().map(|(first, _)| format!("{prompt}{first}")).collect();
            let pairs = prompted.iter().zip(pairs).map(|(first, (_, second))| (first.as_str(), *second));
            self.tokenizer.tokenize(&pairs.collect::<Vec<_>>())?
        };
        let pooled = self.network.pool_pairs(&sequences, self.head.pooling())?;
        let logits = self.head.logits(&pooled);
        if let Some(row) = logits.iter().position(|logit| !logit.is_finite()) {
            let start: String = pairs[row].1.chars().take(40).collect();
            return Err(refuse(
                &self.model.weights(),
                format!(
                    "the network gives a score that is not a number for the text that begins {start:?}: the weights are \
                     broken, fetch them again"
                ),
            ));
        }
        Ok(PairScores {
            scores: logits.into_iter().map(|logit| self.activation.apply(logit)).collect(),
            tokens: sequences.iter().map(|pair| pair.ids.len()).sum(),
        })
    }
}
