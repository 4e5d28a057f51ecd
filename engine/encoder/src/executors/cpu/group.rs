//! A group of sentences through the network in one thread.

use super::layer::{Scratch, Sublayer};
use super::{CpuBert, Tokens};
use akin_kernels::aligned::AlignedFloats;
use akin_kernels::gemm::Epilogue;
use akin_kernels::rows::{InputRows, Precision, RowBuffer};

/// Buffers of one group: allocated once, reused for every group.
#[derive(Default)]
pub(super) struct Group {
    /// `[tokens, hidden]`: the input of a layer, then its output.
    hidden: AlignedFloats,
    /// The same, converted for the products.
    rows: RowBuffer,
    /// `[tokens, hidden]`: the hidden states plus the outputs of a sublayer's parts. Used only in f32, where the parts read
    /// the hidden states themselves, so these must not change meanwhile.
    sum: AlignedFloats,
    scratch: Scratch,
}

impl Group {
    /// The hidden states of the sentences between `offsets`, boundaries in `batch`: `[tokens, hidden]`.
    pub fn forward(&mut self, bert: &CpuBert, batch: Tokens<'_>, offsets: &[usize]) -> &[f32] {
        let (isa, precision, width) = (bert.isa, bert.precision, bert.config.hidden_size);
        let tokens = offsets[offsets.len() - 1] - offsets[0];
        self.hidden.reserve_len(tokens * width);
        let in_place = precision != Precision::F32;
        self.sum.reserve_len(if in_place { 0 } else { tokens * width });
        self.scratch.reserve(isa, precision, tokens, &bert.config);
        let hidden = &mut self.hidden[..tokens * width];

        bert.embedding.apply(isa, batch, offsets, hidden);
        for layer in &bert.layers {
            for sublayer in Sublayer::BOTH {
                let factors = layer.factors(sublayer);
                let mut add_parts = |input: InputRows<'_>, sum: &mut [f32]| {
                    for part in 0..layer.parts(sublayer) {
                        layer.apply(
                            isa,
                            sublayer,
                            part,
                            input,
                            offsets,
                            &mut self.scratch,
                            Epilogue::Add,
                            sum,
                        );
                    }
                };
                if in_place {
                    add_parts(self.rows.converted(isa, precision, hidden, width, factors), hidden);
                    layer.norm(sublayer).apply_in_place(isa, hidden);
                } else {
                    let sum = &mut self.sum[..tokens * width];
                    sum.copy_from_slice(hidden);
                    add_parts(InputRows::floats(hidden), sum);
                    layer.norm(sublayer).apply(isa, sum, hidden);
                }
            }
        }
        hidden
    }
}
