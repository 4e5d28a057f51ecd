//! Models of sentencepiece: a protobuf message with pieces and their scores (`message`), and a table that normalises
//! characters (`table`).
//!
//! What is read of a message are the fields that a tokenizer is made of. Every length is checked against the file. A model
//! of Unigram is a vocabulary, ordered as XLM-RoBERTa does; one of BPE is a whole tokenizer (`byte_pairs`).

mod byte_pairs;
mod message;
mod table;

use tokenizers::models::unigram::Unigram;
use tokenizers::{AddedToken, Tokenizer};

use self::message::{Model, read};

/// The kinds of pieces.
const NORMAL: u64 = 1;
const UNKNOWN_PIECE: u64 = 2;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;
const UNUSED: u64 = 5;

/// The pieces that XLM-RoBERTa puts before those of its vocabulary, of which it leaves the first three out.
const BEFORE: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];

/// Where the unknown piece is among them.
const UNKNOWN: usize = 3;

/// The tokenizer of a model.
pub(super) fn load(file: &[u8]) -> Result<Tokenizer, String> {
    let model = read(file)?;
    match model.kind {
        None | Some(1) => unigram(&model),
        Some(2) => byte_pairs::tokenizer(&model),
        Some(_) => Err(
            "it is a model of sentencepiece of another kind than Unigram and BPE, which needs a tokenizer.json beside it"
                .into(),
        ),
    }
}

/// The vocabulary as the tokenizer of XLM-RoBERTa orders it, with the table of characters as its normalizer.
fn unigram(model: &Model) -> Result<Tokenizer, String> {
    let own = model.pieces.iter().skip(3).map(|piece| (piece.text.clone(), f64::from(piece.score)));
    let before = BEFORE.map(|piece| (piece.to_owned(), 0.0)).into_iter();
    let vocabulary: Vec<(String, f64)> = before.chain(own).chain([("<mask>".to_owned(), 0.0)]).collect();
    let failed = |error: tokenizers::Error| format!("not a tokenizer that Akin can read: {error}");
    let unigram = Unigram::from(vocabulary, Some(UNKNOWN), false).map_err(failed)?;
    let mut tokenizer = Tokenizer::new(unigram);
    if let Some(table) = table::normalizer(&model.table)? {
        tokenizer.with_normalizer(Some(table)).map_err(failed)?;
    }
    let defined = model.pieces.iter().filter(|piece| piece.kind == USER_DEFINED);
    let defined: Vec<AddedToken> =
        defined.map(|piece| AddedToken::from(piece.text.clone(), false).normalized(false)).collect();
    if !defined.is_empty() {
        tokenizer.add_tokens(defined).map_err(failed)?;
    }
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A field of bytes.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, content.len() as u8], content].concat()
    }

    fn piece(text: &str, score: f32) -> Vec<u8> {
        let score = [&[2 << 3 | 5][..], &score.to_le_bytes()].concat();
        bytes(1, &[bytes(1, text.as_bytes()), score].concat())
    }

    fn model() -> Vec<u8> {
        let pieces = ["<unk>", "<s>", "</s>", "▁a", "b"];
        pieces.iter().zip(0u8..).flat_map(|(text, rank)| piece(text, -f32::from(rank))).collect()
    }

    #[test]
    fn pieces_are_numbered_as_xlm_roberta_numbers_them() {
        let tokenizer = load(&model()).unwrap();
        for (text, id) in
            [("<s>", 0), ("<pad>", 1), ("</s>", 2), ("<unk>", 3), ("▁a", 4), ("b", 5), ("<mask>", 6)]
        {
            assert_eq!(tokenizer.token_to_id(text), Some(id), "{text}");
        }
        assert_eq!(tokenizer.encode("▁ab", false).unwrap().get_ids(), [4, 5]);
    }

    #[test]
    fn what_is_no_model_is_refused_with_a_reason() {
        let words = [model(), bytes(2, &[3 << 3, 3])].concat();
        let table = [model(), bytes(3, &bytes(2, &[255, 255, 255, 255, 1]))].concat();
        let infinite = [model(), piece("c", f32::INFINITY)].concat();
        for (file, word) in [
            (words, "another kind"),
            (table, "table"),
            (infinite, "score"),
            (vec![], "no pieces"),
            (b"<html>".to_vec(), "corrupt"),
        ] {
            let error = load(&file).err().unwrap();
            assert!(error.contains(word), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(file in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..60) {
            let _ = load(&file);
            let mut whole = model();
            whole.truncate(cut);
            let _ = load(&whole);
            let _ = load(&[&whole[..], &bytes(2, &[3 << 3, 2])].concat());
        }
    }
}
