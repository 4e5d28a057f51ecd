//! Cuts the texts of documents into passages that the model reads whole.

mod code;
mod cut;
mod encode;

use std::ops::Range;

use akin_encoder::{Role, SentenceEncoder};
use akin_index::{Document, Passage, PassageSize};

pub use self::encode::{EncodedDocuments, PassageEncoder};
use crate::{Error, Result};

/// Tokens of the window that stay free. Some tokenizers cut the first words of a passage into other tokens than in the
/// middle of its text.
const MARGIN: usize = 8;

/// The smallest window that texts are cut for: a smaller one has no room for two sentences, and a passage of one or less
/// says too little of its document. Such a model reads the beginning of a text, and the end that is left out is counted.
const SMALLEST_WINDOW: usize = 48;

/// Cuts a text, of which it knows the first byte of each token, into pieces of so many tokens at most.
type CutBy = fn(&str, &[usize], usize) -> Vec<Range<usize>>;

/// Cuts texts into passages.
pub struct Cutter<'a> {
    encoder: &'a SentenceEncoder,
    /// The most tokens of a passage; `None` where nothing is cut.
    limit: Option<usize>,
}

impl<'a> Cutter<'a> {
    /// For passages of a size that `encoder` reads as documents.
    ///
    /// # Errors
    /// [`Error::PassageSize`] for passages longer than the model reads.
    pub fn new(encoder: &'a SentenceEncoder, size: PassageSize) -> Result<Self> {
        let window = encoder.text_tokens(Role::Document)?;
        let limit = match size {
            PassageSize::Whole => None,
            PassageSize::Window if window < SMALLEST_WINDOW => None,
            PassageSize::Window => Some(window.saturating_sub(MARGIN.min(window / 8)).max(1)),
            PassageSize::Tokens(asked) if asked as usize > window => {
                let asked = asked as usize;
                return Err(Error::PassageSize { asked, window });
            }
            PassageSize::Tokens(asked) => Some((asked as usize).max(1)),
        };
        Ok(Self { encoder, limit })
    }

    /// The passages of a text, in their order: at least one.
    ///
    /// # Errors
    /// What the tokenizer reports.
    pub fn cut(&self, text: &str) -> Result<Vec<Passage>> {
        self.cut_by(text, cut::cut)
    }

    /// The passages of a document: its name may say that it is source code, which is cut before functions and types.
    ///
    /// # Errors
    /// What the tokenizer reports.
    pub fn cut_document(&self, document: &Document) -> Result<Vec<Passage>> {
        let by = if code::is_code(&document.id) { cut::cut_code } else { cut::cut };
        self.cut_by(&document.text, by)
    }

    fn cut_by(&self, text: &str, by: CutBy) -> Result<Vec<Passage>> {
        let whole = vec![Passage { start: 0, end: text.len() as u32 }];
        // A token has a byte at least.
        let Some(limit) = self.limit.filter(|limit| text.len() > *limit) else { return Ok(whole) };
        let starts = self.encoder.token_starts(text)?;
        if starts.len() <= limit {
            return Ok(whole);
        }
        let pieces = by(text, &starts, limit).into_iter();
        let passages: Vec<Passage> =
            pieces.map(|piece| Passage { start: piece.start as u32, end: piece.end as u32 }).collect();
        Ok(if passages.is_empty() { whole } else { passages })
    }
}

/// The part of a text that a passage is.
pub(crate) fn text_of<'a>(text: &'a str, passage: &Passage) -> &'a str {
    &text[passage.start as usize..passage.end as usize]
}

#[cfg(test)]
mod tests {
    use akin_fixtures::models::{ModelCopy, tiny};

    use super::*;

    fn parts<'a>(cutter: &Cutter<'_>, text: &'a str) -> Vec<&'a str> {
        cutter.cut(text).unwrap().iter().map(|passage| text_of(text, passage)).collect()
    }

    #[test]
    fn a_text_that_the_model_reads_is_one_passage_and_a_longer_one_is_never_truncated() {
        for model in ["bert", "roberta"] {
            let encoder = SentenceEncoder::load(ModelCopy::reading(model, 60).path()).unwrap();
            let cutter = Cutter::new(&encoder, PassageSize::Window).unwrap();
            assert_eq!(parts(&cutter, "a cat"), ["a cat"]);
            let odd =
                format!("{}\n\n{}", "x".repeat(3000), "Ünïcödé «words», 東京 and 12.5 % of it. ".repeat(200));
            let parts = parts(&cutter, &odd);
            assert!(parts.len() > 3, "{}", parts.len());
            let encoding = encoder.encode_as(Role::Document, &parts).unwrap();
            assert_eq!(encoding.truncated, 0, "{model}");
        }
    }

    #[test]
    fn for_a_window_without_room_for_two_sentences_nothing_is_cut_unless_asked_for() {
        let long = "The cat sat. ".repeat(50);
        for (window, is_cut) in [(SMALLEST_WINDOW + 1, false), (SMALLEST_WINDOW + 2, true)] {
            let encoder = SentenceEncoder::load(ModelCopy::reading("bert", window).path()).unwrap();
            let cutter = Cutter::new(&encoder, PassageSize::Window).unwrap();
            assert_eq!(parts(&cutter, &long).len() > 1, is_cut, "{window}");
            assert!(parts(&Cutter::new(&encoder, PassageSize::Tokens(20)).unwrap(), &long).len() > 6);
        }
    }

    #[test]
    fn a_size_is_kept_and_one_beyond_the_window_is_refused() {
        let encoder = SentenceEncoder::load(&tiny("bert")).unwrap();
        let text = "The cat sat. ".repeat(10);
        let cutter = Cutter::new(&encoder, PassageSize::Tokens(6)).unwrap();
        assert!(parts(&cutter, &text).len() >= 5);
        assert_eq!(parts(&Cutter::new(&encoder, PassageSize::Whole).unwrap(), &text), [text.as_str()]);
        let refused = Cutter::new(&encoder, PassageSize::Tokens(100_000));
        assert!(matches!(refused, Err(Error::PassageSize { asked: 100_000, .. })));
    }
}
