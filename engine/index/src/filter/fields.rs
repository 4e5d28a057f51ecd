//! Finds a field in metadata by its name, or by the names that lead to it with dots between.

use serde_json::Value;

use crate::Metadata;

/// The values of a field; those of a list one by one. A field of that very name comes first: else `author.name` is the field
/// `name` of the object `author`, or of each object in the list `author`.
pub fn field<'a>(metadata: &'a Metadata, name: &str) -> Vec<&'a Value> {
    let mut values = Vec::new();
    find(metadata, name, &mut values);
    values
}

fn find<'a>(metadata: &'a Metadata, name: &str, values: &mut Vec<&'a Value>) {
    if let Some(value) = metadata.get(name) {
        match value {
            Value::Array(elements) => values.extend(elements),
            value => values.push(value),
        }
        return;
    }
    for (first, rest) in splits(name) {
        match metadata.get(first) {
            Some(Value::Object(object)) => find(object, rest, values),
            Some(Value::Array(elements)) => {
                elements.iter().filter_map(Value::as_object).for_each(|object| find(object, rest, values));
            }
            _ => {}
        }
    }
}

/// The names that a field may be found by in an object: its own, and what stands before each dot of it.
pub(super) fn first_names(name: &str) -> impl Iterator<Item = &str> {
    splits(name).map(|(first, _)| first).chain([name])
}

fn splits(name: &str) -> impl Iterator<Item = (&str, &str)> {
    name.match_indices('.').map(|(dot, _)| (&name[..dot], &name[dot + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dots_lead_into_objects_and_lists_of_them() {
        let Value::Object(metadata) = json!({
            "author": {"name": "Ada", "born": {"year": 1815}},
            "tags": ["a", ["b"]],
            "parts": [{"no": 1}, {"no": [2, 3]}, 4],
            "file.name": "x",
            "file": {"name": "y", "size": 3},
        }) else {
            panic!("no object")
        };
        for (name, expected) in [
            ("author.name", json!(["Ada"])),
            ("author.born.year", json!([1815])),
            ("tags", json!(["a", ["b"]])),
            ("parts.no", json!([1, 2, 3])),
            ("file.name", json!(["x"])),
            ("file.size", json!([3])),
            ("author.age", json!([])),
            ("author.", json!([])),
            (".", json!([])),
        ] {
            assert_eq!(json!(field(&metadata, name)), expected, "{name}");
        }
        assert_eq!(first_names("a.b.c").collect::<Vec<_>>(), ["a", "a.b", "a.b.c"]);
    }
}
