//! What each tool does.

use std::fmt::Write;
use std::sync::Arc;

use akin_index::{Document, Metadata};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::app::{App, blocking, quoted};
use crate::error::ApiError;
use crate::patience::Patience;
use crate::routes::{ModeName, QueryRequest, ask};
use crate::served::ServedIndex;
use crate::writer::merge_later;

/// Results of a search, at most.
const MOST: usize = 100;

/// Characters of a title that is made of a text.
const TITLE: usize = 80;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchArguments {
    query: String,
    limit: Option<usize>,
    filter: Option<String>,
    index: Option<String>,
    mode: Option<ModeName>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FetchArguments {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreArguments {
    text: String,
    id: Option<String>,
    title: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    index: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteArguments {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoArguments {}

/// Finds documents in one index or in all.
pub async fn search(app: &Arc<App>, arguments: Map<String, Value>) -> Result<Value, ApiError> {
    let asked: SearchArguments = read(arguments)?;
    let limit = asked.limit.unwrap_or(10);
    if !(1..=MOST).contains(&limit) {
        return Err(ApiError::invalid(format!(
            "limit is {limit}, and a number from 1 to {MOST} is expected"
        )));
    }
    let indexes = match &asked.index {
        Some(name) => vec![app.index(name)?],
        None => app.indexes(),
    };
    let (app, patience) = (Arc::clone(app), Patience::default());
    let waiting = patience.waiting();
    let results = blocking(move || {
        let mut found: Vec<(f32, Value)> = Vec::new();
        for index in &indexes {
            let request = QueryRequest {
                text: Some(asked.query.clone()),
                k: Some(limit),
                filter: asked.filter.clone(),
                mode: asked.mode,
                ..QueryRequest::default()
            };
            let (answer, _) = ask(&app, index, request.check(&app)?, &waiting)?;
            found.extend(answer.hits.iter().map(|hit| {
                let (id, url) = (public_id(&app, index, &hit.id), url_of(index, &hit.id, &hit.metadata));
                (
                    hit.score,
                    json!({ "id": id, "title": title_of(&hit.text, &hit.metadata, &hit.id), "url": url }),
                )
            }));
        }
        // The scores of several indexes are on one scale where their models are the same.
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        let results: Vec<Value> = found.into_iter().take(limit).map(|(_, result)| result).collect();
        Ok(json!({ "results": results }))
    })
    .await;
    drop(patience);
    results
}

/// Gives a document.
pub async fn fetch(app: &Arc<App>, arguments: Map<String, Value>) -> Result<Value, ApiError> {
    let FetchArguments { id } = read(arguments)?;
    let (index, own) = find(app, &id)?;
    blocking(move || {
        let Some(document) = index.reader().get(&own)? else {
            return Err(ApiError::not_found(format!(
                "no document has the id {}: take one that search gave",
                quoted(&id)
            )));
        };
        Ok(json!({
            "id": id,
            "title": title_of(&document.text, &document.metadata, &own),
            "text": document.text,
            "url": url_of(&index, &own, &document.metadata),
            "metadata": document.metadata,
        }))
    })
    .await
}

/// Keeps a text as a document.
pub async fn store(app: &Arc<App>, arguments: Map<String, Value>) -> Result<Value, ApiError> {
    let StoreArguments { text, id, title, mut metadata, index } = read(arguments)?;
    let index = index_to_store_in(app, index.as_deref())?;
    let writer = index.writer()?;
    let room = index.room().cloned().ok_or_else(|| {
        let none = format!("{} has no model for texts: name another index", index.name());
        ApiError::invalid(none)
    })?;
    if text.trim().is_empty() {
        return Err(ApiError::invalid("text is blank, and nothing could be found by it"));
    }
    if let Some(title) = title {
        metadata.insert("title".into(), title.into());
    }
    // The same text without an id is the same document.
    let id = id.unwrap_or_else(|| id_of_text(&text));
    let (app, patience) = (Arc::clone(app), Patience::default());
    let (waiting, by) = (patience.waiting(), Arc::clone(&writer));
    let stored = blocking(move || {
        let url = url_of(&index, &id, &metadata);
        let public = public_id(&app, &index, &id);
        let written = by.write(&room, vec![Document { id, text, metadata }], &waiting)?;
        let outcome = match (written.added, written.replaced) {
            (1, _) => "added",
            (_, 1) => "replaced",
            _ => "unchanged",
        };
        Ok(json!({ "id": public, "url": url, "outcome": outcome }))
    })
    .await;
    drop(patience);
    merge_later(&writer);
    stored
}

fn index_to_store_in(app: &App, name: Option<&str>) -> Result<Arc<ServedIndex>, ApiError> {
    if let Some(name) = name {
        return app.index(name);
    }
    match app.indexes().as_slice() {
        [index] => Ok(Arc::clone(index)),
        several => {
            let names: Vec<&str> = several.iter().map(|index| index.name()).collect();
            Err(ApiError::invalid(format!("index is missing: name one of {}", names.join(", "))))
        }
    }
}

fn id_of_text(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Deletes a document.
pub async fn delete(app: &Arc<App>, arguments: Map<String, Value>) -> Result<Value, ApiError> {
    let DeleteArguments { id } = read(arguments)?;
    let (index, own) = find(app, &id)?;
    let (writer, patience) = (index.writer()?, Patience::default());
    let waiting = patience.waiting();
    let by = Arc::clone(&writer);
    let deleted = blocking(move || by.delete(&[own], &waiting)).await;
    drop(patience);
    merge_later(&writer);
    match deleted? {
        0 => Err(ApiError::not_found(format!(
            "no document has the id {}: take one that search gave",
            quoted(&id)
        ))),
        _ => Ok(json!({ "id": id, "deleted": true })),
    }
}

/// Tells what there is.
pub async fn status(app: &Arc<App>, arguments: Map<String, Value>) -> Result<Value, ApiError> {
    let NoArguments {} = read(arguments)?;
    let app = Arc::clone(app);
    blocking(move || {
        let mut indexes = Vec::new();
        for index in app.indexes() {
            let stat = index.reader().stat()?;
            let model = stat.model.is_known().then_some(stat.model.location);
            indexes.push(json!({
                "name": index.name(), "documents": stat.documents, "passages": stat.passages, "model": model,
            }));
        }
        Ok(json!({ "version": env!("CARGO_PKG_VERSION"), "indexes": indexes }))
    })
    .await
}

/// Reads arguments. One that is unknown is refused by its name.
fn read<T: DeserializeOwned>(arguments: Map<String, Value>) -> Result<T, ApiError> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        let reason: String = error.to_string().chars().take(300).collect();
        ApiError::invalid(format!("the arguments are not as expected: {reason}"))
    })
}

/// The id by which agents know a document: with the name of its index before it where there are several.
fn public_id(app: &App, index: &ServedIndex, id: &str) -> String {
    if app.indexes().len() == 1 { id.to_owned() } else { format!("{}:{id}", index.name()) }
}

/// The index of an id that agents know, and the document's own id.
fn find(app: &App, id: &str) -> Result<(Arc<ServedIndex>, String), ApiError> {
    let indexes = app.indexes();
    if let [index] = indexes.as_slice() {
        return Ok((Arc::clone(index), id.to_owned()));
    }
    let found = indexes.iter().find_map(|index| {
        let own = id.strip_prefix(index.name())?.strip_prefix(':')?;
        Some((Arc::clone(index), own.to_owned()))
    });
    found.ok_or_else(|| {
        ApiError::not_found(format!("no document has the id {}: take one that search gave", quoted(id)))
    })
}

/// The title of a document: its own, else its first line, else its id.
pub fn title_of(text: &str, metadata: &Metadata, id: &str) -> String {
    let named = ["title", "name", "subject"].iter().filter_map(|field| metadata.get(*field)?.as_str());
    let lines = text.lines().map(|line| line.trim_start_matches('#').trim());
    let title = named.chain(lines).find(|title| !title.trim().is_empty()).unwrap_or(id);
    title.chars().take(TITLE).collect()
}

/// Where a document is: its own address, else one that names it. It is never empty: without one there is no citation.
fn url_of(index: &ServedIndex, id: &str, metadata: &Metadata) -> String {
    let own = metadata.get("url").and_then(Value::as_str).filter(|url| url.contains("://"));
    own.map_or_else(|| resource_of(index, id), str::to_owned)
}

/// The address that names a document, whatever its own is.
pub fn resource_of(index: &ServedIndex, id: &str) -> String {
    format!("akin://{}/{}", escaped(index.name()), escaped(id))
}

/// A text as a part of an address.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                escaped.push(byte.into())
            }
            // Writing to a string does not fail.
            _ => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_a_title_whatever_it_is() {
        let title = |text: &str, metadata: Value| title_of(text, metadata.as_object().unwrap(), "id-1");
        assert_eq!(title("text", json!({ "title": "Alps" })), "Alps");
        assert_eq!(title("\n# Heading\ntext", json!({ "title": 3 })), "Heading");
        assert_eq!(title(" \n", json!({})), "id-1");
        assert_eq!(title(&"ä".repeat(200), json!({})).chars().count(), TITLE);
    }

    #[test]
    fn an_address_has_no_sign_that_means_something() {
        assert_eq!(escaped("a b/ü?#"), "a%20b/%C3%BC%3F%23");
    }
}
