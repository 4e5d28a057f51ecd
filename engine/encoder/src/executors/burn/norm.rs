//! A normalisation, by the mean and the variance or by the mean square alone.

use burn::module::Module;
use burn::nn::LayerNorm;
use burn::tensor::Tensor;

use super::load::Loader;
use crate::families::NormRef;

/// Weights of a normalisation, and which one it is.
#[derive(Module, Debug)]
pub struct Norm {
    /// Weight and, in some networks, bias.
    pub weights: LayerNorm,
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether the mean is subtracted.
    pub centred: bool,
}

impl Norm {
    pub(super) fn read(
        loader: &Loader<'_>,
        norm: &Option<NormRef>,
    ) -> std::result::Result<Option<Self>, String> {
        let Some(norm) = norm else { return Ok(None) };
        let (epsilon, centred) = (loader.config.layer_norm_eps, loader.config.form.centred_norms);
        Ok(Some(Self { weights: loader.norm(norm)?, epsilon, centred }))
    }

    /// Normalises the last axis.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if self.centred {
            return self.weights.forward(x);
        }
        let square = (x.clone() * x.clone()).mean_dim(D - 1);
        x / (square + self.epsilon).sqrt() * self.weights.gamma.val().unsqueeze()
    }
}
