//! What a model is trained towards: the three objectives of the paper (section 3), its cross-encoder, and those that came
//! after it.

use burn::nn::Linear;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// What a model is trained towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// The cosine of two sentences is their score: mean squared error.
    Regression,
    /// The label of two sentences follows from their embeddings: softmax(W_t [..]), cross-entropy.
    Classification(Concatenation),
    /// A sentence is closer to one than to another: max(||a-p|| - ||a-n|| + 1, 0).
    Triplet,
    /// One network reads both sentences and gives their score: binary cross-entropy.
    CrossEncoder,
    /// An anchor is closer to its positive than to the other texts of the batch: multiple negatives ranking (Henderson et
    /// al. 2017).
    Ranking,
    /// Pairs are in the order of their scores: CoSENT.
    Cosent,
    /// Embeddings are those of a teacher, also of translations (Reimers & Gurevych 2020): mean squared error.
    Distillation,
    /// A positive is as much closer than a negative as a teacher finds it: MarginMSE (Hofstätter et al. 2020).
    Margin,
}

impl Objective {
    /// Whether its loss is one of embeddings alone, without a head: then it can be one of cut embeddings too.
    pub fn is_headless(self) -> bool {
        !matches!(self, Self::Classification(_) | Self::CrossEncoder)
    }
}

/// What a loss is computed for: an objective with its settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal<'a> {
    /// The objective.
    pub objective: Objective,
    /// What the cosines of ranking and CoSENT are multiplied by.
    pub scale: f64,
    /// The dimensions that embeddings are cut to (Matryoshka); none for whole ones.
    pub dimensions: &'a [usize],
}

impl Goal<'_> {
    /// An objective with the settings of sentence-transformers.
    pub fn of(objective: Objective) -> Self {
        Self { objective, scale: 20.0, dimensions: &[] }
    }
}

/// The input of the classifier, made of the embeddings u and v (section 6 of the paper).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Concatenation {
    /// (u, v)
    UV,
    /// (|u-v|)
    Difference,
    /// (u*v)
    Product,
    /// (|u-v|, u*v)
    DifferenceProduct,
    /// (u, v, u*v)
    UVProduct,
    /// (u, v, |u-v|): the paper's choice.
    UVDifference,
    /// (u, v, |u-v|, u*v)
    UVDifferenceProduct,
}

impl Concatenation {
    /// All of them, in the order of the paper's table 6.
    pub const ALL: [Self; 7] = [
        Self::UV,
        Self::Difference,
        Self::Product,
        Self::DifferenceProduct,
        Self::UVProduct,
        Self::UVDifference,
        Self::UVDifferenceProduct,
    ];

    /// As the paper writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::UV => "(u,v)",
            Self::Difference => "(|u-v|)",
            Self::Product => "(u*v)",
            Self::DifferenceProduct => "(|u-v|,u*v)",
            Self::UVProduct => "(u,v,u*v)",
            Self::UVDifference => "(u,v,|u-v|)",
            Self::UVDifferenceProduct => "(u,v,|u-v|,u*v)",
        }
    }

    /// How many vectors are concatenated.
    pub fn parts(self) -> usize {
        let (both, difference, product) = self.content();
        2 * usize::from(both) + usize::from(difference) + usize::from(product)
    }

    /// Whether u and v themselves, their difference and their product are in it.
    fn content(self) -> (bool, bool, bool) {
        match self {
            Self::UV => (true, false, false),
            Self::Difference => (false, true, false),
            Self::Product => (false, false, true),
            Self::DifferenceProduct => (false, true, true),
            Self::UVProduct => (true, false, true),
            Self::UVDifference => (true, true, false),
            Self::UVDifferenceProduct => (true, true, true),
        }
    }

    fn of(self, u: Tensor<2>, v: Tensor<2>) -> Tensor<2> {
        let (both, difference, product) = self.content();
        let mut parts = Vec::new();
        if both {
            parts.extend([u.clone(), v.clone()]);
        }
        if difference {
            parts.push((u.clone() - v.clone()).abs());
        }
        if product {
            parts.push(u * v);
        }
        Tensor::cat(parts, 1)
    }
}

/// The logits of a classifier over u and v: `[n, labels]`.
pub fn logits(classifier: &Linear, concatenation: Concatenation, u: Tensor<2>, v: Tensor<2>) -> Tensor<2> {
    classifier.forward(concatenation.of(u, v))
}
