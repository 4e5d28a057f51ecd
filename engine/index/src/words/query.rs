//! What a keyword query asks for: words, `"phrases"`, beginnings of words (`auto*`), and what must not be there
//! (`-snake`, `-"two words"`).

use super::analysis::{Analyzer, Token, each_token, has_words};
use super::bm25::Constants;

/// Different things that one query looks for, at most: the first ones count.
const LIMIT: usize = 1024;

/// Beside meaning a word counts that no more than one of so many passages has,
const COMMON: u64 = 4;
/// or so few that it costs nothing.
const FEW: u64 = 256;

/// A keyword query as it was typed. Any text is one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WordQuery {
    items: Vec<Item>,
    beside_meaning: bool,
}

/// Why a query finds nothing in any index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pointless {
    /// It has no word.
    Blank,
    /// It says only what must not be there.
    OnlyExclusions,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    text: String,
    kind: WordKind,
    is_excluded: bool,
}

/// How a part of a query is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordKind {
    /// Words, any of which is enough.
    Words,
    /// Words that must follow one another.
    Phrase,
    /// Words that begin so.
    Prefix,
}

/// A part of a query as it was typed, for an engine that reads words by rules of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WordPart<'a> {
    /// Its words, without marks.
    pub text: &'a str,
    /// How they are looked for.
    pub kind: WordKind,
    /// Whether a document must not have them.
    pub is_excluded: bool,
}

/// Something to look for in a segment, as terms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Unit {
    /// A term.
    Term(String),
    /// All terms that begin so, and this one: the stem of the beginning may be shorter than it is.
    Prefix { beginning: String, stem: String },
    /// Terms, each so many positions after the first.
    Phrase(Vec<(String, u32)>),
}

/// A query as terms of one language.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// What adds to the score of a passage, and how often the query has it.
    pub(crate) optional: Vec<(Unit, u32)>,
    /// What a passage must have; it adds to the score, too.
    pub(crate) required: Vec<(Unit, u32)>,
    /// What a document must not have.
    pub(crate) excluded: Vec<Unit>,
}

impl WordQuery {
    /// Reads a query: words, any of which is enough; `"exact phrases"`, all of which must be there; `auto*` for all words
    /// that begin so; `-word` and `-"a phrase"` for what must not be there. Other punctuation means nothing.
    pub fn parse(text: &str) -> Self {
        let mut items = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| !c.is_whitespace()) {
            rest = &rest[at..];
            let negated = rest
                .strip_prefix('-')
                .filter(|after| after.starts_with(|c| is_quote(c) || c.is_alphanumeric()));
            let item = negated.unwrap_or(rest);
            let (text, kind, after) = phrase(item).unwrap_or_else(|| word(item));
            if !text.is_empty() {
                items.push(Item { text: text.to_owned(), kind, is_excluded: negated.is_some() });
            }
            rest = after;
        }
        Self { items, beside_meaning: false }
    }

    /// Takes a text as it is: all of its words, any of which is enough. Quotes, hyphens and stars mean nothing.
    pub fn plain(text: &str) -> Self {
        let item = Item { text: text.to_owned(), kind: WordKind::Words, is_excluded: false };
        Self { items: vec![item], beside_meaning: false }
    }

    /// The same query, with the weights of words that are best where its hits are put together with those by meaning.
    pub fn beside_meaning(self) -> Self {
        Self { beside_meaning: true, ..self }
    }

    /// By how many of an index's passages a word may be had to count; none where all count. Beside meaning very common words
    /// tell little, and take the most time. docs/RETRIEVAL.md has the figures.
    pub fn most_common(&self, passages: u64) -> Option<u64> {
        self.beside_meaning.then(|| (passages / COMMON).max(FEW))
    }

    /// The constants of its scores.
    pub(crate) fn constants(&self) -> Constants {
        if self.beside_meaning { Constants::BESIDE_MEANING } else { Constants::ALONE }
    }

    /// Its parts, in their order.
    pub fn parts(&self) -> impl Iterator<Item = WordPart<'_>> {
        self.items.iter().map(|Item { text, kind, is_excluded }| WordPart {
            text,
            kind: *kind,
            is_excluded: *is_excluded,
        })
    }

    /// Why it finds nothing in any index; none if it may find something.
    pub fn pointless(&self) -> Option<Pointless> {
        let named: Vec<&Item> = self.items.iter().filter(|item| has_words(&item.text)).collect();
        match named[..] {
            [] => Some(Pointless::Blank),
            _ if named.iter().all(|item| item.is_excluded) => Some(Pointless::OnlyExclusions),
            _ => None,
        }
    }

    /// The words and phrases that it looks for, without marks and without what it excludes: a text that can be encoded.
    pub fn text(&self) -> String {
        let wanted = self.items.iter().filter(|item| !item.is_excluded);
        wanted.map(|item| &*item.text).collect::<Vec<_>>().join(" ")
    }

    /// Whether it says what a document must or must not have.
    pub fn is_selective(&self) -> bool {
        let says = |item: &Item| (item.is_excluded || item.kind == WordKind::Phrase) && has_words(&item.text);
        self.items.iter().any(says)
    }

    /// Whether it has phrases, which a document must have.
    pub(crate) fn is_demanding(&self) -> bool {
        self.items
            .iter()
            .any(|item| !item.is_excluded && item.kind == WordKind::Phrase && has_words(&item.text))
    }

    /// The terms of the query in the language of an analyzer.
    pub(crate) fn plan(&self, analyzer: &Analyzer) -> Plan {
        let mut plan = Plan::default();
        for item in &self.items {
            let units = match item.kind {
                WordKind::Words => words(&item.text, analyzer),
                WordKind::Prefix => with_prefix(words(&item.text, analyzer), &item.text, analyzer),
                WordKind::Phrase => sequence(&item.text, analyzer).into_iter().collect(),
            };
            for unit in units {
                match (item.is_excluded, item.kind) {
                    (true, _) => plan.excluded.push(unit),
                    (false, WordKind::Phrase) => count(&mut plan.required, unit),
                    (false, _) => count(&mut plan.optional, unit),
                }
            }
        }
        plan
    }
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}')
}

