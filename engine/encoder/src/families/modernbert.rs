//! ModernBERT (Warner et al. 2024): rotary positions, a gate, norms before the sublayers, local windows, no biases.

use super::{Family, LayerForm, LayerTensors, Layout, LinearRef, NormOrder, NormRef};
use crate::Result;
use crate::config::{Architecture, BertConfig, Names, Settings};
use crate::settings::Effect::{Honoured, Nothing};

pub(super) static MODERNBERT: Family = Family {
    architecture: Architecture::ModernBert,
    model_type: "modernbert",
    keys: &[
        ("hidden_activation", Honoured),
        ("norm_eps", Honoured),
        ("norm_bias", Honoured),
        ("attention_bias", Honoured),
        ("mlp_bias", Honoured),
        ("global_attn_every_n_layers", Honoured),
        ("layer_types", Honoured),
        ("local_attention", Honoured),
        ("sliding_window", Nothing),
        ("global_rope_theta", Honoured),
        ("local_rope_theta", Honoured),
        ("rope_parameters", Honoured),
        ("rope_scaling", Honoured),
        // Training, and heads that no embedding reads.
        ("attention_dropout", Nothing),
        ("classifier_activation", Nothing),
        ("classifier_bias", Nothing),
        ("classifier_pooling", Nothing),
        ("decoder_bias", Nothing),
        ("deterministic_flash_attn", Nothing),
        ("embedding_dropout", Nothing),
        ("initializer_cutoff_factor", Nothing),
        ("mlp_dropout", Nothing),
        ("reference_compile", Nothing),
        ("repad_logits_with_grad", Nothing),
        ("sparse_pred_ignore_index", Nothing),
        ("sparse_prediction", Nothing),
        ("hidden_act", Nothing),
        ("layer_norm_eps", Nothing),
        ("type_vocab_size", Nothing),
    ],
    describe,
    layout,
    prefix: "model.",
};

const NAMES: Names =
    Names { activation: "hidden_activation", epsilon: Some(("norm_eps", 1e-5)), ..Names::BERT };

fn describe(settings: &Settings<'_>) -> Result<BertConfig> {
    let mut config = settings.sizes_under(Architecture::ModernBert, &NAMES)?;
    config.type_vocab_size = 1;
    let every = settings.whole_number("global_attn_every_n_layers", 1, usize::MAX)?.unwrap_or(3);
    let local = settings.layer_types(config.num_hidden_layers, |layer| layer % every != 0)?;
    let window = settings.whole_number("local_attention", 0, usize::MAX)?.unwrap_or(128) / 2;
    let everywhere = settings.rotary("full_attention", "global_rope_theta", 160_000.0)?;
    let nearby = settings.rotary("sliding_attention", "local_rope_theta", 10_000.0)?;
    let layer = |local: bool| match local {
        true => LayerForm { rotary: Some(nearby), window: Some(window) },
        false => LayerForm { rotary: Some(everywhere), window: None },
    };
    let form = &mut config.form;
    form.layers = local.into_iter().map(layer).collect();
    form.position_table = false;
    form.order = NormOrder::Before;
    form.final_norm = true;
    form.gated = true;
    form.norm_bias = settings.flag("norm_bias", false)?;
    form.attention_bias = settings.flag("attention_bias", false)?;
    form.feed_forward_bias = settings.flag("mlp_bias", false)?;
    Ok(config)
}

fn layout(config: &BertConfig, _: &dyn Fn(&str) -> bool) -> Layout {
    let (hidden, inner, form) = (config.hidden_size, config.intermediate_size, &config.form);
    let norm = |name: String| Some(NormRef::new(name, hidden).biased(form.norm_bias));
    let layer = |number: usize| {
        let name = |part: &str| format!("layers.{number}.{part}");
        let attention = LinearRef::new(name("attn.Wqkv"), 3 * hidden, hidden).biased(form.attention_bias);
        let both = LinearRef::new(name("mlp.Wi"), 2 * inner, hidden).biased(form.feed_forward_bias);
        LayerTensors {
            // The embeddings have just been normalised.
            before_attention: (number > 0).then(|| norm(name("attn_norm"))).flatten(),
            query: attention.part(0, hidden),
            key: attention.part(hidden, hidden),
            value: attention.part(2 * hidden, hidden),
            head_norms: None,
            relative: [None, None],
            attention_output: LinearRef::new(name("attn.Wo"), hidden, hidden).biased(form.attention_bias),
            after_attention: None,
            before_feed_forward: norm(name("mlp_norm")),
            gate: Some(both.part(0, inner)),
            up: both.part(inner, inner),
            down: LinearRef::new(name("mlp.Wo"), hidden, inner).biased(form.feed_forward_bias),
            after_feed_forward: None,
        }
    };
    Layout {
        words: "embeddings.tok_embeddings.weight".into(),
        embedding_norm: norm("embeddings.norm".into()),
        layers: (0..config.num_hidden_layers).map(layer).collect(),
        final_norm: norm("final_norm".into()),
        ..Layout::default()
    }
}
