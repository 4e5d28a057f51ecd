//! Takes compound words apart: `foo_bar`, `HttpServer`, `v1.2`, `l'homme`, `covid19`.

/// The parts of a word, if it has several: between punctuation, at humps of letters, and between letters and digits where
/// there is one such place. Of what an apostrophe cuts off, single letters are left out.
pub(super) fn parts(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for piece in word.split(is_mark) {
        let is_cut_off = piece.len() < word.len() && is_clitic(word, piece);
        if !piece.is_empty() && !is_cut_off {
            humps(piece, &mut parts);
        }
    }
    match parts[..] {
        [only] if only.len() == word.len() => Vec::new(),
        _ => parts,
    }
}

/// Whether a character is punctuation within a word.
fn is_mark(c: char) -> bool {
    c.is_ascii_punctuation() || matches!(c, '\u{b7}' | '\u{2018}' | '\u{2019}' | '\u{2027}' | '\u{203f}')
}

/// Whether a piece is a single letter beside an apostrophe: the `l` of `l'homme`, the `s` of `dog's`.
fn is_clitic(word: &str, piece: &str) -> bool {
    piece.chars().nth(1).is_none()
        && piece.chars().all(char::is_alphabetic)
        && word.contains(['\'', '\u{2018}', '\u{2019}'])
}

/// Cuts before each capital letter that follows a small one, or that a small one follows.
fn humps<'a>(piece: &'a str, parts: &mut Vec<&'a str>) {
    let mut start = 0;
    let (mut before, mut current) = (None, None);
    for (at, next) in
        piece.char_indices().map(Some).chain([None]).map(|next| next.unwrap_or((piece.len(), ' ')))
    {
        if let (Some((_, before)), Some((place, current))) = (before, current)
            && char::is_uppercase(current)
            && (char::is_lowercase(before) || char::is_uppercase(before) && next.is_lowercase())
        {
            digits(&piece[start..place], parts);
            start = place;
        }
        before = current;
        current = Some((at, next));
    }
    digits(&piece[start..], parts);
}

/// Cuts between letters and digits, if there is one such place.
fn digits<'a>(piece: &'a str, parts: &mut Vec<&'a str>) {
    let is_digit = |c: char| c.is_ascii_digit();
    let first_is_digit = piece.starts_with(is_digit);
    let cut = piece.find(|c| is_digit(c) != first_is_digit);
    match cut {
        Some(cut) if piece[cut..].chars().all(|c| is_digit(c) != first_is_digit) => {
            parts.extend([&piece[..cut], &piece[cut..]]);
        }
        _ => parts.push(piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn compound_words_have_parts() {
        assert_eq!(parts("foo_bar"), ["foo", "bar"]);
        assert_eq!(parts("HttpServer"), ["Http", "Server"]);
        assert_eq!(parts("HTTPServer2"), ["HTTP", "Server", "2"]);
        assert_eq!(parts("iPhone"), ["i", "Phone"]);
        assert_eq!(parts("v1.2"), ["v", "1", "2"]);
        assert_eq!(parts("l'homme"), ["homme"]);
        assert_eq!(parts("dog’s"), ["dog"]);
        assert_eq!(parts("covid19"), ["covid", "19"]);
        assert_eq!(parts("__init__"), ["init"]);
        assert_eq!(parts("1,000"), ["1", "000"]);
    }

    #[test]
    fn plain_words_have_none() {
        for word in ["plain", "NATO", "Köln", "2024", "a3f9c2", "हिन्दी", ""] {
            assert!(parts(word).is_empty(), "{word}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_pieces_of_any_word(word in any::<String>()) {
            let parts = parts(&word);
            prop_assert!(parts.iter().all(|part| !part.is_empty() && word.contains(part)));
            prop_assert!(parts.iter().map(|part| part.len()).sum::<usize>() <= word.len());
        }
    }
}
