//! The words of passages and queries as the server is sent them.
//!
//! The server would read a text by an analyzer that is another in each release, and finds no phrases and no beginnings of words. So it is
//! sent the terms that an index of ours has of the passage, between spaces and in letters that every analyzer leaves together. It makes
//! vectors of them by its function BM25; a phrase, or the beginning of a word, is a pattern over the field.

use akin_index::{SoughtTerms, TermReader, WordKind, WordQuery};

use super::connect::Connection;
use super::schema::{MOST_TEXT, WORDS, can_keep_words};
use crate::{Error, Result};

/// How words are read where nothing else is asked for: they are not stemmed.
const DEFAULT_CONFIG: &str = "simple";

/// The name of no way: no words are kept.
pub(super) const NO_WORDS: &str = "none";

/// What a query looks for, at most: the first ones count.
const UNITS: usize = 128;

/// Stands between the terms of a passage and the whole words of those that are there by their parts: no phrase reaches over it.
const END: &str = ".";

/// A query as it is sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Terms, any of which is enough.
    pub(super) terms: Vec<String>,
    /// Beginnings of terms, any of which is enough.
    pub(super) beginnings: Vec<String>,
    /// Patterns of what a passage must have.
    pub(super) required: Vec<String>,
    /// Patterns of what a document must not have.
    pub(super) excluded: Vec<String>,
}

/// How the words of a new collection are read; none where it keeps none.
pub(super) fn config_for<'a>(connection: &Connection, asked: Option<&'a str>) -> Result<Option<&'a str>> {
    let refused = |reason: String| {
        let (place, asked) = (connection.address.place(), asked.unwrap_or_default().to_owned());
        Error::TextConfig { place, asked, reason }
    };
    match asked {
        Some(NO_WORDS) => Ok(None),
        Some(name) if TermReader::named(name).is_none() => {
            let known: Vec<&str> = TermReader::names().chain([NO_WORDS]).collect();
            Err(refused(format!("take one of {}", known.join(", "))))
        }
        Some(_) if can_keep_words(connection)? == Some(false) => {
            Err(refused("the server is older than Milvus 2.5, which keeps words".into()))
        }
        Some(name) => Ok(Some(name)),
        None => Ok(can_keep_words(connection)?.unwrap_or(false).then_some(DEFAULT_CONFIG)),
    }
}

/// The words of a text as a field of a row: its terms between spaces. Those beyond what a field takes are left out.
pub(super) fn words_of(reader: &TermReader, text: &str) -> String {
    let read = reader.read(text);
    let end = (!read.wholes.is_empty()).then(|| END.to_owned());
    let mut field = String::from(" ");
    for term in read
        .sequence
        .iter()
        .map(|term| encoded(term))
        .chain(end)
        .chain(read.wholes.iter().map(|term| encoded(term)))
    {
        if field.len() + term.len() + 1 > MOST_TEXT {
            break;
        }
        field.push_str(&term);
        field.push(' ');
    }
    field
}

/// A query as it is sent.
pub(super) fn plan(reader: &TermReader, query: &WordQuery) -> Plan {
    let mut plan = Plan::default();
    for part in query.parts() {
        for sought in reader.sought(&part) {
            if part.is_excluded {
                push(&mut plan.excluded, pattern(&sought));
                continue;
            }
            if part.kind == WordKind::Phrase {
                push(&mut plan.required, pattern(&sought));
            }
            let last = sought.terms.len() - 1;
            for (at, term) in sought.terms.iter().enumerate() {
                match sought.is_open && at == last {
                    true => push(&mut plan.beginnings, encoded(term)),
                    false => push(&mut plan.terms, encoded(term)),
                }
            }
        }
    }
    plan
}

fn push(units: &mut Vec<String>, unit: String) {
    if units.len() < UNITS {
        units.push(unit);
    }
}

/// The pattern of a field that has terms.
fn pattern(sought: &SoughtTerms) -> String {
    let terms: Vec<String> = sought.terms.iter().map(|term| encoded(term)).collect();
    format!("% {}{}", terms.join(" "), if sought.is_open { "%" } else { " %" })
}

/// The pattern of a field that has a term with an encoded beginning.
pub(super) fn beginning_pattern(beginning: &str) -> String {
    format!("% {beginning}%")
}

/// The expression of rows whose words fit any of some patterns.
pub(super) fn any_like(patterns: &[String]) -> String {
    let likes: Vec<String> = patterns.iter().map(|pattern| like(pattern)).collect();
    format!("({})", likes.join(" or "))
}

/// The expression of rows whose words fit a pattern, which needs no escapes.
pub(super) fn like(pattern: &str) -> String {
    format!("{WORDS} like \"{pattern}\"")
}

/// A term in letters that every analyzer leaves together, and that mean nothing in a pattern: what is neither a digit nor a small letter of
/// Latin, Greek or Cyrillic is `X` or `Y` with its number in 4 or 6 digits. Terms have no capital letters. The beginning of a term
/// is encoded as the beginning of the encoded term.
fn encoded(term: &str) -> String {
    let mut encoded = String::with_capacity(term.len());
    for c in term.chars() {
        match c {
            _ if is_left_together(c) => encoded.push(c),
            '\0'..='\u{ffff}' => encoded.push_str(&format!("X{:04x}", u32::from(c))),
            _ => encoded.push_str(&format!("Y{:06x}", u32::from(c))),
        }
    }
    encoded
}

fn is_left_together(c: char) -> bool {
    let is_plain = c.is_ascii_lowercase() || c.is_ascii_digit();
    // Between them lie marks that stand on letters, which an analyzer may take for an end of the word.
    is_plain || (matches!(c, 'ß'..='\u{24f}' | 'α'..='ώ' | 'а'..='ҁ') && c.is_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple() -> TermReader {
        TermReader::named("simple").unwrap()
    }

    #[test]
    fn words_lie_between_spaces_in_letters_that_stay_together() {
        assert_eq!(words_of(&simple(), "See foo_bar, Ёлка!"), " see foo bar елка . fooX005fbar ");
        assert_eq!(words_of(&simple(), "吃苹 𝕏\u{20000}"), " X5403X82f9 X82f9 x Y020000 ");
        assert_eq!(words_of(&simple(), " ?! "), " ");
        let long = words_of(&simple(), &"word ".repeat(20_000));
        assert!(long.len() <= MOST_TEXT && long.len() > MOST_TEXT - 6 && long.ends_with(" word "));
    }

    #[test]
    fn a_query_is_terms_and_patterns() {
        let query = WordQuery::parse("Fox \"in the snow\" auto* -\"a b\" -犬");
        let plan = plan(&simple(), &query);
        assert_eq!(plan.terms, ["fox", "in", "the", "snow"]);
        assert_eq!(plan.beginnings, ["auto"]);
        assert_eq!(plan.required, ["% in the snow %"]);
        assert_eq!(plan.excluded, ["% a b %", "% X72ac%"]);
        assert_eq!(any_like(&plan.required), "(words like \"% in the snow %\")");
    }

    #[test]
    fn no_text_leaves_its_pattern() {
        let text: String = ('\0'..'\u{3000}').filter(|c| !c.is_whitespace()).collect();
        let said = encoded(&text);
        assert!(said.chars().all(char::is_alphanumeric) && !said.contains(char::is_whitespace));
    }
}
