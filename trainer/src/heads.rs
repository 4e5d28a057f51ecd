//! The heads of objectives: linear layers over embeddings, drawn anew or taken from the base.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};

use crate::Result;
use crate::base::BaseModel;
use crate::random::Random;

/// A linear layer of the base over a token's vector, where it has one with so many outputs.
pub(crate) fn base_linear(
    base: &BaseModel,
    name: &str,
    outputs: usize,
    biased: bool,
    device: &Device,
) -> Result<Option<Linear>> {
    let width = base.dimension();
    let Some((weight, bias)) = base.dense(name, width, outputs, biased)? else { return Ok(None) };
    let mut linear = LinearConfig::new(width, outputs).with_bias(biased).init(device);
    linear.weight = parameter(weight, [width, outputs], device);
    linear.bias = biased.then(|| parameter(bias, [outputs], device));
    Ok(Some(linear))
}

/// A linear layer, uniform within 1 / sqrt(inputs), as PyTorch draws one.
pub(crate) fn linear(
    inputs: usize,
    outputs: usize,
    bias: bool,
    random: &mut Random,
    device: &Device,
) -> Linear {
    let bound = 1.0 / (inputs as f64).sqrt();
    let mut draw =
        |count: usize| (0..count).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32).collect();
    let weight = draw(inputs * outputs);
    let mut linear = LinearConfig::new(inputs, outputs).with_bias(bias).init(device);
    linear.weight = parameter(weight, [inputs, outputs], device);
    if bias {
        linear.bias = Some(parameter(draw(outputs), [outputs], device));
    }
    linear
}

/// A parameter with these values.
pub(crate) fn parameter<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Param<Tensor<D>> {
    Param::from_data(TensorData::new(values, shape), device)
}
