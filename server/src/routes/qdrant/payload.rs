//! Payloads and vectors of points are changed without sending the rest of the points again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use akin_index::{Document, Embeddings, Metadata, Snapshot};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::filter::Condition;
use super::points::{document_of, leave_out, new_id_of, payload_of, vector_of};
use super::refuse;
use super::write::{checked_vector, chosen, done, writer_of_points};
use crate::app::{App, blocking};
use crate::body::Json;
use crate::embedding::check_count;
use crate::error::{ApiError, Kind};
use crate::guard::MayWrite;
use crate::path::Path;
use crate::patience::{Patience, Waiting};
use crate::served::ServedIndex;
use crate::writer::merge_later;

/// Points that are changed at once, at most.
const CHANGED: usize = 100_000;

/// The body of `POST` and `PUT /collections/{name}/points/payload`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayloadRequest {
    #[schema(value_type = Object)]
    payload: Metadata,
    /// Where in the payload it belongs: a dot leads into an object.
    key: Option<String>,
    points: Option<Vec<Value>>,
    filter: Option<Value>,
    shard_key: Option<Value>,
}

/// The body of `POST /collections/{name}/points/payload/delete`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeysRequest {
    keys: Vec<String>,
    points: Option<Vec<Value>>,
    filter: Option<Value>,
    shard_key: Option<Value>,
}

/// Points by their ids or by a filter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SelectorRequest {
    points: Option<Vec<Value>>,
    filter: Option<Value>,
    shard_key: Option<Value>,
}

/// What becomes of payloads.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// Keys are set, and others stay.
    Set { payload: Metadata, key: Option<String> },
    /// It is replaced.
    Overwrite(Metadata),
    /// Keys go.
    Remove(Vec<String>),
}

impl Change {
    fn apply(&self, payload: &mut Metadata) {
        match self {
            Self::Set { payload: new, key: None } => payload.extend(new.clone()),
            Self::Set { payload: new, key: Some(key) } => within(payload, key).extend(new.clone()),
            Self::Overwrite(new) => payload.clone_from(new),
            Self::Remove(keys) => keys.iter().for_each(|key| leave_out(payload, key)),
        }
    }
}

/// The object at a key of a payload. What is there and is none is replaced.
fn within<'a>(payload: &'a mut Metadata, key: &str) -> &'a mut Metadata {
    key.split('.').fold(payload, |object, part| {
        let inner = object.entry(part).or_insert_with(|| Value::Object(Map::new()));
        if !inner.is_object() {
            *inner = Value::Object(Map::new());
        }
        inner.as_object_mut().expect("it was made an object")
    })
}

/// A change of the payloads of some points, which was checked.
pub struct PayloadChange {
    change: Change,
    of: Condition,
}

impl PayloadChange {
    /// Keys are set.
    pub fn set(request: PayloadRequest) -> Result<Self, ApiError> {
        let PayloadRequest { payload, key, points, filter, shard_key } = request;
        let key = key.filter(|key| !key.is_empty());
        Ok(Self { change: Change::Set { payload, key }, of: chosen(points, filter, shard_key)? })
    }

    /// Payloads are replaced.
    pub fn overwrite(request: PayloadRequest) -> Result<Self, ApiError> {
        let PayloadRequest { payload, key, points, filter, shard_key } = request;
        refuse("key", key.map(Value::from).as_ref())?;
        Ok(Self { change: Change::Overwrite(payload), of: chosen(points, filter, shard_key)? })
    }

    /// Keys go.
    pub fn remove(request: KeysRequest) -> Result<Self, ApiError> {
        let KeysRequest { keys, points, filter, shard_key } = request;
        Ok(Self { change: Change::Remove(keys), of: chosen(points, filter, shard_key)? })
    }

    /// Payloads become empty.
    pub fn clear(request: SelectorRequest) -> Result<Self, ApiError> {
        let SelectorRequest { points, filter, shard_key } = request;
        Ok(Self { change: Change::Overwrite(Metadata::new()), of: chosen(points, filter, shard_key)? })
    }

    /// Makes the change. It is on the disk when this returns.
    pub fn run(&self, index: &ServedIndex, waiting: &Waiting) -> Result<(), ApiError> {
        let rewritten = |snapshot: &Snapshot| {
            let docs = snapshot.docs_among(&self.of.select(snapshot)?)?;
            if docs.len() > CHANGED {
                let many = format!("{} points would change, and {CHANGED} are the most at once", docs.len());
                return Err(ApiError::new(Kind::TooLarge, many));
            }
            let mut embeddings = Embeddings::empty(snapshot.model().dimension);
            let mut documents = Vec::with_capacity(docs.len());
            for doc in docs {
                let document = snapshot.document(doc)?;
                let id = document.id.clone();
                let mut payload = payload_of(document);
                self.change.apply(&mut payload);
                snapshot.vectors(doc)?.iter().for_each(|vector| embeddings.push(vector));
                documents.push(document_of(id, payload));
            }
            Ok((documents, embeddings))
        };
        writer_of_points(index)?.rewrite(rewritten, waiting)
    }
}

async fn change(
    app: Arc<App>,
    name: String,
    patience: Patience,
    change: PayloadChange,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let index = app.index(&name)?;
    let writer = writer_of_points(&index)?;
    let waiting = patience.waiting();
    let changed = blocking(move || {
        change.run(&index, &waiting)?;
        Ok(done(&index, started))
    })
    .await;
    drop(patience);
    merge_later(&writer);
    changed
}

