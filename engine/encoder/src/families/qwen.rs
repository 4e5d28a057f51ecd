//! Qwen3 (Yang et al. 2025), whose small decoders are embedding models: RMS norms, grouped queries, rotary positions, and
//! tokens that see only what is before them.

use super::{Family, LayerForm, LayerTensors, Layout, LinearRef, NormOrder, NormRef};
use crate::Result;
use crate::config::{Architecture, BertConfig, Names, Settings};
use crate::settings::Effect::{Honoured, Nothing, Only};

pub(super) static QWEN3: Family = Family {
    architecture: Architecture::Qwen3,
    model_type: "qwen3",
    keys: &[
        ("num_key_value_heads", Honoured),
        ("head_dim", Honoured),
        ("rms_norm_eps", Honoured),
        ("attention_bias", Honoured),
        ("rope_theta", Honoured),
        ("rope_parameters", Honoured),
        ("rope_scaling", Honoured),
        ("use_sliding_window", Only(&["false"])),
        ("layer_types", Honoured),
        ("is_decoder", Nothing),
        // They say nothing where no layer has a window.
        ("sliding_window", Nothing),
        ("max_window_layers", Nothing),
        ("attention_dropout", Nothing),
        ("layer_norm_eps", Nothing),
        ("type_vocab_size", Nothing),
    ],
    describe,
    layout: |config, _| decoder_layout(config, ["input_layernorm", "", "post_attention_layernorm", ""]),
    prefix: "model.",
};

pub(super) const NAMES: Names = Names { epsilon: Some(("rms_norm_eps", 1e-6)), ..Names::BERT };

fn describe(settings: &Settings<'_>) -> Result<BertConfig> {
    let mut config = decoder(settings, Architecture::Qwen3, &NAMES)?;
    let layers = config.num_hidden_layers;
    if settings.layer_types(layers, |_| false)?.contains(&true) {
        return Err(
            settings.refusal("layer_types has sliding_attention, and Akin runs Qwen3 without windows")
        );
    }
    let rotary = settings.rotary("", "rope_theta", 10_000.0)?;
    config.form.layers = vec![LayerForm { rotary: Some(rotary), window: None }];
    config.form.causal = true;
    Ok(config)
}

/// What the decoders have in common.
pub(super) fn decoder(
    settings: &Settings<'_>,
    architecture: Architecture,
    names: &Names,
) -> Result<BertConfig> {
    let mut config = settings.sizes_of_heads(architecture, names)?;
    config.type_vocab_size = 1;
    let form = &mut config.form;
    form.position_table = false;
    form.embedding_norm = false;
    form.head_norms = true;
    form.order = NormOrder::Before;
    form.centred_norms = false;
    form.final_norm = true;
    form.gated = true;
    form.norm_bias = false;
    form.feed_forward_bias = false;
    form.attention_bias = settings.flag("attention_bias", false)?;
    Ok(config)
}

/// The names of the decoders. `norms` are those before and after the attention, and before and after the feed-forward
/// network; empty where there is none.
pub(super) fn decoder_layout(config: &BertConfig, norms: [&str; 4]) -> Layout {
    let (hidden, inner, form) = (config.hidden_size, config.intermediate_size, &config.form);
    let (queries, keys) = (config.num_attention_heads * form.head_dim, form.key_value_heads * form.head_dim);
    let layer = |number: usize| {
        let name = |part: &str| format!("layers.{number}.{part}");
        let linear = |part: &str, out: usize, inner: usize, biased: bool| {
            LinearRef::new(name(part), out, inner).biased(biased)
        };
        let attention = |part: &str, out: usize, inner: usize| linear(part, out, inner, form.attention_bias);
        let [before, after, before_inner, after_inner] =
            norms.map(|part| (!part.is_empty()).then(|| NormRef::unbiased(name(part), hidden)));
        LayerTensors {
            before_attention: before,
            query: attention("self_attn.q_proj", queries, hidden),
            key: attention("self_attn.k_proj", keys, hidden),
            value: attention("self_attn.v_proj", keys, hidden),
            head_norms: Some(
                ["self_attn.q_norm", "self_attn.k_norm"]
                    .map(|part| NormRef::unbiased(name(part), form.head_dim)),
            ),
            relative: [None, None],
            attention_output: attention("self_attn.o_proj", hidden, queries),
            after_attention: after,
            before_feed_forward: before_inner,
            gate: Some(linear("mlp.gate_proj", inner, hidden, false)),
            up: linear("mlp.up_proj", inner, hidden, false),
            down: linear("mlp.down_proj", hidden, inner, false),
            after_feed_forward: after_inner,
        }
    };
    Layout {
        words: "embed_tokens.weight".into(),
        layers: (0..config.num_hidden_layers).map(layer).collect(),
        final_norm: Some(NormRef::unbiased("norm", hidden)),
        ..Layout::default()
    }
}
