//! Texts to token ids; `ids` goes back, and `word_pieces` tells what a vocabulary lacks.

mod ids;
mod word_pieces;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rayon::prelude::*;
use tokenizers::{PostProcessor, Tokenizer, TruncationDirection, TruncationParams};

pub use self::word_pieces::WordPieces;
use crate::files::refuse;
use crate::model_dir::ModelDir;
use crate::tokenizer_config::lower_case;
use crate::tokenizer_files::TokenizerFile;
use crate::{Error, Result};

/// How many bytes of a text are looked at first for each token that is kept.
const BYTES_PER_TOKEN: usize = 64;

/// Bytes of a long text that are cut into tokens by one thread at a time.
const BLOCK_BYTES: usize = 32 << 10;

/// The tokenizer of a model: cuts texts to ids, no more than the model reads.
pub struct SentenceTokenizer {
    tokenizer: Tokenizer,
    /// The same without truncation, once it was needed: it is as large as the vocabulary.
    whole: OnceLock<Tokenizer>,
    path: PathBuf,
    max_tokens: usize,
    vocab_size: usize,
    /// Which end of a text that is too long is left out.
    side: TruncationDirection,
    /// Whether special tokens stand around a text.
    frames: bool,
    /// Special tokens that may end a text.
    special_ids: Vec<u32>,
    changes: String,
}

/// One text as the network reads it.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Special tokens included.
    pub ids: Vec<u32>,
    /// Whether the text was longer.
    pub truncated: bool,
}

/// A token, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its number in the vocabulary.
    pub id: u32,
    /// Itself, as the vocabulary has it.
    pub token: String,
    /// Whether it stands for nothing in the text.
    pub special: bool,
    /// Its bytes in the text.
    pub span: Range<usize>,
}

/// What an encoder asks of the tokenizer of its model.
pub(crate) trait TextTokenizer {
    /// As [`SentenceTokenizer::tokenize`].
    fn tokenize(&self, texts: &[&str]) -> Result<Vec<Tokens>>;
    /// As [`SentenceTokenizer::token_starts`].
    fn token_starts(&self, text: &str) -> Result<Vec<usize>>;
    /// As [`SentenceTokenizer::pieces`].
    fn pieces(&self, text: &str, special: bool) -> Result<Vec<Piece>>;
    /// As [`SentenceTokenizer::decode`].
    fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String>;
    /// As [`SentenceTokenizer::text_of`].
    fn text_of(&self, ids: &[u32]) -> Result<Option<String>>;
}

impl TextTokenizer for SentenceTokenizer {
    fn tokenize(&self, texts: &[&str]) -> Result<Vec<Tokens>> {
        Self::tokenize(self, texts)
    }

    fn token_starts(&self, text: &str) -> Result<Vec<usize>> {
        Self::token_starts(self, text)
    }

    fn pieces(&self, text: &str, special: bool) -> Result<Vec<Piece>> {
        Self::pieces(self, text, special)
    }

    fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        Self::decode(self, ids, skip_special)
    }

    fn text_of(&self, ids: &[u32]) -> Result<Option<String>> {
        Self::text_of(self, ids)
    }
}

impl SentenceTokenizer {
    /// Reads `tokenizer.json`, and changes it as the settings beside it say.
    ///
    /// # Errors
    /// [`Error::Model`] when it is missing, cannot be read or does not fit the network.
    pub fn load(model: &ModelDir) -> Result<Self> {
        let file = TokenizerFile::find(&model.transformer);
        let tokenizer = file.load()?;
        model.tokenizer_config.check_vocabulary(&file, &tokenizer)?;
        let path = file.path().to_path_buf();
        // A file of its own has its side among its settings; those of `tokenizer_config.json` count more.
        let written = tokenizer.get_truncation().map_or(TruncationDirection::Right, |found| found.direction);
        let side = model.tokenizer_config.truncation_side()?.unwrap_or(written);
        let is_whole_model = file.is_whole_model(&tokenizer);
        let (mut tokenizer, mut changes) = model.tokenizer_config.apply(tokenizer)?;
        if is_whole_model {
            model.tokenizer_config.frame_whole_model(&mut tokenizer, &mut changes)?;
        }
        if side == TruncationDirection::Left {
            changes += " truncation_side left";
        }
        if model.lower_case {
            lower_case(&mut tokenizer)
                .map_err(|error| refuse(&path, format!("it cannot lower-case texts: {error}")))?;
        }
        let special_ids = model.tokenizer_config.special_ids(&tokenizer);
        check_vocabulary(&tokenizer, &path, model.config.vocab_size)?;
        let special = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
        if model.max_tokens <= special {
            return Err(refuse(
                &model.transformer,
                format!(
                    "max_seq_length is {}, and {special} of it are special tokens: no text fits",
                    model.max_tokens
                ),
            ));
        }
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(Some(TruncationParams {
                max_length: model.max_tokens,
                direction: side,
                ..Default::default()
            }))
            .map_err(|error| refuse(&path, format!("it cannot truncate to max_seq_length: {error}")))?;
        if model.config.reads_types() {
            refuse_types(&tokenizer, &path)?;
        }
        let (max_tokens, vocab_size) = (model.max_tokens, model.config.vocab_size);
        let whole = OnceLock::new();
        let loaded =
            Self { tokenizer, whole, path, max_tokens, vocab_size, side, frames: true, special_ids, changes };
        // The special tokens around every text must have embeddings.
        loaded.tokenize_whole("")?;
        Ok(loaded)
    }

