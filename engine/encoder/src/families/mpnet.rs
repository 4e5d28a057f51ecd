//! MPNet (Song et al. 2020): BERT's network without types of tokens, whose scores also depend on how far two tokens are
//! apart.

use super::{BiasForm, Family, LayerTensors, Layout, LinearRef, NormRef, bert};
use crate::Result;
use crate::config::{Architecture, BertConfig, Settings};
use crate::settings::Effect::{Nothing, Only};

pub(super) static MPNET: Family = Family {
    architecture: Architecture::MpNet,
    model_type: "mpnet",
    keys: &[("relative_attention_num_buckets", Only(&["32"])), ("type_vocab_size", Nothing)],
    describe,
    layout,
    prefix: "mpnet.",
};

/// The position of padding, whatever the id of the padding token is.
const PADDING: usize = 1;

/// Buckets of distances. transformers has a setting for the table of their numbers, but computes with so many.
const BUCKETS: usize = 32;

/// From this distance on all tokens are equally far: transformers has no setting for it.
const FARTHEST: usize = 128;

fn describe(settings: &Settings<'_>) -> Result<BertConfig> {
    let mut config = settings.sizes(Architecture::MpNet)?;
    config.position_offset = PADDING + 1;
    config.type_vocab_size = 1;
    config.form.bias = BiasForm::Buckets { count: BUCKETS, farthest: FARTHEST };
    Ok(config)
}

fn layout(config: &BertConfig, has: &dyn Fn(&str) -> bool) -> Layout {
    let bert = bert::layout(config, has);
    let hidden = config.hidden_size;
    let layer = |(number, layer): (usize, LayerTensors)| {
        let name = |part: &str| format!("encoder.layer.{number}.attention.{part}");
        let square = |part: &str| LinearRef::new(name(part), hidden, hidden);
        LayerTensors {
            query: square("attn.q"),
            key: square("attn.k"),
            value: square("attn.v"),
            attention_output: square("attn.o"),
            after_attention: Some(NormRef::new(name("LayerNorm"), hidden)),
            ..layer
        }
    };
    Layout {
        types: None,
        bias: Some("encoder.relative_attention_bias.weight".into()),
        layers: bert.layers.into_iter().enumerate().map(layer).collect(),
        ..bert
    }
}
