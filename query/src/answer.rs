//! The answer to one query, and the JSON line it is written as.

use std::io::{self, Write};

use akin_index::Hit;
use akin_index::Metadata;
use serde::Serialize;

/// The answer to one query. As JSON it is one line:
/// `{"query":…,"hits":[{"rank":1,"id":…,"score":…,"text":…,"metadata":{…}}]}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The text that was asked.
    pub query: String,
    /// The documents found, best first; none for a blank query or an empty index.
    pub hits: Vec<RankedHit>,
}

/// One document of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankedHit {
    /// Its place, from 1.
    pub rank: usize,
    /// The id of the document.
    pub id: String,
    /// Cosine similarity of query and document, from -1 to 1.
    pub score: f32,
    /// The text of the document.
    pub text: String,
    /// Its other fields.
    pub metadata: Metadata,
}

impl Answer {
    /// Ranks `hits`, which come best first.
    pub fn new(query: &str, hits: Vec<Hit>) -> Self {
        let hits = hits
            .into_iter()
            .enumerate()
            .map(|(row, hit)| RankedHit {
                rank: row + 1,
                id: hit.document.id,
                score: hit.score,
                text: hit.document.text,
                metadata: hit.document.metadata,
            })
            .collect();
        Self { query: query.to_owned(), hits }
    }

    /// Writes the answer as one JSON line.
    ///
    /// # Errors
    /// What `output` says when it cannot be written.
    pub fn write_json_line(&self, output: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *output, self)?;
        output.write_all(b"\n")
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
        let answer = Answer::new("what?", vec![Hit { score: 0.5, document }]);
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
    fn ranks_count_from_one() {
        let hit = |score| Hit { score, document: Document::default() };
        let answer = Answer::new("q", vec![hit(0.9), hit(0.8), hit(0.7)]);
        assert_eq!(answer.hits.iter().map(|hit| hit.rank).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
