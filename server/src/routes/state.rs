//! What is worth looking at in an index: files that gave no document, texts that the model reads in part, near duplicates, and
//! slow queries.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::SystemTime;

use akin_encoder::Role;
use akin_index::{DocId, PassageSize, Snapshot};
use akin_mining::Sentences;
use akin_mining::duplicates::{Group, near_duplicates_with};
use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::{App, blocking, quoted};
use crate::body::{self, Json};
use crate::error::{ApiError, Kind};
use crate::keys::Scope;
use crate::map::{mean_direction, on_half_the_processors};
use crate::openapi::Fault;
use crate::path::Path;
use crate::patience::{Patience, Waiting};
use crate::served::ServedIndex;

/// Documents that are gone through, at most: the newest.
const DOCUMENTS: usize = 20_000;
/// Files, documents and groups that are told, at most.
const TOLD: usize = 100;
/// Characters of a text that are shown.
const SHOWN: usize = 200;
/// The least cosine of near duplicates, unless the client says another.
const THRESHOLD: f32 = 0.95;

/// Files that gave no document, where the server writes the index and so may read its catalogue, and the slowest queries of the
/// last hour. Their texts are kept with `--log-texts` alone, and shown to a key of the scope admin.
#[utoipa::path(
    get,
    path = "/v1/indexes/{name}/state",
    tag = "indexes",
    params(("name" = String, Path, description = "The name of an index")),
    responses(
        (status = 200, description = "`{\"skipped\": {\"count\", \"files\": [{\"file\", \"reason\"}]}, \"slow\": [{\"at\", \"ms\", \"encoding_ms\", \"mode\", \"k\", \"filter\", \"text\"}]}`; `skipped` is null where it is not known", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn state(
    State(app): State<Arc<App>>,
    Extension(scope): Extension<Scope>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let index = app.index(&name)?;
    blocking(move || {
        let skipped = match index.writer().ok().map(|writer| writer.skipped_files()).transpose()?.flatten() {
            Some(skipped) => {
                let files: Vec<Value> = skipped
                    .iter()
                    .take(TOLD)
                    .map(|skipped| json!({ "file": skipped.file, "reason": skipped.reason }))
                    .collect();
                json!({ "count": skipped.len(), "files": files })
            }
            None => Value::Null,
        };
        let slow = index.slow().told(SystemTime::now(), scope >= Scope::Admin);
        Ok(body::json(&json!({ "skipped": skipped, "slow": slow })))
    })
    .await
}

/// Groups of near duplicates among the newest 20,000 documents, the largest first. Documents are compared by the mean of
/// their passages.
#[utoipa::path(
    get,
    path = "/v1/indexes/{name}/duplicates",
    tag = "indexes",
    params(
        ("name" = String, Path, description = "The name of an index"),
        ("threshold" = Option<f32>, Query, description = "The least cosine of near duplicates, 0.95 unless given", minimum = -1, maximum = 1),
    ),
    responses(
        (status = 200, description = "`{\"compared\", \"documents\", \"groups\", \"duplicates\", \"largest\": [{\"size\", \"documents\": [{\"id\", \"score\", \"text\"}]}]}`", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn duplicates(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    patience: Patience,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let index = app.index(&name)?;
    let threshold = threshold_of(query.as_deref().unwrap_or_default())?;
    let waiting = patience.waiting();
    let found = one_at_a_time(&app, move || {
        let snapshot = index.reader().snapshot();
        let docs = newest(&snapshot)?;
        on_half_the_processors(|| duplicates_among(&snapshot, &docs, threshold, &waiting))
    });
    let found = found.await;
    drop(patience);
    found
}

fn threshold_of(query: &str) -> Result<f32, ApiError> {
    let mut threshold = THRESHOLD;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "threshold" {
            let unknown = format!("unknown parameter {}: there is threshold", quoted(&name));
            return Err(ApiError::invalid(unknown));
        }
        let given = value.parse().ok().filter(|given| (-1.0..=1.0).contains(given));
        threshold =
            given.ok_or_else(|| ApiError::field("threshold", "threshold is a number from -1 to 1"))?;
    }
    Ok(threshold)
}

fn duplicates_among(
    snapshot: &Snapshot,
    docs: &[DocId],
    threshold: f32,
    waiting: &Waiting,
) -> Result<Response, ApiError> {
    let dimension = snapshot.model().dimension;
    let mut sentences = Sentences::new(dimension);
    for doc in docs {
        sentences.push(&mean_direction(&snapshot.vectors(*doc)?, dimension));
    }
    let go_on = |_, _| match waiting.is_gone() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let gone = |_| ApiError::new(Kind::Timeout, "the client is gone");
    let mut groups = near_duplicates_with(&sentences, threshold, &go_on).map_err(gone)?.groups;
    let duplicates: usize = groups.iter().map(|group| group.duplicates.len()).sum();
    groups.sort_by(|a, b| b.duplicates.len().cmp(&a.duplicates.len()).then(a.kept.cmp(&b.kept)));
    let largest = groups.iter().take(TOLD).map(|group| shown_group(snapshot, docs, group));
    Ok(body::json(&json!({
        "compared": docs.len(),
        "documents": snapshot.len(),
        "groups": groups.len(),
        "duplicates": duplicates,
        "largest": largest.collect::<Result<Vec<_>, ApiError>>()?,
    })))
}

fn shown_group(snapshot: &Snapshot, docs: &[DocId], group: &Group) -> Result<Value, ApiError> {
    let first = snapshot.document(docs[group.kept])?;
    let mut shown = vec![json!({ "id": first.id, "score": 1.0, "text": beginning(&first.text) })];
    for duplicate in group.duplicates.iter().take(9) {
        let document = snapshot.document(docs[duplicate.row])?;
        let text = beginning(&document.text);
        shown.push(json!({ "id": document.id, "score": duplicate.score, "text": text }));
    }
    Ok(json!({ "size": 1 + group.duplicates.len(), "documents": shown }))
}

/// Documents of which the model does not read all, among the newest 20,000: only indexes whose texts are not cut into
/// passages have any.
#[utoipa::path(
    get,
    path = "/v1/indexes/{name}/truncated",
    tag = "indexes",
    params(("name" = String, Path, description = "The name of an index")),
    responses(
        (status = 200, description = "`{\"looked_at\", \"documents\", \"truncated\", \"first\": [{\"id\", \"tokens\", \"read\"}]}`", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn truncated(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    patience: Patience,
) -> Result<Response, ApiError> {
    let index = app.index(&name)?;
    let waiting = patience.waiting();
    let found = one_at_a_time(&app, move || truncated_of(&index, &waiting)).await;
    drop(patience);
    found
}

fn truncated_of(index: &ServedIndex, waiting: &Waiting) -> Result<Response, ApiError> {
    let snapshot = index.reader().snapshot();
    let answer = |looked_at: usize, truncated: usize, first: Vec<Value>| {
        let documents = snapshot.len();
        body::json(&json!({
            "looked_at": looked_at, "documents": documents, "truncated": truncated, "first": first,
        }))
    };
    if snapshot.model().passages != PassageSize::Whole {
        return Ok(answer(snapshot.len(), 0, Vec::new()));
    }
    let room = index.room().ok_or(akin_query::Error::NoEncoder)?;
    let read = room.encoder().text_tokens(Role::Document)?;
    let docs = newest(&snapshot)?;
    let (mut truncated, mut first) = (0, Vec::new());
    for doc in &docs {
        if waiting.is_gone() {
            return Err(ApiError::new(Kind::Timeout, "the client is gone"));
        }
        let document = snapshot.document(*doc)?;
        // A token is a byte at least.
        if document.text.len() <= read {
            continue;
        }
        let tokens = room.encoder().token_starts(&document.text)?.len();
        if tokens > read {
            truncated += 1;
            if first.len() < TOLD {
                first.push(json!({ "id": document.id, "tokens": tokens, "read": read }));
            }
        }
    }
    Ok(answer(docs.len(), truncated, first))
}

/// The newest documents, the oldest of them first.
fn newest(snapshot: &Snapshot) -> Result<Vec<DocId>, ApiError> {
    let mut docs = snapshot.docs()?;
    docs.drain(..docs.len().saturating_sub(DOCUMENTS));
    Ok(docs)
}

/// Does work that goes through many documents, for one client at a time.
async fn one_at_a_time(
    app: &Arc<App>,
    work: impl FnOnce() -> Result<Response, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let Ok(permit) = Arc::clone(&app.reviews).try_acquire_owned() else {
        let busy = "another index is being gone through, and one is at a time: ask again when it has ended";
        return Err(ApiError::new(Kind::Busy, busy));
    };
    blocking(move || {
        let done = work();
        drop(permit);
        done
    })
    .await
}

fn beginning(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// The body of `POST /v1/indexes/{name}/sets`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRequest {
    /// Any number, as far as the body may be long.
    ids: Vec<String>,
}

/// Keeps a set of documents by their ids, to search `within` it. The same ids have the same name. The server keeps the 16
/// sets of an index that were used last, and forgets them when it stops.
#[utoipa::path(
    post,
    path = "/v1/indexes/{name}/sets",
    tag = "indexes",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = SetRequest,
    responses(
        (status = 200, description = "`{\"set\": \"9f…\", \"documents\": 1234}`: its name, and how many documents are in it", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn keep_set(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(request): Json<SetRequest>,
) -> Result<Response, ApiError> {
    let index = app.index(&name)?;
    blocking(move || {
        let (set, documents) = index.sets().keep(request.ids, &index.reader().snapshot())?;
        Ok(body::json(&json!({ "set": set, "documents": documents })))
    })
    .await
}
