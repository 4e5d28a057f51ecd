//! Codes: a byte for each number of a vector, which is all that a walk looks at.

use rayon::prelude::*;

use super::lengths::{CommonLength, PLACES};
use super::{Matrix, Pages};
use akin_kernels::codes::{code, encode};
use akin_kernels::{CODE_BLOCK, QuantizedQuery, ZERO_CODE};

/// The greatest integer that a number becomes.
const GREATEST: f32 = 127.0;

/// The most codes of a row: more would let sums overflow.
pub(crate) const STRIDE_LIMIT: usize = 1 << 16;

/// Scalar codes of vectors: all their numbers, times one factor, rounded to integers of 8 bits. Behind them are the codes of
/// what brings vectors of unlike lengths to [one](CommonLength), or zeros.
///
/// Dot products of codes rank as those of the vectors do, but for a small [error](CodesView::error). The best of
/// a walk over codes are therefore ranked again by their vectors.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Codes {
    /// Bytes from one row to the next, in whole cache lines.
    pub(super) stride: usize,
    pub(super) bytes: Pages<u8>,
    /// The greatest squared length of a row.
    pub(super) square: f32,
}

impl Codes {
    /// The codes of `vectors`, those of row `order[0]` first. A number that is not finite counts as zero.
    ///
    /// # Panics
    /// If `order` names a row that does not exist.
    pub(crate) fn of(vectors: &impl Matrix, order: &[u32]) -> Self {
        let dimension = vectors.dimension();
        let common = CommonLength::of(vectors).filter(|_| longer_stride(dimension) <= STRIDE_LIMIT);
        let stride = if common.is_some() { longer_stride(dimension) } else { stride(dimension) };
        let rest = |row: &[f32]| common.map_or(0.0, |common| common.rest(row, stride - dimension));
        let mut bytes = Pages::zeroed(order.len() * stride);
        let factor = factor_of(vectors, &|row| greatest(row).max(rest(row)));
        let rows = bytes.par_chunks_exact_mut(stride).zip(order).with_min_len(512);
        let square = rows.map(|(codes, row)| {
            let row = vectors.row(*row as usize);
            let (used, places) = codes.split_at_mut(dimension);
            let rest = code(rest(row), factor);
            places.fill(rest as u8 ^ ZERO_CODE);
            (encode(row, factor, used) + places.len() as i32 * i32::from(rest).pow(2)) as f32
        });
        let square = square.reduce(|| 0.0, f32::max);
        Self { stride, bytes, square }
    }

    #[inline]
    pub(crate) fn view(&self) -> CodesView<'_> {
        CodesView { stride: self.stride, bytes: &self.bytes }
    }
}

/// Bytes from one row of codes to the next: whole cache lines.
pub(crate) fn stride(dimension: usize) -> usize {
    dimension.max(1).next_multiple_of(CODE_BLOCK)
}

/// The same where [further numbers](CommonLength) stand behind those of a vector.
pub(crate) fn longer_stride(dimension: usize) -> usize {
    stride(dimension + PLACES)
}

/// Codes of points, wherever they are: `[points, stride]`.
#[derive(Clone, Copy)]
pub(crate) struct CodesView<'a> {
    pub(crate) stride: usize,
    pub(crate) bytes: &'a [u8],
}

impl<'a> CodesView<'a> {
    /// The codes of a row.
    #[inline]
    pub(crate) fn row(&self, row: u32) -> &'a [u8] {
        &self.bytes[row as usize * self.stride..][..self.stride]
    }

    /// By how much the product of `query` and a row may differ from what it would be without rounding, in all
    /// cases but one in millions: six standard deviations. `square` is the greatest squared length of a row.
    /// Each of the two is rounded by up to a half, which is a twelfth of variance for each number of the other.
    pub(crate) fn error(&self, square: f32, query: &QuantizedQuery) -> i32 {
        (6.0 * ((query.square() as f32 + square) / 12.0).sqrt()) as i32
    }
}

/// Makes `factors` those of `query`, for rows of `stride` codes.
pub(crate) fn set_query(factors: &mut QuantizedQuery, query: &[f32], stride: usize) {
    let factor = factor(query);
    let rest = std::iter::repeat_n(0, stride.saturating_sub(query.len()));
    factors.set(query.iter().map(|value| code(*value, factor)).chain(rest));
}

/// The factor that takes the greatest number of all rows, as `greatest` tells it of each, to the greatest integer.
fn factor_of(vectors: &impl Matrix, greatest: &(impl Fn(&[f32]) -> f32 + Sync)) -> f32 {
    let rows = (0..vectors.rows()).into_par_iter().with_min_len(256);
    let greatest = rows.map(|row| greatest(vectors.row(row))).reduce(|| 0.0, f32::max);
    if greatest > 0.0 { GREATEST / greatest } else { 0.0 }
}

/// The factor that takes the greatest of `values` to the greatest integer.
pub(crate) fn factor(values: &[f32]) -> f32 {
    let greatest = greatest(values);
    if greatest > 0.0 { GREATEST / greatest } else { 0.0 }
}

/// The greatest magnitude of what is finite.
fn greatest(values: &[f32]) -> f32 {
    let mut lanes = [0f32; 32];
    let (chunks, rest) = values.as_chunks::<32>();
    let magnitude = |value: f32| if value.is_finite() { value.abs() } else { 0.0 };
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = lane.max(magnitude(*value));
        }
    }
    lanes.into_iter().chain(rest.iter().map(|value| magnitude(*value))).fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Embeddings;

    #[test]
    fn codes_come_in_the_order_asked_for_and_padded() {
        let vectors = Embeddings::from_values(3, vec![0.0, 0.5, -1.0, 0.25, f32::NAN, f32::INFINITY]);
        let codes = Codes::of(&vectors, &[1, 0]);
        assert_eq!(codes.view().row(0)[..4], [128 + 32, 128, 128, 128]);
        assert_eq!(codes.view().row(1)[..4], [128, 128 + 64, 1, 128]);
        assert_eq!(codes.view().row(1).len(), CODE_BLOCK);
        assert!(codes.view().row(0).as_ptr().addr().is_multiple_of(CODE_BLOCK));
    }

    #[test]
    fn vectors_of_zeros_or_none_at_all_have_codes() {
        assert_eq!(
            Codes::of(&Embeddings::from_values(2, vec![0.0; 4]), &[0, 1]).view().row(1)[..3],
            [128; 3]
        );
        assert_eq!(Codes::of(&Embeddings::empty(5), &[]).view().bytes.len(), 0);
    }

    #[test]
    fn products_of_codes_are_those_of_the_vectors_within_the_stated_error() {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let vectors = Embeddings::from_values(100, (0..100 * 500).map(|_| next()).collect());
        let order: Vec<u32> = (0..500).collect();
        let codes = Codes::of(&vectors, &order);
        let (mut factors, mut sums) = (QuantizedQuery::default(), Vec::new());
        let row_factor = factor(vectors.as_slice());
        for query in vectors.iter() {
            set_query(&mut factors, query, codes.view().stride);
            factors.dots(codes.view().bytes, &order, &mut sums);
            for (row, sum) in vectors.iter().zip(&sums) {
                let exact = akin_kernels::dot(query, row) * factor(query) * row_factor;
                assert!((exact - *sum as f32).abs() < codes.view().error(codes.square, &factors) as f32);
            }
        }
    }
}
