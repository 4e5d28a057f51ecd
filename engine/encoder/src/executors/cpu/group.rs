//! A group of sentences through the network in one thread.

use super::CpuBert;
use super::layer::{Half, Scratch};
use akin_kernels::aligned::AlignedFloats;
use akin_kernels::gemm::Then;
use akin_kernels::rows::{Precision, RowBuffer, Rows};

/// What a group is computed in: allocated once, used for every group.
#[derive(Default)]
pub(super) struct Group {
    /// `[tokens, hidden]`: into a layer, and out of it.
    hidden: AlignedFloats,
    /// The same as products take it.
    rows: RowBuffer,
    /// `[tokens, hidden]`: the hidden states and what the parts of a half add to them, where these read the hidden states
    /// themselves.
    sum: AlignedFloats,
    scratch: Scratch,
}

impl Group {
    /// The hidden states of the sentences between `offsets`, boundaries in `ids`: `[tokens, hidden]`.
    pub fn forward(&mut self, bert: &CpuBert, ids: &[u32], offsets: &[usize]) -> &[f32] {
        let (isa, precision, width) = (bert.isa, bert.precision, bert.config.hidden_size);
        let tokens = offsets[offsets.len() - 1] - offsets[0];
        self.hidden.reserve_len(tokens * width);
        let in_place = precision != Precision::F32;
        self.sum.reserve_len(if in_place { 0 } else { tokens * width });
        self.scratch.reserve(isa, precision, tokens, &bert.config);
        let hidden = &mut self.hidden[..tokens * width];

        bert.embedding.apply(isa, ids, offsets, hidden);
        for layer in &bert.layers {
            for half in Half::BOTH {
                let factors = layer.factors(half);
                let mut add_parts = |input: Rows<'_>, sum: &mut [f32]| {
                    for part in 0..layer.parts(half) {
                        layer.apply(isa, half, part, input, offsets, &mut self.scratch, Then::Add, sum);
                    }
                };
                if in_place {
                    add_parts(self.rows.converted(isa, precision, hidden, width, factors), hidden);
                    layer.norm(half).apply_in_place(isa, hidden);
                } else {
                    let sum = &mut self.sum[..tokens * width];
                    sum.copy_from_slice(hidden);
                    add_parts(Rows::floats(hidden), sum);
                    layer.norm(half).apply(isa, sum, hidden);
                }
            }
        }
        hidden
    }
}
