//! A filter as an expression of Milvus over the [terms](super::terms) of documents.
//!
//! Nearly every filter is said exactly. Where it cannot be, as for a list of several times or for the last bytes of a long text, the
//! expression admits too many documents and never too few, and what it admits is looked at again. So each part is said in two
//! ways: widely, which is true whenever the part is, and narrowly, which is true only then. The contrary of the one is the other.

use akin_index::Filter;
use akin_index::filter::{Asked, Tree, number_of};

use super::terms::{
    EQUAL_BYTES, ORDER_BYTES, SECOND, end_second, escaped, number_term, order_term, text_term,
};

/// Whole numbers beyond this are not exact as they are compared.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The longest expression that is sent.
const MOST_BYTES: usize = 1 << 20;

/// The expression that a filter is; none where any document may fit.
///
/// # Errors
/// What cannot be said.
pub(super) fn expression(filter: &Filter) -> Result<Option<String>, String> {
    match said(&filter.tree(), Way::Widely, false) {
        Said::Always => Ok(None),
        Said::Never => Ok(Some("part < 0".into())),
        Said::If(text) if text.len() > MOST_BYTES => Err("it has too many values".into()),
        Said::If(text) => Ok(Some(text)),
    }
}

/// How a part is said where it cannot be said exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Widely,
    Narrowly,
}

impl Way {
    fn other(self) -> Self {
        match self {
            Self::Widely => Self::Narrowly,
            Self::Narrowly => Self::Widely,
        }
    }
}

/// A part of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Always,
    Never,
    If(String),
}

impl Said {
    fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::joined(parts, Self::Never, Self::Always, " or ")
    }

    fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::joined(parts, Self::Always, Self::Never, " and ")
    }

    /// Parts of which `none` means nothing, and `whole` everything.
    fn joined(parts: impl IntoIterator<Item = Self>, none: Self, whole: Self, between: &str) -> Self {
        let mut texts = Vec::new();
        for part in parts {
            match part {
                Self::If(text) => texts.push(text),
                part if part == whole => return whole,
                _ => {}
            }
        }
        match texts.len() {
            0 => none,
            1 => Self::If(texts.remove(0)),
            _ => Self::If(format!("({})", texts.join(between))),
        }
    }

    fn not(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::If(text) => Self::If(format!("not ({text})")),
        }
    }
}

fn said(tree: &Tree<'_>, way: Way, is_negated: bool) -> Said {
    match tree {
        Tree::Not(inner) => said(inner, way.other(), true).not(),
        Tree::And(all) => Said::all(all.iter().map(|one| said(one, way, is_negated))),
        Tree::Or(all) => Said::any(all.iter().map(|one| said(one, way, is_negated))),
        Tree::Compare { field, sign: "!=", asked } => {
            Leaf::new(field, way.other(), true).equal(std::slice::from_ref(asked)).not()
        }
        Tree::Compare { field, sign: "=", asked } => {
            Leaf::new(field, way, is_negated).equal(std::slice::from_ref(asked))
        }
        Tree::Compare { field, sign, asked } => Leaf::new(field, way, is_negated).compare(sign, asked),
        Tree::In { field, asked } => Leaf::new(field, way, is_negated).equal(asked),
    }
}

/// Comparisons of the values of one field.
struct Leaf {
    field: String,
    way: Way,
    is_negated: bool,
}

impl Leaf {
    fn new(field: &str, way: Way, is_negated: bool) -> Self {
        Self { field: escaped(field.as_bytes()), way, is_negated }
    }

    fn term(&self, kind: &str) -> String {
        format!("terms[\"{}:{kind}\"]", self.field)
    }

    /// A comparison of a term. One that may be negated is false of a document that lacks the term, and not unknown.
    fn said(&self, kind: &str, comparison: String) -> Said {
        Said::If(match self.is_negated {
            true => format!("((exists {}) and {comparison})", self.term(kind)),
            false => comparison,
        })
    }

