//! BERT's network with rotary positions: Nomic BERT, GTE (Snowflake's Arctic Embed 2 of middle size is one) and Jina v3.
//! The first two have a gate in the feed-forward network.

use super::{Family, LayerForm, LayerTensors, Layout, LinearRef, NormRef};
use crate::Result;
use crate::config::{Architecture, BertConfig, Names as SizeNames, Settings};
use crate::settings::Effect::{self, Honoured, Nothing};

pub(super) static NOMIC_BERT: Family = Family {
    architecture: Architecture::NomicBert,
    model_type: "nomic_bert",
    keys: KEYS,
    describe: |settings| {
        let mut config = describe(settings, Architecture::NomicBert, 1000.0)?;
        config.form.attention_bias = false;
        config.form.gated = true;
        Ok(config)
    },
    layout: |config, has| {
        let published = "encoder.layers.0.attn.Wqkv.weight";
        let names = Names { norm: "emb_ln", layer: "encoder.layers", attention: "attn.Wqkv", ..PUBLISHED };
        let names = Names { output: "attn.out_proj", into: Inwards::Two("mlp.fc12", "mlp.fc11"), ..names };
        let names = Names { down: "mlp.fc2", ..names };
        layout(config, if has(published) { &names } else { &GATED }, Biases { into: false, out: false })
    },
    prefix: "nomic_bert.",
};

pub(super) static GTE: Family = Family {
    architecture: Architecture::Gte,
    model_type: "gte",
    keys: KEYS,
    describe: |settings| {
        let mut config = describe(settings, Architecture::Gte, 160_000.0)?;
        config.form.gated = true;
        Ok(config)
    },
    layout: |config, has| {
        let published = "encoder.layer.0.attention.qkv_proj.weight";
        let names = Names { layer: "encoder.layer", attention: "attention.qkv_proj", ..PUBLISHED };
        let names = Names { output: "attention.o_proj", norms: ["attn_ln", "mlp_ln"], ..names };
        let names = Names { norm: GATED.norm, into: Inwards::UpAndGate("mlp.up_gate_proj"), ..names };
        layout(config, if has(published) { &names } else { &GATED }, Biases { into: false, out: true })
    },
    prefix: "new.",
};

pub(super) static JINA_V3: Family = Family {
    architecture: Architecture::JinaV3,
    model_type: "jina_embeddings_v3",
    keys: KEYS,
    describe: |settings| describe(settings, Architecture::JinaV3, 20_000.0),
    layout: |config, has| {
        let published = "encoder.layers.0.mixer.Wqkv.weight";
        let plain = Names { into: Inwards::One("mlp.fc1"), down: "mlp.fc2", ..GATED };
        let names = Names { norm: "emb_ln", layer: "encoder.layers", attention: "mixer.Wqkv", ..PUBLISHED };
        let names =
            Names { output: "mixer.out_proj", into: Inwards::One("mlp.fc1"), down: "mlp.fc2", ..names };
        layout(config, if has(published) { &names } else { &plain }, Biases { into: true, out: true })
    },
    prefix: "roberta.",
};

const KEYS: &[(&str, Effect)] = &[
    ("rope_parameters", Honoured),
    ("rope_theta", Honoured),
    ("rope_scaling", Honoured),
    ("head_dim", Honoured),
    ("classifier_dropout", Nothing),
];

/// One of GTE's models has no types.
const SIZES: SizeNames = SizeNames { least_types: 0, ..SizeNames::BERT };

fn describe(settings: &Settings<'_>, architecture: Architecture, base: f64) -> Result<BertConfig> {
    let mut config = settings.sizes_under(architecture, &SIZES)?;
    let dim = config.form.head_dim;
    if settings.width("head_dim")?.is_some_and(|said| said != dim) {
        return Err(
            settings.refusal(format!("head_dim is not {dim}, which is hidden_size by num_attention_heads"))
        );
    }
    let rotary = settings.rotary("", "rope_theta", base)?;
    config.form.layers = vec![LayerForm { rotary: Some(rotary), window: None }];
    config.form.position_table = false;
    Ok(config)
}

/// What the parts of a layer are called.
struct Names {
    /// The norm of the embeddings.
    norm: &'static str,
    layer: &'static str,
    /// Queries, keys and values in one; where it is empty, each has a name of its own.
    attention: &'static str,
    output: &'static str,
    norms: [&'static str; 2],
    into: Inwards,
    down: &'static str,
}

/// The products into the feed-forward network.
enum Inwards {
    One(&'static str),
    /// Gate and values.
    Two(&'static str, &'static str),
    /// Values, then the gate, in one.
    UpAndGate(&'static str),
}

/// The names of transformers.
const GATED: Names = Names {
    norm: "embeddings.LayerNorm",
    layer: "layers",
    attention: "",
    output: "self_attn.o_proj",
    norms: ["post_attention_layernorm", "post_mlp_layernorm"],
    into: Inwards::Two("mlp.gate_proj", "mlp.up_proj"),
    down: "mlp.down_proj",
};

/// What the names of the files that were first published have in common.
const PUBLISHED: Names = Names { norms: ["norm1", "norm2"], ..GATED };

/// Which products of the feed-forward network have a bias.
struct Biases {
    into: bool,
    out: bool,
}

fn layout(config: &BertConfig, names: &Names, biases: Biases) -> Layout {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let layer = |number: usize| {
        let name = |part: &str| format!("{}.{number}.{part}", names.layer);
        let biased = config.form.attention_bias;
        let square = |part: &str| LinearRef::new(name(part), hidden, hidden).biased(biased);
        let [query, key, value] = match names.attention {
            "" => ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"].map(square),
            one => {
                let all = LinearRef::new(name(one), 3 * hidden, hidden).biased(biased);
                [0, hidden, 2 * hidden].map(|first| all.part(first, hidden))
            }
        };
        let into = |part: &str, out: usize| LinearRef::new(name(part), out, hidden).biased(biases.into);
        let (gate, up) = match names.into {
            Inwards::One(up) => (None, into(up, inner)),
            Inwards::Two(gate, up) => (Some(into(gate, inner)), into(up, inner)),
            Inwards::UpAndGate(both) => {
                let both = into(both, 2 * inner);
                (Some(both.part(inner, inner)), both.part(0, inner))
            }
        };
        let [after_attention, after_feed_forward] =
            names.norms.map(|norm| Some(NormRef::new(name(norm), hidden)));
        LayerTensors {
            before_attention: None,
            query,
            key,
            value,
            head_norms: None,
            relative: [None, None],
            attention_output: square(names.output),
            after_attention,
            before_feed_forward: None,
            gate,
            up,
            down: LinearRef::new(name(names.down), hidden, inner).biased(biases.out),
            after_feed_forward,
        }
    };
    Layout {
        words: "embeddings.word_embeddings.weight".into(),
        types: (config.type_vocab_size > 0).then(|| "embeddings.token_type_embeddings.weight".into()),
        embedding_norm: Some(NormRef::new(names.norm, hidden)),
        layers: (0..config.num_hidden_layers).map(layer).collect(),
        ..Layout::default()
    }
}
