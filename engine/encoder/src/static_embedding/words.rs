//! A short cut to the tokens of plain texts: ASCII, cut into words at white space and punctuation, and word pieces of them.
//!
//! The tokenizers of most static models are BERT's. For a text of ASCII their work is simple, and the words of a language
//! are few: the pieces of each word are kept. Any other text, and any other tokenizer, goes the long way.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicU64, Ordering};

use tokenizers::{Model, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

/// The most words that a thread remembers.
const MOST_WORDS: usize = 1 << 16;

/// The longest word that is remembered, in bytes. Longer words are no words of a language.
const LONGEST_WORD: usize = 48;

/// Cuts plain texts into word pieces.
pub(super) struct WordCutter {
    model: ModelWrapper,
    lower_case: bool,
    /// The bytes that an added token may begin with: a text that has one goes the long way.
    begins_token: [bool; 128],
    /// Tells the words of one model from those of another.
    number: u64,
}

thread_local! {
    static WORDS: RefCell<Remembered> = RefCell::default();
}

/// The pieces of words that a thread has cut.
#[derive(Default)]
struct Remembered {
    model: u64,
    pieces: HashMap<Box<str>, Box<[u32]>, BuildHasherDefault<WordHasher>>,
    /// The word at hand, in lower case.
    word: String,
}

impl WordCutter {
    /// For a tokenizer, if it is one that this knows, and each of its tokens is one of the `tokens` that have a vector.
    pub(super) fn of(tokenizer: &Tokenizer, tokens: usize) -> Option<Self> {
        static MODELS: AtomicU64 = AtomicU64::new(1);
        let Some(NormalizerWrapper::BertNormalizer(normalizer)) = tokenizer.get_normalizer() else {
            return None;
        };
        if !matches!(tokenizer.get_pre_tokenizer(), Some(PreTokenizerWrapper::BertPreTokenizer(_)))
            || !matches!(tokenizer.get_model(), ModelWrapper::WordPiece(_))
            || !normalizer.clean_text
            || tokenizer.get_vocab(false).into_values().any(|id| id as usize >= tokens)
        {
            return None;
        }
        let mut begins_token = [false; 128];
        for token in tokenizer.get_added_tokens_decoder().into_values() {
            let first = *token.content.as_bytes().first()?;
            // Letters with accents may be found as plain ones, once the accents are taken away.
            if !token.content.is_ascii() {
                return None;
            }
            // A token may be found in a text that is lower-cased.
            for byte in [first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
                if let Some(begins) = begins_token.get_mut(usize::from(byte)) {
                    *begins = true;
                }
            }
        }
        Some(Self {
            model: tokenizer.get_model().clone(),
            lower_case: normalizer.lowercase,
            begins_token,
            number: MODELS.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// Writes the tokens of `text`. False where it is not plain, or has more than `most` tokens.
    pub(super) fn cut(&self, text: &str, most: usize, ids: &mut Vec<u32>) -> bool {
        ids.clear();
        let is_plain = |byte: &u8| self.begins_token.get(usize::from(*byte)).is_some_and(|begins| !begins);
        if !text.as_bytes().iter().all(is_plain) {
            return false;
        }
        WORDS
            .with_borrow_mut(|words| {
                if words.model != self.number {
                    *words = Remembered { model: self.number, ..Remembered::default() };
                }
                words.word.clear();
                for byte in text.bytes() {
                    match byte {
                        b'\t' | b'\n' | b'\r' | b' ' => self.end(words, ids)?,
                        // Control characters are taken away, and what stands around them comes together.
                        0..=31 | 127 => {}
                        _ if byte.is_ascii_punctuation() => {
                            self.end(words, ids)?;
                            words.word.push(char::from(byte));
                            self.end(words, ids)?;
                        }
                        _ if self.lower_case => words.word.push(char::from(byte.to_ascii_lowercase())),
                        _ => words.word.push(char::from(byte)),
                    }
                }
                self.end(words, ids)?;
                (ids.len() <= most).then_some(())
            })
            .is_some()
    }

    /// Adds the pieces of the word at hand; none where the model refuses it.
    fn end(&self, words: &mut Remembered, ids: &mut Vec<u32>) -> Option<()> {
        if words.word.is_empty() {
            return Some(());
        }
        match words.pieces.get(words.word.as_str()) {
            Some(pieces) => ids.extend_from_slice(pieces),
            None => {
                let tokens = self.model.tokenize(&words.word).ok()?;
                let pieces: Box<[u32]> = tokens.iter().map(|token| token.id).collect();
                ids.extend_from_slice(&pieces);
                if words.word.len() <= LONGEST_WORD && words.pieces.len() < MOST_WORDS {
                    words.pieces.insert(words.word.as_str().into(), pieces);
                }
            }
        }
        words.word.clear();
        Some(())
    }
}

/// A fast hash of short words: eight bytes a step, folded by a multiplication.
#[derive(Default)]
struct WordHasher(u64);

impl std::hash::Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        for word in words.iter().chain([&last]) {
            let product = u128::from(self.0 ^ u64::from_le_bytes(*word)) * 0x9e37_79b9_7f4a_7c15;
            self.0 = (product as u64) ^ ((product >> 64) as u64) ^ bytes.len() as u64;
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