    /// A tokenizer as its file has it, without special tokens around a text, cut after `max_tokens`.
    pub(crate) fn plain(
        tokenizer: Tokenizer,
        path: PathBuf,
        vocab_size: usize,
        max_tokens: Option<usize>,
    ) -> Result<Self> {
        let mut tokenizer = tokenizer;
        check_vocabulary(&tokenizer, &path, vocab_size)?;
        let side = tokenizer.get_truncation().map_or(TruncationDirection::Right, |found| found.direction);
        tokenizer.with_padding(None);
        let truncation = max_tokens.map(|max_length| TruncationParams {
            max_length,
            direction: side,
            ..Default::default()
        });
        tokenizer
            .with_truncation(truncation)
            .map_err(|error| refuse(&path, format!("it cannot truncate as it says: {error}")))?;
        Ok(Self {
            tokenizer,
            whole: OnceLock::new(),
            path,
            max_tokens: max_tokens.unwrap_or(usize::MAX),
            vocab_size,
            side,
            frames: false,
            special_ids: Vec::new(),
            changes: String::new(),
        })
    }

    /// The tokenizer itself.
    pub(crate) fn inner(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The longest text that is read whole, in tokens.
    pub(crate) fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// The tokenizer without truncation, the path of its file, and whether the end of a text that is too long is kept.
    pub(crate) fn into_untruncated(self) -> (Tokenizer, PathBuf, bool) {
        let mut tokenizer = self.tokenizer;
        // None cannot be refused.
        let _ = tokenizer.with_truncation(None);
        (tokenizer, self.path, self.side == TruncationDirection::Left)
    }

    /// What the settings of the model changed of `tokenizer.json`, in one line; empty for most models.
    pub fn changes(&self) -> &str {
        &self.changes
    }

    /// How many tokens stand for `prompt` at the beginning of a text that begins with it, special tokens included.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the tokenizer refuses it.
    pub fn prompt_tokens(&self, prompt: &str) -> Result<usize> {
        let ids = self.tokenize_whole(prompt)?.ids;
        let ends = ids.last().is_some_and(|last| self.special_ids.contains(last));
        Ok(ids.len() - usize::from(ends))
    }

    /// Where each token of the whole text begins, in bytes and in order, without special tokens.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the tokenizer refuses it.
    pub fn token_starts(&self, text: &str) -> Result<Vec<usize>> {
        let mut blocks = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let block = match prefix_of_words(rest, BLOCK_BYTES) {
                // A word without an end is cut, so that every thread has a part of it.
                word if word.len() > BLOCK_BYTES => &rest[..rest.floor_char_boundary(BLOCK_BYTES)],
                block => block,
            };
            blocks.push((at, block));
            at += block.len();
        }
        let starts: Result<Vec<_>> =
            blocks.into_par_iter().map(|(at, block)| self.token_starts_of_block(at, block)).collect();
        Ok(starts?.concat())
    }

    /// The same for a part of a text, which begins at byte `at`.
    fn token_starts_of_block(&self, at: usize, block: &str) -> Result<Vec<usize>> {
        let encoding = self.untruncated().encode(block, false).map_err(|error| self.refuses(&*error))?;
        Ok(encoding.get_offsets().iter().map(|(start, _)| at + start).collect())
    }

