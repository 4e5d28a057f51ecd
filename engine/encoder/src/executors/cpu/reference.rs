//! BERT written down as the paper has it (Devlin et al. 2019), in double precision and plain loops:
//! what the tests hold the executor to.

use std::collections::HashMap;

use crate::config::BertConfig;
use akin_kernels::vecmath::erf_reference;

/// Tensors by name: shape and values.
pub(super) type Tensors = HashMap<String, (Vec<usize>, Vec<f32>)>;

type Matrix = Vec<Vec<f64>>;

/// The last hidden state of each token of one sentence, whose tokens have these types.
pub(super) fn forward(config: &BertConfig, tensors: &Tensors, ids: &[u32], types: &[u32]) -> Matrix {
    let get = |name: &str| &tensors[name].1;
    let row = |name: &str, r: usize, c: usize| f64::from(get(name)[r * config.hidden_size + c]);
    let mut x: Matrix = ids
        .iter()
        .zip(types)
        .zip(places(config.position_offset, ids))
        .map(|((&id, &kind), place)| {
            (0..config.hidden_size)
                .map(|c| {
                    row("embeddings.word_embeddings.weight", id as usize, c)
                        + row("embeddings.position_embeddings.weight", place, c)
                        + row("embeddings.token_type_embeddings.weight", kind as usize, c)
                })
                .collect()
        })
        .collect();
    norm(config, tensors, "embeddings.LayerNorm", &mut x);
    for i in 0..config.num_hidden_layers {
        let name = |part: &str| format!("encoder.layer.{i}.{part}");
        let [q, k, v] = ["query", "key", "value"]
            .map(|part| linear(tensors, &name(&format!("attention.self.{part}")), &x));
        let context = attention(config.num_attention_heads, &q, &k, &v);
        let out = linear(tensors, &name("attention.output.dense"), &context);
        add(&mut x, &out);
        norm(config, tensors, &name("attention.output.LayerNorm"), &mut x);
        let mut inner = linear(tensors, &name("intermediate.dense"), &x);
        for value in inner.iter_mut().flatten() {
            *value *= 0.5 * (1.0 + erf_reference(*value / 2f64.sqrt()));
        }
        let out = linear(tensors, &name("output.dense"), &inner);
        add(&mut x, &out);
        norm(config, tensors, &name("output.LayerNorm"), &mut x);
    }
    x
}

/// RoBERTa's padding token, the one before the first place, has a place of its own and takes none from the others.
fn places(offset: usize, ids: &[u32]) -> Vec<usize> {
    let mut seen = 0;
    let mut place = |&id: &u32| {
        if id as usize + 1 == offset {
            return offset - 1;
        }
        seen += 1;
        offset + seen - 1
    };
    ids.iter().map(&mut place).collect()
}

fn linear(tensors: &Tensors, name: &str, x: &Matrix) -> Matrix {
    let (shape, weight) = &tensors[&format!("{name}.weight")];
    let bias = &tensors[&format!("{name}.bias")].1;
    let product = |x: &Vec<f64>, c: usize| {
        let row = &weight[c * shape[1]..][..shape[1]];
        x.iter().zip(row).map(|(x, &w)| x * f64::from(w)).sum::<f64>() + f64::from(bias[c])
    };
    x.iter().map(|x| (0..shape[0]).map(|c| product(x, c)).collect()).collect()
}

fn attention(heads: usize, q: &Matrix, k: &Matrix, v: &Matrix) -> Matrix {
    let dim = q[0].len() / heads;
    let mut out = vec![vec![0.0; q[0].len()]; q.len()];
    for (q, out) in q.iter().zip(&mut out) {
        for columns in (0..heads).map(|h| h * dim..(h + 1) * dim) {
            let score = |k: &Vec<f64>| {
                let dot: f64 = q[columns.clone()].iter().zip(&k[columns.clone()]).map(|(a, b)| a * b).sum();
                (dot / (dim as f64).sqrt()).exp()
            };
            let shares: Vec<f64> = k.iter().map(score).collect();
            let sum: f64 = shares.iter().sum();
            for (share, v) in shares.iter().zip(v) {
                for c in columns.clone() {
                    out[c] += share / sum * v[c];
                }
            }
        }
    }
    out
}

fn add(x: &mut Matrix, y: &Matrix) {
    for (x, y) in x.iter_mut().flatten().zip(y.iter().flatten()) {
        *x += y;
    }
}

fn norm(config: &BertConfig, tensors: &Tensors, name: &str, x: &mut Matrix) {
    let (weight, bias) = (&tensors[&format!("{name}.weight")].1, &tensors[&format!("{name}.bias")].1);
    for row in x {
        let mean = row.iter().sum::<f64>() / row.len() as f64;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / row.len() as f64;
        for (i, v) in row.iter_mut().enumerate() {
            let normal = (*v - mean) / (variance + config.layer_norm_eps).sqrt();
            *v = normal * f64::from(weight[i]) + f64::from(bias[i]);
        }
    }
}