/// Sets keys of the payloads of points; the others stay.
#[utoipa::path(
    post,
    path = "/collections/{name}/points/payload",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = PayloadRequest,
    responses(
        (status = 200, description = "The payloads are on the disk", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn set(
    State(app): State<Arc<App>>,
    _: MayWrite,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<PayloadRequest>,
) -> Result<Response, ApiError> {
    change(app, name, patience, PayloadChange::set(request)?).await
}

/// Replaces the payloads of points.
#[utoipa::path(
    put,
    path = "/collections/{name}/points/payload",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = PayloadRequest,
    responses(
        (status = 200, description = "The payloads are on the disk", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn overwrite(
    State(app): State<Arc<App>>,
    _: MayWrite,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<PayloadRequest>,
) -> Result<Response, ApiError> {
    change(app, name, patience, PayloadChange::overwrite(request)?).await
}

/// Deletes keys of the payloads of points.
#[utoipa::path(
    post,
    path = "/collections/{name}/points/payload/delete",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = KeysRequest,
    responses(
        (status = 200, description = "The keys are gone", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    _: MayWrite,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<KeysRequest>,
) -> Result<Response, ApiError> {
    change(app, name, patience, PayloadChange::remove(request)?).await
}

/// Makes the payloads of points empty.
#[utoipa::path(
    post,
    path = "/collections/{name}/points/payload/clear",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = SelectorRequest,
    responses(
        (status = 200, description = "The payloads are empty", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn clear(
    State(app): State<Arc<App>>,
    _: MayWrite,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<SelectorRequest>,
) -> Result<Response, ApiError> {
    change(app, name, patience, PayloadChange::clear(request)?).await
}

/// The body of `PUT /collections/{name}/points/vectors`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VectorsRequest {
    points: Vec<PointVector>,
    shard_key: Option<Value>,
    update_filter: Option<Value>,
}

/// The new vector of a point.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PointVector {
    id: Value,
    vector: Value,
}

/// Gives points other vectors; their payloads stay.
#[utoipa::path(
    put,
    path = "/collections/{name}/points/vectors",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = VectorsRequest,
    responses(
        (status = 200, description = "The vectors are on the disk", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn vectors(
    State(app): State<Arc<App>>,
    _: MayWrite,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<VectorsRequest>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let index = app.index(&name)?;
    let writer = writer_of_points(&index)?;
    check_count(&app, request.points.len(), "points")?;
    let waiting = patience.waiting();
    let changed = blocking(move || {
        replace_vectors(&index, request, &waiting)?;
        Ok(done(&index, started))
    })
    .await;
    drop(patience);
    merge_later(&writer);
    changed
}

/// Gives points the vectors of a request.
pub fn replace_vectors(
    index: &ServedIndex,
    request: VectorsRequest,
    waiting: &Waiting,
) -> Result<(), ApiError> {
    refuse("shard_key", request.shard_key.as_ref())?;
    refuse("update_filter", request.update_filter.as_ref())?;
    let mut last: HashMap<String, Vec<f32>> = HashMap::new();
    for point in &request.points {
        let id = new_id_of(&point.id)?;
        let vector = checked_vector(vector_of(&point.vector, "vector")?, &id, index)?;
        last.insert(id, vector);
    }
    let rewritten = |snapshot: &Snapshot| {
        let mut embeddings = Embeddings::empty(snapshot.model().dimension);
        let mut documents: Vec<Document> = Vec::with_capacity(last.len());
        for (id, vector) in &last {
            let gone = || ApiError::not_found(format!("there is no point {id}"));
            documents.push(snapshot.get(id)?.ok_or_else(gone)?);
            embeddings.push(vector);
        }
        Ok((documents, embeddings))
    };
    writer_of_points(index)?.rewrite(rewritten, waiting)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn after(change: &Change, payload: Value) -> Value {
        let mut payload = payload.as_object().unwrap().clone();
        change.apply(&mut payload);
        Value::Object(payload)
    }

    fn object(value: Value) -> Metadata {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn payloads_are_set_replaced_and_cut() {
        let before = || json!({ "a": 1, "b": { "c": 2, "d": 3 }, "text": "t" });
        let set = |payload: Value, key: Option<&str>| Change::Set {
            payload: object(payload),
            key: key.map(str::to_owned),
        };
        assert_eq!(
            after(&set(json!({ "a": 5, "e": 6 }), None), before()),
            json!({ "a": 5, "b": { "c": 2, "d": 3 }, "text": "t", "e": 6 })
        );
        assert_eq!(after(&set(json!({ "c": 4 }), Some("b")), before())["b"], json!({ "c": 4, "d": 3 }));
        assert_eq!(after(&set(json!({ "x": 1 }), Some("a.y")), before())["a"], json!({ "y": { "x": 1 } }));
        assert_eq!(after(&Change::Overwrite(object(json!({ "z": 1 }))), before()), json!({ "z": 1 }));
        let remove = Change::Remove(vec!["b.c".into(), "text".into(), "q".into()]);
        assert_eq!(after(&remove, before()), json!({ "a": 1, "b": { "d": 3 } }));
    }
}