/// The phrase that a text begins with, and what follows it. None where no quotation mark closes it.
fn phrase(text: &str) -> Option<(&str, WordKind, &str)> {
    let inner = text.strip_prefix(is_quote)?;
    let (phrase, after) = inner.split_once(is_quote)?;
    Some((phrase, WordKind::Phrase, after))
}

/// The word that a text begins with, up to a blank or a quotation mark, and what follows it.
fn word(text: &str) -> (&str, WordKind, &str) {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let end =
        text[first..].find(|c: char| c.is_whitespace() || is_quote(c)).map_or(text.len(), |end| first + end);
    let (word, after) = text.split_at(end);
    match word.strip_suffix('*') {
        Some(beginning) if beginning.ends_with(char::is_alphanumeric) => (beginning, WordKind::Prefix, after),
        _ => (word, WordKind::Words, after),
    }
}

/// Adds a unit, or one to its count.
fn count(units: &mut Vec<(Unit, u32)>, unit: Unit) {
    if let Some((_, times)) = units.iter_mut().find(|(held, _)| *held == unit) {
        *times += 1;
    } else if units.len() < LIMIT {
        units.push((unit, 1));
    }
}

/// The terms of a text that are looked for one by one.
pub(crate) fn words(text: &str, analyzer: &Analyzer) -> Vec<Unit> {
    let (mut units, mut in_run) = (Vec::new(), false);
    each_token(text, &mut |token| match token {
        Token::Word(word) => {
            let word = analyzer.word(word);
            units.extend(word.placed().map(|(term, _)| Unit::Term(term.to_owned())));
        }
        Token::Pair(pair) => {
            units.push(Unit::Term(pair.to_owned()));
            in_run = true;
        }
        // The last character of a run is in its last pair already; one that is alone may begin pairs.
        Token::Last(_) if std::mem::take(&mut in_run) => {}
        Token::Last(only) => units.push(beginning(only.to_owned(), only.to_owned())),
    });
    units
}

fn beginning(beginning: String, stem: String) -> Unit {
    Unit::Prefix { beginning, stem }
}

/// The same units, with the last word as the beginning of words.
pub(super) fn with_prefix(mut units: Vec<Unit>, text: &str, analyzer: &Analyzer) -> Vec<Unit> {
    let (mut last, mut is_word) = (String::new(), false);
    each_token(text, &mut |token| {
        is_word = matches!(token, Token::Word(_));
        if let Token::Word(word) = token {
            word.clone_into(&mut last);
        }
    });
    if is_word {
        let terms = analyzer.word(&last);
        units.truncate(units.len() - terms.placed().count());
        units.push(beginning(analyzer.prefix(&last), terms.whole));
    }
    units
}

