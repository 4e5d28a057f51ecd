//! A group of sentences through the network in one thread.

use super::layer::{Layer, Scratch, Sublayer};
use super::{CpuBert, Tokens};
use akin_kernels::aligned::AlignedFloats;
use akin_kernels::gemm::Epilogue;
use akin_kernels::rows::{InputRows, Precision, RowBuffer};

/// Buffers of one group: allocated once, reused for every group.
#[derive(Default)]
pub(super) struct Group {
    /// `[tokens, hidden]`: the input of a layer, then its output.
    hidden: AlignedFloats,
    /// `[sentences, hidden]`: the first tokens in the last layer, where no others are wanted.
    first: AlignedFloats,
    work: Work,
}

/// Buffers of one sublayer.
#[derive(Default)]
struct Work {
    /// The hidden states, converted for the products.
    rows: RowBuffer,
    /// `[tokens, hidden]`: the hidden states plus the outputs of a sublayer's parts. Used only in f32, where the parts read
    /// the hidden states themselves, so these must not change meanwhile.
    sum: AlignedFloats,
    scratch: Scratch,
}

impl Group {
    /// The hidden states of the sentences between `offsets`, boundaries in `batch`: `[tokens, hidden]`.
    pub fn forward(&mut self, bert: &CpuBert, batch: Tokens<'_>, offsets: &[usize]) -> &[f32] {
        self.pass(bert, &bert.layers, batch, offsets)
    }

    /// The hidden states of their first tokens alone, `[sentences, hidden]`. Each sentence has a token.
    ///
    /// In the last layer the other tokens are only keys and values, so most of that layer is left out for them.
    pub fn forward_first(&mut self, bert: &CpuBert, batch: Tokens<'_>, offsets: &[usize]) -> &[f32] {
        let (width, sentences) = (bert.config.hidden_size, offsets.len() - 1);
        let Some((last, before)) = bert.layers.split_last() else {
            return &[];
        };
        self.pass(bert, before, batch, offsets);
        let hidden = &self.hidden[..(offsets[sentences] - offsets[0]) * width];
        self.first.reserve_len(sentences * width);
        let first = &mut self.first[..sentences * width];
        for (row, start) in first.chunks_exact_mut(width).zip(offsets) {
            row.copy_from_slice(&hidden[(start - offsets[0]) * width..][..width]);
        }
        self.work.attend_first(bert, last, offsets, hidden, first);
        self.work.apply(bert, last, Sublayer::FeedForward, &[0, sentences], first);
        first
    }

    /// Takes the sentences through some layers.
    fn pass(&mut self, bert: &CpuBert, layers: &[Layer], batch: Tokens<'_>, offsets: &[usize]) -> &[f32] {
        let width = bert.config.hidden_size;
        let tokens = offsets[offsets.len() - 1] - offsets[0];
        self.hidden.reserve_len(tokens * width);
        self.work.reserve(bert, tokens);
        let hidden = &mut self.hidden[..tokens * width];
        bert.embedding.apply(bert.isa, batch, offsets, hidden);
        for layer in layers {
            for sublayer in Sublayer::BOTH {
                self.work.apply(bert, layer, sublayer, offsets, hidden);
            }
        }
        hidden
    }
}

impl Work {
    fn reserve(&mut self, bert: &CpuBert, tokens: usize) {
        let in_place = bert.precision != Precision::F32;
        self.sum.reserve_len(if in_place { 0 } else { tokens * bert.config.hidden_size });
        self.scratch.reserve(bert.isa, bert.precision, tokens, &bert.config);
    }

    /// Makes the output of a sublayer of its input, `hidden`.
    fn apply(
        &mut self,
        bert: &CpuBert,
        layer: &Layer,
        sublayer: Sublayer,
        offsets: &[usize],
        hidden: &mut [f32],
    ) {
        let (isa, precision, width) = (bert.isa, bert.precision, bert.config.hidden_size);
        let factors = layer.factors(sublayer);
        let scratch = &mut self.scratch;
        let mut add_parts = |input: InputRows<'_>, sum: &mut [f32]| {
            for part in 0..layer.parts(sublayer) {
                layer.apply(isa, sublayer, part, input, offsets, scratch, Epilogue::Add, sum);
            }
        };
        if precision != Precision::F32 {
            add_parts(self.rows.converted(isa, precision, hidden, width, factors), hidden);
            layer.norm(sublayer).apply_in_place(isa, hidden);
        } else {
            let sum = &mut self.sum[..hidden.len()];
            sum.copy_from_slice(hidden);
            add_parts(InputRows::floats(hidden), sum);
            layer.norm(sublayer).apply(isa, sum, hidden);
        }
    }

    /// Makes the output of a layer's attention for the first token of each sentence, `first`, of the tokens of all of them.
    fn attend_first(
        &mut self,
        bert: &CpuBert,
        layer: &Layer,
        offsets: &[usize],
        hidden: &[f32],
        first: &mut [f32],
    ) {
        let (isa, precision, width) = (bert.isa, bert.precision, bert.config.hidden_size);
        let factors = layer.factors(Sublayer::Attention);
        let input = self.rows.scaled_rows(isa, precision, hidden, width, factors);
        for part in 0..layer.parts(Sublayer::Attention) {
            layer.attend_first(isa, part, input, offsets, &mut self.scratch, first);
        }
        layer.norm(Sublayer::Attention).apply_in_place(isa, first);
    }
}
