//! What a page shows of a whole index: its map, and the fields that divide its documents.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use akin_index::Snapshot;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::app::{App, blocking};
use crate::body;
use crate::error::{ApiError, Kind};
use crate::map::MapState;
use crate::openapi::Fault;
use crate::path::Path;

/// Documents whose fields are looked at.
const SAMPLE: usize = 400;
/// Fields that are named, at most.
const FIELDS: usize = 6;
/// Characters of a value that can be chosen from a list.
const SHORT: usize = 40;

/// The map of an index. It is made in the background, once for each commit: until it is there, the answer has status 202 and
/// the share that is done.
#[utoipa::path(
    get,
    path = "/v1/indexes/{name}/map",
    tag = "indexes",
    params(("name" = String, Path, description = "The name of an index")),
    responses(
        (status = 200, description = "Places, regions and fields of all documents; numbers are packed in base64", body = Value),
        (status = 202, description = "The map is being made: `{\"done\": 0.4}`", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn map(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let index = app.index(&name)?;
    blocking(move || match index.map().get(&index.reader().snapshot()) {
        MapState::Made(map) => Ok(body::json_text(map)),
        MapState::Making(done) => {
            Ok((StatusCode::ACCEPTED, body::json(&json!({ "done": done }))).into_response())
        }
        MapState::Failed(reason) => {
            Err(ApiError::new(Kind::Unavailable, format!("the map could not be made: {reason}")))
        }
        MapState::TooMany(most) => {
            let many =
                format!("{name} has more than {most} documents, the most of a map over this interface");
            Err(ApiError::new(Kind::TooLarge, many))
        }
    })
    .await
}

/// The fields whose values come again, judged by a sample of the documents: what facets are worth asking for.
#[utoipa::path(
    get,
    path = "/v1/indexes/{name}/fields",
    tag = "indexes",
    params(("name" = String, Path, description = "The name of an index")),
    responses(
        (status = 200, description = "`{\"facets\": [\"kind\", \"year\"]}`", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn fields(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let index = app.index(&name)?;
    blocking(move || {
        let facets = facets(&index.reader().snapshot())?;
        Ok(body::json(&json!({ "facets": facets })))
    })
    .await
}

fn facets(snapshot: &Snapshot) -> akin_index::Result<Vec<String>> {
    let docs = snapshot.docs()?;
    let mut seen: HashMap<String, (usize, HashSet<String>)> = HashMap::new();
    let sampled = SAMPLE.min(docs.len());
    for at in 0..sampled {
        let document = snapshot.document(docs[at * docs.len() / sampled])?;
        for (name, value) in document.metadata {
            let Some(values) = short_values(&value) else { continue };
            let (count, known) = seen.entry(name).or_default();
            *count += 1;
            known.extend(values);
        }
    }
    // Of a field that groups documents, a value comes several times.
    let groups = |(_, (count, values)): &(String, (usize, HashSet<String>))| {
        values.len() >= 2 && 4 * values.len() <= *count && 10 * count >= sampled
    };
    let mut fields: Vec<(String, (usize, HashSet<String>))> = seen.into_iter().filter(groups).collect();
    // Fields with few values first: they are read at a glance.
    fields.sort_by(|a, b| a.1.1.len().cmp(&b.1.1.len()).then_with(|| a.0.cmp(&b.0)));
    Ok(fields.into_iter().map(|(name, _)| name).take(FIELDS).collect())
}

/// The values of a field, if they are short texts, numbers or a list of such.
fn short_values(value: &Value) -> Option<Vec<String>> {
    let short = |value: &Value| match value {
        Value::String(text) => (text.chars().count() <= SHORT).then(|| text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Value::Array(elements) => elements.iter().map(short).collect(),
        other => short(other).map(|value| vec![value]),
    }
}
