//! `akin eval retrieval`: measures how well relevant documents are ranked, by a model alone or by an index with all that a
//! user of one has: passages, words, a graph.

mod indexed;
mod report;
mod setting;

use akin_trainer::retrieval::{RetrievalResult, RetrievalSet};
use akin_trainer::significance;
use anyhow::bail;

use self::indexed::Indexes;
use self::report::{Against, Row};
use self::setting::Setting;
use super::Evaluated;
use crate::commands::cli::RetrievalArguments;
use crate::commands::terminal::{Terminal, counted};

/// Evaluates each setting that was asked for, and prints a row for each.
pub fn run(arguments: &RetrievalArguments, terminal: &Terminal) -> anyhow::Result<()> {
    if arguments.rerank.model.is_some() && arguments.mode.is_empty() {
        bail!("--rerank ranks what an index found: say by --mode how it is asked");
    }
    let settings = Setting::asked(arguments);
    let against = arguments.against.as_deref().map(|text| settings[0].changed(text)).transpose()?;
    if against.as_ref().is_some_and(|against| settings == [against.clone()]) {
        bail!("--against names the same setting: say what is different there, as in mode=keyword");
    }
    let set = RetrievalSet::read(&arguments.folder, &arguments.split)?;
    note_missing(&set, terminal);
    let mut evaluation = Evaluation {
        arguments,
        set: &set,
        ks: arguments.k.iter().map(|k| k.get()).collect(),
        indexes: Indexes::new(arguments, &set),
        terminal,
    };
    let rival = match against {
        Some(setting) => Some((evaluation.evaluate(&setting)?, setting)),
        None => None,
    };
    let mut rows = Vec::new();
    for setting in settings {
        let compared = rival.as_ref().filter(|(_, other)| *other != setting);
        let result = match &rival {
            Some((result, other)) if *other == setting => result.clone(),
            _ => evaluation.evaluate(&setting)?,
        };
        let against = compared.map(|(other, of)| compare(&result, other, of));
        rows.push(Row { setting, result, against });
    }
    match arguments.json {
        true => report::print_json(&rows, set.missing().len()),
        false => report::print(&rows, terminal),
    }
}

/// Evaluates one setting after another.
struct Evaluation<'a> {
    arguments: &'a RetrievalArguments,
    set: &'a RetrievalSet,
    ks: Vec<usize>,
    indexes: Indexes<'a>,
    terminal: &'a Terminal,
}

impl Evaluation<'_> {
    fn evaluate(&mut self, setting: &Setting) -> anyhow::Result<RetrievalResult> {
        let Some(mode) = setting.mode else { return self.evaluate_model(setting) };
        let found = self.indexes.ask(setting, mode, RetrievalSet::depth(&self.ks), self.terminal)?;
        Ok(self.set.judge(&found, &self.ks))
    }

    /// Compares every query with every document by the vectors of a model.
    fn evaluate_model(&self, setting: &Setting) -> anyhow::Result<RetrievalResult> {
        let mut named = self.arguments.model.clone();
        named.model.model.clone_from(&setting.model);
        let model = Evaluated::load(&named, &self.arguments.encoder_options())?;
        let result = model
            .watch(self.terminal, |embedder, observer| self.set.evaluate(embedder, &self.ks, observer))?;
        let name = self.arguments.folder.display().to_string();
        model.note_truncated(self.terminal, &name, result.truncated);
        Ok(result)
    }
}

/// Compares the figures of a setting with those of another.
fn compare(result: &RetrievalResult, other: &RetrievalResult, setting: &Setting) -> Against {
    let figures = result
        .figures
        .iter()
        .zip(&other.figures)
        .map(|(figure, other)| (other.mean(), significance::compare(&figure.values, &other.values)));
    Against { setting: setting.to_string(), figures: figures.collect() }
}

/// Says so if documents were judged that the corpus lacks.
fn note_missing(set: &RetrievalSet, terminal: &Terminal) {
    let Some(first) = set.missing().first() else { return };
    terminal.note(format_args!(
        "{} of documents that corpus.jsonl lacks, the first of {:?} for the query {:?}: they count as not found",
        counted(set.missing().len(), "judgement"),
        first.document,
        first.query
    ));
}
