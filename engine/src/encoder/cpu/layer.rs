//! One layer of the transformer, over a group of sentences that lie end to end.

use super::weights::Weights;
use crate::encoder::config::BertConfig;
use crate::kernels::aligned::AlignedFloats;
use crate::kernels::attention::{AttentionScratch, attention};
use crate::kernels::cpu::Isa;
use crate::kernels::gemm::{PackedLinear, Then};
use crate::kernels::layer_norm::LayerNorm;

/// The feed-forward network is computed so many of its inner columns at a time, so that what lies
/// between its two products stays as small as the rest.
const CHUNK: usize = 384;

/// A layer's weights, packed for one instruction set.
pub(super) struct Layer {
    /// Queries, keys and values in one product.
    projection: PackedLinear,
    attention_output: PackedLinear,
    attention_norm: LayerNorm,
    /// Into `CHUNK` inner columns, and back out of them.
    feed_forward: Vec<(PackedLinear, PackedLinear)>,
    output_norm: LayerNorm,
}

/// What a layer works in, for a group of tokens: allocated once, used for every layer and group.
#[derive(Default)]
pub(super) struct Scratch {
    /// `[tokens, hidden]`: into a layer, and out of it.
    pub hidden: AlignedFloats,
    /// `[tokens, 3 * hidden]`
    projected: AlignedFloats,
    /// `[tokens, hidden]`: the output of attention, then of the feed-forward network.
    context: AlignedFloats,
    /// `[tokens, CHUNK]`
    inner: AlignedFloats,
    attention: AttentionScratch,
}

impl Scratch {
    /// Makes room for so many tokens.
    pub fn reserve(&mut self, tokens: usize, config: &BertConfig) {
        let hidden = config.hidden_size;
        self.hidden.reserve_len(tokens * hidden);
        self.projected.reserve_len(tokens * 3 * hidden);
        self.context.reserve_len(tokens * hidden);
        self.inner.reserve_len(tokens * CHUNK.min(config.intermediate_size));
    }
}

impl Layer {
    /// Packs the weights of layer `index`.
    pub fn load(isa: Isa, config: &BertConfig, weights: Weights<'_>, index: usize) -> Result<Self, String> {
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        let parts = ["query", "key", "value"]
            .map(|part| weights.linear(&name(&format!("attention.self.{part}")), hidden, hidden));
        let [query, key, value] = parts;
        let parts = [query?, key?, value?];
        let bias: Vec<f32> = parts.iter().flat_map(|(_, bias)| bias.iter().copied()).collect();
        let projection = PackedLinear::pack(
            isa,
            hidden,
            3 * hidden,
            |c| &parts[c / hidden].0[c % hidden * hidden..][..hidden],
            &bias,
        );
        let square = |name: &str| -> Result<PackedLinear, String> {
            let (weight, bias) = weights.linear(name, hidden, hidden)?;
            Ok(PackedLinear::pack(isa, hidden, hidden, |c| &weight[c * hidden..][..hidden], &bias))
        };
        let (up, up_bias) = weights.linear(&name("intermediate.dense"), intermediate, hidden)?;
        let (down, down_bias) = weights.linear(&name("output.dense"), hidden, intermediate)?;
        let feed_forward = (0..intermediate)
            .step_by(CHUNK)
            .map(|first| {
                let width = CHUNK.min(intermediate - first);
                let into = PackedLinear::pack(
                    isa,
                    hidden,
                    width,
                    |c| &up[(first + c) * hidden..][..hidden],
                    &up_bias[first..][..width],
                );
                let bias = if first == 0 { &down_bias[..] } else { &[] };
                let out = PackedLinear::pack(
                    isa,
                    width,
                    hidden,
                    |c| &down[c * intermediate + first..][..width],
                    bias,
                );
                (into, out)
            })
            .collect();
        let norm = |part: &str| weights.norm(&name(part), hidden, config.layer_norm_eps);
        Ok(Self {
            projection,
            attention_output: square(&name("attention.output.dense"))?,
            attention_norm: norm("attention.output.LayerNorm")?,
            feed_forward,
            output_norm: norm("output.LayerNorm")?,
        })
    }

    /// Replaces `scratch.hidden` of the group's tokens by what this layer makes of it. `offsets` are
    /// the sentences' boundaries among the tokens of the whole batch, the first being the group's own.
    pub fn apply(&self, isa: Isa, config: &BertConfig, offsets: &[usize], scratch: &mut Scratch) {
        let (width, heads) = (config.hidden_size, config.num_attention_heads);
        let (first, tokens) = (offsets[0], offsets[offsets.len() - 1] - offsets[0]);
        let hidden = &mut scratch.hidden[..tokens * width];
        let context = &mut scratch.context[..tokens * width];
        let projected = &mut scratch.projected[..tokens * 3 * width];

        self.projection.apply(hidden, tokens, Then::Store, projected);
        for sentence in offsets.windows(2) {
            let (from, to) = (sentence[0] - first, sentence[1] - first);
            attention(
                isa,
                &projected[from * 3 * width..to * 3 * width],
                heads,
                width / heads,
                &mut scratch.attention,
                &mut context[from * width..to * width],
            );
        }
        self.attention_output.apply(context, tokens, Then::Add, hidden);
        self.attention_norm.apply_in_place(isa, hidden);

        context.copy_from_slice(hidden);
        for (into, out) in &self.feed_forward {
            let inner = &mut scratch.inner[..tokens * into.columns()];
            into.apply(hidden, tokens, Then::Gelu, inner);
            out.apply(inner, tokens, Then::Add, context);
        }
        self.output_norm.apply(isa, context, hidden);
    }
}
