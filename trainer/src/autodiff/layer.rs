//! A transformer layer as one operation with its gradient (Vaswani et al. 2017, Devlin et al. 2019).
//!
//! Each thread computes the whole layer for a group of sentences, forward and backward. The gradients of the weights are
//! sums over all tokens. They are computed at the end, each thread taking some rows of each matrix, so they do not depend
//! on the order in which threads finish.

use std::ops::Range;
use std::sync::Arc;

use akin_encoder::burn::BertLayer;
use akin_kernels::cpu::isa;
use akin_kernels::gelu::gelu_in_place;
use akin_kernels::gradient::attention::{self, Projections};
use akin_kernels::gradient::dropout::Dropout;
use akin_kernels::gradient::{add_column_sums, fill_rows, gelu, norm};
use akin_kernels::matmul::{Matrix, multiply};
use burn::nn::{LayerNorm, Linear};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::Randomness;
use super::operation::{FlexFloats, input, record, values};
use crate::lora::{Adapter, LayerAdapters};

/// The input, then weight and bias of: query, key, value, output, first norm, intermediate, output, second norm; then what
/// scores get by distance.
const INPUTS: usize = 18;

/// The number of that last input.
const DISTANCES: usize = INPUTS - 1;

/// Rows of a weight's gradient that one thread computes at a time.
const ROWS: usize = 192;

/// `hidden` (`[tokens, hidden]`) through layer `number`. `distances` are what scores get, if anything.
pub(super) fn forward(
    module: &BertLayer,
    adapters: Option<&LayerAdapters>,
    hidden: Tensor<2>,
    distances: Option<Tensor<2>>,
    groups: &[Vec<Range<usize>>],
    randomness: &Randomness,
    number: usize,
) -> Tensor<2> {
    let attention = &module.attention;
    let adapter = |number| adapters.and_then(|adapters| adapters.get(number));
    let [qw, qb] = linear(&attention.query, adapter(0));
    let [kw, kb] = linear(&attention.key, adapter(1));
    let [vw, vb] = linear(&attention.value, adapter(2));
    let [ow, ob] = linear(&attention.output, adapter(3));
    let [aw, ab] = layer_norm(&attention.norm);
    let [iw, ib] = linear(&module.intermediate, adapter(4));
    let [fw, fb] = linear(&module.output, adapter(5));
    let [nw, nb] = layer_norm(&module.norm);
    let by_distance = distances.is_some();
    // A constant stands in where nothing is added: no gradient is computed for it.
    let distances = distances.unwrap_or_else(|| Tensor::from_inner(nb.clone().inner()));
    let inputs = [hidden, qw, qb, kw, kb, vw, vb, ow, ob, aw, ab, iw, ib, fw, fb, nw, nb, distances];
    let dropout = |probability, place| Dropout::new(probability, randomness.seed).at(1 + 3 * number + place);
    let shape = Shape {
        heads: attention.heads,
        by_distance,
        epsilon: module.layer_norm_eps as f32,
        shares: dropout(randomness.attention_dropout, 0),
        attended: dropout(randomness.hidden_dropout, 1),
        output: dropout(randomness.hidden_dropout, 2),
    };
    record(inputs, |inputs| {
        let weights = LayerWeights::of(inputs);
        let hidden = values(&inputs[0]);
        let width = weights.query.1.len();
        let mut output = vec![0.0; hidden.len()];
        let mut rest = output.as_mut_slice();
        let mut parts = Vec::new();
        for group in groups {
            let (part, after) = rest.split_at_mut(rows_of(group).len() * width);
            parts.push((group, part));
            rest = after;
        }
        let kept: Vec<Activations> = parts
            .into_par_iter()
            .map(|(group, part)| {
                let rows = rows_of(group);
                shape.forward(&weights, group, &hidden[rows.start * width..rows.end * width], part)
            })
            .collect();
        let tokens = hidden.len() / width;
        let gradient = move |inputs: &[FlexFloats; INPUTS], upstream: &[f32], wanted: &[bool; INPUTS]| {
            shape.gradient(&LayerWeights::of(inputs), &kept, values(&inputs[0]), upstream, wanted)
        };
        (output, [tokens, width], Arc::new(gradient))
    })
}

