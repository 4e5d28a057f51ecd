//! Removes accents and other differences that people do not type.

use unicode_normalization::UnicodeNormalization;

/// A word in small letters without accents. Vowel signs of Indic scripts and the voicing marks of kana stay: without
/// them it would be another word.
pub(super) fn without_accents(word: &str) -> String {
    if word.is_ascii() {
        return word.to_owned();
    }
    let mut plain = String::with_capacity(word.len());
    for c in word.nfkd().filter(|c| !is_accent(*c)) {
        match c {
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'þ' => plain.push_str("th"),
            'ø' => plain.push('o'),
            'ł' => plain.push('l'),
            'đ' | 'ð' => plain.push('d'),
            'ı' => plain.push('i'),
            'ς' => plain.push('σ'),
            _ => plain.push(c),
        }
    }
    plain.nfc().collect()
}

/// Whether a character is an accent: a combining mark of Latin, Greek and Cyrillic, a vowel point of Hebrew or Arabic, or
/// the stretching of Arabic letters.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5bd}' | '\u{5bf}'..='\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{652}' | '\u{670}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_go_and_other_marks_stay() {
        assert_eq!(without_accents("café"), "cafe");
        assert_eq!(without_accents("straße"), "strasse");
        assert_eq!(without_accents("łódź"), "lodz");
        assert_eq!(without_accents("tiếng"), "tieng");
        assert_eq!(without_accents("ёлка"), "елка");
        assert_eq!(without_accents("σοφός"), "σοφοσ");
        assert_eq!(without_accents("हिन्दी"), "हिन्दी");
        assert_eq!(without_accents("한국어"), "한국어");
        assert_eq!(without_accents("مُحَمَّد"), "محمد");
    }
}
