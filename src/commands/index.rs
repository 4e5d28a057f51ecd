//! `akin index`: adds documents to an index.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use akin_encoder::DEFAULT_MODEL;
use akin_encoder::SentenceEncoder;
use akin_index::{Error, Index, ModelIdentity, PassageSize};
use akin_indexer::IndexingReport;
use akin_indexer::corpus::{CorpusOptions, CorpusReader, Skipped, Survey};
use akin_indexer::documents::NOT_UTF_8;
use akin_indexer::passages::Cutter;
use akin_indexer::pipeline::{Phase, Progress, index_surveyed};
use akin_query::tune::{MOST, Tuning, tune_with};
use anyhow::{Context, bail};
use indicatif::ProgressBar;
use serde_json::json;

use crate::commands::cli::{IndexArguments, passages_option};
use crate::commands::engine;
use crate::commands::interrupt::{self, Clean};
use crate::commands::model;
use crate::commands::remedy;
use crate::commands::terminal::{Terminal, counted, duration, grouped};
use crate::commands::watch::Watch;

/// So many files that could not be read are named on the terminal.
const LISTED_SKIPPED: usize = 10;

/// Reads the corpus through, loads the model, and only then touches the index: what is wrong with
/// either must leave nothing behind.
pub fn run(arguments: &IndexArguments, terminal: &Terminal) -> anyhow::Result<()> {
    if let Some(address) = engine::address(&arguments.index)? {
        return engine::index(arguments, address, terminal);
    }
    if !arguments.engine_option.is_empty() {
        bail!(
            "--engine-option is for an engine, and {} is a folder: leave it out",
            arguments.index.display()
        );
    }
    // Changes during the first run count too.
    let watch = arguments.watch.then(|| Watch::begin(arguments)).transpose()?;
    let corpus = Corpus::read_through(arguments, terminal)?;
    let (mut index, encoder) = open(arguments)?;
    let clean = Clean::begin();
    let mut indexed = corpus.index(&mut index, &encoder, terminal);
    if let Some(watch) = &watch {
        indexed = watch.insist(indexed, arguments, &mut index, &encoder, terminal);
    }
    let (report, skipped) = interrupt::with_kept(indexed, || kept(index.len()))?;
    tell(&report, &encoder, index.model().passages, terminal);
    tell_skipped(&skipped, terminal);
    let tuning = match arguments.recall {
        Some(recall) => {
            let tuned = tune_to(&mut index, recall, terminal);
            interrupt::with_kept(tuned, || kept(index.len()))?
        }
        None => None,
    };
    drop(clean);
    if arguments.json {
        print_json(&to_json(&report, &skipped, index.len(), tuning.as_ref()))?;
    }
    match watch {
        Some(watch) => watch.follow(arguments, &mut index, &encoder, terminal),
        None => Ok(()),
    }
}

/// What to say of a run that was interrupted.
fn kept(documents: usize) -> String {
    let are = if documents == 1 { "is" } else { "are" };
    format!("{} {are} kept; the same command goes on", counted(documents, "document"))
}

/// A corpus that has been read through.
pub struct Corpus {
    reader: CorpusReader,
    survey: Survey,
}

impl Corpus {
    pub fn read_through(arguments: &IndexArguments, terminal: &Terminal) -> anyhow::Result<Self> {
        let options = CorpusOptions { sync: arguments.sync, ..arguments.corpus.options() };
        let mut reader = CorpusReader::open(&arguments.corpus.paths, &options)?;
        let bar = terminal.bytes_bar();
        let survey = reader.survey_with(&mut |surveyed| {
            bar.set_length(surveyed.of.unwrap_or(surveyed.bytes));
            bar.set_position(surveyed.bytes);
            interrupt::flow()
        });
        bar.finish_and_clear();
        Ok(Self { reader, survey: survey? })
    }

    /// Brings the index up to date. Gives what was done, and the files that were skipped.
    pub fn index(
        mut self,
        index: &mut Index,
        encoder: &SentenceEncoder,
        terminal: &Terminal,
    ) -> anyhow::Result<(IndexingReport, Vec<Skipped>)> {
        let bar = terminal.documents_bar(self.survey.documents);
        let mut reporter = Reporter { bar: &bar, terminal, started: Instant::now(), committed: 0 };
        let report = index_surveyed(index, encoder, &mut self.reader, &self.survey, &mut |progress| {
            reporter.hear(progress);
            interrupt::flow()
        });
        bar.finish_and_clear();
        Ok((report?, self.reader.skipped()))
    }
}

