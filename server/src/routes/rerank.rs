//! Ranking texts for a query, as Jina and Cohere have it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::App;
use crate::body::{self, Json};
use crate::error::ApiError;
use crate::ranking::{Ranking, Scale, rank};

/// Texts that Cohere counts as one search.
const SEARCH_UNIT: usize = 100;

/// The body of `POST /v1/rerank`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RerankRequest {
    model: Option<String>,
    query: String,
    documents: Vec<Text>,
    top_n: Option<usize>,
    #[serde(default = "yes")]
    return_documents: bool,
}

fn yes() -> bool {
    true
}

/// A text, by itself or in an object.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Object { text: String },
}

impl Text {
    fn into_string(self) -> String {
        match self {
            Self::Plain(text) | Self::Object { text } => text,
        }
    }
}

/// Ranks as Jina, llama.cpp and vLLM do.
#[utoipa::path(
    post,
    path = "/v1/rerank",
    tag = "rerank",
    request_body = RerankRequest,
    responses(
        (status = 200, description = "The texts, best first", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn jina(
    State(app): State<Arc<App>>,
    Json(request): Json<RerankRequest>,
) -> Result<Response, ApiError> {
    let reranker = app.reranker(request.model.as_deref())?;
    let texts = request.documents.into_iter().map(Text::into_string).collect();
    let ranking = rank(&app, reranker, request.query, texts, Scale::Share, "documents").await?;
    let results = results(&ranking, request.top_n, request.return_documents);
    let usage = json!({ "total_tokens": ranking.tokens });
    Ok(body::json(&json!({ "model": reranker.name, "object": "list", "results": results, "usage": usage })))
}

/// The body of `POST /v2/rerank`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CohereRequest {
    model: Option<String>,
    query: String,
    documents: Vec<Text>,
    top_n: Option<usize>,
    max_tokens_per_doc: Option<usize>,
    /// Which requests Cohere answers first: here all are answered as they come.
    #[serde(rename = "priority")]
    _priority: Option<u64>,
}

/// Ranks as Cohere does.
#[utoipa::path(
    post,
    path = "/v2/rerank",
    tag = "rerank",
    request_body = CohereRequest,
    responses(
        (status = 200, description = "The texts, best first", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn cohere(
    State(app): State<Arc<App>>,
    Json(request): Json<CohereRequest>,
) -> Result<Response, ApiError> {
    static COUNTER: AtomicU64 = AtomicU64::new(1);
    let reranker = app.reranker(request.model.as_deref())?;
    let most = reranker.model.max_tokens();
    if request.max_tokens_per_doc.is_some_and(|tokens| tokens < most) {
        return Err(ApiError::field(
            "max_tokens_per_doc",
            format!("the model reads {most} tokens of query and document together, and no fewer can be set"),
        ));
    }
    let texts: Vec<String> = request.documents.into_iter().map(Text::into_string).collect();
    let units = texts.len().div_ceil(SEARCH_UNIT);
    let ranking = rank(&app, reranker, request.query, texts, Scale::Share, "documents").await?;
    let id = format!("{:x}-{:x}", app.started, COUNTER.fetch_add(1, Ordering::Relaxed));
    let meta = json!({ "api_version": { "version": "2" }, "billed_units": { "search_units": units } });
    Ok(body::json(&json!({ "id": id, "results": results(&ranking, request.top_n, false), "meta": meta })))
}

fn results(ranking: &Ranking, top: Option<usize>, with_documents: bool) -> Vec<Value> {
    let best = ranking.ranked.iter().take(top.unwrap_or(usize::MAX));
    best.map(|&(index, score)| {
        let mut result = json!({ "index": index, "relevance_score": score });
        if with_documents {
            result["document"] = json!({ "text": ranking.texts[index] });
        }
        result
    })
    .collect()
}
