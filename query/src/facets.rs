//! Facets: how often each value of a field is among the best hits.

use std::collections::HashMap;

use akin_index::{Neighbor, Snapshot};
use serde_json::{Map, Value};

use crate::{AskOptions, Result};

/// How many of the best hits are counted.
pub const DEPTH: usize = 1000;

/// The values of some fields, each with how many of the best hits have it: by field, most frequent first, equal ones in the
/// order of the alphabet.
pub type Facets = Map<String, Value>;

/// Counts the values of the fields that `options` name among the first [`DEPTH`] documents of a list. The elements of a list count one by one.
pub(crate) fn count(snapshot: &Snapshot, found: &[Neighbor], options: &AskOptions) -> Result<Facets> {
    let fields = &options.facets;
    let mut counts: Vec<HashMap<String, u64>> = vec![HashMap::new(); fields.len()];
    if fields.is_empty() {
        return Ok(Facets::new());
    }
    for near in &found[..found.len().min(DEPTH)] {
        let metadata = snapshot.document(near.doc)?.metadata;
        for (field, counts) in fields.iter().zip(&mut counts) {
            let mut values: Vec<String> = Vec::new();
            akin_index::field(&metadata, field).into_iter().for_each(|value| collect(value, &mut values));
            values.sort_unstable();
            values.dedup();
            values.into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
        }
    }
    Ok(fields.iter().cloned().zip(counts.into_iter().map(sorted)).collect())
}

/// The values of a field as they are written in a filter.
fn collect(value: &Value, values: &mut Vec<String>) {
    match value {
        Value::Null | Value::Object(_) => {}
        Value::String(text) => values.push(text.clone()),
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, values)),
        other => values.push(other.to_string()),
    }
}

fn sorted(counts: HashMap<String, u64>) -> Value {
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Value::Object(counts.into_iter().map(|(value, count)| (value, count.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_those_of_a_filter_and_lists_count_by_element() {
        let mut values = Vec::new();
        collect(&json!(["a b", 3, true, null, {"x": 1}, ["c"]]), &mut values);
        assert_eq!(values, ["a b", "3", "true", "c"]);
    }

    #[test]
    fn the_most_frequent_value_comes_first() {
        let counts = [("b", 2), ("c", 7), ("a", 2)].map(|(value, count)| (value.to_owned(), count));
        assert_eq!(sorted(counts.into()).to_string(), r#"{"c":7,"a":2,"b":2}"#);
    }
}
