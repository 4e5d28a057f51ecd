//! What filters may ask of the metadata of a document, in the words that Milvus can compare.
//!
//! Milvus compares a JSON value with a constant of the same type. Filters of Akin compare a text as a number or a time where it reads
//! as one, and a list element by element. So each row has, beside the metadata as it is, the object `terms`: for each field that
//! a filter could name
//!
//! - `FIELD:is`: its texts, with `=` before them, and its numbers, with `#` before them;
//! - `FIELD:n0` and `FIELD:n1`: its least and its greatest number;
//! - `FIELD:t0` and `FIELD:t1`: the first and the last of its texts that are no times; `FIELD:d0` and `FIELD:d1`: of those that are;
//! - `FIELD:s0`, `FIELD:s1`, `FIELD:e0`, `FIELD:e1`: the first and the last second in which one of its times starts, and ends.

use std::collections::BTreeSet;
use std::fmt::Write;

use akin_index::filter::{number_of, text_of, time_of};
use akin_index::{Metadata, field};
use serde_json::{Map, Value, json};

/// Bytes of a text that are compared for equality, and for order.
pub(super) const EQUAL_BYTES: usize = 64;
pub(super) const ORDER_BYTES: usize = 32;

/// Microseconds of a second.
pub(super) const SECOND: i64 = 1_000_000;

/// The terms of a document.
pub(super) fn terms_of(metadata: &Metadata) -> Value {
    let mut names = BTreeSet::new();
    collect_names(metadata, "", &mut names);
    let mut terms = Map::new();
    for name in names {
        let texts: BTreeSet<String> =
            field(metadata, &name).into_iter().filter_map(text_of).map(Into::into).collect();
        if !texts.is_empty() {
            add(&mut terms, &escaped(name.as_bytes()), &texts);
        }
    }
    Value::Object(terms)
}

/// The names that a filter may call a value by: those of fields, with dots between where they lead into objects.
fn collect_names(metadata: &Metadata, before: &str, names: &mut BTreeSet<String>) {
    for (name, value) in metadata {
        let name = format!("{before}{name}");
        let inner = format!("{name}.");
        match value {
            Value::Object(object) => collect_names(object, &inner, names),
            Value::Array(elements) => elements
                .iter()
                .filter_map(Value::as_object)
                .for_each(|object| collect_names(object, &inner, names)),
            _ => {}
        }
        names.insert(name);
    }
}

fn add(terms: &mut Map<String, Value>, field: &str, texts: &BTreeSet<String>) {
    let mut is: BTreeSet<String> = BTreeSet::new();
    let (mut numbers, mut times) = (Vec::new(), Vec::new());
    let (mut words, mut dates) = (Vec::new(), Vec::new());
    for text in texts {
        is.insert(text_term(text));
        if let Some(number) = number_of(text) {
            is.insert(number_term(number));
            numbers.push(number);
        }
        match time_of(text) {
            Some(time) => {
                times.push(time);
                dates.push(text);
            }
            None => words.push(text),
        }
    }
    let mut set = |kind: &str, value: Value| drop(terms.insert(format!("{field}:{kind}"), value));
    set("is", json!(is));
    let least = |numbers: &[f64]| numbers.iter().copied().reduce(f64::min);
    let greatest = |numbers: &[f64]| numbers.iter().copied().reduce(f64::max);
    if let (Some(first), Some(last)) = (least(&numbers), greatest(&numbers)) {
        set("n0", json!(first));
        set("n1", json!(last));
    }
    // The texts of a set are in their order.
    for (kinds, texts) in [(["t0", "t1"], words), (["d0", "d1"], dates)] {
        if let (Some(first), Some(last)) = (texts.first(), texts.last()) {
            set(kinds[0], json!(order_term(first)));
            set(kinds[1], json!(order_term(last)));
        }
    }
    let starts = || times.iter().map(|(start, _)| start.div_euclid(SECOND));
    let ends = || times.iter().map(|(_, end)| end_second(*end));
    for (kind, second) in
        [("s0", starts().min()), ("s1", starts().max()), ("e0", ends().min()), ("e1", ends().max())]
    {
        if let Some(second) = second {
            set(kind, json!(second));
        }
    }
}

/// The second that an end is in, or at the end of.
pub(super) fn end_second(end: i64) -> i64 {
    end.saturating_add(SECOND - 1).div_euclid(SECOND)
}

/// The term of a text, of its first bytes only.
pub(super) fn text_term(text: &str) -> String {
    format!("={}", escaped(&text.as_bytes()[..text.len().min(EQUAL_BYTES)]))
}

/// The term of a number.
pub(super) fn number_term(number: f64) -> String {
    // Minus zero is zero.
    format!("#{:?}", number + 0.0)
}

/// The first bytes of a text, in digits of base 16: they have its order, and no letter that needs an escape.
pub(super) fn order_term(text: &str) -> String {
    text.bytes().take(ORDER_BYTES).fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// Bytes as letters that mean nothing to Milvus, neither in a constant nor in the name of a field.
pub(super) fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len()), |mut text, byte| {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b' ' | b'-' | b'_' | b'.' => {
                text.push(char::from(*byte))
            }
            _ => drop(write!(text, "+{byte:02x}")),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_the_terms_of_what_it_reads_as() {
        let Value::Object(metadata) = json!({"a": [7, "x:y", "2024-05", null], "b": {"c": "-.5"}}) else {
            panic!("no object")
        };
        let expected = json!({
            "a:is": ["#7.0", "=2024-05", "=7", "=x+3ay"],
            "a:n0": 7.0,
            "a:n1": 7.0,
            "a:t0": "37",
            "a:t1": "783a79",
            "a:d0": "323032342d3035",
            "a:d1": "323032342d3035",
            "a:s0": 1_714_521_600,
            "a:s1": 1_714_521_600,
            "a:e0": 1_717_200_000,
            "a:e1": 1_717_200_000,
            "b.c:is": ["#-0.5", "=-.5"],
            "b.c:n0": -0.5,
            "b.c:n1": -0.5,
            "b.c:t0": "2d2e35",
            "b.c:t1": "2d2e35",
        });
        assert_eq!(terms_of(&metadata), expected);
    }

    #[test]
    fn a_long_text_is_known_by_its_first_bytes_even_within_a_letter() {
        let long = "ä".repeat(60);
        assert_eq!(text_term(&long), format!("={}", "+c3+a4".repeat(32)));
        assert_eq!(order_term(&long), "c3a4".repeat(16));
    }
}