/// The terms of a text that must follow one another. None if it has none.
fn sequence(text: &str, analyzer: &Analyzer) -> Option<Unit> {
    let (mut terms, mut position, mut in_run) = (Vec::new(), 0, false);
    let mut single = None;
    each_token(text, &mut |token| match token {
        Token::Word(word) => {
            let word = analyzer.word(word);
            terms.extend(word.sequence().iter().cloned().zip(position..));
            position += word.positions();
        }
        Token::Pair(pair) => {
            terms.push((pair.to_owned(), position));
            position += 1;
            in_run = true;
        }
        Token::Last(only) => {
            if !std::mem::take(&mut in_run) {
                single = Some(only.to_owned());
            }
            position += 1;
        }
    });
    terms.truncate(LIMIT);
    let first = terms.first().map_or(0, |(_, first)| *first);
    terms.iter_mut().for_each(|(_, position)| *position -= first);
    match (terms.len(), single) {
        (0, Some(single)) => Some(beginning(single.clone(), single)),
        (0, None) => None,
        (1, _) => terms.pop().map(|(term, _)| Unit::Term(term)),
        _ => Some(Unit::Phrase(terms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::language::Language;
    use proptest::prelude::*;

    fn plan(text: &str) -> Plan {
        WordQuery::parse(text).plan(&Analyzer::new(Language::English))
    }

    fn term(text: &str) -> Unit {
        Unit::Term(text.into())
    }

    #[test]
    fn a_plain_text_has_no_marks() {
        let text = "say \"hello you\" to -5 auto*";
        let query = WordQuery::plain(text);
        let plan = query.plan(&Analyzer::new(Language::Other));
        let terms: Vec<&Unit> = plan.optional.iter().map(|(unit, _)| unit).collect();
        let expected = ["say", "hello", "you", "to", "5", "auto"].map(|term| Unit::Term(term.into()));
        assert_eq!(terms, expected.iter().collect::<Vec<_>>());
        assert!(plan.required.is_empty() && plan.excluded.is_empty() && !query.is_selective());
        assert_eq!(query.text(), text);
    }

    #[test]
    fn words_phrases_prefixes_and_exclusions_are_told_apart() {
        let read = plan("Dogs \"fear of heights\" auto* -snake -\"two words\" dogs");
        let auto = beginning("auto".into(), "auto".into());
        assert_eq!(read.optional, [(term("dog"), 2), (auto, 1)]);
        let phrase = |terms: &[(&str, u32)]| {
            Unit::Phrase(terms.iter().map(|(term, at)| ((*term).to_owned(), *at)).collect())
        };
        assert_eq!(read.required, [(phrase(&[("fear", 0), ("of", 1), ("height", 2)]), 1)]);
        assert_eq!(read.excluded, [term("snake"), phrase(&[("two", 0), ("word", 1)])]);
    }

    #[test]
    fn identifiers_are_looked_for_whole_and_by_parts_and_in_phrases_by_parts() {
        assert_eq!(plan("foo_bar").optional, [(term("foo_bar"), 1), (term("foo"), 1), (term("bar"), 1)]);
        let phrase = Unit::Phrase(vec![("see".into(), 0), ("foo".into(), 1), ("bar".into(), 2)]);
        assert_eq!(plan("\"see foo_bar\"").required, [(phrase, 1)]);
    }

    #[test]
    fn characters_of_scripts_without_spaces_are_pairs_or_beginnings_of_pairs() {
        assert_eq!(plan("吃苹果").optional, [(term("吃苹"), 1), (term("苹果"), 1)]);
        assert_eq!(plan("犬").optional, [(beginning("犬".into(), "犬".into()), 1)]);
    }

    #[test]
    fn odd_punctuation_is_no_error() {
        assert_eq!(plan("state-of-the-art - -- * \" c++ a\"b").excluded, []);
        assert_eq!(plan("\"open phrase").required, []);
        assert_eq!(plan("\"open phrase").optional.len(), 2);
        assert_eq!(WordQuery::parse(" ?! ").pointless(), Some(Pointless::Blank));
        assert_eq!(WordQuery::parse("-snake").pointless(), Some(Pointless::OnlyExclusions));
        assert_eq!(WordQuery::parse("-snake python").pointless(), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_query(text in "[-\"*a-z 犬가é“”_]{0,40}|\\PC{0,40}") {
            let read = plan(&text);
            let is_empty = read.optional.is_empty() && read.required.is_empty();
            prop_assert_eq!(is_empty, WordQuery::parse(&text).pointless().is_some());
        }
    }
}
