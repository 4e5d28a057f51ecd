//! The losses of the objectives, as functions of embeddings or logits.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::example::{Example, sentences_of};

/// The margin of the triplet objective.
const MARGIN: f32 = 1.0;

/// Added to the difference of two embeddings before their distance is taken, as PyTorch does: the root of zero has no
/// gradient.
const DISTANCE_EPSILON: f32 = 1e-6;

/// The least length of an embedding that a cosine divides by.
const LEAST_LENGTH: f32 = 1e-8;

/// The mean squared error of the cosines of u and v, `[n, dimension]`, against `scores`, `[n, 1]`.
pub fn regression_loss(u: Tensor<2>, v: Tensor<2>, scores: Tensor<2>) -> Tensor<1> {
    let error = cosines(u, v) - scores;
    (error.clone() * error).mean()
}

/// The cosine of each row of u and v: `[n, 1]`.
pub fn cosines(u: Tensor<2>, v: Tensor<2>) -> Tensor<2> {
    let length = |x: &Tensor<2>| (x.clone() * x.clone()).sum_dim(1).sqrt().clamp_min(LEAST_LENGTH);
    let lengths = length(&u) * length(&v);
    (u * v).sum_dim(1) / lengths
}

/// The mean cross-entropy of logits, `[n, labels]`, with the right labels, `[n, 1]`.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<2, Int>) -> Tensor<1> {
    -log_softmax(logits, 1).gather(1, labels).mean()
}

/// The mean of max(||a-p|| - ||a-n|| + 1, 0) over the rows of the three.
pub fn triplet_loss(anchor: Tensor<2>, positive: Tensor<2>, negative: Tensor<2>) -> Tensor<1> {
    let distance = |other: Tensor<2>| {
        let difference = anchor.clone() - other + DISTANCE_EPSILON;
        (difference.clone() * difference).sum_dim(1).sqrt()
    };
    (distance(positive) - distance(negative) + MARGIN).clamp_min(0.0).mean()
}

/// The mean binary cross-entropy of logits, `[n, 1]`, with scores from 0 to 1.
pub fn binary_cross_entropy(logits: Tensor<2>, scores: Tensor<2>) -> Tensor<1> {
    // max(x, 0) - x y + ln(1 + e^-|x|), which overflows nowhere.
    let softplus = (-logits.clone().abs()).exp().log1p();
    (logits.clone().clamp_min(0.0) - logits * scores + softplus).mean()
}

/// What is added to the similarity of a candidate that is no negative: nothing of it is left in the softmax.
const LEFT_OUT: f32 = -1e9;

/// Multiple negatives ranking: the cross-entropy of the scaled cosines of each anchor with all candidates, of which its own
/// positive is the right one. `anchors` is `[n, dimension]`; `candidates` are the n positives and then all negatives.
/// `left_out`, `[n, candidates]`, is [`not_negatives`].
pub fn ranking_loss(
    anchors: Tensor<2>,
    candidates: Tensor<2>,
    left_out: Option<Tensor<2>>,
    scale: f64,
) -> Tensor<1> {
    let [n, _] = anchors.dims();
    let device = anchors.device();
    let mut scores = unit_rows(anchors).matmul(unit_rows(candidates).transpose()) * scale as f32;
    if let Some(left_out) = left_out {
        scores = scores + left_out;
    }
    let right = TensorData::new((0..n as i64).collect::<Vec<_>>(), [n, 1]);
    cross_entropy(scores, Tensor::<2, Int>::from_data(right, &device))
}

/// The candidates of a batch that are no negatives of an anchor, though they are those of another example: texts that equal
/// the anchor or its positive, and the positives of an equal anchor. None where there are none.
pub fn not_negatives(examples: &[&Example], device: &Device) -> Option<Tensor<2>> {
    let n = examples.len();
    let sentences = sentences_of(examples);
    let candidates = &sentences[n..];
    let mut left_out = vec![0.0; n * candidates.len()];
    let mut any = false;
    for (row, (example, left_out)) in
        examples.iter().zip(left_out.chunks_exact_mut(candidates.len())).enumerate()
    {
        let [anchor, positive] = [&example.sentences[0], &example.sentences[1]];
        for (column, (text, value)) in candidates.iter().zip(left_out).enumerate() {
            let of_equal_anchor = column < n && examples[column].sentences[0] == *anchor;
            if column != row && (**text == **anchor || **text == **positive || of_equal_anchor) {
                *value = LEFT_OUT;
                any = true;
            }
        }
    }
    let shape = [n, candidates.len()];
    any.then(|| Tensor::from_data(TensorData::new(left_out, shape), device))
}

