//! A subset of Qdrant's interface: an index is a collection, a document a point (`points`).
//!
//! Collections that are created here hold vectors that clients make themselves. An index with a model of its own is read
//! and searched here in the same way, but not written: it makes the vectors of its texts itself. What is not in the subset
//! is refused by its name; settings that change speed alone are taken and not heeded.

pub mod batch;
mod filter;
mod order;
pub mod payload;
mod points;
pub mod read;
pub mod search;
pub mod write;

use std::sync::Arc;
use std::time::Instant;

use akin_index::{ModelIdentity, Selection, Similarity, Snapshot};
use axum::Router;
use axum::extract::{MatchedPath, State};
use axum::response::Response;
use axum::routing::{any, delete, get, post, put};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use self::filter::Condition;
use crate::app::{App, blocking};
use crate::body::{self, Json};
use crate::error::{ApiError, Kind};
use crate::guard::MayAdmin;
use crate::path::Path;
use crate::routes::documents::check_name;

/// Numbers of a vector, at most.
const LONGEST: usize = 65_536;

/// An answer as Qdrant's clients expect it.
fn answer(result: Value, started: Instant) -> Response {
    let time = started.elapsed().as_secs_f64();
    body::json(&json!({ "result": result, "status": "ok", "time": time }))
}

/// Refuses a field that is not in the subset.
fn refuse(field: &str, value: Option<&Value>) -> Result<(), ApiError> {
    match value.filter(|value| !value.is_null()) {
        None => Ok(()),
        Some(_) => Err(ApiError::field(field, format!("{field} is not served here: leave it out"))),
    }
}

/// The documents that fit a filter; none where all do.
fn among(snapshot: &Snapshot, filter: Option<&Condition>) -> Result<Option<Selection>, ApiError> {
    filter.map(|filter| filter.select(snapshot)).transpose()
}

/// Reads a filter that may be missing.
fn condition(filter: Option<&Value>) -> Result<Option<Condition>, ApiError> {
    filter.filter(|filter| !filter.is_null()).map(Condition::read).transpose()
}

/// Calls of Qdrant's that have no like here.
const UNSERVED: [&str; 21] = [
    "/aliases",
    "/cluster",
    "/collections/aliases",
    "/collections/{name}/aliases",
    "/collections/{name}/cluster",
    "/collections/{name}/facet",
    "/collections/{name}/shards",
    "/collections/{name}/shards/delete",
    "/collections/{name}/snapshots",
    "/collections/{name}/snapshots/recover",
    "/collections/{name}/points/discover",
    "/collections/{name}/points/discover/batch",
    "/collections/{name}/points/query/groups",
    "/collections/{name}/points/recommend",
    "/collections/{name}/points/recommend/batch",
    "/collections/{name}/points/recommend/groups",
    "/collections/{name}/points/search/groups",
    "/collections/{name}/points/search/matrix/offsets",
    "/collections/{name}/points/search/matrix/pairs",
    "/collections/{name}/points/vectors/delete",
    "/snapshots",
];

/// The paths of the interface.
pub fn router() -> Router<Arc<App>> {
    let served = Router::new()
        .route("/collections", get(list))
        .route("/collections/{name}", get(info).put(create).patch(change_settings).delete(drop_collection))
        .route("/collections/{name}/exists", get(exists))
        .route("/collections/{name}/index", put(write::create_index))
        .route("/collections/{name}/index/{field}", delete(write::drop_index))
        .route("/collections/{name}/points", put(write::upsert).post(read::get))
        .route("/collections/{name}/points/{id}", get(read::get_one))
        .route("/collections/{name}/points/batch", post(batch::update))
        .route("/collections/{name}/points/delete", post(write::delete))
        .route("/collections/{name}/points/payload", post(payload::set).put(payload::overwrite))
        .route("/collections/{name}/points/payload/delete", post(payload::remove))
        .route("/collections/{name}/points/payload/clear", post(payload::clear))
        .route("/collections/{name}/points/vectors", put(payload::vectors))
        .route("/collections/{name}/points/query", post(search::query))
        .route("/collections/{name}/points/query/batch", post(batch::query))
        .route("/collections/{name}/points/search", post(batch::search))
        .route("/collections/{name}/points/search/batch", post(batch::search_batch))
        .route("/collections/{name}/points/scroll", post(read::scroll))
        .route("/collections/{name}/points/count", post(read::count));
    UNSERVED.into_iter().fold(served, |router, path| router.route(path, any(unserved)))
}

