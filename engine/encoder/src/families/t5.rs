//! The encoder of T5 (Raffel et al. 2020), as sentence-T5 and GTR have it: RMS norms, scores by distance alone, no biases.

use super::{BiasForm, Family, LayerTensors, Layout, LinearRef, NormOrder, NormRef};
use crate::Result;
use crate::config::{Architecture, BertConfig, Names, Settings, activation_named};
use crate::settings::Effect::{Honoured, Nothing};

pub(super) static T5: Family = Family {
    architecture: Architecture::T5,
    model_type: "t5",
    keys: &[
        ("d_model", Honoured),
        ("d_kv", Honoured),
        ("d_ff", Honoured),
        ("num_layers", Honoured),
        ("num_heads", Honoured),
        ("layer_norm_epsilon", Honoured),
        ("relative_attention_num_buckets", Honoured),
        ("relative_attention_max_distance", Honoured),
        ("feed_forward_proj", Honoured),
        // They follow from feed_forward_proj, or are of the decoder, which no embedding reads.
        ("dense_act_fn", Nothing),
        ("is_gated_act", Nothing),
        ("dropout_rate", Nothing),
        ("initializer_factor", Nothing),
        ("is_encoder_decoder", Nothing),
        ("is_decoder", Nothing),
        ("num_decoder_layers", Nothing),
        ("n_positions", Nothing),
        ("scale_decoder_outputs", Nothing),
        ("layer_norm_eps", Nothing),
        ("hidden_act", Nothing),
        ("type_vocab_size", Nothing),
    ],
    describe,
    layout,
    prefix: "",
};

const NAMES: Names = Names {
    hidden: "d_model",
    layers: "num_layers",
    heads: "num_heads",
    inner: "d_ff",
    head_dim: "d_kv",
    positions: "",
    activation: "",
    epsilon: Some(("layer_norm_epsilon", 1e-6)),
    ..Names::BERT
};

/// The longest text: distances have no end in T5, and a table of them needs one.
const LONGEST: usize = 8192;

fn describe(settings: &Settings<'_>) -> Result<BertConfig> {
    let mut config = settings.sizes_of_heads(Architecture::T5, &NAMES)?;
    config.type_vocab_size = 1;
    config.max_position_embeddings = LONGEST;
    let count = settings.whole_number("relative_attention_num_buckets", 4, 1 << 16)?.unwrap_or(32);
    let farthest =
        settings.whole_number("relative_attention_max_distance", count / 4 + 1, 1 << 30)?.unwrap_or(128);
    let written = settings.text("feed_forward_proj")?.unwrap_or("relu");
    let (gated, name) = match written.strip_prefix("gated-") {
        // As it has always been read.
        Some("gelu") => (true, "gelu_new"),
        Some(name) => (true, name),
        None => (false, written),
    };
    let form = &mut config.form;
    form.activation = activation_named(name).ok_or_else(|| {
        settings.refusal(format!("feed_forward_proj is {written:?}, which Akin does not compute"))
    })?;
    form.gated = gated;
    form.bias = BiasForm::Buckets { count, farthest };
    form.score_scale = 1.0;
    form.position_table = false;
    form.embedding_norm = false;
    form.order = NormOrder::Before;
    form.centred_norms = false;
    form.final_norm = true;
    form.norm_bias = false;
    form.attention_bias = false;
    form.feed_forward_bias = false;
    Ok(config)
}

fn layout(config: &BertConfig, has: &dyn Fn(&str) -> bool) -> Layout {
    let (hidden, inner, form) = (config.hidden_size, config.intermediate_size, &config.form);
    let wide = config.num_attention_heads * form.head_dim;
    let layer = |number: usize| {
        let name = |part: &str| format!("encoder.block.{number}.layer.{part}");
        let linear = |part: &str, out: usize, inner: usize| LinearRef::unbiased(name(part), out, inner);
        let into = |part: &str| linear(&format!("1.DenseReluDense.{part}"), inner, hidden);
        let (gate, up) = match form.gated {
            true => (Some(into("wi_0")), into("wi_1")),
            false => (None, into("wi")),
        };
        LayerTensors {
            before_attention: Some(NormRef::unbiased(name("0.layer_norm"), hidden)),
            query: linear("0.SelfAttention.q", wide, hidden),
            key: linear("0.SelfAttention.k", wide, hidden),
            value: linear("0.SelfAttention.v", wide, hidden),
            head_norms: None,
            relative: [None, None],
            attention_output: linear("0.SelfAttention.o", hidden, wide),
            after_attention: None,
            before_feed_forward: Some(NormRef::unbiased(name("1.layer_norm"), hidden)),
            gate,
            up,
            down: linear("1.DenseReluDense.wo", hidden, inner),
            after_feed_forward: None,
        }
    };
    // Files that hold a tensor once have one of its two names.
    let words = ["shared.weight", "encoder.embed_tokens.weight"];
    Layout {
        words: words.into_iter().find(|name| has(name)).unwrap_or(words[0]).into(),
        bias: Some("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight".into()),
        layers: (0..config.num_hidden_layers).map(layer).collect(),
        final_norm: Some(NormRef::unbiased("encoder.final_layer_norm", hidden)),
        ..Layout::default()
    }
}
