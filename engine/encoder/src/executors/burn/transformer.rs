//! The networks of all families on burn, computed as their descriptions say (`families`): the reference that our own
//! kernels are compared with, what GPUs run, and what training differentiates where a network is not BERT's.

use std::sync::Arc;

use akin_kernels::attention::DistanceBias;
use akin_kernels::heads::Rotary;
use burn::module::Module;
use burn::nn::{Embedding, Linear};
use burn::tensor::{Device, Tensor, TensorData};

use super::PaddedBatch;
use super::blueprint::{Blueprint, LayerTables};
use super::disentangled::{BatchDistances, Distances};
use super::distances::DistanceBuckets;
use super::load::Loader;
use super::norm::Norm;
use super::pass::Pass;
use crate::Result;
use crate::config::BertConfig;
use crate::executors::cpu::TensorReader;
use crate::families::{Form, LayerTensors, Layout, NormOrder};
use crate::files::refuse;
use crate::weights::ModelWeights;

/// A network without a head: token ids to hidden states.
#[derive(Module, Debug)]
pub struct Transformer {
    /// `[vocab_size, width of the embeddings]`
    pub words: Embedding,
    pub(super) places: Option<Embedding>,
    pub(super) types: Option<Embedding>,
    pub(super) embedding_norm: Option<Norm>,
    pub(super) projection: Option<Linear>,
    /// Learned numbers that scores get by distance.
    pub buckets: Option<DistanceBuckets>,
    /// Learned vectors of distances, which queries and keys are multiplied by.
    pub distances: Option<Distances>,
    /// Each set of weights of a layer.
    pub layers: Vec<TransformerLayer>,
    pub(super) final_norm: Option<Norm>,
    #[module(skip)]
    pub(super) blueprint: Arc<Blueprint>,
}

/// A layer.
#[derive(Module, Debug)]
pub struct TransformerLayer {
    /// The queries of all heads.
    pub query: Linear,
    /// The keys of all heads.
    pub key: Linear,
    /// The values of all heads.
    pub value: Linear,
    pub(super) query_norm: Option<Norm>,
    pub(super) key_norm: Option<Norm>,
    /// What projects the vectors of distances for the queries, where it is not `key`.
    pub(super) distance_keys: Option<Linear>,
    /// What projects them for the keys, where it is not `query`.
    pub(super) distance_queries: Option<Linear>,
    /// The product that leads back to the hidden states.
    pub attention_output: Linear,
    /// What the activation is applied to where there is a gate.
    pub gate: Option<Linear>,
    /// The product into the feed-forward network.
    pub up: Linear,
    /// The product that leads back to the hidden states.
    pub down: Linear,
    pub(super) before_attention: Option<Norm>,
    pub(super) after_attention: Option<Norm>,
    pub(super) before_feed_forward: Option<Norm>,
    pub(super) after_feed_forward: Option<Norm>,
}

/// What the layers of a pass have in common.
struct Shared<'a, P> {
    pass: &'a P,
    blueprint: &'a Blueprint,
    device: &'a Device,
    /// What is added to all scores by learned numbers.
    added: Option<Tensor<4>>,
    distances: Option<BatchDistances>,
}

impl Transformer {
    /// Reads the weights, which have been checked, as f32.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) when the file changed since it was checked.
    pub fn load(config: &BertConfig, weights: &ModelWeights, device: &Device) -> Result<Self> {
        let tensors = weights.tensors()?;
        let reader = TensorReader { tensors: &tensors, prefix: weights.prefix() };
        let loader = Loader { reader: Some(reader), config, device };
        Self::read(&loader, weights.layout()).map_err(|reason| refuse(weights.path(), reason))
    }

    /// A network of this shape, its weights not yet set, under the names that transformers has.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) is not expected: no file is read.
    pub fn new(config: &BertConfig, device: &Device) -> Result<Self> {
        let loader = Loader { reader: None, config, device };
        Self::read(&loader, &config.layout(&|_| false)).map_err(crate::Error::Invalid)
    }

    fn read(loader: &Loader<'_>, layout: &Layout) -> std::result::Result<Self, String> {
        let config = loader.config;
        let table =
            |name: &Option<String>, rows| name.as_ref().map(|name| loader.table(name, rows)).transpose();
        let mut buckets = DistanceBuckets::new(config, loader.device);
        if let Some(buckets) = &mut buckets {
            buckets.weight = loader.buckets(layout)?;
        }
        Ok(Self {
            words: loader.table(&layout.words, config.vocab_size)?,
            places: table(&layout.positions, config.max_position_embeddings)?,
            types: table(&layout.types, config.type_vocab_size)?,
            embedding_norm: Norm::read(loader, &layout.embedding_norm)?,
            projection: layout.projection.as_ref().map(|linear| loader.linear(linear)).transpose()?,
            buckets,
            distances: Distances::read(loader, layout)?,
            layers: layout
                .layers
                .iter()
                .map(|tensors| TransformerLayer::read(loader, tensors))
                .collect::<std::result::Result<_, _>>()?,
            final_norm: Norm::read(loader, &layout.final_norm)?,
            blueprint: Arc::new(Blueprint::new(config, layout)),
        })
    }

