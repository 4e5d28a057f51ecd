//! The networks of all families on burn, computed as their descriptions say (`families`): the reference that our own
//! kernels are compared with.

use akin_kernels::activation::Activation;
use akin_kernels::attention::DistanceBias;
use akin_kernels::cpu::isa;
use akin_kernels::heads::Rotary;
use burn::nn::{Embedding, LayerNorm, Linear};
use burn::tensor::activation::{gelu, gelu_approximate, relu, silu};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::PaddedBatch;
use super::load::Loader;
use crate::Result;
use crate::config::BertConfig;
use crate::executors::cpu::{Relative, TensorReader};
use crate::families::{Form, LayerTensors, Layout, NormOrder, NormRef, bias_of_layer, rotary_of_layer};
use crate::files::refuse;
use crate::weights::ModelWeights;

/// A network without a head: token ids to hidden states.
pub(super) struct Transformer {
    config: BertConfig,
    words: Embedding,
    places: Option<Embedding>,
    types: Option<Embedding>,
    embedding_norm: Option<Norm>,
    projection: Option<Linear>,
    /// Each set of weights.
    layers: Vec<Layer>,
    final_norm: Option<Norm>,
    device: Device,
}

/// A normalisation, by the mean and the variance or by the mean square alone.
struct Norm {
    weights: LayerNorm,
    epsilon: f64,
    centred: bool,
}

/// A layer.
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    head_norms: Option<[Norm; 2]>,
    attention_output: Linear,
    gate: Option<Linear>,
    up: Linear,
    down: Linear,
    /// Before and after the attention, before and after the feed-forward network.
    norms: [Option<Norm>; 4],
    bias: Option<DistanceBias>,
    rotary: Option<Rotary>,
    relative: Option<Relative>,
}

impl Transformer {
    /// Reads the weights, which have been checked, as f32.
    pub fn load(config: &BertConfig, weights: &ModelWeights, device: &Device) -> Result<Self> {
        let tensors = weights.tensors()?;
        let reader = TensorReader { tensors: &tensors, prefix: weights.prefix() };
        let loader = Loader { reader, config, device };
        Self::read(&loader, weights.layout()).map_err(|reason| refuse(weights.path(), reason))
    }

    fn read(loader: &Loader<'_>, layout: &Layout) -> std::result::Result<Self, String> {
        let config = loader.config;
        let table =
            |name: &Option<String>, rows| name.as_ref().map(|name| loader.table(name, rows)).transpose();
        let learned = loader.reader.buckets(config, layout)?;
        let layers = layout.layers.iter().enumerate();
        Ok(Self {
            words: loader.table(&layout.words, config.vocab_size)?,
            places: table(&layout.positions, config.max_position_embeddings)?,
            types: table(&layout.types, config.type_vocab_size)?,
            embedding_norm: norm(loader, &layout.embedding_norm)?,
            projection: layout.projection.as_ref().map(|linear| loader.linear(linear)).transpose()?,
            layers: layers
                .map(|(number, tensors)| Layer::read(loader, layout, tensors, number, &learned))
                .collect::<std::result::Result<_, _>>()?,
            final_norm: norm(loader, &layout.final_norm)?,
            config: config.clone(),
            device: loader.device.clone(),
        })
    }

    /// Hidden states of the last layer, `[sentences, longest, hidden]`; those of padding mean nothing.
    pub fn forward(&self, batch: &PaddedBatch) -> Tensor<3> {
        let mask = batch.attention_mask();
        let mut hidden = self.embed(batch);
        let shared = &self.config.form.shared;
        let count = if shared.is_empty() { self.layers.len() } else { shared.len() };
        for number in 0..count {
            let layer = &self.layers[shared.get(number).copied().unwrap_or(number)];
            hidden = layer.forward(&self.config, hidden, mask.clone(), &self.device);
        }
        normalized(&self.final_norm, hidden)
    }

