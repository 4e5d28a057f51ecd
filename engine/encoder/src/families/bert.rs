//! BERT (Devlin et al. 2019), and the families that have its network under other names: RoBERTa (Liu et al. 2019),
//! XLM-R, CamemBERT, whose positions begin behind that of the padding token, and ELECTRA (Clark et al. 2020), whose
//! embeddings may be narrower than its layers.

use super::{Family, LayerTensors, Layout, LinearRef, NormRef};
use crate::Result;
use crate::config::{Architecture, BertConfig, Settings};
use crate::settings::Effect::{Honoured, Nothing};

pub(super) static BERT: Family = Family {
    architecture: Architecture::Bert,
    model_type: "bert",
    keys: &[],
    describe: |settings| settings.sizes(Architecture::Bert),
    layout,
    prefix: "bert.",
};

pub(super) static ROBERTA: Family = Family {
    architecture: Architecture::Roberta,
    model_type: "roberta",
    keys: &[],
    describe: |settings| behind_padding(settings, Architecture::Roberta),
    layout,
    prefix: "roberta.",
};

pub(super) static XLM_ROBERTA: Family = Family {
    architecture: Architecture::XlmRoberta,
    model_type: "xlm-roberta",
    keys: &[],
    describe: |settings| behind_padding(settings, Architecture::XlmRoberta),
    layout,
    prefix: "roberta.",
};

pub(super) static CAMEMBERT: Family = Family {
    architecture: Architecture::Camembert,
    model_type: "camembert",
    keys: &[],
    describe: |settings| behind_padding(settings, Architecture::Camembert),
    layout,
    prefix: "roberta.",
};

pub(super) static ELECTRA: Family = Family {
    architecture: Architecture::Electra,
    model_type: "electra",
    keys: &[
        ("embedding_size", Honoured),
        ("summary_activation", Nothing),
        ("summary_last_dropout", Nothing),
        ("summary_type", Nothing),
        ("summary_use_proj", Nothing),
    ],
    describe: electra,
    layout: |config, _| {
        let mut layout = layout(config, &|_| false);
        let (narrow, wide) = (config.form.embedding_size, config.hidden_size);
        layout.projection = (narrow != wide).then(|| LinearRef::new("embeddings_project", wide, narrow));
        layout
    },
    prefix: "electra.",
};

/// The sizes of a network whose first position is the one after that of the padding token.
fn behind_padding(settings: &Settings<'_>, architecture: Architecture) -> Result<BertConfig> {
    let mut config = settings.sizes(architecture)?;
    config.position_offset = settings.padding(config.vocab_size)?.unwrap_or(1) + 1;
    config.type_vocab_size = settings.types()?.unwrap_or(1);
    Ok(config)
}

fn electra(settings: &Settings<'_>) -> Result<BertConfig> {
    let mut config = settings.sizes(Architecture::Electra)?;
    // What transformers takes where the key is missing.
    config.form.embedding_size = settings.width("embedding_size")?.unwrap_or(128);
    Ok(config)
}

/// The names of BERT.
pub(super) fn layout(config: &BertConfig, _: &dyn Fn(&str) -> bool) -> Layout {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let layer = |number: usize| {
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let square = |part: &str| LinearRef::new(name(part), hidden, hidden);
        LayerTensors {
            before_attention: None,
            query: square("attention.self.query"),
            key: square("attention.self.key"),
            value: square("attention.self.value"),
            head_norms: None,
            relative: [None, None],
            attention_output: square("attention.output.dense"),
            after_attention: Some(NormRef::new(name("attention.output.LayerNorm"), hidden)),
            before_feed_forward: None,
            gate: None,
            up: LinearRef::new(name("intermediate.dense"), inner, hidden),
            down: LinearRef::new(name("output.dense"), hidden, inner),
            after_feed_forward: Some(NormRef::new(name("output.LayerNorm"), hidden)),
        }
    };
    Layout {
        words: "embeddings.word_embeddings.weight".into(),
        positions: Some("embeddings.position_embeddings.weight".into()),
        types: Some("embeddings.token_type_embeddings.weight".into()),
        embedding_norm: Some(NormRef::new("embeddings.LayerNorm", config.form.embedding_size)),
        layers: (0..config.num_hidden_layers).map(layer).collect(),
        ..Layout::default()
    }
}
