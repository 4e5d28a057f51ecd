//! AdamW over a burn module, with its gradients clipped by their common norm: sentence-transformers' defaults.

use akin_kernels::cpu::isa;
use akin_kernels::gradient::adamw::{self, Step};
use burn::backend::Flex;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use crate::gradients::{ParameterGradients, floats};

/// Settings that are the same in all steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWSettings {
    /// The decay of the mean of the gradients (beta 1).
    pub beta1: f64,
    /// The decay of the mean of their squares (beta 2).
    pub beta2: f64,
    /// Added to the root of the mean square (epsilon).
    pub epsilon: f32,
    /// Weight decay: the share of a weight, times the learning rate, that each step subtracts; none for biases and norms.
    pub weight_decay: f64,
    /// The norm that the gradients of all parameters together are clipped to.
    pub clip_norm: f64,
}

impl Default for AdamWSettings {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, clip_norm: 1.0 }
    }
}

/// The state of AdamW for one parameter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// The mean of its gradients.
    pub means: Vec<f32>,
    /// The mean of their squares.
    pub squares: Vec<f32>,
    /// For a table whose gradient is a few rows: which rows have had a gradient.
    seen: Vec<bool>,
}

impl Memory {
    /// The state of a parameter that was saved.
    pub fn new(means: Vec<f32>, squares: Vec<f32>) -> Self {
        Self { means, squares, seen: Vec::new() }
    }

    /// The state of a parameter of this many values before the first step.
    fn resize(&mut self, length: usize) {
        self.means.resize(length, 0.0);
        self.squares.resize(length, 0.0);
    }
}

/// AdamW, with a state for each parameter in the order of the module.
#[derive(Debug, Clone, Default)]
pub struct AdamW {
    settings: AdamWSettings,
    steps: u32,
    memories: Vec<Memory>,
}

impl AdamW {
    /// AdamW before its first step.
    pub fn new(settings: AdamWSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// AdamW with a saved state.
    pub fn resumed(settings: AdamWSettings, steps: u32, memories: Vec<Memory>) -> Self {
        Self { settings, steps, memories }
    }

    /// The state of each parameter.
    pub fn memories(&self) -> &[Memory] {
        &self.memories
    }

    /// Takes a step: changes every parameter of `module` by its gradient, and returns the norm of all gradients. If the norm
    /// is not a number, it returns none and leaves the module as it was.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: ParameterGradients,
        learning_rate: f64,
    ) -> (M, Option<f64>) {
        let norm = gradients.norm(&module);
        if !norm.is_finite() {
            return (module, None);
        }
        self.steps += 1;
        let AdamWSettings { beta1, beta2, epsilon, weight_decay, clip_norm } = self.settings;
        let step = Step {
            learning_rate: learning_rate as f32,
            weight_decay: weight_decay as f32,
            beta1,
            beta2,
            epsilon,
            number: self.steps,
            gradient_scale: (clip_norm / (norm + 1e-6)).min(1.0) as f32,
        };
        let mut update = Update { step, gradients, memories: &mut self.memories, number: 0 };
        (module.map(&mut update), Some(norm))
    }
}

struct Update<'a> {
    step: Step,
    gradients: ParameterGradients,
    memories: &'a mut Vec<Memory>,
    number: usize,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let number = self.number;
        self.number += 1;
        if self.memories.len() == number {
            self.memories.push(Memory::default());
        }
        let memory = &mut self.memories[number];
        // Biases and norms are vectors.
        let weight_decay = if D == 1 { 0.0 } else { self.step.weight_decay };
        let step = Step { weight_decay, ..self.step };
        if let Some(rows) = self.gradients.take_rows(param.id) {
            return update(param, |weights, [count, width]| {
                memory.resize(weights.len());
                // Rows that have had a gradient before have a state.
                if memory.seen.is_empty() {
                    let rows = memory.squares.chunks_exact(width);
                    memory.seen = rows.map(|row| row.iter().any(|square| *square != 0.0)).collect();
                }
                debug_assert_eq!(memory.seen.len(), count);
                let own = (&mut memory.means[..], &mut memory.squares[..]);
                adamw::step_rows(isa(), &step, width, weights, &rows, own, &mut memory.seen);
            });
        }
        let Some(gradient) = self.gradients.take(param.id) else {
            return param;
        };
        update(param, |weights, _| {
            memory.resize(weights.len());
            let gradient = floats(&gradient);
            adamw::step(isa(), &step, weights, gradient, &mut memory.means, &mut memory.squares);
        })
    }
}

/// Changes the values of a parameter in place; `change` is given them with their rows and columns.
fn update<const D: usize>(
    param: Param<Tensor<D>>,
    change: impl FnOnce(&mut [f32], [usize; 2]),
) -> Param<Tensor<D>> {
    param.map(|tensor| {
        let shape = tensor.dims();
        let columns = shape[D - 1];
        let mut weights = tensor.inner().try_into_primitive::<Flex>().expect("training runs on Flex");
        change(weights.storage_mut(), [shape.iter().product::<usize>() / columns.max(1), columns]);
        Tensor::from_primitive::<Flex>(weights).autodiff().require_grad()
    })
}
