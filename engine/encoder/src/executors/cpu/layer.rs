//! One layer of the transformer, over a group of sentences that lie end to end.
//!
//! Both halves of a layer are sums of *parts* that know nothing of one another: some of the heads, and
//! some of the inner columns of the feed-forward network, each through its own rows of the matrix that
//! leads back to the hidden states (as Shoeybi et al. 2019 divide a layer among processors). One thread
//! takes the parts in turn; several threads may take one each (`team`).

use super::balance::balance;
use super::weights::TensorReader;
use crate::config::BertConfig;
use akin_kernels::aligned::AlignedFloats;
use akin_kernels::attention::{AttentionScratch, attention};
use akin_kernels::cpu::Isa;
use akin_kernels::gemm::{PackedLinear, Then};
use akin_kernels::layer_norm::LayerNorm;
use akin_kernels::rows::{Precision, RowBuffer, Rows};

/// Inner columns of a part of the feed-forward network: what lies between its two products stays as
/// small as the rest.
const INNER: usize = 384;

/// Parts that the heads are divided into, where they can be.
const HEAD_PARTS: usize = 2;

/// A layer's weights, packed for one instruction set and precision.
pub(super) struct Layer {
    attention: Vec<Heads>,
    attention_norm: LayerNorm,
    feed_forward: Vec<Inner>,
    output_norm: LayerNorm,
    /// What the columns of the input of each half are multiplied by before they become codes; none for floats.
    factors: [Vec<f32>; 2],
}

/// Some of the heads.
struct Heads {
    count: usize,
    /// Their queries, keys and values in one product.
    projection: PackedLinear,
    output: PackedLinear,
}

/// Some of the inner columns.
struct Inner {
    into: PackedLinear,
    out: PackedLinear,
}

/// What a part works in: allocated once, used for every layer and group.
#[derive(Default)]
pub(super) struct Scratch {
    /// `[tokens, 3 * heads * head_dim]`
    projected: AlignedFloats,
    /// What leads back to the hidden states: `[tokens, heads * head_dim]` or `[tokens, INNER]`.
    inner: AlignedFloats,
    /// The same as products take it.
    rows: RowBuffer,
    attention: AttentionScratch,
}

impl Scratch {
    /// Makes room for so many tokens.
    pub fn reserve(&mut self, isa: Isa, precision: Precision, tokens: usize, config: &BertConfig) {
        let heads = config.hidden_size / head_parts(config);
        let inner = INNER.min(config.intermediate_size).max(heads);
        self.projected.reserve_len(tokens * 3 * heads);
        self.inner.reserve_len(tokens * inner);
        self.rows.reserve(isa, precision, tokens, inner);
    }
}

/// Of the two halves of a layer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Attention,
    FeedForward,
}

impl Half {
    pub const BOTH: [Half; 2] = [Half::Attention, Half::FeedForward];
}

impl Layer {
    /// Packs the weights of layer `index`.
    pub fn load(
        isa: Isa,
        precision: Precision,
        config: &BertConfig,
        weights: TensorReader<'_>,
        index: usize,
    ) -> Result<Self, String> {
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        let square = |part: &str| weights.linear(&name(part), hidden, hidden);
        let mut projections =
            [square("attention.self.query")?, square("attention.self.key")?, square("attention.self.value")?];
        let (back, back_bias) = square("attention.output.dense")?;
        let (mut up, up_bias) = weights.linear(&name("intermediate.dense"), intermediate, hidden)?;
        let (down, down_bias) = weights.linear(&name("output.dense"), hidden, intermediate)?;

        let norm = |name: &str| weights.norm(name, hidden, config.layer_norm_eps);
        let attention_norm = norm(&name("attention.output.LayerNorm"))?;
        let mut factors = [Vec::new(), Vec::new()];
        if precision == Precision::Int8 {
            let norm_before = match index.checked_sub(1) {
                None => norm("embeddings.LayerNorm")?,
                Some(before) => norm(&format!("encoder.layer.{before}.output.LayerNorm"))?,
            };
            let [query, key, value] = &mut projections;
            // The values decide: queries and keys are another size, and the softmax forgives what they err by.
            factors[0] = balance(&norm_before, &mut value.0, &mut [&mut query.0, &mut key.0]);
            factors[1] = balance(&attention_norm, &mut up, &mut []);
        }

        let width = hidden / head_parts(config);
        let heads = |first: usize| {
            let bias: Vec<f32> =
                projections.iter().flat_map(|(_, bias)| bias[first..][..width].iter().copied()).collect();
            let row = |c: usize| &projections[c / width].0[(first + c % width) * hidden..][..hidden];
            let projection = PackedLinear::pack(isa, precision, hidden, 3 * width, row, &bias);
            let row = |c: usize| &back[c * hidden + first..][..width];
            let output = PackedLinear::pack(isa, precision, width, hidden, row, once(&back_bias, first));
            Heads { count: width / (hidden / config.num_attention_heads), projection, output }
        };
        let inner = |first: usize| {
            let width = INNER.min(intermediate - first);
            let row = |c: usize| &up[(first + c) * hidden..][..hidden];
            let into = PackedLinear::pack(isa, precision, hidden, width, row, &up_bias[first..][..width]);
            let row = |c: usize| &down[c * intermediate + first..][..width];
            let out = PackedLinear::pack(isa, precision, width, hidden, row, once(&down_bias, first));
            Inner { into, out }
        };
        Ok(Self {
            attention: (0..hidden).step_by(width).map(heads).collect(),
            attention_norm,
            feed_forward: (0..intermediate).step_by(INNER).map(inner).collect(),
            output_norm: norm(&name("output.LayerNorm"))?,
            factors,
        })
    }

