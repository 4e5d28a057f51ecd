//! What to show of a hit to somebody who reads: the sentence nearest to the question, and the words of the query.

use std::ops::Range;

use akin_encoder::Role;
use akin_index::{Marker, Snapshot};
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::searcher::is_blank;
use crate::{Answer, RankedHit, Result, Searcher};

/// Sentences of a hit that are compared with the question, at most.
const SENTENCES: usize = 64;

/// Which parts of a hit's text to show, in bytes of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Highlight {
    /// The passage that was found; the whole text where that is one.
    pub passage: Range<usize>,
    /// The sentence of the passage that is nearest in meaning to the question, or has most of its words where no model is
    /// asked; none where the passage is one sentence.
    pub sentence: Option<Range<usize>>,
    /// The words of the query in the passage, ascending.
    pub words: Vec<Range<usize>>,
}

impl Searcher {
    /// What to show of each hit of an answer. The sentences of the passages that were found are encoded for it, some
    /// milliseconds a hit.
    ///
    /// # Errors
    /// What the encoder or the index reports.
    pub fn highlights(&self, snapshot: &Snapshot, answer: &Answer) -> Result<Vec<Highlight>> {
        let query = self.word_queries(&[&answer.query]).swap_remove(0);
        let marker = snapshot.marker(&query)?;
        let mut highlights: Vec<Highlight> = answer.hits.iter().map(|hit| begin(hit, &marker)).collect();
        let sentences: Vec<Vec<Range<usize>>> =
            answer.hits.iter().zip(&highlights).map(|(hit, highlight)| sentences(hit, highlight)).collect();
        let is_encoded = self.mode().needs_model() && self.encoder().is_some() && !is_blank(&answer.query);
        let nearest = match is_encoded {
            true => self.nearest_sentences(&self.plain_texts(&[&answer.query])[0], answer, &sentences)?,
            false => {
                highlights.iter().zip(&sentences).map(|(highlight, of)| most_marked(highlight, of)).collect()
            }
        };
        for (highlight, (sentences, nearest)) in highlights.iter_mut().zip(sentences.iter().zip(nearest)) {
            highlight.sentence = nearest.map(|place| sentences[place].clone());
        }
        Ok(highlights)
    }

    /// The sentence of each hit that is nearest to the query in meaning.
    fn nearest_sentences(
        &self,
        query: &str,
        answer: &Answer,
        sentences: &[Vec<Range<usize>>],
    ) -> Result<Vec<Option<usize>>> {
        let Some(encoder) = self.encoder() else { return Ok(vec![None; sentences.len()]) };
        let texts: Vec<&str> = answer
            .hits
            .iter()
            .zip(sentences)
            .flat_map(|(hit, sentences)| sentences.iter().map(|sentence| &hit.text[sentence.clone()]))
            .collect();
        if texts.is_empty() {
            return Ok(vec![None; sentences.len()]);
        }
        let query = encoder.encode_as(Role::Query, &[query])?.embeddings;
        let embeddings = encoder.encode_as(Role::Document, &texts)?.embeddings;
        let mut scores = embeddings.iter().map(|sentence| encoder.similarity().of(query.row(0), sentence));
        let nearest = sentences.iter().map(|sentences| {
            let scores: Vec<f32> = scores.by_ref().take(sentences.len()).collect();
            (0..scores.len()).rev().max_by(|a, b| scores[*a].total_cmp(&scores[*b]))
        });
        Ok(nearest.collect())
    }
}

/// The passage of a hit, and the words in it.
fn begin(hit: &RankedHit, marker: &Marker) -> Highlight {
    let whole = 0..hit.text.len();
    let passage = hit.passage.as_ref().map_or(whole.clone(), |passage| passage.start..passage.end);
    let passage = if hit.text.get(passage.clone()).is_some() { passage } else { whole };
    let marks = marker.marks(&hit.text[passage.clone()]).into_iter();
    let words = marks.map(|word| word.start + passage.start..word.end + passage.start).collect();
    Highlight { passage, sentence: None, words }
}

/// The sentences of a passage, without blank space around them; none where it is only one.
fn sentences(hit: &RankedHit, highlight: &Highlight) -> Vec<Range<usize>> {
    let passage = &hit.text[highlight.passage.clone()];
    let mut sentences = Vec::new();
    let joined = with_lines_joined(passage);
    for (at, sentence) in joined.split_sentence_bound_indices() {
        let start = highlight.passage.start + at + (sentence.len() - sentence.trim_start().len());
        let sentence = sentence.trim();
        if sentence.contains(char::is_alphanumeric) && sentences.len() < SENTENCES {
            sentences.push(start..start + sentence.len());
        }
    }
    if sentences.len() > 1 { sentences } else { Vec::new() }
}

/// A text of the same length in which a line that goes on in the next does not end. A line that ends otherwise ends a
/// sentence: titles and items of lists have no full stop.
fn with_lines_joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let goes_on = character == '\n' && characters.peek().is_some_and(|next| next.is_lowercase());
        joined.push(if goes_on { ' ' } else { character });
    }
    joined
}

/// The sentence with most words of the query, the first of such; none where no sentence has any.
fn most_marked(highlight: &Highlight, sentences: &[Range<usize>]) -> Option<usize> {
    let marked = |sentence: &Range<usize>| {
        highlight.words.iter().filter(|word| sentence.start <= word.start && word.end <= sentence.end).count()
    };
    let best = (0..sentences.len()).rev().max_by_key(|place| marked(&sentences[*place]))?;
    (marked(&sentences[best]) > 0).then_some(best)
}

#[cfg(test)]
mod tests {
    use akin_encoder::SentenceEncoder;
    use akin_fixtures::Folder;
    use akin_fixtures::models::tiny;
    use akin_index::{Document, Index, SearchOptions};

    use super::*;
    use crate::Mode;
    use crate::model::identity;

    const TEXT: &str = "A heading\nThe cat sat on\nthe mat. A boat was on the sea! Nobody came.";

    fn highlighted(mode: Mode, query: &str) -> (Option<String>, Vec<String>) {
        let folder = Folder::new();
        let encoder = SentenceEncoder::load(&tiny("bert")).unwrap();
        let model = identity(tiny("bert").to_str().unwrap(), &encoder).unwrap();
        let mut index = Index::open_or_create(&folder.path("index"), &model).unwrap();
        let document = Document { id: "1".into(), text: TEXT.into(), ..Document::default() };
        index.upsert(&[document], &encoder.encode(&[TEXT]).unwrap().embeddings).unwrap();
        let searcher = Searcher::new(index.reader(), encoder).unwrap().with_mode(mode).unwrap();
        let answer = searcher.ask(query, &SearchOptions::default().into()).unwrap();
        let highlight = &searcher.highlights(&searcher.snapshot(), &answer).unwrap()[0];
        let text = |range: &Range<usize>| TEXT[range.clone()].to_owned();
        assert_eq!(text(&highlight.passage), TEXT);
        (highlight.sentence.as_ref().map(text), highlight.words.iter().map(text).collect())
    }

    #[test]
    fn the_nearest_sentence_and_the_words_of_the_query_are_told() {
        let (sentence, words) = highlighted(Mode::Semantic, "A boat was on the sea!");
        assert_eq!(sentence.unwrap(), "A boat was on the sea!");
        assert!(words.contains(&"boat".to_owned()) && words.contains(&"sea".to_owned()), "{words:?}");
        let (sentence, words) = highlighted(Mode::Keyword, "cat mat");
        assert_eq!(sentence.unwrap(), "The cat sat on\nthe mat.");
        assert_eq!(words, ["cat", "mat"]);
    }
}
