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
use akin_kernels::gemm::{Epilogue, PackedLinear};
use akin_kernels::layer_norm::LayerNorm;
use akin_kernels::rows::{InputRows, Precision};

/// A layer's weights, packed for one instruction set and precision.
pub(super) struct Layer {
    heads: HeadForm,
    sublayers: Sublayers,
    /// Of each sublayer.
    norms: [SublayerNorms; 2],
    order: NormOrder,
}

/// The products of a layer, with what comes of packing them.
pub(super) struct Sublayers {
    pub attention: Vec<AttentionPart>,
    pub feed_forward: Vec<FeedForwardPart>,
    /// Of each sublayer: a factor for each column of its input, applied before the input is quantized. Empty for floats.
    pub factors: [Vec<f32>; 2],
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

impl Sublayers {
    /// Packs the weights of set `index` of the layout.
    fn pack(
        packing: Packing,
        config: &BertConfig,
        weights: TensorReader<'_>,
        layout: &Layout,
        index: usize,
    ) -> Result<Self, String> {
        let tensors = &layout.layers[index];
        let linear = |linear| weights.linear(linear);
        let mut projections = [linear(&tensors.query)?, linear(&tensors.key)?, linear(&tensors.value)?];
        let back = linear(&tensors.attention_output)?;
        let mut gate = tensors.gate.as_ref().map(linear).transpose()?;
        let (mut up, down) = (linear(&tensors.up)?, linear(&tensors.down)?);

        let mut factors = [Vec::new(), Vec::new()];
        let [of_attention, of_feed_forward] = balanced_norms(packing, layout, index);
        if let Some(norm) = of_attention {
            let [query, key, value] = &mut projections;
            // The values decide: queries and keys are another size, and the softmax forgives what they err by.
            let norm = weights.norm(norm, config)?;
            factors[0] = balance(&norm, &mut value.0, &mut [&mut query.0, &mut key.0]);
        }
        if let Some(norm) = of_feed_forward {
            let mut gates: Vec<_> = gate.iter_mut().map(|(weight, _)| weight).collect();
            factors[1] = balance(&weights.norm(norm, config)?, &mut up.0, &mut gates);
        }
        Ok(Self {
            attention: AttentionPart::pack(packing, config, &projections, &back),
            feed_forward: FeedForwardPart::pack(packing, config, gate.as_ref(), &up, &down),
            factors,
        })
    }

    /// The products of all parts.
    pub fn linears(&self) -> impl Iterator<Item = &PackedLinear> {
        let attention = self.attention.iter().flat_map(AttentionPart::linears);
        attention.chain(self.feed_forward.iter().flat_map(FeedForwardPart::linears))
    }
}

impl Layer {
    /// Takes set `index` of the weights of the layout: packs them, unless they were packed earlier.
    pub fn load(
        packing: Packing,
        config: &BertConfig,
        weights: TensorReader<'_>,
        layout: &Layout,
        index: usize,
        positions: &Positions,
        kept: Option<Sublayers>,
    ) -> Result<Self, String> {
        let tensors = &layout.layers[index];
        let norm = |norm: &Option<NormRef>| norm.as_ref().map(|norm| weights.norm(norm, config)).transpose();
        Ok(Self {
            heads: HeadForm::load(packing.isa, config, weights, layout, tensors, positions)?,
            sublayers: match kept {
                Some(sublayers) => sublayers,
                None => Sublayers::pack(packing, config, weights, layout, index)?,
            },
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
            order: config.form.order,
        })
    }

    /// Its products.
    pub fn sublayers(&self) -> &Sublayers {
        &self.sublayers
    }

    /// How many parts a sublayer has.
    pub fn parts(&self, sublayer: Sublayer) -> usize {
        match sublayer {
            Sublayer::Attention => self.sublayers.attention.len(),
            Sublayer::FeedForward => self.sublayers.feed_forward.len(),
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
        &self.sublayers.factors[sublayer as usize]
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
            Sublayer::Attention => {
                self.sublayers.attention[part].attend(isa, &self.heads, input, offsets, scratch)
            }
            Sublayer::FeedForward => self.sublayers.feed_forward[part].activate(isa, input, tokens, scratch),
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
        let back = self.sublayers.attention[part].attend(isa, &self.heads, input, offsets, scratch);
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

/// How many factors each sublayer of a set of weights has.
pub(super) fn factor_counts(packing: Packing, layout: &Layout, index: usize) -> [usize; 2] {
    balanced_norms(packing, layout, index).map(|norm| norm.as_ref().map_or(0, |norm| norm.width))
}

/// The norms by which the inputs of each sublayer are balanced, where they are.
fn balanced_norms(packing: Packing, layout: &Layout, index: usize) -> [&Option<NormRef>; 2] {
    match packing.precision {
        Precision::Int8 => norms_of_inputs(layout, index, &layout.layers[index]),
        _ => [&None, &None],
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