    /// Hidden states of the last layer, `[sentences, longest, hidden]`; those of padding mean nothing.
    pub fn hidden_states(&self, batch: &PaddedBatch) -> Tensor<3> {
        let [rows, longest] = batch.ids.dims();
        self.forward(batch).reshape([rows, longest, self.blueprint.config.hidden_size])
    }

    /// Hidden states of the last layer, `[tokens, hidden]`.
    pub fn forward(&self, pass: &impl Pass) -> Tensor<2> {
        let embedded = self.embed(pass);
        let device = embedded.device();
        let form = &self.blueprint.config.form;
        let [rows, longest] = pass.dims();
        let distances = self.distances.as_ref();
        let shared = Shared {
            pass,
            blueprint: &self.blueprint,
            device: &device,
            added: self.buckets.as_ref().map(|buckets| buckets.added(rows, longest)),
            distances: distances.map(|distances| distances.of_batch(form.bias, pass, &device)),
        };
        let hidden = self.blueprint.order().into_iter().fold(embedded, |hidden, number| {
            self.layers[number].forward(&shared, self.blueprint.tables(number), hidden)
        });
        normalized(pass, &self.final_norm, hidden)
    }

    fn embed(&self, pass: &impl Pass) -> Tensor<2> {
        let mut sum = pass.words(&self.words);
        let scale = self.blueprint.config.form.embedding_scale;
        if scale != 1.0 {
            sum = sum * scale;
        }
        if let Some(places) = &self.places {
            sum = sum + places.weight.val().select(0, pass.positions());
        }
        if let Some(types) = &self.types {
            sum = sum
                + match pass.types() {
                    Some(numbers) => types.weight.val().select(0, numbers),
                    None => types.weight.val().narrow(0, 0, 1),
                };
        }
        let sum = pass.dropped(normalized(pass, &self.embedding_norm, sum));
        match &self.projection {
            Some(projection) => projection.forward(sum),
            None => sum,
        }
    }
}

impl TransformerLayer {
    fn read(loader: &Loader<'_>, tensors: &LayerTensors) -> std::result::Result<Self, String> {
        let [query_norm, key_norm] = match &tensors.head_norms {
            Some([query, key]) => [Some(query.clone()), Some(key.clone())],
            None => [None, None],
        };
        // Where they are shared, `query` and `key` project the vectors too.
        let own = |number: usize| match loader.config.form.relative_shared {
            true => Ok(None),
            false => tensors.relative[number].as_ref().map(|linear| loader.linear(linear)).transpose(),
        };
        Ok(Self {
            query: loader.linear(&tensors.query)?,
            key: loader.linear(&tensors.key)?,
            value: loader.linear(&tensors.value)?,
            query_norm: Norm::read(loader, &query_norm)?,
            key_norm: Norm::read(loader, &key_norm)?,
            distance_keys: own(0)?,
            distance_queries: own(1)?,
            attention_output: loader.linear(&tensors.attention_output)?,
            gate: tensors.gate.as_ref().map(|gate| loader.linear(gate)).transpose()?,
            up: loader.linear(&tensors.up)?,
            down: loader.linear(&tensors.down)?,
            before_attention: Norm::read(loader, &tensors.before_attention)?,
            after_attention: Norm::read(loader, &tensors.after_attention)?,
            before_feed_forward: Norm::read(loader, &tensors.before_feed_forward)?,
            after_feed_forward: Norm::read(loader, &tensors.after_feed_forward)?,
        })
    }

    /// The linear layers that a low-rank adapter may be added to: query, key, value, attention output, up, down and, where
    /// there is one, the gate.
    pub fn linears(&self) -> Vec<&Linear> {
        let all = [&self.query, &self.key, &self.value, &self.attention_output, &self.up, &self.down];
        all.into_iter().chain(&self.gate).collect()
    }

    /// The same, to be changed.
    pub fn linears_mut(&mut self) -> Vec<&mut Linear> {
        let Self { query, key, value, attention_output, up, down, gate, .. } = self;
        [query, key, value, attention_output, up, down].into_iter().chain(gate).collect()
    }

    fn forward<P: Pass>(&self, shared: &Shared<'_, P>, tables: &LayerTables, hidden: Tensor<2>) -> Tensor<2> {
        let (order, pass) = (shared.blueprint.config.form.order, shared.pass);
        let norms = [&self.before_attention, &self.after_attention];
        let hidden = sublayer(pass, order, norms, hidden, |x| self.attend(shared, tables, x));
        let norms = [&self.before_feed_forward, &self.after_feed_forward];
        sublayer(pass, order, norms, hidden, |x| self.feed_forward(shared, x))
    }

    fn feed_forward<P: Pass>(&self, shared: &Shared<'_, P>, hidden: Tensor<2>) -> Tensor<2> {
        let activation = shared.blueprint.config.form.activation;
        let up = self.up.forward(hidden.clone());
        let inner = match &self.gate {
            Some(gate) => shared.pass.activated(activation, gate.forward(hidden)) * up,
            None => shared.pass.activated(activation, up),
        };
        self.down.forward(inner)
    }

