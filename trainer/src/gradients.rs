//! The gradient of every parameter of a network, from one backward pass or summed over several.

use std::collections::HashMap;

use akin_kernels::cpu::isa;
use akin_kernels::gradient::adamw;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor, TensorData};

/// The gradients of parameters. That of one table may be a few of its rows.
#[derive(Debug, Default)]
pub struct ParameterGradients {
    values: HashMap<ParamId, TensorData>,
    rows: Option<(ParamId, HashMap<u32, Vec<f32>>)>,
}

impl ParameterGradients {
    /// Those of one backward pass.
    pub fn of<M: Module>(module: &M, gradients: Gradients) -> Self {
        let mut own = Self::default();
        own.add(module, gradients);
        own
    }

    /// Adds those of another backward pass.
    pub fn add<M: Module>(&mut self, module: &M, gradients: Gradients) {
        module.visit(&mut Collect { gradients, sums: &mut self.values });
    }

    /// Sets the gradient of a table by its rows.
    pub fn set_rows(&mut self, table: ParamId, rows: HashMap<u32, Vec<f32>>) {
        self.rows = Some((table, rows));
    }

    /// The length of all gradients together, in the order of the module, so that a run repeats bit for bit.
    pub(crate) fn norm<M: Module>(&self, module: &M) -> f64 {
        let mut norm = Norm { values: &self.values, squares: 0.0 };
        module.visit(&mut norm);
        (norm.squares + self.rows.as_ref().map_or(0.0, |(_, rows)| squares_of(rows))).sqrt()
    }

    /// Takes the gradient of a parameter.
    pub(crate) fn take(&mut self, id: ParamId) -> Option<TensorData> {
        self.values.remove(&id)
    }

    /// Takes the rows, if they are those of this table.
    pub(crate) fn take_rows(&mut self, id: ParamId) -> Option<HashMap<u32, Vec<f32>>> {
        self.rows.take_if(|(table, _)| *table == id).map(|(_, rows)| rows)
    }
}

/// Takes the gradient of each parameter out of burn's container.
struct Collect<'a> {
    gradients: Gradients,
    sums: &'a mut HashMap<ParamId, TensorData>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = param.val().grad_remove(&mut self.gradients) else { return };
        let gradient = gradient.into_data();
        match self.sums.get_mut(&param.id) {
            None => {
                self.sums.insert(param.id, gradient);
            }
            Some(sum) => {
                let sum = sum.as_mut_slice::<f32>().expect("gradients are f32");
                sum.iter_mut().zip(floats(&gradient)).for_each(|(sum, value)| *sum += value);
            }
        }
    }
}

struct Norm<'a> {
    values: &'a HashMap<ParamId, TensorData>,
    squares: f64,
}

impl ModuleVisitor for Norm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.values.get(&param.id) {
            self.squares += adamw::sum_of_squares(isa(), floats(gradient));
        }
    }
}

/// The numbers of a gradient.
pub(crate) fn floats(data: &TensorData) -> &[f32] {
    data.as_slice().expect("parameters and their gradients are f32")
}

fn squares_of(rows: &HashMap<u32, Vec<f32>>) -> f64 {
    // In the order of the rows, so that a run repeats bit for bit.
    let mut numbers: Vec<&u32> = rows.keys().collect();
    numbers.sort_unstable();
    numbers.into_iter().map(|number| adamw::sum_of_squares(isa(), &rows[number])).sum()
}
