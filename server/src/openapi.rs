//! The description of all interfaces in OpenAPI 3.1, at `/openapi.json`.

use axum::response::Response;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use crate::body;
use crate::error::ApiError;
use crate::routes::{
    documents, export, indexes, map, ollama, openai, qdrant, rerank, state, status, tei, tei_tokens,
    vector_stores,
};

/// What a client is told when something is wrong.
#[derive(ToSchema)]
#[allow(dead_code)] // it describes what `dialect.rs` writes
pub struct Fault {
    /// One sentence.
    error: String,
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Akin", description = "Finds what means the same"),
    modifiers(&WithKeys),
    paths(
        status::health,
        status::ready,
        indexes::list,
        documents::create,
        documents::drop_index,
        indexes::stat,
        indexes::query,
        export::documents,
        map::map,
        map::fields,
        state::state,
        state::duplicates,
        state::truncated,
        state::keep_set,
        documents::write,
        documents::delete,
        indexes::document,
        documents::delete_one,
        openai::embeddings,
        openai::models,
        openai::one_model,
        vector_stores::search,
        tei::embed_texts,
        tei::similarity,
        tei::rerank_texts,
        tei_tokens::tokenize,
        tei_tokens::embed_all,
        tei_tokens::decode,
        tei::info,
        rerank::jina,
        rerank::cohere,
        ollama::embed_texts,
        qdrant::list,
        qdrant::info,
        qdrant::exists,
        qdrant::create,
        qdrant::change_settings,
        qdrant::drop_collection,
        qdrant::batch::query,
        qdrant::batch::search,
        qdrant::batch::search_batch,
        qdrant::batch::update,
        qdrant::payload::set,
        qdrant::payload::overwrite,
        qdrant::payload::remove,
        qdrant::payload::clear,
        qdrant::payload::vectors,
        qdrant::write::drop_index,
        qdrant::write::upsert,
        qdrant::write::delete,
        qdrant::write::create_index,
        qdrant::read::get,
        qdrant::read::get_one,
        qdrant::read::count,
        qdrant::read::scroll,
        qdrant::search::query,
    )
)]
struct Description;

/// A key may be asked for: then every path but the two of the status needs it.
struct WithKeys;

impl Modify for WithKeys {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let components = description.components.get_or_insert_with(Default::default);
        components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let key = SecurityRequirement::new("key", Vec::<String>::new());
        description.security = Some(vec![SecurityRequirement::default(), key]);
    }
}

/// The description.
pub async fn page() -> Result<Response, ApiError> {
    body::serialized(&Description::openapi())
}
