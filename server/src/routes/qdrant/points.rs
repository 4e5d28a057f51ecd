//! A point of Qdrant as a document of ours, and back.
//!
//! An id is a whole number or a UUID, and as a text the id of the document. The payload is its metadata. The text of the
//! document is what the payload has under the first of [`TEXTS`] that it has at all; the metadata has null in its place. A
//! document that did not come from Qdrant shows its text as `text`.

use akin_index::{DocId, Document, Metadata, Snapshot};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::quoted;
use crate::error::ApiError;

/// The keys of a payload under which clients keep the text: `page_content` is that of LangChain, `content` that of
/// Haystack.
const TEXTS: [&str; 4] = ["text", "page_content", "content", "document"];

/// The id of a document, of a value that names a point.
pub fn id_of(value: &Value) -> Result<String, ApiError> {
    match value {
        Value::Number(number) if number.is_u64() => Ok(number.to_string()),
        Value::String(text) => Ok(uuid_of(text).unwrap_or_else(|| text.clone())),
        _ => Err(not_an_id(value)),
    }
}

/// The same for a point that is written: a text that is no UUID is none.
pub fn new_id_of(value: &Value) -> Result<String, ApiError> {
    match value {
        Value::String(text) => uuid_of(text).ok_or_else(|| not_an_id(value)),
        other => id_of(other),
    }
}

fn uuid_of(text: &str) -> Option<String> {
    Some(uuid::Uuid::try_parse(text).ok()?.hyphenated().to_string())
}

fn not_an_id(value: &Value) -> ApiError {
    let given = quoted(&value.to_string());
    ApiError::field(
        "id",
        format!("{given} is not the id of a point, which is a whole number from 0 on or a UUID"),
    )
}

/// The ids of documents, of a list that names points.
pub fn ids_of(values: &[Value]) -> Result<Vec<String>, ApiError> {
    values.iter().map(id_of).collect()
}

/// The id of a point, of a document's.
fn shown_id(id: &str) -> Value {
    match id.parse::<u64>() {
        Ok(number) if number.to_string() == id => number.into(),
        _ => id.into(),
    }
}

/// The document of a point.
pub fn document_of(id: String, mut payload: Metadata) -> Document {
    let mut text = String::new();
    let key = TEXTS.into_iter().find(|key| payload.contains_key(*key));
    if let Some(value) = key.and_then(|key| payload.get_mut(key))
        && value.as_str().is_some_and(|own| !own.is_empty())
        && let Value::String(own) = value.take()
    {
        text = own;
    }
    Document { id, text, metadata: payload }
}

/// The payload of a document's point.
pub fn payload_of(document: Document) -> Metadata {
    let Document { text, mut metadata, .. } = document;
    if text.is_empty() {
        return metadata;
    }
    let first = TEXTS.into_iter().find(|key| metadata.contains_key(*key));
    let own = first.filter(|key| metadata.get(*key).is_some_and(Value::is_null));
    match own {
        Some(key) => drop(metadata.insert(key.into(), text.into())),
        None if !metadata.contains_key("text") => drop(metadata.insert("text".into(), text.into())),
        None => {}
    }
    metadata
}

/// The numbers of a vector, of a value: a list, or that under the name of the one vector that there is, which is empty.
pub fn vector_of(value: &Value, field: &str) -> Result<Vec<f32>, ApiError> {
    let value = match value {
        Value::Object(named) => match named.get("").filter(|_| named.len() == 1) {
            Some(vector) => vector,
            None => {
                return Err(ApiError::field(
                    field,
                    format!("{field}: points have one vector here, without a name"),
                ));
            }
        },
        other => other,
    };
    let number = |value: &Value| value.as_f64().map(|number| number as f32);
    let numbers = value.as_array().and_then(|values| values.iter().map(number).collect::<Option<Vec<f32>>>());
    let numbers = numbers.ok_or_else(|| ApiError::field(field, format!("{field} is a list of numbers")))?;
    match numbers.iter().all(|number| number.is_finite()) {
        true => Ok(numbers),
        false => Err(ApiError::field(field, format!("{field} has a number that is too large"))),
    }
}

/// What is told of each point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    payload: Payload,
    vector: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Payload {
    Nothing,
    All,
    Only(Vec<String>),
    AllBut(Vec<String>),
}

/// `with_payload`: whether there is one, or which keys of it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum WithPayload {
    /// All of it, or nothing.
    Whole(bool),
    /// These keys.
    Keys(Vec<String>),
    /// These keys, or all but these.
    Chosen(Chosen),
}

/// Keys of a payload.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
}

/// `with_vector`: whether there is one, or the names of those that are wanted.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum WithVector {
    /// The vector, or nothing.
    Whole(bool),
    /// Vectors by their names.
    Names(Vec<String>),
}

impl Shown {
    /// What a request asks for, where `payload` says whether it is told if nothing is said of it.
    pub fn new(
        payload: Option<WithPayload>,
        without: bool,
        vector: Option<WithVector>,
    ) -> Result<Self, ApiError> {
        let payload = match payload {
            None if without => Payload::All,
            None => Payload::Nothing,
            Some(WithPayload::Whole(true)) => Payload::All,
            Some(WithPayload::Whole(false)) => Payload::Nothing,
            Some(WithPayload::Keys(keys)) => Payload::Only(keys),
            Some(WithPayload::Chosen(Chosen { include: Some(keys), exclude: None })) => Payload::Only(keys),
            Some(WithPayload::Chosen(Chosen { include: None, exclude: Some(keys) })) => Payload::AllBut(keys),
            Some(WithPayload::Chosen(_)) => {
                return Err(ApiError::field("with_payload", "with_payload has either include or exclude"));
            }
        };
        let vector = match vector {
            None => false,
            Some(WithVector::Whole(whole)) => whole,
            Some(WithVector::Names(names)) if names.iter().all(String::is_empty) => !names.is_empty(),
            Some(WithVector::Names(_)) => {
                return Err(ApiError::field(
                    "with_vector",
                    "with_vector: points have one vector here, without a name",
                ));
            }
        };
        Ok(Self { payload, vector })
    }

