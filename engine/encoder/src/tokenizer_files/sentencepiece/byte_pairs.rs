//! The tokenizer of a model of sentencepiece that merges pairs (BPE): the ids of `SentencePieceProcessor.encode`.
//!
//! A model has pieces with scores, and no list of merges: two neighbours are merged where they are a piece together, the
//! best piece first.

use std::collections::{HashMap, HashSet};

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::replace::{Replace, ReplacePattern};
use tokenizers::normalizers::{NormalizerWrapper, Sequence as Normalizers};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

use super::message::{Model, Piece};
use super::{CONTROL, NORMAL, UNKNOWN_PIECE, UNUSED, USER_DEFINED, table};

/// What a space is written as.
const SPACE: char = '▁';

/// The longest piece that is merged, in bytes: each of its characters may be where two pieces meet.
const LONGEST: usize = 512;

/// The tokenizer of a model, without anything around a text.
pub(super) fn tokenizer(model: &Model) -> Result<Tokenizer, String> {
    check(model)?;
    let failed = |error: tokenizers::Error| format!("not a tokenizer that Akin can read: {error}");
    let ids = model.pieces.iter().zip(0..).map(|(piece, id)| (piece.text.clone(), id));
    let defined: Vec<&str> = texts(model, USER_DEFINED).collect();
    let pairs = BPE::builder()
        .vocab_and_merges(ids.collect::<Vocab>(), merges(&model.pieces))
        .unk_token(model.unknown.clone())
        .fuse_unk(true)
        .byte_fallback(model.byte_fallback)
        // Pieces that users defined are no merges, and stand alone.
        .ignore_merges(!defined.is_empty())
        .build()
        .map_err(failed)?;
    let mut tokenizer = Tokenizer::new(pairs);
    tokenizer.with_normalizer(Some(normalizer(model)?)).map_err(failed)?;
    tokenizer.with_pre_tokenizer(pre_tokenizer(model, defined).map_err(failed)?);
    let special = texts(model, CONTROL).chain(texts(model, UNKNOWN_PIECE));
    let special = special.map(|text| AddedToken::from(text, true).normalized(false));
    tokenizer.add_tokens(special).map_err(failed)?;
    Ok(tokenizer)
}

fn texts(model: &Model, kind: u64) -> impl Iterator<Item = &str> {
    model.pieces.iter().filter(move |piece| piece.kind == kind).map(|piece| piece.text.as_str())
}

/// Refuses what sentencepiece refuses too, and what is not computed here.
fn check(model: &Model) -> Result<(), String> {
    if model.space_ends_word {
        return Err("its treat_whitespace_as_suffix is set, which Akin does not compute".into());
    }
    let mut seen = HashSet::new();
    for piece in &model.pieces {
        let Piece { text, kind, .. } = piece;
        if text.is_empty() || !seen.insert(text) {
            return Err(format!("its piece {text:?} is empty or there twice: fetch the file again"));
        }
        if *kind == UNUSED {
            return Err(format!("its piece {text:?} is of the kind UNUSED, which Akin does not compute"));
        }
        if *kind == NORMAL && text.len() > LONGEST {
            let beginning: String = text.chars().take(20).collect();
            return Err(format!("its piece that begins with {beginning:?} is longer than {LONGEST} bytes"));
        }
    }
    match seen.contains(&model.unknown) {
        true => Ok(()),
        false => Err(format!("it has no piece {:?}, which stands for what has none", model.unknown)),
    }
}

/// Every pair of pieces that are a piece together, the pair of the best piece first. Where two pieces are equally good the
/// first counts.
fn merges(pieces: &[Piece]) -> Vec<(String, String)> {
    let normal = pieces.iter().enumerate().filter(|(_, piece)| piece.kind == NORMAL);
    let scores: HashMap<&str, (f32, usize)> =
        normal.map(|(id, piece)| (piece.text.as_str(), (piece.score, id))).collect();
    let mut ranked: Vec<(f32, usize, &str, &str)> = Vec::new();
    for (text, (score, id)) in &scores {
        let halves = text.char_indices().skip(1).map(|(at, _)| text.split_at(at));
        let halves = halves.filter(|(left, right)| scores.contains_key(left) && scores.contains_key(right));
        // Subtracted, so that there is one zero.
        ranked.extend(halves.map(|(left, right)| (0.0 - score, *id, left, right)));
    }
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| (a.1, a.2, a.3).cmp(&(b.1, b.2, b.3))));
    ranked.into_iter().map(|(_, _, left, right)| (left.to_owned(), right.to_owned())).collect()
}