fn linear(module: &Linear, adapter: Option<&Adapter>) -> [Tensor<2>; 2] {
    let weight = input(&module.weight);
    let weight = adapter.map_or(weight.clone(), |adapter| adapter.applied(weight));
    [weight, input(module.bias.as_ref().expect("BERT's linear layers have a bias"))]
}

fn layer_norm(module: &LayerNorm) -> [Tensor<2>; 2] {
    [input(&module.gamma), input(module.beta.as_ref().expect("BERT's layer norms have a bias"))]
}

fn rows_of(group: &[Range<usize>]) -> Range<usize> {
    group.first().map_or(0, |span| span.start)..group.last().map_or(0, |span| span.end)
}

/// Weight, as `[in, out]`, and bias of a linear layer, or of a norm.
type Pair<'a> = (&'a [f32], &'a [f32]);

struct LayerWeights<'a> {
    query: Pair<'a>,
    key: Pair<'a>,
    value: Pair<'a>,
    attended: Pair<'a>,
    attention_norm: Pair<'a>,
    intermediate: Pair<'a>,
    output: Pair<'a>,
    norm: Pair<'a>,
    /// Of the scores, `[heads, 2 * reach - 1]`.
    distances: &'a [f32],
}

impl<'a> LayerWeights<'a> {
    fn of(inputs: &'a [FlexFloats; INPUTS]) -> Self {
        let pair = |number: usize| (values(&inputs[2 * number + 1]), values(&inputs[2 * number + 2]));
        Self {
            query: pair(0),
            key: pair(1),
            value: pair(2),
            attended: pair(3),
            attention_norm: pair(4),
            intermediate: pair(5),
            output: pair(6),
            norm: pair(7),
            distances: values(&inputs[DISTANCES]),
        }
    }
}

/// The settings of the layer that are the same for every sentence.
#[derive(Clone, Copy)]
struct Shape {
    heads: usize,
    /// Whether scores get something by distance.
    by_distance: bool,
    epsilon: f32,
    shares: Dropout,
    attended: Dropout,
    output: Dropout,
}

/// The activations of a group of sentences that its gradient needs.
struct Activations {
    spans: Vec<Range<usize>>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    /// Of each sentence: `[heads, tokens, tokens]`.
    shares: Vec<Vec<f32>>,
    context: Vec<f32>,
    attention_normal: Vec<f32>,
    attention_scales: Vec<f32>,
    /// After the first norm: the input of the feed-forward network.
    attended: Vec<f32>,
    /// Before GELU, and after.
    inner: Vec<f32>,
    activated: Vec<f32>,
    normal: Vec<f32>,
    scales: Vec<f32>,
}

/// The gradients of the outputs of all linear layers: each weight's gradient is a product with one of them.
struct Upstream {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    attended: Vec<f32>,
    inner: Vec<f32>,
    output: Vec<f32>,
    hidden: Vec<f32>,
    /// Of what scores get by distance; empty where they get nothing.
    distances: Vec<f32>,
    /// Weight and bias of the first norm, then of the second.
    norms: [Vec<f32>; 4],
}

