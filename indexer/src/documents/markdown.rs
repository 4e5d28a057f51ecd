//! Markdown: the text as it is, and the fields of its front matter.

use akin_index::Metadata;
use encoding_rs::Encoding;
use serde_json::Value;

use super::{Extracted, Unread, text};

/// Reads a document.
pub(super) fn read(bytes: Vec<u8>, encoding: Option<&'static Encoding>) -> Result<Extracted, Unread> {
    let Extracted { text, .. } = text::read(bytes, encoding)?;
    let Some((fields, body)) = front_matter(&text) else {
        return Ok(Extracted { text, metadata: Metadata::new() });
    };
    Ok(Extracted { metadata: fields, text: body.to_owned() })
}

/// The fields between the marks at the beginning, and the text after them. YAML between `---`, TOML between `+++`: of both
/// only fields of one line are read.
fn front_matter(text: &str) -> Option<(Metadata, &str)> {
    let (mark, separator) = match text.lines().next()?.trim_end() {
        "---" => ("---", ':'),
        "+++" => ("+++", '='),
        _ => return None,
    };
    let mut fields = Metadata::new();
    let mut list: Option<String> = None;
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        at += line.len();
        let line = line.trim_end();
        if number == 0 {
            continue;
        }
        if line == mark || (mark == "---" && line == "...") {
            return Some((fields, text[at..].trim_start_matches(['\r', '\n'])));
        }
        // The lines of a list belong to the field before them.
        if let (Some(name), Some(item)) = (&list, line.trim_start().strip_prefix("- ")) {
            if let Some(Value::Array(items)) = fields.get_mut(name) {
                items.push(value_of(item));
            }
            continue;
        }
        list = None;
        let Some((name, value)) = line.split_once(separator) else { continue };
        if name.trim().is_empty() || name.starts_with([' ', '\t', '#', '[']) {
            continue;
        }
        let name = name.trim().trim_matches('"').to_owned();
        if value.trim().is_empty() {
            fields.insert(name.clone(), Value::Array(Vec::new()));
            list = Some(name);
        } else {
            fields.insert(name, value_of(value));
        }
    }
    None
}

/// A number, a truth value, a list on one line, or a string.
fn value_of(text: &str) -> Value {
    let text = text.trim();
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    if let Some(inner) = quoted('"').or_else(|| quoted('\'')) {
        return inner.into();
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
        return items.map(|item| item.trim_matches(['"', '\''])).map(Value::from).collect();
    }
    match text {
        "true" => true.into(),
        "false" => false.into(),
        _ => text.parse::<i64>().map_or_else(|_| number_or_text(text), Value::from),
    }
}

fn number_or_text(text: &str) -> Value {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    let number = text.parse::<f64>().ok().filter(|_| is_number).and_then(serde_json::Number::from_f64);
    number.map_or_else(|| text.into(), Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn front_matter_becomes_fields_and_is_no_text() {
        let yaml = "---\ntitle: \"On cats\"\nyear: 2019\ntags:\n  - pets\n  - fur\nkinds: [a, 'b']\ndate: 2019-01-02\nscore: 1.5\n---\n\n# Cats\n";
        let read = read(yaml.into(), None).unwrap();
        assert_eq!(read.text, "# Cats\n");
        assert_eq!(
            Value::Object(read.metadata),
            json!({"title": "On cats", "year": 2019, "tags": ["pets", "fur"], "kinds": ["a", "b"], "date": "2019-01-02", "score": 1.5})
        );
        let toml = super::read(b"+++\ntitle = 'x'\n+++\ntext".to_vec(), None).unwrap();
        assert_eq!((toml.text.as_str(), &toml.metadata["title"]), ("text", &json!("x")));
    }

    #[test]
    fn a_rule_at_the_beginning_is_no_front_matter() {
        for text in ["---\n\nA rule above.\n", "# a\n---\nb", "---"] {
            let read = read(text.into(), None).unwrap();
            assert_eq!((read.text.as_str(), read.metadata.len()), (text, 0));
        }
    }
}
