//! Codes of inputs and of weights that err about equally.
//!
//! A row of inputs has one scale for all of its codes, and some columns of the hidden states are many times as
//! large as the rest: they leave few codes to these. So each column is divided by a factor of its own, and the
//! weights that it meets are multiplied by it, which changes nothing but what is rounded (SmoothQuant, Xiao et
//! al. 2023). How large a column becomes is known without any text: it leaves a layer normalisation.

use super::weights::Floats;
use akin_kernels::layer_norm::LayerNorm;

/// How much of the difference between columns goes into the weights.
const SHARE: f32 = 0.3;

/// Deviations within which nearly all of a normalised column lies.
const DEVIATIONS: f32 = 3.0;

/// No factor is further from their mean.
const MOST: f32 = 64.0;

/// Multiplies the columns of `weights` and of `others` (`[columns, inner]` each), whose input leaves `norm`, and
/// returns what the input's columns are to be multiplied by in turn. `weights` alone decide by how much.
pub(super) fn balance(
    norm: &LayerNorm,
    weights: &mut Floats<'_>,
    others: &mut [&mut Floats<'_>],
) -> Vec<f32> {
    let inner = norm.weight.len();
    let mut greatest = vec![0f32; inner];
    for row in weights.chunks_exact(inner) {
        for (most, weight) in greatest.iter_mut().zip(row) {
            *most = most.max(weight.abs());
        }
    }
    let inputs =
        norm.weight.iter().zip(&norm.bias).map(|(weight, bias)| DEVIATIONS * weight.abs() + bias.abs());
    let mut factors: Vec<f32> =
        inputs.zip(&greatest).map(|(input, weight)| input.powf(SHARE) / weight.powf(1.0 - SHARE)).collect();
    let usable = |factor: &f32| factor.is_finite() && *factor > 0.0;
    let (sum, count) =
        factors.iter().filter(|f| usable(f)).fold((0f64, 0), |(s, n), f| (s + f64::from(*f), n + 1));
    let mean = (sum / f64::from(count.max(1))) as f32;
    for factor in &mut factors {
        // A column of zeros, or of what is no number, is left as it is.
        *factor = if usable(factor) { (*factor / mean).clamp(1.0 / MOST, MOST) } else { 1.0 };
    }
    multiply(weights, &factors);
    others.iter_mut().for_each(|others| multiply(others, &factors));
    factors.iter().map(|factor| 1.0 / factor).collect()
}

/// Multiplies each column of `weights` by its factor.
fn multiply(weights: &mut Floats<'_>, factors: &[f32]) {
    for row in weights.to_mut().chunks_exact_mut(factors.len()) {
        row.iter_mut().zip(factors).for_each(|(weight, factor)| *weight *= factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balanced_product_is_the_same_and_its_columns_are_more_alike() {
        let norm = LayerNorm {
            weight: vec![1.0, 50.0, 0.1, 0.0],
            bias: vec![0.0, 5.0, 0.2, 0.0],
            epsilon: 0.0,
            centred: true,
        };
        let exact = vec![0.5, -0.25, 1.0, 0.0, -0.125, 0.5, 0.75, f32::NAN];
        let mut weights = Floats::Owned(exact.clone());
        let factors = balance(&norm, &mut weights, &mut []);
        for (at, (balanced, exact)) in weights.iter().zip(&exact).enumerate().take(7) {
            assert!((balanced * factors[at % 4] - exact).abs() < 1e-6, "{balanced}, {exact}");
        }
        assert!(weights[7].is_nan() && factors.iter().all(|factor| factor.is_finite() && *factor > 0.0));
        // The input's second column was 155 at most, and its third 0.5.
        assert!(155.0 * factors[1] / (0.5 * factors[2]) < 0.5 * 155.0 / 0.5, "{factors:?}");
    }

    #[test]
    fn nothing_to_go_by_changes_nothing() {
        let norm =
            LayerNorm { weight: vec![0.0; 3], bias: vec![f32::INFINITY; 3], epsilon: 0.0, centred: true };
        let mut weights = Floats::Owned(vec![1.0, 2.0, 3.0]);
        assert_eq!(balance(&norm, &mut weights, &mut []), [1.0; 3]);
        assert_eq!(*weights, [1.0, 2.0, 3.0]);
    }
}
