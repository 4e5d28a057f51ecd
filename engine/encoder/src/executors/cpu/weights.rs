//! The named tensors of a checkpoint, as f32.

use std::borrow::Cow;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

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
        let tensor = self.tensors.tensor(&name).map_err(|e| format!("the tensor {name}: {e}"))?;
        if tensor.shape() != shape {
            return Err(format!(
                "the tensor {name} has the shape {:?}, and config.json asks for {shape:?}",
                tensor.shape()
            ));
        }
        floats(&tensor).ok_or_else(|| {
            format!("the tensor {name} holds {:?}: akin reads F32, F16 and BF16", tensor.dtype())
        })
    }

    /// Weight `[columns, inner]` and bias of the linear layer `name`.
    pub fn linear(
        &self,
        name: &str,
        columns: usize,
        inner: usize,
    ) -> Result<(Floats<'a>, Floats<'a>), String> {
        Ok((
            self.get(&format!("{name}.weight"), &[columns, inner])?,
            self.get(&format!("{name}.bias"), &[columns])?,
        ))
    }

    /// The layer normalisation `name`, whose parts old checkpoints call gamma and beta.
    pub fn norm(&self, name: &str, width: usize, epsilon: f64) -> Result<LayerNorm, String> {
        let old = self.tensors.tensor(&format!("{}{name}.gamma", self.prefix)).is_ok();
        let (weight, bias) = if old { ("gamma", "beta") } else { ("weight", "bias") };
        Ok(LayerNorm {
            weight: self.get(&format!("{name}.{weight}"), &[width])?.into_owned(),
            bias: self.get(&format!("{name}.{bias}"), &[width])?.into_owned(),
            epsilon: epsilon as f32,
        })
    }
}

fn floats<'a>(tensor: &TensorView<'a>) -> Option<Floats<'a>> {
    let data = tensor.data();
    Some(match tensor.dtype() {
        Dtype::F32 => match bytemuck::try_cast_slice(data) {
            Ok(values) if cfg!(target_endian = "little") => Cow::Borrowed(values),
            // The file did not align them.
            _ => data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        },
        Dtype::F16 => data.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
        _ => return None,
    })
}
