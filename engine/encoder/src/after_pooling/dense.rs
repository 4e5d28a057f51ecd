//! The Dense module: a linear layer and an activation function.

use std::path::{Path, PathBuf};

use akin_kernels::dot;
use rayon::prelude::*;
use serde_json::{Map, Value};

use super::activation::Activation;
use super::{size, tensor};
use crate::Result;
use crate::files::{read_json, refuse};
use crate::settings::{DENSE, shortened};
use crate::weights::TensorFile;

/// Rows that a thread takes at a time: the weights of an output are read once for all of them.
const BLOCK: usize = 32;

/// The settings of a Dense module.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DenseSettings {
    pub folder: PathBuf,
    pub inputs: usize,
    pub outputs: usize,
    bias: bool,
    activation: Activation,
    /// Whether the input is added to the output.
    residual: bool,
}

impl DenseSettings {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let settings: Map<String, Value> = read_json(&path)?;
        DENSE.check(&path, &settings)?;
        let flag = |name: &str, default: bool| match settings.get(name) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| {
                refuse(&path, format!("{name} is {}, and must be true or false", shortened(value)))
            }),
        };
        Ok(Self {
            inputs: size(&path, "in_features", settings.get("in_features"))?,
            outputs: size(&path, "out_features", settings.get("out_features"))?,
            bias: flag("bias", true)?,
            residual: flag("use_residual", false)?,
            activation: Activation::read(&path, settings.get("activation_function"))?,
            folder: folder.into(),
        })
    }

    pub(super) fn described(&self) -> String {
        let Self { inputs, outputs, activation, bias, residual, .. } = self;
        format!("Dense {inputs} {outputs} {activation:?} bias {bias} residual {residual}")
    }
}

/// A Dense module with its weights.
pub(super) struct Dense {
    settings: DenseSettings,
    /// `[outputs, inputs]`
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    /// `[outputs, inputs]`: what the input is multiplied by before it is added, where its length is another.
    residual: Option<Vec<f32>>,
}

impl Dense {
    pub(super) fn load(settings: &DenseSettings, file: &TensorFile) -> Result<Self> {
        let (inputs, outputs) = (settings.inputs, settings.outputs);
        let projects = settings.residual && inputs != outputs;
        Ok(Self {
            weight: tensor(file, "linear.weight", &[outputs, inputs])?,
            bias: settings.bias.then(|| tensor(file, "linear.bias", &[outputs])).transpose()?,
            residual: projects.then(|| tensor(file, "residual.weight", &[outputs, inputs])).transpose()?,
            settings: settings.clone(),
        })
    }

    pub(super) fn outputs(&self) -> usize {
        self.settings.outputs
    }

    /// `[rows, inputs]` to `[rows, outputs]`.
    pub(super) fn apply(&self, rows: &[f32]) -> Vec<f32> {
        let (inputs, outputs) = (self.settings.inputs, self.settings.outputs);
        let mut out = vec![0.0; rows.len() / inputs * outputs];
        let blocks = rows.par_chunks(BLOCK * inputs).zip(out.par_chunks_mut(BLOCK * outputs));
        blocks.for_each(|(rows, out)| self.apply_block(rows, out));
        out
    }

    fn apply_block(&self, rows: &[f32], out: &mut [f32]) {
        let (inputs, outputs) = (self.settings.inputs, self.settings.outputs);
        for output in 0..outputs {
            let place = output * inputs..(output + 1) * inputs;
            let weight = &self.weight[place.clone()];
            let bias = self.bias.as_ref().map_or(0.0, |bias| bias[output]);
            for (row, out) in rows.chunks_exact(inputs).zip(out.chunks_exact_mut(outputs)) {
                let value = self.settings.activation.apply(dot(weight, row) + bias);
                out[output] = value
                    + match &self.residual {
                        Some(residual) => dot(&residual[place.clone()], row),
                        None if self.settings.residual => row[output],
                        None => 0.0,
                    };
            }
        }
    }
}
