//! Filters: which documents a search may find, by their metadata.
//!
//! `parse` reads the language, this file says what an expression means.
//!
//! ```text
//! part = noun and (year >= 1990 or not tags in (draft, "to do"))
//! ```
//!
//! - `field = value`, `!=`, `<`, `<=`, `>`, `>=`, `field in (a, b)`, `field not in (a, b)`; `and` binds
//!   closer than `or`, `not` closest of all.
//! - Fields and values with spaces or signs in them, or that are words of the language, are quoted, `"` or `'`,
//!   with `\` before a quote or a `\`.
//! - Numbers compare as numbers, and a text in a field counts as one where it reads as one, since csv knows
//!   nothing else. A text that is no number does not compare with one. All else compares as text, letter by letter, and so
//!   does a quoted value.
//! - Dates of ISO 8601 compare as times: `date > 2024-05-01T12:00+02:00`. One that is asked for lasts as long as its last
//!   part: `date = 2024-05` is any time in that May, `date < 2024` any before that year.
//! - A field that is a list is compared element by element: one that fits is enough. `author.name` is a field of an
//!   object, where no field has a name with that dot.
//! - A field that is missing or null fits nothing; `!=` and `not in` are true of it, as the contrary of `=` and `in`.

mod date;
mod fields;
mod literal;
mod parse;
pub(crate) mod pick;
mod select;
mod tree;

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

pub use self::fields::field;
use self::literal::Literal;
pub use self::literal::{number_of, text_of, time_of};
pub(crate) use self::select::{DocumentSet, Fits};
pub use self::tree::{Asked, Tree};
use crate::{Metadata, Result};

/// Which documents a search may find: an expression about their metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Expression);

/// Deep only as far as the parser lets it be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    Compare(String, Comparison, Literal),
    In(String, Vec<Literal>),
    Not(Box<Expression>),
    /// Two or more.
    And(Vec<Expression>),
    /// Two or more.
    Or(Vec<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Filter {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`Error::Filter`](crate::Error::Filter) with the place of the first mistake.
    pub fn parse(text: &str) -> Result<Self> {
        parse::expression(text).map(Self)
    }

    /// Whether a document of this metadata may be found.
    pub fn matches(&self, metadata: &Metadata) -> bool {
        self.0.holds(metadata)
    }

    /// The fields that it asks for; no others matter.
    pub fn fields(&self) -> Vec<&str> {
        let mut fields = Vec::new();
        self.0.collect_fields(&mut fields);
        fields.sort_unstable();
        fields.dedup();
        fields
    }
}

impl Expression {
    fn holds(&self, metadata: &Metadata) -> bool {
        match self {
            Self::Compare(field, Comparison::Unequal, literal) => {
                !any(metadata, field, &|value| literal.order(value) == Some(Ordering::Equal))
            }
            Self::Compare(field, comparison, literal) => {
                any(metadata, field, &|value| comparison.admits(literal.order(value)))
            }
            Self::In(field, literals) => any(metadata, field, &|value| {
                literals.iter().any(|literal| literal.order(value) == Some(Ordering::Equal))
            }),
            Self::Not(inner) => !inner.holds(metadata),
            Self::And(all) => all.iter().all(|one| one.holds(metadata)),
            Self::Or(all) => all.iter().any(|one| one.holds(metadata)),
        }
    }

    fn collect_fields<'a>(&'a self, fields: &mut Vec<&'a str>) {
        match self {
            Self::Compare(field, ..) | Self::In(field, _) => fields.push(field),
            Self::Not(inner) => inner.collect_fields(fields),
            Self::And(all) | Self::Or(all) => all.iter().for_each(|one| one.collect_fields(fields)),
        }
    }
}

/// Whether a value of a field fits.
fn any(metadata: &Metadata, name: &str, fits: &dyn Fn(&Value) -> bool) -> bool {
    field(metadata, name).into_iter().any(fits)
}

impl Comparison {
    /// Whether a value admits of it that is so ordered to the literal; one that has no order does not.
    fn admits(self, order: Option<Ordering>) -> bool {
        order.is_some_and(|order| match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        })
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// Writes what parses to the same filter.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(field, comparison, literal) => {
                write!(f, "{} {} {literal}", Word(field), comparison.sign())
            }
            Self::In(field, literals) => {
                write!(f, "{} in (", Word(field))?;
                for (place, literal) in literals.iter().enumerate() {
                    write!(f, "{}{literal}", if place == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
            Self::Not(inner) => write!(f, "not {}", Operand(inner)),
            Self::And(all) => write_joined(f, all, " and "),
            Self::Or(all) => write_joined(f, all, " or "),
        }
    }
}

fn write_joined(f: &mut fmt::Formatter<'_>, all: &[Expression], between: &str) -> fmt::Result {
    for (place, one) in all.iter().enumerate() {
        write!(f, "{}{}", if place == 0 { "" } else { between }, Operand(one))?;
    }
    Ok(())
}

/// An expression within another, in parentheses where it needs them.
struct Operand<'a>(&'a Expression);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            joined @ (Expression::And(_) | Expression::Or(_)) => write!(f, "({joined})"),
            other => other.fmt(f),
        }
    }
}

