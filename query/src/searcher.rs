//! A reader of an index together with the encoder it was built with.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use akin_encoder::{EncoderOptions, Encoding, Role, SentenceEncoder};
use akin_index::{Filter, Neighbor, Reader, ReaderOptions, SearchOptions, Selection, Snapshot, WordQuery};

use crate::examples::Examples;
use crate::facets::Facets;
use crate::rerank::{RerankModel, Reranker};
use crate::{Answer, AskOptions, Error, Mode, Result, diverse, facets, model, passages, remembered};

/// Answers queries from one index.
pub struct Searcher {
    reader: Reader,
    /// None where no text is encoded.
    encoder: Option<Arc<SentenceEncoder>>,
    mode: Mode,
    /// Whether quotes, hyphens and stars in a query mean nothing.
    plain: bool,
    reranker: Option<Reranker>,
    /// None where the encoder is asked directly.
    encode: Option<QueryEncoder>,
}

/// Encodes the texts of queries in place of the encoder's own call: a program that answers many clients encodes the texts
/// of all of them together.
pub type QueryEncoder = Arc<dyn Fn(&[&str]) -> Result<Encoding> + Send + Sync>;

impl Searcher {
    /// Puts a reader of an index and its encoder together.
    ///
    /// # Errors
    /// [`akin_index::Error::OtherModel`] when the index was built with another model, [`Error::OtherPrompt`] or
    /// [`Error::OtherSimilarity`] when it was built with other prompts or for another similarity than the encoder has
    /// ([`remembered::adopt`] gives it the prompts of the index).
    pub fn new(reader: Reader, encoder: impl Into<Arc<SentenceEncoder>>) -> Result<Self> {
        let encoder = encoder.into();
        let snapshot = reader.snapshot();
        snapshot.require_model(encoder.fingerprint())?;
        remembered::require(&encoder, snapshot.model())?;
        Ok(Self {
            reader,
            encoder: Some(encoder),
            mode: Mode::Semantic,
            plain: false,
            reranker: None,
            encode: None,
        })
    }

    /// Searches an index without a model: for words, or for what is like example documents.
    pub fn without_model(reader: Reader, mode: Mode) -> Self {
        Self { reader, encoder: None, mode, plain: false, reranker: None, encode: None }
    }

    /// Finds documents in another way from now on.
    ///
    /// # Errors
    /// [`Error::NoEncoder`] if the mode needs a model and there is none.
    pub fn with_mode(self, mode: Mode) -> Result<Self> {
        match mode.needs_model() && self.encoder.is_none() {
            true => Err(Error::NoEncoder),
            false => Ok(Self { mode, ..self }),
        }
    }

    /// Takes queries as plain texts from now on: quotes, hyphens and stars mean nothing in any mode.
    #[must_use]
    pub fn with_plain_texts(self) -> Self {
        Self { plain: true, ..self }
    }

    /// Has a cross-encoder or another sentence encoder rank the `depth` best documents of each query again, by the passage
    /// that was found, from now on. Scores are those of that model then.
    #[must_use]
    pub fn with_reranker(self, model: impl Into<RerankModel>, depth: usize) -> Self {
        Self { reranker: Some(Reranker::new(model.into(), depth)), ..self }
    }

    /// Has the order go by both scores from now on, if a model ranks again: that of the search plus `weight` times that
    /// of the model, each standardised among the documents that are ranked. Scores are these sums then.
    #[must_use]
    pub fn with_rerank_weight(self, weight: f32) -> Self {
        Self { reranker: self.reranker.map(|reranker| reranker.weighing(weight)), ..self }
    }

    /// Has queries encoded by another call than that of the encoder, which must give the same embeddings, from now on.
    #[must_use]
    pub fn with_query_encoder(self, encode: QueryEncoder) -> Self {
        Self { encode: Some(encode), ..self }
    }

    /// Whether a model ranks the documents again.
    pub(crate) fn reranks(&self) -> bool {
        self.reranker.is_some()
    }

    /// How many documents a model ranks again, where so many are wanted; as many as those if there is none.
    pub(crate) fn ranked(&self, wanted: usize) -> usize {
        self.reranker.as_ref().map_or(wanted, |reranker| reranker.depth(wanted))
    }

