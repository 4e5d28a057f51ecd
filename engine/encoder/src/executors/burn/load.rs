//! The parts of a network out of its file, as burn's layers.

use burn::module::Param;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};

use crate::config::BertConfig;
use crate::executors::cpu::TensorReader;
use crate::families::{Layout, LinearRef, NormRef};

/// Makes burn's layers of the tensors of a file.
pub(super) struct Loader<'a> {
    /// The file; without one the weights are burn's own first ones, which somebody sets.
    pub reader: Option<TensorReader<'a>>,
    pub config: &'a BertConfig,
    pub device: &'a Device,
}

impl Loader<'_> {
    /// A linear layer, whose weight burn has as `[inner, out]`.
    pub fn linear(&self, linear: &LinearRef) -> Result<Linear, String> {
        let (out, inner) = (linear.out, linear.inner);
        let mut layer = LinearConfig::new(inner, out).with_bias(linear.bias.is_some()).init(self.device);
        let Some(reader) = &self.reader else { return Ok(layer) };
        let (weight, bias) = reader.linear(linear)?;
        let mut turned = Vec::with_capacity(weight.len());
        (0..inner).for_each(|column| turned.extend((0..out).map(|row| weight[row * inner + column])));
        layer.weight = self.parameter(turned, [inner, out]);
        layer.bias = linear.bias.as_ref().map(|_| self.parameter(bias.into_owned(), [out]));
        Ok(layer)
    }

    /// Weight and, where it has one, bias of a normalisation.
    pub fn norm(&self, norm: &NormRef) -> Result<LayerNorm, String> {
        let layer = LayerNormConfig::new(norm.width).with_epsilon(self.config.layer_norm_eps);
        let mut layer = layer.with_bias(norm.bias.is_some()).init(self.device);
        let Some(reader) = &self.reader else { return Ok(layer) };
        let values = reader.norm(norm, self.config)?;
        layer.gamma = self.parameter(values.weight, [norm.width]);
        layer.beta = norm.bias.as_ref().map(|_| self.parameter(values.bias, [norm.width]));
        Ok(layer)
    }

    /// A table of embeddings, `[rows, width]`.
    pub fn table(&self, name: &str, rows: usize) -> Result<Embedding, String> {
        let width = self.config.form.embedding_size;
        let mut table = EmbeddingConfig::new(rows, width).init(self.device);
        if self.reader.is_some() {
            table.weight = self.matrix(name, [rows, width])?;
        }
        Ok(table)
    }

    /// A matrix of this shape; zeros without a file.
    pub fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Param<Tensor<2>>, String> {
        let values = match &self.reader {
            Some(reader) => reader.get(name, &shape)?.into_owned(),
            None => vec![0.0; shape[0] * shape[1]],
        };
        Ok(self.parameter(values, shape))
    }

    /// The numbers of the buckets of distances, `[buckets * heads]`.
    pub fn buckets(&self, layout: &Layout) -> Result<Param<Tensor<1>>, String> {
        let values = match &self.reader {
            Some(reader) => reader.buckets(self.config, layout)?.into_owned(),
            None => vec![0.0; self.config.form.bias.numbers(self.config.num_attention_heads)],
        };
        let count = values.len();
        Ok(self.parameter(values, [count]))
    }

    fn parameter<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_data(TensorData::new(values, shape), self.device)
    }
}
