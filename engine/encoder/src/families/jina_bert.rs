//! Jina BERT, the second generation of Jina's embedding models (Günther et al. 2023): BERT with scores that fall with
//! distance (ALiBi) in place of positions, and a gate.

use super::{BiasForm, Family, LayerTensors, Layout, LinearRef, NormRef, bert};
use crate::Result;
use crate::config::{Architecture, BertConfig, Settings, activation_named};
use crate::settings::Effect::{Honoured, Nothing};

/// Its `config.json` says "bert", and `position_embedding_type` "alibi".
pub(super) static JINA_BERT: Family = Family {
    architecture: Architecture::JinaBert,
    model_type: "bert with alibi",
    keys: &[("position_embedding_type", Honoured), ("feed_forward_type", Honoured), ("emb_pooler", Nothing)],
    describe,
    layout,
    prefix: "bert.",
};

fn describe(settings: &Settings<'_>) -> Result<BertConfig> {
    let mut config = settings.sizes(Architecture::JinaBert)?;
    let form = &mut config.form;
    let gated = match settings.text("feed_forward_type")?.unwrap_or("original") {
        "geglu" => activation_named("gelu"),
        "reglu" => activation_named("relu"),
        _ => None,
    };
    form.activation = gated.ok_or_else(|| {
        settings.refusal(
            "feed_forward_type is neither \"geglu\" nor \"reglu\", which Akin runs with alibi positions",
        )
    })?;
    form.gated = true;
    form.bias = BiasForm::Slopes;
    form.position_table = false;
    Ok(config)
}

fn layout(config: &BertConfig, has: &dyn Fn(&str) -> bool) -> Layout {
    let bert = bert::layout(config, has);
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let layer = |(number, layer): (usize, LayerTensors)| {
        let name = |part: &str| format!("encoder.layer.{number}.mlp.{part}");
        let both = LinearRef::unbiased(name("gated_layers"), 2 * inner, hidden);
        LayerTensors {
            gate: Some(both.part(0, inner)),
            up: both.part(inner, inner),
            down: LinearRef::new(name("wo"), hidden, inner),
            after_feed_forward: Some(NormRef::new(name("layernorm"), hidden)),
            ..layer
        }
    };
    Layout { positions: None, layers: bert.layers.into_iter().enumerate().map(layer).collect(), ..bert }
}
