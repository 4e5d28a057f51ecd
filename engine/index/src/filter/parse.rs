//! The language of filters: words and signs, then recursive descent.

use super::{Comparison, Expression, Literal};
use crate::{Error, Result};

/// How deep parentheses and `not` may be nested.
const DEPTH: usize = 64;

/// A word, a quoted text, or a sign.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(&'static str),
}

/// A token and its character in the text, from 1.
type Placed = (usize, Token);

/// Longer ones first.
const SIGNS: [&str; 9] = ["!=", "<=", ">=", "=", "<", ">", "(", ")", ","];

const COMPARISONS: [(&str, Comparison); 6] = [
    ("=", Comparison::Equal),
    ("!=", Comparison::Unequal),
    ("<", Comparison::Less),
    ("<=", Comparison::AtMost),
    (">", Comparison::Greater),
    (">=", Comparison::AtLeast),
];

/// Reads a whole text.
pub(super) fn expression(text: &str) -> Result<Expression> {
    let end = text.chars().count() + 1;
    let mut parser = Parser { tokens: tokens(text)?, next: 0, end, depth: 0 };
    let expression = parser.any_of()?;
    match parser.peek() {
        None => Ok(expression),
        Some(Token::Sign(")")) => parser.mistake("this parenthesis closes none: leave it out"),
        Some(_) => parser.mistake("a comparison ends here: join it to the next with `and` or `or`"),
    }
}

/// Whether a text stands for itself without quotes.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(is_word_part)
        && !["and", "or", "not", "in"].iter().any(|keyword| text.eq_ignore_ascii_case(keyword))
}

fn is_word_part(letter: char) -> bool {
    !letter.is_whitespace() && !letter.is_control() && !"\"'\\()=!<>,&|".contains(letter)
}

fn tokens(text: &str) -> Result<Vec<Placed>> {
    let mut tokens = Vec::new();
    let (mut rest, mut at) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first.is_whitespace() {
            (None, first.len_utf8())
        } else if first == '"' || first == '\'' {
            let (content, length) = quoted(rest, first, at)?;
            (Some(Token::Quoted(content)), length)
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (Some(Token::Sign(sign)), sign.len())
        } else {
            let length = rest.find(|letter| !is_word_part(letter)).unwrap_or(rest.len());
            if length == 0 {
                return Err(mistake(at, stray(first)));
            }
            (Some(Token::Word(rest[..length].to_owned())), length)
        };
        tokens.extend(token.map(|token| (at, token)));
        at += rest[..length].chars().count();
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn stray(letter: char) -> String {
    match letter {
        '&' => "`&` is written `and`".into(),
        '|' => "`|` is written `or`".into(),
        '!' => "`!` alone is written `not`".into(),
        other => format!("{other:?} stands for nothing here: put a text with signs in it in quotes"),
    }
}

/// What is between the quotes at the beginning of `rest`, and the bytes that both take.
fn quoted(rest: &str, quote: char, at: usize) -> Result<(String, usize)> {
    let mut content = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((place, letter)) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some((_, escaped @ ('"' | '\'' | '\\'))) => content.push(escaped),
                Some((_, other)) => content.extend(['\\', other]),
                None => break,
            },
            letter if letter == quote => return Ok((content, place + 1)),
            letter => content.push(letter),
        }
    }
    Err(mistake(at, format!("this quote is not closed: add {quote} at its end")))
}

fn mistake(at: usize, reason: impl Into<String>) -> Error {
    Error::Filter { at, reason: reason.into() }
}

struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    /// The character after the last.
    end: usize,
    depth: usize,
}

impl Parser {
    /// Alternatives between `or`.
    fn any_of(&mut self) -> Result<Expression> {
        let mut all = vec![self.all_of()?];
        while self.skip_keyword("or") {
            all.push(self.all_of()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expression::Or(all) })
    }

    /// Conditions between `and`.
    fn all_of(&mut self) -> Result<Expression> {
        let mut all = vec![self.operand()?];
        while self.skip_keyword("and") {
            all.push(self.operand()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expression::And(all) })
    }