    fn embed(&self, batch: &PaddedBatch) -> Tensor<3> {
        let mut sum = self.words.forward(batch.ids.clone());
        if self.config.form.embedding_scale != 1.0 {
            sum = sum * self.config.form.embedding_scale;
        }
        if let Some(places) = &self.places {
            sum = sum + places.forward(batch.positions.clone());
        }
        if let Some(types) = &self.types {
            // One sentence at a time, so every token is of type 0.
            sum = sum + types.weight.val().narrow(0, 0, 1).unsqueeze();
        }
        let sum = normalized(&self.embedding_norm, sum);
        match &self.projection {
            Some(projection) => projection.forward(sum),
            None => sum,
        }
    }
}

impl Layer {
    fn read(
        loader: &Loader<'_>,
        layout: &Layout,
        tensors: &LayerTensors,
        number: usize,
        learned: &[f32],
    ) -> std::result::Result<Self, String> {
        let [before, after] = [&tensors.before_attention, &tensors.after_attention];
        let [before_inner, after_inner] = [&tensors.before_feed_forward, &tensors.after_feed_forward];
        let head_norms = match &tensors.head_norms {
            Some([query, key]) => Some([Norm::read(loader, query)?, Norm::read(loader, key)?]),
            None => None,
        };
        Ok(Self {
            query: loader.linear(&tensors.query)?,
            key: loader.linear(&tensors.key)?,
            value: loader.linear(&tensors.value)?,
            head_norms,
            attention_output: loader.linear(&tensors.attention_output)?,
            gate: tensors.gate.as_ref().map(|gate| loader.linear(gate)).transpose()?,
            up: loader.linear(&tensors.up)?,
            down: loader.linear(&tensors.down)?,
            norms: [
                norm(loader, before)?,
                norm(loader, after)?,
                norm(loader, before_inner)?,
                norm(loader, after_inner)?,
            ],
            bias: bias_of_layer(loader.config, number, learned),
            rotary: rotary_of_layer(loader.config, number),
            relative: Relative::load(isa(), loader.config, loader.reader, layout, tensors)?,
        })
    }

    fn forward(
        &self,
        config: &BertConfig,
        hidden: Tensor<3>,
        mask: Option<Tensor<4, Bool>>,
        device: &Device,
    ) -> Tensor<3> {
        let [before, after, before_inner, after_inner] = &self.norms;
        let order = config.form.order;
        let hidden = sublayer(order, before, after, hidden, |x| self.attend(config, x, mask, device));
        sublayer(order, before_inner, after_inner, hidden, |x| self.feed_forward(config.form.activation, x))
    }

    fn feed_forward(&self, activation: Activation, hidden: Tensor<3>) -> Tensor<3> {
        let up = self.up.forward(hidden.clone());
        let inner = match &self.gate {
            Some(gate) => activate(activation, gate.forward(hidden)) * up,
            None => activate(activation, up),
        };
        self.down.forward(inner)
    }

    fn attend(
        &self,
        config: &BertConfig,
        hidden: Tensor<3>,
        mask: Option<Tensor<4, Bool>>,
        device: &Device,
    ) -> Tensor<3> {
        let [rows, longest, _] = hidden.dims();
        let form = &config.form;
        let heads = config.num_attention_heads;
        let split = |linear: &Linear, heads: usize| {
            let projected = linear.forward(hidden.clone());
            projected.reshape([rows, longest, heads, form.head_dim]).swap_dims(1, 2)
        };
        let (mut query, mut key) = (split(&self.query, heads), split(&self.key, form.key_value_heads));
        let value = split(&self.value, form.key_value_heads);
        if let Some([of_queries, of_keys]) = &self.head_norms {
            (query, key) = (of_queries.forward(query), of_keys.forward(key));
        }
        if let Some(rotary) = &self.rotary {
            let angles = angles(rotary, longest, device);
            (query, key) = (turned(query, &angles), turned(key, &angles));
        }
        let repeat = |keys: Tensor<4>| match heads / form.key_value_heads {
            1 => keys,
            times => keys
                .reshape([rows, form.key_value_heads, 1, longest * form.head_dim])
                .repeat_dim(2, times)
                .reshape([rows, heads, longest, form.head_dim]),
        };
        let bias = self.bias.as_ref().map(|bias| distances(bias, form, heads, longest, device));
        let bias = bias.map(|bias| bias.expand([rows, heads, longest, longest]));
        let bias = match &self.relative {
            Some(relative) => Some(disentangled(relative, form, &query, &key, device)),
            None => bias,
        };
        let options =
            AttentionModuleOptions { scale: Some(f64::from(form.score_scale)), ..Default::default() };
        let attended = attention(query, repeat(key), repeat(value), mask, bias, options);
        let attended = attended.swap_dims(1, 2).reshape([rows, longest, heads * form.head_dim]);
        self.attention_output.forward(attended)
    }
}

