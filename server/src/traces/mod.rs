//! Traces of requests for OpenTelemetry: a span of each request, and of its waiting, its encoding and its search. They go as
//! JSON over HTTP to a collector (`export`), and never hold up a request: what the queue does not take is dropped and counted.
//!
//! A request that names its parent in `traceparent` is a part of that trace (`context`). Neither texts nor keys are in spans.

mod context;
mod export;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, Method};
use serde_json::{Value, json};

use self::context::Parent;
pub use self::export::{Endpoint, Exporter};

/// Stages of a request, at most.
const STAGES: usize = 64;

tokio::task_local! {
    /// The trace of the request that the task answers.
    pub static CURRENT: Option<Arc<Trace>>;
}

/// The trace of a request that is being answered.
#[derive(Debug)]
pub struct Trace {
    parent: Parent,
    span: u64,
    started: Instant,
    started_at: SystemTime,
    stages: Mutex<Vec<Stage>>,
}

/// A part of the work for a request.
#[derive(Debug)]
struct Stage {
    name: &'static str,
    from: Instant,
    to: Instant,
}

impl Trace {
    /// Begins the trace of a request; none where its parent wants none.
    pub fn begin(headers: &HeaderMap) -> Option<Arc<Self>> {
        let parent = Parent::of(headers)?;
        Some(Arc::new(Self {
            parent,
            span: context::new_id(),
            started: Instant::now(),
            started_at: SystemTime::now(),
            stages: Mutex::default(),
        }))
    }

    /// Takes note of a stage.
    pub fn stage(&self, name: &'static str, from: Instant, to: Instant) {
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        if stages.len() < STAGES {
            stages.push(Stage { name, from, to });
        }
    }

    /// The same of a stage that begins where the last one ended, if that was later.
    pub fn stage_after(&self, name: &'static str, from: Instant, to: Instant) {
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let from = stages.iter().map(|stage| stage.to).fold(from, Instant::max);
        drop(stages);
        self.stage(name, from, to.max(from));
    }

    /// The spans of the request, which is answered now: its own first.
    pub fn spans(&self, method: &Method, route: &str, status: u16) -> Vec<Value> {
        let attributes = json!([
            { "key": "http.request.method", "value": { "stringValue": method.as_str() } },
            { "key": "http.route", "value": { "stringValue": route } },
            { "key": "http.response.status_code", "value": { "intValue": status.to_string() } },
        ]);
        let mut own = self.span(&format!("{method} {route}"), self.span, self.started, Instant::now());
        own["kind"] = 2.into();
        own["attributes"] = attributes;
        if let Some(parent) = self.parent.span {
            own["parentSpanId"] = format!("{parent:016x}").into();
        }
        if status >= 500 {
            own["status"] = json!({ "code": 2 });
        }
        let mut spans = vec![own];
        for stage in self.stages.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let mut span = self.span(stage.name, context::new_id(), stage.from, stage.to);
            span["kind"] = 1.into();
            span["parentSpanId"] = format!("{:016x}", self.span).into();
            spans.push(span);
        }
        spans
    }

    fn span(&self, name: &str, id: u64, from: Instant, to: Instant) -> Value {
        json!({
            "traceId": format!("{:032x}", self.parent.trace),
            "spanId": format!("{id:016x}"),
            "name": name,
            "startTimeUnixNano": self.nanos(from),
            "endTimeUnixNano": self.nanos(to),
        })
    }

    /// A moment in nanoseconds since 1970, as a text: JSON's numbers do not hold it.
    fn nanos(&self, moment: Instant) -> String {
        let since: Duration = moment.saturating_duration_since(self.started);
        let at = self.started_at.duration_since(UNIX_EPOCH).unwrap_or_default() + since;
        at.as_nanos().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_children_of_the_request_and_follow_one_another() {
        let trace = Trace::begin(&HeaderMap::new()).unwrap();
        let at = |ms: u64| trace.started + Duration::from_millis(ms);
        trace.stage("queue", at(1), at(2));
        trace.stage("encode", at(2), at(5));
        trace.stage_after("search", at(0), at(9));
        let spans = trace.spans(&Method::POST, "/v1/indexes/{name}/query", 200);
        let names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["POST /v1/indexes/{name}/query", "queue", "encode", "search"]);
        assert!(spans[1..].iter().all(|span| span["parentSpanId"] == spans[0]["spanId"]));
        assert!(spans.iter().all(|span| span["traceId"] == spans[0]["traceId"]));
        assert!(spans[0].get("parentSpanId").is_none());
        assert_eq!(spans[3]["startTimeUnixNano"], spans[2]["endTimeUnixNano"]);
        assert!(spans[0].get("status").is_none());
        assert_eq!(trace.spans(&Method::GET, "/", 503)[0]["status"], json!({ "code": 2 }));
    }

    #[test]
    fn a_request_has_no_more_stages_than_that() {
        let trace = Trace::begin(&HeaderMap::new()).unwrap();
        (0..2 * STAGES).for_each(|_| trace.stage("encode", trace.started, trace.started));
        assert_eq!(trace.spans(&Method::GET, "/", 200).len(), 1 + STAGES);
    }
}