    fn operand(&mut self) -> Result<Expression> {
        self.depth += 1;
        if self.depth > DEPTH {
            return self.mistake(&format!("nested more than {DEPTH} deep: write it flatter"));
        }
        let operand = if self.skip_keyword("not") {
            Expression::Not(Box::new(self.operand()?))
        } else if self.skip_sign("(") {
            let inner = self.any_of()?;
            if !self.skip_sign(")") {
                return self
                    .mistake("a parenthesis is open here: join with `and` or `or`, or close it with )");
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(operand)
    }

    fn comparison(&mut self) -> Result<Expression> {
        let field = match self.peek() {
            Some(Token::Word(word)) if is_word(word) => word.clone(),
            Some(Token::Quoted(text)) => text.clone(),
            _ => return self.mistake("a field is expected here, as in part = noun"),
        };
        self.next += 1;
        let negated = self.skip_keyword("not");
        if self.skip_keyword("in") {
            let within = Expression::In(field, self.list()?);
            return Ok(if negated { Expression::Not(Box::new(within)) } else { within });
        }
        let sign =
            self.peek().and_then(|token| COMPARISONS.iter().find(|(sign, _)| *token == Token::Sign(sign)));
        let Some((_, comparison)) = sign.filter(|_| !negated) else {
            return self.mistake(
                "one of = != < <= > >= or `in` is expected after a field; a field with spaces needs quotes",
            );
        };
        self.next += 1;
        Ok(Expression::Compare(field, *comparison, self.literal()?))
    }

    fn list(&mut self) -> Result<Vec<Literal>> {
        if !self.skip_sign("(") {
            return self.mistake("a list is expected after `in`, as in part in (noun, verb)");
        }
        let mut literals = vec![self.literal()?];
        while self.skip_sign(",") {
            literals.push(self.literal()?);
        }
        if !self.skip_sign(")") {
            return self.mistake("the list goes on with a comma or ends with ): add one");
        }
        Ok(literals)
    }

    fn literal(&mut self) -> Result<Literal> {
        let literal = match self.peek() {
            Some(Token::Word(word)) if is_word(word) => Literal::word(word.clone()),
            Some(Token::Quoted(text)) => Literal::quoted(text.clone()),
            Some(Token::Word(word)) => {
                return self.mistake(&format!("a value is expected here; if {word:?} is meant, quote it"));
            }
            Some(Token::Sign("=")) => return self.mistake("equality is written with one ="),
            _ => return self.mistake("a value is expected here, as in part = noun; an empty one is \"\""),
        };
        self.next += 1;
        Ok(literal)
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn skip_keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.next += usize::from(found);
        found
    }

    fn skip_sign(&mut self, sign: &'static str) -> bool {
        let found = self.peek() == Some(&Token::Sign(sign));
        self.next += usize::from(found);
        found
    }

    /// Of the next token.
    fn mistake<T>(&self, reason: &str) -> Result<T> {
        Err(mistake(self.tokens.get(self.next).map_or(self.end, |(at, _)| *at), reason))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Filter;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mistake_is_told_with_its_place_and_remedy() {
        for (text, at, said) in [
            ("", 1, "a field is expected"),
            ("part", 5, "expected after a field"),
            ("part =", 7, "a value is expected"),
            ("part == noun", 7, "one ="),
            ("part = noun verb = x", 13, "`and` or `or`"),
            ("über = 'a", 8, "not closed"),
            ("a = b && c = d", 7, "written `and`"),
            ("a = b and", 10, "a field is expected"),
            ("part in noun", 9, "a list is expected"),
            ("part in ()", 10, "a value is expected"),
            ("part in (a b)", 12, "comma"),
            ("(a = b", 7, "close it"),
            ("a = b)", 6, "closes none"),
            ("a = and", 5, "quote it"),
            ("and = a", 1, "a field is expected"),
            ("my field = 1", 4, "needs quotes"),
            ("a not = 1", 7, "expected after a field"),
            ("a = b\u{7}", 6, "in quotes"),
        ] {
            match Filter::parse(text) {
                Err(Error::Filter { at: place, reason }) => {
                    assert!(place == at && reason.contains(said), "{text}: {place}: {reason}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn nesting_has_an_end() {
        for (open, close) in [("(", ")"), ("not ", "")] {
            let nested = |depth: usize| format!("{}a = 1{}", open.repeat(depth), close.repeat(depth));
            assert!(Filter::parse(&nested(DEPTH - 1)).is_ok());
            assert!(Filter::parse(&nested(DEPTH)).unwrap_err().to_string().contains("flatter"));
            assert!(Filter::parse(&nested(1_000_000)).is_err());
        }
        assert!(Filter::parse(&["a = 1"; 10_000].join(" and ")).is_ok());
    }

    fn word() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-c]{1,2}",
            Just("and".to_owned()),
            Just("IN".to_owned()),
            "-?[0-9]{1,3}(\\.[0-9])?",
            "\\PC{0,6}"
        ]
    }

    fn literal() -> impl Strategy<Value = Literal> {
        (word(), any::<bool>()).prop_map(|(text, quoted)| {
            if quoted || !is_word(&text) { Literal::quoted(text) } else { Literal::word(text) }
        })
    }

    fn expressions() -> impl Strategy<Value = Expression> {
        let leaf = prop_oneof![
            (word(), 0..6usize, literal()).prop_map(|(field, sign, value)| Expression::Compare(
                field,
                COMPARISONS[sign].1,
                value
            )),
            (word(), prop::collection::vec(literal(), 1..4))
                .prop_map(|(field, values)| Expression::In(field, values)),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|inner| Expression::Not(Box::new(inner))),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::And),
                prop::collection::vec(inner, 2..4).prop_map(Expression::Or),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same(expression in expressions()) {
            let printed = expression.to_string();
            prop_assert_eq!(super::expression(&printed).unwrap(), expression, "{}", printed);
        }

        #[test]
        fn whatever_the_text_is_it_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = Filter::parse(&text);
        }

        #[test]
        fn pieces_of_the_language_in_any_order_are_read_or_refused(
            pieces in prop::collection::vec(
                prop::sample::select(vec!["a", "1", "not", "and", "or", "in", "(", ")", ",", "=", "!=", "<", "\"", "'", "\\", "é"]),
                0..20,
            ),
        ) {
            let text = pieces.join(" ");
            if let Ok(filter) = Filter::parse(&text) {
                let _ = filter.matches(&crate::Metadata::new());
                prop_assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter);
            } else if let Err(Error::Filter { at, .. }) = Filter::parse(&text) {
                prop_assert!((1..=text.chars().count() + 1).contains(&at));
            }
        }
    }
}