    /// All of a point.
    pub fn all() -> Self {
        Self { payload: Payload::All, vector: true }
    }

    /// A point: its id, and what is told of it.
    pub fn point(&self, snapshot: &Snapshot, doc: DocId) -> Result<Map<String, Value>, ApiError> {
        let document = snapshot.document(doc)?;
        let mut point = Map::new();
        point.insert("id".into(), shown_id(&document.id));
        let payload = match &self.payload {
            Payload::Nothing => None,
            Payload::All => Some(payload_of(document)),
            Payload::Only(keys) => Some(only(&payload_of(document), keys)),
            Payload::AllBut(keys) => {
                let mut payload = payload_of(document);
                keys.iter().for_each(|key| leave_out(&mut payload, key));
                Some(payload)
            }
        };
        point.insert("payload".into(), payload.map_or(Value::Null, Value::Object));
        if self.vector {
            let mut vectors = snapshot.vectors(doc)?;
            // A document of several passages has a vector of each.
            let vector = if vectors.len() == 1 { json!(vectors.swap_remove(0)) } else { json!(vectors) };
            point.insert("vector".into(), vector);
        }
        Ok(point)
    }
}

/// The keys of a payload that are wanted. A dot leads into an object.
fn only(payload: &Metadata, keys: &[String]) -> Metadata {
    let mut chosen = Metadata::new();
    for key in keys {
        choose(payload, key, &mut chosen);
    }
    chosen
}

fn choose(payload: &Metadata, key: &str, chosen: &mut Metadata) {
    if let Some(value) = payload.get(key) {
        chosen.insert(key.to_owned(), value.clone());
    } else if let Some((first, rest)) = key.split_once('.')
        && let Some(Value::Object(inner)) = payload.get(first)
        && let Value::Object(within) = chosen.entry(first).or_insert_with(|| Value::Object(Map::new()))
    {
        choose(inner, rest, within);
    }
}

/// Takes a key out of a payload. A dot leads into an object.
pub fn leave_out(payload: &mut Metadata, key: &str) {
    if payload.shift_remove(key).is_none()
        && let Some((first, rest)) = key.split_once('.')
        && let Some(Value::Object(inner)) = payload.get_mut(first)
    {
        leave_out(inner, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Metadata {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_payload_comes_back_as_it_was_whatever_it_has() {
        for payload in [
            json!({}),
            json!({ "text": "a b", "n": 1 }),
            json!({ "n": 1, "page_content": "a b", "metadata": { "content": "c" } }),
            json!({ "page_content": "a", "text": null }),
            json!({ "text": 3, "content": "c" }),
            json!({ "text": "", "content": "c" }),
            json!({ "content": null }),
        ] {
            let document = document_of("1".into(), object(payload.clone()));
            assert_eq!(Value::Object(payload_of(document)), payload);
        }
        assert_eq!(document_of("1".into(), object(json!({ "page_content": "a b" }))).text, "a b");
    }

    #[test]
    fn a_document_from_elsewhere_shows_its_text() {
        let document =
            |metadata: Value| Document { id: "a".into(), text: "b".into(), metadata: object(metadata) };
        assert_eq!(payload_of(document(json!({ "n": 1 })))["text"], "b");
        assert_eq!(payload_of(document(json!({ "content": 1 })))["text"], "b");
        assert_eq!(payload_of(document(json!({ "text": 1 })))["text"], 1);
    }

    #[test]
    fn ids_are_numbers_and_uuids() {
        let uuid = "936DA01F9ABD4d9d80C702AF85C822A8";
        assert_eq!(new_id_of(&json!(uuid)).unwrap(), "936da01f-9abd-4d9d-80c7-02af85c822a8");
        assert_eq!(new_id_of(&json!(u64::MAX)).unwrap(), u64::MAX.to_string());
        assert_eq!((shown_id("7"), shown_id("07"), shown_id("-7")), (json!(7), json!("07"), json!("-7")));
        for wrong in [json!(-1), json!(1.5), json!(null), json!("a"), json!("7"), json!([1])] {
            assert!(new_id_of(&wrong).is_err(), "{wrong}");
        }
        assert_eq!(id_of(&json!("n/7")).unwrap(), "n/7");
    }

    #[test]
    fn keys_of_a_payload_are_chosen() {
        let payload = object(json!({ "a": 1, "b": { "c": 2, "d": 3 }, "e.f": 4 }));
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let chosen = only(&payload, &keys(&["a", "b.c", "e.f", "x.y", "z"]));
        assert_eq!(Value::Object(chosen), json!({ "a": 1, "b": { "c": 2 }, "e.f": 4 }));
        let mut rest = payload;
        keys(&["a", "b.d", "q"]).iter().for_each(|key| leave_out(&mut rest, key));
        assert_eq!(Value::Object(rest), json!({ "b": { "c": 2 }, "e.f": 4 }));
    }

    #[test]
    fn a_vector_is_finite_numbers() {
        assert_eq!(vector_of(&json!([1, 2.5]), "vector").unwrap(), [1.0, 2.5]);
        assert_eq!(vector_of(&json!({ "": [1] }), "vector").unwrap(), [1.0]);
        for wrong in [json!({ "a": [1] }), json!([1e39]), json!(["1"]), json!([[1]]), json!(3), json!([null])]
        {
            assert!(vector_of(&wrong, "vector").is_err(), "{wrong}");
        }
    }
}
