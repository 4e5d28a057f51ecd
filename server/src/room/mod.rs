//! The engine room: the texts of all clients are encoded together.
//!
//! Requests leave their texts in a queue that is bounded by tokens (`queue`). One thread for each model takes as many of
//! them at once as fill the processor's cores, and encodes them in one call. While it does the queue fills again, so the
//! more clients ask, the more texts share a call. Nothing waits for company: a text that comes alone is encoded at once.

mod queue;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use akin_encoder::model::Tokens;
use akin_encoder::{Embeddings, Encoding, Role, SentenceEncoder};
use tokio::sync::oneshot;

use self::queue::{Job, Queue};
use crate::error::{ApiError, Kind, StartError};
use crate::metrics::Metrics;
use crate::patience::Waiting;

/// A model, and the queue of what it shall encode.
#[derive(Clone)]
pub struct Room {
    encoder: Arc<SentenceEncoder>,
    queue: Arc<Queue>,
    /// Stops the thread when the last clone of the room is gone.
    _closer: Arc<Closer>,
}

struct Closer(Arc<Queue>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Texts that are asked for, with what each takes.
pub struct Texts {
    /// The texts.
    pub texts: Vec<String>,
    /// The tokens of each that the model reads.
    pub tokens: Vec<usize>,
    /// Whether each was longer than the model reads.
    pub truncated: Vec<bool>,
}

impl Texts {
    /// The tokens of all.
    pub fn total(&self) -> usize {
        self.tokens.iter().sum()
    }
}

impl Room {
    /// Opens the room of a model, in which so many tokens may wait.
    pub fn open(
        encoder: Arc<SentenceEncoder>,
        waiting: usize,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let queue = Arc::new(Queue::new(waiting, Arc::clone(&metrics)));
        let (jobs, by) = (Arc::clone(&queue), Arc::clone(&encoder));
        thread::Builder::new()
            .name("akin-encode".into())
            .spawn(move || while jobs.serve(|role, texts| encode(&by, role, texts, &metrics)) {})
            .map_err(StartError::Threads)?;
        let closer = Arc::new(Closer(Arc::clone(&queue)));
        Ok(Self { encoder, queue, _closer: closer })
    }

    /// The model.
    pub fn encoder(&self) -> &Arc<SentenceEncoder> {
        &self.encoder
    }

    /// Counts the tokens of texts. It takes some microseconds a text: on a thread that may wait.
    pub fn measure(&self, texts: Vec<String>) -> Result<Texts, ApiError> {
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let cut: Vec<Tokens> = self.encoder.tokenize(&borrowed)?;
        let tokens = cut.iter().map(|text| text.ids.len()).collect();
        Ok(Texts { tokens, truncated: cut.iter().map(|text| text.truncated).collect(), texts })
    }

    /// Has texts encoded, in a role or as the model encodes texts without one. The answer comes by the receiver.
    pub fn encode(&self, role: Option<Role>, texts: Texts, waiting: Waiting) -> Result<Embedded, ApiError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Job::new(role, texts, waiting, reply))?;
        Ok(Embedded(answer))
    }

    /// Encodes queries on a thread that may wait.
    pub fn encode_queries(&self, texts: &[&str], waiting: &Waiting) -> Result<Encoding, ApiError> {
        let texts = self.measure(texts.iter().map(|text| (*text).to_owned()).collect())?;
        let (tokens, truncated) = (texts.total(), texts.truncated.iter().filter(|is| **is).count());
        let embeddings = self.encode(Some(Role::Query), texts, waiting.clone())?.wait()?;
        Ok(Encoding { embeddings, tokens, truncated })
    }
}

/// Embeddings that come.
pub struct Embedded(oneshot::Receiver<Result<Embeddings, ApiError>>);

impl Embedded {
    /// Waits for them on a thread that may.
    pub fn wait(self) -> Result<Embeddings, ApiError> {
        self.0.blocking_recv().unwrap_or_else(|_| Err(dropped()))
    }

    /// Waits for them without holding a thread.
    pub async fn arrive(self) -> Result<Embeddings, ApiError> {
        self.0.await.unwrap_or_else(|_| Err(dropped()))
    }
}

/// Only the texts of a client that is gone are dropped, and those of all when the server stops.
fn dropped() -> ApiError {
    ApiError::new(Kind::Unavailable, "the server stops, and has not encoded the texts")
}

fn encode(
    encoder: &SentenceEncoder,
    role: Option<Role>,
    texts: &[&str],
    metrics: &Metrics,
) -> Result<Embeddings, ApiError> {
    let started = std::time::Instant::now();
    let encoded = catch_unwind(AssertUnwindSafe(|| match role {
        Some(role) => encoder.encode_as(role, texts),
        None => encoder.encode(texts),
    }));
    let encoding = encoded.map_err(|_| ApiError::panicked())??;
    metrics.encoded(texts.len(), encoding.tokens, started.elapsed());
    Ok(encoding.embeddings)
}