    /// How documents are found.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Opens the index at `path` to read it, and loads the model named, else the one it was built with. With a
    /// name both happen at once.
    ///
    /// # Errors
    /// What the index or the model report, [`Error::ModelMoved`] if the model of the index is not where it was,
    /// [`Error::OtherPrompt`] if `options` have another prompt than the index remembers.
    pub fn open(
        path: &Path,
        model: Option<&str>,
        options: &EncoderOptions,
        reading: ReaderOptions,
    ) -> Result<Self> {
        let (reader, encoder) = match model {
            Some(name) => thread::scope(|scope| {
                let encoder = scope.spawn(|| model::load(name, options));
                let reader = open_reader(path, reading);
                let encoder = encoder.join().expect("loading a model does not panic");
                Ok::<_, Error>((reader?, encoder?))
            })?,
            None => {
                let reader = open_reader(path, reading)?;
                reader.snapshot().require_known_model()?;
                let encoder = model::load(&reader.model().location, options);
                (reader, encoder.map_err(model::moved)?)
            }
        };
        reader.snapshot().require_model(encoder.fingerprint())?;
        let encoder = remembered::adopt(encoder, &reader.model())?;
        Self::new(reader, encoder)
    }

    /// The reader of the index.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The snapshot that is searched now. Keep it to ask several queries of one commit.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.reader.snapshot()
    }

    /// The encoder of the queries; none where only words are looked for.
    pub fn encoder(&self) -> Option<&SentenceEncoder> {
        self.encoder.as_deref()
    }

    /// The documents of a snapshot that fit a filter, to be searched among by any number of queries.
    ///
    /// # Errors
    /// What the index reports.
    pub fn select(&self, snapshot: &Snapshot, filter: &Filter) -> Result<Selection> {
        self.select_with(snapshot, filter, &|_, _| ControlFlow::Continue(()))
    }

    /// The same. `progress` hears how many documents are looked at and how many there are, and may stop it.
    ///
    /// # Errors
    /// What the index reports, [`Cancelled`](akin_index::Error::Cancelled) if `progress` stopped it.
    pub fn select_with(
        &self,
        snapshot: &Snapshot,
        filter: &Filter,
        progress: &(dyn Fn(usize, usize) -> ControlFlow<()> + Sync),
    ) -> Result<Selection> {
        let started = Instant::now();
        let selection = snapshot.select_with(filter, progress)?;
        tracing::info!(
            "selected {} of {} documents in {:.1?}",
            selection.len(),
            snapshot.len(),
            started.elapsed()
        );
        Ok(selection)
    }

    /// The documents of the newest commit that are nearest in meaning to `text`. A blank text finds nothing, unless
    /// `options` name examples.
    ///
    /// # Errors
    /// What the encoder or the index reports; [`Error::NoExample`] for an example that is not there,
    /// [`Error::ExamplesOfWords`] for examples where words are looked for alone.
    pub fn ask(&self, text: &str, options: &AskOptions) -> Result<Answer> {
        self.ask_of(&self.snapshot(), text, options)
    }

    /// The same of a pinned snapshot.
    ///
    /// # Errors
    /// As [`Searcher::ask`].
    pub fn ask_of(&self, snapshot: &Snapshot, text: &str, options: &AskOptions) -> Result<Answer> {
        let (mut answers, truncated) = self.ask_all(snapshot, &[text], options)?;
        if truncated > 0
            && let Some(encoder) = self.encoder()
        {
            tracing::warn!(
                "the query is longer than the {} tokens the model reads: its end was left out",
                encoder.max_tokens()
            );
        }
        Ok(answers.pop().expect("one text has one answer"))
    }

    /// The answers of a snapshot to `texts`, in their order, and how many of the texts were longer than the model
    /// reads. The texts are encoded together and searched in parallel.
    ///
    /// # Errors
    /// As [`Searcher::ask`].
    pub fn ask_all(
        &self,
        snapshot: &Snapshot,
        texts: &[&str],
        options: &AskOptions,
    ) -> Result<(Vec<Answer>, usize)> {
        let examples = Examples::find(snapshot, options)?;
        let is_asked = |text: &str| examples.suffice() || !is_blank(text);
        let asked: Vec<&str> = texts.iter().copied().filter(|text| is_asked(text)).collect();
        let questions = self.read(snapshot, &asked, &examples)?;
        let truncated = questions.truncated;
        let retrieve = |options: &SearchOptions| -> Result<Vec<Vec<Neighbor>>> {
            let mut lists = self.retrieve(snapshot, &questions, options)?;
            lists.iter_mut().for_each(|list| list.retain(|near| !examples.contains(near.doc)));
            Ok(lists)
        };
        let facets: Vec<Facets> = match options.counting() {
            None => vec![Facets::new(); asked.len()],
            Some(counting) => {
                let lists = retrieve(&counting)?.into_iter();
                lists.map(|list| facets::count(snapshot, &list, options)).collect::<Result<_>>()?
            }
        };
        let mut lists = retrieve(&options.retrieving(self.ranked(options.wanted())))?;
        if let Some(reranker) = &self.reranker {
            reranker.rerank(snapshot, &self.plain_texts(&asked), &mut lists, options)?;
        }
        let is_good = |near: &Neighbor| options.min_score.is_none_or(|least| near.score >= least);
        lists.iter_mut().for_each(|list| list.retain(is_good));
        let pages = lists.into_iter().map(|list| page(snapshot, list, options));
        let pages: Vec<Vec<Neighbor>> = pages.collect::<Result<_>>()?;
        let shown = passages::shown(snapshot, &questions, &pages, options.per_document)?;
        let hits = snapshot.hits_all(pages)?;
        let mut found = hits.into_iter().zip(shown).zip(facets);
        let answer = |text: &&str| match is_asked(text) {
            true => {
                let ((hits, shown), facets) = found.next().expect("every text that was asked was searched");
                let answer = Answer::new(text, hits).after(options.offset);
                answer.with_passages(&shown).with_facets(facets)
            }
            false => Answer::new(text, Vec::new()),
        };
        Ok((texts.iter().map(answer).collect(), truncated))
    }

    /// What queries look for word by word.
    pub(crate) fn word_queries(&self, texts: &[&str]) -> Vec<WordQuery> {
        let read = if self.plain { WordQuery::plain } else { WordQuery::parse };
        texts.iter().map(|text| read(text)).collect()
    }

    /// Queries without the marks that mean something where words are looked for.
    pub(crate) fn plain_texts(&self, texts: &[&str]) -> Vec<String> {
        match self.mode.needs_words() {
            true => self.word_queries(texts).iter().map(WordQuery::text).collect(),
            false => texts.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    /// The embeddings of queries by the model of the snapshot.
    pub(crate) fn encode(&self, snapshot: &Snapshot, texts: &[&str]) -> Result<Encoding> {
        let encoder = self.encoder().ok_or(Error::NoEncoder)?;
        // A reader that follows commits may have followed another index into the same folder.
        snapshot.require_model(encoder.fingerprint())?;
        remembered::require(encoder, snapshot.model())?;
        let started = Instant::now();
        let encoding = match &self.encode {
            Some(encode) => encode(texts)?,
            None => encoder.encode_as(Role::Query, texts)?,
        };
        tracing::info!("encoded {} in {:.1?}", count(texts.len()), started.elapsed());
        Ok(encoding)
    }
}

/// The hits of a list that are wanted, in the order in which they are wanted.
fn page(snapshot: &Snapshot, list: Vec<Neighbor>, options: &AskOptions) -> Result<Vec<Neighbor>> {
    let list = if options.diverse { diverse::order(snapshot, &list, options.wanted())? } else { list };
    Ok(list.into_iter().skip(options.offset).take(options.search.k).collect())
}

fn open_reader(path: &Path, options: ReaderOptions) -> Result<Reader> {
    let started = Instant::now();
    let reader = Reader::open_with(path, options)?;
    tracing::info!("opened the index {} in {:.1?}", path.display(), started.elapsed());
    Ok(reader)
}

pub(crate) fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

pub(crate) fn count(queries: usize) -> String {
    if queries == 1 { "1 query".into() } else { format!("{queries} queries") }
}
