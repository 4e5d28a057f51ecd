//! A group of sentences through the network in one thread.

use super::layer::{HAS_NORM, Layer, Sublayer};
use super::parts::Scratch;
use super::{CpuBert, Tokens};
use crate::families::NormOrder;
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
    /// `[tokens, hidden]`: the hidden states plus the outputs of a sublayer's parts, or these alone where a norm follows.
    /// Not used where the parts can be added to the hidden states themselves, because they read something else.
    sum: AlignedFloats,
    /// `[tokens, hidden]`: the input of a sublayer that begins with a norm.
    normal: AlignedFloats,
    scratch: Scratch,
}

impl Group {
    /// How many numbers of 4 bytes its buffers hold.
    #[cfg(test)]
    pub fn numbers(&self) -> usize {
        let work = &self.work;
        self.hidden.len() + self.first.len() + work.sum.len() + work.normal.len() + work.scratch.numbers()
    }

    /// The hidden states of the sentences between `offsets`, boundaries in `batch`: `[tokens, hidden]`.
    pub fn forward(&mut self, bert: &CpuBert, batch: Tokens<'_>, offsets: &[usize]) -> &[f32] {
        self.pass(bert, &bert.order, batch, offsets);
        let tokens = offsets[offsets.len() - 1] - offsets[0];
        let hidden = &mut self.hidden[..tokens * bert.config.hidden_size];
        if let Some(norm) = &bert.final_norm {
            norm.apply_in_place(bert.isa, hidden);
        }
        hidden
    }

    /// The hidden states of their first tokens alone, `[sentences, hidden]`. Each sentence has a token.
    ///
    /// In the last layer the other tokens are only keys and values, so most of that layer is left out for them.
    pub fn forward_first(&mut self, bert: &CpuBert, batch: Tokens<'_>, offsets: &[usize]) -> &[f32] {
        let (width, sentences) = (bert.config.hidden_size, offsets.len() - 1);
        let Some((last, before)) = bert.order.split_last() else {
            return &[];
        };
        let short = bert.config.form.order == NormOrder::After && bert.final_norm.is_none();
        if short {
            self.pass(bert, before, batch, offsets);
        } else {
            self.forward(bert, batch, offsets);
        }
        let hidden = &self.hidden[..(offsets[sentences] - offsets[0]) * width];
        self.first.reserve_len(sentences * width);
        let first = &mut self.first[..sentences * width];
        for (row, start) in first.chunks_exact_mut(width).zip(offsets) {
            row.copy_from_slice(&hidden[(start - offsets[0]) * width..][..width]);
        }
        if short {
            let last = &bert.layers[*last];
            self.work.attend_first(bert, last, offsets, hidden, first);
            self.work.apply(bert, last, Sublayer::FeedForward, &[0, sentences], first);
        }
        first
    }

    /// Takes the sentences through some layers.
    fn pass(&mut self, bert: &CpuBert, layers: &[usize], batch: Tokens<'_>, offsets: &[usize]) {
        let width = bert.config.hidden_size;
        let tokens = offsets[offsets.len() - 1] - offsets[0];
        self.hidden.reserve_len(tokens * width);
        self.work.reserve(bert, tokens);
        let hidden = &mut self.hidden[..tokens * width];
        bert.embedding.apply(bert.isa, batch, offsets, &mut self.work.normal, hidden);
        for layer in layers {
            for sublayer in Sublayer::BOTH {
                self.work.apply(bert, &bert.layers[*layer], sublayer, offsets, hidden);
            }
        }
    }
}

impl Work {
    fn reserve(&mut self, bert: &CpuBert, tokens: usize) {
        let size = tokens * bert.config.hidden_size;
        let (order, floats) = (bert.config.form.order, bert.precision == Precision::F32);
        let summed = order == NormOrder::Around || (order == NormOrder::After && floats);
        self.sum.reserve_len(if summed { size } else { 0 });
        self.normal.reserve_len(if order == NormOrder::After { 0 } else { size });
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
        let (factors, norms) = (layer.factors(sublayer), layer.norms(sublayer));
        let scratch = &mut self.scratch;
        let mut add_parts = |input: InputRows<'_>, sum: &mut [f32]| {
            for part in 0..layer.parts(sublayer) {
                layer.apply(isa, sublayer, part, input, offsets, scratch, Epilogue::Add, sum);
            }
        };
        if layer.order() == NormOrder::After {
            let norm = norms.after.as_ref().expect(HAS_NORM);
            if precision != Precision::F32 {
                add_parts(self.rows.converted(isa, precision, hidden, width, factors), hidden);
                return norm.apply_in_place(isa, hidden);
            }
            let sum = &mut self.sum[..hidden.len()];
            sum.copy_from_slice(hidden);
            add_parts(InputRows::floats(hidden), sum);
            return norm.apply(isa, sum, hidden);
        }
        let normal = &mut self.normal[..hidden.len()];
        match &norms.before {
            Some(norm) => norm.apply(isa, hidden, normal),
            None => normal.copy_from_slice(hidden),
        }
        let input = self.rows.scaled_rows(isa, precision, normal, width, factors);
        let Some(norm) = &norms.after else { return add_parts(input, hidden) };
        let sum = &mut self.sum[..hidden.len()];
        sum.fill(0.0);
        add_parts(input, sum);
        norm.apply_in_place(isa, sum);
        hidden.iter_mut().zip(&*sum).for_each(|(x, y)| *x += y);
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
        let norm = layer.norms(Sublayer::Attention).after.as_ref().expect(HAS_NORM);
        norm.apply_in_place(isa, first);
    }
}