/// Prints a line to stdout at once: who reads it may wait for it.
pub fn print_json(line: &serde_json::Value) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush()).context("cannot write to stdout")
}

/// Has the index search with as many candidates as `recall` takes.
fn tune_to(index: &mut Index, recall: f64, terminal: &Terminal) -> anyhow::Result<Option<Tuning>> {
    let snapshot = index.reader().snapshot();
    let tuned = terminal.with_bar("recall", |progress| tune_with(&snapshot, recall, progress));
    let Some(tuning) = tuned? else {
        terminal.note(format_args!("the index is searched exactly: there is nothing to tune"));
        return Ok(None);
    };
    index.set_default_ef(tuning.ef)?;
    terminal.note(found_recall(&tuning, recall));
    Ok(Some(tuning))
}

/// What was found: the mean recall and that of the worst region, and whether they are what was asked for.
fn found_recall(tuning: &Tuning, asked: f64) -> String {
    let Tuning { ef, recall, worst, regions, reached } = *tuning;
    let found = format!(
        "recall {} (worst of {} {}) with ef {ef}",
        cut(recall),
        counted(regions, "region"),
        cut(worst)
    );
    match reached {
        true => found,
        false => format!(
            "{found}: the recall {asked} is not reached, and no ef up to {MOST} takes the worst region more than \
             0.001 further"
        ),
    }
}

/// A recall with four digits, never more than it is: 0.98999 is not 0.99.
fn cut(recall: f64) -> String {
    format!("{:.4}", (recall * 1e4 + 1e-6).floor() / 1e4)
}

/// Tells of progress: to a bar, and to whoever wants every step.
struct Reporter<'a> {
    bar: &'a ProgressBar,
    terminal: &'a Terminal,
    started: Instant,
    committed: usize,
}

impl Reporter<'_> {
    fn hear(&mut self, progress: Progress) {
        self.bar.set_position(progress.done as u64);
        match progress.phase {
            Phase::Surveying => {}
            Phase::Encoding => {
                let seconds = self.started.elapsed().as_secs_f64();
                let (sentences, tokens) =
                    (progress.committed as f64 / seconds, progress.tokens as f64 / seconds);
                self.bar.set_message(format!("{sentences:.0} sentences/s, {tokens:.0} tokens/s"));
            }
            Phase::Sealing { done, total } | Phase::Merging { done, total } => {
                self.bar.set_message(format!(
                    "graph of {}: {} %",
                    counted(total, "vector"),
                    done * 100 / total.max(1)
                ));
            }
        }
        if progress.committed > self.committed {
            self.committed = progress.committed;
            self.bar.suspend(|| self.terminal.step(format_args!("committed {} documents", self.committed)));
        }
    }
}

/// The index, and the model for it: the one named, else the one the index has, else the default.
fn open(arguments: &IndexArguments) -> anyhow::Result<(Index, SentenceEncoder)> {
    let path = &arguments.index;
    let options = arguments.prompts.with(arguments.compute.options());
    if arguments.model.is_none() && !is_vacant(path) {
        match Index::open(path) {
            // A run that was killed before the index was complete: begin it again.
            Err(Error::NotAnIndex { .. }) => {}
            opened => {
                let index = opened?;
                index.snapshot().require_known_model()?;
                let encoder = model::load(&index.model().location, &options).map_err(model::moved)?;
                index.snapshot().require_model(encoder.fingerprint())?;
                let encoder = model::adopt(encoder, &index.model())?;
                require_passages(&index, arguments)?;
                return Ok((index, encoder));
            }
        }
    }
    let name = arguments.model.as_deref().unwrap_or(DEFAULT_MODEL);
    let encoder = model::cut_as_index(model::load(name, &options)?, path)?;
    let passages = arguments.passages.unwrap_or(PassageSize::Window);
    Cutter::new(&encoder, passages)?;
    let identity = ModelIdentity { passages, ..model::identity(name, &encoder)? };
    let index = Index::open_or_create(path, &identity)?;
    let encoder = model::adopt(encoder, &index.model())?;
    require_passages(&index, arguments)?;
    Ok((index, encoder))
}

/// Refuses to cut some documents of an index in another way than the others.
fn require_passages(index: &Index, arguments: &IndexArguments) -> anyhow::Result<()> {
    let of_index = index.model().passages;
    match arguments.passages {
        Some(asked) if asked != of_index => bail!(
            "the index {} was begun with --passages {}, and its documents would be cut in two ways: leave \
             --passages out, or build another index",
            arguments.index.display(),
            passages_option(of_index)
        ),
        _ => Ok(()),
    }
}

