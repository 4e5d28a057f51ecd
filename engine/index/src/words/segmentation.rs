//! Finds the words of a text.
//!
//! Words are those of Unicode's rules (UAX 29). Chinese, Japanese, Thai, Lao, Khmer and Burmese are written without
//! spaces: runs of their characters are kept whole here, and are indexed as pairs of characters.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};
use unicode_segmentation::UnicodeSegmentation;

/// A part of a text that has terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A word, as it is written.
    Word(&'a str),
    /// A run of characters of a script without spaces.
    Run(&'a str),
}

/// Shows the pieces of a text in their order. The text is brought to Unicode's form NFKC first.
pub(super) fn each_piece(text: &str, show: &mut dyn FnMut(Piece<'_>)) {
    if text.is_ascii() {
        return each_ascii_word(text, show);
    }
    let text: Cow<'_, str> = match is_nfkc_quick(text.chars()) {
        IsNormalized::Yes => text.into(),
        _ => text.nfkc().collect::<String>().into(),
    };
    let mut rest = &*text;
    while !rest.is_empty() {
        let words_end = rest.find(is_unspaced).unwrap_or(rest.len());
        each_unicode_word(&rest[..words_end], show);
        rest = &rest[words_end..];
        let run_end = rest.find(|c| !is_unspaced(c)).unwrap_or(rest.len());
        if run_end > 0 {
            show(Piece::Run(&rest[..run_end]));
        }
        rest = &rest[run_end..];
    }
}

/// Whether a character is of a script that is written without spaces between words.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e01}'..='\u{e3a}' | '\u{e40}'..='\u{e4e}' // Thai
        | '\u{e81}'..='\u{ecf}' | '\u{edc}'..='\u{edf}' // Lao
        | '\u{1000}'..='\u{103f}' | '\u{1050}'..='\u{108f}' | '\u{aa60}'..='\u{aa7f}' // Burmese
        | '\u{1780}'..='\u{17d3}' | '\u{17dc}' // Khmer
        | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{4dbf}' // Han
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' // Han
        | '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}' // kana
        | '\u{3105}'..='\u{312f}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}')
}

/// Whether a character is a Korean syllable or letter.
pub(super) fn is_hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}' | '\u{ac00}'..='\u{d7a3}')
}

/// The words of a text without spaceless scripts. A Korean word ends where letters of another script begin.
fn each_unicode_word(text: &str, show: &mut dyn FnMut(Piece<'_>)) {
    for word in text.unicode_words() {
        if !word.contains(is_hangul) {
            show(Piece::Word(word));
            continue;
        }
        let mut rest = word;
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|c| is_hangul(c) != is_hangul(first)).unwrap_or(rest.len());
            show(Piece::Word(&rest[..end]));
            rest = &rest[end..];
        }
    }
}

/// The same words as [`each_unicode_word`] would find, several times as fast.
fn each_ascii_word(text: &str, show: &mut dyn FnMut(Piece<'_>)) {
    let bytes = text.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut at = 0;
    while at < bytes.len() {
        if !is_word(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        let mut named = false;
        while at < bytes.len() && (is_word(bytes[at]) || joins(bytes, at)) {
            named |= bytes[at].is_ascii_alphanumeric();
            at += 1;
        }
        if named {
            show(Piece::Word(&text[start..at]));
        }
    }
}

/// Whether a mark of punctuation is within a word: an apostrophe or full stop between two letters or two digits, a colon
/// between letters, a comma or semicolon between digits.
fn joins(bytes: &[u8], at: usize) -> bool {
    let (Some(before), Some(after)) = (at.checked_sub(1).map(|at| bytes[at]), bytes.get(at + 1)) else {
        return false;
    };
    let letters = before.is_ascii_alphabetic() && after.is_ascii_alphabetic();
    let digits = before.is_ascii_digit() && after.is_ascii_digit();
    match bytes[at] {
        b'\'' | b'.' => letters || digits,
        b':' => letters,
        b',' | b';' => digits,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(text: &str) -> Vec<String> {
        let mut pieces = Vec::new();
        each_piece(text, &mut |piece| match piece {
            Piece::Word(word) => pieces.push(word.to_owned()),
            Piece::Run(run) => pieces.push(format!("<{run}>")),
        });
        pieces
    }

    #[test]
    fn words_are_found_in_every_script() {
        assert_eq!(pieces("It's 3.5 miles, (about)…"), ["It's", "3.5", "miles", "about"]);
        assert_eq!(pieces("Grüße aus Köln!"), ["Grüße", "aus", "Köln"]);
        assert_eq!(pieces("हिन्दी में शब्द"), ["हिन्दी", "में", "शब्द"]);
        assert_eq!(pieces("我喜欢吃苹果。"), ["<我喜欢吃苹果>"]);
        assert_eq!(pieces("東京タワー2024年"), ["<東京タワー>", "2024", "<年>"]);
        assert_eq!(pieces("ภาษาไทย"), ["<ภาษาไทย>"]);
        assert_eq!(pieces("iPhone을 샀다"), ["iPhone", "을", "샀다"]);
        assert_eq!(pieces("ﾊﾞｽ ＡＢＣ"), ["<バス>", "ABC"]);
        assert_eq!(pieces("… -- !? 👍"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn the_fast_path_finds_the_words_of_unicode(text in "[a-zA-Z0-9_.',:; \"/+-]{0,40}|[ -~]{0,40}") {
            let mut fast = Vec::new();
            each_ascii_word(&text, &mut |piece| fast.push(format!("{piece:?}")));
            let mut slow = Vec::new();
            each_unicode_word(&text, &mut |piece| slow.push(format!("{piece:?}")));
            prop_assert_eq!(fast, slow);
        }

        #[test]
        fn any_text_has_pieces(text in any::<String>()) {
            each_piece(&text, &mut |piece| match piece {
                Piece::Word(piece) | Piece::Run(piece) => assert!(!piece.is_empty()),
            });
        }
    }
}
