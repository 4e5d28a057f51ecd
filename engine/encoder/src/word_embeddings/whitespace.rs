//! Texts cut at white space into the words of a list, as `WhitespaceTokenizer` of sentence-transformers does.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use crate::files::{read_file, refuse};
use crate::tokenize::{Piece, TextTokenizer, Tokens};
use crate::{Error, Result};

/// Cuts texts into known words.
pub(crate) struct WhitespaceTokenizer {
    /// The row of each word.
    words: HashMap<String, u32>,
    /// Words that are left out.
    stop_words: HashSet<String>,
    lower_case: bool,
    max_tokens: usize,
}

/// The settings as they are written. sentence-transformers refuses a key that it does not know, too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    vocab: Vec<String>,
    stop_words: HashSet<String>,
    #[serde(default)]
    do_lower_case: bool,
}

/// What a word of a text is.
enum Found {
    Word(u32),
    StopWord,
    Nothing,
}

impl WhitespaceTokenizer {
    /// Reads the settings, for a table of so many rows. Returns their bytes too.
    pub(super) fn read(path: &Path, rows: usize, max_tokens: usize) -> Result<(Self, Vec<u8>)> {
        let bytes = read_file(path)?;
        let settings: Settings = serde_json::from_slice(&bytes)
            .map_err(|error| refuse(path, format!("not the JSON that belongs here: {error}")))?;
        let Settings { vocab, stop_words, do_lower_case: lower_case } = settings;
        let count = vocab.len();
        if count > rows || u32::try_from(count).is_err() {
            let reason = format!(
                "the tokenizer does not fit the model: it has {count} words, and the model {rows} vectors"
            );
            return Err(refuse(path, reason));
        }
        // Of equal words the last counts.
        let words = vocab.into_iter().zip(0..).collect();
        Ok((Self { words, stop_words, lower_case, max_tokens }, bytes))
    }

    /// The most words of a text that are read.
    pub(crate) fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// The words of a text that are read.
    pub(super) fn cut(&self, text: &str) -> Tokens {
        let mut known = self.known(text);
        let ids = known.by_ref().take(self.max_tokens).map(|(id, _)| id).collect();
        Tokens { ids, truncated: known.next().is_some() }
    }

    /// The row and the place of each known word of a text.
    fn known<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (u32, Range<usize>)> + 'a {
        let parts = text.split(is_space).filter(|part| !part.is_empty());
        parts.filter_map(move |part| {
            let (id, word) = self.word(part)?;
            // Both lie in the text.
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            Some((id, start..start + word.len()))
        })
    }

    /// The row of what stands between spaces, and the part of it that is the word: as it is, without the punctuation
    /// around it, or without and in lower case.
    fn word<'a>(&self, part: &'a str) -> Option<(u32, &'a str)> {
        let lowered;
        let written: &str = match self.lower_case {
            true => {
                lowered = part.to_lowercase();
                &lowered
            }
            false => part,
        };
        match self.find(written) {
            Found::Word(id) => return Some((id, part)),
            Found::StopWord => return None,
            Found::Nothing => {}
        }
        let is_punctuation = |c: char| c.is_ascii_punctuation();
        let (bare, place) = (written.trim_matches(is_punctuation), part.trim_matches(is_punctuation));
        match self.find(bare) {
            // What is nothing but punctuation is looked up in the last step alone.
            Found::Word(id) if !bare.is_empty() => return Some((id, place)),
            Found::StopWord => return None,
            Found::Word(_) | Found::Nothing => {}
        }
        match self.find(&bare.to_lowercase()) {
            Found::Word(id) => Some((id, place)),
            Found::StopWord | Found::Nothing => None,
        }
    }

    fn find(&self, word: &str) -> Found {
        match self.words.get(word) {
            _ if self.stop_words.contains(word) => Found::StopWord,
            Some(id) => Found::Word(*id),
            None => Found::Nothing,
        }
    }

    /// The words of these rows.
    fn words_of(&self, ids: &[u32]) -> Result<Vec<&str>> {
        let wanted: HashSet<u32> = ids.iter().copied().collect();
        let words = self.words.iter().filter(|(_, id)| wanted.contains(id));
        let words: HashMap<u32, &str> = words.map(|(word, id)| (*id, word.as_str())).collect();
        let word = |id: &u32| {
            let unknown = || Error::Invalid(format!("the model has no token with the id {id}"));
            words.get(id).copied().ok_or_else(unknown)
        };
        ids.iter().map(word).collect()
    }
}

impl TextTokenizer for WhitespaceTokenizer {
    fn tokenize(&self, texts: &[&str]) -> Result<Vec<Tokens>> {
        Ok(texts.iter().map(|text| self.cut(text)).collect())
    }

    fn token_starts(&self, text: &str) -> Result<Vec<usize>> {
        Ok(self.known(text).map(|(_, span)| span.start).collect())
    }

    fn pieces(&self, text: &str, _: bool) -> Result<Vec<Piece>> {
        let known: Vec<(u32, Range<usize>)> = self.known(text).take(self.max_tokens).collect();
        let ids: Vec<u32> = known.iter().map(|(id, _)| *id).collect();
        let words = self.words_of(&ids)?;
        let pieces = known.into_iter().zip(words);
        Ok(pieces
            .map(|((id, span), word)| Piece { id, token: word.to_owned(), special: false, span })
            .collect())
    }

    fn decode(&self, ids: &[u32], _: bool) -> Result<String> {
        Ok(self.words_of(ids)?.join(" "))
    }

    fn text_of(&self, ids: &[u32]) -> Result<Option<String>> {
        let text = self.words_of(ids)?.join(" ");
        let again: Vec<u32> = self.known(&text).map(|(id, _)| id).collect();
        Ok((again == ids).then_some(text))
    }
}

/// White space as Python has it: the four separators of ASCII are among it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
