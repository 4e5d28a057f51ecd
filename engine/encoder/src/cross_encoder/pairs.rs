//! Pairs of texts to sequences of tokens.

use std::collections::HashMap;
use std::path::PathBuf;

use rayon::prelude::*;
use tokenizers::{Encoding, Tokenizer};

use crate::config::Architecture;
use crate::files::refuse;
use crate::model::ModelDir;
use crate::tokenize::{SentenceTokenizer, prefix_of_words};
use crate::{Error, Result};

/// How many bytes of a text are looked at first for each token that is kept.
const BYTES_PER_TOKEN: usize = 64;

/// Makes one sequence of two texts, no longer than the model reads.
pub(super) struct PairTokenizer {
    tokenizer: Tokenizer,
    path: PathBuf,
    frame: Frame,
    /// Tokens of both texts together, at most.
    room: usize,
    vocab_size: usize,
    keeps_end: bool,
}

/// A pair as the network reads it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PairTokens {
    /// Special tokens included.
    pub ids: Vec<u32>,
    /// Which of the two texts each token is of.
    pub types: Vec<u32>,
}

/// Whether the network is told which of two texts a token is of.
fn reads_types(model: &ModelDir) -> bool {
    match model.config.architecture {
        Architecture::DistilBert | Architecture::MpNet | Architecture::ModernBert => false,
        _ => model.config.type_vocab_size > 0,
    }
}

/// The special tokens around the texts of a pair, and the types of all tokens.
struct Frame {
    before: PairTokens,
    between: PairTokens,
    after: PairTokens,
    types: [u32; 2],
}

/// The tokens of a text, or of a part of it that has as many as a pair may have.
struct TextTokens {
    ids: Vec<u32>,
    is_whole: bool,
}

impl PairTokenizer {
    pub(super) fn load(model: &ModelDir) -> Result<Self> {
        let (mut tokenizer, path, keeps_end) = SentenceTokenizer::load(model)?.into_untruncated();
        model.tokenizer_config.frame_pairs(&mut tokenizer)?;
        let mut frame = Frame::of(&tokenizer).ok_or_else(|| {
            refuse(&path, "its post_processor does not put one text of a pair after the other")
        })?;
        // Some networks of transformers take no types, whatever the tokenizer gives.
        if !model.tokenizer_config.gives_types() || !reads_types(model) {
            frame.give_type_0();
        }
        let known = model.config.type_vocab_size;
        if let Some(kind) = frame.greatest_type().filter(|kind| *kind > 0 && *kind as usize >= known) {
            return Err(refuse(
                &path,
                format!(
                    "its post_processor gives a token the type {kind}, and the model knows {known} types"
                ),
            ));
        }
        let special = frame.before.ids.len() + frame.between.ids.len() + frame.after.ids.len();
        if model.max_tokens <= special {
            return Err(refuse(
                &model.transformer,
                format!(
                    "it reads {} tokens, and {special} of a pair are special: no text fits",
                    model.max_tokens
                ),
            ));
        }
        let room = model.max_tokens - special;
        Ok(Self { tokenizer, path, frame, room, vocab_size: model.config.vocab_size, keeps_end })
    }

    /// Tokenises the pairs on all threads; a text that comes in several of them once.
    pub(super) fn tokenize(&self, pairs: &[(&str, &str)]) -> Result<Vec<PairTokens>> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut texts: Vec<&str> = Vec::new();
        for text in pairs.iter().flat_map(|(first, second)| [*first, *second]) {
            places.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() - 1
            });
        }
        let tokens: Vec<TextTokens> = texts.par_iter().map(|text| self.read(text)).collect::<Result<_>>()?;
        let pair = |(first, second): &(&str, &str)| {
            self.join([first, second], [&tokens[places[first]], &tokens[places[second]]])
        };
        pairs.iter().map(pair).collect()
    }

    /// The sequence of a pair.
    fn join(&self, texts: [&str; 2], tokens: [&TextTokens; 2]) -> Result<PairTokens> {
        let mut lengths = tokens.map(|tokens| tokens.ids.len());
        // Where both lose tokens, the longer one keeps one more: only then their whole lengths count.
        if lengths.iter().all(|length| *length > self.room / 2) {
            for side in 0..2 {
                if !tokens[side].is_whole {
                    lengths[side] = self.encode(texts[side])?.len();
                }
            }
        }
        let kept = longest_first(lengths, self.room);
        let [first, second] = [0, 1].map(|side| {
            let ids = &tokens[side].ids;
            if self.keeps_end { &ids[ids.len() - kept[side]..] } else { &ids[..kept[side]] }
        });
        Ok(self.frame.around(first, second))
    }

    /// The tokens of a text. Of one that is far too long, no more than a pair may have: the words of a prefix that ends
    /// at white space have the same tokens in the prefix as in the text.
    fn read(&self, text: &str) -> Result<TextTokens> {
        let mut length = if self.keeps_end { usize::MAX } else { self.room.saturating_mul(BYTES_PER_TOKEN) };
        loop {
            let prefix = prefix_of_words(text, length);
            let (ids, is_whole) = (self.encode(prefix)?, prefix.len() == text.len());
            if is_whole || ids.len() >= self.room {
                return Ok(TextTokens { ids, is_whole });
            }
            length = length.saturating_mul(4);
        }
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|error| {
            Error::Invalid(format!("the tokenizer {} refuses a text: {error}", self.path.display()))
        })?;
        let ids = encoding.get_ids().to_vec();
        match ids.iter().find(|id| **id as usize >= self.vocab_size) {
            Some(id) => Err(refuse(
                &self.path,
                format!("the tokenizer gave the token {id}, and the model knows {}", self.vocab_size),
            )),
            None => Ok(ids),
        }
    }
}

