//! What is counted, for Prometheus.

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

type Labels = Vec<(&'static str, String)>;

/// The counters of a server.
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    latency: Family<Labels, Histogram>,
    queued: Histogram,
    encoding: Histogram,
    searching: Histogram,
    texts: Histogram,
    tokens: Counter,
    waiting: Gauge,
    busy: Gauge,
    spans_sent: Counter,
    spans_dropped: Counter,
}

/// From 0.5 ms to 16 s, doubling.
fn seconds() -> Histogram {
    Histogram::new((0..16).map(|power| 0.0005 * f64::from(1_u32 << power)))
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("akin");
        let requests = Family::<Labels, Counter>::default();
        let latency = Family::<Labels, Histogram>::new_with_constructor(seconds);
        let (queued, searching) = (seconds(), seconds());
        let (encoding, tokens, waiting, busy) =
            (seconds(), Counter::default(), Gauge::default(), Gauge::default());
        let texts = Histogram::new((0..12).map(|power| f64::from(1_u32 << power)));
        registry.register("requests", "Requests answered, by route and status", requests.clone());
        registry.register_with_unit("request", "Time of a request, by route", Unit::Seconds, latency.clone());
        registry.register_with_unit(
            "queue",
            "Time that the texts of a request wait to be encoded",
            Unit::Seconds,
            queued.clone(),
        );
        registry.register_with_unit(
            "search",
            "Time of a query without its encoding",
            Unit::Seconds,
            searching.clone(),
        );
        registry.register_with_unit(
            "encoding",
            "Time of a call of the model",
            Unit::Seconds,
            encoding.clone(),
        );
        registry.register("encoding_texts", "Texts encoded in a call of the model", texts.clone());
        registry.register("encoded_tokens", "Tokens encoded", tokens.clone());
        registry.register("waiting_tokens", "Tokens that wait to be encoded", waiting.clone());
        registry.register("requests_running", "Requests that are being answered", busy.clone());
        let (spans_sent, spans_dropped) = (Counter::default(), Counter::default());
        registry.register("spans_sent", "Spans of traces that the collector has taken", spans_sent.clone());
        registry.register("spans_dropped", "Spans of traces that were lost", spans_dropped.clone());
        Self {
            registry,
            requests,
            latency,
            queued,
            encoding,
            searching,
            texts,
            tokens,
            waiting,
            busy,
            spans_sent,
            spans_dropped,
        }
    }

    /// A request was answered.
    pub fn answered(&self, route: &str, status: u16, time: Duration) {
        let labels = vec![("route", route.to_owned()), ("status", status.to_string())];
        self.requests.get_or_create(&labels).inc();
        self.latency.get_or_create(&vec![("route", route.to_owned())]).observe(time.as_secs_f64());
    }

    /// The first texts of a request have waited so long to be encoded.
    pub fn queued(&self, time: Duration) {
        self.queued.observe(time.as_secs_f64());
    }

    /// A query was answered in so much time without its encoding.
    pub fn searched(&self, time: Duration) {
        self.searching.observe(time.as_secs_f64());
    }

    /// A model was called.
    pub fn encoded(&self, texts: usize, tokens: usize, time: Duration) {
        self.encoding.observe(time.as_secs_f64());
        self.texts.observe(texts as f64);
        self.tokens.inc_by(tokens as u64);
    }

    /// A collector has taken so many spans.
    pub fn spans_sent(&self, count: usize) {
        self.spans_sent.inc_by(count as u64);
    }

    /// So many spans were lost.
    pub fn spans_dropped(&self, count: usize) {
        self.spans_dropped.inc_by(count as u64);
    }

    /// So many tokens wait.
    pub fn waiting(&self, tokens: usize) {
        self.waiting.set(i64::try_from(tokens).unwrap_or(i64::MAX));
    }

    /// So many requests are being answered.
    pub fn busy(&self, requests: usize) {
        self.busy.set(i64::try_from(requests).unwrap_or(i64::MAX));
    }

    /// All of them in the text format of OpenMetrics.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