/// CoSENT (Su 2022): ln(1 + the sum of e^(s cos(j) - s cos(i)) over all pairs of rows i and j of which i has the higher
/// score). `scores` has one for each row of u and v.
pub fn cosent_loss(u: Tensor<2>, v: Tensor<2>, scores: &[f32], scale: f64) -> Tensor<1> {
    let n = scores.len();
    let device = u.device();
    let cosines = cosines(u, v) * scale as f32;
    // [i, j]: what j is above i.
    let differences = cosines.clone().transpose().repeat_dim(0, n) - cosines.repeat_dim(1, n);
    let counts = scores.iter().flat_map(|i| scores.iter().map(move |j| if i > j { 0.0 } else { LEFT_OUT }));
    let counts = Tensor::from_data(TensorData::new(counts.collect::<Vec<f32>>(), [n, n]), &device);
    // The one in the logarithm is e^0. Everything is divided by the greatest, so that nothing overflows.
    let differences = (differences + counts).reshape([1, n * n]);
    let greatest = differences.clone().detach().max().clamp_min(0.0);
    let sum = (differences - greatest.clone().unsqueeze()).exp().sum() + (-greatest.clone()).exp();
    sum.log() + greatest
}

/// The mean squared error of embeddings against those of a teacher, both `[n, dimension]`.
pub fn distillation_loss(embeddings: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    let error = embeddings - teacher;
    (error.clone() * error).mean()
}

/// The mean squared error of the dot product with the positive less that with the negative, against `margins`, `[n, 1]`.
pub fn margin_loss(
    anchor: Tensor<2>,
    positive: Tensor<2>,
    negative: Tensor<2>,
    margins: Tensor<2>,
) -> Tensor<1> {
    let error = (anchor * (positive - negative)).sum_dim(1) - margins;
    (error.clone() * error).mean()
}

/// The least length that a row is divided by.
const LEAST_ROW: f32 = 1e-12;

/// Each row divided by its length.
pub fn unit_rows(rows: Tensor<2>) -> Tensor<2> {
    let lengths = (rows.clone() * rows.clone()).sum_dim(1).sqrt().clamp_min(LEAST_ROW);
    rows / lengths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Target;

    fn rows<const N: usize, const D: usize>(values: [[f32; D]; N]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.concat(), [N, D]), &Device::flex())
    }

    fn value(loss: Tensor<1>) -> f64 {
        f64::from(loss.into_scalar::<f32>())
    }

    #[test]
    fn a_text_is_no_negative_of_its_equal() {
        let example = |sentences: &[u32]| Example {
            sentences: sentences.iter().map(|word| vec![*word]).collect(),
            target: Target::Order,
        };
        let found = |examples: &[Example]| {
            let left_out = not_negatives(&examples.iter().collect::<Vec<_>>(), &Device::flex())?;
            Some(
                left_out
                    .into_data()
                    .try_into_vec::<f32>()
                    .unwrap()
                    .iter()
                    .map(|x| *x < 0.0)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(found(&[example(&[1, 2, 5]), example(&[3, 4, 6])]), None);
        // Equal positives, equal anchors, an anchor among the positives, and a negative that is another's positive.
        let (o, x) = (false, true);
        assert_eq!(found(&[example(&[1, 2]), example(&[3, 2])]).unwrap(), [o, x, x, o]);
        assert_eq!(found(&[example(&[1, 2]), example(&[1, 4])]).unwrap(), [o, x, x, o]);
        assert_eq!(found(&[example(&[1, 2]), example(&[3, 1])]).unwrap(), [o, x, o, o]);
        assert_eq!(found(&[example(&[1, 2, 5]), example(&[3, 4, 2])]).unwrap(), [o, o, o, x, o, o, o, o]);
    }

    #[test]
    fn what_is_left_out_of_a_ranking_changes_nothing() {
        let anchors = || rows([[1.0, 0.0], [0.6, 0.8]]);
        let few = value(ranking_loss(anchors(), rows([[0.8, 0.6], [0.0, 2.0]]), None, 20.0));
        let more = rows([[0.8, 0.6], [0.0, 2.0], [1.0, 0.1]]);
        let left_out = rows([[0.0, 0.0, LEFT_OUT], [0.0, 0.0, LEFT_OUT]]);
        assert!((value(ranking_loss(anchors(), more, Some(left_out), 20.0)) - few).abs() < 1e-6);
    }

    #[test]
    fn cosent_counts_pairs_in_the_wrong_order_and_overflows_nowhere() {
        let (u, v) = (rows([[1.0, 0.0], [1.0, 0.0]]), rows([[1.0, 0.0], [-1.0, 0.0]]));
        let right = value(cosent_loss(u.clone(), v.clone(), &[1.0, 0.0], 20.0));
        assert!((0.0..1e-6).contains(&right), "{right}");
        let wrong = value(cosent_loss(u.clone(), v.clone(), &[0.0, 1.0], 20.0));
        assert!((wrong - 40.0).abs() < 1e-4, "{wrong}");
        assert!((value(cosent_loss(u.clone(), v.clone(), &[0.0, 1.0], 500.0)) - 1000.0).abs() < 0.1);
        assert!(value(cosent_loss(u, v, &[0.5, 0.5], 20.0)).abs() < 1e-6);
    }
}
