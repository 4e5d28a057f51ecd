//! DistilBERT (Sanh et al. 2019): BERT's network without types of tokens, under names of its own.

use super::{Family, LayerTensors, Layout, LinearRef, NormRef, bert};
use crate::Result;
use crate::config::{Architecture, BertConfig, Names, Settings};
use crate::settings::Effect::{Honoured, Nothing};

pub(super) static DISTILBERT: Family = Family {
    architecture: Architecture::DistilBert,
    model_type: "distilbert",
    keys: &[
        ("dim", Honoured),
        ("n_layers", Honoured),
        ("n_heads", Honoured),
        ("hidden_dim", Honoured),
        ("activation", Honoured),
        // The table of positions is among the weights, whatever it was computed by.
        ("sinusoidal_pos_embds", Nothing),
        ("attention_dropout", Nothing),
        ("dropout", Nothing),
        ("qa_dropout", Nothing),
        ("seq_classif_dropout", Nothing),
        ("tie_weights_", Nothing),
        ("layer_norm_eps", Nothing),
        ("hidden_act", Nothing),
        ("type_vocab_size", Nothing),
        ("intermediate_size", Nothing),
    ],
    describe,
    layout,
    prefix: "distilbert.",
};

const NAMES: Names = Names {
    hidden: "dim",
    layers: "n_layers",
    heads: "n_heads",
    inner: "hidden_dim",
    activation: "activation",
    epsilon: None,
    ..Names::BERT
};

fn describe(settings: &Settings<'_>) -> Result<BertConfig> {
    Ok(BertConfig { type_vocab_size: 1, ..settings.sizes_under(Architecture::DistilBert, &NAMES)? })
}

fn layout(config: &BertConfig, has: &dyn Fn(&str) -> bool) -> Layout {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let layer = |number: usize| {
        let name = |part: &str| format!("transformer.layer.{number}.{part}");
        let square = |part: &str| LinearRef::new(name(part), hidden, hidden);
        LayerTensors {
            before_attention: None,
            query: square("attention.q_lin"),
            key: square("attention.k_lin"),
            value: square("attention.v_lin"),
            head_norms: None,
            relative: [None, None],
            attention_output: square("attention.out_lin"),
            after_attention: Some(NormRef::new(name("sa_layer_norm"), hidden)),
            before_feed_forward: None,
            gate: None,
            up: LinearRef::new(name("ffn.lin1"), inner, hidden),
            down: LinearRef::new(name("ffn.lin2"), hidden, inner),
            after_feed_forward: Some(NormRef::new(name("output_layer_norm"), hidden)),
        }
    };
    Layout {
        types: None,
        layers: (0..config.num_hidden_layers).map(layer).collect(),
        ..bert::layout(config, has)
    }
}
