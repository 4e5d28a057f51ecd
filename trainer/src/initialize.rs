//! Weights drawn anew, as BERT begins.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

use crate::encoder::Encoder;
use crate::random::Random;

/// The same network, the linear layers and norms of its last `layers` layers random again: weights normal with
/// deviation 0.02, biases 0, the scales of the norms 1. With `embeddings` these too.
pub(crate) fn reinitialized(encoder: Encoder, layers: usize, embeddings: bool, seed: u64) -> Encoder {
    let first = encoder.sets().saturating_sub(layers);
    encoder.map(&mut Reinitialize { first, embeddings, random: Random::new(seed), path: Vec::new() })
}

/// Draws parameters anew.
struct Reinitialize {
    /// The first layer that is drawn.
    first: usize,
    embeddings: bool,
    random: Random,
    path: Vec<String>,
}

impl ModuleMapper for Reinitialize {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let chosen = match self.path.iter().position(|name| name == "layers") {
            Some(at) => self.path[at + 1].parse::<usize>().is_ok_and(|number| number >= self.first),
            None => self.embeddings,
        };
        if !chosen {
            return param;
        }
        let shape = param.val().dims();
        let count = shape.iter().product();
        let values: Vec<f32> = match self.path.last().map(String::as_str) {
            Some("gamma") => vec![1.0; count],
            Some("beta" | "bias") => vec![0.0; count],
            _ => (0..count).map(|_| (0.02 * self.random.normal()) as f32).collect(),
        };
        let device = param.val().device();
        param.map(|old| {
            let new = Tensor::from_data(TensorData::new(values, shape), &device);
            if old.is_require_grad() { new.require_grad() } else { new }
        })
    }
}
