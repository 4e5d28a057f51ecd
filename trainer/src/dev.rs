//! The development set, which scores the model during training.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use akin_encoder::{SentenceEncoder, Similarity};
use burn::module::Module;
use rayon::prelude::*;

use crate::anchors::Anchored;
use crate::base::BaseModel;
use crate::correlation::spearman;
use crate::embedder::{Embedded, Embedder};
use crate::example::{Example, Target};
use crate::network::{Conditions, Network};
use crate::objective::Objective;
use crate::sentence_pairs::{ScoredPair, Triplet};
use crate::similarity::compare;
use crate::{Error, Result, sts, triplets};

/// Pairs that the training network reads at a time when it predicts labels or scores.
const BATCH: usize = 32;

/// A development set. Its kind decides what the score of a model is.
#[derive(Debug, Clone)]
pub enum DevSet {
    /// Spearman's correlation of the cosines, or of a cross-encoder's scores, with the scores of the set.
    Scored(Vec<ScoredPair>),
    /// The share of triplets whose positive is closer to the anchor than the negative.
    Triplets(Vec<Triplet>),
    /// The mean over the anchors of 1 / the rank of their positive among those of all anchors and all negatives.
    Pairs(Vec<Anchored>),
    /// The share of pairs whose label the classifier predicts.
    Labelled(Vec<Example>),
}

impl DevSet {
    /// The name of its score.
    pub fn measure(&self) -> &'static str {
        match self {
            Self::Scored(_) => "spearman",
            Self::Pairs(_) => "mrr",
            Self::Triplets(_) | Self::Labelled(_) => "accuracy",
        }
    }

    /// The score of a model: of the directory `written`, or of `network` where the score needs its head.
    ///
    /// # Errors
    /// What the encoder reports.
    pub fn score(
        &self,
        network: &Network,
        base: &BaseModel,
        objective: Objective,
        written: &Path,
    ) -> Result<f64> {
        match self {
            Self::Scored(pairs) if objective == Objective::CrossEncoder => {
                let scores = cross_encoder_scores(network, base, pairs)?;
                let gold: Vec<f64> = pairs.iter().map(|pair| pair.score).collect();
                Ok(spearman(&scores, &gold).unwrap_or(0.0))
            }
            Self::Scored(pairs) => {
                let encoder = SentenceEncoder::load(written)?;
                match sts::evaluate(&encoder, pairs, &mut |_, _| {}) {
                    Ok(result) => Ok(result.spearman()),
                    // Equal cosines for all pairs have no correlation: a bad model, but no error.
                    Err(Error::Correlation(_)) => Ok(0.0),
                    Err(error) => Err(error),
                }
            }
            Self::Triplets(triplets) => {
                let encoder = SentenceEncoder::load(written)?;
                Ok(triplets::evaluate(&encoder, triplets, &mut |_, _| {})?.euclidean)
            }
            Self::Pairs(pairs) => mean_reciprocal_rank(&SentenceEncoder::load(written)?, pairs),
            Self::Labelled(examples) => label_accuracy(network, base, objective, examples),
        }
    }
}

/// The mean over the pairs of 1 / the rank of the positive, by the cosine with the anchor, among the positives and negatives
/// of all pairs; of several positives of an anchor, the others are left out.
///
/// # Errors
/// What the encoder reports.
pub fn mean_reciprocal_rank(embedder: &dyn Embedder, pairs: &[Anchored]) -> Result<f64> {
    let mut candidates: Vec<&str> = (pairs.iter())
        .flat_map(|pair| std::iter::once(&pair.positive).chain(&pair.negatives))
        .map(String::as_str)
        .collect();
    candidates.sort_unstable();
    candidates.dedup();
    let anchors = pairs.iter().map(|pair| pair.anchor.as_str());
    let embedded = Embedded::of(embedder, anchors.chain(candidates.iter().copied()), &mut |_, _| {})?;
    let mut positives: HashMap<&str, HashSet<&str>> = HashMap::new();
    for pair in pairs {
        positives.entry(&pair.anchor).or_default().insert(&pair.positive);
    }
    let cosine = |anchor: &str, text: &str| {
        compare(Similarity::Cosine, embedded.vector(anchor), embedded.vector(text))
    };
    let reciprocal = |pair: &Anchored| {
        let own = cosine(&pair.anchor, &pair.positive);
        let others = candidates.iter().filter(|text| !positives[pair.anchor.as_str()].contains(*text));
        let better = others.filter(|text| cosine(&pair.anchor, text) > own).count();
        1.0 / (1 + better) as f64
    };
    // Summed in one order, so that a run repeats bit for bit.
    let ranks: Vec<f64> = pairs.par_iter().map(reciprocal).collect();
    Ok(ranks.iter().sum::<f64>() / pairs.len().max(1) as f64)
}

/// The score that a cross-encoder gives each pair, as a logit.
///
/// # Errors
/// What the tokenizer reports.
pub fn cross_encoder_scores(network: &Network, base: &BaseModel, pairs: &[ScoredPair]) -> Result<Vec<f64>> {
    let network = untracked(network);
    let mut scores = Vec::with_capacity(pairs.len());
    for chunk in pairs.chunks(BATCH) {
        let examples = tokenized_pairs(base, chunk)?;
        let logits =
            network.score_logits(base, &examples.iter().collect::<Vec<_>>(), &Conditions::plain())?;
        let logits: Vec<f32> = logits.inner().into_data().try_into_vec().expect("logits are f32");
        scores.extend(logits.into_iter().map(f64::from));
    }
    Ok(scores)
}

/// The same network without autodiff: nothing is kept for gradients.
fn untracked(network: &Network) -> Network {
    network.clone().no_grad()
}

fn tokenized_pairs(base: &BaseModel, pairs: &[ScoredPair]) -> Result<Vec<Example>> {
    let texts: Vec<&str> =
        pairs.iter().flat_map(|pair| [pair.sentence1.as_str(), pair.sentence2.as_str()]).collect();
    let mut sentences = base.tokenize(&texts)?.into_iter();
    Ok(pairs
        .iter()
        .map(|_| Example { sentences: sentences.by_ref().take(2).collect(), target: Target::Order })
        .collect())
}

fn label_accuracy(
    network: &Network,
    base: &BaseModel,
    objective: Objective,
    examples: &[Example],
) -> Result<f64> {
    let network = untracked(network);
    let mut right = 0;
    for chunk in examples.chunks(BATCH) {
        let logits =
            network.label_logits(base, objective, &chunk.iter().collect::<Vec<_>>(), &Conditions::plain())?;
        let [_, labels] = logits.dims();
        let logits: Vec<f32> = logits.inner().into_data().try_into_vec().expect("logits are f32");
        for (example, logits) in chunk.iter().zip(logits.chunks_exact(labels)) {
            let chosen =
                (0..labels).reduce(|best, label| if logits[label] > logits[best] { label } else { best });
            right += usize::from(chosen.map(Target::Label).as_ref() == Some(&example.target));
        }
    }
    Ok(right as f64 / examples.len().max(1) as f64)
}
