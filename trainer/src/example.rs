//! An example of training: tokenised sentences, and what is to be learned from them.

use std::sync::Arc;

use crate::objective::Objective;
use crate::{Error, Result};

/// An example as the network reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Its sentences, tokenised: two, the three of a triplet, or an anchor, its positive and any number of negatives.
    pub sentences: Vec<Vec<u32>>,
    /// Their score, label or order.
    pub target: Target,
}

/// What the network is to learn from an example.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// How alike its two sentences are, from 0 to 1.
    Score(f32),
    /// The number of its label.
    Label(usize),
    /// Its first sentence is closer to the second than to those after it.
    Order,
    /// The embedding that a teacher gives its first sentence: that of each of them.
    Embedding(Arc<[f32]>),
    /// By how much its first sentence is closer to the second than to the third.
    Margin(f32),
}

/// The sentences of a batch: those of the first side of all examples, then those of the next.
pub fn sentences_of<'a>(examples: &[&'a Example]) -> Vec<&'a [u32]> {
    let sides = examples.iter().map(|example| example.sentences.len()).max().unwrap_or(0);
    let side = |side| examples.iter().filter_map(move |example| example.sentences.get(side));
    (0..sides).flat_map(side).map(Vec::as_slice).collect()
}

/// Refuses examples of another number of sentences than the objective learns from.
pub(crate) fn check_sides(objective: Objective, examples: &[&Example]) -> Result<()> {
    let fits = |count: usize| match objective {
        Objective::Triplet | Objective::Margin => count == 3,
        Objective::Ranking => count >= 2,
        Objective::Distillation => count >= 1,
        _ => count == 2,
    };
    let fit = examples.iter().all(|example| fits(example.sentences.len()));
    if fit { Ok(()) } else { Err(wrong_kind()) }
}

/// An error for examples that the objective does not learn from.
pub(crate) fn wrong_kind() -> Error {
    Error::Invalid("the examples are not of the kind that the objective learns from".into())
}

/// The scores of some examples.
pub(crate) fn scores(examples: &[&Example]) -> Result<Vec<f32>> {
    let score = |example: &&Example| match example.target {
        Target::Score(score) => Ok(score),
        _ => Err(wrong_kind()),
    };
    examples.iter().map(score).collect()
}

/// The first `width` numbers of the teacher's embedding of each sentence, in the order of [`sentences_of`].
pub(crate) fn teacher_rows(examples: &[&Example], width: usize) -> Result<Vec<f32>> {
    let sides = examples.iter().map(|example| example.sentences.len()).max().unwrap_or(0);
    let mut rows = Vec::new();
    for side in 0..sides {
        for example in examples.iter().filter(|example| side < example.sentences.len()) {
            match &example.target {
                Target::Embedding(embedding) if embedding.len() >= width => rows.extend(&embedding[..width]),
                _ => return Err(wrong_kind()),
            }
        }
    }
    Ok(rows)
}