/// Refuses a call by its name.
async fn unserved(path: MatchedPath) -> ApiError {
    let name = path.as_str().trim_start_matches("/collections/{name}");
    ApiError::not_found(format!("{name} of Qdrant's interface is not served here"))
}

/// Takes settings of speed and room, which an index here chooses itself.
#[utoipa::path(
    patch,
    path = "/collections/{name}",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    responses(
        (status = 200, description = "The collection stays as it is", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn change_settings(
    State(app): State<Arc<App>>,
    _: MayAdmin,
    Path(name): Path<String>,
    Json(request): Json<CollectionRequest>,
) -> Result<Response, ApiError> {
    app.index(&name)?;
    refuse("vectors", request.vectors.as_ref())?;
    refuse("sparse_vectors", request.sparse_vectors.as_ref())?;
    Ok(answer(true.into(), Instant::now()))
}

/// The names of the collections.
#[utoipa::path(
    get,
    path = "/collections",
    tag = "Qdrant",
    responses(
        (status = 200, description = "The names of the collections", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn list(State(app): State<Arc<App>>) -> Response {
    let started = Instant::now();
    let names: Vec<Value> = app.indexes().iter().map(|index| json!({ "name": index.name() })).collect();
    answer(json!({ "collections": names }), started)
}

/// Whether there is a collection.
#[utoipa::path(
    get,
    path = "/collections/{name}/exists",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    responses(
        (status = 200, description = "Whether there is a collection", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn exists(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response {
    answer(json!({ "exists": app.index(&name).is_ok() }), Instant::now())
}

/// The size and the settings of a collection.
#[utoipa::path(
    get,
    path = "/collections/{name}",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    responses(
        (status = 200, description = "The size and the settings of a collection", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn info(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let started = Instant::now();
    let index = app.index(&name)?;
    blocking(move || {
        let stat = index.reader().stat()?;
        let ModelIdentity { dimension, similarity, .. } = stat.model;
        let result = json!({
            "status": "green",
            "optimizer_status": "ok",
            "points_count": stat.documents,
            "indexed_vectors_count": stat.documents - stat.pending.min(stat.documents),
            "segments_count": stat.segments.len().max(1),
            "config": {
                "params": {
                    "vectors": { "size": dimension, "distance": distance_name(similarity) },
                    "shard_number": 1,
                    "replication_factor": 1,
                    "write_consistency_factor": 1,
                    "on_disk_payload": true,
                },
                // Clients want all of these numbers; some of them have no like here.
                "hnsw_config": { "m": 16, "ef_construct": 200, "full_scan_threshold": 10_000, "max_indexing_threads": 0 },
                "optimizer_config": {
                    "deleted_threshold": 0.5,
                    "vacuum_min_vector_number": 1000,
                    "default_segment_number": 0,
                    "flush_interval_sec": 0,
                },
                "wal_config": { "wal_capacity_mb": 1, "wal_segments_ahead": 0 },
                "quantization_config": null,
            },
            "payload_schema": {},
        });
        Ok(answer(result, started))
    })
    .await
}

/// The body of `PUT /collections/{name}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionRequest {
    vectors: Option<Value>,
    sparse_vectors: Option<Value>,
    init_from: Option<Value>,
    // Settings of speed, room and machines: an index here has its own.
    #[serde(rename = "hnsw_config")]
    _hnsw_config: Option<Value>,
    #[serde(rename = "optimizers_config")]
    _optimizers_config: Option<Value>,
    #[serde(rename = "quantization_config")]
    _quantization_config: Option<Value>,
    #[serde(rename = "wal_config")]
    _wal_config: Option<Value>,
    #[serde(rename = "strict_mode_config")]
    _strict_mode_config: Option<Value>,
    #[serde(rename = "shard_number")]
    _shard_number: Option<Value>,
    #[serde(rename = "sharding_method")]
    _sharding_method: Option<Value>,
    #[serde(rename = "replication_factor")]
    _replication_factor: Option<Value>,
    #[serde(rename = "write_consistency_factor")]
    _write_consistency_factor: Option<Value>,
    #[serde(rename = "on_disk_payload")]
    _on_disk_payload: Option<Value>,
    #[serde(rename = "metadata")]
    _metadata: Option<Value>,
}

/// The vectors of a collection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VectorParams {
    size: usize,
    distance: String,
    datatype: Option<Value>,
    multivector_config: Option<Value>,
    #[serde(rename = "hnsw_config")]
    _hnsw_config: Option<Value>,
    #[serde(rename = "quantization_config")]
    _quantization_config: Option<Value>,
    #[serde(rename = "on_disk")]
    _on_disk: Option<Value>,
}

impl VectorParams {
    /// Reads them, also where they stand under the name of the one vector that there is, which is empty.
    fn read(vectors: Value) -> Result<Self, ApiError> {
        let named = vectors.as_object().filter(|named| !named.contains_key("size"));
        let own = match named {
            Some(named) if named.len() == 1 && named.contains_key("") => named[""].clone(),
            Some(_) => {
                let one = "vectors: a collection has one vector a point here, without a name: give its size and distance";
                return Err(ApiError::field("vectors", one));
            }
            None => vectors,
        };
        let read: Self = body::of_value(own)?;
        refuse("multivector_config", read.multivector_config.as_ref())?;
        refuse("datatype", read.datatype.as_ref().filter(|datatype| **datatype != json!("float32")))?;
        Ok(read)
    }
}

/// Creates a collection of vectors that clients make, in the folder of the indexes that the server creates.
#[utoipa::path(
    put,
    path = "/collections/{name}",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = CollectionRequest,
    responses(
        (status = 200, description = "The collection has begun", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn create(
    State(app): State<Arc<App>>,
    _: MayAdmin,
    Path(name): Path<String>,
    Json(request): Json<CollectionRequest>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    check_name(&name)?;
    refuse("sparse_vectors", request.sparse_vectors.as_ref().filter(|sparse| **sparse != json!({})))?;
    refuse("init_from", request.init_from.as_ref())?;
    let vectors = request.vectors.filter(|vectors| !vectors.is_null());
    let vectors =
        vectors.ok_or_else(|| ApiError::field("vectors", "vectors is missing: give size and distance"))?;
    let vectors = VectorParams::read(vectors)?;
    if !(1..=LONGEST).contains(&vectors.size) {
        let size = vectors.size;
        return Err(ApiError::field(
            "size",
            format!("size is {size}, and a number from 1 to {LONGEST} is expected"),
        ));
    }
    let similarity = Similarity::ALL.into_iter().find(|one| distance_name(*one) == vectors.distance);
    let similarity = similarity
        .ok_or_else(|| ApiError::field("distance", "distance is one of Cosine, Dot, Euclid and Manhattan"))?;
    blocking(move || {
        app.create_of_vectors(&name, vectors.size, similarity)?;
        Ok(answer(true.into(), started))
    })
    .await
}

/// Deletes a collection that was created over HTTP.
#[utoipa::path(
    delete,
    path = "/collections/{name}",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    responses(
        (status = 200, description = "Whether there was such a collection; it is gone", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn drop_collection(
    State(app): State<Arc<App>>,
    _: MayAdmin,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    blocking(move || match app.drop_index(&name) {
        Ok(()) => Ok(answer(true.into(), started)),
        Err(error) if error.kind == Kind::NotFound => Ok(answer(false.into(), started)),
        Err(error) => Err(error),
    })
    .await
}

fn distance_name(similarity: Similarity) -> &'static str {
    match similarity {
        Similarity::Cosine => "Cosine",
        Similarity::Dot => "Dot",
        Similarity::Euclidean => "Euclid",
        Similarity::Manhattan => "Manhattan",
    }
}
