//! The packed weights of a network, kept in a file from one load to the next.
//!
//! A section holds the table of words, and one more each set of weights of a layer: first the factors, then the products
//! of each part in the order that `Sublayers::linears` gives. All else is small, and read from the model each time.

use akin_kernels::shared::{Shared, SharedReader};

use super::CpuBert;
use super::layer::{Sublayers, factor_counts};
use super::parts::{AttentionPart, FeedForwardPart, PackedReader, Packing};
use crate::config::BertConfig;
use crate::families::Layout;
use crate::weights::PackedFile;

/// What a file had of a network.
pub(super) struct Kept {
    /// `[vocabulary, width]`
    pub words: Shared<f32>,
    /// Of each set of weights.
    pub layers: Vec<Sublayers>,
}

impl Kept {
    /// Takes the weights of a network out of a file; nothing where they do not fit the network.
    pub fn read(packing: Packing, config: &BertConfig, layout: &Layout, file: &PackedFile) -> Option<Self> {
        let mut sections = file.sections();
        let mut of_words = sections.next()?;
        let words = of_words.take(config.vocab_size.checked_mul(config.form.embedding_size)?)?;
        if !of_words.is_empty() || sections.len() != layout.layers.len() {
            return None;
        }
        let layer = |(index, section)| layer(packing, config, layout, index, section);
        let layers = sections.enumerate().map(layer).collect::<Option<_>>()?;
        Some(Self { words, layers })
    }

    /// The weights of a network as sections of a file.
    pub fn sections(bert: &CpuBert) -> Vec<Vec<&[u8]>> {
        let words = vec![bytemuck::cast_slice(bert.embedding.words())];
        let layers = bert.layers.iter().map(|layer| {
            let Sublayers { factors, .. } = layer.sublayers();
            let factors = factors.iter().map(|factors| bytemuck::cast_slice(factors));
            factors.chain(layer.sublayers().linears().flat_map(|linear| linear.stored())).collect()
        });
        std::iter::once(words).chain(layers).collect()
    }
}

fn layer(
    packing: Packing,
    config: &BertConfig,
    layout: &Layout,
    index: usize,
    mut section: SharedReader,
) -> Option<Sublayers> {
    let [of_attention, of_feed_forward] = factor_counts(packing, layout, index);
    let mut factors = |count: usize| section.take::<f32>(count).map(|factors| factors.to_vec());
    let factors = [factors(of_attention)?, factors(of_feed_forward)?];
    let mut reader = PackedReader { packing, section: &mut section };
    let attention = AttentionPart::restore(&mut reader, config)?;
    let gated = layout.layers[index].gate.is_some();
    let feed_forward = FeedForwardPart::restore(&mut reader, config, gated)?;
    section.is_empty().then_some(Sublayers { attention, feed_forward, factors })
}
