//! One layer of the transformer, over a group of sentences that lie end to end.
//!
//! A layer has two sublayers, attention and the feed-forward network. Each is split into *parts*: a group of heads, or
//! of inner columns of the feed-forward network. The outputs of the parts are added (as Shoeybi et al. 2019 divide a
//! layer among processors), so one thread takes them in turn, and several threads may take one each (`team`).

use super::balance::balance;
use super::weights::TensorReader;
use crate::config::BertConfig;
use akin_kernels::aligned::AlignedFloats;
use akin_kernels::attention::{AttentionScratch, attention};
use akin_kernels::cpu::Isa;
use akin_kernels::gemm::{Epilogue, PackedLinear};
use akin_kernels::layer_norm::LayerNorm;
use akin_kernels::rows::{InputRows, Precision, RowBuffer};

/// Inner columns of a part of the feed-forward network. Few enough that the activations between its two products stay
/// in the second-level cache with the others.
const INNER: usize = 384;

/// Parts that the heads are divided into, if their number is even.
const HEAD_PARTS: usize = 2;

/// A layer's weights, packed for one instruction set and precision.
pub(super) struct Layer {
    attention: Vec<AttentionPart>,
    attention_norm: LayerNorm,
    feed_forward: Vec<FeedForwardPart>,
    output_norm: LayerNorm,
    /// Of each sublayer: a factor for each column of its input, applied before the input is quantized. Empty for floats.
    factors: [Vec<f32>; 2],
}

/// A group of heads.
struct AttentionPart {
    count: usize,
    /// Their queries, keys and values in one product.
    projection: PackedLinear,
    output: PackedLinear,
}

/// A group of inner columns of the feed-forward network: the product into them, and the one out of them.
struct FeedForwardPart {
    into: PackedLinear,
    out: PackedLinear,
}

/// Buffers of one part: allocated once, reused for every layer and group.
#[derive(Default)]
pub(super) struct Scratch {
    /// `[tokens, 3 * heads * head_dim]`
    projected: AlignedFloats,
    /// The input of the product that leads back to the hidden states: `[tokens, heads * head_dim]` or `[tokens, INNER]`.
    inner: AlignedFloats,
    /// The same, converted for the product.
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

/// One of the two sublayers of a layer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sublayer {
    Attention,
    FeedForward,
}

impl Sublayer {
    pub const BOTH: [Sublayer; 2] = [Sublayer::Attention, Sublayer::FeedForward];
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
            AttentionPart { count: width / (hidden / config.num_attention_heads), projection, output }
        };
        let inner = |first: usize| {
            let width = INNER.min(intermediate - first);
            let row = |c: usize| &up[(first + c) * hidden..][..hidden];
            let into = PackedLinear::pack(isa, precision, hidden, width, row, &up_bias[first..][..width]);
            let row = |c: usize| &down[c * intermediate + first..][..width];
            let out = PackedLinear::pack(isa, precision, width, hidden, row, once(&down_bias, first));
            FeedForwardPart { into, out }
        };
        Ok(Self {
            attention: (0..hidden).step_by(width).map(heads).collect(),
            attention_norm,
            feed_forward: (0..intermediate).step_by(INNER).map(inner).collect(),
            output_norm: norm(&name("output.LayerNorm"))?,
            factors,
        })
    }

    /// How many parts a sublayer has.
    pub fn parts(&self, sublayer: Sublayer) -> usize {
        match sublayer {
            Sublayer::Attention => self.attention.len(),
            Sublayer::FeedForward => self.feed_forward.len(),
        }
    }

    /// The layer normalisation that ends a sublayer.
    pub fn norm(&self, sublayer: Sublayer) -> &LayerNorm {
        match sublayer {
            Sublayer::Attention => &self.attention_norm,
            Sublayer::FeedForward => &self.output_norm,
        }
    }

    /// A factor for each column of a sublayer's input, applied before the input is quantized. Empty for floats.
    pub fn factors(&self, sublayer: Sublayer) -> &[f32] {
        &self.factors[sublayer as usize]
    }

    /// Computes one part of a sublayer from the hidden states of a group, `input`, into `output` (`[tokens, hidden]`);
    /// `epilogue` says whether it is stored or added. `offsets` are the boundaries of the group's sentences, counted in
    /// tokens of the whole batch.
    #[allow(clippy::too_many_arguments)]
    pub fn apply(
        &self,
        isa: Isa,
        sublayer: Sublayer,
        part: usize,
        input: InputRows<'_>,
        offsets: &[usize],
        scratch: &mut Scratch,
        epilogue: Epilogue,
        output: &mut [f32],
    ) {
        let tokens = offsets[offsets.len() - 1] - offsets[0];
        let back = match sublayer {
            Sublayer::Attention => self.attention[part].attend(isa, input, offsets, scratch),
            Sublayer::FeedForward => self.feed_forward[part].activate(input, tokens, scratch),
        };
        let inner = &scratch.inner[..tokens * back.inner()];
        let rows = scratch.rows.rows(isa, back.precision(), inner, back.inner());
        back.apply(rows, tokens, epilogue, output);
    }
}

impl Layer {
    /// Adds to `output`, `[sentences, hidden]`, the attention of these heads for the first token of each sentence. Each
    /// sentence has a token.
    pub fn attend_first(
        &self,
        isa: Isa,
        part: usize,
        input: InputRows<'_>,
        offsets: &[usize],
        scratch: &mut Scratch,
        output: &mut [f32],
    ) {
        let back = self.attention[part].attend(isa, input, offsets, scratch);
        let (width, sentences) = (back.inner(), offsets.len() - 1);
        for (row, start) in offsets[..sentences].iter().enumerate() {
            let from = (start - offsets[0]) * width;
            scratch.inner.copy_within(from..from + width, row * width);
        }
        let inner = &scratch.inner[..sentences * width];
        let rows = scratch.rows.rows(isa, back.precision(), inner, width);
        back.apply(rows, sentences, Epilogue::Add, output);
    }
}

impl AttentionPart {
    /// Writes the context of these heads to `scratch.inner`. Returns the product that leads back to the hidden states.
    fn attend(
        &self,
        isa: Isa,
        input: InputRows<'_>,
        offsets: &[usize],
        scratch: &mut Scratch,
    ) -> &PackedLinear {
        let (first, tokens) = (offsets[0], offsets[offsets.len() - 1] - offsets[0]);
        let width = self.output.inner();
        let projected = &mut scratch.projected[..tokens * 3 * width];
        self.projection.apply(input, tokens, Epilogue::Store, projected);
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

impl FeedForwardPart {
    /// Writes the activations of these columns to `scratch.inner`. Returns the product that leads back to the hidden
    /// states.
    fn activate(&self, input: InputRows<'_>, tokens: usize, scratch: &mut Scratch) -> &PackedLinear {
        let inner = &mut scratch.inner[..tokens * self.into.columns()];
        self.into.apply(input, tokens, Epilogue::Gelu, inner);
        &self.out
    }
}

/// The bias of a sublayer, for its first part only: the outputs of the parts are added.
fn once(bias: &[f32], first: usize) -> &[f32] {
    if first == 0 { bias } else { &[] }
}

/// How many parts the heads are divided into; each has as many heads.
fn head_parts(config: &BertConfig) -> usize {
    if config.num_attention_heads.is_multiple_of(HEAD_PARTS) { HEAD_PARTS } else { 1 }
}
