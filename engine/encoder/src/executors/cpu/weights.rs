//! The named tensors of a checkpoint, as f32.

use std::borrow::Cow;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::config::BertConfig;
use crate::families::{BiasForm, Layout, LinearRef, NormRef};
use akin_kernels::layer_norm::LayerNorm;

/// A tensor's values: in the file where they are f32 there, else widened.
pub(crate) type Floats<'a> = Cow<'a, [f32]>;

/// The tensors whose names begin with `prefix`.
#[derive(Clone, Copy)]
pub(crate) struct TensorReader<'a> {
    pub tensors: &'a SafeTensors<'a>,
    pub prefix: &'a str,
}

impl<'a> TensorReader<'a> {
    /// The tensor `name` of that shape; f16 and bf16 are widened.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Floats<'a>, String> {
        let name = format!("{}{name}", self.prefix);
        let tensor =
            crate::weights::tensor(self.tensors, &name).map_err(|e| format!("the tensor {name}: {e}"))?;
        if tensor.shape() != shape {
            return Err(format!(
                "the tensor {name} has the shape {:?}, and config.json asks for {shape:?}",
                tensor.shape()
            ));
        }
        floats(&tensor).ok_or_else(|| {
            format!("the tensor {name} holds {:?}: akin reads F32, F64, F16 and BF16", tensor.dtype())
        })
    }

    /// Weight, `[out, inner]`, and bias of a linear layer; no bias is empty.
    pub fn linear(&self, linear: &LinearRef) -> Result<(Floats<'a>, Floats<'a>), String> {
        let LinearRef { first, rows, out, inner, .. } = *linear;
        let weight = rows_of(self.get(&linear.weight, &[rows, inner])?, first * inner, out * inner);
        let bias = match &linear.bias {
            None => Floats::default(),
            Some(name) => rows_of(self.get(name, &[rows])?, first, out),
        };
        Ok((weight, bias))
    }

    /// What is added to scores by bucket of distances, `[buckets, heads]`; empty where nothing is.
    pub fn buckets(&self, config: &BertConfig, layout: &Layout) -> Result<Floats<'a>, String> {
        match (&layout.bias, config.form.bias) {
            (Some(name), BiasForm::Buckets { count, .. }) => {
                self.get(name, &[count, config.num_attention_heads])
            }
            _ => Ok(Floats::default()),
        }
    }

    /// A normalisation of the network.
    pub fn norm(&self, norm: &NormRef, config: &BertConfig) -> Result<LayerNorm, String> {
        let mut weight = self.get(&norm.weight, &[norm.width])?.into_owned();
        weight.iter_mut().for_each(|weight| *weight += config.form.norm_offset);
        let bias = match &norm.bias {
            None => vec![0.0; norm.width],
            Some(name) => self.get(name, &[norm.width])?.into_owned(),
        };
        let (epsilon, centred) = (config.layer_norm_eps as f32, config.form.centred_norms);
        Ok(LayerNorm { weight, bias, epsilon, centred })
    }
}

/// Some of the numbers of a tensor.
fn rows_of(values: Floats<'_>, first: usize, count: usize) -> Floats<'_> {
    match values {
        Cow::Borrowed(values) => Cow::Borrowed(&values[first..][..count]),
        Cow::Owned(values) if values.len() == count => Cow::Owned(values),
        Cow::Owned(values) => Cow::Owned(values[first..][..count].to_vec()),
    }
}

pub(crate) fn floats<'a>(tensor: &TensorView<'a>) -> Option<Floats<'a>> {
    let data = tensor.data();
    Some(match tensor.dtype() {
        Dtype::F32 => match bytemuck::try_cast_slice(data) {
            Ok(values) if cfg!(target_endian = "little") => Cow::Borrowed(values),
            // The file did not align them.
            _ => data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        },
        Dtype::F64 => data.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
        _ => return None,
    })
}
