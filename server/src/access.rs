//! The log of requests: who asked for what, how it ended, and how long it took. Neither keys nor texts are in it, unless texts
//! are asked for.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::HttpBody;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;

/// The target of the events of the log.
pub const TARGET: &str = "akin_access";

/// The header that carries the id of a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a client.
const LONGEST: usize = 128;

/// Bytes of a body that are logged, where that is asked for.
const BODY: usize = 4096;

/// The id of a request, of letters, digits and some marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// That which the client gave, or a new one where it gave none, several, or one that could mean something in a log.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(REQUEST_ID).iter();
        let (first, second) = (given.next().and_then(|id| id.to_str().ok()), given.next());
        match first.filter(|id| second.is_none() && is_sane(id)) {
            Some(id) => Self(id.to_owned()),
            None => Self::new(),
        }
    }

    /// One that no other request of this process has, nor likely one of another.
    fn new() -> Self {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(format!("{:016x}{:08x}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same as a header.
    pub fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

fn is_sane(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(fits)
}

/// A request, as far as the log tells it.
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// Its method.
    pub method: Method,
    /// Its path, without what follows a question mark.
    pub path: String,
}

impl Request {
    /// Logs how the request ended. The bytes are none where they are not known before they are sent.
    pub fn answered(&self, key: Option<&str>, response: &Response, took: Duration) {
        tracing::info!(
            target: TARGET,
            method = self.method.as_str(),
            path = self.path,
            status = response.status().as_u16(),
            bytes = response.body().size_hint().exact(),
            ms = (took.as_secs_f64() * 1e5).round() / 1e2,
            key,
            id = self.id.as_str(),
            "request"
        );
    }
}

/// Logs the body of a request, which has its texts.
pub fn log_body(id: Option<&RequestId>, body: &[u8]) {
    let part = &body[..body.len().min(BODY)];
    tracing::info!(
        target: TARGET,
        body = &*String::from_utf8_lossy(part),
        id = id.map(RequestId::as_str),
        "body"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(ids: &[&str]) -> RequestId {
        let mut headers = HeaderMap::new();
        for id in ids {
            headers.append(REQUEST_ID, HeaderValue::from_str(id).unwrap());
        }
        RequestId::of(&headers)
    }

    #[test]
    fn a_sane_id_is_taken_and_any_other_is_replaced() {
        assert_eq!(given(&["a-1_b.c:D/e+f="]).as_str(), "a-1_b.c:D/e+f=");
        let long = "a".repeat(LONGEST + 1);
        for ids in [&[][..], &[""], &["a b"], &["a\"b"], &["a\tb"], &["a", "a"], &[&long]] {
            let id = given(ids);
            assert!(is_sane(id.as_str()) && id.as_str().len() == 24, "{ids:?}: {id:?}");
            assert_ne!(id, given(ids));
        }
    }
}
