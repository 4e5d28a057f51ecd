//! Rows of floats as the columns of a matrix: keys, as the products of attention take them.

#![allow(unsafe_code)]

use crate::lanes::Lanes;

/// `rows` (`[tokens, dim]`, `stride` floats from one to the next) as columns of `out`, whose rows are `out_stride`
/// long, whole vectors; the columns past `tokens` repeat the last.
#[inline(always)]
pub(super) fn transpose<L: Lanes>(
    l: L,
    rows: &[f32],
    stride: usize,
    tokens: usize,
    dim: usize,
    out_stride: usize,
    out: &mut [f32],
) {
    assert!(tokens > 0 && (tokens - 1) * stride + dim <= rows.len() && dim * out_stride <= out.len());
    assert!(tokens <= out_stride && out_stride.is_multiple_of(L::LEN));
    let whole = dim / 4 * 4;
    for first in (0..tokens).step_by(L::LEN) {
        let last = (tokens - 1 - first).min(L::LEN - 1);
        for d in (0..whole).step_by(4) {
            // SAFETY: rows up to `first + last` have `dim` floats, four of them from `d` on, and each of the
            // `dim` rows of `out` has a vector from `first` on, because it is whole vectors.
            unsafe {
                let columns = l.load_columns(rows.as_ptr().add(first * stride + d), stride, last);
                for (i, column) in columns.into_iter().enumerate() {
                    l.store(out.as_mut_ptr().add((d + i) * out_stride + first), column);
                }
            }
        }
        for d in whole..dim {
            for i in 0..L::LEN {
                out[d * out_stride + first + i] = rows[(first + i.min(last)) * stride + d];
            }
        }
    }
}
