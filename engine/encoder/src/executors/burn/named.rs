//! The weights of a network under the names of its family's files.

use std::collections::BTreeMap;

use burn::nn::Linear;
use burn::tensor::Tensor;

use super::norm::Norm;
use super::transformer::Transformer;
use crate::families::{LinearRef, NormRef};

/// Name, shape and values of a tensor.
pub type NamedTensor = (String, Vec<usize>, Vec<f32>);

impl Transformer {
    /// Every weight under its name in the files of the family, with its shape there: linear layers as `[out, in]`, those
    /// that the files keep side by side in one tensor.
    pub fn named_weights(&self) -> Vec<NamedTensor> {
        let layout = &self.blueprint.layout;
        let mut files = Tensors { offset: self.blueprint.config.form.norm_offset, ..Tensors::default() };
        files.put(&layout.words, &self.words.weight.val());
        for (name, table) in [(&layout.positions, &self.places), (&layout.types, &self.types)] {
            if let (Some(name), Some(table)) = (name, table) {
                files.put(name, &table.weight.val());
            }
        }
        files.norm(&layout.embedding_norm, &self.embedding_norm);
        if let (Some(named), Some(projection)) = (&layout.projection, &self.projection) {
            files.linear(named, projection);
        }
        if let (Some(name), Some(buckets)) = (&layout.bias, &self.buckets) {
            files.put(name, &buckets.weight.val().reshape([buckets.buckets, buckets.heads]));
        }
        if let (Some(name), Some(distances)) = (&layout.relative, &self.distances) {
            files.put(name, &distances.vectors.val());
            files.norm(&layout.relative_norm, &distances.norm);
        }
        for (named, layer) in layout.layers.iter().zip(&self.layers) {
            for (named, linear) in [
                (Some(&named.query), Some(&layer.query)),
                (Some(&named.key), Some(&layer.key)),
                (Some(&named.value), Some(&layer.value)),
                (named.relative[0].as_ref(), layer.distance_keys.as_ref()),
                (named.relative[1].as_ref(), layer.distance_queries.as_ref()),
                (Some(&named.attention_output), Some(&layer.attention_output)),
                (named.gate.as_ref(), layer.gate.as_ref()),
                (Some(&named.up), Some(&layer.up)),
                (Some(&named.down), Some(&layer.down)),
            ] {
                if let (Some(named), Some(linear)) = (named, linear) {
                    files.linear(named, linear);
                }
            }
            let [query, key] = match &named.head_norms {
                Some([query, key]) => [Some(query.clone()), Some(key.clone())],
                None => [None, None],
            };
            for (named, norm) in [
                (&named.before_attention, &layer.before_attention),
                (&named.after_attention, &layer.after_attention),
                (&named.before_feed_forward, &layer.before_feed_forward),
                (&named.after_feed_forward, &layer.after_feed_forward),
                (&query, &layer.query_norm),
                (&key, &layer.key_norm),
            ] {
                files.norm(named, norm);
            }
        }
        files.norm(&layout.final_norm, &self.final_norm);
        files.tensors.into_iter().map(|(name, (shape, values))| (name, shape, values)).collect()
    }
}

/// The tensors of a file that is to be written.
#[derive(Default)]
struct Tensors {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// Added to the weights of norms when they were read.
    offset: f32,
}

impl Tensors {
    fn put<const D: usize>(&mut self, name: &str, tensor: &Tensor<D>) {
        self.tensors.insert(name.to_owned(), (tensor.dims().to_vec(), values(tensor.clone())));
    }

    /// Rows of a tensor of `rows` rows.
    fn put_rows(&mut self, name: &str, shape: Vec<usize>, first: usize, rows: Vec<f32>) {
        let width = shape.get(1).copied().unwrap_or(1);
        let (_, whole) = self.tensors.entry(name.to_owned()).or_insert_with(|| {
            let zeros = vec![0.0; shape.iter().product()];
            (shape, zeros)
        });
        whole[first * width..][..rows.len()].copy_from_slice(&rows);
    }

    fn linear(&mut self, named: &LinearRef, linear: &Linear) {
        let weight = values(linear.weight.val().transpose());
        self.put_rows(&named.weight, vec![named.rows, named.inner], named.first, weight);
        if let (Some(name), Some(bias)) = (&named.bias, &linear.bias) {
            self.put_rows(name, vec![named.rows], named.first, values(bias.val()));
        }
    }

    fn norm(&mut self, named: &Option<NormRef>, norm: &Option<Norm>) {
        let (Some(named), Some(norm)) = (named, norm) else { return };
        self.put(&named.weight, &(norm.weights.gamma.val() - self.offset));
        if let (Some(name), Some(bias)) = (&named.bias, &norm.weights.beta) {
            self.put(name, &bias.val());
        }
    }
}

/// The values of a tensor, of whichever device.
fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("weights are f32")
}
