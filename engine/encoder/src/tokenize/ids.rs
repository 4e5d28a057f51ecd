//! Token ids back to texts.

use std::ops::Range;

use tokenizers::decoders::wordpiece::WordPiece;
use tokenizers::{ModelWrapper, Tokenizer};

use super::SentenceTokenizer;
use crate::{Error, Result};

impl SentenceTokenizer {
    /// The text that token ids stand for, as the tokenizer writes it; without special tokens if `skip_special`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id that is no token.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.check_ids(ids)?;
        self.tokenizer.decode(ids, skip_special).map_err(|error| self.refuses(&*error))
    }

    /// The text that this tokenizer makes these very ids of, the special tokens around a text included; `None` if there is
    /// none. Ids of another vocabulary are numbers of tokens here too, and are told by that: they lack the special tokens, and
    /// the text that they spell is cut in other places.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id that is no token.
    pub fn text_of(&self, ids: &[u32]) -> Result<Option<String>> {
        self.check_ids(ids)?;
        let Some(within) = self.within_frame(ids)? else { return Ok(None) };
        let own = &ids[within];
        let tokenizer = self.untruncated();
        let text = tokenizer.decode(own, false).map_err(|error| self.refuses(&*error))?;
        let again = tokenizer.encode_fast(text.as_str(), false).map_err(|error| self.refuses(&*error))?;
        Ok((again.get_ids() == own).then_some(text))
    }

    /// Where the tokens of the text itself are: between the special tokens; `None` if these ids lack them.
    fn within_frame(&self, ids: &[u32]) -> Result<Option<Range<usize>>> {
        let framed = self.pieces("a", self.frames)?;
        let begins = framed.iter().take_while(|piece| piece.special).count();
        let ends = framed.iter().rev().take_while(|piece| piece.special).count();
        let frame: Vec<u32> = framed.iter().map(|piece| piece.id).collect();
        let has_frame = begins + ends <= ids.len().min(frame.len())
            && ids.starts_with(&frame[..begins])
            && ids.ends_with(&frame[frame.len() - ends..]);
        Ok(has_frame.then(|| begins..ids.len() - ends))
    }

    fn check_ids(&self, ids: &[u32]) -> Result<()> {
        let is_token = |id: u32| (id as usize) < self.vocab_size && self.tokenizer.id_to_token(id).is_some();
        match ids.iter().find(|id| !is_token(**id)) {
            None => Ok(()),
            Some(id) => Err(Error::Invalid(format!("the model has no token with the id {id}"))),
        }
    }

    /// The tokenizer without truncation, made when it is first needed. Where words are cut as for BERT, its decoder joins
    /// the pieces and changes nothing else: BERT's own writes "do not" as "don't".
    pub(super) fn untruncated(&self) -> &Tokenizer {
        self.whole.get_or_init(|| {
            let mut tokenizer = self.tokenizer.clone();
            // None cannot be refused.
            let _ = tokenizer.with_truncation(None);
            if let ModelWrapper::WordPiece(model) = tokenizer.get_model() {
                let joining = WordPiece::new(model.continuing_subword_prefix.clone(), false);
                tokenizer.with_decoder(Some(joining));
            }
            tokenizer
        })
    }
}

#[cfg(test)]
mod tests {
    use akin_fixtures::models::tiny;

    use crate::SentenceEncoder;

    fn encoder() -> SentenceEncoder {
        SentenceEncoder::load(&tiny("bert")).unwrap()
    }

    fn ids(encoder: &SentenceEncoder, text: &str, special: bool) -> Vec<u32> {
        encoder.pieces(text, special).unwrap().iter().map(|piece| piece.id).collect()
    }

    #[test]
    fn ids_of_a_text_give_the_text_and_need_its_special_tokens() {
        let encoder = encoder();
        for text in ["one text", "they do not say n't, or [UNK]", "a", ""] {
            let framed = ids(&encoder, text, true);
            let found = encoder.text_of_ids(&framed).unwrap().unwrap();
            assert_eq!(ids(&encoder, &found, true), framed, "{text:?} became {found:?}");
            assert_eq!(encoder.text_of_ids(&ids(&encoder, text, false)).unwrap(), None);
        }
    }

    #[test]
    fn ids_that_no_text_has_are_told() {
        let encoder = encoder();
        let mut framed = ids(&encoder, "they", true);
        // The second part of a word does not begin a text.
        framed[1] = framed[2];
        assert_eq!(encoder.text_of_ids(&framed).unwrap(), None);
        assert!(encoder.text_of_ids(&[9_999_999]).unwrap_err().to_string().contains("9999999"));
        assert!(encoder.decode(&[9_999_999], true).is_err());
    }

    #[test]
    fn special_tokens_are_left_out_if_asked() {
        let encoder = encoder();
        let ids = ids(&encoder, "one text", true);
        let (with, without) = (encoder.decode(&ids, false).unwrap(), encoder.decode(&ids, true).unwrap());
        assert!(
            with.len() > without.len() && without.replace(' ', "").contains("text"),
            "{with:?} {without:?}"
        );
    }
}