    fn attend<P: Pass>(&self, shared: &Shared<'_, P>, tables: &LayerTables, hidden: Tensor<2>) -> Tensor<2> {
        let pass = shared.pass;
        let [rows, longest] = pass.dims();
        let config = &shared.blueprint.config;
        let (form, heads) = (&config.form, config.num_attention_heads);
        let split = |linear: &Linear, heads: usize| {
            let projected = pass.by_sentence(linear.forward(hidden.clone()));
            projected.reshape([rows, longest, heads, form.head_dim]).swap_dims(1, 2)
        };
        let (mut query, mut key) = (split(&self.query, heads), split(&self.key, form.key_value_heads));
        let value = split(&self.value, form.key_value_heads);
        if let (Some(of_queries), Some(of_keys)) = (&self.query_norm, &self.key_norm) {
            (query, key) = (of_queries.forward(query), of_keys.forward(key));
        }
        if let Some(rotary) = &tables.rotary {
            let angles = angles(rotary, longest, shared.device);
            (query, key) = (turned(query, &angles), turned(key, &angles));
        }
        let repeat = |keys: Tensor<4>| match heads / form.key_value_heads {
            1 => keys,
            times => keys
                .reshape([rows, form.key_value_heads, 1, longest * form.head_dim])
                .repeat_dim(2, times)
                .reshape([rows, heads, longest, form.head_dim]),
        };
        let fixed = tables.bias.as_ref().map(|bias| {
            by_distance(bias, form, heads, longest, shared.device).expand([rows, heads, longest, longest])
        });
        let mut bias = shared.added.clone().or(fixed);
        if let Some(distances) = &shared.distances {
            let [for_queries, for_keys] = self.distance_projections(form);
            bias = Some(distances.added([(&query, for_queries), (&key, for_keys)], form.score_scale, pass));
        }
        let attended = pass.attend([query, repeat(key), repeat(value)], bias, form.score_scale);
        let attended = attended.swap_dims(1, 2).reshape([rows * longest, heads * form.head_dim]);
        self.attention_output.forward(pass.by_token(attended))
    }

    /// What projects the vectors of distances for the queries, and for the keys.
    fn distance_projections(&self, form: &Form) -> [Option<&Linear>; 2] {
        match form.relative_shared {
            true => {
                let [of_queries, of_keys] = form.bias.asked();
                [of_queries.then_some(&self.key), of_keys.then_some(&self.query)]
            }
            false => [self.distance_keys.as_ref(), self.distance_queries.as_ref()],
        }
    }
}

/// A sublayer with its norms, its dropout and what goes around it.
fn sublayer(
    pass: &impl Pass,
    order: NormOrder,
    [before, after]: [&Option<Norm>; 2],
    hidden: Tensor<2>,
    compute: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    let output = pass.dropped(compute(normalized(pass, before, hidden.clone())));
    match order {
        NormOrder::After => normalized(pass, after, output + hidden),
        NormOrder::Before | NormOrder::Around => hidden + normalized(pass, after, output),
    }
}

fn normalized(pass: &impl Pass, norm: &Option<Norm>, x: Tensor<2>) -> Tensor<2> {
    match norm {
        Some(norm) => pass.normalized(norm, x),
        None => x,
    }
}

/// What is added to scores, `[1, heads, longest, longest]`.
fn by_distance(bias: &DistanceBias, form: &Form, heads: usize, longest: usize, device: &Device) -> Tensor<4> {
    let rows = (0..heads).flat_map(|head| (0..longest).map(move |query| bias.row(head, query, 0..longest)));
    let values: Vec<f32> = rows.flatten().map(|value| value * form.score_scale).collect();
    Tensor::from_data(TensorData::new(values, [1, heads, longest, longest]), device)
}

/// Cosines and sines of the first positions, `[1, 1, longest, dim / 2]` each.
fn angles(rotary: &Rotary, longest: usize, device: &Device) -> [Tensor<4>; 2] {
    let (mut cosines, mut sines) = (Vec::new(), Vec::new());
    for position in 0..longest {
        let (cos, sin) = rotary.of(position);
        cosines.extend_from_slice(cos);
        sines.extend_from_slice(sin);
    }
    let shape = [1, 1, longest, rotary.dim() / 2];
    [cosines, sines].map(|values| Tensor::from_data(TensorData::new(values, shape), device))
}

/// Heads turned by their positions.
fn turned(heads: Tensor<4>, [cosines, sines]: &[Tensor<4>; 2]) -> Tensor<4> {
    let half = cosines.dims()[3];
    let width = heads.dims()[3];
    let (first, second) = (heads.clone().narrow(3, 0, half), heads.clone().narrow(3, half, half));
    let (cosines, sines) = (cosines.clone(), sines.clone());
    let mut parts = vec![
        first.clone() * cosines.clone() - second.clone() * sines.clone(),
        second * cosines + first * sines,
    ];
    if width > 2 * half {
        parts.push(heads.narrow(3, 2 * half, width - 2 * half));
    }
    Tensor::cat(parts, 3)
}
