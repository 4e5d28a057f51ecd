//! What ranks again: a cross-encoder, or a sentence encoder that knows more than that of the index.

use std::fmt;
use std::sync::Arc;

use akin_encoder::{CrossEncoder, EncoderOptions, PairScores, Precision, Role, SentenceEncoder};
use akin_kernels::{Similarity, dot};

use crate::model::{load, load_cross_encoder};
use crate::{Error, Result};

/// A model that scores queries with passages.
///
/// A cross-encoder reads both together. A sentence encoder reads them apart and compares their embeddings: a large one that
/// would take too long over a whole corpus takes little over some tens of passages.
#[derive(Clone)]
pub enum RerankModel {
    /// Scores are its own.
    CrossEncoder(Arc<CrossEncoder>),
    /// Scores are similarities of the embeddings of query and passage, as the model compares them.
    SentenceEncoder(Arc<SentenceEncoder>),
}

impl RerankModel {
    /// Finds and loads the model of a name: a directory or a hub id, of a cross-encoder or else of a sentence encoder.
    ///
    /// # Errors
    /// [`Error::Encoder`] if it cannot be found or used as either.
    pub fn load(name: &str, precision: Precision) -> Result<Self> {
        let of_pairs = match load_cross_encoder(name, precision) {
            Ok(encoder) => return Ok(encoder.into()),
            Err(error) => error,
        };
        let options = EncoderOptions { precision, ..EncoderOptions::default() };
        match &of_pairs {
            Error::Encoder(akin_encoder::Error::NoCrossEncoder { .. }) => Ok(load(name, &options)?.into()),
            // A name without an organisation was looked for among cross-encoders alone.
            Error::Encoder(akin_encoder::Error::ModelNotFound { .. }) if !name.contains('/') => {
                load(name, &options).map(Self::from).map_err(|_| of_pairs)
            }
            _ => Err(of_pairs),
        }
    }

    /// The score of each pair of a query and a passage, in their order, with the tokens that were read.
    ///
    /// # Errors
    /// What the model reports.
    pub fn score(&self, pairs: &[(&str, &str)]) -> Result<PairScores> {
        match self {
            Self::CrossEncoder(encoder) => Ok(encoder.score_pairs(pairs)?),
            Self::SentenceEncoder(encoder) => similarities(encoder, pairs),
        }
    }

    /// Whether scores are from 0 to 1 because a sigmoid made them so.
    pub fn has_sigmoid(&self) -> bool {
        match self {
            Self::CrossEncoder(encoder) => encoder.scores_within_one(),
            Self::SentenceEncoder(_) => false,
        }
    }

    /// A score as a share from 0 to 1: cosines below 0 are 0, scores without bounds go through a sigmoid.
    pub fn share(&self, score: f32) -> f32 {
        match self {
            Self::CrossEncoder(encoder) if encoder.scores_within_one() => score,
            Self::SentenceEncoder(encoder) if encoder.similarity() == Similarity::Cosine => {
                score.clamp(0.0, 1.0)
            }
            _ => 1.0 / (1.0 + (-score).exp()),
        }
    }

    /// The longest text or pair that is read whole, in tokens.
    pub fn max_tokens(&self) -> usize {
        match self {
            Self::CrossEncoder(encoder) => encoder.max_tokens(),
            Self::SentenceEncoder(encoder) => encoder.max_tokens(),
        }
    }
}

/// Compares the embeddings of queries and passages. A query that stands in many pairs one after another is encoded once.
fn similarities(encoder: &SentenceEncoder, pairs: &[(&str, &str)]) -> Result<PairScores> {
    let mut queries: Vec<&str> = pairs.iter().map(|(query, _)| *query).collect();
    queries.dedup();
    let passages: Vec<&str> = pairs.iter().map(|(_, passage)| *passage).collect();
    let asked = encoder.encode_as(Role::Query, &queries)?;
    let found = encoder.encode_as(Role::Document, &passages)?;
    let mut at = 0;
    let score = |(row, (query, _)): (usize, &(&str, &str))| {
        at += usize::from(queries[at] != *query);
        compare(encoder.similarity(), asked.embeddings.row(at), found.embeddings.row(row))
    };
    let scores = pairs.iter().enumerate().map(score).collect();
    Ok(PairScores { scores, tokens: asked.tokens + found.tokens })
}

/// How similar two embeddings are. Their cosine needs no lengths of one: not every model gives such.
fn compare(similarity: Similarity, a: &[f32], b: &[f32]) -> f32 {
    let product = similarity.of(a, b);
    match similarity {
        Similarity::Cosine => product / (dot(a, a) * dot(b, b)).sqrt().max(f32::MIN_POSITIVE),
        _ => product,
    }
}

impl From<Arc<CrossEncoder>> for RerankModel {
    fn from(encoder: Arc<CrossEncoder>) -> Self {
        Self::CrossEncoder(encoder)
    }
}

impl From<CrossEncoder> for RerankModel {
    fn from(encoder: CrossEncoder) -> Self {
        Arc::new(encoder).into()
    }
}

impl From<Arc<SentenceEncoder>> for RerankModel {
    fn from(encoder: Arc<SentenceEncoder>) -> Self {
        Self::SentenceEncoder(encoder)
    }
}

impl From<SentenceEncoder> for RerankModel {
    fn from(encoder: SentenceEncoder) -> Self {
        Arc::new(encoder).into()
    }
}

impl fmt::Debug for RerankModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, directory) = match self {
            Self::CrossEncoder(encoder) => ("CrossEncoder", encoder.directory()),
            Self::SentenceEncoder(encoder) => ("SentenceEncoder", encoder.directory()),
        };
        f.debug_tuple(kind).field(&directory).finish()
    }
}
