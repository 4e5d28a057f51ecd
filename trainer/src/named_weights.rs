//! The weights of BERT's module under the names of Hugging Face's files.

use akin_encoder::burn::{Bert, NamedTensor};
use akin_encoder::model::Architecture;
use burn::nn::LayerNorm;
use burn::tensor::Tensor;

/// Every weight of BERT's module under its name in Hugging Face's files, with its shape there: linear layers as `[out, in]`.
pub(crate) fn named_weights(bert: &Bert) -> Vec<NamedTensor> {
    let mut weights = Vec::new();
    let embeddings = &bert.embeddings;
    for (name, table) in [
        ("word", &embeddings.word_embeddings),
        ("position", &embeddings.position_embeddings),
        ("token_type", &embeddings.token_type_embeddings),
    ] {
        weights.push(named(format!("embeddings.{name}_embeddings.weight"), table.weight.val()));
    }
    push_norm(&mut weights, "embeddings.LayerNorm", &embeddings.norm);
    for (number, layer) in bert.layers.iter().enumerate() {
        let prefix = format!("encoder.layer.{number}");
        for (name, linear) in [
            ("attention.self.query", &layer.attention.query),
            ("attention.self.key", &layer.attention.key),
            ("attention.self.value", &layer.attention.value),
            ("attention.output.dense", &layer.attention.output),
            ("intermediate.dense", &layer.intermediate),
            ("output.dense", &layer.output),
        ] {
            weights.push(named(format!("{prefix}.{name}.weight"), linear.weight.val().transpose()));
            let bias = linear.bias.as_ref().expect("BERT's linear layers have a bias");
            weights.push(named(format!("{prefix}.{name}.bias"), bias.val()));
        }
        push_norm(&mut weights, &format!("{prefix}.attention.output.LayerNorm"), &layer.attention.norm);
        push_norm(&mut weights, &format!("{prefix}.output.LayerNorm"), &layer.norm);
    }
    if let Some(distances) = &bert.distances {
        let table = distances.weight.val().reshape([distances.buckets, distances.heads]);
        weights.push(named("encoder.relative_attention_bias.weight".into(), table));
    }
    weights
}

/// What the files of a family call a weight of BERT; none for one that the family does not have.
pub(crate) fn name_in(architecture: Architecture, name: &str) -> Option<String> {
    let parts: &[(&str, &str)] = match architecture {
        Architecture::DistilBert => &DISTILBERT_PARTS,
        Architecture::MpNet => &MPNET_PARTS,
        _ => return Some(name.to_owned()),
    };
    if name.starts_with("embeddings.token_type_embeddings") {
        return None;
    }
    Some(parts.iter().fold(name.to_owned(), |name, (of_bert, own)| name.replace(of_bert, own)))
}

/// What the files of DistilBERT call parts of BERT. The longer names first: one ends another.
const DISTILBERT_PARTS: [(&str, &str); 9] = [
    ("encoder.layer.", "transformer.layer."),
    ("attention.self.query", "attention.q_lin"),
    ("attention.self.key", "attention.k_lin"),
    ("attention.self.value", "attention.v_lin"),
    ("attention.output.dense", "attention.out_lin"),
    ("attention.output.LayerNorm", "sa_layer_norm"),
    ("intermediate.dense", "ffn.lin1"),
    ("output.dense", "ffn.lin2"),
    ("output.LayerNorm", "output_layer_norm"),
];

/// The same of MPNet.
const MPNET_PARTS: [(&str, &str); 5] = [
    ("attention.self.query", "attention.attn.q"),
    ("attention.self.key", "attention.attn.k"),
    ("attention.self.value", "attention.attn.v"),
    ("attention.output.dense", "attention.attn.o"),
    ("attention.output.LayerNorm", "attention.LayerNorm"),
];

fn named<const D: usize>(name: String, tensor: Tensor<D>) -> NamedTensor {
    let shape = tensor.dims().to_vec();
    let values = tensor.inner().into_data().try_into_vec().expect("weights are f32");
    (name, shape, values)
}

fn push_norm(weights: &mut Vec<NamedTensor>, name: &str, norm: &LayerNorm) {
    let bias = norm.beta.as_ref().expect("BERT's layer norms have a bias");
    weights.push(named(format!("{name}.weight"), norm.gamma.val()));
    weights.push(named(format!("{name}.bias"), bias.val()));
}
