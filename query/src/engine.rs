//! Asks an engine that keeps the documents, such as a table of PostgreSQL, as [`Searcher`](crate::Searcher) asks an index.

use std::collections::HashMap;
use std::sync::Arc;

use akin_encoder::{Role, SentenceEncoder};
use akin_engines::{Ask, Both, Engine};
use akin_index::{Filter, Hit, WordQuery};

use crate::fuse::{DEPTH, Known, Scored, fuse_scores};
use crate::rerank::{RerankModel, Reranker};
use crate::searcher::is_blank;
use crate::{Answer, AskOptions, Error, Mode, QueryEncoder, Result, remembered};

/// Answers queries from an engine.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use akin_encoder::EncoderOptions;
/// use akin_engines::{Address, Source};
/// use akin_query::{AskOptions, EngineSearcher};
///
/// let engine = Address::parse("postgres://me@db.example/search/notes")?.open()?;
/// let encoder = akin_query::model::load(&engine.model().location, &EncoderOptions::default())?;
/// let mut searcher = EngineSearcher::new(engine, Some(Arc::new(encoder)), None)?;
/// for answer in searcher.ask_all(&["someone has a meal"], &AskOptions::default(), None)? {
///     println!("{:?}", answer.hits);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EngineSearcher<E> {
    engine: E,
    /// None where no text is encoded.
    encoder: Option<Arc<SentenceEncoder>>,
    mode: Mode,
    /// Whether quotes, hyphens and stars in a query mean nothing.
    plain: bool,
    reranker: Option<Reranker>,
    /// None where the encoder is asked directly.
    encode: Option<QueryEncoder>,
}

impl<E: Engine> EngineSearcher<E> {
    /// Puts an engine and the encoder of its vectors together. Without a mode it is the one that finds most, and queries are
    /// plain texts.
    ///
    /// # Errors
    /// [`Error::NoEncoder`] if the mode needs a model and there is none; [`akin_index::Error::OtherModel`],
    /// [`Error::OtherPrompt`] or [`Error::OtherSimilarity`] if the engine has another one.
    pub fn new(engine: E, encoder: Option<Arc<SentenceEncoder>>, mode: Option<Mode>) -> Result<Self> {
        let plain = mode.is_none();
        let mode = mode.unwrap_or_else(|| Mode::best_of_engine(&engine));
        match &encoder {
            None if mode.needs_model() => return Err(Error::NoEncoder),
            None => {}
            Some(encoder) => {
                let model = engine.model();
                if encoder.fingerprint() != model.fingerprint {
                    return Err(akin_engines::Error::OtherModel {
                        place: engine.place(),
                        built_with: Box::new(model.clone()),
                        what: format!("its model is {}", model.location),
                    }
                    .into());
                }
                remembered::require(encoder, model)?;
            }
        }
        Ok(Self { engine, encoder, mode, plain, reranker: None, encode: None })
    }

    /// Has a cross-encoder or another sentence encoder rank the `depth` best documents of each query again, from now on: by its scores alone, or with a
    /// weight by the sum of both ([`Searcher::with_rerank_weight`](crate::Searcher::with_rerank_weight)).
    #[must_use]
    pub fn with_reranker(self, model: impl Into<RerankModel>, depth: usize, weight: Option<f32>) -> Self {
        let reranker = Reranker::new(model.into(), depth);
        let reranker = match weight {
            Some(weight) => reranker.weighing(weight),
            None => reranker,
        };
        Self { reranker: Some(reranker), ..self }
    }

    /// Has queries encoded by another call than that of the encoder, which must give the same embeddings, from now on.
    #[must_use]
    pub fn with_query_encoder(self, encode: QueryEncoder) -> Self {
        Self { encode: Some(encode), ..self }
    }

