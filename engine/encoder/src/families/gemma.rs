//! Gemma 3 as an encoder (EmbeddingGemma, Vera et al. 2025): a decoder that sees in both directions, with norms around
//! its sublayers and windows in most layers.

use super::qwen::{NAMES as DECODER, decoder, decoder_layout};
use super::{Family, LayerForm, NormOrder};
use crate::Result;
use crate::config::{Architecture, BertConfig, Names, Settings};
use crate::settings::Effect::{Honoured, Nothing, Only};

pub(super) static GEMMA3: Family = Family {
    architecture: Architecture::Gemma3,
    model_type: "gemma3_text",
    keys: &[
        ("num_key_value_heads", Honoured),
        ("head_dim", Honoured),
        ("hidden_activation", Honoured),
        ("rms_norm_eps", Honoured),
        ("attention_bias", Honoured),
        ("query_pre_attn_scalar", Honoured),
        ("sliding_window", Honoured),
        ("sliding_window_pattern", Honoured),
        ("layer_types", Honoured),
        ("rope_theta", Honoured),
        ("rope_local_base_freq", Honoured),
        ("rope_parameters", Honoured),
        ("rope_scaling", Honoured),
        ("use_bidirectional_attention", Only(&["true"])),
        ("attn_logit_softcapping", Only(&[])),
        ("final_logit_softcapping", Nothing),
        ("attention_dropout", Nothing),
        ("hidden_act", Nothing),
        ("layer_norm_eps", Nothing),
        ("type_vocab_size", Nothing),
    ],
    describe,
    layout: |config, _| {
        let norms = ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm"];
        decoder_layout(config, [norms[0], norms[1], norms[2], "post_feedforward_layernorm"])
    },
    prefix: "model.",
};

const NAMES: Names =
    Names { activation: "hidden_activation", default_activation: "gelu_pytorch_tanh", ..DECODER };

fn describe(settings: &Settings<'_>) -> Result<BertConfig> {
    if !settings.flag("use_bidirectional_attention", false)? {
        return Err(settings.refusal(
            "use_bidirectional_attention is not true, and Akin runs models of Gemma 3 that see in both directions",
        ));
    }
    let mut config = decoder(settings, Architecture::Gemma3, &NAMES)?;
    let every = settings.whole_number("sliding_window_pattern", 1, usize::MAX)?.unwrap_or(6);
    let local = settings.layer_types(config.num_hidden_layers, |layer| (layer + 1) % every != 0)?;
    let window = settings.whole_number("sliding_window", 1, usize::MAX)?.unwrap_or(4096) / 2;
    let everywhere = settings.rotary("full_attention", "rope_theta", 1_000_000.0)?;
    let nearby = settings.rotary("sliding_attention", "rope_local_base_freq", 10_000.0)?;
    let scalar = settings.number("query_pre_attn_scalar", 256.0)?;
    let hidden = config.hidden_size;
    let form = &mut config.form;
    let layer = |local: bool| match local {
        true => LayerForm { rotary: Some(nearby), window: Some(window) },
        false => LayerForm { rotary: Some(everywhere), window: None },
    };
    form.layers = local.into_iter().map(layer).collect();
    form.score_scale = (1.0 / scalar.sqrt()) as f32;
    form.embedding_scale = (hidden as f32).sqrt();
    form.order = NormOrder::Around;
    form.norm_offset = 1.0;
    Ok(config)
}
