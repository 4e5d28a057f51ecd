//! The first step: what a token, its place and its type stand for, summed and normalised.

use super::Tokens;
use super::weights::TensorReader;
use crate::config::BertConfig;
use akin_kernels::cpu::Isa;
use akin_kernels::layer_norm::LayerNorm;

/// The tables that tokens and places are looked up in.
pub(super) struct Embedding {
    /// `[vocabulary, hidden]`
    words: Vec<f32>,
    /// `[positions, hidden]`, the vector of type 0 added.
    places: Vec<f32>,
    /// `[types, hidden]`: what the vector of a type differs by from that of type 0.
    types: Vec<f32>,
    norm: LayerNorm,
    config: BertConfig,
}

impl Embedding {
    pub fn load(config: &BertConfig, weights: TensorReader<'_>) -> Result<Self, String> {
        let hidden = config.hidden_size;
        let get = |name: &str, rows: usize| {
            weights.get(&format!("embeddings.{name}_embeddings.weight"), &[rows, hidden])
        };
        let places = get("position", config.max_position_embeddings)?;
        let types = get("token_type", config.type_vocab_size)?;
        let Some(first) = types.get(..hidden) else {
            return Err("type_vocab_size is 0: the network needs at least one type of tokens".into());
        };
        Ok(Self {
            words: get("word", config.vocab_size)?.into_owned(),
            places: places.iter().zip(first.iter().cycle()).map(|(p, t)| p + t).collect(),
            types: types.iter().zip(first.iter().cycle()).map(|(t, first)| t - first).collect(),
            norm: weights.norm("embeddings.LayerNorm", hidden, config.layer_norm_eps)?,
            config: config.clone(),
        })
    }

    /// The longest sentence there are places for, in tokens.
    pub fn positions(&self) -> usize {
        self.config.positions()
    }

    /// Writes `[tokens, hidden]` of the sentences between `offsets`, boundaries in `batch`.
    pub fn apply(&self, isa: Isa, batch: Tokens<'_>, offsets: &[usize], out: &mut [f32]) {
        let width = self.norm.weight.len();
        self.write_words_and_places(batch.ids, offsets, out);
        if !batch.types.is_empty() {
            let types = &batch.types[offsets[0]..offsets[offsets.len() - 1]];
            for (kind, row) in types.iter().zip(out.chunks_exact_mut(width)).filter(|(kind, _)| **kind > 0) {
                let vector = &self.types[*kind as usize * width..][..width];
                row.iter_mut().zip(vector).for_each(|(x, t)| *x += t);
            }
        }
        self.norm.apply_in_place(isa, out);
    }

    fn write_words_and_places(&self, ids: &[u32], offsets: &[usize], out: &mut [f32]) {
        let width = self.norm.weight.len();
        let mut rows = out.chunks_exact_mut(width);
        for sentence in offsets.windows(2) {
            let ids = &ids[sentence[0]..sentence[1]];
            let places = self.config.positions_of(ids);
            for ((&id, place), row) in ids.iter().zip(places).zip(&mut rows) {
                let word = &self.words[id as usize * width..][..width];
                let place = &self.places[place * width..][..width];
                for ((x, w), p) in row.iter_mut().zip(word).zip(place) {
                    *x = w + p;
                }
            }
        }
    }
}