    /// The tokens of a text with their places, as many as the model reads; with or without those that every text gets.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the tokenizer refuses it.
    pub fn pieces(&self, text: &str, special: bool) -> Result<Vec<Piece>> {
        let encoding = self.tokenizer.encode(text, special).map_err(|error| self.refuses(&*error))?;
        let tokens = encoding.get_ids().iter().zip(encoding.get_tokens());
        let places = encoding.get_special_tokens_mask().iter().zip(encoding.get_offsets());
        let pieces = tokens.zip(places).map(|((id, token), (special, (start, end)))| Piece {
            id: *id,
            token: token.clone(),
            special: *special == 1,
            span: *start..*end,
        });
        Ok(pieces.collect())
    }

    /// Tokenises `texts` on all threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the tokenizer refuses a text.
    pub fn tokenize(&self, texts: &[&str]) -> Result<Vec<Tokens>> {
        match texts {
            // A query does not wait for threads that encode.
            [text] => Ok(vec![self.tokenize_one(text)?]),
            texts => texts.par_iter().map(|text| self.tokenize_one(text)).collect(),
        }
    }

    /// Tokenises one text. One far longer than the model reads is looked at only as far as needed: the words of a prefix
    /// that ends at white space have the same tokens in the prefix as in the text.
    pub(crate) fn tokenize_one(&self, text: &str) -> Result<Tokens> {
        if self.side == TruncationDirection::Left {
            return self.tokenize_whole(text);
        }
        let mut length = self.max_tokens.saturating_mul(BYTES_PER_TOKEN);
        loop {
            let prefix = prefix_of_words(text, length);
            let tokens = self.tokenize_whole(prefix)?;
            if prefix.len() == text.len() || tokens.truncated {
                return Ok(tokens);
            }
            length = length.saturating_mul(4);
        }
    }

    fn tokenize_whole(&self, text: &str) -> Result<Tokens> {
        let encoding =
            self.tokenizer.encode_fast(text, self.frames).map_err(|error| self.refuses(&*error))?;
        let ids = encoding.get_ids().to_vec();
        match ids.iter().find(|id| **id as usize >= self.vocab_size) {
            Some(id) => Err(does_not_fit(&self.path, *id as usize + 1, self.vocab_size)),
            None => Ok(Tokens { ids, truncated: !encoding.get_overflowing().is_empty() }),
        }
    }

    fn refuses(&self, error: &dyn std::error::Error) -> Error {
        Error::Invalid(format!("the tokenizer {} refuses a text: {error}", self.path.display()))
    }
}

/// Refuses a vocabulary that is larger than the table of the model. A token that was added to it beyond the table is
/// refused in a text that has it.
fn check_vocabulary(tokenizer: &Tokenizer, path: &Path, vocab_size: usize) -> Result<()> {
    let own = tokenizer.get_vocab_size(false);
    if own > vocab_size {
        return Err(does_not_fit(path, own, vocab_size));
    }
    let added = tokenizer.get_added_tokens_decoder();
    if let Some(token) = added.iter().find_map(|(id, token)| (*id as usize >= vocab_size).then_some(token)) {
        tracing::warn!(
            "{}: the model has no embedding for the added token {:?}: a text that has it cannot be encoded",
            path.display(),
            token.content
        );
    }
    Ok(())
}

fn does_not_fit(path: &Path, tokens: usize, vocab_size: usize) -> Error {
    refuse(
        path,
        format!(
            "the tokenizer does not fit the model: it has {tokens} tokens, and the model's embeddings {vocab_size} (vocab_size in config.json)"
        ),
    )
}

/// Refuses a tokenizer that gives tokens another type than 0, the only one that the network is given.
fn refuse_types(tokenizer: &Tokenizer, path: &Path) -> Result<()> {
    let types = tokenizer.encode_fast("a", true).map(|text| text.get_type_ids().to_vec()).unwrap_or_default();
    match types.iter().find(|kind| **kind != 0) {
        None => Ok(()),
        Some(kind) => Err(refuse(
            path,
            format!("its post_processor gives a token the type {kind}, and Akin gives each token type 0"),
        )),
    }
}

/// The longest prefix of at most `length` bytes that ends before white space; the whole text where
/// there is none.
pub(crate) fn prefix_of_words(text: &str, length: usize) -> &str {
    if text.len() <= length {
        return text;
    }
    match text[..text.floor_char_boundary(length)].rfind(char::is_whitespace) {
        Some(end) if end > 0 => &text[..end],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_white_space() {
        assert_eq!(prefix_of_words("one two three", 9), "one two");
        assert_eq!(prefix_of_words("one two", 100), "one two");
        assert_eq!(prefix_of_words("é é é", 4), "é");
        assert_eq!(prefix_of_words("onewordonly", 4), "onewordonly");
    }
}
