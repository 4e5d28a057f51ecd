//! What a filter says, for engines that have a language of their own to say it in.

use super::literal::Literal;
use super::{Comparison, Expression, Filter};

/// An expression of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree<'a> {
    /// Some value of a field compares so to another.
    Compare {
        /// The name of the field; see [`field`](super::field) for what it names.
        field: &'a str,
        /// `=`, `!=`, `<`, `<=`, `>` or `>=`.
        sign: &'static str,
        /// What values are compared with.
        asked: Asked<'a>,
    },
    /// Some value of a field equals one of these.
    In {
        /// The name of the field.
        field: &'a str,
        /// What values are compared with.
        asked: Vec<Asked<'a>>,
    },
    /// The contrary.
    Not(Box<Tree<'a>>),
    /// All of these.
    And(Vec<Tree<'a>>),
    /// One of these at least.
    Or(Vec<Tree<'a>>),
}

/// A value as it stands in a filter. A value of a document compares with it as a number, if both are numbers; else as a time, if
/// both are; else as a text, letter by letter, unless this is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Its text.
    pub text: &'a str,
    /// Whether it is a number.
    pub is_number: bool,
    /// The time that it names: first and end, in microseconds since 1970.
    pub time: Option<(i64, i64)>,
}

impl Filter {
    /// What it says.
    pub fn tree(&self) -> Tree<'_> {
        self.0.tree()
    }
}

impl Expression {
    fn tree(&self) -> Tree<'_> {
        match self {
            Self::Compare(field, comparison, literal) => {
                Tree::Compare { field, sign: Comparison::sign(*comparison), asked: literal.asked() }
            }
            Self::In(field, literals) => {
                Tree::In { field, asked: literals.iter().map(Literal::asked).collect() }
            }
            Self::Not(inner) => Tree::Not(Box::new(inner.tree())),
            Self::And(all) => Tree::And(all.iter().map(Self::tree).collect()),
            Self::Or(all) => Tree::Or(all.iter().map(Self::tree).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_told_with_numbers_texts_and_times() {
        let filter = Filter::parse("a.b > 3 and not c in (x, '4', 1970)").unwrap();
        let asked = |text, is_number, time| Asked { text, is_number, time };
        let year = Some((0, 365 * 86_400_000_000));
        let list = vec![asked("x", false, None), asked("4", false, None), asked("1970", true, year)];
        let compare = Tree::Compare { field: "a.b", sign: ">", asked: asked("3", true, None) };
        let tree = Tree::And(vec![compare, Tree::Not(Box::new(Tree::In { field: "c", asked: list }))]);
        assert_eq!(filter.tree(), tree);
    }
}
