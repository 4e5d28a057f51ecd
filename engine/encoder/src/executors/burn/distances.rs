//! What scores of attention get by the distance of two tokens, as training learns it.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::BertConfig;
use crate::families::{BiasForm, bucket};

/// A learned number for each bucket of distances and each head (Raffel et al. 2020), the same in all layers.
#[derive(Module, Debug)]
pub struct DistanceBuckets {
    /// `[buckets * heads]`, the heads of a bucket side by side. One vector, as biases are: weight decay spares vectors,
    /// and transformers spares these numbers.
    pub weight: Param<Tensor<1>>,
    /// How many buckets there are.
    pub buckets: usize,
    /// How many heads there are.
    pub heads: usize,
    /// From this distance on all are in the last bucket of their direction.
    pub farthest: usize,
}

impl DistanceBuckets {
    /// Zeros for a network that has such numbers; none for any other.
    pub(super) fn new(config: &BertConfig, device: &Device) -> Option<Self> {
        let BiasForm::Buckets { count, farthest } = config.form.bias else { return None };
        let (buckets, heads) = (count, config.num_attention_heads);
        let zeros = TensorData::new(vec![0.0f32; buckets * heads], [buckets * heads]);
        Some(Self { weight: Param::from_data(zeros, device), buckets, heads, farthest })
    }

    /// The bucket of each distance of a key behind its query in a sentence of `tokens` tokens: `1 - tokens` first,
    /// `tokens - 1` last.
    pub fn of_distances(&self, tokens: usize) -> Vec<usize> {
        let reach = tokens as isize;
        (1 - reach..reach).map(|distance| bucket(distance, self.buckets, self.farthest)).collect()
    }

    /// What is added to scores that were multiplied by their scale, `[sentences, heads, longest, longest]`.
    pub(super) fn added(&self, sentences: usize, longest: usize) -> Tensor<4> {
        let weight = self.weight.val().reshape([self.buckets, self.heads]);
        let buckets = self.of_distances(longest);
        let of_query = |query: usize| buckets[longest - 1 - query..][..longest].iter();
        let pairs: Vec<i64> = (0..longest).flat_map(of_query).map(|bucket| *bucket as i64).collect();
        let pairs = TensorData::new(pairs, [longest * longest]);
        let added = weight.select(0, Tensor::<1, Int>::from_data(pairs, &self.weight.val().device()));
        let added = added.reshape([longest, longest, self.heads]).permute([2, 0, 1]);
        added.unsqueeze::<4>().expand([sentences, self.heads, longest, longest])
    }
}
