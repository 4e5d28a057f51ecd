//! The paths, and what answers each: a file for each interface.

pub mod documents;
pub mod export;
mod highlights;
pub mod indexes;
pub mod map;
pub mod ollama;
pub mod openai;
pub mod qdrant;
pub mod rerank;
pub mod state;
pub mod status;
pub mod tei;
pub mod tei_tokens;
pub mod vector_stores;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{delete, get, post};

use crate::app::App;
use crate::error::{ApiError, Kind};
use crate::guard::guard;
use crate::{mcp, openapi, page};

pub use self::documents::read_only;
pub use self::indexes::{ModeName, QueryRequest, ask};

/// All paths, behind the guard.
pub fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/health", get(status::health))
        .route("/ready", get(status::ready))
        .route("/openapi.json", get(openapi::page))
        .route("/metrics", get(status::metrics))
        .route("/v1/indexes", get(indexes::list).post(documents::create))
        .route("/v1/indexes/{name}", delete(documents::drop_index))
        .route("/v1/indexes/{name}/stat", get(indexes::stat))
        .route("/v1/indexes/{name}/query", post(indexes::query))
        .route("/v1/indexes/{name}/map", get(map::map))
        .route("/v1/indexes/{name}/fields", get(map::fields))
        .route("/v1/indexes/{name}/state", get(state::state))
        .route("/v1/indexes/{name}/duplicates", get(state::duplicates))
        .route("/v1/indexes/{name}/truncated", get(state::truncated))
        .route("/v1/indexes/{name}/sets", post(state::keep_set))
        .route("/v1/indexes/{name}/documents/{*id}", get(indexes::document).delete(documents::delete_one))
        .route(
            "/v1/indexes/{name}/documents",
            get(export::documents).post(documents::write).delete(documents::delete),
        )
        .route("/v1/embeddings", post(openai::embeddings))
        .route("/v1/models", get(openai::models))
        .route("/v1/models/{*name}", get(openai::one_model))
        .route("/v1/vector_stores/{id}/search", post(vector_stores::search))
        .route("/embed", post(tei::embed_texts))
        .route("/similarity", post(tei::similarity))
        .route("/embed_all", post(tei_tokens::embed_all))
        .route("/tokenize", post(tei_tokens::tokenize))
        .route("/decode", post(tei_tokens::decode))
        .route("/info", get(tei::info))
        .route("/rerank", post(tei::rerank_texts))
        .route("/v1/rerank", post(rerank::jina))
        .route("/v1/reranking", post(rerank::jina))
        .route("/v2/rerank", post(rerank::cohere))
        .route("/api/embed", post(ollama::embed_texts))
        .merge(qdrant::router())
        .route_service("/mcp", mcp::over_http(app))
        .fallback(|| async { ApiError::not_found("there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(Kind::Method, "this path does not know the method of the request")
        })
        .layer(DefaultBodyLimit::max(app.limits.body))
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard))
        .with_state(Arc::clone(app))
}
