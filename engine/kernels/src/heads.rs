//! What happens to the queries and keys of each head before they meet: normalisation, and rotation by position.

use super::cpu::Isa;
use super::lanes::{Kernel, Lanes, dispatch};

/// The angles by which positions turn the queries and keys of a head (Su et al. 2021).
#[derive(Debug, Clone)]
pub struct Rotary {
    /// Numbers of a head that are turned, in pairs of one from each half.
    dim: usize,
    /// `[positions, dim]`: the cosines of a position, `dim / 2` of them, then the sines.
    table: Vec<f32>,
}

impl Rotary {
    /// The angles of `positions` positions: position p turns pair i by p * `frequencies[i]`.
    pub fn new(frequencies: &[f32], positions: usize) -> Self {
        let mut table = Vec::with_capacity(2 * positions * frequencies.len());
        for position in 0..positions {
            let angles = frequencies.iter().map(|frequency| f64::from(position as f32 * frequency));
            table.extend(angles.clone().map(|angle| angle.cos() as f32));
            table.extend(angles.map(|angle| angle.sin() as f32));
        }
        Self { dim: 2 * frequencies.len(), table }
    }

    /// How many numbers of a head are turned.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many positions there are.
    pub fn positions(&self) -> usize {
        self.table.len() / self.dim.max(1)
    }

    /// Cosines and sines of a position, `dim / 2` of each.
    pub fn of(&self, position: usize) -> (&[f32], &[f32]) {
        self.table[position * self.dim..][..self.dim].split_at(self.dim / 2)
    }

    /// Turns the first `heads` heads, `head_dim` numbers each, of every row of `rows`, which are the tokens of one
    /// sentence, `stride` numbers each.
    ///
    /// # Panics
    /// If the heads do not fit a row, are narrower than [`Rotary::dim`], or there are more rows than positions.
    pub fn turn(&self, isa: Isa, rows: &mut [f32], stride: usize, heads: usize, head_dim: usize) {
        assert!(self.dim <= head_dim && heads * head_dim <= stride, "heads within a row");
        assert!(rows.len() / stride.max(1) <= self.positions(), "an angle for each position");
        dispatch(isa, Turn { rotary: self, rows, stride, heads, head_dim });
    }
}

struct Turn<'a> {
    rotary: &'a Rotary,
    rows: &'a mut [f32],
    stride: usize,
    heads: usize,
    head_dim: usize,
}

impl Kernel for Turn<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let Self { rotary, rows, stride, heads, head_dim } = self;
        for (position, row) in rows.chunks_exact_mut(stride).enumerate() {
            let (cosines, sines) = rotary.of(position);
            for head in row[..heads * head_dim].chunks_exact_mut(head_dim) {
                let (first, second) = head[..rotary.dim].split_at_mut(rotary.dim / 2);
                let pairs = first.iter_mut().zip(second).zip(cosines).zip(sines);
                for (((x, y), cos), sin) in pairs {
                    (*x, *y) = (*x * cos - *y * sin, *y * cos + *x * sin);
                }
            }
        }
    }
}

/// Divides each of `heads` heads from column `first` on, in every row of `rows` (`stride` numbers each), by the root of
/// the mean of its squares, and multiplies it by `weight`, a number for each of its columns.
///
/// # Panics
/// If the heads do not fit a row.
pub fn normalize_heads(
    isa: Isa,
    rows: &mut [f32],
    stride: usize,
    first: usize,
    heads: usize,
    weight: &[f32],
    epsilon: f32,
) {
    assert!(first + heads * weight.len() <= stride, "heads within a row");
    dispatch(isa, NormalizeHeads { rows, stride, first, heads, weight, epsilon });
}

struct NormalizeHeads<'a> {
    rows: &'a mut [f32],
    stride: usize,
    first: usize,
    heads: usize,
    weight: &'a [f32],
    epsilon: f32,
}

impl Kernel for NormalizeHeads<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let Self { rows, stride, first, heads, weight, epsilon } = self;
        let dim = weight.len();
        for row in rows.chunks_exact_mut(stride) {
            for head in row[first..first + heads * dim].chunks_exact_mut(dim) {
                // Sixteen sums, so that vectors of any width take part.
                let mut sums = [0f32; 16];
                let (blocks, rest) = head.as_chunks::<16>();
                for block in blocks {
                    sums.iter_mut().zip(block).for_each(|(sum, x)| *sum += x * x);
                }
                sums.iter_mut().zip(rest).for_each(|(sum, x)| *sum += x * x);
                let scale = 1.0 / (sums.iter().sum::<f32>() / dim as f32 + epsilon).sqrt();
                head.iter_mut().zip(weight).for_each(|(x, weight)| *x *= scale * weight);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn heads_are_turned_and_normalised_as_their_scalar_twins_say(
            tokens in 1usize..20,
            heads in 1usize..4,
            half in 1usize..20,
            unturned in 0usize..3,
            others in 0usize..9,
            values in prop::collection::vec(-2f32..2.0, 20 * (3 * 42 + 9)),
        ) {
            let head_dim = 2 * half + unturned;
            let stride = heads * head_dim + others;
            let values = &values[..tokens * stride];
            let frequencies: Vec<f32> = (0..half).map(|i| 100f32.powf(-(i as f32) / half as f32)).collect();
            let rotary = Rotary::new(&frequencies, tokens);
            let weight: Vec<f32> = (0..head_dim).map(|i| 0.5 + i as f32 / 20.0).collect();
            for isa in Isa::available() {
                let mut turned = values.to_vec();
                rotary.turn(isa, &mut turned, stride, heads, head_dim);
                let mut normal = values.to_vec();
                normalize_heads(isa, &mut normal, stride, others, heads, &weight, 1e-6);
                for (at, x) in values.iter().enumerate() {
                    let (token, column) = (at / stride, at % stride);
                    let (head, d) = (column / head_dim, column % head_dim);
                    let exact = if head >= heads || d >= 2 * half {
                        f64::from(*x)
                    } else {
                        let angle = token as f64 * f64::from(frequencies[d % half]);
                        let sign = if d < half { -1.0 } else { 1.0 };
                        let other = values[token * stride + head * head_dim + (d + half) % (2 * half)];
                        f64::from(*x) * angle.cos() + sign * f64::from(other) * angle.sin()
                    };
                    prop_assert!((f64::from(turned[at]) - exact).abs() < 1e-4, "{:?} turned: {} is not {}", isa, turned[at], exact);
                    let exact = match column.checked_sub(others) {
                        None => f64::from(*x),
                        Some(column) => {
                            let start = at - column % head_dim;
                            let squares: f64 = values[start..][..head_dim].iter().map(|x| f64::from(*x).powi(2)).sum();
                            f64::from(*x) / (squares / head_dim as f64 + 1e-6).sqrt() * f64::from(weight[column % head_dim])
                        }
                    };
                    prop_assert!((f64::from(normal[at]) - exact).abs() < 1e-4, "{:?} normal: {} is not {}", isa, normal[at], exact);
                }
            }
        }
    }
}
