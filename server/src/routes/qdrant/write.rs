//! Points are added, replaced and deleted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use akin_index::{Document, Embeddings, Metadata};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::filter::Condition;
use super::points::{document_of, ids_of, new_id_of, vector_of};
use super::{answer, refuse};
use crate::app::{App, blocking};
use crate::body::Json;
use crate::embedding::check_count;
use crate::error::ApiError;
use crate::guard::MayWrite;
use crate::path::Path;
use crate::patience::{Patience, Waiting};
use crate::served::ServedIndex;
use crate::writer::{Writer, merge_later};

/// The body of `PUT /collections/{name}/points`: points, or the same as a batch of lists.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpsertRequest {
    points: Option<Vec<GivenPoint>>,
    batch: Option<Batch>,
    shard_key: Option<Value>,
    update_filter: Option<Value>,
    update_mode: Option<Value>,
}

/// A point.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenPoint {
    id: Value,
    vector: Value,
    #[schema(value_type = Option<Object>)]
    payload: Option<Metadata>,
}

/// Points as lists.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Batch {
    ids: Vec<Value>,
    vectors: Value,
    #[schema(value_type = Option<Vec<Object>>)]
    payloads: Option<Vec<Option<Metadata>>>,
}

impl Batch {
    fn points(self) -> Result<Vec<GivenPoint>, ApiError> {
        let vectors = match self.vectors {
            Value::Object(mut named) if named.len() == 1 && named.contains_key("") => named[""].take(),
            other => other,
        };
        let Value::Array(vectors) = vectors else {
            return Err(ApiError::field("vectors", "vectors is a list of vectors, one a point"));
        };
        let count = self.ids.len();
        let payloads = self.payloads.unwrap_or_else(|| (0..count).map(|_| None).collect());
        if vectors.len() != count || payloads.len() != count {
            let unequal = "ids, vectors and payloads of a batch are of one length";
            return Err(ApiError::field("batch", unequal));
        }
        let all = self.ids.into_iter().zip(vectors).zip(payloads);
        Ok(all.map(|((id, vector), payload)| GivenPoint { id, vector, payload }).collect())
    }
}