/// What happens to a text first, in the order of sentencepiece.
fn normalizer(model: &Model) -> Result<Normalizers, String> {
    let replace = |pattern: ReplacePattern, by: &str| -> Result<NormalizerWrapper, String> {
        let made = Replace::new(pattern, by);
        made.map(NormalizerWrapper::Replace)
            .map_err(|error| format!("its spaces cannot be replaced: {error}"))
    };
    let matching = |pattern: &str| ReplacePattern::Regex(pattern.to_owned());
    let mut parts: Vec<NormalizerWrapper> = table::normalizer(&model.table)?.into_iter().collect();
    if model.trims_spaces {
        // Of spaces alone: other white space stays as it is.
        parts.push(replace(matching(r"\A +| +\z"), "")?);
        parts.push(replace(matching(" {2,}"), " ")?);
    }
    if model.escapes_spaces {
        parts.push(replace(ReplacePattern::String(" ".into()), "▁")?);
    }
    if model.adds_space {
        // `Metaspace` puts nothing before a text that begins with U+2581, and sentencepiece does.
        parts.push(replace(matching(r"\A▁"), "▁▁")?);
    }
    Ok(Normalizers::new(parts))
}

/// Puts a space before a text, and cuts out the pieces that users `defined`: they are never merged.
fn pre_tokenizer(model: &Model, defined: Vec<&str>) -> tokenizers::Result<Option<PreTokenizerWrapper>> {
    let mut parts = Vec::new();
    if model.adds_space {
        parts.push(PreTokenizerWrapper::Metaspace(Metaspace::new(SPACE, PrependScheme::Always, false)));
    }
    let mut defined = defined;
    // The longest of several that begin a text counts.
    defined.sort_by_key(|text| std::cmp::Reverse(text.chars().count()));
    if !defined.is_empty() {
        let pattern = defined.into_iter().map(escaped).collect::<Vec<_>>().join("|");
        let split = Split::new(SplitPattern::Regex(pattern), SplitDelimiterBehavior::Isolated, false)?;
        parts.push(PreTokenizerWrapper::Split(split));
    }
    Ok((!parts.is_empty()).then(|| PreTokenizerWrapper::Sequence(PreTokenizers::new(parts))))
}

/// A pattern that matches this text alone.
fn escaped(text: &str) -> String {
    let escape = |c: char| if r"\.+*?()|[]{}^$".contains(c) { format!("\\{c}") } else { c.to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(pieces: &[(&str, f32, u64)]) -> Model {
        let pieces = pieces.iter().map(|(text, score, kind)| Piece {
            text: (*text).to_owned(),
            score: *score,
            kind: *kind,
        });
        Model { pieces: pieces.collect(), kind: Some(2), ..Model::default() }
    }

    const PIECES: [(&str, f32, u64); 6] = [
        ("<unk>", 0.0, UNKNOWN_PIECE),
        ("ab", -0.0, NORMAL),
        ("bc", 1.0, NORMAL),
        ("a", -2.0, NORMAL),
        ("b", -2.0, NORMAL),
        ("c", -2.0, NORMAL),
    ];

    #[test]
    fn the_best_piece_is_merged_first() {
        let mut model = model(&PIECES);
        assert_eq!(
            merges(&model.pieces),
            [("b", "c"), ("a", "b")].map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        model.adds_space = false;
        let ids = |model: &Model, text: &str| {
            tokenizer(model).unwrap().encode(text, false).unwrap().get_ids().to_vec()
        };
        assert_eq!(ids(&model, "abc"), [3, 2]);
        assert_eq!(ids(&model, "abxyb"), [1, 0, 4]);
        model.pieces.push(Piece { text: "c.".into(), score: 0.0, kind: USER_DEFINED });
        assert_eq!(ids(&model, "abc.bcx"), [1, 6, 2, 0]);
    }

    #[test]
    fn what_is_not_computed_is_refused_by_name() {
        let long = "x".repeat(LONGEST + 1);
        for (piece, word) in [
            ((long.as_str(), 0.0, NORMAL), "longer"),
            (("ab", 0.0, NORMAL), "twice"),
            (("", 0.0, NORMAL), "empty"),
            (("d", 0.0, UNUSED), "UNUSED"),
        ] {
            let error = tokenizer(&model(&[&PIECES[..], &[piece]].concat())).err().unwrap();
            assert!(error.contains(word), "{error}");
        }
        assert!(tokenizer(&model(&PIECES[1..])).err().unwrap().contains("<unk>"));
        let suffix = Model { space_ends_word: true, ..model(&PIECES) };
        assert!(tokenizer(&suffix).err().unwrap().contains("treat_whitespace_as_suffix"));
    }
}
