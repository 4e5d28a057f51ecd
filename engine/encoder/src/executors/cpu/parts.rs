//! The parts of a layer: groups of heads, and groups of inner columns of the feed-forward network.

use std::sync::Arc;

use super::disentangled::{Relative, RelativeScratch};
use super::weights::{Floats, TensorReader};
use crate::config::BertConfig;
use crate::families::{LayerTensors, Layout, bias_of_layer, rotary_of_layer};
use akin_kernels::activation::Activation;
use akin_kernels::aligned::AlignedFloats;
use akin_kernels::attention::{AttentionScratch, DistanceBias, Heads, ScoreBias, attention, attention_of};
use akin_kernels::cpu::Isa;
use akin_kernels::gemm::{Epilogue, PackedLinear};
use akin_kernels::heads::{Rotary, normalize_heads};
use akin_kernels::layer_norm::LayerNorm;
use akin_kernels::rows::{InputRows, Precision, RowBuffer};
use akin_kernels::shared::SharedReader;

/// Inner columns of a part of the feed-forward network. Few enough that the activations between its two products stay
/// in the second-level cache with the others.
const INNER: usize = 384;

/// Parts that the heads are divided into, if their number is even.
const HEAD_PARTS: usize = 2;

/// A linear layer as it is read: weight, `[out, inner]`, and bias, which may be empty.
pub(super) type Linear<'a> = (Floats<'a>, Floats<'a>);

/// A group of heads.
pub(super) struct AttentionPart {
    /// Heads of queries, and of keys and values.
    count: usize,
    key_values: usize,
    /// Its first head among those of the layer.
    first_head: usize,
    /// Their queries, keys and values in one product.
    projection: PackedLinear,
    output: PackedLinear,
}

/// A group of inner columns of the feed-forward network: the product into them, and the one out of them.
pub(super) struct FeedForwardPart {
    /// The gates first, where there are gates.
    into: PackedLinear,
    out: PackedLinear,
    activation: Activation,
    gated: bool,
}

/// What happens to the heads of a layer between the products.
pub(super) struct HeadForm {
    dim: usize,
    scale: f32,
    /// Of the queries, and of the keys.
    norms: Option<[LayerNorm; 2]>,
    positions: Positions,
    relative: Option<Relative>,
}

/// What positions add to the attention of a layer; layers share the tables.
#[derive(Clone, Default)]
pub(super) struct Positions {
    bias: Option<Arc<DistanceBias>>,
    rotary: Option<Arc<Rotary>>,
}

impl Positions {
    /// Those of the first `layers` layers. `learned` are the numbers of the buckets of distances.
    pub fn of_layers(config: &BertConfig, layers: usize, learned: &[f32]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::with_capacity(layers);
        for number in 0..layers {
            let form = config.form.layer(number);
            let same = (0..number).find(|earlier| config.form.layer(*earlier) == form);
            all.push(match same {
                Some(earlier) => all[earlier].clone(),
                None => Self {
                    bias: bias_of_layer(config, number, learned).map(Arc::new),
                    rotary: rotary_of_layer(config, number).map(Arc::new),
                },
            });
        }
        all
    }
}

/// Buffers of one part: allocated once, reused for every layer and group.
#[derive(Default)]
pub(super) struct Scratch {
    /// `[tokens, (heads + 2 * key_values) * head_dim]`, or gates and values of inner columns, `[tokens, 2 * INNER]`.
    projected: AlignedFloats,
    /// The input of the product that leads back to the hidden states: `[tokens, heads * head_dim]` or `[tokens, INNER]`.
    pub inner: AlignedFloats,
    /// The same, converted for the product.
    pub rows: RowBuffer,
    attention: AttentionScratch,
    relative: RelativeScratch,
}

impl Scratch {
    /// How many numbers of 4 bytes these buffers hold.
    #[cfg(test)]
    pub fn numbers(&self) -> usize {
        self.projected.len() + self.inner.len() + self.attention.numbers() + self.relative.numbers()
    }

    /// Makes room for so many tokens.
    pub fn reserve(&mut self, isa: Isa, precision: Precision, tokens: usize, config: &BertConfig) {
        let (form, parts) = (&config.form, head_parts(config));
        let heads = config.num_attention_heads * form.head_dim / parts;
        let key_values = form.key_value_heads * form.head_dim / parts;
        let columns = INNER.min(config.intermediate_size);
        let gates = if form.gated { 2 * columns } else { 0 };
        self.projected.reserve_len(tokens * (heads + 2 * key_values).max(gates));
        self.inner.reserve_len(tokens * columns.max(heads));
        self.rows.reserve(isa, precision, tokens, columns.max(heads));
    }
}

