//! Some fields of a JSON object: what a filter asks for is parsed, the rest is passed over.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::fields::first_names;
use crate::Metadata;

/// Those fields of a JSON object that `fields` lead to, by [`field`](super::field); an empty text has none.
///
/// # Errors
/// What is wrong with the JSON.
pub(crate) fn pick(json: &str, fields: &[&str]) -> Result<Metadata, String> {
    if json.is_empty() {
        return Ok(Metadata::new());
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let names: Vec<&str> = fields.iter().flat_map(|field| first_names(field)).collect();
    Picked(&names)
        .deserialize(&mut deserializer)
        .and_then(|metadata| deserializer.end().map(|()| metadata))
        .map_err(|error| error.to_string())
}

struct Picked<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Picked<'_> {
    type Value = Metadata;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Metadata, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Picked<'_> {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let mut metadata = Metadata::new();
        while let Some(field) = map.next_key_seed(Name(self.0))? {
            match field {
                Some(field) => drop(metadata.insert(field.to_owned(), map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(metadata)
    }
}

/// The name of a field, if it is among these.
struct Name<'a>(&'a [&'a str]);

impl<'de, 'a> DeserializeSeed<'de> for Name<'a> {
    type Value = Option<&'a str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a> {
    type Value = Option<&'a str>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().copied().find(|field| *field == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_asked_for_are_picked_and_no_others() {
        let json = r#"{"a":[1,{"b":2}],"b\n":null,"c":"x"}"#;
        let picked = pick(json, &["b\n", "a", "d"]).unwrap();
        assert_eq!(serde_json::to_string(&picked).unwrap(), r#"{"a":[1,{"b":2}],"b\n":null}"#);
        assert!(pick("", &["a"]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in ["[]", "{", "{} {}", "\"a\"", "{\"a\":}"] {
            assert!(pick(json, &["a"]).is_err(), "{json}");
        }
    }
}