    /// The engine, to be asked by another searcher.
    pub fn into_engine(self) -> E {
        self.engine
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut E {
        &mut self.engine
    }

    /// How documents are found.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The answers to texts, in their order; a blank one has no hits. Of `options` it takes all but what needs an index: a
    /// selection, examples, differing hits, several passages, facets.
    ///
    /// # Errors
    /// [`Error::NotOfEngine`] for those; what the encoder or the engine report.
    pub fn ask_all(
        &mut self,
        texts: &[&str],
        options: &AskOptions,
        filter: Option<&Filter>,
    ) -> Result<Vec<Answer>> {
        self.require_possible(options)?;
        let asked: Vec<&str> = texts.iter().copied().filter(|text| !is_blank(text)).collect();
        let read = if self.plain { WordQuery::plain } else { WordQuery::parse };
        let queries: Vec<WordQuery> = asked.iter().map(|text| read(text)).collect();
        let plain: Vec<String> = match self.mode.needs_words() {
            true => queries.iter().map(WordQuery::text).collect(),
            false => asked.iter().map(|text| (*text).to_owned()).collect(),
        };
        let embeddings = match self.mode.needs_model() && !asked.is_empty() {
            true => Some(self.encode(&plain.iter().map(String::as_str).collect::<Vec<_>>())?),
            false => None,
        };
        let wanted = options.wanted();
        let k = self.reranker.as_ref().map_or(wanted, |reranker| reranker.depth(wanted));
        let ask = Ask { k, ef: options.search.ef, exact: options.search.exact, filter: filter.cloned() };
        let mut at = 0;
        let mut answers = Vec::with_capacity(texts.len());
        for text in texts {
            if is_blank(text) {
                answers.push(Answer::new(text, Vec::new()));
                continue;
            }
            let embedding = embeddings.as_ref().map(|encoding| encoding.embeddings.row(at));
            let mut hits = self.find(&queries[at], embedding, &ask)?;
            if let Some(reranker) = &self.reranker {
                reranker.rerank_hits(&plain[at], &mut hits, wanted)?;
            }
            hits.retain(|hit| options.min_score.is_none_or(|least| hit.score >= least));
            hits.truncate(wanted);
            let hits = hits.into_iter().skip(options.offset).collect();
            answers.push(Answer::new(text, hits).after(options.offset));
            at += 1;
        }
        Ok(answers)
    }

    fn find(&mut self, query: &WordQuery, embedding: Option<&[f32]>, ask: &Ask) -> Result<Vec<Hit>> {
        Ok(match (self.mode, embedding) {
            (Mode::Keyword, _) => self.engine.by_words(query, ask)?,
            (_, None) => return Err(Error::NoEncoder),
            (Mode::Semantic, Some(embedding)) => self.engine.nearest(embedding, ask)?,
            (Mode::Hybrid, Some(embedding)) => {
                let deep = Ask { k: ask.k.max(DEPTH), ..ask.clone() };
                let query = query.clone().beside_meaning();
                fused(self.engine.by_both(&query, embedding, &deep)?, ask.k)
            }
        })
    }

    fn encode(&self, texts: &[&str]) -> Result<akin_encoder::Encoding> {
        if let Some(encode) = &self.encode {
            return encode(texts);
        }
        let encoder = self.encoder.as_ref().ok_or(Error::NoEncoder)?;
        Ok(encoder.encode_as(Role::Query, texts)?)
    }

    /// Refuses what only an index can do.
    fn require_possible(&self, options: &AskOptions) -> Result<()> {
        let asked = [
            ("what is like or unlike a document", !options.like.is_empty() || !options.unlike.is_empty()),
            ("hits that differ", options.diverse),
            ("several passages of a document", options.per_document > 1),
            ("how often fields have a value", !options.facets.is_empty()),
            ("a set of documents", options.search.among.is_some()),
        ];
        match asked.iter().find(|(_, is_asked)| *is_asked) {
            Some((what, _)) => Err(Error::NotOfEngine { what, place: self.engine.place() }),
            None => Ok(()),
        }
    }
}

/// The `k` best documents of what was found both ways.
fn fused(both: Both, k: usize) -> Vec<Hit> {
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut numbered = |hits: &[Hit]| -> Vec<Scored<usize>> {
        let number = |hit: &Hit| {
            let next = numbers.len();
            (*numbers.entry(hit.document.id.clone()).or_insert(next), hit.score)
        };
        hits.iter().map(number).collect()
    };
    let (meaning, words) = (numbered(&both.by_meaning), numbered(&both.by_words));
    let known = Known { background: both.background, trust: both.trust };
    let fused = fuse_scores(&meaning, &both.words_of_near, &words, &both.similarities_of_found, known, k);
    let mut hits: Vec<Option<Hit>> = both.by_meaning.into_iter().chain(both.by_words).map(Some).collect();
    let hit = |(place, score): (usize, f32)| hits[place].take().map(|hit| Hit { score, ..hit });
    fused.into_iter().filter_map(hit).collect()
}

#[cfg(test)]
mod tests {
    use akin_engines::Source;
    use akin_engines::folder::FolderEngine;
    use akin_fixtures::files::Folder;
    use akin_index::{Document, Embeddings, ModelIdentity, SearchOptions};

    use super::*;

    #[test]
    fn an_engine_fuses_as_an_index_does() {
        let folder = Folder::new();
        let mut engine =
            FolderEngine::open_or_create(&folder.path("index"), &ModelIdentity::unknown(2)).unwrap();
        let texts = ["a red fox", "the blue bird", "a fox and a bird", "stones", "a red stone"];
        let documents: Vec<Document> = texts
            .iter()
            .enumerate()
            .map(|(id, text)| Document { id: id.to_string(), text: (*text).into(), ..Document::default() })
            .collect();
        let angles = [0.1_f32, 0.9, 0.4, 1.2, 0.3];
        let values = angles.iter().flat_map(|angle| [angle.cos(), angle.sin()]).collect();
        engine.upsert(&documents, None, &Embeddings::from_values(2, values)).unwrap();
        assert_eq!(engine.model().dimension, 2);
        let vector = [0.35_f32.cos(), 0.35_f32.sin()];
        let reader = akin_index::Reader::open(&folder.path("index")).unwrap();
        for text in ["fox bird", "red -fox", "\"a fox\"", "nothing of it", "st*"] {
            let query = WordQuery::parse(text).beside_meaning();
            let ask = Ask { k: DEPTH, ..Ask::default() };
            let ours = fused(engine.by_both(&query, &vector, &ask).unwrap(), 3);
            let snapshot = reader.snapshot();
            let options = SearchOptions { k: 3, ..SearchOptions::default() };
            let rows = Embeddings::from_values(2, vector.to_vec());
            let theirs = crate::both::nearest_by_both(&snapshot, &[query], &rows, &options).unwrap();
            assert_eq!(ours, snapshot.hits_all(theirs).unwrap().remove(0), "{text}");
        }
    }
}