impl Frame {
    /// What `tokenizer` puts around a pair; none if it does not keep the order of the texts.
    fn of(tokenizer: &Tokenizer) -> Option<Self> {
        let [first, second] = ["a", "b"].map(|text| tokenizer.encode(text, false).ok());
        let (first, second) = (first?, second?);
        let (ids, others) = (first.get_ids().to_vec(), second.get_ids().to_vec());
        if ids.is_empty() || others.is_empty() {
            return None;
        }
        let pair = tokenizer.post_process(first, Some(second), true).ok()?;
        let text = |at: &usize| pair.get_special_tokens_mask().get(*at) == Some(&0);
        let from = (0..pair.len()).find(text)?;
        let to = from + ids.len();
        let from_other = (to..pair.len()).find(text)?;
        let to_other = from_other + others.len();
        let is_frame = pair.get_ids().get(from..to) == Some(&ids[..])
            && pair.get_ids().get(from_other..to_other) == Some(&others[..])
            && (to_other..pair.len()).all(|at| !text(&at));
        is_frame.then(|| Self {
            before: part(&pair, 0..from),
            between: part(&pair, to..from_other),
            after: part(&pair, to_other..pair.len()),
            types: [from, from_other].map(|at| pair.get_type_ids()[at]),
        })
    }

    fn give_type_0(&mut self) {
        self.types = [0; 2];
        for part in [&mut self.before, &mut self.between, &mut self.after] {
            part.types.fill(0);
        }
    }

    fn greatest_type(&self) -> Option<u32> {
        let parts = [&self.before, &self.between, &self.after];
        parts.iter().flat_map(|part| &part.types).chain(&self.types).copied().max()
    }

    fn around(&self, first: &[u32], second: &[u32]) -> PairTokens {
        let mut tokens = self.before.clone();
        let [type_of_first, type_of_second] = self.types;
        tokens.extend(first, std::iter::repeat_n(type_of_first, first.len()));
        tokens.extend(&self.between.ids, self.between.types.iter().copied());
        tokens.extend(second, std::iter::repeat_n(type_of_second, second.len()));
        tokens.extend(&self.after.ids, self.after.types.iter().copied());
        tokens
    }
}

impl PairTokens {
    fn extend(&mut self, ids: &[u32], types: impl Iterator<Item = u32>) {
        self.ids.extend_from_slice(ids);
        self.types.extend(types);
    }
}

fn part(pair: &Encoding, range: std::ops::Range<usize>) -> PairTokens {
    PairTokens { ids: pair.get_ids()[range.clone()].to_vec(), types: pair.get_type_ids()[range].to_vec() }
}

/// How many tokens of two texts are kept where there is room for so many: the longer one loses tokens first, and where
/// both do each keeps half, the longer one the odd token (`longest_first` of transformers).
pub fn longest_first(lengths: [usize; 2], room: usize) -> [usize; 2] {
    let [first, second] = lengths;
    if first + second <= room {
        return lengths;
    }
    let (shorter, half) = (first.min(second), room / 2);
    let (less, more) = if shorter <= half { (shorter, room - shorter) } else { (half, room - half) };
    if first > second { [more, less] } else { [less, more] }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::utils::truncation::truncate_encodings;
    use tokenizers::{TruncationDirection, TruncationParams, TruncationStrategy};

    use super::*;

    fn encoding(length: usize) -> Encoding {
        Encoding::from_tokens(vec![tokenizers::Token::new(0, String::new(), (0, 0)); length], 0)
    }

    proptest! {
        #[test]
        fn as_many_tokens_are_kept_as_by_the_tokenizers_library(
            first in 0usize..40,
            second in 0usize..40,
            room in 1usize..60,
        ) {
            let params = TruncationParams {
                max_length: room,
                strategy: TruncationStrategy::LongestFirst,
                direction: TruncationDirection::Right,
                stride: 0,
            };
            let (a, b) = truncate_encodings(encoding(first), Some(encoding(second)), &params).unwrap();
            let expected = [a.len(), b.map_or(0, |b| b.len())];
            prop_assert_eq!(longest_first([first, second], room), expected);
        }
    }
}
