//! The first step: what a token, its place and its type stand for, summed and normalised.

use super::Tokens;
use super::weights::{Floats, TensorReader};
use crate::config::BertConfig;
use crate::families::Layout;
use akin_kernels::aligned::AlignedFloats;
use akin_kernels::cpu::Isa;
use akin_kernels::gemm::{Epilogue, PackedLinear};
use akin_kernels::layer_norm::LayerNorm;
use akin_kernels::memory::prefer_large_pages;
use akin_kernels::rows::{InputRows, Precision};
use akin_kernels::shared::Shared;

/// The tables that tokens and places are looked up in.
pub(super) struct Embedding {
    /// `[vocabulary, width]`
    words: Words,
    /// `[positions, width]`, the vector of type 0 added. One row, where there are no positions: that vector alone.
    places: Vec<f32>,
    /// `[types, width]`: what the vector of a type differs by from that of type 0. Empty where there are no types.
    types: Vec<f32>,
    norm: Option<LayerNorm>,
    /// From `width` to the width of the hidden states, where it is another.
    projection: Option<PackedLinear>,
    config: BertConfig,
}

/// The table of words: copied out of the model, or as it was kept.
enum Words {
    Own(Vec<f32>),
    Kept(Shared<f32>),
}

impl Embedding {
    /// Takes the tables of a network. `kept` is that of the words, if it was kept.
    pub fn load(
        isa: Isa,
        config: &BertConfig,
        layout: &Layout,
        weights: TensorReader<'_>,
        kept: Option<Shared<f32>>,
    ) -> Result<Self, String> {
        let width = config.form.embedding_size;
        let get = |name: &Option<String>, rows: usize| match name {
            Some(name) => weights.get(name, &[rows, width]),
            None => Ok(Floats::default()),
        };
        let places = get(&layout.positions, config.max_position_embeddings)?;
        let types = get(&layout.types, config.type_vocab_size)?;
        let nothing = vec![0.0; width];
        let first = types.get(..width).unwrap_or(&nothing);
        let places = if places.is_empty() { Floats::Borrowed(&nothing) } else { places };
        let words = match kept {
            Some(words) => Words::Kept(words),
            None => {
                let mut words = copied(weights.get(&layout.words, &[config.vocab_size, width])?);
                if config.form.embedding_scale != 1.0 {
                    words.iter_mut().for_each(|word| *word *= config.form.embedding_scale);
                }
                Words::Own(words)
            }
        };
        let norm = layout.embedding_norm.as_ref().map(|norm| weights.norm(norm, config)).transpose()?;
        let projection = layout.projection.as_ref().map(|linear| weights.linear(linear)).transpose()?;
        let projection = projection.map(|(weight, bias)| {
            let row = |c: usize| &weight[c * width..][..width];
            PackedLinear::pack(isa, Precision::F32, width, config.hidden_size, row, &bias)
        });
        Ok(Self {
            words,
            places: places.iter().zip(first.iter().cycle()).map(|(p, t)| p + t).collect(),
            types: types.iter().zip(first.iter().cycle()).map(|(t, first)| t - first).collect(),
            norm,
            projection,
            config: config.clone(),
        })
    }

    /// The table of words, `[vocabulary, width]`.
    pub fn words(&self) -> &[f32] {
        match &self.words {
            Words::Own(words) => words,
            Words::Kept(words) => words,
        }
    }

    /// The longest sentence there are places for, in tokens.
    pub fn positions(&self) -> usize {
        self.config.positions()
    }

    /// Writes `[tokens, hidden]` of the sentences between `offsets`, boundaries in `batch`. `narrow` is a buffer for
    /// embeddings of another width.
    pub fn apply(
        &self,
        isa: Isa,
        batch: Tokens<'_>,
        offsets: &[usize],
        narrow: &mut AlignedFloats,
        out: &mut [f32],
    ) {
        let Some(projection) = &self.projection else { return self.look_up(isa, batch, offsets, out) };
        let tokens = offsets[offsets.len() - 1] - offsets[0];
        let size = tokens * projection.inner();
        narrow.reserve_len(size);
        self.look_up(isa, batch, offsets, &mut narrow[..size]);
        projection.apply(InputRows::floats(&narrow[..size]), tokens, Epilogue::Store, out);
    }

    /// Writes `[tokens, width]`.
    fn look_up(&self, isa: Isa, batch: Tokens<'_>, offsets: &[usize], out: &mut [f32]) {
        let width = self.config.form.embedding_size;
        self.write_words_and_places(batch.ids, offsets, out);
        if !batch.types.is_empty() && !self.types.is_empty() {
            let types = &batch.types[offsets[0]..offsets[offsets.len() - 1]];
            for (kind, row) in types.iter().zip(out.chunks_exact_mut(width)).filter(|(kind, _)| **kind > 0) {
                let vector = &self.types[*kind as usize * width..][..width];
                row.iter_mut().zip(vector).for_each(|(x, t)| *x += t);
            }
        }
        if let Some(norm) = &self.norm {
            norm.apply_in_place(isa, out);
        }
    }

    fn write_words_and_places(&self, ids: &[u32], offsets: &[usize], out: &mut [f32]) {
        let width = self.config.form.embedding_size;
        let (words, last) = (self.words(), self.places.len() / width - 1);
        let mut rows = out.chunks_exact_mut(width);
        for sentence in offsets.windows(2) {
            let ids = &ids[sentence[0]..sentence[1]];
            let places = self.config.positions_of(ids);
            for ((&id, place), row) in ids.iter().zip(places).zip(&mut rows) {
                let word = &words[id as usize * width..][..width];
                let place = &self.places[place.min(last) * width..][..width];
                for ((x, w), p) in row.iter_mut().zip(word).zip(place) {
                    *x = w + p;
                }
            }
        }
    }
}

/// The numbers of a large table, in large pages where they must be copied.
fn copied(table: Floats<'_>) -> Vec<f32> {
    match table {
        Floats::Owned(table) => table,
        Floats::Borrowed(table) => {
            let mut copy = Vec::with_capacity(table.len());
            prefer_large_pages(copy.spare_capacity_mut());
            copy.extend_from_slice(table);
            copy
        }
    }
}
