//! One layer of the transformer, over a group of sentences that lie end to end.
//!
//! A layer has two sublayers, attention and the feed-forward network. Each is split into *parts* (`parts`): a group of
//! heads, or of inner columns of the feed-forward network. The outputs of the parts are added (as Shoeybi et al. 2019
//! divide a layer among processors), so one thread takes them in turn, and several threads may take one each (`team`).

use super::balance::balance;
use super::parts::{AttentionPart, FeedForwardPart, HeadForm, Packing, Positions, Scratch};
use super::weights::TensorReader;
use crate::config::BertConfig;
use crate::families::{LayerTensors, Layout, NormOrder, NormRef};
use akin_kernels::cpu::Isa;
use akin_kernels::gemm::Epilogue;
use akin_kernels::layer_norm::LayerNorm;
use akin_kernels::rows::{InputRows, Precision};

/// A layer's weights, packed for one instruction set and precision.
pub(super) struct Layer {
    heads: HeadForm,
    attention: Vec<AttentionPart>,
    feed_forward: Vec<FeedForwardPart>,
    /// Of each sublayer.
    norms: [SublayerNorms; 2],
    /// Of each sublayer: a factor for each column of its input, applied before the input is quantized. Empty for floats.
    factors: [Vec<f32>; 2],
    order: NormOrder,
}

/// The normalisations of a sublayer.
pub(super) struct SublayerNorms {
    /// Of its input.
    pub before: Option<LayerNorm>,
    /// Of its output, or of the sum of input and output.
    pub after: Option<LayerNorm>,
}

/// Where the order is [`NormOrder::After`].
pub(super) const HAS_NORM: &str = "a norm after each sublayer";

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
    /// Packs the weights of set `index` of the layout.
    pub fn load(
        packing: Packing,
        config: &BertConfig,
        weights: TensorReader<'_>,
        layout: &Layout,
        index: usize,
        positions: &Positions,
    ) -> Result<Self, String> {
        let tensors = &layout.layers[index];
        let linear = |linear| weights.linear(linear);
        let mut projections = [linear(&tensors.query)?, linear(&tensors.key)?, linear(&tensors.value)?];
        let back = linear(&tensors.attention_output)?;
        let mut gate = tensors.gate.as_ref().map(linear).transpose()?;
        let (mut up, down) = (linear(&tensors.up)?, linear(&tensors.down)?);

        let norm = |norm: &Option<NormRef>| norm.as_ref().map(|norm| weights.norm(norm, config)).transpose();
        let mut factors = [Vec::new(), Vec::new()];
        if packing.precision == Precision::Int8 {
            let [of_attention, of_feed_forward] = norms_of_inputs(layout, index, tensors);
            if let Some(norm) = norm(of_attention)? {
                let [query, key, value] = &mut projections;
                // The values decide: queries and keys are another size, and the softmax forgives what they err by.
                factors[0] = balance(&norm, &mut value.0, &mut [&mut query.0, &mut key.0]);
            }
            if let Some(norm) = norm(of_feed_forward)? {
                let mut gates: Vec<_> = gate.iter_mut().map(|(weight, _)| weight).collect();
                factors[1] = balance(&norm, &mut up.0, &mut gates);
            }
        }
        Ok(Self {
            heads: HeadForm::load(packing.isa, config, weights, layout, tensors, positions)?,
            attention: AttentionPart::pack(packing, config, &projections, &back),
            feed_forward: FeedForwardPart::pack(packing, config, gate.as_ref(), &up, &down),
            norms: [
                SublayerNorms {
                    before: norm(&tensors.before_attention)?,
                    after: norm(&tensors.after_attention)?,
                },
                SublayerNorms {
                    before: norm(&tensors.before_feed_forward)?,
                    after: norm(&tensors.after_feed_forward)?,
                },
            ],
            factors,
            order: config.form.order,
        })
    }

    /// How many parts a sublayer has.
    pub fn parts(&self, sublayer: Sublayer) -> usize {
        match sublayer {
            Sublayer::Attention => self.attention.len(),
            Sublayer::FeedForward => self.feed_forward.len(),
        }
    }

    /// The normalisations of a sublayer.
    pub fn norms(&self, sublayer: Sublayer) -> &SublayerNorms {
        &self.norms[sublayer as usize]
    }

    /// Where its sublayers are normalised.
    pub fn order(&self) -> NormOrder {
        self.order
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
            Sublayer::Attention => self.attention[part].attend(isa, &self.heads, input, offsets, scratch),
            Sublayer::FeedForward => self.feed_forward[part].activate(isa, input, tokens, scratch),
        };
        let inner = &scratch.inner[..tokens * back.inner()];
        let rows = scratch.rows.rows(isa, back.precision(), inner, back.inner());
        back.apply(rows, tokens, epilogue, output);
    }

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
        let back = self.attention[part].attend(isa, &self.heads, input, offsets, scratch);
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

/// The norm that each sublayer's input leaves, where it leaves one.
fn norms_of_inputs<'a>(
    layout: &'a Layout,
    index: usize,
    tensors: &'a LayerTensors,
) -> [&'a Option<NormRef>; 2] {
    let before = match index.checked_sub(1) {
        None if layout.projection.is_some() => &None,
        None => &layout.embedding_norm,
        Some(before) => &layout.layers[before].after_feed_forward,
    };
    let or = |own: &'a Option<NormRef>, other| if own.is_some() { own } else { other };
    [or(&tensors.before_attention, before), or(&tensors.before_feed_forward, &tensors.after_attention)]
}