/// A sublayer with its norms and what goes around it.
fn sublayer(
    order: NormOrder,
    before: &Option<Norm>,
    after: &Option<Norm>,
    hidden: Tensor<3>,
    compute: impl FnOnce(Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    let output = compute(normalized(before, hidden.clone()));
    match order {
        NormOrder::After => normalized(after, output + hidden),
        NormOrder::Before | NormOrder::Around => hidden + normalized(after, output),
    }
}

fn activate(activation: Activation, x: Tensor<3>) -> Tensor<3> {
    match activation {
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => gelu_approximate(x),
        Activation::Relu => relu(x),
        Activation::Silu => silu(x),
    }
}

/// What is added to scores, `[1, heads, longest, longest]`.
fn distances(bias: &DistanceBias, form: &Form, heads: usize, longest: usize, device: &Device) -> Tensor<4> {
    let rows = (0..heads).flat_map(|head| (0..longest).map(move |query| bias.row(head, query, 0..longest)));
    let values: Vec<f32> = rows.flatten().map(|value| value * form.score_scale).collect();
    Tensor::from_data(TensorData::new(values, [1, heads, longest, longest]), device)
}

/// What queries and keys, `[sentences, heads, longest, dim]`, say to their distances: added to their scores.
fn disentangled(
    relative: &Relative,
    form: &Form,
    query: &Tensor<4>,
    key: &Tensor<4>,
    device: &Device,
) -> Tensor<4> {
    let [rows, heads, longest, dim] = query.dims();
    let buckets = relative.buckets(longest);
    let distance = |query: usize, key: usize| i64::from(buckets[longest - 1 + query - key]);
    let pairs = (0..longest).flat_map(|first| (0..longest).map(move |second| (first, second)));
    let mut sum = Tensor::<4>::zeros([rows, heads, longest, longest], device);
    for (of_keys, (asked, vectors)) in [query, key].into_iter().zip(relative.vectors()).enumerate() {
        if vectors.is_empty() {
            continue;
        }
        let count = vectors.len() / (heads * dim);
        let vectors = Tensor::<3>::from_data(TensorData::new(vectors.clone(), [count, heads, dim]), device);
        let products = asked.clone().matmul(vectors.permute([1, 2, 0]).unsqueeze());
        let places: Vec<i64> = match of_keys {
            0 => pairs.clone().map(|(query, key)| distance(query, key)).collect(),
            _ => pairs.clone().map(|(key, query)| distance(query, key)).collect(),
        };
        let places = Tensor::<4, Int>::from_data(TensorData::new(places, [1, 1, longest, longest]), device);
        let scores = products.gather(3, places.expand([rows, heads, longest, longest]));
        sum = sum + if of_keys == 0 { scores } else { scores.swap_dims(2, 3) };
    }
    sum * form.score_scale
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

fn norm(loader: &Loader<'_>, norm: &Option<NormRef>) -> std::result::Result<Option<Norm>, String> {
    norm.as_ref().map(|norm| Norm::read(loader, norm)).transpose()
}

fn normalized(norm: &Option<Norm>, x: Tensor<3>) -> Tensor<3> {
    match norm {
        Some(norm) => norm.forward(x),
        None => x,
    }
}

impl Norm {
    fn read(loader: &Loader<'_>, norm: &NormRef) -> std::result::Result<Self, String> {
        let (epsilon, centred) = (loader.config.layer_norm_eps, loader.config.form.centred_norms);
        Ok(Self { weights: loader.norm(norm)?, epsilon, centred })
    }

    fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if self.centred {
            return self.weights.forward(x);
        }
        let square = (x.clone() * x.clone()).mean_dim(D - 1);
        x / (square + self.epsilon).sqrt() * self.weights.gamma.val().unsqueeze()
    }
}
