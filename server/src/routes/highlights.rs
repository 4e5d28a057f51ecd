//! An answer whose first hits say which sentence answers and where the words of the query are.

use akin_query::highlight::Highlight;
use akin_query::{Answer, RankedHit};
use serde::Serialize;
use serde_json::{Map, Value};

/// An answer with marks: that of `akin query --json`, with `"highlight":{"sentence":[start,end],"words":[[start,end],…]}` in its
/// first hits. Bytes of the hit's text are counted; a text of one sentence has no `sentence`.
#[derive(Serialize)]
pub struct MarkedAnswer<'a> {
    query: &'a str,
    hits: Vec<MarkedHit<'a>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    facets: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct MarkedHit<'a> {
    #[serde(flatten)]
    hit: &'a RankedHit,
    #[serde(skip_serializing_if = "Option::is_none")]
    highlight: Option<Marks>,
}

#[derive(Serialize)]
struct Marks {
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<[usize; 2]>,
    words: Vec<[usize; 2]>,
}

impl<'a> MarkedAnswer<'a> {
    /// Puts the marks of the first hits into an answer.
    pub fn of(answer: &'a Answer, highlights: Vec<Highlight>) -> Self {
        let marks = highlights.into_iter().map(|highlight| {
            Some(Marks {
                sentence: highlight.sentence.map(|sentence| [sentence.start, sentence.end]),
                words: highlight.words.iter().map(|word| [word.start, word.end]).collect(),
            })
        });
        let marks = marks.chain(std::iter::repeat_with(|| None));
        let hits = answer.hits.iter().zip(marks).map(|(hit, highlight)| MarkedHit { hit, highlight });
        Self { query: &answer.query, hits: hits.collect(), facets: &answer.facets }
    }
}
