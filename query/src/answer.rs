//! The answer to one query, and the JSON line it is written as.

use std::io::{self, Write};

use akin_index::{Hit, Metadata, Passage};
use serde::{Deserialize, Serialize};

use crate::facets::Facets;
use crate::passages::Scored;

/// The answer to one query. As JSON it is one line:
/// `{"query":…,"hits":[{"rank":1,"id":…,"score":…,"text":…,"metadata":{…}}]}`, with
/// `"passage":{"start":…,"end":…,"text":…}` before the metadata where the document has more than one, a list `"passages"` of
/// such with their scores where several were asked for, and `"facets":{FIELD:{VALUE:COUNT}}` behind the hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The text of the query.
    pub query: String,
    /// The documents found, best first; none for a blank query or an empty index.
    pub hits: Vec<RankedHit>,
    /// How often each value of the fields asked for is among the best hits.
    #[serde(default, skip_serializing_if = "Facets::is_empty")]
    pub facets: Facets,
}

/// A passage of a document's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundPassage {
    /// Its first byte in the text.
    pub start: usize,
    /// The byte after its last one.
    pub end: usize,
    /// Its text.
    pub text: String,
    /// How it scores by itself, where several were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
}

/// One document of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankedHit {
    /// Its place, from 1.
    pub rank: usize,
    /// The id of the document.
    pub id: String,
    /// How similar query and document are: their cosine, from -1 to 1, unless the model has another similarity. Of
    /// [`Mode::Hybrid`](crate::Mode::Hybrid) a weighted mean of that and of the score by words on the same scale; of
    /// [`Mode::Keyword`](crate::Mode::Keyword) BM25; a cross-encoder's where one ranked the documents.
    pub score: f32,
    /// The text of the document.
    pub text: String,
    /// The passage that was found, where the document has more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passage: Option<FoundPassage>,
    /// Its best passages, best first, where several were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passages: Vec<FoundPassage>,
    /// Its other fields.
    pub metadata: Metadata,
}

impl Answer {
    /// Ranks `hits`, which come best first.
    pub fn new(query: &str, hits: Vec<Hit>) -> Self {
        let hits = hits.into_iter().zip(1..).map(|(hit, rank)| RankedHit::new(hit, rank)).collect();
        Self { query: query.to_owned(), hits, facets: Facets::new() }
    }

    /// The same where so many better hits are passed over.
    pub(crate) fn after(mut self, offset: usize) -> Self {
        self.hits.iter_mut().for_each(|hit| hit.rank += offset);
        self
    }

    /// With the passages of each hit.
    pub(crate) fn with_passages(mut self, passages: &[Vec<Scored>]) -> Self {
        for (hit, passages) in self.hits.iter_mut().zip(passages) {
            let found = passages.iter().map(|(passage, score)| FoundPassage {
                score: Some(*score),
                ..FoundPassage::of(&hit.text, passage)
            });
            hit.passages = found.collect();
        }
        self
    }

    /// With the counts of fields.
    pub(crate) fn with_facets(self, facets: Facets) -> Self {
        Self { facets, ..self }
    }

    /// Writes the answer as one JSON line.
    ///
    /// # Errors
    /// What `output` reports.
    pub fn write_json_line(&self, output: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *output, self)?;
        output.write_all(b"\n")
    }
}

impl RankedHit {
    fn new(hit: Hit, rank: usize) -> Self {
        let text = hit.document.text;
        Self {
            rank,
            id: hit.document.id,
            score: hit.score,
            passage: hit.passage.map(|passage| FoundPassage::of(&text, &passage)),
            passages: Vec::new(),
            text,
            metadata: hit.document.metadata,
        }
    }
}

impl FoundPassage {
    fn of(text: &str, passage: &Passage) -> Self {
        let (start, end) = (passage.start as usize, passage.end as usize);
        // A span outside of the text is damage, which `verify` reports.
        Self { start, end, text: text.get(start..end).unwrap_or("").to_owned(), score: None }
    }
}

#[cfg(test)]
mod tests {
    use akin_index::Document;

    use super::*;

    #[test]
    fn the_json_line_has_the_documented_fields_in_the_documented_order() {
        let mut metadata = Metadata::new();
        metadata.insert("z".into(), 1.into());
        metadata.insert("a".into(), "two".into());
        let document = Document { id: "d1".into(), text: "a \"line\"\nand more".into(), metadata };
        let answer = Answer::new("what?", vec![Hit { score: 0.5, document, passage: None }]);
        let mut line = Vec::new();
        answer.write_json_line(&mut line).unwrap();
        assert_eq!(
            String::from_utf8(line).unwrap(),
            concat!(
                r#"{"query":"what?","hits":[{"rank":1,"id":"d1","score":0.5,"#,
                r#""text":"a \"line\"\nand more","metadata":{"z":1,"a":"two"}}]}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_passage_comes_with_its_place_and_text() {
        let document = Document { id: "d1".into(), text: "one two".into(), ..Document::default() };
        let passage = Some(akin_index::Passage { start: 4, end: 7 });
        let answer = Answer::new("q", vec![Hit { score: 0.5, document, passage }]);
        let json = serde_json::to_string(&answer.hits[0]).unwrap();
        assert!(
            json.contains(r#""text":"one two","passage":{"start":4,"end":7,"text":"two"},"metadata""#),
            "{json}"
        );
    }

    #[test]
    fn ranks_count_from_one() {
        let hit = |score| Hit { score, document: Document::default(), passage: None };
        let answer = Answer::new("q", vec![hit(0.9), hit(0.8), hit(0.7)]);
        assert_eq!(answer.hits.iter().map(|hit| hit.rank).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
