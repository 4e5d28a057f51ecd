//! Inference on processors, for the networks of all families (`families`).
//!
//! The sentences of a batch lie end to end in one matrix, `[tokens, hidden]`, so that nothing is
//! padded; attention looks at one sentence at a time. They are cut into groups small enough for the
//! activations to stay in a core's own cache, and each thread takes a whole group through all layers:
//! threads never wait for one another, and products of matrices stay in one thread (`group`). Only where
//! there is a single group, such as a query, do threads share its layers (`team`).

mod balance;
mod disentangled;
mod embedding;
mod group;
mod kept;
mod layer;
mod network;
mod parts;
#[cfg(test)]
mod reference;
mod team;
mod weights;

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use self::embedding::Embedding;
use self::group::Group;
use self::kept::Kept;
use self::layer::Layer;
pub(crate) use self::network::CpuNetwork;
use self::parts::{Packing, Positions};
use self::team::Team;
pub(crate) use self::weights::{TensorReader, floats};
use crate::config::BertConfig;
use crate::families::Layout;
use crate::weights::PackedPlace;
use crate::{Error, Result};
use akin_kernels::cpu::Isa;
use akin_kernels::layer_norm::LayerNorm;
use akin_kernels::rows::Precision;

/// Tokens in a group, unless one sentence has more. Fewer, and the weights of all layers, which come
/// from memory once a group, cost more; many more, and the activations leave the second-level cache.
const GROUP_TOKENS: usize = 128;

/// The tokens of some sentences, end to end.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    pub ids: &'a [u32],
    /// The type of each token: which of two texts it is of. Empty where every token has type 0.
    pub types: &'a [u32],
}

impl<'a> From<&'a [u32]> for Tokens<'a> {
    fn from(ids: &'a [u32]) -> Self {
        Self { ids, types: &[] }
    }
}

/// A network with its weights packed for this processor.
pub(crate) struct CpuBert {
    isa: Isa,
    precision: Precision,
    config: BertConfig,
    embedding: Embedding,
    /// Each set of weights.
    layers: Vec<Layer>,
    /// Which set each layer has.
    order: Vec<usize>,
    /// Of the last hidden states.
    final_norm: Option<LayerNorm>,
    /// Those that no thread is using now.
    idle_groups: Mutex<Vec<Group>>,
    idle_teams: Mutex<Vec<Team>>,
}

impl CpuBert {
    /// Takes the network's weights from the tensors that `layout` names, each after `prefix`. They are packed, unless they
    /// are found in `place`, and kept there then.
    ///
    /// # Errors
    /// A sentence that names the tensor that is missing or of another shape or type.
    pub fn load(
        config: &BertConfig,
        layout: &Layout,
        weights: TensorReader<'_>,
        (isa, precision): (Isa, Precision),
        place: Option<&PackedPlace<'_>>,
    ) -> std::result::Result<Self, String> {
        let packing = Packing { isa, precision };
        let file = place.and_then(PackedPlace::open);
        let kept = file.and_then(|file| Kept::read(packing, config, layout, &file));
        let is_kept = kept.is_some();
        let bert = Self::load_for(packing, config, layout, weights, kept)?;
        if let Some(place) = place.filter(|_| !is_kept) {
            place.write(&Kept::sections(&bert));
        }
        Ok(bert)
    }

    fn load_for(
        packing: Packing,
        config: &BertConfig,
        layout: &Layout,
        weights: TensorReader<'_>,
        kept: Option<Kept>,
    ) -> std::result::Result<Self, String> {
        let (words, mut sublayers) = match kept {
            Some(Kept { words, layers }) => (Some(words), layers.into_iter().map(Some).collect()),
            None => (None, Vec::new()),
        };
        sublayers.resize_with(layout.layers.len(), || None);
        let learned = weights.buckets(config, layout)?;
        let positions = Positions::of_layers(config, layout.layers.len(), &learned);
        let (embedding, layers) = rayon::join(
            || Embedding::load(packing.isa, config, layout, weights, words),
            || {
                let load = |(set, kept): (usize, _)| {
                    Layer::load(packing, config, weights, layout, set, &positions[set], kept)
                };
                sublayers.into_par_iter().enumerate().map(load).collect::<Vec<_>>()
            },
        );
        let order = match config.form.shared.is_empty() {
            true => (0..layout.layers.len()).collect(),
            false => config.form.shared.clone(),
        };
        let final_norm = layout.final_norm.as_ref().map(|norm| weights.norm(norm, config)).transpose()?;
        Ok(Self {
            isa: packing.isa,
            precision: packing.precision,
            config: config.clone(),
            embedding: embedding?,
            layers: layers.into_iter().collect::<std::result::Result<_, String>>()?,
            order,
            final_norm,
            idle_groups: Mutex::default(),
            idle_teams: Mutex::default(),
        })
    }

