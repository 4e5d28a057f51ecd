//! The vocabulary of a WordPiece tokenizer, for those who add to it.

use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{ModelWrapper, NormalizedString, Normalizer};

use super::SentenceTokenizer;
use crate::Result;

/// A vocabulary of WordPiece: a word that its pieces cannot spell is one unknown token.
pub struct WordPieces<'a> {
    of: &'a SentenceTokenizer,
    model: &'a WordPiece,
}

impl SentenceTokenizer {
    /// The vocabulary; none where the tokenizer is of another kind, such as a sentencepiece model.
    pub fn word_pieces(&self) -> Option<WordPieces<'_>> {
        match self.tokenizer.get_model() {
            ModelWrapper::WordPiece(model) => Some(WordPieces { of: self, model }),
            _ => None,
        }
    }
}

impl WordPieces<'_> {
    /// The id of the token that stands for a word that cannot be spelled; none where the vocabulary has no such token.
    pub fn unknown_id(&self) -> Option<u32> {
        self.of.tokenizer.token_to_id(&self.model.unk_token)
    }

    /// The least id from which on neither the vocabulary, nor the tokens added to it, nor the embeddings of the model have any.
    pub fn free_id(&self) -> usize {
        let ids = self.of.tokenizer.get_vocab(true).into_values();
        ids.map(|id| id as usize + 1).max().unwrap_or(0).max(self.of.vocab_size)
    }

    /// The pieces of one character that are missing to spell the unknown words among the tokens that the model reads of
    /// `text`: the character itself where it begins a word, and with the prefix of a continued word elsewhere.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when the tokenizer refuses the text.
    pub fn missing(&self, text: &str) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        for piece in self.of.pieces(text, false)? {
            let word = text.get(piece.span).filter(|_| piece.token == self.model.unk_token);
            let Some(word) = word else { continue };
            let word = self.normalized(word)?;
            // A longer one stays unknown, whatever the vocabulary has.
            if word.chars().count() > self.model.max_input_chars_per_word {
                continue;
            }
            let prefix = &self.model.continuing_subword_prefix;
            let pieces = word.chars().enumerate().map(|(place, character)| match place {
                0 => character.to_string(),
                _ => format!("{prefix}{character}"),
            });
            missing.extend(pieces.filter(|piece| self.of.tokenizer.token_to_id(piece).is_none()));
        }
        Ok(missing)
    }

    /// A word as the vocabulary would have it: in lower case, without accents, or whatever the tokenizer makes of it.
    fn normalized(&self, word: &str) -> Result<String> {
        let mut normalized = NormalizedString::from(word);
        if let Some(normalizer) = self.of.tokenizer.get_normalizer() {
            normalizer.normalize(&mut normalized).map_err(|error| self.of.refuses(&*error))?;
        }
        Ok(normalized.get().trim().to_owned())
    }
}