impl Shape {
    /// What scores get by distance; empty for nothing.
    fn distances<'a>(&self, weights: &LayerWeights<'a>) -> &'a [f32] {
        if self.by_distance { weights.distances } else { &[] }
    }

    fn forward(
        &self,
        weights: &LayerWeights<'_>,
        group: &[Range<usize>],
        hidden: &[f32],
        output: &mut [f32],
    ) -> Activations {
        let isa = isa();
        let first = rows_of(group).start;
        let width = weights.query.1.len();
        let rows = hidden.len() / width;
        let [queries, keys, values] =
            [weights.query, weights.key, weights.value].map(|pair| product(hidden, width, pair));
        let mut context = vec![0.0; hidden.len()];
        let mut shares = Vec::with_capacity(group.len());
        for span in group {
            let place = (span.start - first) * width..(span.end - first) * width;
            let projections = Projections {
                queries: &queries[place.clone()],
                keys: &keys[place.clone()],
                values: &values[place.clone()],
                heads: self.heads,
                width,
                by_distance: self.distances(weights),
            };
            let mut own = vec![0.0; self.heads * span.len() * span.len()];
            let dropout = self.shares.at(span.start);
            attention::forward(isa, projections, dropout, &mut own, &mut context[place]);
            shares.push(own);
        }
        let mut attention_normal = product(&context, width, weights.attended);
        self.attended.apply(isa, first * width, &mut attention_normal);
        add(&mut attention_normal, hidden);
        let (mut attention_scales, mut attended) = (vec![0.0; rows], vec![0.0; hidden.len()]);
        let (weight, bias) = weights.attention_norm;
        norm::forward(
            isa,
            (weight, bias, self.epsilon),
            &mut attention_normal,
            &mut attention_scales,
            &mut attended,
        );

        let inner = product(&attended, width, weights.intermediate);
        let mut activated = inner.clone();
        gelu_in_place(isa, &mut activated);
        let mut normal = product(&activated, weights.intermediate.1.len(), weights.output);
        self.output.apply(isa, first * width, &mut normal);
        add(&mut normal, &attended);
        let mut scales = vec![0.0; rows];
        norm::forward(isa, (weights.norm.0, weights.norm.1, self.epsilon), &mut normal, &mut scales, output);
        Activations {
            spans: group.to_vec(),
            queries,
            keys,
            values,
            shares,
            context,
            attention_normal,
            attention_scales,
            attended,
            inner,
            activated,
            normal,
            scales,
        }
    }

    /// The gradients of all [`INPUTS`]; those of weights that are not `wanted` are empty.
    fn gradient(
        &self,
        weights: &LayerWeights<'_>,
        kept: &[Activations],
        hidden: &[f32],
        upstream: &[f32],
        wanted: &[bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        let width = weights.query.1.len();
        let inner = weights.intermediate.1.len();
        let gradients: Vec<Upstream> =
            kept.par_iter().map(|kept| self.backward(weights, kept, upstream)).collect();

        let pairs: Vec<(&Activations, &Upstream)> = kept.iter().zip(&gradients).collect();
        let input = |kept: &Activations| {
            let rows = rows_of(&kept.spans);
            &hidden[rows.start * width..rows.end * width]
        };
        type Factors<'a> = Vec<(&'a [f32], &'a [f32])>;
        let factors: [(Factors<'_>, usize, usize); 6] = [
            (pairs.iter().map(|(k, u)| (input(k), u.queries.as_slice())).collect(), width, width),
            (pairs.iter().map(|(k, u)| (input(k), u.keys.as_slice())).collect(), width, width),
            (pairs.iter().map(|(k, u)| (input(k), u.values.as_slice())).collect(), width, width),
            (
                pairs.iter().map(|(k, u)| (k.context.as_slice(), u.attended.as_slice())).collect(),
                width,
                width,
            ),
            (pairs.iter().map(|(k, u)| (k.attended.as_slice(), u.inner.as_slice())).collect(), width, inner),
            (
                pairs.iter().map(|(k, u)| (k.activated.as_slice(), u.output.as_slice())).collect(),
                inner,
                width,
            ),
        ];
        let wants_weight = [1, 3, 5, 7, 11, 13].map(|number: usize| wanted[number]);
        let mut of_weights: [Vec<f32>; 6] = std::array::from_fn(|number| {
            let (_, rows, columns) = &factors[number];
            vec![0.0; if wants_weight[number] { rows * columns } else { 0 }]
        });
        let work: Vec<_> = of_weights
            .iter_mut()
            .zip(&factors)
            .flat_map(|(gradient, (factors, rows, columns))| {
                gradient
                    .chunks_mut(ROWS * columns)
                    .enumerate()
                    .map(move |(chunk, part)| (part, factors, chunk * ROWS, *rows, *columns))
            })
            .collect();
        work.into_par_iter().with_max_len(1).for_each(|(part, factors, first, rows, columns)| {
            let last = first + part.len() / columns;
            for (number, (input, upstream)) in factors.iter().enumerate() {
                let columns_of_input = Matrix::new(input, rows).transposed().rows(first..last);
                multiply(columns_of_input, Matrix::new(upstream, columns), number > 0, part);
            }
        });
        let of_biases = factors.each_ref().map(|(factors, _, columns)| {
            let mut sums = vec![0.0; *columns];
            factors.iter().for_each(|(_, upstream)| add_column_sums(upstream, &mut sums));
            sums
        });
        let norms = [0, 1, 2, 3].map(|number| {
            let mut sums = vec![0.0; width];
            gradients.iter().for_each(|gradient| add(&mut sums, &gradient.norms[number]));
            sums
        });

        let mut of_distances = vec![0.0; self.distances(weights).len()];
        gradients.iter().for_each(|gradient| add(&mut of_distances, &gradient.distances));
        let of_hidden = gradients.iter().flat_map(|gradient| &gradient.hidden).copied().collect();
        let [qw, kw, vw, ow, iw, fw] = of_weights;
        let [qb, kb, vb, ob, ib, fb] = of_biases;
        let [aw, ab, nw, nb] = norms;
        [of_hidden, qw, qb, kw, kb, vw, vb, ow, ob, aw, ab, iw, ib, fw, fb, nw, nb, of_distances]
    }

    fn backward(&self, weights: &LayerWeights<'_>, kept: &Activations, upstream: &[f32]) -> Upstream {
        let isa = isa();
        let width = weights.query.1.len();
        let rows = rows_of(&kept.spans);
        let first = rows.start;
        let mut norms = [0; 4].map(|_| vec![0.0; width]);
        let [aw, ab, nw, nb] = &mut norms;

        // Of the sum that the second norm reads: the residual's, and with dropout the output's.
        let mut residual = upstream[rows.start * width..rows.end * width].to_vec();
        norm::backward(isa, weights.norm.0, (&kept.normal, &kept.scales), &mut residual, (nw, nb));
        let mut output = residual.clone();
        self.output.apply(isa, first * width, &mut output);
        let mut inner = through(&output, weights.output);
        gelu::backward(isa, &kept.inner, &mut inner);
        add_through(&inner, weights.intermediate, &mut residual);

        let kept_by_norm = (kept.attention_normal.as_slice(), kept.attention_scales.as_slice());
        norm::backward(isa, weights.attention_norm.0, kept_by_norm, &mut residual, (aw, ab));
        let mut attended = residual.clone();
        self.attended.apply(isa, first * width, &mut attended);
        let context = through(&attended, weights.attended);
        let [mut queries, mut keys, mut values] = [0; 3].map(|_| vec![0.0; context.len()]);
        let mut distances = vec![0.0; self.distances(weights).len()];
        for (span, shares) in kept.spans.iter().zip(&kept.shares) {
            let place = (span.start - first) * width..(span.end - first) * width;
            let projections = Projections {
                queries: &kept.queries[place.clone()],
                keys: &kept.keys[place.clone()],
                values: &kept.values[place.clone()],
                heads: self.heads,
                width,
                by_distance: self.distances(weights),
            };
            let gradients = [
                &mut queries[place.clone()],
                &mut keys[place.clone()],
                &mut values[place.clone()],
                &mut distances[..],
            ];
            let dropout = self.shares.at(span.start);
            attention::backward(isa, projections, dropout, shares, &context[place], gradients);
        }
        add_through(&queries, weights.query, &mut residual);
        add_through(&keys, weights.key, &mut residual);
        add_through(&values, weights.value, &mut residual);
        Upstream { queries, keys, values, attended, inner, output, hidden: residual, distances, norms }
    }
}

/// x w + b, where x is rows of `inner` floats.
fn product(input: &[f32], inner: usize, (weight, bias): Pair<'_>) -> Vec<f32> {
    let mut output = vec![0.0; input.len() / inner * bias.len()];
    fill_rows(&mut output, bias);
    multiply(Matrix::new(input, inner), Matrix::new(weight, bias.len()), true, &mut output);
    output
}

/// The gradient of x from that of x w + b.
fn through(upstream: &[f32], pair: Pair<'_>) -> Vec<f32> {
    let (weight, bias) = pair;
    let mut gradient = vec![0.0; upstream.len() / bias.len() * (weight.len() / bias.len())];
    add_through(upstream, pair, &mut gradient);
    gradient
}

/// Adds it.
fn add_through(upstream: &[f32], (weight, bias): Pair<'_>, gradient: &mut [f32]) {
    let columns = bias.len();
    multiply(Matrix::new(upstream, columns), Matrix::new(weight, columns).transposed(), true, gradient);
}

fn add(sums: &mut [f32], values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}
