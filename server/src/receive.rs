//! Takes the body of a request in, before the request counts among those that are answered: a client that sends slowly keeps
//! none of the others waiting.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::error::{ApiError, Kind};
use crate::options::Limits;

/// Bytes of a permit: a semaphore counts no further than a few hundred million on a small machine.
const UNIT: usize = 1024;

/// The memory that bodies may take together.
pub struct Memory(Semaphore);

/// A body, and its part of that memory.
pub struct Received<'a> {
    /// The body.
    pub body: Bytes,
    _held: Option<SemaphorePermit<'a>>,
}

impl Memory {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Semaphore::new((bytes / UNIT).min(Semaphore::MAX_PERMITS)))
    }

    /// Reads a body within the limits.
    pub async fn receive(
        &self,
        headers: &HeaderMap,
        body: Body,
        limits: &Limits,
    ) -> Result<Received<'_>, ApiError> {
        let told = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if told.is_some_and(|length| length > limits.body as u64) {
            return Err(too_large(limits.body));
        }
        if body.is_end_stream() {
            return Ok(Received { body: Bytes::new(), _held: None });
        }
        let arrived = timeout(limits.arrival, self.read(body, limits.body)).await;
        arrived.unwrap_or_else(|_| {
            let most = limits.arrival.as_secs_f32();
            let late =
                format!("the body of the request did not arrive within {most} seconds, and was given up");
            Err(ApiError::new(Kind::Timeout, late))
        })
    }

    async fn read(&self, mut body: Body, most: usize) -> Result<Received<'_>, ApiError> {
        let mut bytes = Vec::new();
        let mut held: Option<SemaphorePermit<'_>> = None;
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let frame =
                frame.map_err(|_| ApiError::invalid("the body of the request did not arrive whole"))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > most {
                return Err(too_large(most));
            }
            bytes.extend_from_slice(&data);
            self.hold(&mut held, bytes.len())?;
        }
        Ok(Received { body: bytes.into(), _held: held })
    }

    /// Takes the memory of a body as it grows: what only says that it will be long takes none.
    fn hold<'a>(&'a self, held: &mut Option<SemaphorePermit<'a>>, bytes: usize) -> Result<(), ApiError> {
        let needed = bytes.div_ceil(UNIT) - held.as_ref().map_or(0, SemaphorePermit::num_permits);
        if needed == 0 {
            return Ok(());
        }
        let needed = u32::try_from(needed).map_err(|_| too_large(bytes))?;
        let Ok(more) = self.0.try_acquire_many(needed) else {
            let busy =
                "the requests that arrive take all the memory there is for them: ask again in a second";
            return Err(ApiError::new(Kind::Busy, busy));
        };
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }
}

fn too_large(most: usize) -> ApiError {
    ApiError::new(Kind::TooLarge, format!("the body of the request has more than {most} bytes"))
}