    /// How many parts a half has.
    pub fn parts(&self, half: Half) -> usize {
        match half {
            Half::Attention => self.attention.len(),
            Half::FeedForward => self.feed_forward.len(),
        }
    }

    /// The layer normalisation that ends a half.
    pub fn norm(&self, half: Half) -> &LayerNorm {
        match half {
            Half::Attention => &self.attention_norm,
            Half::FeedForward => &self.output_norm,
        }
    }

    /// What the columns of the input of a half are multiplied by before they become codes; none for floats.
    pub fn factors(&self, half: Half) -> &[f32] {
        &self.factors[half as usize]
    }

    /// What one part of a half makes of the hidden states of a group, `input`: `then` says whether it
    /// becomes `output` (`[tokens, hidden]`) or is added to it. `offsets` are the sentences' boundaries
    /// among the tokens of the whole batch, the first being the group's own.
    #[allow(clippy::too_many_arguments)]
    pub fn apply(
        &self,
        isa: Isa,
        half: Half,
        part: usize,
        input: Rows<'_>,
        offsets: &[usize],
        scratch: &mut Scratch,
        then: Then,
        output: &mut [f32],
    ) {
        let tokens = offsets[offsets.len() - 1] - offsets[0];
        let back = match half {
            Half::Attention => self.attention[part].attend(isa, input, offsets, scratch),
            Half::FeedForward => self.feed_forward[part].activate(input, tokens, scratch),
        };
        let inner = &scratch.inner[..tokens * back.inner()];
        let rows = scratch.rows.rows(isa, back.precision(), inner, back.inner());
        back.apply(rows, tokens, then, output);
    }
}

impl Heads {
    /// Leaves the context of these heads in `scratch.inner`, and says what leads back.
    fn attend(&self, isa: Isa, input: Rows<'_>, offsets: &[usize], scratch: &mut Scratch) -> &PackedLinear {
        let (first, tokens) = (offsets[0], offsets[offsets.len() - 1] - offsets[0]);
        let width = self.output.inner();
        let projected = &mut scratch.projected[..tokens * 3 * width];
        self.projection.apply(input, tokens, Then::Store, projected);
        for sentence in offsets.windows(2) {
            let (from, to) = (sentence[0] - first, sentence[1] - first);
            attention(
                isa,
                self.projection.precision(),
                &projected[from * 3 * width..to * 3 * width],
                self.count,
                width / self.count,
                &mut scratch.attention,
                &mut scratch.inner[from * width..to * width],
            );
        }
        &self.output
    }
}

impl Inner {
    /// Leaves the activations of these columns in `scratch.inner`, and says what leads back.
    fn activate(&self, input: Rows<'_>, tokens: usize, scratch: &mut Scratch) -> &PackedLinear {
        let inner = &mut scratch.inner[..tokens * self.into.columns()];
        self.into.apply(input, tokens, Then::Gelu, inner);
        &self.out
    }
}

/// The bias of a sum of parts, for the first of them only.
fn once(bias: &[f32], first: usize) -> &[f32] {
    if first == 0 { bias } else { &[] }
}

/// How many parts the heads are divided into, equally many in each.
fn head_parts(config: &BertConfig) -> usize {
    if config.num_attention_heads.is_multiple_of(HEAD_PARTS) { HEAD_PARTS } else { 1 }
}
