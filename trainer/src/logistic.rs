//! Multinomial logistic regression: the classifier that SentEval puts on frozen embeddings.

use akin_kernels::matmul::{Matrix, multiply};

/// A classifier: a weight for each label and feature, and a bias for each label.
#[derive(Debug, Clone)]
pub struct Logistic {
    labels: usize,
    features: usize,
    /// `[labels, features + 1]`, the bias last.
    weights: Vec<f32>,
}

/// The number of last steps that L-BFGS estimates the curvature from.
const MEMORY: usize = 10;

impl Logistic {
    /// Minimises the mean cross-entropy plus `penalty` / 2 times the squares of the weights, biases excepted, by L-BFGS
    /// (Liu & Nocedal 1989). `rows` is `[n, features]`.
    ///
    /// # Panics
    /// If there is not a label below `labels` for each row.
    pub fn fit(rows: &[f32], features: usize, targets: &[usize], labels: usize, penalty: f32) -> Self {
        assert_eq!(rows.len(), targets.len() * features, "a label for each row");
        assert!(targets.iter().all(|label| *label < labels), "labels below their number");
        let problem = Problem { rows, features, targets, labels, penalty };
        let mut weights = vec![0.0; labels * (features + 1)];
        let (mut loss, mut gradient) = problem.loss(&weights);
        let mut memory: Vec<(Vec<f32>, Vec<f32>)> = Vec::new();
        for _ in 0..200 {
            let direction = direction(&gradient, &memory);
            let slope = dot(&direction, &gradient);
            if slope >= 0.0 || dot(&gradient, &gradient).sqrt() < 1e-5 {
                break;
            }
            // There is no curvature yet to choose the length of the first step by.
            let mut length =
                if memory.is_empty() { (1.0 / dot(&gradient, &gradient).sqrt()).min(1.0) } else { 1.0 };
            let mut found = None;
            for _ in 0..20 {
                let next: Vec<f32> =
                    weights.iter().zip(&direction).map(|(w, d)| w + length as f32 * d).collect();
                let (next_loss, next_gradient) = problem.loss(&next);
                if next_loss <= loss + 1e-4 * length * slope {
                    found = Some((next, next_loss, next_gradient));
                    break;
                }
                length *= 0.5;
            }
            let Some((next, next_loss, next_gradient)) = found else { break };
            let moved: Vec<f32> = next.iter().zip(&weights).map(|(a, b)| a - b).collect();
            let turned: Vec<f32> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
            if dot(&moved, &turned) > 1e-12 {
                if memory.len() == MEMORY {
                    memory.remove(0);
                }
                memory.push((moved, turned));
            }
            let done = loss - next_loss < 1e-7 * loss.abs().max(1e-3);
            (weights, loss, gradient) = (next, next_loss, next_gradient);
            if done {
                break;
            }
        }
        Self { labels, features, weights }
    }

    /// The most probable label of each row.
    pub fn predict(&self, rows: &[f32]) -> Vec<usize> {
        logits(rows, self.features, &self.weights, self.labels)
            .chunks_exact(self.labels)
            .map(|logits| {
                (0..self.labels).reduce(|best, label| if logits[label] > logits[best] { label } else { best })
            })
            .map(Option::unwrap_or_default)
            .collect()
    }
}

struct Problem<'a> {
    rows: &'a [f32],
    features: usize,
    targets: &'a [usize],
    labels: usize,
    penalty: f32,
}

impl Problem<'_> {
    /// The loss and its gradient.
    fn loss(&self, weights: &[f32]) -> (f64, Vec<f32>) {
        let n = self.targets.len().max(1);
        let width = self.features + 1;
        let mut shares = logits(self.rows, self.features, weights, self.labels);
        let mut loss = 0.0;
        for (row, target) in shares.chunks_exact_mut(self.labels).zip(self.targets) {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter_mut().for_each(|logit| *logit = (*logit - most).exp());
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|share| *share /= sum);
            loss -= f64::from(row[*target].max(f32::MIN_POSITIVE).ln());
            row[*target] -= 1.0;
        }
        let mut sums = vec![0.0; self.labels * self.features];
        if self.features > 0 && !self.targets.is_empty() {
            let errors = Matrix::new(&shares, self.labels).transposed();
            multiply(errors, Matrix::new(self.rows, self.features), false, &mut sums);
        }
        let mut gradient = vec![0.0; self.labels * width];
        let scale = 1.0 / n as f32;
        loss /= n as f64;
        for label in 0..self.labels {
            let (own, w) = (&mut gradient[label * width..][..width], &weights[label * width..][..width]);
            for feature in 0..self.features {
                own[feature] = scale * sums[label * self.features + feature] + self.penalty * w[feature];
                loss += 0.5 * f64::from(self.penalty * w[feature] * w[feature]);
            }
            own[self.features] = scale * shares.iter().skip(label).step_by(self.labels).sum::<f32>();
        }
        (loss, gradient)
    }
}