    /// The last hidden state of every token, `[tokens, hidden]`. Sentence `i` has the tokens in
    /// `offsets[i]..offsets[i + 1]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a token outside the vocabulary or a sentence longer than the model's
    /// positions.
    pub fn forward<'a>(&self, tokens: impl Into<Tokens<'a>>, offsets: &[usize]) -> Result<Vec<f32>> {
        let width = self.config.hidden_size;
        self.run(
            tokens.into(),
            offsets,
            |sentences| (offsets[sentences.end] - offsets[sentences.start]) * width,
            |_, hidden, out| out.copy_from_slice(hidden),
        )
    }

    /// A vector of `length` floats for every sentence, `[sentences, length]`: `pool` makes it from the last hidden states
    /// of the sentence's tokens, `[tokens, hidden]`, while they are in cache.
    ///
    /// # Errors
    /// As [`CpuBert::forward`].
    pub fn embed<'a>(
        &self,
        tokens: impl Into<Tokens<'a>>,
        offsets: &[usize],
        length: usize,
        pool: &(dyn Fn(&[f32], &mut [f32]) + Sync),
    ) -> Result<Vec<f32>> {
        let width = self.config.hidden_size;
        self.run(
            tokens.into(),
            offsets,
            |sentences| sentences.len() * length,
            |sentences, hidden, out| {
                let first = offsets[sentences.start];
                for (sentence, out) in sentences.zip(out.chunks_exact_mut(length)) {
                    let (from, to) = (offsets[sentence] - first, offsets[sentence + 1] - first);
                    pool(&hidden[from * width..to * width], out);
                }
            },
        )
    }

    /// The last hidden state of the first token of every sentence, `[sentences, hidden]`.
    ///
    /// # Errors
    /// As [`CpuBert::forward`], and for a sentence without a token.
    pub fn first_tokens<'a>(&self, tokens: impl Into<Tokens<'a>>, offsets: &[usize]) -> Result<Vec<f32>> {
        if offsets.windows(2).any(|sentence| sentence[0] == sentence[1]) {
            return Err(Error::Invalid("a sentence without a token has no first one".into()));
        }
        let width = self.config.hidden_size;
        let tokens = tokens.into();
        self.check(tokens, offsets)?;
        self.each_group(
            offsets,
            |sentences| sentences.len() * width,
            |group, sentences, out| {
                out.copy_from_slice(group.forward_first(
                    self,
                    tokens,
                    &offsets[sentences.start..=sentences.end],
                ));
            },
            |team, sentences, out| {
                team.forward(self, tokens, offsets, |hidden| {
                    for (sentence, row) in sentences.zip(out.chunks_exact_mut(width)) {
                        row.copy_from_slice(&hidden[offsets[sentence] * width..][..width]);
                    }
                });
            },
        )
    }

    /// Takes every group of sentences through the layers, and lets `finish` write what the hidden
    /// states of a group's sentences become into its part of the output, `output_len` long.
    fn run(
        &self,
        tokens: Tokens<'_>,
        offsets: &[usize],
        output_len: impl Fn(&Range<usize>) -> usize,
        finish: impl Fn(Range<usize>, &[f32], &mut [f32]) + Sync,
    ) -> Result<Vec<f32>> {
        self.check(tokens, offsets)?;
        self.each_group(
            offsets,
            output_len,
            |group, sentences, out| {
                let hidden = group.forward(self, tokens, &offsets[sentences.start..=sentences.end]);
                finish(sentences, hidden, out);
            },
            |team, sentences, out| {
                team.forward(self, tokens, offsets, |hidden| finish(sentences, hidden, out));
            },
        )
    }

    /// Cuts the sentences into groups. Each of them writes its part of the output in one thread, or all threads write that
    /// of the only group.
    fn each_group(
        &self,
        offsets: &[usize],
        output_len: impl Fn(&Range<usize>) -> usize,
        in_one_thread: impl Fn(&mut Group, Range<usize>, &mut [f32]) + Sync,
        in_all_threads: impl FnOnce(&mut Team, Range<usize>, &mut [f32]),
    ) -> Result<Vec<f32>> {
        let groups = groups(offsets, GROUP_TOKENS, rayon::current_num_threads());
        let mut output = vec![0.0; groups.iter().map(&output_len).sum()];
        let mut rest = &mut output[..];
        let mut parts = Vec::with_capacity(groups.len());
        for group in groups {
            let (part, after) = rest.split_at_mut(output_len(&group));
            parts.push((group, part));
            rest = after;
        }
        if rayon::current_num_threads() > 1
            && let [(sentences, out)] = &mut parts[..]
        {
            let mut team = take(&self.idle_teams);
            in_all_threads(&mut team, sentences.clone(), out);
            give_back(&self.idle_teams, team);
            return Ok(output);
        }
        parts.into_par_iter().with_max_len(1).for_each(|(sentences, out)| {
            let mut group = take(&self.idle_groups);
            in_one_thread(&mut group, sentences, out);
            give_back(&self.idle_groups, group);
        });
        Ok(output)
    }

    fn check(&self, tokens: Tokens<'_>, offsets: &[usize]) -> Result<()> {
        let Tokens { ids, types } = tokens;
        let invalid = |reason: String| Err(Error::Invalid(reason));
        if offsets.first() != Some(&0) || offsets.last() != Some(&ids.len()) || !offsets.is_sorted() {
            return invalid("the sentences' offsets must rise from 0 to the number of tokens".into());
        }
        let (vocabulary, positions) = (self.config.vocab_size, self.embedding.positions());
        if let Some(id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
            return invalid(format!("the tokenizer gave the token {id}, and the model knows {vocabulary}"));
        }
        let known = self.config.type_vocab_size;
        if let Some(kind) = types.iter().find(|&&kind| kind as usize >= known) {
            return invalid(format!(
                "the tokenizer gave a token the type {kind}, and the model knows {known}"
            ));
        }
        if !types.is_empty() && types.len() != ids.len() {
            return invalid("there must be as many token types as tokens".into());
        }
        if let Some(long) = offsets.windows(2).find(|o| o[1] - o[0] > positions) {
            let tokens = long[1] - long[0];
            return invalid(format!("a text of {tokens} tokens, and the model has {positions} positions"));
        }
        Ok(())
    }
}

