//! `akin index --watch`: keeps an index up to date while the files of its corpus change.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use akin_encoder::SentenceEncoder;
use akin_index::Index;
use akin_indexer::IndexingReport;
use akin_indexer::corpus::Skipped;
use anyhow::{Context, bail};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::commands::cli::IndexArguments;
use crate::commands::index::{Corpus, print_json, tell_skipped, to_json};
use crate::commands::interrupt::{self, Clean};
use crate::commands::terminal::{Terminal, duration, grouped};

/// The index is brought up to date once nothing has changed for so long: a file is often written in several steps.
const QUIET: Duration = Duration::from_millis(300);

/// It does not wait longer than this for that.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the disk refused is tried again after so long, and after twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// It is tried again at least this often.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What happens while one waits.
enum Happened {
    /// Files of the corpus changed, or may have.
    Changed,
    /// The command is to end.
    Stopped,
}

/// What a run did, and the files that it skipped.
type Indexed = (IndexingReport, Vec<Skipped>);

/// A corpus whose changes are heard of.
pub struct Watch {
    happened: Receiver<Happened>,
    /// The first signal ends the command when it next waits.
    _clean: Clean,
    /// Ends watching when it is dropped.
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Begins to listen for changes. A signal ends the command once it is between two runs.
    pub fn begin(arguments: &IndexArguments) -> anyhow::Result<Self> {
        let (sender, happened) = channel();
        let of_signal = sender.clone();
        let clean = Clean::hearing(move || {
            // If nobody listens any more, the command is ending already.
            let _ = of_signal.send(Happened::Stopped);
        });
        let watcher = watcher(arguments, sender)?;
        Ok(Self { happened, _watcher: watcher, _clean: clean })
    }

    /// Brings the index up to date after each change, until the command is to end.
    pub fn follow(
        self,
        arguments: &IndexArguments,
        index: &mut Index,
        encoder: &SentenceEncoder,
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
        terminal.note("watching: Ctrl-C ends it");
        while self.changed() {
            let done = bring_up_to_date(arguments, index, encoder, terminal);
            match self.insist(done, arguments, index, encoder, terminal) {
                Err(_) if interrupt::asked() => break,
                Ok((report, skipped)) => {
                    if has_effect(&report) {
                        terminal.note(effect_of(&report));
                        tell_skipped(&skipped, terminal);
                    }
                    if arguments.json {
                        print_json(&to_json(&report, &skipped, index.len(), None))?;
                    }
                }
                // A file that is being written, or that is not there for now, is no reason to end.
                Err(error) if is_of_corpus(&error) => {
                    terminal.note(format_args!("{error:#}: the index stays as it is until that is mended"));
                }
                Err(error) => return Err(error),
            }
        }
        terminal.note("ended: all that was told is in the index");
        Ok(())
    }

    /// Where the disk refused a run, says so once and runs again until the disk takes it, the run fails for another reason, or
    /// the command is to end.
    pub fn insist(
        &self,
        first: anyhow::Result<Indexed>,
        arguments: &IndexArguments,
        index: &mut Index,
        encoder: &SentenceEncoder,
        terminal: &Terminal,
    ) -> anyhow::Result<Indexed> {
        let (mut done, mut pause) = (first, FIRST_PAUSE);
        match &done {
            Err(error) if is_refused_write(error) => terminal.note(format_args!(
                "{error:#}: what was committed is kept, and it goes on once the disk takes more"
            )),
            _ => return done,
        }
        while done.as_ref().is_err_and(is_refused_write) && self.rest(pause) {
            pause = LONGEST_PAUSE.min(pause * 2);
            done = bring_up_to_date(arguments, index, encoder, terminal);
        }
        if done.is_ok() {
            terminal.note("the disk takes writes again");
        }
        done
    }