/// A field or a text, quoted where it needs to be.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if parse::is_word(self.0) { f.write_str(self.0) } else { write_quoted(f, self.0) }
    }
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn holds(filter: &str, metadata: Value) -> bool {
        let Value::Object(metadata) = metadata else { panic!("no object") };
        Filter::parse(filter).unwrap().matches(&metadata)
    }

    #[test]
    fn numbers_compare_as_numbers_and_texts_as_texts() {
        let year = |year: Value| json!({ "year": year });
        assert!(holds("year > 900", year(json!(1999))));
        assert!(holds("year > 900", year(json!("1999"))), "csv has texts only");
        assert!(!holds("year > '900'", year(json!(1999))), "a quoted value is a text");
        assert!(holds("year = 1999.0", year(json!(1999))));
        assert!(holds("year = 1e3 and year >= 1000 and year <= 1000", year(json!(1000.0))));
        assert!(!holds("zip = '007'", json!({ "zip": "7" })));
        assert!(holds("name < b", json!({ "name": "ant" })));
        assert!(holds("open = true", json!({ "open": true })));
        let long = "id = 9007199254740993";
        assert!(holds(long, json!({ "id": 9007199254740993u64 })));
        assert!(!holds(long, json!({ "id": 9007199254740992u64 })));
    }

    #[test]
    fn a_text_that_is_no_number_is_neither_less_nor_more_than_one() {
        for text in ["", "n/a", "unknown", "ca. 1850"] {
            let year = || json!({ "year": text });
            for filter in ["year > 1990", "year < 1990", "year >= 0", "year <= 0", "year = 0", "year in (0)"]
            {
                assert!(!holds(filter, year()), "{filter} of {text:?}");
            }
            assert!(holds("year != 1990", year()), "{text:?}");
        }
        assert!(holds("year > a", json!({ "year": "unknown" })), "texts compare letter by letter");
    }

    #[test]
    fn what_is_missing_fits_nothing_but_the_contrary() {
        for metadata in [json!({}), json!({ "a": null }), json!({ "a": {} }), json!({ "a": [] })] {
            for filter in ["a = 1", "a < 1", "a >= 1", "a in (1, null)", "a = null", "a = ''"] {
                assert!(!holds(filter, metadata.clone()), "{filter} of {metadata}");
            }
            for filter in ["a != 1", "a not in (1)", "not a = 1"] {
                assert!(holds(filter, metadata.clone()), "{filter} of {metadata}");
            }
        }
    }

    #[test]
    fn dates_compare_as_times_and_last_as_long_as_their_last_part() {
        let at = |date: &str| json!({ "date": date });
        for filter in [
            "date = 2024",
            "date = 2024-05",
            "date = 2024-05-01",
            "date > 2024-04",
            "date < 2024-05-02",
            "date <= 2024-05",
            "date >= 2024-05-01T08:00:00Z",
            "date = 2024-05-01T10:30:00+02:00",
            "date in (1999, 2024-05)",
            "date > 2024-05-01T10:00+02:00",
            "date != 2023",
            "date >= 2024",
        ] {
            assert!(holds(filter, at("2024-05-01T08:30:00Z")), "{filter}");
        }
        for filter in
            ["date > 2024-05-01", "date > 2024", "date < 2024-05-01", "date != 2024-05", "date = 2023"]
        {
            assert!(!holds(filter, at("2024-05-01T08:30:00Z")), "{filter}");
        }
        assert!(!holds("date = '2024-05'", at("2024-05-01")), "a quoted value is a text");
        assert!(holds("date < b", at("2024-05-01")), "against no date as texts");
        assert!(holds("year > 2023", json!({ "year": 2024 })), "a number stays a number");
    }

    #[test]
    fn dots_lead_into_objects() {
        let document =
            || json!({ "author": { "name": "Ada", "born": 1815 }, "parts": [{ "no": 1 }, { "no": 2 }] });
        for filter in ["author.name = Ada", "author.born < 1900", "parts.no = 2", "parts.no != 3"] {
            assert!(holds(filter, document()), "{filter}");
        }
        assert!(!holds("author.age > 0 or parts.no = 3", document()));
    }

    #[test]
    fn one_element_of_a_list_is_enough() {
        let tags = || json!({ "tags": ["red", 7] });
        for filter in ["tags = red", "tags in (blue, red)", "tags = 7", "tags > 6 and tags != blue"] {
            assert!(holds(filter, tags()), "{filter}");
        }
        for filter in ["tags = blue", "tags != red", "tags not in (7)", "tags < 7"] {
            assert!(!holds(filter, tags()), "{filter}");
        }
    }

    #[test]
    fn and_binds_closer_than_or_and_not_closest() {
        let ab = |a: i32, b: i32, c: i32| json!({ "a": a, "b": b, "c": c });
        assert!(holds("a = 1 or b = 1 and c = 1", ab(1, 0, 0)));
        assert!(!holds("(a = 1 or b = 1) and c = 1", ab(1, 0, 0)));
        assert!(holds("not a = 1 and b = 1", ab(0, 1, 0)));
        assert!(!holds("not (a = 0 or b = 1)", ab(0, 1, 0)));
        assert!(holds("NOT a=1 AND (b=1 OR c=1)", ab(0, 0, 1)));
    }

    #[test]
    fn the_fields_asked_for_are_known() {
        let filter = Filter::parse("b = 1 and (\"a b\" in (2) or not b > 3)").unwrap();
        assert_eq!(filter.fields(), ["a b", "b"]);
    }
}
