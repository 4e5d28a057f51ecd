//! What distances and positions add to attention, as tables for the kernels.

use akin_kernels::attention::DistanceBias;
use akin_kernels::heads::Rotary;

use super::form::BiasForm;
use crate::config::BertConfig;

/// What is added to the scores of layer `number`; none where nothing is. `learned` are the numbers of the buckets,
/// `[buckets, heads]`.
pub(crate) fn bias_of_layer(config: &BertConfig, number: usize, learned: &[f32]) -> Option<DistanceBias> {
    let (form, heads) = (&config.form, config.num_attention_heads);
    let (window, causal) = (form.layer(number).window, form.causal);
    let by_distance = matches!(form.bias, BiasForm::Buckets { .. } | BiasForm::Slopes);
    if !by_distance && window.is_none() && !causal {
        return None;
    }
    let sees = |distance: isize| {
        !(causal && distance > 0) && window.is_none_or(|window| distance.unsigned_abs() <= window)
    };
    let slopes = slopes(heads);
    let added = |head: usize, distance: isize| match form.bias {
        BiasForm::None | BiasForm::Disentangled { .. } => 0.0,
        BiasForm::Buckets { count, farthest } => learned[bucket(distance, count, farthest) * heads + head],
        BiasForm::Slopes => -slopes[head] * distance.unsigned_abs() as f32,
    };
    let tables = if by_distance { heads } else { 1 };
    Some(DistanceBias::new(tables, config.positions(), form.score_scale, |head, distance| {
        if sees(distance) { added(head, distance) } else { f32::NEG_INFINITY }
    }))
}

/// The angles by which positions turn queries and keys in layer `number`; none where they do not.
pub(crate) fn rotary_of_layer(config: &BertConfig, number: usize) -> Option<Rotary> {
    let base = config.form.layer(number).rotary?;
    let dim = config.form.head_dim / 2 * 2;
    let frequency = |i: usize| 1.0 / (base as f32).powf(i as f32 / dim as f32);
    Some(Rotary::new(&(0..dim).step_by(2).map(frequency).collect::<Vec<_>>(), config.positions()))
}

/// The bucket of a distance (Raffel et al. 2020): half of them for each direction, of each direction half for single
/// distances, and the others growing by a factor up to `farthest`.
pub(crate) fn bucket(distance: isize, count: usize, farthest: usize) -> usize {
    let half = count / 2;
    let first = if distance > 0 { half } else { 0 };
    let (far, exact) = (distance.unsigned_abs(), half / 2);
    if far < exact {
        return first + far;
    }
    let grown = (far as f32 / exact as f32).ln() / (farthest as f32 / exact as f32).ln();
    first + (exact + (grown * (half - exact) as f32) as usize).min(half - 1)
}

/// The row of the vectors of distances for a distance of the query from the key (He et al. 2021): near distances have
/// rows of their own, and farther ones share rows that grow by a factor.
pub(crate) fn relative_bucket(form: BiasForm, distance: isize) -> usize {
    let BiasForm::Disentangled { buckets, farthest, .. } = form else { return 0 };
    let middle = buckets.map(|buckets| buckets / 2).filter(|middle| distance.unsigned_abs() > *middle);
    let place = match middle {
        None => distance,
        Some(middle) => {
            let (far, exact) = (distance.unsigned_abs() as f32, middle as f32);
            let grown = (far / exact).ln() / ((farthest - 1) as f32 / exact).ln() * (middle - 1) as f32;
            distance.signum() * (grown.ceil() as isize + middle as isize)
        }
    };
    let span = (form.relative_rows() / 2) as isize;
    (place + span).clamp(0, 2 * span - 1) as usize
}

/// The slope of each head: powers of 2 that end at 2^-8; those between them for heads beyond a power of two.
fn slopes(heads: usize) -> Vec<f32> {
    let of_power = |power: usize| (1..=power).map(move |i| 2f64.powf(-8.0 * i as f64 / power as f64));
    let power = (heads + 1).next_power_of_two() / 2;
    let between = of_power(2 * power).step_by(2).take(heads - power);
    of_power(power).chain(between).map(|slope| slope as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_distances_have_buckets_of_their_own_and_far_ones_share() {
        let buckets: Vec<usize> =
            [0, -1, -7, -8, -16, -127, -5000, 1, 7, 8, 128].map(|d| bucket(d, 32, 128)).into();
        assert_eq!(buckets, [0, 1, 7, 8, 10, 15, 15, 17, 23, 24, 31]);
    }

    #[test]
    fn rows_of_distances_rise_from_the_first_to_the_last() {
        let form =
            BiasForm::Disentangled { buckets: Some(16), farthest: 64, of_queries: true, of_keys: true };
        let rows: Vec<usize> = (-200..200).map(|distance| relative_bucket(form, distance)).collect();
        assert!(rows.is_sorted() && rows[0] == 0 && rows[399] == 31);
        assert_eq!(rows[200 - 8..=200 + 8], (8..=24).collect::<Vec<_>>());
    }

    #[test]
    fn slopes_halve_and_lie_between_where_heads_are_no_power_of_two() {
        assert_eq!(slopes(8)[..3], [0.5, 0.25, 0.125]);
        let twelve = slopes(12);
        assert_eq!((twelve.len(), twelve[7], twelve[8]), (12, 2f32.powi(-8), 2f32.powf(-0.5)));
    }
}
