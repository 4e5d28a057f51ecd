//! Low-rank adapters (LoRA, Hu et al. 2021): the weights of the base stay, and products of two thin matrices are learned
//! that are added to them.

use akin_encoder::burn::Transformer;
use burn::module::{Module, Param, ParamId};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;

use crate::encoder::Encoder;
use crate::random::Random;

/// Which linear layers get an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adapted {
    /// Query and value of the attention, as in the paper of LoRA.
    QueryValue,
    /// All of each transformer layer.
    All,
}

/// How adapters are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LoraSettings {
    /// The rank of what is added to a weight.
    pub rank: usize,
    /// What is added is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Which linear layers get one.
    pub on: Adapted,
}

/// An adapter of one linear layer: `scale * down * up` is added to its weight, `[inputs, outputs]`.
#[derive(Module, Debug)]
pub struct Adapter {
    down: Param<Tensor<2>>,
    up: Param<Tensor<2>>,
    scale: f64,
}

impl Adapter {
    /// `down` is drawn uniformly within 1 / sqrt(inputs), and `up` is zero: at first nothing is added.
    fn new(linear: &Linear, settings: &LoraSettings, random: &mut Random, device: &Device) -> Self {
        let [inputs, outputs] = linear.weight.dims();
        let bound = 1.0 / (inputs as f64).sqrt();
        let values = (0..inputs * settings.rank).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32);
        let down = TensorData::new(values.collect::<Vec<f32>>(), [inputs, settings.rank]);
        let up = TensorData::new(vec![0.0f32; settings.rank * outputs], [settings.rank, outputs]);
        let scale = settings.alpha / settings.rank as f64;
        Self { down: Param::from_data(down, device), up: Param::from_data(up, device), scale }
    }

    /// `weight` with what the adapter adds.
    pub fn applied(&self, weight: Tensor<2>) -> Tensor<2> {
        weight + self.down.val().matmul(self.up.val()) * self.scale as f32
    }
}

/// The adapters of a transformer layer, where it has them: of query, key, value, attention output, the two of the
/// feed-forward network, and its gate.
#[derive(Module, Debug)]
pub struct LayerAdapters {
    adapters: Vec<Option<Adapter>>,
}

impl LayerAdapters {
    /// The adapter of a linear layer by its number.
    pub fn get(&self, number: usize) -> Option<&Adapter> {
        self.adapters.get(number).and_then(Option::as_ref)
    }
}

/// The adapters of an encoder.
#[derive(Module, Debug)]
pub struct Adapters {
    layers: Vec<LayerAdapters>,
}

impl Adapters {
    /// New adapters for `encoder`, drawn from `seed`.
    pub fn new(encoder: &Encoder, settings: &LoraSettings, seed: u64, device: &Device) -> Self {
        let mut random = Random::new(seed ^ 0x6c6f_7261);
        let layers = encoder.linears().into_iter().map(|linears| {
            let adapters = linears.into_iter().enumerate().map(|(number, linear)| {
                let chosen = settings.on == Adapted::All || matches!(number, 0 | 2);
                chosen.then(|| Adapter::new(linear, settings, &mut random, device))
            });
            LayerAdapters { adapters: adapters.collect() }
        });
        Self { layers: layers.collect() }
    }

    /// Those of a layer.
    pub fn layer(&self, number: usize) -> Option<&LayerAdapters> {
        self.layers.get(number)
    }

    /// `encoder` with what the adapters add in its weights: an encoder like any other.
    pub fn merged(&self, encoder: &Encoder) -> Encoder {
        let mut encoder = encoder.clone();
        for (linears, adapters) in encoder.linears_mut().into_iter().zip(&self.layers) {
            for (linear, adapter) in linears.into_iter().zip(&adapters.adapters) {
                if let Some(adapter) = adapter {
                    linear.weight = Param::from_tensor(adapter.applied(linear.weight.val()).detach());
                }
            }
        }
        encoder
    }

    /// The same for one pass of training: the gradients of its weights go on to the adapters.
    pub(crate) fn attached(&self, network: &Transformer) -> Transformer {
        let mut network = network.clone();
        for (layer, adapters) in network.layers.iter_mut().zip(&self.layers) {
            for (linear, adapter) in layer.linears_mut().into_iter().zip(&adapters.adapters) {
                if let Some(adapter) = adapter {
                    let weight = adapter.applied(linear.weight.val());
                    linear.weight = Param::initialized(ParamId::new(), weight);
                }
            }
        }
        network
    }
}