/// Whether there is nothing at `path`, or an empty folder.
fn is_vacant(path: &Path) -> bool {
    !path.exists() || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn tell(report: &IndexingReport, encoder: &SentenceEncoder, passages: PassageSize, terminal: &Terminal) {
    let encoded = report.encoded;
    // A rate of a moment says little.
    let rate = if encoded == 0 || report.seconds < 1.0 {
        String::new()
    } else {
        format!(" ({} encoded a second)", grouped((encoded as f64 / report.seconds) as usize))
    };
    let removed = match report.removed {
        0 => String::new(),
        removed => format!(", {} removed that are no longer there", grouped(removed)),
    };
    terminal.note(format_args!(
        "{} in {}: {} added, {} replaced, {} unchanged{removed}{rate}",
        counted(report.read, "document"),
        duration(report.seconds),
        grouped(report.added),
        grouped(report.replaced),
        grouped(report.unchanged),
    ));
    if report.duplicates > 0 {
        terminal.note(format_args!(
            "{} in the corpus: the last of each was kept",
            counted(report.duplicates, "duplicate id")
        ));
    }
    let documents = report.added + report.replaced;
    if report.passages > documents {
        terminal.note(format_args!(
            "long texts were cut: {} of {}",
            counted(report.passages, "passage"),
            counted(documents, "document")
        ));
    }
    if report.truncated > 0 {
        let remedy = match passages {
            PassageSize::Window => "texts are not cut into pieces for so few",
            _ => "an index that is begun with --passages auto has long texts cut",
        };
        terminal.note(format_args!(
            "{} longer than the {} tokens that the model reads: the end is not searched; {remedy}",
            counted(report.truncated, "text"),
            encoder.max_tokens()
        ));
    }
}

/// Names the first files that could not be read.
pub fn tell_skipped(skipped: &[Skipped], terminal: &Terminal) {
    if skipped.is_empty() {
        return;
    }
    let all = if skipped.len() > LISTED_SKIPPED { " (--json lists all)" } else { "" };
    terminal.note(format_args!("{} skipped{all}:", counted(skipped.len(), "file")));
    for Skipped { file, reason } in &skipped[..skipped.len().min(LISTED_SKIPPED)] {
        terminal.note(format_args!("  {file}: {reason}"));
    }
    if skipped.iter().any(|skipped| skipped.reason.starts_with(NOT_UTF_8)) {
        terminal.note(remedy::OTHER_ENCODING);
    }
}

pub fn to_json(
    report: &IndexingReport,
    skipped: &[Skipped],
    documents: usize,
    tuning: Option<&Tuning>,
) -> serde_json::Value {
    let skipped: Vec<_> =
        skipped.iter().map(|Skipped { file, reason }| json!({"file": file, "reason": reason})).collect();
    let mut line = json!({
        "read": report.read,
        "added": report.added,
        "replaced": report.replaced,
        "unchanged": report.unchanged,
        "duplicates": report.duplicates,
        "removed": report.removed,
        "skipped": skipped,
        "passages": report.passages,
        "encoded": report.encoded,
        "truncated": report.truncated,
        "tokens": report.tokens,
        "seconds": report.seconds,
        "sentences_per_second": (report.added + report.replaced) as f64 / report.seconds,
        "tokens_per_second": report.tokens as f64 / report.seconds,
        "documents": documents,
    });
    if let Some(tuning) = tuning {
        line["ef"] = tuning.ef.into();
        line["recall"] = tuning.recall.into();
        line["recall_worst"] = tuning.worst.into();
        line["regions"] = tuning.regions.into();
        line["recall_reached"] = tuning.reached.into();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recall_that_is_not_reached_is_said_with_mean_and_worst_region() {
        let tuning = Tuning { ef: 128, recall: 0.98999, worst: 0.95, regions: 48, reached: false };
        assert_eq!(
            found_recall(&tuning, 0.99),
            "recall 0.9899 (worst of 48 regions 0.9500) with ef 128: the recall 0.99 is not reached, and no ef up to \
             1024 takes the worst region more than 0.001 further"
        );
        let reached = Tuning { reached: true, regions: 1, ..tuning };
        assert_eq!(found_recall(&reached, 0.95), "recall 0.9899 (worst of 1 region 0.9500) with ef 128");
    }
}