fn logits(rows: &[f32], features: usize, weights: &[f32], labels: usize) -> Vec<f32> {
    let width = features + 1;
    let n = rows.len() / features.max(1);
    let mut logits = Vec::with_capacity(n * labels);
    for _ in 0..n {
        logits.extend((0..labels).map(|label| weights[label * width + features]));
    }
    let slopes: Vec<f32> =
        weights.chunks_exact(width).flat_map(|weights| &weights[..features]).copied().collect();
    if n > 0 {
        multiply(Matrix::new(rows, features), Matrix::new(&slopes, features).transposed(), true, &mut logits);
    }
    logits
}

/// The direction of descent by the curvature of the last steps (the two-loop recursion of L-BFGS).
fn direction(gradient: &[f32], memory: &[(Vec<f32>, Vec<f32>)]) -> Vec<f32> {
    let mut direction: Vec<f32> = gradient.iter().map(|g| -g).collect();
    let mut factors = Vec::with_capacity(memory.len());
    for (moved, turned) in memory.iter().rev() {
        let factor = dot(moved, &direction) / dot(moved, turned);
        add(&mut direction, -factor, turned);
        factors.push(factor);
    }
    if let Some((moved, turned)) = memory.last() {
        let scale = dot(moved, turned) / dot(turned, turned);
        direction.iter_mut().for_each(|d| *d *= scale as f32);
    }
    for ((moved, turned), factor) in memory.iter().zip(factors.iter().rev()) {
        let correction = factor - dot(turned, &direction) / dot(moved, turned);
        add(&mut direction, correction, moved);
    }
    direction
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

fn add(sums: &mut [f32], factor: f64, values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor as f32 * value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn what_can_be_told_apart_is() {
        let mut random = Random::new(4);
        let (mut rows, mut targets) = (Vec::new(), Vec::new());
        for _ in 0..300 {
            let label = (random.bits() % 3) as usize;
            let angle = label as f64 * 2.1 + 0.3 * random.normal();
            rows.extend([angle.cos() as f32 * 3.0, angle.sin() as f32 * 3.0]);
            targets.push(label);
        }
        let classifier = Logistic::fit(&rows, 2, &targets, 3, 1e-4);
        let found = classifier.predict(&rows);
        let right = found.iter().zip(&targets).filter(|(found, target)| found == target).count();
        assert!(right > 290, "{right} of 300");
    }

    /// One feature, two labels: the optimum is where the gradient of the definition is zero.
    #[test]
    fn the_optimum_has_no_gradient() {
        let rows = [-2.0, -1.0, 0.5, -0.5, 1.0, 2.0];
        let targets = [0, 0, 0, 1, 1, 1];
        let fit = Logistic::fit(&rows, 1, &targets, 2, 0.1);
        let problem = Problem { rows: &rows, features: 1, targets: &targets, labels: 2, penalty: 0.1 };
        let (_, gradient) = problem.loss(&fit.weights);
        assert!(dot(&gradient, &gradient).sqrt() < 1e-3, "{gradient:?}");
        // And the gradient is the slope of the loss.
        let mut moved = [0.3f32, -0.2, -0.1, 0.4];
        let (_, gradient) = problem.loss(&moved);
        for (at, gradient) in gradient.iter().enumerate() {
            let mut loss = |step: f32| {
                moved[at] += step;
                let (loss, _) = problem.loss(&moved);
                moved[at] -= step;
                loss
            };
            let slope = (loss(1e-2) - loss(-1e-2)) / 2e-2;
            assert!((slope - f64::from(*gradient)).abs() < 1e-3, "{slope} {gradient}");
        }
    }
}
