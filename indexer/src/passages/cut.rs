//! Where a text is cut: before a heading rather than between paragraphs, there rather than between sentences, and within
//! a sentence or a word only where nothing else is near.

use std::ops::Range;

use super::code::{self, Level};

/// What makes a place good to cut at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Boundary {
    /// In a word.
    Token,
    /// Between words.
    Word,
    /// After a sentence.
    Sentence,
    /// After a line.
    Line,
    /// After a blank line.
    Paragraph,
    /// Before a heading in the way of Markdown, or between pages.
    Section,
    /// Before a definition of source code that is within another one.
    Member,
    /// Before a definition of source code.
    Definition,
}

impl Boundary {
    /// What share of a full passage a cut here may leave empty, beside a cut in a word at the very end.
    fn worth(self) -> f64 {
        match self {
            Self::Token => 0.0,
            Self::Word => 0.1,
            Self::Sentence => 0.35,
            Self::Line => 0.4,
            Self::Paragraph => 0.5,
            Self::Section => 0.75,
            // Any piece that is not too short ends before a definition rather than within one.
            Self::Member => 1.15,
            Self::Definition => 1.25,
        }
    }
}

/// Cuts `text` into pieces of at most `limit` tokens, from 1 on, where a reader would cut it. `starts` has the first byte of
/// each token. Blank space around a piece is left out, and a text that is blank gives no piece.
pub(super) fn cut(text: &str, starts: &[usize], limit: usize) -> Vec<Range<usize>> {
    pieces(text, places(text, starts), limit)
}

/// The same for source code, which is cut before functions and types.
pub(super) fn cut_code(text: &str, starts: &[usize], limit: usize) -> Vec<Range<usize>> {
    let mut places = places(text, starts);
    let definitions = code::definitions(text);
    for place in places.iter_mut().skip(1) {
        let rest = text[place.at..].trim_start();
        let at = text.len() - rest.len();
        place.boundary = match (definitions.get(&at), place.boundary) {
            (Some(Level::Outer), _) => Boundary::Definition,
            (Some(Level::Inner), _) => Boundary::Member,
            // The end of a block belongs to the block.
            (None, boundary) if rest.starts_with(['}', ')', ']']) => boundary.min(Boundary::Word),
            // A remark looks like a heading.
            (None, Boundary::Section) => Boundary::Line,
            (None, boundary) => boundary,
        };
    }
    pieces(text, places, limit)
}

fn pieces(text: &str, places: Vec<Place>, limit: usize) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut first = 0;
    while first < places.len() {
        let next = next_cut(&places, first, limit.max(1));
        let end = places.get(next).map_or(text.len(), |place| place.at);
        pieces.extend(trimmed(text, places[first].at..end));
        first = next;
    }
    pieces
}

/// A token that a piece may begin with.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: usize,
    boundary: Boundary,
}

/// The first byte of each token where it is one of a character, with what is before it. The first token begins where the
/// text does.
fn places(text: &str, starts: &[usize]) -> Vec<Place> {
    let mut places = Vec::with_capacity(starts.len().max(1));
    let mut before = 0;
    for (token, start) in starts.iter().enumerate() {
        let at = text.floor_char_boundary(*start);
        let boundary = match token {
            0 => Boundary::Section,
            _ => boundary(text, before, at),
        };
        places.push(Place { at: if token == 0 { 0 } else { at }, boundary });
        before = at;
    }
    places
}

/// What is between the token that begins at `before` and the one that begins at `at`.
fn boundary(text: &str, before: usize, at: usize) -> Boundary {
    // Some tokenizers count the blank before a word to its token.
    let rest = text[at..].trim_start();
    let at = text.len() - rest.len();
    let kept = text[before..at].trim_end();
    let gap = &text[before + kept.len()..at];
    let lines = gap.bytes().filter(|byte| *byte == b'\n').count();
    if gap.contains('\x0c') || (lines > 0 && is_heading(rest)) {
        Boundary::Section
    } else if lines > 1 {
        Boundary::Paragraph
    } else if lines == 1 {
        Boundary::Line
    } else if ends_sentence(kept, gap) {
        Boundary::Sentence
    } else if !gap.is_empty() {
        Boundary::Word
    } else {
        Boundary::Token
    }
}

/// Whether a heading in the way of Markdown begins here.
fn is_heading(text: &str) -> bool {
    let level = text.bytes().take_while(|byte| *byte == b'#').count();
    (1..=6).contains(&level) && text.as_bytes().get(level) == Some(&b' ')
}

/// Whether the words before a gap end a sentence.
fn ends_sentence(kept: &str, gap: &str) -> bool {
    let closed = kept.trim_end_matches(['"', '\'', ')', ']', '»', '”', '’']);
    match closed.chars().next_back() {
        Some('。' | '！' | '？' | '．') => true,
        Some('.' | '!' | '?' | '…' | '।' | '۔' | '؟') => !gap.is_empty(),
        _ => false,
    }
}