/// Adds points, or replaces those of the same ids. They are on the disk when this is answered.
#[utoipa::path(
    put,
    path = "/collections/{name}/points",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = UpsertRequest,
    responses(
        (status = 200, description = "The points are on the disk", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn upsert(
    State(app): State<Arc<App>>,
    _: MayWrite,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<UpsertRequest>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let index = app.index(&name)?;
    let writer = writer_of_points(&index)?;
    let points = request.points(&app)?;
    let waiting = patience.waiting();
    let written = blocking(move || {
        put(&index, points, &waiting)?;
        Ok(done(&index, started))
    })
    .await;
    drop(patience);
    merge_later(&writer);
    written
}

impl UpsertRequest {
    /// The points, checked as far as can be without the index.
    pub fn points(self, app: &App) -> Result<Vec<GivenPoint>, ApiError> {
        refuse("shard_key", self.shard_key.as_ref())?;
        refuse("update_filter", self.update_filter.as_ref())?;
        refuse("update_mode", self.update_mode.as_ref().filter(|mode| **mode != json!("upsert")))?;
        let points = match (self.points, self.batch) {
            (Some(points), None) => points,
            (None, Some(batch)) => batch.points()?,
            _ => return Err(ApiError::field("points", "either points or batch is expected")),
        };
        check_count(app, points.len(), "points")?;
        Ok(points)
    }
}

/// The writer of an index whose vectors clients make.
pub fn writer_of_points(index: &ServedIndex) -> Result<Arc<Writer>, ApiError> {
    let writer = index.writer()?;
    if index.room().is_some() {
        let name = index.name();
        let own = format!(
            "{name} has a model of its own, which makes the vectors: add texts with POST /v1/indexes/{name}/documents"
        );
        return Err(ApiError::invalid(own));
    }
    Ok(writer)
}

/// Adds points, or replaces them.
pub fn put(index: &ServedIndex, points: Vec<GivenPoint>, waiting: &Waiting) -> Result<(), ApiError> {
    let (documents, embeddings) = documents_of(points, index)?;
    writer_of_points(index)?.put(&documents, &embeddings, waiting)?;
    Ok(())
}

/// The documents of points with their vectors. Of two points of one id the last counts.
fn documents_of(
    points: Vec<GivenPoint>,
    index: &ServedIndex,
) -> Result<(Vec<Document>, Embeddings), ApiError> {
    let ids: Vec<String> = points.iter().map(|point| new_id_of(&point.id)).collect::<Result<_, _>>()?;
    let last: HashMap<String, usize> = ids.iter().cloned().zip(0..).collect();
    let mut documents = Vec::with_capacity(last.len());
    let mut embeddings = Embeddings::empty(index.reader().model().dimension);
    for (at, (point, id)) in points.into_iter().zip(ids).enumerate() {
        let vector = checked_vector(vector_of(&point.vector, "vector")?, &id, index)?;
        if last.get(&id) == Some(&at) {
            documents.push(document_of(id, point.payload.unwrap_or_default()));
            embeddings.push(&vector);
        }
    }
    Ok((documents, embeddings))
}

/// A vector that is as long as those of the index.
pub fn checked_vector(vector: Vec<f32>, id: &str, index: &ServedIndex) -> Result<Vec<f32>, ApiError> {
    let (found, dimension) = (vector.len(), index.reader().model().dimension);
    if found != dimension {
        let wrong = format!(
            "the vector of point {id} has {found} dimensions, and those of the collection {dimension}"
        );
        return Err(ApiError::field("vector", wrong));
    }
    Ok(vector)
}

/// The points that a request names, by their ids or by a filter.
pub fn chosen(
    points: Option<Vec<Value>>,
    filter: Option<Value>,
    shard_key: Option<Value>,
) -> Result<Condition, ApiError> {
    refuse("shard_key", shard_key.as_ref())?;
    match (points, filter) {
        (Some(points), None) => Ok(Condition::Ids(ids_of(&points)?)),
        (None, Some(filter)) => Condition::read(&filter),
        _ => Err(ApiError::field("points", "either points or filter is expected")),
    }
}

/// Deletes points.
pub fn delete_chosen(index: &ServedIndex, chosen: &Condition, waiting: &Waiting) -> Result<(), ApiError> {
    let writer = index.writer()?;
    match chosen {
        Condition::Ids(ids) => writer.delete(ids, waiting)?,
        chosen => writer.delete_selected(|snapshot| chosen.select(snapshot), waiting)?,
    };
    Ok(())
}

/// The body of `POST /collections/{name}/points/delete`: ids, or a filter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PointsDeleteRequest {
    pub(super) points: Option<Vec<Value>>,
    pub(super) filter: Option<Value>,
    pub(super) shard_key: Option<Value>,
}

/// Deletes points. Those that are not there do no harm.
#[utoipa::path(
    post,
    path = "/collections/{name}/points/delete",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = PointsDeleteRequest,
    responses(
        (status = 200, description = "The points are gone", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    _: MayWrite,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<PointsDeleteRequest>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let index = app.index(&name)?;
    let PointsDeleteRequest { points, filter, shard_key } = request;
    let chosen = chosen(points, filter, shard_key)?;
    let (writer, waiting) = (index.writer()?, patience.waiting());
    let deleted = blocking(move || {
        delete_chosen(&index, &chosen, &waiting)?;
        Ok(done(&index, started))
    })
    .await;
    drop(patience);
    merge_later(&writer);
    deleted
}

/// An index on a field of the payload: there is one on each anyway.
#[utoipa::path(
    put,
    path = "/collections/{name}/index",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    responses(
        (status = 200, description = "Every field is indexed", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn create_index(
    State(app): State<Arc<App>>,
    _: MayWrite,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let index = app.index(&name)?;
    Ok(done(&index, Instant::now()))
}

/// The end of an index on a field of the payload: there is one on each anyway.
#[utoipa::path(
    delete,
    path = "/collections/{name}/index/{field}",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index"), ("field" = String, Path, description = "A field of the payload")),
    responses(
        (status = 200, description = "Every field stays indexed", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn drop_index(
    State(app): State<Arc<App>>,
    _: MayWrite,
    Path((name, _field)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let index = app.index(&name)?;
    Ok(done(&index, Instant::now()))
}

/// What came of an operation, as Qdrant's clients expect it.
pub fn operation(index: &ServedIndex) -> Value {
    json!({ "operation_id": index.reader().snapshot().generation(), "status": "completed" })
}

/// The answer to an operation that is done.
pub fn done(index: &ServedIndex, started: Instant) -> Response {
    answer(operation(index), started)
}
