//! The slowest queries of the last hour, of each index.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use akin_query::Mode;
use serde_json::{Value, json};

/// Queries that are told.
const TOLD: usize = 20;

/// Queries that are kept: those behind the slowest come forward when these are too old.
const KEPT: usize = 4 * TOLD;

/// How long a query is kept.
const HOUR: Duration = Duration::from_secs(3600);

/// Characters of a text that are kept.
const TEXT: usize = 200;

/// How a query went.
#[derive(Debug, Clone)]
pub struct SlowQuery {
    /// When it was answered.
    pub at: SystemTime,
    /// How long it took in all.
    pub took: Duration,
    /// How long its text waited and was encoded.
    pub encoding: Duration,
    /// By what documents were found; none where the server chose.
    pub mode: Option<Mode>,
    /// Hits that were asked for.
    pub k: usize,
    /// Whether there was a filter.
    pub is_filtered: bool,
    /// The text, where texts are logged.
    pub text: Option<String>,
}

/// The slowest queries, the slowest first.
#[derive(Default)]
pub struct SlowQueries(Mutex<Vec<SlowQuery>>);

impl SlowQueries {
    /// Takes note of a query.
    pub fn note(&self, mut query: SlowQuery) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.retain(|other| is_recent(other, query.at));
        }
        let place = kept.partition_point(|other| other.took >= query.took);
        if place < KEPT {
            query.text = query.text.map(|text| text.chars().take(TEXT).collect());
            kept.insert(place, query);
            kept.truncate(KEPT);
        }
    }

    /// The slowest of the last hour. `texts` tells whether their texts are shown, as far as they were kept.
    pub fn told(&self, now: SystemTime, texts: bool) -> Value {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = kept.iter().filter(|query| is_recent(query, now)).take(TOLD);
        recent.map(|query| told(query, texts)).collect()
    }
}

fn is_recent(query: &SlowQuery, now: SystemTime) -> bool {
    now.duration_since(query.at).is_ok_and(|age| age <= HOUR) || query.at > now
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Semantic => "semantic",
        Mode::Keyword => "keyword",
        Mode::Hybrid => "hybrid",
    }
}

fn told(query: &SlowQuery, texts: bool) -> Value {
    let ms = |time: Duration| (time.as_secs_f64() * 1e5).round() / 1e2;
    let at = query.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    json!({
        "at": at,
        "ms": ms(query.took),
        "encoding_ms": ms(query.encoding),
        "mode": query.mode.map(mode_name),
        "k": query.k,
        "filter": query.is_filtered,
        "text": query.text.as_ref().filter(|_| texts),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(at: u64, ms: u64) -> SlowQuery {
        SlowQuery {
            at: UNIX_EPOCH + Duration::from_secs(at),
            took: Duration::from_millis(ms),
            encoding: Duration::from_millis(1),
            mode: None,
            k: 10,
            is_filtered: false,
            text: Some("é".repeat(2 * TEXT)),
        }
    }

    fn times(slow: &SlowQueries, now: u64) -> Vec<f64> {
        let told = slow.told(UNIX_EPOCH + Duration::from_secs(now), false);
        told.as_array().unwrap().iter().map(|query| query["ms"].as_f64().unwrap()).collect()
    }

    #[test]
    fn the_slowest_of_the_last_hour_are_told_slowest_first() {
        let slow = SlowQueries::default();
        for n in 0..200 {
            slow.note(query(10_000, 1 + n * 37 % 200));
        }
        slow.note(query(9_000, 5_000));
        let expected: Vec<f64> = std::iter::once(5_000.0).chain((182..=200).rev().map(f64::from)).collect();
        assert_eq!(times(&slow, 10_000), expected);
        // The oldest is out, and the next one comes forward.
        assert_eq!(times(&slow, 12_700), (181..=200).rev().map(f64::from).collect::<Vec<_>>());
        assert!(times(&slow, 20_000).is_empty());
        slow.note(query(20_000, 3));
        assert_eq!(times(&slow, 20_000), [3.0]);
    }

    #[test]
    fn texts_are_short_and_shown_where_they_are_asked_for() {
        let slow = SlowQueries::default();
        slow.note(query(1, 1));
        let text = |texts: bool| slow.told(UNIX_EPOCH, texts)[0]["text"].clone();
        assert_eq!(text(true).as_str().unwrap().chars().count(), TEXT);
        assert!(text(false).is_null());
    }
}
