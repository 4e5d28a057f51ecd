//! What a forward pass reads beside the weights: the description of a network, and the tables that follow from it.

use akin_kernels::attention::DistanceBias;
use akin_kernels::heads::Rotary;

use crate::config::BertConfig;
use crate::families::{BiasForm, Layout, bias_of_layer, rotary_of_layer};

/// A network without its weights.
#[derive(Debug)]
pub(super) struct Blueprint {
    pub config: BertConfig,
    /// Where the weights are in the files of the family.
    pub layout: Layout,
    /// Of layers that differ.
    tables: Vec<LayerTables>,
    /// Which of the tables each layer has.
    table_of_layer: Vec<usize>,
}

/// What positions and distances do in a layer, where no weight decides it.
#[derive(Debug)]
pub(super) struct LayerTables {
    /// What is added to scores by distance.
    pub bias: Option<DistanceBias>,
    /// The angles by which positions turn queries and keys.
    pub rotary: Option<Rotary>,
}

impl Blueprint {
    pub fn new(config: &BertConfig, layout: &Layout) -> Self {
        let form = &config.form;
        // Learned numbers are weights of the network (`DistanceBuckets`).
        let is_learned = matches!(form.bias, BiasForm::Buckets { .. });
        let count = layout.layers.len();
        let like = |number: usize| (0..number).find(|first| form.layer(*first) == form.layer(number));
        let (mut tables, mut table_of_layer) = (Vec::new(), Vec::with_capacity(count));
        for number in 0..count {
            let known = like(number).map(|first| table_of_layer[first]);
            table_of_layer.push(known.unwrap_or(tables.len()));
            if known.is_none() {
                let bias = if is_learned { None } else { bias_of_layer(config, number, &[]) };
                tables.push(LayerTables { bias, rotary: rotary_of_layer(config, number) });
            }
        }
        Self { config: config.clone(), layout: layout.clone(), tables, table_of_layer }
    }

    /// The tables of a set of weights.
    pub fn tables(&self, layer: usize) -> &LayerTables {
        &self.tables[self.table_of_layer[layer]]
    }

    /// Which set of weights each layer has, the first layer first.
    pub fn order(&self) -> Vec<usize> {
        match self.config.form.shared.as_slice() {
            [] => (0..self.layout.layers.len()).collect(),
            shared => shared.to_vec(),
        }
    }
}
