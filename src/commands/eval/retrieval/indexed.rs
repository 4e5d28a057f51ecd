//! Asks an index of the corpus, built as `akin index` builds one.

use std::collections::hash_map::{Entry, HashMap};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use akin_encoder::SentenceEncoder;
use akin_index::{Index, ModelIdentity, SearchOptions};
use akin_indexer::corpus::{CorpusOptions, CorpusReader, Format};
use akin_indexer::pipeline::index_surveyed;
use akin_query::batch::CHUNK;
use akin_query::{Mode, Searcher};
use akin_trainer::retrieval::RetrievalSet;
use anyhow::{Context, bail};
use serde_json::json;
use tempfile::TempDir;

use super::setting::Setting;
use crate::commands::cli::{RerankArguments, RetrievalArguments, passages_option};
use crate::commands::interrupt::{self, Clean};
use crate::commands::model;
use crate::commands::terminal::{Terminal, counted};

/// The indexes of a corpus, each built when it is first asked.
pub struct Indexes<'a> {
    arguments: &'a RetrievalArguments,
    set: &'a RetrievalSet,
    /// By model and passages.
    built: HashMap<(String, String), Built>,
}

/// An index with the model that it was built with.
struct Built {
    index: Index,
    encoder: Arc<SentenceEncoder>,
    /// Where it is, unless the user named a folder to keep it in.
    _folder: Option<TempDir>,
    /// An interrupted command removes it.
    _clean: Clean,
}

impl<'a> Indexes<'a> {
    /// None yet.
    pub fn new(arguments: &'a RetrievalArguments, set: &'a RetrievalSet) -> Self {
        Self { arguments, set, built: HashMap::new() }
    }

    /// The ids that each query of the set finds, `k` at most.
    pub fn ask(
        &mut self,
        setting: &Setting,
        mode: Mode,
        k: usize,
        terminal: &Terminal,
    ) -> anyhow::Result<Vec<Vec<String>>> {
        let count = self.built.len();
        let built = match self.built.entry((setting.model.clone(), passages_option(setting.passages))) {
            Entry::Occupied(built) => built.into_mut(),
            Entry::Vacant(place) => {
                // The second index of a comparison is not kept: it would not fit the first.
                let kept = self.arguments.index.as_deref().filter(|_| count == 0);
                place.insert(build(self.arguments, self.set, setting, kept, terminal)?)
            }
        };
        let searcher = Searcher::new(built.index.reader(), Arc::clone(&built.encoder))?.with_mode(mode)?;
        // Questions of a set are texts: a hyphen in them excludes nothing.
        let searcher = searcher.with_plain_texts();
        let rerank = &self.arguments.rerank;
        let rerank =
            RerankArguments { model: setting.rerank.clone(), depth: rerank.depth, weight: rerank.weight };
        let searcher = model::with_reranker(searcher, &rerank, &self.arguments.compute.options())?;
        let (snapshot, options) =
            (searcher.snapshot(), SearchOptions { k, ..SearchOptions::default() }.into());
        let texts: Vec<&str> = self.set.queries().iter().map(|(_, text)| text.as_str()).collect();
        let mut found = Vec::with_capacity(texts.len());
        for texts in texts.chunks(CHUNK) {
            interrupt::check()?;
            let (answers, _) = searcher.ask_all(&snapshot, texts, &options)?;
            found.extend(
                answers.into_iter().map(|answer| answer.hits.into_iter().map(|hit| hit.id).collect()),
            );
        }
        Ok(found)
    }
}

/// Builds an index in a folder, or brings the one there up to date.
fn build(
    arguments: &RetrievalArguments,
    set: &RetrievalSet,
    setting: &Setting,
    kept: Option<&Path>,
    terminal: &Terminal,
) -> anyhow::Result<Built> {
    let encoder = model::load(&setting.model, &arguments.encoder_options())?;
    let identity = ModelIdentity { passages: setting.passages, ..model::identity(&setting.model, &encoder)? };
    let clean = Clean::begin();
    let folder = tempfile::tempdir().context("cannot make a folder for the corpus")?;
    let path = kept.map_or_else(|| folder.path().join("index"), Path::to_owned);
    let mut index = Index::open_or_create(&path, &identity)?;
    if index.model().passages != setting.passages {
        bail!(
            "the index {} was begun with --passages {}: name another folder with --index",
            path.display(),
            passages_option(index.model().passages)
        );
    }
    let encoder = model::adopt(encoder, &index.model())?;
    let file = write_corpus(folder.path(), set)?;
    let options = CorpusOptions { format: Format::Jsonl, ..CorpusOptions::default() };
    let mut corpus = CorpusReader::open(&[file], &options)?;
    let survey = corpus.survey()?;
    let bar = terminal.documents_bar(survey.documents);
    let report = index_surveyed(&mut index, &encoder, &mut corpus, &survey, &mut |progress| {
        bar.set_position(progress.done as u64);
        interrupt::flow()
    });
    bar.finish_and_clear();
    let report = report?;
    if report.truncated > 0 {
        terminal.note(format_args!(
            "{} longer than the {} tokens that the model reads: the end is not searched",
            counted(report.truncated, "text"),
            encoder.max_tokens()
        ));
    }
    if index.len() > survey.documents {
        terminal.note(format_args!(
            "the index {} has {} that corpus.jsonl lacks: they may be found, too",
            path.display(),
            counted(index.len() - survey.documents, "document")
        ));
    }
    let folder = kept.is_none().then_some(folder);
    Ok(Built { index, encoder: Arc::new(encoder), _folder: folder, _clean: clean })
}

/// Writes the documents of a set as JSON lines that the indexer reads.
fn write_corpus(folder: &Path, set: &RetrievalSet) -> anyhow::Result<PathBuf> {
    let path = folder.join("corpus.jsonl");
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(std::fs::File::create(&path)?);
        for (id, text) in set.documents() {
            writeln!(file, "{}", json!({ "id": id, "text": text }))?;
        }
        file.flush()
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