/// How weights are packed.
#[derive(Clone, Copy)]
pub(super) struct Packing {
    pub isa: Isa,
    pub precision: Precision,
}

impl Packing {
    fn pack<'a>(
        self,
        inner: usize,
        columns: usize,
        row: impl Fn(usize) -> &'a [f32] + Sync,
        bias: &[f32],
    ) -> PackedLinear {
        PackedLinear::pack(self.isa, self.precision, inner, columns, row, bias)
    }
}

/// Takes products out of a section of kept weights.
pub(super) struct PackedReader<'a> {
    pub packing: Packing,
    pub section: &'a mut SharedReader,
}

impl PackedReader<'_> {
    /// The next product, from `inner` to `columns` numbers.
    fn linear(&mut self, inner: usize, columns: usize) -> Option<PackedLinear> {
        let Packing { isa, precision } = self.packing;
        PackedLinear::restore(isa, precision, inner, columns, self.section)
    }
}

impl HeadForm {
    /// That of a layer.
    pub fn load(
        isa: Isa,
        config: &BertConfig,
        weights: TensorReader<'_>,
        layout: &Layout,
        tensors: &LayerTensors,
        positions: &Positions,
    ) -> Result<Self, String> {
        let norms = match &tensors.head_norms {
            Some([query, key]) => Some([weights.norm(query, config)?, weights.norm(key, config)?]),
            None => None,
        };
        let relative = Relative::load(isa, config, weights, layout, tensors)?;
        let form = &config.form;
        Ok(Self {
            relative,
            dim: form.head_dim,
            scale: form.score_scale,
            norms,
            positions: positions.clone(),
        })
    }
}

impl AttentionPart {
    /// The parts of an attention, whose queries, keys and values are `projections`.
    pub fn pack(
        packing: Packing,
        config: &BertConfig,
        projections: &[Linear<'_>; 3],
        back: &Linear<'_>,
    ) -> Vec<Self> {
        let (hidden, dim, parts) = (config.hidden_size, config.form.head_dim, head_parts(config));
        let (heads, key_values) = (config.num_attention_heads, config.form.key_value_heads);
        let (count, shared) = (heads / parts, key_values / parts);
        let part = |number: usize| {
            let spans = [(number * count, count), (number * shared, shared), (number * shared, shared)];
            let spans = spans.map(|(first, count)| (first * dim, count * dim));
            let rows = projections.iter().zip(spans).flat_map(|((weight, _), (first, width))| {
                weight[first * hidden..][..width * hidden].chunks_exact(hidden)
            });
            let rows: Vec<&[f32]> = rows.collect();
            let biases = projections.iter().zip(spans).flat_map(|((_, bias), (first, width))| {
                if bias.is_empty() { &[][..] } else { &bias[first..][..width] }
            });
            let projection =
                packing.pack(hidden, rows.len(), |c| rows[c], &biases.copied().collect::<Vec<f32>>());
            let (first, width) = spans[0];
            let row = |c: usize| &back.0[c * heads * dim + first..][..width];
            let output = packing.pack(width, hidden, row, once(&back.1, number));
            Self { count, key_values: shared, first_head: number * count, projection, output }
        };
        (0..parts).map(part).collect()
    }

    /// The same parts, packed earlier.
    pub fn restore(from: &mut PackedReader<'_>, config: &BertConfig) -> Option<Vec<Self>> {
        let (hidden, dim, parts) = (config.hidden_size, config.form.head_dim, head_parts(config));
        let (count, key_values) = (config.num_attention_heads / parts, config.form.key_value_heads / parts);
        let mut part = |number: usize| {
            let projection = from.linear(hidden, (count + 2 * key_values) * dim)?;
            let output = from.linear(count * dim, hidden)?;
            Some(Self { count, key_values, first_head: number * count, projection, output })
        };
        (0..parts).map(&mut part).collect()
    }

    /// Its products.
    pub fn linears(&self) -> [&PackedLinear; 2] {
        [&self.projection, &self.output]
    }

    /// Writes the context of these heads to `scratch.inner`. Returns the product that leads back to the hidden states.
    pub fn attend(
        &self,
        isa: Isa,
        form: &HeadForm,
        input: InputRows<'_>,
        offsets: &[usize],
        scratch: &mut Scratch,
    ) -> &PackedLinear {
        let (first, tokens) = (offsets[0], offsets[offsets.len() - 1] - offsets[0]);
        let bias = match &form.positions.bias {
            None => ScoreBias::None,
            Some(table) => ScoreBias::ByDistance { table, first_head: self.first_head },
        };
        let heads =
            Heads { count: self.count, key_values: self.key_values, dim: form.dim, scale: form.scale, bias };
        let (width, stride) = (self.output.inner(), heads.stride());
        let projected = &mut scratch.projected[..tokens * stride];
        self.projection.apply(input, tokens, Epilogue::Store, projected);
        if let Some([of_queries, of_keys]) = &form.norms {
            for (norm, from, heads) in [(of_queries, 0, self.count), (of_keys, width, self.key_values)] {
                normalize_heads(isa, projected, stride, from, heads, &norm.weight, norm.epsilon);
            }
        }
        for sentence in offsets.windows(2) {
            let (from, to) = (sentence[0] - first, sentence[1] - first);
            let projected = &mut projected[from * stride..to * stride];
            if let Some(rotary) = &form.positions.rotary {
                rotary.turn(isa, projected, stride, self.count + self.key_values, form.dim);
            }
            let context = &mut scratch.inner[from * width..to * width];
            let precision = self.projection.precision();
            let Some(relative) = form.relative.as_ref().filter(|_| from < to) else {
                attention(isa, precision, projected, &heads, &mut scratch.attention, context);
                continue;
            };
            for head in 0..self.count {
                // Keys come after the queries in a row; these networks have a head of keys for each of queries.
                let columns = [head * form.dim, width + head * form.dim];
                let of_layer = (self.first_head + head, form.dim);
                let bias = relative.of_head(projected, stride, columns, of_layer, &mut scratch.relative);
                let heads = Heads { bias: ScoreBias::ByBucket(bias), ..heads };
                let one = head..head + 1;
                attention_of(isa, precision, projected, &heads, one, &mut scratch.attention, context);
            }
        }
        &self.output
    }
}

impl FeedForwardPart {
    /// The parts of a feed-forward network.
    pub fn pack(
        packing: Packing,
        config: &BertConfig,
        gate: Option<&Linear<'_>>,
        up: &Linear<'_>,
        down: &Linear<'_>,
    ) -> Vec<Self> {
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        let part = |first: usize| {
            let width = INNER.min(intermediate - first);
            let both: Vec<&Linear<'_>> = gate.into_iter().chain([up]).collect();
            let row = |c: usize| &both[c / width].0[(first + c % width) * hidden..][..hidden];
            let biases = both
                .iter()
                .flat_map(|(_, bias)| if bias.is_empty() { &[][..] } else { &bias[first..][..width] });
            let biases: Vec<f32> = biases.copied().collect();
            let into = packing.pack(hidden, both.len() * width, row, &biases);
            let row = |c: usize| &down.0[c * intermediate + first..][..width];
            let out = packing.pack(width, hidden, row, once(&down.1, first));
            Self { into, out, activation: config.form.activation, gated: gate.is_some() }
        };
        (0..intermediate).step_by(INNER).map(part).collect()
    }

