//! Keyword search: which words a text has, how passages are found by them, and how they are ranked (BM25).
//!
//! `segmentation` finds the words of a text in any script, `parts` takes identifiers apart, `fold` removes case and
//! accents, `language` stems; `analysis` makes terms of a word by these, `terms` gives them to engines that keep words themselves. Nothing here
//! knows segments or files.

pub(crate) mod analysis;
pub(crate) mod bm25;
pub(crate) mod dictionary;
mod fold;
pub(crate) mod invert;
pub(crate) mod language;
pub(crate) mod list;
pub(crate) mod packing;
mod parts;
pub(crate) mod query;
mod segmentation;
pub(crate) mod terms;

/// Changes whenever the same text would get other terms: postings of another version are not searched.
pub(crate) const ANALYSIS_VERSION: u32 = 1;

/// Shows the words of a text in their order, as they are written. Scripts without spaces between words are shown as pairs of
/// characters.
pub fn each_word(text: &str, show: &mut dyn FnMut(&str)) {
    segmentation::each_piece(text, &mut |piece| match piece {
        segmentation::Piece::Word(word) => show(word),
        segmentation::Piece::Run(run) => match analysis::pairs_of(run) {
            pairs if pairs.is_empty() => show(run),
            pairs => pairs.iter().for_each(|pair| show(pair)),
        },
    });
}
