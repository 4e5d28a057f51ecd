//! The step of AdamW (Loshchilov & Hutter 2019), in one pass over memory.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::cpu::Isa;
use crate::lanes::{Kernel, Lanes, dispatch};

/// The constants of one step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// How far a weight moves at most, about.
    pub learning_rate: f32,
    /// The share of itself that a weight loses, times the learning rate.
    pub weight_decay: f32,
    /// How long the mean of the gradients remembers.
    pub beta1: f64,
    /// How long the mean of their squares remembers.
    pub beta2: f64,
    /// Added to the root of the squares.
    pub epsilon: f32,
    /// The number of this step, from 1.
    pub number: u32,
    /// What every gradient is multiplied by first: less than 1 where their norm is clipped.
    pub gradient_scale: f32,
}

/// Floats that one thread takes at a time.
const SHARE: usize = 1 << 16;

/// Moves `weights` against their `gradient`, on all threads of rayon's pool; `means` and `squares` are what AdamW
/// remembers of the gradients before, zeros at first.
///
/// # Panics
/// If the slices differ in length.
pub fn step(
    isa: Isa,
    step: &Step,
    weights: &mut [f32],
    gradient: &[f32],
    means: &mut [f32],
    squares: &mut [f32],
) {
    assert!(weights.len() == gradient.len(), "a gradient for each weight");
    assert!(weights.len() == means.len() && weights.len() == squares.len(), "a memory for each weight");
    weights
        .par_chunks_mut(SHARE)
        .zip(gradient.par_chunks(SHARE))
        .zip(means.par_chunks_mut(SHARE).zip(squares.par_chunks_mut(SHARE)))
        .for_each(|((weights, gradient), (means, squares))| {
            dispatch(isa, Share { step: *step, weights, gradient, means, squares });
        });
}

/// The same for a table of `width` floats a row with a gradient in a few rows. `seen` says of each row whether it had a
/// gradient before: one that never had moves by its decay alone.
///
/// # Panics
/// If the slices differ in length, or are not rows.
pub fn step_rows(
    isa: Isa,
    step: &Step,
    width: usize,
    weights: &mut [f32],
    gradient: &HashMap<u32, Vec<f32>>,
    (means, squares): (&mut [f32], &mut [f32]),
    seen: &mut [bool],
) {
    assert!(weights.len() == means.len() && weights.len() == squares.len(), "a memory for each weight");
    assert_eq!(weights.len(), seen.len() * width, "rows");
    let zeros = vec![0.0; width];
    let kept = 1.0 - step.learning_rate * step.weight_decay;
    weights
        .par_chunks_mut(width)
        .zip(means.par_chunks_mut(width).zip(squares.par_chunks_mut(width)))
        .zip(seen.par_iter_mut())
        .enumerate()
        .with_min_len(SHARE / 64)
        .for_each(|(row, ((weights, (means, squares)), seen))| {
            let own = gradient.get(&(row as u32));
            *seen |= own.is_some();
            if *seen {
                let gradient = own.unwrap_or(&zeros);
                dispatch(isa, Share { step: *step, weights, gradient, means, squares });
            } else {
                weights.iter_mut().for_each(|weight| *weight *= kept);
            }
        });
}

/// The sum of squares of `values`, on all threads, in an order that does not depend on their number.
pub fn sum_of_squares(isa: Isa, values: &[f32]) -> f64 {
    struct Squares<'a>(&'a [f32]);
    impl Kernel for Squares<'_> {
        type Output = f64;
        #[inline(always)]
        fn run<L: Lanes>(self, _: L) -> f64 {
            f64::from(super::dot(self.0, self.0))
        }
    }
    let parts: Vec<f64> =
        values.par_chunks(SHARE / 16).with_min_len(16).map(|part| dispatch(isa, Squares(part))).collect();
    parts.iter().sum()
}

struct Share<'a> {
    step: Step,
    weights: &'a mut [f32],
    gradient: &'a [f32],
    means: &'a mut [f32],
    squares: &'a mut [f32],
}