    /// Whether a value equals one of some.
    fn equal(&self, asked: &[Asked<'_>]) -> Said {
        let (mut terms, mut parts) = (Vec::new(), Vec::new());
        for asked in asked {
            if let Some(number) = number_of(asked.text).filter(|_| asked.is_number) {
                if number.abs() < EXACT || self.way == Way::Widely {
                    terms.push(number_term(number));
                }
            } else if asked.time.is_none() && (asked.text.len() < EQUAL_BYTES || self.way == Way::Widely) {
                terms.push(text_term(asked.text));
            }
            parts.extend(asked.time.map(|time| self.time("=", time)));
        }
        let is = self.term("is");
        if let [term] = &terms[..] {
            parts.push(self.said("is", format!("json_contains({is}, \"{term}\")")));
        } else if !terms.is_empty() {
            let any = format!("json_contains_any({is}, [\"{}\"])", terms.join("\", \""));
            parts.push(self.said("is", any));
        }
        Said::any(parts)
    }

    fn compare(&self, sign: &str, asked: &Asked<'_>) -> Said {
        let number =
            number_of(asked.text).filter(|_| asked.is_number).map(|number| self.number(sign, number));
        let time = asked.time.map(|time| self.time(sign, time));
        // A number is compared with nothing else; a time with no text that is a time, too.
        let words = (!asked.is_number).then(|| self.text(["t0", "t1"], sign, asked.text));
        let dates = (!asked.is_number && time.is_none()).then(|| self.text(["d0", "d1"], sign, asked.text));
        Said::any([number, time, words, dates].into_iter().flatten())
    }

    fn number(&self, sign: &str, number: f64) -> Said {
        let sign = if number.abs() < EXACT { sign } else { self.rounded(sign) };
        let kind = if is_below(sign) { "n0" } else { "n1" };
        self.said(kind, format!("{} {sign} {:?}", self.term(kind), number + 0.0))
    }

    fn text(&self, kinds: [&str; 2], sign: &str, text: &str) -> Said {
        let sign = if text.len() < ORDER_BYTES { sign } else { self.rounded(sign) };
        let kind = if is_below(sign) { kinds[0] } else { kinds[1] };
        self.said(kind, format!("{} {sign} \"{}\"", self.term(kind), order_term(text)))
    }

    /// A time is less than one that starts after it starts, equal to one that it lies within, and greater than others.
    fn time(&self, sign: &str, (start, end): (i64, i64)) -> Said {
        let at = |kind: &str, sign: &str, second: i64| {
            self.said(kind, format!("{} {sign} {second}", self.term(kind)))
        };
        let (first, last) = (start.div_euclid(SECOND), end_second(end));
        let starts = |kind: &str, sign: &str| {
            at(kind, if start % SECOND == 0 { sign } else { self.rounded(sign) }, first)
        };
        let ends = |kind: &str, sign: &str| {
            at(kind, if end % SECOND == 0 { sign } else { self.rounded(sign) }, last)
        };
        // Of several times one may start late enough and another end so.
        let late = match self.way {
            Way::Widely => "s1",
            Way::Narrowly => "s0",
        };
        let equal = || Said::all([starts(late, ">="), ends("e0", "<=")]);
        match sign {
            "<" => starts("s0", "<"),
            "<=" => Said::any([starts("s0", "<"), equal()]),
            ">" => Said::all([starts(late, ">="), ends("e1", ">")]),
            ">=" => starts("s1", ">="),
            _ => equal(),
        }
    }

    /// A sign for values that are not exact: they may be equal that are not.
    fn rounded(&self, sign: &str) -> &'static str {
        match (is_below(sign), self.way) {
            (true, Way::Widely) => "<=",
            (true, Way::Narrowly) => "<",
            (false, Way::Widely) => ">=",
            (false, Way::Narrowly) => ">",
        }
    }
}

fn is_below(sign: &str) -> bool {
    sign.starts_with('<')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(filter: &str, expected: &str) {
        let said = expression(&Filter::parse(filter).unwrap()).unwrap();
        assert_eq!(said.as_deref().unwrap_or("anything"), expected);
    }

    #[test]
    fn a_filter_is_said_in_terms() {
        says("a = red", r#"json_contains(terms["a:is"], "=red")"#);
        says("a in (1, '1')", r##"json_contains_any(terms["a:is"], ["#1.0", "=1"])"##);
        says(
            "a.b < 3 and c > x",
            "(terms[\"a.b:n0\"] < 3.0 and (terms[\"c:t1\"] > \"78\" or terms[\"c:d1\"] > \"78\"))",
        );
        says("not a > 3", "not (((exists terms[\"a:n1\"]) and terms[\"a:n1\"] > 3.0))");
        says("'a\"b' = 'é'", r#"json_contains(terms["a+22b:is"], "=+c3+a9")"#);
        says(
            "a <= 1970-01-01",
            "((terms[\"a:s0\"] < 0 or (terms[\"a:s1\"] >= 0 and terms[\"a:e0\"] <= 86400)) or terms[\"a:t0\"] <= \"313937302d30312d3031\")",
        );
    }

    #[test]
    fn what_is_not_exact_admits_more_and_its_contrary_as_well() {
        says("a > 9007199254740993", "terms[\"a:n1\"] >= 9007199254740992.0");
        says("a != 9007199254740993", "anything");
        let long = "x".repeat(64);
        says(&format!("not a = {long}"), "anything");
        says(&format!("a = {long}"), &format!("json_contains(terms[\"a:is\"], \"={long}\")"));
    }
}
