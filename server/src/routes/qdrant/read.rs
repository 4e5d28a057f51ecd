//! Points by their ids, one after the other, and how many there are.

use std::sync::Arc;
use std::time::Instant;

use akin_index::{DocId, Snapshot};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::filter::Condition;
use super::order::Order;
use super::points::{Shown, WithPayload, WithVector, id_of, ids_of};
use super::{among, answer, condition, refuse};
use crate::app::{App, blocking, quoted};
use crate::body::Json;
use crate::embedding::check_count;
use crate::error::ApiError;
use crate::path::Path;

/// The body of `POST /collections/{name}/points`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GetRequest {
    ids: Vec<Value>,
    with_payload: Option<WithPayload>,
    with_vector: Option<WithVector>,
    shard_key: Option<Value>,
}

/// Points by their ids. Those that are not there are left out.
#[utoipa::path(
    post,
    path = "/collections/{name}/points",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = GetRequest,
    responses(
        (status = 200, description = "The points", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(request): Json<GetRequest>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let index = app.index(&name)?;
    refuse("shard_key", request.shard_key.as_ref())?;
    let ids = ids_of(&request.ids)?;
    if !ids.is_empty() {
        check_count(&app, ids.len(), "ids")?;
    }
    let shown = Shown::new(request.with_payload, true, request.with_vector)?;
    blocking(move || {
        let snapshot = index.reader().snapshot();
        let mut points = Vec::with_capacity(ids.len());
        for id in &ids {
            if let Some(doc) = snapshot.find(id)? {
                points.push(Value::Object(shown.point(&snapshot, doc)?));
            }
        }
        Ok(answer(points.into(), started))
    })
    .await
}

/// A point by its id.
#[utoipa::path(
    get,
    path = "/collections/{name}/points/{id}",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index"), ("id" = String, Path, description = "The id of a point")),
    responses(
        (status = 200, description = "The point", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn get_one(
    State(app): State<Arc<App>>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let index = app.index(&name)?;
    blocking(move || {
        let snapshot = index.reader().snapshot();
        let own = id_of(&Value::String(id.clone()))?;
        let found = snapshot.find(&own)?;
        let doc = found.ok_or_else(|| ApiError::not_found(format!("{name} has no point {}", quoted(&id))))?;
        Ok(answer(Value::Object(Shown::all().point(&snapshot, doc)?), started))
    })
    .await
}

/// The body of `POST /collections/{name}/points/count`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CountRequest {
    filter: Option<Value>,
    /// Counts are exact either way.
    #[serde(rename = "exact")]
    _exact: Option<bool>,
    shard_key: Option<Value>,
}

/// How many points fit a filter.
#[utoipa::path(
    post,
    path = "/collections/{name}/points/count",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = CountRequest,
    responses(
        (status = 200, description = "How many points fit", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn count(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(request): Json<CountRequest>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let index = app.index(&name)?;
    refuse("shard_key", request.shard_key.as_ref())?;
    let filter = condition(request.filter.as_ref())?;
    blocking(move || {
        let snapshot = index.reader().snapshot();
        let fitting = among(&snapshot, filter.as_ref())?;
        let count = fitting.map_or(snapshot.len(), |fitting| fitting.len());
        Ok(answer(json!({ "count": count }), started))
    })
    .await
}

/// The body of `POST /collections/{name}/points/scroll`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScrollRequest {
    offset: Option<Value>,
    #[schema(minimum = 1)]
    limit: Option<usize>,
    filter: Option<Value>,
    with_payload: Option<WithPayload>,
    with_vector: Option<WithVector>,
    /// A key of the payload, or an object with `key`, `direction` and `start_from`.
    order_by: Option<Value>,
    shard_key: Option<Value>,
}

/// Points, oldest first, a page at a time; or the first by a number or text of their payloads, those without it left out.
#[utoipa::path(
    post,
    path = "/collections/{name}/points/scroll",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = ScrollRequest,
    responses(
        (status = 200, description = "A page of points, and where the next begins", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn scroll(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(request): Json<ScrollRequest>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let index = app.index(&name)?;
    refuse("shard_key", request.shard_key.as_ref())?;
    let (limit, most) = (request.limit.unwrap_or(10), app.limits.hits);
    if limit == 0 || limit > most {
        return Err(ApiError::field(
            "limit",
            format!("limit is {limit}, and a number from 1 to {most} is expected"),
        ));
    }
    let from = request.offset.filter(|offset| !offset.is_null());
    let from = from.map(|offset| id_of(&offset)).transpose()?;
    let filter = condition(request.filter.as_ref())?;
    let order = request.order_by.as_ref().filter(|order| !order.is_null()).map(Order::read).transpose()?;
    if order.is_some() && from.is_some() {
        return Err(ApiError::field("offset", "offset: with order_by go on with its start_from"));
    }
    let shown = Shown::new(request.with_payload, true, request.with_vector)?;
    blocking(move || {
        let snapshot = index.reader().snapshot();
        if let Some(order) = order {
            let docs = order.first(&snapshot, docs_from(&snapshot, filter.as_ref(), None)?, limit)?;
            let page = docs.into_iter().map(|(value, doc)| {
                let mut point = shown.point(&snapshot, doc)?;
                point.insert("order_value".into(), value);
                Ok(Value::Object(point))
            });
            let page: Vec<Value> = page.collect::<Result<_, ApiError>>()?;
            return Ok(answer(json!({ "points": page, "next_page_offset": null }), started));
        }
        let docs = docs_from(&snapshot, filter.as_ref(), from.as_deref())?;
        let page = docs.iter().take(limit).map(|doc| Ok(Value::Object(shown.point(&snapshot, *doc)?)));
        let page: Vec<Value> = page.collect::<Result<_, ApiError>>()?;
        let nothing = Shown::new(Some(WithPayload::Whole(false)), false, None)?;
        let next = match docs.get(limit) {
            Some(doc) => nothing.point(&snapshot, *doc)?.remove("id"),
            None => None,
        };
        Ok(answer(json!({ "points": page, "next_page_offset": next }), started))
    })
    .await
}

/// The documents that fit, oldest first, from one on.
pub fn docs_from(
    snapshot: &Snapshot,
    filter: Option<&Condition>,
    from: Option<&str>,
) -> Result<Vec<DocId>, ApiError> {
    let mut docs = match among(snapshot, filter)? {
        Some(fitting) => snapshot.docs_among(&fitting)?,
        None => snapshot.docs()?,
    };
    if let Some(id) = from {
        let gone = || {
            let gone = format!("offset: the point {} is gone: begin again without offset", quoted(id));
            ApiError::field("offset", gone)
        };
        let first = snapshot.find(id)?.ok_or_else(gone)?;
        docs.retain(|doc| *doc >= first);
    }
    Ok(docs)
}
