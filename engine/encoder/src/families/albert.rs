//! ALBERT (Lan et al. 2020): layers share their weights, and embeddings are narrower than layers.

use super::{Family, LayerTensors, Layout, LinearRef, NormRef, bert};
use crate::Result;
use crate::config::{Architecture, BertConfig, MOST_LAYERS, Settings};
use crate::settings::Effect::{Honoured, Nothing};

pub(super) static ALBERT: Family = Family {
    architecture: Architecture::Albert,
    model_type: "albert",
    keys: &[
        ("embedding_size", Honoured),
        ("num_hidden_groups", Honoured),
        ("inner_group_num", Honoured),
        ("classifier_dropout_prob", Nothing),
        ("down_scale_factor", Nothing),
        ("gap_size", Nothing),
        ("net_structure_type", Nothing),
        ("num_memory_blocks", Nothing),
    ],
    describe,
    layout,
    prefix: "albert.",
};

/// Layers of a group, which follow one another.
fn describe(settings: &Settings<'_>) -> Result<BertConfig> {
    let mut config = settings.sizes(Architecture::Albert)?;
    let layers = config.num_hidden_layers;
    config.form.embedding_size = settings.width("embedding_size")?.unwrap_or(128);
    let groups = settings.whole_number("num_hidden_groups", 1, layers)?.unwrap_or(1);
    let each = settings.whole_number("inner_group_num", 1, MOST_LAYERS / layers)?.unwrap_or(1);
    let group_of = |layer: usize| layer * groups / layers;
    config.form.shared =
        (0..layers).flat_map(|layer| (0..each).map(move |inner| group_of(layer) * each + inner)).collect();
    Ok(config)
}

fn layout(config: &BertConfig, has: &dyn Fn(&str) -> bool) -> Layout {
    let (hidden, inner, shared) = (config.hidden_size, config.intermediate_size, &config.form.shared);
    let sets = shared.iter().max().map_or(0, |last| last + 1);
    let each = shared.len() / config.num_hidden_layers.max(1);
    let layer = |set: usize| {
        let name = |part: &str| {
            let (group, inner) = (set / each, set % each);
            format!("encoder.albert_layer_groups.{group}.albert_layers.{inner}.{part}")
        };
        let square = |part: &str| LinearRef::new(name(part), hidden, hidden);
        LayerTensors {
            before_attention: None,
            query: square("attention.query"),
            key: square("attention.key"),
            value: square("attention.value"),
            head_norms: None,
            relative: [None, None],
            attention_output: square("attention.dense"),
            after_attention: Some(NormRef::new(name("attention.LayerNorm"), hidden)),
            before_feed_forward: None,
            gate: None,
            up: LinearRef::new(name("ffn"), inner, hidden),
            down: LinearRef::new(name("ffn_output"), hidden, inner),
            after_feed_forward: Some(NormRef::new(name("full_layer_layer_norm"), hidden)),
        }
    };
    let narrow = config.form.embedding_size;
    Layout {
        projection: Some(LinearRef::new("encoder.embedding_hidden_mapping_in", hidden, narrow)),
        layers: (0..sets).map(layer).collect(),
        ..bert::layout(config, has)
    }
}
