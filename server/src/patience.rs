//! Whether the client of a request still waits for its answer, and the trace that its work belongs to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::error::ApiError;
use crate::traces::{CURRENT, Trace};

/// A request's own end of it. When the request is dropped, since the client is gone or its time is up, it says so.
#[derive(Debug)]
pub struct Patience(Waiting);

/// Tells whether the client is gone.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    is_gone: Arc<AtomicBool>,
    trace: Option<Arc<Trace>>,
}

impl Default for Patience {
    /// That of the request that the task answers.
    fn default() -> Self {
        let trace = CURRENT.try_with(Clone::clone).ok().flatten();
        Self(Waiting { trace, ..Waiting::default() })
    }
}

impl Patience {
    /// What the work for the request asks.
    pub fn waiting(&self) -> Waiting {
        self.0.clone()
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        self.0.is_gone.store(true, Ordering::Relaxed);
    }
}

impl Waiting {
    /// Whether nobody waits any more.
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// The trace of the request, where there is one.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_deref()
    }
}

impl<S: Sync> FromRequestParts<S> for Patience {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self::default())
    }
}
