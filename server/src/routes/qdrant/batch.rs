//! Several queries or changes in one request, and searches as clients sent them before `/points/query`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::answer;
use super::payload::{self, KeysRequest, PayloadChange, PayloadRequest, SelectorRequest, VectorsRequest};
use super::points::{WithPayload, WithVector};
use super::search::{PointsQueryRequest, SearchParams, answers};
use super::write::{self, GivenPoint, PointsDeleteRequest, UpsertRequest};
use crate::app::{App, blocking, quoted};
use crate::body::{self, Json};
use crate::error::ApiError;
use crate::guard::MayWrite;
use crate::path::Path;
use crate::patience::{Patience, Waiting};
use crate::served::ServedIndex;
use crate::writer::merge_later;

/// Queries or changes of a request, at most.
const MOST: usize = 100;

/// The body of `POST /collections/{name}/points/query/batch`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryBatchRequest {
    searches: Vec<PointsQueryRequest>,
}

/// Answers several queries of one commit.
#[utoipa::path(
    post,
    path = "/collections/{name}/points/query/batch",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = QueryBatchRequest,
    responses(
        (status = 200, description = "The points of each query, best first", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn query(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<QueryBatchRequest>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let found = run(&app, &name, patience, request.searches).await?;
    let found: Vec<Value> = found.into_iter().map(|points| json!({ "points": points })).collect();
    Ok(answer(found.into(), started))
}

async fn run(
    app: &Arc<App>,
    name: &str,
    patience: Patience,
    searches: Vec<PointsQueryRequest>,
) -> Result<Vec<Vec<Value>>, ApiError> {
    let index = app.index(name)?;
    check_number(searches.len(), "searches")?;
    let (waiting, app) = (patience.waiting(), Arc::clone(app));
    let found = blocking(move || answers(&app, &index, searches, &waiting)).await;
    drop(patience);
    found
}

fn check_number(count: usize, field: &str) -> Result<(), ApiError> {
    match count {
        1..=MOST => Ok(()),
        _ => Err(ApiError::field(
            field,
            format!("{field} has {count} entries, and from 1 to {MOST} are expected"),
        )),
    }
}

/// The body of `POST /collections/{name}/points/search`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    vector: Value,
    #[schema(minimum = 1)]
    limit: Option<usize>,
    offset: Option<usize>,
    filter: Option<Value>,
    params: Option<SearchParams>,
    score_threshold: Option<f32>,
    with_payload: Option<WithPayload>,
    with_vector: Option<WithVector>,
    shard_key: Option<Value>,
}

impl SearchRequest {
    /// The same as a query of today.
    fn query(self) -> Result<PointsQueryRequest, ApiError> {
        let Self {
            vector,
            limit,
            offset,
            filter,
            params,
            score_threshold,
            with_payload,
            with_vector,
            shard_key,
        } = self;
        // A vector may come with the name of the one that there is, which is empty.
        let vector = match vector {
            Value::Object(mut named) if named.get("name").is_some_and(|name| name == "") => {
                named.get_mut("vector").map(Value::take).unwrap_or_default()
            }
            other => other,
        };
        if !vector.is_array() {
            let expected = "vector is a list of numbers: points have one vector here, without a name";
            return Err(ApiError::field("vector", expected));
        }
        let query = Some(json!({ "nearest": vector }));
        Ok(PointsQueryRequest {
            query,
            limit,
            offset,
            filter,
            params,
            score_threshold,
            with_payload,
            with_vector,
            shard_key,
            ..PointsQueryRequest::default()
        })
    }
}

/// Finds the points nearest to a vector, as older clients ask.
#[utoipa::path(
    post,
    path = "/collections/{name}/points/search",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = SearchRequest,
    responses(
        (status = 200, description = "The points, best first", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn search(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<SearchRequest>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let found = run(&app, &name, patience, vec![request.query()?]).await?;
    Ok(answer(found.into_iter().next().into(), started))
}

/// The body of `POST /collections/{name}/points/search/batch`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchBatchRequest {
    searches: Vec<SearchRequest>,
}

/// Answers several searches, as older clients ask.
#[utoipa::path(
    post,
    path = "/collections/{name}/points/search/batch",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = SearchBatchRequest,
    responses(
        (status = 200, description = "The points of each search, best first", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn search_batch(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<SearchBatchRequest>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let searches = request.searches.into_iter().map(SearchRequest::query).collect::<Result<_, _>>()?;
    let found = run(&app, &name, patience, searches).await?;
    Ok(answer(found.into(), started))
}

/// The body of `POST /collections/{name}/points/batch`: objects of one field each, which names a change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateBatchRequest {
    operations: Vec<Value>,
}

/// A change that was checked as far as can be without the index.
enum Operation {
    Upsert(Vec<GivenPoint>),
    Delete(super::filter::Condition),
    Payload(PayloadChange),
    Vectors(VectorsRequest),
}

impl Operation {
    fn read(app: &App, operation: Value) -> Result<Self, ApiError> {
        let Value::Object(named) = operation else { return Err(unknown("")) };
        let mut named = named.into_iter().filter(|(_, value)| !value.is_null());
        let (Some((name, value)), None) = (named.next(), named.next()) else { return Err(unknown("")) };
        let of = body::of_value::<PayloadRequest>;
        Ok(match name.as_str() {
            "upsert" => Self::Upsert(body::of_value::<UpsertRequest>(value)?.points(app)?),
            "delete" => {
                let PointsDeleteRequest { points, filter, shard_key } = body::of_value(value)?;
                Self::Delete(write::chosen(points, filter, shard_key)?)
            }
            "set_payload" => Self::Payload(PayloadChange::set(of(value)?)?),
            "overwrite_payload" => Self::Payload(PayloadChange::overwrite(of(value)?)?),
            "delete_payload" => Self::Payload(PayloadChange::remove(body::of_value::<KeysRequest>(value)?)?),
            "clear_payload" => {
                Self::Payload(PayloadChange::clear(body::of_value::<SelectorRequest>(value)?)?)
            }
            "update_vectors" => Self::Vectors(body::of_value(value)?),
            other => return Err(unknown(other)),
        })
    }

    fn run(self, index: &ServedIndex, waiting: &Waiting) -> Result<(), ApiError> {
        match self {
            Self::Upsert(points) => write::put(index, points, waiting),
            Self::Delete(chosen) => write::delete_chosen(index, &chosen, waiting),
            Self::Payload(change) => change.run(index, waiting),
            Self::Vectors(request) => payload::replace_vectors(index, request, waiting),
        }
    }
}

fn unknown(name: &str) -> ApiError {
    let expected = "an operation is an object of one field: upsert, delete, set_payload, overwrite_payload, delete_payload, \
                    clear_payload or update_vectors";
    let given = if name.is_empty() { String::new() } else { format!(", and not {}", quoted(name)) };
    ApiError::field("operations", format!("operations: {expected}{given}"))
}

/// Makes several changes, one after the other. Those before one that fails stay.
#[utoipa::path(
    post,
    path = "/collections/{name}/points/batch",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = UpdateBatchRequest,
    responses(
        (status = 200, description = "What came of each change; all are on the disk", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn update(
    State(app): State<Arc<App>>,
    _: MayWrite,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<UpdateBatchRequest>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let index = app.index(&name)?;
    let writer = write::writer_of_points(&index)?;
    check_number(request.operations.len(), "operations")?;
    let operations: Vec<Operation> =
        request.operations.into_iter().map(|one| Operation::read(&app, one)).collect::<Result<_, _>>()?;
    let waiting = patience.waiting();
    let done = blocking(move || {
        let mut results = Vec::with_capacity(operations.len());
        for operation in operations {
            operation.run(&index, &waiting)?;
            results.push(write::operation(&index));
        }
        Ok(answer(results.into(), started))
    })
    .await;
    drop(patience);
    merge_later(&writer);
    done
}