/// The first token of the next piece, after one that begins with token `first`.
fn next_cut(places: &[Place], first: usize, limit: usize) -> usize {
    let left = places.len() - first;
    if left <= limit {
        return places.len();
    }
    // The last two pieces share what is left, rather than that the last one gets a few words.
    let full = if left < 2 * limit { left.div_ceil(2) } else { limit };
    let value = |token: usize| {
        let length = token - first;
        let empty = (full as f64 - length as f64).abs() / limit as f64;
        places[token].boundary.worth() - empty
    };
    let shortest = (limit / 4).max(1);
    let candidates = first + shortest..=first + limit;
    // Of equals the last one: longer pieces are fewer.
    let best = candidates.max_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap_or(first + limit);
    // A character of several tokens cannot be cut: it goes with those before it, or alone.
    let at = places[best].at;
    let begins = first + places[first..best].partition_point(|place| place.at < at);
    if begins > first { begins } else { first + places[first..].partition_point(|place| place.at <= at) }
}

/// A piece without the blank space around it; none if nothing is left.
fn trimmed(text: &str, piece: Range<usize>) -> Option<Range<usize>> {
    let inner = text[piece.clone()].trim_start();
    let start = piece.end - inner.len();
    let end = start + inner.trim_end().len();
    (start < end).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A token is a word, or a sign, as in many a tokenizer.
    fn words(text: &str) -> Vec<usize> {
        let mut starts = Vec::new();
        let mut before = ' ';
        for (at, now) in text.char_indices() {
            let begins = !(now.is_whitespace() || now.is_alphanumeric() && before.is_alphanumeric());
            if begins {
                starts.push(at);
            }
            before = now;
        }
        starts
    }

    fn parts(text: &str, limit: usize) -> Vec<&str> {
        cut(text, &words(text), limit).into_iter().map(|piece| &text[piece]).collect()
    }

    #[test]
    fn a_text_that_fits_is_one_piece() {
        assert_eq!(parts("one two three", 3), ["one two three"]);
        assert_eq!(parts("  \n ", 3), [""; 0]);
    }

    #[test]
    fn sections_are_cut_before_paragraphs_and_those_before_sentences() {
        let text = "# Cats\n\nThey sleep. They eat fish.\n\nThey purr.\n\n# Dogs\n\nThey bark. They run in the park.";
        assert_eq!(
            parts(text, 17),
            [
                "# Cats\n\nThey sleep. They eat fish.\n\nThey purr.",
                "# Dogs\n\nThey bark. They run in the park."
            ]
        );
        assert_eq!(
            parts("One two three four.\n\nFive six seven. Eight nine ten.", 6),
            ["One two three four.", "Five six seven.", "Eight nine ten."]
        );
        assert_eq!(parts("一二。三四。", 3), ["一二。", "三四。"]);
        assert_eq!(parts("page one\x0cpage two\x0cpage three", 2), ["page one", "page two", "page three"]);
    }

    #[test]
    fn the_last_two_pieces_share_what_is_left() {
        assert_eq!(parts("a b c d e f g h i j", 8), ["a b c d e", "f g h i j"]);
    }

    #[test]
    fn a_word_without_an_end_is_cut_between_its_tokens() {
        let text = "é".repeat(10);
        let starts: Vec<usize> = (0..20).collect();
        let pieces = cut(&text, &starts, 4);
        assert!(pieces.len() >= 5 && pieces.iter().all(|piece| piece.len() <= 4), "{pieces:?}");
    }

    #[test]
    fn code_is_cut_before_functions_and_not_at_remarks() {
        let code = "# a\nx = 1\n\n# Says a word.\ndef say(word):\n    # loudly\n    print(word)\n\nclass A:\n    def b(self):\n        pass\n\n    def c(self):\n        pass\n";
        let cut = |limit| -> Vec<&str> {
            cut_code(code, &words(code), limit).into_iter().map(|piece| &code[piece]).collect()
        };
        assert_eq!(
            cut(20),
            [
                "# a\nx = 1",
                "# Says a word.\ndef say(word):\n    # loudly\n    print(word)",
                "class A:\n    def b(self):\n        pass\n\n    def c(self):\n        pass",
            ]
        );
    }

    proptest! {
        #[test]
        fn nothing_but_blank_space_is_left_out(text in "[a-c .#é\n\x0c]{0,200}", limit in 1usize..12) {
            let starts = words(&text);
            let pieces = cut(&text, &starts, limit);
            let mut before = 0;
            for piece in &pieces {
                prop_assert!(text[before..piece.start].trim().is_empty());
                let tokens = starts.iter().filter(|start| piece.contains(start)).count();
                prop_assert!((1..=limit).contains(&tokens), "{tokens} tokens of {limit}");
                before = piece.end;
            }
            prop_assert!(text[before..].trim().is_empty());
        }

        #[test]
        fn any_places_of_tokens_are_accepted(text in "\\PC{0,60}", limit in 1usize..9) {
            let starts: Vec<usize> = (0..text.len()).collect();
            let pieces = cut(&text, &starts, limit);
            let kept: usize = pieces.iter().map(|piece| text[piece.clone()].split_whitespace().map(str::len).sum::<usize>()).sum();
            prop_assert_eq!(kept, text.split_whitespace().map(str::len).sum::<usize>());
        }
    }
}
