//! A reader of an index together with the encoder it was built with.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use akin_encoder::{EncoderOptions, Encoding, Role, SentenceEncoder};
use akin_index::{
    Embeddings, Filter, Hit, Neighbor, Reader, ReaderOptions, SearchOptions, Selection, Snapshot, WordQuery,
};

use crate::fuse::{DEPTH, fuse};
use crate::{Answer, Error, Mode, Result, model, remembered};

/// Answers queries from one index.
pub struct Searcher {
    reader: Reader,
    /// None where only words are looked for.
    encoder: Option<Arc<SentenceEncoder>>,
    mode: Mode,
}

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
        Ok(Self { reader, encoder: Some(encoder), mode: Mode::Semantic })
    }

    /// Looks for words in an index, without a model.
    pub fn of_words(reader: Reader) -> Self {
        Self { reader, encoder: None, mode: Mode::Keyword }
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

    /// The documents of the newest commit that are nearest in meaning to `text`. A blank text finds nothing.
    ///
    /// # Errors
    /// What the encoder or the index reports.
    pub fn ask(&self, text: &str, options: &SearchOptions) -> Result<Answer> {
        self.ask_of(&self.snapshot(), text, options)
    }

    /// The same of a pinned snapshot.
    ///
    /// # Errors
    /// As [`Searcher::ask`].
    pub fn ask_of(&self, snapshot: &Snapshot, text: &str, options: &SearchOptions) -> Result<Answer> {
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
        options: &SearchOptions,
    ) -> Result<(Vec<Answer>, usize)> {
        let asked: Vec<&str> = texts.iter().copied().filter(|text| !is_blank(text)).collect();
        let (found, truncated) = match self.mode {
            Mode::Semantic => self.by_meaning(snapshot, &asked, options)?,
            Mode::Keyword => (self.by_words(snapshot, &asked, options)?, 0),
            Mode::Hybrid => self.by_both(snapshot, &asked, options)?,
        };
        let mut found = found.into_iter();
        let answers = texts
            .iter()
            .map(|text| {
                let hits = if is_blank(text) { Some(Vec::new()) } else { found.next() };
                Answer::new(text, hits.expect("every text that was asked was searched"))
            })
            .collect();
        Ok((answers, truncated))
    }

    fn by_meaning(
        &self,
        snapshot: &Snapshot,
        texts: &[&str],
        options: &SearchOptions,
    ) -> Result<(Vec<Vec<Hit>>, usize)> {
        let encoding = self.encode(snapshot, texts)?;
        let started = Instant::now();
        let found = snapshot.search_all(&encoding.embeddings, options)?;
        tracing::info!("searched {} in {:.1?}", count(texts.len()), started.elapsed());
        Ok((found, encoding.truncated))
    }

    fn by_words(
        &self,
        snapshot: &Snapshot,
        texts: &[&str],
        options: &SearchOptions,
    ) -> Result<Vec<Vec<Hit>>> {
        let started = Instant::now();
        let queries: Vec<WordQuery> = texts.iter().map(|text| WordQuery::parse(text)).collect();
        let found = snapshot.nearest_words_all(&queries, options)?;
        let hits = found.into_iter().map(|near| Ok(snapshot.hits(near)?)).collect();
        tracing::info!("looked up the words of {} in {:.1?}", count(texts.len()), started.elapsed());
        hits
    }

    fn by_both(
        &self,
        snapshot: &Snapshot,
        texts: &[&str],
        options: &SearchOptions,
    ) -> Result<(Vec<Vec<Hit>>, usize)> {
        let queries: Vec<WordQuery> = texts.iter().map(|text| WordQuery::parse(text)).collect();
        let plain: Vec<String> = queries.iter().map(WordQuery::text).collect();
        let encoding = self.encode(snapshot, &plain.iter().map(String::as_str).collect::<Vec<_>>())?;
        let started = Instant::now();
        let depth = options.k.max(DEPTH);
        let deep = SearchOptions { k: depth, ..options.clone() };
        let by_words = snapshot.nearest_words_all(&queries, &deep)?;
        let by_meaning = nearest_that_fit(snapshot, &queries, &encoding.embeddings, &deep)?;
        let lists = encoding.embeddings.iter().zip(by_meaning.iter().zip(&by_words));
        let fused = lists.map(|(embedding, (meaning, words))| -> Result<_> {
            let background = snapshot.background(embedding)?.unwrap_or_default();
            Ok(snapshot.hits(fuse(meaning, words, background, depth, options.k))?)
        });
        let hits = fused.collect::<Result<_>>()?;
        tracing::info!("searched {} in {:.1?}", count(texts.len()), started.elapsed());
        Ok((hits, encoding.truncated))
    }

    fn encode(&self, snapshot: &Snapshot, texts: &[&str]) -> Result<Encoding> {
        let encoder = self.encoder().ok_or(Error::NoEncoder)?;
        // A reader that follows commits may have followed another index into the same folder.
        snapshot.require_model(encoder.fingerprint())?;
        remembered::require(encoder, snapshot.model())?;
        let started = Instant::now();
        let encoding = encoder.encode_as(Role::Query, texts)?;
        tracing::info!("encoded {} in {:.1?}", count(texts.len()), started.elapsed());
        Ok(encoding)
    }
}

/// The nearest documents of each query that have its phrases and not what it excludes.
fn nearest_that_fit(
    snapshot: &Snapshot,
    queries: &[WordQuery],
    embeddings: &Embeddings,
    options: &SearchOptions,
) -> Result<Vec<Vec<Neighbor>>> {
    if !queries.iter().any(|query| query.is_selective() || query.pointless().is_some()) {
        return Ok(snapshot.nearest_all(embeddings, options)?);
    }
    let near =
        |(row, query): (usize, &WordQuery)| match snapshot.select_words(query, options.among.as_ref())? {
            _ if query.pointless().is_some() => Ok(Vec::new()),
            None => Ok(snapshot.nearest(embeddings.row(row), options)?),
            among => Ok(snapshot.nearest(embeddings.row(row), &SearchOptions { among, ..options.clone() })?),
        };
    queries.iter().enumerate().map(near).collect()
}

fn open_reader(path: &Path, options: ReaderOptions) -> Result<Reader> {
    let started = Instant::now();
    let reader = Reader::open_with(path, options)?;
    tracing::info!("opened the index {} in {:.1?}", path.display(), started.elapsed());
    Ok(reader)
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn count(queries: usize) -> String {
    if queries == 1 { "1 query".into() } else { format!("{queries} queries") }
}