fn take<T: Default>(idle: &Mutex<Vec<T>>) -> T {
    idle.lock().expect("no thread panics with the lock").pop().unwrap_or_default()
}

fn give_back<T>(idle: &Mutex<Vec<T>>, scratch: T) {
    idle.lock().expect("no thread panics with the lock").push(scratch);
}

/// Cuts the sentences into consecutive groups of about `most` tokens: as few as are a multiple of the
/// number of threads, so that all end at about the same time.
fn groups(offsets: &[usize], most: usize, threads: usize) -> Vec<Range<usize>> {
    let (sentences, tokens) = (offsets.len() - 1, offsets[offsets.len() - 1]);
    let count = tokens.div_ceil(most).next_multiple_of(threads.max(1)).max(1);
    let size = tokens.div_ceil(count).max(1);
    let mut groups = Vec::with_capacity(count);
    let mut start = 0;
    for end in 1..=sentences {
        let held = offsets[end] - offsets[start];
        let next = if end < sentences { offsets[end + 1] - offsets[end] } else { most };
        // Where the group would end nearer to the wanted size without the next sentence than with it.
        if end == sentences || held + next / 2 >= size || held + next > most {
            groups.push(start..end);
            start = end;
        }
    }
    groups
}

#[cfg(test)]
mod tests;
