//! Documents as resources: `akin://INDEX/ID`.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use rmcp::ErrorData;
use rmcp::model::{
    ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource, ResourceContents,
    ResourceTemplate,
};

use super::calls::{escaped, resource_of, title_of};
use crate::app::{App, blocking, quoted};
use crate::error::{ApiError, Kind};
use crate::served::ServedIndex;

/// Resources of a page.
const PAGE: usize = 100;

/// A page of documents, index by index and oldest first. The cursor is the address of its first.
pub async fn list(app: &Arc<App>, cursor: Option<String>) -> Result<ListResourcesResult, ErrorData> {
    let app = Arc::clone(app);
    let page = blocking(move || {
        let from = cursor.map(|cursor| Ok::<_, ApiError>((parse(&app, &cursor)?, cursor))).transpose()?;
        let from = from.map(|((index, id), cursor)| (index.name().to_owned(), id, cursor));
        let mut page = ListResourcesResult::default();
        for index in app.indexes() {
            let within = from.as_ref().filter(|(name, ..)| name == index.name());
            if from.as_ref().is_some_and(|(name, ..)| index.name() < name.as_str()) {
                continue;
            }
            let snapshot = index.reader().snapshot();
            let first = match within {
                None => None,
                Some((_, id, cursor)) => Some(snapshot.find(id)?.ok_or_else(|| gone(cursor))?),
            };
            for doc in snapshot.docs()?.into_iter().filter(|doc| first.is_none_or(|first| *doc >= first)) {
                let document = snapshot.document(doc)?;
                let uri = resource_of(&index, &document.id);
                if page.resources.len() == PAGE {
                    page.next_cursor = Some(uri);
                    return Ok(page);
                }
                let title = title_of(&document.text, &document.metadata, &document.id);
                let resource = Resource::new(uri, document.id).with_title(title).with_mime_type("text/plain");
                page.resources.push(resource.with_size(document.text.len() as u64));
            }
        }
        Ok(page)
    });
    // Only the cursor can be at fault.
    page.await.map_err(|error| match error.kind {
        Kind::NotFound => ErrorData::invalid_params(error.message, None),
        _ => refused(error),
    })
}

/// The form of the addresses in each index.
pub fn templates(app: &App) -> ListResourceTemplatesResult {
    let of = |index: &Arc<ServedIndex>| {
        let name = index.name();
        ResourceTemplate::new(format!("akin://{}/{{+id}}", escaped(name)), name)
            .with_title(format!("A document of {name}"))
            .with_description("A document by the id that search gave")
            .with_mime_type("text/plain")
    };
    ListResourceTemplatesResult::with_all_items(app.indexes().iter().map(of).collect())
}

/// The text of a document.
pub async fn read(app: &Arc<App>, uri: String) -> Result<ReadResourceResult, ErrorData> {
    let app = Arc::clone(app);
    let text = blocking(move || {
        let (index, id) = parse(&app, &uri)?;
        let document = index.reader().get(&id)?.ok_or_else(|| gone(&uri))?;
        Ok(ReadResourceResult::new(vec![ResourceContents::text(document.text, uri)]))
    });
    text.await.map_err(refused)
}

/// The index and the id that an address names.
fn parse(app: &App, uri: &str) -> Result<(Arc<ServedIndex>, String), ApiError> {
    let parts = uri.strip_prefix("akin://").and_then(|rest| rest.split_once('/'));
    let decoded = |part: &str| percent_decode_str(part).decode_utf8().ok().map(|part| part.into_owned());
    let named = parts.and_then(|(index, id)| Some((decoded(index)?, decoded(id)?)));
    let (index, id) = named.ok_or_else(|| gone(uri))?;
    Ok((app.index(&index)?, id))
}

fn gone(uri: &str) -> ApiError {
    ApiError::not_found(format!(
        "there is no resource {}: one is akin://INDEX/ID, and resources/list has them",
        quoted(uri)
    ))
}

fn refused(error: ApiError) -> ErrorData {
    match error.kind {
        Kind::NotFound => ErrorData::resource_not_found(error.message, None),
        Kind::Invalid => ErrorData::invalid_params(error.message, None),
        _ => ErrorData::internal_error(error.message, None),
    }
}
