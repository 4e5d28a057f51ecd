//! The three objectives of the paper (section 3), and its cross-encoder: what a model is trained towards.

use akin_encoder::model::Architecture;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};
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

/// The margin of the triplet objective.
const MARGIN: f32 = 1.0;

/// Added to the difference of two embeddings before their distance is taken, as PyTorch does: the root of zero has no
/// gradient.
const DISTANCE_EPSILON: f32 = 1e-6;

/// The least length of an embedding that a cosine divides by.
const LEAST_LENGTH: f32 = 1e-8;

/// The mean squared error of the cosines of u and v, `[n, dimension]`, against `scores`, `[n, 1]`.
pub fn regression_loss(u: Tensor<2>, v: Tensor<2>, scores: Tensor<2>) -> Tensor<1> {
    let error = cosines(u, v) - scores;
    (error.clone() * error).mean()
}

/// The cosine of each row of u and v: `[n, 1]`.
pub fn cosines(u: Tensor<2>, v: Tensor<2>) -> Tensor<2> {
    let length = |x: &Tensor<2>| (x.clone() * x.clone()).sum_dim(1).sqrt().clamp_min(LEAST_LENGTH);
    let lengths = length(&u) * length(&v);
    (u * v).sum_dim(1) / lengths
}

/// The logits of a classifier over u and v: `[n, labels]`.
pub fn logits(classifier: &Linear, concatenation: Concatenation, u: Tensor<2>, v: Tensor<2>) -> Tensor<2> {
    classifier.forward(concatenation.of(u, v))
}

/// The mean cross-entropy of logits, `[n, labels]`, with the right labels, `[n, 1]`.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<2, Int>) -> Tensor<1> {
    -log_softmax(logits, 1).gather(1, labels).mean()
}

/// The mean of max(||a-p|| - ||a-n|| + 1, 0) over the rows of the three.
pub fn triplet_loss(anchor: Tensor<2>, positive: Tensor<2>, negative: Tensor<2>) -> Tensor<1> {
    let distance = |other: Tensor<2>| {
        let difference = anchor.clone() - other + DISTANCE_EPSILON;
        (difference.clone() * difference).sum_dim(1).sqrt()
    };
    (distance(positive) - distance(negative) + MARGIN).clamp_min(0.0).mean()
}

/// The mean binary cross-entropy of logits, `[n, 1]`, with scores from 0 to 1.
pub fn binary_cross_entropy(logits: Tensor<2>, scores: Tensor<2>) -> Tensor<1> {
    // max(x, 0) - x y + ln(1 + e^-|x|), which overflows nowhere.
    let softplus = (-logits.clone().abs()).exp().log1p();
    (logits.clone().clamp_min(0.0) - logits * scores + softplus).mean()
}

/// What Hugging Face calls the two layers of the head of a cross-encoder: the dense layer, and the score.
pub fn head_names(architecture: Architecture) -> [&'static str; 2] {
    match architecture {
        Architecture::Bert => ["bert.pooler.dense", "classifier"],
        Architecture::Roberta => ["classifier.dense", "classifier.out_proj"],
    }
}

/// The head of a cross-encoder: a dense layer over the first token, and the score.
#[derive(Module, Debug)]
pub struct ScoreHead {
    /// BERT's pooler, or the dense layer of RoBERTa's classifier.
    pub pooler: Linear,
    /// One output.
    pub score: Linear,
}

impl ScoreHead {
    /// Its weights under the names of Hugging Face's sequence classifiers, with their shapes there.
    pub fn named_weights(&self, architecture: Architecture) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let mut weights = Vec::new();
        for (name, linear) in head_names(architecture).into_iter().zip([&self.pooler, &self.score]) {
            let [inputs, outputs] = linear.weight.dims();
            let values = |tensor: Tensor<2>| -> Vec<f32> {
                tensor.inner().into_data().try_into_vec().expect("weights are f32")
            };
            let weight = values(linear.weight.val().transpose());
            weights.push((format!("{name}.weight"), vec![outputs, inputs], weight));
            if let Some(bias) = &linear.bias {
                weights.push((format!("{name}.bias"), vec![outputs], values(bias.val().unsqueeze())));
            }
        }
        weights
    }

    /// The logits of first tokens, `[n, dimension]`: `[n, 1]`.
    pub fn forward(&self, first: Tensor<2>) -> Tensor<2> {
        self.score.forward(self.pooler.forward(first).tanh())
    }
}
