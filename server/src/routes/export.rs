//! An index as JSON lines: of one snapshot, and read while the client takes them.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use akin_index::{DocId, Filter, Snapshot};
use akin_query::json as shapes;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use crate::app::{App, blocking, quoted};
use crate::error::{ApiError, Kind};
use crate::openapi::Fault;
use crate::path::Path;

/// Bytes that are read ahead of the client, at least.
const BLOCK: usize = 64 << 10;

/// What is asked for beside the documents.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    vectors: bool,
    filter: Option<Filter>,
}

impl Wanted {
    fn read(query: &str) -> Result<Self, ApiError> {
        let mut wanted = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (name.as_ref(), value.as_ref()) {
                ("vectors", "true" | "1") => wanted.vectors = true,
                ("vectors", "false" | "0") => wanted.vectors = false,
                ("vectors", _) => return Err(ApiError::field("vectors", "vectors is true or false")),
                ("filter", text) => wanted.filter = Some(Filter::parse(text)?),
                (other, _) => {
                    let unknown =
                        format!("unknown parameter {}: there are vectors and filter", quoted(other));
                    return Err(ApiError::invalid(unknown));
                }
            }
        }
        Ok(wanted)
    }
}

/// The documents of an index, oldest first, as JSON lines: each as the path of one document gives it. They are those of one
/// commit, whatever is written meanwhile. An export that fails ends without the end of its last chunk.
#[utoipa::path(
    get,
    path = "/v1/indexes/{name}/documents",
    tag = "documents",
    params(
        ("name" = String, Path, description = "The name of an index"),
        ("vectors" = Option<bool>, Query, description = "Whether each line has the vectors of its passages"),
        ("filter" = Option<String>, Query, description = "An expression about metadata: the documents that fit alone"),
    ),
    responses(
        (status = 200, description = "A document a line", body = String, content_type = "application/x-ndjson"),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn documents(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let index = app.index(&name)?;
    let wanted = Wanted::read(query.as_deref().unwrap_or_default())?;
    let Ok(permit) = Arc::clone(&app.exports).try_acquire_owned() else {
        let busy = "other exports are under way, and no more are at once: ask again when one has ended";
        return Err(ApiError::new(Kind::Busy, busy));
    };
    let lines = blocking(move || {
        let snapshot = index.reader().snapshot();
        let docs = match &wanted.filter {
            Some(filter) => snapshot.docs_among(&snapshot.select(filter)?)?,
            None => snapshot.docs()?,
        };
        let held = Held { snapshot, docs: docs.into(), _permit: permit };
        let shared = Arc::new(Shared { held: Mutex::new(Some(held)), blocks: AtomicUsize::new(0) });
        Ok(Lines { shared, next: 0, vectors: wanted.vectors, reading: None, is_over: false })
    })
    .await?;
    tokio::spawn(give_up_when_idle(Arc::clone(&lines.shared), app.limits.time));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::new(lines)).into_response())
}

/// Documents on their way to a client. No thread waits for it: the next ones are read when it has taken the last.
struct Lines {
    shared: Arc<Shared>,
    next: usize,
    vectors: bool,
    reading: Option<JoinHandle<Result<Read, ApiError>>>,
    /// Whether the last line was given, or an error.
    is_over: bool,
}

/// What an export keeps until it ends, or is given up.
struct Shared {
    held: Mutex<Option<Held>>,
    /// Blocks that were read so far.
    blocks: AtomicUsize,
}

struct Held {
    snapshot: Arc<Snapshot>,
    docs: Arc<[DocId]>,
    _permit: OwnedSemaphorePermit,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Frees what an export holds when its client has taken nothing for so long: others want to export, and a snapshot keeps
/// files.
async fn give_up_when_idle(shared: Arc<Shared>, limit: Duration) {
    let mut before = None;
    loop {
        tokio::time::sleep(limit).await;
        let blocks = shared.blocks.load(Ordering::Relaxed);
        if shared.lock().is_none() {
            return;
        }
        if before.replace(blocks) == Some(blocks) {
            *shared.lock() = None;
            return;
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        *self.shared.lock() = None;
    }
}

/// Some lines, and the place of the document after them.
struct Read {
    lines: Vec<u8>,
    next: usize,
}

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = ApiError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ApiError>>> {
        let this = self.get_mut();
        if this.reading.is_none() {
            let mut held = this.shared.lock();
            let Some(Held { snapshot, docs, .. }) = &*held else {
                return Poll::Ready((!this.is_over).then(|| Err(given_up())));
            };
            if this.next >= docs.len() {
                this.is_over = true;
                *held = None;
                return Poll::Ready(None);
            }
            let (snapshot, docs) = (Arc::clone(snapshot), Arc::clone(docs));
            let (next, vectors) = (this.next, this.vectors);
            this.reading = Some(tokio::task::spawn_blocking(move || read(&snapshot, &docs, next, vectors)));
        }
        let Some(reading) = &mut this.reading else { return Poll::Ready(None) };
        let Poll::Ready(read) = Pin::new(reading).poll(context) else { return Poll::Pending };
        this.reading = None;
        this.shared.blocks.fetch_add(1, Ordering::Relaxed);
        let frame = read.unwrap_or_else(|_| Err(ApiError::panicked())).map(|read| {
            this.next = read.next;
            Frame::data(read.lines.into())
        });
        if let Err(error) = &frame {
            // The head of the answer is sent: a client learns by the missing end alone.
            tracing::warn!("an export ended early: {error}");
            this.is_over = true;
            *this.shared.lock() = None;
        }
        Poll::Ready(Some(frame))
    }
}

fn given_up() -> ApiError {
    ApiError::new(Kind::Timeout, "the export was given up, since its client took nothing for too long")
}

/// Reads the lines of a block of documents.
fn read(snapshot: &Snapshot, docs: &[DocId], mut next: usize, vectors: bool) -> Result<Read, ApiError> {
    let mut lines = Vec::with_capacity(BLOCK);
    while lines.len() < BLOCK && next < docs.len() {
        let (document, passages) = shapes::read_document(snapshot, docs[next])?;
        let mut line = shapes::document(&document, passages.as_deref());
        if vectors {
            line["vectors"] = json!(snapshot.vectors(docs[next])?);
        }
        serde_json::to_writer(&mut lines, &line).map_err(|_| ApiError::panicked())?;
        lines.push(b'\n');
        next += 1;
    }
    Ok(Read { lines, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_and_the_rest_refused() {
        let filter = Filter::parse("a = \"b c\"").unwrap();
        assert_eq!(Wanted::read("").unwrap(), Wanted::default());
        let wanted = Wanted::read("vectors=true&filter=a+%3D+%22b%20c%22").unwrap();
        assert_eq!(wanted, Wanted { vectors: true, filter: Some(filter) });
        for wrong in ["vectors=yes", "vector=true", "filter=a", "vectors"] {
            assert!(Wanted::read(wrong).is_err(), "{wrong}");
        }
    }
}