    /// Waits for so long, whatever changes meanwhile; false if the command is to end.
    fn rest(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        loop {
            match self.happened.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Happened::Changed) => {}
                Err(RecvTimeoutError::Timeout) => return !interrupt::asked(),
                Ok(Happened::Stopped) | Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Waits until something has changed and nothing changes any more; false if the command is to end.
    fn changed(&self) -> bool {
        match self.happened.recv() {
            Ok(Happened::Changed) => {}
            Ok(Happened::Stopped) | Err(_) => return false,
        }
        let latest = Instant::now() + PATIENCE;
        loop {
            let wait = QUIET.min(latest.saturating_duration_since(Instant::now()));
            match self.happened.recv_timeout(wait) {
                Ok(Happened::Changed) if !wait.is_zero() => {}
                Ok(Happened::Stopped) => return false,
                _ => return !interrupt::asked(),
            }
        }
    }
}

/// Reads the corpus again and indexes it, after a write that failed too.
fn bring_up_to_date(
    arguments: &IndexArguments,
    index: &mut Index,
    encoder: &SentenceEncoder,
    terminal: &Terminal,
) -> anyhow::Result<Indexed> {
    index.recover()?;
    Corpus::read_through(arguments, terminal)?.index(index, encoder, terminal)
}

/// Whether the disk refused what was to be written to the index.
fn is_refused_write(error: &anyhow::Error) -> bool {
    use akin_indexer::Error;
    let of_indexer = error.downcast_ref::<Error>().and_then(|error| match error {
        Error::Index(error) => Some(error),
        _ => None,
    });
    matches!(of_indexer.or_else(|| error.downcast_ref()), Some(akin_index::Error::Write { .. }))
}

/// Whether the corpus is at fault, which the next change may mend.
fn is_of_corpus(error: &anyhow::Error) -> bool {
    use akin_indexer::Error;
    error.downcast_ref::<Error>().is_some_and(|error| !matches!(error, Error::Index(_) | Error::Encoder(_)))
}

fn has_effect(report: &IndexingReport) -> bool {
    report.added + report.replaced + report.removed > 0
}

fn effect_of(report: &IndexingReport) -> String {
    format!(
        "changed: {} added, {} replaced, {} removed in {}",
        grouped(report.added),
        grouped(report.replaced),
        grouped(report.removed),
        duration(report.seconds)
    )
}

/// Sends a message for each change of the corpus.
fn watcher(arguments: &IndexArguments, sender: Sender<Happened>) -> anyhow::Result<RecommendedWatcher> {
    let watched =
        arguments.corpus.paths.iter().map(|path| Watched::of(path)).collect::<anyhow::Result<Vec<_>>>()?;
    // An index may lie in the folder that it is of, and changes with each commit.
    let index = absolute(&arguments.index);
    let of_corpus = watched.clone();
    let concerns = move |path: &PathBuf| {
        !path.starts_with(&index) && of_corpus.iter().any(|watched| watched.concerns(path))
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let changed = match event {
            Ok(event) if event.need_rescan() => true,
            // Reading a file is an event too.
            Ok(event) => !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(&concerns),
            // Whatever was not heard of is found by looking.
            Err(_) => true,
        };
        if changed {
            // If nobody listens any more, the command is ending.
            let _ = sender.send(Happened::Changed);
        }
    })
    .context("cannot watch files")?;
    for watched in &watched {
        let (folder, mode) = match watched {
            Watched::Folder(folder) => (folder.as_path(), RecursiveMode::Recursive),
            // An editor writes a new file and gives it the name of the old one.
            Watched::File(file) => (file.parent().unwrap_or(file), RecursiveMode::NonRecursive),
        };
        watcher.watch(folder, mode).with_context(|| format!("cannot watch {}", folder.display()))?;
    }
    Ok(watcher)
}

/// A file or folder of the corpus, by its full path.
#[derive(Debug, Clone)]
enum Watched {
    File(PathBuf),
    Folder(PathBuf),
}

impl Watched {
    fn of(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") || fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
        {
            bail!(
                "{} is a pipe, of which nothing more is heard once it has ended: --watch takes files and folders",
                path.display()
            );
        }
        let full = fs::canonicalize(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(if full.is_dir() { Self::Folder(full) } else { Self::File(full) })
    }

    fn concerns(&self, path: &Path) -> bool {
        match self {
            Self::File(file) => path == file,
            Self::Folder(folder) => path.starts_with(folder),
        }
    }
}

/// The full path of a folder that need not be there yet.
fn absolute(path: &Path) -> PathBuf {
    if let Ok(full) = fs::canonicalize(path) {
        return full;
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (fs::canonicalize(parent), path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}
