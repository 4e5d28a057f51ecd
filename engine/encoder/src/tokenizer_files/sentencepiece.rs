//! Models of sentencepiece: a protobuf message with pieces and their scores, and a table that normalises characters.
//!
//! What is read of a message are the fields that a tokenizer is made of. Every length is checked against the file.

use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::precompiled::Precompiled;
use tokenizers::{AddedToken, NormalizerWrapper, Tokenizer};

/// The type of a piece that users defined.
const USER_DEFINED: u64 = 4;

/// The pieces that XLM-RoBERTa puts before those of its vocabulary, of which it leaves the first three out.
const BEFORE: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];

/// Where the unknown piece is among them.
const UNKNOWN: usize = 3;

/// A model as its file has it.
#[derive(Debug, Default, PartialEq)]
struct Model {
    pieces: Vec<Piece>,
    /// 1 is Unigram; sentencepiece leaves the default out.
    kind: Option<u64>,
    /// The table of characters.
    table: Vec<u8>,
}

#[derive(Debug, Default, PartialEq)]
struct Piece {
    text: String,
    score: f32,
    kind: u64,
}

/// The vocabulary as the tokenizer of XLM-RoBERTa orders it, with the table of characters as its normalizer.
pub(super) fn load(file: &[u8]) -> Result<Tokenizer, String> {
    let model = read(file)?;
    if model.kind.is_some_and(|kind| kind != 1) {
        return Err("it is a model of sentencepiece of another kind than Unigram, which needs a tokenizer.json beside it".into());
    }
    let own = model.pieces.iter().skip(3).map(|piece| (piece.text.clone(), f64::from(piece.score)));
    let before = BEFORE.map(|piece| (piece.to_owned(), 0.0)).into_iter();
    let vocabulary: Vec<(String, f64)> = before.chain(own).chain([("<mask>".to_owned(), 0.0)]).collect();
    let failed = |error: tokenizers::Error| format!("not a tokenizer that Akin can read: {error}");
    let unigram = Unigram::from(vocabulary, Some(UNKNOWN), false).map_err(failed)?;
    let mut tokenizer = Tokenizer::new(unigram);
    if !model.table.is_empty() {
        check_table(&model.table)?;
        let table = Precompiled::from(&model.table)
            .map_err(|error| format!("its table of characters is broken: {error}"))?;
        tokenizer.with_normalizer(Some(NormalizerWrapper::Precompiled(table))).map_err(failed)?;
    }
    let defined = model.pieces.iter().filter(|piece| piece.kind == USER_DEFINED);
    let defined: Vec<AddedToken> =
        defined.map(|piece| AddedToken::from(piece.text.clone(), false).normalized(false)).collect();
    if !defined.is_empty() {
        tokenizer.add_tokens(defined).map_err(failed)?;
    }
    Ok(tokenizer)
}

/// Reads the message.
fn read(file: &[u8]) -> Result<Model, String> {
    let mut model = Model::default();
    for field in Fields(file) {
        match field? {
            (1, Field::Bytes(piece)) => model.pieces.push(read_piece(piece)?),
            (2, Field::Bytes(training)) => {
                for field in Fields(training) {
                    if let (3, Field::Number(kind)) = field? {
                        model.kind = Some(kind);
                    }
                }
            }
            (3, Field::Bytes(normalizer)) => {
                for field in Fields(normalizer) {
                    if let (2, Field::Bytes(table)) = field? {
                        model.table = table.to_vec();
                    }
                }
            }
            _ => {}
        }
    }
    match model.pieces.len() {
        0..=3 => Err("no model of sentencepiece: it has no pieces".into()),
        _ => Ok(model),
    }
}

fn read_piece(message: &[u8]) -> Result<Piece, String> {
    let mut piece = Piece { kind: 1, ..Piece::default() };
    for field in Fields(message) {
        match field? {
            (1, Field::Bytes(text)) => {
                piece.text =
                    str::from_utf8(text).map_err(|_| "a piece of it is no text".to_owned())?.to_owned();
            }
            (2, Field::Four(score)) => piece.score = f32::from_bits(score),
            (3, Field::Number(kind)) => piece.kind = kind,
            _ => {}
        }
    }
    match piece.score.is_finite() {
        true => Ok(piece),
        false => Err(format!("the score of its piece {:?} is not a number", piece.text)),
    }
}

/// A value of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Four(u32),
    Eight,
}

/// The fields of a message, with their numbers.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or_else(|| {
            "no model of sentencepiece, truncated or corrupt: fetch the file again".to_owned()
        });
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let key = self.number()?;
        let value = match key & 7 {
            0 => Field::Number(self.number()?),
            1 => self.take(8).map(|_| Field::Eight)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Four(u32::from_le_bytes(*self.take(4)?.first_chunk()?)),
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Seven bits a byte, the lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

/// Refuses a table that leads beyond its own end: whoever walks it does not look.
fn check_table(table: &[u8]) -> Result<(), String> {
    let broken = || "its table of characters is broken: fetch the file again".to_owned();
    let (length, rest) = table.split_first_chunk::<4>().ok_or_else(broken)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (trie, texts) = rest.split_at_checked(length).ok_or_else(broken)?;
    let texts = str::from_utf8(texts).map_err(|_| broken())?;
    let (units, odd) = trie.as_chunks::<4>();
    let units: Vec<usize> = units.iter().map(|unit| u32::from_le_bytes(*unit) as usize).collect();
    if units.is_empty() || !odd.is_empty() {
        return Err(broken());
    }
    // A unit with the highest bit is the value of a leaf: no byte leads on from it.
    let leads_on = |(at, unit): &(usize, &usize)| *at == 0 || *unit >> 31 == 0;
    for (at, unit) in units.iter().enumerate().filter(leads_on) {
        let next = at ^ ((unit >> 10) << ((unit & (1 << 9)) >> 6));
        let has_leaf = (unit >> 8) & 1 == 1;
        let leaf = units.get(next).map(|leaf| leaf & ((1 << 31) - 1));
        // The next unit of any byte.
        let is_inside = next | 0xff < units.len();
        if !is_inside || (has_leaf && !leaf.is_some_and(|text| texts.is_char_boundary(text))) {
            return Err(broken());
        }
    }
    Ok(())
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
        let bpe = [model(), bytes(2, &[3 << 3, 2])].concat();
        let table = [model(), bytes(3, &bytes(2, &[255, 255, 255, 255, 1]))].concat();
        let infinite = [model(), piece("c", f32::INFINITY)].concat();
        for (file, word) in [
            (bpe, "another kind"),
            (table, "table"),
            (infinite, "score"),
            (vec![], "no pieces"),
            (b"<html>".to_vec(), "corrupt"),
        ] {
            let error = load(&file).err().unwrap();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_table_that_leads_beyond_its_end_is_refused() {
        let table = |units: &[u32], texts: &[u8]| {
            let trie: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            [&(trie.len() as u32).to_le_bytes()[..], &trie, texts].concat()
        };
        let mut units = vec![0; 256];
        assert!(check_table(&table(&units, b"x\0")).is_ok());
        units[7] = 400 << 10;
        assert!(check_table(&table(&units, b"x\0")).is_err());
        units[7] = 1 << 8;
        units[7] |= 3;
        assert!(check_table(&table(&units, "é\0".as_bytes())).is_err());
        assert!(check_table(&table(&[], b"")).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(file in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..60) {
            let _ = load(&file);
            let mut whole = model();
            whole.truncate(cut);
            let _ = load(&whole);
        }
    }
}
