//! The parts of a network out of its file, as burn's layers.

use burn::module::Param;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};

use crate::config::BertConfig;
use crate::executors::cpu::TensorReader;
use crate::families::{Layout, LinearRef, NormRef};

/// Makes burn's layers of the tensors of a file.
pub(super) struct Loader<'a> {
    pub reader: TensorReader<'a>,
    pub config: &'a BertConfig,
    pub device: &'a Device,
}

impl Loader<'_> {
    /// A linear layer, whose weight burn has as `[inner, out]`.
    pub fn linear(&self, linear: &LinearRef) -> Result<Linear, String> {
        let (weight, bias) = self.reader.linear(linear)?;
        let (out, inner) = (linear.out, linear.inner);
        let mut turned = Vec::with_capacity(weight.len());
        (0..inner).for_each(|column| turned.extend((0..out).map(|row| weight[row * inner + column])));
        let mut layer = LinearConfig::new(inner, out).with_bias(linear.bias.is_some()).init(self.device);
        layer.weight = self.parameter(turned, [inner, out]);
        layer.bias = linear.bias.as_ref().map(|_| self.parameter(bias.into_owned(), [out]));
        Ok(layer)
    }

    /// Weight and bias of a normalisation.
    pub fn norm(&self, norm: &NormRef) -> Result<LayerNorm, String> {
        let values = self.reader.norm(norm, self.config)?;
        let epsilon = self.config.layer_norm_eps;
        let mut layer = LayerNormConfig::new(norm.width).with_epsilon(epsilon).init(self.device);
        layer.gamma = self.parameter(values.weight, [norm.width]);
        layer.beta = Some(self.parameter(values.bias, [norm.width]));
        Ok(layer)
    }

    /// A table of embeddings, `[rows, width]`.
    pub fn table(&self, name: &str, rows: usize) -> Result<Embedding, String> {
        let width = self.config.form.embedding_size;
        let values = self.reader.get(name, &[rows, width])?.into_owned();
        let mut table = EmbeddingConfig::new(rows, width).init(self.device);
        table.weight = self.parameter(values, [rows, width]);
        Ok(table)
    }

    /// The numbers of the buckets of distances, `[buckets * heads]`.
    pub fn buckets(&self, layout: &Layout) -> Result<Param<Tensor<1>>, String> {
        let values = self.reader.buckets(self.config, layout)?.into_owned();
        let count = values.len();
        Ok(self.parameter(values, [count]))
    }

    fn parameter<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_data(TensorData::new(values, shape), self.device)
    }
}
