//! Changing indexes: documents are added, replaced and deleted, indexes created and dropped.

use std::sync::Arc;

use akin_index::{Document, Metadata};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::{App, blocking, quoted};
use crate::body::{self, Json};
use crate::embedding::check_count;
use crate::error::{ApiError, Kind};
use crate::guard::{MayAdmin, MayWrite};
use crate::openapi::Fault;
use crate::path::Path;
use crate::patience::{Patience, Waiting};
use crate::writer::merge_later;

/// The body of `POST /v1/indexes/{name}/documents`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteRequest {
    documents: Vec<GivenDocument>,
}

/// A document as `GET` gives it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GivenDocument {
    id: String,
    text: String,
    #[serde(default)]
    #[schema(value_type = Object)]
    metadata: Metadata,
}

impl From<GivenDocument> for Document {
    fn from(given: GivenDocument) -> Self {
        Self { id: given.id, text: given.text, metadata: given.metadata }
    }
}

/// Adds documents, or replaces those of the same ids. They are on the disk when this is answered.
#[utoipa::path(
    post,
    path = "/v1/indexes/{name}/documents",
    tag = "documents",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = WriteRequest,
    responses(
        (status = 200, description = "How many documents were added, replaced, and there already; all are on the disk", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn write(
    State(app): State<Arc<App>>,
    _: MayWrite,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<WriteRequest>,
) -> Result<Response, ApiError> {
    if let Some(table) = app.engine(&name) {
        check_count(&app, request.documents.len(), "documents")?;
        let documents = request.documents.into_iter().map(Document::from).collect();
        let waiting = patience.waiting();
        let written = blocking(move || table.write(documents, &waiting)).await;
        drop(patience);
        return body::serialized(&written?);
    }
    let index = app.index(&name)?;
    let writer = index.writer()?;
    let room = index.room().cloned().ok_or(akin_query::Error::NoEncoder)?;
    check_count(&app, request.documents.len(), "documents")?;
    let documents = request.documents.into_iter().map(Document::from).collect();
    let (waiting, by) = (patience.waiting(), Arc::clone(&writer));
    let written = blocking(move || by.write(&room, documents, &waiting)).await;
    drop(patience);
    let written = written?;
    merge_later(&writer);
    body::serialized(&written)
}

/// The body of `DELETE /v1/indexes/{name}/documents`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteRequest {
    ids: Vec<String>,
}

/// Deletes documents. Those that are not there do no harm.
#[utoipa::path(
    delete,
    path = "/v1/indexes/{name}/documents",
    tag = "documents",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = DeleteRequest,
    responses(
        (status = 200, description = "How many documents were deleted", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    _: MayWrite,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<DeleteRequest>,
) -> Result<Response, ApiError> {
    let waiting = patience.waiting();
    let deleted = delete_of(&app, &name, request.ids, waiting).await;
    drop(patience);
    Ok(body::json(&json!({ "deleted": deleted? })))
}

/// Deletes documents of an index or a table, and tells how many there were.
async fn delete_of(app: &App, name: &str, ids: Vec<String>, waiting: Waiting) -> Result<usize, ApiError> {
    if let Some(table) = app.engine(name) {
        return blocking(move || table.delete(&ids, &waiting)).await;
    }
    let writer = app.index(name)?.writer()?;
    let by = Arc::clone(&writer);
    let deleted = blocking(move || by.delete(&ids, &waiting)).await;
    merge_later(&writer);
    deleted
}

/// Deletes a document.
#[utoipa::path(
    delete,
    path = "/v1/indexes/{name}/documents/{id}",
    tag = "documents",
    params(("name" = String, Path, description = "The name of an index"), ("id" = String, Path, description = "The id of a document")),
    responses(
        (status = 200, description = "The document was deleted", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn delete_one(
    State(app): State<Arc<App>>,
    _: MayWrite,
    Path((name, id)): Path<(String, String)>,
    patience: Patience,
) -> Result<Response, ApiError> {
    let deleted = delete_of(&app, &name, vec![id.clone()], patience.waiting()).await;
    drop(patience);
    match deleted? {
        0 => Err(ApiError::not_found(format!("{name} has no document with the id {}", quoted(&id)))),
        deleted => Ok(body::json(&json!({ "deleted": deleted }))),
    }
}

/// The body of `POST /v1/indexes`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    name: String,
    model: Option<String>,
}

/// Begins an empty index in the folder of those that the server creates.
#[utoipa::path(
    post,
    path = "/v1/indexes",
    tag = "indexes",
    request_body = CreateRequest,
    responses(
        (status = 200, description = "The index has begun", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn create(
    State(app): State<Arc<App>>,
    _: MayAdmin,
    Json(request): Json<CreateRequest>,
) -> Result<Response, ApiError> {
    check_name(&request.name)?;
    let (location, room) = app.model(request.model.as_deref())?.clone();
    blocking(move || {
        app.create(&request.name, &location, &room)?;
        Ok(body::json(&json!({ "name": request.name, "documents": 0 })))
    })
    .await
}

/// Deletes an index that the server created, with all that it holds.
#[utoipa::path(
    delete,
    path = "/v1/indexes/{name}",
    tag = "indexes",
    params(("name" = String, Path, description = "The name of an index")),
    responses(
        (status = 200, description = "The index is gone", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn drop_index(
    State(app): State<Arc<App>>,
    _: MayAdmin,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    blocking(move || {
        app.drop_index(&name)?;
        Ok(body::json(&json!({ "dropped": name })))
    })
    .await
}

/// Refuses a name that is not that of a folder and of nothing else.
pub fn check_name(name: &str) -> Result<(), ApiError> {
    let expected = "a name is 1 to 100 letters, digits, dots, hyphens and underscores, and begins with a letter or digit";
    if is_name(name) { Ok(()) } else { Err(ApiError::field("name", expected)) }
}

fn is_name(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|first| first.is_ascii_alphanumeric());
    first && name.len() <= 100 && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// The refusal of a server that changes nothing.
pub fn read_only() -> ApiError {
    ApiError::new(Kind::Forbidden, "this server does not change indexes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leaves_its_folder() {
        assert!(["a", "notes-2.1_b", "9"].iter().all(|name| is_name(name)));
        for name in ["", ".", "..", ".a", "a/b", "a\\b", "-a", "a b", "a\0", "ä", &"a".repeat(101)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
