//! DeBERTa v2 and v3 (He et al. 2021): scores also depend on what a query says to the distance of a key, and a key to
//! that of a query.

use super::{BiasForm, Family, LayerTensors, Layout, LinearRef, NormRef, bert};
use crate::Result;
use crate::config::{Architecture, BertConfig, Names, Settings};
use crate::settings::Effect::{Honoured, Nothing, Only};

pub(super) static DEBERTA_V2: Family = Family {
    architecture: Architecture::DebertaV2,
    model_type: "deberta-v2",
    keys: &[
        ("max_relative_positions", Honoured),
        ("position_buckets", Honoured),
        ("position_biased_input", Honoured),
        ("norm_rel_ebd", Honoured),
        ("share_att_key", Honoured),
        ("pos_att_type", Honoured),
        ("relative_attention", Only(&["true"])),
        ("conv_kernel_size", Only(&["0"])),
        ("embedding_size", Honoured),
        ("attention_head_size", Only(&[])),
        ("conv_act", Nothing),
        ("conv_groups", Nothing),
        ("legacy", Nothing),
        ("pooler_dropout", Nothing),
        ("pooler_hidden_act", Nothing),
        ("pooler_hidden_size", Nothing),
    ],
    describe,
    layout,
    prefix: "deberta.",
};

const NAMES: Names = Names { least_types: 0, ..Names::BERT };

fn describe(settings: &Settings<'_>) -> Result<BertConfig> {
    let mut config = settings.sizes_under(Architecture::DebertaV2, &NAMES)?;
    if settings.width("embedding_size")?.is_some_and(|width| width != config.hidden_size) {
        return Err(settings.refusal("embedding_size is not hidden_size, and Akin runs DeBERTa where it is"));
    }
    if !settings.flag("relative_attention", false)? {
        return Err(settings.refusal("relative_attention is not true, and Akin runs DeBERTa where it is"));
    }
    // Written as -1 where there is none.
    let farthest = settings.count_if_any("max_relative_positions")?.unwrap_or(config.max_position_embeddings);
    let buckets = settings.count_if_any("position_buckets")?;
    if buckets.is_some_and(|buckets| buckets < 4 || farthest <= buckets / 2 + 1) {
        return Err(
            settings.refusal("position_buckets is less than 4, or more than twice max_relative_positions")
        );
    }
    let kinds = settings.parts("pos_att_type")?;
    if let Some(other) = kinds.iter().find(|kind| !["c2p", "p2c"].contains(&kind.as_str())) {
        return Err(settings.refusal(format!("pos_att_type has {other:?}, and Akin computes c2p and p2c")));
    }
    let has = |kind: &str| kinds.iter().any(|known| known == kind);
    let (of_queries, of_keys) = (has("c2p"), has("p2c"));
    let norm = settings.parts("norm_rel_ebd")?;
    let form = &mut config.form;
    form.bias = BiasForm::Disentangled { buckets, farthest, of_queries, of_keys };
    form.relative_norm = norm.iter().any(|part| part == "layer_norm");
    form.relative_shared = settings.flag("share_att_key", false)?;
    form.position_table = settings.flag("position_biased_input", true)?;
    let terms = 1 + usize::from(of_queries) + usize::from(of_keys);
    form.score_scale = 1.0 / ((form.head_dim * terms) as f32).sqrt();
    Ok(config)
}

fn layout(config: &BertConfig, has: &dyn Fn(&str) -> bool) -> Layout {
    let bert = bert::layout(config, has);
    let (hidden, form) = (config.hidden_size, &config.form);
    let BiasForm::Disentangled { of_queries, of_keys, .. } = form.bias else { return bert };
    let layer = |(number, layer): (usize, LayerTensors)| {
        let square = |part: &str| {
            LinearRef::new(format!("encoder.layer.{number}.attention.self.{part}"), hidden, hidden)
        };
        let (query, key) = (square("query_proj"), square("key_proj"));
        let [for_queries, for_keys] = match form.relative_shared {
            true => [key.clone(), query.clone()],
            false => [square("pos_key_proj"), square("pos_query_proj")],
        };
        let relative = [of_queries.then_some(for_queries), of_keys.then_some(for_keys)];
        LayerTensors { query, key, value: square("value_proj"), relative, ..layer }
    };
    Layout {
        positions: bert.positions.filter(|_| form.position_table),
        types: bert.types.filter(|_| config.type_vocab_size > 0),
        relative: Some("encoder.rel_embeddings.weight".into()),
        relative_norm: form.relative_norm.then(|| NormRef::new("encoder.LayerNorm", hidden)),
        layers: bert.layers.into_iter().enumerate().map(layer).collect(),
        ..bert
    }
}