impl Kernel for Share<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let Step { learning_rate, weight_decay, beta1, beta2, epsilon, number, gradient_scale } = self.step;
        let unbiased = |beta: f64| 1.0 - beta.powi(number as i32);
        let (new1, new2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
        let beta2_kept = beta2 as f32;
        let kept = 1.0 - learning_rate * weight_decay;
        let rate = (f64::from(learning_rate) / unbiased(beta1)) as f32;
        let root = unbiased(beta2).sqrt().recip() as f32;
        let rows = self.weights.iter_mut().zip(self.gradient);
        for ((weight, gradient), (mean, square)) in
            rows.zip(self.means.iter_mut().zip(self.squares.iter_mut()))
        {
            let gradient = gradient * gradient_scale;
            *mean += new1 * (gradient - *mean);
            *square = beta2_kept * *square + new2 * gradient * gradient;
            *weight = *weight * kept - rate * *mean / (square.sqrt() * root + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::isa;

    #[test]
    fn steps_are_those_of_the_paper() {
        let (rate, decay, beta1, beta2, epsilon) = (0.01f64, 0.1, 0.9, 0.999, 1e-8);
        let gradients = [[0.5f32, -1.0, 0.0], [0.25, 3.0, 0.0]];
        let mut weights = [1.0f32, -2.0, 4.0];
        let (mut means, mut squares) = ([0.0; 3], [0.0; 3]);
        let mut exact = [1.0f64, -2.0, 4.0];
        let (mut m, mut v) = ([0.0f64; 3], [0.0f64; 3]);
        for (number, gradient) in (1..).zip(&gradients) {
            let step_of = Step {
                learning_rate: rate as f32,
                weight_decay: decay as f32,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                number,
                gradient_scale: 0.5,
            };
            step(isa(), &step_of, &mut weights, gradient, &mut means, &mut squares);
            for i in 0..3 {
                let g = 0.5 * f64::from(gradient[i]);
                m[i] = beta1 * m[i] + (1.0 - beta1) * g;
                v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
                let m_hat = m[i] / (1.0 - beta1.powi(number as i32));
                let v_hat = v[i] / (1.0 - beta2.powi(number as i32));
                exact[i] -= rate * decay * exact[i];
                exact[i] -= rate * m_hat / (v_hat.sqrt() + epsilon);
            }
        }
        for (weight, exact) in weights.iter().zip(exact) {
            assert!((f64::from(*weight) - exact).abs() < 1e-6, "{weight} is not {exact}");
        }
    }

    #[test]
    fn rows_without_a_gradient_move_as_those_with_a_gradient_of_zeros() {
        let mut step_of = Step {
            learning_rate: 0.01,
            weight_decay: 0.1,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            number: 1,
            gradient_scale: 1.0,
        };
        let (mut dense, mut sparse) = ([1.0f32, -2.0, 3.0, 4.0], [1.0f32, -2.0, 3.0, 4.0]);
        let (mut m, mut v) = ([0.0; 4], [0.0; 4]);
        let (mut sparse_m, mut sparse_v, mut seen) = ([0.0; 4], [0.0; 4], [false; 2]);
        for (number, row) in [(1, Some([0.5f32, -1.0])), (2, None), (3, Some([2.0, 0.0]))] {
            step_of.number = number;
            let [a, b] = row.unwrap_or_default();
            step(isa(), &step_of, &mut dense, &[0.0, 0.0, a, b], &mut m, &mut v);
            let rows = row.map(|row| (1, row.to_vec())).into_iter().collect();
            let memory = (&mut sparse_m[..], &mut sparse_v[..]);
            step_rows(isa(), &step_of, 2, &mut sparse, &rows, memory, &mut seen);
            assert_eq!(dense, sparse);
            assert_eq!((m, v), (sparse_m, sparse_v));
        }
        assert_eq!(seen, [false, true]);
    }

    #[test]
    fn squares_of_long_slices_are_summed_whole() {
        let values = vec![2.0; 300_001];
        assert_eq!(sum_of_squares(isa(), &values), 1_200_004.0);
    }
}