    /// The same parts, packed earlier.
    pub fn restore(from: &mut PackedReader<'_>, config: &BertConfig, gated: bool) -> Option<Vec<Self>> {
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        let mut part = |first: usize| {
            let width = INNER.min(intermediate - first);
            let into = from.linear(hidden, if gated { 2 * width } else { width })?;
            let out = from.linear(width, hidden)?;
            Some(Self { into, out, activation: config.form.activation, gated })
        };
        (0..intermediate).step_by(INNER).map(&mut part).collect()
    }

    /// Its products.
    pub fn linears(&self) -> [&PackedLinear; 2] {
        [&self.into, &self.out]
    }

    /// Writes the activations of these columns to `scratch.inner`. Returns the product that leads back to the hidden
    /// states.
    pub fn activate(
        &self,
        isa: Isa,
        input: InputRows<'_>,
        tokens: usize,
        scratch: &mut Scratch,
    ) -> &PackedLinear {
        let width = self.out.inner();
        let inner = &mut scratch.inner[..tokens * width];
        if self.gated {
            let both = &mut scratch.projected[..tokens * 2 * width];
            self.into.apply(input, tokens, Epilogue::Store, both);
            self.activation.gate(isa, both, width, inner);
        } else {
            self.into.apply(input, tokens, Epilogue::Activate(self.activation), inner);
        }
        &self.out
    }
}

/// The bias of a sublayer, for its first part only: the outputs of the parts are added.
fn once(bias: &[f32], first: usize) -> &[f32] {
    if first == 0 { bias } else { &[] }
}

/// How many parts the heads are divided into; each has as many heads.
fn head_parts(config: &BertConfig) -> usize {
    let divides = |heads: usize| heads.is_multiple_of(HEAD_PARTS);
    if divides(config.num_attention_heads) && divides(config.form.key_value_heads) { HEAD_PARTS } else { 1 }
}
