//! The fields of documents that a map can be coloured by.

use std::collections::HashMap;

use akin_index::Metadata;
use serde_json::Value;

/// Fields of a map, at most.
const FIELDS: usize = 8;
/// Values of a field that have a colour of their own; all others share one.
const VALUES: usize = 11;
/// Different values of a field that are counted; a field with more is no group of documents.
const COUNTED: usize = 20_000;
/// From this number of different numbers on, a field is a scale.
const SCALE_FROM: usize = 13;
/// The code of a document without the field.
pub(super) const MISSING: u8 = 255;
/// The code of the other values of a field of values, and the greatest of a scale.
pub(super) const OTHERS: u8 = VALUES as u8;
const GREATEST: u8 = 254;

/// A field, with a code for each document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// A code for each document, or [`MISSING`].
    pub(super) codes: Vec<u8>,
}

/// What the codes of a field mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A code is the place of a value, the most frequent first, or [`OTHERS`].
    Values(Vec<String>),
    /// A code is a number between the least and the greatest, from 0 to 254.
    Scale(f64, f64),
}

/// Chooses the fields that most documents have and that divide them into groups.
pub(super) fn choose(metadata: &[Metadata]) -> Vec<Field> {
    let mut names: HashMap<&str, usize> = HashMap::new();
    for (name, value) in metadata.iter().flatten() {
        if is_simple(value) {
            *names.entry(name).or_default() += 1;
        }
    }
    let mut names: Vec<(&str, usize)> = names.into_iter().collect();
    names.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    names.into_iter().filter_map(|(name, _)| field(name, metadata)).take(FIELDS).collect()
}

fn is_simple(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

fn field(name: &str, metadata: &[Metadata]) -> Option<Field> {
    let values: Vec<Option<&Value>> =
        metadata.iter().map(|fields| fields.get(name).filter(|value| is_simple(value))).collect();
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut is_capped = false;
    for value in values.iter().flatten() {
        let count = counts.len();
        match counts.entry(written(value)) {
            std::collections::hash_map::Entry::Occupied(mut known) => *known.get_mut() += 1,
            std::collections::hash_map::Entry::Vacant(new) if count < COUNTED => drop(new.insert(1)),
            std::collections::hash_map::Entry::Vacant(_) => is_capped = true,
        }
    }
    let numbers: Option<Vec<f64>> = values.iter().flatten().map(|value| value.as_f64()).collect();
    if let Some(numbers) = numbers.filter(|_| counts.len() >= SCALE_FROM) {
        return scale(name, &values, &numbers);
    }
    let present: usize = values.iter().flatten().count();
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.truncate(VALUES);
    // Ids, titles and the like: the most frequent values say nothing of most documents.
    let told: usize = counts.iter().map(|(_, count)| count).sum();
    if counts.len() < 2 || is_capped || told * 4 < present {
        return None;
    }
    let kept: Vec<String> = counts.into_iter().map(|(value, _)| value).collect();
    let code = |value: &&Value| {
        let value = written(value);
        kept.iter().position(|kept| *kept == value).map_or(OTHERS, |place| place as u8)
    };
    let codes = values.iter().map(|value| value.as_ref().map_or(MISSING, code)).collect();
    Some(Field { name: name.to_owned(), kind: Kind::Values(kept), codes })
}

fn scale(name: &str, values: &[Option<&Value>], numbers: &[f64]) -> Option<Field> {
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = most - least;
    if !width.is_finite() || width <= 0.0 {
        return None;
    }
    let code = |value: &Value| {
        let share = (value.as_f64().unwrap_or(least) - least) / width;
        (share * f64::from(GREATEST)).round() as u8
    };
    let codes = values.iter().map(|value| value.map_or(MISSING, code)).collect();
    Some(Field { name: name.to_owned(), kind: Kind::Scale(least, most), codes })
}

/// A value as a filter has it.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().take(60).collect(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_and_scales_are_chosen_and_ids_are_not() {
        let of = |n: usize| {
            let mut fields = Metadata::new();
            fields.insert("title".into(), format!("title {n}").into());
            fields.insert("kind".into(), ["noun", "verb"][usize::from(n.is_multiple_of(3))].into());
            fields.insert("year".into(), json!(1900 + n));
            fields.insert("tags".into(), json!(["a"]));
            if n < 10 {
                fields.insert("seldom".into(), json!(n.is_multiple_of(2)));
            }
            fields
        };
        let chosen = choose(&(0..101).map(of).collect::<Vec<_>>());
        let names: Vec<&str> = chosen.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["kind", "year", "seldom"]);
        assert_eq!(chosen[0].kind, Kind::Values(vec!["noun".into(), "verb".into()]));
        assert_eq!(chosen[0].codes[..4], [1, 0, 0, 1]);
        assert_eq!(chosen[1].kind, Kind::Scale(1900.0, 2000.0));
        assert_eq!((chosen[1].codes[0], chosen[1].codes[100]), (0, GREATEST));
        assert_eq!(chosen[2].codes[50], MISSING);
        assert!(choose(&[]).is_empty());
    }
}
